"""A clip of one hand-held camera of which no pose is known: pictures, in ``images`` or right in the folder.

All poses are stated as the identity, for a method that learns them (DDR). That is good enough to start from where the
camera hardly moves; the unit of length is then the depth of what is nearest.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from renderer.camera import Camera
from training.data import poses
from training.data.dataset import Dataset, Shot
from training.data.images import FileFrames, check_sizes, fitted_size, image_size
from training.data.loading import DataOptions
from training.prepare.scene_folder import recorded_rate

FPS = 30.0
"""Of a clip that does not say so."""
NEAR, FAR = 1.0, 20.0
"""Depths between which the scene is assumed, in units of the nearest thing."""


def open_unposed(folder: Path, options: DataOptions) -> Dataset:
    """The clip, every camera where the first one is; the field of view is ``options.fov``."""
    files = poses.image_files(folder / "images" if (folder / "images").is_dir() else folder)
    size = image_size(files[0])
    check_sizes(files, size)
    width, height = fitted_size(*size, options.megapixels)
    focal = 0.5 * max(width, height) / math.tan(0.5 * math.radians(options.fov))
    camera = Camera(np.eye(4), focal, focal, width / 2, height / 2, width, height, near=poses.NEAR_SHARE * NEAR)
    used = range(0, len(files), options.frame_step)
    shots = [Shot("camera", camera, k / max(1, len(used) - 1), k) for k in range(len(used))]
    chosen = poses.split_frames(shots, options)
    frames = FileFrames([files[used[s.frame]] for s in chosen], (width, height), options.cache_bytes)
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=chosen,
        read=lambda i: frames[i],
        duration=(len(files) - 1) / recorded_rate(folder, FPS),
        near=NEAR,
        far=FAR,
        posed=False,
    )
