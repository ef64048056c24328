"""Camera paths that a person edits: keyframes, and the views between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from renderer.camera import Camera, Matrix
from renderer.curves import Curve, numbers, positions, rotations
from renderer.errors import InputError
from renderer.files.camera_path import (
    LONGEST,
    MOST_FPS,
    SHORTEST,
    CameraPath,
    entry_of,
    read_camera_path,
    write_camera_path,
)
from renderer.view import View

SAME_INSTANT = 1e-9  # seconds; so near to a keyframe a view is the keyframe's own


@dataclass(frozen=True)
class Keyframe:
    """A camera at an instant of the scene, through which a track passes.

    ``time``: of the scene, in [0, 1]. ``seconds``: how long the transition takes that leads here from the keyframe
    before; that of the first one counts only where the track is closed. ValueError for what cannot be.
    """

    camera: Camera
    time: float
    seconds: float = 2.0
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.time <= 1:
            raise ValueError(f"time is {self.time}, expected 0 to 1")
        if not SHORTEST <= self.seconds <= LONGEST:
            raise ValueError(f"seconds is {self.seconds}, expected {SHORTEST} to {LONGEST}")


@dataclass(frozen=True)
class Track:
    """A smooth path through keyframes. A value: every edit returns a new one.

    ``closed``: after the last keyframe comes the first one again. ``smoothness``: in [0, 1]; at 1 the camera runs along
    a centripetal Catmull-Rom spline and its speed does not jump, at 0 it goes straight from keyframe to keyframe and
    rests at each. (nerfstudio's ``smoothness_value`` is the tension of its spline, 1 - ``smoothness``.) ValueError for
    what cannot be. A track without keyframes has no views.
    """

    keyframes: tuple[Keyframe, ...] = ()
    fps: float = 30.0
    closed: bool = False
    smoothness: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.fps <= MOST_FPS:
            raise ValueError(f"fps is {self.fps}, expected more than 0 and at most {MOST_FPS}")
        if not 0 <= self.smoothness <= 1:
            raise ValueError(f"smoothness is {self.smoothness}, expected 0 to 1")

    def added(self, keyframe: Keyframe, at: int | None = None) -> Track:
        """With one more keyframe, before the one at index ``at``, or as the last."""
        at = len(self.keyframes) if at is None else at
        return replace(self, keyframes=(*self.keyframes[:at], keyframe, *self.keyframes[at:]))

    def removed(self, i: int) -> Track:
        """Without keyframe ``i``."""
        rest = list(self.keyframes)
        del rest[i]
        return replace(self, keyframes=tuple(rest))

    def moved(self, i: int, to: int) -> Track:
        """With keyframe ``i`` at index ``to`` of the new order."""
        return self.removed(i).added(self.keyframes[i], to)

    def replaced(self, i: int, keyframe: Keyframe) -> Track:
        """With another keyframe at index ``i``."""
        changed = list(self.keyframes)
        changed[i] = keyframe
        return replace(self, keyframes=tuple(changed))

    @cached_property
    def moments(self) -> tuple[float, ...]:
        """Seconds at which each keyframe is passed, from 0 on; where closed, the return to the first one as well."""
        seconds = [k.seconds for k in self.keyframes]
        ahead = seconds[1:] + seconds[:1] if self.closed else seconds[1:]
        return tuple(np.cumsum([0.0, *ahead]).tolist()) if self.keyframes else ()

    @property
    def seconds(self) -> float:
        """How long all transitions take together."""
        return self.moments[-1] if self.moments else 0.0

    @property
    def frame_count(self) -> int:
        """Frames at ``fps``: at least one where there is a keyframe."""
        return max(1, round(self.seconds * self.fps)) if self.keyframes else 0

    def view_at(self, seconds: float) -> View:
        """The view at a moment, of the first keyframe's picture size. Outside the track it is that of the nearer end;
        a closed one goes round. ValueError without keyframes."""
        if not self.keyframes:
            raise ValueError("the track has no keyframes")
        first = self.keyframes[0].camera
        if self.closed:
            seconds %= self.seconds
        return self._views(np.array([seconds]), first.width, first.height)[0]

    def views(self, width: int, height: int, frames: int | None = None) -> tuple[View, ...]:
        """One view per frame of a video, ``frame_count`` of them or as many as are asked for, evenly in time.

        The last one is the last keyframe; on a closed track it is the one before the first comes again. Vertical fields
        of view are kept when the shape of the pictures is not that of the keyframes' cameras.
        """
        count = self.frame_count if frames is None else frames
        return self._views(np.linspace(0, self.seconds, count, endpoint=not self.closed), width, height)

    def polyline(self, n: int) -> Matrix:
        """(n, 3) positions from the beginning to the end, evenly in time; none without keyframes."""
        if not self.keyframes:
            return np.zeros((0, 3))
        return self._curves.position(np.linspace(0, self.seconds, n))

    def _views(self, seconds: Matrix, width: int, height: int) -> tuple[View, ...]:
        if not self.keyframes or not len(seconds):
            return ()
        moments = np.array(self.moments)
        seconds = np.clip(seconds, 0, moments[-1])
        nearest = np.minimum(np.searchsorted(moments, seconds - SAME_INSTANT), len(moments) - 1)
        position, rotation = self._curves.position(seconds), self._curves.rotation(seconds)
        rest = self._curves.rest(seconds)
        views = []
        for k, knot in enumerate(nearest):
            if abs(seconds[k] - moments[knot]) < SAME_INSTANT:
                keyframe = self.keyframes[knot % len(self.keyframes)]
                views.append(View(framed(keyframe.camera, width, height), keyframe.time))
                continue
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = rotation[k].T, -rotation[k].T @ position[k]
            zoom, stretch, x, y, time = (float(value) for value in rest[k])
            fy = float(np.exp(zoom)) * height
            camera = Camera(pose, stretch * fy, fy, x * width, y * height, width, height, self.keyframes[0].camera.near)
            views.append(View(camera, min(1.0, max(0.0, time))))
        return tuple(views)

    @cached_property
    def _curves(self) -> _Curves:
        passed = [*self.keyframes, self.keyframes[0]] if self.closed else list(self.keyframes)
        moments, cameras = np.array(self.moments), [k.camera for k in passed]
        c2w = np.stack([c.camera_to_world for c in cameras])
        rest = [
            (np.log(c.fy / c.height), c.fx / c.fy, c.cx / c.width, c.cy / c.height, k.time)
            for c, k in zip(cameras, passed, strict=True)
        ]
        return _Curves(
            positions(moments, c2w[:, :3, 3], self.closed, self.smoothness),
            rotations(moments, c2w[:, :3, :3], self.closed, self.smoothness),
            numbers(moments, np.array(rest), self.closed),
        )


@dataclass(frozen=True)
class _Curves:
    """``rest``: the logarithm of the focal length in heights of the picture, the pixels' shape, the principal point in
    sizes of the picture, and the scene's time."""

    position: Curve
    rotation: Curve
    rest: Curve


def framed(camera: Camera, width: int, height: int) -> Camera:
    """The camera with pictures of another size: the same vertical field of view, the same shape of pixels."""
    if (camera.width, camera.height) == (width, height):
        return camera
    fy = camera.fy * height / camera.height
    return replace(
        camera.resized(width, height),
        fx=fy * camera.fx / camera.fy,
        fy=fy,
    )


def save_track(file: Path, track: Track, width: int, height: int) -> None:
    """Write keyframes and every frame as a nerfstudio ``camera_path.json`` for pictures of the given size.

    :func:`load_track` gives the same track, with cameras of that size. InputError when there is no keyframe, or when
    the disk refuses.
    """
    if not track.keyframes:
        raise InputError(f"{file}: there is nothing to save; add a keyframe first")
    keyframes = [
        entry_of(framed(k.camera, width, height), "matrix", (width, height))
        | {
            "override_transition_enabled": True,
            "override_transition_sec": k.seconds,
            "override_time_enabled": True,
            "render_time": k.time,
            "name": k.name,
        }
        for k in track.keyframes
    ]
    write_camera_path(
        file,
        {
            "default_fov": keyframes[0]["fov"],
            "default_time": 0.0,
            "default_transition_sec": track.keyframes[-1].seconds,
            "keyframes": keyframes,
            "is_cycle": track.closed,
            "smoothness_value": 1 - track.smoothness,
            **frames_of(track.views(width, height), track.fps),
        },
    )


def frames_of(views: Sequence[View], fps: float) -> dict[str, Any]:
    """The part of a ``camera_path.json`` that says what every frame shows, at the size of the first view."""
    size = views[0].camera.width, views[0].camera.height
    return {
        "camera_type": "perspective",
        "render_width": size[0],
        "render_height": size[1],
        "fps": fps,
        "seconds": len(views) / fps,
        "camera_path": [entry_of(v.camera, "camera_to_world", size) | {"render_time": v.time} for v in views],
    }


def load_track(file: Path, near: float) -> Track:
    """The track of a nerfstudio ``camera_path.json``, its cameras with the given ``near``.

    Its keyframes where it has some, else one keyframe per frame. Where keyframes have no ``render_time``, as in files
    of a scene that does not move, they get that of the frames, and where those have none, time runs evenly from 0 to 1.
    InputError, one sentence, when it is no such file or a value cannot be; see :mod:`renderer.files.camera_path`.
    """
    return track_of(read_camera_path(file, near))


def track_of(path: CameraPath) -> Track:
    """The track of a file that was read."""
    if not path.keyframes:
        return _track_of_frames(path)
    keyframes = tuple(Keyframe(k.camera, k.time or 0.0, k.seconds, k.name) for k in path.keyframes)
    track = Track(keyframes, path.fps, path.closed, path.smoothness)
    if all(k.time is not None for k in path.keyframes):
        return track
    times = path.times_at(np.array(track.moments[: len(keyframes)]) / max(track.seconds, SHORTEST))
    return replace(track, keyframes=tuple(replace(k, time=t) for k, t in zip(keyframes, times, strict=True)))


def _track_of_frames(path: CameraPath) -> Track:
    """A keyframe for each frame, at which the track's own frames come to lie."""
    n = len(path.frames)
    length = n / path.fps / (n if path.closed else max(1, n - 1))
    times = path.times_at(np.linspace(0, 1, n))
    keyframes = (Keyframe(entry.camera, time, length) for entry, time in zip(path.frames, times, strict=True))
    return Track(tuple(keyframes), path.fps, path.closed)
