"""Arrays in files are read as NumPy reads them, and what a file cannot hold is refused before memory is taken."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from renderer.errors import InputError
from renderer.files.arrays import read_array, read_arrays


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "<i8", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (4, 0, 2), (2, 3, 4)])
def test_arrays_are_what_was_saved(tmp_path: Path, shape: tuple[int, ...], dtype: str, order: str) -> None:
    values = np.asarray(np.random.default_rng(0).integers(0, 2, shape), dtype, order)  # type: ignore[call-overload]
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "a.npz", x=values, y=values[None])
    for back in (read_array(tmp_path / "a.npy"), read_arrays(tmp_path / "a.npz", ("x", "y"))["x"]):
        assert back.dtype == values.dtype and back.shape == shape
        np.testing.assert_array_equal(back, values)
    assert read_array(tmp_path / "a.npz", ("z", "y", "x")).shape == (1, *shape)


def stated(shape: str, dtype: str = "'<f4'") -> bytes:
    """The bytes of an array of which the head states something else than the 24 bytes that follow."""
    data = io.BytesIO()
    np.save(data, np.zeros((2, 3), np.float32))
    head = data.getvalue()[:128].replace(b"(2, 3)", shape.encode()).replace(b"'<f4'", dtype.encode())
    return head[:8] + (len(head) - 10).to_bytes(2, "little") + head[10:] + bytes(24)


def packed(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr("arr_0.npy", content)
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as an array"),
        (b"PK\3\4 broken", "cannot be read as an array"),
        (stated("(2, 3)")[:-1], "holds 151 bytes|it ends early"),
        (stated("(1000000, 1000000)"), r"states the shape \(1000000, 1000000\)"),
        (stated("(99999999999999999999, 3)"), "states the shape"),
        (stated("(-2, 3)"), "states the shape|cannot be read"),
        (stated("(2, 3"), "cannot be read as an array"),
        (stated("(2, 3)", "'|O'"), "it holds objects"),
        (packed(stated("(1000000, 1000000)")), "states the shape"),
        (packed(stated("(2, 3)"), zipfile.ZIP_LZMA), "packed in another way"),
        (packed(stated("(2, 3)", "'|O'")), "it holds objects"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_array(path)
    assert re.match(re.escape(str(path)) + r": .*; write it again$", str(caught.value))


def test_an_archive_without_the_array_says_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", other=np.zeros(2), more=np.zeros(2))
    with pytest.raises(InputError, match="holds other, more, expected depths"):
        read_array(tmp_path / "a.npz", ("depths",))
    with pytest.raises(InputError, match="No such file"):
        read_array(tmp_path / "b.npz")
