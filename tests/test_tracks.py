import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from renderer.camera import Camera, look_at
from renderer.errors import InputError
from renderer.tracks import Keyframe, Track, load_track, save_track
from tests.tiny import camera_at

UP = np.array([0.0, -1.0, 0.0])


def keyframe(eye: list[float], time: float = 0.0, seconds: float = 1.0, fov: float = 0.8) -> Keyframe:
    """A camera at ``eye`` that looks along +z."""
    pose = np.eye(4)
    pose[:3, 3] = -np.array(eye)
    return Keyframe(Camera.from_fov(pose, fov, 40, 30), time, seconds)


def some_track(count: int = 5, closed: bool = False, smoothness: float = 1.0) -> Track:
    """Cameras all about, unevenly spaced in every respect."""
    random = np.random.default_rng(3)
    keyframes = []
    for k in range(count):
        pose = look_at(random.normal(size=3) * 3, random.normal(size=3), UP)
        camera = Camera.from_fov(pose, random.uniform(0.5, 1.2), 40, 30)
        keyframes.append(Keyframe(camera, k / max(1, count - 1), random.uniform(0.3, 2.0), f"view {k}"))
    return Track(tuple(keyframes), 25, closed, smoothness)


def values_at(track: Track, seconds: float) -> np.ndarray:
    """What may change along a track, as one vector: pose, focal length, time."""
    view = track.view_at(seconds)
    return np.concatenate([view.camera.world_to_camera.ravel(), [view.camera.fy / 40, view.time]])


# ------------------------------------------------------------------------------------------- between keyframes


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("smoothness", [0.0, 0.4, 1.0])
def test_a_track_passes_exactly_through_its_keyframes(closed: bool, smoothness: float) -> None:
    track = some_track(6, closed, smoothness)
    for moment, passed in zip(track.moments, track.keyframes, strict=False):
        view = track.view_at(moment)
        assert view.camera == passed.camera
        assert view.time == passed.time
        np.testing.assert_allclose(values_at(track, moment + 1e-7), values_at(track, moment), atol=1e-5)
    if closed:
        assert track.moments[-1] == track.seconds
        assert track.view_at(track.seconds).camera == track.keyframes[0].camera


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("smoothness", [0.0, 0.4, 1.0])
def test_speed_does_not_jump_at_keyframes(closed: bool, smoothness: float) -> None:
    track, h = some_track(6, closed, smoothness), 1e-5
    around = track.moments[:-1] if closed else track.moments[1:-1]
    for moment in around:
        here = values_at(track, moment)
        before, after = (here - values_at(track, moment - h)) / h, (values_at(track, moment + h) - here) / h
        np.testing.assert_allclose(after, before, atol=5e-3)
        assert np.abs(after[:16]).max() < 1e-2 or smoothness > 0  # it rests there
    speeds = [np.abs(values_at(track, m + h) - values_at(track, m)).max() / h for m in around]
    assert smoothness == 0 or max(speeds) > 0.1


def test_between_keyframes_the_camera_is_on_the_centripetal_catmull_rom_spline() -> None:
    points = np.array([[0.0, 0, 0], [1, 0.5, 0], [4, 0, 1], [4.5, 3, 2]])
    steps = np.sqrt(np.linalg.norm(np.diff(points, axis=0), axis=1))
    seconds = [1.0, *steps]  # as far apart as the knots, so that seconds are the spline's own parameter
    track = Track(tuple(keyframe(p.tolist(), 0, s) for p, s in zip(points, seconds, strict=True)))
    knots = np.concatenate([[0], np.cumsum(steps)])

    def between(a: np.ndarray, b: np.ndarray, i: int, j: int, t: float) -> np.ndarray:
        return np.asarray((knots[j] - t) * a + (t - knots[i]) * b) / (knots[j] - knots[i])

    for t in np.linspace(knots[1], knots[2], 9):  # Barry and Goldman's pyramid
        line = [between(points[i], points[i + 1], i, i + 1, t) for i in range(3)]
        curve = [between(line[i], line[i + 1], i, i + 2, t) for i in range(2)]
        np.testing.assert_allclose(track.view_at(t).camera.center, between(curve[0], curve[1], 1, 2, t), atol=1e-9)


