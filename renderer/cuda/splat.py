"""Splatting on the GPU: project -> list by tiles -> blend, each a step of autograd, nothing of which waits for the
device while something is learned.

A 4D scene goes in whole: what is not alive at the instant is culled with what is off the screen, in one kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.cuda import blend, project, tiles
from renderer.cuda.launch import stood_in
from renderer.gaussians import PARAMETERS, Gaussians
from renderer.splat.types import SplatImage, Splats

FIRST_PAIRS = 1 << 16
"""Room for pairs of a tile and a splat in a picture of a new size."""
SIZES = 64
"""Of pictures, for which it is remembered how many pairs there were."""


def splat(
    splats: Splats,
    camera: Camera,
    pose: Tensor,
    background: Tensor,
    screen_offsets: Tensor | None,
    depth_target: Tensor | None,
    *,
    backward: blend.Backward = "splats",
) -> SplatImage:
    """See :func:`renderer.splat.splat`; and :func:`splat_gaussians` for what is not waited for."""
    _check(splats.means)
    projected = _of_splats(splats, camera, pose, screen_offsets)
    return _image(projected, camera, background, depth_target, backward)


def splat_gaussians(
    gaussians: Gaussians,
    time: float,
    camera: Camera,
    pose: Tensor,
    camera_center: Tensor,
    background: Tensor,
    screen_offsets: Tensor | None,
    depth_target: Tensor | None,
    *,
    backward: blend.Backward = "splats",
) -> SplatImage:
    """The picture of a 4D scene at ``time`` in [0, 1]: :func:`renderer.slicing.slice_at` and
    :func:`renderer.splat.splat` in one, of float32 tensors on a GPU.

    ``pose``: (4, 4) world-to-camera. ``camera_center``: (3,) where the colours are seen from. ``background``: (3,)
    without a gradient. ``screen_offsets``: (N, 2) pixels. ``depth_target``: (H, W). ``radii`` has N rows, with 0 for a
    Gaussian that is not alive. Gradients flow to every parameter, the pose, the centre and the offsets.

    Where something is learned the host does not wait: it makes room for half as many pairs of a tile and a splat again
    as in the last pictures of its size, so that a picture that needs that much more than those lacks its farthest
    splats, once. A picture that is only looked at is always whole.
    Raises ValueError for tensors that do not lie on a GPU, and torch.OutOfMemoryError for more pairs than there can be.
    """
    _check(gaussians.positions)
    screen, *rest = _ProjectGaussians.apply(
        gaussians, time, camera, pose, camera_center, screen_offsets, *gaussians.parameters.values()
    )
    return _image(project.Projected(screen, *rest), camera, background, depth_target, backward)


@torch.no_grad()
def depth_histogram(splats: Splats, camera: Camera, pose: Tensor, edges: Tensor) -> Tensor:
    """See :func:`renderer.splat.depth_histogram`."""
    _check(splats.means)
    projected = _of_splats(splats, camera, pose, None)
    return blend.depth_histogram(projected.screen, _picture(projected, camera), edges.to(splats.means).contiguous())


@torch.no_grad()
def contributions(splats: Splats, camera: Camera, pose: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`renderer.splat.reference.contributions`."""
    _check(splats.means)
    projected = _of_splats(splats, camera, pose, None)
    return blend.contributions(projected.screen, _picture(projected, camera), pixels)


def _of_splats(splats: Splats, camera: Camera, pose: Tensor, offsets: Tensor | None) -> project.Projected:
    fields = (splats.means, splats.covariances, splats.opacities, splats.colors)
    return project.Projected(*_ProjectSplats.apply(camera, pose, offsets, *fields))


def _image(
    projected: project.Projected,
    camera: Camera,
    background: Tensor,
    depth_target: Tensor | None,
    backward: blend.Backward,
) -> SplatImage:
    picture = _picture(projected, camera, background, depth_target)
    found = blend.blend(projected.screen, picture, backward)
    return SplatImage(found.color, found.depth, found.opacity, projected.radii, found.depth_error)


def _picture(
    projected: project.Projected, camera: Camera, background: Tensor | None = None, target: Tensor | None = None
) -> blend.Picture:
    screen = projected.screen
    return blend.Picture(
        camera.width,
        camera.height,
        _lists(projected, camera, screen.requires_grad),
        screen.new_zeros(3) if background is None else background.detach().to(screen).contiguous(),
        None if target is None else target.detach().to(screen).contiguous(),
    )


