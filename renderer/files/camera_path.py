"""nerfstudio's ``camera_path.json``: the cameras of a path's frames and of the keyframes between which it runs.

Camera-to-world matrices with OpenGL axes (+y up, looking along -z), 16 numbers; vertical field of view in degrees;
aspect and size of the pictures by ``render_width`` and ``render_height``. Two forms of ``keyframes[].matrix`` are read:
a list by rows, which nerfstudio's viewer writes, and a string that holds a JSON list by columns, which its earlier one
in the browser wrote. Which of the two a matrix is shows in where its 0, 0, 0, 1 stands; where both would do, because it
does not translate, a string is by columns. Lists of four rows are read as well.

``smoothness_value`` is the tension of the later viewer's Kochanek-Bartels spline, 0 for a smooth one; of the earlier
viewer's Catmull-Rom spline it is the factor of the slopes, one half for the usual one. The earlier viewer kept when a
keyframe is passed, as a share of ``seconds``, under TIME in ``properties``, a string that holds a JSON list of pairs.

Keys of an entry that nerfstudio does not know and leaves alone: ``fl_x, fl_y, cx, cy, w, h``, a pinhole in pixels from
the picture's corner, in place of the field of view, for cameras whose axis does not meet the middle of the picture or
whose pixels are not square; ``name`` of a keyframe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from renderer.camera import OPENGL_TO_OPENCV, Camera, Matrix
from renderer.errors import InputError
from renderer.files.complete import write_whole

PINHOLE = ("fl_x", "fl_y", "cx", "cy", "w", "h")
LARGEST_SIZE = 16384
MOST_FPS = 1000.0
SHORTEST, LONGEST = 1e-4, 1e5
"""Seconds that a transition between keyframes lasts at least and at most."""


@dataclass(frozen=True)
class Entry:
    """A frame or keyframe. ``time``: of the scene, in [0, 1], where one is stated. ``values``: the entry as it is.
    ``seconds``: how long a keyframe's transition takes that leads to it; 0 for a frame."""

    camera: Camera
    time: float | None
    values: Mapping[str, Any]
    seconds: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class CameraPath:
    """What a file holds. ``smoothness``: 0 for straight lines between keyframes, 1 for a smooth spline."""

    width: int
    height: int
    fps: float
    closed: bool
    smoothness: float
    frames: tuple[Entry, ...]
    keyframes: tuple[Entry, ...]

    def times_at(self, shares: Matrix) -> list[float]:
        """Times of the scene, in [0, 1], when these shares of the path are over: those of the frames between which they
        lie where every frame has one, else the shares."""
        times = [entry.time for entry in self.frames if entry.time is not None]
        if times and len(times) == len(self.frames):
            shares = np.interp(shares, np.linspace(0, 1, len(times)), times)
        return [float(share) for share in shares]


def read_camera_path(file: Path, near: float) -> CameraPath:
    """The path in a file, its cameras with the given ``near``.

    Raises InputError, one sentence that names the file and the entry, when it is not one, has neither frames nor
    keyframes, holds what cannot be, or was made for a lens that is no pinhole.
    """
    head = _read_object(file)
    width, height = (
        int(_number(head, key, "the path", file, (1, LARGEST_SIZE))) for key in ("render_width", "render_height")
    )
    fps = _number(head, "fps", "the path", file, (0.01, MOST_FPS)) if "fps" in head else 30.0
    if head.get("camera_type") not in (None, "perspective"):
        raise InputError(f"{file}: is for a {head['camera_type']!s:.40} camera; export it with camera type perspective")
    frames = tuple(
        _entry(value, "camera_to_world", f"camera {k}", head, file, near)
        for k, value in enumerate(_entries(head, "camera_path", file))
    )
    keyframes = tuple(
        _entry(value, "matrix", f"keyframe {k}", head, file, near)
        for k, value in enumerate(_entries(head, "keyframes", file))
    )
    if not frames and not keyframes:
        raise InputError(f"{file}: has neither keyframes nor a camera_path; export the path again")
    closed = head.get("is_cycle") is True
    properties = [_properties(entry.values, f"keyframe {k}", file) for k, entry in enumerate(keyframes)]
    seconds = _transitions(keyframes, properties, head, closed, file)
    keyframes = tuple(
        replace(entry, seconds=length, name=str(kept.get("NAME", entry.values.get("name", ""))))
        for entry, kept, length in zip(keyframes, properties, seconds, strict=True)
    )
    return CameraPath(width, height, fps, closed, _smoothness(keyframes, head, file), frames, keyframes)


