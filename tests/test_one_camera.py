"""Clips of one camera: when its pictures were filmed, in which order they are, and which way up they are read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.errors import InputError
from tests.test_colmap import write_model
from tests.test_loading import FRAMES, FULL, write_llff, write_posed_frames
from tests.tiny import camera_at
from training.data.dataset import Dataset
from training.data.loading import DataOptions, open_dataset
from training.data.rig import check_shape
from training.priors.colmap_points import points_beside
from training.priors.depth_files import depth_files
from training.priors.flow_files import flow_from_files

ALL = DataOptions(megapixels=1.0, holdout=("none",))
ON_THE_SIDE = 6
"""EXIF's orientation of a picture whose top is on the right."""


def write_colmap(folder: Path, kept: tuple[int, ...], frames: int = 6) -> None:
    """Pictures 0000.png ... of a colour each, of those frames that are kept."""
    poses = [camera_at(0.05 * k, 80, 48).world_to_camera for k in range(frames)]
    write_model(folder / "sparse" / "0", np.random.default_rng(0).uniform(-0.4, 0.4, (60, 3)), poses, True)
    (folder / "images").mkdir()
    for k in kept:
        Image.fromarray(np.full((48, 80, 3), 20 * k, np.uint8)).save(folder / "images" / f"{k:04d}.png")


def write_prepared(folder: Path) -> None:
    """Six frames at ten a second, two of which have no pose."""
    write_colmap(folder, (0, 1, 4, 5))
    (folder / "prepare.json").write_text(json.dumps({"format": 1, "fps": 10, "frames": 6}))


