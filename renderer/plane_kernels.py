"""Looking feature planes up on the CPU, and the way back: numba, all cores, equal bits from equal input.

``values`` (V, C) holds all planes one after another, each N_j rows of N_i nodes. ``planes`` (Q, 6) int64 says for each:
first node in ``values``, axis i, axis j, N_i, N_j, and the slot of the output that it multiplies. A plane
with an N_j of 1 is a line.
``coordinates`` (N, D) are in [-1, 1]; outside, a plane goes on as at its border.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from renderer.numba_setup import INLINE, PARALLEL

F = np.float32
CHUNK = 128
"""Points that one core takes at a time."""
BLOCK = 1024
"""Points of which the gradients of all planes' features fit into a core's cache."""


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
    """Features (N, slots, C): bilinear in each plane, the product over the planes of a slot."""
    N, Q, C = coordinates.shape[0], planes.shape[0], channels
    out = np.empty((N, slots, C), np.float32)
    for chunk in prange((N + CHUNK - 1) // CHUNK):
        for n in range(chunk * CHUNK, min(N, (chunk + 1) * CHUNK)):
            for slot in range(slots):
                for c in range(C):
                    out[n, slot, c] = F(1)
            for q in range(Q):
                Ni, Nj, slot = planes[q, 3], planes[q, 4], planes[q, 5]
                x, wx, _ = _place(coordinates[n, planes[q, 1]], Ni)
                y, wy, _ = _place(coordinates[n, planes[q, 2]], Nj)
                right, down = (1 if Ni > 1 else 0), (Ni if Nj > 1 else 0)
                a = planes[q, 0] + y * Ni + x
                w00, w01 = (F(1) - wy) * (F(1) - wx), (F(1) - wy) * wx
                w10, w11 = wy * (F(1) - wx), wy * wx
                if down == 0:
                    for c in range(C):
                        out[n, slot, c] *= (F(1) - wx) * values[a, c] + wx * values[a + right, c]
                    continue
                for c in range(C):
                    f = w00 * values[a, c] + w01 * values[a + right, c]
                    f += w10 * values[a + down, c] + w11 * values[a + down + right, c]
                    out[n, slot, c] *= f
    return out


@njit(**PARALLEL)
def lookup_backward(values, planes, coordinates, v_out, channels, of_values):
    """Gradients of the values (V, C), empty unless ``of_values``, and of the coordinates (N, D) from those of the
    features (N, slots, C).

    Block by block of points, so that what passes between the two halves stays in the cache: the first half is parallel
    over points, the second over planes, each of which is one core's.
    """
    N, D = coordinates.shape
    Q, C = planes.shape[0], channels
    v_values = np.zeros(values.shape if of_values else (0, C), np.float32)
    v_coordinates = np.empty((N, D), np.float32)
    v_features = np.empty((BLOCK, Q, C), np.float32)
    for block in range((N + BLOCK - 1) // BLOCK):
        start, end = block * BLOCK, min(N, (block + 1) * BLOCK)
        for chunk in prange((end - start + CHUNK - 1) // CHUNK):
            features, before = np.empty((Q, C), np.float32), np.empty((Q, C), np.float32)
            along_x, along_y = np.empty((Q, C), np.float32), np.empty((Q, C), np.float32)
            running = np.empty(C, np.float32)
            for n in range(start + chunk * CHUNK, min(end, start + (chunk + 1) * CHUNK)):
                _read(values, planes, coordinates[n], C, features, along_x, along_y)
                _split(planes, v_out[n], C, features, along_x, along_y, before, running,
                       v_features[n - start], v_coordinates[n])  # fmt: skip
        for q in prange(Q if of_values else 0):
            _scatter(planes, q, coordinates, start, end, v_features, v_values)
    return v_values, v_coordinates


@njit(**INLINE)
def _read(values, planes, point, C, features, along_x, along_y):
    """The feature of each plane at a point, and its slopes along the plane's axes."""
    for q in range(planes.shape[0]):
        Ni, Nj = planes[q, 3], planes[q, 4]
        x, wx, sx = _place(point[planes[q, 1]], Ni)
        right = 1 if Ni > 1 else 0
        if Nj == 1:
            a = planes[q, 0] + x
            for c in range(C):
                p00, p01 = values[a, c], values[a + right, c]
                features[q, c] = p00 + wx * (p01 - p00)
                along_x[q, c] = sx * (p01 - p00)
                along_y[q, c] = F(0)
            continue
        y, wy, sy = _place(point[planes[q, 2]], Nj)
        down = Ni
        a = planes[q, 0] + y * Ni + x
        for c in range(C):
            p00, p01 = values[a, c], values[a + right, c]
            p10, p11 = values[a + down, c], values[a + down + right, c]
            top, bottom = p00 + wx * (p01 - p00), p10 + wx * (p11 - p10)
            features[q, c] = top + wy * (bottom - top)
            along_x[q, c] = sx * ((F(1) - wy) * (p01 - p00) + wy * (p11 - p10))
            along_y[q, c] = sy * (bottom - top)


@njit(**INLINE)
def _split(planes, v_out, C, features, along_x, along_y, before, running, v_features, v_point):
    """The gradient of each plane's own feature at a point: that of its slot times all other planes of the slot."""
    Q = planes.shape[0]
    for d in range(v_point.shape[0]):
        v_point[d] = F(0)
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
            running[c] = v_out[slot, c] if last else running[c] * features[q + 1, c]
            v = before[q, c] * running[c]
            v_features[q, c] = v
            dx += v * along_x[q, c]
            dy += v * along_y[q, c]
        v_point[planes[q, 1]] += dx
        v_point[planes[q, 2]] += dy


@njit(**INLINE)
def _scatter(planes, q, coordinates, start, end, v_features, v_values):
    """Add the gradient of one plane's values from a block of points."""
    C = v_features.shape[2]
    Ni, Nj = planes[q, 3], planes[q, 4]
    right, down = (1 if Ni > 1 else 0), (Ni if Nj > 1 else 0)
    for n in range(start, end):
        x, wx, _ = _place(coordinates[n, planes[q, 1]], Ni)
        y, wy, _ = _place(coordinates[n, planes[q, 2]], Nj)
        a = planes[q, 0] + y * Ni + x
        w00, w01 = (F(1) - wy) * (F(1) - wx), (F(1) - wy) * wx
        for c in range(C):
            v_values[a, c] += w00 * v_features[n - start, q, c]
        for c in range(C):
            v_values[a + right, c] += w01 * v_features[n - start, q, c]
        if down == 0:
            continue
        w10, w11 = wy * (F(1) - wx), wy * wx
        for c in range(C):
            v_values[a + down, c] += w10 * v_features[n - start, q, c]
        for c in range(C):
            v_values[a + down + right, c] += w11 * v_features[n - start, q, c]
