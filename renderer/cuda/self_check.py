"""Whether the kernels do on this GPU what they are written to do: asked once, before anything is learned with them.

They are tested without a GPU; a card, a driver or a compiler that treats them otherwise must not spoil a scene.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.cuda.splat import splat_gaussians
from renderer.field.march import march, rays_through
from renderer.field.model import FieldShape, RadianceField
from renderer.field.space import Space
from renderer.gaussians import Gaussians, gaussians_from_points
from renderer.slicing import slice_at
from renderer.splat import splat

COUNT = 400
"""Gaussians: more than a block takes, and more than one batch in a tile."""
WIDTH, HEIGHT, FOCAL = 45, 35, 40.0
TIME = 0.4
BOUND = 1e-3
"""Relative L2 distance; a contribution may lie at the threshold below which it is left out."""
SHAPE = FieldShape((6, 5, 7), 3, (1, 2), 4, 8, 4, True)
Values = dict[str, Tensor]


@cache
def problem(device: torch.device) -> str:
    """What the kernels do wrong on a device, as the end of a sentence; empty where they agree with plain torch in
    float64, in pictures and gradients of a small scene of each kind."""
    try:
        apart = {**_apart(_gaussians(device)), **_apart(_field(device))}
    except Exception as failure:  # whatever a driver or a compiler raises
        return f"they cannot be run ({type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''})"
    worst = max(apart, key=lambda name: apart[name] if np.isfinite(apart[name]) else np.inf)
    if apart[worst] <= BOUND:
        return ""
    return f"{worst} differs from plain torch by {100 * apart[worst]:.2g} %"


def _apart(pairs: tuple[Values, Values]) -> dict[str, float]:
    """Relative L2 distance of what was found from what was expected."""
    found, expected = ({k: v.detach().double().cpu() for k, v in values.items()} for values in pairs)
    return {
        name: float((found[name] - value).norm() / value.norm().clamp(min=1e-12)) for name, value in expected.items()
    }


def _gaussians(device: torch.device) -> tuple[Values, Values]:
    """Pictures and gradients of 4D Gaussians, by kernels and by plain torch."""
    camera = Camera(np.eye(4), FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT, near=0.1)
    results = []
    for place, dtype in ((device, torch.float32), (torch.device("cpu"), torch.float64)):
        scene = _scene()
        values = {k: v.to(place, dtype).requires_grad_() for k, v in scene.parameters.items()}
        scene = scene.with_parameters(values)
        pose = torch.eye(4, dtype=dtype, device=place, requires_grad=True)
        center, black = torch.zeros(3, dtype=dtype, device=place), torch.zeros(3, dtype=dtype, device=place)
        if dtype == torch.float32:
            image = splat_gaussians(scene, TIME, camera, pose, center, black, None, None)
        else:
            splats = slice_at(scene, TIME, center, backend="reference").splats
            image = splat(splats, camera, pose=pose, backend="reference")
        (image.color.square().mean() + 0.01 * image.depth.mean() + image.opacity.mean()).backward()
        learned = {**values, "the pose": pose}
        gradients = {f"the gradient of {k}": v.grad for k, v in learned.items() if v.grad is not None}
        results.append({"the colour": image.color, "the depth": image.depth, **gradients})
    return results[0], results[1]


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
    return replace(scene.with_parameters(values), sh_level=2)


def _field(device: torch.device) -> tuple[Values, Values]:
    """Colours along rays of a radiance field, and gradients, by kernels and by plain torch."""
    camera = Camera(np.eye(4), FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT, near=0.1)
    space = Space.around("ndc", np.eye(4), np.array([0.6, 0.5, 1.0]), 1.0, 12.0)
    pixels = torch.stack([torch.arange(40), torch.arange(40) % HEIGHT], dim=1)
    results = []
    for place, dtype in ((device, torch.float32), (torch.device("cpu"), torch.float64)):
        field = RadianceField(SHAPE, space, frames=4, seed=3).to(place, dtype)
        pose = torch.eye(4, dtype=dtype, device=place)
        marched = march(field, rays_through(camera, pixels.to(place), TIME, pose), 16, 16)
        color = marched.color()
        color.square().mean().backward()
        planes = field.static_planes.values.grad
        assert planes is not None
        results.append({"a field's colour": color, "the gradient of a field's planes": planes})
    return results[0], results[1]
