"""What the layouts of several synchronised cameras have in common: cameras with their pictures on one clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from renderer.camera import Camera
from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, PointCloud, Shot
from training.data.images import FileFrames, VideoFrames, ffmpeg_name, fitted_size
from training.data.layouts import DataOptions

SAME_SHAPE = 0.02
"""Relative difference of two aspect ratios that is put down to rounding."""
SHARES = (0.01, 0.99)
"""Of the points' depths: from the nearest to the farthest but for outliers."""
MARGIN = 1.2
"""The scene begins that much nearer and ends that much farther than its points."""
LEAST_POINTS = 10
"""Fewer tell nothing of how deep the scene is."""

ORIENTATION, ON_THE_SIDE = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values for pictures that are turned by 90 degrees."""


@dataclass(frozen=True)
class RigCamera:
    """A physical camera of a rig. ``cameras``: where it was at each frame that is used, at the size that its pictures
    are loaded at. ``pictures``: those, by the same index."""

    name: str
    cameras: Sequence[Camera]
    pictures: FileFrames | VideoFrames


def rig_clip(
    folder: Path,
    rig: Sequence[RigCamera],
    held: Sequence[str],
    bounds: tuple[float, float],
    seconds: float,
    options: DataOptions,
    points: PointCloud | None = None,
) -> Dataset:
    """The clip of a rig, camera after camera, with the cameras ``held`` held out unless ``options`` say otherwise.

    ``bounds``: near and far, scene units. ``seconds``: from the first frame to the last. InputError for names that the
    rig does not have, and for too few pictures.
    """
    last = max(1, len(rig[0].cameras) - 1)
    shots = [Shot(r.name, camera, k / last, k) for r in rig for k, camera in enumerate(r.cameras)]
    pictures = {r.name: r.pictures for r in rig}
    chosen = poses.split_cameras(poses.with_near(shots, bounds[0]), holding_out(held, options), None)
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=chosen,
        read=lambda i: pictures[chosen[i].camera_name][chosen[i].frame],
        duration=seconds,
        near=bounds[0],
        far=bounds[1],
        up=poses.mean_up([r.cameras[0] for r in rig]),
        points=points,
    )


def holding_out(held: Sequence[str], options: DataOptions) -> DataOptions:
    """The options with a layout's own choice of cameras to hold out, where a person made none."""
    if options.holdout:
        return options
    return replace(options, holdout=tuple(n for n in held if n not in options.cameras) or ("none",))


def middle_camera(cameras: dict[str, Camera]) -> list[str]:
    """Of four cameras or more the one nearest to their middle, for a layout that holds out none; else none."""
    if len(cameras) < 4:
        return []
    centers = np.stack([camera.center for camera in cameras.values()])
    return [list(cameras)[int(np.linalg.norm(centers - centers.mean(0), axis=1).argmin())]]


def fitted_camera(camera: Camera, size: tuple[int, int], picture: Path, path: Path, options: DataOptions) -> Camera:
    """The camera at the size that pictures of ``size`` (width, height) are loaded at.

    InputError that names both when ``picture`` is not as wide for its height as its camera in ``path``.
    """
    check_shape(size, (camera.width, camera.height), picture, path)
    return camera.resized(*fitted_size(*size, options.megapixels))


def check_shape(size: tuple[int, int], stated: tuple[int, int], picture: Path, path: Path) -> None:
    """InputError when a picture's (width, height) has another shape than what ``path`` states."""
    if abs(Fraction(int(stated[0] * size[1]), int(stated[1] * size[0])) - 1) > SAME_SHAPE:
        raise InputError(
            f"{picture}: is {size[0]}x{size[1]}, {path.name} is for pictures of {stated[0]}x{stated[1]}; correct one"
        )


def pinhole(pose: NDArray[np.float64], K: object, size: tuple[int, int], name: str, path: Path) -> Camera:
    """The camera of a rigid (4, 4) world-to-camera and of a matrix of intrinsics ``K`` (3, 3), which counts from the
    picture's corner; InputError that names the file and the camera when it is none."""
    try:
        m = np.array(K, np.float64)
    except (TypeError, ValueError, OverflowError):
        m = np.zeros(0)
    if m.shape != (3, 3) or not np.isfinite(m).all() or not (m[0, 0] > 0 and m[1, 1] > 0):
        raise InputError(f"{path}: the intrinsics of {name} are not a 3x3 matrix with focal lengths above zero; "
                         "calibrate again")  # fmt: skip
    return Camera(pose, m[0, 0], m[1, 1], m[0, 2], m[1, 2], *size)


def picture_size(path: Path, upright: bool = False, advice: str = "") -> tuple[int, int]:
    """(width, height) from the file's head, as its pixels are stored, or ``upright``, as its EXIF orientation turns
    them; InputError, with ``advice`` of what to do, when it is missing or not a picture."""
    if not path.is_file():
        raise InputError(f"{path}: no such picture; {advice or 'restore it'}")
    try:
        with Pillow.open(path) as image:
            turned = upright and image.getexif().get(ORIENTATION) in ON_THE_SIDE
            return image.size[::-1] if turned else image.size
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        advice = advice or "restore it, or put a copy of the one before there"
        raise InputError(f"{path}: not readable as a picture; {advice}") from None


def same_size(paths: Sequence[Path], upright: bool = False, advice: str = "") -> tuple[int, int]:
    """(width, height) of all the pictures, as :func:`picture_size` has it; InputError that names the first that
    differs."""
    size = picture_size(paths[0], upright, advice)
    for path in paths[1:]:
        found = picture_size(path, upright, advice)
        if found != size:
            raise InputError(f"{path}: is {found[0]}x{found[1]} while {paths[0].name} is {size[0]}x{size[1]}; "
                             f"{advice or 'resize it to match'}")  # fmt: skip
    return size


def frame_count(video: Path) -> int:
    """Number of frames that a video holds, without decoding them; InputError when it is none."""
    try:
        count = int(imageio_ffmpeg.count_frames_and_secs(ffmpeg_name(video))[0])
    except (OSError, RuntimeError, ValueError):
        count = 0
    if count < 1:
        raise InputError(f"{video}: not readable as a video; restore or re-encode it")
    return count


def in_number_order(paths: Iterable[Path]) -> list[Path]:
    """By name, with the numbers in names by their value: 2.png before 10.png."""
    return sorted(paths, key=lambda p: number_order(p.name))


def number_order(name: str) -> list[int | str]:
    """What names are sorted by so that numbers in them count by their value."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def depths_of(points: NDArray[np.floating] | None, cameras: Sequence[Camera]) -> tuple[float, float]:
    """Near and far of the points (N, 3) that the cameras see; where they tell nothing, around where the cameras' axes
    meet."""
    return (None if points is None else depths_seen(points, cameras)) or poses.depth_range(cameras)


def depths_seen(points: NDArray[np.floating], cameras: Sequence[Camera]) -> tuple[float, float] | None:
    """Near and far of the points (N, 3) that the cameras see; None where these are too few."""
    seen = []
    for camera in cameras:
        pixels, z = camera.project(np.asarray(points, np.float64))
        seen.append(z[(z > 0) & (pixels >= 0).all(1) & (pixels < [camera.width, camera.height]).all(1)])
    depths = np.concatenate(seen) if seen else np.zeros(0)
    if len(depths) < LEAST_POINTS:
        return None
    near, far = np.quantile(depths, SHARES)
    return float(near) / MARGIN, float(far) * MARGIN
