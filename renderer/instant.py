"""A 4D scene at an instant as a picture: slicing and splatting, in one where a GPU does both.

On the CPU the scene is sliced first, and only what is alive is splatted. On a GPU the whole scene goes through one
kernel, because to learn how much of it is alive the host would have to wait. Whoever draws need not know which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.gaussians import Gaussians
from renderer.slicing import Slice, slice_at
from renderer.splat import Backend, SplatImage, splat
from renderer.splat.backends import has_cupy


@dataclass(frozen=True)
class Instant:
    """A scene as it was drawn.

    ``image``: whose ``radii`` are of M splats. ``ids``: (M,) int64 their rows in the scene; None for all rows in their
    order. ``offsets``: (M, 2) zeros, pixels, which get dL/d(screen position); None where that was not asked for.
    ``slice``: gives the splats, which are computed for it where they were not for the picture.
    """

    image: SplatImage
    ids: Tensor | None
    offsets: Tensor | None
    slice: Callable[[], Slice]


def splat_scene(
    gaussians: Gaussians,
    time: float,
    camera: Camera,
    *,
    pose: Tensor | None = None,
    center: Tensor | None = None,
    learn_screen: bool = False,
    depth_target: Tensor | None = None,
    backend: Backend = "auto",
) -> Instant:
    """The picture of a scene at ``time`` in [0, 1]: :func:`renderer.slicing.slice_at` and
    :func:`renderer.splat.splat`.

    ``pose``: (4, 4) world-to-camera that replaces the camera's. ``center``: (3,) where the colours are seen from, the
    camera's by default. ``learn_screen``: whether :attr:`Instant.offsets` are wanted. ``depth_target``: (H, W).
    """
    positions = gaussians.positions
    if center is None:
        center = torch.as_tensor(camera.center, dtype=positions.dtype, device=positions.device)
    at = center
    if not _in_one(gaussians, backend):
        instant = slice_at(gaussians, time, at, backend=backend)
        offsets = _zeros(len(instant.ids), positions) if learn_screen else None
        image = splat(
            instant.splats, camera, pose=pose, screen_offsets=offsets, depth_target=depth_target, backend=backend
        )
        return Instant(image, instant.ids, offsets, lambda: instant)
    from renderer.cuda.splat import splat_gaussians  # few machines need it

    if pose is None:
        pose = torch.as_tensor(camera.world_to_camera.copy(), dtype=positions.dtype, device=positions.device)
    offsets = _zeros(len(gaussians), positions) if learn_screen else None
    background = positions.new_zeros(3)
    image = splat_gaussians(gaussians, time, camera, pose, at, background, offsets, depth_target)
    return Instant(image, None, offsets, lambda: slice_at(gaussians, time, at))


def _in_one(gaussians: Gaussians, backend: Backend) -> bool:
    positions = gaussians.positions
    on_card = positions.is_cuda and positions.dtype == torch.float32 and has_cupy()
    return backend == "cuda" or (backend == "auto" and on_card)


def _zeros(count: int, like: Tensor) -> Tensor:
    return torch.zeros(count, 2, dtype=like.dtype, device=like.device, requires_grad=True)
