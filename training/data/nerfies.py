"""Nerfies' and HyperNeRF's clips (Park et al. 2021): ``dataset.json`` with the names of all pictures, ``metadata.json``
with the instant and the camera of each, ``scene.json``, a camera per picture in ``camera/`` and the pictures in
``rgb/1x``, ``rgb/2x``, ... of a half, a quarter of the size.

A camera's ``orientation`` is the rotation from the world to OpenCV axes, ``position`` its place before the scene is
moved to ``center`` and scaled by ``scale``; near and far are of the scaled scene. Intrinsics count from the picture's
corner and are for ``rgb/1x``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.arrays import read_array
from training.data import poses
from training.data.dataset import Dataset, PointCloud, Split
from training.data.images import fitted_size
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.lens import Lens, straightening
from training.data.looks import at_once, counted, moving, names_in
from training.data.masks import MaskFile
from training.data.posed_pictures import Known, PosedPicture, colored, posed_clip, read_opaque
from training.data.rig import picture_size
from training.data.transforms import number

NAME = "Nerfies"
FILES = ("dataset.json", "metadata.json", "scene.json")
FPS = 15.0
"""Of the data sets; no file says it."""
INTERPOLATION = (4, 2)
"""Where nothing is held out by name, of every four pictures the first is learned from and the third held out."""
FACTOR = re.compile(r"(\d+)x")
LARGEST_SIDE = 100_000
"""Pixels; no picture has more."""
ROUNDING = 1
"""Pixels by which a shrunk picture may miss the shrunk size."""


@dataclass(frozen=True)
class Item:
    """A picture as the lists know it. ``instant``: a whole number. ``camera``: of the rig."""

    name: str
    instant: int
    camera: int


@dataclass(frozen=True)
class Scene:
    """What takes the files' world to the clip's: minus ``center`` (3,), times ``scale``; and near and far in it."""

    center: NDArray[np.float64]
    scale: float
    near: float
    far: float


@dataclass(frozen=True)
class Shrunk:
    """The folder of pictures that is read, and by how much they are smaller than the cameras say."""

    folder: Path
    factor: int


def open_nerfies(folder: Path, options: DataOptions) -> Dataset:
    """The clip with the pictures that ``dataset.json`` holds out, and where it holds out none as HyperNeRF measures
    interpolation: of every four pictures the first is learned from, the third held out.

    Lenses are straightened. InputError that names the file for whatever is missing or damaged.
    """
    items = read_items(folder)
    splits = _splits(folder, items)
    return nerfies_clip(folder, items, splits, options, FPS)


def nerfies_clip(
    folder: Path,
    items: Sequence[Item],
    splits: Sequence[Split | None],
    options: DataOptions,
    fps: float,
    depth: Callable[[PosedPicture, int, int], NDArray[np.float32]] | None = None,
    covisible: Callable[[PosedPicture], MaskFile | None] = lambda picture: None,
) -> Dataset:
    """The clip of a list of pictures and what each is for. ``depth``, ``covisible``: as
    :class:`training.data.posed_pictures.Known` has them."""
    scene = read_scene(folder)
    shrunk = shrunk_folder(folder, items, options)
    rig = len({item.camera for item in items}) > 1
    pictures = []
    for item, split in zip(items, splits, strict=True):
        picture = shrunk.folder / f"{item.name}.png"
        path = folder / "camera" / f"{item.name}.json"
        bent, lens = read_camera(path, scene)
        bent = _as_stored(bent, picture, shrunk.factor, path)
        straight = straightening(bent, lens)
        camera = bent if straight is None else straight.camera
        name = f"camera{item.camera}" if rig else "camera"
        pictures.append(
            PosedPicture(picture, camera, partial(read_opaque, picture, None, straight), item.instant, name, split)
        )
    points = _points(folder / "points.npy", scene, pictures)
    known = Known(True, fps, (scene.near, scene.far), points, depth, covisible)
    return posed_clip(folder, pictures, known, options)


def read_items(folder: Path) -> list[Item]:
    """The pictures by camera and instant as ``dataset.json`` and ``metadata.json`` list them, in their order there."""
    names = name_list(folder / "dataset.json", "ids")
    path = folder / "metadata.json"
    known = poses.read_json(path)
    items = []
    for name in names:
        entry = known.get(name) if isinstance(known, dict) else None
        if not isinstance(entry, dict):
            raise InputError(f"{path}: says nothing of {name}, which dataset.json lists; restore it")
        instant = entry.get("time_id", entry.get("warp_id"))
        camera = entry.get("camera_id", 0)
        if not isinstance(instant, int) or not isinstance(camera, int) or instant < 0 or camera < 0:
            raise InputError(f"{path}: {name} has no warp_id or camera_id that is a whole number; restore it")
        items.append(Item(name, instant, camera))
    return items


def name_list(path: Path, key: str, may_be_empty: bool = False) -> list[str]:
    """A list of names of a file; InputError where there is none, or it is empty and may not be."""
    data = poses.read_json(path)
    names = data.get(key) if isinstance(data, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise InputError(f"{path}: has no list of names {key}; restore it")
    if not names and not may_be_empty:
        raise InputError(f"{path}: its list {key} is empty; restore it")
    found = [str(name) for name in names]
    if len(set(found)) < len(found):
        raise InputError(f"{path}: its list {key} has a name twice; take one out")
    return found


def read_scene(folder: Path) -> Scene:
    """What ``scene.json`` says; InputError for what is missing or cannot be."""
    path = folder / "scene.json"
    data = poses.read_json(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}: does not say center, scale, near and far; restore it")
    scale, near, far = (number(data, key, path) for key in ("scale", "near", "far"))
    center = _numbers(data.get("center"), (3,), "center", path)
    if scale is None or near is None or far is None or not (scale > 0 and 0 < near < far):
        raise InputError(f"{path}: scale, near and far are not above zero and in order; restore it")
    return Scene(center, scale, near, far)


def read_camera(path: Path, scene: Scene) -> tuple[Camera, Lens]:
    """The camera of a picture of full size, and the lens in front of it.

    InputError that names the file for one that is missing, not finite, or cannot be.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such camera; restore it or take {path.stem} out of dataset.json")
    data = poses.read_json(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}: is not a camera; restore it")
    R = _numbers(data.get("orientation"), (3, 3), "orientation", path)
    position = (_numbers(data.get("position"), (3,), "position", path) - scene.center) * scene.scale
    pose = poses.rigid(np.concatenate([R, -(R @ position)[:, None]], axis=1), path, path.stem)
    focal = number(data, "focal_length", path)
    aspect = number(data, "pixel_aspect_ratio", path)
    aspect = 1.0 if aspect is None else aspect
    if focal is None or not focal > 0 or not aspect > 0:
        raise InputError(f"{path}: focal_length or pixel_aspect_ratio is not above zero; calibrate again")
    if abs(number(data, "skew", path) or 0.0) > ROUNDING:
        raise InputError(f"{path}: has pixels that are not rectangles (skew); rectify the pictures first")
    center = _numbers(data.get("principal_point"), (2,), "principal_point", path)
    width, height = _numbers(data.get("image_size"), (2,), "image_size", path)
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise InputError(f"{path}: image_size is {width:g}x{height:g}; restore it")
    k = _numbers(data.get("radial_distortion", [0.0] * 3), (3,), "radial_distortion", path)
    p = _numbers(data.get("tangential_distortion", data.get("tangential", [0.0] * 2)), (2,), "tangential", path)
    camera = Camera(pose, focal, focal * aspect, center[0], center[1], round(width), round(height))
    return camera, Lens(np.array([k[0], k[1], p[0], p[1], k[2]]))


