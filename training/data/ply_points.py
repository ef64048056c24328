"""Points in PLY files, as COLMAP and its followers write them: positions, colours and, for points that move, times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.ply_elements import read_ply

POSITION, COLOR = ("x", "y", "z"), ("red", "green", "blue")


def read_points(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]:
    """Positions (N, 3), colours (N, 3) in [0, 1], and the property ``time`` (N,) as it is written, where there is one.

    InputError for a file that is not a binary little-endian PLY, ends early, or holds numbers that are none.
    """
    table = read_ply(path, "a .ply of points", ends=False).elements.get("vertex")
    if table is None:
        raise InputError(f"{path}: its points have properties that are not numbers; write it again")
    names = table.dtype.names or ()
    missing = next((name for name in (*POSITION, *COLOR) if name not in names), None)
    if missing is not None:
        raise InputError(f"{path}: its points have no {missing}; write it again")
    if not len(table):
        raise InputError(f"{path}: holds no points; write it again")
    points = np.stack([table[name] for name in POSITION], axis=1).astype(np.float32)
    white = np.float32(255 if np.issubdtype(table["red"].dtype, np.integer) else 1)
    colors = np.stack([table[name] for name in COLOR], axis=1).astype(np.float32) / white
    times = table["time"].astype(np.float32) if "time" in names else None
    if not np.isfinite(points).all() or (times is not None and not np.isfinite(times).all()):
        raise InputError(f"{path}: a point is not finite; take it out or write the file again")
    if not ((colors >= 0) & (colors <= 1)).all():
        raise InputError(f"{path}: a colour is not between black and white; write the file again")
    return points, colors, times