def shades(clip: Dataset) -> list[int]:
    return [int(clip.read(i).mean()) // 20 for i in range(len(clip.shots))]


# ------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize("poses", ["stated", "identity"])
def test_frames_without_a_pose_leave_gaps_in_a_prepared_clips_time(tmp_path: Path, poses: str) -> None:
    write_prepared(tmp_path)
    clip = open_dataset(tmp_path, DataOptions(megapixels=1.0, holdout=("none",), poses=poses))  # type: ignore[arg-type]
    assert [s.time for s in clip.shots] == pytest.approx([0, 0.2, 0.8, 1])
    assert [s.frame for s in clip.shots] == shades(clip) == [0, 1, 4, 5]
    assert (clip.duration, clip.fps) == pytest.approx((0.5, 10))
    every_second = open_dataset(
        tmp_path, DataOptions(megapixels=1.0, holdout=("none",), poses=poses, frame_step=2)  # type: ignore[arg-type]
    )  # fmt: skip
    assert [(s.time, s.frame) for s in every_second.shots] == [(0, 0), (1, 2)] and shades(every_second) == [0, 4]
    assert (every_second.duration, every_second.fps) == pytest.approx((0.4, 5))


@pytest.mark.parametrize("record", [None, "{", '{"frames": 4}', '{"frames": "6"}', "[]"])
def test_pictures_are_even_in_time_where_no_record_says_more(tmp_path: Path, record: str | None) -> None:
    write_colmap(tmp_path, (0, 1, 4, 5))
    if record is not None:
        (tmp_path / "prepare.json").write_text(record)
    clip = open_dataset(tmp_path, ALL)
    assert [s.frame for s in clip.shots] == [0, 1, 2, 3] and clip.duration == pytest.approx(3 / 30)


def test_frames_after_a_gap_are_held_out_of_the_range_that_is_trained_on(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    clip = open_dataset(tmp_path, DataOptions(train_frames=(0, 1)))
    assert [(s.frame, s.split) for s in clip.shots] == [(0, "train"), (1, "train"), (4, "test"), (5, "test")]


def write_plain(folder: Path) -> None:
    write_colmap(folder, tuple(range(FRAMES)), FRAMES)


@pytest.mark.parametrize(
    ("write", "poses", "fps"),
    [(write_llff, "stated", 15), (write_posed_frames, "stated", 30), (write_plain, "stated", 30),
     (write_plain, "identity", 30)],
)  # fmt: skip
def test_a_clip_ends_at_the_last_picture_that_is_used(
    tmp_path: Path, write: Callable[[Path], object], poses: str, fps: float
) -> None:
    """Of nine frames the first, the fourth and the seventh."""
    write(tmp_path)
    clip = open_dataset(tmp_path, DataOptions(frame_step=3, poses=poses))  # type: ignore[arg-type]
    assert clip.duration == pytest.approx(6 / fps) and clip.fps == pytest.approx(fps / 3)


# ------------------------------------------------------------------------------------------------- order


def test_numbers_without_zeros_in_front_are_in_their_order(tmp_path: Path) -> None:
    for k in range(12):
        Image.fromarray(np.full((48, 80, 3), 20 * k, np.uint8)).save(tmp_path / f"{k + 1}.png")
    clip = open_dataset(tmp_path, DataOptions(poses="identity", holdout=("none",)))
    assert shades(clip) == list(range(12))
    (tmp_path / "depth").mkdir()
    for k in range(12):
        np.save(tmp_path / "depth" / f"depth{k}.npy", np.full((48, 80), 1.0 + k))
    read = depth_files(tmp_path / "depth", clip)
    assert [read(k)[0, 0] for k in range(12)] == [1 + k for k in range(12)]


def test_a_model_of_numbers_without_zeros_in_front_is_in_their_order(tmp_path: Path) -> None:
    write_plain(tmp_path)
    frames = 12
    poses = [camera_at(0.05 * k, 80, 48).world_to_camera for k in range(frames)]
    write_model(tmp_path / "sparse" / "0", np.random.default_rng(0).uniform(-0.4, 0.4, (60, 3)), poses, False)
    for suffix in ("cameras.bin", "images.bin", "points3D.bin"):
        (tmp_path / "sparse" / "0" / suffix).unlink()
    table = tmp_path / "sparse" / "0" / "images.txt"
    text = table.read_text()
    for k in range(frames):
        text = text.replace(f"{k:04d}.png", f"{k + 1}.png")
        Image.fromarray(np.full((48, 80, 3), 20 * k, np.uint8)).save(tmp_path / "images" / f"{k + 1}.png")
        (tmp_path / "images" / f"{k:04d}.png").unlink(missing_ok=True)
    table.write_text(text)
    clip = open_dataset(tmp_path, ALL)
    assert shades(clip) == list(range(frames))
    for shot, pose in zip(clip.shots, poses, strict=True):
        np.testing.assert_allclose(shot.camera.world_to_camera, pose, atol=1e-9)
    assert points_beside(clip) is not None


def test_depth_files_and_the_model_follow_the_pictures_that_are_there(tmp_path: Path) -> None:
    """One per picture in their order, and one per frame by the names of the pictures."""
    write_prepared(tmp_path)
    for folder, numbers in (("order", range(4)), ("names", range(6))):
        (tmp_path / folder).mkdir()
        for k in numbers:
            np.save(
                tmp_path / folder / (f"d{k}.npy" if folder == "order" else f"{k:04d}.npy"), np.full((48, 80), 1.0 + k)
            )
    for step, places, frames in ((1, (0, 1, 2, 3), (0, 1, 4, 5)), (2, (0, 2), (0, 4))):
        clip = open_dataset(tmp_path, DataOptions(megapixels=1.0, holdout=("none",), frame_step=step))
        for folder, expected in (("order", places), ("names", frames)):
            read = depth_files(tmp_path / folder, clip)
            assert [read(i)[0, 0] - 1 for i in range(len(clip.shots))] == list(expected)
        assert points_beside(clip) is not None
    np.save(tmp_path / "order" / "d4.npy", np.ones((48, 80)))
    with pytest.raises(InputError, match="holds 5 frames for a clip of 4"):
        depth_files(tmp_path / "order", open_dataset(tmp_path, ALL))


def test_depth_files_of_a_table_that_goes_by_names_go_by_names(tmp_path: Path) -> None:
    write_llff(tmp_path)
    (tmp_path / "depths").mkdir()
    for k in range(FRAMES):  # 003.png becomes 12.png, the second by name
        (tmp_path / "images" / f"{k:03d}.png").rename(tmp_path / "images" / f"{4 * k}.png")
        np.save(tmp_path / "depths" / f"{4 * k}_depth.npy", np.full((48, 64), 1.0 + k))
    clip = open_dataset(tmp_path, ALL)
    read = depth_files(tmp_path / "depths", clip)
    by_name = sorted(range(FRAMES), key=lambda k: str(4 * k))
    assert [read(k)[0, 0] - 1 for k in range(FRAMES)] == by_name


def test_a_depth_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    write_plain(tmp_path)
    clip, path = open_dataset(tmp_path, ALL), tmp_path / "depths.npy"
    (tmp_path / "depth").mkdir()
    for value in (1.0, 2.0):
        np.save(tmp_path / "depth" / path.name, np.full((FRAMES, 48, 80), value))
        assert depth_files(tmp_path / "depth", clip)(3)[0, 0] == value


def test_flow_files_are_between_neighbouring_pictures_only(tmp_path: Path) -> None:
    """With every third frame used, the file of frame 1 leads to frame 2 and not to frame 6."""
    write_llff(tmp_path)
    (tmp_path / "flow_i1").mkdir()
    for value in (1.0, 2.0):  # and one that was replaced is read again
        for k in range(FRAMES - 1):
            np.savez(tmp_path / "flow_i1" / f"{k:05d}_fwd.npz", flow=np.full((48, 64, 2), k + value, np.float32))
        found = flow_from_files(open_dataset(tmp_path, FULL), 1, 2)
        assert found is not None and (found[0] == 1 + value).all()
    assert flow_from_files(open_dataset(tmp_path, DataOptions(frame_step=3)), 1, 2) is None


# ---------------------------------------------------------------------------------------- shape and way up


def lay_on_the_side(folder: Path) -> None:
    """Pictures as before, with a word beside them that their top is on the right."""
    for path in sorted((folder / "images").iterdir()):
        with Image.open(path) as picture:
            exif = picture.getexif()
            exif[0x0112] = ON_THE_SIDE
            picture.save(path.with_suffix(".png"), exif=exif)


@pytest.mark.parametrize("write", [write_plain, write_llff])
def test_posed_pictures_are_read_as_they_are_stored(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """As COLMAP reads them."""
    write(tmp_path)
    before = open_dataset(tmp_path, FULL)
    expected = before.read(3)
    lay_on_the_side(tmp_path)
    clip = open_dataset(tmp_path, FULL)
    assert clip.shots[3].camera == before.shots[3].camera
    np.testing.assert_array_equal(clip.read(3), expected)


def test_pictures_without_cameras_are_turned_upright(tmp_path: Path) -> None:
    options = DataOptions(megapixels=1.0, poses="identity")
    write_llff(tmp_path)
    before = open_dataset(tmp_path, options).read(3)
    lay_on_the_side(tmp_path)
    clip = open_dataset(tmp_path, options)
    assert (clip.shots[3].camera.width, clip.shots[3].camera.height) == (48, 64)
    np.testing.assert_array_equal(clip.read(3), np.rot90(before, -1))
    Image.fromarray(before).save(tmp_path / "images" / "004.png")
    with pytest.raises(InputError, match=r"004\.png: is 64x48 while 000\.png is 48x64"):
        open_dataset(tmp_path, options)


@pytest.mark.parametrize(("write", "table"), [(write_plain, r"cameras\.bin"), (write_llff, r"poses_bounds\.npy")])
def test_pictures_of_another_shape_than_their_cameras_are_refused(
    tmp_path: Path, write: Callable[[Path], object], table: str
) -> None:
    write(tmp_path)
    for path in sorted((tmp_path / "images").iterdir()):
        Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(path)
    with pytest.raises(InputError, match=rf"000\.png: is 48x64, {table} is for pictures of .*; correct one"):
        open_dataset(tmp_path, FULL)


def test_a_camera_of_an_unbelievable_size_is_refused_as_one_of_another_shape() -> None:
    with pytest.raises(InputError, match="correct one"):
        check_shape((80, 48), (10**400, 48), Path("a.png"), Path("cameras.txt"))
