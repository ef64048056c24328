"""Blender's and D-NeRF's transforms_*.json, true folders and broken twins."""

from __future__ import annotations

import json
import math
from pathlib import Path

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

WIDTH, HEIGHT = 40, 30
ANGLE = 0.8
FOCAL = 20 / math.tan(0.4)
COUNTS = {"train": 9, "val": 3, "test": 4}


def pose(angle: float) -> list[list[float]]:
    """Camera-to-world with OpenGL axes of a camera 4 units from the origin, turned about the vertical y."""
    c, s = math.cos(angle), math.sin(angle)
    return [[c, 0, s, 4 * s], [0, 1, 0, 0], [-s, 0, c, 4 * c], [0, 0, 0, 1]]


def write_blender(folder: Path, timed: bool = True, counts: dict[str, int] = COUNTS) -> Path:
    for kind, count in counts.items():
        (folder / kind).mkdir(parents=True)
        frames = []
        for k in range(count):
            alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
            alpha[:, : WIDTH // 2] = 0
            rgba = np.concatenate([noise(WIDTH, HEIGHT, k), alpha], axis=2)
            Image.fromarray(rgba).save(folder / kind / f"r_{k:03d}.png")
            frame = {"file_path": f"./{kind}/r_{k:03d}", "rotation": 0.1, "transform_matrix": pose(0.3 * k)}
            frames.append({**frame, "time": k / (count - 1)} if timed else frame)
        text = json.dumps({"camera_angle_x": ANGLE, "frames": frames})
        (folder / f"transforms_{kind}.json").write_text(text)
    return folder


def test_cameras_project_as_computed_by_hand(tmp_path: Path) -> None:
    dataset = open_dataset(write_blender(tmp_path), FULL)
    first = dataset.shots[0].camera
    # the camera is at (0, 0, 4), looks along -z and has y up: the origin is in the middle, what is higher is above
    assert_projects(
        first,
        [(0, 0, 0), (0.5, 0.25, 0), (0.5, 0.25, 2)],
        [(20, 15), (20 + FOCAL / 8, 15 - FOCAL / 16), (20 + FOCAL / 4, 15 - FOCAL / 8)],
    )
    # turned by 0.6: what lies by 1 along its right hand, (cos, 0, -sin), is 1 right at a distance of 4
    second = dataset.shots[2].camera
    assert_projects(second, [(math.cos(0.6), 0, -math.sin(0.6))], [(20 + FOCAL / 4, 15)])
    np.testing.assert_allclose(second.center, [4 * math.sin(0.6), 0, 4 * math.cos(0.6)], atol=1e-9)
    assert (dataset.near, dataset.far) == pytest.approx((2, 6), rel=1e-6)


def test_train_is_learned_from_and_test_held_out(tmp_path: Path) -> None:
    dataset = open_dataset(write_blender(tmp_path), FULL)
    train, test = ([dataset.shots[i] for i in dataset.indices(split)] for split in ("train", "test"))
    assert [s.time for s in train] == pytest.approx([k / 8 for k in range(9)])
    assert [s.frame for s in train] == list(range(9))
    assert [s.time for s in test] == pytest.approx([0, 1 / 3, 2 / 3, 1])  # between the frames that are learned from
    assert [s.frame for s in test] == [0, 3, 5, 8] and {s.camera_name for s in test} == {"test"}
    assert dataset.frame_count == 9 and dataset.duration == pytest.approx(8 / 30)
    every = open_dataset(tmp_path, DataOptions(megapixels=1.0, holdout=("none",)))
    assert len(every.indices("train")) == sum(COUNTS.values())
    half = open_dataset(tmp_path, DataOptions(megapixels=1.0, frame_step=2))
    assert [half.shots[i].time for i in half.indices("train")] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_val_is_held_out_where_there_is_no_test(tmp_path: Path) -> None:
    dataset = open_dataset(write_blender(tmp_path, counts={"train": 5, "val": 2}), FULL)
    assert {dataset.shots[i].camera_name for i in dataset.indices("test")} == {"val"}


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    image = open_dataset(write_blender(tmp_path), FULL).read(3)
    np.testing.assert_array_equal(image[:, WIDTH // 2 :], noise(WIDTH, HEIGHT, 3)[:, WIDTH // 2 :])
    assert not image[:, : WIDTH // 2].any()


def test_a_scene_that_stands_still_is_one_instant_of_many_cameras(tmp_path: Path) -> None:
    dataset = open_dataset(write_blender(tmp_path, timed=False), FULL)
    assert dataset.frame_count == 1 and dataset.duration == 0 and {s.time for s in dataset.shots} == {0}
    assert len(dataset.camera_names) == len(dataset.shots) == 13
    assert (len(dataset.indices("train")), len(dataset.indices("test"))) == (9, 4)


@pytest.mark.parametrize(("timed", "kind"), [(True, "D-NeRF"), (False, "Blender")])
def test_it_is_recognised(tmp_path: Path, timed: bool, kind: str) -> None:
    found = recognise(write_blender(tmp_path, timed) / "train" / "r_001.png")
    assert (found.path, found.kind, found.opens, found.missing) == (tmp_path, "Blender", True, ())
    assert found.what == f"16 pictures with transforms_train.json ({kind}), 9 to learn from, 3 to val, 4 to test"
    assert (told := layout_of(tmp_path)) is not None and told.name == "Blender"


def test_pictures_that_are_gone_are_counted_at_a_look(tmp_path: Path) -> None:
    (write_blender(tmp_path) / "test" / "r_002.png").unlink()
    found = recognise(tmp_path)
    assert not found.opens and "r_002.png" in found.missing[0] and "1 of 4" in found.missing[0]


TRAIN = "transforms_train.json"
BROKEN: list[tuple[str, Break, str]] = [
    ("not JSON", overwrite(TRAIN, b"{"), TRAIN),
    ("a list", overwrite(TRAIN, b"[]"), TRAIN),
    ("no frames", edit_json(TRAIN, lambda d: d.pop("frames")), TRAIN),
    ("no frame", edit_json(TRAIN, lambda d: d.update(frames=[])), TRAIN),
    ("empty test", edit_json("transforms_test.json", lambda d: d.update(frames=[])), "transforms_test.json"),
    ("no file_path", edit_json(TRAIN, lambda d: d["frames"][2].pop("file_path")), "frame 2"),
    ("no matrix", edit_json(TRAIN, lambda d: d["frames"][2].pop("transform_matrix")), "r_002"),
    ("wrong shape", edit_json(TRAIN, lambda d: d["frames"][2]["transform_matrix"].pop()
                           and d["frames"][2]["transform_matrix"].pop()), "r_002"),
    ("not finite", edit_json(TRAIN, lambda d: d["frames"][2]["transform_matrix"][0].__setitem__(3, math.nan)), "r_002"),
    ("no rotation", edit_json(TRAIN, lambda d: d["frames"][2]["transform_matrix"][0].__setitem__(0, 3.0)), "r_002"),
    ("words", edit_json(TRAIN, lambda d: d["frames"][2].update(transform_matrix="eye")), "r_002"),
    ("no angle", edit_json(TRAIN, lambda d: d.pop("camera_angle_x")), TRAIN),
    ("no focal length", edit_json(TRAIN, lambda d: d.update(camera_angle_x=math.pi)), TRAIN),
    ("zero focal length", edit_json(TRAIN, lambda d: d.update(fl_x=0)), TRAIN),
    ("angle of words", edit_json(TRAIN, lambda d: d.update(camera_angle_x="wide")), "camera_angle_x"),
    ("some times", edit_json(TRAIN, lambda d: d["frames"][4].pop("time")), "r_004"),
    ("times of one list", edit_json("transforms_test.json", lambda d: [f.pop("time") for f in d["frames"]]), "time"),
    ("time not finite", edit_json(TRAIN, lambda d: d["frames"][4].update(time=math.inf)), "time"),
    ("no picture", remove("train/r_004.png"), "r_004.png"),
    ("not a picture", overwrite("train/r_004.png", b"x"), "r_004.png"),
    ("another size", resize("test/r_001.png"), "r_001.png"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "named"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_named_in_one_sentence(tmp_path: Path, name: str, damage: Break, named: str) -> None:
    damage(write_blender(tmp_path))
    assert_said(tmp_path, named)
