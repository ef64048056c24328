"""CPU splatting, first half: Gaussians to ellipses on the screen, and the way back of their gradients.

The equations are those of :func:`renderer.splat.reference.project`; one loop iteration handles one splat.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from renderer.numba_setup import INLINE, PARALLEL
from renderer.splat.types import ALPHA_MIN, BLUR, FRUSTUM_MARGIN

F = np.float32
NEAR, FX, FY, CX, CY, WIDTH, HEIGHT = range(7)
"""Places in the intrinsics array of 7 float32."""


@njit(**INLINE)
def _screen_covariance(camera, x, y, z, R, cov):
    """The clamped linearisation point, J R (2, 3) and the blurred screen covariance of one splat.

    Returns tx, ty, whether each was clamped, the six entries of J R, and a, b, c.
    """
    fx, fy = camera[FX], camera[FY]
    margin_x, margin_y = F(FRUSTUM_MARGIN) * camera[WIDTH] / fx, F(FRUSTUM_MARGIN) * camera[HEIGHT] / fy
    low_x, high_x = -camera[CX] / fx - margin_x, (camera[WIDTH] - camera[CX]) / fx + margin_x
    low_y, high_y = -camera[CY] / fy - margin_y, (camera[HEIGHT] - camera[CY]) / fy + margin_y
    u, v = x / z, y / z
    free_x, free_y = low_x <= u <= high_x, low_y <= v <= high_y
    u, v = min(max(u, low_x), high_x), min(max(v, low_y), high_y)
    j00, j02, j11, j12 = fx / z, -fx * u / z, fy / z, -fy * v / z
    p0, p1, p2 = j00 * R[0, 0] + j02 * R[2, 0], j00 * R[0, 1] + j02 * R[2, 1], j00 * R[0, 2] + j02 * R[2, 2]
    q0, q1, q2 = j11 * R[1, 0] + j12 * R[2, 0], j11 * R[1, 1] + j12 * R[2, 1], j11 * R[1, 2] + j12 * R[2, 2]
    xx, xy, xz, yy, yz, zz = cov[0], cov[1], cov[2], cov[3], cov[4], cov[5]
    s0, s1, s2 = xx * p0 + xy * p1 + xz * p2, xy * p0 + yy * p1 + yz * p2, xz * p0 + yz * p1 + zz * p2
    r0, r1, r2 = xx * q0 + xy * q1 + xz * q2, xy * q0 + yy * q1 + yz * q2, xz * q0 + yz * q1 + zz * q2
    a = p0 * s0 + p1 * s1 + p2 * s2 + F(BLUR)
    b = q0 * s0 + q1 * s1 + q2 * s2
    c = q0 * r0 + q1 * r1 + q2 * r2 + F(BLUR)
    return u, v, free_x, free_y, p0, p1, p2, q0, q1, q2, a, b, c


@njit(**PARALLEL)
def project(means, covariances, opacities, pose, camera, offsets, tile):
    """Project M splats.

    ``pose`` (4, 4), ``camera`` (7,) float32, ``offsets`` (M, 2) or (0, 2), ``tile`` pixels. Returns ``screen``
    (M, 6): u, v, conic A, B, C, depth; ``radii`` (M,) int32; ``boxes`` (M, 4) int32: first and one past the last
    tile column and row that the splat may reach, empty for a splat that is not drawn.
    """
    M = means.shape[0]
    screen = np.zeros((M, 6), np.float32)
    radii = np.zeros(M, np.int32)
    boxes = np.zeros((M, 4), np.int32)
    W, H = camera[WIDTH], camera[HEIGHT]
    R = pose[:3, :3]
    for i in prange(M):
        m0, m1, m2 = means[i, 0], means[i, 1], means[i, 2]
        z = R[2, 0] * m0 + R[2, 1] * m1 + R[2, 2] * m2 + pose[2, 3]
        if not (z > camera[NEAR]) or opacities[i] < F(ALPHA_MIN):
            continue
        x = R[0, 0] * m0 + R[0, 1] * m1 + R[0, 2] * m2 + pose[0, 3]
        y = R[1, 0] * m0 + R[1, 1] * m1 + R[1, 2] * m2 + pose[1, 3]
        _, _, _, _, _, _, _, _, _, _, a, b, c = _screen_covariance(camera, x, y, z, R, covariances[i])
        det = a * c - b * b
        if not det > F(0):
            continue
        u, v = camera[FX] * x / z + camera[CX], camera[FY] * y / z + camera[CY]
        if offsets.shape[0] > 0:
            u, v = u + offsets[i, 0], v + offsets[i, 1]
        reach = math.sqrt(F(2) * math.log(max(opacities[i] / F(ALPHA_MIN), F(1))))
        rx, ry = reach * math.sqrt(a), reach * math.sqrt(c)
        if not (u + rx >= F(0.5) and u - rx <= W - F(0.5) and v + ry >= F(0.5) and v - ry <= H - F(0.5)):
            continue
        screen[i, 0], screen[i, 1], screen[i, 5] = u, v, z
        screen[i, 2], screen[i, 3], screen[i, 4] = c / det, -b / det, a / det
        radii[i] = np.int32(math.ceil(min(max(rx, ry), F(1e6))))
        # Pixel centres within u +- rx, a hundredth of a pixel more against rounding
        boxes[i, 0] = np.int32(max(u - rx - F(0.51), F(0))) // tile
        boxes[i, 1] = np.int32(min(u + rx - F(0.49), W - F(1))) // tile + 1
        boxes[i, 2] = np.int32(max(v - ry - F(0.51), F(0))) // tile
        boxes[i, 3] = np.int32(min(v + ry - F(0.49), H - F(1))) // tile + 1
    return screen, radii, boxes


@njit(**PARALLEL)
def project_backward(means, covariances, pose, camera, radii, v_screen, v_pose_parts):
    """Gradients of the means (M, 3) and covariances (M, 6) from those of ``screen`` (M, 6).

    ``v_pose_parts`` (P, 12) receives the gradient of the pose's upper three rows, one part per range of splats, or
    has no rows where it is not wanted. The parts are summed in order, so the result does not depend on threads.
    """
    M = means.shape[0]
    v_means = np.zeros((M, 3), np.float32)
    v_covariances = np.zeros((M, 6), np.float32)
    wanted = v_pose_parts.shape[0] > 0
    parts = max(v_pose_parts.shape[0], 64)
    R = pose[:3, :3]
    fx, fy = camera[FX], camera[FY]
    for part in prange(parts):
        g = np.zeros((3, 4), np.float64)
        for i in range(part * M // parts, (part + 1) * M // parts):
            if radii[i] == 0:
                continue
            m0, m1, m2 = means[i, 0], means[i, 1], means[i, 2]
            x = R[0, 0] * m0 + R[0, 1] * m1 + R[0, 2] * m2 + pose[0, 3]
            y = R[1, 0] * m0 + R[1, 1] * m1 + R[1, 2] * m2 + pose[1, 3]
            z = R[2, 0] * m0 + R[2, 1] * m1 + R[2, 2] * m2 + pose[2, 3]
            cov = covariances[i]
            u, v, free_x, free_y, p0, p1, p2, q0, q1, q2, a, b, c = _screen_covariance(camera, x, y, z, R, cov)
            # conic = inverse of [[a, b], [b, c]]
            det = a * c - b * b
            A, B, C = c / det, -b / det, a / det
            gA, gB, gC = v_screen[i, 2], v_screen[i, 3], v_screen[i, 4]
            # d conic = -conic d(cov) conic, with B one entry that stands for both off-diagonal ones
            va = -(gA * A * A + gB * A * B + gC * B * B)
            vb = -(F(2) * gA * A * B + gB * (A * C + B * B) + F(2) * gC * B * C)
            vc = -(gA * B * B + gB * B * C + gC * C * C)
            # a = p S p, b = q S p, c = q S q
            v_covariances[i, 0] = va * p0 * p0 + vb * p0 * q0 + vc * q0 * q0
            v_covariances[i, 1] = F(2) * va * p0 * p1 + vb * (p0 * q1 + p1 * q0) + F(2) * vc * q0 * q1
            v_covariances[i, 2] = F(2) * va * p0 * p2 + vb * (p0 * q2 + p2 * q0) + F(2) * vc * q0 * q2
            v_covariances[i, 3] = va * p1 * p1 + vb * p1 * q1 + vc * q1 * q1
            v_covariances[i, 4] = F(2) * va * p1 * p2 + vb * (p1 * q2 + p2 * q1) + F(2) * vc * q1 * q2
            v_covariances[i, 5] = va * p2 * p2 + vb * p2 * q2 + vc * q2 * q2
            s0, s1, s2 = (
                cov[0] * p0 + cov[1] * p1 + cov[2] * p2,
                cov[1] * p0 + cov[3] * p1 + cov[4] * p2,
                cov[2] * p0 + cov[4] * p1 + cov[5] * p2,
            )
            r0, r1, r2 = (
                cov[0] * q0 + cov[1] * q1 + cov[2] * q2,
                cov[1] * q0 + cov[3] * q1 + cov[4] * q2,
                cov[2] * q0 + cov[4] * q1 + cov[5] * q2,
            )
            vp0, vp1, vp2 = F(2) * va * s0 + vb * r0, F(2) * va * s1 + vb * r1, F(2) * va * s2 + vb * r2
            vq0, vq1, vq2 = F(2) * vc * r0 + vb * s0, F(2) * vc * r1 + vb * s1, F(2) * vc * r2 + vb * s2
            # p = j00 R[0] + j02 R[2], q = j11 R[1] + j12 R[2]
            j00, j02, j11, j12 = fx / z, -fx * u / z, fy / z, -fy * v / z
            v_j00 = vp0 * R[0, 0] + vp1 * R[0, 1] + vp2 * R[0, 2]
            v_j02 = vp0 * R[2, 0] + vp1 * R[2, 1] + vp2 * R[2, 2]
            v_j11 = vq0 * R[1, 0] + vq1 * R[1, 1] + vq2 * R[1, 2]
            v_j12 = vq0 * R[2, 0] + vq1 * R[2, 1] + vq2 * R[2, 2]
            # j00 = fx / z, j02 = -fx u / z; u = x / z unless clamped
            gu, gv = -fx / z * v_j02, -fy / z * v_j12
            vz = -(j00 * v_j00 + j02 * v_j02 + j11 * v_j11 + j12 * v_j12) / z
            vx, vy = F(0), F(0)
            if free_x:
                vx += gu / z
                vz -= gu * u / z
            if free_y:
                vy += gv / z
                vz -= gv * v / z
            # screen position and depth
            hu, hv = v_screen[i, 0], v_screen[i, 1]
            vx += hu * fx / z
            vy += hv * fy / z
            vz += v_screen[i, 5] - (hu * fx * x + hv * fy * y) / (z * z)
            v_means[i, 0] = R[0, 0] * vx + R[1, 0] * vy + R[2, 0] * vz
            v_means[i, 1] = R[0, 1] * vx + R[1, 1] * vy + R[2, 1] * vz
            v_means[i, 2] = R[0, 2] * vx + R[1, 2] * vy + R[2, 2] * vz
            if wanted:
                g[0, 0] += vx * m0 + j00 * vp0
                g[0, 1] += vx * m1 + j00 * vp1
                g[0, 2] += vx * m2 + j00 * vp2
                g[1, 0] += vy * m0 + j11 * vq0
                g[1, 1] += vy * m1 + j11 * vq1
                g[1, 2] += vy * m2 + j11 * vq2
                g[2, 0] += vz * m0 + j02 * vp0 + j12 * vq0
                g[2, 1] += vz * m1 + j02 * vp1 + j12 * vq1
                g[2, 2] += vz * m2 + j02 * vp2 + j12 * vq2
                g[0, 3] += vx
                g[1, 3] += vy
                g[2, 3] += vz
        if wanted:
            for k in range(12):
                v_pose_parts[part, k] = g[k // 4, k % 4]
    return v_means, v_covariances
