"""Drawing a picture's pixels somewhere else: each square of four neighbours becomes two triangles with a depth test."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from renderer.numba_setup import INLINE, KERNEL

F = np.float32


@njit(**INLINE)
def _triangle(place, depth, image, ya, xa, yb, xb, yc, xc, out, out_depth):
    """Draw one triangle of source pixels (row, column); the nearest at each target pixel stays."""
    height, width = out_depth.shape
    ax, ay, bx, by = place[ya, xa, 0], place[ya, xa, 1], place[yb, xb, 0], place[yb, xb, 1]
    cx, cy = place[yc, xc, 0], place[yc, xc, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area <= F(1e-6):  # seen from behind
        return
    x0, x1 = max(0, math.ceil(min(ax, bx, cx) - 0.5)), min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
    y0, y1 = max(0, math.ceil(min(ay, by, cy) - 0.5)), min(height - 1, math.floor(max(ay, by, cy) - 0.5))
    slack = F(-1e-4)
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            px, py = F(x) + F(0.5), F(y) + F(0.5)
            u = ((bx - px) * (cy - py) - (by - py) * (cx - px)) / area
            v = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) / area
            w = F(1) - u - v
            if u < slack or v < slack or w < slack:
                continue
            z = F(1) / (u / depth[ya, xa] + v / depth[yb, xb] + w / depth[yc, xc])
            if z < out_depth[y, x]:
                out_depth[y, x] = z
                for k in range(3):
                    out[y, x, k] = u * image[ya, xa, k] + v * image[yb, xb, k] + w * image[yc, xc, k]


@njit(**KERNEL)
def warp(image, place, depth, joined, height, width):
    """Draw a picture (h, w, 3) whose pixels lie at ``place`` (h, w, 2) of the target, in ``depth`` (h, w) there.

    ``joined`` (h - 1, w - 1): which squares of neighbours are one surface. Returns the picture (H, W, 3) and its depth
    (H, W), infinite where nothing fell.
    """
    out = np.zeros((height, width, 3), np.float32)
    out_depth = np.full((height, width), np.inf, np.float32)
    for y in range(joined.shape[0]):
        for x in range(joined.shape[1]):
            if joined[y, x]:
                _triangle(place, depth, image, y, x, y, x + 1, y + 1, x, out, out_depth)
                _triangle(place, depth, image, y, x + 1, y + 1, x + 1, y + 1, x, out, out_depth)
    return out, out_depth
