"""Points for a clip that comes with none: coloured points on the rays of its pictures."""

from __future__ import annotations

import numpy as np

from training.data.dataset import Dataset, PointCloud


def initial_points(dataset: Dataset, count: int, rng: np.random.Generator) -> PointCloud:
    """``count`` points on rays of random pixels of the training pictures, with the pixels' colours and times.

    Depths are uniform in inverse depth between near and far, so that nearer places, which fill more of a picture, get
    as many points per pixel as far ones.
    """
    train = dataset.indices("train")
    pictures = np.sort(rng.choice(len(train), count))
    points, colors, times = [], [], []
    for place in np.unique(pictures):
        shot = dataset.shots[train[place]]
        n = int((pictures == place).sum())
        xs, ys = rng.integers(0, shot.camera.width, n), rng.integers(0, shot.camera.height, n)
        depths = 1 / rng.uniform(1 / dataset.far, 1 / dataset.near, n)
        points.append(shot.camera.unproject(np.stack([xs, ys], axis=1) + 0.5, depths))
        colors.append(dataset.read(train[place])[ys, xs] / 255)
        times.append(np.full(n, shot.time))
    return PointCloud(*(np.concatenate(part).astype(np.float32) for part in (points, colors, times)))
