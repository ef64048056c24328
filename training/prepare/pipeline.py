"""From sources to a scene folder: offsets, frames, masks of what moves, cameras; each step is done once.

A step is known by a key of its inputs: which files, of what size and when they were written, which options, and the
version of what the step does. What it made stays in the folder, so that the same command does nothing a second time and
an interrupted one goes on at the step that was not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.images import image_size, read_image
from training.data.layouts import DataOptions, Report
from training.data.loading import open_dataset
from training.prepare.decode import StoppedError, decoded, write_clip, write_pictures
from training.prepare.mapping import MappingFailed, MappingOptions, map_moving, map_static
from training.prepare.mapping_types import VERSION as MAPPING_VERSION
from training.prepare.planning import Cameras, Plan, PrepareOptions, check, planned, repeats
from training.prepare.scene_folder import SceneFolder, key_of, lay_out_moving, lay_out_static, lay_out_unposed, taken
from training.prepare.sources import FRAMES_RATE, Source, find_sources, identity, open_sources
from training.prepare.synchronise import Offset, find_offsets
from training.priors.flow import cached_flow, dis_flow
from training.priors.motion_masks import moving_pixels

Stop = Callable[[], bool]

VERSIONS = {"synchronise": 1, "frames": 1, "between": 1, "masks": 1, "cameras": MAPPING_VERSION}
"""Raised when a step makes something else of the same inputs."""
NOT_ASKED = "they were not looked for"
"""Why the cameras of a scene are not known where nobody wanted them."""
MANY = 900
"""Frames from which finding the cameras of a moving clip takes long."""
MASK_MEGAPIXELS = 0.03
"""Size at which moving pixels are found."""
MOSTLY_MOVING = 0.7
"""Share of a picture from which its mask is not believed, or leaves too little."""
BETWEEN_RATE = 2.0
"""Frames per second of a walk from camera to camera."""
STILL = 0.01
"""Share of the width by which most of a picture may move from the first frame to the last of a camera on a tripod."""


@dataclass(frozen=True)
class Prepared:
    """A scene folder. ``poses``: how training opens it. ``reason``: why its cameras are not known, empty where they
    are. ``error``: mean reprojection error, pixels; None without cameras."""

    folder: Path
    poses: Literal["stated", "identity"]
    frames: int
    fps: float
    reason: str = ""
    error: float | None = None


def prepare(
    given: Sequence[Path], out: Path, options: PrepareOptions, *, overwrite: bool = False,
    report: Report = lambda text: None, should_stop: Stop = lambda: False,
) -> Prepared:  # fmt: skip
    """Make the scene folder ``out`` of videos or folders of frames: of one, a moving camera; of several, synchronised
    cameras that stand still.

    InputError, one sentence, for sources and options that do not fit, for offsets and cameras that cannot be found, and
    when ``out`` is finished with other inputs, unless ``overwrite``. StoppedError when ``should_stop`` says so; what is
    finished then counts for the next time.
    """
    paths = find_sources(given)
    check(options, len(paths))
    between = [] if options.between is None else find_sources([options.between])
    if len(between) > 1:
        raise InputError(f"{options.between}: holds {len(between)} clips; give --between one of them")
    inputs = _inputs(paths, between, options)
    with taken(out) as folder:
        same = folder.record.get("inputs") == inputs
        if folder.finished and same and _serves(folder, options.cameras):
            report(f"{out}: is prepared already from these sources with these options")
            return _prepared(folder)
        if folder.finished and not overwrite and not (same and folder.record["cameras"] == "unknown"):
            raise InputError(
                f"{out}: is prepared already, with other sources or options; add --overwrite, or another --out"
            )
        sources = open_sources(paths, options.fps or FRAMES_RATE)
        folder.write()
        found = _offsets(folder, sources, options, report, should_stop)
        plan = planned(sources, [o.seconds for o in found], options)
        folder.described = {**_described(plan, found, report), "inputs": inputs}
        if len(sources) == 1:
            cameras, reason, error = _one_moving(folder, plan, options, report, should_stop)
        else:
            cameras, reason, error = _several_still(folder, plan, between, options, report, should_stop)
        folder.record |= {"cameras": cameras, "reason": reason, "error": error, "finished": True}
        folder.write()
        return _prepared(folder)


def is_free(out: Path, given: Sequence[Path]) -> bool:
    """Whether :func:`prepare`, with no options, makes the scene ``out`` of what was filmed or has made it, and loses no
    other one. InputError as of the sources."""
    inputs = _inputs(find_sources(given), [], PrepareOptions())
    try:
        folder = SceneFolder(out)
    except InputError:
        return False
    return not folder.finished or folder.record.get("inputs") == inputs


def _inputs(paths: Sequence[Path], between: Sequence[Path], options: PrepareOptions) -> str:
    """The key of all that a scene is made of, but for whether its cameras are looked for."""
    wanted = {**asdict(options), "cameras": "", "between": [identity(path) for path in between]}
    return key_of([identity(path) for path in paths], wanted, VERSIONS)


def _serves(folder: SceneFolder, cameras: Cameras) -> bool:
    """Whether the cameras of a finished scene are what is asked for."""
    known = folder.record["cameras"] != "unknown"
    if cameras == "auto":
        return known or folder.record["reason"] != NOT_ASKED
    return known == (cameras == "mapped")


def _prepared(folder: SceneFolder) -> Prepared:
    record = folder.record
    poses: Literal["stated", "identity"] = "identity" if record["cameras"] == "unknown" else "stated"
    return Prepared(folder.path, poses, record["frames"], record["fps"], record["reason"], record["error"])


# ------------------------------------------------------------------------------------------------ steps


def _offsets(
    folder: SceneFolder, sources: Sequence[Source], options: PrepareOptions, report: Report, should_stop: Stop
) -> list[Offset]:
    """The step ``synchronise``; nothing to do for one clip and for given offsets."""
    if len(sources) == 1:
        return [Offset(0.0, 1.0, "first")]
    if options.offsets:
        return [Offset(o - options.offsets[0], 1.0, "given") for o in options.offsets]
    key = key_of(VERSIONS["synchronise"], [identity(s.path) for s in sources], [s.rate for s in sources])
    result = folder.found("synchronise", key)
    if result is None:
        result = folder.keep("synchronise", key, [asdict(o) for o in find_offsets(sources, report, should_stop)])
    return [Offset(**entry) for entry in result]


def _described(plan: Plan, offsets: Sequence[Offset], report: Report) -> dict[str, object]:
    """Say what is made. Returns what the record says of it."""
    for source, offset in zip(plan.sources, offsets, strict=True):
        if offset.by in ("sound", "motion"):
            when = f"began {offset.seconds:+.3f} s after {plan.sources[0].name}"
            report(f"{source.name}: {when}, as the {offset.by} tells (confidence {offset.confidence:.2f})")
        again = repeats(source, plan.instants[source.name])
        if again:
            report(f"{source.name}: {again} of {plan.count} frames repeat the one before, as the film has gaps there")
    if len(plan.sources) == 1 and plan.count > MANY:
        report(f"{plan.count} frames are many; --fps, --start and --end take fewer")
    return {
        "sources": [
            {"path": str(s.path.resolve()), "name": s.name, "kind": s.kind, "size": list(s.size), "fps": s.rate,
             "variable_rate": s.uneven, "duration": s.duration, "offset": o.seconds, "offset_by": o.by,
             "confidence": o.confidence, "start": plan.instants[s.name].start,
             "prepared_size": list(plan.sizes[s.name])}
            for s, o in zip(plan.sources, offsets, strict=True)
        ],
        "fps": plan.fps,
        "frames": plan.count,
        "versions": {"dynview": _version("dynview"), "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
                     "pycolmap": _version("pycolmap")},
    }  # fmt: skip


def shift(first: NDArray[np.uint8], last: NDArray[np.uint8]) -> float:
    """By which share of the width half of a picture (H, W, 3) at least has moved in another one."""
    width = 160
    small = [cv2.resize(i, (width, max(16, round(width * i.shape[0] / i.shape[1])))) for i in (first, last)]
    flow = dis_flow(*(np.asarray(i, np.uint8) for i in small))
    return float(np.median(np.linalg.norm(flow, axis=-1))) / width


def _one_moving(
    folder: SceneFolder, plan: Plan, options: PrepareOptions, report: Report, should_stop: Stop
) -> tuple[str, str, float | None]:
    """Frames, masks and cameras of one clip: what they are, why they are not known, and their error."""
    (source,) = plan.sources
    frames, key = _pictures_of(folder, "frames", source, plan, report, should_stop)
    if options.cameras == "identity":
        with folder.replaced() as to:
            lay_out_unposed(frames, to)
        return "unknown", NOT_ASKED, None
    pictures = sorted(frames.iterdir())
    masks, masks_key = _masks(folder, frames, key, report, should_stop)
    step = key_of(VERSIONS["cameras"], key, masks_key)
    failed = folder.found("cameras", step)
    reason = "" if failed is None else str(failed["failed"])
    if not reason:
        try:
            work, told = folder.kept / "mapping", _stopping(report, should_stop, source.name)
            mapped = map_moving(pictures, masks, work, MappingOptions(), told)
            if mapped.missing:
                report(f"{len(mapped.missing)} of {len(pictures)} pictures have no pose and are left out")
            with folder.replaced() as to:
                lay_out_moving(mapped, to)
            return "moving", "", mapped.error
        except MappingFailed as problem:
            reason = str(problem)
            folder.keep("cameras", step, {"failed": reason})
    if options.cameras == "mapped":
        raise MappingFailed(reason)
    report(f"No cameras were found: {reason}")
    with folder.replaced() as to:
        lay_out_unposed(frames, to)
    return "unknown", reason, None


def _several_still(
    folder: SceneFolder, plan: Plan, between: Sequence[Path], options: PrepareOptions, report: Report, should_stop: Stop
) -> tuple[str, str, float | None]:
    """Synchronised videos and cameras of several clips."""
    clips = folder.kept / "clips"
    moved = []
    for source in plan.sources:
        size, instants = plan.sizes[source.name], plan.instants[source.name]
        key = key_of(VERSIONS["frames"], identity(source.path), asdict(instants), size)
        step, path = f"clip {source.name}", clips / f"{source.name}.mp4"
        result = folder.found(step, key) if path.is_file() and path.with_suffix(".png").is_file() else None
        if result is None:
            report(f"Decoding {source.name}: {plan.count} frames of {size[0]}x{size[1]}")
            folder.forget(step)
            offset = plan.instants[plan.sources[0].name].start - instants.start
            frames = decoded(source, size, instants, offset)
            first, last = write_clip(frames, path, size, plan.fps, plan.count, report, should_stop)
            result = folder.keep(step, key, {"moved": shift(first, last)})
        if result["moved"] > STILL:
            moved.append(source.name)
    if moved:
        report(f"{', '.join(moved)}: seems to move during the clip; cameras that film together have to stand still")
    extra = [picture for path in between for picture in _between(folder, path, options, report, should_stop)]
    first_frames = {s.name: clips / f"{s.name}.png" for s in plan.sources}
    told = _stopping(report, should_stop, plan.sources[0].name)
    mapped = map_static(first_frames, extra, folder.kept / "mapping", MappingOptions(), told)
    if mapped.missing:
        raise MappingFailed(
            f"{', '.join(mapped.missing)}: shares too little with the other cameras to be placed; add --between with "
            "pictures from the way between them, or leave it out"
        )
    with folder.replaced() as to:
        lay_out_static(mapped, {s.name: clips / f"{s.name}.mp4" for s in plan.sources}, plan.count, plan.fps, to)
    return "static", "", mapped.error


def _stopping(report: Report, should_stop: Stop, name: str) -> Report:
    """The report, which ends what it is told of when somebody wants that."""

    def told(text: str) -> None:
        if should_stop():
            raise StoppedError(f"{name}: stopped; the same command goes on where it was")
        report(text)

    return told


def _pictures_of(
    folder: SceneFolder, step: str, source: Source, plan: Plan, report: Report, should_stop: Stop
) -> tuple[Path, str]:
    """The folder of a clip's frames, and the key of what is in it."""
    size, instants = plan.sizes[source.name], plan.instants[source.name]
    key = key_of(VERSIONS[step], identity(source.path), asdict(instants), size)
    pictures = folder.kept / step
    if folder.found(step, key) is None or not pictures.is_dir():
        report(f"Decoding {source.name}: {plan.count} frames of {size[0]}x{size[1]}")
        folder.forget(step)
        frames = decoded(source, size, instants, None if step == "between" else 0.0)
        write_pictures(frames, pictures, instants.count, source.name, report, should_stop)
        folder.keep(step, key, instants.count)
    return pictures, key


