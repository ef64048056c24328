"""How close two pictures are, for people: PSNR and SSIM, of whole pictures and of the pixels of a mask; the perceptual
distance is in training/perceptual.py.

A mask is (H, W) bool; where it leaves nothing to compare the result is NaN.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from training import losses


def psnr(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio of two pictures (H, W, 3) in [0, 1], dB, at most 100.

    Of a mask, the squared error is averaged over its pixels, as DyCheck's mPSNR (Gao et al. 2022) and NSFF's PSNR of
    what moves (Li et al. 2021) are.
    """
    squares = (image.double() - target.double()).square()
    error = (squares if mask is None else squares[mask]).mean().item()
    return -10 * math.log10(max(error, 1e-10)) if error == error else math.nan


def ssim(image: Tensor, target: Tensor) -> float:
    """Structural similarity, data range 1 (:func:`training.losses.ssim`)."""
    return float(losses.ssim(image, target))


def ssim_within(image: Tensor, target: Tensor, mask: Tensor) -> float:
    """The mean of the map of structural similarity over the pixels of a mask, as NSFF takes it of what moves (Li et al.
    2021, evaluation.py; its map is scikit-image's, of other windows). The windows look beyond the mask."""
    return float(losses.ssim_map(image.double(), target.double())[:, mask].mean())


def partial_ssim(image: Tensor, target: Tensor, mask: Tensor) -> float:
    """DyCheck's mSSIM (Gao et al. 2022, ``compute_ssim`` of its dycheck/core/metrics/image.py), data range 1.

    Nothing outside of the mask is looked at: moments are partial convolutions (Liu et al. 2018), along the rows and
    then along the columns, in which what a window of 11 pixels finds in the mask stands for all of it, each pixel
    alike. The mean is over every whole window of the picture, and a window without any pixel of the mask counts as 1:
    the smaller the mask, the nearer is the mean to 1. NaN as well for a picture smaller than a window.
    """
    weights = torch.from_numpy(losses.window())
    if not mask.any() or min(mask.shape) < len(weights):
        return math.nan

    def mean(x: Tensor) -> Tensor:  # (3, H, W) to (3, H - 10, W - 10)
        x, known = x[:, None], mask.double()[None, None]
        for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
            kernel = weights.view(shape)
            count = F.conv2d(known, torch.ones_like(kernel))
            x = F.conv2d(x * known, kernel) * len(weights) / count.clamp(min=1)
            known = (count > 0).double()
        return x[:, 0]

    x, y = (t.double().permute(2, 0, 1) for t in (image, target))
    mx, my = mean(x), mean(y)
    var_x, var_y = ((mean(t * t) - m * m).clamp(min=0) for t, m in ((x, mx), (y, my)))
    cov = mean(x * y) - mx * my
    most = torch.sqrt(var_x * var_y)
    cov = cov.clamp(-most, most)
    c1, c2 = 0.01**2, 0.03**2
    return float(((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (var_x + var_y + c2))).mean())
