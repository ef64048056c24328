"""DyCheck's iPhone clips (Gao et al. 2022): as Nerfies', with a hand-held camera 0 to learn from and cameras on tripods
to measure, in ``splits/train.json`` and ``splits/val.json``; depth along the axis from the phone's LiDAR in
``depth/<N>x/*.npy``, zero where none is known; ``fps`` in ``extra.json``; and in ``covisible/<N>x/val/*.png`` masks
of the held-out pictures, white where the hand-held camera saw the same at some time: the paper's scores are of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.arrays import read_array
from training.data import poses
from training.data.dataset import Dataset, Split
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.masks import MaskFile, MaskFolder
from training.data.nerfies import (
    FACTOR,
    Item,
    claims,
    factors_in,
    look_at,
    name_list,
    nerfies_clip,
    read_items,
    read_scene,
)
from training.data.nerfies import LAYOUT as NERFIES
from training.data.posed_pictures import PosedPicture
from training.data.transforms import number

NAME = "DyCheck iPhone"
FPS = 30.0
"""Where extra.json does not say it."""


def open_iphone(folder: Path, options: DataOptions) -> Dataset:
    """The clip with its depths, camera 0 learned from and the others held out, unless ``splits`` say otherwise.

    InputError that names the file for whatever is missing or damaged, and when it is read for a depth of another size.
    """
    items = read_items(folder)
    extra = folder / "extra.json"
    stated = poses.read_json(extra) if extra.is_file() else {}
    fps = number(stated, "fps", extra) if isinstance(stated, dict) else None
    if fps is not None and not fps > 0:
        raise InputError(f"{extra}: fps is {fps:g}; correct it")
    splits, covisible = _splits(folder, items), _covisible(folder)
    factors = factors_in(folder / "depth")
    if not factors:
        return nerfies_clip(folder, items, splits, options, fps or FPS, covisible=covisible)
    scale = read_scene(folder).scale

    def depth(picture: PosedPicture, width: int, height: int) -> NDArray[np.float32]:
        own = FACTOR.fullmatch(picture.path.parent.name)
        factor = int(own[1]) if own and int(own[1]) in factors else factors[0]
        path = folder / "depth" / f"{factor}x" / f"{picture.path.stem}.npy"
        return _depth(path, picture, scale, width, height)

    return nerfies_clip(folder, items, splits, options, fps or FPS, depth, covisible)


def _covisible(folder: Path) -> Callable[[PosedPicture], MaskFile | None]:
    """A picture to its mask: that of the pictures' size where there is one, else the largest."""
    places = {f: folder / "covisible" / f"{f}x" / "val" for f in factors_in(folder / "covisible")}
    masks = {factor: MaskFolder(place) for factor, place in places.items()}

    def find(picture: PosedPicture) -> MaskFile | None:
        own = FACTOR.fullmatch(picture.path.parent.name)
        order = sorted(masks, key=lambda factor: (own is None or factor != int(own[1]), factor))
        return next((found for factor in order if (found := masks[factor].of(picture.path))), None)

    return find


def _depth(path: Path, picture: PosedPicture, scale: float, width: int, height: int) -> NDArray[np.float32]:
    """(height, width) in units of the clip, NaN where nothing is known, everywhere where there is no file."""
    if not path.is_file():
        return np.full((height, width), np.nan, np.float32)
    values = read_array(path)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InputError(f"{path}: is not a table of depths; restore it")
    camera = picture.camera
    if abs(values.shape[1] / values.shape[0] * camera.height / camera.width - 1) > 2 / min(values.shape):
        raise InputError(f"{path}: is {values.shape[1]}x{values.shape[0]}, its picture {camera.width}x{camera.height}; "
                         "restore one of them")  # fmt: skip
    depth = np.where(np.isfinite(values) & (values > 0), values, np.nan).astype(np.float32) * np.float32(scale)
    # no mean: between two surfaces there is nothing
    return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)


def _splits(folder: Path, items: Sequence[Item]) -> list[Split | None]:
    path = folder / "splits" / "train.json"
    if not path.is_file():
        return ["train" if item.camera == 0 else "test" for item in items]
    learned = set(name_list(path, "frame_names"))
    held: set[str] = set()
    if (folder / "splits" / "val.json").is_file():
        held = set(name_list(folder / "splits" / "val.json", "frame_names", may_be_empty=True))
    unknown = next(iter(sorted((held | learned) - {item.name for item in items})), None)
    if unknown is not None:
        raise InputError(f"{path.parent}: lists {unknown}, which dataset.json does not have; restore it")
    return ["train" if item.name in learned else "test" if item.name in held else None for item in items]


def _look(folder: Path) -> Recognised:
    return look_at(folder, NAME, lambda item: item.camera == 0)


LAYOUT = Layout(
    name=NAME,
    claims=lambda folder: (
        claims(folder) and ((folder / "splits" / "train.json").is_file() or bool(factors_in(folder / "depth")))
    ),
    open=lambda folder, options, report: open_iphone(folder, options),
    look=_look,
    inside=(*NERFIES.inside, "depth", "splits", "covisible", "val"),
)