def test_without_smoothness_the_camera_goes_straight() -> None:
    a, b, c = np.array([0.0, 0, 0]), np.array([2.0, 1, 0]), np.array([0.0, 5, 4])
    track = Track(tuple(keyframe(p.tolist()) for p in (a, b, c)), smoothness=0)
    for t in np.linspace(0.05, 0.95, 7):
        for start, end, offset in ((a, b, 0), (b, c, 1)):
            assert np.linalg.norm(np.cross(track.view_at(offset + t).camera.center - start, end - start)) < 1e-9


def test_uneven_spacing_does_not_overshoot() -> None:
    """A uniform spline would go 0.7 back and forth within the short transition of 0.1."""
    track = Track(tuple(keyframe([x, 0, 0]) for x in (0, 10, 10.1, 20)))
    x = track.polyline(600)[:, 0]
    assert np.diff(x).min() > -1e-9
    assert x.min() > -1e-9 and x.max() < 20 + 1e-9
    short = track.polyline(601)[200:401, 0]
    assert short.min() > 10 - 1e-9 and short.max() < 10.1 + 1e-9


def test_an_even_turn_has_an_even_speed_through_half_a_circle() -> None:
    """Beyond half a turn the quaternion of a camera changes its sign; the camera must not notice."""
    angles = np.radians([100.0, 140, 180, 220, 260])
    track = Track(tuple(Keyframe(camera_at(a), 0, 1.0) for a in angles))
    for t in np.linspace(0, 4, 41):
        R = track.view_at(t).camera.world_to_camera[:3, :3]
        turned = Rotation.from_matrix(R @ camera_at(angles[0]).world_to_camera[:3, :3].T).magnitude()
        assert turned == pytest.approx(np.radians(40 * t), abs=1e-6)


def test_rotations_take_the_shorter_way() -> None:
    track = Track((Keyframe(camera_at(np.radians(170)), 0), Keyframe(camera_at(np.radians(-170)), 0, 1.0)))
    middle = track.view_at(0.5).camera.camera_to_world[:3, 2]
    np.testing.assert_allclose(middle[[0, 2]] / np.linalg.norm(middle[[0, 2]]), [0, -1], atol=1e-9)


@pytest.mark.parametrize("closed", [False, True])
def test_time_never_turns_back_nor_leaves_the_clip(closed: bool) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        times = np.sort(random.choice([0, 0, 0.2, 0.21, 0.9, 1, 1], 7))
        track = Track(
            tuple(keyframe([k, 0, 0], t, random.uniform(0.01, 5)) for k, t in enumerate(times)), closed=closed
        )
        seen = np.array([v.time for v in track.views(40, 30, 300)])
        open_part = np.linspace(0, track.seconds, 300, endpoint=not closed) <= track.moments[6]
        assert np.diff(seen[open_part]).min() >= -1e-12
        assert seen.min() >= 0 and seen.max() <= 1


def test_fields_of_view_stay_between_their_neighbours() -> None:
    track = Track(tuple(keyframe([k, 0, 0], 0, 1, fov) for k, fov in enumerate((0.3, 0.3, 1.5, 1.4))))
    fovs = [track.view_at(t).camera.fov_y for t in np.linspace(0, 3, 61)]
    assert fovs[10] == pytest.approx(0.3)
    assert min(fovs) > 0.3 - 1e-9 and max(fovs) < 1.5 + 1e-9


@pytest.mark.parametrize("count", [1, 2, 3, 40])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("same", [False, True])
def test_every_number_of_keyframes_gives_finite_views(count: int, closed: bool, same: bool) -> None:
    track = some_track(count, closed)
    if same:
        track = replace(track, keyframes=(track.keyframes[0],) * count)
    for view in track.views(32, 24, 50):
        assert np.isfinite(view.camera.world_to_camera).all() and np.isfinite(view.camera.fx)
        R = view.camera.world_to_camera[:3, :3]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.isfinite(track.polyline(50)).all()
    if same:
        np.testing.assert_allclose(np.ptp(track.polyline(50), axis=0), 0, atol=1e-12)


def test_where_keyframes_coincide_the_camera_rests() -> None:
    track = Track(tuple(keyframe([x, 0, 0]) for x in (0, 1, 1, 1, 4)))
    np.testing.assert_allclose([track.view_at(t).camera.center[0] for t in (1.0, 1.3, 2.9, 3.0)], 1, atol=1e-12)
    assert 0 < track.view_at(0.5).camera.center[0] < 1 < track.view_at(3.5).camera.center[0] < 4


