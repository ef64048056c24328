"""The splatter as the equations say it, in plain torch: any dtype, any device, autograd for every gradient.

Memory grows with pixels times splats, so it works through the image in chunks of pixels; it is for tests, for
single rays and for small pictures.
"""

from __future__ import annotations

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
    x, y, z = points[ids].unbind(1)

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
    cov2d = JR @ unpack_symmetric(splats.covariances[ids]) @ JR.mT  # (K, 2, 2)
    a, b, c = cov2d[:, 0, 0] + BLUR, cov2d[:, 0, 1], cov2d[:, 1, 1] + BLUR
    det = a * c - b * b
    conics = torch.stack([c / det, -b / det, a / det], dim=1)
    means2d = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], dim=1)
    if screen_offsets is not None:
        means2d = means2d + screen_offsets[ids]
    radii = _radii(means2d.detach(), a.detach(), c.detach(), splats.opacities[ids].detach(), camera)
    return Projection(ids, means2d, conics, z, radii)


def alphas_at(projection: Projection, opacities: Tensor, pixels: Tensor) -> Tensor:
    """Opacity of each sorted splat (K,) at each pixel position (P, 2): (P, K), zero below the threshold."""
    d = pixels[:, None, :] - projection.means2d[None]  # (P, K, 2)
    A, B, C = projection.conics.unbind(1)
    q = A * d[..., 0] ** 2 + 2 * B * d[..., 0] * d[..., 1] + C * d[..., 1] ** 2
    alpha = (opacities * torch.exp(-0.5 * q)).clamp(max=ALPHA_MAX)
    return torch.where(alpha >= ALPHA_MIN, alpha, 0.0)


def weights_from_alphas(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and transmittances (P, K) of contributions sorted front to back.

    The transmittance is that in front of each contribution; the ray ends before the contribution that would take
    it below the threshold, and what lies behind has weight zero.
    """
    behind = torch.cumprod(1 - alpha, dim=1)
    in_front = torch.cat([torch.ones_like(behind[:, :1]), behind[:, :-1]], dim=1)
    return torch.where(behind >= TRANSMITTANCE_MIN, alpha * in_front, 0.0), in_front


def splat(
    splats: Splats, camera: Camera, pose: Tensor, background: Tensor, screen_offsets: Tensor | None
) -> SplatImage:
    """See :func:`renderer.splat.splat`."""
    projection = project(splats, camera, pose, screen_offsets)
    opacities, colors = splats.opacities[projection.ids], splats.colors[projection.ids]
    H, W = camera.height, camera.width
    ys, xs = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    pixels = torch.stack([xs, ys], dim=-1).reshape(-1, 2).to(splats.means) + 0.5  # (H*W, 2)

    rows = []
    for chunk in pixels.split(max(1, CHUNK_ENTRIES // max(1, len(opacities)))):
        weights, _ = weights_from_alphas(alphas_at(projection, opacities, chunk))
        opacity = weights.sum(1, keepdim=True)
        color = weights @ colors + (1 - opacity) * background
        rows.append(torch.cat([color, (weights @ projection.depths)[:, None], opacity], dim=1))
    image = torch.cat(rows).reshape(H, W, 5)
    radii = torch.zeros(len(splats), dtype=torch.int32, device=splats.means.device)
    radii[projection.ids] = projection.radii
    return SplatImage(image[..., :3], image[..., 3], image[..., 4], radii)


def unpack_symmetric(packed: Tensor) -> Tensor:
    """(..., 6) upper triangle to (..., 3, 3)."""
    xx, xy, xz, yy, yz, zz = packed.unbind(-1)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).reshape(*packed.shape[:-1], 3, 3)


def pack_symmetric(matrices: Tensor) -> Tensor:
    """(..., 3, 3) symmetric to the (..., 6) upper triangle."""
    return torch.stack([matrices[..., i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))], dim=-1)


def _radii(means2d: Tensor, a: Tensor, c: Tensor, opacities: Tensor, camera: Camera) -> Tensor:
    """Half extent of the ellipse on which alpha falls to the threshold; 0 where its box meets no pixel centre."""
    reach = torch.sqrt(2 * torch.log((opacities / ALPHA_MIN).clamp(min=1.0)))
    rx, ry = reach * a.sqrt(), reach * c.sqrt()
    u, v = means2d.unbind(1)
    inside = (u + rx >= 0.5) & (u - rx <= camera.width - 0.5) & (v + ry >= 0.5) & (v - ry <= camera.height - 0.5)
    return torch.where(inside & (reach > 0), torch.maximum(rx, ry).ceil(), 0.0).to(torch.int32)
