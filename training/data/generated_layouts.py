"""What all layouts of generated views have in common: the clip's clock and sizes, and pictures in files or videos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, Shot
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.images import FileFrames, Image, VideoFrames, ffmpeg_name, fitted_size, video_info
from training.data.loading import DataOptions, Report

AGAIN = "generate it again"
"""What to do about a generated picture."""
LARGEST = 1e12
"""No number in a file is as large as this."""


class Pictures(Protocol):
    """Pictures (H, W, 3) uint8 by index."""

    def __getitem__(self, index: int) -> Image: ...


@dataclass(frozen=True)
class Clip:
    """What the layouts use of the clip that the views were generated of."""

    dataset: Dataset
    options: DataOptions
    report: Report

    @cached_property
    def _last(self) -> Shot:
        return max(self.dataset.shots, key=lambda shot: shot.frame)

    @property
    def frame_count(self) -> int:
        """Number of instants on the clip's clock."""
        return self._last.frame + 1

    def frame_of(self, instant: int, path: Path) -> int | None:
        """The frame on the clip's clock of an ``instant`` counted as filmed; None where ``frame_step`` leaves it out.

        InputError that names ``path`` when the clip has ended before.
        """
        frame, rest = divmod(instant, self.options.frame_step)
        if instant < 0 or frame >= self.frame_count:
            raise InputError(
                f"{path}: shows instant {instant} (from 0), but {self.dataset.name} has only "
                f"{self.frame_count} frames at a frame step of {self.options.frame_step}; generate from this "
                "clip or take the rest out"
            )
        return None if rest else frame

    def time_of(self, frame: int) -> float:
        """The time in [0, 1] of a frame, as the clip counts it: k / (n - 1)."""
        return frame * self._last.time / self._last.frame if self._last.frame else 0.0

    def training_cameras(self) -> list[Camera]:
        """The first camera of each name that is trained on, in the clip's order."""
        shots = [self.dataset.shots[i] for i in self.dataset.indices("train")]
        found: dict[str, Camera] = {}
        for shot in shots:
            found.setdefault(shot.camera_name, shot.camera)
        return list(found.values())

    def fitted(self, camera: Camera, width: int, height: int) -> Camera:
        """A camera for pictures of (width, height) as they are loaded: shrunk, drawing from the clip's near on. The
        field of view is kept along both axes."""
        size = fitted_size(width, height, self.options.megapixels)
        return replace(camera.resized(*size), near=self.dataset.shots[0].camera.near)


@dataclass
class Collected:
    """Views as they are gathered: cameras, frames, and for each frame where its picture is."""

    cameras: list[Camera] = field(default_factory=list)
    frames: list[GeneratedFrame] = field(default_factory=list)
    places: list[tuple[Pictures, int]] = field(default_factory=list)

    def add(self, pose: int, frame: int, time: float, pictures: Pictures, index: int) -> None:
        """One more picture."""
        self.frames.append(GeneratedFrame(pose, time, frame))
        self.places.append((pictures, index))

    def views(self, source: str) -> GeneratedViews:
        """What was gathered; InputError when it is nothing."""
        if not self.frames:
            raise InputError(f"{source}: holds no generated picture of an instant that is used; generate some")
        places = self.places
        return GeneratedViews(source, self.cameras, self.frames, lambda i: places[i][0][places[i][1]])


def video_frames(path: Path) -> tuple[int, int, int]:
    """(count, width, height) of a video; InputError when it is none."""
    info = video_info(path)
    try:
        count = int(imageio_ffmpeg.count_frames_and_secs(ffmpeg_name(path))[0])
    except (OSError, RuntimeError, ValueError):
        count = 0
    if count < 1:
        raise InputError(f"{path}: not readable as a video; generate it again")
    return count, info.width, info.height


def in_order(folder: Path) -> list[Path]:
    """The pictures of a folder, by the number at the end of their names where all have one, else by name.

    InputError when there are none, or when a number is missing between the first and the last.
    """
    files = poses.image_files(folder)
    ends = [re.search(r"(\d+)$", file.stem) for file in files]
    numbers = {int(end[1]): file for end, file in zip(ends, files, strict=True) if end}
    if len(numbers) < len(files):
        return files
    ordered = sorted(numbers)
    for a, b in pairwise(ordered):
        if b != a + 1:
            raise InputError(f"{folder}: has no picture {a + 1} though it has {b}; generate it again")
    return [numbers[k] for k in ordered]


def number(value: object, what: str, path: Path, above: float = -LARGEST) -> float:
    """A finite number above a bound; InputError that names the file and what the number is."""
    if isinstance(value, int | float) and above < value < LARGEST:
        return float(value)
    needed = "a number" if above == -LARGEST else f"a number above {above:g}"
    raise InputError(f"{path}: {what} is not {needed}; restore it")


def pinhole(pose: NDArray[np.float64], entry: dict[str, Any], keys: Sequence[str], name: str, path: Path) -> Camera:
    """The camera of a rigid world-to-camera (4, 4) and of six entries: fx, fy, cx, cy, width, height under ``keys``.

    Pixels count from the picture's corner. InputError when one is not a number above zero.
    """
    fx, fy, cx, cy, width, height = (number(entry.get(key), f"{key} of {name}", path, above=0) for key in keys)
    if width < 1 or height < 1:
        raise InputError(f"{path}: the size of {name} is less than a pixel; restore it")
    return Camera(pose, fx, fy, cx, cy, int(width), int(height))


def files(paths: Sequence[Path], size: tuple[int, int], options: DataOptions, share: int) -> Pictures:
    """Pictures in files, shrunk to (width, height), with one of ``share`` parts of the memory for pictures."""
    return FileFrames(paths, size, options.cache_bytes // max(1, share))


def video(path: Path, frames: Sequence[int], size: tuple[int, int], options: DataOptions, share: int) -> Pictures:
    """Chosen frames of a video, shrunk to (width, height), with one of ``share`` parts of the memory for pictures."""
    return VideoFrames(path, frames, size, options.cache_bytes // max(1, share), lambda text: None)
