"""Generated views as ReCamMaster leaves them: whole videos along moving paths, ``results/cam_type<k>/video<i>.mp4``,
with the paths in ``cameras/camera_extrinsics.json``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data import poses
from training.data.generated import GeneratedViews
from training.data.generated_layouts import Clip, Collected, video, video_frames

CAMERA_FILE = Path("cameras") / "camera_extrinsics.json"
METRES_TO_SCENE = 1.0
"""Scene units per metre of ReCamMaster's paths. A clip's scale is not known to it; training refines the poses."""
MATRIX_EVERY = 4
"""One frame of a video in so many has a pose: 21 of 81 frames."""


def open_recammaster(folder: Path, clip: Clip) -> GeneratedViews:
    """The views of a folder with ``results`` and ``cameras``: per video one camera for every fourth frame.

    ``video<i>`` is of the clip's i-th training camera, from where that camera stood first, and shows its field of
    view stretched to the video's shape. The video runs over the whole clip: its frame j of n is at time j / (n - 1),
    whatever frame step the clip is opened with. Pose and time move together, so a camera has one picture; frames
    between those with a pose are left out to keep the pose axis short. InputError, one sentence, when something does
    not fit.
    """
    path = folder / CAMERA_FILE
    if not path.is_file():
        raise InputError(f"{path}: no such file; copy it from the folder of ReCamMaster's test data")
    data = poses.read_json(path)
    videos = _videos(folder)
    cameras = clip.training_cameras()
    collected = Collected()
    for cam_type, index, item in videos:
        if index >= len(cameras):
            raise InputError(f"{item}: the clip has only {len(cameras)} training cameras; take this video out")
        count, width, height = video_frames(item)
        if count < 2:
            raise InputError(f"{item}: has a single frame; generate it again")
        frames = list(range(0, count, MATRIX_EVERY))
        base = clip.fitted(cameras[index], width, height)
        pictures = video(item, frames, (base.width, base.height), clip.options, len(videos))
        for k, relative in enumerate(_relative_poses(data, cam_type, frames, path)):
            time = frames[k] / (count - 1)
            frame = round(time * (clip.frame_count - 1))
            collected.add(len(collected.cameras), frame, time, pictures, k)
            collected.cameras.append(base.moved(poses.inverted(relative) @ base.world_to_camera))
    return collected.views(str(folder))


def is_recammaster(folder: Path) -> bool:
    """Whether a folder has one of the two parts."""
    return (folder / CAMERA_FILE).is_file() or any((folder / "results").glob("cam_type*"))


def _videos(folder: Path) -> list[tuple[int, int, Path]]:
    """The number of the path, that of the video, and the file, in this order."""
    found = []
    for item in (folder / "results").glob("cam_type*/*.mp4"):
        kind, name = re.fullmatch(r"cam_type(\d+)", item.parent.name), re.fullmatch(r"video(\d+)", item.stem)
        if not kind or not name:
            raise InputError(f"{item}: expected results/cam_type<k>/video<i>.mp4; rename it or take it out")
        found.append((int(kind[1]), int(name[1]), item))
    if not found:
        raise InputError(f"{folder / 'results'}: has no cam_type<k>/video<i>.mp4; run ReCamMaster again")
    return sorted(found)


def _relative_poses(data: object, cam_type: int, frames: list[int], path: Path) -> list[NDArray[np.float64]]:
    """(4, 4) from the camera at each frame to the camera at frame 0, OpenCV axes, scene units."""
    matrices = [_camera_to_world(data, cam_type, frame, path) for frame in frames]
    names = [f"frame{frame} cam{cam_type:02d}" for frame in frames]
    try:
        first = np.linalg.inv(matrices[0])
    except np.linalg.LinAlgError:
        raise InputError(f"{path}: the pose of {names[0]} is not a rotation; restore it") from None
    result = [poses.rigid(first @ matrix, path, name) for matrix, name in zip(matrices, names, strict=True)]
    for pose in result:
        pose[:3, 3] *= METRES_TO_SCENE
    return result


def _camera_to_world(data: object, cam_type: int, frame: int, path: Path) -> NDArray[np.float64]:
    """(4, 4) with OpenCV axes, metres. The world itself is left-handed, which cancels in relative poses."""
    row = data.get(f"frame{frame}") if isinstance(data, dict) else None
    text = row.get(f"cam{cam_type:02d}") if isinstance(row, dict) else None
    name = f"frame{frame} cam{cam_type:02d}"
    if not isinstance(text, str):
        raise InputError(f"{path}: has no pose for {name}; restore it or take the video out")
    try:
        values = np.array([float(v) for v in re.sub(r"[\[\],;]", " ", text).split()])
    except ValueError:
        raise InputError(f"{path}: the pose of {name} is not a matrix of numbers; restore it") from None
    if values.shape != (16,) or not np.isfinite(values).all():
        raise InputError(f"{path}: the pose of {name} is not 16 finite numbers; restore it")
    matrix = values.reshape(4, 4).T[:, [1, 2, 0, 3]]  # rows are what columns are here; x forward, y right, z up
    matrix[:3, 1] *= -1
    matrix[:3, 3] /= 100
    return matrix
