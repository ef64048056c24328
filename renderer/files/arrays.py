"""NumPy's ``.npy`` and ``.npz``, of which nothing is believed: no objects, no array that its file cannot hold."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError

UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MemoryError,
    SyntaxError, NotImplementedError, RuntimeError, struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy's and Python's readers raise for damaged files: the head of an array is Python's source text."""
DENSEST = 1032
"""No deflated file grows by more than that."""
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MOST_AXES = 32
PIECE = 1 << 20


def read_array(path: Path, names: Sequence[str] = ("arr_0",), what: str = "an array") -> NDArray[Any]:
    """The array of an .npy, or the first of ``names`` that an .npz has. ``what``: it should be, for the sentence.

    InputError for a file that is damaged, of objects, or without such an array.
    """
    found = read_arrays(path, names, what)
    return next(iter(found.values()))


def read_arrays(path: Path, names: Sequence[str], what: str = "an array") -> Mapping[str, NDArray[Any]]:
    """Those of ``names`` that an .npz has, in that order, one at least; of an .npy its array under the first name."""
    members: list[str] = []
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                file.seek(0)
                return {names[0]: _array(file, path.stat().st_size)}
            with zipfile.ZipFile(file) as archive:
                members = [name.removesuffix(".npy") for name in archive.namelist()]
                found = {name: _member(archive, f"{name}.npy") for name in names if name in members}
    except UNREADABLE as problem:
        reason = getattr(problem, "strerror", None) or " ".join(str(problem).split()) or type(problem).__name__
        raise InputError(f"{path}: cannot be read as {what} ({reason:.200}); write it again") from None
    if not found:
        raise InputError(f"{path}: holds {', '.join(members)[:200] or 'nothing'}, expected {names[0]}")
    return found


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    entry = archive.getinfo(name)
    if entry.compress_type not in PACKINGS or entry.file_size > DENSEST * entry.compress_size:
        raise ValueError(f"{name} is packed in another way")
    with archive.open(entry) as file:
        return _array(file, entry.file_size)


def _array(file: IO[bytes], size: int) -> NDArray[Any]:
    """The array that a stream of so many bytes holds."""
    version = np.lib.format.read_magic(file)
    read_head = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_head:
        raise ValueError(f"version {version} of the format")
    shape, by_columns, dtype = read_head[version](file)
    if dtype.hasobject:
        raise ValueError("it holds objects")
    if len(shape) > MOST_AXES or min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its head states the shape {shape}, and it holds {size} bytes")
    wanted = math.prod(shape) * dtype.itemsize
    data = bytearray()
    while len(data) < wanted and (piece := file.read(min(PIECE, wanted - len(data)))):
        data += piece
    if len(data) < wanted:
        raise EOFError("it ends early")
    flat = np.frombuffer(data, dtype, math.prod(shape)) if wanted else np.zeros(math.prod(shape), dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")
