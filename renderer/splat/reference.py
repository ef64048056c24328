"""The splatter as the equations say it, in plain torch: any dtype, any device, autograd for every gradient.

Memory grows with pixels times splats, so it works through the image in chunks of pixels; it is for tests, for
single rays and for small pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat.types import (
    ALPHA_MAX,
    ALPHA_MIN,
    BLUR,
    FRUSTUM_MARGIN,
    TRANSMITTANCE_MIN,
    SplatImage,
    Splats,
)

CHUNK_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Projection:
    """Splats on the screen, nearest first.

    ``ids``: (K,) rows of the splats. ``means2d``: (K, 2) pixels. ``conics``: (K, 3) inverse screen covariance
    A, B, C with q = A dx^2 + 2 B dx dy + C dy^2. ``depths``: (K,) z, scene units. ``radii``: (K,) int32 pixels.
    """

    ids: Tensor
    means2d: Tensor
    conics: Tensor
    depths: Tensor
    radii: Tensor


def project(splats: Splats, camera: Camera, pose: Tensor, screen_offsets: Tensor | None = None) -> Projection:
    """Project Gaussians with the local affine approximation (Zwicker 2001, eq. 26-31), sorted by depth."""
    R, T = pose[:3, :3], pose[:3, 3]
    points = splats.means @ R.T + T  # (M, 3) camera axes
    ids = torch.nonzero(points[:, 2].detach() > camera.near).squeeze(1)
    ids = ids[torch.argsort(points[ids, 2].detach(), stable=True)]
    points = points[ids]
    means2d, spreads = ellipses(points, splats.covariances[ids], camera, R)
    if screen_offsets is not None:
        means2d = means2d + screen_offsets[ids]
    radii = _radii(means2d.detach(), spreads.detach(), splats.opacities[ids].detach(), camera)
    return Projection(ids, means2d, conics_of(spreads), points[:, 2], radii)


def ellipses(points: Tensor, covariances: Tensor, camera: Camera, R: Tensor) -> tuple[Tensor, Tensor]:
    """Where Gaussians at ``points`` (K, 3), camera axes, lie on the screen: (K, 2) pixels, and (K, 3) the entries a, b,
    c of the blurred screen covariance, squared pixels. ``covariances``: (K, 6) in world axes; ``R``: (3, 3)."""
    x, y, z = points.unbind(1)
    margin_x, margin_y = FRUSTUM_MARGIN * camera.width / camera.fx, FRUSTUM_MARGIN * camera.height / camera.fy
    tx = z * (x / z).clamp(-camera.cx / camera.fx - margin_x, (camera.width - camera.cx) / camera.fx + margin_x)
    ty = z * (y / z).clamp(-camera.cy / camera.fy - margin_y, (camera.height - camera.cy) / camera.fy + margin_y)
    zero = torch.zeros_like(z)
    J = torch.stack(
        [
            torch.stack([camera.fx / z, zero, -camera.fx * tx / z**2], dim=1),
            torch.stack([zero, camera.fy / z, -camera.fy * ty / z**2], dim=1),
        ],
        dim=1,
    )  # (K, 2, 3)
    JR = J @ R
    cov2d = JR @ unpack_symmetric(covariances) @ JR.mT  # (K, 2, 2)
    means2d = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], dim=1)
    return means2d, torch.stack([cov2d[:, 0, 0] + BLUR, cov2d[:, 0, 1], cov2d[:, 1, 1] + BLUR], dim=1)


def conics_of(spreads: Tensor) -> Tensor:
    """(K, 3) inverses A, B, C of the screen covariances a, b, c (K, 3)."""
    a, b, c = spreads.unbind(1)
    det = a * c - b * b
    return torch.stack([c / det, -b / det, a / det], dim=1)


def alphas_at(projection: Projection, opacities: Tensor, pixels: Tensor) -> Tensor:
    """Opacity of each sorted splat (K,) at each pixel position (P, 2): (P, K), zero below the threshold."""
    alpha = raw_alphas(pixels[:, None, :] - projection.means2d[None], projection.conics, opacities)
    return torch.where(alpha >= ALPHA_MIN, alpha, 0.0)


def raw_alphas(d: Tensor, conics: Tensor, opacities: Tensor) -> Tensor:
    """Clamped opacity at an offset ``d`` (..., 2) from the centre, pixels, also below the threshold: (...)."""
    A, B, C = conics.unbind(-1)
    q = A * d[..., 0] ** 2 + 2 * B * d[..., 0] * d[..., 1] + C * d[..., 1] ** 2
    return (opacities * torch.exp(-0.5 * q)).clamp(max=ALPHA_MAX)


def weights_from_alphas(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and transmittances (P, K) of contributions sorted front to back.

    The transmittance is that in front of each contribution; the ray ends before the contribution that would take
    it below the threshold, and what lies behind has weight zero.
    """
    behind = torch.cumprod(1 - alpha, dim=1)
    in_front = torch.cat([torch.ones_like(behind[:, :1]), behind[:, :-1]], dim=1)
    return torch.where(behind >= TRANSMITTANCE_MIN, alpha * in_front, 0.0), in_front


