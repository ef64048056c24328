"""CPU splatting, second half: ellipses to pixels by tiles, and the way back.

A tile is 8x8 pixels. The loop over a tile's splats is outside, the loop over its 64 pixels inside, without
branches, so that LLVM makes vector instructions of it; ``exp`` is a polynomial for the same reason. Tiles are
independent: they run in parallel, and the gradients of each splat-tile pair are kept apart and summed afterwards in
a fixed order, so two runs give equal bits.

``geometry`` (K, 10) holds the drawn splats nearest first: u, v, the conic as exponents of two
(-log2(e)/2 A, -log2(e) B, -log2(e)/2 C), opacity, red, green, blue, depth.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from renderer.numba_setup import INLINE, KERNEL, PARALLEL
from renderer.splat.types import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN

F = np.float32
TILE = 8
PIXELS = TILE * TILE
DEPTH = 9
"""Place of the depth in a row of ``geometry``."""
CHECK_EVERY = 8
"""Splats between two looks at whether every pixel of a tile is opaque."""
GRADIENTS = 10
"""Sums per pair: h, h dx, h dy, h dx^2, h dx dy, h dy^2, and weight times the pixel's v_red, v_green, v_blue, v_z,
where h is dL/d exponent."""
SUM_PARTS = 8
LOG2E = F(math.log2(math.e))
LOG2_ALPHA_MIN = F(math.log2(ALPHA_MIN))
SLACK = F(1e-3)
LOWEST_EXPONENT = F(-24)
"""Far below log2(1/255), and far above where numbers become denormal and slow."""


@njit(**INLINE)
def _exp2(y):
    """2 to the power of y in [-24, 1], relative error below 1e-7: a polynomial of degree five and an exponent shift."""
    k = np.floor(y)
    f = y - k
    p = F(0.00898934) + f * F(0.00187758)
    p = F(0.99999993) + f * (F(0.69315307) + f * (F(0.24015362) + f * (F(0.05582632) + f * p)))
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(**KERNEL)
def sort_by_depth(screen, radii):
    """Rows (K,) int32 of the splats that are drawn, nearest first and stable: a radix sort of the depths' bits."""
    M = screen.shape[0]
    rows = np.empty(M, np.int32)
    keys = np.empty(M, np.uint32)
    K = 0
    for i in range(M):
        if radii[i] > 0:
            rows[K] = i
            keys[K] = np.float32(screen[i, 5]).view(np.uint32)  # positive floats order like their bits
            K += 1
    rows, keys = rows[:K], keys[:K]
    other_rows, other_keys = np.empty(K, np.int32), np.empty(K, np.uint32)
    for shift in (np.uint32(0), np.uint32(11), np.uint32(22)):
        places = np.zeros(2049, np.int64)
        for k in range(K):
            places[((keys[k] >> shift) & np.uint32(2047)) + 1] += 1
        for d in range(2048):
            places[d + 1] += places[d]
        for k in range(K):
            d = (keys[k] >> shift) & np.uint32(2047)
            other_rows[places[d]], other_keys[places[d]] = rows[k], keys[k]
            places[d] += 1
        rows, other_rows = other_rows, rows
        keys, other_keys = other_keys, keys
    return rows


@njit(**PARALLEL)
def gather(rows, screen, opacities, colors):
    """The ``geometry`` (K, 10) of the sorted splats."""
    geometry = np.empty((rows.shape[0], 10), np.float32)
    for k in prange(rows.shape[0]):
        i = rows[k]
        geometry[k, 0], geometry[k, 1] = screen[i, 0], screen[i, 1]
        geometry[k, 2] = F(-0.5) * LOG2E * screen[i, 2]
        geometry[k, 3] = -LOG2E * screen[i, 3]
        geometry[k, 4] = F(-0.5) * LOG2E * screen[i, 4]
        geometry[k, 5] = opacities[i]
        geometry[k, 6], geometry[k, 7], geometry[k, 8] = colors[i, 0], colors[i, 1], colors[i, 2]
        geometry[k, 9] = screen[i, 5]
    return geometry


