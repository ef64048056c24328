"""Sparse points of a COLMAP model beside a clip, brought to the world of the clip's cameras."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.camera import Camera
from renderer.errors import InputError
from training.alignment import similarity_between
from training.data.dataset import Dataset, PointCloud
from training.priors.file_order import file_number

Array = NDArray[np.float64]

FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", ".")
"""Where a model may lie beside a clip."""
LARGEST_ERROR = 2.0
"""Pixels of reprojection error above which a point is left out."""
LEAST_TRACK = 3
"""Pictures that see a point at least."""
MISFIT = 0.2
"""Root mean square distance of the cameras after the alignment, as a share of their spread, from which it does not
fit."""


@dataclass(frozen=True)
class ColmapModel:
    """``names``: of the pictures. ``world_to_camera``: (I, 4, 4). ``points``: (N, 3). ``colors``: (N, 3) in [0, 1]."""

    names: list[str]
    world_to_camera: Array
    points: NDArray[np.float64]
    colors: NDArray[np.float32]


def points_beside(dataset: Dataset) -> PointCloud | None:
    """The sparse points of the COLMAP model beside a clip of one camera, None where there is none.

    InputError for a model that cannot be read, that has other pictures, or whose cameras are not those of the clip.
    """
    folder = next((f for name in FOLDERS if _has_model(f := dataset.source / name)), None)
    if folder is None or len(dataset.camera_names) > 1 or not dataset.posed:
        return None
    model = read_model(folder)
    order = np.argsort(model.names)
    theirs, ours = [], []
    for shot in dataset.shots:
        number = file_number(dataset, shot, len(order), folder)
        theirs.append(shot.camera.moved(model.world_to_camera[order[number]]))
        ours.append(shot.camera)
    to_clip = similarity_between(theirs, ours)
    _check_fit(folder, [to_clip.camera(c) for c in theirs], ours)
    return PointCloud(to_clip.points(model.points).astype(np.float32), model.colors)


def _check_fit(folder: Path, moved: list[Camera], ours: list[Camera]) -> None:
    a, b = (np.stack([c.center for c in cameras]) for cameras in (moved, ours))
    if np.square(a - b).sum() > MISFIT**2 * np.square(b - b.mean(0)).sum():
        raise InputError(f"{folder}: its cameras are not those of the clip; remove it, or use another --depth.source")


def _has_model(folder: Path) -> bool:
    return any((folder / f"points3D{s}").is_file() and (folder / f"images{s}").is_file() for s in (".bin", ".txt"))


def read_model(folder: Path) -> ColmapModel:
    """The poses of the pictures and the points that are seen often and well; InputError when a file is damaged."""
    suffix = ".bin" if (folder / "points3D.bin").is_file() else ".txt"
    images, points = folder / f"images{suffix}", folder / f"points3D{suffix}"
    try:
        named = _binary_images(images) if suffix == ".bin" else _text_images(images)
        rows = _binary_points(points) if suffix == ".bin" else _text_points(points)
    except (struct.error, ValueError, IndexError, UnicodeDecodeError, OverflowError) as problem:
        path = images if "named" not in locals() else points
        raise InputError(f"{path}: is damaged ({problem}); restore it") from None
    if not named:
        raise InputError(f"{images}: holds no pictures; run the reconstruction again")
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[(table[:, 6] <= LARGEST_ERROR) & (table[:, 7] >= LEAST_TRACK) & np.isfinite(table).all(1)]
    poses = np.stack([_pose(values) for _, values in named])
    return ColmapModel([n for n, _ in named], poses, table[:, :3], (table[:, 3:6] / 255).astype(np.float32))


def _pose(values: Array) -> Array:
    """(4, 4) from a quaternion wxyz and a translation (7,)."""
    pose = np.eye(4)
    w, x, y, z = values[:4]
    pose[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    pose[:3, 3] = values[4:]
    return pose


def _text_images(path: Path) -> list[tuple[str, Array]]:
    """Two lines per picture: id, qw qx qy qz, tx ty tz, camera, name; then its keypoints."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    found = []
    for line in lines[::2]:
        if line.strip():
            parts = line.split(maxsplit=9)
            found.append((parts[9], np.array([float(v) for v in parts[1:8]])))
    return found


def _text_points(path: Path) -> list[tuple[float, ...]]:
    """One line per point: id, x y z, r g b, error, then picture and keypoint pairs."""
    found = []
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            parts = line.split()
            found.append((*(float(v) for v in parts[1:8]), (len(parts) - 8) / 2))
    return found


class _Reader:
    """Numbers of a binary file, one after another; ValueError at its end."""

    def __init__(self, path: Path) -> None:
        self._data, self._at = path.read_bytes(), 0

    def take(self, form: str) -> tuple[float, ...]:
        size = struct.calcsize("<" + form)
        if self._at + size > len(self._data):
            raise ValueError("it ends too early")
        values = struct.unpack_from("<" + form, self._data, self._at)
        self._at += size
        return values

    def text(self) -> str:
        end = self._data.index(b"\0", self._at)
        text = self._data[self._at : end].decode()
        self._at = end + 1
        return text

    def skip(self, count: int, size: int) -> None:
        if count < 0 or self._at + count * size > len(self._data):
            raise ValueError("it ends too early")
        self._at += count * size


def _binary_images(path: Path) -> list[tuple[str, Array]]:
    reader, found = _Reader(path), []
    for _ in range(int(reader.take("Q")[0])):
        values = reader.take("i7di")
        name = reader.text()
        reader.skip(int(reader.take("Q")[0]), 24)  # x, y and the point's id of each keypoint
        found.append((name, np.array(values[1:8])))
    return found


def _binary_points(path: Path) -> list[tuple[float, ...]]:
    reader, found = _Reader(path), []
    for _ in range(int(reader.take("Q")[0])):
        values = reader.take("Q3d3Bd")
        track = int(reader.take("Q")[0])
        reader.skip(track, 8)  # picture and keypoint
        found.append((*values[1:], float(track)))
    return found
