"""What all loaders check and derive: rigid poses, depth ranges, which shots are held out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.paths import focus_point
from training.data.dataset import Shot
from training.data.layouts import IMAGE_SUFFIXES, DataOptions

NEAR_SHARE = 0.1
"""A camera draws nothing nearer than this share of the scene's near depth."""


def read_json(path: Path) -> Any:
    """The value; InputError when it is not JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{path}: not readable as JSON ({problem}); restore it") from None


def rigid(matrix: object, path: Path, name: str) -> NDArray[np.float64]:
    """A (4, 4) rigid transform from nested lists of 3 or 4 rows; InputError that names the file and the camera."""
    try:
        m = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: the pose of {name} is not a matrix of numbers; restore it") from None
    if m.shape not in ((3, 4), (4, 4)):
        raise InputError(f"{path}: the pose of {name} has shape {m.shape} instead of 4x4; restore it")
    if not np.isfinite(m).all():
        raise InputError(f"{path}: the pose of {name} is not finite; take this camera out or calibrate again")
    R = m[:3, :3]
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-2 or np.linalg.det(R) < 0:
        raise InputError(f"{path}: the rotation of {name} is not a rotation; calibrate again")
    U, _, Vt = np.linalg.svd(R)  # the nearest rotation, against rounding in the file
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = U @ Vt, m[:3, 3]
    return result


def inverted(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a rigid (4, 4)."""
    return Camera(pose, 1, 1, 0, 0, 1, 1).camera_to_world


def image_files(folder: Path) -> list[Path]:
    """Pictures of a folder by name; InputError when there are none."""
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no pictures in this folder; put the clip's frames there")
    return files


def mean_up(cameras: Sequence[Camera]) -> tuple[float, float, float]:
    """The mean direction that points up in the pictures."""
    up = -np.mean([c.camera_to_world[:3, 1] for c in cameras], axis=0)
    up /= max(float(np.linalg.norm(up)), 1e-9)
    return (float(up[0]), float(up[1]), float(up[2]))


def depth_range(cameras: Sequence[Camera]) -> tuple[float, float]:
    """Near and far when nothing says so: around the distance to where the cameras' axes meet."""
    point = focus_point(cameras, 1e-6, np.inf)
    distances = [float(c.project(point[None])[1][0]) for c in cameras]
    typical = float(np.median(distances))
    return 0.25 * typical, 4.0 * typical


def with_near(shots: Sequence[Shot], near: float) -> list[Shot]:
    """The shots with cameras that draw from a tenth of ``near`` on."""
    return [replace(s, camera=replace(s.camera, near=NEAR_SHARE * near)) for s in shots]


def split_cameras(shots: Sequence[Shot], options: DataOptions, default: str | None) -> list[Shot]:
    """Hold cameras out: those asked for, else ``default``; keep only the cameras asked for in training."""
    names = list(dict.fromkeys(s.camera_name for s in shots))
    for name in (*options.cameras, *(n for n in options.holdout if n != "none")):
        if name not in names:
            raise InputError(f"camera {name}: not in the clip, which has {', '.join(names)}")
    held = set(options.holdout) or ({default} if default and default not in options.cameras else set())
    chosen = [
        replace(s, split="test" if s.camera_name in held else "train")
        for s in shots
        if s.camera_name in held or not options.cameras or s.camera_name in options.cameras
    ]
    return enough(chosen)


def split_frames(shots: Sequence[Shot], options: DataOptions) -> list[Shot]:
    """Hold frames of one moving camera out: outside the range asked for, else every eighth."""
    if options.train_frames:
        first, last = options.train_frames
        a, b = options.test_frames or (0, max(s.frame for s in shots))
        return enough(
            [
                replace(s, split="train" if first <= s.frame <= last else "test")
                for s in shots
                if first <= s.frame <= last or a <= s.frame <= b
            ]
        )
    if "none" in options.holdout:
        return enough(list(shots))
    return enough([replace(s, split="test" if s.frame % 8 == 7 else "train") for s in shots])


def enough(shots: list[Shot]) -> list[Shot]:
    """The shots; InputError when fewer than two are trained on."""
    count = sum(s.split == "train" for s in shots)
    if count < 2:
        raise InputError(f"only {count} picture to train on; two at least are needed: give more cameras or frames")
    return shots
