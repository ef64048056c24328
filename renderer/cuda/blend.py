"""Blending on the GPU: listed splats to pixels and back, depth histograms, and what weighs on single rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program
from renderer.cuda.tiles import TileLists

TILE = 16
"""Pixels along each side of a tile."""
THREADS = TILE * TILE
BUCKET = 32
"""Splats of a tile's list whose gradients one warp takes."""
WARPS = THREADS // 32
STATE = 5
"""What each pixel of a tile keeps of a bucket: transmittance, colour, depth; and with a target the error."""
Backward = Literal["splats", "pixels"]
"""What a thread of the backward stands for: a splat of a tile, which meets all its pixels, or a pixel, whose part in
each splat is summed over the warp. The first keeps 5 or 6 KiB per bucket from the forward on, and adds to a splat once
per tile, not up to eight times."""

WALK = ("common.cu", "tiles_common.cu", "walk.cu")
GRADIENT = (*WALK, "blend_gradient.cu")
TARGET, BUCKETS = ("WITH_TARGET", 1), ("WITH_BUCKETS", 1)
BLEND = {
    (target, buckets): Program((*WALK, "blend.cu"), (TARGET,) * target + (BUCKETS,) * buckets)
    for target in (False, True)
    for buckets in (False, True)
}
BACKWARD = {
    (way, target): Program((*GRADIENT, f"blend_backward_{way}.cu"), (TARGET,) * target)
    for way in ("splats", "pixels")
    for target in (False, True)
}
HISTOGRAM = Program((*WALK, "depth_histogram.cu"))
CONTRIBUTIONS = Program((*WALK, "ray_contributions.cu"))
PROGRAMS = (*BLEND.values(), *BACKWARD.values(), HISTOGRAM, CONTRIBUTIONS)


@dataclass(frozen=True)
class Blended:
    """``color`` (H, W, 3) over the background; ``depth`` (H, W) sum of weight times z, scene units; ``opacity`` (H, W)
    sum of weights; ``depth_error`` (H, W) sum of weight times |z - target|, 0 where there is no target; None where none
    was asked for."""

    color: Tensor
    depth: Tensor
    opacity: Tensor
    depth_error: Tensor | None


@dataclass(frozen=True)
class Picture:
    """What is blended, besides the splats themselves.

    ``lists``: which splats touch which tile. ``background``: (3,), without a gradient. ``target``: (H, W) depths, not
    positive where none is known, without a gradient; None asks for no error.
    """

    width: int
    height: int
    lists: TileLists
    background: Tensor
    target: Tensor | None = None

    @property
    def tiles(self) -> tuple[int, int]:
        """Their columns and rows."""
        return tiles_of(self.width, self.height)


