"""Neural 3D Video (Li et al. 2022): ``poses_bounds.npy`` with a row per camera, and ``cam00.mp4``, ``cam01.mp4``, ...
in the same order; or, as some programs leave them, the frames of each in ``cam00/images`` or ``cam00``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.images import FileFrames, VideoFrames, fitted_size, video_info
from training.data.layouts import DataOptions, Layout, Recognised, Report
from training.data.llff_table import LlffTable, read_table
from training.data.looks import at_once, counted, names_in, pictures_in
from training.data.rig import RigCamera, check_shape, frame_count, in_number_order, rig_clip, same_size

NAME = "Neural 3D Video"
POSES = "poses_bounds.npy"
CAMERA = re.compile(r"cam_?\d+")
FPS = 30.0
"""Of the data set, for frames in files; a video knows its own."""
SPARE = 1
"""Frames by which videos of one length may differ where they were cut."""


def open_neural3dvideo(folder: Path, options: DataOptions, report: Report) -> Dataset:
    """The clip, its first camera (``cam00``) held out by default, as in the paper.

    InputError when poses and cameras are not equally many, for a video that ends before the others, and for frames of
    another size than the others or of another shape than the poses are for.
    """
    table = read_table(folder / POSES)
    places = cameras_of(folder)
    if len(places) != len(table):
        raise InputError(
            f"{table.path}: has {len(table)} poses for {len(places)} cameras, {places[0].name} to {places[-1].name}; "
            "restore the cameras that are missing, or take their rows out"
        )
    if places[0].is_dir():
        rig, length, fps = *_from_pictures(places, table, options), FPS
    else:
        rig, length, fps = _from_videos(places, table, options, report)
    seconds = options.frame_step * ((length - 1) // options.frame_step) / fps
    return rig_clip(folder, rig, [rig[0].name], table.depths(), seconds, options)


def cameras_of(folder: Path) -> list[Path]:
    """The videos, in the order of their names; where there are none, the folders with frames."""
    entries = [folder / name for name in names_in(folder) if CAMERA.fullmatch(Path(name).stem)]
    videos = [path for path in entries if path.suffix.lower() == ".mp4"]
    return in_number_order(videos or [path for path in entries if path.is_dir() and pictures_in(_frames_in(path))])


def _from_videos(
    videos: Sequence[Path], table: LlffTable, options: DataOptions, report: Report
) -> tuple[list[RigCamera], int, float]:
    """The cameras, the number of frames, and frames per second."""
    report(f"Counting the frames of {len(videos)} videos")
    infos, counts = [video_info(video) for video in videos], [frame_count(video) for video in videos]
    size, most = (infos[0].width, infos[0].height), max(counts)
    for video, info, count in zip(videos, infos, counts, strict=True):
        if (info.width, info.height) != size:
            raise InputError(
                f"{video}: is {info.width}x{info.height} while {videos[0].name} is {size[0]}x{size[1]}; re-encode it"
            )
        if count < most - SPARE:
            raise InputError(
                f"{video}: has {count} frames while {videos[counts.index(most)].name} has {most}; restore the video"
            )
    used, fitted = range(0, min(counts), options.frame_step), fitted_size(*size, options.megapixels)
    rig = []
    for row, video in enumerate(videos):
        camera = table.camera(row, video.name)
        check_shape(size, (camera.width, camera.height), video, table.path)
        frames = VideoFrames(video, used, fitted, options.cache_bytes // len(videos), report)
        rig.append(RigCamera(video.stem, [camera.resized(*fitted)] * len(used), frames))
    return rig, min(counts), infos[0].fps


def _from_pictures(folders: Sequence[Path], table: LlffTable, options: DataOptions) -> tuple[list[RigCamera], int]:
    """The cameras, and the number of frames."""
    files = [in_number_order(_frames_in(f) / name for name in pictures_in(_frames_in(f))) for f in folders]
    size, most = same_size([path for paths in files for path in paths]), max(map(len, files))
    for folder, paths in zip(folders, files, strict=True):
        if len(paths) < most:
            raise InputError(f"{folder}: has {len(paths)} pictures while another camera has {most}; restore the others")
    used, fitted = range(0, most, options.frame_step), fitted_size(*size, options.megapixels)
    rig = []
    for row, (folder, paths) in enumerate(zip(folders, files, strict=True)):
        camera = table.camera(row, folder.name)
        check_shape(size, (camera.width, camera.height), paths[0], table.path)
        frames = FileFrames([paths[i] for i in used], fitted, options.cache_bytes // len(folders))
        rig.append(RigCamera(folder.name, [camera.resized(*fitted)] * len(used), frames))
    return rig, most


def _frames_in(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _look(folder: Path) -> Recognised:
    table, places = read_table(folder / POSES), cameras_of(folder)
    noun = "frame folder" if places[0].is_dir() else "synchronised video"
    what = f"{counted(len(places), noun)} with {POSES} ({NAME})"
    missing = []
    if len(places) != len(table):
        missing.append(f"{table.path}: has {len(table)} poses for {len(places)} cameras; restore what is missing.")
    return at_once(folder, NAME, what, missing, len(places))


LAYOUT = Layout(
    name=NAME,
    claims=lambda folder: (folder / POSES).is_file() and len(cameras_of(folder)) > 1,
    open=open_neural3dvideo,
    look=_look,
    inside=("images",),
)
