"""Scenes as SparseCam4D packages them, and what its preprocessing makes: pictures ``images/<camera>_<tttt>.png``.

``sfm_transforms_extend.json`` has the cameras that are learned from, as reconstructed, with OpenCV axes; the world is
theirs. ``transforms_train.json`` and ``transforms_test.json`` have the data set's own poses with OpenGL axes, in a
world of their own; cameras that only these have are brought over, to be measured. Without the reconstruction (the clip
before its preprocessing, or as 4D Gaussian Splatting packages it) the world is the data set's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from renderer.camera import OPENGL_TO_OPENCV, Camera
from renderer.errors import InputError
from training.alignment import similarity_between
from training.data import neural3dvideo, poses
from training.data.colmap_model import read_model
from training.data.dataset import Dataset, PointCloud
from training.data.generated_layouts import pinhole
from training.data.generated_sparsecam4d import LIST_FILE
from training.data.generated_sparsecam4d import PINHOLE as LISTED
from training.data.images import FileFrames
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.looks import at_once, counted, pictures_in
from training.data.ply_points import read_points
from training.data.rig import RigCamera, depths_of, fitted_camera, middle_camera, picture_size, rig_clip, same_size

NAME = "SparseCam4D"
TRAIN, TEST = "transforms_train.json", "transforms_test.json"
PINHOLE = ("fl_x", "fl_y", "cx", "cy", "w", "h")
ALIASES = {"fl_x": "fx", "fl_y": "fy", "w": "width", "h": "height"}
"""What some of the lists call them."""
PICTURE = re.compile(r"(.+)_(\d{4,})")
FPS = 30.0
"""No file says it."""
RECONSTRUCTION = Path("preprocess/time_0000/sparse/0")
CLOUDS = ("vc_roma_sfm_300.ply", "preprocess/time_0000/sparse/0/points3D.ply")
"""Of the reconstruction's world, the first that is there: with times, and of the first instant only."""
OWN_CLOUD = "points3d.ply"
"""Of the data set's world."""


@dataclass(frozen=True)
class Stated:
    """A camera as a file states it: ``camera`` of the pictures' full size, ``files`` by instant."""

    camera: Camera
    files: dict[int, Path]


def open_sparsecam4d_scene(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip. Held out are the cameras that are only in the data set's own lists and have pictures; without the
    reconstruction those of ``transforms_test.json``.

    InputError for cameras with different instants or several poses, for missing pictures, and where fewer than two
    cameras tie the two worlds together.
    """
    learned, measured = _cameras(folder)
    every = learned | measured
    instants = _instants(every)
    used = instants[:: options.frame_step]
    rig = []
    for name, stated in every.items():
        paths = [stated.files[t] for t in used]
        camera = fitted_camera(stated.camera, same_size(paths), paths[0], _list_of(folder), options)
        pictures = FileFrames(paths, (camera.width, camera.height), options.cache_bytes // len(every))
        rig.append(RigCamera(name, [camera] * len(used), pictures))
    points = _points(folder, len(instants))
    cameras = {r.name: r.cameras[0] for r in rig}
    bounds = depths_of(None if points is None else points.points, [cameras[name] for name in learned])
    held = list(measured) or middle_camera(cameras)
    seconds = options.frame_step * (len(used) - 1) / FPS
    return rig_clip(folder, rig, held, bounds, seconds, options, points)


def _cameras(folder: Path) -> tuple[dict[str, Stated], dict[str, Stated]]:
    """Cameras that are learned from and cameras that are measured, by their names, in one world."""
    own = [_transforms(folder / name) if (folder / name).is_file() else {} for name in (TRAIN, TEST)]
    path = _list_of(folder)
    learned = _listed(path) if path.name == LIST_FILE else own[0]
    if not learned:
        raise InputError(f"{path}: has no camera to learn from; run the preprocessing again")
    if path.name != LIST_FILE:
        return learned, {name: stated for name, stated in own[1].items() if name not in learned}
    stated = own[0] | own[1]
    others = {n: s for n, s in stated.items() if n not in learned and any(f.is_file() for f in s.files.values())}
    shared = [name for name in learned if name in stated]
    if others and len(shared) < 2:
        raise InputError(
            f"{folder / TRAIN}: has fewer than two of the cameras {', '.join(learned)} of {LIST_FILE}, so that the "
            f"place of {next(iter(others))} is not known; add their poses, or take its pictures out"
        )
    if not others:
        return learned, {}
    to_ours = similarity_between([stated[n].camera for n in shared], [learned[n].camera for n in shared])
    if not to_ours.scale > 0:
        raise InputError(f"{folder / TRAIN}: its cameras do not stand as those of {LIST_FILE} do; check which camera "
                         "has which name")  # fmt: skip
    return learned, {n: Stated(to_ours.camera(s.camera), s.files) for n, s in others.items()}


def _listed(path: Path) -> dict[str, Stated]:
    """The real cameras of the reconstruction."""
    data = poses.read_json(path)
    if not isinstance(data, list) or not data or not all(isinstance(entry, dict) for entry in data):
        raise InputError(f"{path}: is not a list of pictures with their cameras; run the preprocessing again")
    real = [entry for entry in data if entry.get("is_true_image")]
    return _grouped(real, path, lambda entry, name: pinhole(
        poses.inverted(poses.rigid(entry.get("transform_matrix"), path, name)), entry, LISTED, name, path
    ))  # fmt: skip


def _transforms(path: Path) -> dict[str, Stated]:
    """The cameras of one of the data set's lists."""
    data = poses.read_json(path)
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"{path}: has no list named frames; restore it")

    def camera(frame: dict[str, Any], name: str) -> Camera:
        c2w = poses.rigid(frame.get("transform_matrix"), path, name) @ OPENGL_TO_OPENCV
        stated = _intrinsics(data | frame, _located(path.parent, name))
        return pinhole(poses.inverted(c2w), stated, PINHOLE, name, path)

    return _grouped(frames, path, camera)


