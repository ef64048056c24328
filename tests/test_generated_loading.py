"""Every layout of generated views with true folders; what is saved comes back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from renderer.camera import Camera
from renderer.errors import InputError
from tests.generated_folders import (
    ANGLES,
    FRAMES,
    FULL,
    HEIGHT,
    WIDTH,
    WRITERS,
    edit_json,
    flat,
    recam_motion,
    say_nothing,
    shade,
    write_pictures,
    write_plain,
    write_recammaster,
    write_video,
)  # fmt: skip
from tests.tiny import camera_at, tiny_dataset
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.generated_loading import open_generated, save_generated
from training.data.loading import DataOptions
from training.generators.trajectory import trajectory

POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))


@pytest.fixture(scope="module")
def clip() -> Dataset:
    return tiny_dataset(FRAMES)


def assert_projects_like(found: Camera, expected: Camera) -> None:
    pixels, depths = found.project(POINTS)
    wanted, z = expected.project(POINTS)
    np.testing.assert_allclose(pixels, wanted, atol=1e-5)
    np.testing.assert_allclose(depths, z, atol=1e-6)
    assert (found.width, found.height) == (expected.width, expected.height)


def assert_shade(views: GeneratedViews, index: int, value: int, slack: int = 0) -> None:
    picture = views.read(index)
    camera = views.cameras[views.frames[index].pose]
    assert picture.shape == (camera.height, camera.width, 3)
    assert np.abs(picture.astype(int) - value).max() <= slack


@pytest.mark.parametrize("layout", ["plain", "sparsecam4d"])
def test_views_with_cameras_keep_poses_pictures_and_times(tmp_path: Path, clip: Dataset, layout: str) -> None:
    WRITERS[layout](tmp_path)
    views = open_generated(tmp_path, clip, FULL, say_nothing)
    assert len(views.frames) == len(ANGLES) * FRAMES
    for pose, angle in enumerate(ANGLES):
        assert_projects_like(views.cameras[pose], camera_at(angle))
        assert views.cameras[pose].near == clip.shots[0].camera.near
        for k, index in enumerate(views.of_pose(pose)):
            assert_shade(views, index, shade(pose, k), slack=2)
            assert views.frames[index] == GeneratedFrame(pose, k / (FRAMES - 1), k)


def test_a_point_on_the_axis_lands_where_the_hand_says(tmp_path: Path, clip: Dataset) -> None:
    """A camera 3 before the origin, looking along +z with 90 degrees: x = 1 lies a third of the half height off."""
    write_plain(tmp_path)
    c2w = [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, -3, 0, 0, 0, 1]  # OpenGL: y up, looking along -z
    edit_json(lambda d: d["camera_path"][0].update(camera_to_world=c2w, fov=90.0))(tmp_path / "camera_path.json")
    camera = open_generated(tmp_path, clip, FULL, say_nothing).cameras[0]
    pixels, depths = camera.project(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(pixels, [[20, 15], [25, 15], [20, 20]], atol=1e-9)
    np.testing.assert_allclose(depths, 3)


@pytest.mark.parametrize("layout", ["viewcrafter", "viewcrafter pictures"])
def test_viewcrafter_stands_between_the_training_cameras(tmp_path: Path, clip: Dataset, layout: str) -> None:
    WRITERS[layout](tmp_path)
    views = open_generated(tmp_path, clip, FULL, say_nothing)
    expected = trajectory([camera_at(-0.3), camera_at(0.3)], 2 / (1 / clip.near + 1 / clip.far))
    assert len(views.cameras) == 11
    assert len(views.frames) == 11 * FRAMES
    for pose, place in enumerate(range(2, 24, 2)):
        assert_projects_like(views.cameras[pose], expected[place])
        for k, index in enumerate(views.of_pose(pose)):
            assert_shade(views, index, 60 + 6 * place + k, slack=2 if layout == "viewcrafter" else 0)


def test_viewcrafter_comes_to_the_same_with_doubled_anchors(tmp_path: Path, clip: Dataset) -> None:
    """Three cameras: 50 frames of stock output, 49 of the variant, the same pictures at the same cameras."""
    three = replace(clip, shots=[replace(shot, split="train") for shot in clip.shots])
    values = [40 + 4 * place for place in range(49)]
    write_video(tmp_path / "stock" / "time_0001" / "diffusion.mp4", values[:25] + values[24:])
    write_pictures(tmp_path / "own" / "preprocess" / "time_0001" / "diffusion", values)
    stock, own = (open_generated(tmp_path / n, three, FULL, say_nothing) for n in ("stock", "own"))
    assert len(stock.cameras) == len(own.cameras) == 22
    assert {f.frame for f in stock.frames} == {1}
    for index in range(22):
        assert_projects_like(stock.cameras[index], own.cameras[index])
        assert np.abs(stock.read(index).astype(int) - own.read(index)).max() <= 2


def test_recammaster_moves_from_the_clips_cameras(tmp_path: Path, clip: Dataset) -> None:
    write_recammaster(tmp_path)
    views = open_generated(tmp_path, clip, FULL, say_nothing)
    assert len(views.cameras) == len(views.frames) == 2 * 3
    for index, frame in enumerate(views.frames):
        video, k = divmod(index, 3)
        base = camera_at((-0.3, 0.3)[video])
        expected = base.moved(np.linalg.inv(base.camera_to_world @ recam_motion(4 * k))).resized(48, 30)
        assert_projects_like(views.cameras[frame.pose], expected)
        assert_shade(views, index, 40 + 60 * video + 5 * 4 * k, slack=2)
        assert (frame.time, frame.frame) == (k / 2, (0, 2, 3)[k])


@pytest.mark.parametrize("layout", list(WRITERS))
def test_pictures_shrink_with_their_cameras(tmp_path: Path, clip: Dataset, layout: str) -> None:
    WRITERS[layout](tmp_path)
    full = open_generated(tmp_path, clip, FULL, say_nothing)
    first = full.cameras[0]
    small = open_generated(tmp_path, clip, DataOptions(megapixels=first.width * first.height / 4e6), say_nothing)
    assert small.read(0).shape == (first.height // 2, first.width // 2, 3)
    np.testing.assert_allclose(small.cameras[0].project(POINTS)[0], first.project(POINTS)[0] / 2, atol=1e-6)
    assert np.abs(small.read(0).astype(int).mean() - full.read(0).mean()) < 1


@pytest.mark.parametrize("layout", ["plain", "sparsecam4d", "viewcrafter", "viewcrafter pictures"])
def test_every_n_th_instant_is_used(tmp_path: Path, clip: Dataset, layout: str) -> None:
    WRITERS[layout](tmp_path)
    every = open_generated(tmp_path, clip, FULL, say_nothing)
    shots = [replace(s, frame=s.frame // 3, time=float(s.frame // 3)) for s in clip.shots if s.frame % 3 == 0]
    options = replace(FULL, frame_step=3)
    views = open_generated(tmp_path, replace(clip, shots=shots), options, say_nothing)
    assert [(views.frames[i].time, views.frames[i].frame) for i in views.of_pose(1)] == [(0, 0), (1, 1)]
    for chosen, index in zip(views.of_pose(1), every.of_pose(1)[::3], strict=True):
        np.testing.assert_array_equal(views.read(chosen), every.read(index))


def test_fewer_instants_than_the_clip_has_are_fine(tmp_path: Path) -> None:
    write_plain(tmp_path)
    views = open_generated(tmp_path, tiny_dataset(FRAMES + 3), FULL, say_nothing)
    assert [views.frames[i].time for i in views.of_pose(0)] == [k / (FRAMES + 2) for k in range(FRAMES)]


# ------------------------------------------------------------------------------------------------ saving


def some_views(poses: int = 3) -> GeneratedViews:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 255, (poses * FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    cameras = [replace(camera_at(0.1 * k), fx=41.0 + k, fy=39.5, cx=18.25, cy=16.5) for k in range(poses)]
    frames = [GeneratedFrame(s, t / (FRAMES - 1), t) for t in range(FRAMES) for s in range(poses)]
    return GeneratedViews("some", cameras, frames, lambda i: pictures[i])


@pytest.mark.parametrize("gaps", [False, True])
def test_saved_views_come_back_as_they_were(tmp_path: Path, clip: Dataset, gaps: bool) -> None:
    views = some_views()
    if gaps:
        kept = [0, 2, 4, 10, 11]
        all_frames, read = views.frames, views.read
        views = replace(views, frames=[all_frames[i] for i in kept], read=lambda i: read(kept[i]))
    said: list[str] = []
    save_generated(tmp_path / "new" / "views", views, 30.0, said.append)
    assert len(said) == 3
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["views"]
    back = open_generated(tmp_path / "new" / "views", clip, FULL, say_nothing)
    assert set(back.frames) == set(views.frames)
    for pose, camera in enumerate(views.cameras):
        np.testing.assert_allclose(back.cameras[pose].world_to_camera, camera.world_to_camera, atol=1e-12)
        assert replace(back.cameras[pose], world_to_camera=camera.world_to_camera, near=camera.near) == camera
        for a, b in zip(back.of_pose(pose), views.of_pose(pose), strict=True):
            np.testing.assert_array_equal(back.read(a), views.read(b))


def test_saved_views_of_a_thinned_clip_count_instants_as_filmed(tmp_path: Path, clip: Dataset) -> None:
    save_generated(tmp_path / "views", some_views(), 30.0, say_nothing, frame_step=2)
    back = open_generated(tmp_path / "views", clip, replace(FULL, frame_step=2), say_nothing)
    assert set(back.frames) == set(some_views().frames)
    all_instants = open_generated(tmp_path / "views", tiny_dataset(7), FULL, say_nothing)
    assert {f.frame for f in all_instants.frames} == {0, 2, 4, 6}


def test_saving_refuses_a_folder_with_something_in_it(tmp_path: Path, clip: Dataset) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        with pytest.raises(InputError, match=name):
            save_generated(tmp_path / name, some_views(), 30.0, say_nothing)
    with pytest.raises(InputError, match="file"):
        save_generated(tmp_path / "file" / "within", some_views(), 30.0, say_nothing)
    save_generated(tmp_path / "empty", some_views(), 30.0, say_nothing)
    assert len(open_generated(tmp_path / "empty", clip, FULL, say_nothing).cameras) == 3
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_saving_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def read(index: int) -> np.ndarray:
        if index == 5:
            raise InputError("x.mp4: ends early; restore it")
        return flat(index)

    with pytest.raises(InputError, match=r"x\.mp4"):
        save_generated(tmp_path / "views", replace(some_views(), read=read), 30.0, say_nothing)
    without = replace(some_views(), frames=[GeneratedFrame(0, 0.0, 0)])
    with pytest.raises(InputError, match="camera 1"):
        save_generated(tmp_path / "views", without, 30.0, say_nothing)
    assert list(tmp_path.iterdir()) == []
