"""The kernels of :mod:`renderer.slicing_cpu`: the equations of :mod:`renderer.slicing`, one Gaussian at a time.

Work is cut into ``PARTS`` ranges; each owns small scratch arrays, so nothing is allocated per Gaussian, and what is
summed over Gaussians is summed per range and then in order. Arrays of zeros come from the caller: in a parallel
kernel numba would fill each in a parallel loop of its own, and a busy machine makes every such loop wait.

With m_x (3, 4) and m_t (4,) the rows of A S: Sigma_tt = m_t . m_t, v = m_x m_t / Sigma_tt, and the sliced covariance
is W W^T with W = m_x - v m_t^T. Unlike Sigma_xx - Sigma_xt Sigma_xt^T / Sigma_tt it stays accurate and positive in
float32 for a Gaussian that lives long and moves.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from renderer.gaussians import P_MIN
from renderer.harmonics import SH_C0
from renderer.numba_setup import INLINE, PARALLEL

F = np.float32
PARTS = 64
TAU = F(2 * math.pi)
REACH = F(-2 * math.log(P_MIN))
"""The temporal weight is above P_MIN where dt^2 < REACH Sigma_tt."""
C1, C20 = F(math.sqrt(3 / (4 * math.pi))), F(math.sqrt(15 / (4 * math.pi)))
C22 = F(math.sqrt(15 / (4 * math.pi)) / math.sqrt(12))
C33, C32 = F(math.sqrt(35 / (32 * math.pi))), F(math.sqrt(105 / (4 * math.pi)))
C31, C30 = F(math.sqrt(21 / (32 * math.pi))), F(math.sqrt(7 / (16 * math.pi)))


@njit(**INLINE)
def _quaternion_matrices(left, right, L, R):
    """Fill L(left) and R(right) of the normalised quaternions; returns the two norms."""
    nl = math.sqrt(left[0] ** 2 + left[1] ** 2 + left[2] ** 2 + left[3] ** 2)
    nr = math.sqrt(right[0] ** 2 + right[1] ** 2 + right[2] ** 2 + right[3] ** 2)
    nl, nr = max(nl, F(1e-12)), max(nr, F(1e-12))
    a, b, c, d = left[0] / nl, left[1] / nl, left[2] / nl, left[3] / nl
    p, q, r, s = right[0] / nr, right[1] / nr, right[2] / nr, right[3] / nr
    L[0, 0], L[0, 1], L[0, 2], L[0, 3] = a, -b, -c, -d
    L[1, 0], L[1, 1], L[1, 2], L[1, 3] = b, a, -d, c
    L[2, 0], L[2, 1], L[2, 2], L[2, 3] = c, d, a, -b
    L[3, 0], L[3, 1], L[3, 2], L[3, 3] = d, -c, b, a
    R[0, 0], R[0, 1], R[0, 2], R[0, 3] = p, q, r, s
    R[1, 0], R[1, 1], R[1, 2], R[1, 3] = -q, p, -s, r
    R[2, 0], R[2, 1], R[2, 2], R[2, 3] = -r, s, p, -q
    R[3, 0], R[3, 1], R[3, 2], R[3, 3] = -s, -r, q, p
    return nl, nr


@njit(**INLINE)
def _activate(raw, softplus):
    """A standard deviation."""
    if softplus:
        return max(raw, F(0)) + math.log1p(math.exp(-abs(raw)))
    return math.exp(raw)


@njit(**INLINE)
def _factor(i, scales, time_scales, softplus, L, R, A, s):
    """Fill the rotation A, with both axes of L R reversed, and the four standard deviations s."""
    for row in range(4):
        for column in range(4):
            total = F(0)
            for k in range(4):
                total += L[3 - row, k] * R[k, 3 - column]
            A[row, column] = total
    for k in range(3):
        s[k] = _activate(scales[i, k], softplus)
    s[3] = _activate(time_scales[i, 0], softplus)


@njit(**INLINE)
def _condition(A, s, v, W):
    """Fill the velocity v (3,) and the rows W (3, 4) of the sliced covariance; returns Sigma_tt."""
    tt = F(0)
    for k in range(4):
        tt += (A[3, k] * s[k]) ** 2
    for a in range(3):
        v[a] = F(0)
        for k in range(4):
            v[a] += A[a, k] * A[3, k] * s[k] * s[k]
        v[a] /= tt
        left_over = F(0)
        for k in range(4):
            W[a, k] = (A[a, k] - v[a] * A[3, k]) * s[k]
            left_over += W[a, k] * A[3, k] * s[k]
        for k in range(4):  # a second projection: the gradients rely on W m_t = 0
            W[a, k] -= left_over / tt * A[3, k] * s[k]
    return tt


@njit(**INLINE)
def _time_variance(left, right, scales, time_scale, softplus):
    """Sigma_tt of one Gaussian, from the last row of its rotation alone."""
    a, b, c, d = left[0], left[1], left[2], left[3]
    p, q, r, s = right[0], right[1], right[2], right[3]
    x = (a * s - b * r + c * q - d * p) * _activate(scales[0], softplus)
    y = (a * r + b * s - c * p - d * q) * _activate(scales[1], softplus)
    z = (a * q - b * p - c * s + d * r) * _activate(scales[2], softplus)
    w = (a * p + b * q + c * r + d * s) * _activate(time_scale, softplus)
    norms = max(a * a + b * b + c * c + d * d, F(1e-24)) * max(p * p + q * q + r * r + s * s, F(1e-24))
    return (x * x + y * y + z * z + w * w) / norms


@njit(**INLINE)
def _basis(x, y, z, count, B):
    """The first ``count`` real harmonics of a unit direction."""
    B[0] = F(SH_C0)
    if count > 1:
        B[1], B[2], B[3] = -C1 * y, C1 * z, -C1 * x
    if count > 4:
        B[4], B[5], B[7] = C20 * x * y, -C20 * y * z, -C20 * x * z
        B[6] = C22 * (F(2) * z * z - x * x - y * y)
        B[8] = F(0.5) * C20 * (x * x - y * y)
    if count > 9:
        B[9] = -C33 * y * (F(3) * x * x - y * y)
        B[10] = C32 * x * y * z
        B[11] = -C31 * y * (F(4) * z * z - x * x - y * y)
        B[12] = C30 * z * (F(2) * z * z - F(3) * x * x - F(3) * y * y)
        B[13] = -C31 * x * (F(4) * z * z - x * x - y * y)
        B[14] = F(0.5) * C32 * z * (x * x - y * y)
        B[15] = -C33 * x * (x * x - F(3) * y * y)


@njit(**INLINE)
def _basis_backward(x, y, z, count, g):
    """Gradient of the direction from that of the harmonics g (16,)."""
    vx, vy, vz = F(0), F(0), F(0)
    if count > 1:
        vx, vy, vz = -C1 * g[3], -C1 * g[1], C1 * g[2]
    if count > 4:
        vx += C20 * (y * g[4] - z * g[7] + x * g[8]) - F(2) * C22 * x * g[6]
        vy += C20 * (x * g[4] - z * g[5] - y * g[8]) - F(2) * C22 * y * g[6]
        vz += C20 * (-y * g[5] - x * g[7]) + F(4) * C22 * z * g[6]
    if count > 9:
        xx, yy, zz = x * x, y * y, z * z
        vx += -F(6) * C33 * x * y * g[9] + C32 * y * z * g[10] + F(2) * C31 * x * y * g[11]
        vx += -F(6) * C30 * x * z * g[12] - C31 * (F(4) * zz - F(3) * xx - yy) * g[13]
        vx += C32 * x * z * g[14] - C33 * (F(3) * xx - F(3) * yy) * g[15]
        vy += -C33 * (F(3) * xx - F(3) * yy) * g[9] + C32 * x * z * g[10]
        vy += -C31 * (F(4) * zz - xx - F(3) * yy) * g[11] - F(6) * C30 * y * z * g[12]
        vy += F(2) * C31 * x * y * g[13] - C32 * y * z * g[14] + F(6) * C33 * x * y * g[15]
        vz += C32 * x * y * g[10] - F(8) * C31 * y * z * g[11]
        vz += C30 * (F(6) * zz - F(3) * xx - F(3) * yy) * g[12] - F(8) * C31 * x * z * g[13]
        vz += F(0.5) * C32 * (xx - yy) * g[14]
    return vx, vy, vz


@njit(**PARALLEL)
def alive(times, scales, time_scales, left, right, t, reach, softplus):
    """(N,) whether the temporal weight at ``t`` is above the threshold to the power of ``reach``."""
    N = times.shape[0]
    flags = np.empty(N, np.bool_)
    for part in prange(PARTS):
        for i in range(part * N // PARTS, (part + 1) * N // PARTS):
            tt = _time_variance(left[i], right[i], scales[i], time_scales[i, 0], softplus)
            flags[i] = (t - times[i, 0]) ** 2 < reach * REACH * tt
    return flags


@njit(**PARALLEL)
def forward(ids, parameters, t, center, span, softplus, degree_count, orders):
    """Means (M, 3), packed covariances (M, 6), opacities (M,) and colours (M, 3) of the Gaussians ``ids``.

    ``parameters``: the nine arrays of a scene, in order. ``degree_count``: ordinary harmonics in use, 1 to 16;
    ``orders``: temporal orders above zero in use, 0 to 2.
    """
    positions, times, scales, time_scales, left, right, opacities, sh_dc, sh_rest = parameters
    M = ids.shape[0]
    means, covariances = np.empty((M, 3), np.float32), np.empty((M, 6), np.float32)
    alphas, colors = np.empty(M, np.float32), np.empty((M, 3), np.float32)
    for part in prange(PARTS):
        L, R, A = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
        W, B = np.empty((3, 4), np.float32), np.empty(16, np.float32)
        s, v = np.empty(4, np.float32), np.empty(3, np.float32)
        for m in range(part * M // PARTS, (part + 1) * M // PARTS):
            i = ids[m]
            _quaternion_matrices(left[i], right[i], L, R)
            _factor(i, scales, time_scales, softplus, L, R, A, s)
            tt = _condition(A, s, v, W)
            dt = t - times[i, 0]
            n = 0
            for a in range(3):
                means[m, a] = positions[i, a] + v[a] * dt
                for b in range(a, 3):
                    covariances[m, n] = W[a, 0] * W[b, 0] + W[a, 1] * W[b, 1] + W[a, 2] * W[b, 2] + W[a, 3] * W[b, 3]
                    n += 1
            alphas[m] = math.exp(F(-0.5) * dt * dt / tt) / (F(1) + math.exp(-opacities[i, 0]))

            x, y, z = positions[i, 0] - center[0], positions[i, 1] - center[1], positions[i, 2] - center[2]
            r = max(math.sqrt(x * x + y * y + z * z), F(1e-12))
            _basis(x / r, y / r, z / r, degree_count, B)
            for ch in range(3):
                total = F(0.5) + B[0] * sh_dc[i, 0, ch]
                for k in range(1, degree_count):
                    total += B[k] * sh_rest[i, k - 1, ch]
                for order in range(1, orders + 1):
                    folded = F(0)
                    for k in range(16):
                        folded += B[k] * sh_rest[i, 16 * order + k - 1, ch]
                    total += math.cos(TAU * F(order) * dt / span) * folded
                colors[m, ch] = max(total, F(0))
    return means, covariances, alphas, colors


@njit(**PARALLEL)
def backward(
    ids, parameters, t, center, span, softplus, degree_count, orders,
    colors, v_means, v_covariances, v_alphas, v_colors, gradients, v_centers,
):  # fmt: skip
    """Write into ``gradients``, nine arrays of zeros like ``parameters``, the rows ``ids``.

    ``v_centers``: (PARTS, 3) float64 zeros; their sum becomes the gradient of the camera centre.
    """
    positions, times, scales, time_scales, left, right, opacities, _, sh_rest = parameters
    g_positions, g_times, g_scales, g_time_scales, g_left, g_right, g_opacities, g_dc, g_rest = gradients
    M = ids.shape[0]
    for part in prange(PARTS):
        L, R, A = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
        scratch, V = np.empty((4, 4), np.float32), np.empty((4, 4), np.float32)
        W, s = np.empty((3, 4), np.float32), np.empty(4, np.float32)
        v, v_v = np.empty(3, np.float32), np.empty(3, np.float32)
        B, v_B, v_c = np.empty(16, np.float32), np.empty(16, np.float32), np.empty(3, np.float32)
        for m in range(part * M // PARTS, (part + 1) * M // PARTS):
            i = ids[m]
            nl, nr = _quaternion_matrices(left[i], right[i], L, R)
            _factor(i, scales, time_scales, softplus, L, R, A, s)
            tt = _condition(A, s, v, W)
            dt = t - times[i, 0]

            # opacity = sigmoid(logit) p, p = exp(-dt^2 / 2 tt)
            p = math.exp(F(-0.5) * dt * dt / tt)
            sigmoid = F(1) / (F(1) + math.exp(-opacities[i, 0]))
            g_opacities[i, 0] = v_alphas[m] * p * sigmoid * (F(1) - sigmoid)
            v_p = v_alphas[m] * sigmoid * p
            v_dt = -v_p * dt / tt
            v_tt = F(0.5) * v_p * dt * dt / (tt * tt)

            # mean = position + v dt
            along = F(0)
            for a in range(3):
                v_v[a] = v_means[m, a] * dt
                v_dt += v_means[m, a] * v[a]
                along += v_v[a] * v[a]

            # covariance = W W^T; W m_t = 0, hence it does not act on v
            g = v_covariances[m]
            for k in range(4):
                m_t = A[3, k] * s[k]
                x = F(2) * g[0] * W[0, k] + g[1] * W[1, k] + g[2] * W[2, k]
                y = g[1] * W[0, k] + F(2) * g[3] * W[1, k] + g[4] * W[2, k]
                z = g[2] * W[0, k] + g[4] * W[1, k] + F(2) * g[5] * W[2, k]
                w = (v_v[0] * W[0, k] + v_v[1] * W[1, k] + v_v[2] * W[2, k] - along * m_t) / tt
                w += F(2) * v_tt * m_t - v[0] * x - v[1] * y - v[2] * z
                x, y, z = x + v_v[0] * m_t / tt, y + v_v[1] * m_t / tt, z + v_v[2] * m_t / tt

                # (x, y, z, w) is the gradient of column k of A S
                v_s = x * A[0, k] + y * A[1, k] + z * A[2, k] + w * A[3, k]
                raw = scales[i, k] if k < 3 else time_scales[i, 0]
                v_raw = v_s * (F(1) / (F(1) + math.exp(-raw)) if softplus else s[k])
                if k < 3:
                    g_scales[i, k] = v_raw
                else:
                    g_time_scales[i, 0] = v_raw
                V[3, 3 - k], V[2, 3 - k], V[1, 3 - k], V[0, 3 - k] = x * s[k], y * s[k], z * s[k], w * s[k]
            _quaternions_backward(i, L, R, V, nl, nr, scratch, g_left, g_right)

            # colour
            x, y, z = positions[i, 0] - center[0], positions[i, 1] - center[1], positions[i, 2] - center[2]
            r = max(math.sqrt(x * x + y * y + z * z), F(1e-12))
            x, y, z = x / r, y / r, z / r
            _basis(x, y, z, degree_count, B)
            for ch in range(3):
                v_c[ch] = v_colors[m, ch] if colors[m, ch] > F(0) else F(0)
                g_dc[i, 0, ch] = B[0] * v_c[ch]
            for k in range(1, degree_count):
                v_B[k] = F(0)
                for ch in range(3):
                    g_rest[i, k - 1, ch] = B[k] * v_c[ch]
                    v_B[k] += sh_rest[i, k - 1, ch] * v_c[ch]
            v_phase = F(0)
            for order in range(1, orders + 1):
                angle = TAU * F(order) * dt / span
                cosine, v_cosine = math.cos(angle), F(0)
                for k in range(16):
                    dot = F(0)
                    for ch in range(3):
                        g_rest[i, 16 * order + k - 1, ch] = cosine * B[k] * v_c[ch]
                        dot += sh_rest[i, 16 * order + k - 1, ch] * v_c[ch]
                    v_cosine += B[k] * dot
                    if k > 0:
                        v_B[k] += cosine * dot
                v_phase -= v_cosine * math.sin(angle) * TAU * F(order)
            g_times[i, 0] = -(v_dt + v_phase / span)

            vx, vy, vz = _basis_backward(x, y, z, degree_count, v_B)
            along = x * vx + y * vy + z * vz
            vx, vy, vz = (vx - x * along) / r, (vy - y * along) / r, (vz - z * along) / r
            g_positions[i, 0] = v_means[m, 0] + vx
            g_positions[i, 1] = v_means[m, 1] + vy
            g_positions[i, 2] = v_means[m, 2] + vz
            v_centers[part, 0] -= vx
            v_centers[part, 1] -= vy
            v_centers[part, 2] -= vz


@njit(**INLINE)
def _quaternions_backward(i, L, R, V, nl, nr, scratch, g_left, g_right):
    """Gradients of both raw quaternions from the gradient V of L R."""
    for a in range(4):  # of L: V R^T
        for k in range(4):
            total = F(0)
            for b in range(4):
                total += V[a, b] * R[k, b]
            scratch[a, k] = total
    g = scratch
    va = g[0, 0] + g[1, 1] + g[2, 2] + g[3, 3]
    vb = -g[0, 1] + g[1, 0] - g[2, 3] + g[3, 2]
    vc = -g[0, 2] + g[1, 3] + g[2, 0] - g[3, 1]
    vd = -g[0, 3] - g[1, 2] + g[2, 1] + g[3, 0]
    a, b, c, d = L[0, 0], L[1, 0], L[2, 0], L[3, 0]
    along = a * va + b * vb + c * vc + d * vd
    g_left[i, 0], g_left[i, 1] = (va - a * along) / nl, (vb - b * along) / nl
    g_left[i, 2], g_left[i, 3] = (vc - c * along) / nl, (vd - d * along) / nl
    for k in range(4):  # of R: L^T V
        for n in range(4):
            total = F(0)
            for m in range(4):
                total += L[m, k] * V[m, n]
            scratch[k, n] = total
    vp = g[0, 0] + g[1, 1] + g[2, 2] + g[3, 3]
    vq = g[0, 1] - g[1, 0] - g[2, 3] + g[3, 2]
    vr = g[0, 2] + g[1, 3] - g[2, 0] - g[3, 1]
    vs = g[0, 3] - g[1, 2] + g[2, 1] - g[3, 0]
    p, q, r, s = R[0, 0], R[0, 1], R[0, 2], R[0, 3]
    along = p * vp + q * vq + r * vr + s * vs
    g_right[i, 0], g_right[i, 1] = (vp - p * along) / nr, (vq - q * along) / nr
    g_right[i, 2], g_right[i, 3] = (vr - r * along) / nr, (vs - s * along) / nr
