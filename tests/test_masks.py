"""Masks beside pictures: what is bright in them, by which names, at which size, and what is said of broken ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from renderer.errors import InputError
from tests.field_folders import HEIGHT, WIDTH, block, write_mask, write_picture
from tests.tiny import tiny_dataset
from training.clip_targets import ClipTargets
from training.config import PRESETS
from training.data.layouts import MotionMasks
from training.data.masks import MaskFile, MaskFolder, mask_reader
from training.priors.motion_masks import moving_pixels

PICTURE = Path("images/00001.jpg")


def held(folder: Path, meaning: MotionMasks = "auto", picture: Path = PICTURE) -> np.ndarray | None:
    file = MaskFolder(folder, meaning).of(picture)
    return None if file is None else file.read(WIDTH, HEIGHT)


@pytest.mark.parametrize("name", ["00001.png", "001.png", "00001.PNG"])
def test_a_mask_of_a_frames_number_is_bright_where_it_holds(tmp_path: Path, name: str) -> None:
    write_mask(tmp_path / name, block(1))
    np.testing.assert_array_equal(held(tmp_path), block(1))
    assert held(tmp_path, picture=Path("images/00002.jpg")) is None
    write_mask(tmp_path / "00002.jpg", block(1))  # its black is not quite black
    assert held(tmp_path, picture=Path("images/00002.jpg")) is None


@pytest.mark.parametrize("name", ["00001.jpg.png", "00001.png.png", "00001.JPG.png"])
def test_a_mask_with_the_pictures_ending_inside_is_black_where_it_holds(tmp_path: Path, name: str) -> None:
    """As DDR's scripts write them: objects 0, background 255."""
    write_mask(tmp_path / name, ~block(1))
    np.testing.assert_array_equal(held(tmp_path), block(1))


def test_where_both_are_there_the_frames_number_is_meant(tmp_path: Path) -> None:
    for name in ("00001.jpg.png", "00001.png", "00001.png.png"):
        write_mask(tmp_path / name, block(1) if name == "00001.png" else block(3))
    np.testing.assert_array_equal(held(tmp_path), block(1))


def test_what_is_white_can_be_said(tmp_path: Path) -> None:
    for name in ("00001.png", "00002.jpg.png"):
        write_mask(tmp_path / name, block(1))
    for picture in (PICTURE, Path("00002.jpg")):
        np.testing.assert_array_equal(held(tmp_path, "moving", picture), block(1))
        np.testing.assert_array_equal(held(tmp_path, "still", picture), ~block(1))
        assert held(tmp_path, "none", picture) is None


def test_names_that_are_no_numbers_have_to_be_the_same(tmp_path: Path) -> None:
    write_mask(tmp_path / "2_00001.png", block(1))
    assert held(tmp_path, picture=Path("2_00001.png")) is not None
    assert held(tmp_path, picture=Path("2_0001.png")) is None and held(tmp_path) is None
    assert held(tmp_path / "nowhere") is None


def test_the_faintest_value_of_any_channel_counts_and_alpha_does_not(tmp_path: Path) -> None:
    for channel in range(3):
        colors = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        colors[..., channel], colors[..., 3] = block(1), 255
        write_picture(tmp_path / "00001.png", colors)
        np.testing.assert_array_equal(held(tmp_path), block(1))
    write_picture(tmp_path / "00001.png", block(1).astype(np.uint16))
    np.testing.assert_array_equal(held(tmp_path), block(1))


def test_a_mask_is_resized_to_the_nearest_pixels(tmp_path: Path) -> None:
    write_mask(tmp_path / "00001.png", block(1))
    file = MaskFile(tmp_path / "00001.png")
    np.testing.assert_array_equal(file.read(WIDTH // 2, HEIGHT // 2), block(1)[::2, ::2])
    np.testing.assert_array_equal(file.read(2 * WIDTH, 2 * HEIGHT), block(1).repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("content", "said"), [(b"nothing", "not readable as a mask"), (b"", "not readable as a mask"), (None, "is 20x30")]
)
def test_a_broken_mask_is_named_in_one_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "00001.png"
    write_mask(path, np.ones((30, 20), bool)) if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=r"00001\.png: ") as caught:
        held(tmp_path)
    assert said in str(caught.value) and "take it out" in str(caught.value)
    assert str(caught.value).count("; ") == 1 and "\n" not in str(caught.value)


def test_masks_are_read_when_they_are_asked_for_and_kept(tmp_path: Path) -> None:
    clip = tiny_dataset(width=WIDTH, height=HEIGHT)
    size = clip.shots[0].camera.width, clip.shots[0].camera.height
    write_mask(tmp_path / "a.png", block(1, *size))
    files = [MaskFile(tmp_path / "a.png"), MaskFile(tmp_path / "later.png"), *[None] * (len(clip.shots) - 2)]
    read = mask_reader(files, clip.shots, 1 << 20)
    assert read is not None
    np.testing.assert_array_equal(read(0), block(1, *size))
    assert read(2) is None
    (tmp_path / "a.png").unlink()
    np.testing.assert_array_equal(read(0), block(1, *size))
    with pytest.raises(InputError, match=r"later\.png"):
        read(1)
    assert mask_reader([None] * len(clip.shots), clip.shots, 1 << 20) is None
    write_mask(tmp_path / "a.png", block(2, *size))
    room_for_one = mask_reader([files[0]] * 2, clip.shots[:2], 8 * size[0] * size[1])
    assert room_for_one is not None
    assert room_for_one(0) is room_for_one(0) and room_for_one(1) is not None
    write_mask(tmp_path / "a.png", block(3, *size))
    np.testing.assert_array_equal(room_for_one(0), block(3, *size))


def test_what_is_known_to_move_is_trained_on_and_else_what_flow_finds() -> None:
    clip = tiny_dataset()
    shape = clip.shots[0].camera.height, clip.shots[0].camera.width
    known = np.zeros(shape, bool)
    known[3:9, 5:20] = True
    masked = replace(clip, moving=lambda index: known if index == 0 else None)
    targets, first = ClipTargets(masked, PRESETS["ddr"], depths=False), moving_pixels(clip, 0)
    assert (first != known).any()
    np.testing.assert_array_equal(targets.moving(0).numpy(), known)
    np.testing.assert_array_equal(targets.moving(1).numpy(), moving_pixels(clip, 1))
    np.testing.assert_array_equal(ClipTargets(clip, PRESETS["ddr"], depths=False).moving(0).numpy(), first)
