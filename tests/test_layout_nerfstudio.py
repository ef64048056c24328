"""nerfstudio's transforms.json, true folders and broken twins."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from renderer.camera import Camera
from renderer.errors import InputError
from tests.field_folders import (
    FULL,
    Break,
    assert_projects,
    assert_said,
    edit_json,
    noise,
    overwrite,
    remove,
    resize,
)
from training.data.layouts import layout_of
from training.data.lens import Lens, straightening
from training.data.loading import DataOptions, open_dataset
from training.data.point_file import read_cloud
from training.data.recognise import recognise

WIDTH, HEIGHT, FRAMES = 40, 30, 17
SHARED = {"fl_x": 50.0, "fl_y": 48.0, "cx": 21.0, "cy": 14.0, "w": WIDTH, "h": HEIGHT, "camera_model": "OPENCV",
          "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}  # fmt: skip
SWAP = [[1.0, 0, 0, 0.5], [0, 0, 1.0, 0], [0, -1.0, 0, 0]]
"""Of a world with z up: what nerfstudio does to COLMAP's."""
POINTS = np.random.default_rng(0).uniform(-0.4, 0.4, (30, 3))


def pose(x: float) -> list[list[float]]:
    """Camera-to-world with OpenGL axes of a camera at (x, 0, 4) that looks along -z."""
    return [[1, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]]


def write_nerfstudio(folder: Path, count: int = FRAMES, **more: Any) -> Path:
    (folder / "images").mkdir(parents=True)
    frames = []
    for k in range(count):
        name = f"images/frame_{k + 1}.png"  # 10 comes after 9
        Image.fromarray(noise(WIDTH, HEIGHT, k)).save(folder / name)
        frames.append({"file_path": name, "transform_matrix": pose(0.1 * k)})
    np.random.default_rng(1).shuffle(frames)  # type: ignore[arg-type]
    (folder / "transforms.json").write_text(json.dumps({**SHARED, "frames": frames, **more}))
    return folder


def write_ply(path: Path, points: np.ndarray, ascii_written: bool = True) -> None:
    colors = np.tile([255, 0, 51], (len(points), 1))
    head = f"ply\nformat {'ascii' if ascii_written else 'binary_little_endian'} 1.0\ncomment points\n"
    head += f"element vertex {len(points)}\n" + "".join(f"property float {n}\n" for n in "xyz")
    head += "".join(f"property uint8 {n}\n" for n in ("red", "green", "blue")) + "end_header\n"
    if ascii_written:
        rows = [" ".join(f"{v:.7f}" for v in p) + " 255 0 51" for p in points]
        path.write_text(head + "\n".join(rows) + "\n")
        return
    table = np.zeros(len(points), [(n, "<f4") for n in "xyz"] + [(n, "u1") for n in "rgb"])
    for k, n in enumerate("xyz"):
        table[n] = points[:, k]
    for k, n in enumerate("rgb"):
        table[n] = colors[:, k]
    path.write_bytes(head.encode() + table.tobytes())


def test_cameras_project_as_computed_by_hand(tmp_path: Path) -> None:
    dataset = open_dataset(write_nerfstudio(tmp_path), FULL)
    # at (0, 0, 4), looking along -z with y up
    assert_projects(
        dataset.shots[0].camera,
        [(0, 0, 0), (0.4, 0.2, 0), (0.4, 0.2, 2)],
        [(21, 14), (21 + 50 * 0.1, 14 - 48 * 0.05), (21 + 50 * 0.2, 14 - 48 * 0.1)],
    )
    assert_projects(dataset.shots[10].camera, [(1.4, 0, 0)], [(26, 14)])
    np.testing.assert_array_equal(dataset.read(10), noise(WIDTH, HEIGHT, 10))


def test_without_times_it_is_one_camera_that_moves_in_the_order_of_names(tmp_path: Path) -> None:
    dataset = open_dataset(write_nerfstudio(tmp_path), FULL)
    assert dataset.camera_names == ["camera"] and [s.frame for s in dataset.shots] == list(range(FRAMES))
    assert [dataset.shots[i].frame for i in dataset.indices("test")] == [7, 15]
    assert [s.time for s in dataset.shots] == pytest.approx([k / 16 for k in range(FRAMES)])
    assert dataset.duration == pytest.approx(16 / 30)
    thinned = open_dataset(tmp_path, DataOptions(megapixels=1.0, frame_step=5))
    assert [s.frame for s in thinned.shots] == [0, 1, 2, 3] and thinned.shots[-1].time == 1
    np.testing.assert_array_equal(thinned.read(2), noise(WIDTH, HEIGHT, 10))


