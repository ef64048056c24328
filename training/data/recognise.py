"""What a folder or file is: a clip of some layout, a run, or pictures and videos that nothing is known of.

:func:`recognise` looks no further than it takes to say in a sentence what somebody has dropped on the window: names,
small tables, the heads of files; no picture or video is decoded. :func:`training.data.loading.open_dataset` opens a
clip by the same layouts, and may still find what a look at the names cannot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shlex import quote

from renderer.errors import InputError
from renderer.files.packed_ply import PACKED
from renderer.files.ply_elements import LONGEST_HEADER
from renderer.files.read_scene import SUFFIXES, UNREAD
from training.checkpoint import FORMAT, STEP_NAME, checkpoint_folders, is_checkpoint, is_run, read_json
from training.data.layouts import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Layout, Recognised, is_demo, layout_of, layouts
from training.data.looks import counted, names_in, pictures_in

INSIDE = {"images", "checkpoints", "generated", "preprocess"}
"""Folders that are a part of the clip or run that they lie in, beside those of a layout."""
FOREIGN = {"intri.yml": "EasyVolcap"}
"""Files with cameras that are not read, and whose layout they are."""
BY_ITSELF = "It has no clip: it can be looked at, and exported; it cannot be trained."
DEMOS = {
    "sparse": "Three cameras on tripods filmed it.",
    "small-motion": "The camera hardly moves, and this method finds depth all the same.",
}
"""The demo scenes, and why their method is suggested."""
MOST_LISTED = 200
"""Folders of a folder that are looked into."""


def recognise(path: str | Path) -> Recognised:
    """What a folder or file is; never raises. A file, or a folder such as ``images``, stands for what it belongs to."""
    if is_demo(path):
        return _demo(str(path))
    given = Path(os.path.expanduser(path)).absolute()
    try:
        if not given.exists():
            return Recognised(given, "nothing", False, "not there", (f"{given}: no such file or folder.",))
        if _is_scene_file(given):
            return _scene(given)
        for place in _places(given):
            if is_run(place):
                return _run(place)
            layout = layout_of(place)
            if layout is not None:
                return _clip(place, layout)
        if is_checkpoint(given) or is_checkpoint(given.parent):
            return Recognised(given, "scene", True, "a checkpoint", (BY_ITSELF,))
        return _file(given) if given.is_file() else _without_cameras(given)
    except OSError as problem:
        return Recognised(given, "nothing", False, "not readable", (f"{given}: {problem.strerror or problem}.",))


def generated_beside(folder: Path) -> Path | None:
    """The folder of generated views that lies in a clip's own; None where there is none."""
    if (folder / "generated").exists():
        return folder / "generated"
    return folder if (folder / "sfm_transforms_extend.json").exists() else None


