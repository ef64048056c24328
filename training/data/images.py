"""Pictures from image files and videos: shrunk once, kept as bytes within a budget, read by any thread."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import imageio_ffmpeg
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.errors import InputError

Image = NDArray[np.uint8]
Undistort = Callable[[Image], Image]


def fitted_size(width: int, height: int, megapixels: float) -> tuple[int, int]:
    """The largest (width, height) of the same shape with at most so many million pixels, not larger than given."""
    shrink = min(1.0, math.sqrt(megapixels * 1e6 / (width * height)))
    return max(8, math.floor(width * shrink)), max(8, math.floor(height * shrink))


def read_image(path: Path) -> Image:
    """(H, W, 3) RGB, turned as its EXIF orientation says; InputError when the file is missing or is not a picture."""
    return _read(path, cv2.IMREAD_COLOR_RGB)


def read_stored(path: Path) -> Image:
    """The same as its pixels are stored, which is what COLMAP reads and poses are for, whatever its EXIF orientation
    says."""
    return _read(path, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def _read(path: Path, how: int) -> Image:
    if not _is_file(path):
        raise InputError(f"{path}: no such picture; restore it or take its pose out")
    try:
        data = cv2.imread(str(path), how)
    except (cv2.error, MemoryError):  # of a size that is not believed
        data = None
    if data is None:
        raise InputError(f"{path}: not readable as a picture; restore it")
    return data  # type: ignore[return-value]


def _is_file(path: Path) -> bool:
    """Whether it is one; names that no file can have, as a damaged list may state them, are none."""
    try:
        return path.is_file()
    except OSError:
        return False


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture that is turned as its EXIF orientation says."""
    height, width = read_image(path).shape[:2]
    return width, height


def shrunk(image: Image, size: tuple[int, int]) -> Image:
    """The picture at (width, height), averaging what falls together."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def as_target(image: Image) -> Tensor:
    """A picture (H, W, 3) uint8 as float32 in [0, 1], to be compared with."""
    return torch.from_numpy(image.astype(np.float32) * np.float32(1 / 255))


class FileFrames:
    """Pictures in files, each read when first asked for; the newest ones are kept within ``budget`` bytes.

    ``load``: the index of one to the picture at its full size, by default as its file stores it.
    """

    def __init__(
        self, paths: Sequence[Path], size: tuple[int, int], budget: int, load: Callable[[int], Image] | None = None
    ) -> None:
        self._paths, self._size = list(paths), size
        self._load = load or (lambda index: read_stored(self._paths[index]))
        self._room = max(1, budget // (3 * size[0] * size[1]))
        self._kept: dict[int, Image] = {}
        self._lock = Lock()

    def __getitem__(self, index: int) -> Image:
        with self._lock:
            if index in self._kept:
                self._kept[index] = self._kept.pop(index)  # the newest is last
                return self._kept[index]
        image = shrunk(self._load(index), self._size)
        with self._lock:
            self._kept[index] = image
            while len(self._kept) > self._room:
                self._kept.pop(next(iter(self._kept)))
        return image


@dataclass(frozen=True)
class VideoInfo:
    """Size as stored, and frames per second."""

    width: int
    height: int
    fps: float


class VideoFrames:
    """The frames of a video, decoded from its beginning when the first one is asked for and kept in memory, or in a
    temporary file that disappears with the process when they are more than ``budget`` bytes."""

    def __init__(
        self, path: Path, frames: Sequence[int], size: tuple[int, int], budget: int, report: Callable[[str], None],
        prepare: Undistort | None = None,
    ) -> None:  # fmt: skip
        self._path, self._frames, self._size, self._budget = path, list(frames), size, budget
        self._report, self._prepare = report, prepare
        self._data: NDArray[np.uint8] | None = None
        self._lock = Lock()

    def __getitem__(self, index: int) -> Image:
        with self._lock:
            if self._data is None:
                self._data = self._decode()
            return self._data[index]

    def _decode(self) -> NDArray[np.uint8]:
        self._report(f"Reading {self._path.name}")
        shape = (len(self._frames), self._size[1], self._size[0], 3)
        data: NDArray[np.uint8]
        if math.prod(shape) <= self._budget:
            data = np.empty(shape, np.uint8)
        else:
            data = np.memmap(tempfile.TemporaryFile(), np.uint8, "w+", shape=shape)  # noqa: SIM115 (closed with the array)
        wanted = {frame: k for k, frame in enumerate(self._frames)}
        found = 0
        for frame, image in enumerate(_decoded(self._path)):
            if frame in wanted:
                data[wanted[frame]] = shrunk(self._prepare(image) if self._prepare else image, self._size)
                found += 1
                if found == len(wanted):
                    break
        if found < len(wanted):
            raise InputError(
                f"{self._path}: ends before frame {max(wanted)}, which the calibration promises; restore the video"
            )
        return data


def video_info(path: Path) -> VideoInfo:
    """InputError when the file is missing or is not a video."""
    reader = _frames(path)
    width, height = reader[0]["size"]
    reader[1].close()
    return VideoInfo(width, height, float(reader[0]["fps"]))


def _decoded(path: Path):  # type: ignore[no-untyped-def]
    """The frames (H, W, 3) RGB in order; a broken end ends them early."""
    meta, reader = _frames(path)
    width, height = meta["size"]
    try:
        for data in reader:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    except (OSError, RuntimeError):
        return
    finally:
        reader.close()


def ffmpeg_name(path: Path) -> str:
    """How ffmpeg is told of a file: a colon in a relative name would begin the name of a protocol."""
    return str(path.absolute())


def _frames(path: Path):  # type: ignore[no-untyped-def]
    if not _is_file(path):
        raise InputError(f"{path}: no such video; restore it or take its camera out of the calibration")
    reader = imageio_ffmpeg.read_frames(ffmpeg_name(path))
    try:
        return next(reader), reader
    except (OSError, RuntimeError, StopIteration, IndexError, KeyError, ValueError):
        raise InputError(f"{path}: not readable as a video; restore or re-encode it") from None
