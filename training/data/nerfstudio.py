"""nerfstudio's ``transforms.json``: frames with camera-to-world matrices in OpenGL axes, with intrinsics for all or for
each, maybe a lens, a ``time`` and a mask, and maybe points in a PLY file (Tancik et al. 2023; instant-ngp's are alike).

Without times the pictures are the frames of one moving camera, in the order of their names. What is transparent or
masked is black, as a scene is drawn on black.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.dataset import Dataset, PointCloud, Split
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.lens import Lens, straightening
from training.data.looks import at_once, counted, moving
from training.data.point_file import read_cloud
from training.data.posed_pictures import FPS, Known, PosedPicture, posed_clip, read_opaque
from training.data.rig import in_number_order, picture_size
from training.data.transforms import Values, moments, number, picture_path, pinhole, pose_of, read_frames

NAME = "nerfstudio"
FILE = "transforms.json"
PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
COMPARED, COMPARED_POINTS = 6, 5000
"""Pictures and points at most that tell in which world the points are."""
FISHEYE = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")


def open_nerfstudio(folder: Path, options: DataOptions) -> Dataset:
    """The clip, with the lists of file names that the file may have of what to learn from and what to hold out.

    InputError that names the file or a picture for what is missing, of another size than stated, or no camera.
    """
    path = folder / FILE
    shared, frames = _ordered(path)
    times = moments(frames, path) or [float(k) for k in range(len(frames))]
    splits = _splits(shared, frames, path)
    pictures = []
    for k, frame in enumerate(frames):
        own = {**shared, **frame}
        picture = picture_path(folder, str(frame["file_path"]))
        bent = pinhole(own, pose_of(frame, path), _size(own, picture, path), path)
        straight = straightening(bent, _lens(own, path))
        mask = folder / str(own["mask_path"]) if own.get("mask_path") else None
        load = partial(read_opaque, picture, mask, straight)
        split = splits.get(str(frame["file_path"])) if splits else "train"
        camera = bent if straight is None else straight.camera
        pictures.append(PosedPicture(picture, camera, load, times[k], split=split))
    fps = number(shared, "fps", path)
    if fps is not None and not fps > 0:
        raise InputError(f"{path}: fps is {fps:g} instead of above zero; correct it or take it out")
    known = Known(splits=bool(splits), fps=fps or FPS, points=_points(folder, shared, pictures, path))
    return posed_clip(folder, pictures, known, options)


def _ordered(path: Path) -> tuple[Values, list[Values]]:
    """As read, the frames by name with the numbers in names by their value."""
    shared, frames = read_frames(path)
    by_name = {Path(str(frame["file_path"])): frame for frame in frames}
    if len(by_name) < len(frames):
        raise InputError(f"{path}: lists a picture twice; take one out")
    return shared, [by_name[p] for p in sorted(in_number_order(by_name), key=lambda p: p.parent)]


def _size(own: Values, picture: Path, path: Path) -> tuple[int, int]:
    """(width, height) of a picture; InputError when its camera is stated for another."""
    width, height = number(own, "w", path), number(own, "h", path)
    size = picture_size(picture)
    if width is not None and height is not None and size != (width, height):
        raise InputError(
            f"{picture}: is {size[0]}x{size[1]}, {path.name} says {width:g}x{height:g}; correct one of them"
        )
    return size


def _lens(own: Values, path: Path) -> Lens:
    """InputError for a camera model that is not understood."""
    model = str(own.get("camera_model", "OPENCV")).upper()
    k1, k2, k3, k4, p1, p2 = (number(own, key, path) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if model in FISHEYE or own.get("is_fisheye"):
        return Lens(np.array([k1, k2, k3, k4]), fisheye=True)
    if model not in PERSPECTIVE:
        raise InputError(f"{path}: the camera model {model[:40]} is not understood; undistort the pictures to PINHOLE")
    if k4:
        raise InputError(f"{path}: k4 is for fisheye lenses; set camera_model to OPENCV_FISHEYE or calibrate without")
    return Lens(np.array([k1, k2, p1, p2, k3]))


def _splits(shared: Values, frames: Sequence[Values], path: Path) -> dict[str, Split]:
    """Of each listed file name what it is for; test before val, and none where the file has no such lists."""
    listed: dict[str, list[str]] = {}
    for kind in ("train", "val", "test"):
        names = shared.get(f"{kind}_filenames", [])
        if not isinstance(names, list):
            raise InputError(f"{path}: {kind}_filenames is not a list; correct it or take it out")
        listed[kind] = [str(name) for name in names]
    names = {str(frame["file_path"]) for frame in frames}
    for kind, members in listed.items():
        unknown = next((name for name in members if name not in names), None)
        if unknown is not None:
            raise InputError(f"{path}: {kind}_filenames has {unknown}, which is no frame; correct it")
    if not listed["train"]:
        return {}
    held: dict[str, Split] = dict.fromkeys(listed["test"] or listed["val"], "test")
    return {**held, **dict.fromkeys(listed["train"], "train")}


def _points(folder: Path, shared: Values, pictures: Sequence[PosedPicture], path: Path) -> PointCloud | None:
    """The points of ``ply_file_path`` in the world of the poses.

    Later versions of nerfstudio write them there; earlier ones left them where COLMAP had put them, before
    ``applied_transform``. The pictures tell which: there, the points have their colours.
    """
    if not shared.get("ply_file_path"):
        return None
    cloud = read_cloud(folder / str(shared["ply_file_path"]))
    scale = number(shared, "applied_scale", path) or 1.0
    try:
        applied = np.array(shared.get("applied_transform", np.eye(4)[:3]), np.float64)
    except (TypeError, ValueError, OverflowError):
        applied = np.zeros(0)
    if applied.shape not in ((3, 4), (4, 4)) or not np.isfinite(applied).all():
        raise InputError(f"{path}: applied_transform is not a 3x4 matrix of numbers; restore it or take it out")
    stated = scale * cloud.points.astype(np.float64)
    moved = stated @ applied[:3, :3].T + scale * applied[:3, 3]
    if np.allclose(moved, stated):
        return PointCloud(stated.astype(np.float32), cloud.colors)
    points = min((stated, moved), key=lambda p: _unlike(p, cloud, pictures))
    return PointCloud(points.astype(np.float32), cloud.colors)


def _unlike(points: NDArray[np.float64], cloud: PointCloud, pictures: Sequence[PosedPicture]) -> float:
    """How little points (N, 3) have the cloud's colours in some of the pictures: 0 to 1, as where none shows them."""
    every = max(1, len(points) // COMPARED_POINTS)
    some, colors = points[::every], cloud.colors[::every]
    total = 0.0
    compared = pictures[:: max(1, len(pictures) // COMPARED)][:COMPARED]
    for picture in compared:
        camera, image = picture.camera, picture.load()
        pixels, z = camera.project(some)
        seen = (z > 0) & (pixels >= 0).all(1) & (pixels < [camera.width, camera.height]).all(1)
        columns, rows = pixels[seen].astype(int).T
        total += np.abs(image[rows, columns] / 255 - colors[seen]).mean(1).sum() + (~seen).sum()
    return float(total / (len(some) * len(compared)))


def _look(folder: Path) -> Recognised:
    path = folder / FILE
    frames = _ordered(path)[1]
    missing = []
    absent = [p for f in frames if not (p := picture_path(folder, str(f["file_path"]))).is_file()]
    if absent:
        missing.append(f"{absent[0]}: no such picture, and {len(absent)} of {len(frames)} are not there; restore them.")
    times = moments(frames, path)
    instants = len(frames) if times is None else len(set(times))
    what = f"{counted(len(frames), 'picture')} with transforms.json (nerfstudio)"
    what += f" at {counted(instants, 'instant')}" if times else ""
    together = round(len(frames) / instants)
    if 1 < together < len(frames):
        return at_once(folder, NAME, what, missing, together)
    centers = np.stack([-pose[:3, :3].T @ pose[:3, 3] for pose in (pose_of(f, path) for f in frames)])
    return moving(folder, NAME, what, missing, centers, None)


LAYOUT = Layout(
    name=NAME,
    claims=lambda folder: (folder / FILE).is_file(),
    open=lambda folder, options, report: open_nerfstudio(folder, options),
    look=_look,
)
