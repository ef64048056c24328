"""Depth files of every kind that depth networks' scripts write, and damaged ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.errors import InputError
from tests.tiny import tiny_dataset
from training.data.dataset import Dataset
from training.priors.depth_files import depth_files, fitted, read_values
from training.priors.file_order import clock_frames, file_number

VALUES = np.linspace(0.5, 8, 6 * 8, dtype=np.float32).reshape(6, 8)


def clip(frames: int = 4) -> Dataset:
    """One camera's pictures."""
    whole = tiny_dataset(frames=frames, width=8, height=6)
    shots = [s for s in whole.shots if s.camera_name == "left"]
    return replace(whole, shots=shots)


def pfm(values: np.ndarray, big: bool = False) -> bytes:
    body = np.flipud(values).astype(">f4" if big else "<f4").tobytes()
    return f"Pf\n{values.shape[1]} {values.shape[0]}\n{1.0 if big else -1.0}\n".encode() + body


def write(path: Path, values: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".pfm":
        path.write_bytes(pfm(values))
    else:
        Image.fromarray((values * 1000).astype(np.uint16)).save(path)


@pytest.mark.parametrize(("suffix", "scale"), [(".npy", 1), (".pfm", 1), (".png", 1000)])
def test_one_file_per_picture_in_the_order_of_names(tmp_path: Path, suffix: str, scale: int) -> None:
    for k in range(4):
        write(tmp_path / f"{k:05d}{suffix}", VALUES + k)
    read = depth_files(tmp_path, clip())
    for k in range(4):
        np.testing.assert_allclose(read(k), scale * (VALUES + k), atol=1 if scale > 1 else 1e-6)


@pytest.mark.parametrize("name", ["all.npz", "all.npy"])
def test_one_file_of_all_frames(tmp_path: Path, name: str) -> None:
    frames = np.stack([VALUES + k for k in range(4)])
    if name.endswith("z"):
        np.savez(tmp_path / name, depths=frames)
    else:
        np.save(tmp_path / name, frames)
    np.testing.assert_allclose(depth_files(tmp_path, clip())(2), VALUES + 2)


def test_every_camera_has_a_folder_or_its_name_in_front(tmp_path: Path) -> None:
    whole = tiny_dataset(frames=3, width=8, height=6)
    for c, name in enumerate(("left", "middle", "right")):
        (tmp_path / "a" / name).mkdir(parents=True)
        (tmp_path / "b").mkdir(exist_ok=True)
        for k in range(3):
            np.save(tmp_path / "a" / name / f"{k}.npy", VALUES + 10 * c + k)
            np.save(tmp_path / "b" / f"{name}_{k:04d}.npy", VALUES + 10 * c + k)
    for folder in ("a", "b"):
        read = depth_files(tmp_path / folder, whole)
        for index, shot in enumerate(whole.shots):
            c = whole.camera_names.index(shot.camera_name)
            np.testing.assert_allclose(read(index), VALUES + 10 * c + shot.frame)


def test_files_of_pictures_that_are_left_out_are_passed_over(tmp_path: Path) -> None:
    """Seven files, every second picture is used."""
    for k in range(7):
        np.save(tmp_path / f"{k}.npy", VALUES + k)
    read = depth_files(tmp_path, clip(4))
    assert [float(read(k)[0, 0]) for k in range(4)] == [0.5, 2.5, 4.5, 6.5]


def test_a_part_of_a_clip_knows_where_it_lies_on_the_whole_clock() -> None:
    whole = clip(9)
    part = replace(whole, shots=whole.shots[2:5])
    assert clock_frames(part) == 9
    assert [file_number(part, s, 9, Path("x")) for s in part.shots] == [2, 3, 4]


def test_values_are_brought_to_the_size_of_the_picture_and_what_is_none_stays_unknown() -> None:
    large = np.full((12, 16), 2.0, np.float32)
    large[:4], large[4:8, :4] = 0, np.nan
    small = fitted(large, 8, 6)
    assert small.shape == (6, 8)
    assert np.isnan(small[:2]).all() and np.isnan(small[2:4, :2]).all()
    np.testing.assert_allclose(small[4:], 2)


@pytest.mark.parametrize("big", [False, True])
def test_both_byte_orders_of_a_float_map(tmp_path: Path, big: bool) -> None:
    (tmp_path / "a.pfm").write_bytes(pfm(VALUES, big))
    np.testing.assert_array_equal(read_values(tmp_path / "a.pfm"), VALUES)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.npy", b"", "cannot be read as an array"),
        ("a.npy", b"\x93NUMPY\x01\x00", "cannot be read as an array"),
        ("a.npz", b"PK\x03\x04 broken", "cannot be read as an array"),
        ("a.png", b"\x89PNG broken", "cannot be read as a PNG"),
        ("a.pfm", b"PF\n2 2\n-1\n" + bytes(48), "not a grey portable float map"),
        ("a.pfm", b"Pf\n2 2\n-1\n" + bytes(15), "15 bytes for 2x2 values"),
        ("a.pfm", b"Pf\n0 2\n-1\n", "0x2 values"),
        ("a.pfm", b"nonsense", "not a grey portable float map"),
    ],
)
def test_a_damaged_file_gets_a_sentence_with_its_name(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_values(path)
    assert str(path) in str(caught.value)


def test_pickled_coarse_and_flat_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_values(tmp_path / "a.npy")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="16-bit"):
        read_values(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.zeros(7))
    with pytest.raises(InputError, match=r"shape \(7,\)"):
        read_values(tmp_path / "b.npy")
    np.savez(tmp_path / "c.npz", other=np.zeros((2, 2)))
    with pytest.raises(InputError, match="holds other, expected depths"):
        read_values(tmp_path / "c.npz")


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no depth of left"):
        depth_files(tmp_path, clip())
    for k in range(3):
        np.save(tmp_path / f"{k}.npy", VALUES)
    with pytest.raises(InputError, match="holds 3 frames for a clip of 4"):
        depth_files(tmp_path, clip())
    write(tmp_path / "3.pfm", VALUES)
    with pytest.raises(InputError, match=r"as \.npy and \.pfm; keep one kind"):
        depth_files(tmp_path, clip())