def not_understood(folder: Path) -> str:
    """The sentence for a folder without a clip that can be opened."""
    suffixes = {Path(name).suffix.lower() for name in (*names_in(folder), *names_in(folder / "images"))}
    if suffixes & IMAGE_SUFFIXES:
        return (
            f"{folder}: pictures without camera poses; add COLMAP's sparse/0, transforms.json (nerfstudio), "
            "poses_bounds.npy (LLFF) or precomputed.json beside them, or learn the poses with --method ddr "
            "--data.poses identity if the camera hardly moved"
        )
    if suffixes & VIDEO_SUFFIXES:
        return (
            f"{folder}: videos without a calibration; find their cameras with {_command(folder)}, or add cameras.json "
            "with each one's K and world_to_camera"
        )
    return (
        f"{folder}: no clip found; expected cameras.json with videos, a folder of images with transforms.json, "
        "poses_bounds.npy, precomputed.json or COLMAP's sparse/0, or one of the data sets of the README"
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
    what = f"a run of {method} {at}, trained on {name}"
    there = is_demo(source) or Path(source).exists()
    if not there:
        missing.append(f"Its clip, {source}, is not there any more; put it back.")
        if saved:
            alone = "Until then its scene can be looked at, and exported."
            return Recognised(checkpoint_folders(folder)[-1], "scene", True, what, (*missing, alone))
    return replace(
        result, opens=there, what=what, missing=tuple(missing), method=method, reason="It was begun with it."
    )


# ----------------------------------------------------------------------------------- a clip with cameras


def _clip(folder: Path, layout: Layout) -> Recognised:
    try:
        result = layout.look(folder)
    except InputError as problem:
        return Recognised(folder, layout.name, False, f"a clip ({layout.name})", (f"{problem}.",))
    views = generated_beside(folder)
    if views is not None and result.opens:
        where = f"in {views.name}" if views != folder else "beside its pictures"
        reason = f"It has generated views {where}, and this method learns from them."
        return replace(result, method="sparsecam4d", reason=reason)
    return result


# -------------------------------------------------------------------------------- what has no cameras


def _without_cameras(folder: Path) -> Recognised:
    pictures = pictures_in(folder / "images") if (folder / "images").is_dir() else pictures_in(folder)
    videos = [name for name in names_in(folder) if Path(name).suffix.lower() in VIDEO_SUFFIXES]
    unread = [
        f"Cameras in {name}, the layout of {whose}, are not read; COLMAP's sparse/0 is."
        for name, whose in FOREIGN.items()
        if (folder / name).is_file()
    ]
    if pictures:
        advice = (
            "There are no camera poses: they are learned with the scene, which works where the camera hardly moved. "
            "For a camera that moved, add COLMAP's sparse/0, transforms.json, poses_bounds.npy or precomputed.json."
        )
        reason = "It learns the cameras' poses with the scene."
        what = f"{counted(len(pictures), 'picture')} without cameras"
        if len(pictures) < 2:
            return Recognised(folder, "pictures without cameras", False, what, ("Two pictures at least are needed.",))
        return Recognised(
            folder, "pictures without cameras", True, what, (*unread, advice), "ddr", reason, "identity"
        )  # fmt: skip
    if videos:
        what = f"{counted(len(videos), 'video')} without a calibration"
        return Recognised(folder, "videos without cameras", False, what, (*unread, _to_prepare(folder)))
    scenes = [name for name in names_in(folder) if _is_scene_file(folder / name)]
    if len(scenes) == 1:
        return _scene(folder / scenes[0])
    if scenes:
        listed = ", ".join(scenes[:5]) + (", ..." if len(scenes) > 5 else "")
        return Recognised(folder, "nothing", False, f"{len(scenes)} scene files", (f"Open one of them: {listed}.",))
    folders = [place for name in names_in(folder)[:MOST_LISTED] if (place := folder / name).is_dir()]
    inside = [place.name for place in folders if is_run(place) or layout_of(place)]
    if inside:
        listed = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
        advice = f"Open one of them: {listed}."
        return Recognised(folder, "nothing", False, f"a folder with {counted(len(inside), 'clip or run')}", (advice,))
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
        what = "a video without a calibration"
        return Recognised(path, "videos without cameras", False, what, (_to_prepare(path),))
    missing = ("Give the folder of a clip or of a run.",)
    return Recognised(path, "nothing", False, f"a file that is not understood ({path.name})", missing)


def _to_prepare(path: Path) -> str:
    return f"Its cameras are not known; {_command(path)} looks for them, or add cameras.json."


def _command(path: Path) -> str:
    """To look for the cameras of what was filmed."""
    return f"dynview prepare {quote(str(path))} --out SCENE"


def _is_scene_file(path: Path) -> bool:
    """By its ending; a .ply, which may hold the points of a clip, by its first bytes too."""
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, *UNREAD) or not path.is_file():
        return False
    if suffix != ".ply":
        return True
    with path.open("rb") as file:
        head = file.read(LONGEST_HEADER)
    return b"f_dc_0" in head or PACKED[0].encode() in head


def _scene(path: Path) -> Recognised:
    what, suffix = f"a scene file ({path.name})", path.suffix.lower()
    if suffix in UNREAD:
        advice = f"Files of {UNREAD[suffix]} own kind are not read; convert it to .ply or .spz."
        return Recognised(path, "scene", False, what, (advice,))
    return Recognised(path, "scene", True, what, (BY_ITSELF,))


# ------------------------------------------------------------------------------------------------ files


def _places(path: Path) -> Iterator[Path]:
    """The folder that was meant, innermost first."""
    place = path if path.is_dir() else path.parent
    yield place
    inside = INSIDE.union(*(layout.inside for layout in layouts()))
    while place.name in inside or STEP_NAME.match(place.name):
        place = place.parent
        yield place
