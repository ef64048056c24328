"""SparseCam4D's scenes: packaged, preprocessed, before the preprocessing, and broken."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.camera import OPENGL_TO_OPENCV, Camera
from tests.field_folders import (
    FRAMES,
    FULL,
    HEIGHT,
    POINTS,
    WIDTH,
    Break,
    assert_looked_at,
    assert_sees,
    edit_json,
    overwrite,
    pictures,
    refused,
    remove,
    resize,
    rig_camera,
    shot_index,
    splits,
    write_picture,
)
from tests.generated_folders import elsewhere
from tests.test_colmap import write_model
from training.data.generated_sources import with_generated
from training.data.layouts import DataOptions, layout_of
from training.data.loading import open_dataset
from training.data.ply_points import read_points
from training.priors.depth_files import depth_files

NAME = "SparseCam4D"
LIST, TRAIN, TEST = "sfm_transforms_extend.json", "transforms_train.json", "transforms_test.json"
LEARNED, MEASURED = {"cam01": 1, "cam06": 3}, {"cam00": 0, "cam05": 2}
CLOUD = "vc_roma_sfm_300.ply"
RECONSTRUCTION = "preprocess/time_0000/sparse/0"


def camera_of(k: int) -> Camera:
    c = rig_camera(k)
    return Camera(c.world_to_camera, c.fx, 1.02 * c.fy, 31.0, 23.5, WIDTH, HEIGHT)


def write_list(folder: Path) -> None:
    """What the preprocessing reconstructed: real cameras, and virtual ones between them."""
    entries: list[dict[str, Any]] = []

    def add(identity: int, path: str, k: float, instant: int, real: int) -> None:
        c = camera_of(k)  # type: ignore[arg-type]
        entries.append(
            {"id": identity, "file_path": path, "width": WIDTH, "height": HEIGHT, "fx": c.fx, "fy": c.fy, "cx": c.cx,
             "cy": c.cy, "transform_matrix": c.camera_to_world.tolist(), "time": instant / FRAMES,
             "time_pseudo": 0.0 if real else k, "is_true_image": real}
        )  # fmt: skip

    for identity, (name, k) in enumerate(LEARNED.items()):
        for t in range(FRAMES):
            add(identity, f"images/{name}_{t:04d}.png", k, t, 1)
    for v in range(2):
        for t in range(FRAMES):
            path = f"preprocess/time_{t:04d}/diffusion/frame_{v:05d}.png"
            add(2 + v, path, 1.5 + v, t, 0)
            write_picture(folder / path, pictures(2, 90 + t)[v])
    (folder / LIST).write_text(json.dumps(entries))


def write_transforms(folder: Path, move: Callable[[Camera], np.ndarray]) -> None:
    """The data set's own poses, OpenGL axes; ``move``: of a camera to world there."""
    for name, cameras in ((TRAIN, LEARNED), (TEST, MEASURED)):
        frames = [
            {"file_path": f"images/{camera}_{t:04d}", "time": t / FRAMES,
             "transform_matrix": (move(camera_of(k)) @ OPENGL_TO_OPENCV).tolist()}
            for camera, k in cameras.items() for t in range(FRAMES)
        ]  # fmt: skip
        c = camera_of(0)
        head = {"w": WIDTH, "h": HEIGHT, "fl_x": c.fx, "fl_y": c.fy, "cx": c.cx, "cy": c.cy}
        (folder / name).write_text(json.dumps(head | {"frames": frames}))


def write_pictures(folder: Path, cameras: dict[str, int]) -> None:
    for name, k in cameras.items():
        for t, picture in enumerate(pictures(FRAMES, k)):
            write_picture(folder / "images" / f"{name}_{t:04d}.png", picture)


