"""From matches to cameras and points: COLMAP's incremental mapping, tried more than once, then checked."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.data.layouts import Report
from training.prepare.mapping_features import opened
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
MOST_FOCAL_ERROR = 0.1
"""Standard deviation of the focal length, as a share of it, from which on it is a guess: five neighbouring pictures
of a clip which moves by a per cent of the depth had 0.2 and were wrong by half, eight had 0.02 and were right to 1 %.
"""
SURE_ANGLE, SURE_PICTURES = 5.0, 12
"""Degrees at the median point, and pictures, from which on the focal length needs no test."""
TRIED_FOCAL = 0.1
"""By which share the focal length is changed to see how much worse the points then fit."""
LENS_EVIDENCE = 50.0
"""By how many variances of a measured number a bent lens has to lower the sum of squares, per lens, to be believed."""
ITERATIONS, ROUNDS = 5, 20
"""Steps of a bundle adjustment in one go, between which others have their turn, and how often."""
IDENTITY = "start from equal cameras, which training then learns (--cameras identity, then --method ddr)"


def reconstruct(
    pictures: Sequence[Picture], database: Path, options: MappingOptions, report: Report, still: bool
) -> Model:
    """The model of an attempt that places most pictures, its lens refined; MappingFailed with what to try.

    A lens is first taken for straight: free coefficients fit two pictures of a small motion too well, and wrongly. What
    is placed with it is then adjusted with the whole lens. Thresholds on angles are lowered where they leave no model.
    """
    wanted = len(pictures)
    bends = options.camera_model not in ("SIMPLE_PINHOLE", "PINHOLE")
    attempts = [(False, False), (False, True)] + ([(True, True)] if bends else [])
    best: Any = None
    for number, (lens, relaxed) in enumerate(attempts):
        found = _attempt(database, _settings(options, lens, relaxed), wanted, number, report)
        if found is not None and (best is None or _worth(found) > _worth(best)):
            best = found
        if best is not None and best.num_reg_images() >= ENOUGH_SHARE * wanted and best.num_points3D() >= LEAST_POINTS:
            break
    _check_count(best, pictures, database, still)
    report("Adjusting the lens and all poses")
    cost = _adjust(best, options, lens=False, fixed_focal=options.fov is not None, report=report)
    if bends:
        bent = copy.deepcopy(best)
        gain = cost - _adjust(bent, options, lens=True, fixed_focal=options.fov is not None, report=report)
        bends = gain > LENS_EVIDENCE * len(best.cameras) * cost / _freedom(best)
        best = bent if bends else best
    focal_error = None
    if options.fov is None and (best.num_reg_images() < SURE_PICTURES or _median_angle(best) < SURE_ANGLE):
        report("Testing how well the focal length is known")
        focal_error = _focal_error(best, options, bends, report)
        if not focal_error <= MOST_FOCAL_ERROR:
            raise _too_still(pictures, still)
    return Model(best, focal_error)


def _worth(reconstruction: Any) -> tuple[int, int]:
    return reconstruction.num_reg_images(), reconstruction.num_points3D()


def _settings(options: MappingOptions, lens: bool, relaxed: bool) -> Any:
    settings = loaded_pycolmap().IncrementalPipelineOptions()
    settings.extract_colors = False
    settings.max_num_models = MOST_MODELS
    settings.num_threads = settings.mapper.num_threads = threads_of(options)
    settings.random_seed = settings.mapper.random_seed = settings.triangulation.random_seed = options.seed
    settings.ba_refine_extra_params = settings.mapper.abs_pose_refine_extra_params = lens
    settings.ba_refine_focal_length = settings.mapper.abs_pose_refine_focal_length = options.fov is None
    if relaxed:
        settings.mapper.init_min_tri_angle = RELAXED_START
        settings.mapper.init_min_num_inliers = 50
        settings.mapper.filter_min_tri_angle = settings.triangulation.min_angle = RELAXED_ANGLE
        settings.mapper.ba_local_min_tri_angle = 2 * RELAXED_ANGLE
    return settings


def _attempt(database: Path, settings: Any, wanted: int, number: int, report: Report) -> Any:
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
    return max(models.values(), key=_worth, default=None)


def _check_count(model: Any, pictures: Sequence[Picture], database: Path, still: bool) -> None:
    """MappingFailed when no model was found, or one of too few pictures or points."""
    with opened(database) as data:
        pairs = data.num_verified_image_pairs()
    placed = set() if model is None else {k - 1 for k in model.reg_image_ids()}
    wanted = [k for k, p in enumerate(pictures) if p.name]
    lost = [pictures[k].name for k in wanted if k not in placed]
    enough = len(wanted) - len(lost) >= max(2, LEAST_SHARE * len(wanted))
    if still and not enough:
        raise MappingFailed(
            f"{', '.join(lost)}: could not be placed beside the other cameras, as pictures from so far apart have too "
            "little in common; move cameras nearer to each other (neighbours within some 30 degrees), give pictures "
            "from between them (--between), or calibrate the cameras with another program and give a cameras.json"
        )
    if enough and model.num_points3D() >= LEAST_POINTS:
        return
    if pairs < len(wanted) - 1:
        raise MappingFailed(
            f"{pictures[0].path.parent}: hardly two of the pictures show the same things ({pairs} pairs match among "
            f"{len(wanted)} pictures); take more frames per second, a part of the clip without cuts and with more "
            f"texture, or {IDENTITY}"
        )
    if enough or len(placed) < 3:
        raise _too_still(pictures, still)
    raise MappingFailed(
        f"{pictures[0].path.parent}: only {len(wanted) - len(lost)} of {len(wanted)} pictures could be placed, "
        f"{lost[0]} is the first that could not; take a part of the clip without cuts, blur and quick turns, more "
        f"frames per second, or {IDENTITY}"
    )


def _too_still(pictures: Sequence[Picture], still: bool) -> MappingFailed:
    if still:
        return MappingFailed(
            f"{', '.join(p.name for p in pictures if p.name)}: too few pictures or too small angles between them to "
            "tell what the cameras' lenses are; give more cameras or pictures from between them (--between), or "
            "calibrate the cameras with another program and give a cameras.json"
        )
    return MappingFailed(
        f"{pictures[0].path.parent}: the camera moves too little to find where it was; take a part of the clip, or "
        f"a video, in which it moves more, or {IDENTITY}"
    )


def _adjust(model: Any, options: MappingOptions, lens: bool, fixed_focal: bool, report: Report) -> float:
    """Bundle adjustment in place, of poses, points and intrinsics; half the sum of squared errors, pixels squared.

    In short pieces, because pycolmap lets no other thread of Python run meanwhile.
    """
    pycolmap = loaded_pycolmap()
    settings, scope = pycolmap.BundleAdjustmentOptions(), pycolmap.BundleAdjustmentConfig()
    settings.print_summary = False
    settings.refine_extra_params, settings.refine_focal_length = lens, not fixed_focal
    solver = settings.ceres.solver_options
    solver.num_threads, solver.max_num_iterations = threads_of(options), ITERATIONS
    for number in model.reg_image_ids():
        scope.add_image(number)
    scope.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    before = math.inf
    for k in range(ROUNDS):
        with quiet():
            summary = pycolmap.create_default_ceres_bundle_adjuster(settings, scope, model).solve().ceres_summary
        if before - summary.final_cost < 1e-5 * summary.final_cost:
            break
        before = summary.final_cost
        report(f"Adjusting: round {k + 1}, {math.sqrt(2 * before / max(1, summary.num_residuals)):.3f} pixels")
    model.update_point_3d_errors()
    return float(summary.final_cost)


def _focal_error(model: Any, options: MappingOptions, lens: bool, report: Report) -> float:
    """Standard deviation of the focal lengths, as a share of them, by how much worse all fits with others.

    With errors of variance s^2, the sum of squares grows by s^2 (change / deviation)^2 when everything else follows;
    the worse of a longer and a shorter one counts.
    """
    best = copy.deepcopy(model)
    cost = _adjust(best, options, lens, fixed_focal=False, report=report)
    deviations = []
    for factor in (1 - TRIED_FOCAL, 1 + TRIED_FOCAL):
        other = copy.deepcopy(best)
        for camera in other.cameras.values():
            values = np.array(camera.params)
            values[list(camera.focal_length_idxs())] *= factor
            camera.params = values
        growth = (_adjust(other, options, lens, fixed_focal=True, report=report) - cost) / (cost / _freedom(best))
        deviations.append(TRIED_FOCAL / math.sqrt(growth) if growth > 0 else math.inf)
    return max(deviations)


def _freedom(model: Any) -> int:
    """How many measured numbers there are beyond those that were found from them."""
    measured = sum(2 * p.track.length() for p in model.points3D.values())
    return max(1, measured - 3 * model.num_points3D() - 6 * model.num_reg_images())


def _median_angle(model: Any) -> float:
    """Degrees between the two most different rays of the median point."""
    centers = {k: model.images[k].projection_center() for k in model.reg_image_ids()}
    angles = []
    for point in model.points3D.values():
        rays = np.stack([centers[e.image_id] - point.xyz for e in point.track.elements])
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        angles.append(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1))))
    return float(np.median(angles))