def write_camera_path(file: Path, document: Mapping[str, Any]) -> None:
    """Write the JSON at once; InputError when the disk does not take it."""
    write_whole(file, json.dumps(document, indent=1, allow_nan=False) + "\n")


def entry_of(camera: Camera, key: str, size: tuple[int, int]) -> dict[str, Any]:
    """What a file says of a camera, its matrix under ``key``, in a path whose pictures are of ``size``."""
    entry = {
        key: (camera.camera_to_world @ OPENGL_TO_OPENCV).reshape(-1).tolist(),
        "fov": float(np.degrees(camera.fov_y)),
        "aspect": camera.width / camera.height,
    }
    pinhole = (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
    by_angle = Camera.from_fov(camera.world_to_camera, camera.fov_y, *size)
    plain = (by_angle.fx, by_angle.fy, by_angle.cx, by_angle.cy, *size)
    return (
        entry if np.allclose(pinhole, plain, rtol=1e-12, atol=0) else entry | dict(zip(PINHOLE, pinhole, strict=True))
    )


def _read_object(file: Path) -> dict[str, Any]:
    try:
        head = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; give a nerfstudio camera_path.json") from None
    except OSError as problem:
        raise InputError(f"{file}: cannot be read ({problem.strerror}); give a nerfstudio camera_path.json") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file}: is not JSON; give a nerfstudio camera_path.json") from None
    if not isinstance(head, dict):
        raise InputError(f"{file}: is JSON but no camera path; give a nerfstudio camera_path.json")
    return head


def _entries(head: Mapping[str, Any], key: str, file: Path) -> Sequence[Any]:
    entries = head.get(key)
    if entries is not None and not isinstance(entries, list):
        raise InputError(f"{file}: {key} is not a list; export the path again")
    return entries or []


def _entry(value: Any, key: str, name: str, head: Mapping[str, Any], file: Path, near: float) -> Entry:
    if not isinstance(value, dict):
        raise InputError(f"{file}: {name} is not an object with keys; export the path again")
    c2w = _camera_to_world(value, key, name, file) @ OPENGL_TO_OPENCV
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = c2w[:3, :3].T, -c2w[:3, :3].T @ c2w[:3, 3]
    if "fl_x" in value:
        fx, fy, *center = (_number(value, k, name, file, (1e-6, 1e9)) for k in PINHOLE[:4])
        width, height = (int(_number(value, k, name, file, (1, LARGEST_SIZE))) for k in PINHOLE[4:])
        camera = Camera(pose, fx, fy, center[0], center[1], width, height, near)
    else:
        angles = value if "fov" in value else {"fov": head["default_fov"]} if "default_fov" in head else value
        fov = _number(angles, "fov", name, file, (1e-3, 179.99))
        camera = Camera.from_fov(pose, np.radians(fov), int(head["render_width"]), int(head["render_height"]), near)
    stated = value.get("render_time") is not None
    time = float(np.clip(_number(value, "render_time", name, file), 0, 1)) if stated else None
    return Entry(camera, time, value)


