"""What the layouts of one moving camera have in common once their poses are read: a pose and a picture per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, Shot
from training.data.images import FileFrames, check_sizes, fitted_size, image_size
from training.data.loading import DataOptions


def moving_camera(
    path: Path,
    camera_to_world: NDArray[np.float64],
    sizes: NDArray[np.float64],
    bounds: NDArray[np.float64],
    options: DataOptions,
    fps: float,
) -> Dataset:
    """The clip of ``path``'s folder, pictures in ``images``, every eighth held out by default.

    ``camera_to_world``: (F, 3, 4) OpenCV axes. ``sizes``: (F, 3) height, width, focal length in pixels. ``bounds``:
    (F, 2) near and far. InputError that names ``path`` or a picture for whatever does not fit.
    """
    folder = path.parent
    files = poses.image_files(folder / "images")
    if len(files) != len(camera_to_world):
        raise InputError(f"{path}: has {len(camera_to_world)} poses for {len(files)} pictures; make them match")
    if not np.isfinite(bounds).all() or not (bounds[:, 0] > 0).all() or not (bounds[:, 1] > bounds[:, 0]).all():
        raise InputError(f"{path}: near and far depths are not positive and in order; restore it")
    if not np.isfinite(sizes).all() or not (sizes > 0).all() or not (sizes[:, :2] >= 1).all():
        raise InputError(f"{path}: a size or focal length is not above zero; restore it")
    size = image_size(files[0])
    check_sizes(files, size)
    fitted = fitted_size(*size, options.megapixels)
    used = range(0, len(files), options.frame_step)
    shots = []
    for k, i in enumerate(used):
        world_to_camera = poses.inverted(poses.rigid(camera_to_world[i], path, files[i].name))
        height, width, focal = (float(v) for v in sizes[i])
        # the focal length belongs to the size in the file, which may differ from the pictures' own
        camera = Camera(world_to_camera, focal, focal, width / 2, height / 2, int(width), int(height))
        shots.append(Shot("camera", camera.resized(*fitted), k / max(1, len(used) - 1), k))
    near, far = float(np.percentile(bounds[:, 0], 5)), float(np.percentile(bounds[:, 1], 95))
    chosen = poses.split_frames(poses.with_near(shots, near), options)
    frames = FileFrames([files[used[s.frame]] for s in chosen], fitted, options.cache_bytes)
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=chosen,
        read=lambda i: frames[i],
        duration=(len(files) - 1) / fps,
        near=near,
        far=far,
        up=poses.mean_up([s.camera for s in chosen]),
    )
