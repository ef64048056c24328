"""Camera paths: where to look from, one View per frame of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from renderer.camera import Camera, Matrix, look_at
from renderer.files.camera_path import read_camera_path, write_camera_path
from renderer.tracks import framed, frames_of, track_of
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


def circled(home: Camera, center: Matrix, up: Matrix, angles: tuple[float, float], distance: float = 1.0) -> Camera:
    """``home`` swung around ``center``, which keeps its place in the picture.

    ``angles``: radians, sideways and up-down. ``distance``: from the centre, in those of ``home``. Where ``up`` (3,)
    points along the line from the centre to the camera, that of home's picture takes its place.
    """
    center, up = np.asarray(center, float), np.asarray(up, float)
    arm = home.center - center
    if np.linalg.norm(np.cross(up, arm)) < 0.2 * np.linalg.norm(up) * np.linalg.norm(arm):
        up = -home.world_to_camera[1, :3]
    up = up / np.linalg.norm(up)
    side = np.cross(up, arm)
    side /= np.linalg.norm(side)
    # The picture keeps home's own framing: what is added to look_at at home is added everywhere.
    framing = home.world_to_camera[:3, :3] @ look_at(home.center, center, up)[:3, :3].T
    eye = center + distance * Rotation.from_rotvec(angles[0] * up + angles[1] * side).apply(arm)
    pose = look_at(eye, center, up)
    R = framing @ pose[:3, :3]
    pose[:3, :3], pose[:3, 3] = R, -R @ eye
    return home.moved(pose)


def swung(phase: float, angles: tuple[float, float]) -> tuple[float, float]:
    """The angles of a sway, one round of which takes a ``phase`` of 2 pi: an eight that lies on its side."""
    return angles[0] * float(np.sin(phase)), angles[1] * float(np.sin(2 * phase))


def orbit_path(
    home: Camera, center: Matrix, up: Matrix, frames: int, angles: tuple[float, float], turns: int = 1
) -> tuple[View, ...]:
    """A closed sway around ``center`` that starts at ``home`` while time runs from 0 to 1.

    ``angles``: half widths in radians, sideways and up-down. ``turns``: how often the sway goes round.
    """
    return tuple(
        View(circled(home, center, up, swung(2 * np.pi * turns * k / frames, angles)), k / max(1, frames - 1))
        for k in range(frames)
    )


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


def pose_at(cameras: Sequence[Camera], times: Sequence[float], time: float) -> Matrix:
    """(4, 4) camera to world of a camera that was at these places at ascending ``times``: between two of them the
    position linear, the rotation by slerp; before the first and after the last as there."""
    after = int(np.clip(np.searchsorted(times, time), 1, max(1, len(times) - 1)))
    if len(times) == 1 or times[after] <= times[after - 1]:
        return cameras[0].camera_to_world.copy()
    share = float(np.clip((time - times[after - 1]) / (times[after] - times[after - 1]), 0, 1))
    ends = np.stack([cameras[after - 1].camera_to_world, cameras[after].camera_to_world])
    pose = np.eye(4)
    pose[:3, :3] = Slerp([0, 1], Rotation.from_matrix(ends[:, :3, :3]))(share).as_matrix()
    pose[:3, 3] = (1 - share) * ends[0, :3, 3] + share * ends[1, :3, 3]
    return pose


def load_path(file: Path, near: float) -> tuple[tuple[View, ...], float]:
    """A nerfstudio ``camera_path.json``: its views at its size and its frames per second.

    The views are its frames, or where it only has keyframes those between them. Times of the scene are the stated ones
    where every frame has one, else time runs evenly from 0 to 1. InputError, one sentence, when it is no such file or a
    value cannot be; see :mod:`renderer.files.camera_path`.
    """
    path = read_camera_path(file, near)
    if not path.frames:
        track = track_of(path)
        return track.views(path.width, path.height), track.fps
    frames = zip(path.frames, path.times_at(np.linspace(0, 1, len(path.frames))), strict=True)
    return tuple(View(framed(entry.camera, path.width, path.height), time) for entry, time in frames), path.fps


def save_path(file: Path, views: Sequence[View], fps: float) -> None:
    """Write the views as a nerfstudio ``camera_path.json`` without keyframes; InputError when the disk refuses."""
    write_camera_path(file, {"keyframes": [], **frames_of(views, fps)})
