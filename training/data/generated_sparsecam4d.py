"""Generated views as the preprocessing of SparseCam4D leaves them: ``sfm_transforms_extend.json`` and PNG files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError
from training.alignment import Similarity, similarity_between
from training.data import poses
from training.data.generated import GeneratedViews
from training.data.generated_layouts import AGAIN, Clip, Collected, files, number, pinhole
from training.data.rig import check_shape, same_size

LIST_FILE = "sfm_transforms_extend.json"
PINHOLE = ("fx", "fy", "cx", "cy", "width", "height")


@dataclass(frozen=True)
class Entry:
    """One picture of the list. ``camera``: in the reconstruction's own world. ``place``: s on the pose axis."""

    id: int
    path: str
    camera: Camera
    time: float
    place: float
    real: bool


def open_sparsecam4d(folder: Path, clip: Clip) -> GeneratedViews:
    """The views that ``sfm_transforms_extend.json`` lists, every one of them, in the order of ``time_pseudo``.

    Its entries have camera-to-world matrices with OpenCV axes and pixels from the picture's corner, as COLMAP counts.
    The reconstruction's world is taken to the clip's by the similarity between the real cameras and the clip's of the
    same name. The instant is the number of ``time_<tttt>`` in the path, else the clip's nearest to ``time``.
    InputError, one sentence, when something does not fit.
    """
    path = folder / LIST_FILE
    entries = _entries(path)
    to_clip = _similarity([e for e in entries if e.real], clip, path)
    of_id: dict[int, list[Entry]] = {}
    for entry in entries:
        if not entry.real:
            of_id.setdefault(entry.id, []).append(entry)
    collected = Collected()
    ordered = sorted(of_id.values(), key=lambda group: (group[0].place, group[0].id))
    for pose, group in enumerate(ordered):
        _collect(collected, pose, group, to_clip, clip, folder, len(ordered))
    return collected.views(str(folder))


def _collect(
    collected: Collected, pose: int, group: list[Entry], to_clip: Similarity, clip: Clip, folder: Path, share: int
) -> None:
    """The pictures of one virtual camera."""
    first, path = group[0], folder / LIST_FILE
    found: dict[int, Path] = {}
    for entry in group:
        if not np.allclose(entry.camera.world_to_camera, first.camera.world_to_camera, atol=1e-6):
            raise InputError(f"{path}: camera {entry.id} has several poses; give each virtual camera an id of its own")
        picture = _located(entry.path, folder)
        frame = _frame(entry, picture, clip)
        if frame in found:
            raise InputError(f"{path}: camera {entry.id} has two pictures of one instant; take one out")
        if frame is not None:
            found[frame] = picture
    if not found:
        raise InputError(f"{path}: camera {first.id} has no picture of an instant that is used; take it out")
    pictures = [found[frame] for frame in sorted(found)]
    size = same_size(pictures, advice=AGAIN)
    check_shape(size, (first.camera.width, first.camera.height), pictures[0], path)
    camera = clip.fitted(to_clip.camera(first.camera), *size)
    collected.cameras.append(camera)
    read = files(pictures, (camera.width, camera.height), clip.options, share)
    for index, frame in enumerate(sorted(found)):
        collected.add(pose, frame, clip.time_of(frame), read, index)


def _entries(path: Path) -> list[Entry]:
    data = poses.read_json(path)
    if not isinstance(data, list) or not data or not all(isinstance(entry, dict) for entry in data):
        raise InputError(f"{path}: is not a list of pictures with their cameras; run the preprocessing again")
    return [_entry(entry, k, path) for k, entry in enumerate(data)]


def _entry(entry: dict[str, Any], k: int, path: Path) -> Entry:
    name = str(entry.get("file_path", f"entry {k}"))
    for key in ("id", "file_path", "transform_matrix", "time", "time_pseudo", "is_true_image"):
        if key not in entry:
            raise InputError(f"{path}: {name} has no {key}; run the preprocessing again")
    c2w = poses.rigid(entry["transform_matrix"], path, name)
    camera = pinhole(poses.inverted(c2w), entry, PINHOLE, name, path)
    time = number(entry["time"], f"time of {name}", path)
    if not 0 <= time <= 1:
        raise InputError(f"{path}: time of {name} is {time:g}, not in [0, 1]; restore it")
    identity = int(number(entry["id"], f"id of {name}", path))
    place = number(entry["time_pseudo"], f"time_pseudo of {name}", path)
    return Entry(identity, name, camera, time, place, bool(entry["is_true_image"]))


def _similarity(real: list[Entry], clip: Clip, path: Path) -> Similarity:
    """From the reconstruction's world to the clip's."""
    of_clip: dict[str, Camera] = {}
    for shot in clip.dataset.shots:
        of_clip.setdefault(shot.camera_name, shot.camera)
    of_list: dict[str, Camera] = {}
    for entry in real:
        of_list.setdefault(PurePosixPath(entry.path).stem.rpartition("_")[0], entry.camera)
    shared = [name for name in of_list if name in of_clip]
    if len(shared) < 2:
        raise InputError(
            f"{path}: its real cameras ({', '.join(of_list) or 'none'}) and the clip's ({', '.join(of_clip)}) share "
            "fewer than two names; name the pictures images/<camera>_<tttt>.png after the clip's cameras"
        )
    result = similarity_between([of_list[name] for name in shared], [of_clip[name] for name in shared])
    if not result.scale > 0:
        raise InputError(f"{path}: its real cameras do not stand as the clip's do; check which camera has which name")
    return result


def _located(written: str, folder: Path) -> Path:
    """The file of a path as written: from the folder, or from its ``preprocess`` on when it was made elsewhere."""
    parts = PurePosixPath(written).parts
    tails = [parts] + [parts[k:] for k, part in enumerate(parts) if part == "preprocess"]
    candidates = [folder.joinpath(*tail) for tail in tails]
    candidates += [c.with_name(c.name + ".png") for c in candidates]
    return next((c for c in candidates if c.is_file()), candidates[0])


def _frame(entry: Entry, picture: Path, clip: Clip) -> int | None:
    """The frame on the clip's clock, None where ``frame_step`` leaves it out."""
    written = re.search(r"time_(\d+)", entry.path)
    if written:
        return clip.frame_of(int(written[1]), picture)
    spacing = clip.time_of(1)
    if spacing == 0:
        return 0
    frame = round(entry.time / spacing)
    return frame if abs(entry.time / spacing - frame) * clip.options.frame_step <= 0.5 else None