def _numbers(value: object, shape: tuple[int, ...], key: str, path: Path) -> NDArray[np.float64]:
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if found.shape != shape or not np.isfinite(found).all():
        raise InputError(f"{path}: {key} is not {'x'.join(map(str, shape))} finite numbers; restore it")
    return found


def shrunk_folder(folder: Path, items: Sequence[Item], options: DataOptions) -> Shrunk:
    """The folder of the smallest pictures that are no smaller than they are loaded, else the largest; InputError where
    ``rgb`` has none."""
    factors = factors_in(folder / "rgb")
    if not factors:
        raise InputError(f"{folder / 'rgb'}: has no folder 1x, 2x, ... of pictures; restore one")
    full = read_camera(folder / "camera" / f"{items[0].name}.json", Scene(np.zeros(3), 1.0, 1.0, 2.0))[0]
    width = fitted_size(full.width, full.height, options.megapixels)[0]
    enough = [f for f in factors if full.width / f >= width]
    factor = max(enough) if enough else factors[0]
    return Shrunk(folder / "rgb" / f"{factor}x", factor)


def factors_in(folder: Path) -> list[int]:
    """By how much the pictures in each folder ``1x``, ``2x``, ... are smaller, ascending."""
    names = (FACTOR.fullmatch(name) for name in names_in(folder) if (folder / name).is_dir())
    return sorted(int(match[1]) for match in names if match and int(match[1]) > 0)


