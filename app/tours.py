"""Camera paths for a clip: where its cameras stood says where a novel view may go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from renderer.camera import Camera
from renderer.paths import input_path, orbit_path, sway_angles
from renderer.view import View
from training.data.dataset import Shot


def novel_path(
    shots: Sequence[Shot], home: Camera, center: Sequence[float], up: Sequence[float], frames: int
) -> tuple[View, ...]:
    """A sway around ``center`` that starts at ``home`` and stays about between the training cameras."""
    cameras = [shot.camera for shot in shots if shot.split == "train"]
    middle = np.array(center, float)
    return orbit_path(home, middle, np.array(up, float), frames, sway_angles(cameras, middle))


def through_inputs(shots: Sequence[Shot], frames: int) -> tuple[View, ...]:
    """Through the training cameras: from camera to camera, or along the way of a single moving one."""
    train = [shot for shot in shots if shot.split == "train"]
    names = list(dict.fromkeys(shot.camera_name for shot in train))
    if len(names) == 1:
        return input_path([shot.camera for shot in sorted(train, key=lambda s: s.time)], frames)
    return input_path([next(s.camera for s in train if s.camera_name == name) for name in names], frames)
