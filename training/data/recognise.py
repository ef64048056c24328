"""What a folder or file is: the one place that knows by which files each layout is told.

:func:`recognise` looks no further than it takes to say in a sentence what somebody has dropped on the window: names,
small tables, the heads of files; no picture or video is decoded. :func:`training.data.loading.open_dataset` opens a
clip by the same layouts, and may still find what a look at the names cannot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.checkpoint import FORMAT, STEP_NAME, checkpoint_folders, is_run, read_json

Layout = Literal["calibrated videos", "LLFF", "posed frames", "COLMAP"]
Kind = Literal[
    "demo", "run", "calibrated videos", "LLFF", "posed frames", "COLMAP", "pictures without cameras",
    "videos without cameras", "scene file", "nothing",
]  # fmt: skip
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".webm"}
SCENE_SUFFIXES = {".ply", ".splat", ".splatv", ".spz", ".sog", ".ksplat"}
INSIDE = {"images", "sparse", "0", "colmap", "checkpoints", "generated", "preprocess"}
"""Folders that are a part of the clip or run that they lie in."""
UNREAD = {
    "transforms.json": "nerfstudio",
    "transforms_train.json": "Blender and D-NeRF",
    "dataset.json": "Nerfies and HyperNeRF",
    "train_meta.json": "Panoptic Studio",
    "intri.yml": "EasyVolcap",
}
"""Files with cameras that are not read, and whose layout they are."""
DEMOS = {
    "sparse": "Three cameras on tripods filmed it.",
    "small-motion": "The camera hardly moves, and this method finds depth all the same.",
}
"""The demo scenes, and why their method is suggested."""
MOST_LISTED = 200
"""Folders of a folder that are looked into."""
HARDLY = 0.12
"""A camera hardly moves when its places are within this share of the depth."""
FAR_SHARE = 10.0
"""What is farther than so many times the near depth says nothing of how deep the scene is."""


@dataclass(frozen=True)
class Recognised:
    """What was found. ``path``: what to open, a folder; for the demo and what is not there as it was given.

    ``what``: as what it was recognised, for the end of "this is". ``opens``: whether it can be opened, as far as this
    look tells, with ``poses`` for :class:`training.data.loading.DataOptions`. ``missing``: sentences of what is not
    there, or what to do. ``method``: the preset to begin with, and ``reason``, a sentence; empty where nothing opens.
    """

    path: Path
    kind: Kind
    opens: bool
    what: str
    missing: tuple[str, ...] = ()
    method: str = ""
    reason: str = ""
    poses: Literal["stated", "identity"] = "stated"


def recognise(path: str | Path) -> Recognised:
    """What a folder or file is; never raises. A file, or a folder such as ``images``, stands for what it belongs to."""
    if str(path).partition(":")[0] == "demo":
        return _demo(str(path))
    given = Path(os.path.expanduser(path)).absolute()
    try:
        if not given.exists():
            return Recognised(given, "nothing", False, "not there", (f"{given}: no such file or folder.",))
        places = list(_places(given))
        found = next((place for place in places if is_run(place) or layout_of(place)), None)
        if found is not None:
            return _run(found) if is_run(found) else _clip(found)
        return _file(given) if given.is_file() else _without_cameras(given)
    except OSError as problem:
        return Recognised(given, "nothing", False, "not readable", (f"{given}: {problem.strerror or problem}.",))


def layout_of(folder: Path) -> Layout | None:
    """The layout of a clip with cameras; None where a folder has none."""
    from training.data.colmap_model import model_beside

    if (folder / "cameras.json").is_file():
        return "calibrated videos"
    if (folder / "poses_bounds.npy").is_file():
        return "LLFF"
    if (folder / "precomputed.json").is_file():
        return "posed frames"
    return "COLMAP" if model_beside(folder) is not None else None


def generated_beside(folder: Path) -> Path | None:
    """The folder of generated views that lies in a clip's own; None where there is none."""
    if (folder / "generated").exists():
        return folder / "generated"
    return folder if (folder / "sfm_transforms_extend.json").exists() else None