def test_intrinsics_of_a_frame_come_before_those_of_all(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path)
    edit_json("transforms.json", lambda d: next(f for f in d["frames"] if f["file_path"].endswith("_3.png")).update(
        fl_x=60.0, cx=20.0))(tmp_path)  # fmt: skip
    dataset = open_dataset(tmp_path, FULL)
    assert [(s.camera.fx, s.camera.cx) for s in dataset.shots[1:4]] == [(50, 21), (60, 20), (50, 21)]
    for key in ("fl_x", "fl_y", "cx", "cy"):
        edit_json("transforms.json", lambda d, key=key: [x.pop(key, 0) for x in (d, *d["frames"])])(tmp_path)  # type: ignore[misc]
    edit_json("transforms.json", lambda d: d.update(camera_angle_x=0.8))(tmp_path)
    camera = open_dataset(tmp_path, FULL).shots[2].camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((20 / math.tan(0.4),) * 2 + (20, 15))


def test_times_are_instants_that_several_cameras_share(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path, 15)

    def on_a_rig(data: Any) -> None:
        for frame in data["frames"]:
            k = int(frame["file_path"].split("_")[1][:-4]) - 1
            frame.update(time=2.0 + 0.04 * (k % 3), transform_matrix=pose(0.5 * (k // 3)))

    edit_json("transforms.json", on_a_rig)(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.frame_count == 3 and dataset.camera_names == [f"camera{n}" for n in range(5)]
    assert [s.time for s in dataset.shots[:3]] == pytest.approx([0, 0.5, 1])
    assert {dataset.shots[i].camera_name for i in dataset.indices("test")} == {"camera2"}  # the one in the middle
    found = recognise(tmp_path)
    assert found.opens and found.what == "15 pictures with transforms.json (nerfstudio) at 3 instants"
    assert "5 cameras filmed at once" in found.reason


def test_lists_of_names_say_what_is_held_out(tmp_path: Path) -> None:
    names = [f"images/frame_{k + 1}.png" for k in range(FRAMES)]
    write_nerfstudio(tmp_path, train_filenames=names[:12], val_filenames=names[12:14], test_filenames=names[14:16])
    dataset = open_dataset(tmp_path, FULL)
    assert [dataset.shots[i].frame for i in dataset.indices("train")] == list(range(12))
    assert [dataset.shots[i].frame for i in dataset.indices("test")] == [14, 15]
    assert len(dataset.shots) == 14
    ranged = open_dataset(tmp_path, DataOptions(megapixels=1.0, train_frames=(0, 4), test_frames=(5, 6)))
    assert [s.frame for s in ranged.shots] == [*range(7)]


def test_what_is_masked_is_black(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :10] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    edit_json("transforms.json", lambda d: [f.update(mask_path="mask.png") for f in d["frames"]])(tmp_path)
    image = open_dataset(tmp_path, FULL).read(4)
    np.testing.assert_array_equal(image[:, :10], noise(WIDTH, HEIGHT, 4)[:, :10])
    assert not image[:, 10:].any()
    Image.fromarray(mask[:-1]).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png: is 40x29"):
        open_dataset(tmp_path, FULL).read(4)


@pytest.mark.parametrize("fisheye", [False, True])
@pytest.mark.parametrize("strength", [-0.2, 0.15])
def test_a_lens_is_straightened(tmp_path: Path, strength: float, fisheye: bool) -> None:
    """A bright dot where the lens puts a known point is, in the straight picture, where its pinhole puts the point."""
    width, height = 320, 240
    values: dict[str, float] = {"fl_x": 260.0, "fl_y": 250.0, "cx": 163.0, "cy": 118.0, "w": width, "h": height}
    k1, k2, p1, p2 = (strength, 0.02, 0.0, 0.0) if fisheye else (strength, 0.03, 0.004, -0.003)
    K = np.array([[260, 0, 163 - 0.5], [0, 250, 118 - 0.5], [0, 0, 1.0]])
    rng, folder = np.random.default_rng(3), tmp_path / "images"
    folder.mkdir()
    points = np.stack([rng.uniform(-1.6, 1.6, 8), rng.uniform(-1.2, 1.2, 8), rng.uniform(-0.5, 0.5, 8)], 1)
    local = (points - [0, 0, 4]) * [1, -1, -1]  # the camera is at (0, 0, 4), OpenCV's axes
    if fisheye:
        bent = cv2.fisheye.projectPoints(local[:, None], np.zeros(3), np.zeros(3), K, np.array([k1, k2, 0, 0]))[0]
    else:
        bent = cv2.projectPoints(local, np.zeros(3), np.zeros(3), K, np.array([k1, k2, p1, p2]))[0]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
    for k, (x, y) in enumerate(bent.reshape(-1, 2)):
        dot = 255 * np.exp(-((grid - [x, y]) ** 2).sum(2) / (2 * 2.0**2))
        Image.fromarray(dot.astype(np.uint8)).convert("RGB").save(folder / f"{k}.png")
    frames = [{"file_path": f"images/{k}.png", "transform_matrix": pose(0)} for k in range(8)]
    model = "OPENCV_FISHEYE" if fisheye else "OPENCV"
    data = {**values, "camera_model": model, "k1": k1, "k2": k2, "p1": p1, "p2": p2, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    dataset = open_dataset(tmp_path, FULL)
    seen = 0
    for k, point in enumerate(points):
        u, v = dataset.shots[k].camera.project(point[None])[0][0]
        image = dataset.read(k).astype(float).sum(2)
        if not (8 < u < width - 8 and 8 < v < height - 8):
            continue
        center = (grid * image[..., None]).sum((0, 1)) / image.sum() + 0.5
        np.testing.assert_allclose(center, [u, v], atol=0.15)
        seen += 1
    assert seen >= 5


def test_a_straight_picture_has_no_empty_edge_and_a_lens_that_hardly_bends_is_left() -> None:
    bent = Camera(np.eye(4), 260, 250, 163, 118, 320, 240)
    for k1 in (-0.2, 0.15):
        straight = straightening(bent, Lens(np.array([k1, 0.03, 0.0, 0.0, 0.0])))
        assert straight is not None
        image = straight(np.full((240, 320, 3), 200, np.uint8))
        assert image.min() >= 199
    assert straightening(bent, Lens(np.array([1e-5, 0, 0, 0, 0.0]))) is None
    assert straightening(bent, Lens(np.zeros(5))) is None


@pytest.mark.parametrize("ascii_written", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_points_are_brought_to_the_world_of_the_poses(tmp_path: Path, before: bool, ascii_written: bool) -> None:
    """Early versions of nerfstudio leave the points where they were before applied_transform, later ones do not."""
    A = np.array(SWAP)
    stored = (POINTS - A[:, 3]) @ A[:, :3] if before else POINTS
    write_nerfstudio(tmp_path, applied_transform=SWAP, ply_file_path="points.ply")
    for k in range(FRAMES):  # the points, grey around them
        image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        x, y, z = (POINTS - [0.1 * k, 0, 4]).T * [[1], [-1], [-1]]
        image[(14 + 48 * y / z).astype(int), (21 + 50 * x / z).astype(int).clip(0, WIDTH - 1)] = [255, 0, 51]
        Image.fromarray(image).save(tmp_path / "images" / f"frame_{k + 1}.png")
    write_ply(tmp_path / "points.ply", stored, ascii_written)
    cloud = open_dataset(tmp_path, FULL).points
    assert cloud is not None
    np.testing.assert_allclose(cloud.points, POINTS, atol=1e-5)
    np.testing.assert_allclose(cloud.colors, np.tile([1, 0, 0.2], (30, 1)), atol=1e-6)


def test_near_and_far_are_those_of_the_points(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path, ply_file_path="points.ply")
    write_ply(tmp_path / "points.ply", POINTS)
    dataset = open_dataset(tmp_path, FULL)
    assert 3.6 / 1.2 <= dataset.near <= 3.8 / 1.2 and 4.2 * 1.2 <= dataset.far <= 4.4 * 1.2


def test_it_is_recognised(tmp_path: Path) -> None:
    found = recognise(write_nerfstudio(tmp_path) / "images" / "frame_3.png")
    assert (found.path, found.kind, found.opens, found.missing) == (tmp_path, "nerfstudio", True, ())
    assert found.what == "17 pictures with transforms.json (nerfstudio)" and found.method == "4dgs"
    assert (told := layout_of(tmp_path)) is not None and told.name == "nerfstudio"


FILE = "transforms.json"
BROKEN: list[tuple[str, Break, str]] = [
    ("not JSON", overwrite(FILE, b"{"), FILE),
    ("not text", overwrite(FILE, b"\xff\xfe\x00"), FILE),
    ("no frames", edit_json(FILE, lambda d: d.pop("frames")), FILE),
    ("empty list", edit_json(FILE, lambda d: d.update(frames=[])), FILE),
    ("frame of numbers", edit_json(FILE, lambda d: d["frames"].__setitem__(1, 7)), "frame 1"),
    ("twice", edit_json(FILE, lambda d: d["frames"].append(d["frames"][0])), "twice"),
    ("no matrix", edit_json(FILE, lambda d: d["frames"][1].pop("transform_matrix")), "transform_matrix"),
    ("wrong shape", edit_json(FILE, lambda d: d["frames"][1].update(transform_matrix=[[1, 0], [0, 1]])), "shape"),
    ("not finite", edit_json(FILE, lambda d: d["frames"][1]["transform_matrix"][1].__setitem__(3, math.nan)), "finite"),
    ("mirrored", edit_json(FILE, lambda d: d["frames"][1]["transform_matrix"][0].__setitem__(0, -1)), "rotation"),
    ("no focal length", edit_json(FILE, lambda d: d.pop("fl_x")), "fl_x"),
    ("zero focal length", edit_json(FILE, lambda d: d.update(fl_y=0)), "focal length"),
    ("focal length of words", edit_json(FILE, lambda d: d.update(fl_x="50")), "fl_x"),
    ("k1 not finite", edit_json(FILE, lambda d: d.update(k1=math.nan)), "k1"),
    ("k4 of no fisheye", edit_json(FILE, lambda d: d.update(k4=0.1)), "k4"),
    ("panorama", edit_json(FILE, lambda d: d.update(camera_model="EQUIRECTANGULAR")), "EQUIRECTANGULAR"),
    ("another size", edit_json(FILE, lambda d: d.update(w=80, h=60)), "80x60"),
    ("a resized picture", resize("images/frame_4.png"), "frame_4.png"),
    ("no picture", remove("images/frame_4.png"), "frame_4.png"),
    ("not a picture", overwrite("images/frame_4.png", b"x"), "frame_4.png"),
    ("some times", edit_json(FILE, lambda d: d["frames"][0].update(time=1)), "time"),
    ("time of words", edit_json(FILE, lambda d: d["frames"][0].update(time="noon")), "time"),
    ("no such name", edit_json(FILE, lambda d: d.update(train_filenames=["images/gone.png"])), "gone.png"),
    ("names in no list", edit_json(FILE, lambda d: d.update(train_filenames="all")), "train_filenames"),
    ("no points", edit_json(FILE, lambda d: d.update(ply_file_path="gone.ply")), "gone.ply"),
    ("no fps", edit_json(FILE, lambda d: d.update(fps=[])), "fps"),
    ("fps of zero", edit_json(FILE, lambda d: d.update(fps=0)), "fps"),
    ("fps below zero", edit_json(FILE, lambda d: d.update(fps=-30)), "fps"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "named"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_named_in_one_sentence(tmp_path: Path, name: str, damage: Break, named: str) -> None:
    damage(write_nerfstudio(tmp_path))
    assert_said(tmp_path, named)


@pytest.mark.parametrize(
    "data",
    [b"", b"ply\nformat ascii 1.0\n", b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n",
     b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
     b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nproperty float y\nproperty float z\n"
     b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n",
     b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
     b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\nnan 0 0 1 2 3\n",
     b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
     b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n0 0 0 1 2 300\n"],
)  # fmt: skip
def test_damaged_points_are_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "points.ply").write_bytes(data)
    with pytest.raises(InputError, match=r"points\.ply: ") as caught:
        read_cloud(tmp_path / "points.ply")
    assert "\n" not in str(caught.value)


def test_a_broken_transform_of_the_points_is_named(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path, applied_transform=[[1, 0], [0, 1]], ply_file_path="points.ply")
    write_ply(tmp_path / "points.ply", POINTS)
    assert_said(tmp_path, "applied_transform")
