"""Cameras as a reconstruction of COLMAP, in text: ``sparse/0/cameras.txt``, ``images.txt``, ``points3D.txt``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.errors import InputError
from renderer.files.cameras import NamedCamera
from renderer.files.complete import CompleteFolder, not_written

OWN = re.compile(r"(cameras|images|points3D)\.txt")
FIRST_LINE = "# CAMERA_ID MODEL WIDTH HEIGHT FX FY CX CY\n"
"""Of cameras.txt; COLMAP itself begins with another one."""


def write_colmap(
    folder: Path,
    cameras: Sequence[NamedCamera],
    points: NDArray[np.floating] | None = None,
    colors: NDArray[np.floating] | None = None,
) -> None:
    """Write ``folder/sparse/0``, read it back and give it its name. Axes and pixels are COLMAP's as they are ours.

    ``cameras``: one per picture; those with the same lens share a camera. ``points`` (N, 3) scene units and ``colors``
    (N, 3) in [0, 1], where there are some; no picture is said to see them. InputError when the folder holds another
    model, or cannot be written.
    """
    if not cameras:
        raise ValueError("a model needs cameras")
    lenses: dict[tuple[float, ...], int] = {}
    pictures = []
    for k, named in enumerate(cameras, start=1):
        c = named.camera
        lens = lenses.setdefault((c.width, c.height, c.fx, c.fy, c.cx, c.cy), len(lenses) + 1)
        turn = Rotation.from_matrix(c.world_to_camera[:3, :3]).as_quat(canonical=True, scalar_first=True)
        pose = " ".join(f"{v:.17g}" for v in (*turn, *c.world_to_camera[:3, 3]))
        pictures.append(f"{k} {pose} {lens} {named.picture or named.name}\n\n")
    told = {
        "cameras.txt": [FIRST_LINE]
        + [
            f"{k} PINHOLE {w:g} {h:g} " + " ".join(f"{v:.17g}" for v in rest) + "\n"
            for (w, h, *rest), k in lenses.items()
        ],
        "images.txt": ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of keypoints\n", *pictures],
        "points3D.txt": ["# POINT3D_ID X Y Z R G B ERROR, then who sees it\n", *_points(points, colors)],
    }
    model = CompleteFolder(folder / "sparse" / "0", OWN)
    partial = model.begin()
    try:
        for name, lines in told.items():
            (partial / name).write_text("".join(lines))
        if not _holds(partial, cameras):
            raise InputError(f"{folder}: does not hold what was written; is the disk full?")
        model.finish()
    except OSError as problem:
        raise not_written(folder, problem) from None
    finally:
        model.discard()


def may_be_replaced(folder: Path) -> bool:
    """Whether ``folder/sparse/0`` holds no cameras, or those that :func:`write_colmap` has written."""
    path = folder / "sparse" / "0" / "cameras.txt"
    try:
        return path.read_text(errors="replace").startswith(FIRST_LINE)
    except FileNotFoundError:
        return not any((path.parent / name).exists() for name in ("images.txt", "points3D.txt"))
    except OSError:
        return False


def _points(points: NDArray[np.floating] | None, colors: NDArray[np.floating] | None) -> list[str]:
    if points is None:
        return []
    shades = np.full(points.shape, 0.5) if colors is None else colors
    rows = np.concatenate([points, np.round(255 * np.clip(shades, 0, 1))], axis=1)
    return [f"{k} {r[0]:.9g} {r[1]:.9g} {r[2]:.9g} {r[3]:g} {r[4]:g} {r[5]:g} 0\n" for k, r in enumerate(rows, start=1)]


def _holds(folder: Path, cameras: Sequence[NamedCamera]) -> bool:
    """Whether the poses and lenses on disk are those of the cameras."""
    lenses = {row[0]: [float(v) for v in row[4:]] for row in _rows(folder / "cameras.txt")}
    pictures = _rows(folder / "images.txt")
    if len(pictures) != len(cameras):
        return False
    for row, named in zip(pictures, cameras, strict=True):
        c, values = named.camera, [float(v) for v in row[1:8]]
        turn = Rotation.from_quat(values[:4], scalar_first=True).as_matrix()
        same = np.allclose(turn, c.world_to_camera[:3, :3], rtol=0, atol=1e-6)
        same = same and np.allclose(values[4:], c.world_to_camera[:3, 3], rtol=1e-9, atol=1e-9)
        if not (same and np.allclose(lenses[row[8]], [c.fx, c.fy, c.cx, c.cy], rtol=1e-9)):
            return False
    return True


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
