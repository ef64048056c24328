"""Looking feature planes up on the CPU, and the way back: numba, all cores, equal bits from equal input.

``values`` (V,) holds all planes one after another, each (N_j, N_i, C) with channels innermost. ``planes`` (Q, 6) int64
says for each: offset into ``values``, axis i, axis j, N_i, N_j, and the slot of the output that it multiplies. A plane
with an N_j of 1 is a line.
``coordinates`` (N, D) are in [-1, 1]; outside, a plane goes on as at its border.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from renderer.numba_setup import INLINE, KERNEL, PARALLEL

F = np.float32
CHUNK = 128
"""Points that one core takes at a time."""


@njit(**INLINE)
def _place(u, nodes):
    """The lower node and the weight of the upper one; the weight's slope is zero outside [-1, 1]."""
    x = (u + F(1)) * F(0.5) * F(nodes - 1)
    inside = F(0) <= x <= F(nodes - 1)
    x = min(max(x, F(0)), F(nodes - 1))
    node = min(np.int64(x), max(nodes - 2, 0))
    return node, x - F(node), F(0.5) * F(nodes - 1) if inside else F(0)


@njit(**PARALLEL)
def lookup(values, planes, coordinates, slots, channels):
    """Features (N, slots C): bilinear in each plane, the product over the planes of a slot."""
    N, Q, C = coordinates.shape[0], planes.shape[0], channels
    out = np.empty((N, slots * C), np.float32)
    for chunk in prange((N + CHUNK - 1) // CHUNK):
        for n in range(chunk * CHUNK, min(N, (chunk + 1) * CHUNK)):
            for k in range(slots * C):
                out[n, k] = F(1)
            for q in range(Q):
                Ni, Nj, slot = planes[q, 3], planes[q, 4], planes[q, 5]
                x, wx, _ = _place(coordinates[n, planes[q, 1]], Ni)
                y, wy, _ = _place(coordinates[n, planes[q, 2]], Nj)
                right, down = (C if Ni > 1 else 0), (Ni * C if Nj > 1 else 0)
                a = planes[q, 0] + (y * Ni + x) * C
                w00, w01 = (F(1) - wy) * (F(1) - wx), (F(1) - wy) * wx
                w10, w11 = wy * (F(1) - wx), wy * wx
                if down == 0:
                    for c in range(C):
                        out[n, slot * C + c] *= (F(1) - wx) * values[a + c] + wx * values[a + right + c]
                    continue
                for c in range(C):
                    f = w00 * values[a + c] + w01 * values[a + right + c]
                    f += w10 * values[a + down + c] + w11 * values[a + down + right + c]
                    out[n, slot * C + c] *= f
    return out


@njit(**PARALLEL)
def lookup_backward(values, planes, coordinates, v_out, channels):
    """Gradients of each plane's own feature at each point (N, Q, C), and of the coordinates (N, D)."""
    N, D = coordinates.shape
    Q, C = planes.shape[0], channels
    v_features = np.empty((N, Q, C), np.float32)
    v_coordinates = np.empty((N, D), np.float32)
    for chunk in prange((N + CHUNK - 1) // CHUNK):
        features, before = np.empty((Q, C), np.float32), np.empty((Q, C), np.float32)
        along_x, along_y = np.empty((Q, C), np.float32), np.empty((Q, C), np.float32)
        running = np.empty(C, np.float32)
        for n in range(chunk * CHUNK, min(N, (chunk + 1) * CHUNK)):
            for d in range(D):
                v_coordinates[n, d] = F(0)
            for q in range(Q):
                Ni, Nj = planes[q, 3], planes[q, 4]
                x, wx, sx = _place(coordinates[n, planes[q, 1]], Ni)
                y, wy, sy = _place(coordinates[n, planes[q, 2]], Nj)
                right, down = (C if Ni > 1 else 0), (Ni * C if Nj > 1 else 0)
                a = planes[q, 0] + (y * Ni + x) * C
                if down == 0:
                    for c in range(C):
                        p00, p01 = values[a + c], values[a + right + c]
                        features[q, c] = p00 + wx * (p01 - p00)
                        along_x[q, c] = sx * (p01 - p00)
                        along_y[q, c] = F(0)
                    continue
                for c in range(C):
                    p00, p01 = values[a + c], values[a + right + c]
                    p10, p11 = values[a + down + c], values[a + down + right + c]
                    top, bottom = p00 + wx * (p01 - p00), p10 + wx * (p11 - p10)
                    features[q, c] = top + wy * (bottom - top)
                    along_x[q, c] = sx * ((F(1) - wy) * (p01 - p00) + wy * (p11 - p10))
                    along_y[q, c] = sy * (bottom - top)
            for q in range(Q):  # the product of the planes before it in its slot
                first = q == 0 or planes[q - 1, 5] != planes[q, 5]
                for c in range(C):
                    before[q, c] = F(1) if first else before[q - 1, c] * features[q - 1, c]
            for back in range(Q):  # times those after it, times the gradient of the slot
                q = Q - 1 - back
                slot = planes[q, 5]
                last = q == Q - 1 or planes[q + 1, 5] != slot
                dx, dy = F(0), F(0)
                for c in range(C):
                    running[c] = v_out[n, slot * C + c] if last else running[c] * features[q + 1, c]
                    v = before[q, c] * running[c]
                    v_features[n, q, c] = v
                    dx += v * along_x[q, c]
                    dy += v * along_y[q, c]
                v_coordinates[n, planes[q, 1]] += dx
                v_coordinates[n, planes[q, 2]] += dy
    return v_features, v_coordinates


@njit(**KERNEL)
def _scatter(planes, q, coordinates, v_features, v_values):
    N, C = coordinates.shape[0], v_features.shape[2]
    Ni, Nj = planes[q, 3], planes[q, 4]
    right, down = (C if Ni > 1 else 0), (Ni * C if Nj > 1 else 0)
    for n in range(N):
        x, wx, _ = _place(coordinates[n, planes[q, 1]], Ni)
        y, wy, _ = _place(coordinates[n, planes[q, 2]], Nj)
        a = planes[q, 0] + (y * Ni + x) * C
        w00, w01 = (F(1) - wy) * (F(1) - wx), (F(1) - wy) * wx
        w10, w11 = wy * (F(1) - wx), wy * wx
        if down == 0:
            for c in range(C):
                v_values[a + c] += (F(1) - wx) * v_features[n, q, c]
            for c in range(C):
                v_values[a + right + c] += wx * v_features[n, q, c]
            continue
        for c in range(C):
            v_values[a + c] += w00 * v_features[n, q, c]
        for c in range(C):
            v_values[a + right + c] += w01 * v_features[n, q, c]
        for c in range(C):
            v_values[a + down + c] += w10 * v_features[n, q, c]
        for c in range(C):
            v_values[a + down + right + c] += w11 * v_features[n, q, c]


@njit(**PARALLEL)
def scatter(planes, coordinates, v_features, v_values):
    """Add the gradients of the planes' values into ``v_values`` (V,); each plane is one core's."""
    for q in prange(planes.shape[0]):
        _scatter(planes, q, coordinates, v_features, v_values)