def not_understood(folder: Path) -> str:
    """The sentence for a folder without a clip that can be opened."""
    suffixes = {Path(name).suffix.lower() for name in (*_names(folder), *_names(folder / "images"))}
    if suffixes & IMAGE_SUFFIXES:
        return (
            f"{folder}: pictures without camera poses; add poses_bounds.npy (LLFF), precomputed.json or COLMAP's "
            "sparse/0 beside them, or learn them with --method ddr --data.poses identity if the camera hardly moved"
        )
    if suffixes & VIDEO_SUFFIXES:
        return f"{folder}: videos without a calibration; add cameras.json with each camera's K and world_to_camera"
    return (
        f"{folder}: no clip found; expected cameras.json with videos, or poses_bounds.npy, precomputed.json or "
        "COLMAP's sparse/0 with a folder of images"
    )


def _demo(source: str) -> Recognised:
    found = Recognised(Path(source), "demo", True, "the procedural demo scene", (), "4dgs", DEMOS["sparse"])
    preset = source.partition(":")[2] or "sparse"
    if preset == "small-motion":
        return replace(found, method="ddr", reason=DEMOS[preset])
    if preset not in DEMOS:
        return Recognised(Path(source), "nothing", False, "no demo scene", (f"They are {', '.join(DEMOS)}.",))
    return found


# ------------------------------------------------------------------------------------------------ a run


def _run(folder: Path) -> Recognised:
    result = Recognised(folder, "run", False, "a run")
    try:
        description = read_json(folder / "run.json")
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise InputError(f"{folder}: written by another version of dynview; train again with this one")
        method, source = str(description["method"]), str(description["source"])
        name = str(description["dataset"]["name"])
    except InputError as problem:
        return replace(result, missing=(f"{problem}.",))
    except (KeyError, TypeError):
        return replace(result, missing=(f"{folder / 'run.json'}: not understood; train again.",))
    saved = [int(f.name.removeprefix("step-")) for f in checkpoint_folders(folder)]
    at = f"at step {saved[-1]:,}" if saved else "without a checkpoint"
    missing = [] if saved else ["Nothing was saved of it: training begins at its first step."]
    there = source.partition(":")[0] == "demo" or Path(source).is_dir()
    if not there:
        missing.append(f"Its clip, {source}, is not there any more; put it back.")
    what = f"a run of {method} {at}, trained on {name}"
    return replace(
        result, opens=there, what=what, missing=tuple(missing), method=method, reason="It was begun with it."
    )


# ----------------------------------------------------------------------------------- a clip with cameras


def _clip(folder: Path) -> Recognised:
    look: Mapping[Layout, Callable[[Path], Recognised]] = {
        "calibrated videos": _calibrated_videos,
        "LLFF": _llff,
        "posed frames": _posed_frames,
        "COLMAP": _colmap,
    }
    layout = layout_of(folder)
    assert layout is not None
    result = Recognised(folder, layout, False, f"a clip ({layout})")
    try:
        result = look[layout](folder)
    except InputError as problem:
        return replace(result, missing=(f"{problem}.",))
    views = generated_beside(folder)
    if views is not None and result.opens:
        where = f"in {views.name}" if views != folder else "beside its pictures"
        reason = f"It has generated views {where}, and this method learns from them."
        return replace(result, method="sparsecam4d", reason=reason)
    return result


