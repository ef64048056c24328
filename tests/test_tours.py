from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.cli import PATHS, Render
from app.tours import MOST_INPUTS, PRESETS, Stage, novel_path
from renderer.errors import InputError
from renderer.view import View
from tests.tiny import camera_at, tiny_dataset
from training.data.dataset import Shot

UP = (0.0, -1.0, 0.0)
CENTER = (0.05, 0.1, 0.2)
PRESENT = View(camera_at(0.9, distance=2.0), 0.37)


def stage() -> Stage:
    shots = [
        Shot(name, camera_at(angle), k / 3, k, "train")
        for name, angle in (("left", -0.4), ("middle", 0.05), ("right", 0.4))
        for k in range(4)
    ]
    return Stage(shots, camera_at(0.05), CENTER, UP, PRESENT)


def moving() -> Stage:
    """A clip of one camera that moves, its shots out of order."""
    shots = [Shot("hand", camera_at(0.01 * k), k / 40, k, "train") for k in (*range(20, 41), *range(20))]
    return replace(stage(), shots=shots)


@pytest.mark.parametrize("title", PRESETS)
@pytest.mark.parametrize("make", [stage, moving])
def test_a_preset_has_few_keyframes_and_takes_the_seconds_asked_for(title: str, make: Callable[[], Stage]) -> None:
    track = PRESETS[title](make(), 3.0)
    assert track.seconds == pytest.approx(3)
    assert 2 <= len(track.keyframes) <= 17
    views = track.views(40, 30)
    assert len(views) == 90
    assert all(np.isfinite(v.camera.world_to_camera).all() and 0 <= v.time <= 1 for v in views)
    steps = [np.linalg.norm(a.camera.center - b.camera.center) for a, b in pairwise(views)]
    assert max(steps) < 0.2  # of 3 units from the centre: nothing leaps


@pytest.mark.parametrize("title", ["Orbit", "Spiral", "Dolly", "Bullet Time"])
def test_the_centre_stays_where_it_is_in_the_picture_at_home(title: str) -> None:
    given = stage()
    expected, _ = given.home.project(np.array([CENTER]))
    for view in PRESETS[title](given, 2.0).views(40, 30, 200):
        seen, depth = view.camera.project(np.array([CENTER]))
        assert depth[0] > 1
        np.testing.assert_allclose(seen, expected, atol=0.1)  # of 40 pixels, keyframes or not


@pytest.mark.parametrize("keyframes", [True, False])
def test_a_sway_goes_along_with_a_single_moving_camera(keyframes: bool) -> None:
    given = moving()
    whole = novel_path(given.shots, given.home, CENTER, UP, 81)
    views = PRESETS["Orbit"](given, 4.0).views(40, 30, 81) if keyframes else whole
    apart = []
    for view in views:
        filmed = camera_at(0.01 * 40 * view.time).center - np.array(CENTER)
        arm = view.camera.center - np.array(CENTER)
        cosine = arm @ filmed / np.linalg.norm(arm) / np.linalg.norm(filmed)
        apart.append(np.degrees(np.arccos(min(1.0, cosine))))
    assert views[0].time == 0 and views[-1].time > 0.98
    assert 3 < max(apart) < 5 and min(apart) < 0.2


@pytest.mark.parametrize("title", ["Orbit", "Spiral", "Bullet Time"])
def test_a_sway_stays_between_the_cameras_and_comes_back(title: str) -> None:
    track = PRESETS[title](stage(), 2.0)
    line = track.polyline(400)
    angles = np.arctan2(line[:, 0] - CENTER[0], -(line[:, 2] - CENTER[2]))
    assert -0.45 < angles.min() < -0.2 and 0.2 < angles.max() < 0.45
    np.testing.assert_allclose(line[0], line[-1], atol=1e-9)


