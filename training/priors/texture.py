"""How well flow can be told from a picture: not at all on a plain wall, and only across the edge along an edge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WINDOW = 2.0
"""Standard deviation in pixels of the window in which gradients are looked at."""
NOISE = 4.0
"""Mean squared gradient, in grey levels per pixel, at which flow is half believed: compression and sensors make
some."""


def texture_root(picture: NDArray[np.uint8]) -> Array:
    """(H, W, 2, 2) symmetric matrices L for a picture (H, W, 3): of an error r of flow in pixels, L r is what the
    picture has to say against it. Near the identity on texture, near zero on plain areas, flat across edges.

    L^2 is the structure tensor (Foerstner and Guelch 1987) over its larger eigenvalue plus ``NOISE``.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gx, gy = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0))
    xx, xy, yy = (cv2.GaussianBlur(v, (0, 0), WINDOW).astype(np.float64) for v in (gx * gx, gx * gy, gy * gy))
    half, det = 0.5 * (xx + yy), np.maximum(xx * yy - xy * xy, 0)
    largest = half + np.sqrt(np.maximum(half * half - det, 0))
    scale = 1 / (largest + NOISE)
    xx, xy, yy, det = xx * scale, xy * scale, yy * scale, det * scale * scale
    root = np.sqrt(det)  # of a 2x2 matrix M: (M + sqrt(det) I) / sqrt(trace + 2 sqrt(det))
    norm = np.sqrt(np.maximum(xx + yy + 2 * root, 1e-12))
    return np.stack([np.stack([xx + root, xy], -1), np.stack([xy, yy + root], -1)], -2) / norm[..., None, None]
