"""Nerfies' and HyperNeRF's folders, true ones and broken twins."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
from training.data.loading import DataOptions, open_dataset
from training.data.recognise import recognise

WIDTH, HEIGHT, COUNT = 80, 60, 14
CENTER, SCALE = [1.0, 2.0, 3.0], 0.5
TURN = 0.3


def orientation(angle: float) -> list[list[float]]:
    """From the world to a camera turned about the vertical, its rows right, down, forward."""
    c, s = math.cos(angle), math.sin(angle)
    return [[c, 0, -s], [0, 1, 0], [s, 0, c]]


def camera_entry(angle: float, position: list[float]) -> dict[str, Any]:
    return {
        "orientation": orientation(angle), "position": position, "focal_length": 100.0, "principal_point": [42.0, 28.0],
        "skew": 0.0, "pixel_aspect_ratio": 0.9, "radial_distortion": [0.0, 0.0, 0.0],
        "tangential_distortion": [0.0, 0.0], "image_size": [WIDTH, HEIGHT],
    }  # fmt: skip


def write_nerfies(folder: Path, rig: int = 1, count: int = COUNT, held: bool = False) -> Path:
    """Camera n at instant k turned by 0.3 n, at (1 + 0.2 k + n, 2, -7) before the scene is moved and scaled."""
    for place in ("camera", "rgb/1x", "rgb/2x"):
        (folder / place).mkdir(parents=True)
    ids, metadata = [], {}
    for k in range(count):
        for n in range(rig):
            name = f"{k:06d}" if rig == 1 else f"{'left' if n == 0 else 'right'}_{k:06d}"
            ids.append(name)
            metadata[name] = {"warp_id": 3 + 2 * k, "appearance_id": k, "camera_id": n}
            image = Image.fromarray(noise(WIDTH, HEIGHT, 100 * n + k))
            image.save(folder / "rgb" / "1x" / f"{name}.png")
            image.resize((WIDTH // 2, HEIGHT // 2)).save(folder / "rgb" / "2x" / f"{name}.png")
            entry = camera_entry(TURN * n, [1 + 0.2 * k + n, 2.0, -7.0])
            (folder / "camera" / f"{name}.json").write_text(json.dumps(entry))
    learned = [name for name in ids if not held or name.startswith("left")]
    lists = {"count": len(ids), "num_exemplars": len(learned), "ids": ids, "train_ids": learned,
             "val_ids": [name for name in ids if name not in learned]}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(lists))
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "scene.json").write_text(json.dumps({"scale": SCALE, "center": CENTER, "near": 3.0, "far": 9.0}))
    return folder


def test_cameras_project_as_computed_by_hand(tmp_path: Path) -> None:
    dataset = open_dataset(write_nerfies(tmp_path, rig=2, held=True), FULL)
    # the first camera is at ((1, 2, -7) - (1, 2, 3)) / 2 = (0, 0, -5) and looks along +z, y down
    assert_projects(
        dataset.shots[0].camera,
        [(0, 0, 0), (0.5, 0.25, 0), (0.5, 0.25, 5)],
        [(42, 28), (42 + 100 * 0.1, 28 + 90 * 0.05), (42 + 100 * 0.05, 28 + 90 * 0.025)],
    )
    # the right one is at (0.5, 0, -5) and looks along (sin, 0, cos), with (cos, 0, -sin) to its right
    c, s = math.cos(TURN), math.sin(TURN)
    right = next(shot for shot in dataset.shots if shot.camera_name == "camera1").camera
    np.testing.assert_allclose(right.center, [0.5, 0, -5], atol=1e-9)
    assert_projects(right, [(0.5 + 4 * s + 0.4 * c, 0.2, -5 + 4 * c - 0.4 * s)], [(42 + 100 * 0.1, 28 + 90 * 0.05)])
    assert (dataset.near, dataset.far) == (3, 9)


def test_one_camera_is_learned_from_and_the_other_held_out_by_the_lists(tmp_path: Path) -> None:
    dataset = open_dataset(write_nerfies(tmp_path, rig=2, held=True), FULL)
    assert {dataset.shots[i].camera_name for i in dataset.indices("train")} == {"camera0"}
    test = [dataset.shots[i] for i in dataset.indices("test")]
    assert {s.camera_name for s in test} == {"camera1"} and [s.frame for s in test] == list(range(COUNT))
    assert [s.time for s in test] == pytest.approx([k / 13 for k in range(COUNT)])
    np.testing.assert_array_equal(dataset.read(COUNT + 2), noise(WIDTH, HEIGHT, 102))
    assert dataset.duration == pytest.approx(13 / 15)


def test_of_every_four_pictures_one_is_learned_from_and_one_is_held_out(tmp_path: Path) -> None:
    dataset = open_dataset(write_nerfies(tmp_path), FULL)
    train, test = ([dataset.shots[i] for i in dataset.indices(split)] for split in ("train", "test"))
    at = [float(13 * s.time) for s in train]
    assert at == pytest.approx([0, 4, 8, 12]) and [13 * s.time for s in test] == pytest.approx([2, 6, 10])
    whole = open_dataset(tmp_path, DataOptions(megapixels=1.0, holdout=("none",)))
    assert len(whole.indices("train")) == COUNT


def test_pictures_are_taken_from_the_smallest_folder_that_is_large_enough(tmp_path: Path) -> None:
    write_nerfies(tmp_path)
    small = open_dataset(tmp_path, DataOptions(megapixels=40 * 30 / 1e6))
    with Image.open(tmp_path / "rgb" / "2x" / "000000.png") as image:
        np.testing.assert_array_equal(small.read(0), np.asarray(image))
    assert_projects(small.shots[0].camera, [(0.5, 0.25, 0)], [(21 + 5, 14 + 2.25)])
    large = open_dataset(tmp_path, DataOptions(megapixels=50 * 40 / 1e6))
    assert large.read(0).shape[:2] == (large.shots[0].camera.height, large.shots[0].camera.width) != (30, 40)


def test_a_lens_is_straightened(tmp_path: Path) -> None:
    """A dot where Nerfies' formula puts a point is where the straight camera puts it."""
    write_nerfies(tmp_path)
    k1, k2, k3, p1, p2 = -0.3, 0.1, 0.02, 0.01, -0.008
    point = np.array([1.1, 0.6, 0.0])  # 5 in front of the first camera
    x, y = point[0] / 5, point[1] / 5
    r = x * x + y * y
    d = 1 + r * (k1 + r * (k2 + r * k3))
    u = 100 * (x * d + 2 * p1 * x * y + p2 * (r + 2 * x * x)) + 42
    v = 90 * (y * d + 2 * p2 * x * y + p1 * (r + 2 * y * y)) + 28
    grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=2) + 0.5
    dot = 255 * np.exp(-((grid - [u, v]) ** 2).sum(2) / (2 * 1.5**2))
    Image.fromarray(dot.astype(np.uint8)).convert("RGB").save(tmp_path / "rgb" / "1x" / "000000.png")
    change = {"radial_distortion": [k1, k2, k3], "tangential_distortion": [p1, p2]}
    edit_json("camera/000000.json", lambda d: d.update(change))(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    image = dataset.read(0).astype(float).sum(2)
    found = (grid * image[..., None]).sum((0, 1)) / image.sum()
    np.testing.assert_allclose(found, dataset.shots[0].camera.project(point[None])[0][0], atol=0.1)


def test_points_are_moved_and_scaled_and_have_the_pictures_colours(tmp_path: Path) -> None:
    write_nerfies(tmp_path)
    for k in range(COUNT):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[:, 42:] = [255, 0, 51]
        Image.fromarray(image).save(tmp_path / "rgb" / "1x" / f"{k:06d}.png")
    inside = np.array([(3.0, 0.1, 0.0), (-1.0, -0.1, 1.0), (0.0, 0.0, -50.0), (np.nan, 0, 0)])
    np.save(tmp_path / "points.npy", inside / SCALE + CENTER)
    cloud = open_dataset(tmp_path, FULL).points
    assert cloud is not None
    np.testing.assert_allclose(cloud.points, inside[:3], atol=1e-5)
    np.testing.assert_allclose(cloud.colors, [[1, 0, 0.2], [0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize("rig", [1, 2])
def test_it_is_recognised(tmp_path: Path, rig: int) -> None:
    found = recognise(write_nerfies(tmp_path, rig, held=rig > 1) / "rgb" / "2x")
    assert (found.path, found.kind, found.opens, found.missing) == (tmp_path, "Nerfies", True, ())
    assert found.what == f"{14 * rig} pictures with dataset.json (Nerfies) at 14 instants"
    assert (told := layout_of(tmp_path)) is not None and told.name == "Nerfies"


def test_what_is_gone_is_counted_at_a_look(tmp_path: Path) -> None:
    write_nerfies(tmp_path)
    for name in ("camera/000003.json", "rgb/2x/000004.png"):
        (tmp_path / name).unlink()
    found = recognise(tmp_path)
    assert not found.opens and "000004.png" in found.missing[0] and "000003.json" in found.missing[1]


CAMERA = "camera/000004.json"
BROKEN: list[tuple[str, Break, str]] = [
    ("lists not JSON", overwrite("dataset.json", b"{"), "dataset.json"),
    ("empty list", edit_json("dataset.json", lambda d: d.update(ids=[])), "dataset.json"),
    ("no ids", edit_json("dataset.json", lambda d: d.pop("ids")), "dataset.json"),
    ("no val_ids", edit_json("dataset.json", lambda d: d.pop("val_ids")), "val_ids"),
    ("twice", edit_json("dataset.json", lambda d: d["ids"].append("000003")), "twice"),
    ("unknown", edit_json("dataset.json", lambda d: d.update(val_ids=["000099"])), "000099"),
    ("nothing to learn", edit_json("dataset.json", lambda d: d.update(val_ids=["000003"], train_ids=[])), "train_ids"),
    ("metadata not JSON", overwrite("metadata.json", b""), "metadata.json"),
    ("metadata is a list", overwrite("metadata.json", b"[]"), "metadata.json"),
    ("metadata too short", edit_json("metadata.json", lambda d: d.pop("000004")), "000004"),
    ("no instant", edit_json("metadata.json", lambda d: d["000004"].pop("warp_id")), "000004"),
    ("instant of words", edit_json("metadata.json", lambda d: d["000004"].update(warp_id="4")), "000004"),
    ("scene not JSON", overwrite("scene.json", b"x"), "scene.json"),
    ("no scale", edit_json("scene.json", lambda d: d.pop("scale")), "scene.json"),
    ("no center", edit_json("scene.json", lambda d: d.update(center=[0, 0])), "center"),
    ("near behind far", edit_json("scene.json", lambda d: d.update(near=10)), "near"),
    ("scale not finite", edit_json("scene.json", lambda d: d.update(scale=math.nan)), "scale"),
    ("no camera", remove(CAMERA), "000004.json"),
    ("camera not JSON", overwrite(CAMERA, b"{]"), "000004.json"),
    ("camera is a list", overwrite(CAMERA, b"[]"), "000004.json"),
    ("no orientation", edit_json(CAMERA, lambda d: d.pop("orientation")), "orientation"),
    ("wrong shape", edit_json(CAMERA, lambda d: d["orientation"].pop()), "orientation"),
    ("not finite", edit_json(CAMERA, lambda d: d.update(position=[0, math.nan, 0])), "position"),
    ("no rotation", edit_json(CAMERA, lambda d: d["orientation"][0].__setitem__(0, 3.0)), "000004.json"),
    ("zero focal length", edit_json(CAMERA, lambda d: d.update(focal_length=0)), "focal_length"),
    ("aspect of zero", edit_json(CAMERA, lambda d: d.update(pixel_aspect_ratio=0)), "pixel_aspect_ratio"),
    ("skewed", edit_json(CAMERA, lambda d: d.update(skew=12.0)), "skew"),
    ("no size", edit_json(CAMERA, lambda d: d.update(image_size=[0, 0])), "image_size"),
    ("another size", edit_json(CAMERA, lambda d: d.update(image_size=[800, 600])), "000004.png"),
    ("a resized picture", resize("rgb/1x/000004.png"), "000004.png"),
    ("no picture", remove("rgb/1x/000004.png"), "000004.png"),
    ("not a picture", overwrite("rgb/1x/000004.png", b"x"), "000004.png"),
    ("no folder of pictures", lambda folder: (folder / "rgb").rename(folder / "pictures"), "rgb"),
    ("points of a pickle", lambda folder: np.save(folder / "points.npy", np.array([{}])), "points.npy"),
    ("points in a row", lambda folder: np.save(folder / "points.npy", np.zeros(9)), "points.npy"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "named"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_named_in_one_sentence(tmp_path: Path, name: str, damage: Break, named: str) -> None:
    damage(write_nerfies(tmp_path))
    assert_said(tmp_path, named)
