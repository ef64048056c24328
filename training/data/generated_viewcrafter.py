"""Generated views as ViewCrafter leaves them, one folder per instant, without their cameras.

Stock ViewCrafter (``sparse_view_interp``) writes ``diffusion.mp4``: N - 1 clips of 25 frames one after the other for N
cameras, so that the cameras in the middle come twice. SparseCam4D's variant writes ``diffusion/frame_<iiiii>.png``,
24 (N - 1) + 1 pictures.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from renderer.camera import Camera
from renderer.errors import InputError
from training.data.generated import GeneratedViews
from training.data.generated_layouts import AGAIN, Clip, Collected, Pictures, files, in_order, video, video_frames
from training.data.images import fitted_size
from training.data.rig import same_size
from training.generators.trajectory import STEPS, virtual_cameras

KEEP_EVERY = 2
"""One in so many of the places between the real cameras is learned from, as most of the authors' configurations have it
(``camera_downsample``)."""
VIDEO, FOLDER = "diffusion.mp4", "diffusion"


def open_viewcrafter(folder: Path, clip: Clip) -> GeneratedViews:
    """The views of a folder of instants, in the order of their names; ``time_<tttt>`` says the instant itself.

    Where the virtual cameras stand is not written anywhere: they are taken from
    :func:`training.generators.trajectory.virtual_cameras` through the clip's training cameras in their order, looking
    at the harmonic mean of the clip's near and far. The pictures are taken to show the first camera's whole field of
    view, stretched to their own shape. The real cameras' own places are left out. InputError, one sentence, when
    something does not fit.
    """
    steps = instants(folder)
    camera_count = len(_training_cameras(clip, folder))
    used = [(step, f) for k, step in steps if (f := clip.frame_of(k, step)) is not None]
    collected, size = Collected(), (0, 0)
    for n, (step, frame) in enumerate(used):
        pictures, found = open_step(step, clip, camera_count, len(used))
        if n and found != size:
            raise InputError(f"{step}: is {found[0]}x{found[1]}, earlier instants are {size[0]}x{size[1]}; redo it")
        size = found
        for pose in range(len(places(camera_count))):
            collected.add(pose, frame, clip.time_of(frame), pictures, pose)
    if used:
        collected.cameras += [clip.fitted(camera, *size) for camera in _virtual(clip, folder)]
    return collected.views(str(folder))


def is_viewcrafter(folder: Path) -> bool:
    """Whether a folder has a subfolder with one of the two outputs."""
    return any(has_output(p) for p in folder.iterdir() if p.is_dir())


def instants(folder: Path) -> list[tuple[int, Path]]:
    """Each instant as filmed with its folder; InputError when one is twice or a folder has no output."""
    steps = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    numbered = [(re.fullmatch(r"time_(\d+)", p.name), p) for p in steps]
    timed = [(int(name[1]), p) for name, p in numbered if name]
    result = sorted(timed) if timed else list(enumerate(steps))
    for (a, _), (b, path) in pairwise(result):
        if a == b:
            raise InputError(f"{path}: is instant {b} again; take one of the folders out")
    for _, path in result:
        if not has_output(path):
            raise InputError(f"{path}: has neither {VIDEO} nor a folder {FOLDER}; generate this instant again")
    return result


def open_step(step: Path, clip: Clip, camera_count: int, share: int = 1) -> tuple[Pictures, tuple[int, int]]:
    """The pictures of one instant at the places that are kept, and their (width, height) as generated.

    ``camera_count``: N. ``share``: into how many parts the memory for pictures is divided. InputError when the number
    of frames does not fit N cameras.
    """
    gaps, kept = camera_count - 1, places(camera_count)
    if (step / VIDEO).is_file():
        path, expected = step / VIDEO, (STEPS + 1) * gaps
        count, width, height = video_frames(path)
        size, found = (width, height), []
    else:
        path, expected = step / FOLDER, STEPS * gaps + 1
        found = in_order(path)
        count, size = len(found), same_size(found, advice=AGAIN)
    if count != expected:
        raise InputError(
            f"{path}: has {count} frames, but {camera_count} training cameras make {expected}; generate it again from "
            "the clip's training cameras or choose them with --data.cameras"
        )
    fitted = fitted_size(*size, clip.options.megapixels)
    if found:
        return files([found[k] for k in kept], fitted, clip.options, share), size
    frames = [k + k // STEPS for k in kept]  # each clip before it has its last camera twice
    return video(path, frames, fitted, clip.options, share), size


def places(camera_count: int) -> list[int]:
    """Places on the trajectory through N cameras that are kept: every second one that is not a real camera's."""
    return [k for k in range(STEPS * (camera_count - 1)) if k % STEPS != 0 and k % KEEP_EVERY == 0]


def _virtual(clip: Clip, folder: Path) -> list[Camera]:
    distance = 2 / (1 / clip.dataset.near + 1 / clip.dataset.far)
    return virtual_cameras(_training_cameras(clip, folder), distance, KEEP_EVERY)


def _training_cameras(clip: Clip, folder: Path) -> list[Camera]:
    cameras = clip.training_cameras()
    if len(cameras) < 2:
        raise InputError(f"{folder}: ViewCrafter's views lie between training cameras, but the clip has only one")
    return cameras


def has_output(step: Path) -> bool:
    """Whether the folder of an instant has one of the two outputs."""
    return (step / VIDEO).is_file() or (step / FOLDER).is_dir()
