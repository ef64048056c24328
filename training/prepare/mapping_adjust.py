"""Bundle adjustment of a model of COLMAP's, and what it says of the lenses: whether they bend, how sure they are."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from training.data.layouts import Report
from training.prepare.mapping_types import MappingOptions, loaded_pycolmap, quiet, threads_of

LENS_EVIDENCE = 50.0
"""By how many variances of a measured number bent lenses have to lower the sum of squares, each, to be believed: a
straight one that was free to bend lowered it by 0.3 in a clip of 12 pictures, one with k1 = -0.009 in 86 by 136."""
SURE_ANGLE, SURE_PICTURES = 5.0, 12
"""Degrees at the median point, and pictures of a lens, from which on its focal length needs no test."""
TRIED_FOCAL = 0.1
"""By which share a focal length is changed to see how much worse the points then fit."""
MOST_BARREL, MOST_PINCUSHION = 0.3, 0.15
"""By which share of its distance from the middle a lens may move a border pixel inwards and outwards: beyond are
fisheyes, and models that were wrong (0.28 outwards in a clip whose lens moves it 0.01 inwards)."""
MOST_MISSED, MOST_LOST = 4.0, 0.1
"""Pixels by which a point may be missed, as in COLMAP, and the share of points that may be: nothing keeps points in
front of cameras while a model is adjusted, and those of a camera that only turned may run through infinity."""
PIECE, PIECES = 0.5, 60
"""Seconds that a bundle adjustment goes on before other threads have their turn, and how often it does."""
SETTLED = 1e-6
"""Share by which the cost still falls in a step when it has settled."""


def adjust(
    model: Any, options: MappingOptions, report: Report, lens: bool, focal: bool = True, held: Collection[int] = ()
) -> float:
    """Bundle adjustment in place of poses, points, with ``focal`` focal lengths and with ``lens`` distortion; half the
    sum of squared errors, pixels squared. ``held``: ids of cameras whose intrinsics are kept.

    In short pieces, because pycolmap lets no other thread of Python run meanwhile.
    """
    pycolmap = loaded_pycolmap()
    settings, scope = pycolmap.BundleAdjustmentOptions(), pycolmap.BundleAdjustmentConfig()
    settings.print_summary = False
    settings.refine_extra_params, settings.refine_focal_length = lens, focal and options.fov is None
    solver = settings.ceres.solver_options
    solver.num_threads, solver.max_solver_time_in_seconds = threads_of(options), PIECE
    solver.function_tolerance = SETTLED
    for number in model.reg_image_ids():
        scope.add_image(number)
    for camera_id in held:
        scope.set_constant_cam_intrinsics(camera_id)
    scope.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    before = math.inf
    for k in range(PIECES):
        with quiet():
            summary = pycolmap.create_default_ceres_bundle_adjuster(settings, scope, model).solve().ceres_summary
        cost = float(summary.final_cost)
        if summary.termination_type.name == "CONVERGENCE" or before - cost <= SETTLED * cost:
            break
        before = cost
        report(f"Adjusting: round {k + 1}, {math.sqrt(2 * cost / max(1, summary.num_residuals)):.3f} pixels")
    model.update_point_3d_errors()
    return cost


def with_lens(model: Any, options: MappingOptions, report: Report) -> Any:
    """The model adjusted, with lenses that bend straight lines where its points speak for it clearly; without the
    points that then lie behind a camera or are missed by far, None where many do."""
    adjusted = _with_lens(model, options, report)
    far = [k for k, point in adjusted.points3D.items() if not point.error <= MOST_MISSED]
    if len(far) > MOST_LOST * adjusted.num_points3D():
        return None
    for k in far:
        adjusted.delete_point3D(k)
    return adjusted


def _with_lens(model: Any, options: MappingOptions, report: Report) -> Any:
    report("Adjusting all poses")
    cost = adjust(model, options, report, lens=False)
    if not any(_extra(model, c) for c in model.cameras):
        return model
    report("Adjusting the lens")
    bent = copy.deepcopy(model)
    gain = cost - adjust(bent, options, report, lens=True)
    lenses = len(pictures_by_lens(model))
    return bent if gain > LENS_EVIDENCE * lenses * cost / _freedom(model) else model


def focal_errors(model: Any, options: MappingOptions, report: Report) -> dict[int, float]:
    """By id of a camera, the standard deviation of its focal length as a share of it, by how much worse all fits with
    another one; those that many pictures and wide angles leave no doubt of are left out, all where it is known. A lens
    that no camera has (:func:`_is_lens`) has an infinite error.

    With errors of variance s^2, the sum of squares grows by s^2 (change / deviation)^2 when everything else follows;
    the worse of a longer and a shorter one counts.
    """
    lenses = pictures_by_lens(model)
    found = {c: math.inf for c in lenses if not _is_lens(model.cameras[c])}
    if options.fov is not None or found:
        return found
    wide = median_angle(model) >= SURE_ANGLE
    doubtful = [c for c, count in sorted(lenses.items()) if not (wide and count >= SURE_PICTURES)]
    bends = len(lenses) == 1 and any(model.cameras[c].params[i] for c in lenses for i in _extra(model, c))
    cost = adjust(model, options, report, lens=bends) if doubtful else 0.0
    variance = cost / _freedom(model)  # as cost is half the sum of squares, half of that too
    for n, camera_id in enumerate(doubtful):
        report(f"Testing how well focal length {n + 1} of {len(doubtful)} is known")
        found[camera_id] = 0.0
        for factor in (1 - TRIED_FOCAL, 1 + TRIED_FOCAL):
            other = copy.deepcopy(model)
            values = np.array(other.cameras[camera_id].params)
            values[list(other.cameras[camera_id].focal_length_idxs())] *= factor
            other.cameras[camera_id].params = values
            if len(lenses) == 1:  # its distortion follows, which COLMAP cannot do for one camera of several
                growth = (adjust(other, options, report, lens=bends, focal=False) - cost) / variance
            else:
                growth = (adjust(other, options, report, lens=False, held=[camera_id]) - cost) / variance
            found[camera_id] = max(found[camera_id], TRIED_FOCAL / math.sqrt(growth) if growth > 0 else math.inf)
    return found


def _extra(model: Any, camera_id: int) -> list[int]:
    """Places of the distortion among a camera's parameters."""
    return list(model.cameras[camera_id].extra_params_idxs())


