"""Rendering weights of whole pictures and of single rows, by depth, of either kind of scene.

DDR (Sun et al., TVCG 2025) looks at a scene from above, one row of pixels at a time: good geometry is one thin bright
curve, a floater a second one. :data:`QUANTITIES` are those that its tool shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer import ray_maps
from renderer.camera import Camera
from renderer.field.draw import PROPOSALS, SAMPLES, field_histogram, spread_over_bins
from renderer.field.march import march, rays_through
from renderer.field.model import RadianceField, density
from renderer.gaussians import Gaussians
from renderer.motion import moving
from renderer.scene import Scene
from renderer.slicing import Slice, slice_at
from renderer.splat import Splats, depth_histogram
from renderer.splat.reference import alphas_at, project, weights_from_alphas
from renderer.view import View

Edges = NDArray[np.float64]
Part = Literal["blended", "static", "dynamic"]
Quantity = Literal[
    "blended",
    "static-of-blend",
    "dynamic-of-blend",
    "dynamic-alone",
    "transmittance",
    "static-density",
    "dynamic-density",
    "dynamic-weight-density",
]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
RayMap = Literal["expected-error", "error-gap", "entropy", "modes"]
RAY_MAPS: tuple[RayMap, ...] = get_args(RayMap)
MAP_BINS = 64
"""Depth bins behind a map: a thirtieth of the way from near to far is one mode or two."""
PIXELS = 16_384
"""Rays whose statistics are taken at a time, so that the arrays on the way stay small."""


def depth_edges(near: float, far: float, bins: int) -> Edges:
    """(bins + 1,) depths from ``near`` to ``far``, scene units, evenly in disparity. ValueError where there is no such
    thing."""
    if not (0 < near < far and bins >= 1):
        raise ValueError(
            f"{bins} bins from {near:g} to {far:g}: give one or more, and depths that are positive and ascend"
        )
    return 1 / np.linspace(1 / near, 1 / far, bins + 1)


def weight_histogram(scene: Scene, view: View, edges: Edges, part: Part = "blended") -> NDArray[np.float32]:
    """(H, W, B) weight of each pixel's ray per depth bin; ``edges`` (B + 1,) ascending, scene units.

    ``part``: the static or the dynamic part alone, as if the other were not there. What lies in front of the first edge
    or behind the last counts in the first or the last bin.
    """
    if isinstance(scene, RadianceField):
        return field_histogram(scene, view, edges, part)
    with torch.no_grad():
        instant = _slice(scene, view)
        splats = instant.splats
        if part != "blended":
            chosen = moving(scene)[instant.ids] == (part == "dynamic")
            splats = Splats(*(value[chosen] for value in vars(splats).values()))
        return depth_histogram(splats, view.camera, torch.as_tensor(edges)).float().cpu().numpy()


# ------------------------------------------------------------------------------------------------ maps


def ray_map(
    scene: Scene, view: View, kind: RayMap, near: float, far: float, target: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float32], str]:
    """A statistic of every pixel's weights, (H, W), and its unit. ``near``, ``far``: depths between which weights are
    told apart, scene units.

    ``expected-error`` is E|t - D| and ``error-gap`` E|t - D| - |E[t] - D|, with D the ``target`` (H, W), scene units;
    without one each ray's median depth stands in, as the unit says. NaN where the ray is empty (it has 0 ``modes``) or
    D is not a positive number.
    """
    edges = depth_edges(near, far, MAP_BINS)
    histogram = weight_histogram(scene, view, edges)
    H, W, B = histogram.shape
    statistics: dict[str, Callable[..., NDArray]] = {
        "expected-error": ray_maps.expected_error, "error-gap": ray_maps.error_gap,
        "entropy": ray_maps.entropy, "modes": ray_maps.modes,
    }  # fmt: skip
    measure, needs_target = statistics[kind], kind in ("expected-error", "error-gap")
    D = None if target is None else np.where(target > 0, target, np.nan).reshape(-1)
    values = np.empty(H * W, np.float32)
    for start in range(0, H * W, PIXELS):
        rays = slice(start, start + PIXELS)
        weights = histogram.reshape(-1, B)[rays]
        if needs_target:
            values[rays] = measure(weights, edges, ray_maps.median_depth(weights, edges) if D is None else D[rays])
        else:
            values[rays] = measure(weights)
    return values.reshape(H, W), _unit_of(kind, target is not None)


def _unit_of(kind: RayMap, with_target: bool) -> str:
    if kind in ("expected-error", "error-gap"):
        return "scene units" if with_target else "scene units, to the median depth"
    return "nats" if kind == "entropy" else "modes"


# ------------------------------------------------------------------------------------------------ rows


def row_slice(scene: Scene, view: View, row: int, quantity: Quantity, edges: Edges) -> NDArray[np.float64]:
    """(W, B) one of :func:`row_slices`."""
    return row_slices(scene, view, row, edges)[quantity]


def row_slices(scene: Scene, view: View, row: int, edges: Edges) -> dict[Quantity, NDArray[np.float64]]:
    """The x-depth slice of one row of pixels, (W, B) per quantity; ``edges`` (B + 1,) ascending, scene units.

    ``blended`` = ``static-of-blend`` + ``dynamic-of-blend``, and ``dynamic-alone``: weight per bin. ``transmittance``:
    light that reaches the bin. ``static-density``, ``dynamic-density``: of a field the mean over the bin, per unit of
    length in its cube; Gaussians have none, and each bin's alpha stands in: the light that this part alone would keep
    back there. ``dynamic-weight-density``: weight of the dynamic part alone times that.
    Raises ValueError when the row lies outside the image.
    """
    if not 0 <= row < view.camera.height:
        raise ValueError(f"row {row} lies outside the {view.camera.width}x{view.camera.height} image")
    with torch.no_grad():
        if isinstance(scene, RadianceField):
            values = _field_row(scene, view, row, edges)
        else:
            values = _gaussian_row(scene, view, row, edges)
    return {name: values[name].double().cpu().numpy() for name in QUANTITIES}


def _field_row(field: RadianceField, view: View, row: int, edges: Edges) -> dict[Quantity, Tensor]:
    W = view.camera.width
    pixels = torch.stack([torch.arange(W), torch.full((W,), row)], dim=1)
    m = march(field, rays_through(view.camera, pixels, view.time), PROPOSALS, SAMPLES)
    w, bins = m.weights, torch.as_tensor(edges, device=field.device)
    ends = field.space.depth(m.samples.edges.double())  # (W, S + 1)
    sigma_st, sigma_dy = (density(v.raw).view(W, -1) for v in (m.static, m.dynamic))

    def mass(values: Tensor) -> Tensor:
        return spread_over_bins(values.double(), ends, bins)

    def mean(values: Tensor) -> Tensor:
        return _mean_over_bins(values.double(), ends, bins)

    return {
        "blended": mass(w.blended),
        "static-of-blend": mass(w.of_static),
        "dynamic-of-blend": mass(w.of_dynamic),
        "dynamic-alone": mass(w.dynamic),
        "transmittance": mean(w.transmittances),
        "static-density": mean(sigma_st),
        "dynamic-density": mean(sigma_dy),
        "dynamic-weight-density": mass(w.dynamic * sigma_dy),
    }


def _mean_over_bins(values: Tensor, ends: Tensor, bins: Tensor) -> Tensor:
    """(R, B) means over bins ``bins`` (B + 1,) of what is ``values`` (R, S) on the intervals of ``ends`` (R, S + 1),
    and nothing outside of them."""
    zero = torch.zeros_like(ends[:, :1])
    framed = torch.cat([zero, values * ends.diff(dim=1), zero], dim=1)  # so that none is moved in from outside
    outer = torch.cat([torch.minimum(ends[:, :1], bins[0]) - 1, ends, torch.maximum(ends[:, -1:], bins[-1]) + 1], dim=1)
    around = torch.cat([bins[:1] - 1, bins, bins[-1:] + 1])
    return spread_over_bins(framed, outer, around)[:, 1:-1] / bins.diff()


def _gaussian_row(gaussians: Gaussians, view: View, row: int, edges: Edges) -> dict[Quantity, Tensor]:
    camera, instant = view.camera, _slice(gaussians, view)
    splats = Splats(*(value.cpu().double() for value in vars(instant.splats).values()))
    projection = project(splats, camera, torch.tensor(camera.world_to_camera))
    near = (projection.means2d[:, 1] - (row + 0.5)).abs() <= projection.radii  # others do not reach the row
    projection = type(projection)(*(value[near] for value in vars(projection).values()))
    dynamic = moving(gaussians).cpu()[instant.ids.cpu()][projection.ids]
    bins = torch.searchsorted(torch.as_tensor(edges[1:-1].copy()), projection.depths.contiguous(), right=True)
    columns = [
        _columns(alphas_at(projection, splats.opacities[projection.ids], centers), dynamic, bins, len(edges) - 1)
        for centers in _centers(camera, row, len(bins))
    ]
    return {name: torch.cat([c[name] for c in columns]) for name in QUANTITIES}


def _columns(alpha: Tensor, dynamic: Tensor, bins: Tensor, B: int) -> dict[Quantity, Tensor]:
    """All quantities of P pixels from the alphas (P, K) of Gaussians, nearest first; ``bins`` (K,)."""

    def per_bin(values: Tensor) -> Tensor:
        return values.new_zeros(len(values), B).index_add_(1, bins, values)

    def kept_back(part: Tensor) -> Tensor:
        return -torch.expm1(per_bin(torch.log1p(-alpha * part)))

    weights, alone = weights_from_alphas(alpha)[0], per_bin(weights_from_alphas(alpha * dynamic)[0])
    blended = per_bin(weights)
    alpha_dy = kept_back(dynamic)
    return {
        "blended": blended,
        "static-of-blend": per_bin(weights * ~dynamic),
        "dynamic-of-blend": per_bin(weights * dynamic),
        "dynamic-alone": alone,
        "transmittance": 1 - (blended.cumsum(1) - blended),
        "static-density": kept_back(~dynamic),
        "dynamic-density": alpha_dy,
        "dynamic-weight-density": alone * alpha_dy,
    }


def _centers(camera: Camera, row: int, splats: int) -> tuple[Tensor, ...]:
    """Pixel centres (P, 2) of a row, in pieces whose alphas fit into memory."""
    x = torch.arange(camera.width, dtype=torch.float64) + 0.5
    return torch.stack([x, torch.full_like(x, row + 0.5)], dim=1).split(max(1, 4_000_000 // max(1, splats)))


def _slice(gaussians: Gaussians, view: View) -> Slice:
    center = torch.as_tensor(view.camera.center, dtype=gaussians.positions.dtype, device=gaussians.positions.device)
    return slice_at(gaussians.detached(), view.time, center)
