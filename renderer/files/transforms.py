"""Cameras as nerfstudio's ``transforms.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from renderer.camera import OPENGL_TO_OPENCV
from renderer.files.cameras import NamedCamera
from renderer.files.complete import write_whole


def write_transforms(path: Path, cameras: Sequence[NamedCamera]) -> None:
    """Camera-to-world matrices with OpenGL axes, a lens and a time in [0, 1] for every picture; read back before the
    file gets its name. InputError when it cannot be written."""
    frames = [
        {
            "file_path": named.picture or named.name,
            "time": named.time,
            "w": named.camera.width,
            "h": named.camera.height,
            "fl_x": named.camera.fx,
            "fl_y": named.camera.fy,
            "cx": named.camera.cx,
            "cy": named.camera.cy,
            "transform_matrix": (named.camera.camera_to_world @ OPENGL_TO_OPENCV).tolist(),
        }
        for named in cameras
    ]
    text = json.dumps({"camera_model": "OPENCV", "frames": frames}, indent=1, allow_nan=False) + "\n"

    def holds(partial: Path) -> bool:
        back = json.loads(partial.read_text())["frames"]
        poses = [np.array(frame["transform_matrix"]) @ OPENGL_TO_OPENCV for frame in back]
        return len(back) == len(cameras) and all(
            np.allclose(pose, named.camera.camera_to_world) for pose, named in zip(poses, cameras, strict=True)
        )

    write_whole(path, text, holds)
