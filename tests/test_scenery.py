"""What is drawn into the scene to find one's way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app import protocol as p
from app.gui import scenery as module
from app.gui.scenery import corners, distinct_shots, scenery, thumbnails, typical_depth
from app.gui.stage import Stage
from renderer.picture import Lines
from tests.tiny import camera_at, tiny_dataset
from training.config import TrainConfig


def opened(cameras: int = 3, frames: int = 4) -> p.Opened:
    """A clip of cameras on tripods, the last one held out."""
    clip = tiny_dataset(frames)
    shots = tuple(
        replace(clip.shots[0], camera_name=f"{c}", camera=camera_at(0.3 * c), time=k / (frames - 1), frame=k,
                split="test" if c == cameras - 1 else "train")
        for k in range(frames) for c in range(cameras)
    )  # fmt: skip
    return p.Opened(
        "tiny", "tiny", shots, shots[0].camera, (0, 0, 0), clip.up, (1, 5), np.array([[-1.0] * 3, [1.0] * 3]), 30.0,
        frames, 0, 10, Path(), TrainConfig(), "gaussians",
    )  # fmt: skip


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.open(opened())
    return stage


def drawn(stage: Stage) -> np.ndarray:
    lines = scenery(stage)
    return np.zeros((0, 2, 3), np.float32) if lines is None else lines.segments


def test_every_place_of_a_camera_is_a_pyramid_of_eight_lines_from_its_eye(stage: Stage) -> None:
    assert scenery(stage) is None, "nothing was asked for"
    stage.cameras_shown = True
    segments = drawn(stage)
    assert len(distinct_shots(opened())) == 3 and segments.shape == (3 * 8, 2, 3)
    for c in range(3):
        eye = camera_at(0.3 * c).center
        assert (np.linalg.norm(segments[:, 0] - eye, axis=1) < 1e-6).sum() == 4


def test_lines_of_the_clip_are_made_once_and_anew_where_something_else_is_shown(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[p.Opened] = []
    original = module.distinct_shots
    monkeypatch.setattr(module, "distinct_shots", lambda o: (made.append(o), original(o))[1])
    stage.cameras_shown = True
    first = drawn(stage)
    np.testing.assert_array_equal(drawn(stage), first)
    assert len(made) == 1
    stage.box_shown = True
    assert len(drawn(stage)) == len(first) + 12 and len(made) == 2
    stage.box_shown = False
    moved = tuple(replace(shot, camera=camera_at(1.0 + 0.3 * int(shot.camera_name))) for shot in opened().shots)
    stage.cameras_moved(p.CamerasMoved(moved, ()))
    assert np.abs(drawn(stage) - first).max() > 0.1 and len(made) == 3, "learned cameras are elsewhere"
    stage.open(opened(2))
    assert len(drawn(stage)) == 2 * 8, "another scene"


def test_lines_of_panels_come_and_go_beside_those_of_the_clip(stage: Stage) -> None:
    stage.axes_shown = True
    assert len(drawn(stage)) == 3
    stage.drawn["path"] = Lines(np.zeros((5, 2, 3), np.float32), np.ones((5, 4), np.float32))
    assert len(drawn(stage)) == 8
    stage.drawn["path"] = None
    assert len(drawn(stage)) == 3


def test_thumbnails_lie_on_the_pictures_of_their_cameras_and_follow_them(stage: Stage) -> None:
    stage.cameras_shown = True
    stage.thumbnails = {1: np.zeros((3, 4, 3), np.uint8), 99: np.zeros((3, 4, 3), np.uint8)}
    (found,) = thumbnails(stage)
    size = typical_depth(opened()) * module.FRUSTUM_SHARE
    np.testing.assert_allclose(found.corners, corners(camera_at(0.3), size), atol=1e-6)
    assert thumbnails(stage)[0] is found, "of the same cameras they are the same"
    moved = tuple(replace(shot, camera=camera_at(2.0)) for shot in opened().shots)
    stage.cameras_moved(p.CamerasMoved(moved, ()))
    assert np.abs(thumbnails(stage)[0].corners - found.corners).max() > 0.1
    stage.cameras_shown = False
    assert thumbnails(stage) == ()
