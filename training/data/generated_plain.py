"""The plain layout of generated views: a nerfstudio ``camera_path.json`` beside one video or picture folder per camera.

The k-th entry is the camera of the k-th ``*.mp4`` or subfolder by name, which has one picture per instant, from the
clip's first one on. Optional keys of an entry, which :func:`save_generated` writes: ``fl_x, fl_y, cx, cy, w, h``, the
pinhole in pixels from the picture's corner, in place of the field of view; ``frames``, the instants of the pictures.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import cv2

from renderer.errors import InputError
from renderer.files.camera_path import PINHOLE, read_camera_path
from renderer.paths import save_path
from renderer.view import View
from training.data.generated import GeneratedViews
from training.data.generated_layouts import AGAIN, Clip, Collected, Pictures, files, in_order, video, video_frames
from training.data.images import fitted_size
from training.data.loading import Report
from training.data.rig import check_shape, same_size

PATH_FILE = "camera_path.json"


def open_plain(folder: Path, clip: Clip) -> GeneratedViews:
    """The views of a folder with a ``camera_path.json``; InputError, one sentence, when something does not fit."""
    path = folder / PATH_FILE
    listed = read_camera_path(path, near=1.0).frames
    cameras, entries = [entry.camera for entry in listed], [entry.values for entry in listed]
    media = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and (p.is_dir() or p.suffix == ".mp4"))
    if len(media) != len(cameras):
        raise InputError(
            f"{path}: has {len(cameras)} cameras for {len(media)} videos and picture folders; make them match"
        )
    collected = Collected()
    counts: dict[int, Path] = {}
    for pose, (item, camera, entry) in enumerate(zip(media, cameras, entries, strict=True)):
        count, size, found = _contents(item)
        check_shape(size, (camera.width, camera.height), item, path)
        if "frames" in entry:
            instants = _instants(entry["frames"], count, item, path)
        else:
            instants = list(range(count))
            counts.setdefault(count, item)
        if len(counts) > 1:
            first = next(iter(counts))
            raise InputError(f"{item}: has {count} pictures, {counts[first].name} has {first}; generate it again")
        collected.cameras.append(clip.fitted(camera, *size))
        used = [(k, f) for k, i in enumerate(instants) if (f := clip.frame_of(i, item)) is not None]
        pictures = _pictures(item, found, [k for k, _ in used], size, clip, len(media))
        for index, (_, frame) in enumerate(used):
            collected.add(pose, frame, clip.time_of(frame), pictures, index)
    return collected.views(str(folder))


def _contents(item: Path) -> tuple[int, tuple[int, int], list[Path]]:
    """How many pictures, their (width, height), and the files where it is a folder."""
    if item.is_dir():
        found = in_order(item)
        return len(found), same_size(found, advice=AGAIN), found
    count, width, height = video_frames(item)
    return count, (width, height), []


def _instants(listed: object, count: int, item: Path, path: Path) -> list[int]:
    if not isinstance(listed, list) or not all(isinstance(i, int) and i >= 0 for i in listed):
        raise InputError(f"{path}: frames of {item.name} is not a list of instants; restore it")
    if len(listed) != count:
        raise InputError(f"{item}: has {count} pictures, {path.name} lists {len(listed)} frames; generate it again")
    return listed


def _pictures(
    item: Path, found: list[Path], indices: list[int], size: tuple[int, int], clip: Clip, share: int
) -> Pictures:
    fitted = fitted_size(*size, clip.options.megapixels)
    if found:
        return files([found[k] for k in indices], fitted, clip.options, share)
    return video(item, indices, fitted, clip.options, share)


# ---------------------------------------------------------------------------------------------------- writing


def save_generated(folder: Path, views: GeneratedViews, fps: float, report: Report, frame_step: int = 1) -> None:
    """Write the views as ``camera_path.json`` and ``pose_000/00000.png`` and so on, without loss.

    ``fps``: of the clip, for programs that play the path. ``frame_step``: with which the clip was opened, so that the
    folder counts instants as filmed and can be opened at any step. Pictures keep their size, cameras all but their
    near. The folder appears when it is complete. InputError, one sentence, when it exists and is not empty, when a
    camera has no picture, or when the disk refuses.
    """
    folder = folder.absolute()
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not empty; give a new folder for the generated views")
    missing = next((k for k in range(len(views.cameras)) if not views.of_pose(k)), None)
    if missing is not None or not views.cameras:
        raise InputError(f"{views.source}: camera {missing or 0} has no generated picture, so there is nothing to save")
    outer: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        outer = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        partial = outer / folder.name
        partial.mkdir()
        _write(partial, views, fps, report, frame_step)
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"{folder}: cannot be written ({reason}); give another folder") from None
    finally:
        if outer is not None:
            shutil.rmtree(outer, ignore_errors=True)


def _write(folder: Path, views: GeneratedViews, fps: float, report: Report, frame_step: int) -> None:
    count = len(views.cameras)
    save_path(folder / PATH_FILE, [View(c, views.pose_coordinate(k)) for k, c in enumerate(views.cameras)], fps)
    data = json.loads((folder / PATH_FILE).read_text())
    digits = max(3, len(str(count - 1)))
    for pose, (camera, entry) in enumerate(zip(views.cameras, data["camera_path"], strict=True)):
        report(f"Saving generated view {pose + 1} of {count}")
        values = (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
        entry.update(zip(PINHOLE, values, strict=True))
        entry["frames"] = [views.frames[i].frame * frame_step for i in views.of_pose(pose)]
        item = folder / f"pose_{pose:0{digits}d}"
        item.mkdir()
        for k, index in enumerate(views.of_pose(pose)):
            if not cv2.imwrite(str(item / f"{k:05d}.png"), views.read(index)[..., ::-1]):
                raise OSError(f"{item.name} failed")
    (folder / PATH_FILE).write_text(json.dumps(data))
