"""What other viewers' files hold, as the scene that this one draws: 4D Gaussians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.files.spacetime import SpacetimeGaussians
from renderer.files.still import LEAST_SCALE, StillGaussians
from renderer.files.straightened import straightened
from renderer.gaussians import PARAMETERS, Gaussians, rotations_4d
from renderer.harmonics import COEFFICIENTS, SH_C0

ALWAYS = 1000.0
"""Temporal deviation, in clips, of what is there all the time: its weight stays above 0.999999."""
LARGEST_LOGIT, LARGEST_LOG_SCALE = 15.0, 20.0
LARGEST_PLACE, LARGEST_COEFFICIENT = 1e12, 1e6
"""What lies beyond is damage; float32 products of what is within stay finite."""
DEGREES = (1, 4, 9, 16)


def gaussians_of_still(still: StillGaussians) -> Gaussians:
    """M Gaussians without time as a scene in which nothing moves or fades; those that are not of numbers are left out.

    A left and a right quaternion that are alike turn space and leave time alone; on the reversed axes of
    :func:`renderer.gaussians.rotations_4d` the quaternion (w, x, y, z) is (w, -z, -y, -x).
    """
    still = _finite(still)
    M = len(still)
    turns = still.rotations[:, [0, 3, 2, 1]] * np.array([1, -1, -1, -1], np.float32)
    sh_rest = np.zeros((M, COEFFICIENTS - 1, 3), np.float32)
    sh_rest[:, :15] = still.sh[:, 1:]
    used = np.flatnonzero(still.sh.any((0, 2)))
    columns = {
        "positions": still.means,
        "times": np.full((M, 1), 0.5),
        "scales": np.clip(still.scales, math.log(LEAST_SCALE), LARGEST_LOG_SCALE),
        "time_scales": np.full((M, 1), math.log(ALWAYS)),
        "left": turns,
        "right": turns,
        "opacities": np.clip(still.opacities, -LARGEST_LOGIT, LARGEST_LOGIT)[:, None],
        "sh_dc": still.sh[:, :1],
        "sh_rest": sh_rest,
    }
    degree = int(np.searchsorted(DEGREES, 1 + (used[-1] if len(used) else 0)))
    return _gaussians(columns, degree)


def gaussians_of_spacetime(moving: SpacetimeGaussians) -> Gaussians:
    """The inverse of :func:`renderer.files.spacetime.spacetime_of`; those that turn, or move along a curve, as several
    that move straight (:func:`renderer.files.straightened.straightened`)."""
    g = straightened(moving)
    N = len(g)
    velocities = g.motion[:, 0].astype(np.float64)
    turns = Rotation.from_quat(g.rotations, scalar_first=True).as_matrix() if N else np.zeros((0, 3, 3))
    axes = turns * np.maximum(g.scales, LEAST_SCALE)[:, None, :].astype(np.float64)
    variance = 0.5 * np.minimum(g.lifes.astype(np.float64), ALWAYS) ** 2
    covariances = np.zeros((N, 4, 4))
    covariances[:, :3, :3] = axes @ axes.transpose(0, 2, 1)
    covariances[:, :3, :3] += variance[:, None, None] * velocities[:, :, None] * velocities[:, None, :]
    covariances[:, :3, 3] = covariances[:, 3, :3] = variance[:, None] * velocities
    covariances[:, 3, 3] = variance
    values, vectors = np.linalg.eigh(covariances)
    vectors[np.linalg.det(vectors) < 0, :, 0] *= -1
    scales = 0.5 * np.log(np.maximum(values, LEAST_SCALE**2))
    left, right = _isoclinic(vectors)
    alphas = np.clip(g.opacities, 1e-4, 1 - 1e-4)[:, None]
    columns = {
        "positions": g.means,
        "times": g.centers[:, None],
        "scales": scales[:, :3],
        "time_scales": scales[:, 3:],
        "left": left,
        "right": right,
        "opacities": np.log(alphas / (1 - alphas)),
        "sh_dc": (g.colors[:, None] - 0.5) / SH_C0,
        "sh_rest": np.zeros((N, COEFFICIENTS - 1, 3), np.float32),
    }
    return _gaussians(columns, 0)


def finite_gaussians(gaussians: Gaussians) -> Gaussians:
    """Those of a scene whose parameters are all numbers that can be drawn."""
    values = {name: value.flatten(1) for name, value in gaussians.parameters.items()}
    keep = torch.ones(len(gaussians), dtype=torch.bool)
    for name, value in values.items():
        most = LARGEST_PLACE if name in ("positions", "times") else LARGEST_COEFFICIENT
        keep &= (value.abs() <= most).all(1)
    for name in ("left", "right"):
        keep &= torch.linalg.vector_norm(values[name], dim=1) > 1e-9
    kept = {name: value[keep] for name, value in gaussians.parameters.items()}
    least = math.log(LEAST_SCALE)
    kept["scales"] = kept["scales"].clamp(least, LARGEST_LOG_SCALE)
    kept["time_scales"] = kept["time_scales"].clamp(least, LARGEST_LOG_SCALE)
    kept["opacities"] = kept["opacities"].clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return gaussians.with_parameters(kept)


def _finite(still: StillGaussians) -> StillGaussians:
    most = {"means": LARGEST_PLACE, "sh": LARGEST_COEFFICIENT, "rotations": 2.0}
    keep = ~(np.isnan(still.scales).any(1) | np.isnan(still.opacities))
    for name, limit in most.items():
        values = np.abs(getattr(still, name))
        keep &= (values <= limit).all(tuple(range(1, values.ndim)))
    return still if keep.all() else StillGaussians(**{name: value[keep] for name, value in vars(still).items()})


def _isoclinic(rotations: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right quaternions (N, 4) of rotations of space-time (N, 4, 4): the inverse of ``rotations_4d``.

    That is bilinear in the two, and its 16 terms are orthogonal, so that a product with each of them gives the outer
    product of the quaternions.
    """
    units = torch.eye(4, dtype=torch.float64)
    terms = rotations_4d(units.repeat_interleave(4, 0), units.repeat(4, 1)).reshape(4, 4, 4, 4).numpy()
    outer = np.einsum("ijxy,nxy->nij", terms, rotations) / 4
    largest = np.linalg.norm(outer, axis=1).argmax(1)
    left = np.take_along_axis(outer, largest[:, None, None], axis=2)[:, :, 0]
    left /= np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-12)
    return left, np.einsum("ni,nij->nj", left, outer)


def _gaussians(columns: dict[str, NDArray[np.floating]], level: int) -> Gaussians:
    tensors: dict[str, Any] = {
        name: torch.from_numpy(np.ascontiguousarray(columns[name], np.float32)) for name in PARAMETERS
    }
    return Gaussians(**tensors, sh_level=level)
