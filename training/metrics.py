"""How close two pictures are, for people: PSNR and SSIM; the perceptual distance is in training/perceptual.py."""

from __future__ import annotations

import math

from torch import Tensor

from training import losses


def psnr(image: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio of two pictures in [0, 1], dB, at most 100."""
    error = (image.double() - target.double()).square().mean().item()
    return -10 * math.log10(max(error, 1e-10))


def ssim(image: Tensor, target: Tensor) -> float:
    """Structural similarity, data range 1 (:func:`training.losses.ssim`)."""
    return float(losses.ssim(image, target))
