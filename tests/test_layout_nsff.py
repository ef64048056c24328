"""Nvidia Dynamic Scenes as NSFF packages them: true folders, and broken ones."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from renderer.errors import InputError
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
    write_mask,
    write_picture,
)
from training.data.layouts import DataOptions, layout_of
from training.data.loading import open_dataset
from training.priors.depth_files import depth_files
from training.priors.flow_files import flow_from_files

NAME = "NSFF"


def write_clip(folder: Path, frames: int = FRAMES, table: str = "poses_bounds.npy", others: bool = True) -> Path:
    """Frame t is of camera t; of each instant there is a picture of every camera in ``mv_images``, with its mask."""
    for t in range(frames):
        write_picture(folder / "images" / f"{t:05d}.png", pictures(frames, 0)[t])
        write_picture(folder / "images_32x24" / f"{t:05d}.png", pictures(frames, 50, 32, 24)[t])
        write_mask(folder / "motion_masks" / f"{t:05d}.png", block(t))
        for k in range(frames if others else 0):
            write_mask(folder / "mv_masks" / f"{t:05d}" / f"cam{k + 1:02d}.png", block(k, 32, 24))
            write_picture(folder / "mv_images" / f"{t:05d}" / f"cam{k + 1:02d}.png", pictures(frames, 10 + t)[k])
    np.save(folder / table, llff_rows([rig_camera(t) for t in range(frames)]))
    return folder


def test_the_clip_is_learned_from_and_the_other_cameras_measured(tmp_path: Path) -> None:
    write_clip(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    assert splits(dataset) == {"camera": "train", "cam01": "test", "cam02": "test", "cam03": "test", "cam04": "test"}
    for t in range(FRAMES):
        assert_sees(dataset, "camera", t, rig_camera(t))
        np.testing.assert_array_equal(dataset.read(shot_index(dataset, "camera", t)), pictures(FRAMES, 0)[t])
    others = {(s.camera_name, s.frame) for s in dataset.shots if s.split == "test"}
    assert others == {(f"cam{k + 1:02d}", t) for k in range(FRAMES) for t in range(FRAMES) if k != t}
    assert_sees(dataset, "cam03", 0, rig_camera(2))
    np.testing.assert_array_equal(dataset.read(shot_index(dataset, "cam03", 1)), pictures(FRAMES, 11)[2])
    assert [s.time for s in dataset.shots[:FRAMES]] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert (dataset.near, dataset.far) == (1.5, 6.0)


def test_a_longer_clip_goes_round_the_rig(tmp_path: Path) -> None:
    write_clip(tmp_path, frames=2, others=False)
    for t in range(14):
        write_picture(tmp_path / "images" / f"{t:05d}.png", pictures(1)[0])
        for k in range(12):
            write_picture(tmp_path / "mv_images" / f"{t:05d}" / f"cam{k + 1:02d}.png", pictures(1)[0])
    np.save(tmp_path / "poses_bounds.npy", llff_rows([rig_camera(t % 12) for t in range(14)]))
    shutil.rmtree(tmp_path / "images_32x24")
    shots = open_dataset(tmp_path, FULL).shots
    assert {s.camera_name for s in shots if s.frame == 13} == {"camera", *(f"cam{k:02d}" for k in range(1, 13))} - {
        "cam02"
    }


def test_which_pictures_are_measured_can_be_chosen(tmp_path: Path) -> None:
    write_clip(tmp_path)

    def chosen(**options: object) -> set[tuple[str, int, str]]:
        dataset = open_dataset(tmp_path, DataOptions(**options))  # type: ignore[arg-type]
        return {(s.camera_name, s.frame, s.split) for s in dataset.shots}

    clip = {("camera", t, "train") for t in range(FRAMES)}
    assert chosen(holdout=("cam02",)) == clip | {("cam02", t, "test") for t in (0, 2, 3)}
    assert chosen(holdout=("none",)) == clip
    some = chosen(holdout=("cam01",), train_frames=(1, 2))
    assert some == {("camera", 1, "train"), ("camera", 2, "train"), ("cam01", 1, "test"), ("cam01", 2, "test")}
    some = chosen(holdout=("cam01",), train_frames=(1, 2), test_frames=(3, 3))
    assert some == {("camera", 1, "train"), ("camera", 2, "train"), ("cam01", 3, "test")}
    assert chosen(holdout=("cam01",), frame_step=3) == {("camera", 0, "train"), ("camera", 1, "train"),
                                                        ("cam01", 1, "test")}  # fmt: skip


def test_shrunk_pictures_are_read_where_they_are_large_enough(tmp_path: Path) -> None:
    write_clip(tmp_path)
    small = open_dataset(tmp_path, DataOptions(megapixels=32 * 24 / 1e6))
    np.testing.assert_array_equal(small.read(1), pictures(FRAMES, 50, 32, 24)[1])
    assert_sees(small, "camera", 2, rig_camera(2))
    assert open_dataset(tmp_path, DataOptions(megapixels=33 * 25 / 1e6)).read(1).shape == (24, 33, 3)
    shutil.rmtree(tmp_path / "images")
    alone = open_dataset(tmp_path, FULL)
    np.testing.assert_array_equal(alone.read(1), pictures(FRAMES, 50, 32, 24)[1])
    assert_sees(alone, "camera", 2, rig_camera(2))


def test_a_folder_dense_with_refined_poses_is_the_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "Balloon1-2" / "dense", table="poses_bounds_cvd.npy", others=False)
    dataset = open_dataset(tmp_path / "Balloon1-2", FULL)
    assert dataset.source == tmp_path / "Balloon1-2" / "dense" and dataset.name == "Balloon1-2"
    assert_sees(dataset, "camera", 3, rig_camera(3))
    assert_looked_at(tmp_path / "Balloon1-2", NAME, "4 pictures of one moving camera with poses_bounds_cvd.npy (NSFF)")


def test_without_other_cameras_every_eighth_frame_is_held_out(tmp_path: Path) -> None:
    write_clip(tmp_path, frames=9, others=False)
    assert [s.frame for s in open_dataset(tmp_path, FULL).shots if s.split == "test"] == [7]


def test_disparity_and_flow_beside_the_clip_are_found(tmp_path: Path) -> None:
    write_clip(tmp_path)
    (tmp_path / "disp").mkdir()
    (tmp_path / "flow_i1").mkdir()
    for t in range(FRAMES):
        np.save(tmp_path / "disp" / f"{t:05d}.npy", np.full((HEIGHT, WIDTH), 1.0 + t, np.float32))
    flow = np.full((HEIGHT, WIDTH, 2), 2.0, np.float32)
    np.savez(tmp_path / "flow_i1" / "00001_fwd.npz", flow=flow, mask=np.ones((HEIGHT, WIDTH)))
    dataset = open_dataset(tmp_path, DataOptions(megapixels=1, holdout=("none",)))
    np.testing.assert_allclose(depth_files(tmp_path / "disp", dataset)(2), 3.0)
    found = flow_from_files(dataset, 1, 2)
    assert found is not None and (found[0] == 2).all()


def test_masks_say_what_moves_in_the_clip_and_in_what_is_measured(tmp_path: Path) -> None:
    write_clip(tmp_path)
    (tmp_path / "motion_masks" / "00002.png").unlink()
    (tmp_path / "mv_masks" / "00003" / "cam01.png").unlink()
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.moving is not None and dataset.covisible is None
    for t in range(FRAMES):
        found = dataset.moving(shot_index(dataset, "camera", t))
        assert (found is None) if t == 2 else np.array_equal(found, block(t))
    found = dataset.moving(shot_index(dataset, "cam03", 1))
    np.testing.assert_array_equal(found, block(2, 32, 24).repeat(2, 0).repeat(2, 1))
    assert dataset.moving(shot_index(dataset, "cam01", 3)) is None
    some = open_dataset(tmp_path, DataOptions(megapixels=32 * 24 / 1e6, train_frames=(1, 3), holdout=("cam02",)))
    assert some.moving is not None
    np.testing.assert_array_equal(some.moving(shot_index(some, "camera", 3)), block(3)[::2, ::2])
    np.testing.assert_array_equal(some.moving(shot_index(some, "cam02", 3)), block(1, 32, 24))
    every_second = open_dataset(tmp_path, DataOptions(megapixels=1, frame_step=2, holdout=("none",)))
    assert every_second.moving is not None
    assert every_second.moving(1) is None and np.array_equal(every_second.moving(0), block(0))  # type: ignore[arg-type]


def test_masks_that_ddrs_scripts_write_are_inverted(tmp_path: Path) -> None:
    write_clip(tmp_path)
    shutil.rmtree(tmp_path / "motion_masks")
    for t in range(FRAMES):
        write_mask(tmp_path / "motion_masks" / f"{t:05d}.png.png", ~block(t))
    for option, expected in (("auto", block(1)), ("still", block(1)), ("moving", ~block(1))):
        dataset = open_dataset(tmp_path, DataOptions(megapixels=1, motion_masks=option))  # type: ignore[arg-type]
        assert dataset.moving is not None
        np.testing.assert_array_equal(dataset.moving(1), expected)
        other = dataset.moving(shot_index(dataset, "cam03", 1))
        np.testing.assert_array_equal(other, block(2, 32, 24).repeat(2, 0).repeat(2, 1))  # whatever the others' are
    without = open_dataset(tmp_path, DataOptions(megapixels=1, motion_masks="none", holdout=("none",)))
    assert without.moving is None


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("motion_masks/00001.png", overwrite("motion_masks/00001.png")),
        ("motion_masks/00001.png", resize("motion_masks/00001.png")),
        ("mv_masks/00001/cam01.png", overwrite("mv_masks/00001/cam01.png")),
        ("mv_masks/00001/cam01.png", resize("mv_masks/00001/cam01.png")),
    ],
)
def test_a_broken_mask_is_named_when_it_is_read(tmp_path: Path, name: str, damage: Break) -> None:
    damage(write_clip(tmp_path))
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.moving is not None and dataset.moving(0) is not None
    index = shot_index(dataset, "camera" if name.startswith("motion") else "cam01", 1)
    with pytest.raises(InputError) as caught:
        dataset.moving(index)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / name}: ") and said.count("; ") == 1 and "\n" not in said


def test_it_is_told_and_described(tmp_path: Path) -> None:
    write_clip(tmp_path)
    what = "4 pictures of one moving camera with poses_bounds.npy (NSFF) and 12 pictures of other cameras to measure"
    assert_looked_at(tmp_path, NAME, what)
    shutil.rmtree(tmp_path / "mv_images")
    assert_looked_at(tmp_path, NAME, what.partition(" and 12")[0])
    for name in ("images_32x24", "motion_masks"):
        shutil.rmtree(tmp_path / name)
    told = layout_of(tmp_path)
    assert told is not None and told.name == "LLFF"


BROKEN: list[tuple[str, Break, str]] = [
    *broken_tables("poses_bounds.npy"),
    ("a picture is missing", remove("images/00001.png"), "4 poses for 3 pictures"),
    ("not a picture", overwrite("images/00001.png"), "00001.png: not readable"),
    ("another size", resize("images/00001.png"), "00001.png: is 20x30 while 00000.png is 64x48"),
    ("no pictures", lambda f: [shutil.rmtree(f / n) for n in ("images", "images_32x24")], "no pictures"),
    ("not a measured picture", overwrite("mv_images/00001/cam01.png"), "cam01.png: not readable"),
    ("a measured picture of another shape", resize("mv_images/00001/cam01.png"), "cam01.png: is 20x30"),
    ("a frame too many", lambda f: write_picture(f / "mv_images" / "00009" / "cam01.png", pictures(1)[0]), "frame 9"),
    ("a camera too many", lambda f: write_picture(f / "mv_images" / "00000" / "cam07.png", pictures(1)[0]),
     "of camera 7"),
    ("cameras from 0 on", lambda f: write_picture(f / "mv_images" / "00000" / "cam00.png", pictures(1)[0]),
     "of camera 0"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_refused_in_one_sentence(tmp_path: Path, title: str, damage: Break, said: str) -> None:
    damage(write_clip(tmp_path))
    assert said in refused(tmp_path, NAME)


def test_a_camera_that_was_not_there_is_not_held_out(tmp_path: Path) -> None:
    write_clip(tmp_path)
    assert "camera cam09" in refused(tmp_path, NAME, DataOptions(holdout=("cam09",)))
