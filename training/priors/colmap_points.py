"""Sparse points of a COLMAP model beside a clip, brought to the world of the clip's cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError
from training.alignment import similarity_between
from training.data.colmap_model import model_beside, read_model
from training.data.dataset import Dataset, PointCloud
from training.priors.file_order import file_number, order_of

MISFIT = 0.2
"""Root mean square distance of the cameras after the alignment, as a share of their spread, from which it does not
fit."""


def points_beside(dataset: Dataset) -> PointCloud | None:
    """The sparse points of the COLMAP model beside a clip of one camera, None where there is none.

    InputError for a model that cannot be read, that has other pictures, or whose cameras are not those of the clip.
    """
    folder = model_beside(dataset.source)
    if folder is None or len(dataset.camera_names) > 1 or not dataset.posed:
        return None
    model = read_model(folder)
    names = sorted(map(Path, model.names), key=order_of(dataset))
    stems = [name.stem for name in names]
    places = {name: k for k, name in enumerate(map(Path, model.names))}
    numbers = [places[names[file_number(dataset, shot, len(names), folder, stems)]] for shot in dataset.shots]
    ours = [shot.camera for shot in dataset.shots]
    theirs = [camera.moved(model.world_to_camera[k]) for camera, k in zip(ours, numbers, strict=True)]
    to_clip = similarity_between(theirs, ours)
    _check_fit(folder, [to_clip.camera(c) for c in theirs], ours)
    return PointCloud(to_clip.points(model.points).astype(np.float32), model.colors)


def _check_fit(folder: Path, moved: list[Camera], ours: list[Camera]) -> None:
    a, b = (np.stack([c.center for c in cameras]) for cameras in (moved, ours))
    if np.square(a - b).sum() > MISFIT**2 * np.square(b - b.mean(0)).sum():
        raise InputError(f"{folder}: its cameras are not those of the clip; remove it, or use another --depth.source")
