"""Points in PLY files, as COLMAP and its followers write them: positions, colours and, for points that move, times."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError

TYPES = {
    "char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4", "float": "<f4",
    "double": "<f8", "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4",
    "float32": "<f4", "float64": "<f8",
}  # fmt: skip
LONGEST_HEADER = 1 << 16
POSITION, COLOR = ("x", "y", "z"), ("red", "green", "blue")


def read_points(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]:
    """Positions (N, 3), colours (N, 3) in [0, 1], and the property ``time`` (N,) as it is written, where there is one.

    InputError for a file that is not a binary little-endian PLY, ends early, or holds numbers that are none.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); restore it") from None
    end = re.search(rb"\nend_header\r?\n", data[:LONGEST_HEADER])
    if not data.startswith(b"ply") or end is None:
        raise InputError(f"{path}: is not a PLY file; restore it")
    words = [line.split() for line in data[: end.start()].decode("ascii", "replace").split("\n")[1:]]
    count, row = _vertices([w for w in words if w and w[0] not in ("comment", "obj_info")], path)
    if len(data) - end.end() < count * row.itemsize:
        raise InputError(f"{path}: ends before its {count} points do; restore it")
    if not count:
        raise InputError(f"{path}: holds no points; write it again")
    table = np.frombuffer(data, row, count, end.end())
    points = np.stack([table[name] for name in POSITION], axis=1).astype(np.float32)
    white = np.float32(255 if np.issubdtype(table["red"].dtype, np.integer) else 1)
    colors = np.stack([table[name] for name in COLOR], axis=1).astype(np.float32) / white
    times = table["time"].astype(np.float32) if "time" in (row.names or ()) else None
    if not np.isfinite(points).all() or (times is not None and not np.isfinite(times).all()):
        raise InputError(f"{path}: a point is not finite; take it out or write the file again")
    if not ((colors >= 0) & (colors <= 1)).all():
        raise InputError(f"{path}: a colour is not between black and white; write the file again")
    return points, colors, times


def _vertices(words: list[list[str]], path: Path) -> tuple[int, np.dtype[np.void]]:
    """The number of points, and what a row holds; other elements may follow the points."""
    if words[:1] != [["format", "binary_little_endian", "1.0"]]:
        raise InputError(f"{path}: is not a binary little-endian PLY; write it again as one")
    elements = [k for k, w in enumerate(words) if w[0] == "element"]
    first = words[elements[0]] if elements else []
    if len(first) != 3 or first[1] != "vertex" or not re.fullmatch(r"\d{1,9}", first[2]):
        raise InputError(f"{path}: does not begin with its points; write it again")
    properties = words[elements[0] + 1 : elements[1] if len(elements) > 1 else None]
    if any(len(w) != 3 or w[0] != "property" or w[1] not in TYPES for w in properties):
        raise InputError(f"{path}: its points have properties that are not numbers; write it again")
    names = [w[2] for w in properties]
    missing = [name for name in (*POSITION, *COLOR) if name not in names]
    if missing or len(set(names)) < len(names):
        lacking = missing[0] if missing else "property with a name of its own"
        raise InputError(f"{path}: its points have no {lacking}; write it again")
    return int(first[2]), np.dtype([(w[2], TYPES[w[1]]) for w in properties])
