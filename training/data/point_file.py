"""Points with colours from a PLY file, ASCII as nerfstudio writes them or binary."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderer.errors import InputError
from renderer.files.ply_elements import TYPES
from training.data.dataset import PointCloud
from training.data.ply_points import COLOR, POSITION, read_points

HEAD = 200
"""Bytes within which a file says how it is written."""


def read_cloud(path: Path) -> PointCloud:
    """The points; InputError for a file that is not there, damaged, or without points that have colours."""
    try:
        with path.open("rb") as file:
            ascii_written = b"\nformat ascii" in file.read(HEAD).replace(b"\r", b"")
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); restore it or take its name out") from None
    cloud = _read_ascii(path) if ascii_written else PointCloud(*read_points(path)[:2])
    if not len(cloud.points):
        raise InputError(f"{path}: holds no points; run the reconstruction again or take its name out")
    return cloud


def _read_ascii(path: Path) -> PointCloud:
    try:
        lines = path.read_text("ascii").splitlines()
        end = lines.index("end_header")
        header = [line.split() for line in lines[:end] if line.split()[:1] in (["element"], ["property"])]
        if not header or header[0][:2] != ["element", "vertex"]:
            raise ValueError("it does not begin with its points")
        others = [k for k, words in enumerate(header) if words[0] == "element"][1:]
        properties = {words[2]: words[1] for words in header[1 : others[0] if others else None]}
        count = int(header[0][2])
        rows = np.array([line.split() for line in lines[end + 1 : end + 1 + count]], np.float64)
        columns = dict(zip(properties, rows.reshape(count, len(properties)).T, strict=True))
        points, colors = (np.stack([columns[name] for name in names], axis=1) for names in (POSITION, COLOR))
        white = 1.0 if TYPES[properties["red"]][-2] == "f" else 255.0
    except (OSError, ValueError, IndexError) as problem:
        raise InputError(f"{path}: is damaged ({str(problem)[:80]}); write it again") from None
    except KeyError as problem:
        raise InputError(f"{path}: its points have no {problem.args[0]}; write it again") from None
    if not np.isfinite(points).all() or not ((colors >= 0) & (colors <= white)).all():
        raise InputError(f"{path}: a point or its colour is not a number in range; write it again")
    return PointCloud(points.astype(np.float32), (colors / white).astype(np.float32))
