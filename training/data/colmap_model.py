"""COLMAP's reconstructions, text and binary: cameras, poses of the pictures, sparse points."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.errors import InputError

Array = NDArray[np.float64]
T = TypeVar("T")

FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0")
"""Where a model may lie beside a clip."""
LARGEST_ERROR = 2.0
"""Pixels of reprojection error above which a point is left out."""
LEAST_TRACK = 3
"""Pictures that see a point at least."""
MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
"""Camera models by their number."""
PARAMETERS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8}


@dataclass(frozen=True)
class ColmapCamera:
    """``model``: COLMAP's name. ``width``, ``height``: pixels. ``fx``, ``fy``, ``cx``, ``cy``: pixels.
    ``distortion``: largest coefficient of the lens."""

    model: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: float


@dataclass(frozen=True)
class ColmapModel:
    """By picture, in the order of their ``names``: ``world_to_camera`` (I, 4, 4), ``camera_ids``. ``cameras``: by id.
    ``points``: (N, 3), those that are seen often and well. ``colors``: (N, 3) in [0, 1]."""

    names: list[str]
    world_to_camera: Array
    camera_ids: list[int]
    cameras: dict[int, ColmapCamera]
    points: Array
    colors: NDArray[np.float32]


def model_beside(folder: Path) -> Path | None:
    """The folder of the COLMAP model beside a clip, None where there is none."""
    return next((f for name in FOLDERS if _has_model(f := folder / name)), None)


def _has_model(folder: Path) -> bool:
    return any((folder / f"points3D{s}").is_file() and (folder / f"images{s}").is_file() for s in (".bin", ".txt"))


def read_model(folder: Path) -> ColmapModel:
    """InputError that names the file that is missing or damaged."""
    cameras = read_cameras(folder)
    if (folder / "points3D.bin").is_file():
        suffix = ".bin"
        pictures = _told(folder / "images.bin", _binary_images)
        rows = _told(folder / "points3D.bin", _binary_points)
    else:
        suffix = ".txt"
        pictures = _told(folder / "images.txt", _text_images)
        rows = _told(folder / "points3D.txt", _text_points)
    if not pictures:
        raise InputError(f"{folder / ('images' + suffix)}: holds no pictures; run the reconstruction again")
    pictures.sort()
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[(table[:, 6] <= LARGEST_ERROR) & (table[:, 7] >= LEAST_TRACK) & np.isfinite(table).all(1)]
    return ColmapModel(
        [name for name, *_ in pictures],
        np.stack([_pose(np.array(pose), folder) for _, pose, _ in pictures]),
        [camera for *_, camera in pictures],
        cameras,
        table[:, :3],
        (table[:, 3:6] / 255).astype(np.float32),
    )


def read_cameras(folder: Path) -> dict[int, ColmapCamera]:
    """The cameras of a model by their ids; InputError that names the file that is missing or damaged."""
    path = cameras_file(folder)
    return _told(path, _binary_cameras if path.suffix == ".bin" else _text_cameras)


def cameras_file(folder: Path) -> Path:
    """Where the cameras of a model are."""
    return folder / f"cameras{'.bin' if (folder / 'points3D.bin').is_file() else '.txt'}"


def pose_count(folder: Path) -> int:
    """Number of pictures with a pose, of a binary model from the head of its file; InputError as above."""
    if not (folder / "points3D.bin").is_file():
        return len(_told(folder / "images.txt", _text_images))
    return _told(folder / "images.bin", _head)


def _head(path: Path) -> int:
    with path.open("rb") as file:
        return int(struct.unpack("<Q", file.read(8))[0])


def _told(path: Path, read: Callable[[Path], T]) -> T:
    """What a file says; InputError that names it when it is not there or damaged."""
    try:
        return read(path)
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); restore it") from None
    except (struct.error, ValueError, IndexError, UnicodeDecodeError, OverflowError) as problem:
        raise InputError(f"{path}: is damaged ({problem}); restore it") from None


def _pose(values: Array, folder: Path) -> Array:
    """(4, 4) from a quaternion wxyz and a translation (7,)."""
    if not np.isfinite(values).all() or not np.linalg.norm(values[:4]) > 0:
        raise InputError(f"{folder}: a pose of COLMAP's model is not a number; run the reconstruction again")
    pose = np.eye(4)
    w, x, y, z = values[:4]
    pose[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    pose[:3, 3] = values[4:]
    return pose


def _camera(model: str, width: int, height: int, values: list[float]) -> ColmapCamera:
    """Intrinsics of a known model; ValueError for another."""
    if model not in PARAMETERS:
        raise ValueError(f"the camera model {model} is not understood")
    if len(values) != PARAMETERS[model] or not np.isfinite(values).all() or not (width > 0 and height > 0):
        raise ValueError(f"a {model} camera has {len(values)} numbers")
    one_focal = model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
    fx, fy = values[0], values[0 if one_focal else 1]
    cx, cy = values[1:3] if one_focal else values[2:4]
    rest = values[3:] if one_focal else values[4:]
    if not (fx > 0 and fy > 0):
        raise ValueError("a focal length is not above zero")
    return ColmapCamera(model, width, height, fx, fy, cx, cy, max((abs(k) for k in rest), default=0.0))


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def _text_cameras(path: Path) -> dict[int, ColmapCamera]:
    """One line per camera: id, model, width, height, parameters."""
    rows = [line.split() for line in _lines(path) if line.strip()]
    return {int(r[0]): _camera(r[1], int(r[2]), int(r[3]), [float(v) for v in r[4:]]) for r in rows}


def _text_images(path: Path) -> list[tuple[str, list[float], int]]:
    """Two lines per picture: id, qw qx qy qz, tx ty tz, camera, name; then its keypoints."""
    rows = [line.split(maxsplit=9) for line in _lines(path)[::2] if line.strip()]
    return [(r[9], [float(v) for v in r[1:8]], int(r[8])) for r in rows]


def _text_points(path: Path) -> list[tuple[float, ...]]:
    """One line per point: id, x y z, r g b, error, then picture and keypoint pairs."""
    rows = [line.split() for line in _lines(path) if line.strip()]
    if any(len(r) < 8 for r in rows):
        raise ValueError("a point has fewer than eight numbers")
    return [(*(float(v) for v in r[1:8]), (len(r) - 8) / 2) for r in rows]


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


def _binary_cameras(path: Path) -> dict[int, ColmapCamera]:
    reader, found = _Reader(path), {}
    for _ in range(int(reader.take("Q")[0])):
        number, model, width, height = reader.take("iiQQ")
        if not 0 <= model < len(MODELS):
            raise ValueError(f"the camera model {model} is not understood")
        name = MODELS[int(model)]
        found[int(number)] = _camera(name, int(width), int(height), list(reader.take(f"{PARAMETERS[name]}d")))
    return found


def _binary_images(path: Path) -> list[tuple[str, list[float], int]]:
    reader, found = _Reader(path), []
    for _ in range(int(reader.take("Q")[0])):
        values = reader.take("i7di")
        name = reader.text()
        reader.skip(int(reader.take("Q")[0]), 24)  # x, y and the point's id of each keypoint
        found.append((name, list(values[1:8]), int(values[8])))
    return found


def _binary_points(path: Path) -> list[tuple[float, ...]]:
    reader, found = _Reader(path), []
    for _ in range(int(reader.take("Q")[0])):
        values = reader.take("Q3d3Bd")
        track = int(reader.take("Q")[0])
        reader.skip(track, 8)  # picture and keypoint
        found.append((*values[1:], float(track)))
    return found