def _calibrated_videos(folder: Path) -> Recognised:
    from training.data.calibrated_videos import KEYS, camera_entries

    path = folder / "cameras.json"
    entries = camera_entries(path)
    named = [entry for entry in entries if isinstance(entry, dict)]
    what = f"{_count(len(entries), 'synchronised video')} with cameras.json"
    frames, fps = ([e.get(key) for e in named] for key in ("frames", "fps"))
    if named and all(isinstance(n, int) and n > 0 for n in frames) and isinstance(fps[0], int | float) and fps[0] > 0:
        length = min(n for n in frames if isinstance(n, int))
        what += f", {_count(length, 'frame')}, {max(0, length - 1) / fps[0]:.1f} s"
    missing = []
    for entry in entries:
        absent = next((key for key in KEYS if not isinstance(entry, dict) or key not in entry), None)
        if absent:
            missing.append(f"{path}: a camera has no {absent}; see the README for the layout.")
        elif not (folder / str(entry["video"])).is_file():
            missing.append(f"{folder / str(entry['video'])}: no such video; restore it or take its camera out.")
    reason = f"{_count(len(entries), 'camera')} filmed at once; generated views would allow sparsecam4d."
    return Recognised(folder, "calibrated videos", not missing, what, tuple(missing), "4dgs", reason)


def _llff(folder: Path) -> Recognised:
    from training.data.llff import read_poses

    c2w, _, bounds = read_poses(folder / "poses_bounds.npy")
    return _moving(folder, "LLFF", "poses_bounds.npy (LLFF)", c2w, bounds)


def _posed_frames(folder: Path) -> Recognised:
    from training.data.posed_frames import read_poses

    c2w, _, bounds = read_poses(folder / "precomputed.json")
    return _moving(folder, "posed frames", "precomputed.json", c2w, bounds)


def _moving(
    folder: Path, kind: Kind, file: str, camera_to_world: NDArray[np.float64], bounds: NDArray[np.float64]
) -> Recognised:
    """A clip of one moving camera. ``camera_to_world`` (F, 3, 4), ``bounds`` (F, 2)."""
    pictures, poses = len(_pictures(folder / "images")), len(camera_to_world)
    what = f"{_count(pictures, 'picture')} of one moving camera with {file}"
    missing = []
    if not pictures:
        missing.append(f"{folder / 'images'}: no pictures in this folder; put the clip's frames there.")
    elif pictures != poses:
        missing.append(f"{folder / file.split()[0]}: has {poses} poses for {pictures} pictures; make them match.")
    share = _motion(camera_to_world[:, :, 3], bounds)
    if share is not None and share < HARDLY:
        reason = f"The camera hardly moves, {100 * share:.0f} % of the depth, and this method finds depth all the same."
        return Recognised(folder, kind, not missing, what, tuple(missing), "ddr", reason)
    moved = "" if share is None else f" by {100 * share:.0f} % of the depth"
    return Recognised(folder, kind, not missing, what, tuple(missing), "4dgs", f"The camera moves{moved}.")


