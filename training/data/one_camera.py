"""What clips of one camera have in common: which of its pictures are used, and when each was filmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderer.camera import Camera
from training.data.dataset import Shot

RECORD = "prepare.json"
"""What a prepared folder says of itself."""
LONGEST_NUMBER = 9
"""Digits of a frame's number."""


@dataclass(frozen=True)
class Clock:
    """``pictures``: places of those that are used among all pictures. ``frames``: of each the frame on the clip's
    clock, from 0. ``seconds``: from the first to the last of them."""

    pictures: Sequence[int]
    frames: Sequence[int]
    seconds: float

    def time(self, frame: int) -> float:
        """In [0, 1]."""
        return frame / max(1, self.frames[-1])

    def shots(self, camera: Callable[[int], Camera]) -> list[Shot]:
        """A shot for each, with the camera of its place among all pictures."""
        return [
            Shot("camera", camera(i), self.time(frame), frame, picture=i)
            for i, frame in zip(self.pictures, self.frames, strict=True)
        ]


def clock(filmed: Sequence[int], step: int, fps: float) -> Clock:
    """Of pictures by the frames that they were ``filmed`` at, from 0 and rising, those of every ``step``-th frame."""
    used = [i for i, number in enumerate(filmed) if number % step == 0]
    return Clock(used, [filmed[i] // step for i in used], filmed[used[-1]] / fps)


def paths_of(shots: Sequence[Shot], files: Sequence[Path]) -> list[Path]:
    """The pictures of one camera's shots, of all its ``files``."""
    return [files[shot.picture] for shot in shots if shot.picture is not None]


def filmed_at(folder: Path, files: Sequence[Path]) -> list[int]:
    """Of each picture in order the frame that it was filmed at, 0 for the first: of a prepared folder, which leaves
    pictures without a pose out, by the numbers of their names, else by their places."""
    count, stems = _recorded(folder, "frames"), [file.stem for file in files]
    if isinstance(count, int) and all(s.isascii() and s.isdecimal() and len(s) <= LONGEST_NUMBER for s in stems):
        numbers = [int(stem) for stem in stems]
        if numbers == sorted(set(numbers)) and numbers[-1] < count:
            return [number - numbers[0] for number in numbers]
    return list(range(len(files)))


def recorded_rate(folder: Path, otherwise: float) -> float:
    """Frames per second of a prepared clip's pictures; ``otherwise`` where a folder was not prepared."""
    rate = _recorded(folder, "fps")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else otherwise


def _recorded(folder: Path, key: str) -> Any:
    """What a folder's record says; None where it was not prepared."""
    try:
        return json.loads((folder / RECORD).read_text())[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
