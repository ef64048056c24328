"""Technicolor's folders: true ones, and broken ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from renderer.camera import Camera
from tests.field_folders import (
    FULL,
    Break,
    assert_looked_at,
    assert_sees,
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
from training.data.technicolor import read_cameras

NAME = "Technicolor"
TABLE = "cameras_parameters.txt"
WIDTH, HEIGHT = 64, 34  # of 2048x1088, a 32nd
TITLES = "f cu cv ar sk qw qx qy qz tx ty tz"
FRAMES = (151, 152, 153)
ASPECT = 1.0016


def sensor_camera(k: int) -> Camera:
    """The k-th camera, with a centre that is not in the middle and pixels that are not square."""
    pose = rig_camera(k).world_to_camera
    return Camera(pose, 1600.0 + k, ASPECT * (1600.0 + k), 1000.0 + 3 * k, 560.0 - 2 * k, 2048, 1088)


def row(k: int) -> list[float]:
    camera = sensor_camera(k)
    x, y, z, w = Rotation.from_matrix(camera.world_to_camera[:3, :3]).as_quat()
    translation = camera.world_to_camera[:3, 3].tolist()
    return [camera.fx, camera.cx, camera.cy, ASPECT, 0.0, w, x, y, z, *translation]


def write_rig(folder: Path, count: int = 16, place: str = "") -> Path:
    rows = [" ".join(f"{v:.12g}" for v in row(k)) for k in range(count)]
    (folder / TABLE).write_text("\n".join([TITLES, *rows]) + "\n")
    for k in range(count):
        for t, frame in enumerate(FRAMES):
            name = f"Train_undist_{frame:05d}_{k:02d}.png"
            write_picture(folder / place / name, pictures(len(FRAMES), k, WIDTH, HEIGHT)[t])
    return folder


def edit_row(k: int, change: Callable[[list[str]], list[str]]) -> Break:
    def apply(folder: Path) -> None:
        lines = (folder / TABLE).read_text().splitlines()
        lines[k + 1] = " ".join(change(lines[k + 1].split()))
        (folder / TABLE).write_text("\n".join(lines))

    return apply


def entry(k: int, column: int, value: str) -> Break:
    return edit_row(k, lambda words: [*words[:column], value, *words[column + 1 :]])


def test_a_row_is_a_camera_by_the_pinhole_equations(tmp_path: Path) -> None:
    """A camera at (1, 2, 3), turned by 90 degrees about the vertical so that it looks along +x."""
    turn = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])  # world to camera: its +z is the world's +x
    t = -turn @ [1, 2, 3]
    w, y = np.cos(np.pi / 4), -np.sin(np.pi / 4)
    (tmp_path / TABLE).write_text(f"{TITLES}\n1000 1020 540 1.1 0 {w} 0 {y} 0 {t[0]} {t[1]} {t[2]}\n")
    (camera,) = read_cameras(tmp_path / TABLE)
    pixels, z = camera.project(np.array([[6.0, 2.5, 2.0]]))  # 5 ahead, 0.5 below, and z falls to the right
    np.testing.assert_allclose(z, [5.0], atol=1e-9)
    np.testing.assert_allclose(pixels, [[1000 * 1 / 5 + 1020, 1100 * 0.5 / 5 + 540]], atol=1e-9)


@pytest.mark.parametrize("place", ["", "images"])
def test_the_rig_keeps_its_cameras_and_frames(tmp_path: Path, place: str) -> None:
    write_rig(tmp_path, place=place)
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.camera_names == [f"cam{k:02d}" for k in range(16)]
    for k in (0, 7, 15):
        assert_sees(dataset, f"cam{k:02d}", 2, sensor_camera(k))
        found = dataset.read(shot_index(dataset, f"cam{k:02d}", 1))
        np.testing.assert_array_equal(found, pictures(len(FRAMES), k, WIDTH, HEIGHT)[1])
    assert [s.time for s in dataset.shots[:3]] == [0, 0.5, 1]
    assert dataset.fps == pytest.approx(30)
    assert [name for name, split in splits(dataset).items() if split == "test"] == ["cam10"]
    assert (dataset.near, dataset.far) == (0.65, 10.0)


def test_a_rig_without_camera_10_holds_out_none(tmp_path: Path) -> None:
    write_rig(tmp_path, count=3)
    dataset = open_dataset(tmp_path, DataOptions(megapixels=1, frame_step=2))
    assert set(splits(dataset).values()) == {"train"}
    np.testing.assert_array_equal(dataset.read(1), pictures(3, 0, WIDTH, HEIGHT)[2])


def test_it_is_told_and_described(tmp_path: Path) -> None:
    write_rig(tmp_path, count=4)
    assert_looked_at(tmp_path, NAME, "3 frames of 4 cameras with cameras_parameters.txt (Technicolor)")


BROKEN: list[tuple[str, Break, str]] = [
    ("no rows", lambda f: (f / TABLE).write_text(TITLES), "no cameras below its titles"),
    ("not text", overwrite(TABLE, b"\xff\xfe\x00"), "not readable as text"),
    ("not numbers", entry(1, 0, "wide"), "camera 1 is not all numbers"),
    ("not finite", entry(1, 9, "nan"), "camera 1 is not 12 finite numbers"),
    ("a column is missing", edit_row(2, lambda words: words[:-1]), "camera 2 is not 12 finite numbers"),
    ("of the distorted frames", edit_row(2, lambda w: [*w[:5], "0.1", "0", *w[5:]]), "the undistorted set"),
    ("zero focal length", entry(0, 0, "0"), "focal length or aspect ratio of camera 0"),
    ("skewed", entry(0, 4, "5"), "skewed by 5"),
    ("no rotation", entry(3, 5, "3.5"), "quaternion of camera 3"),
    ("a row is missing", lambda f: (f / TABLE).write_text("\n".join((f / TABLE).read_text().splitlines()[:-1])),
     "has 3 cameras while there are pictures of 4"),
    ("a picture is missing", remove("Train_undist_00152_02.png"), "Train_undist_00152_02.png: no such picture"),
    ("not a picture", overwrite("Train_undist_00152_02.png"), "Train_undist_00152_02.png: not readable as a picture"),
    ("another size", resize("Train_undist_00152_02.png"), "is 20x30 while Train_undist_00151_02.png is 64x34"),
    ("another shape", lambda f: [resize(f"Train_undist_{t:05d}_02.png")(f) for t in FRAMES], "of 2048x1088"),
    ("no pictures", lambda f: [p.unlink() for p in f.glob("*.png")], "no pictures named"),
    ("two scenes", lambda f: write_picture(f / "Fabien_undist_00151_00.png", np.zeros((34, 64, 3), np.uint8)),
     "Fabien and Train"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_refused_in_one_sentence(tmp_path: Path, title: str, damage: Break, said: str) -> None:
    damage(write_rig(tmp_path, count=4))
    assert said in refused(tmp_path, NAME)