def _lists(projected: project.Projected, camera: Camera, learns: bool) -> tiles.TileLists:
    """Those of the tiles. Waits for the device, to leave nothing out, where nothing is learned or nothing known."""
    columns, rows = blend.tiles_of(camera.width, camera.height)
    p, room = projected, _room(projected.keys.device, columns * rows, learns)
    on_screen = (p.screen.detach(), p.keys, p.boxes, p.counts, columns, rows)
    lists = tiles.tile_lists(*on_screen, room.capacity.pairs)
    room.capacity.learn(lists.total)
    if learns and room.known:
        return lists
    while room.capacity.settle() > len(lists.rows):
        lists = tiles.tile_lists(*on_screen, room.capacity.pairs)
    room.known = True
    return lists


@dataclass
class _Room:
    """``known``: whether the capacity has heard of a picture."""

    capacity: tiles.Capacity
    known: bool = False


@lru_cache(maxsize=SIZES)
def _room(device: torch.device, tiles_in_picture: int, learns: bool) -> _Room:
    """Apart for pictures that are learned from, whose backward needs memory for all the room there is."""
    return _Room(tiles.Capacity(FIRST_PAIRS))


def forget_rooms() -> None:
    """Make no more room than the next pictures need, as where memory was short."""
    _room.cache_clear()


class _ProjectSplats(torch.autograd.Function):
    """The fields of :class:`renderer.cuda.project.Projected`; only the first has a gradient."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, camera: Camera, pose: Tensor, offsets: Tensor | None, *fields: Tensor
    ) -> tuple[Tensor, ...]:
        pinhole = project.Pinhole.of(camera, pose)
        given = None if offsets is None else offsets.contiguous()
        projected = project.project_splats(Splats(*fields), pinhole, given)
        return _remember(ctx, projected, camera, pose, *fields)

    @staticmethod
    def backward(ctx: Any, v_screen: Tensor, *_: None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        pose, *fields = ctx.saved_tensors[5:]
        pinhole, v_screen = project.Pinhole.of(ctx.camera, pose), v_screen.contiguous()
        wanted = ctx.needs_input_grad[1]
        splats, projected = Splats(*fields), project.Projected(*ctx.saved_tensors[:5])
        gradients, camera = project.project_splats_backward(splats, pinhole, projected, v_screen, wanted)
        v_offsets = v_screen[:, :2].contiguous() if ctx.needs_input_grad[2] else None
        return None, camera and camera.pose, v_offsets, *vars(gradients).values()


class _ProjectGaussians(torch.autograd.Function):
    """As :class:`_ProjectSplats`, of a scene's parameters."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        gaussians: Gaussians,
        time: float,
        camera: Camera,
        pose: Tensor,
        center: Tensor,
        offsets: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        scene, pinhole = _with(gaussians, parameters), project.Pinhole.of(camera, pose)
        given = None if offsets is None else offsets.contiguous()
        projected = project.project_gaussians(scene, time, center, pinhole, given)
        ctx.gaussians, ctx.time = gaussians, time
        return _remember(ctx, projected, camera, pose, center, *parameters)

    @staticmethod
    def backward(ctx: Any, v_screen: Tensor, *_: None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        pose, center, *parameters = ctx.saved_tensors[5:]
        pinhole, v_screen = project.Pinhole.of(ctx.camera, pose), v_screen.contiguous()
        wanted = ctx.needs_input_grad[3] or ctx.needs_input_grad[4]
        scene, projected = _with(ctx.gaussians, parameters), project.Projected(*ctx.saved_tensors[:5])
        gradients, camera = project.project_gaussians_backward(
            scene, ctx.time, center, pinhole, projected, v_screen, wanted
        )
        v_pose, v_center = (None, None) if camera is None else (camera.pose, camera.center)
        v_offsets = v_screen[:, :2].contiguous() if ctx.needs_input_grad[5] else None
        return None, None, None, v_pose, v_center, v_offsets, *(gradients[name] for name in PARAMETERS)


def _remember(ctx: Any, projected: project.Projected, camera: Camera, *given: Tensor) -> tuple[Tensor, ...]:
    fields = tuple(vars(projected).values())
    ctx.camera = camera
    ctx.mark_non_differentiable(*fields[1:])
    ctx.save_for_backward(*fields, *given)
    return fields


def _with(gaussians: Gaussians, parameters: tuple[Tensor, ...] | list[Tensor]) -> Gaussians:
    return gaussians.with_parameters(dict(zip(PARAMETERS, parameters, strict=True)))


def _check(tensor: Tensor) -> None:
    if not tensor.is_cuda and not stood_in():
        raise ValueError(f"the splats lie on {tensor.device}, expected a GPU")
