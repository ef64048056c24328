"""Depth of what stands still, from optical flow to other pictures and known poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from training.data.dataset import Dataset
from training.priors.flow import Flow, FlowOf, Mask, consistent_flow
from training.priors.texture import texture_root
from training.priors.two_view import Array, pixel_centres, transfer

REACH = 12
"""Partners of a frame are at most so many frames away."""
PARTNERS = 8
"""Partners of a frame by default, spread evenly over the frames within reach."""
ITERATIONS = 6
"""Gauss-Newton steps; they settle within three."""
OUTLIER = 0.5
"""Pixels of residual at which a match weighs half (Cauchy)."""
FLOW_NOISE = 0.3
"""Standard deviation of the flow in pixels, from which the error of a depth is told."""
MAX_RELATIVE_ERROR = 0.1
"""Depths with a larger expected relative error have too little parallax."""
MAX_RESIDUAL = 0.6
"""Root mean square pixels by which a pixel may miss its flows and still be taken to stand still."""
BEYOND = 4.0
"""Depths are sought from near / 4 to far * 4."""


@dataclass(frozen=True)
class InverseDepths:
    """The one inverse depth per pixel that explains its flows best, and how well it does.

    ``inverse_depth``: (H, W), 1 / scene units. ``residual``: (H, W) root mean square pixels over the flows that can be
    trusted, infinite where there are none. ``information``: (H, W) sum of squared derivatives of the places in
    pixels by the inverse depth. ``count``: (H, W) flows that can be trusted.
    """

    inverse_depth: Array
    residual: Array
    information: Array
    count: NDArray[np.int64]

    @property
    def relative_error(self) -> Array:
        """(H, W) standard deviation of the depth over the depth, for flows with FLOW_NOISE."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return FLOW_NOISE / (np.sqrt(self.information) * self.inverse_depth)


def partners_of(dataset: Dataset, index: int, count: int = PARTNERS, reach: int = REACH) -> list[int]:
    """Training shots of the same camera at most ``reach`` frames away, at most ``count``, evenly spread."""
    shot = dataset.shots[index]
    near = [
        i
        for i in dataset.indices("train")
        if i != index
        and dataset.shots[i].camera_name == shot.camera_name
        and abs(dataset.shots[i].frame - shot.frame) <= reach
    ]
    if len(near) <= count:
        return near
    return [near[round(k)] for k in np.linspace(0, len(near) - 1, count)]


def fit_inverse_depths(
    camera: Camera,
    others: Sequence[Camera],
    flows: Sequence[tuple[Flow, Mask]],
    bounds: tuple[float, float],
    texture: Array | None = None,
) -> InverseDepths:
    """Least squares over J partners of the distances in pixels between flows and a pixel's places at one depth.

    ``flows``: per partner the flow (H, W, 2) in pixels and (H, W) where it can be trusted. ``bounds``: smallest and
    largest inverse depth. ``texture``: (H, W, 2, 2) of the picture (:func:`training.priors.texture.texture_root`), by
    which errors count as far as the picture speaks against them. Gauss-Newton from the linear solution, with Cauchy
    weights.
    """
    pixels = pixel_centres(camera.height, camera.width)
    pairs = [transfer(camera, other, pixels) for other in others]
    A = np.stack([a for a, _ in pairs])  # (J, H, W, 3)
    B = np.stack([np.broadcast_to(b, (*pixels.shape[:2], 3)) for _, b in pairs])
    target = np.stack([pixels + flow for flow, _ in flows])  # (J, H, W, 2)
    trusted = np.stack([seen for _, seen in flows]) & np.isfinite(target).all(-1)  # (J, H, W)
    target = np.where(trusted[..., None], target, 0)
    # u q_z = q_xy with q = A + rho B is linear in rho
    slope = target * B[..., 2:] - B[..., :2]
    offset = A[..., :2] - target * A[..., 2:]
    if texture is not None:
        slope, offset = _seen(texture, slope), _seen(texture, offset)
    numerator = (trusted * (slope * offset).sum(-1)).sum(0)
    denominator = (trusted * (slope**2).sum(-1)).sum(0)
    rho = np.clip(_ratio(numerator, denominator), *bounds)
    for _ in range(ITERATIONS):
        miss, derivative = _miss(A, B, target, rho, texture)
        weight = trusted / (1 + (miss**2).sum(-1) / OUTLIER**2)
        step = _ratio((weight * (miss * derivative).sum(-1)).sum(0), (weight * (derivative**2).sum(-1)).sum(0))
        rho = np.clip(rho - step, *bounds)
    miss, derivative = _miss(A, B, target, rho, texture)
    count = trusted.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.sqrt((trusted * (miss**2).sum(-1)).sum(0) / count)
    information = (trusted * (derivative**2).sum(-1)).sum(0)
    return InverseDepths(rho, np.where(count > 0, residual, np.inf), information, count)


def _seen(texture: Array, error: Array) -> Array:
    """(J, H, W, 2) what the picture says against errors of flow."""
    return (texture @ error[..., None])[..., 0]


def _miss(A: Array, B: Array, target: Array, rho: Array, texture: Array | None) -> tuple[Array, Array]:
    """(J, H, W, 2) pixels from the targets to the places at an inverse depth, and the derivative by it."""
    q = A + rho[..., None] * B
    depth = np.maximum(q[..., 2:], 1e-6)
    place = q[..., :2] / depth
    miss, derivative = place - target, (B[..., :2] - place * B[..., 2:]) / depth
    return (miss, derivative) if texture is None else (_seen(texture, miss), _seen(texture, derivative))


def _ratio(a: Array, b: Array) -> Array:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 1e-12)


def inverse_depths(
    dataset: Dataset, index: int, partners: Sequence[int] | None = None, flow: FlowOf | None = None
) -> InverseDepths | None:
    """The same for a shot of a clip; None when it has no partners. ``flow``: where flows come from, when they are
    kept (``cached_flow``)."""
    partners = partners_of(dataset, index) if partners is None else partners
    if not partners:
        return None
    find = flow or (lambda i, j: consistent_flow(dataset, i, j))
    flows = [find(index, other) for other in partners]
    cameras = [dataset.shots[other].camera for other in partners]
    bounds = (1 / (BEYOND * dataset.far), BEYOND / dataset.near)
    return fit_inverse_depths(dataset.shots[index].camera, cameras, flows, bounds, texture_root(dataset.read(index)))


def triangulated_depth(
    dataset: Dataset, index: int, partners: Sequence[int] | None = None, flow: FlowOf | None = None
) -> tuple[NDArray[np.float32], Mask]:
    """Depth (H, W) float32 along +z in scene units of what stands still in a shot, 0 where unknown, and (H, W) where
    it is known: the flows agree on one depth inside the bounds, and the parallax is enough to tell it."""
    camera = dataset.shots[index].camera
    fit = inverse_depths(dataset, index, partners, flow)
    if fit is None:
        return np.zeros((camera.height, camera.width), np.float32), np.zeros((camera.height, camera.width), np.bool_)
    inside = (fit.inverse_depth > 1.001 / (BEYOND * dataset.far)) & (fit.inverse_depth < 0.999 * BEYOND / dataset.near)
    enough = fit.count >= min(2, int(fit.count.max()))
    known = inside & enough & (fit.count > 0)
    known &= (fit.residual < MAX_RESIDUAL) & (fit.relative_error < MAX_RELATIVE_ERROR)
    return np.where(known, 1 / fit.inverse_depth, 0).astype(np.float32), known
