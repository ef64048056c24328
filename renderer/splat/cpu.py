"""Splatting on the CPU: numba kernels behind a torch function, float32, all cores, equal bits from equal input.

project -> sort by depth -> gather -> bin into tiles -> blend        and back:
blend_backward -> gather_backward -> project_backward
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat import cpu_histogram, cpu_project, cpu_rays, cpu_tiles
from renderer.splat.types import SplatImage, Splats

POSE_PARTS = 64


@dataclass(frozen=True)
class Tiles:
    """Splats on the screen, sorted by depth and binned into tiles: what every kernel over pixels reads.

    ``intrinsics``: (7,) see :mod:`renderer.splat.cpu_project`. ``radii``: (M,) int32. ``rows``: (K,) int32 of the drawn
    splats, nearest first. ``geometry``: (K, 10) see :mod:`renderer.splat.cpu_tiles`. ``starts``, ``counts``, ``pairs``:
    see :func:`renderer.splat.cpu_tiles.bin_splats`. ``columns``: tiles side by side.
    """

    intrinsics: np.ndarray
    radii: np.ndarray
    rows: np.ndarray
    geometry: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    pairs: np.ndarray
    columns: int

    @property
    def lists(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What a tile's kernel goes through: geometry, starts, counts, pairs."""
        return self.geometry, self.starts, self.counts, self.pairs


def tiles(splats: Splats, camera: Camera, pose: Tensor, screen_offsets: Tensor | None = None) -> Tiles:
    """Project, sort, gather and bin; without gradients. ``pose``: (4, 4). ``screen_offsets``: (M, 2) pixels."""
    m, cov, o, c, P = (_array(t) for t in (splats.means, splats.covariances, splats.opacities, splats.colors, pose))
    offsets = np.zeros((0, 2), np.float32) if screen_offsets is None else _array(screen_offsets)
    intrinsics = np.array(
        [camera.near, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height], np.float32
    )
    screen, radii, boxes = cpu_project.project(m, cov, o, P, intrinsics, offsets, cpu_tiles.TILE)
    rows = cpu_tiles.sort_by_depth(screen, radii)
    geometry = cpu_tiles.gather(rows, screen, o, c)
    columns, tile_rows = -(-camera.width // cpu_tiles.TILE), -(-camera.height // cpu_tiles.TILE)
    starts, counts, pairs = cpu_tiles.bin_splats(rows, boxes, geometry, columns, tile_rows)
    return Tiles(intrinsics, radii, rows, geometry, starts, counts, pairs, columns)


def splat(
    splats: Splats,
    camera: Camera,
    pose: Tensor,
    background: Tensor,
    screen_offsets: Tensor | None,
    depth_target: Tensor | None,
) -> SplatImage:
    """See :func:`renderer.splat.splat`."""
    offsets = splats.means.new_zeros(0, 2) if screen_offsets is None else screen_offsets
    target = None if depth_target is None else _array(depth_target)
    image, radii = _Splat.apply(
        splats.means, splats.covariances, splats.opacities, splats.colors, pose, offsets, camera, target
    )
    opacity = image[..., 4]
    color = image[..., :3] + (1 - opacity)[..., None] * background
    return SplatImage(color, image[..., 3], opacity, radii, None if target is None else image[..., 5])


def depth_histogram(splats: Splats, camera: Camera, pose: Tensor, edges: Tensor) -> Tensor:
    """See :func:`renderer.splat.depth_histogram`."""
    binned, inner = tiles(splats, camera, pose), _array(edges)[1:-1]
    bins = np.searchsorted(inner, binned.geometry[:, cpu_tiles.DEPTH], side="right").astype(np.int32)
    found = cpu_histogram.histogram(*binned.lists, camera.width, camera.height, bins, len(edges) - 1)
    return torch.from_numpy(found)


def contributions(splats: Splats, camera: Camera, pose: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`renderer.splat.reference.contributions`."""
    binned = tiles(splats, camera, pose)
    wanted = np.ascontiguousarray(pixels.numpy(), dtype=np.int64)
    counts, places = cpu_rays.contributions(*binned.lists, binned.columns, wanted)
    return torch.from_numpy(counts), torch.from_numpy(binned.rows[places].astype(np.int64))


class _Splat(torch.autograd.Function):
    """(H, W, 5) colour, depth, opacity without a background, or (H, W, 6) with the error of the depths where there is
    a target, and the radii (M,)."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means: Tensor,
        covariances: Tensor,
        opacities: Tensor,
        colors: Tensor,
        pose: Tensor,
        offsets: Tensor,
        camera: Camera,
        target: np.ndarray | None,
    ) -> tuple[Tensor, Tensor]:
        binned = tiles(Splats(means, covariances, opacities, colors), camera, pose, offsets)
        image = cpu_tiles.blend(*binned.lists, camera.width, camera.height, target)
        ctx.saved = (_array(means), _array(covariances), _array(pose), binned, image, target)
        radii_out = torch.from_numpy(binned.radii)
        ctx.mark_non_differentiable(radii_out)
        return torch.from_numpy(image), radii_out

    @staticmethod
    def backward(ctx: Any, v_image: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        m, cov, P, binned, image, target = ctx.saved
        sums = cpu_tiles.blend_backward(*binned.lists, image, _array(v_image), target)
        v_screen, v_opacities, v_colors = cpu_tiles.gather_backward(binned.rows, *binned.lists, sums, len(m))
        parts = np.zeros((POSE_PARTS if ctx.needs_input_grad[4] else 0, 12), np.float64)
        v_means, v_cov = cpu_project.project_backward(m, cov, P, binned.intrinsics, binned.radii, v_screen, parts)
        v_pose = None
        if ctx.needs_input_grad[4]:
            v_pose = torch.zeros(4, 4)
            v_pose[:3] = torch.from_numpy(parts.sum(0).reshape(3, 4).astype(np.float32))
        v_offsets = torch.from_numpy(v_screen[:, :2].copy()) if ctx.needs_input_grad[5] else None
        dense = (torch.from_numpy(v) for v in (v_means, v_cov, v_opacities, v_colors))
        return (*dense, v_pose, v_offsets, None, None)


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's values as a contiguous float32 array, without a copy where it is one already."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)
