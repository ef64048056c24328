"""Depth histograms of all pixels on the CPU: the weights of a picture, kept apart by depth instead of summed."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from renderer.numba_setup import PARALLEL
from renderer.splat.cpu_tiles import CHECK_EVERY, LOWEST_EXPONENT, PIXELS, TILE, F, _exp2
from renderer.splat.types import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN


@njit(**PARALLEL)
def histogram(geometry, starts, counts, pairs, width, height, bins, B):
    """(H, W, B) float32 weight per depth bin, blended as :func:`renderer.splat.cpu_tiles.blend` does.

    ``bins``: (K,) of the splats in ``geometry``. They come nearest first, so a tile's bins ascend: one sum per pixel
    runs and is put down when the bin changes.
    """
    columns = (width + TILE - 1) // TILE
    result = np.zeros((height, width, B), np.float32)
    for tile in prange(counts.shape[0]):
        row, column = tile // columns, tile % columns
        inside_x, inside_y = min(TILE, width - column * TILE), min(TILE, height - row * TILE)
        px, py = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
        for p in range(PIXELS):
            px[p], py[p] = F(column * TILE + p % TILE) + F(0.5), F(row * TILE + p // TILE) + F(0.5)
        T, total = np.ones(PIXELS, np.float32), np.zeros(PIXELS, np.float32)
        first, last = starts[tile], starts[tile] + counts[tile]
        for j in range(first, last):
            k = pairs[j]
            u, v, o = geometry[k, 0], geometry[k, 1], geometry[k, 5]
            a, b, c = geometry[k, 2], geometry[k, 3], geometry[k, 4]
            for p in range(PIXELS):
                dx, dy = px[p] - u, py[p] - v
                exponent = max(a * dx * dx + b * dx * dy + c * dy * dy, LOWEST_EXPONENT)
                alpha = min(o * _exp2(exponent), F(ALPHA_MAX))
                alpha = alpha if alpha >= F(ALPHA_MIN) else F(0)
                behind = T[p] * (F(1) - alpha)
                total[p] += alpha * T[p] if behind >= F(TRANSMITTANCE_MIN) else F(0)
                T[p] = behind
            done = j + 1 == last or ((j - first) % CHECK_EVERY == CHECK_EVERY - 1 and T.max() < F(TRANSMITTANCE_MIN))
            if done or bins[pairs[j + 1]] != bins[k]:
                for y in range(inside_y):
                    for x in range(inside_x):
                        result[row * TILE + y, column * TILE + x, bins[k]] = total[y * TILE + x]
                total[:] = F(0)
            if done:
                break
    return result
