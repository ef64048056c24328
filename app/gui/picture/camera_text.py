"""A camera as text for the clipboard, and back."""

from __future__ import annotations

import json
import math

import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError

HOW = "copy a camera with Ctrl+C here or in another window first"
RIGID = 1e-3
"""By which a pasted rotation may miss an orthonormal one."""


def camera_to_text(camera: Camera, time: float) -> str:
    """Pose, vertical field of view in degrees and time in [0, 1], as JSON."""
    return json.dumps(
        {
            "world_to_camera": camera.world_to_camera.tolist(),
            "fov_y": math.degrees(camera.fov_y),
            "time": time,
        }
    )


def camera_from_text(text: str, like: Camera) -> tuple[Camera, float]:
    """The camera, with the picture size of another one, and the time. InputError for any other text."""
    try:
        data = json.loads(text)
        pose = np.array(data["world_to_camera"], float)
        fov, time = math.radians(float(data["fov_y"])), float(data["time"])
        R = pose[:3, :3]
        rigid = pose.shape == (4, 4) and np.allclose(R @ R.T, np.eye(3), atol=RIGID) and np.linalg.det(R) > 0
        if not (rigid and np.isfinite(pose).all() and 0.001 < fov < 3.1 and 0 <= time <= 1):
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise InputError(f"the clipboard holds no camera; {HOW}") from None
    return like.moved(pose).zoomed(fov), time
