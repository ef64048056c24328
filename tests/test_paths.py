import json
from pathlib import Path

import numpy as np
import pytest

from renderer.errors import InputError
from renderer.paths import focus_point, input_path, load_path, orbit_path, save_path, sway_angles
from renderer.tracks import Keyframe, Track, save_track
from tests.tiny import camera_at

UP = np.array([0.0, -1.0, 0.0])


def test_focus_point_is_where_the_axes_meet() -> None:
    cameras = [camera_at(a) for a in (-0.5, 0.1, 0.6)]
    np.testing.assert_allclose(focus_point(cameras, 0.5, 10), np.zeros(3), atol=1e-6)


def test_focus_point_of_a_still_camera_lies_between_near_and_far() -> None:
    camera = camera_at(0.2)
    depth = camera.project(focus_point([camera, camera], 2.0, 6.0)[None])[1][0]
    assert depth == pytest.approx(2 / (1 / 2 + 1 / 6))


def test_orbit_starts_at_home_and_keeps_its_framing_and_distance() -> None:
    home = camera_at(0.3)
    center = np.array([0.2, 0.1, 0.0])
    views = orbit_path(home, center, UP, 12, (0.4, 0.1))
    np.testing.assert_allclose(views[0].camera.world_to_camera, home.world_to_camera, atol=1e-9)
    expected, _ = home.project(center[None])
    for view in views:
        seen, _ = view.camera.project(center[None])
        np.testing.assert_allclose(seen, expected, atol=1e-6)
        assert np.linalg.norm(view.camera.center - center) == pytest.approx(np.linalg.norm(home.center - center))
    assert [views[0].time, views[-1].time] == [0, 1]


def test_orbit_reaches_its_sideways_angle() -> None:
    home = camera_at(0.0)
    views = orbit_path(home, np.zeros(3), UP, 40, (0.4, 0.0))
    flat = [v.camera.center[[0, 2]] for v in views]
    angles = [np.arctan2(c[0], -c[1]) for c in flat]
    assert max(np.abs(angles)) == pytest.approx(0.4, abs=0.01)


def test_orbit_stays_between_the_cameras() -> None:
    cameras = [camera_at(a) for a in (-0.4, 0.0, 0.4)]
    sideways, vertical = sway_angles(cameras, np.zeros(3))
    assert 0.2 < sideways <= 0.4
    assert 0 < vertical < sideways


def test_input_path_passes_through_the_cameras() -> None:
    cameras = [camera_at(a) for a in (-0.4, 0.0, 0.4)]
    views = input_path(cameras, 5)
    for k, camera in ((0, cameras[0]), (2, cameras[1]), (4, cameras[2])):
        np.testing.assert_allclose(views[k].camera.world_to_camera, camera.world_to_camera, atol=1e-9)


def test_a_saved_path_loads_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "camera_path.json"
    views = orbit_path(camera_at(0.1), np.zeros(3), UP, 6, (0.3, 0.1))
    save_path(file, views, 24)
    loaded, fps = load_path(file, near=0.01)
    assert fps == 24
    assert len(loaded) == 6
    for a, b in zip(views, loaded, strict=True):
        np.testing.assert_allclose(a.camera.world_to_camera, b.camera.world_to_camera, atol=1e-9)
        assert b.camera.fy == pytest.approx(a.camera.fy)
        assert b.time == pytest.approx(a.time)


def test_a_path_of_nerfstudio_uses_opengl_axes(tmp_path: Path) -> None:
    entry = {"camera_to_world": np.eye(4).reshape(-1).tolist(), "fov": 90.0, "aspect": 1.0}
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"camera_path": [entry], "render_width": 20, "render_height": 20, "fps": 30}))
    (view,), _ = load_path(file, near=0.01)
    uv, z = view.camera.project(np.array([[0.0, 0.5, -1.0]]))  # OpenGL: up, and in front of the camera
    np.testing.assert_allclose(uv, [[10, 5]], atol=1e-9)
    assert z[0] == pytest.approx(1)


SINGULAR = [0] * 16
BROKEN = [
    "",
    "[]",
    "{}",
    json.dumps({"camera_path": [], "render_width": 8, "render_height": 8}),
    json.dumps({"camera_path": [{"camera_to_world": [1, 2], "fov": 50}], "render_width": 8, "render_height": 8}),
    json.dumps({"camera_path": [{"camera_to_world": SINGULAR, "fov": 50}], "render_width": 8, "render_height": 8}),
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_path_is_named_in_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"broken\.json") as caught:
        load_path(file, near=0.01)
    assert "\n" not in str(caught.value)


def test_a_file_that_only_has_keyframes_gives_the_views_between_them(tmp_path: Path) -> None:
    file = tmp_path / "keyframes.json"
    track = Track((Keyframe(camera_at(0.0), 0.2), Keyframe(camera_at(0.5), 0.8, 2.0)), fps=10)
    save_track(file, track, 40, 30)
    data = json.loads(file.read_text())
    file.write_text(json.dumps({**data, "camera_path": []}))
    views, fps = load_path(file, near=0.01)
    assert (len(views), fps) == (20, 10)
    assert [views[0].time, views[-1].time] == [0.2, 0.8]
    for given, view in zip(track.views(40, 30), views, strict=True):
        np.testing.assert_allclose(view.camera.world_to_camera, given.camera.world_to_camera, atol=1e-9)
