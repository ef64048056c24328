"""A clip of pictures that each have a camera and a moment of their own: the one way from such a list to a data set."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, PointCloud, Shot, Split
from training.data.images import FileFrames, Image, fitted_size
from training.data.layouts import DataOptions
from training.data.lens import Straightening
from training.data.masks import MaskFile, mask_reader
from training.data.rig import depths_of, middle_camera

FPS = 30.0
"""Instants per second where a layout says nothing of it."""
SAME_MOMENT = 1e-6
"""Moments nearer to each other than this share of the clip are one."""
SPARSE = 4
"""A clock of more instants than so many times those that are filmed is no clock of frames."""
COLORING = 12
"""Pictures that give points their colours."""
GREY = 0.5
"""Of points that none of these shows."""


@dataclass(frozen=True)
class PosedPicture:
    """A picture and its ``camera``, at the size of what ``load`` returns.

    ``moment``: on any clock that runs evenly, whole numbers for frames. ``split``: as the layout has it, None for what
    it uses in neither. ``load``: the picture at full size, (H, W, 3).
    """

    path: Path
    camera: Camera
    load: Callable[[], Image]
    moment: float = 0.0
    camera_name: str = "camera"
    split: Split | None = "train"


@dataclass(frozen=True)
class Known:
    """What a layout says of a clip beside its pictures. ``splits``: whether those of the pictures are meant. ``fps``:
    instants per second. ``bounds``: near and far, scene units, None to find them. ``depth``: of a picture, at the size
    of the camera (width, height), (H, W) along +z with NaN where none is known, scene units. ``covisible``: of a
    picture, the mask of what those that are learned from show as well."""

    splits: bool = False
    fps: float = FPS
    bounds: tuple[float, float] | None = None
    points: PointCloud | None = None
    depth: Callable[[PosedPicture, int, int], NDArray[np.float32]] | None = None
    covisible: Callable[[PosedPicture], MaskFile | None] = lambda picture: None


def posed_clip(folder: Path, pictures: Sequence[PosedPicture], known: Known, options: DataOptions) -> Dataset:
    """The clip of a list of pictures, camera after camera, each in the order of time.

    Held out is what the layout holds out, where it does and nothing else is asked for; else one camera of four or more,
    and of a single one every eighth frame. Without ``known.bounds`` near and far are those of the points, else around
    where the cameras' axes meet. InputError when too few pictures are left.
    """
    if not pictures:
        raise InputError(f"{folder}: no pictures in this clip; restore its list of frames")
    places, times, last = _clock(pictures, options.frame_step)
    names = _names(folder, pictures, places)
    order = list(dict.fromkeys(names))
    kept = sorted(
        (i for i in range(len(pictures)) if places[i] >= 0), key=lambda i: (order.index(names[i]), times[i], i)
    )  # fmt: skip
    shots = []
    for i in kept:
        camera = pictures[i].camera
        fitted = camera.resized(*fitted_size(camera.width, camera.height, options.megapixels))
        shots.append(Shot(names[i], fitted, times[i], places[i]))
    source = {(names[i], places[i]): pictures[i] for i in kept}
    final = _split(shots, [pictures[i].split for i in kept], known.splits, options)
    used = [source[shot.camera_name, shot.frame] for shot in final]
    near, far = known.bounds or depths_of(known.points.points if known.points else None, [s.camera for s in final])
    final = poses.with_near(final, near)
    depth = known.depth
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=final,
        read=_reader(used, final, options),
        duration=last * options.frame_step / known.fps,
        near=near,
        far=far,
        up=poses.mean_up([s.camera for s in final]),
        points=known.points,
        depth=None if depth is None else lambda i: depth(used[i], final[i].camera.width, final[i].camera.height),
        covisible=mask_reader([known.covisible(picture) for picture in used], final, options.cache_bytes),
    )


def _reader(pictures: Sequence[PosedPicture], shots: Sequence[Shot], options: DataOptions) -> Callable[[int], Image]:
    """Index of a shot to its picture; pictures of one size share a store, and all stores the budget."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, shot in enumerate(shots):
        by_size.setdefault((shot.camera.width, shot.camera.height), []).append(i)
    places: dict[int, tuple[FileFrames, int]] = {}
    for size, members in by_size.items():
        these = [pictures[i] for i in members]
        budget = options.cache_bytes * len(members) // len(shots)
        frames = FileFrames([p.path for p in these], size, budget, lambda k, these=these: these[k].load())  # type: ignore[misc]
        places |= {i: (frames, k) for k, i in enumerate(members)}
    return lambda i: places[i][0][places[i][1]]


