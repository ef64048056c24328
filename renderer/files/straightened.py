"""Gaussians that turn or move along curves, as several that move straight, one after another in time.

A 4D Gaussian moves in a straight line and does not turn. A piece of a curve is near enough to one; the pieces fade
into each other as Gaussians of time at a distance of one deviation, whose sum is even. What has to be even is not the
opacity but what it stands for along a ray, -log(1 - opacity), which adds up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderer.files.spacetime import FAINTEST, SpacetimeGaussians
from renderer.gaussians import P_MIN

Array = NDArray[np.float64]
REACH = float(np.sqrt(-np.log(FAINTEST)))
"""Lives before and after its centre for which a Gaussian is seen."""
MARGIN = 2
"""Pieces before the first and after the last instant at which a Gaussian is seen: they fade into that as well."""
MOST_PIECES = 24
HALF_PIECE = 1.5
"""Deviations of a piece's time within which it has to be where the curve is."""
LEAST_ROTATION = 1e-6
"""Length of a quaternion that says something of a rotation: one that turns may pass through zero."""
LARGEST_MISS, LARGEST_TURN = 0.5, 0.15
"""Of a straight piece: shares of the middle standard deviation, radians."""


def straightened(moving: SpacetimeGaussians) -> SpacetimeGaussians:
    """Those that are seen during the clip, with ``motion`` in its first row alone and without ``turns``.

    One that is bent is replaced by as many pieces as keep it within half of its middle deviation and 0.15 radians of
    where it should be, up to 24 and two at each end.
    """
    first = np.maximum(0, moving.centers - REACH * moving.lifes.astype(np.float64))
    last = np.minimum(1, moving.centers + REACH * moving.lifes.astype(np.float64))
    seen = first <= last
    g = SpacetimeGaussians(**{name: value[seen] for name, value in vars(moving).items()})
    first, last = first[seen], last[seen]
    spacing = _spacing(g, first, last)
    count = np.ceil((last - first) / spacing).clip(1, MOST_PIECES).astype(int)
    straight = np.flatnonzero(count == 1)
    bent = np.flatnonzero(count > 1)
    pieces = np.repeat(bent, count[bent] + 1 + 2 * MARGIN)
    begin = np.cumsum(count[bent] + 1 + 2 * MARGIN) - (count[bent] + 1 + 2 * MARGIN)
    number = np.arange(len(pieces)) - np.repeat(begin, count[bent] + 1 + 2 * MARGIN) - MARGIN
    step = (last - first)[pieces] / count[pieces]
    alone = _tangent(g, straight, 0.5 * (first + last)[straight], g.centers[straight].astype(np.float64))
    many = _tangent(g, pieces, first[pieces] + number * step, first[pieces] + number * step)
    fade = np.exp(-(((many.centers - g.centers[pieces]) / g.lifes[pieces]) ** 2))
    opacities = _of_pieces(g.opacities[pieces] * fade)
    parts = (alone, SpacetimeGaussians(**{**vars(many), "lifes": np.sqrt(2) * step, "opacities": opacities}))
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(alone)}
    keep = np.linalg.norm(columns["rotations"], axis=1) > LEAST_ROTATION
    return SpacetimeGaussians(**{name: column[keep].astype(np.float32) for name, column in columns.items()})


def _spacing(g: SpacetimeGaussians, first: Array, last: Array) -> Array:
    """(N,) time between pieces that a bent Gaussian needs, as a share of the clip."""
    middle = np.sort(g.scales.astype(np.float64), axis=1)[:, 1]
    ends = [(end - g.centers)[:, None] for end in (first, last)]
    bend = np.max([np.linalg.norm(g.motion[:, 1] + 3.0 * g.motion[:, 2] * dt, axis=1) for dt in ends], axis=0)
    rotation = g.rotations.astype(np.float64)
    length = np.maximum(np.linalg.norm(rotation, axis=1), 1e-9)
    along = (g.turns * rotation).sum(1, keepdims=True) / length[:, None] ** 2 * rotation
    rate = 2 * np.linalg.norm(g.turns - along, axis=1) / length
    with np.errstate(divide="ignore"):
        by_bend = np.sqrt(LARGEST_MISS * middle / bend) / HALF_PIECE
        by_turn = LARGEST_TURN / rate / HALF_PIECE
    return np.asarray(np.nan_to_num(np.minimum(by_bend, by_turn), posinf=1e9).clip(1e-6))


def _tangent(g: SpacetimeGaussians, rows: NDArray[np.intp], times: Array, centers: Array) -> SpacetimeGaussians:
    """Rows of a scene that move as they do at ``times`` (M,), with their means at other ``centers`` (M,)."""
    dt = (times - g.centers[rows])[:, None]
    motion = g.motion[rows].astype(np.float64)
    velocity = motion[:, 0] + 2 * motion[:, 1] * dt + 3 * motion[:, 2] * dt**2
    place = g.means[rows] + motion[:, 0] * dt + motion[:, 1] * dt**2 + motion[:, 2] * dt**3
    straight = np.zeros_like(motion)
    straight[:, 0] = velocity
    return SpacetimeGaussians(
        (place + velocity * (centers - times)[:, None]).astype(np.float32),
        straight.astype(np.float32),
        (g.rotations[rows] + g.turns[rows] * dt).astype(np.float32),
        np.zeros((len(rows), 4), np.float32),
        g.scales[rows],
        centers.astype(np.float32),
        g.lifes[rows],
        g.opacities[rows],
        g.colors[rows],
    )


def _of_pieces(opacities: Array) -> Array:
    """(M,) opacities of pieces that together are as opaque as ``opacities`` (M,)."""
    alone = np.concatenate([[0.0], np.geomspace(1e-4, 0.999, 256)])
    phases = np.linspace(-0.5, 0.5, 11)[:, None, None] + np.arange(-3, 4)[:, None]
    weights = np.exp(-0.5 * phases**2)
    weights[weights <= P_MIN] = 0
    together = -np.log1p(-weights * alone).sum(1).mean(0)
    return np.interp(-np.log1p(-np.clip(opacities, 0, 0.999)), together, alone)
