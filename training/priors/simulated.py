"""What a depth network would make of a scene whose depth is known: the shape is right, and little else."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SCALE = (0.5, 2.0)
"""Range of a frame's factor of disparity; the networks' unit is arbitrary."""
SHIFT = 0.3
"""Largest shift of a frame's disparity, as a share of its range."""
BLUR = 0.01
"""Standard deviation of the blur, as a share of the picture's width: borders of objects are soft."""
NOISE = 0.02
"""Standard deviation of the error that varies slowly over the picture, as a share of the disparity's range."""
NOISE_CELLS = (6, 10)
"""Rows and columns of cells over which that error varies."""


def midas_like(depth: NDArray[np.floating], seed: int, index: int) -> NDArray[np.float32]:
    """A disparity (H, W) of unknown scale and shift as MiDaS would give it, from the depth (H, W) of picture ``index``.

    The same for the same seed and index.
    """
    rng = np.random.default_rng([seed, index])
    H, W = depth.shape
    sharp = (1 / depth).astype(np.float32)
    span = float(sharp.max() - sharp.min())
    blurred = cv2.GaussianBlur(sharp, (0, 0), max(0.5, BLUR * W))
    coarse = rng.normal(scale=NOISE * span, size=NOISE_CELLS).astype(np.float32)
    disparity = blurred + cv2.resize(coarse, (W, H), interpolation=cv2.INTER_CUBIC)
    scale, shift = rng.uniform(*SCALE), rng.uniform(-SHIFT, SHIFT) * span
    return np.asarray(scale * (disparity + shift), np.float32)
