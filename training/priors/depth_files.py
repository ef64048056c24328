"""Depths and disparities from files beside a clip, as depth networks and their scripts write them.

Of each camera one file per picture, in the pictures' order or of their names, in the folder or, where the clip has
several cameras, in a folder of each camera's name: ``.npy`` (MiDaS in NSFF's and DynamicNeRF's packaging, Depth
Anything), 16-bit ``.png``, ``.pfm`` (MiDaS); or one ``.npz`` or ``.npy`` of all frames (Video Depth Anything, key
``depths``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from renderer.errors import InputError
from renderer.files.arrays import read_array
from training.data.dataset import Dataset
from training.priors.file_order import file_number, order_of

Values = NDArray[np.float32]
Kind = Literal["disparity", "depth"]

SUFFIXES = (".npy", ".npz", ".png", ".pfm")
KEYS = ("depths", "depth", "disparity", "disp", "arr_0")
"""Names under which an .npz may hold its frames, the first that is there."""
LARGEST = 1 << 28
"""Values of one picture above which a file is not believed."""
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I")


def depth_files(folder: Path, dataset: Dataset) -> Callable[[int], Values]:
    """Index of a shot to what its file holds, (H, W) of the picture's size and NaN where it holds no number above zero.

    A camera that is only measured may have no files: all NaN. InputError for a folder without files of a camera that is
    learned from or with too few of them, and from the function for one that cannot be read.
    """
    learned = list(dict.fromkeys(dataset.shots[i].camera_name for i in dataset.indices("train")))
    order = order_of(dataset)
    by_camera = {name: sorted(_of_camera(folder, name, len(learned) > 1), key=order) for name in learned}
    for name in dataset.camera_names:
        if name not in by_camera and (files := _files_of(folder, name, True)):
            by_camera[name] = sorted(files, key=order)
    stack = lru_cache(maxsize=4)(_stack)

    def read(index: int) -> Values:
        shot = dataset.shots[index]
        files = by_camera.get(shot.camera_name)
        if files is None:
            return np.full((shot.camera.height, shot.camera.width), np.nan, np.float32)
        if len(files) == 1 and dataset.frame_count > 1:
            frames = stack(files[0])
            values = frames[file_number(dataset, shot, len(frames), files[0])]
        else:
            stems = [path.stem for path in files]
            values = read_values(files[file_number(dataset, shot, len(files), folder, stems)])
        return fitted(values, shot.camera.width, shot.camera.height)

    read(dataset.indices("train")[0])  # so that what does not fit is said at once
    return read


def _of_camera(folder: Path, name: str, several: bool) -> list[Path]:
    """The files of a camera, of one of ``several``."""
    place = _place(folder, name)
    try:
        files = _files_of(folder, name, several)
    except OSError as problem:
        raise InputError(f"{place}: cannot be read ({problem.strerror}); give the folder of the depth files") from None
    suffixes = {p.suffix.lower() for p in files}
    if not files:
        raise InputError(f"{place}: holds no depth of {name}; give {', '.join(SUFFIXES)} files, one per picture")
    if len(suffixes) > 1:
        raise InputError(f"{place}: holds depths as {' and '.join(sorted(suffixes))}; keep one kind")
    return files


def _files_of(folder: Path, name: str, several: bool) -> list[Path]:
    place = _place(folder, name)
    files = [p for p in place.iterdir() if p.suffix.lower() in SUFFIXES]
    if place is folder and several:
        return [p for p in files if re.match(re.escape(name) + r"(\D|$)", p.stem)]
    return files


def _place(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder


def _stack(path: Path) -> Values:
    values = _array(path)
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3 or min(values.shape) < 1:
        raise InputError(f"{path}: holds an array of shape {values.shape}, expected (frames, height, width)")
    return values


def read_values(path: Path) -> Values:
    """What a file holds, (h, w); InputError when it is damaged or of another shape."""
    suffix = path.suffix.lower()
    values = _read_png(path) if suffix == ".png" else _read_pfm(path) if suffix == ".pfm" else _array(path)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or min(values.shape) < 1:
        raise InputError(f"{path}: holds an array of shape {values.shape}, expected (height, width)")
    return values


def fitted(values: Values, width: int, height: int) -> Values:
    """(height, width): averaged where it shrinks; NaN where a value is not a number above zero."""
    known = np.isfinite(values) & (values > 0)
    if not known.any():
        return np.full((height, width), np.nan, np.float32)
    if values.shape != (height, width):
        mode = cv2.INTER_AREA if values.shape[0] > height else cv2.INTER_LINEAR
        weight = cv2.resize(known.astype(np.float32), (width, height), interpolation=mode)
        total = cv2.resize(np.where(known, values, 0).astype(np.float32), (width, height), interpolation=mode)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(weight > 0.5, total / weight, np.nan).astype(np.float32)
    return np.where(known, values, np.nan).astype(np.float32)


def _array(path: Path) -> Values:
    loaded = read_array(path, KEYS)
    if loaded.dtype.kind not in "fiu" or loaded.size > LARGEST * (loaded.shape[0] if loaded.ndim > 2 else 1):
        raise InputError(f"{path}: holds {loaded.dtype} of shape {loaded.shape}, expected numbers of a picture")
    with np.errstate(over="ignore"):
        return loaded.astype(np.float32)


def _read_png(path: Path) -> Values:
    try:
        with Image.open(path) as image:
            if image.mode not in SIXTEEN_BITS:
                raise InputError(f"{path}: has {image.mode} pixels, which are too coarse for depth; write 16-bit PNG")
            return np.asarray(image).astype(np.float32)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        raise InputError(f"{path}: cannot be read as a PNG ({problem}); write it again") from None


def _read_pfm(path: Path) -> Values:
    """Portable float map: "Pf", width and height, a scale whose sign is the byte order, rows from the bottom up."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); restore it") from None
    header = re.match(rb"(P[Ff])\s+(\d{1,6})\s+(\d{1,6})\s+([-+.\deE]+)\s", data)
    if header is None or header[1] != b"Pf":
        raise InputError(f"{path}: is not a grey portable float map (Pf); write it again")
    width, height = int(header[2]), int(header[3])
    try:
        order = "<" if float(header[4]) < 0 else ">"
    except ValueError:
        raise InputError(f"{path}: its scale is not a number; write it again") from None
    body = data[header.end() :]
    if width * height < 1 or len(body) != 4 * width * height:
        raise InputError(f"{path}: holds {len(body)} bytes for {width}x{height} values; write it again")
    return np.flipud(np.frombuffer(body, f"{order}f4").reshape(height, width)).astype(np.float32)
