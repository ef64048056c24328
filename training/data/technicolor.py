"""Technicolor's light-field videos (Sabater et al. 2017), the undistorted set: ``cameras_parameters.txt`` and frames
``<scene>_undist_<FFFFF>_<CC>.png`` of a 4x4 rig, in the folder or in ``images``.

The table has a line of titles, then a row per camera: focal length, centre x and y, aspect ratio, skew, the quaternion
wxyz and the translation of world to camera; pixels of the sensor, metres.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.camera import Camera
from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.images import FileFrames
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.looks import at_once, counted, names_in
from training.data.rig import RigCamera, fitted_camera, in_number_order, rig_clip, same_size

NAME = "Technicolor"
TABLE = "cameras_parameters.txt"
PICTURE = re.compile(r"(?P<scene>.+)_undist_(?P<frame>\d+)_(?P<camera>\d+)\.png")
COLUMNS = 12
DISTORTED_COLUMNS = 14
"""Of the same table beside the frames as filmed: two coefficients of the lens come after the skew."""
SENSOR = (2048, 1088)
"""Width and height that the table's pixels are of."""
FPS = 30.0
HELD_OUT = "cam10"
"""Row 2, column 2 of the rig, counted from 0: measured by HyperReel and all that follow it."""
NEGLIGIBLE_SKEW = 0.5
"""Pixels by which a skew may move a corner."""
BOUNDS = {"painter": (1.75, 10.0), "birthday": (1.75, 10.0), "fabien": (0.35, 2.0)}
OTHER_BOUNDS = (0.65, 10.0)
"""Near and far in metres, from HyperReel's reading of the data set; the rig's axes are too parallel to tell."""


def open_technicolor(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip with all frames that are there, camera 10 held out by default.

    InputError when rows and cameras are not equally many, and when a camera lacks a frame that another has.
    """
    path = folder / TABLE
    cameras = read_cameras(path)
    scene, files = _pictures(folder)
    if max(files) >= len(cameras) or len(files) != len(cameras):
        raise InputError(
            f"{path}: has {len(cameras)} cameras while there are pictures of {len(files)}; restore what is missing"
        )
    frames = in_order(files)
    used = frames[:: options.frame_step]
    rig = []
    for number in sorted(files):
        paths = [files[number][frame] for frame in used]
        camera = fitted_camera(cameras[number], same_size(paths), paths[0], path, options)
        pictures = FileFrames(paths, (camera.width, camera.height), options.cache_bytes // len(files))
        rig.append(RigCamera(f"cam{number:02d}", [camera] * len(used), pictures))
    seconds = (used[-1] - used[0]) / FPS
    bounds = BOUNDS.get(scene.lower(), OTHER_BOUNDS)
    held = [HELD_OUT] if len(rig) > int(HELD_OUT.removeprefix("cam")) else []
    return rig_clip(folder, rig, held, bounds, seconds, options)


def read_cameras(path: Path) -> list[Camera]:
    """The cameras at the sensor's size; InputError that names the row when it is none."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()[1:] if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: not readable as text ({problem}); restore it") from None
    if not lines:
        raise InputError(f"{path}: has no cameras below its titles; restore it")
    return [_camera(words, row, path) for row, words in enumerate(lines)]


def in_order(files: dict[int, dict[int, Path]]) -> list[int]:
    """The frames' numbers, the same of every camera; InputError that names a picture that another camera has."""
    every = sorted(set().union(*files.values()))
    for of_camera in files.values():
        absent = next((frame for frame in every if frame not in of_camera), None)
        if absent is not None:
            there = next(iter(of_camera.values()))
            found = PICTURE.fullmatch(there.name)
            assert found is not None
            name = f"{found['scene']}_undist_{absent:0{len(found['frame'])}d}_{found['camera']}.png"
            raise InputError(f"{there.with_name(name)}: no such picture, though another camera has this frame; "
                             "restore it")  # fmt: skip
    return every


def _camera(words: list[str], row: int, path: Path) -> Camera:
    name = f"camera {row}"
    if len(words) == DISTORTED_COLUMNS:
        raise InputError(
            f"{path}: has the lens of {name}, so it belongs to the frames as filmed; take the file of the undistorted "
            "set"
        )
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        raise InputError(f"{path}: the row of {name} is not all numbers; restore it") from None
    if len(values) != COLUMNS or not np.isfinite(values).all():
        raise InputError(f"{path}: the row of {name} is not {COLUMNS} finite numbers; restore it")
    focal, cx, cy, aspect, skew = (float(v) for v in values[:5])
    if not (focal > 0 and aspect > 0):
        raise InputError(f"{path}: the focal length or aspect ratio of {name} is not above zero; restore it")
    if abs(skew) / (aspect * focal) * SENSOR[1] / 2 > NEGLIGIBLE_SKEW:
        raise InputError(f"{path}: the pixels of {name} are skewed by {skew:g}, which is not drawn; rectify its frames")
    return Camera(_pose(values[5:9], values[9:], name, path), focal, aspect * focal, cx, cy, *SENSOR)


def _pose(wxyz: NDArray[np.float64], translation: NDArray[np.float64], name: str, path: Path) -> NDArray[np.float64]:
    if not 0.99 < np.linalg.norm(wxyz) < 1.01:
        raise InputError(f"{path}: the quaternion of {name} is not of length 1; restore it")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(wxyz, scalar_first=True).as_matrix()
    pose[:3, 3] = translation
    return pose


def _pictures(folder: Path) -> tuple[str, dict[int, dict[int, Path]]]:
    """The scene's name, and by camera and frame number the pictures."""
    place = _place(folder)
    found: dict[int, dict[int, Path]] = {}
    scenes: dict[str, None] = {}
    for path in in_number_order(place / name for name in names_in(place)):
        match = PICTURE.fullmatch(path.name)
        if match:
            scenes[match["scene"]] = None
            found.setdefault(int(match["camera"]), {})[int(match["frame"])] = path
    if not found:
        raise InputError(f"{place}: no pictures named <scene>_undist_<frame>_<camera>.png; put the clip's frames there")
    if len(scenes) > 1:
        raise InputError(f"{place}: has frames of {' and '.join(scenes)}; give each scene a folder of its own")
    return next(iter(scenes)), found


def _place(folder: Path) -> Path:
    there = any(PICTURE.fullmatch(name) for name in names_in(folder))
    return folder if there or not (folder / "images").is_dir() else folder / "images"


def _look(folder: Path) -> Recognised:
    path = folder / TABLE
    cameras, (_, files) = read_cameras(path), _pictures(folder)
    frames = len(set().union(*files.values()))
    what = f"{counted(frames, 'frame')} of {counted(len(files), 'camera')} with {TABLE} ({NAME})"
    missing = []
    if len(cameras) != len(files):
        missing.append(f"{path}: has {len(cameras)} cameras while there are pictures of {len(files)}; "
                       "restore what is missing.")  # fmt: skip
    return at_once(folder, NAME, what, missing, len(files))


LAYOUT = Layout(
    name=NAME,
    claims=lambda folder: (folder / TABLE).is_file(),
    open=open_technicolor,
    look=_look,
    inside=("images",),
)
