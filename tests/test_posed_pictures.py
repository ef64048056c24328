"""From pictures with cameras and moments of their own to a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from renderer.errors import InputError
from tests.tiny import camera_at
from training.data.dataset import Dataset
from training.data.layouts import DataOptions
from training.data.posed_pictures import Known, PosedPicture, posed_clip

FULL = DataOptions(megapixels=1.0)
FOLDER = Path("clip")


def plain(value: int, width: int = 40, height: int = 30) -> Callable[[], np.ndarray]:
    return lambda: np.full((height, width, 3), value, np.uint8)


def at(moments: Sequence[float]) -> list[PosedPicture]:
    """One camera that moves."""
    return [PosedPicture(FOLDER / f"{k}.png", camera_at(0.1 * k), plain(k), m) for k, m in enumerate(moments)]


def clip(pictures: Sequence[PosedPicture], options: DataOptions = FULL) -> Dataset:
    return posed_clip(FOLDER, pictures, Known(bounds=(1, 9)), options)


@pytest.mark.parametrize(
    ("moments", "frames", "times"),
    [([7, 9, 11, 15], [0, 1, 2, 4], [0, 0.25, 0.5, 1]),  # 13 is missing
     ([0.2, 0.3, 0.4, 0.6], [0, 1, 2, 4], [0, 0.25, 0.5, 1]),
     ([1000, 1033, 1067, 1100, 1133], [0, 1, 2, 3, 4], [0, 33 / 133, 67 / 133, 100 / 133, 1]),  # milliseconds
     ([0.5, 0, 1], [1, 0, 2], [0.5, 0, 1])],
)  # fmt: skip
def test_the_clock_ticks_as_the_pictures_do(moments: list[float], frames: list[int], times: list[float]) -> None:
    dataset = clip(at(moments))
    shots = {int(dataset.read(i)[0, 0, 0]): dataset.shots[i] for i in range(len(moments))}
    assert [shots[k].frame for k in range(len(moments))] == frames
    assert [shots[k].time for k in range(len(moments))] == pytest.approx(times)
    assert [s.frame for s in dataset.shots] == sorted(frames)
    assert dataset.duration == pytest.approx(max(frames) / 30)


def test_every_nth_instant_is_used_and_the_clock_is_as_long() -> None:
    dataset = clip(at(range(10)), DataOptions(megapixels=1.0, frame_step=3))
    assert [(s.frame, s.time) for s in dataset.shots] == [(k, pytest.approx(k / 3)) for k in range(4)]
    assert [int(dataset.read(i)[0, 0, 0]) for i in range(4)] == [0, 3, 6, 9]
    assert dataset.duration == pytest.approx(9 / 30)


@pytest.mark.parametrize(
    ("paths", "names"),
    [(["a/0.png", "b/0.png", "a/1.png", "b/1.png"], ["a", "b"]),
     (["x/left_0.png", "x/right_0.png", "x/left_1.png", "x/right_1.png"], ["left", "right"]),
     (["x/00.png", "x/01.png", "x/02.png", "x/03.png"], ["camera0", "camera1"])],
)  # fmt: skip
def test_pictures_of_one_instant_are_of_different_cameras(paths: list[str], names: list[str]) -> None:
    pictures = [
        PosedPicture(FOLDER / path, camera_at(0.3 * (k % 2)), plain(k), k // 2) for k, path in enumerate(paths)
    ]  # fmt: skip
    dataset = clip(pictures)
    assert [(s.camera_name, s.frame) for s in dataset.shots] == [(n, k) for n in names for k in (0, 1)]
    assert [int(dataset.read(i)[0, 0, 0]) for i in range(4)] == [0, 2, 1, 3]
    assert dataset.indices("test") == []  # of two cameras none is held out
    held = clip(pictures, DataOptions(megapixels=1.0, holdout=(names[1],)))
    assert {held.shots[i].camera_name for i in held.indices("test")} == {names[1]}


def test_cameras_may_have_pictures_of_different_sizes() -> None:
    pictures = [
        PosedPicture(FOLDER / f"{n}/{k}.png", camera_at(0.3 * n, 40 + 8 * n), plain(10 * n + k, 40 + 8 * n), k, f"c{n}")
        for k in range(3)
        for n in range(2)
    ]
    dataset = clip(pictures)
    for i, shot in enumerate(dataset.shots):
        image = dataset.read(i)
        assert image.shape == (shot.camera.height, shot.camera.width, 3)
        assert image[0, 0, 0] == 10 * int(shot.camera_name[1]) + shot.frame


def test_too_little_to_learn_from_is_said() -> None:
    with pytest.raises(InputError, match="two at least"):
        clip(at([0]))
    with pytest.raises(InputError, match="no pictures in this clip"):
        clip([])
