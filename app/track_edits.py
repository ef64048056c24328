"""Edits of a camera path that concern several of its keyframes, and what a person may type into one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from renderer.camera import Camera, Matrix, look_at
from renderer.errors import InputError
from renderer.files.camera_path import LONGEST, MOST_FPS, SHORTEST
from renderer.tracks import Keyframe, Track

FIELDS_OF_VIEW = 1.0, 170.0
"""Narrowest and widest that a person may ask for, degrees."""


def lasting(track: Track, seconds: float) -> Track:
    """The track with all transitions longer or shorter by one factor, so that they take ``seconds`` together.

    InputError where no transition could be so short or so long, and where there is none.
    """
    if track.seconds <= 0:
        raise InputError("Seconds: a path takes time from its second keyframe on; add another keyframe first")
    factor = seconds / track.seconds
    counted = [k.seconds * factor for k in (track.keyframes if track.closed else track.keyframes[1:])]
    if not SHORTEST <= min(counted) <= max(counted) <= LONGEST:
        raise InputError(f"Seconds: {seconds:g} is too short or too long for {len(track.keyframes)} keyframes")
    lengths = (min(max(k.seconds * factor, SHORTEST), LONGEST) for k in track.keyframes)
    keyframes = (replace(k, seconds=length) for k, length in zip(track.keyframes, lengths, strict=True))
    return replace(track, keyframes=tuple(keyframes))


def aimed(camera: Camera, point: Matrix, up: Matrix) -> Camera:
    """The camera turned on the spot until ``point`` (3,) is on its axis, with ``up`` (3,) of the world upwards.

    Where that is along the line of sight, the camera's own takes its place; at the point itself it stays as it is.
    """
    sight = np.asarray(point, float) - camera.center
    if np.linalg.norm(sight) <= camera.near:
        return camera
    if np.linalg.norm(np.cross(sight, up)) < 1e-3 * np.linalg.norm(sight) * np.linalg.norm(up):
        up = -camera.world_to_camera[1, :3]
        if np.linalg.norm(np.cross(sight, up)) < 1e-3 * np.linalg.norm(sight):
            up = camera.world_to_camera[2, :3]
    return camera.moved(look_at(camera.center, point, up))


def all_aimed(track: Track, point: Matrix, up: Matrix) -> Track:
    """The track with every keyframe's camera aimed at a point; they stay where they are."""
    return replace(track, keyframes=tuple(replace(k, camera=aimed(k.camera, point, up)) for k in track.keyframes))


def with_time(keyframe: Keyframe, time: float) -> Keyframe:
    """At another time of the scene. InputError outside [0, 1]."""
    if not 0 <= time <= 1:
        raise InputError(f"Time: {time:g} is not on the clip; give 0 for its beginning to 1 for its end")
    return replace(keyframe, time=time)


def with_seconds(keyframe: Keyframe, seconds: float) -> Keyframe:
    """With a transition of another length. InputError for what cannot be."""
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError(f"Seconds: a transition cannot take {seconds:g}; give {SHORTEST:g} to {LONGEST:g}")
    return replace(keyframe, seconds=seconds)


def with_fov(keyframe: Keyframe, degrees: float) -> Keyframe:
    """With another vertical field of view. InputError outside ``FIELDS_OF_VIEW``."""
    narrowest, widest = FIELDS_OF_VIEW
    if not narrowest <= degrees <= widest:
        raise InputError(f"Field of view: {degrees:g}° cannot be; give {narrowest:g} to {widest:g}")
    return replace(keyframe, camera=keyframe.camera.zoomed(float(np.radians(degrees))))


def with_fps(track: Track, fps: float) -> Track:
    """With another number of frames per second. InputError for what cannot be."""
    if not 0 < fps <= MOST_FPS:
        raise InputError(f"Frames per second: {fps:g} cannot be; give more than 0 and at most {MOST_FPS:g}")
    return replace(track, fps=fps)
