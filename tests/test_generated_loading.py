"""Every layout of generated views with true folders written here, and broken twins of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from renderer.camera import OPENGL_TO_OPENCV, Camera
from renderer.errors import InputError
from tests.tiny import camera_at, tiny_dataset
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.generated_loading import open_generated, save_generated
from training.data.loading import DataOptions
from training.generators.trajectory import trajectory

WIDTH, HEIGHT, FRAMES = 40, 30, 4
FULL = DataOptions(megapixels=1.0)
ANGLES = (-0.2, -0.1, 0.1)
POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))


@pytest.fixture(scope="module")
def clip() -> Dataset:
    return tiny_dataset(FRAMES)


def say_nothing(text: str) -> None:
    pass


def shade(pose: int, instant: int) -> int:
    """The grey that a picture has all over."""
    return 10 + 9 * pose + 2 * instant


def flat(value: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write_video(path: Path, values: list[int], width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.stack([flat(v, width, height) for v in values])
    iio.imwrite(path, frames, fps=8, macro_block_size=2, output_params=["-crf", "1"])


def write_pictures(folder: Path, values: list[int], name: str = "frame_{:05d}.png") -> None:
    folder.mkdir(parents=True)
    for k, value in enumerate(values):
        iio.imwrite(folder / name.format(k), flat(value))


def write_plain(folder: Path) -> Path:
    entries = []
    for pose, angle in enumerate(ANGLES):
        camera = camera_at(angle, WIDTH, HEIGHT)
        c2w = camera.camera_to_world @ OPENGL_TO_OPENCV
        entries.append({"camera_to_world": c2w.ravel().tolist(), "fov": float(np.degrees(camera.fov_y))})
        values = [shade(pose, k) for k in range(FRAMES)]
        if pose == 1:
            write_video(folder / "b.mp4", values)
        else:
            write_pictures(folder / "abc"[pose], values, "{:02d}.png")
    head = {"render_width": WIDTH, "render_height": HEIGHT, "fps": 30}
    (folder / "camera_path.json").write_text(json.dumps({**head, "camera_path": entries}))
    return folder / "camera_path.json"


TURN = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SIZE, SHIFT = 2.5, np.array([3.0, -1.0, 0.5])


def elsewhere(camera: Camera) -> np.ndarray:
    """Camera-to-world in a world x' = SIZE TURN x + SHIFT."""
    c2w = camera.camera_to_world
    c2w[:3, :3] = TURN @ c2w[:3, :3]
    c2w[:3, 3] = SIZE * TURN @ c2w[:3, 3] + SHIFT
    return c2w


def write_sparsecam4d(folder: Path) -> Path:
    entries: list[dict[str, Any]] = []

    def add(identity: int, path: str, camera: Camera, instant: int, place: float, real: int) -> None:
        entries.append(
            {"id": identity, "file_path": path, "width": WIDTH, "height": HEIGHT,
             "transform_matrix": elsewhere(camera).tolist(), "fx": camera.fx, "fy": camera.fy, "cx": camera.cx,
             "cy": camera.cy, "time": instant / (FRAMES - 1), "time_pseudo": place, "is_true_image": real}
        )  # fmt: skip

    for instant in range(FRAMES):
        for identity, (name, angle) in enumerate((("left", -0.3), ("right", 0.3))):
            add(identity, f"images/{name}_{instant:04d}.png", camera_at(angle), instant, float(identity), 1)
        for k in (2, 1, 0):  # the pose axis does not follow the order of the list
            path = f"preprocess/time_{instant:04d}/diffusion/frame_{k:05d}.png"
            add(2 + k, path, camera_at(ANGLES[k]), instant, 0.2 + 0.3 * k, 0)
        write_pictures(folder / f"preprocess/time_{instant:04d}/diffusion", [shade(k, instant) for k in range(3)])
    (folder / "sfm_transforms_extend.json").write_text(json.dumps(entries))
    return folder / "sfm_transforms_extend.json"


def write_viewcrafter(folder: Path) -> Path:
    for instant in range(FRAMES):
        values = [60 + 6 * place + instant for place in range(25)]
        write_video(folder / f"2025_{instant}" / "diffusion.mp4", values)
    return folder


def write_viewcrafter_pictures(folder: Path) -> Path:
    for instant in range(FRAMES):
        write_pictures(folder / f"time_{instant:04d}" / "diffusion", [60 + 6 * p + instant for p in range(25)])
    return folder


