"""Nvidia Dynamic Scenes as DynamicNeRF (Gao et al. 2021) packages them: frame t is of camera t.

``poses_bounds.npy`` with a row per frame, pictures in ``images`` and, shrunk, in ``images_2``, ...; ``disp``, ``flow``,
and ``motion_masks`` of what moves (training/data/masks.py says which are inverted). What other cameras saw, where it is
there, in ``gt/v<camera>_t<frame>.png``, from v000 on, as the authors measure; with ``mv_images`` it is NSFF's.
"""

from __future__ import annotations

import re
from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.llff_table import LlffTable, read_table
from training.data.looks import pictures_in
from training.data.monocular import (
    OtherView,
    monocular_clip,
    monocular_look,
    of_others,
    pictures_of,
)

NAME = "DynamicNeRF"
POSES = "poses_bounds.npy"
SHRUNK = re.compile(r"images_\d+")
TRUTH = "gt"
VIEW = re.compile(r"v(\d+)_t(\d+)")
SIGNS = ("disp", "motion_masks", "flow", "images_colmap", "background_mask", TRUTH)
"""Folders that its scripts write beside LLFF's."""


def open_dynamicnerf(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip; pictures of other cameras are held out where there are some, else every eighth frame."""
    table = read_table(folder / POSES)
    pictures = pictures_of(table, SHRUNK, options)
    return monocular_clip(table, pictures, views_beside(folder, table), options)


def views_beside(folder: Path, table: LlffTable) -> list[OtherView]:
    """The pictures of other cameras; InputError for one of a camera or frame that the table does not have."""
    views = []
    for name in pictures_in(folder / TRUTH):
        match = VIEW.fullmatch(Path(name).stem)
        if match:
            view = OtherView(int(match[1]), int(match[2]), folder / TRUTH / name)
            if max(view.row, view.frame) >= len(table):
                raise InputError(f"{view.path}: is of camera {view.row} at frame {view.frame}, but {POSES} has only "
                                 f"{len(table)} poses; restore it or take the picture out")  # fmt: skip
            views.append(view)
    return of_others(views)


def _claims(folder: Path) -> bool:
    return (folder / POSES).is_file() and any((folder / name).is_dir() for name in SIGNS)


def _look(folder: Path) -> Recognised:
    table = read_table(folder / POSES)
    return monocular_look(NAME, table, SHRUNK, len(views_beside(folder, table)))


LAYOUT = Layout(
    name=NAME,
    claims=_claims,
    open=open_dynamicnerf,
    look=_look,
    inside=("images", TRUTH),
)
