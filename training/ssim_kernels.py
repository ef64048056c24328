"""Structural similarity with its gradient on the CPU: four passes over the rows, all cores.

Pictures are (H, 3 W) float32, channels interleaved; the window is separable and the border is zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from renderer.numba_setup import INLINE, PARALLEL

F = np.float32
RADIUS = 5
C1, C2 = F(0.01**2), F(0.03**2)


@njit(**INLINE)
def _along(row, window, padded, out):
    """Blur one row (3 W,) over its pixels; ``padded`` is 30 longer, with zeros at both ends."""
    n = row.shape[0]
    for j in range(n):
        padded[j + 3 * RADIUS] = row[j]
        out[j] = F(0)
    for k in range(2 * RADIUS + 1):
        w = window[k]
        for j in range(n):
            out[j] += w * padded[j + 3 * k]


@njit(**INLINE)
def _across(maps, m, y, window, out):
    """Blur over the rows of map m at row y."""
    height, n = maps.shape[1], maps.shape[2]
    for j in range(n):
        out[j] = F(0)
    for k in range(2 * RADIUS + 1):
        source = y + k - RADIUS
        if 0 <= source < height:
            w = window[k]
            for j in range(n):
                out[j] += w * maps[m, source, j]


@njit(**PARALLEL)
def ssim_with_gradient(x, y, window):
    """The similarity of two pictures (H, 3 W) summed along each row (H,), and the gradient of its mean with respect to
    ``x``. Nothing is filled or summed over whole arrays here: numba would add a parallel loop for each."""
    height, n = x.shape
    moments = np.empty((5, height, n), np.float32)
    for r in prange(height):
        padded, row = np.zeros(n + 6 * RADIUS, np.float32), np.empty(n, np.float32)
        _along(x[r], window, padded, moments[0, r])
        _along(y[r], window, padded, moments[1, r])
        for j in range(n):
            row[j] = x[r, j] * x[r, j]
        _along(row, window, padded, moments[2, r])
        for j in range(n):
            row[j] = y[r, j] * y[r, j]
        _along(row, window, padded, moments[3, r])
        for j in range(n):
            row[j] = x[r, j] * y[r, j]
        _along(row, window, padded, moments[4, r])

    sums = np.empty(height, np.float64)
    slopes = np.empty((3, height, n), np.float32)  # of the mean of x, of E[x^2] and of E[x y]
    for r in prange(height):
        mx, my, xx = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
        yy, xy = np.empty(n, np.float32), np.empty(n, np.float32)
        _across(moments, 0, r, window, mx)
        _across(moments, 1, r, window, my)
        _across(moments, 2, r, window, xx)
        _across(moments, 3, r, window, yy)
        _across(moments, 4, r, window, xy)
        total = F(0)
        for j in range(n):
            a1, a2 = F(2) * mx[j] * my[j] + C1, F(2) * (xy[j] - mx[j] * my[j]) + C2
            b1 = mx[j] * mx[j] + my[j] * my[j] + C1
            b2 = xx[j] - mx[j] * mx[j] + yy[j] - my[j] * my[j] + C2
            s = a1 * a2 / (b1 * b2)
            total += s
            slope_xy, slope_xx = F(2) * a1 / (b1 * b2), -s / b2
            slopes[0, r, j] = (
                F(2) * my[j] * a2 / (b1 * b2) - F(2) * mx[j] * s / b1 - F(2) * mx[j] * slope_xx - my[j] * slope_xy
            )
            slopes[1, r, j], slopes[2, r, j] = slope_xx, slope_xy
        sums[r] = total

    blurred = np.empty((3, height, n), np.float32)
    for r in prange(height):
        padded = np.zeros(n + 6 * RADIUS, np.float32)
        for m in range(3):
            _along(slopes[m, r], window, padded, blurred[m, r])
    gradient = np.empty((height, n), np.float32)
    scale = F(1) / F(height * n)
    for r in prange(height):
        g0, g1, g2 = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
        _across(blurred, 0, r, window, g0)
        _across(blurred, 1, r, window, g1)
        _across(blurred, 2, r, window, g2)
        for j in range(n):
            gradient[r, j] = scale * (g0[j] + F(2) * x[r, j] * g1[j] + y[r, j] * g2[j])
    return sums, gradient
