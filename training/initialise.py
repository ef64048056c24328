"""From a point cloud to the first Gaussians, and the size of a scene."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from renderer.gaussians import Gaussians, gaussians_from_points
from training.config import SceneConfig
from training.data.dataset import Dataset, PointCloud
from training.data.initial_points import initial_points

NEIGHBOURS = 3
TIME_MARGIN = 0.1
"""Points without a time get one that is uniform in the clip and this share before and after it."""
SMALL_MOTION_SHARE = 0.1
"""Smallest extent, as a share of the typical depth; matters when the cameras hardly move."""


def scene_extent(dataset: Dataset) -> float:
    """Scene units: 1.1 times the largest distance of a training camera to their mean (Kerbl et al. 2023).

    A clip whose cameras stand almost still would have an extent near zero, and learning rates with it; so it is at
    least a tenth of the harmonic mean of the near and far depth (ours).
    """
    centers = np.stack([dataset.shots[i].camera.center for i in dataset.indices("train")])
    spread = 1.1 * float(np.linalg.norm(centers - centers.mean(0), axis=1).max())
    return max(spread, SMALL_MOTION_SHARE * 2 / (1 / dataset.near + 1 / dataset.far))


def scene_box(dataset: Dataset, gaussians: Gaussians | None) -> NDArray[np.float64]:
    """(2, 3) lowest and highest corner of where a scene mostly is, scene units: 96 % of the Gaussians along each axis,
    else what the training cameras see between the clip's near depth and its typical depth."""
    if gaussians is not None and len(gaussians):
        return np.percentile(gaussians.positions.detach().cpu().numpy(), (2, 98), axis=0).astype(np.float64)
    depths = np.array([dataset.near, 2 / (1 / dataset.near + 1 / dataset.far)])
    seen = []
    for index in dataset.indices("train"):
        camera = dataset.shots[index].camera
        corners = np.array([(x, y) for x in (0, camera.width) for y in (0, camera.height)], float)
        seen += [camera.unproject(corners, np.full(4, z)) for z in depths]
    points = np.concatenate(seen)
    return np.stack([points.min(0), points.max(0)])


def initial_gaussians(dataset: Dataset, config: SceneConfig, seed: int) -> Gaussians:
    """Gaussians on the clip's points, or on points found in its pictures when it comes with none.

    At most ``config.points``, chosen by farthest-point sampling. Spatial scale: root mean squared distance to the
    three nearest neighbours; time: the point's own, else uniform in the clip and a tenth around it.
    """
    rng = np.random.default_rng([seed, 0])
    count = config.points or 30_000
    cloud = dataset.points or initial_points(dataset, count, rng)
    cloud = _thinned(cloud, count, rng)
    times = cloud.times
    if times is None:
        times = rng.uniform(-TIME_MARGIN, 1 + TIME_MARGIN, len(cloud.points)).astype(np.float32)
    return gaussians_from_points(
        torch.from_numpy(cloud.points),
        torch.from_numpy(cloud.colors),
        torch.from_numpy(times) * config.time_span,
        torch.from_numpy(neighbour_spacing(cloud.points)),
        config.time_span,
        config.scale_activation,
    )


def neighbour_spacing(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) root mean squared distance to the three nearest other points, never zero."""
    k = min(NEIGHBOURS + 1, len(points))
    distances = cKDTree(points).query(points, k=k)[0].reshape(len(points), k)[:, 1:]
    spacing = np.sqrt((distances**2).mean(1)) if k > 1 else np.ones(len(points))
    return np.maximum(spacing, 1e-7).astype(np.float32)


def farthest_points(points: NDArray[np.float32], count: int, first: int) -> NDArray[np.int64]:
    """Rows of ``count`` points, each the one farthest from those before it, beginning with row ``first``."""
    chosen = np.empty(count, dtype=np.int64)
    distance = np.full(len(points), np.inf, dtype=np.float32)
    row = first
    for k in range(count):
        chosen[k] = row
        np.minimum(distance, ((points - points[row]) ** 2).sum(1), out=distance)
        row = int(distance.argmax())
    return chosen


def _thinned(cloud: PointCloud, count: int, rng: np.random.Generator) -> PointCloud:
    if len(cloud.points) <= count:
        return cloud
    rows = farthest_points(cloud.points, count, int(rng.integers(len(cloud.points))))
    return PointCloud(cloud.points[rows], cloud.colors[rows], None if cloud.times is None else cloud.times[rows])