def _as_stored(camera: Camera, picture: Path, factor: int, path: Path) -> Camera:
    """The camera at its picture's size; InputError when that is not the one stated, shrunk."""
    width, height = picture_size(picture)
    if abs(width - camera.width / factor) > ROUNDING or abs(height - camera.height / factor) > ROUNDING:
        raise InputError(f"{picture}: is {width}x{height}, {path.name} says {camera.width}x{camera.height} at 1x; "
                         "restore one of them")  # fmt: skip
    return camera.resized(width, height)


def _points(path: Path, scene: Scene, pictures: Sequence[PosedPicture]) -> PointCloud | None:
    """The background's points, in colours of the pictures; None where there is no file."""
    if not path.is_file():
        return None
    points = read_array(path)
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise InputError(f"{path}: is not a table of three numbers per point; restore it or take it out")
    points = points[np.isfinite(points).all(1)].astype(np.float64)
    return colored((points - scene.center) * scene.scale, pictures) if len(points) else None


def _splits(folder: Path, items: Sequence[Item]) -> list[Split | None]:
    path = folder / "dataset.json"
    held = set(name_list(path, "val_ids", may_be_empty=True))
    if not held:
        every, third = INTERPOLATION
        return ["train" if k % every == 0 else "test" if k % every == third else None for k in range(len(items))]
    learned = set(name_list(path, "train_ids"))
    unknown = next(iter(sorted((held | learned) - {item.name for item in items})), None)
    if unknown is not None:
        raise InputError(f"{path}: train_ids or val_ids has {unknown}, which ids does not have; restore it")
    return ["train" if item.name in learned else "test" if item.name in held else None for item in items]


def look_at(folder: Path, layout: str, learned: Callable[[Item], bool]) -> Recognised:
    """What the lists say of a clip of this ``layout``. ``learned``: whether a picture is learned from."""
    items, scene = read_items(folder), read_scene(folder)
    what = f"{counted(len(items), 'picture')} with dataset.json ({layout})"
    what += f" at {counted(len({item.instant for item in items}), 'instant')}"
    missing = []
    factors = factors_in(folder / "rgb")
    if not factors:
        missing.append(f"{folder / 'rgb'}: has no folder 1x, 2x, ... of pictures; restore one.")
    for place in [folder / "rgb" / f"{f}x" for f in factors] + [folder / "camera"]:
        suffix = ".json" if place.name == "camera" else ".png"
        there = set(names_in(place))
        absent = [item.name for item in items if f"{item.name}{suffix}" not in there]
        if absent:
            missing.append(f"{place / (absent[0] + suffix)}: is not there, and {len(absent)} of {len(items)} are not; "
                           "restore them.")  # fmt: skip
    rig = {item.camera for item in items if learned(item)}
    if len(rig) > 1:
        return at_once(folder, layout, what, missing, len(rig))
    some = [item for item in items if learned(item)][:: max(1, len(items) // 50)]
    places = [folder / "camera" / f"{item.name}.json" for item in some]
    centers = [read_camera(path, scene)[0].center for path in places if path.is_file()]
    return moving(folder, layout, what, missing, np.reshape(centers, (-1, 3)), (scene.near, scene.far))


def claims(folder: Path) -> bool:
    """Whether a folder has the three lists and cameras."""
    return all((folder / name).is_file() for name in FILES) and (folder / "camera").is_dir()


LAYOUT = Layout(
    name=NAME,
    claims=claims,
    open=lambda folder, options, report: open_nerfies(folder, options),
    look=lambda folder: look_at(folder, NAME, lambda item: True),
    inside=("rgb", "camera", "1x", "2x", "4x", "8x", "16x", "camera-paths"),
)
