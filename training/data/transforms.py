"""Frames as ``transforms.json`` and its kin list them: each a picture and a camera-to-world matrix in OpenGL axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.camera import OPENGL_TO_OPENCV, Camera
from renderer.errors import InputError
from training.data import poses
from training.data.layouts import IMAGE_SUFFIXES

Values = Mapping[str, Any]
LARGEST = 1e15
"""Numbers that are larger than this are none."""
SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of pictures that are listed without."""


def read_frames(path: Path) -> tuple[Values, list[Values]]:
    """What a file says of all frames, and its frames; InputError when it has none."""
    data = poses.read_json(path)
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{path}: has no list named frames with a picture in it; restore it")
    for k, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
            raise InputError(f"{path}: frame {k} has no file_path; restore it")
    return data, frames


def picture_path(folder: Path, stated: str) -> Path:
    """The file of a picture, which may be listed without its ending; one that is not there when none is."""
    path = folder / stated
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return path
    named = [path.with_name(path.name + suffix) for suffix in SUFFIXES]
    return next((p for p in named if p.is_file()), named[0])


def pose_of(frame: Values, path: Path) -> NDArray[np.float64]:
    """World-to-camera (4, 4) in OpenCV axes of a frame; InputError that names the file and the picture."""
    name = str(frame["file_path"])
    if "transform_matrix" not in frame:
        raise InputError(f"{path}: {name} has no transform_matrix; restore it or take the frame out")
    return poses.inverted(poses.rigid(frame["transform_matrix"], path, name) @ OPENGL_TO_OPENCV)


def number(values: Values, key: str, path: Path) -> float | None:
    """A finite number; None where there is none, InputError where there is something else."""
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise InputError(f"{path}: {key} is {str(value)[:40]!r} instead of a number; correct it")
    return float(value)


def moments(frames: list[Values], path: Path) -> list[float] | None:
    """The times that the frames state; None where none does, InputError where only some do."""
    stated = [number(frame, "time", path) for frame in frames]
    known = [t for t in stated if t is not None]
    if known and len(known) < len(stated):
        missing = str(frames[stated.index(None)]["file_path"])
        raise InputError(f"{path}: {missing} has no time while others have one; add it or take all times out")
    return known or None


def pinhole(values: Values, pose: NDArray[np.float64], size: tuple[int, int], path: Path) -> Camera:
    """The camera of a picture of (width, height) pixels, from ``fl_x``, ``fl_y``, ``cx``, ``cy`` or
    ``camera_angle_x``, ``camera_angle_y`` in radians; where the principal point is not stated it is the middle.

    InputError when no focal length is stated, and for one that is not above zero.
    """
    width, height = size
    angle_x, angle_y = (number(values, key, path) for key in ("camera_angle_x", "camera_angle_y"))
    fx = number(values, "fl_x", path)
    if fx is None and angle_x is not None:
        fx = 0.5 * width / math.tan(0.5 * angle_x) if 0 < angle_x < math.pi else 0.0
    if fx is None:
        raise InputError(f"{path}: states no focal length; add fl_x or camera_angle_x")
    fy = number(values, "fl_y", path)
    if fy is None and angle_y is not None:
        fy = 0.5 * height / math.tan(0.5 * angle_y) if 0 < angle_y < math.pi else 0.0
    fy = fx if fy is None else fy
    if not (fx > 0 and fy > 0):
        raise InputError(f"{path}: a focal length is {min(fx, fy):g} instead of above zero; calibrate again")
    cx, cy = number(values, "cx", path), number(values, "cy", path)
    return Camera(pose, fx, fy, width / 2 if cx is None else cx, height / 2 if cy is None else cy, width, height)
