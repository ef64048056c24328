"""Which of the files beside a clip belongs to which picture, when they are one per frame of the whole clip."""

from __future__ import annotations

from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset, Shot


def clock_frames(dataset: Dataset) -> int:
    """Number of frames on the clip's whole clock, also of those that are neither trained on nor held out."""
    last = max(dataset.shots, key=lambda shot: shot.time)
    return round(last.frame / last.time) + 1 if last.time > 0 else dataset.frame_count


def file_number(dataset: Dataset, shot: Shot, count: int, folder: Path) -> int:
    """Which of ``count`` files, in the order of their names, is a shot's: one per frame of the clock, or one per
    picture of a clip of which only every n-th is used. InputError that names ``folder`` when neither fits."""
    frames = clock_frames(dataset)
    for step in range(1, max(1, count) + 1):
        used = len(range(0, count, step))
        if used == frames:
            return shot.frame * step
        if used < frames:
            break
    raise InputError(f"{folder}: holds {count} frames for a clip of {frames}; give one file per picture")