def _motion(centers: NDArray[np.float64], bounds: NDArray[np.float64]) -> float | None:
    """The largest distance between two places of a camera, (F, 3), as a share of the depth; None where unknown."""
    near, far = np.median(bounds, axis=0)
    depth = min(far, FAR_SHARE * near)
    if not np.isfinite(centers).all() or not np.isfinite(depth) or depth <= 0:
        return None
    some = centers[:: max(1, len(centers) // 200)]
    return float(np.linalg.norm(some[:, None] - some[None], axis=2).max() / depth)


def _colmap(folder: Path) -> Recognised:
    from training.data.colmap_clip import check_straight
    from training.data.colmap_model import model_beside, pose_count, read_cameras

    model = model_beside(folder)
    assert model is not None
    for camera in read_cameras(model).values():
        check_straight(camera, model)
    pictures = len(_pictures(folder / "images") if (folder / "images").is_dir() else _pictures(folder))
    poses = pose_count(model)
    inside = model.relative_to(folder).as_posix()
    what = f"{_count(pictures, 'picture')} of one moving camera with COLMAP's {inside}, {_count(poses, 'pose')}"
    missing = []
    if not pictures:
        missing.append(f"{folder / 'images'}: no pictures in this folder; put the clip's frames there.")
    elif poses < pictures:
        missing.append(
            f"{model}: has no pose of {pictures - poses} of {pictures} pictures; remove them, or learn all poses "
            "with --method ddr --data.poses identity."
        )
    reason = "COLMAP found its cameras, so they moved enough."
    return Recognised(folder, "COLMAP", not missing, what, tuple(missing), "4dgs", reason)


# -------------------------------------------------------------------------------- what has no cameras


def _without_cameras(folder: Path) -> Recognised:
    pictures = _pictures(folder / "images") if (folder / "images").is_dir() else _pictures(folder)
    videos = [name for name in _names(folder) if Path(name).suffix.lower() in VIDEO_SUFFIXES]
    unread = [
        f"Cameras in {name}, the layout of {whose}, are not read; COLMAP's sparse/0 is."
        for name, whose in UNREAD.items()
        if (folder / name).is_file()
    ]
    if pictures:
        advice = (
            "There are no camera poses: they are learned with the scene, which works where the camera hardly moved. "
            "For a camera that moved, add COLMAP's sparse/0, poses_bounds.npy or precomputed.json."
        )
        reason = "It learns the cameras' poses with the scene."
        what = f"{_count(len(pictures), 'picture')} without cameras"
        if len(pictures) < 2:
            return Recognised(folder, "pictures without cameras", False, what, ("Two pictures at least are needed.",))
        return Recognised(
            folder, "pictures without cameras", True, what, (*unread, advice), "ddr", reason, "identity"
        )  # fmt: skip
    if videos:
        what = f"{_count(len(videos), 'video')} without a calibration"
        advice = "Add cameras.json with each camera's K and world_to_camera."
        alone = _alone(folder / videos[0]) if len(videos) == 1 else ()
        return Recognised(folder, "videos without cameras", False, what, (*unread, advice, *alone))
    scenes = [name for name in _names(folder) if Path(name).suffix.lower() in SCENE_SUFFIXES]
    if scenes:
        return _scene(folder, f"{_count(len(scenes), 'exported scene')} ({scenes[0]})")
    folders = [place for name in _names(folder)[:MOST_LISTED] if (place := folder / name).is_dir()]
    inside = [place.name for place in folders if is_run(place) or layout_of(place)]
    if inside:
        listed = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
        advice = f"Open one of them: {listed}."
        return Recognised(folder, "nothing", False, f"a folder with {_count(len(inside), 'clip or run')}", (advice,))
    expected = not_understood(folder).partition("; ")[2]
    advice = f"{expected[0].upper()}{expected[1:]}."
    return Recognised(folder, "nothing", False, "nothing that can be opened", (*unread, advice))


def _file(path: Path) -> Recognised:
    """A file that belongs to no clip or run."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        folder = path.parent.parent if path.parent.name == "images" else path.parent
        return _without_cameras(folder)
    if suffix in VIDEO_SUFFIXES:
        advice = "Add cameras.json with its K and world_to_camera beside it."
        return Recognised(path, "videos without cameras", False, "a video without a calibration",
                          (advice, *_alone(path)))  # fmt: skip
    if suffix in SCENE_SUFFIXES:
        return _scene(path, f"an exported scene ({path.name})")
    missing = ("Give the folder of a clip or of a run.",)
    return Recognised(path, "nothing", False, f"a file that is not understood ({path.name})", missing)


def _alone(video: Path) -> tuple[str, ...]:
    return (f"If one camera that hardly moved filmed it, make pictures of it: ffmpeg -i {video.name} images/%05d.png",)


def _scene(path: Path, what: str) -> Recognised:
    missing = ("Exported scenes are for other viewers; open the run that it was exported from.",)
    return Recognised(path, "scene file", False, what, missing)


# ------------------------------------------------------------------------------------------------ files


def _places(path: Path) -> Iterator[Path]:
    """The folder that was meant, innermost first."""
    place = path if path.is_dir() else path.parent
    yield place
    while place.name in INSIDE or STEP_NAME.match(place.name):
        place = place.parent
        yield place


def _names(folder: Path) -> list[str]:
    """The names in a folder, in order; none where there is no folder."""
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _pictures(folder: Path) -> list[str]:
    return [name for name in _names(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES]


def _count(n: int, noun: str) -> str:
    """A number with its noun."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun.replace('clip or run', 'clips or run')}s"
