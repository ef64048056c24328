"""Where generated views disagree with the scene: the distortion field as pictures and numbers.

A field changes Gaussians; what it does to a pixel is the mean of the changes along the pixel's ray, by the scene's own
rendering weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.camera import Camera
from renderer.gaussians import Gaussians
from renderer.slicing import slice_at
from renderer.splat import splat
from training.config import Head
from training.data.generated import GeneratedViews
from training.distortion import DistortionField

UNITS: dict[Head, str] = {
    "positions": "scene units",
    "left": "of the left quaternion",
    "right": "of the right quaternion",
    "scales": "of the raw scales",
}
"""What an overlay of each head is measured in."""
SEEN = 1e-3
"""Pixels with less opacity show nothing and get no distortion."""

Array = NDArray[np.float32]


def distortion_overlay(
    gaussians: Gaussians, field: DistortionField, camera: Camera, time: float, s: float, head: Head = "positions"
) -> Array:
    """(H, W) mean length of one head's change along each ray, for pose coordinate ``s``, in :data:`UNITS`; zero where
    nothing is drawn. The camera may be any: it need not be that of the pose."""
    with torch.no_grad():
        scene, _ = field.distorted(gaussians.detached(), time, s)
        change = getattr(scene, head) - getattr(gaussians, head).detach()
        return _along_rays(gaussians, camera, time, torch.linalg.vector_norm(change, dim=1)[:, None])[..., 0]


def image_displacement(gaussians: Gaussians, field: DistortionField, camera: Camera, time: float, s: float) -> Array:
    """(H, W, 2) pixels by which the field moves what is seen at each pixel; zero where nothing is drawn."""
    with torch.no_grad():
        canonical = gaussians.detached()
        distorted, _ = field.distorted(canonical, time, s)
        before, after = (_project(_means_at(g, time), camera) for g in (canonical, distorted))
        return _along_rays(gaussians, camera, time, after - before)


def disagreement(
    gaussians: Gaussians,
    field: DistortionField,
    views: GeneratedViews,
    head: Head = "positions",
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda indices: indices,
) -> Array:
    """(P, T) mean of :func:`distortion_overlay` over the picture of each generated frame, by pose and by instant in the
    order of time; NaN where no picture was generated."""
    times = sorted({f.time for f in views.frames})
    matrix = np.full((len(views.cameras), len(times)), np.nan, np.float32)
    for index in progress(range(len(views.frames))):
        f = views.frames[index]
        overlay = distortion_overlay(
            gaussians, field, views.cameras[f.pose], f.time, views.pose_coordinate(f.pose), head
        )
        matrix[f.pose, times.index(f.time)] = overlay.mean()
    return matrix


def row_over_time(read: Callable[[int], NDArray[np.uint8]], indices: Iterable[int], row: int) -> NDArray[np.uint8]:
    """(T, W, 3): one row of each of the pictures ``indices``, the first on top. What stands still draws vertical lines
    in it; flicker breaks them."""
    return np.stack([read(index)[row] for index in indices])


def _along_rays(gaussians: Gaussians, camera: Camera, time: float, values: Tensor) -> Array:
    """(H, W, C) of ``values`` (N, C), C at most 3: their mean along each ray."""
    center = torch.tensor(camera.center, dtype=torch.float32)
    instant = slice_at(gaussians.detached(), time, center)
    padded = torch.zeros(len(instant.ids), 3)
    padded[:, : values.shape[1]] = values[instant.ids]
    image = splat(replace(instant.splats, colors=padded), camera)
    seen = image.opacity > SEEN
    mean = image.color / image.opacity.clamp(min=SEEN)[..., None] * seen[..., None]
    return mean[..., : values.shape[1]].numpy()


def _means_at(gaussians: Gaussians, time: float) -> Tensor:
    """(N, 3) where the means are at a time in [0, 1]."""
    return gaussians.positions + gaussians.velocities() * (time - gaussians.times / gaussians.time_span)


def _project(points: Tensor, camera: Camera) -> Tensor:
    """(N, 2) pixels of points (N, 3); those behind the camera are pulled to its near plane."""
    pose = torch.tensor(camera.world_to_camera, dtype=points.dtype)
    local = points @ pose[:3, :3].T + pose[:3, 3]
    z = local[:, 2:].clamp(min=camera.near)
    return local[:, :2] / z * points.new_tensor([camera.fx, camera.fy]) + points.new_tensor([camera.cx, camera.cy])
