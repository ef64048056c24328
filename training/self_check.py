"""Whether the kernels do on this GPU what they are written to do: asked once, before anything is learned with them.

They are tested without a GPU; a card, a driver or a compiler that treats them otherwise must not spoil a scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.cuda import field_ddr, images
from renderer.cuda.adam import FusedAdam
from renderer.cuda.plane_penalties import plane_penalties
from renderer.cuda.planes import lookup
from renderer.cuda.splat import splat_gaussians
from renderer.field.draw import spread_over_bins
from renderer.field.march import march, rays_through
from renderer.field.model import FieldShape, RadianceField
from renderer.field.space import Space
from renderer.gaussians import Gaussians, gaussians_from_points
from renderer.harmonics import MAX_LEVEL
from renderer.planes import K_PLANES, PlaneLayout, Planes
from renderer.slicing import slice_at
from renderer.splat import Backend, Splats, depth_histogram, splat
from renderer.splat.rays import splat_rays
from training.gumbel import Noise, draw_noise, samples_along, soft_samples
from training.losses import photometric_loss
from training.plane_penalties import Term, penalties, penalty_weights
from training.ray_losses import error_of_expectation, expected_error, normalised

COUNT = 400
"""Gaussians: more than a block takes, and more than one batch in a tile."""
WIDTH, HEIGHT, FOCAL = 45, 35, 40.0
TIME = 0.4
RAYS = 40
BOUND = 1e-3
"""Relative L2 distance; a contribution may lie at the threshold below which it is left out."""
SHAPE = FieldShape((6, 5, 7), 3, (1, 2), 4, 8, 4, False)
"""Not seen from a direction, which would hide what a pose learns through places."""
LAYOUT = PlaneLayout(K_PLANES, (6, 5, 7, 3), channels=32)
TERMS = (Term("variation", 0.3, ("xy", "xz")), Term("curvature", 0.7, ("xt",)), Term("to one", 0.5, ("yt", "zt")))
BINS = torch.tensor([0.0, 1.8, 2.5, 3.3, 9.0])
"""Depths, scene units."""
Values = dict[str, Tensor]


@cache
def problem(device: torch.device) -> str:
    """What the kernels do wrong on a device, as the end of a sentence; empty where they agree with plain torch in
    float64: in pictures of a small scene of each kind, in what is read along rays, in losses, in all their gradients,
    and in steps of the optimiser."""
    apart: dict[str, float] = {}
    try:
        for check in CHECKS:
            apart |= _apart(check(device, torch.float32), check(torch.device("cpu"), torch.float64))
    except Exception as failure:  # whatever a driver or a compiler raises
        return f"they cannot be run ({type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''})"
    worst = max(apart, key=lambda name: apart[name] if np.isfinite(apart[name]) else np.inf)
    if apart[worst] <= BOUND:
        return ""
    return f"{worst} differs from plain torch by {100 * apart[worst]:.2g} %"


def _apart(found: Values, expected: Values) -> dict[str, float]:
    """Relative L2 distance of what was found from what was expected."""
    pairs = {name: [v.detach().double().cpu() for v in (found[name], expected[name])] for name in expected}
    return {name: float((a - b).norm() / b.norm().clamp(min=1e-12)) for name, (a, b) in pairs.items()}


# Each check computes the same by kernels in float32 and by plain torch in float64; the dtype says which of the two.


def _scenes(device: torch.device, dtype: torch.dtype) -> Values:
    """A picture of 4D Gaussians that is learned from, with a depth target, and one that is only looked at."""
    scene, camera = _scene(), _camera()
    values = {k: v.to(device, dtype).requires_grad_() for k, v in scene.parameters.items()}
    scene = scene.with_parameters(values)
    pose = torch.eye(4, dtype=dtype, device=device, requires_grad=True)
    center, black = torch.zeros(2, 3, dtype=dtype, device=device)
    center.requires_grad_()
    target = torch.linspace(-1, 4, WIDTH * HEIGHT).view(HEIGHT, WIDTH).to(device, dtype)  # a fifth is not known
    if dtype == torch.float32:
        image = splat_gaussians(scene, TIME, camera, pose, center, black, None, target)
        with torch.no_grad():
            looked_at = splat_gaussians(scene, TIME, camera, pose, center, black, None, None)
    else:
        splats = slice_at(scene, TIME, center, backend="reference").splats
        image = looked_at = splat(splats, camera, pose=pose, depth_target=target, backend="reference")
    assert image.depth_error is not None
    pictures = (image.color.square(), 0.01 * image.depth, image.opacity, image.depth_error)
    torch.stack([p.mean() for p in pictures]).sum().backward()
    learned = {**values, "the pose": pose, "the camera's centre": center}
    return {
        "the colour": image.color,
        "the depth": image.depth,
        "the expected error of the depth": image.depth_error,
        "the colour of a view": looked_at.color,
        **{f"the gradient of {k}": v.grad for k, v in learned.items() if v.grad is not None},
    }


def _splats(device: torch.device, dtype: torch.dtype) -> Values:
    """A picture of 3D Gaussians, their weights by depth, and what weighs on single rays."""
    scene = _scene()
    scene = scene.with_parameters({k: v.double() for k, v in scene.parameters.items()})
    still = slice_at(scene, TIME, torch.zeros(3, dtype=torch.float64), backend="reference").splats
    fields = {k: v.detach().to(device, dtype).requires_grad_() for k, v in vars(still).items()}
    splats, camera = Splats(**fields), _camera()
    backend: Backend = "cuda" if dtype == torch.float32 else "reference"
    image = splat(splats, camera, backend=backend)
    (image.color.square().mean() + image.depth.mean()).backward()
    with torch.no_grad():
        histogram = depth_histogram(splats, camera, BINS.to(device, dtype), backend)
        rays = splat_rays(splats, camera, _pixels(device), backend=backend)
    return {
        "the colour of 3D Gaussians": image.color,
        "a histogram of weights": histogram,
        "the depth along rays": (rays.weights * rays.depths).sum(1),
        **{f"the gradient of 3D Gaussians' {k}": v.grad for k, v in fields.items() if v.grad is not None},
    }


def _losses(device: torch.device, dtype: torch.dtype) -> Values:
    """The loss of a picture."""
    image, target = torch.rand(2, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(6)).to(device, dtype)
    image.requires_grad_()
    compare = images.photometric_loss if dtype == torch.float32 else photometric_loss
    loss = compare(image, target, 0.2)
    with torch.no_grad():
        unlearned = compare(image, target, 1.0)
    (slope,) = torch.autograd.grad(loss, image)
    return {"the loss": loss, "the similarity of pictures": unlearned, "the gradient of the loss": slope}


def _planes(device: torch.device, dtype: torch.dtype) -> Values:
    """Features of points that share their time, and the penalties of feature planes."""
    random = torch.Generator().manual_seed(10)
    planes, points = Planes(LAYOUT, random), 2 * torch.rand(RAYS, 3, generator=random) - 1
    with torch.no_grad():
        planes.values.add_(torch.rand(planes.values.shape, generator=random), alpha=0.3)
    planes, points = planes.to(device, dtype), points.to(device, dtype).requires_grad_()
    values = planes.values
    if dtype == torch.float32:
        features = lookup(values, points, LAYOUT, (0.3,))
        penalty = plane_penalties(values, LAYOUT, penalty_weights(LAYOUT, TERMS))
    else:
        features, penalty = planes(points, (0.3,)), penalties(planes, TERMS)
    of_values, of_points = torch.autograd.grad(features.square().sum(), (values, points))
    (bend,) = torch.autograd.grad(penalty, values)
    return {
        "features of points": features,
        "the gradient of planes": of_values,
        "the gradient of points": of_points,
        "the penalty of planes": penalty,
        "the gradient of the penalty": bend,
    }


def _steps(device: torch.device, dtype: torch.dtype) -> Values:
    """Two steps of Adam."""
    random = torch.Generator().manual_seed(7)
    first, *gradients = torch.randn(3, 700, 7, generator=random).to(device, dtype)
    leaf = first.clone().requires_grad_()
    adam = FusedAdam([leaf], lr=0.01) if dtype == torch.float32 else torch.optim.Adam([leaf], lr=0.01, eps=1e-15)
    for gradient in gradients:
        leaf.grad = gradient
        adam.step()
    return {"what the optimiser changes": leaf - first}


def _field(device: torch.device, dtype: torch.dtype) -> Values:
    """Colours along rays of a radiance field, its proposals, and its weights by depth."""
    space = Space.around("ndc", np.eye(4), np.array([0.6, 0.5, 1.0]), 1.0, 12.0)
    field = RadianceField(SHAPE, space, frames=4, seed=3).to(device, dtype)
    pose = torch.eye(4, dtype=dtype, device=device, requires_grad=True)
    marched = march(
        field, rays_through(_camera(), _pixels(device), TIME, pose), 16, 16, torch.Generator().manual_seed(8)
    )
    color, (_, guess) = marched.color(), marched.proposals
    (color.square().mean() + guess.square().mean()).backward()
    with torch.no_grad():
        depths = spread_over_bins(marched.weights.blended, space.depth(marched.samples.edges), BINS.to(device))
    learned = {
        "the pose before a field": pose,
        **{f"a field's {part} planes": getattr(field, f"{part}_planes").values for part in ("static", "dynamic")},
        "a field's proposals": field.proposal_planes.values,
    }
    return {
        "a field's colour": color,
        "a field's guess": guess,
        "a field's weights by depth": depths,
        **{f"the gradient of {k}": v.grad for k, v in learned.items() if v.grad is not None},
    }


def _rays(device: torch.device, dtype: torch.dtype) -> Values:
    """What DDR computes of weights along rays."""
    random = torch.Generator().manual_seed(9)
    weights, t = torch.rand(2, RAYS, 45, generator=random)
    drawn = draw_noise(weights, 4, random)
    noise = Noise(drawn.gumbel.to(device, dtype), drawn.offsets.to(device, dtype))
    target = torch.rand(RAYS, generator=random).to(device, dtype)
    t, weights = t.sort(dim=1).values.to(device, dtype), weights.to(device, dtype).requires_grad_()
    if dtype == torch.float32:
        pair = (noise.gumbel, noise.offsets)
        sampled = field_ddr.sampled_errors(t, weights, target, pair, 1.0, "tri", False)
    else:
        sampled = (samples_along(t, soft_samples(weights, noise, 1.0)) - target[:, None]).abs().mean(1)
    results = {
        "normalised weights": normalised(weights),
        "the expected error along rays": expected_error(t, weights, target),
        "the error of the expected depth": error_of_expectation(t, weights, target),
        "soft draws from rays": soft_samples(weights, noise, 1.0, form="released"),
        "the error of soft draws": sampled,
    }
    slopes = {f"the gradient of {k}": torch.autograd.grad(v.square().sum(), weights)[0] for k, v in results.items()}
    return {**results, **slopes}


CHECKS: tuple[Callable[[torch.device, torch.dtype], Values], ...] = (
    _scenes, _splats, _losses, _planes, _steps, _field, _rays
)  # fmt: skip


def _camera() -> Camera:
    return Camera(np.eye(4), FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT, near=0.1)


def _pixels(device: torch.device) -> Tensor:
    """(RAYS, 2)."""
    return torch.stack([torch.arange(RAYS), torch.arange(RAYS) % HEIGHT], dim=1).to(device)


def _scene() -> Gaussians:
    """Random Gaussians before a camera, of many sizes, moving, half of them alive."""
    random = torch.Generator().manual_seed(5)
    points = torch.rand(COUNT, 3, generator=random) * torch.tensor([2.0, 1.6, 3.0]) + torch.tensor([-1.0, -0.8, 1.5])
    scene = gaussians_from_points(
        points,
        torch.rand(COUNT, 3, generator=random),
        torch.rand(COUNT, generator=random),
        0.02 + 0.1 * torch.rand(COUNT, generator=random),
        1.0,
    )
    noise = {k: 0.2 * torch.randn(v.shape, generator=random) for k, v in scene.parameters.items() if k != "positions"}
    noise["opacities"] += 2.0
    noise["time_scales"] -= 0.5
    values = {k: v + noise[k] if k in noise else v for k, v in scene.parameters.items()}
    return replace(scene.with_parameters(values), sh_level=MAX_LEVEL)
