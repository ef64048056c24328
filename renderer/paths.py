"""Camera paths: where to look from, one View per frame of a video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from renderer.camera import OPENGL_TO_OPENCV, Camera, Matrix, look_at
from renderer.errors import InputError
from renderer.view import View

Vector = tuple[float, float, float]


def focus_point(cameras: Sequence[Camera], near: float, far: float) -> Matrix:
    """(3,) what the cameras look at: nearest to all optical axes, kept between ``near`` and ``far`` of each.

    Where the axes are almost parallel, as in a clip that hardly moves, this is the point on the mean axis at the
    harmonic mean of near and far.
    """
    centers = np.stack([c.center for c in cameras])
    axes = np.stack([c.camera_to_world[:3, 2] for c in cameras])
    typical = 2 / (1 / near + 1 / far)
    fallback = (centers + typical * axes).mean(0)
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # (C, 3, 3) removes the part along each axis
    system = across.sum(0)
    if np.linalg.eigvalsh(system)[0] < 0.01 * len(cameras):
        return fallback
    point = np.linalg.solve(system, (across @ centers[:, :, None]).sum(0)[:, 0])
    depths = ((point - centers) * axes).sum(1)
    return point if np.all(depths > near) and np.median(depths) < far else fallback


def sway_angles(cameras: Sequence[Camera], center: Matrix) -> tuple[float, float]:
    """Half widths (radians, sideways and up-down) of a path that stays about where the cameras were."""
    directions = np.stack([c.center - center for c in cameras])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    mean = directions.mean(0)
    mean /= max(float(np.linalg.norm(mean)), 1e-9)
    spread = float(np.arccos(np.clip(directions @ mean, -1, 1)).max())
    sideways = float(np.clip(0.8 * spread, np.radians(2.0), np.radians(25.0)))
    return sideways, 0.3 * sideways


def orbit_path(
    home: Camera, center: Matrix, up: Matrix, frames: int, angles: tuple[float, float], turns: int = 1
) -> tuple[View, ...]:
    """A closed sway around ``center`` that starts at ``home`` while time runs from 0 to 1.

    ``angles``: half widths in radians, sideways and up-down. ``turns``: how often the sway goes round.
    """
    center, up = np.asarray(center, float), np.asarray(up, float)
    up = up / np.linalg.norm(up)
    arm = home.center - center
    side = np.cross(up, arm)
    side /= np.linalg.norm(side)
    # The picture keeps home's own framing: what is added to look_at at home is added everywhere.
    framing = home.world_to_camera[:3, :3] @ look_at(home.center, center, up)[:3, :3].T
    views = []
    for k in range(frames):
        phase = 2 * np.pi * turns * k / frames
        turned = Rotation.from_rotvec(angles[0] * np.sin(phase) * up + angles[1] * np.sin(2 * phase) * side).apply(arm)
        pose = look_at(center + turned, center, up)
        R = framing @ pose[:3, :3]
        pose[:3, :3], pose[:3, 3] = R, -R @ (center + turned)
        views.append(View(home.moved(pose), k / max(1, frames - 1)))
    return tuple(views)


def input_path(cameras: Sequence[Camera], frames: int) -> tuple[View, ...]:
    """Through the given cameras in their order while time runs from 0 to 1: positions linear, rotations by slerp."""
    if len(cameras) == 1:
        return tuple(View(cameras[0], k / max(1, frames - 1)) for k in range(frames))
    knots = np.linspace(0, 1, len(cameras))
    u = np.linspace(0, 1, frames)
    c2w = np.stack([c.camera_to_world for c in cameras])
    centers = np.stack([np.interp(u, knots, c2w[:, i, 3]) for i in range(3)], axis=1)
    rotations = Slerp(knots, Rotation.from_matrix(c2w[:, :3, :3]))(u).as_matrix()
    focal = np.interp(u, knots, [c.fy / c.height for c in cameras])
    first, views = cameras[0], []
    for k in range(frames):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotations[k].T, -rotations[k].T @ centers[k]
        f = float(focal[k] * first.height)
        views.append(View(replace(first.moved(pose), fx=f * first.fx / first.fy, fy=f), float(u[k])))
    return tuple(views)


def load_path(file: Path, near: float) -> tuple[tuple[View, ...], float]:
    """A nerfstudio ``camera_path.json``: its views and its frames per second.

    Camera-to-world matrices with OpenGL axes, vertical field of view in degrees; ``render_time`` is used where
    every frame has one, else time runs evenly from 0 to 1. Raises InputError for anything else.
    """
    try:
        data = json.loads(file.read_text())
        entries, width, height = data["camera_path"], int(data["render_width"]), int(data["render_height"])
        timed = all("render_time" in entry for entry in entries)
        views = []
        for k, entry in enumerate(entries):
            c2w = np.array(entry["camera_to_world"], dtype=float).reshape(4, 4) @ OPENGL_TO_OPENCV
            time = float(entry["render_time"]) if timed else k / max(1, len(entries) - 1)
            camera = Camera.from_fov(np.linalg.inv(c2w), np.radians(float(entry["fov"])), width, height, near)
            if not np.isfinite(camera.world_to_camera).all():
                raise ValueError("a matrix is not finite")
            views.append(View(camera, float(np.clip(time, 0, 1))))
        if not views:
            raise ValueError("camera_path is empty")
        return tuple(views), float(data.get("fps", 30))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; give orbit, input or a camera_path.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, np.linalg.LinAlgError) as problem:
        raise InputError(
            f"{file}: not a nerfstudio camera path ({problem!r:.80}); export one or give --path orbit"
        ) from None


def save_path(file: Path, views: Sequence[View], fps: float) -> None:
    """Write the views as a nerfstudio ``camera_path.json``."""
    camera = views[0].camera
    path = [
        {
            "camera_to_world": (view.camera.camera_to_world @ OPENGL_TO_OPENCV).reshape(-1).tolist(),
            "fov": float(np.degrees(view.camera.fov_y)),
            "aspect": view.camera.width / view.camera.height,
            "render_time": view.time,
        }
        for view in views
    ]
    head = {"camera_type": "perspective", "render_width": camera.width, "render_height": camera.height, "fps": fps}
    file.write_text(json.dumps({**head, "seconds": len(views) / fps, "keyframes": [], "camera_path": path}))
