"""Where cameras were and what their lenses do, found in their pictures by COLMAP: features, matches, mapping.

    pictures -> features (batches) -> matches (blocks of pairs) -> mapping (attempts) -> refined lens -> checks
             -> undistorted pictures, cameras, points

All of it runs in this process through pycolmap. Features, matches and the result are kept in a folder whose name is a
hash of the pictures, masks and options: what was finished there is read, what was interrupted goes on.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from renderer.errors import InputError
from training.data.layouts import Report
from training.prepare.mapping_features import extract, match
from training.prepare.mapping_model import reconstruct
from training.prepare.mapping_result import finished, write_result
from training.prepare.mapping_types import MappedCameras, MappingFailed, MappingOptions, Picture, key_of

__all__ = ["MappedCameras", "MappingFailed", "MappingOptions", "map_moving", "map_static"]

OWN = re.compile(r"mapped-[0-9a-f]{16}")
FEWEST_MOVING = 3
"""Pictures of one moving camera; two say too little of its lens."""


def map_moving(
    images: Sequence[Path],
    masks: Sequence[Path | None] | None,
    work: Path,
    options: MappingOptions = MappingOptions(),  # noqa: B008 (frozen)
    report: Report = lambda text: None,
) -> MappedCameras:
    """The poses of one moving camera, its pictures in the order in which they were taken.

    ``masks``: a picture per picture, white where it is to be used, black where something moves. ``work``: a folder for
    what is kept; older results in it are removed. ``report`` may raise to cancel: nothing done is lost. The pictures
    that come back are undistorted and cropped to leave no blank pixels; those of one size share a camera.

    InputError for a picture or mask that cannot be read, MappingFailed when too few can be placed or the camera moves
    too little.
    """
    by_picture = masks if masks is not None else [None] * len(images)
    pictures = [
        Picture(path.name, path, mask, "moving") for path, mask in zip(images, by_picture, strict=True)
    ]  # fmt: skip
    if len(images) < FEWEST_MOVING:
        raise MappingFailed(
            f"{len(images)} pictures are too few to find where the camera was; give {FEWEST_MOVING} or more"
        )
    return _mapped(pictures, work, options, report, still=False)


def map_static(
    first_frames: Mapping[str, Path],
    extra: Sequence[Path],
    work: Path,
    options: MappingOptions = MappingOptions(),  # noqa: B008 (frozen)
    report: Report = lambda text: None,
) -> MappedCameras:
    """The poses and lenses of cameras that stand still, each from one picture of the same instant.

    ``extra``: pictures from between the cameras, in the order of a path, as a generator makes them or somebody walks
    with a camera; they help, and do not come back. Every camera has a lens of its own, extra pictures of one size share
    one. What comes back keeps the intrinsics and the sizes of the pictures given, so that with ``distortion`` it
    describes the cameras' videos. The rest is as of :func:`map_moving`.
    """
    pictures = [Picture(name, path, None, name) for name, path in first_frames.items()]
    pictures += [Picture("", path, None, "") for path in extra]
    if len(first_frames) < 2 or len(pictures) < FEWEST_MOVING:
        raise MappingFailed(
            f"{', '.join(first_frames)}: {len(pictures)} pictures are too few to find how cameras stand to each other "
            "and what their lenses are; give three cameras or more, or views from between them"
        )
    return _mapped(pictures, work, options, report, still=True)


def _mapped(
    pictures: Sequence[Picture], work: Path, options: MappingOptions, report: Report, still: bool
) -> MappedCameras:
    names = [p.name for p in pictures if p.name]
    if len(set(names)) < len(names):
        raise InputError(f"{pictures[0].path.parent}: two pictures have the same name; rename one")
    folder = work / f"mapped-{key_of(pictures, options, still)}"
    before = finished(folder)
    if before is not None:
        return before
    try:
        folder.mkdir(parents=True, exist_ok=True)
        database = folder / "database.db"
        extract(pictures, database, options, report)
        match(pictures, database, options, report)
        model = reconstruct(pictures, database, options, report, still)
        result = write_result(model, pictures, folder, report, still)
        for other in work.iterdir():
            if OWN.fullmatch(other.name) and other != folder:
                shutil.rmtree(other, ignore_errors=True)
    except OSError as problem:
        raise InputError(f"{folder}: cannot be written ({problem.strerror or problem}); choose another place") from None
    return result