RECAM_FRAMES = 9


def recam_motion(frame: int) -> np.ndarray:
    """Camera to first camera, OpenCV axes, metres: to the right and forward, turning about the vertical."""
    c, s = np.cos(0.02 * frame), np.sin(0.02 * frame)
    return np.array([[c, 0, s, 0.01 * frame], [0, 1, 0, 0], [-s, 0, c, 0.02 * frame], [0, 0, 0, 1]])


def recam_text(c2w: np.ndarray) -> str:
    """A matrix as the file has it: axes x forward, y right, z up in a left-handed world, centimetres, rows."""
    axes = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])  # right, down, forward as forward, right, up
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ c2w[:3, :3] @ axes.T
    matrix[:3, 3] = 100 * axes @ c2w[:3, 3]
    return " ".join("[" + " ".join(f"{v:.9f}" for v in row) + "]" for row in matrix.T) + " "


def write_recammaster(folder: Path) -> Path:
    start = np.eye(4)
    start[:3, 3] = [1.0, 2.0, 3.0]
    for index in range(2):
        write_video(
            folder / "results" / "cam_type3" / f"video{index}.mp4",
            [40 + 60 * index + 5 * j for j in range(RECAM_FRAMES)],
            48,
            30,
        )
    poses = {f"frame{j}": {"cam03": recam_text(start @ recam_motion(j))} for j in range(0, RECAM_FRAMES, 4)}
    (folder / "cameras").mkdir()
    (folder / "cameras" / "camera_extrinsics.json").write_text(json.dumps(poses))
    return folder / "cameras" / "camera_extrinsics.json"


WRITERS: dict[str, Callable[[Path], Path]] = {
    "plain": write_plain,
    "sparsecam4d": write_sparsecam4d,
    "viewcrafter": write_viewcrafter,
    "viewcrafter pictures": write_viewcrafter_pictures,
    "recammaster": write_recammaster,
}


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
def test_every_so_manieth_instant_is_used(tmp_path: Path, clip: Dataset, layout: str) -> None:
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


# ------------------------------------------------------------------------------------------------ broken ones

Break = Callable[[Path], object]


def edit_json(change: Callable[[Any], object]) -> Break:
    def apply(path: Path) -> None:
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return apply


def entry(**values: Any) -> Break:
    return edit_json(lambda d: d["camera_path"][1].update(values))


def listed(k: int, **values: Any) -> Break:
    return edit_json(lambda d: d[k].update(values))


def rename_cameras(data: list[dict[str, Any]]) -> None:
    for item in data:
        item["file_path"] = item["file_path"].replace("left_", "roof_")


def swap_cameras(data: list[dict[str, Any]]) -> None:
    for item in data:
        if item["is_true_image"]:
            item["file_path"] = f"images/{'right' if item['id'] == 0 else 'left'}_0000.png"


def more_instants(writer: Callable[[Path, list[int]], object], name: str, count: int) -> Break:
    return lambda p: [writer(p / name.format(k), [60] * 25) for k in range(FRAMES, FRAMES + count)]