def _between(
    folder: SceneFolder, path: Path, options: PrepareOptions, report: Report, should_stop: Stop
) -> list[Path]:  # fmt: skip
    """Pictures that connect the cameras."""
    (source,) = open_sources([path], BETWEEN_RATE)
    sizes = PrepareOptions(fps=min(BETWEEN_RATE, source.rate), megapixels=options.megapixels, longest=options.longest)
    pictures, _ = _pictures_of(folder, "between", source, planned([source], [0.0], sizes), report, should_stop)
    return sorted(pictures.iterdir())


def _masks(
    folder: SceneFolder, frames: Path, frames_key: str, report: Report, should_stop: Stop
) -> tuple[list[Path | None], str]:
    """A mask per picture, None where none is believed, and the key of what is in them."""
    pictures = sorted(frames.iterdir())
    key, masks = key_of(VERSIONS["masks"], frames_key, MASK_MEGAPIXELS), folder.kept / "masks"
    if folder.found("masks", key) is None or not masks.is_dir():
        report(f"Looking for what moves in {len(pictures)} pictures")
        folder.forget("masks")
        write_pictures(_still_pixels(frames, pictures), masks, len(pictures), "Masks", report, should_stop)
        folder.keep("masks", key, len(pictures))
    found = [masks / picture.name for picture in pictures]
    return [path if read_image(path).mean() > 255 * (1 - MOSTLY_MOVING) else None for path in found], key


def _still_pixels(frames: Path, pictures: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """(H, W) per picture, 255 where it shows nothing that moves, else 0; all 255 where that cannot be told."""
    clip = open_dataset(frames, DataOptions(megapixels=MASK_MEGAPIXELS, poses="identity", holdout=("none",)))
    flow, size = cached_flow(clip), image_size(pictures[0])
    for k in range(len(pictures)):
        try:
            still = np.where(moving_pixels(clip, k, flow), 0, 255).astype(np.uint8)
        except cv2.error:  # OpenCV's search for a fundamental matrix trips over an empty one now and then
            still = np.full((16, 16), 255, np.uint8)
        yield np.asarray(cv2.resize(still, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
