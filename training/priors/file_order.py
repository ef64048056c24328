"""Which of the files beside a clip belongs to which picture, when they are one per frame of the whole clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset, Shot
from training.data.rig import number_order


def order_of(dataset: Dataset) -> Callable[[Path], list[int | str]]:
    """What files are sorted by so that they follow the clip's pictures: where those go by their names, as in LLFF's
    table, by name, else by the numbers in names."""
    if dataset.pictures and list(dataset.pictures) == sorted(dataset.pictures):
        return lambda path: [path.name]
    return lambda path: number_order(path.name)


def clock_frames(dataset: Dataset) -> int:
    """Number of frames on the clip's whole clock, also of those that are neither trained on nor held out."""
    last = max(dataset.shots, key=lambda shot: shot.time)
    return round(last.frame / last.time) + 1 if last.time > 0 else dataset.frame_count


def file_number(dataset: Dataset, shot: Shot, count: int, folder: Path, stems: Sequence[str] = ()) -> int:
    """Which of ``count`` files, in order, is a shot's: the one named as its picture where all pictures have one among
    ``stems``, the files' names without their endings; else one per picture of the clip, or one per frame of its clock,
    of which every n-th may be used. InputError that names ``folder`` when none fits."""
    if shot.picture is not None:
        if set(dataset.pictures) <= set(stems):
            return stems.index(dataset.pictures[shot.picture])
        if len(dataset.pictures) == count:
            return shot.picture
    step = clock_step(dataset, count)
    if step is None:
        frames = len(dataset.pictures) or clock_frames(dataset)
        raise InputError(f"{folder}: holds {count} frames for a clip of {frames}; give one file per picture")
    return shot.frame * step


def clock_step(dataset: Dataset, count: int) -> int | None:
    """Every how many of ``count`` frames the clip uses; None where that number does not fit its clock."""
    frames = clock_frames(dataset)
    for step in range(1, max(1, count) + 1):
        used = len(range(0, count, step))
        if used == frames:
            return step
        if used < frames:
            break
    return None
