"""Nvidia Dynamic Scenes as Neural Scene Flow Fields (Li et al. 2021) and DynIBaR package them.

``poses_bounds.npy`` or ``poses_bounds_cvd.npy`` with a row per frame, pictures in ``images`` and, shrunk, in
``images_<W>x<H>``; ``mv_images/<FFFFF>/cam<NN>.jpg``, from cam01 on, what all cameras saw, for measuring, and
``mv_masks/<FFFFF>/cam<NN>.png``, what moves in it; ``disp``, ``flow_i1``, and ``motion_masks`` of what moves in the
clip (training/data/masks.py says which are inverted). All may lie in a folder ``dense``.
"""

from __future__ import annotations

import re
from pathlib import Path

from training.data.dataset import Dataset
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.llff_table import LlffTable, read_table
from training.data.looks import names_in
from training.data.monocular import monocular_clip, monocular_look, other_views, pictures_of

NAME = "NSFF"
POSES = ("poses_bounds.npy", "poses_bounds_cvd.npy")
"""The first that is there: NSFF's own, then those that consistent video depth refined."""
SHRUNK = re.compile(r"images_\d+x\d+")
OTHERS = "mv_images"
OTHERS_MASKS = "mv_masks"
SIGNS = (OTHERS, "flow_i1")
"""Folders that no other layout of such a table has."""


def open_nsff(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip; pictures of other cameras are held out where there are some, else every eighth frame."""
    place = place_of(folder)
    table = _table(place)
    pictures = pictures_of(table, SHRUNK, options)
    others = other_views(place / OTHERS, table, place / OTHERS_MASKS)
    return monocular_clip(table, pictures, others, options)


def place_of(folder: Path) -> Path:
    """Where the files are: ``dense``, where that has the poses."""
    return folder / "dense" if any((folder / "dense" / name).is_file() for name in POSES) else folder


def _claims(folder: Path) -> bool:
    place = place_of(folder)
    if not any((place / name).is_file() for name in POSES):
        return False
    shrunk = any(SHRUNK.fullmatch(name) for name in names_in(place))
    return shrunk or any((place / name).is_dir() for name in SIGNS) or (place / POSES[1]).is_file()


def _table(place: Path) -> LlffTable:
    return read_table(next((place / name for name in POSES if (place / name).is_file()), place / POSES[0]))


def _look(folder: Path) -> Recognised:
    place = place_of(folder)
    table = _table(place)
    return monocular_look(NAME, table, SHRUNK, len(other_views(place / OTHERS, table)))


LAYOUT = Layout(
    name=NAME,
    claims=_claims,
    open=open_nsff,
    look=_look,
    inside=("images", OTHERS, "dense"),
)
