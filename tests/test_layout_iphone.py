"""DyCheck's iPhone folders, true ones and broken twins."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
from tests.test_layout_nerfies import CENTER, SCALE, camera_entry
from training.data.layouts import layout_of
from training.data.loading import DataOptions, open_dataset
from training.data.recognise import recognise

WIDTH, HEIGHT, COUNT = 80, 60, 10
TRIPODS = {1: (0, 3, 4, 8), 2: (1, 2, 9)}
"""Instants at which the cameras that do not move have a picture."""


def covisible(instant: int) -> np.ndarray:
    """Of a tripod's picture at half its size, what the phone saw as well."""
    mask = np.zeros((HEIGHT // 2, WIDTH // 2), bool)
    mask[4 : 20 + instant] = True
    return mask


def write_iphone(folder: Path, splits: bool = True) -> Path:
    for place in ("camera", "rgb/1x", "rgb/2x", "depth/1x", "covisible/2x/val", "splits"):
        (folder / place).mkdir(parents=True)
    shown = [(0, k) for k in range(COUNT)] + [(n, k) for n, instants in TRIPODS.items() for k in instants]
    names, metadata = [f"{n}_{k:05d}" for n, k in shown], {}
    for name, (n, k) in zip(names, shown, strict=True):
        metadata[name] = {"warp_id": k, "appearance_id": k, "camera_id": n}
        alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
        rgba = np.concatenate([noise(WIDTH, HEIGHT, 100 * n + k), alpha], axis=2)
        image = Image.fromarray(rgba)
        image.save(folder / "rgb" / "1x" / f"{name}.png")
        image.resize((WIDTH // 2, HEIGHT // 2)).save(folder / "rgb" / "2x" / f"{name}.png")
        position = [1 + 0.1 * k if n == 0 else 1 + n, 2.0, -7.0]
        entry = {**camera_entry(0.1 * n, position), "pixel_aspect_ratio": 1.0}
        (folder / "camera" / f"{name}.json").write_text(json.dumps(entry))
        if n != 0:
            Image.fromarray(255 * covisible(k).astype(np.uint8)).save(folder / "covisible/2x/val" / f"{name}.png")
        if n == 0:
            depth = np.full((HEIGHT, WIDTH, 1), 10 + k, np.float32)
            depth[:, : WIDTH // 2] = 0
            np.save(folder / "depth" / "1x" / f"{name}.npy", depth)
    learned, held = names[:COUNT], names[COUNT:]
    lists = {"count": len(names), "num_exemplars": COUNT, "ids": names, "train_ids": learned, "val_ids": held}
    (folder / "dataset.json").write_text(json.dumps(lists))
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "scene.json").write_text(json.dumps({"scale": SCALE, "center": CENTER, "near": 3.0, "far": 9.0}))
    extra = {"factor": 2, "fps": 60.0, "bbox": [[-1] * 3, [1] * 3], "lookat": [0, 0, 0], "up": [0, -1, 0]}
    (folder / "extra.json").write_text(json.dumps(extra))
    for kind, members in (("train", learned), ("val", held)) if splits else ():
        entry = {"frame_names": members, "camera_ids": [metadata[m]["camera_id"] for m in members],
                 "time_ids": [metadata[m]["warp_id"] for m in members]}  # fmt: skip
        (folder / "splits" / f"{kind}.json").write_text(json.dumps(entry))
    return folder


def test_cameras_project_as_computed_by_hand(tmp_path: Path) -> None:
    dataset = open_dataset(write_iphone(tmp_path), FULL)
    # at instant 4 the phone is at ((1.4, 2, -7) - (1, 2, 3)) / 2 = (0.2, 0, -5)
    assert_projects(dataset.shots[4].camera, [(0.2, 0, 0), (0.7, 0.25, 0)], [(42, 28), (42 + 10, 28 + 5)])
    c, s = math.cos(0.1), math.sin(0.1)
    tripod = next(shot for shot in dataset.shots if shot.camera_name == "camera1").camera
    assert_projects(tripod, [(0.5 + 2 * s, 0.1, -5 + 2 * c)], [(42, 28 + 5)])
    assert (dataset.near, dataset.far) == (3, 9) and dataset.fps == pytest.approx(60)


@pytest.mark.parametrize("splits", [True, False])
def test_the_phone_is_learned_from_and_the_tripods_are_held_out(tmp_path: Path, splits: bool) -> None:
    dataset = open_dataset(write_iphone(tmp_path, splits), FULL)
    train, test = ([dataset.shots[i] for i in dataset.indices(split)] for split in ("train", "test"))
    assert {s.camera_name for s in train} == {"camera0"} and [s.frame for s in train] == list(range(COUNT))
    assert [(s.camera_name, s.frame) for s in test] == [(f"camera{n}", k) for n, at in TRIPODS.items() for k in at]
    assert [s.time for s in test] == pytest.approx([k / 9 for at in TRIPODS.values() for k in at])
    np.testing.assert_array_equal(dataset.read(COUNT + 1), noise(WIDTH, HEIGHT, 103))


def test_splits_may_leave_pictures_out(tmp_path: Path) -> None:
    write_iphone(tmp_path)
    edit_json("splits/val.json", lambda d: d.update(frame_names=["1_00003"]))(tmp_path)
    edit_json("splits/train.json", lambda d: d.update(frame_names=d["frame_names"][:6]))(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    assert (len(dataset.indices("train")), len(dataset.indices("test"))) == (6, 1)


def test_depth_is_scaled_and_unknown_where_the_sensor_saw_nothing(tmp_path: Path) -> None:
    dataset = open_dataset(write_iphone(tmp_path), DataOptions(megapixels=40 * 30 / 1e6))
    assert dataset.depth is not None
    depth = dataset.depth(3)
    assert depth.shape == (30, 40) and depth.dtype == np.float32
    assert np.isnan(depth[:, :20]).all() and (depth[:, 20:] == 13 * SCALE).all()
    assert np.isnan(dataset.depth(COUNT)).all()  # a tripod's
    (tmp_path / "depth" / "1x").rename(tmp_path / "depth" / "none")
    assert open_dataset(tmp_path, FULL).depth is None


def test_masks_say_what_the_phone_saw_of_a_held_out_picture(tmp_path: Path) -> None:
    write_iphone(tmp_path)
    (tmp_path / "covisible/2x/val/2_00009.png").unlink()
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.covisible is not None and dataset.moving is None
    for index in dataset.indices("test"):
        shot, found = dataset.shots[index], dataset.covisible(index)
        if (shot.camera_name, shot.frame) == ("camera2", 9):
            assert found is None
        else:
            np.testing.assert_array_equal(found, covisible(shot.frame).repeat(2, 0).repeat(2, 1))
    assert all(dataset.covisible(index) is None for index in dataset.indices("train"))
    half = open_dataset(tmp_path, DataOptions(megapixels=40 * 30 / 1e6))
    assert half.covisible is not None
    np.testing.assert_array_equal(half.covisible(COUNT + 1), covisible(3))
    (tmp_path / "covisible").rename(tmp_path / "hidden")
    assert open_dataset(tmp_path, FULL).covisible is None


def test_the_mask_of_the_pictures_size_is_taken(tmp_path: Path) -> None:
    write_iphone(tmp_path)
    (tmp_path / "covisible/1x/val").mkdir(parents=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(tmp_path / "covisible/1x/val/1_00003.png")
    whole, half = (open_dataset(tmp_path, DataOptions(megapixels=m / 1e6)) for m in (WIDTH * HEIGHT, 40 * 30))
    assert whole.covisible is not None and half.covisible is not None
    assert not whole.covisible(COUNT + 1).any() and whole.covisible(COUNT).any()  # type: ignore[union-attr]
    assert half.covisible(COUNT + 1).any()  # type: ignore[union-attr]


@pytest.mark.parametrize("damage", [overwrite, resize], ids=["not a picture", "another shape"])
def test_a_broken_mask_is_named_when_it_is_read(tmp_path: Path, damage: Callable[..., Break]) -> None:
    name = "covisible/2x/val/1_00003.png"
    (damage(name, b"x") if damage is overwrite else damage(name, 20, 60))(write_iphone(tmp_path))
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.covisible is not None and dataset.covisible(COUNT) is not None
    with pytest.raises(InputError) as caught:
        dataset.covisible(COUNT + 1)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / name}: ") and said.count("; ") == 1 and "\n" not in said


def test_it_is_recognised(tmp_path: Path) -> None:
    found = recognise(write_iphone(tmp_path) / "depth" / "1x" / "0_00003.npy")
    assert (found.path, found.kind, found.opens, found.missing) == (tmp_path, "DyCheck iPhone", True, ())
    assert found.what == "17 pictures with dataset.json (DyCheck iPhone) at 10 instants"
    assert found.method == "ddr" and "hardly moves, 5 %" in found.reason  # 0.45 of 9
    assert (told := layout_of(tmp_path)) is not None and told.name == "DyCheck iPhone"


BROKEN: list[tuple[str, Break, str]] = [
    ("split not JSON", overwrite("splits/train.json", b"{"), "train.json"),
    ("empty split", edit_json("splits/train.json", lambda d: d.update(frame_names=[])), "train.json"),
    ("split of no names", edit_json("splits/val.json", lambda d: d.pop("frame_names")), "val.json"),
    ("split of others", edit_json("splits/val.json", lambda d: d.update(frame_names=["7_00000"])), "7_00000"),
    ("extra not JSON", overwrite("extra.json", b"["), "extra.json"),
    ("fps of zero", edit_json("extra.json", lambda d: d.update(fps=0)), "extra.json"),
    ("fps of words", edit_json("extra.json", lambda d: d.update(fps="fast")), "extra.json"),
    ("empty list", edit_json("dataset.json", lambda d: d.update(ids=[])), "dataset.json"),
    ("metadata too short", edit_json("metadata.json", lambda d: d.pop("1_00004")), "1_00004"),
    ("no scale", edit_json("scene.json", lambda d: d.update(scale=0)), "scene.json"),
    ("no camera", remove("camera/1_00004.json"), "1_00004.json"),
    ("not finite", edit_json("camera/0_00004.json", lambda d: d.update(position=[math.inf] * 3)), "0_00004.json"),
    ("zero focal length", edit_json("camera/0_00004.json", lambda d: d.update(focal_length=0)), "0_00004.json"),
    ("no picture", remove("rgb/1x/1_00004.png"), "1_00004.png"),
    ("another size", resize("rgb/1x/1_00004.png"), "1_00004.png"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "named"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_named_in_one_sentence(tmp_path: Path, name: str, damage: Break, named: str) -> None:
    damage(write_iphone(tmp_path))
    assert_said(tmp_path, named)


@pytest.mark.parametrize(
    "depth",
    [b"x", np.array([{}]), np.zeros((60, 80, 2)), np.zeros((80, 60)), np.full((60, 80), "far")],
    ids=["not an array", "pickle", "two channels", "turned", "words"],
)
def test_a_broken_depth_is_named_when_it_is_read(tmp_path: Path, depth: bytes | np.ndarray) -> None:
    path = write_iphone(tmp_path) / "depth" / "1x" / "0_00002.npy"
    path.write_bytes(depth) if isinstance(depth, bytes) else np.save(path, depth)
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.depth is not None and np.isfinite(dataset.depth(1)).any()
    with pytest.raises(InputError, match=r"0_00002\.npy: ") as caught:
        dataset.depth(2)
    assert "\n" not in str(caught.value)
