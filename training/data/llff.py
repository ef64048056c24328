"""LLFF's ``poses_bounds.npy`` with a folder of pictures: row i is a flattened (3, 5) camera-to-world matrix with axes
down, right, back and a last column height, width, focal length, then the near and the far depth of picture i."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.arrays import read_array
from training.data.dataset import Dataset
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.looks import moving_look
from training.data.moving_camera import moving_camera

FPS = 15.0
"""The layout says nothing of time; this is what such clips are shown at."""


def open_llff(folder: Path, options: DataOptions) -> Dataset:
    """One moving camera: picture k is frame k of the clip."""
    path = folder / "poses_bounds.npy"
    return moving_camera(path, *read_poses(path), options, FPS)


def read_poses(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Camera-to-world (F, 3, 4) in OpenCV axes, sizes (F, 3) of height, width and focal length in pixels, near and far
    (F, 2); InputError when the file is not such a table."""
    table = read_array(path)
    if table.ndim != 2 or table.shape[1] != 17:
        raise InputError(f"{path}: is not a table of 17 numbers per picture; restore it")
    if table.dtype.kind not in "fiu":
        raise InputError(f"{path}: does not hold numbers; restore it")
    matrices = table[:, :15].reshape(-1, 3, 5).astype(np.float64)
    down, right, back, center, sizes = (matrices[:, :, k] for k in range(5))
    c2w = np.stack([right, down, -back, center], axis=2)
    return c2w, sizes, table[:, 15:].astype(np.float64)


def _look(folder: Path) -> Recognised:
    c2w, _, bounds = read_poses(folder / "poses_bounds.npy")
    return moving_look(folder, "LLFF", "poses_bounds.npy (LLFF)", c2w, bounds)


LAYOUT = Layout(
    name="LLFF",
    claims=lambda folder: (folder / "poses_bounds.npy").is_file(),
    open=lambda folder, options, report: open_llff(folder, options),
    look=_look,
)