def test_an_orbit_is_the_command_lines_own_path_with_keyframes_in_it() -> None:
    given = stage()
    track = PRESETS["Orbit"](given, 4.0)
    whole = novel_path(given.shots, given.home, CENTER, UP, 400)
    for k, view in enumerate(whole):
        there = track.view_at(4 * k / 400)
        assert np.linalg.norm(there.camera.center - view.camera.center) < 0.05  # of 3 units from the centre
        assert there.time == pytest.approx(k / 400, abs=0.01)


def test_bullet_time_stands_still_and_has_no_end() -> None:
    track = PRESETS["Bullet Time"](stage(), 2.0)
    assert track.closed
    assert {v.time for v in track.views(40, 30)} == {0.37}


def test_a_dolly_goes_straight_to_the_centre_and_away_from_it() -> None:
    given = stage()
    axis = given.home.center - np.array(CENTER)
    away = PRESETS["Dolly"](given, 4.0).polyline(100) - np.array(CENTER)
    assert np.linalg.norm(np.cross(away, axis / np.linalg.norm(axis)), axis=1).max() < 1e-9
    distances = np.linalg.norm(away, axis=1) / np.linalg.norm(axis)
    assert distances.min() == pytest.approx(0.65, abs=0.01) and distances.max() == pytest.approx(1.25, abs=0.01)
    assert distances[[0, -1]] == pytest.approx(1)


def test_a_fixed_camera_shows_the_present_view_through_time() -> None:
    views = PRESETS["Fixed Camera"](stage(), 2.0).views(40, 30, 11)
    for view in views:
        np.testing.assert_allclose(view.camera.world_to_camera, PRESENT.camera.world_to_camera, atol=1e-9)
        assert view.camera.fy == pytest.approx(PRESENT.camera.fy)
    np.testing.assert_allclose([v.time for v in views], np.linspace(0, 1, 11))


def test_through_the_inputs_passes_each_camera_or_follows_a_moving_one() -> None:
    track = PRESETS["Through the Inputs"](stage(), 2.0)
    assert [k.camera for k in track.keyframes] == [camera_at(a) for a in (-0.4, 0.05, 0.4)]
    assert [k.time for k in track.keyframes] == [0, 0.5, 1]
    track = PRESETS["Through the Inputs"](moving(), 2.0)
    assert len(track.keyframes) == MOST_INPUTS
    for k in track.keyframes:
        assert k.camera == camera_at(0.01 * round(40 * k.time))
    assert [track.keyframes[0].time, track.keyframes[-1].time] == [0, 1]


def test_a_camera_that_looks_down_from_above_can_sway_as_well() -> None:
    above = camera_at(0.05)
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # looks along +y, which points down
    pose[:3, 3] = [0, 0, 3]
    given = replace(stage(), home=above.moved(pose), center=(0.0, 0.0, 0.0))
    for title in ("Orbit", "Spiral", "Dolly", "Bullet Time"):
        for view in PRESETS[title](given, 2.0).views(40, 30):
            seen, _ = view.camera.project(np.zeros((1, 3)))
            np.testing.assert_allclose(seen, [[20, 15]], atol=0.1)


@pytest.mark.parametrize("name", PATHS)
def test_the_command_line_takes_every_path_by_name(name: str) -> None:
    views, fps = Render(Path("run"), path=name, frames=7, time=0.25, scale=2).views(tiny_dataset())
    assert (len(views), fps) == (7, 30)
    assert {(v.camera.width, v.camera.height) for v in views} == {(80, 60)}
    times = [v.time for v in views]
    np.testing.assert_allclose(times, [0.25] * 7 if name == "bullet" else np.linspace(0, 1, 7), atol=0.1)


def test_wrong_paths_of_the_command_line_get_a_sentence() -> None:
    for wrong, said in (
        (Render(Path("run"), path="bullit"), "bullit.*spiral"),
        (Render(Path("run"), time=2), "--time"),
    ):
        with pytest.raises(InputError, match=said):
            wrong.views(tiny_dataset())
