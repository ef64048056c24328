"""Which splats weigh on chosen pixels, on the CPU: one loop iteration walks one ray through its tile's splats."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from renderer.numba_setup import INLINE, PARALLEL
from renderer.splat.cpu_tiles import LOWEST_EXPONENT, TILE, F, _exp2
from renderer.splat.types import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN


@njit(**INLINE)
def _walk(geometry, starts, counts, pairs, columns, x, y, places, first):
    """How many splats weigh on a pixel; their places in ``geometry`` go to ``places`` from ``first`` on, where that
    is not negative. Decides as :func:`renderer.splat.cpu_tiles.blend` does."""
    tile = (y // TILE) * columns + x // TILE
    px, py = F(x) + F(0.5), F(y) + F(0.5)
    behind, found = F(1), 0
    for j in range(starts[tile], starts[tile] + counts[tile]):
        k = pairs[j]
        dx, dy = px - geometry[k, 0], py - geometry[k, 1]
        exponent = geometry[k, 2] * dx * dx + geometry[k, 3] * dx * dy + geometry[k, 4] * dy * dy
        alpha = min(geometry[k, 5] * _exp2(max(exponent, LOWEST_EXPONENT)), F(ALPHA_MAX))
        if alpha < F(ALPHA_MIN):
            continue
        behind *= F(1) - alpha
        if behind < F(TRANSMITTANCE_MIN):
            break
        if first >= 0:
            places[first + found] = k
        found += 1
    return found


@njit(**PARALLEL)
def contributions(geometry, starts, counts, pairs, columns, pixels):
    """Splats with a weight at ``pixels`` (P, 2) int64, column and row.

    Returns how many there are at each (P,) int64, and their places in ``geometry`` (N,) int64, pixel after pixel and
    nearest first. ``columns``: tiles side by side.
    """
    P = pixels.shape[0]
    found = np.empty(P, np.int64)
    nowhere = np.empty(0, np.int64)
    for r in prange(P):
        found[r] = _walk(geometry, starts, counts, pairs, columns, pixels[r, 0], pixels[r, 1], nowhere, -1)
    firsts = np.zeros(P + 1, np.int64)
    for r in range(P):
        firsts[r + 1] = firsts[r] + found[r]
    places = np.empty(firsts[P], np.int64)
    for r in prange(P):
        _walk(geometry, starts, counts, pairs, columns, pixels[r, 0], pixels[r, 1], places, firsts[r])
    return found, places