def test_a_camera_that_only_turns_does_not_move() -> None:
    here = np.array([1.0, 2, 3])
    poses = [look_at(here, here + np.array([np.sin(a), 0, np.cos(a)]), UP) for a in (0, 0.4, 1.4)]
    track = Track(tuple(Keyframe(Camera.from_fov(p, 0.8, 40, 30), 0, 1.0) for p in poses))
    np.testing.assert_allclose(track.polyline(30), np.tile(here, (30, 1)), atol=1e-9)


# ------------------------------------------------------------------------------------------- frames and edits


def test_an_open_track_ends_at_its_last_keyframe_and_a_closed_one_before_its_first() -> None:
    track = some_track(4)
    assert track.seconds == pytest.approx(sum(k.seconds for k in track.keyframes[1:]))
    assert track.frame_count == len(track.views(40, 30)) == round(25 * track.seconds)
    assert track.views(40, 30)[-1].camera == track.keyframes[-1].camera
    closed = replace(track, closed=True)
    assert closed.seconds == pytest.approx(sum(k.seconds for k in track.keyframes))
    frames = closed.views(40, 30, 100)
    gap = np.linalg.norm(frames[-1].camera.center - frames[0].camera.center)
    assert 0 < gap < 2 * np.linalg.norm(frames[1].camera.center - frames[0].camera.center)


def test_views_of_another_size_keep_the_vertical_field_of_view_and_the_principal_point() -> None:
    camera = replace(camera_at(0.1), fx=33.0, cx=15.0, cy=18.0)
    (view,) = Track((Keyframe(camera, 0.3),)).views(160, 60)
    assert (view.camera.width, view.camera.height, view.time) == (160, 60, 0.3)
    assert view.camera.fov_y == pytest.approx(camera.fov_y)
    assert view.camera.fx / view.camera.fy == pytest.approx(camera.fx / camera.fy)
    assert (view.camera.cx, view.camera.cy) == pytest.approx((60, 36))


def test_outside_an_open_track_its_ends_are_seen_and_a_closed_one_goes_round() -> None:
    track = some_track(3)
    assert track.view_at(-1).camera == track.keyframes[0].camera
    assert track.view_at(99).camera == track.keyframes[-1].camera
    closed = replace(track, closed=True)
    assert closed.view_at(closed.seconds + closed.moments[1]).camera == track.keyframes[1].camera


def test_edits_return_new_tracks() -> None:
    track = some_track(4)
    names = lambda t: "".join(k.name[-1] for k in t.keyframes)  # noqa: E731
    new = replace(track.keyframes[0], name="view 9")
    assert names(track.added(new)) == "01239"
    assert names(track.added(new, 1)) == "09123"
    assert names(track.removed(2)) == "013"
    assert names(track.moved(0, 2)) == "1203"
    assert names(track.moved(3, 0)) == "3012"
    assert names(track.replaced(-1, new)) == "0129"
    assert names(track) == "0123"
    assert track.added(new).removed(4) == track


def test_a_track_without_keyframes_has_no_views() -> None:
    track = Track()
    assert (track.seconds, track.frame_count, track.views(40, 30)) == (0, 0, ())
    assert track.polyline(5).shape == (0, 3)
    with pytest.raises(ValueError, match="no keyframes"):
        track.view_at(0)


