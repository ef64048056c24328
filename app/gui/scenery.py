"""What is drawn into the scene to find one's way: cameras, their ways, axes, a box. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app import protocol as p
from app.gui.stage import Stage
from renderer.camera import Camera
from renderer.picture import RGB, Lines, Thumbnail, joined
from training.data.dataset import Shot

FRUSTUM_SHARE = 0.06
"""Depth of a frustum as a share of the clip's typical depth."""
TRAIN, HELD_OUT, VIRTUAL = (0.38, 0.63, 0.9), (0.93, 0.66, 0.2), (0.72, 0.55, 0.86)
WAY, BOX = (0.62, 0.66, 0.72), (0.6, 0.63, 0.68)
AXES: tuple[RGB, RGB, RGB] = ((0.9, 0.36, 0.3), (0.35, 0.75, 0.4), (0.35, 0.55, 0.95))
BEFORE_EYE = 1.02
"""Depth of what is drawn right in front of the eye, in near planes."""


def scenery(stage: Stage) -> Lines | None:
    """All lines that the stage asks for."""
    o = stage.opened
    if o is None:
        return None
    shown = (stage.cameras_shown, stage.ways_shown, stage.box_shown, stage.axes_shown)
    if stage.clip_lines is None or stage.clip_lines[0] is not o or stage.clip_lines[1] != shown:
        stage.clip_lines = (o, shown, joined(_of_clip(stage, o)))
    parts = [lines for lines in (*stage.drawn.values(), stage.clip_lines[2]) if lines is not None]
    return joined(parts) if any(len(part.segments) for part in parts) else None


def _of_clip(stage: Stage, o: p.Opened) -> list[Lines]:
    parts = []
    size = typical_depth(o) * FRUSTUM_SHARE
    if stage.cameras_shown and o.has_cameras:
        shots = distinct_shots(o)
        for split, color in (("train", TRAIN), ("test", HELD_OUT)):
            cameras = [shot.camera for shot in shots if shot.split == split]
            parts.append(frusta(cameras, size, color))
        parts.append(frusta(o.virtual_cameras, 0.6 * size, VIRTUAL))
        if stage.ways_shown:
            parts += ways(o)
    if stage.box_shown:
        parts.append(box(o.box, BOX))
    if stage.axes_shown:
        parts.append(axes(np.array(o.center, float), 4 * size))
    return parts


def thumbnails(stage: Stage) -> tuple[Thumbnail, ...]:
    """The small pictures on the image planes of the cameras, where they are shown."""
    o, images = stage.opened, stage.thumbnails
    if o is None or not stage.cameras_shown:
        return ()
    if stage.placed is None or stage.placed[0] is not o or stage.placed[1] is not images:
        size = typical_depth(o) * FRUSTUM_SHARE
        found = ((o.shots[index].camera, image) for index, image in images.items() if index < len(o.shots))
        made = tuple(Thumbnail(corners(camera, size).astype(np.float32), image) for camera, image in found)
        stage.placed = (o, images, made)
    return stage.placed[2]


def distinct_shots(opened: p.Opened) -> list[Shot]:
    """One shot of every place that a camera was in, in the order of the clip."""
    seen: dict[tuple[str, Camera], Shot] = {}
    for shot in opened.shots:
        seen.setdefault((shot.camera_name, shot.camera), shot)
    return list(seen.values())


def typical_depth(opened: p.Opened) -> float:
    """Harmonic mean of the nearest and the farthest depth, scene units."""
    near, far = opened.depths
    return 2 / (1 / near + 1 / far)


def corners(camera: Camera, depth: float) -> NDArray[np.float64]:
    """(4, 3) of the picture at a depth: top-left, top-right, bottom-right, bottom-left."""
    w, h = camera.width, camera.height
    return camera.unproject(np.array([(0, 0), (w, 0), (w, h), (0, h)], float), np.full(4, depth))


def frusta(cameras: Sequence[Camera], size: float, color: RGB, cover: float = 0.9) -> Lines:
    """Pyramids from each camera to its picture at depth ``size``."""
    segments = []
    for camera in cameras:
        ends, eye = corners(camera, size), camera.center
        segments += [(eye, end) for end in ends]
        segments += [(ends[k], ends[(k + 1) % 4]) for k in range(4)]
    return lines(segments, color, cover)


def ways(opened: p.Opened) -> list[Lines]:
    """Where each camera of the clip that moves went, and the path of the virtual ones."""
    paths: dict[str, list[NDArray[np.float64]]] = {}
    for shot in opened.shots:
        paths.setdefault(shot.camera_name, []).append(shot.camera.center)
    found = [polyline(np.stack(way), WAY) for way in paths.values() if len(way) > 1 and np.ptp(way, axis=0).max() > 0]
    if len(opened.virtual_cameras) > 1:
        found.append(polyline(np.stack([c.center for c in opened.virtual_cameras]), VIRTUAL, 0.5))
    return found


def polyline(points: NDArray[np.float64], color: RGB, cover: float = 0.8) -> Lines:
    """From point to point (N, 3)."""
    return lines(list(pairwise(points)), color, cover)


def box(ends: NDArray[np.float64], color: RGB) -> Lines:
    """The edges between two opposite corners (2, 3)."""
    places = [np.array([ends[i][0], ends[j][1], ends[k][2]]) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    pairs = [(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1]
    return lines([(places[a], places[b]) for a, b in pairs], color, 0.7)


def axes(origin: NDArray[np.float64], length: float) -> Lines:
    """x red, y green, z blue."""
    return joined([lines([(origin, origin + length * np.eye(3)[k])], AXES[k], 1.0) for k in range(3)])


def across(camera: Camera, start: tuple[float, float], end: tuple[float, float], color: RGB) -> Lines:
    """A line over the picture between two places in pixels, right in front of the eye."""
    depth = np.full(2, BEFORE_EYE * camera.near)
    return lines([tuple(camera.unproject(np.array([start, end], float), depth))], color, 1.0)


def lines(segments: Sequence, color: RGB, cover: float) -> Lines:
    """Segments (pairs of (3,) points) of one colour."""
    array = np.array(segments, np.float32).reshape(-1, 2, 3)
    return Lines(array, np.tile(np.array([*color, cover], np.float32), (len(array), 1)))
