"""From matches to cameras and points: COLMAP's incremental mapping, tried more than once, and judged."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.data.layouts import Report
from training.prepare.mapping_adjust import SURE_ANGLE, focal_errors, median_angle, with_lens
from training.prepare.mapping_features import opened
from training.prepare.mapping_turning import turning_error
from training.prepare.mapping_types import (
    MappingFailed,
    MappingOptions,
    Model,
    Picture,
    loaded_pycolmap,
    quiet,
    threads_of,
)

LEAST_SHARE = 0.6
"""Of the pictures that must be placed."""
ENOUGH_SHARE = 0.9
"""Of the pictures, from which on no other attempt is made."""
LEAST_POINTS = 50
"""Points of a model that is believed."""
MOST_MODELS = 5
"""Models that one attempt may begin."""
RELAXED_START, RELAXED_ANGLE = 2.0, 0.5
"""Degrees between rays for the first two pictures and for a point, where COLMAP's usual 16 and 1.5 give no model."""
RELAXED_MATCHES = 50
"""Matches of the first two pictures, where COLMAP's usual 100 give no model."""
LEAST_MATCHES = 15
"""Matches of two pictures that show the same things, as COLMAP has it."""
STARTS, HELD = (0.8, 1.2), (0.55, 0.8, 1.2)
"""Focal lengths from which the usual mapping begins, and those with which small motions are mapped, as shares of the
longer side: 85, 64 and 45 degrees."""
SHARP = 0.7
"""Pixels of error from which on other attempts are made: the clips measured had 0.3 to 0.7 with the right cameras, and
0.9 to 1.1 with wrong ones that took moving people for a part of the place."""
MOST_FOCAL_ERROR = 0.1
"""Standard deviation of a focal length, as a share of it, from which on it is a guess: five neighbouring pictures of a
clip which moves by a per cent of the depth had 0.2 and were wrong by half, eight had 0.02 and were right to 1 %."""
LEAST_TURNING_ERROR = 2.0
"""How much worse a camera that only turned must explain a model's points: it did 1.1 to 1.3 times as badly where that
was the truth, 1.6 in the five pictures above, 2.4 in the eight, 19 and more in three pictures of a camera rig."""
IDENTITY = "start from equal cameras, which training then learns (--cameras identity, then --method ddr)"
CALIBRATE = "calibrate the cameras with another program and give a cameras.json"


@dataclass(frozen=True)
class Attempt:
    """``start``: focal length as a share of the longer side, None for what the database says; it is ``held`` while
    pictures are placed. ``relaxed``: small angles are enough."""

    start: float | None = None
    held: bool = False
    relaxed: bool = False


def reconstruct(
    pictures: Sequence[Picture], database: Path, options: MappingOptions, report: Report, still: bool
) -> Model:
    """The model that places most pictures, with least error, and is believed; MappingFailed with what to try.

    COLMAP's usual mapping is enough where pictures are far apart. Where they are not, its adjustment of the first two
    runs away with the focal length, to errors as small as the truth's: they are mapped with several ones that are held,
    and only the whole is adjusted. The lens is taken for straight till then, for the same reason.
    """
    if options.fov is None:
        attempts = [Attempt(start) for start in STARTS] + [Attempt(start, held=True, relaxed=True) for start in HELD]
    else:
        attempts = [Attempt(held=True), Attempt(held=True, relaxed=True)]
    largest: Any = None
    unsure: list[str] | None = None
    fisheye = False
    believed: list[Model] = []
    for number, attempt in enumerate(attempts):
        found = _mapped(database, _settings(options, attempt), attempt, len(pictures), number, report)
        if found is None:
            continue
        if largest is None or _worth(found, pictures) > _worth(largest, pictures):
            largest = found
        if not _is_enough(found, pictures, LEAST_SHARE):
            continue
        model = with_lens(found, options, report)
        if model is None or (not still and turning_error(model) < LEAST_TURNING_ERROR):
            unsure = unsure or [pictures[0].name]
            continue
        errors = focal_errors(model, options, report)
        guessed = [n for n, error in _by_name(model, errors, pictures).items() if not error <= MOST_FOCAL_ERROR]
        if guessed:
            unsure = unsure or guessed
            fisheye = fisheye or (math.inf in errors.values() and median_angle(model) >= SURE_ANGLE)
            continue
        believed.append(Model(model, max(errors.values(), default=None)))
        sure = median_angle(model) >= SURE_ANGLE and _error(model) <= SHARP
        if sure and _is_enough(model, pictures, ENOUGH_SHARE):
            break
    if believed:
        return min(believed, key=lambda m: (-len(_placed(m.reconstruction, pictures)), _error(m.reconstruction)))
    if fisheye:
        raise MappingFailed(
            f"{pictures[0].path.parent}: the lens bends straight lines more than its model can; film with the camera's "
            "linear setting, or undistort the pictures with its own calibration first"
        )
    if unsure is not None:
        raise _too_still(pictures, still, unsure)
    raise _too_few(largest, pictures, database, still)


def _error(model: Any) -> float:
    return float(model.compute_mean_reprojection_error())


def _placed(model: Any, pictures: Sequence[Picture]) -> list[str]:
    """Names of the pictures that come back with a pose."""
    registered = set(model.reg_image_ids())
    return [p.name for k, p in enumerate(pictures) if p.name and k + 1 in registered]


