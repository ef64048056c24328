"""One moving camera with a ``precomputed.json``: ``poses`` (F, 3, 5) camera-to-world in OpenGL axes with a last column
height, width, focal length, and ``bds`` (F, 2) near and far depths; pictures in ``images``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.camera import OPENGL_TO_OPENCV
from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.llff_table import LlffTable, checked
from training.data.looks import moving_look
from training.data.monocular import table_clip

FPS = 30.0
"""The layout says nothing of time."""


def open_posed_frames(folder: Path, options: DataOptions) -> Dataset:
    """The clip of a folder."""
    path = folder / "precomputed.json"
    return table_clip(checked(LlffTable(path, *read_poses(path))), options, FPS)


def read_poses(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Camera-to-world (F, 3, 4) in OpenCV axes, sizes (F, 3) of height, width and focal length in pixels, near and far
    (F, 2); InputError when the file does not hold them."""
    data = poses.read_json(path)
    try:
        matrices, bounds = np.array(data["poses"], float), np.array(data["bds"], float)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: poses or bds are missing or not numbers; restore it") from None
    F = matrices.size // 15
    if matrices.shape != (F, 3, 5) or bounds.shape != (F, 2) or F == 0:
        raise InputError(f"{path}: poses and bds have shapes {matrices.shape} and {bounds.shape}; restore it")
    c2w = matrices[:, :, :4] @ OPENGL_TO_OPENCV
    return c2w, matrices[:, :, 4], bounds


def _look(folder: Path) -> Recognised:
    c2w, _, bounds = read_poses(folder / "precomputed.json")
    return moving_look(folder, "posed frames", "precomputed.json", c2w, bounds)


LAYOUT = Layout(
    name="posed frames",
    claims=lambda folder: (folder / "precomputed.json").is_file(),
    open=lambda folder, options, report: open_posed_frames(folder, options),
    look=_look,
)
