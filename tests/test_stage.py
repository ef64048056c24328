"""What is looked at, without widgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.gui.stage import PATH, Spot, Stage
from renderer.view import View
from tests.test_scenery import opened
from tests.tiny import camera_at
from training.data.dataset import Shot


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.open(opened(frames=4))
    return stage


def spot(point: tuple[float, float, float] | None) -> Spot:
    return Spot(None if point is None else np.array(point), View(camera_at(0.0), 0.0), (1, 2), (1.0, 1.0, 1.0))


def test_the_point_that_was_picked_is_the_last_mark_that_lies_somewhere(stage: Stage) -> None:
    assert stage.picked_point is None
    stage.spots["rays"] = [spot((1, 2, 3)), spot((4, 5, 6)), spot(None)]
    np.testing.assert_array_equal(stage.picked_point, [4, 5, 6])
    stage.spots["rays"] = [spot(None)]
    assert stage.picked_point is None


def test_leaving_ends_a_flight_and_a_line_that_is_to_be_drawn(stage: Stage) -> None:
    stage.flown_by, stage.drawing_line, before = PATH, True, stage.version
    stage.leave()
    assert (stage.flown_by, stage.drawing_line) == ("", False) and stage.version > before
    quiet = stage.version
    stage.leave()
    assert stage.version == quiet, "there was nothing to leave, and nothing to draw anew"


def test_seconds_are_counted_from_the_first_frame_to_the_last(stage: Stage) -> None:
    assert stage.seconds(1.0) == pytest.approx(3 / 30) and stage.seconds(0.5) == pytest.approx(1.5 / 30)
    stage.open(opened(frames=2))
    assert stage.seconds(1.0) == pytest.approx(1 / 30)
    stage.close()
    assert stage.seconds(0.25) == 0.25


def test_another_scene_keeps_what_a_person_wants_to_see_of_every_scene(stage: Stage) -> None:
    stage.cameras_shown, stage.axes_shown, stage.time = True, True, 0.7
    stage.spots["rays"], stage.thumbnails = [spot((1, 2, 3))], {0: np.zeros((2, 2, 3), np.uint8)}
    stage.open(opened())
    assert (stage.cameras_shown, stage.axes_shown, stage.box_shown) == (True, True, False)
    assert (stage.time, stage.spots, stage.thumbnails, stage.clip_lines) == (0.0, {}, {}, None)


def hand_held(turn: float) -> Stage:
    """A clip of one camera that goes ``turn`` radians around, 9 frames, opened; its home is in the middle."""
    shots = tuple(Shot("hand", camera_at(turn * (k / 8 - 0.5)), k / 8, k, "train") for k in (*range(4, 9), *range(4)))
    stage = Stage()
    stage.open(replace(opened(frames=9), shots=shots, home=camera_at(0.0)))
    return stage


def looks(stage: Stage) -> np.ndarray:
    assert stage.viewpoint is not None
    return stage.viewpoint.camera.camera_to_world


def test_the_view_goes_along_with_a_camera_that_moves_far() -> None:
    stage = hand_held(1.0)
    assert stage.follows is True
    np.testing.assert_allclose(looks(stage), camera_at(-0.5).camera_to_world, atol=1e-9)  # where it is at first
    for time in (0.5, 0.125, 1.0):
        stage.set_time(time)
        np.testing.assert_allclose(looks(stage), camera_at(time - 0.5).camera_to_world, atol=1e-6)
    stage.set_time(0.5)
    stage.move(stage.viewpoint.orbited(0.1, 0.0))
    aside = np.linalg.inv(camera_at(0.0).camera_to_world) @ looks(stage)
    stage.set_time(0.25)
    np.testing.assert_allclose(looks(stage), camera_at(-0.25).camera_to_world @ aside, atol=1e-6)
    stage.follows, here = False, looks(stage)
    stage.set_time(0.75)
    np.testing.assert_array_equal(looks(stage), here)


def test_the_view_stays_where_the_camera_hardly_moves_or_there_are_several() -> None:
    still, rig = hand_held(0.05), Stage()
    rig.open(opened(frames=4))
    for stage in (still, rig):
        here = looks(stage)
        stage.set_time(0.75)
        assert stage.follows is False
        np.testing.assert_array_equal(looks(stage), here)
    still.follows = True
    still.go_home()
    np.testing.assert_allclose(looks(still), camera_at(0.05 * 0.25).camera_to_world, atol=1e-9)
