"""What generators that run as other programs read of a clip: pictures and videos of the training cameras."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import imageio_ffmpeg

from renderer.camera import Camera
from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.generated_loading import save_generated
from training.data.images import Image

VIDEO_FRAMES, VIDEO_SIZE, VIDEO_FPS = 81, (832, 480), 30
"""Of the videos that ReCamMaster reads: frames, (width, height), frames per second."""
PROMPT = "A video of a dynamic scene."
"""ReCamMaster wants a description of every video."""


def write_instant(folder: Path, dataset: Dataset, frame: int) -> None:
    """``00.png``, ``01.png``, ...: what the training cameras saw at a frame, in the clip's order; for ViewCrafter."""
    for n, (name, shots) in enumerate(_shots_of_cameras(dataset).items()):
        index = next((i for i in shots if dataset.shots[i].frame == frame), None)
        if index is None:
            raise InputError(f"{dataset.name}: camera {name} has no picture of frame {frame}; leave the camera out")
        _write_picture(folder / f"{n:02d}.png", dataset.read(index))


def write_named_pictures(folder: Path, dataset: Dataset, frame_step: int) -> None:
    """``images/<camera>_<tttt>.png`` of the training cameras, instants as filmed; for SparseCam4D's preprocessing."""
    (folder / "images").mkdir()
    for name, shots in _shots_of_cameras(dataset).items():
        for index in shots:
            instant = dataset.shots[index].frame * frame_step
            _write_picture(folder / "images" / f"{name}_{instant:04d}.png", dataset.read(index))


def write_videos(folder: Path, dataset: Dataset) -> None:
    """``metadata.csv`` and ``videos/video<i>.mp4`` of the i-th training camera, the whole clip in 81 frames stretched
    to 832x480; for ReCamMaster, which would cut another shape's sides off."""
    (folder / "videos").mkdir()
    rows = [("file_name", "text")]
    for n, shots in enumerate(_shots_of_cameras(dataset).values()):
        times = [k / (VIDEO_FRAMES - 1) for k in range(VIDEO_FRAMES)]
        nearest = [min(shots, key=lambda i: abs(dataset.shots[i].time - time)) for time in times]
        _write_video(folder / "videos" / f"video{n}.mp4", nearest, dataset)
        rows.append((f"video{n}.mp4", PROMPT))
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_plain(folder: Path, dataset: Dataset, frame_step: int) -> None:
    """The plain layout of the training cameras: a picture folder per camera, or per pose of one that moves."""
    indices = dataset.indices("train")
    cameras: dict[tuple[str, Camera], int] = {}
    for i in indices:
        cameras.setdefault((dataset.shots[i].camera_name, dataset.shots[i].camera), len(cameras))
    frames = []
    for i in indices:
        shot = dataset.shots[i]
        frames.append(GeneratedFrame(cameras[shot.camera_name, shot.camera], shot.time, shot.frame))
    views = GeneratedViews(dataset.name, [c for _, c in cameras], frames, lambda k: dataset.read(indices[k]))
    save_generated(folder, views, dataset.fps, lambda text: None, frame_step)


def _shots_of_cameras(dataset: Dataset) -> dict[str, list[int]]:
    """The training shots of each camera, in the clip's order."""
    found: dict[str, list[int]] = {}
    for index in dataset.indices("train"):
        found.setdefault(dataset.shots[index].camera_name, []).append(index)
    return found


def _write_picture(path: Path, image: Image) -> None:
    if not cv2.imwrite(str(path), image[..., ::-1]):
        raise InputError(f"{path}: cannot be written; give another folder for the generator")


def _write_video(path: Path, shots: list[int], dataset: Dataset) -> None:
    writer = imageio_ffmpeg.write_frames(str(path), VIDEO_SIZE, fps=VIDEO_FPS, quality=9, ffmpeg_log_level="error")
    try:
        writer.send(None)
        for index in shots:
            writer.send(cv2.resize(dataset.read(index), VIDEO_SIZE, interpolation=cv2.INTER_AREA).tobytes())
    finally:
        writer.close()
