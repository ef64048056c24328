"""A 4D scene as Gaussians that move along polynomials and come and go: the parameters of Spacetime Gaussians (Li et
al., "Spacetime Gaussian Feature Splatting for Real-Time Dynamic View Synthesis", CVPR 2024), without their features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from renderer import harmonics
from renderer.files.still import axes_of
from renderer.gaussians import P_MIN, Gaussians
from renderer.splat import Splats
from renderer.splat.reference import pack_symmetric

Array = NDArray[np.float32]
FAINTEST = 0.02
"""Temporal weight below which viewers of these files leave a Gaussian out."""


@dataclass(frozen=True)
class SpacetimeGaussians:
    """N Gaussians, float32. With dt = t - center, at a time t in [0, 1] over the clip:

    ``means``: (N, 3) scene units, where they are at their ``centers`` (N,). ``motion``: (N, 3, 3), the mean is
    mean + motion_0 dt + motion_1 dt^2 + motion_2 dt^3. ``rotations``, ``turns``: (N, 4) quaternions wxyz, the rotation
    is that of rotation + turn dt, normalised. ``scales``: (N, 3) standard deviations. ``lifes``: (N,), the opacity
    ``opacities`` (N,) in [0, 1] is multiplied by exp(-(dt / life)^2). ``colors``: (N, 3) in [0, 1].
    """

    means: Array
    motion: Array
    rotations: Array
    turns: Array
    scales: Array
    centers: Array
    lifes: Array
    opacities: Array
    colors: Array

    def __len__(self) -> int:
        return len(self.means)

    def splats_at(self, time: float) -> Splats:
        """What is there at a time in [0, 1], to draw it."""
        dt = np.float64(time) - self.centers
        weights = np.exp(-((dt / self.lifes) ** 2))
        there = weights >= FAINTEST
        dt, weights = dt[there, None], weights[there]
        powers = np.stack([dt, dt**2, dt**3], axis=1)
        means = self.means[there] + (self.motion[there] * powers).sum(1)
        rotations = (self.rotations[there] + self.turns[there] * dt).reshape(-1, 4)
        matrices = Rotation.from_quat(rotations, scalar_first=True).as_matrix() if len(dt) else np.zeros((0, 3, 3))
        axes = torch.from_numpy(matrices * self.scales[there][:, None, :])
        return Splats(
            torch.from_numpy(means).float(),
            pack_symmetric(axes @ axes.mT).float(),
            torch.from_numpy(self.opacities[there] * weights).float(),
            torch.from_numpy(self.colors[there]),
        )


def spacetime_of(gaussians: Gaussians) -> SpacetimeGaussians:
    """The scene's Gaussians that are ever drawn during the clip, the most visible first.

    A 4D Gaussian conditioned on time (:func:`renderer.slicing.slice_at`) moves in a straight line, keeps its covariance
    and fades as exp(-dt^2 / (2 Sigma_tt)): that is one with linear motion, no turning, and life sqrt(2 Sigma_tt).
    Its colour is the part that does not depend on the direction of view, as it is at the Gaussian's own centre.
    """
    with torch.no_grad():
        g = _drawn_ever(gaussians.detached())
        factors = g.factors()
        m_x, m_t = factors[:, :3], factors[:, 3]  # (N, 3, 4), (N, 4)
        variance = m_t.square().sum(1)
        velocities = (m_x @ m_t[:, :, None])[:, :, 0] / variance[:, None]
        W = m_x - velocities[:, :, None] * m_t[:, None, :]
        log_scales, rotations = axes_of(pack_symmetric(W @ W.mT))
        coefficients = torch.cat([g.sh_dc, g.sh_rest], dim=1)
        folded = harmonics.fold_time(coefficients, torch.zeros_like(g.times[:, 0]), g.sh_level)
        colors = (0.5 + harmonics.SH_C0 * folded[:, 0]).clamp(0, 1)
        opacities = torch.sigmoid(g.opacities[:, 0])
        scales = np.exp(log_scales)
        order = np.argsort(-opacities.cpu().numpy() * scales.prod(1), kind="stable")
        motion = np.zeros((len(g), 3, 3), np.float32)
        motion[:, 0] = _float32(velocities * g.time_span)
        return SpacetimeGaussians(
            _float32(g.positions)[order],
            motion[order],
            rotations[order],
            np.zeros((len(g), 4), np.float32),
            scales[order],
            _float32(g.times[:, 0] / g.time_span)[order],
            _float32(torch.sqrt(2 * variance) / g.time_span)[order],
            _float32(opacities)[order],
            _float32(colors)[order],
        )


def _drawn_ever(g: Gaussians) -> Gaussians:
    """Those whose temporal weight is above 0.05 at some time of the clip, in float64."""
    g = g.with_parameters({name: value.double() for name, value in g.parameters.items()})
    dt = g.times[:, 0] - g.times[:, 0].clamp(0, g.time_span)
    weights = torch.exp(-0.5 * dt**2 / g.factors()[:, 3].square().sum(1))
    return g.with_parameters({name: value[weights > P_MIN] for name, value in g.parameters.items()})


def _float32(tensor: Tensor) -> Array:
    return tensor.cpu().float().numpy()