def splat(
    splats: Splats,
    camera: Camera,
    pose: Tensor,
    background: Tensor,
    screen_offsets: Tensor | None,
    depth_target: Tensor | None,
) -> SplatImage:
    """See :func:`renderer.splat.splat`."""
    projection = project(splats, camera, pose, screen_offsets)
    opacities, colors, z = splats.opacities[projection.ids], splats.colors[projection.ids], projection.depths
    H, W = camera.height, camera.width
    target = None if depth_target is None else depth_target.detach().to(z).reshape(-1)

    rows = []
    for chunk in _chunks(H * W, len(z)):
        weights, _ = weights_from_alphas(alphas_at(projection, opacities, _pixel_centers(chunk, W, z)))
        opacity = weights.sum(1, keepdim=True)
        color = weights @ colors + (1 - opacity) * background
        channels = [color, (weights @ z)[:, None], opacity]
        if target is not None:
            D = target[chunk, None]  # (P, 1)
            channels.append(torch.where(D > 0, (weights * (z - D).abs()).sum(1, keepdim=True), 0.0))
        rows.append(torch.cat(channels, dim=1))
    image = torch.cat(rows).reshape(H, W, -1)
    radii = torch.zeros(len(splats), dtype=torch.int32, device=z.device)
    radii[projection.ids] = projection.radii
    error = None if target is None else image[..., 5]
    return SplatImage(image[..., :3], image[..., 3], image[..., 4], radii, error)


@torch.no_grad()
def depth_histogram(splats: Splats, camera: Camera, pose: Tensor, edges: Tensor) -> Tensor:
    """See :func:`renderer.splat.depth_histogram`."""
    projection = project(splats, camera, pose)
    opacities, z = splats.opacities[projection.ids], projection.depths
    H, W, B = camera.height, camera.width, len(edges) - 1
    bins = torch.searchsorted(edges[1:-1].to(z), z.contiguous(), right=True)  # (K,)
    histogram = z.new_zeros(H * W, B)
    for chunk in _chunks(H * W, len(z)):
        weights, _ = weights_from_alphas(alphas_at(projection, opacities, _pixel_centers(chunk, W, z)))
        histogram[chunk] = z.new_zeros(len(weights), B).index_add(1, bins, weights)
    return histogram.reshape(H, W, B)


@torch.no_grad()
def contributions(splats: Splats, camera: Camera, pose: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Which splats weigh on which pixels ``pixels`` (P, 2), column and row: counts (P,), and their rows (N,) of
    ``splats``, pixel after pixel and nearest first."""
    projection = project(splats, camera, pose)
    opacities = splats.opacities[projection.ids]
    counts, rows = [], []
    for chunk in _chunks(len(pixels), len(opacities)):
        centers = pixels[chunk].to(projection.depths) + 0.5
        there = weights_from_alphas(alphas_at(projection, opacities, centers))[0] > 0
        counts.append(there.sum(1))
        rows.append(projection.ids[torch.nonzero(there)[:, 1]])
    return torch.cat(counts), torch.cat(rows)


def unpack_symmetric(packed: Tensor) -> Tensor:
    """(..., 6) upper triangle to (..., 3, 3)."""
    xx, xy, xz, yy, yz, zz = packed.unbind(-1)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).reshape(*packed.shape[:-1], 3, 3)


def pack_symmetric(matrices: Tensor) -> Tensor:
    """(..., 3, 3) symmetric to the (..., 6) upper triangle."""
    return torch.stack([matrices[..., i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))], dim=-1)


def _chunks(pixels: int, splats: int) -> Iterator[slice]:
    """Ranges of at most so many pixels that all splats at each of them fit into memory; one empty range of none."""
    size = max(1, CHUNK_ENTRIES // max(1, splats))
    return (slice(start, min(start + size, pixels)) for start in range(0, max(1, pixels), size))


def _pixel_centers(chunk: slice, width: int, like: Tensor) -> Tensor:
    """(P, 2) centres of a range of an image's pixels, row by row, with the dtype and device of ``like``."""
    places = torch.arange(chunk.start, chunk.stop, device=like.device)
    return torch.stack([places % width, places // width], dim=1).to(like) + 0.5


def _radii(means2d: Tensor, spreads: Tensor, opacities: Tensor, camera: Camera) -> Tensor:
    """Half extent of the ellipse on which alpha falls to the threshold; 0 where its box meets no pixel centre."""
    reach = torch.sqrt(2 * torch.log((opacities / ALPHA_MIN).clamp(min=1.0)))
    rx, ry = reach * spreads[:, 0].sqrt(), reach * spreads[:, 2].sqrt()
    u, v = means2d.unbind(1)
    inside = (u + rx >= 0.5) & (u - rx <= camera.width - 0.5) & (v + ry >= 0.5) & (v - ry <= camera.height - 0.5)
    return torch.where(inside & (reach > 0), torch.maximum(rx, ry).ceil(), 0.0).to(torch.int32)