def tiles_of(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of tiles that cover a picture."""
    return blocks(width, TILE), blocks(height, TILE)


def blend(screen: Tensor, picture: Picture, backward: Backward = "splats") -> Blended:
    """Blend splats front to back (Kerbl et al. 2023, eq. 2-3); see :func:`renderer.splat.splat`.

    ``screen``: (N, 12) see :class:`renderer.cuda.project.Projected`; gets gradients in columns 0 to 9. ``backward``:
    the way in which they are computed; both agree but for rounding, and neither has a fixed order of its sums.
    """
    color, depth, opacity, *error = _Blend.apply(screen, picture, backward)
    return Blended(color, depth, opacity, error[0] if error else None)


@torch.no_grad()
def depth_histogram(screen: Tensor, picture: Picture, edges: Tensor) -> Tensor:
    """(H, W, B) the weights of each pixel's ray by depth; see :func:`renderer.splat.depth_histogram`.

    ``edges``: (B + 1,) float32 ascending.
    """
    B, lists = len(edges) - 1, picture.lists
    histogram = screen.new_zeros(picture.height, picture.width, B)
    launch(
        HISTOGRAM, "depth_histogram", picture.tiles, THREADS,
        screen.detach(), lists.starts, lists.rows, len(lists.rows), edges, B, picture.width, picture.height, histogram,
    )  # fmt: skip
    return histogram


@torch.no_grad()
def contributions(screen: Tensor, picture: Picture, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Which splats weigh on ``pixels`` (P, 2) int64, column and row: how many on each, (P,) int64, and their rows (K,)
    int64, pixel after pixel and nearest first. Waits for the device, to know how many there are."""
    P, lists = len(pixels), picture.lists
    counts = torch.empty(P, dtype=torch.int64, device=screen.device)
    given = (screen.detach(), lists.starts, lists.rows, len(lists.rows), pixels.contiguous(), P, picture.tiles[0])
    grid = blocks(P, WARPS)
    launch(CONTRIBUTIONS, "ray_contributions", grid, THREADS, *given, None, counts, None)
    ends = counts.cumsum(0)
    found = torch.empty(int(ends[-1]) if P else 0, dtype=torch.int64, device=screen.device)
    launch(CONTRIBUTIONS, "ray_contributions", grid, THREADS, *given, ends - counts, None, found)
    return counts, found


class _Blend(torch.autograd.Function):
    """Colour, depth, opacity, and with a target the error."""

    @staticmethod
    def forward(ctx: Any, screen: Tensor, picture: Picture, backward: Backward) -> tuple[Tensor, ...]:  # type: ignore[override]
        lists, H, W = picture.lists, picture.height, picture.width
        learns = ctx.needs_input_grad[0]
        buckets = _buckets(picture) if learns and backward == "splats" else 0
        images = [screen.new_empty(H, W, 3), screen.new_empty(H, W), screen.new_empty(H, W)]
        if picture.target is not None:
            images.append(screen.new_empty(H, W))
        ends = screen.new_empty((H, W), dtype=torch.int32) if learns else None
        bucket_tiles = screen.new_full((buckets,), -1, dtype=torch.int32) if buckets else None
        size = (STATE + len(images) - 3) * THREADS
        states = screen.new_empty(buckets, size) if buckets else None
        launch(
            BLEND[picture.target is not None, buckets > 0], "blend", picture.tiles, THREADS,
            screen, lists.starts, lists.rows, len(lists.rows), picture.background, picture.target, W, H,
            *_four(images), ends, bucket_tiles, states,
        )  # fmt: skip
        if learns:
            ctx.picture, ctx.way = picture, backward
            ctx.save_for_backward(screen, ends, bucket_tiles, states, *images)
            ctx.set_materialize_grads(False)
        return tuple(images)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        screen, ends, bucket_tiles, states, *images = ctx.saved_tensors
        picture, lists = ctx.picture, ctx.picture.lists
        v_screen = torch.zeros_like(screen)
        gradients = [None if v is None else v.contiguous() for v in incoming]
        of_lists = (screen, lists.starts, lists.rows, len(lists.rows))
        of_pictures = (
            ends, picture.background, picture.target, picture.width, picture.height, *_four(images),
            *_four(gradients), v_screen,
        )  # fmt: skip
        program, kernel = BACKWARD[ctx.way, picture.target is not None], f"blend_backward_{ctx.way}"
        if ctx.way == "pixels":
            launch(program, kernel, picture.tiles, THREADS, *of_lists, *of_pictures)
        else:
            buckets = len(bucket_tiles)
            grid = blocks(buckets, WARPS)
            launch(program, kernel, grid, THREADS, *of_lists, bucket_tiles, buckets, states, *of_pictures)
        return v_screen, None, None


def _buckets(picture: Picture) -> int:
    """For how many there is room: a tile's first takes the number of those that whole 32 pairs in front of it would
    fill, and one for each tile in front of it."""
    columns, rows = picture.tiles
    return len(picture.lists.rows) // BUCKET + columns * rows


def _four(tensors: list[Any]) -> tuple[Any, ...]:
    return (*tensors, None) if len(tensors) == 3 else tuple(tensors)
