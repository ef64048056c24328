"""Smooth curves through given values at given seconds: positions, rotations and plain numbers.

Each passes exactly through its values, is continuous with its first derivative, and never leaves the neighbourhood of
its values, however unevenly they are spaced. Positions and rotations go in two steps: a monotone cubic (PCHIP; Fritsch
and Carlson 1980) says how far along the curve one is at a second, and a centripetal Catmull-Rom spline (Yuksel et al.
2011), whose knots lie the square root of the distance apart, says where that is. Where values repeat the curve rests.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from renderer.camera import Matrix

Curve = Callable[[Matrix], Matrix]
"""Seconds (F,), within the knots, to values (F, ...)."""


def numbers(seconds: Matrix, values: Matrix, closed: bool) -> Curve:
    """A curve through ``values`` (n, c) at ``seconds`` (n,) that rises and falls only where they do.

    ``closed``: the first and the last knot are one place; the derivative is the same at both. What differs between the
    two values counts as risen by that much in each round.
    """
    if len(seconds) < 2:
        return lambda t: np.repeat(values[:1], len(t), axis=0)
    if closed:
        period, rise = seconds[-1] - seconds[0], values[-1] - values[0]
        seconds = np.concatenate([[seconds[-2] - period], seconds, [seconds[1] + period]])
        values = np.concatenate([[values[-2] - rise], values, [values[1] + rise]])
    return PchipInterpolator(seconds, values)  # type: ignore[no-any-return]


def positions(seconds: Matrix, points: Matrix, closed: bool, smoothness: float) -> Curve:
    """A curve through ``points`` (n, 3) at ``seconds`` (n,); its last point is its first one where it is ``closed``.

    ``smoothness``: 1 for the Catmull-Rom spline, 0 for straight lines that rest at every point.
    """
    along = _knots(np.linalg.norm(np.diff(points, axis=0), axis=1))
    used = _distinct(along)
    knots, nodes = along[used], points[used]
    if len(knots) < 2:
        return lambda t: np.repeat(points[:1], len(t), axis=0)
    steps = np.diff(knots)
    slopes = smoothness * _slopes(np.diff(nodes, axis=0), steps, closed)
    when = numbers(seconds, along[:, None], closed)

    def curve(t: Matrix) -> Matrix:
        i, x = _segment(knots, when(t)[:, 0])
        x, h = x[:, None], steps[i, None]
        return (  # cubic Hermite
            (1 + 2 * x) * (1 - x) ** 2 * nodes[i]
            + x**2 * (3 - 2 * x) * nodes[i + 1]
            + h * x * (1 - x) ** 2 * slopes[i]
            - h * x**2 * (1 - x) * slopes[i + 1]
        )

    return curve


def rotations(seconds: Matrix, matrices: Matrix, closed: bool, smoothness: float) -> Curve:
    """The same for rotations (n, 3, 3): a cubic Bezier curve of slerps per segment (Shoemake 1985), which turns the
    shorter way from each to the next."""
    given = Rotation.from_matrix(matrices)
    along = _knots((given[:-1].inv() * given[1:]).magnitude())
    used = _distinct(along)
    knots, nodes = along[used], given[used]
    if len(knots) < 2:
        return lambda t: np.repeat(given[:1].as_matrix(), len(t), axis=0)
    steps = np.diff(knots)
    turns = (nodes[:-1].inv() * nodes[1:]).as_rotvec()  # about axes fixed to the camera, at both of its ends
    slopes = smoothness * _slopes(turns, steps, closed)
    when = numbers(seconds, along[:, None], closed)
    after = nodes[:-1] * Rotation.from_rotvec(slopes[:-1] * steps[:, None] / 3)
    before = nodes[1:] * Rotation.from_rotvec(-slopes[1:] * steps[:, None] / 3)

    def curve(t: Matrix) -> Matrix:
        i, x = _segment(knots, when(t)[:, 0])
        a, b, c, d = nodes[i], after[i], before[i], nodes[i + 1]
        ab, bc, cd = _slerp(a, b, x), _slerp(b, c, x), _slerp(c, d, x)  # de Casteljau
        return _slerp(_slerp(ab, bc, x), _slerp(bc, cd, x), x).as_matrix()  # type: ignore[no-any-return]

    return curve


def _knots(distances: Matrix) -> Matrix:
    return np.concatenate([[0.0], np.cumsum(np.sqrt(distances))])


def _distinct(knots: Matrix) -> NDArray[np.intp]:
    """Indices of the knots that lie after their predecessor."""
    return np.flatnonzero(np.concatenate([[True], np.diff(knots) > 0]))


def _slopes(differences: Matrix, steps: Matrix, closed: bool) -> Matrix:
    """(n, 3) derivatives at the nodes, from the (n - 1, 3) differences between them and the knots' distances.

    Those of Barry and Goldman's Catmull-Rom spline; at open ends those of no curvature.
    """
    ahead = differences / steps[:, None]
    if closed:
        differences, steps, ahead = (np.concatenate([a[-1:], a, a[:1]]) for a in (differences, steps, ahead))
    inner = ahead[:-1] + ahead[1:] - (differences[:-1] + differences[1:]) / (steps[:-1] + steps[1:])[:, None]
    if closed:
        return inner
    if len(ahead) == 1:
        return np.repeat(ahead, 2, axis=0)
    return np.concatenate([[1.5 * ahead[0] - 0.5 * inner[0]], inner, [1.5 * ahead[-1] - 0.5 * inner[-1]]])


def _segment(knots: Matrix, places: Matrix) -> tuple[NDArray[np.intp], Matrix]:
    """Which segment each place lies in, and how far along it, in [0, 1]."""
    i = np.clip(np.searchsorted(knots, places, side="right") - 1, 0, len(knots) - 2)
    return i, np.clip((places - knots[i]) / (knots[i + 1] - knots[i]), 0, 1)


def _slerp(a: Rotation, b: Rotation, x: Matrix) -> Rotation:
    return a * Rotation.from_rotvec(x[:, None] * (a.inv() * b).as_rotvec())
