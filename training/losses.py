"""What training minimises: differences between pictures, and between neighbours' motions.

Structural similarity is Wang et al. 2004 with an 11x11 Gaussian window of sigma 1.5, data range 1 and a zero border,
averaged over pixels and channels, as in 3DGS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from renderer.cuda import images
from renderer.gaussians import Gaussians
from training.ssim_kernels import RADIUS, ssim_with_gradient

NEIGHBOURS = 20
NEIGHBOUR_DECAY = 100.0
"""A neighbour at distance d (scene units) weighs exp(-100 d)."""


def photometric_loss(image: Tensor, target: Tensor, dssim: float = 0.2) -> Tensor:
    """(1 - dssim) L1 + dssim (1 - SSIM) of two pictures (H, W, 3) in [0, 1] (Kerbl et al. 2023, eq. 7)."""
    if image.dtype == torch.float32 and image.device.type == "cuda":
        return images.photometric_loss(image, target, dssim)
    return (1 - dssim) * (image - target).abs().mean() + dssim * (1 - ssim(image, target))


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of two pictures (H, W, 3) of equal size; differentiable in the first."""
    if image.shape != target.shape:
        raise ValueError(
            f"the pictures have shapes {tuple(image.shape)} and {tuple(target.shape)}, expected equal ones"
        )
    if image.dtype == torch.float32 and image.device.type == "cpu":
        return _Ssim.apply(image, target)
    if image.dtype == torch.float32 and image.device.type == "cuda":
        return 1 - images.photometric_loss(image, target, dssim=1.0)
    return ssim_reference(image, target)


def ssim_reference(image: Tensor, target: Tensor) -> Tensor:
    """The same by convolutions, for any dtype and device."""
    return ssim_map(image, target).mean()


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """(3, H, W) structural similarity around each pixel of two pictures (H, W, 3)."""
    w = torch.from_numpy(window()).to(image)
    kernel = torch.outer(w, w)[None, None]

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x[:, None], kernel, padding=RADIUS)[:, 0]

    x, y = image.permute(2, 0, 1), target.permute(2, 0, 1)
    mx, my = blur(x), blur(y)
    var_x, var_y, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (var_x + var_y + c2))


def window() -> np.ndarray:
    """(11,) Gaussian of sigma 1.5 with sum 1, float64."""
    w = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / 1.5) ** 2)
    return w / w.sum()


class _Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        flat = [np.ascontiguousarray(t.detach().numpy()).reshape(t.shape[0], -1) for t in (image, target)]
        row_sums, gradient = ssim_with_gradient(*flat, window().astype(np.float32))
        ctx.gradient = torch.from_numpy(gradient).view(image.shape)
        return torch.tensor(row_sums.sum() / image.numel(), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return v * ctx.gradient, None


def rigid_loss(gaussians: Gaussians) -> Tensor:
    """Mean difference of each Gaussian's velocity to those of its 20 nearest neighbours in space, weighted by
    exp(-100 distance) (Yang et al. 2024, supplement); scene units per internal time. One without neighbours costs 0."""
    if len(gaussians) < 2:
        return gaussians.positions.new_zeros(())
    from scipy.spatial import cKDTree  # no kernel needs it, and a machine that only tries them may lack it

    positions = gaussians.positions.detach()
    k = min(NEIGHBOURS + 1, len(gaussians))
    distances, rows = cKDTree(positions.cpu().numpy()).query(positions.cpu().numpy(), k=k)
    weights = torch.exp(-NEIGHBOUR_DECAY * torch.from_numpy(distances[:, 1:])).to(positions)
    velocities = gaussians.velocities() / gaussians.time_span
    differences = velocities[:, None] - velocities[torch.from_numpy(rows[:, 1:]).to(positions.device)]
    return (weights * torch.linalg.vector_norm(differences, dim=2)).mean()


def motion_loss(gaussians: Gaussians) -> Tensor:
    """Mean speed, scene units per internal time; 0 for an empty scene."""
    speeds = torch.linalg.vector_norm(gaussians.velocities() / gaussians.time_span, dim=1)
    return speeds.sum() / max(len(gaussians), 1)