def _intrinsics(stated: dict[str, Any], picture: Path) -> dict[str, Any]:
    """What a list states, under the names of ``PINHOLE``; a field of view is that of a centred camera, and without a
    size it is the picture's."""
    found = {key: stated[old] for key, old in ALIASES.items() if old in stated} | stated
    angle = found.get("camera_angle_x")
    if "fl_x" in found or not isinstance(angle, int | float) or not 0 < angle < math.pi:
        return found
    if "w" not in found or "h" not in found:
        found |= dict(zip("wh", picture_size(picture), strict=True))
    width, height = (found[key] if isinstance(found[key], int | float) else 0 for key in "wh")
    focal = 0.5 * width / math.tan(0.5 * angle)
    return found | {"fl_x": focal, "fl_y": focal, "cx": 0.5 * width, "cy": 0.5 * height}


def _grouped(
    entries: Sequence[dict[str, Any]], path: Path, camera: Callable[[dict[str, Any], str], Camera]
) -> dict[str, Stated]:
    """The pictures of a list by the cameras in their names."""
    found: dict[str, Stated] = {}
    for k, entry in enumerate(entries):
        written = str(entry.get("file_path", f"entry {k}"))
        match = PICTURE.fullmatch(PurePosixPath(written).stem)
        if match is None:
            raise InputError(f"{path}: the picture {written} is not named <camera>_<tttt>; rename it")
        name, instant = match[1], int(match[2])
        stands = camera(entry, written)
        stated = found.setdefault(name, Stated(stands, {}))
        if not np.allclose(stated.camera.world_to_camera, stands.world_to_camera, atol=1e-6):
            raise InputError(f"{path}: camera {name} has several poses, but it stands still; restore it")
        if instant in stated.files:
            raise InputError(f"{path}: camera {name} has two pictures of instant {instant}; take one out")
        stated.files[instant] = _located(path.parent, written)
    return found


def _located(folder: Path, written: str) -> Path:
    """The file of a path as written, with or without its ending; in ``images`` where it was made elsewhere."""
    suffix = "" if written.endswith(".png") else ".png"
    path = folder / (written + suffix)
    beside = folder / "images" / path.name
    return beside if beside.is_file() and not path.is_file() else path


def _instants(cameras: dict[str, Stated]) -> list[int]:
    """The instants, the same of every camera; InputError that names a camera that lacks one."""
    every = sorted(set().union(*(stated.files for stated in cameras.values())))
    for name, stated in cameras.items():
        absent = next((t for t in every if t not in stated.files), None)
        if absent is not None:
            there = next(iter(stated.files.values()))
            raise InputError(f"{there.parent}: no picture {name}_{absent:04d}, though another camera has one; add it "
                             "to the lists, or take the others of its instant out")  # fmt: skip
    return every


def _points(folder: Path, frames: int) -> PointCloud | None:
    """The points that come with the scene, if some do: those of the world of its cameras."""
    reconstructed = (folder / LIST_FILE).is_file()
    names = CLOUDS if reconstructed else (OWN_CLOUD,)
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        if not reconstructed or not (folder / RECONSTRUCTION / "points3D.bin").is_file():
            return None
        model = read_model(folder / RECONSTRUCTION)
        return PointCloud(model.points.astype(np.float32), model.colors)
    points, colors, times = read_points(path)
    if times is not None:  # frame k of n is at k / n there, and what stands still lies anywhere in [-0.1, 1.1]
        times = np.clip(times * (frames / max(1, frames - 1)), 0, 1).astype(np.float32)
    return PointCloud(points, colors, times)


def _list_of(folder: Path) -> Path:
    """The list of the cameras that are learned from."""
    return folder / (LIST_FILE if (folder / LIST_FILE).is_file() else TRAIN)


def _claims(folder: Path) -> bool:
    if (folder / "cameras.json").is_file() or neural3dvideo.LAYOUT.claims(folder):
        return False  # videos with a calibration of their own, of which views were generated
    names = [match[1] for name in pictures_in(folder / "images") if (match := PICTURE.fullmatch(Path(name).stem))]
    return len(set(names)) > 1 and any((folder / name).is_file() for name in (LIST_FILE, TRAIN))


def _look(folder: Path) -> Recognised:
    learned, measured = _cameras(folder)
    every = learned | measured
    missing = []
    frames = counted(len(_instants(every)), "frame")
    what = f"{counted(len(every), 'camera')} with {_list_of(folder).name} ({NAME}), {frames}"
    absent = next((f for s in every.values() for f in s.files.values() if not f.is_file()), None)
    if absent is not None:
        missing.append(f"{absent}: no such picture; restore it.")
    return at_once(folder, NAME, what, missing, len(every))


LAYOUT = Layout(
    name=NAME,
    claims=_claims,
    open=open_sparsecam4d_scene,
    look=_look,
    inside=("images", "preprocess"),
)
