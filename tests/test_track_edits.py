from collections.abc import Callable

import numpy as np
import pytest

from app.gui.path.lines import MOST_FRUSTA, at_eye, path_lines
from app.track_edits import aimed, all_aimed, lasting, with_fov, with_fps, with_seconds, with_time
from renderer.errors import InputError
from renderer.tracks import Keyframe, Track
from tests.tiny import camera_at

UP = np.array([0.0, -1.0, 0.0])


def some_track(count: int = 4, closed: bool = False) -> Track:
    keyframes = (Keyframe(camera_at(0.2 * k), k / (count - 1), 1.0 + k) for k in range(count))
    return Track(tuple(keyframes), closed=closed)


@pytest.mark.parametrize("closed", [False, True])
def test_other_seconds_of_a_path_keep_the_shares_of_its_transitions(closed: bool) -> None:
    track = some_track(closed=closed)
    longer = lasting(track, 12.5)
    assert longer.seconds == pytest.approx(12.5)
    shares = np.array(track.moments) / track.seconds
    np.testing.assert_allclose(np.array(longer.moments) / 12.5, shares)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-5, 1e7])
def test_seconds_that_no_transition_can_take_are_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="Seconds"):
        lasting(some_track(), seconds)
    with pytest.raises(InputError, match="another keyframe"):
        lasting(some_track(2).removed(0), 3.0)


def test_an_aimed_camera_has_the_point_in_the_middle_and_stays_upright_where_it_is() -> None:
    point = np.array([0.7, -0.4, 0.3])
    track = some_track()
    for before, after in zip(track.keyframes, all_aimed(track, point, UP).keyframes, strict=True):
        np.testing.assert_allclose(after.camera.center, before.camera.center, atol=1e-12)
        pixel, depth = after.camera.project(point[None])
        np.testing.assert_allclose(pixel[0], [after.camera.cx, after.camera.cy], atol=1e-9)
        assert depth[0] > 0
        right, down = after.camera.world_to_camera[:2, :3]
        assert abs(right @ UP) < 1e-12
        assert down @ UP < 0
        assert (after.time, after.seconds, after.camera.fov_y) == (before.time, before.seconds, before.camera.fov_y)


def test_aiming_straight_up_or_at_the_camera_itself_gives_a_camera() -> None:
    camera = camera_at(0.3)
    assert aimed(camera, camera.center, UP) == camera
    above = aimed(camera, camera.center + 2 * UP, UP).world_to_camera[:3, :3]
    np.testing.assert_allclose(above @ above.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(above[2], UP, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "value"),
    [(with_time, 1.01), (with_time, -0.1), (with_seconds, 0.0), (with_fov, 0.0), (with_fov, 180.0)],
)
def test_what_cannot_be_typed_into_a_keyframe_is_said(
    change: Callable[[Keyframe, float], Keyframe], value: float
) -> None:
    with pytest.raises(InputError, match=f"{value:g}"):
        change(some_track().keyframes[0], value)


def test_frames_per_second_that_cannot_be_are_refused() -> None:
    assert with_fps(some_track(), 24).frame_count == round(24 * some_track().seconds)
    with pytest.raises(InputError, match="Frames per second"):
        with_fps(some_track(), 0)


def test_the_preview_runs_along_the_path_with_a_bright_frustum_at_the_selected_keyframe() -> None:
    track = some_track()
    lines = path_lines(track, 2, 0.1)
    way, frusta = lines.segments[:-32], lines.segments[-32:]  # eight edges for each of four keyframes
    np.testing.assert_allclose(way[0, 0], track.keyframes[0].camera.center, atol=1e-6)
    np.testing.assert_allclose(way[-1, 1], track.keyframes[3].camera.center, atol=1e-6)
    np.testing.assert_allclose(way[1:, 0], way[:-1, 1])
    np.testing.assert_allclose(frusta[-8:-4, 0], np.tile(track.keyframes[2].camera.center, (4, 1)), atol=1e-6)
    assert lines.colors[-8:, :3].mean() > lines.colors[:-8, :3].mean() + 0.1


def test_the_frustum_that_the_eye_is_in_is_not_drawn() -> None:
    track = some_track()
    eye = track.keyframes[1].camera.center + 0.01
    assert at_eye(track, 1, 0.1, eye) == (1,)
    assert len(path_lines(track, 1, 0.1).segments) - len(path_lines(track, 1, 0.1, {1}).segments) == 8


def test_of_hundreds_of_keyframes_some_are_drawn_and_the_selected_one() -> None:
    track = some_track(300)
    assert len(path_lines(track, 151, 0.1).segments) < 700 + 8 * MOST_FRUSTA
    assert (path_lines(track, 151, 0.1).colors[-8:] == path_lines(some_track(), 1, 0.1).colors[-8:]).all()
