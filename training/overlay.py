"""Where generated views disagree with the scene: the distortion field as pictures and numbers.

A field changes Gaussians; what it does to a pixel is the mean of the changes along the pixel's ray, by the scene's own
rendering weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.field.draw import shrunk
from renderer.gaussians import Gaussians
from renderer.shading import to_bytes
from renderer.view import View
from training.config import Head
from training.data.generated import GeneratedViews
from training.distortion import DistortionField
from training.evaluation import spread
from training.ray_means import along_rays
from training.trainer import Trainer

UNITS: dict[Head, str] = {
    "positions": "scene units",
    "left": "of the left quaternion",
    "right": "of the right quaternion",
    "scales": "of the raw scales",
}
"""What an overlay of each head is measured in."""

Array = NDArray[np.float32]


def distortion_overlay(
    gaussians: Gaussians, field: DistortionField, camera: Camera, time: float, s: float, head: Head = "positions"
) -> Array:
    """(H, W) mean length of one head's change along each ray, for pose coordinate ``s``, in :data:`UNITS`; zero where
    nothing is drawn. The camera may be any: it need not be that of the pose."""
    with torch.no_grad():
        scene, _ = field.distorted(gaussians.detached(), time, s)
        change = getattr(scene, head) - getattr(gaussians, head).detach()
        return along_rays(gaussians, camera, time, torch.linalg.vector_norm(change, dim=1)[:, None])[..., 0]


def image_displacement(gaussians: Gaussians, field: DistortionField, camera: Camera, time: float, s: float) -> Array:
    """(H, W, 2) pixels by which the field moves what is seen at each pixel; zero where nothing is drawn."""
    with torch.no_grad():
        canonical = gaussians.detached()
        distorted, _ = field.distorted(canonical, time, s)
        before, after = (_project(_means_at(g, time), camera) for g in (canonical, distorted))
        return along_rays(gaussians, camera, time, after - before)


def disagreement(
    gaussians: Gaussians,
    field: DistortionField,
    views: GeneratedViews,
    head: Head = "positions",
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda indices: indices,
) -> Array:
    """(P, T) mean of :func:`distortion_overlay` over the picture of each generated frame, by pose and by instant in the
    order of time; NaN where no picture was generated."""
    pieces = disagreement_pieces(gaussians, field, views, head, None, None)
    whole = next(pieces)
    for _ in progress(range(len(views.frames))):
        whole = next(pieces)
    return whole.values


@dataclass(frozen=True)
class Disagreement:
    """How much generated views are bent, as far as it is measured. ``values``: (P, T) mean length of one ``head``'s
    change over each picture, by pose and instant, in :data:`UNITS`; NaN where it is not measured or no picture was
    generated. ``times``: (T,) of the instants, in [0, 1]. ``measured``, ``wanted``: pictures."""

    head: Head
    times: NDArray[np.float64]
    values: Array
    measured: int
    wanted: int


def disagreement_pieces(
    gaussians: Gaussians,
    field: DistortionField,
    views: GeneratedViews,
    head: Head = "positions",
    most_pixels: int | None = 4000,
    most_instants: int | None = 24,
) -> Iterator[Disagreement]:
    """The same picture by picture: an empty matrix first, and a copy with one more value after each picture.

    Pictures are drawn with at most ``most_pixels``, and of more than ``most_instants`` instants so many are measured,
    evenly over the clip. They come in an even mixture of all, so that half of the matrix shows the whole roughly. Who
    trains on meanwhile gets values of different steps; a clone of the Gaussians stays as it is.
    """
    times = sorted({f.time for f in views.frames})
    if most_instants is not None:
        times = [times[k] for k in spread(range(len(times)), most_instants)]
    column = {time: k for k, time in enumerate(times)}
    wanted = [i for i, f in enumerate(views.frames) if f.time in column]
    values = np.full((len(views.cameras), len(times)), np.nan, np.float32)
    yield Disagreement(head, np.array(times), values.copy(), 0, len(wanted))
    for done, index in enumerate(np.random.default_rng(0).permutation(wanted), 1):
        f = views.frames[index]
        camera = views.cameras[f.pose]
        if most_pixels is not None:
            camera = shrunk(View(camera, f.time), most_pixels).camera
        overlay = distortion_overlay(gaussians, field, camera, f.time, views.pose_coordinate(f.pose), head)
        values[f.pose, column[f.time]] = overlay.mean()
        yield Disagreement(head, np.array(times), values.copy(), done, len(wanted))


def row_over_time(read: Callable[[int], NDArray[np.uint8]], indices: Iterable[int], row: int) -> NDArray[np.uint8]:
    """(T, W, 3): one row of each of the pictures ``indices``, the first on top. What stands still draws vertical lines
    in it; flicker breaks them."""
    return np.stack([read(index)[row] for index in indices])


@dataclass(frozen=True)
class TimeSlice:
    """One row of a virtual camera's pictures over time: what stands still draws vertical lines, flicker breaks them.

    ``pose``: the virtual camera. ``row``: of its picture. ``times``: (T,) in [0, 1]. ``generated``, ``rendered``:
    (T, W, 3), the first instant on top, as the generator made it and as the scene shows it.
    """

    pose: int
    row: int
    times: NDArray[np.float64]
    generated: NDArray[np.uint8]
    rendered: NDArray[np.uint8]


def time_slice(trainer: Trainer, pose: int, row_share: float = 0.5) -> Iterator[TimeSlice | None]:
    """The row at ``row_share`` in [0, 1] of the height, over all instants of one virtual camera: None after each
    instant, at last the whole. InputError when there are no pictures of that camera, or no such row."""
    views = trainer.clip().generated
    if views is None or not views.frames:
        raise InputError(
            f"{trainer.dataset.source}: the clip has no generated views to look at; make some with dynview generate "
            "and train with --method sparsecam4d"
        )
    indices = views.of_pose(pose)
    if not indices:
        last = len(views.cameras) - 1
        raise InputError(f"virtual camera {pose}: has no generated pictures; choose one from 0 to {last}")
    if not 0 <= row_share <= 1:
        raise InputError(f"row {row_share:g}: give a share of the height between 0 and 1")
    return _time_slice(trainer, views, pose, indices, row_share)


def _time_slice(
    trainer: Trainer, views: GeneratedViews, pose: int, indices: list[int], row_share: float
) -> Iterator[TimeSlice | None]:
    camera = views.cameras[pose]
    row = min(camera.height - 1, int(row_share * camera.height))

    def drawn(index: int) -> NDArray[np.uint8]:
        return to_bytes(trainer.draw(View(camera, views.frames[index].time)).color)

    generated, rendered = [], []
    for index in indices:
        generated.append(row_over_time(views.read, [index], row))
        rendered.append(row_over_time(drawn, [index], row))
        yield None
    times = np.array([views.frames[index].time for index in indices])
    yield TimeSlice(pose, row, times, np.concatenate(generated), np.concatenate(rendered))


def _means_at(gaussians: Gaussians, time: float) -> Tensor:
    """(N, 3) where the means are at a time in [0, 1]."""
    return gaussians.positions + gaussians.velocities() * (time - gaussians.times / gaussians.time_span)


def _project(points: Tensor, camera: Camera) -> Tensor:
    """(N, 2) pixels of points (N, 3); those behind the camera are pulled to its near plane."""
    pose = torch.tensor(camera.world_to_camera, dtype=points.dtype, device=points.device)
    local = points @ pose[:3, :3].T + pose[:3, 3]
    z = local[:, 2:].clamp(min=camera.near)
    return local[:, :2] / z * points.new_tensor([camera.fx, camera.fy]) + points.new_tensor([camera.cx, camera.cy])
