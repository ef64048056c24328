"""CMU Panoptic's sports as Dynamic 3D Gaussians (Luiten et al. 2024) packages them.

``train_meta.json`` and ``test_meta.json``: ``w``, ``h``, and by frame and camera ``k``, ``w2c`` (OpenCV axes), ``fn``
(pictures in ``ims``) and ``cam_id``; ``init_pt_cld.npz``: ``data`` (N, 7) positions, colours in [0, 1], what moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.arrays import UNREADABLE
from training.data import poses
from training.data.dataset import Dataset, PointCloud
from training.data.images import FileFrames
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.looks import at_once, counted
from training.data.rig import RigCamera, depths_of, fitted_camera, middle_camera, pinhole, rig_clip, same_size

NAME = "Panoptic Studio"
TRAIN, TEST = "train_meta.json", "test_meta.json"
POINTS = "init_pt_cld.npz"
PICTURES = "ims"
FPS = 30.0
KEYS = ("w", "h", "k", "w2c", "fn", "cam_id")


@dataclass(frozen=True)
class Meta:
    """One of the two files. ``size``: (width, height). ``numbers``: of the cameras. ``k`` (T, C, 3, 3) pixels, ``w2c``
    (T, C, 4, 4), ``files`` [T][C] in ``ims``."""

    path: Path
    size: tuple[int, int]
    numbers: list[int]
    k: NDArray[np.float64]
    w2c: NDArray[np.float64]
    files: list[list[str]]

    @property
    def frames(self) -> int:
        """Number of instants."""
        return len(self.files)


def open_panoptic(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip; the cameras of ``test_meta.json`` are held out by default, without one that nearest to the middle.

    InputError for lists that do not fit each other, and for pictures that are missing or of another size.
    """
    metas = [read_meta(path) for path in (folder / TRAIN, folder / TEST) if path.is_file() or path.name == TRAIN]
    _check_together(metas)
    total = sum(len(meta.numbers) for meta in metas)
    rig: list[RigCamera] = []
    for meta in metas:
        rig += [_camera(folder, meta, place, total, options) for place in range(len(meta.numbers))]
    cameras = {r.name: r.cameras[0] for r in rig}
    held = [_name(n) for meta in metas[1:] for n in meta.numbers] or middle_camera(cameras)
    points = read_points(folder / POINTS) if (folder / POINTS).is_file() else None
    bounds = depths_of(None if points is None else points.points, list(cameras.values()))
    seconds = options.frame_step * (len(rig[0].cameras) - 1) / FPS
    return rig_clip(folder, rig, held, bounds, seconds, options, points)


def read_meta(path: Path) -> Meta:
    """InputError that names what is missing or does not fit."""
    data = poses.read_json(path)
    for key in KEYS:
        if not isinstance(data, dict) or key not in data:
            raise InputError(f"{path}: has no {key}; restore it")
    try:
        k, w2c = np.array(data["k"], np.float64), np.array(data["w2c"], np.float64)
        numbers = np.array(data["cam_id"], np.int64)
        width, height = int(data["w"]), int(data["h"])
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: its lists are not numbers by frame and camera, equally many at each frame; "
                         "restore it") from None  # fmt: skip
    files: Any = data["fn"]
    if numbers.ndim != 2 or 0 in numbers.shape or (numbers != numbers[:1]).any():
        raise InputError(f"{path}: cam_id does not name the same cameras at every frame; restore it")
    T, C = numbers.shape
    if k.shape != (T, C, 3, 3) or w2c.shape != (T, C, 4, 4) or not _names_files(files, T, C):
        raise InputError(f"{path}: k, w2c and fn are not of the {T} frames and {C} cameras of cam_id; restore it")
    if len(set(numbers[0].tolist())) < C:
        raise InputError(f"{path}: two cameras have the same cam_id; correct one")
    if width < 1 or height < 1:
        raise InputError(f"{path}: w or h is not above zero; restore it")
    return Meta(path, (width, height), numbers[0].tolist(), k, w2c, files)


def read_points(path: Path) -> PointCloud:
    """The points that the scene begins with; InputError when the file holds something else."""
    try:
        with np.load(path, allow_pickle=False) as members:
            data = np.asarray(members["data"])
    except UNREADABLE as problem:
        raise InputError(f"{path}: not readable as an array named data ({problem}); restore it") from None
    if data.ndim != 2 or data.shape[1] not in (6, 7) or data.dtype.kind not in "fiu":
        raise InputError(f"{path}: holds {data.dtype} of shape {data.shape}, expected (points, 7) numbers; restore it")
    if not len(data) or not np.isfinite(data).all() or data[:, 3:6].min() < 0 or data[:, 3:6].max() > 1:
        raise InputError(f"{path}: its points are not finite with colours in [0, 1]; restore it")
    return PointCloud(data[:, :3].astype(np.float32), data[:, 3:6].astype(np.float32))


def _names_files(files: Any, frames: int, cameras: int) -> bool:
    """Whether these are names by frame and camera."""
    if not isinstance(files, list) or len(files) != frames:
        return False
    rows = [row for row in files if isinstance(row, list) and len(row) == cameras]
    return len(rows) == frames and all(isinstance(name, str) for row in rows for name in row)


def _check_together(metas: list[Meta]) -> None:
    if len(metas) < 2:
        return
    train, test = metas
    both = sorted(set(train.numbers) & set(test.numbers))
    if both:
        raise InputError(f"{test.path}: camera {both[0]} is in {TRAIN} too; take it out of one")
    if train.frames != test.frames:
        raise InputError(f"{test.path}: has {test.frames} frames while {TRAIN} has {train.frames}; restore it")


def _camera(folder: Path, meta: Meta, place: int, share: int, options: DataOptions) -> RigCamera:
    """The camera at a place of the lists, with one of ``share`` parts of the memory for pictures."""
    name = _name(meta.numbers[place])
    used = range(0, meta.frames, options.frame_step)
    paths = [folder / PICTURES / meta.files[t][place] for t in used]
    size = same_size(paths)
    cameras: list[Camera] = []
    for t in used:
        pose = poses.rigid(meta.w2c[t, place], meta.path, f"{name} at frame {t}")
        camera = pinhole(pose, meta.k[t, place], meta.size, f"{name} at frame {t}", meta.path)
        cameras.append(fitted_camera(camera, size, paths[0], meta.path, options))
    fitted = (cameras[0].width, cameras[0].height)
    return RigCamera(name, cameras, FileFrames(paths, fitted, options.cache_bytes // share))


def _name(number: int) -> str:
    return f"cam{number:02d}"


def _look(folder: Path) -> Recognised:
    metas = [read_meta(path) for path in (folder / TRAIN, folder / TEST) if path.is_file()]
    _check_together(metas)
    total = sum(len(meta.numbers) for meta in metas)
    what = f"{counted(total, 'camera')} with {TRAIN} ({NAME}), {counted(metas[0].frames, 'frame')}"
    firsts = [folder / PICTURES / name for meta in metas for name in meta.files[0]]
    missing = [f"{InputError(f'{path}: no such picture; restore it.')}" for path in firsts if not path.is_file()][:1]
    return at_once(folder, NAME, what, missing, total)


LAYOUT = Layout(
    name=NAME,
    claims=lambda folder: (folder / TRAIN).is_file(),
    open=open_panoptic,
    look=_look,
    inside=(PICTURES,),
)
