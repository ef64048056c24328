"""Two pinhole cameras: where a pixel of one lies in the other, and how far a match is from what the poses allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera

Array = NDArray[np.float64]
PARALLEL = 1e-12
"""Below this a length is taken as zero where one divides by it."""


def intrinsics(camera: Camera) -> Array:
    """K (3, 3): from camera axes to pixels counted from the picture's corner."""
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])


def pixel_centres(height: int, width: int) -> Array:
    """(H, W, 2) positions x, y of the centres of all pixels."""
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([xs, ys], axis=-1)


def transfer(a: Camera, b: Camera, pixels: Array) -> tuple[Array, Array]:
    """Where pixels of ``a`` can lie in ``b``: at the homogeneous pixels ``at_infinity + inverse_depth * epipole``.

    ``pixels``: (..., 2). Returns (..., 3) and (3,); their third coordinate, divided by the inverse depth in ``a``, is
    the depth in ``b``.
    """
    pose = b.world_to_camera @ a.camera_to_world
    ones = np.ones((*pixels.shape[:-1], 1))
    homography = intrinsics(b) @ pose[:3, :3] @ np.linalg.inv(intrinsics(a))
    return np.concatenate([pixels, ones], axis=-1) @ homography.T, intrinsics(b) @ pose[:3, 3]


def rigid_flow(a: Camera, b: Camera, depth: NDArray[np.floating]) -> Array:
    """(H, W, 2) displacement in pixels from ``a`` to ``b`` of a scene that stands still, from its depth (H, W) along
    +z of ``a``; NaN where the depth is not above zero or the place is behind ``b``."""
    pixels = pixel_centres(*depth.shape)
    at_infinity, epipole = transfer(a, b, pixels)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = at_infinity + (1 / np.where(depth > 0, depth, np.nan))[..., None] * epipole
        return np.where(q[..., 2:] > 0, q[..., :2] / q[..., 2:] - pixels, np.nan)


def fundamental_matrix(a: Camera, b: Camera) -> Array:
    """F (3, 3) with x_b^T F x_a = 0 for matching pixels (Hartley and Zisserman, eq. 9.2); zero without a baseline."""
    pose = b.world_to_camera @ a.camera_to_world
    x, y, z = pose[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.linalg.inv(intrinsics(b)).T @ cross @ pose[:3, :3] @ np.linalg.inv(intrinsics(a))


def epipolar_miss(F: Array, pixels_a: Array, pixels_b: Array) -> Array:
    """(..., 2) pixels by which matches (..., 2) miss their epipolar lines in ``b``, at a right angle to them."""
    line = np.concatenate([pixels_a, np.ones((*pixels_a.shape[:-1], 1))], axis=-1) @ F.T
    size = np.maximum((line[..., :2] ** 2).sum(-1, keepdims=True), PARALLEL)
    off = (line[..., :2] * pixels_b).sum(-1, keepdims=True) + line[..., 2:]
    return off * line[..., :2] / size


def segment_miss(a: Camera, b: Camera, pixels_a: Array, pixels_b: Array, near: float, far: float) -> Array:
    """(..., 2) pixels by which matches miss the part of the epipolar line that depths from ``near`` to ``far`` take.

    Unlike the distance to the whole line it also sees motion along it, and it holds without a baseline, where the
    segment is a point. Infinite where a pixel of ``a`` at ``near`` or ``far`` lies behind ``b``.
    """
    at_infinity, epipole = transfer(a, b, pixels_a)
    farthest, nearest = at_infinity + epipole / far, at_infinity + epipole / near
    with np.errstate(divide="ignore", invalid="ignore"):
        start, end = (q[..., :2] / q[..., 2:] for q in (farthest, nearest))
        along = end - start
        share = ((pixels_b - start) * along).sum(-1) / np.maximum((along**2).sum(-1), PARALLEL)
        foot = start + np.clip(share, 0, 1)[..., None] * along
    ahead = (farthest[..., 2] > 0) & (nearest[..., 2] > 0)
    return np.where(ahead[..., None], pixels_b - foot, np.inf)
