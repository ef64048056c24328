"""LLFF's ``poses_bounds.npy`` with a folder of pictures: row i is a flattened (3, 5) camera-to-world matrix with axes
down, right, back and a last column height, width, focal length, then the near and the far depth of picture i."""

from __future__ import annotations

from pathlib import Path

from training.data.dataset import Dataset
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.llff_table import read_poses, read_table
from training.data.looks import moving_look
from training.data.monocular import FPS, table_clip


def open_llff(folder: Path, options: DataOptions) -> Dataset:
    """One moving camera: picture k, by name, is frame k of the clip."""
    return table_clip(read_table(folder / "poses_bounds.npy"), options, FPS)


def _look(folder: Path) -> Recognised:
    c2w, _, bounds = read_poses(folder / "poses_bounds.npy")
    return moving_look(folder, "LLFF", "poses_bounds.npy (LLFF)", c2w, bounds)


LAYOUT = Layout(
    name="LLFF",
    claims=lambda folder: (folder / "poses_bounds.npy").is_file(),
    open=lambda folder, options, report: open_llff(folder, options),
    look=_look,
)
