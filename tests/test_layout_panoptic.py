"""Panoptic Studio's folders as Dynamic 3D Gaussians packages them: true ones, and broken ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.camera import Camera
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
from training.data.layouts import DataOptions
from training.data.loading import open_dataset

NAME = "Panoptic Studio"
TRAIN, TEST, POINTS_FILE = "train_meta.json", "test_meta.json", "init_pt_cld.npz"
NUMBERS = {TRAIN: [1, 2, 13], TEST: [0, 10]}


def camera_of(number: int) -> Camera:
    """With a centre that is not in the middle and pixels that are not square."""
    c = rig_camera(number)
    return Camera(c.world_to_camera, c.fx, 1.01 * c.fy, 31.0 + 0.1 * number, 23.5, WIDTH, HEIGHT)


def meta(numbers: list[int]) -> dict[str, Any]:
    cameras = [camera_of(n) for n in numbers]
    k = [[[c.fx, 0, c.cx], [0, c.fy, c.cy], [0, 0, 1]] for c in cameras]
    return {
        "w": WIDTH,
        "h": HEIGHT,
        "k": [k] * FRAMES,
        "w2c": [[c.world_to_camera.tolist() for c in cameras]] * FRAMES,
        "fn": [[f"{n}/{t:06d}.jpg" for n in numbers] for t in range(FRAMES)],
        "cam_id": [numbers] * FRAMES,
    }


def write_clip(folder: Path) -> Path:
    for name, numbers in NUMBERS.items():
        (folder / name).write_text(json.dumps(meta(numbers)))
        for n in numbers:
            for t, picture in enumerate(pictures(FRAMES, n)):
                write_picture(folder / "ims" / str(n) / f"{t:06d}.jpg", picture)
    cloud = np.concatenate([POINTS, np.full((len(POINTS), 3), 0.25), np.ones((len(POINTS), 1))], axis=1)
    np.savez(folder / POINTS_FILE, data=cloud)
    return folder


def edit(change: Callable[[Any], object], name: str = TRAIN) -> Break:
    return edit_json(name, change)


def save_points(data: np.ndarray, key: str = "data") -> Break:
    return lambda folder: np.savez(folder / POINTS_FILE, **{key: data})


def test_the_cameras_of_both_lists_are_read(tmp_path: Path) -> None:
    dataset = open_dataset(write_clip(tmp_path), FULL)
    assert splits(dataset) == {"cam01": "train", "cam02": "train", "cam13": "train", "cam00": "test", "cam10": "test"}
    for n in (1, 13, 10):
        for t in (0, FRAMES - 1):
            assert_sees(dataset, f"cam{n:02d}", t, camera_of(n))
        found = dataset.read(shot_index(dataset, f"cam{n:02d}", 2)).astype(int)
        assert np.abs(found - pictures(FRAMES, n)[2]).mean() < 8  # as well as a JPEG keeps it
    assert [s.time for s in dataset.shots[:FRAMES]] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert dataset.fps == pytest.approx(30)


def test_the_points_give_the_depths_of_the_scene(tmp_path: Path) -> None:
    dataset = open_dataset(write_clip(tmp_path), FULL)
    assert dataset.points is not None and dataset.points.times is None
    np.testing.assert_allclose(dataset.points.points, POINTS, atol=1e-6)
    np.testing.assert_allclose(dataset.points.colors, 0.25)
    assert 1.5 < dataset.near < 2.5 and 3.5 < dataset.far < 5  # half a unit around a centre 3 away
    (tmp_path / POINTS_FILE).unlink()
    bare = open_dataset(tmp_path, FULL)
    assert bare.points is None and 0 < bare.near < 3 < bare.far


def test_without_a_list_of_test_cameras_the_middle_one_of_four_is_held_out(tmp_path: Path) -> None:
    write_clip(tmp_path)
    (tmp_path / TEST).unlink()
    assert set(splits(open_dataset(tmp_path, FULL)).values()) == {"train"}
    numbers = [1, 2, 13, 0]
    (tmp_path / TRAIN).write_text(json.dumps(meta(numbers)))
    assert [n for n, split in splits(open_dataset(tmp_path, FULL)).items() if split == "test"] == ["cam02"]


def test_cameras_and_frames_can_be_chosen(tmp_path: Path) -> None:
    write_clip(tmp_path)
    dataset = open_dataset(tmp_path, DataOptions(cameras=("cam01", "cam10"), frame_step=3))
    assert splits(dataset) == {"cam01": "train", "cam10": "train", "cam00": "test"}
    assert [s.frame for s in dataset.shots[:2]] == [0, 1]
    found = dataset.read(shot_index(dataset, "cam10", 1)).astype(int)
    assert np.abs(found - pictures(FRAMES, 10)[3]).mean() < 8


def test_it_is_told_and_described(tmp_path: Path) -> None:
    assert_looked_at(write_clip(tmp_path), NAME, "5 cameras with train_meta.json (Panoptic Studio), 4 frames")


BROKEN: list[tuple[str, Break, str]] = [
    ("not JSON", overwrite(TRAIN, b"{"), "not readable as JSON"),
    ("a list", overwrite(TRAIN, b"[]"), "has no w"),
    ("no k", edit(lambda d: d.pop("k")), "has no k"),
    ("a frame lacks a camera", edit(lambda d: d["cam_id"][1].pop()), "equally many"),
    ("poses for other cameras", edit(lambda d: [frame.pop() for frame in d["w2c"]]), "4 frames and 3 cameras"),
    ("names for other frames", edit(lambda d: d["fn"].pop()), "4 frames and 3 cameras"),
    ("names that are numbers", edit(lambda d: d["fn"][0].__setitem__(0, 5)), "4 frames and 3 cameras"),
    ("no frames", edit(lambda d: d.update(cam_id=[], k=[], w2c=[], fn=[])), "same cameras"),
    ("cameras change", edit(lambda d: d["cam_id"][1].__setitem__(0, 7)), "same cameras"),
    ("two of one number", edit(lambda d: d.update(cam_id=[[1, 1, 13]] * FRAMES)), "same cam_id"),
    ("not finite", edit(lambda d: d["w2c"][2][1].__setitem__(0, [float("nan")] * 4)), "cam02 at frame 2 is not finite"),
    ("no rotation", edit(lambda d: d["w2c"][2][1].__setitem__(0, [3, 0, 0, 0])), "cam02 at frame 2 is not a rotation"),
    ("zero focal length", edit(lambda d: d["k"][0][0][1].__setitem__(1, 0)), "intrinsics of cam01 at frame 0"),
    ("no width", edit(lambda d: d.update(w=0)), "w or h"),
    ("another shape", edit(lambda d: d.update(w=200)), "of 200x48"),
    ("a camera in both", edit(lambda d: d.update(cam_id=[[0, 13]] * FRAMES), TEST), "camera 13 is in train_meta.json"),
    ("fewer test frames", edit(lambda d: [d[key].pop() for key in ("k", "w2c", "fn", "cam_id")], TEST), "has 3 frames"),
    ("a picture is missing", remove("ims/2/000001.jpg"), "000001.jpg: no such picture"),
    ("not a picture", overwrite("ims/2/000001.jpg"), "000001.jpg: not readable"),
    ("another size", resize("ims/2/000001.jpg"), "is 20x30 while 000000.jpg is 64x48"),
    ("no test pictures", lambda f: shutil.rmtree(f / "ims" / "10"), "no such picture"),
    ("pickled points", lambda f: np.savez(f / POINTS_FILE, data=np.array([{}], dtype=object)), POINTS_FILE),
    ("points of another shape", save_points(np.zeros((5, 3))), "shape (5, 3)"),
    ("points of another name", save_points(np.zeros((5, 7)), "points"), "array named data"),
    ("points that are words", save_points(np.full((5, 7), "a")), "expected (points, 7)"),
    ("points that are not finite", save_points(np.full((5, 7), np.nan)), "not finite"),
    ("colours of bytes", save_points(np.full((5, 7), 200.0)), "colours in [0, 1]"),
    ("an array for points", lambda f: np.save((f / POINTS_FILE).open("wb"), np.zeros((5, 7))), POINTS_FILE),
    ("not points", overwrite(POINTS_FILE), POINTS_FILE),
]  # fmt: skip


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_refused_in_one_sentence(tmp_path: Path, title: str, damage: Break, said: str) -> None:
    damage(write_clip(tmp_path))
    assert said in refused(tmp_path, NAME)
