"""Nvidia Dynamic Scenes as DynamicNeRF packages them: true folders, broken ones, and the real clip."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.field_folders import (
    FRAMES,
    FULL,
    HEIGHT,
    WIDTH,
    Break,
    assert_looked_at,
    assert_sees,
    block,
    broken_tables,
    llff_rows,
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
from training.data.layouts import DataOptions, layout_of
from training.data.llff import open_llff
from training.data.loading import open_dataset
from training.priors.depth_files import depth_files

NAME = "DynamicNeRF"


def write_clip(folder: Path, frames: int = FRAMES) -> Path:
    for t in range(frames):
        write_picture(folder / "images" / f"{t:03d}.png", pictures(frames, 0)[t])
        write_picture(folder / "images_2" / f"{t:03d}.png", pictures(frames, 50, WIDTH // 2, HEIGHT // 2)[t])
        write_picture(folder / "motion_masks" / f"{t:03d}.png", 255 * block(t)[..., None].repeat(3, 2).astype(np.uint8))
    (folder / "disp").mkdir()
    for t in range(frames):
        np.save(folder / "disp" / f"{t:03d}.npy", np.full((HEIGHT, WIDTH), 1.0 + t, np.float32))
    np.save(folder / "poses_bounds.npy", llff_rows([rig_camera(t) for t in range(frames)]))
    return folder


def write_truth(folder: Path) -> Path:
    """What camera 0 saw at all instants, as the authors measure."""
    for t in range(FRAMES):
        write_picture(folder / "gt" / f"v000_t{t:03d}.png", pictures(FRAMES, 20)[t])
    return folder


def test_the_clip_is_one_moving_camera(tmp_path: Path) -> None:
    dataset = open_dataset(write_clip(tmp_path, frames=9), FULL)
    assert dataset.camera_names == ["camera"] and dataset.source == tmp_path
    for t in (0, 4, 8):
        assert_sees(dataset, "camera", t, rig_camera(t))
        np.testing.assert_array_equal(dataset.read(t), pictures(9, 0)[t])
    assert [s.frame for s in dataset.shots if s.split == "test"] == [7]
    assert (dataset.near, dataset.far) == (1.5, 6.0)
    assert [dataset.shots[t].time for t in (0, 4, 8)] == [0, 0.5, 1]
    np.testing.assert_allclose(depth_files(tmp_path / "disp", dataset)(2), 3.0)


def test_masks_say_what_moves(tmp_path: Path) -> None:
    dataset = open_dataset(write_truth(write_clip(tmp_path)), FULL)
    assert dataset.moving is not None
    for t in range(FRAMES):
        np.testing.assert_array_equal(dataset.moving(shot_index(dataset, "camera", t)), block(t))
    assert dataset.moving(shot_index(dataset, "cam01", 2)) is None  # nothing is known of what is measured
    shutil.rmtree(tmp_path / "motion_masks")
    assert open_dataset(tmp_path, FULL).moving is None


def test_what_the_first_camera_saw_is_measured(tmp_path: Path) -> None:
    dataset = open_dataset(write_truth(write_clip(tmp_path)), FULL)
    assert splits(dataset) == {"camera": "train", "cam01": "test"}
    assert [s.frame for s in dataset.shots if s.split == "test"] == [1, 2, 3]  # it filmed frame 0 of the clip itself
    assert_sees(dataset, "cam01", 3, rig_camera(0))
    np.testing.assert_array_equal(dataset.read(shot_index(dataset, "cam01", 3)), pictures(FRAMES, 20)[3])


def test_with_pictures_of_all_cameras_it_is_nsffs_packaging(tmp_path: Path) -> None:
    write_clip(tmp_path)
    write_picture(tmp_path / "mv_images" / "00001" / "cam04.jpg", pictures(1, 3)[0])
    told = layout_of(tmp_path)
    assert told is not None and told.name == "NSFF"
    dataset = open_dataset(tmp_path, FULL)
    assert splits(dataset) == {"camera": "train", "cam04": "test"}
    assert_sees(dataset, "camera", 1, rig_camera(1))
    assert_sees(dataset, "cam04", 1, rig_camera(3))


def test_shrunk_pictures_are_read_where_they_are_large_enough(tmp_path: Path) -> None:
    write_clip(tmp_path)
    small = open_dataset(tmp_path, DataOptions(megapixels=WIDTH * HEIGHT / 4e6))
    np.testing.assert_array_equal(small.read(1), pictures(FRAMES, 50, WIDTH // 2, HEIGHT // 2)[1])
    assert_sees(small, "camera", 1, rig_camera(1))
    (tmp_path / "images_2" / "003.png").unlink()  # not all are there
    whole = open_dataset(tmp_path, DataOptions(megapixels=WIDTH * HEIGHT / 4e6)).read(1)
    assert np.abs(whole.astype(int) - pictures(FRAMES, 0)[1].reshape(24, 2, 32, 2, 3).mean((1, 3))).max() <= 1


def test_it_is_told_and_described(tmp_path: Path) -> None:
    what = "4 pictures of one moving camera with poses_bounds.npy (DynamicNeRF)"
    assert_looked_at(write_clip(tmp_path), NAME, what)
    assert_looked_at(write_truth(tmp_path), NAME, f"{what} and 3 pictures of other cameras to measure")


def test_the_look_says_what_is_missing(tmp_path: Path) -> None:
    write_clip(tmp_path)
    (tmp_path / "images" / "002.png").unlink()
    told = layout_of(tmp_path)
    assert told is not None
    look = told.look(tmp_path)
    assert not look.opens and "4 poses for 3 pictures" in look.missing[0]


BROKEN: list[tuple[str, Break, str]] = [
    *broken_tables("poses_bounds.npy"),
    ("a picture is missing", remove("images/001.png"), "4 poses for 3 pictures"),
    ("not a picture", overwrite("images/001.png"), "001.png: not readable"),
    ("another size", resize("images/001.png"), "001.png: is 20x30 while 000.png is 64x48"),
    ("no pictures", lambda f: [shutil.rmtree(f / n) for n in ("images", "images_2")], "no pictures in this folder"),
    ("not a measured picture", overwrite("gt/v000_t001.png"), "v000_t001.png: not readable"),
    ("a measured picture of another shape", resize("gt/v000_t001.png"), "v000_t001.png: is 20x30"),
    ("a frame too many", lambda f: write_picture(f / "gt" / "v000_t009.png", pictures(1)[0]), "at frame 9"),
    ("a camera too many", lambda f: write_picture(f / "gt" / "v007_t001.png", pictures(1)[0]), "of camera 7"),
]


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_refused_in_one_sentence(tmp_path: Path, title: str, damage: Break, said: str) -> None:
    damage(write_truth(write_clip(tmp_path)))
    assert said in refused(tmp_path, NAME)


def test_the_real_clip_has_the_cameras_of_the_llff_loader(real_clip: Callable[[str], Path]) -> None:
    folder = real_clip("nvidia-balloon1")
    told = layout_of(folder)
    assert told is not None and told.name == NAME
    options = DataOptions()
    dataset, llff = open_dataset(folder, options), open_llff(folder, options)
    assert len(dataset.shots) == 12
    assert list(dataset.shots) == list(llff.shots)  # cameras, times and split, to the bit
    assert (dataset.near, dataset.far, dataset.up, dataset.duration) == (llff.near, llff.far, llff.up, llff.duration)
    for t in (0, 11):
        np.testing.assert_array_equal(dataset.read(t), llff.read(t))