@njit(**INLINE)
def _reaches(geometry, k, column, row):
    """Whether alpha can reach the threshold at a pixel centre of a tile: the exponent is largest where the ellipse
    through a point of the rectangle of pixel centres is smallest, at the centre or on an edge that faces it."""
    x0, y0 = F(column * TILE) + F(0.5) - geometry[k, 0], F(row * TILE) + F(0.5) - geometry[k, 1]
    x1, y1 = x0 + F(TILE - 1), y0 + F(TILE - 1)
    cut = LOG2_ALPHA_MIN - math.log2(geometry[k, 5]) - SLACK
    if x0 <= F(0) <= x1 and y0 <= F(0) <= y1:
        return cut <= F(0)
    a, b, c = geometry[k, 2], geometry[k, 3], geometry[k, 4]
    best = F(-3e38)
    if x0 > F(0) or x1 < F(0):
        dx = x0 if x0 > F(0) else x1
        dy = min(max(-b * dx / (F(2) * c), y0), y1)
        best = a * dx * dx + b * dx * dy + c * dy * dy
    if y0 > F(0) or y1 < F(0):
        dy = y0 if y0 > F(0) else y1
        dx = min(max(-b * dy / (F(2) * a), x0), x1)
        best = max(best, a * dx * dx + b * dx * dy + c * dy * dy)
    return best >= cut


@njit(**INLINE)
def _of_tile(picture, row, column):
    """A tile's pixels (64,) of a picture (H, W), 0 outside."""
    tile = np.zeros(PIXELS, np.float32)
    for p in range(PIXELS):
        x, y = column * TILE + p % TILE, row * TILE + p // TILE
        if x < picture.shape[1] and y < picture.shape[0]:
            tile[p] = picture[y, x]
    return tile


@njit(**PARALLEL)
def bin_splats(rows, boxes, geometry, columns, tile_rows):
    """Which splats reach which tile, nearest first.

    Returns ``starts`` (tiles + 1,) into ``pairs`` (capacity,) int32, places in ``geometry``, and ``counts`` (tiles,):
    the room of a tile is what its splats' boxes need, the count is what the exact test leaves.
    """
    K = rows.shape[0]
    corners = np.zeros((tile_rows + 1, columns + 1), np.int64)
    for k in range(K):
        x0, x1, y0, y1 = boxes[rows[k], 0], boxes[rows[k], 1], boxes[rows[k], 2], boxes[rows[k], 3]
        corners[y0, x0] += 1
        corners[y0, x1] -= 1
        corners[y1, x0] -= 1
        corners[y1, x1] += 1
    starts = np.zeros(columns * tile_rows + 1, np.int64)
    for y in range(tile_rows):
        along = 0
        for x in range(columns):
            along += corners[y, x]
            corners[y, x] = along + (corners[y - 1, x] if y > 0 else 0)
            starts[y * columns + x + 1] = starts[y * columns + x] + corners[y, x]
    pairs = np.empty(starts[-1], np.int32)
    counts = np.zeros(columns * tile_rows, np.int32)
    bands = min(tile_rows, 16)
    for band in prange(bands):
        first, last = band * tile_rows // bands, (band + 1) * tile_rows // bands
        for k in range(K):
            i = rows[k]
            for y in range(max(boxes[i, 2], first), min(boxes[i, 3], last)):
                for x in range(boxes[i, 0], boxes[i, 1]):
                    if _reaches(geometry, k, x, y):
                        tile = y * columns + x
                        pairs[starts[tile] + counts[tile]] = k
                        counts[tile] += 1
    return starts, counts, pairs