NAN = float("nan")
TWICE = (2 * np.eye(4)).tolist()
PICTURE = "preprocess/time_0002/diffusion/frame_00001.png"
BROKEN: list[tuple[str, str, Break, str]] = [
    ("plain", "not JSON", lambda p: p.write_text("{"), "camera_path.json"),
    ("plain", "a list", lambda p: p.write_text("[1]"), "camera_path.json"),
    ("plain", "no size", edit_json(lambda d: d.pop("render_width")), "camera_path.json"),
    ("plain", "no width", edit_json(lambda d: d.update(render_width=0)), "camera 0"),
    ("plain", "endless width", lambda p: p.write_text(p.read_text().replace(": 40", ": 1e999")), "camera_path.json"),
    ("plain", "not finite", entry(camera_to_world=[NAN] * 16), "camera_path.json"),
    ("plain", "wrong shape", entry(camera_to_world=[1.0] * 12), "camera_path.json"),
    ("plain", "no rotation", entry(camera_to_world=np.diag([2, 2, 2, 1]).ravel().tolist()), "camera 1"),
    ("plain", "no field of view", entry(fov=0.0), "camera 1"),
    ("plain", "field of view not finite", entry(fov=NAN), "camera 1"),
    ("plain", "half a pinhole", entry(fl_x=40.0), "fl_y"),
    ("plain", "bad pinhole", entry(fl_x=-4.0, fl_y=40, cx=20, cy=15, w=40, h=30), "fl_x"),
    ("plain", "other shape", entry(fl_x=40, fl_y=40, cx=20, cy=15, w=40, h=90), "b.mp4"),
    ("plain", "bad frames", entry(frames="all"), "frames"),
    ("plain", "other number of frames", entry(frames=[0, 1]), "b.mp4"),
    ("plain", "frame beyond", entry(frames=[0, 1, 2, 9]), "instant 9"),
    ("plain", "a camera too few", edit_json(lambda d: d["camera_path"].pop()), "2 cameras for 3"),
    ("plain", "a folder too few", lambda p: (p.parent / "b.mp4").unlink(), "3 cameras for 2"),
    ("plain", "empty folder", lambda p: [f.unlink() for f in (p.parent / "a").iterdir()], "no pictures"),
    ("plain", "missing frame", lambda p: (p.parent / "a" / "02.png").unlink(), "no picture 2"),
    ("plain", "missing last frame", lambda p: (p.parent / "c" / "03.png").unlink(), "has 3 pictures"),
    ("plain", "frames beyond", lambda p: write_video(p.parent / "b.mp4", [9] * 5), "b.mp4"),
    ("plain", "not a picture", lambda p: (p.parent / "a" / "02.png").write_bytes(b"x"), "02.png"),
    ("plain", "other size", lambda p: iio.imwrite(p.parent / "a" / "02.png", flat(1, 20)), "02.png"),
    ("plain", "not a video", lambda p: (p.parent / "b.mp4").write_bytes(b"nothing"), "b.mp4"),
    ("sparsecam4d", "not JSON", lambda p: p.write_text("{"), "sfm_transforms_extend.json"),
    ("sparsecam4d", "not a list", lambda p: p.write_text("{}"), "sfm_transforms_extend.json"),
    ("sparsecam4d", "list of numbers", lambda p: p.write_text("[1]"), "sfm_transforms_extend.json"),
    ("sparsecam4d", "no time", edit_json(lambda d: d[2].pop("time")), "has no time"),
    ("sparsecam4d", "time beyond", listed(2, time=1.5), "not in [0, 1]"),
    ("sparsecam4d", "time not finite", listed(2, time=NAN), "time of"),
    ("sparsecam4d", "place not finite", listed(2, time_pseudo=NAN), "time_pseudo"),
    ("sparsecam4d", "no focal length", listed(2, fx=0), "fx"),
    ("sparsecam4d", "words", listed(2, fy="long"), "fy"),
    ("sparsecam4d", "huge", listed(2, width=10**400), "width"),
    ("sparsecam4d", "bad matrix", listed(2, transform_matrix=[1, 2]), "shape"),
    ("sparsecam4d", "not finite", listed(2, transform_matrix=[[NAN] * 4] * 4), "not finite"),
    ("sparsecam4d", "no rotation", listed(2, transform_matrix=TWICE), "not a rotation"),
    ("sparsecam4d", "moving", listed(2, transform_matrix=np.eye(4).tolist()), "several poses"),
    ("sparsecam4d", "twice", edit_json(lambda d: d.append(d[2])), "two pictures"),
    ("sparsecam4d", "missing frame", lambda p: (p.parent / PICTURE).unlink(), PICTURE),
    ("sparsecam4d", "not a picture", lambda p: (p.parent / PICTURE).write_bytes(b"x"), PICTURE),
    ("sparsecam4d", "other size", lambda p: iio.imwrite(p.parent / PICTURE, flat(0, 20)), PICTURE),
    ("sparsecam4d", "other names", edit_json(rename_cameras), "roof"),
    ("sparsecam4d", "swapped names", edit_json(swap_cameras), "which name"),
    ("sparsecam4d", "only real", edit_json(lambda d: [e.update(is_true_image=1) for e in d]), "no generated"),
    ("sparsecam4d", "beyond the clip", listed(2, file_path="preprocess/time_0009/x.png"), "instant 9"),
    ("viewcrafter", "frames missing", lambda p: write_video(p / "2025_1" / "diffusion.mp4", [9] * 24), "24 frames"),
    ("viewcrafter", "not a video", lambda p: (p / "2025_1" / "diffusion.mp4").write_bytes(b"x"), "2025_1"),
    ("viewcrafter", "no output", lambda p: (p / "2025_1" / "diffusion.mp4").unlink(), "2025_1"),
    ("viewcrafter", "too many",
     more_instants(lambda f, v: write_video(f / "diffusion.mp4", v), "2025_{}", 1), "instant 4"),
    ("viewcrafter", "other size", lambda p: write_video(p / "2025_1" / "diffusion.mp4", [9] * 25, 20), "2025_1"),
    ("viewcrafter pictures", "missing", lambda p: (p / "time_0001/diffusion/frame_00003.png").unlink(), "no picture 3"),
    ("viewcrafter pictures", "last missing", lambda p: (p / "time_0001/diffusion/frame_00024.png").unlink(), "24"),
    ("viewcrafter pictures", "not a picture", lambda p: (p / "time_0001/diffusion/frame_00003.png").write_bytes(b""),
     "frame_00003.png"),
    ("viewcrafter pictures", "too many", more_instants(lambda f, v: write_pictures(f / "diffusion", v), "time_{:04d}",
     1), "instant 4"),
    ("viewcrafter pictures", "twice", lambda p: write_pictures(p / "time_1" / "diffusion", [1] * 25), "again"),
    ("recammaster", "no cameras", lambda p: p.unlink(), "camera_extrinsics.json"),
    ("recammaster", "not JSON", lambda p: p.write_text("{"), "camera_extrinsics.json"),
    ("recammaster", "a list", lambda p: p.write_text("[]"), "frame0 cam03"),
    ("recammaster", "missing pose", edit_json(lambda d: d.pop("frame4")), "frame4 cam03"),
    ("recammaster", "missing path", edit_json(lambda d: d["frame8"].pop("cam03")), "frame8 cam03"),
    ("recammaster", "words", edit_json(lambda d: d["frame4"].update(cam03="[a b]")), "frame4"),
    ("recammaster", "not text", edit_json(lambda d: d["frame4"].update(cam03=4)), "frame4"),
    ("recammaster", "wrong shape", edit_json(lambda d: d["frame4"].update(cam03="[1 2 3]")), "16"),
    ("recammaster", "not finite", edit_json(lambda d: d["frame4"].update(cam03="nan " * 16)), "16"),
    ("recammaster", "singular", edit_json(lambda d: d["frame0"].update(cam03="0 " * 16)), "frame0"),
    ("recammaster", "no rotation", edit_json(lambda d: d["frame4"].update(cam03=recam_text(2 * np.eye(4)))), "frame4"),
    ("recammaster", "no video", lambda p: [v.unlink() for v in p.parent.parent.glob("results/*/*.mp4")], "results"),
    ("recammaster", "not a video", lambda p: (p.parent.parent / "results/cam_type3/video1.mp4").write_bytes(b"x"),
     "video1.mp4"),
    ("recammaster", "too many", lambda p: write_video(p.parent.parent / "results/cam_type3/video2.mp4", [1] * 9),
     "video2.mp4"),
    ("recammaster", "one frame", lambda p: write_video(p.parent.parent / "results/cam_type3/video1.mp4", [1]),
     "single"),
    ("recammaster", "other name", lambda p: write_video(p.parent.parent / "results/cam_type3/a.mp4", [1] * 9), "a.mp4"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "name", "damage", "named"), BROKEN, ids=[f"{b[0]}: {b[1]}" for b in BROKEN])
def test_broken_views_are_named_in_one_sentence(
    tmp_path: Path, clip: Dataset, layout: str, name: str, damage: Break, named: str
) -> None:
    damage(WRITERS[layout](tmp_path))
    with pytest.raises(InputError) as caught:
        open_generated(tmp_path, clip, FULL, say_nothing)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_clip_with_one_training_camera_has_no_place_between_cameras(tmp_path: Path, clip: Dataset) -> None:
    write_viewcrafter_pictures(tmp_path)
    one = replace(clip, shots=[s for s in clip.shots if s.camera_name == "left"])
    with pytest.raises(InputError, match="only one"):
        open_generated(tmp_path, one, FULL, say_nothing)


def test_other_folders_say_what_was_expected(tmp_path: Path, clip: Dataset) -> None:
    for folder, said in ((tmp_path, "camera_path.json.*SparseCam4D.*ViewCrafter.*ReCamMaster"), (tmp_path / "x", "no")):
        with pytest.raises(InputError, match=said):
            open_generated(folder, clip, FULL, say_nothing)