def pictures_by_lens(model: Any) -> Counter[int]:
    """How many pictures with a pose each camera took, by its id."""
    return Counter(model.images[k].camera_id for k in model.reg_image_ids())


def median_angle(model: Any) -> float:
    """Degrees between the two most different rays of the median point; zero without points."""
    centers = {k: model.images[k].projection_center() for k in model.reg_image_ids()}
    angles = [0.0]
    for point in model.points3D.values():
        rays = np.stack([centers[e.image_id] - point.xyz for e in point.track.elements])
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        angles.append(float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1)))))
    return float(np.median(angles))


def _is_lens(camera: Any) -> bool:
    """Whether a camera of COLMAP's sees every pixel of its border somewhere, and not too far from where a straight lens
    would."""
    border = np.linspace(0, 1, 9)[:, None] * [camera.width, camera.height]
    x, y, zero = border[:, 0], border[:, 1], np.zeros(9)
    sides = [(x, zero), (x, zero + camera.height), (zero, y), (zero + camera.width, y)]
    places = np.concatenate([np.stack(side, axis=1) for side in sides])
    middle = [camera.principal_point_x, camera.principal_point_y]
    straight = np.linalg.norm(camera.cam_from_img(places), axis=1)
    bent = np.linalg.norm((places - middle) / [camera.focal_length_x, camera.focal_length_y], axis=1)
    shares = bent / straight - 1
    return bool(np.isfinite(shares).all() and shares.min() > -MOST_BARREL and shares.max() < MOST_PINCUSHION)


def _freedom(model: Any) -> int:
    """How many measured numbers there are beyond those that were found from them."""
    measured = sum(2 * p.track.length() for p in model.points3D.values())
    return max(1, measured - 3 * model.num_points3D() - 6 * model.num_reg_images())