def ply(points: np.ndarray, times: np.ndarray | None) -> bytes:
    """As plyfile writes what the preprocessing stores."""
    row = [(n, "<f4") for n in ("x", "y", "z", "nx", "ny", "nz")] + [(n, "u1") for n in ("red", "green", "blue")]
    row += [("time", "<f4")] if times is not None else []
    table = np.zeros(len(points), row)
    for k, name in enumerate("xyz"):
        table[name] = points[:, k]
    table["green"] = 51
    if times is not None:
        table["time"] = times
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    lines += [f"property {'uchar' if kind == 'u1' else 'float'} {name}" for name, kind in row]
    return "\n".join([*lines, "end_header", ""]).encode() + table.tobytes()


def write_packaged(folder: Path) -> Path:
    write_list(folder)
    write_transforms(folder, elsewhere)
    write_pictures(folder, LEARNED | MEASURED)
    (folder / CLOUD).write_bytes(ply(POINTS, np.linspace(-0.1, 1.1, len(POINTS), dtype=np.float32)))
    return folder


def write_preprocessed(folder: Path) -> Path:
    write_list(folder)
    write_pictures(folder, LEARNED)
    return folder


def test_the_world_is_the_reconstructions_and_other_cameras_are_brought_over(tmp_path: Path) -> None:
    """The data set's poses stand in a world that is turned, shifted and 2.5 times as large."""
    dataset = open_dataset(write_packaged(tmp_path), FULL)
    assert splits(dataset) == {"cam01": "train", "cam06": "train", "cam00": "test", "cam05": "test"}
    for name, k in (LEARNED | MEASURED).items():
        for t in (0, FRAMES - 1):
            assert_sees(dataset, name, t, camera_of(k))
        np.testing.assert_array_equal(dataset.read(shot_index(dataset, name, 2)), pictures(FRAMES, k)[2])
    assert [s.time for s in dataset.shots[:FRAMES]] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_preprocessed_clip_has_the_cameras_that_it_lists(tmp_path: Path) -> None:
    dataset = open_dataset(write_preprocessed(tmp_path), FULL)
    assert splits(dataset) == {"cam01": "train", "cam06": "train"}
    assert_sees(dataset, "cam06", 1, camera_of(3))
    assert dataset.points is None


def test_its_generated_views_stand_in_the_same_world(tmp_path: Path) -> None:
    write_preprocessed(tmp_path)
    dataset = with_generated(open_dataset(tmp_path, FULL), FULL, lambda text: None)
    assert dataset.generated is not None and len(dataset.generated.frames) == 2 * FRAMES
    for v, camera in enumerate(dataset.generated.cameras):
        expected = camera_of(1.5 + v).project(POINTS)[0]  # type: ignore[arg-type]
        np.testing.assert_allclose(camera.project(POINTS)[0], expected, atol=1e-5)


def test_before_the_preprocessing_the_world_is_the_data_sets(tmp_path: Path) -> None:
    write_transforms(tmp_path, lambda c: c.camera_to_world)
    write_pictures(tmp_path, LEARNED | MEASURED)
    dataset = open_dataset(tmp_path, FULL)
    assert splits(dataset) == {"cam01": "train", "cam06": "train", "cam00": "test", "cam05": "test"}
    assert_sees(dataset, "cam05", 3, camera_of(2))


