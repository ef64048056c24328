"""Smoothing a volume of matching costs along eight directions, so that neighbouring pixels lie on nearby planes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from renderer.numba_setup import KERNEL

F = np.float32
DOWN, RIGHT = (0, 0, 1, -1, 1, -1, 1, -1), (1, -1, 0, 0, 1, -1, -1, 1)


@njit(**KERNEL)
def semi_global(
    cost: NDArray[np.float32], luminance: NDArray[np.float32], step: float, jump: float, sharpness: float
) -> NDArray[np.float32]:
    """Costs (H, W, D) summed over eight paths that end at each pixel (Hirschmueller 2008), (H, W, D) float32.

    To change by one plane between neighbours costs ``step``, by more ``jump``, less where the luminance (H, W) changes:
    ``jump / (1 + sharpness |change|)``, and at least half as much again as a step.
    """
    height, width, planes = cost.shape
    total, path = np.zeros(cost.shape, np.float32), np.empty(cost.shape, np.float32)
    for d in range(8):
        dy, dx = DOWN[d], RIGHT[d]
        for i in range(height):
            y = i if dy >= 0 else height - 1 - i
            for j in range(width):
                x = j if dx >= 0 else width - 1 - j
                py, px = y - dy, x - dx
                if py < 0 or py >= height or px < 0 or px >= width:
                    for k in range(planes):
                        path[y, x, k] = cost[y, x, k]
                        total[y, x, k] += cost[y, x, k]
                    continue
                low = path[py, px, 0]
                for k in range(1, planes):
                    low = min(low, path[py, px, k])
                change = abs(luminance[y, x] - luminance[py, px])
                apart = low + max(F(1.5) * F(step), F(jump) / (F(1) + F(sharpness) * change))
                for k in range(planes):
                    best = min(path[py, px, k], apart)
                    if k > 0:
                        best = min(best, path[py, px, k - 1] + F(step))
                    if k < planes - 1:
                        best = min(best, path[py, px, k + 1] + F(step))
                    path[y, x, k] = cost[y, x, k] + best - low
                    total[y, x, k] += path[y, x, k]
    return total