def _worth(model: Any, pictures: Sequence[Picture]) -> tuple[int, int]:
    return len(_placed(model, pictures)), model.num_points3D()


def _is_enough(model: Any, pictures: Sequence[Picture], share: float) -> bool:
    wanted = sum(bool(p.name) for p in pictures)
    return len(_placed(model, pictures)) >= max(2, share * wanted) and model.num_points3D() >= LEAST_POINTS


def _by_name(model: Any, errors: dict[int, float], pictures: Sequence[Picture]) -> dict[str, float]:
    """Errors of lenses by the names of the pictures that come back with a pose."""
    placed = set(_placed(model, pictures))
    return {
        p.name: errors.get(model.images[k + 1].camera_id, 0.0) for k, p in enumerate(pictures) if p.name in placed
    }  # fmt: skip


def _settings(options: MappingOptions, attempt: Attempt) -> Any:
    settings = loaded_pycolmap().IncrementalPipelineOptions()
    settings.extract_colors = False
    settings.max_num_models = MOST_MODELS
    settings.num_threads = settings.mapper.num_threads = threads_of(options)
    settings.random_seed = settings.mapper.random_seed = settings.triangulation.random_seed = options.seed
    settings.ba_refine_extra_params = settings.mapper.abs_pose_refine_extra_params = False
    settings.ba_refine_focal_length = settings.mapper.abs_pose_refine_focal_length = not attempt.held
    if attempt.relaxed:
        settings.mapper.init_min_tri_angle = RELAXED_START
        settings.mapper.init_min_num_inliers = RELAXED_MATCHES
        settings.mapper.filter_min_tri_angle = settings.triangulation.min_angle = RELAXED_ANGLE
        settings.mapper.ba_local_min_tri_angle = 2 * RELAXED_ANGLE
    return settings


def _mapped(database: Path, settings: Any, attempt: Attempt, wanted: int, number: int, report: Report) -> Any:
    """The largest model, None where there is none."""
    placed = 1
    which = f"Attempt {number + 1}: " if number else ""

    def next_picture() -> None:
        nonlocal placed
        placed += 1
        report(f"{which}Placed {min(placed, wanted)} of {wanted} pictures")

    def first_pair() -> None:
        nonlocal placed
        placed = 2
        report(f"{which}Placed 2 of {wanted} pictures")

    if attempt.start is not None:
        _start_from(database, attempt.start)
    folder = database.with_name("models")
    folder.mkdir(exist_ok=True)
    report(f"{which}Looking for two pictures to begin with")
    try:
        with quiet():
            models = loaded_pycolmap().incremental_mapping(
                database, folder, folder, options=settings, initial_image_pair_callback=first_pair,
                next_image_callback=next_picture,
            )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return max(models.values(), key=lambda m: (m.num_reg_images(), m.num_points3D()), default=None)


def _start_from(database: Path, share: float) -> None:
    """Set the focal lengths of all cameras in the database."""
    with opened(database) as data:
        for camera in data.read_all_cameras():
            values = np.array(camera.params)
            values[list(camera.focal_length_idxs())] = share * max(camera.width, camera.height)
            camera.params = values
            data.update_camera(camera)


def _too_few(largest: Any, pictures: Sequence[Picture], database: Path, still: bool) -> MappingFailed:
    """What to say when no model is large enough."""
    folder, names = pictures[0].path.parent, [p.name for p in pictures if p.name]
    placed = [] if largest is None else _placed(largest, pictures)
    lost = [name for name in names if name not in placed]
    if still:
        if len(placed) < 2:
            lost = names
        return MappingFailed(
            f"{', '.join(lost or names)}: could not be placed beside {'the others' if lost != names else 'each other'},"
            " as their pictures have too little in common; move cameras nearer to each other (neighbours within some "
            f"30 degrees), give pictures from between them (--between), or {CALIBRATE}"
        )
    with opened(database) as data:
        pairs = sum(count >= LEAST_MATCHES for count in data.read_two_view_geometry_num_inliers()[1])
    if pairs < len(names) - 1:
        return MappingFailed(
            f"{folder}: hardly two of the pictures show the same things ({pairs} pairs match among {len(names)} "
            f"pictures); take more frames per second, a part without cuts and with more texture, or {IDENTITY}"
        )
    if len(placed) < 3 or len(placed) >= LEAST_SHARE * len(names):
        return _too_still(pictures, still, names)
    return MappingFailed(
        f"{folder}: only {len(placed)} of {len(names)} pictures could be placed, not {lost[0]} and others; "
        f"take a part without cuts, blur and quick turns, more frames per second, or {IDENTITY}"
    )


def _too_still(pictures: Sequence[Picture], still: bool, unsure: Sequence[str]) -> MappingFailed:
    """What to say when positions and lenses cannot be told apart; of cameras that stand still, which are not known."""
    if still:
        return MappingFailed(
            f"{', '.join(unsure)}: too few matches, or too small angles to the others, to tell what the lens is; give "
            f"more cameras or pictures from between them (--between), or {CALIBRATE}"
        )
    return MappingFailed(
        f"{pictures[0].path.parent}: the camera moves too little to find where it was; take a part of the clip, or a "
        f"video, in which it moves more, or {IDENTITY}"
    )