def _camera_to_world(value: Mapping[str, Any], key: str, name: str, file: Path) -> Matrix:
    """(4, 4) rigid, OpenGL axes."""
    if key not in value:
        raise InputError(f"{file}: {name} has no {key}; export the path again")
    listed = _json(value[key], f"{key} of {name}", file) if isinstance(value[key], str) else value[key]
    try:
        m = np.array(listed, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{file}: {key} of {name} is not a list of numbers; export the path again") from None
    if m.shape not in ((16,), (4, 4)):
        raise InputError(f"{file}: {key} of {name} has {m.size} numbers instead of 16; export the path again")
    if not np.isfinite(m).all():
        raise InputError(f"{file}: {key} of {name} is not finite; export the path again")
    m = m.reshape(4, 4)
    by_columns, by_rows = (np.allclose(m[index], [0, 0, 0, 1], atol=1e-6) for index in (np.s_[:, 3], np.s_[3]))
    if by_columns and (not by_rows or isinstance(value[key], str)):
        m = m.T
    R = m[:3, :3]
    if not (by_rows or by_columns) or np.abs(R @ R.T - np.eye(3)).max() > 1e-2 or np.linalg.det(R) < 0:
        raise InputError(f"{file}: {key} of {name} does not rotate and translate only; export the path again")
    U, _, Vt = np.linalg.svd(R)  # the nearest rotation, against rounding in the file
    rigid = np.eye(4)
    rigid[:3, :3], rigid[:3, 3] = U @ Vt, m[:3, 3]
    return rigid


def _number(
    values: Mapping[str, Any], key: str, owner: str, file: Path, bounds: tuple[float, float] = (-1e30, 1e30)
) -> float:
    """The finite number under a key; InputError that names it when it is missing, none, or not within the bounds."""
    if key not in values:
        raise InputError(f"{file}: {owner} has no {key}; export the path again")
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not bounds[0] <= value <= bounds[1]:
        limits = "" if abs(bounds[0]) == 1e30 else f" between {bounds[0]:g} and {bounds[1]:g}"
        raise InputError(f"{file}: {key} of {owner} is not a number{limits}; export the path again")
    return float(value)


def _json(text: str, what: str, file: Path) -> Any:
    """The value of JSON that stands as a string in the file's JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{file}: {what} is not JSON; export the path again") from None


def _properties(values: Mapping[str, Any], name: str, file: Path) -> dict[str, Any]:
    """What the earlier viewer kept of a keyframe besides."""
    text = values.get("properties")
    if not isinstance(text, str):
        return {}
    try:
        return dict(_json(text, f"properties of {name}", file))
    except (TypeError, ValueError):
        raise InputError(f"{file}: properties of {name} is not a list of pairs; export the path again") from None


def _smoothness(keyframes: Sequence[Entry], head: Mapping[str, Any], file: Path) -> float:
    if head.get("smoothness_value") is None:
        return 1.0
    value = _number(head, "smoothness_value", "the path", file, (0, 1))
    earlier = any(isinstance(entry.values["matrix"], str) for entry in keyframes)
    return min(1.0, 2 * value) if earlier else 1 - value


def _transitions(
    keyframes: Sequence[Entry],
    properties: Sequence[Mapping[str, Any]],
    head: Mapping[str, Any],
    closed: bool,
    file: Path,
) -> list[float]:
    """Seconds of the transition to each keyframe: from the earlier viewer's TIME, or stated, or all alike."""
    count, bounds = len(keyframes), (SHORTEST, LONGEST)
    total = _number(head, "seconds", "the path", file) if head.get("seconds") is not None else 0.0
    if count > 1 and total > 0 and all("TIME" in kept for kept in properties):
        share = (count - 1) / count if closed else 1.0
        at = [share * _number(kept, "TIME", f"keyframe {k}", file) for k, kept in enumerate(properties)]
        lengths = [total * length for length in (1 - at[-1] + at[0] if closed else at[1] - at[0], *np.diff(at))]
        if not SHORTEST <= min(lengths) <= max(lengths) <= LONGEST:
            raise InputError(
                f"{file}: TIME of the keyframes does not grow; put them in order and export the path again"
            )
        return [float(length) for length in lengths]
    default = total / max(1, count if closed else count - 1)
    if head.get("default_transition_sec") is not None:
        default = _number(head, "default_transition_sec", "the path", file, bounds)
    default = default if SHORTEST <= default <= LONGEST else 0.5
    return [
        _number(entry.values, "override_transition_sec", f"keyframe {k}", file, bounds)
        if entry.values.get("override_transition_enabled") and entry.values.get("override_transition_sec") is not None
        else default
        for k, entry in enumerate(keyframes)
    ]