@pytest.mark.parametrize(
    "change", [{"time": 1.1}, {"time": float("nan")}, {"seconds": 0.0}, {"seconds": float("inf")}, {"seconds": -1.0}]
)
def test_a_keyframe_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(keyframe([0, 0, 0]), **change)
    for wrong in ({"fps": 0.0}, {"fps": float("nan")}, {"smoothness": 1.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Track(**wrong)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("off_center", [False, True])
def test_a_saved_track_loads_as_it_was(tmp_path: Path, closed: bool, off_center: bool) -> None:
    track = some_track(5, closed, smoothness=0.25)
    if off_center:
        change = lambda k: replace(k, camera=replace(k.camera, cx=18.5, cy=16.0, fx=31.0))  # noqa: E731
        track = replace(track, keyframes=tuple(change(k) for k in track.keyframes))
    save_track(tmp_path / "a.json", track, 40, 30)
    loaded = load_track(tmp_path / "a.json", near=0.01)
    assert (loaded.fps, loaded.closed, loaded.smoothness) == (25, closed, 0.25)
    for a, b in zip(track.keyframes, loaded.keyframes, strict=True):
        np.testing.assert_allclose(b.camera.world_to_camera, a.camera.world_to_camera, atol=1e-9)
        of = lambda c: (c.fx, c.fy, c.cx, c.cy, c.width, c.height, c.near)  # noqa: E731
        np.testing.assert_allclose(of(b.camera), of(a.camera), rtol=1e-9)
        assert (b.time, b.seconds, b.name) == (a.time, a.seconds, a.name)
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]


def test_a_saved_track_has_what_nerfstudio_reads(tmp_path: Path) -> None:
    track = some_track(3)
    save_track(tmp_path / "a.json", track, 40, 30)
    data = json.loads((tmp_path / "a.json").read_text())
    head = {"camera_type": "perspective", "render_width": 40, "render_height": 30, "fps": 25, "is_cycle": False}
    assert head.items() <= data.items() and data["smoothness_value"] == 0
    assert len(data["camera_path"]) == track.frame_count == round(data["seconds"] * data["fps"])
    for entry, view in zip(data["camera_path"], track.views(40, 30), strict=True):
        c2w = np.array(entry["camera_to_world"]).reshape(4, 4)
        np.testing.assert_allclose(c2w[:3, 3], view.camera.center, atol=1e-9)
        np.testing.assert_allclose(-c2w[:3, 2], view.camera.camera_to_world[:3, 2], atol=1e-9)  # looks along -z
        assert np.radians(entry["fov"]) == pytest.approx(view.camera.fov_y)
        assert (entry["aspect"], entry["render_time"]) == (pytest.approx(4 / 3), view.time)
    for entry, k in zip(data["keyframes"], track.keyframes, strict=True):
        assert entry["override_transition_enabled"] and entry["override_transition_sec"] == k.seconds
        assert entry["override_time_enabled"] and entry["render_time"] == k.time


ROWS = [0, 0, 1, 1, 0, 1, 0, 2, -1, 0, 0, 3, 0, 0, 0, 1]
"""At (1, 2, 3), looking along -x with +y up, in OpenGL's axes."""
COLUMNS = [0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 2, 3, 1]


def nerfstudio() -> dict[str, Any]:
    """A file as nerfstudio's viewer writes it, of a scene that does not move."""
    still = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    common = {"fov": 90.0, "aspect": 2.0, "override_transition_enabled": False, "override_transition_sec": None}
    return {
        "default_fov": 90.0, "default_transition_sec": 2.0, "camera_type": "perspective", "render_height": 20,
        "render_width": 40, "fps": 30.0, "seconds": 2.0, "is_cycle": False, "smoothness_value": 0.0,
        "keyframes": [
            {"matrix": still, **common},
            {"matrix": ROWS, **common, "override_transition_enabled": True, "override_transition_sec": 0.5},
            {"matrix": still, **common},
        ],
        "camera_path": [{"camera_to_world": ROWS, "fov": 90.0, "aspect": 2.0}] * 75,
    }  # fmt: skip


def written(folder: Path, data: object) -> Path:
    file = folder / "given.json"
    file.write_text(json.dumps(data))
    return file


@pytest.mark.parametrize(
    "matrix", [ROWS, json.dumps(COLUMNS), json.dumps(ROWS), [ROWS[i : i + 4] for i in range(0, 16, 4)]]
)
def test_a_keyframe_of_nerfstudio_is_where_the_hand_says(tmp_path: Path, matrix: object) -> None:
    data = nerfstudio()
    data["keyframes"][1]["matrix"] = matrix
    camera = load_track(written(tmp_path, data), near=0.2).keyframes[1].camera
    np.testing.assert_allclose(camera.center, [1, 2, 3], atol=1e-12)
    pixels, depths = camera.project(np.array([[-4.0, 2, 3], [-4, 3, 3], [-4, 2, 2]]))  # ahead, above it, right of it
    np.testing.assert_allclose(depths, 5)
    np.testing.assert_allclose(pixels, [[20, 10], [20, 8], [22, 10]], atol=1e-9)  # focal length 10: 90 degrees
    assert camera.near == 0.2


def test_a_string_that_only_rotates_is_read_by_columns(tmp_path: Path) -> None:
    data = nerfstudio()
    data["keyframes"][0]["matrix"] = json.dumps([*COLUMNS[:12], 0, 0, 0, 1])
    track = load_track(written(tmp_path, data), near=0.2)
    np.testing.assert_allclose(track.keyframes[0].camera.camera_to_world[:3, 2], [-1, 0, 0], atol=1e-12)


def test_transitions_and_times_of_nerfstudio(tmp_path: Path) -> None:
    track = load_track(written(tmp_path, nerfstudio()), near=0.01)
    assert [k.seconds for k in track.keyframes] == [2, 0.5, 2]
    assert [k.time for k in track.keyframes] == [0, 0.2, 1]  # evenly in time: none is stated
    assert (track.smoothness, track.fps) == (1, 30)
    data = nerfstudio()
    for k, entry in enumerate(data["keyframes"]):
        entry |= {"render_time": (0.3, 0.3, 0.8)[k], "override_time_enabled": False}
    assert [k.time for k in load_track(written(tmp_path, data), near=0.01).keyframes] == [0.3, 0.3, 0.8]
    for entry in data["keyframes"]:
        del entry["render_time"]
    data["camera_path"] = [{**data["camera_path"][0], "render_time": t} for t in np.linspace(0.5, 1, 75)]
    times = [k.time for k in load_track(written(tmp_path, data), near=0.01).keyframes]
    np.testing.assert_allclose(times, [0.5, 0.6, 1])


def test_keyframes_of_the_earlier_viewer_keep_their_moments(tmp_path: Path) -> None:
    data = nerfstudio() | {"seconds": 4, "smoothness_value": 0.3}
    for k, time in enumerate((0, 0.25, 1)):
        pairs = [["FOV", 50], ["NAME", f"Camera {k}"], ["TIME", time]]
        data["keyframes"][k] = {"matrix": json.dumps(COLUMNS), "fov": 50, "properties": json.dumps(pairs)}
    track = load_track(written(tmp_path, data), near=0.01)
    np.testing.assert_allclose(track.moments, [0, 1, 4])
    assert [k.name for k in track.keyframes] == ["Camera 0", "Camera 1", "Camera 2"]
    assert track.smoothness == pytest.approx(0.6)
    closed = load_track(written(tmp_path, data | {"is_cycle": True}), near=0.01)
    np.testing.assert_allclose(closed.moments, [0, 2 / 3, 8 / 3, 4])  # two thirds until the last one, then back


@pytest.mark.parametrize("closed", [False, True])
def test_a_file_without_keyframes_gives_one_for_each_frame(tmp_path: Path, closed: bool) -> None:
    save_track(tmp_path / "a.json", some_track(4), 40, 30)
    data = json.loads((tmp_path / "a.json").read_text()) | {"keyframes": [], "is_cycle": closed}
    track = load_track(written(tmp_path, data), near=0.01)
    assert len(track.keyframes) == len(data["camera_path"]) == track.frame_count
    again = track.views(40, 30)
    for entry, view in zip(data["camera_path"], again, strict=True):
        np.testing.assert_allclose(np.array(entry["camera_to_world"])[[3, 7, 11]], view.camera.center, atol=1e-9)
        assert view.time == pytest.approx(entry["render_time"])


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(file: Path) -> None:
        data = nerfstudio()
        change(data)
        file.write_text(json.dumps(data))

    return apply


def keyed(**values: Any) -> Callable[[Path], object]:
    return edited(lambda d: d["keyframes"][1].update(values))


NAN = float("nan")
TWICE = [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]
MIRRORED = [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "not there": (lambda p: None, "no such file"),
    "a folder": (lambda p: p.mkdir(), "cannot be read"),
    "empty": (lambda p: p.write_text(""), "not JSON"),
    "not text": (lambda p: p.write_bytes(b"\xff\xfe\x00"), "not JSON"),
    "deep": (lambda p: p.write_text("[" * 100_000), "JSON"),
    "a list": (lambda p: p.write_text("[]"), "no camera path"),
    "nothing in it": (edited(lambda d: d.update(keyframes=[], camera_path=[])), "neither"),
    "no width": (edited(lambda d: d.pop("render_width")), "render_width"),
    "width of nothing": (edited(lambda d: d.update(render_width=0)), "render_width"),
    "width in words": (edited(lambda d: d.update(render_width="wide")), "render_width"),
    "endless height": (edited(lambda d: d.update(render_height=1e999)), "render_height"),
    "no rate": (edited(lambda d: d.update(fps=0)), "fps"),
    "a fisheye": (edited(lambda d: d.update(camera_type="fisheye")), "fisheye"),
    "keyframes of no list": (edited(lambda d: d.update(keyframes={"a": 1})), "keyframes"),
    "path of no list": (edited(lambda d: d.update(camera_path=7)), "camera_path"),
    "keyframe of no object": (edited(lambda d: d["keyframes"].append(3)), "keyframe 3"),
    "no matrix": (edited(lambda d: d["keyframes"][1].pop("matrix")), "keyframe 1 has no matrix"),
    "short matrix": (keyed(matrix=[1, 2, 3]), "3 numbers instead of 16"),
    "long matrix": (keyed(matrix=[*ROWS, 0]), "17 numbers instead of 16"),
    "ragged matrix": (keyed(matrix=[[1, 2], [3]]), "matrix of keyframe 1"),
    "matrix of words": (keyed(matrix=["a"] * 16), "matrix of keyframe 1"),
    "matrix of nothing": (keyed(matrix=None), "matrix of keyframe 1"),
    "matrix string of no JSON": (keyed(matrix="[1, 2"), "matrix of keyframe 1 is not JSON"),
    "matrix not finite": (keyed(matrix=[NAN] * 16), "not finite"),
    "matrix beyond numbers": (keyed(matrix=[10**400] * 16), "matrix of keyframe 1"),
    "matrix that scales": (keyed(matrix=TWICE), "keyframe 1 does not rotate"),
    "matrix that mirrors": (keyed(matrix=MIRRORED), "keyframe 1 does not rotate"),
    "matrix that projects": (keyed(matrix=[*ROWS[:12], 0, 0, 1, 1]), "keyframe 1 does not rotate"),
    "no field of view": (edited(lambda d: (d.pop("default_fov"), d["keyframes"][1].pop("fov"))), "fov"),
    "flat field of view": (keyed(fov=0), "fov of keyframe 1"),
    "field of view behind": (keyed(fov=190.0), "fov of keyframe 1"),
    "field of view not finite": (keyed(fov=NAN), "fov of keyframe 1"),
    "time not finite": (keyed(render_time=NAN), "render_time of keyframe 1"),
    "time in words": (keyed(render_time="late"), "render_time of keyframe 1"),
    "no transition": (keyed(override_transition_sec=0), "override_transition_sec of keyframe 1"),
    "endless transition": (keyed(override_transition_sec=1e999), "override_transition_sec of keyframe 1"),
    "default backwards": (edited(lambda d: d.update(default_transition_sec=-1)), "default_transition_sec"),
    "tension beyond": (edited(lambda d: d.update(smoothness_value=7)), "smoothness_value"),
    "half a pinhole": (keyed(fl_x=40.0), "fl_y"),
    "properties of no JSON": (keyed(properties="{"), "properties of keyframe 1"),
    "properties of no pairs": (keyed(properties="[1]"), "properties of keyframe 1"),
    "a frame that scales": (edited(lambda d: d["camera_path"][2].update(camera_to_world=TWICE)), "does not rotate"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_in_one_sentence(tmp_path: Path, case: str) -> None:
    file = tmp_path / "broken.json"
    spoil, said = BROKEN[case]
    spoil(file)
    with pytest.raises(InputError, match=r"broken\.json: ") as caught:
        load_track(file, near=0.01)
    message = str(caught.value)
    assert said in message and "\n" not in message and len(message.replace(str(tmp_path), "")) < 160


def test_moments_that_do_not_grow_are_refused(tmp_path: Path) -> None:
    data = nerfstudio()
    for k, time in enumerate((0, 1, 0.5)):
        data["keyframes"][k]["properties"] = json.dumps([["TIME", time]])
    with pytest.raises(InputError, match="TIME"):
        load_track(written(tmp_path, data), near=0.01)


def test_a_track_that_cannot_be_saved_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(InputError, match="keyframe"):
        save_track(tmp_path / "a.json", Track(), 40, 30)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder"):
        save_track(tmp_path / "folder", some_track(2), 40, 30)
    assert (tmp_path / "a.json").read_text() == "old"
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.json", "folder"]
