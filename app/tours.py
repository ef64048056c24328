"""Camera paths for a clip: where its cameras stood says where a novel view may go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from renderer.camera import Camera, Matrix
from renderer.paths import circled, input_path, orbit_path, sway_angles, swung
from renderer.tracks import Keyframe, Track
from renderer.view import View
from training.data.dataset import Shot

MOST_INPUTS = 12
"""Keyframes on the way of a single moving camera at most, so that they can be edited."""
BESIDE = np.radians(4.0)
"""How far a sway leaves the way of a single moving camera."""


def novel_path(
    shots: Sequence[Shot], home: Camera, center: Sequence[float], up: Sequence[float], frames: int
) -> tuple[View, ...]:
    """A sway around ``center`` that starts at ``home`` and stays about between the training cameras; of a single moving
    camera a smaller one, beside the way that it went, at the times at which it was there."""
    middle, axis = np.array(center, float), np.array(up, float)
    angles = sway_angles(_training_cameras(shots), middle)
    if not _goes(_stations(shots)):
        return orbit_path(home, middle, axis, frames, angles)
    return tuple(
        replace(view, camera=circled(view.camera, middle, axis, swung(2 * np.pi * view.time, _beside(angles))))
        for view in through_inputs(shots, frames)
    )


def through_inputs(shots: Sequence[Shot], frames: int) -> tuple[View, ...]:
    """Through the training cameras: from camera to camera, or along the way of a single moving one."""
    return input_path([shot.camera for shot in _stations(shots)], frames)


@dataclass(frozen=True)
class Stage:
    """What a preset needs to know of a clip and of the window.

    ``home``: the camera to start at. ``center, up``: (3,) what to look at, and which way is up. ``present``: the view
    on the screen.
    """

    shots: Sequence[Shot]
    home: Camera
    center: Sequence[float]
    up: Sequence[float]
    present: View

    def around(self, angles: tuple[float, float], distance: float = 1.0) -> Camera:
        """Home swung around the centre by ``angles`` (radians) and to a multiple of its distance."""
        return circled(self.home, np.array(self.center, float), np.array(self.up, float), angles, distance)

    @property
    def sway(self) -> tuple[float, float]:
        """How far one may go from home, in radians sideways and up-down."""
        return sway_angles(_training_cameras(self.shots), np.array(self.center, float))


def orbit(stage: Stage, seconds: float) -> Track:
    """One sway between the cameras, back to where it begins, while time runs from 0 to 1; of a single moving camera as
    :func:`novel_path`."""
    stations = _chosen_stations(stage.shots)
    if _goes(stations):
        middle, axis = np.array(stage.center, float), np.array(stage.up, float)
        cameras = [
            circled(shot.camera, middle, axis, swung(2 * np.pi * shot.time, _beside(stage.sway))) for shot in stations
        ]
        return _evenly(cameras, np.array([shot.time for shot in stations]), seconds)
    phases = np.linspace(0, 2 * np.pi, 9)
    return _evenly([stage.around(swung(phase, stage.sway)) for phase in phases], np.linspace(0, 1, 9), seconds)


def spiral(stage: Stage, seconds: float) -> Track:
    """Two rounds on an ellipse between the cameras, the first one nearer to the centre and the second one farther,
    while time runs from 0 to 1."""
    phases = np.linspace(0, 4 * np.pi, 17)
    sideways, vertical = stage.sway
    cameras = [
        stage.around((sideways * np.cos(phase), vertical * np.sin(phase)), 1 - 0.15 * np.sin(phase / 2))
        for phase in phases
    ]
    return _evenly(cameras, np.linspace(0, 1, 17), seconds)


def dolly(stage: Stage, seconds: float) -> Track:
    """From home towards the centre, back to behind home, and home, while time runs from 0 to 1."""
    distances = np.array([1.0, 0.65, 1.25, 1.0])
    way = np.cumsum(np.abs(np.diff(distances, prepend=1.0)))
    shares = way / way[-1]
    lengths = [seconds * step for step in (shares[1], *np.diff(shares))]
    cameras = [stage.around((0.0, 0.0), distance) for distance in distances]
    return Track(tuple(Keyframe(c, float(t), s) for c, t, s in zip(cameras, shares, lengths, strict=True)))


def bullet_time(stage: Stage, seconds: float) -> Track:
    """A sway between the cameras without end, at the instant on the screen."""
    cameras = [stage.around(swung(phase, stage.sway)) for phase in np.arange(8) * np.pi / 4]
    return _evenly(cameras, np.full(8, stage.present.time), seconds, closed=True)


def fixed_camera(stage: Stage, seconds: float) -> Track:
    """The view on the screen while time runs from 0 to 1."""
    return _evenly([stage.present.camera] * 2, np.array([0.0, 1.0]), seconds)


def through_the_inputs(stage: Stage, seconds: float) -> Track:
    """From training camera to training camera while time runs from 0 to 1, or the way of a single moving camera at the
    times at which it was there, by at most ``MOST_INPUTS`` of its frames."""
    stations = _chosen_stations(stage.shots)
    times = np.array([shot.time for shot in stations]) if _goes(stations) else np.linspace(0, 1, len(stations))
    return _evenly([shot.camera for shot in stations], times, seconds)


PRESETS: dict[str, Callable[[Stage, float], Track]] = {
    "Orbit": orbit,
    "Spiral": spiral,
    "Dolly": dolly,
    "Bullet Time": bullet_time,
    "Fixed Camera": fixed_camera,
    "Through the Inputs": through_the_inputs,
}
"""By their titles: a track with few keyframes that takes so many seconds."""


def _evenly(cameras: Sequence[Camera], times: Matrix, seconds: float, closed: bool = False) -> Track:
    length = seconds / max(1, len(cameras) - (not closed))
    keyframes = (Keyframe(camera, float(time), length) for camera, time in zip(cameras, times, strict=True))
    return Track(tuple(keyframes), closed=closed)


def _training_cameras(shots: Sequence[Shot]) -> list[Camera]:
    return [shot.camera for shot in shots if shot.split == "train"]


def _stations(shots: Sequence[Shot]) -> list[Shot]:
    """The first training shot of each camera, or all of a single one by their times."""
    train = [shot for shot in shots if shot.split == "train"]
    names = list(dict.fromkeys(shot.camera_name for shot in train))
    if len(names) == 1:
        return sorted(train, key=lambda shot: shot.time)
    return [next(shot for shot in train if shot.camera_name == name) for name in names]


def _chosen_stations(shots: Sequence[Shot]) -> list[Shot]:
    """At most ``MOST_INPUTS`` of a single camera."""
    stations = _stations(shots)
    if not _goes(stations):
        return stations
    chosen = np.linspace(0, len(stations) - 1, min(len(stations), MOST_INPUTS)).round().astype(int)
    return [stations[i] for i in chosen]


def _goes(stations: Sequence[Shot]) -> bool:
    """Whether they are of a single moving camera."""
    return len(stations) > 1 and len({shot.camera_name for shot in stations}) == 1


def _beside(angles: tuple[float, float]) -> tuple[float, float]:
    """Half widths of a sway beside a moving camera, of which nobody knows how the scene looked from elsewhere then."""
    share = min(1.0, BESIDE / angles[0])
    return share * angles[0], share * angles[1]