def _clock(pictures: Sequence[PosedPicture], step: int) -> tuple[list[int], list[float], int]:
    """Of each picture the frame and the time in [0, 1] on a clock of which every ``step``-th instant is used, frame -1
    for those in between; and the last frame.

    The clock ticks as the training pictures do, also where some are missing; a picture between two ticks is of the
    nearer frame and keeps its own time.
    """
    moments = np.array([p.moment for p in pictures])
    low, high = float(moments.min()), float(moments.max())
    if high == low:
        return [0] * len(pictures), [0.0] * len(pictures), 0
    share = (moments - low) / (high - low)
    learned = np.array([p.split == "train" for p in pictures])
    gaps = np.diff(np.sort(share[learned] if learned.sum() > 1 else share))
    gaps = gaps[gaps > SAME_MOMENT]
    last = max(1, len(gaps))
    if (moments == np.round(moments)).all():
        ticks = (int(high) - int(low)) // math.gcd(*(int(m) - int(low) for m in moments))
    else:
        ticks = round(1 / float(np.median(gaps))) if len(gaps) else 1
    last = ticks if last <= ticks <= SPARSE * last else last
    frames = np.round(share * last).astype(int)
    used_last = last // step
    times = np.clip(share * last / (max(1, used_last) * step), 0, 1)
    places = np.where((frames % step == 0), frames // step, -1)
    return places.tolist(), times.tolist(), used_last


def _names(folder: Path, pictures: Sequence[PosedPicture], places: Sequence[int]) -> list[str]:
    """Names of cameras, such that none has two pictures of a frame: as stated, else by the folders that the pictures
    are in, by their names without a number, by the cameras' poses, or each picture's own."""
    stated = [p.camera_name for p in pictures]
    poses_seen: dict[bytes, int] = {}
    numbers = [
        poses_seen.setdefault(np.round(p.camera.world_to_camera, 6).tobytes(), len(poses_seen)) for p in pictures
    ]  # fmt: skip
    digits = len(str(max(numbers)))
    inside = [p.path.relative_to(folder) if p.path.is_relative_to(folder) else p.path for p in pictures]
    ways = (
        stated,
        [p.path.parent.name for p in pictures],
        [re.sub(r"[_-]?\d*$", "", p.path.stem) for p in pictures],
        [f"camera{n:0{digits}d}" for n in numbers],
    )
    for names in ways:
        if all(names) and len(set(zip(names, places, strict=True))) == len(pictures):
            return names
    return [path.with_suffix("").as_posix() for path in inside]


def _split(shots: Sequence[Shot], stated: Sequence[Split | None], meant: bool, options: DataOptions) -> list[Shot]:
    """The shots that are used: as asked for, else as stated, else by what the clip's cameras are."""
    asked = options.holdout or options.cameras or options.train_frames
    if meant and not asked:
        return poses.enough([replace(s, split=split) for s, split in zip(shots, stated, strict=True) if split])
    cameras: dict[str, Camera] = {}
    for shot in shots:
        cameras.setdefault(shot.camera_name, shot.camera)
    if options.train_frames or (len(cameras) == 1 and not options.cameras and set(options.holdout) <= {"none"}):
        return poses.split_frames(shots, options)
    return poses.split_cameras(shots, options, next(iter(middle_camera(cameras)), None))


# ---------------------------------------------------------------------------------------- what a file shows


def read_opaque(path: Path, mask: Path | None = None, straight: Straightening | None = None) -> Image:
    """(H, W, 3) RGB of a picture, black where it is transparent or its mask is black, as a scene is drawn on black;
    made straight where its lens bent it.

    InputError for a file that is missing or not a picture, and for a mask of another size.
    """
    image = _read(path)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    color = np.ascontiguousarray(image[..., 2::-1])
    weights = [image[..., 3]] if image.shape[2] == 4 else []
    if mask is not None:
        covered = _read(mask)
        covered = covered if covered.ndim == 2 else covered[..., :3].max(axis=2)
        if covered.shape != color.shape[:2]:
            raise InputError(f"{mask}: is {covered.shape[1]}x{covered.shape[0]}, its picture {color.shape[1]}x"
                             f"{color.shape[0]}; resize it to match")  # fmt: skip
        weights.append(covered)
    for weight in weights:
        color = np.round(color * (weight[..., None] / np.float32(255))).astype(np.uint8)
    return color if straight is None else straight(color)


def _read(path: Path) -> Image:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, blue first."""
    if not path.is_file():
        raise InputError(f"{path}: no such picture; restore it or take its pose out")
    try:
        data = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):  # of a size that is not believed
        data = None
    if data is None or data.ndim not in (2, 3) or (data.ndim == 3 and data.shape[2] not in (3, 4)):
        raise InputError(f"{path}: not readable as a picture; restore it")
    if data.dtype == np.uint16:
        data = cv2.convertScaleAbs(data, alpha=1 / 257)
    if data.dtype != np.uint8:
        raise InputError(f"{path}: has pixels of {data.dtype}; save it with 8 bits per channel")
    return data  # type: ignore[return-value]


def colored(points: NDArray[np.float64], pictures: Sequence[PosedPicture]) -> PointCloud:
    """Points (N, 3) with the colours that they have in some of the pictures learned from, the last that shows each."""
    colors = np.full((len(points), 3), GREY, np.float32)
    learned = [p for p in pictures if p.split == "train"]
    for k in np.unique(np.linspace(0, len(learned) - 1, COLORING).round().astype(int)) if learned else ():
        camera, image = learned[k].camera, learned[k].load()
        pixels, z = camera.project(points)
        seen = (z > 0) & (pixels >= 0).all(1) & (pixels < [camera.width, camera.height]).all(1)
        columns, rows = pixels[seen].astype(int).T
        colors[seen] = image[rows, columns] / np.float32(255)
    return PointCloud(points.astype(np.float32), colors)
