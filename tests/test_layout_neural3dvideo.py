"""Neural 3D Video's folders: true ones with videos and with frames, and broken ones."""

import shutil
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
    broken_tables,
    edit_table,
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
    write_video,
)
from training.data.layouts import DataOptions, layout_of
from training.data.loading import open_dataset

NAME = "Neural 3D Video"
NUMBERS = (0, 1, 2, 10)


def write_table(folder: Path) -> None:
    np.save(folder / "poses_bounds.npy", llff_rows([rig_camera(k) for k in range(len(NUMBERS))]))


def write_videos(folder: Path) -> Path:
    for k, number in enumerate(NUMBERS):
        write_video(folder / f"cam{number:02d}.mp4", pictures(FRAMES, k))
    write_table(folder)
    return folder


def write_frames(folder: Path) -> Path:
    for k, number in enumerate(NUMBERS):
        for t, picture in enumerate(pictures(FRAMES, k)):
            write_picture(folder / f"cam{number:02d}" / "images" / f"{t}.png", picture)
    write_table(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos that nobody changes."""
    return write_videos(tmp_path_factory.mktemp("n3v"))


def test_videos_are_paired_with_poses_in_the_order_of_their_numbers(clip: Path) -> None:
    dataset = open_dataset(clip, FULL)
    assert dataset.camera_names == ["cam00", "cam01", "cam02", "cam10"]
    for k, number in enumerate(NUMBERS):
        for frame in (0, 3):
            assert_sees(dataset, f"cam{number:02d}", frame, rig_camera(k))
    for t in range(FRAMES):
        found = dataset.read(shot_index(dataset, "cam10", t)).astype(int)
        assert np.abs(found - pictures(FRAMES, 3)[t]).mean() < 6
    assert (dataset.near, dataset.far) == (1.5, 6.0)
    assert [s.time for s in dataset.shots[:FRAMES]] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert dataset.fps == pytest.approx(30)


def test_the_first_camera_is_held_out_unless_asked_otherwise(clip: Path) -> None:
    assert splits(open_dataset(clip, FULL)) == {"cam00": "test", "cam01": "train", "cam02": "train", "cam10": "train"}
    assert "test" not in splits(open_dataset(clip, DataOptions(holdout=("none",)))).values()
    chosen = splits(open_dataset(clip, DataOptions(cameras=("cam00", "cam02"))))
    assert chosen == {"cam00": "train", "cam02": "train"}
    chosen = splits(open_dataset(clip, DataOptions(cameras=("cam01", "cam02"), holdout=("cam10",))))
    assert chosen == {"cam01": "train", "cam02": "train", "cam10": "test"}


def test_frames_and_sizes_are_thinned(clip: Path) -> None:
    dataset = open_dataset(clip, DataOptions(megapixels=WIDTH * HEIGHT / 4e6, frame_step=2))
    assert [s.frame for s in dataset.shots[:2]] == [0, 1] and dataset.frame_count == 2
    assert dataset.read(0).shape == (HEIGHT // 2, WIDTH // 2, 3)
    assert_sees(dataset, "cam01", 1, rig_camera(1))
    full = open_dataset(clip, FULL).read(FRAMES + 2).astype(float)
    halved = full.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))
    assert np.abs(dataset.read(shot_index(dataset, "cam01", 1)) - halved).max() <= 1
    assert dataset.fps == pytest.approx(15)


def test_extracted_frames_are_read_by_their_numbers(tmp_path: Path) -> None:
    write_frames(tmp_path)
    for t, picture in enumerate(pictures(8, 9)):  # 10.png comes after 9.png
        for number in NUMBERS:
            write_picture(tmp_path / f"cam{number:02d}" / "images" / f"{t + 4}.png", picture)
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.frame_count == 12
    np.testing.assert_array_equal(dataset.read(shot_index(dataset, "cam02", 3)), pictures(FRAMES, 2)[3])
    np.testing.assert_array_equal(dataset.read(shot_index(dataset, "cam02", 11)), pictures(8, 9)[7])
    assert_sees(dataset, "cam10", 0, rig_camera(3))
    assert_looked_at(tmp_path, NAME, "4 frame folders with poses_bounds.npy (Neural 3D Video)")


def test_one_frame_that_an_encoder_cut_off_is_no_fault(clip: Path, tmp_path: Path) -> None:
    shutil.copytree(clip, tmp_path, dirs_exist_ok=True)
    write_video(tmp_path / "cam02.mp4", pictures(FRAMES - 1, 2))
    dataset = open_dataset(tmp_path, FULL)
    assert dataset.frame_count == FRAMES - 1
    assert dataset.read(shot_index(dataset, "cam02", FRAMES - 2)).shape == (HEIGHT, WIDTH, 3)


def test_it_is_told_and_described(clip: Path) -> None:
    assert_looked_at(clip, NAME, "4 synchronised videos with poses_bounds.npy (Neural 3D Video)")


def test_a_table_without_videos_is_not_claimed(tmp_path: Path) -> None:
    write_table(tmp_path)
    found = layout_of(tmp_path)
    assert found is None or found.name != NAME


BROKEN: list[tuple[str, Break, str]] = [
    *broken_tables("poses_bounds.npy"),
    ("no video", remove("cam02.mp4"), "4 poses for 3 cameras"),
    ("not a video", overwrite("cam02.mp4"), "cam02.mp4"),
    ("empty video", overwrite("cam02.mp4", b""), "cam02.mp4"),
    ("short video", lambda f: write_video(f / "cam02.mp4", pictures(2, 2)), "has 2 frames while cam00.mp4 has 4"),
    ("small video", lambda f: write_video(f / "cam02.mp4", pictures(4, 2, 32, 24)), "is 32x24 while cam00.mp4"),
    ("one more pose", edit_table("poses_bounds.npy", lambda t: np.concatenate([t, t[:1]])), "5 poses for 4 cameras"),
]
BROKEN_FRAMES: list[tuple[str, Break, str]] = [
    ("no frame", remove("cam02/images/1.png"), "cam02: has 3 pictures while another camera has 4"),
    ("not a picture", overwrite("cam02/images/1.png"), "1.png: not readable"),
    ("another size", resize("cam02/images/1.png"), "1.png: is 20x30 while 0.png is 64x48"),
    ("no camera", lambda f: shutil.rmtree(f / "cam02"), "4 poses for 3 cameras"),
]


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_clip_is_refused_in_one_sentence(
    clip: Path, tmp_path: Path, title: str, damage: Break, said: str
) -> None:
    shutil.copytree(clip, tmp_path, dirs_exist_ok=True)
    damage(tmp_path)
    assert said in refused(tmp_path, NAME)


@pytest.mark.parametrize(("title", "damage", "said"), BROKEN_FRAMES, ids=[b[0] for b in BROKEN_FRAMES])
def test_broken_frames_are_refused_in_one_sentence(tmp_path: Path, title: str, damage: Break, said: str) -> None:
    damage(write_frames(tmp_path))
    assert said in refused(tmp_path, NAME)
