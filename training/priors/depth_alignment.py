"""Bringing a disparity of unknown scale and shift to the units of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from training.data.dataset import Dataset

Array = NDArray[np.float64]

LEAST_POINTS = 10
"""Points from which a scale and a shift can be told."""
ROUNDS = 10
"""Of reweighting."""
SOFTNESS = 2.0
"""Residual that weighs half, in median absolute residuals (Cauchy)."""
OWN_DEVIATION = 0.15
"""Mean absolute deviation of a frame's disparities over the range of the scene's, where nothing else tells: the frame
then fills most of the range."""
CELL = 4
"""Pixels across of the cells in which the nearest point hides those behind it."""
HIDDEN = 1.05
"""A point further than so many times the nearest one of its cell is hidden."""
MOMENT = 0.02
"""Share of the clip around a shot's time in which points with a time are there."""


@dataclass(frozen=True)
class Alignment:
    """1 / depth = scale * disparity + shift. ``points``: how many it was found from."""

    scale: float
    shift: float
    points: int


def align_disparity(disparity: NDArray[np.floating], depths: NDArray[np.floating]) -> Alignment | None:
    """Least squares over points of the error of 1 / depth, robust to outliers.

    ``disparity``, ``depths``: (N,) at the same places, larger disparities nearer. None where there are too few points,
    where they do not tell scale from shift, or where nearer things would be farther.
    """
    known = np.isfinite(disparity) & np.isfinite(depths) & (depths > 0)
    x, y = disparity[known].astype(np.float64), 1 / depths[known].astype(np.float64)
    if len(x) < LEAST_POINTS or x.std() < 1e-9 * max(1.0, float(np.abs(x).max())):
        return None
    weights, scale, shift = np.ones(len(x)), 0.0, 0.0
    for _ in range(ROUNDS):
        w = weights / weights.sum()
        mean_x, mean_y = w @ x, w @ y
        variance = w @ (x - mean_x) ** 2
        if variance <= 0:
            return None
        scale = float((w @ ((x - mean_x) * (y - mean_y))) / variance)
        shift = float(mean_y - scale * mean_x)
        residual = np.abs(scale * x + shift - y)
        softness = SOFTNESS * max(float(np.median(residual)), 1e-9 * float(np.abs(y).max()))
        weights = 1 / (1 + (residual / softness) ** 2)
    return Alignment(scale, shift, len(x)) if scale > 0 else None


def self_alignment(disparity: NDArray[np.floating], near: float, far: float) -> Alignment:
    """What gives a clip without any scale one: the median disparity becomes the middle of those from ``far`` to
    ``near``, the mean absolute deviation a fixed share of their range."""
    known = disparity[np.isfinite(disparity)].astype(np.float64)
    median = float(np.median(known)) if known.size else 0.0
    deviation = max(float(np.abs(known - median).mean()), 1e-12) if known.size else 1.0
    scale = OWN_DEVIATION * (1 / near - 1 / far) / deviation
    return Alignment(scale, 0.5 * (1 / near + 1 / far) - scale * median, 0)


def aligned_depth(
    disparity: NDArray[np.floating], alignment: Alignment, near: float, far: float
) -> NDArray[np.float32]:
    """(H, W) depth along +z between ``near`` and ``far``, scene units; 0 where the disparity is not finite."""
    inverse = np.clip(alignment.scale * disparity.astype(np.float64) + alignment.shift, 1 / far, 1 / near)
    return np.where(np.isfinite(disparity), 1 / inverse, 0).astype(np.float32)


def visible_points(dataset: Dataset, index: int) -> tuple[NDArray[np.int64], Array]:
    """Pixels (N, 2), column and row, of the clip's sparse points that a shot sees, and their depths (N,) along +z.

    A point is hidden behind a nearer one in the same cell of a few pixels. Points with a time count near that time.
    """
    shot, cloud = dataset.shots[index], dataset.points
    if cloud is None:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    there = np.ones(len(cloud.points), np.bool_)
    if cloud.times is not None:
        there = np.abs(cloud.times - shot.time) <= max(MOMENT, 0.5 / max(1, dataset.frame_count - 1))
    pixels, depths = shot.camera.project(cloud.points[there].astype(np.float64))
    return _unhidden(shot.camera, pixels, depths)


def _unhidden(camera: Camera, pixels: Array, depths: Array) -> tuple[NDArray[np.int64], Array]:
    with np.errstate(invalid="ignore"):
        places = np.floor(pixels)
        inside = (depths > camera.near) & (places >= 0).all(1) & (places < [camera.width, camera.height]).all(1)
    places, depths = places[inside].astype(np.int64), depths[inside]
    cells = places[:, 1] // CELL * (camera.width // CELL + 1) + places[:, 0] // CELL
    nearest = np.full(int(cells.max(initial=0)) + 1, np.inf)
    np.minimum.at(nearest, cells, depths)
    seen = depths <= HIDDEN * nearest[cells]
    return places[seen], depths[seen]
