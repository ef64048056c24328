"""Synchronised videos with a ``cameras.json``: a list of cameras with name, video, width, height, frames, fps, K,
distortion_k1k2p1p2 and world_to_camera in OpenCV axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, Shot
from training.data.images import VideoFrames, fitted_size, video_info
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.lens import HALF_PIXEL, Lens, straightening
from training.data.looks import at_once, counted
from training.data.rig import middle_camera

KEYS = ("name", "video", "width", "height", "K", "world_to_camera")
"""What an entry has to have."""
LARGEST = 1e9
"""Pixels, frames and frames per second below which a number is believed."""


def open_calibrated_videos(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip of a folder; with four cameras or more the one nearest to their middle is held out by default."""
    path = folder / "cameras.json"
    entries = camera_entries(path)
    shots: list[Shot] = []
    frames: list[VideoFrames] = []
    total = min(_number(entry, "frames", path) for entry in entries)
    used = list(range(0, int(total), options.frame_step))
    for entry in entries:
        camera, video = _camera(folder, entry, path, used, options, report)
        shots += [Shot(str(entry["name"]), camera, k / max(1, len(used) - 1), k) for k in range(len(used))]
        frames.append(video)
    cameras = {str(entry["name"]): shots[n * len(used)].camera for n, entry in enumerate(entries)}
    if len(cameras) < len(entries):
        raise InputError(f"{path}: two cameras have the same name; rename one")
    near, far = poses.depth_range(list(cameras.values()))
    source_of = {(s.camera_name, s.frame): divmod(i, len(used)) for i, s in enumerate(shots)}
    middle = next(iter(middle_camera(cameras)), None)
    chosen = poses.split_cameras(poses.with_near(shots, near), options, middle)
    places = [source_of[s.camera_name, s.frame] for s in chosen]
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=chosen,
        read=lambda i: frames[places[i][0]][places[i][1]],
        duration=used[-1] / _number(entries[0], "fps", path),
        near=near,
        far=far,
        up=poses.mean_up(list(cameras.values())),
    )


def camera_entries(path: Path) -> list[dict[str, Any]]:
    """The list of cameras in a ``cameras.json``, not looked at yet; InputError when there is none."""
    data = poses.read_json(path)
    entries = data.get("cameras") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: has no list named cameras; see the README for the layout")
    return entries


def _camera(
    folder: Path, entry: dict[str, Any], path: Path, used: list[int], options: DataOptions, report: Report
) -> tuple[Camera, VideoFrames]:
    for key in KEYS:
        if not isinstance(entry, dict) or key not in entry:
            raise InputError(f"{path}: a camera has no {key}; see the README for the layout")
    name = str(entry["name"])
    try:
        K = np.array(entry["K"], float)
        distortion = np.array(entry.get("distortion_k1k2p1p2", [0, 0, 0, 0]), float)
    except (TypeError, ValueError, OverflowError):
        K, distortion = np.zeros(0), np.zeros(0)
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError(f"{path}: K of {name} is not a 3x3 camera matrix; calibrate again")
    if distortion.shape != (4,) or not np.isfinite(distortion).all():
        raise InputError(f"{path}: distortion_k1k2p1p2 of {name} is not four numbers; calibrate again")
    video = folder / str(entry["video"])
    info = video_info(video)
    width, height = int(_number(entry, "width", path)), int(_number(entry, "height", path))
    if (info.width, info.height) != (width, height):
        raise InputError(f"{video}: is {info.width}x{info.height}, {path.name} says {width}x{height}; correct one")
    pose = poses.rigid(entry["world_to_camera"], path, name)
    size = fitted_size(width, height, options.megapixels)
    camera = Camera(pose, K[0, 0], K[1, 1], K[0, 2] + HALF_PIXEL, K[1, 2] + HALF_PIXEL, width, height)
    straight = straightening(camera, Lens(distortion))
    prepare = straight.of_many() if straight else None
    pictures = VideoFrames(video, used, size, options.cache_bytes // 4, report, prepare)
    return (straight.camera if straight else camera).resized(*size), pictures


def _number(entry: dict[str, Any], key: str, path: Path) -> float:
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, int | float) or not 0 < value < LARGEST:
        raise InputError(f"{path}: a camera has no {key} above zero; see the README for the layout")
    return float(value)


def _look(folder: Path) -> Recognised:
    path = folder / "cameras.json"
    entries = camera_entries(path)
    named = [entry for entry in entries if isinstance(entry, dict)]
    what = f"{counted(len(entries), 'synchronised video')} with cameras.json"
    frames, fps = ([e.get(key) for e in named] for key in ("frames", "fps"))
    if named and all(isinstance(n, int) and n > 0 for n in frames) and isinstance(fps[0], int | float) and fps[0] > 0:
        length = min(n for n in frames if isinstance(n, int))
        what += f", {counted(length, 'frame')}, {max(0, length - 1) / fps[0]:.1f} s"
    missing = []
    for entry in entries:
        absent = next((key for key in KEYS if not isinstance(entry, dict) or key not in entry), None)
        if absent:
            missing.append(f"{path}: a camera has no {absent}; see the README for the layout.")
        elif not (folder / str(entry["video"])).is_file():
            missing.append(f"{folder / str(entry['video'])}: no such video; restore it or take its camera out.")
    return at_once(folder, "calibrated videos", what, missing, len(entries))


LAYOUT = Layout(
    name="calibrated videos",
    claims=lambda folder: (folder / "cameras.json").is_file(),
    open=open_calibrated_videos,
    look=_look,
    inside=(),
)
