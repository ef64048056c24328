"""The contributions along chosen rays, one by one and with gradients: what a loss on the shape of the weights needs.

Which splats weigh on which ray is decided without gradients, by the same arithmetic that draws the picture. Only those
pairs are then computed again by autograd, so the cost is that of a few pixels and not of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat import reference, splatter
from renderer.splat.backends import Backend, pose_of
from renderer.splat.types import Splats


@dataclass(frozen=True)
class RayBatch:
    """P rays with their contributions, nearest first, padded to the largest number K of contributions, at least 1.

    ``depths``: (P, K) z along +z of the camera, scene units. ``alphas``: (P, K). ``weights``: (P, K) alpha times
    transmittance; their sum is the picture's opacity. ``transmittances``: (P, K) share of light that reaches each.
    ``ids``: (P, K) int64 rows of the splats.
    Padding has alpha and weight 0, the ray's last depth, or 0 on a ray that meets nothing, the transmittance behind the
    last contribution, and id -1.
    """

    depths: Tensor
    alphas: Tensor
    weights: Tensor
    transmittances: Tensor
    ids: Tensor


def splat_rays(
    splats: Splats, camera: Camera, pixels: Tensor, *, pose: Tensor | None = None, backend: Backend = "auto"
) -> RayBatch:
    """The contributions at chosen pixels' centres, with the weights of :func:`renderer.splat.splat`'s picture.

    ``pixels``: (P, 2) integers, column and row. ``pose``: (4, 4) world-to-camera tensor that replaces the camera's.
    Gradients flow to every field of ``splats`` but the colours, and to ``pose``.
    Raises ValueError for pixels that are no integers or lie outside the picture.
    """
    _check(pixels, camera)
    pixels = pixels.to(splats.means.device, torch.int64)
    pose = pose_of(camera, splats) if pose is None else pose
    counts, rows = splatter(backend, splats).contributions(splats, camera, pose, pixels)  # (P,), (N,)
    depths, alphas = _pairs(splats, camera, pose, rows, pixels.repeat_interleave(counts, dim=0))

    columns = torch.arange(max(1, int(counts.max()) if len(counts) else 0), device=counts.device)
    there = columns < counts[:, None]  # (P, K)
    steps = torch.minimum(columns, counts[:, None] - 1)  # padding repeats the last, -1 on an empty ray
    firsts = counts.cumsum(0) - counts
    places = torch.where(steps >= 0, firsts[:, None] + steps, len(rows))  # the zero behind the end is the empty ray's
    alphas = torch.where(there, _append(alphas)[places], 0.0)
    behind = torch.cumprod(1 - alphas, dim=1)
    in_front = torch.cat([torch.ones_like(behind[:, :1]), behind[:, :-1]], dim=1)
    ids = torch.where(there, _append(rows)[places], -1)
    return RayBatch(_append(depths)[places], alphas, alphas * in_front, in_front, ids)


def _pairs(splats: Splats, camera: Camera, pose: Tensor, rows: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Depths and alphas (N,) of splats ``rows`` (N,) at ``pixels`` (N, 2); each splat is projected once."""
    met, place = torch.unique(rows, return_inverse=True)
    points = splats.means[met] @ pose[:3, :3].T + pose[:3, 3]  # camera axes
    means2d, spreads = reference.ellipses(points, splats.covariances[met], camera, pose[:3, :3])
    conics, opacities = reference.conics_of(spreads), splats.opacities[met]
    d = pixels.to(points) + 0.5 - means2d[place]
    return points[place, 2], reference.raw_alphas(d, conics[place], opacities[place])


def _append(values: Tensor) -> Tensor:
    """(N + 1,) the values (N,) and a zero."""
    return torch.cat([values, values.new_zeros(1)])


def _check(pixels: Tensor, camera: Camera) -> None:
    if pixels.dim() != 2 or pixels.shape[1] != 2 or pixels.is_floating_point() or pixels.dtype == torch.bool:
        raise ValueError(f"pixels have shape {tuple(pixels.shape)} and are {pixels.dtype}, expected (P, 2) integers")
    size = torch.tensor([camera.width, camera.height], device=pixels.device)
    if not bool(((pixels >= 0) & (pixels < size)).all()):
        raise ValueError(f"a pixel lies outside the {camera.width}x{camera.height} image")
