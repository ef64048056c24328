"""The camera path as lines in the scene: the way, and a frustum for each keyframe. Pure geometry."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from app.gui.scenery import frusta, polyline
from renderer.camera import Matrix
from renderer.picture import RGB, Lines, joined
from renderer.tracks import Track

PATH: RGB = (0.3, 0.78, 0.72)
SELECTED: RGB = (1.0, 0.88, 0.45)
POINTS_PER_KEYFRAME, MOST_POINTS = 24, 600
MOST_FRUSTA = 60
"""Of more keyframes, as of a file that has one for each frame, only some are drawn."""
AT_EYE = 0.4
"""A keyframe so near to the eye, in sizes of a frustum, would only cover the picture."""


def path_lines(track: Track, selected: int, size: float, without: Collection[int] = ()) -> Lines:
    """The way, and frusta of depth ``size``, the one of the keyframe ``selected`` (-1 for none) bright. ``without``:
    keyframes that get no frustum."""
    points = track.polyline(min(MOST_POINTS, POINTS_PER_KEYFRAME * len(track.keyframes)))
    parts = [polyline(points, PATH)] if len(track.keyframes) > 1 else []
    shown = [i for i in drawn_keyframes(track, selected) if i not in without]
    parts.append(frusta([track.keyframes[i].camera for i in shown if i != selected], size, PATH, 0.75))
    if selected in shown:
        parts.append(frusta([track.keyframes[selected].camera], 1.3 * size, SELECTED, 1.0))
    return joined(parts)


def at_eye(track: Track, selected: int, size: float, eye: Matrix) -> tuple[int, ...]:
    """The drawn keyframes in which the eye (3,) is."""
    return tuple(
        i
        for i in drawn_keyframes(track, selected)
        if np.linalg.norm(track.keyframes[i].camera.center - eye) <= AT_EYE * size
    )


def drawn_keyframes(track: Track, selected: int) -> list[int]:
    """Those that get a frustum: evenly some of many, and the selected one."""
    count = len(track.keyframes)
    some = np.linspace(0, count - 1, min(count, MOST_FRUSTA)).round().astype(int).tolist()
    return sorted({*some, selected} & set(range(count)))