@pytest.mark.parametrize("sized", [True, False])
def test_intrinsics_may_be_stated_by_picture_or_as_a_field_of_view(tmp_path: Path, sized: bool) -> None:
    write_transforms(tmp_path, lambda c: c.camera_to_world)
    write_pictures(tmp_path, LEARNED | MEASURED)
    c = camera_of(0)

    def by_picture(data: Any) -> None:
        for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
            data.pop(key)
        for f in data["frames"]:
            f |= {"width": WIDTH, "height": HEIGHT, "fx": c.fx, "fy": c.fy, "cx": c.cx, "cy": c.cy}

    def by_angle(data: Any) -> None:
        data["camera_angle_x"] = 2 * math.atan(0.5 * WIDTH / 40.0)
        for key in ("fl_x", "fl_y", "cx", "cy", *(() if sized else ("w", "h"))):
            data.pop(key)

    edit(by_picture, TRAIN)(tmp_path)
    edit(by_angle, TEST)(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    assert_sees(dataset, "cam06", 0, camera_of(3))
    pose = rig_camera(2).world_to_camera
    assert_sees(dataset, "cam05", 0, Camera(pose, 40.0, 40.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT))


def test_measured_cameras_without_pictures_are_left_out(tmp_path: Path) -> None:
    write_packaged(tmp_path)
    for t in range(FRAMES):
        (tmp_path / "images" / f"cam05_{t:04d}.png").unlink()
    assert "cam05" not in open_dataset(tmp_path, FULL).camera_names


def test_points_have_the_instants_of_the_clip(tmp_path: Path) -> None:
    """Frame k of n is at k / n in the file and at k / (n - 1) here; what the file has beyond its ends lies at them."""
    dataset = open_dataset(write_packaged(tmp_path), FULL)
    assert dataset.points is not None and dataset.points.times is not None
    written = np.linspace(-0.1, 1.1, len(POINTS))
    np.testing.assert_allclose(dataset.points.times, np.clip(written * 4 / 3, 0, 1), atol=1e-6)
    np.testing.assert_allclose(dataset.points.points, POINTS, atol=1e-6)
    np.testing.assert_allclose(dataset.points.colors, [[0, 0.2, 0]] * len(POINTS), atol=1e-6)
    assert 1.5 < dataset.near < 2.6 and 3.4 < dataset.far < 5


@pytest.mark.parametrize("kind", ["ply", "bin"])
def test_without_dense_points_the_reconstructions_are_taken(tmp_path: Path, kind: str) -> None:
    write_preprocessed(tmp_path)
    model = tmp_path / RECONSTRUCTION
    write_model(model, POINTS, [rig_camera(k).world_to_camera for k in range(3)], True)
    if kind == "ply":
        (model / "points3D.ply").write_bytes(ply(2 * POINTS, None))
    points = open_dataset(tmp_path, FULL).points
    assert points is not None and points.times is None
    np.testing.assert_allclose(points.points, (2 if kind == "ply" else 1) * POINTS, atol=1e-6)


def test_depths_beside_the_clip_are_found(tmp_path: Path) -> None:
    write_preprocessed(tmp_path)
    for name in LEARNED:
        (tmp_path / "depth" / name).mkdir(parents=True)
        for t in range(FRAMES):
            depth = np.full((HEIGHT, WIDTH), 2.0 + t, np.float32)
            np.save(tmp_path / "depth" / name / f"{name}_{t:04d}_depth.npy", depth)
    dataset = open_dataset(tmp_path, FULL)
    np.testing.assert_allclose(depth_files(tmp_path / "depth", dataset)(shot_index(dataset, "cam06", 3)), 5.0)


def test_it_is_told_and_described(tmp_path: Path) -> None:
    assert_looked_at(write_packaged(tmp_path), NAME, f"4 cameras with {LIST} (SparseCam4D), 4 frames")
    (tmp_path / "images" / "cam06_0002.png").unlink()
    told = layout_of(tmp_path)
    assert told is not None
    look = told.look(tmp_path)
    assert not look.opens and "cam06_0002.png" in look.missing[0]


def test_videos_with_a_calibration_of_their_own_stay_what_they_are(tmp_path: Path) -> None:
    write_packaged(tmp_path)
    (tmp_path / "cameras.json").write_text('{"cameras": []}')
    told = layout_of(tmp_path)
    assert told is not None and told.name == "calibrated videos"


def edit(change: Callable[[Any], object], name: str = LIST) -> Break:
    return edit_json(name, change)


BROKEN: list[tuple[str, Break, str]] = [
    ("not JSON", overwrite(LIST, b"["), "not readable as JSON"),
    ("no list", overwrite(LIST, b"{}"), "is not a list of pictures"),
    ("no real cameras", edit(lambda d: [e.update(is_true_image=0) for e in d]), "no camera to learn from"),
    ("no matrix", edit(lambda d: d[0].pop("transform_matrix")), "cam01_0000.png"),
    ("not finite", edit(lambda d: d[1]["transform_matrix"][0].__setitem__(0, float("nan"))), "cam01_0001.png"),
    ("no rotation", edit(lambda d: d[1]["transform_matrix"][0].__setitem__(0, 4)), "is not a rotation"),
    ("several poses", edit(lambda d: d[1]["transform_matrix"][0].__setitem__(3, 9)), "cam01 has several poses"),
    ("zero focal length", edit(lambda d: d[1].update(fx=0)), "fx of images/cam01_0001.png"),
    ("no width", edit(lambda d: d[1].pop("width")), "width of images/cam01_0001.png"),
    ("another shape", edit(lambda d: [e.update(width=200) for e in d]), "of 200x48"),
    ("another name", edit(lambda d: d[1].update(file_path="images/one.png")), "images/one.png is not named"),
    ("twice", edit(lambda d: d.append(d[0])), "two pictures of instant 0"),
    ("an instant is missing", edit(lambda d: d.pop(1)), "no picture cam01_0001"),
    ("a picture is missing", remove("images/cam01_0002.png"), "cam01_0002.png: no such picture"),
    ("not a picture", overwrite("images/cam01_0002.png"), "cam01_0002.png: not readable"),
    ("another size", resize("images/cam01_0002.png"), "is 20x30 while cam01_0000.png is 64x48"),
    ("a measured picture is missing", remove("images/cam05_0002.png"), "cam05_0002.png: no such picture"),
    ("no frames", edit(lambda d: d.pop("frames"), TEST), "has no list named frames"),
    ("no intrinsics", edit(lambda d: d.pop("fl_x"), TEST), "fl_x of images/cam00_0000"),
    ("no tie between the worlds", edit(lambda d: d.update(frames=d["frames"][:FRAMES]), TRAIN), "fewer than two"),
    ("points cut off", lambda f: (f / CLOUD).write_bytes((f / CLOUD).read_bytes()[:-9]), "bytes for 20 rows of"),
    ("no points", lambda f: (f / CLOUD).write_bytes(ply(POINTS[:0], None)), "holds no points"),
    ("not points", overwrite(CLOUD), "is not a PLY file"),
    ("points in words", lambda f: (f / CLOUD).write_bytes(
        (f / CLOUD).read_bytes().replace(b"binary_little_endian", b"ascii")), "binary little-endian"),
    ("points without colour", lambda f: (f / CLOUD).write_bytes(
        (f / CLOUD).read_bytes().replace(b"uchar red", b"uchar rot")), "have no red"),
    ("points in lists", lambda f: (f / CLOUD).write_bytes(
        (f / CLOUD).read_bytes().replace(b"float nx", b"list uchar float nx")), "not numbers"),
    ("points that are not finite", lambda f: (f / CLOUD).write_bytes(ply(np.full((5, 3), np.nan), None)), "not finite"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_refused_in_one_sentence(tmp_path: Path, title: str, damage: Break, said: str) -> None:
    damage(write_packaged(tmp_path))
    assert said in refused(tmp_path, NAME)


def test_other_elements_after_the_points_are_passed_over(tmp_path: Path) -> None:
    data = ply(POINTS, None).replace(b"end_header", b"element face 1\nproperty list uchar int indices\nend_header")
    (tmp_path / "points.ply").write_bytes(data + b"\x03" + bytes(12))
    points, _, times = read_points(tmp_path / "points.ply")
    assert len(points) == len(POINTS) and times is None


def test_frames_can_be_thinned(tmp_path: Path) -> None:
    dataset = open_dataset(write_packaged(tmp_path), DataOptions(megapixels=1, frame_step=2))
    np.testing.assert_array_equal(dataset.read(shot_index(dataset, "cam00", 1)), pictures(FRAMES, 0)[2])
