"""A 4D scene at one instant as ordinary 3D Gaussians: what files of 3D Gaussian Splatting hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from renderer import harmonics
from renderer.gaussians import Gaussians
from renderer.slicing import alive_at, slice_at
from renderer.splat import Splats
from renderer.splat.reference import pack_symmetric, unpack_symmetric

Array = NDArray[np.float32]
LEAST_SCALE = 1e-7
"""Standard deviation, scene units, below which none is written: its logarithm has to exist."""


@dataclass(frozen=True)
class StillGaussians:
    """M Gaussians without time, all float32 and as 3DGS keeps them.

    ``means``: (M, 3) scene units. ``scales``: (M, 3) natural logarithms of standard deviations. ``rotations``: (M, 4)
    unit quaternions wxyz. ``opacities``: (M,) logits. ``sh``: (M, 16, 3) coefficients, in the order and with the signs
    of :func:`renderer.harmonics.real_harmonics`.
    """

    means: Array
    scales: Array
    rotations: Array
    opacities: Array
    sh: Array

    def __len__(self) -> int:
        return len(self.means)

    def splats(self, camera_center: NDArray[np.float64]) -> Splats:
        """To draw them, coloured as seen from a place (3,)."""
        means, sh = (torch.from_numpy(np.array(v)) for v in (self.means, self.sh))
        turns = torch.from_numpy(Rotation.from_quat(self.rotations[:, [1, 2, 3, 0]]).as_matrix().astype(np.float32))
        axes = turns * torch.from_numpy(np.exp(self.scales))[:, None, :]
        eye = torch.as_tensor(camera_center, dtype=torch.float32)
        basis = harmonics.real_harmonics(torch.nn.functional.normalize(means - eye, dim=1))
        colors = ((basis[:, :, None] * sh).sum(1) + 0.5).clamp(min=0)
        opacities = torch.sigmoid(torch.from_numpy(np.array(self.opacities)))
        return Splats(means, pack_symmetric(axes @ axes.mT), opacities, colors)


def still_at(gaussians: Gaussians, time: float) -> StillGaussians:
    """What is there at a ``time`` in [0, 1]. The temporal weight goes into the opacity, the temporal harmonics into the
    16 ordinary coefficients. Colours are seen along the way to where a Gaussian is now, and not to its 4D mean."""
    with torch.no_grad():
        g = gaussians.detached()
        ids = alive_at(g, time)
        instant = slice_at(g, time, g.positions.new_zeros(3))
        assert torch.equal(ids, instant.ids)
        dt = time * g.time_span - g.times[ids, 0]
        coefficients = torch.cat([g.sh_dc, g.sh_rest], dim=1)[ids]
        folded = harmonics.fold_time(coefficients, -dt / g.time_span, g.sh_level).clone()
        folded[:, harmonics.active_coefficients(min(g.sh_level, 3)) :] = 0
        scales, rotations = axes_of(instant.splats.covariances)
        opacities = torch.logit(instant.splats.opacities.clamp(1e-6, 1 - 1e-6))
        return StillGaussians(_float32(instant.splats.means), scales, rotations, _float32(opacities), _float32(folded))


def axes_of(covariances: Tensor) -> tuple[Array, Array]:
    """Natural logarithms of the deviations (M, 3) and quaternions (M, 4) wxyz of covariances (M, 6)."""
    matrices = unpack_symmetric(covariances.double()).cpu().numpy()
    values, axes = np.linalg.eigh(matrices)
    axes[np.linalg.det(axes) < 0, :, 0] *= -1
    x, y, z, w = Rotation.from_matrix(axes).as_quat().T if len(axes) else np.zeros((4, 0))
    scales = 0.5 * np.log(np.maximum(values, LEAST_SCALE**2))
    return scales.astype(np.float32), np.stack([w, x, y, z], axis=1).astype(np.float32)


def byte_logits(alphas: NDArray[np.integer]) -> Array:
    """(N,) logits of opacities that are bytes (N,); nothing and everything stay finite."""
    opacity = np.clip(alphas / 255.0, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(opacity / (1 - opacity)), np.float32)


def largest_left_out(largest: NDArray[np.integer], others: Array) -> Array:
    """(N, 4) unit quaternions of their three smaller components ``others`` (N, 3), in order, and of the index (N,) of
    the one that is left out, which is not negative."""
    whole = np.zeros((len(others), 4), np.float32)
    left_out = np.sqrt(np.maximum(0, 1 - (others.astype(np.float64) ** 2).sum(1))).astype(np.float32)
    for k in range(4):
        rows = largest == k
        whole[np.ix_(rows, [i for i in range(4) if i != k])] = others[rows]
        whole[rows, k] = left_out[rows]
    return whole


def _float32(tensor: Tensor) -> Array:
    return tensor.cpu().float().numpy()
