"""A 4D scene at one instant: conditioning each 4D Gaussian on time gives 3D Gaussians with colours.

Two backends behind one function: ``reference`` (torch) and ``cpu`` (numba, one fused kernel each way).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from renderer import harmonics, slicing_cpu
from renderer.gaussians import P_MIN, Gaussians
from renderer.splat import Backend, Splats
from renderer.splat.reference import pack_symmetric


@dataclass(frozen=True)
class Slice:
    """``splats``: the M Gaussians alive at the instant. ``ids``: (M,) int64, their rows in the scene."""

    splats: Splats
    ids: Tensor


def slice_at(gaussians: Gaussians, time: float, camera_center: Tensor, *, backend: Backend = "auto") -> Slice:
    """Condition the scene on ``time`` in [0, 1], coloured as seen from ``camera_center`` (3,) in the world.

    With Sigma the 4D covariance and t the internal time: velocity v = Sigma_xt / Sigma_tt, mean mu + v (t - mu_t),
    covariance Sigma_xx - Sigma_xt Sigma_xt^T / Sigma_tt, opacity times exp(-(t - mu_t)^2 / (2 Sigma_tt))
    (Yang et al. 2024, eq. 6-7). The covariance is computed as W W^T with W = m_x - v m_t^T, where
    m_x (3, 4) and m_t (4,) are the rows of A S: for a Gaussian that lives long and moves, float32 loses the digits of
    the difference above, and in the end its sign. Gaussians whose temporal weight is 0.05 or less are left out. The
    viewing direction is that of the unsliced mean. Gradients flow to every parameter and to ``camera_center``.
    """
    if _backend(gaussians, backend) == "cpu":
        splats, ids = slicing_cpu.slice_at(gaussians, time * gaussians.time_span, camera_center)
        return Slice(splats, ids)
    return _slice_reference(gaussians, time * gaussians.time_span, camera_center)


def alive_at(gaussians: Gaussians, time: float, reach: float = 1.0, *, backend: Backend = "auto") -> Tensor:
    """Rows (M,) int64 of the Gaussians whose temporal weight at ``time`` in [0, 1] is above 0.05 to the power of
    ``reach``: with 1 those that are drawn, with more also those that live so many times as far away in squared time.
    """
    t = time * gaussians.time_span
    if _backend(gaussians, backend) == "cpu":
        return torch.from_numpy(slicing_cpu.alive(gaussians, t, reach))
    with torch.no_grad():
        dt = t - gaussians.times[:, 0]  # (N,)
        variance = gaussians.factors()[:, 3].square().sum(1)
        return torch.nonzero(torch.exp(-0.5 * dt**2 / variance) > P_MIN**reach).squeeze(1)


def _backend(gaussians: Gaussians, backend: Backend) -> Backend:
    if backend != "auto":
        return backend
    float32_on_cpu = gaussians.positions.dtype == torch.float32 and gaussians.positions.device.type == "cpu"
    return "cpu" if float32_on_cpu else "reference"


def _slice_reference(gaussians: Gaussians, t: float, camera_center: Tensor) -> Slice:
    ids = alive_at(gaussians, t / gaussians.time_span, backend="reference")
    g = gaussians.with_parameters({name: value[ids] for name, value in gaussians.parameters.items()})
    factors = g.factors()
    m_x, m_t = factors[:, :3], factors[:, 3]  # (M, 3, 4), (M, 4)
    cov_tt = m_t.square().sum(1)
    velocities = (m_x @ m_t[:, :, None])[:, :, 0] / cov_tt[:, None]
    W = m_x - velocities[:, :, None] * m_t[:, None, :]
    dt = t - g.times[:, 0]
    means = g.positions + velocities * dt[:, None]
    opacities = torch.sigmoid(g.opacities[:, 0]) * torch.exp(-0.5 * dt**2 / cov_tt)
    directions = F.normalize(g.positions - camera_center, dim=1)
    coefficients = torch.cat([g.sh_dc, g.sh_rest], dim=1)
    colors = harmonics.colors(coefficients, directions, -dt / g.time_span, g.sh_level)
    return Slice(Splats(means, pack_symmetric(W @ W.mT), opacities, colors), ids)
