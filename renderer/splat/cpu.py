"""Splatting on the CPU: numba kernels behind a torch function, float32, all cores, equal bits from equal input.

project -> sort by depth -> gather -> bin into tiles -> blend        and back:
blend_backward -> gather_backward -> project_backward
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat import cpu_project, cpu_tiles
from renderer.splat.types import SplatImage, Splats

POSE_PARTS = 64


def splat(
    splats: Splats, camera: Camera, pose: Tensor, background: Tensor, screen_offsets: Tensor | None
) -> SplatImage:
    """See :func:`renderer.splat.splat`."""
    offsets = splats.means.new_zeros(0, 2) if screen_offsets is None else screen_offsets
    image, radii = _Splat.apply(
        splats.means, splats.covariances, splats.opacities, splats.colors, pose, offsets, camera
    )
    opacity = image[..., 4]
    color = image[..., :3] + (1 - opacity)[..., None] * background
    return SplatImage(color, image[..., 3], opacity, radii)


class _Splat(torch.autograd.Function):
    """(H, W, 5) colour, depth, opacity without a background, and the radii (M,)."""

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
    ) -> tuple[Tensor, Tensor]:
        m, cov, o, c, P, off = (_array(t) for t in (means, covariances, opacities, colors, pose, offsets))
        intrinsics = np.array(
            [camera.near, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height], np.float32
        )
        screen, radii, boxes = cpu_project.project(m, cov, o, P, intrinsics, off, cpu_tiles.TILE)
        rows = cpu_tiles.sort_by_depth(screen, radii)
        geometry = cpu_tiles.gather(rows, screen, o, c)
        columns, tile_rows = -(-camera.width // cpu_tiles.TILE), -(-camera.height // cpu_tiles.TILE)
        starts, counts, pairs = cpu_tiles.bin_splats(rows, boxes, geometry, columns, tile_rows)
        image = cpu_tiles.blend(geometry, starts, counts, pairs, camera.width, camera.height)
        ctx.saved = (m, cov, P, intrinsics, radii, rows, geometry, starts, counts, pairs, image)
        radii_out = torch.from_numpy(radii)
        ctx.mark_non_differentiable(radii_out)
        return torch.from_numpy(image), radii_out

    @staticmethod
    def backward(ctx: Any, v_image: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        m, cov, P, intrinsics, radii, rows, geometry, starts, counts, pairs, image = ctx.saved
        sums = cpu_tiles.blend_backward(geometry, starts, counts, pairs, image, _array(v_image))
        v_screen, v_opacities, v_colors = cpu_tiles.gather_backward(rows, geometry, starts, counts, pairs, sums, len(m))
        parts = np.zeros((POSE_PARTS if ctx.needs_input_grad[4] else 0, 12), np.float64)
        v_means, v_cov = cpu_project.project_backward(m, cov, P, intrinsics, radii, v_screen, parts)
        v_pose = None
        if ctx.needs_input_grad[4]:
            v_pose = torch.zeros(4, 4)
            v_pose[:3] = torch.from_numpy(parts.sum(0).reshape(3, 4).astype(np.float32))
        v_offsets = torch.from_numpy(v_screen[:, :2].copy()) if ctx.needs_input_grad[5] else None
        dense = (torch.from_numpy(v) for v in (v_means, v_cov, v_opacities, v_colors))
        return (*dense, v_pose, v_offsets, None)


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's values as a contiguous float32 array, without a copy where it is one already."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)
