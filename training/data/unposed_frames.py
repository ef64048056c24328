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
from training.data.dataset import Dataset
from training.data.images import FileFrames, fitted_size, image_size, read_image
from training.data.loading import DataOptions
from training.data.one_camera import clock, filmed_at, paths_of, recorded_rate
from training.data.rig import in_number_order, same_size

FPS = 30.0
"""Of a clip that does not say so."""
NEAR, FAR = 1.0, 20.0
"""Depths between which the scene is assumed, in units of the nearest thing."""


def open_unposed(folder: Path, options: DataOptions) -> Dataset:
    """The clip, every camera where the first one is; the field of view is ``options.fov``. Pictures are turned as their
    EXIF orientation says. InputError for a folder without pictures, and for pictures of different sizes."""
    files = in_number_order(poses.image_files(folder / "images" if (folder / "images").is_dir() else folder))
    same_size(files, upright=True)
    width, height = fitted_size(*image_size(files[0]), options.megapixels)
    focal = 0.5 * max(width, height) / math.tan(0.5 * math.radians(options.fov))
    camera = Camera(np.eye(4), focal, focal, width / 2, height / 2, width, height, near=poses.NEAR_SHARE * NEAR)
    used = clock(filmed_at(folder, files), options.frame_step, recorded_rate(folder, FPS))
    chosen = poses.split_frames(used.shots(lambda i: camera), options)
    paths = paths_of(chosen, files)
    frames = FileFrames(paths, (width, height), options.cache_bytes, lambda k: read_image(paths[k]))
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=chosen,
        read=lambda i: frames[i],
        duration=used.seconds,
        near=NEAR,
        far=FAR,
        posed=False,
        pictures=[file.stem for file in files],
    )
