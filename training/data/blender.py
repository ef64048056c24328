"""Renders as Blender's scripts for NeRF and D-NeRF leave them: ``transforms_train.json``, ``transforms_test.json`` and
maybe ``transforms_val.json``, each with ``camera_angle_x`` and frames, which in D-NeRF have a ``time`` in [0, 1]."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, Split
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.looks import counted, moving
from training.data.posed_pictures import Known, PosedPicture, posed_clip, read_opaque
from training.data.rig import picture_size
from training.data.transforms import moments, picture_path, pinhole, pose_of, read_frames

NAME = "Blender"
DEPTHS = (0.5, 1.5)
"""Near and far, as shares of the distance of what the cameras look at: 2 and 6 of the 4 units of the data sets."""


def open_blender(folder: Path, options: DataOptions) -> Dataset:
    """The clip: learned from is the train list, held out the test list, or val where there is none.

    What is transparent is black, as a scene is drawn on black. InputError for pictures of more than one size, for a
    list without times beside one with them, and for whatever a frame lacks.
    """
    files = _files(folder)
    first = read_frames(files[0][1])[1][0]
    size = picture_size(picture_path(folder, str(first["file_path"])))
    pictures: list[PosedPicture] = []
    timed: set[bool] = set()
    for name, path, split in files:
        shared, frames = read_frames(path)
        times = moments(frames, path)
        timed.add(times is not None)
        if len(timed) > 1:
            raise InputError(f"{path}: its frames and those of {files[0][1].name} do not both have a time; add it")
        for frame, moment in zip(frames, times or [0.0] * len(frames), strict=True):
            picture = picture_path(folder, str(frame["file_path"]))
            found = picture_size(picture)
            if found != size:
                raise InputError(f"{picture}: is {found[0]}x{found[1]} while the others are {size[0]}x{size[1]}; "
                                 "resize it to match")  # fmt: skip
            camera = pinhole({**shared, **frame}, pose_of(frame, path), size, path)
            pictures.append(PosedPicture(picture, camera, partial(read_opaque, picture), moment, name, split))
    typical = float(np.sqrt(np.prod(poses.depth_range([p.camera for p in pictures]))))
    known = Known(splits=len(files) > 1, bounds=(DEPTHS[0] * typical, DEPTHS[1] * typical))
    return posed_clip(folder, pictures, known, options)


def _files(folder: Path) -> list[tuple[str, Path, Split | None]]:
    """Name, list and split of what there is; val is used for nothing where there is a test."""
    there = [(name, folder / f"transforms_{name}.json") for name in ("train", "val", "test")]
    there = [(name, path) for name, path in there if path.is_file()]
    held = there[-1][0]
    splits: dict[str, Split | None] = {name: "test" if name == held else None for name, _ in there}
    return [(name, path, "train" if name == "train" else splits[name]) for name, path in there]


def _look(folder: Path) -> Recognised:
    missing, counts, centers, timed = [], {}, [], False
    for name, path, _ in _files(folder):
        _, frames = read_frames(path)
        absent = [p for f in frames if not (p := picture_path(folder, str(f["file_path"]))).is_file()]
        if absent:
            missing.append(f"{absent[0]}: no such picture, and {len(absent)} of {len(frames)} of {path.name} are not "
                           "there; restore them.")  # fmt: skip
        counts[name] = len(frames)
        timed = moments(frames, path) is not None
        centers += [-pose[:3, :3].T @ pose[:3, 3] for pose in (pose_of(f, path) for f in frames)]
    listed = ", ".join(f"{n:,} to {'learn from' if name == 'train' else name}" for name, n in counts.items())
    kind = "D-NeRF" if timed else NAME
    what = f"{counted(sum(counts.values()), 'picture')} with transforms_train.json ({kind}), {listed}"
    return moving(folder, NAME, what, missing, np.stack(centers), None)


LAYOUT = Layout(
    name=NAME,
    claims=lambda folder: (folder / "transforms_train.json").is_file(),
    open=lambda folder, options, report: open_blender(folder, options),
    look=_look,
    inside=("train", "val", "test"),
)
