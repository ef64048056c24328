"""Whether a camera that only turned would explain what a model of COLMAP's explains by a camera that moved.

Turning and moving past a flat scene look nearly the same, and COLMAP tells one for the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from training.prepare.mapping_types import Array

Pair = tuple[Array, Array, Array]
STEPS = (1, 2, 4, 8, 16, 32)
"""Pictures between the two of a pair."""
MOST_PAIRS, LEAST_COMMON, MOST_COMMON = 12, 30, 200
"""Pairs that are looked at, those that differ most, and points that both see."""
FOCALS = (1.0, 2.0, 4.0)
"""First guesses of the focal length, in distances from the middle of a picture to its corner."""
MOST_BENT = 0.3
"""By which share of its distance from the middle a lens may move a corner."""
TRIES = 120
"""Evaluations from each of the guesses."""


def turning_error(model: Any) -> float:
    """Root mean square error of the best camera that only turns, divided by the model's own; infinite where no two
    pictures of one camera share enough points.

    Between two pictures a turn moves the ray of a pixel by one rotation for all points, the one that fits their rays
    best (Kabsch); focal length and one radial coefficient are common to all pairs and found by simplex search.
    """
    pairs = _pairs(model)
    if not pairs:
        return float("inf")
    own = float(np.sqrt(np.mean(np.concatenate([errors for *_, errors in pairs]))))

    def error(values: Array) -> float:
        focal, bent = np.exp(values[0]), values[1]
        if abs(bent) > MOST_BENT:
            return 1e3
        squares = np.concatenate([_misses(_rays(a, focal, bent), _rays(b, focal, bent)) for a, b, _ in pairs])
        return float(focal * np.sqrt(squares.mean()))

    def found(focal: float) -> float:
        start = np.array([np.log(focal), 0.0])
        simplex = start + np.array([[0, 0], [0.3, 0], [0, 0.05]])
        return float(minimize(error, start, method="Nelder-Mead",
                              options={"maxfev": TRIES, "initial_simplex": simplex}).fun)  # fmt: skip

    return min(found(focal) for focal in FOCALS) / max(own, 1e-12)


def _pairs(model: Any) -> list[Pair]:
    """Places in two pictures (N, 2), from the middle, in distances to the corner, and the sum of squares of the
    model's errors there (N,), of the pairs in which points move most."""
    seen: dict[int, dict[int, tuple[Array, float]]] = {}
    for number in sorted(model.reg_image_ids()):
        image = model.images[number]
        camera = image.camera
        middle = np.array([camera.principal_point_x, camera.principal_point_y])
        radius = 0.5 * float(np.hypot(camera.width, camera.height))
        seen[number] = {}
        for point in image.points2D:
            if point.has_point3D():
                place = image.project_point(model.points3D[point.point3D_id].xyz)
                if place is not None:
                    error = float(((place - point.xy) ** 2).sum()) / radius**2
                    seen[number][point.point3D_id] = ((point.xy - middle) / radius, error)
    found = []
    numbers = list(seen)
    for k, first in enumerate(numbers):
        for second in (numbers[k + step] for step in STEPS if k + step < len(numbers)):
            one, other = seen[first], seen[second]
            common = sorted(one.keys() & other.keys())
            if model.images[first].camera_id != model.images[second].camera_id or len(common) < LEAST_COMMON:
                continue
            common = common[:: max(1, len(common) // MOST_COMMON)]
            a, b = (np.stack([s[i][0] for i in common]) for s in (one, other))
            found.append((a, b, np.array([one[i][1] + other[i][1] for i in common])))
    found.sort(key=lambda pair: -float(np.median(np.linalg.norm(pair[0] - pair[1], axis=1))))
    return found[:MOST_PAIRS]


def _rays(places: Array, focal: float, bent: float) -> Array:
    """Unit vectors (N, 3)."""
    straight = places * (1 + bent * (places**2).sum(-1, keepdims=True)) / focal
    rays = np.concatenate([straight, np.ones((len(straight), 1))], axis=1)
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


def _misses(a: Array, b: Array) -> Array:
    """(N,) squared distances on the image plane at 1 after the rotation that fits rays ``a`` to ``b`` best."""
    U, _, Vt = np.linalg.svd(a.T @ b)
    turned = a @ (U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt)
    difference = turned[:, :2] / np.maximum(turned[:, 2:], 0.05) - b[:, :2] / b[:, 2:]
    return np.asarray((difference**2).sum(1))
