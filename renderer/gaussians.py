"""The scene: 4D Gaussians in space and time (Yang et al., "Real-time Photorealistic Dynamic Scene Representation
and Rendering with 4D Gaussian Splatting", ICLR 2024).

Each Gaussian has a mean (x, y, z, t), four scales, a 4D rotation made of a left and a right isoclinic quaternion, an
opacity, and 48 spherindrical-harmonic coefficients per colour channel. At an instant it is an ordinary 3D Gaussian
(:mod:`renderer.slicing`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from renderer.harmonics import COEFFICIENTS, SH_C0

ScaleActivation = Literal["exp", "softplus"]

P_MIN = 0.05
"""A Gaussian whose temporal weight is not above this is left out of a frame; its lifespan is the time above it."""

PARAMETERS = ("positions", "times", "scales", "time_scales", "left", "right", "opacities", "sh_dc", "sh_rest")


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians; the tensors are the raw, unconstrained parameters that are learned.

    ``positions``: (N, 3) scene units. ``times``: (N, 1) on the internal time axis. ``scales``: (N, 3) and
    ``time_scales``: (N, 1) before activation. ``left``, ``right``: (N, 4) quaternions wxyz, not normalised.
    ``opacities``: (N, 1) logits. ``sh_dc``: (N, 1, 3), ``sh_rest``: (N, 47, 3).

    ``time_span``: length T of the clip on the internal time axis; a view's time in [0, 1] is multiplied by it.
    ``scale_activation``: exp in the base method, softplus in SparseCam4D.
    ``sh_level``: active harmonics, 0 to 5 (:mod:`renderer.harmonics`).
    """

    positions: Tensor
    times: Tensor
    scales: Tensor
    time_scales: Tensor
    left: Tensor
    right: Tensor
    opacities: Tensor
    sh_dc: Tensor
    sh_rest: Tensor
    time_span: float = 1.0
    scale_activation: ScaleActivation = "exp"
    sh_level: int = 0

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The learned tensors by name, in a fixed order."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Gaussians:
        """The same scene with some parameters replaced."""
        return replace(self, **parameters)  # type: ignore[arg-type]

    def detached(self) -> Gaussians:
        """The same values outside autograd; storage is shared."""
        return self.with_parameters({k: v.detach() for k, v in self.parameters.items()})

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.positions.device

    def to(self, device: torch.device) -> Gaussians:
        """The same scene there; tensors that are there already are shared."""
        return self.with_parameters({k: v.to(device) for k, v in self.parameters.items()})

    def cloned(self) -> Gaussians:
        """A copy that later training steps do not change."""
        return self.with_parameters({k: v.detach().clone() for k, v in self.parameters.items()})

    def activate_scales(self, raw: Tensor) -> Tensor:
        """Standard deviations, scene units or internal time."""
        return torch.exp(raw) if self.scale_activation == "exp" else F.softplus(raw)

    def deactivate_scales(self, scales: Tensor) -> Tensor:
        """The inverse of :meth:`activate_scales`."""
        return torch.log(scales) if self.scale_activation == "exp" else inverse_softplus(scales)

    def factors(self) -> Tensor:
        """(N, 4, 4) A S: rotation times standard deviations, x, y, z, t down the rows."""
        scales = torch.cat([self.activate_scales(self.scales), self.activate_scales(self.time_scales)], dim=1)
        return rotations_4d(self.left, self.right) * scales[:, None, :]

    def covariances(self) -> Tensor:
        """(N, 4, 4) space-time covariances A S S^T A^T."""
        M = self.factors()
        return M @ M.mT

    def velocities(self) -> Tensor:
        """(N, 3) scene units per clip: Sigma_xt / Sigma_tt."""
        cov = self.covariances()
        return cov[:, :3, 3] / cov[:, 3:, 3] * self.time_span

    def lifespans(self) -> Tensor:
        """(N,) time above a temporal weight of 0.05, as a share of the clip (it may exceed 1)."""
        return 2 * torch.sqrt(-2 * math.log(P_MIN) * self.covariances()[:, 3, 3]) / self.time_span


def inverse_softplus(y: Tensor) -> Tensor:
    """x with softplus(x) = y, without overflow for large y."""
    return y + torch.log(-torch.expm1(-y))


def rotations_4d(left: Tensor, right: Tensor) -> Tensor:
    """(N, 4, 4) rotations of space-time from a left and a right quaternion (N, 4), normalised here.

    L(left) R(right) with both axes reversed, so that the last axis is time; equal quaternions leave time alone.
    """
    a, b, c, d = F.normalize(left, dim=1).unbind(1)
    p, q, r, s = F.normalize(right, dim=1).unbind(1)
    L = torch.stack([a, -b, -c, -d, b, a, -d, c, c, d, a, -b, d, -c, b, a], dim=1).reshape(-1, 4, 4)
    R = torch.stack([p, q, r, s, -q, p, -s, r, -r, s, p, -q, -s, -r, q, p], dim=1).reshape(-1, 4, 4)
    return (L @ R).flip(1, 2)


def gaussians_from_points(
    points: Tensor,
    colors: Tensor,
    times: Tensor,
    spacing: Tensor,
    time_span: float,
    scale_activation: ScaleActivation = "exp",
) -> Gaussians:
    """Round Gaussians on a point cloud.

    ``points`` (N, 3), ``colors`` (N, 3) in [0, 1], ``times`` (N,) internal, ``spacing`` (N,) distance to the
    neighbours, scene units. Opacity 0.1, no rotation; the raw temporal scale is log sqrt(T / 5).
    """
    N = len(points)
    identity = points.new_tensor([1.0, 0.0, 0.0, 0.0]).repeat(N, 1)
    return Gaussians(
        positions=points.clone(),
        times=times[:, None].clone(),
        scales=torch.log(spacing)[:, None].repeat(1, 3),
        time_scales=points.new_full((N, 1), 0.5 * math.log(time_span / 5)),
        left=identity,
        right=identity.clone(),
        opacities=points.new_full((N, 1), math.log(0.1 / 0.9)),
        sh_dc=((colors - 0.5) / SH_C0)[:, None, :],
        sh_rest=points.new_zeros(N, COEFFICIENTS - 1, 3),
        time_span=time_span,
        scale_activation=scale_activation,
    )


def empty_gaussians(time_span: float = 1.0) -> Gaussians:
    """A scene with nothing in it."""
    none = torch.zeros(0, 3)
    return gaussians_from_points(none, none, torch.zeros(0), torch.zeros(0), time_span)


SETTINGS = tuple(f.name for f in fields(Gaussians) if f.name not in PARAMETERS)
"""The fields that are values, not tensors: what a checkpoint stores beside the tensors."""