@njit(**PARALLEL)
def blend(geometry, starts, counts, pairs, width, height, target):
    """Front to back over each tile: (H, W, 5) red, green, blue, depth and opacity without a background.

    With a ``target`` (H, W) of depths a sixth channel is the sum of weight times |z - target|, 0 where the target is
    not positive. Without one it is None, of which numba makes a kernel of its own that knows of no target.
    """
    columns = (width + TILE - 1) // TILE
    image = np.zeros((height, width, 5 if target is None else 6), np.float32)
    for tile in prange(counts.shape[0]):
        row, column = tile // columns, tile % columns
        px, py = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
        for p in range(PIXELS):
            px[p], py[p] = F(column * TILE + p % TILE) + F(0.5), F(row * TILE + p // TILE) + F(0.5)
        T = np.ones(PIXELS, np.float32)
        red, green, blue = np.zeros(PIXELS, np.float32), np.zeros(PIXELS, np.float32), np.zeros(PIXELS, np.float32)
        depth, opacity = np.zeros(PIXELS, np.float32), np.zeros(PIXELS, np.float32)
        if target is not None:
            D, error = _of_tile(target, row, column), np.zeros(PIXELS, np.float32)
        for j in range(counts[tile]):
            k = pairs[starts[tile] + j]
            u, v, a, b, c = geometry[k, 0], geometry[k, 1], geometry[k, 2], geometry[k, 3], geometry[k, 4]
            o, cr, cg, cb, z = geometry[k, 5], geometry[k, 6], geometry[k, 7], geometry[k, 8], geometry[k, 9]
            for p in range(PIXELS):
                dx, dy = px[p] - u, py[p] - v
                y = max(a * dx * dx + b * dx * dy + c * dy * dy, LOWEST_EXPONENT)
                alpha = min(o * _exp2(y), F(ALPHA_MAX))
                alpha = alpha if alpha >= F(ALPHA_MIN) else F(0)
                behind = T[p] * (F(1) - alpha)
                weight = alpha * T[p] if behind >= F(TRANSMITTANCE_MIN) else F(0)
                red[p] += weight * cr
                green[p] += weight * cg
                blue[p] += weight * cb
                depth[p] += weight * z
                opacity[p] += weight
                if target is not None:
                    error[p] += weight * abs(z - D[p])
                T[p] = behind
            if j % CHECK_EVERY == CHECK_EVERY - 1 and T.max() < F(TRANSMITTANCE_MIN):
                break
        for p in range(PIXELS):
            x, y = column * TILE + p % TILE, row * TILE + p // TILE
            if x < width and y < height:
                image[y, x, 0], image[y, x, 1], image[y, x, 2] = red[p], green[p], blue[p]
                image[y, x, 3], image[y, x, 4] = depth[p], opacity[p]
                if target is not None:
                    image[y, x, 5] = error[p] if D[p] > F(0) else F(0)
    return image


@njit(**PARALLEL)
def blend_backward(geometry, starts, counts, pairs, image, v_image, target):
    """Sums (capacity, 10) per pair (see ``GRADIENTS``) from the image without a background and its gradient, both
    (H, W, 5), or (H, W, 6) with the ``target`` of :func:`blend`.

    Goes front to back as the forward does. With f_i the gradient of what contribution i adds per unit of weight,
    dL/d alpha_i = T_i f_i - (sum behind i of w f) / (1 - alpha_i), and the sum behind is the total, known from the
    image, less the sum so far.
    """
    height, width, channels = image.shape[0], image.shape[1], 5 if target is None else 6
    columns = (width + TILE - 1) // TILE
    sums = np.empty((pairs.shape[0], GRADIENTS), np.float32)
    for tile in prange(counts.shape[0]):
        row, column = tile // columns, tile % columns
        px, py = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
        g = np.zeros((channels, PIXELS), np.float32)
        behind_sum, T = np.zeros(PIXELS, np.float32), np.ones(PIXELS, np.float32)
        for p in range(PIXELS):
            x, y = column * TILE + p % TILE, row * TILE + p // TILE
            px[p], py[p] = F(x) + F(0.5), F(y) + F(0.5)
            if x < width and y < height:
                for n in range(channels):
                    g[n, p] = v_image[y, x, n]
                    behind_sum[p] += v_image[y, x, n] * image[y, x, n]
        g0, g1, g2, g3, g4 = g[0], g[1], g[2], g[3], g[4]
        if target is not None:
            D, g5 = _of_tile(target, row, column), g[5]
            for p in range(PIXELS):
                g5[p] = g5[p] if D[p] > F(0) else F(0)
        done = counts[tile]
        for j in range(counts[tile]):
            k = pairs[starts[tile] + j]
            u, v, a, b, c = geometry[k, 0], geometry[k, 1], geometry[k, 2], geometry[k, 3], geometry[k, 4]
            o, cr, cg, cb, z = geometry[k, 5], geometry[k, 6], geometry[k, 7], geometry[k, 8], geometry[k, 9]
            h0, h1, h2, h3, h4, h5 = F(0), F(0), F(0), F(0), F(0), F(0)
            w0, w1, w2, w3 = F(0), F(0), F(0), F(0)
            for p in range(PIXELS):
                dx, dy = px[p] - u, py[p] - v
                y = max(a * dx * dx + b * dx * dy + c * dy * dy, LOWEST_EXPONENT)
                raw = o * _exp2(y)
                alpha = min(raw, F(ALPHA_MAX))
                alpha = alpha if alpha >= F(ALPHA_MIN) else F(0)
                through = F(1) - alpha
                behind = T[p] * through
                weight = alpha * T[p] if behind >= F(TRANSMITTANCE_MIN) else F(0)
                f = cr * g0[p] + cg * g1[p] + cb * g2[p] + z * g3[p] + g4[p]
                v_depth = g3[p]
                if target is not None:
                    f += abs(z - D[p]) * g5[p]
                    v_depth += g5[p] if z > D[p] else (-g5[p] if z < D[p] else F(0))
                behind_sum[p] -= weight * f
                v_alpha = T[p] * f - behind_sum[p] / through
                h = v_alpha * alpha if (weight > F(0) and raw <= F(ALPHA_MAX)) else F(0)
                T[p] = behind
                h0 += h
                h1 += h * dx
                h2 += h * dy
                h3 += h * dx * dx
                h4 += h * dx * dy
                h5 += h * dy * dy
                w0 += weight * g0[p]
                w1 += weight * g1[p]
                w2 += weight * g2[p]
                w3 += weight * v_depth
            pair = starts[tile] + j
            sums[pair, 0], sums[pair, 1], sums[pair, 2] = h0, h1, h2
            sums[pair, 3], sums[pair, 4], sums[pair, 5] = h3, h4, h5
            sums[pair, 6], sums[pair, 7], sums[pair, 8], sums[pair, 9] = w0, w1, w2, w3
            if j % CHECK_EVERY == CHECK_EVERY - 1 and T.max() < F(TRANSMITTANCE_MIN):
                done = j + 1
                break
        for j in range(done, counts[tile]):
            sums[starts[tile] + j] = F(0)
    return sums


@njit(**PARALLEL)
def gather_backward(rows, geometry, starts, counts, pairs, sums, M):
    """Add the pairs up: gradients of ``screen`` (M, 6), opacities (M,) and colours (M, 3)."""
    K = rows.shape[0]
    total = np.zeros((K, GRADIENTS), np.float32)
    for part in prange(SUM_PARTS):  # each part owns a range of splats and meets their pairs in the same order
        first, last = part * K // SUM_PARTS, (part + 1) * K // SUM_PARTS
        for tile in range(counts.shape[0]):
            for j in range(starts[tile], starts[tile] + counts[tile]):
                k = pairs[j]
                if first <= k < last:
                    for n in range(GRADIENTS):
                        total[k, n] += sums[j, n]
    v_screen = np.zeros((M, 6), np.float32)
    v_opacities = np.zeros(M, np.float32)
    v_colors = np.zeros((M, 3), np.float32)
    for k in prange(K):
        i = rows[k]
        A, B, C = geometry[k, 2] / LOG2E, geometry[k, 3] / LOG2E, geometry[k, 4] / LOG2E  # natural exponents
        v_screen[i, 0] = -F(2) * A * total[k, 1] - B * total[k, 2]
        v_screen[i, 1] = -F(2) * C * total[k, 2] - B * total[k, 1]
        v_screen[i, 2] = F(-0.5) * total[k, 3]
        v_screen[i, 3] = -total[k, 4]
        v_screen[i, 4] = F(-0.5) * total[k, 5]
        v_screen[i, 5] = total[k, 9]
        v_opacities[i] = total[k, 0] / geometry[k, 5]
        v_colors[i, 0], v_colors[i, 1], v_colors[i, 2] = total[k, 6], total[k, 7], total[k, 8]
    return v_screen, v_opacities, v_colors
