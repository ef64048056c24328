"""What keeps feature planes smooth, and close to one, while they are learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def total_variation(planes: Sequence[Tensor]) -> Tensor:
    """Twice the mean squared difference of neighbours along each of the two axes, summed over planes (K-Planes)."""
    return torch.stack([2 * (_mean_square(p.diff(dim=0)) + _mean_square(p.diff(dim=1))) for p in planes]).sum()


def curvature(planes: Sequence[Tensor]) -> Tensor:
    """Mean squared second difference along the second axis of each plane's name, its rows, summed over planes: what
    the released code of SparseCam4D calls total variation, and its smoothness along t or s."""
    return torch.stack([_mean_square(p.diff(n=2, dim=0)) for p in planes]).sum()


def pose_smoothness(planes: Sequence[Tensor]) -> Tensor:
    """Second-order smoothness along s of one level's planes xs, ys, zs (SparseCam4D, eq. 9): the squared norm over
    channels of the second difference, averaged over nodes and over planes. Planes of several levels are averaged too.
    """
    parts = [p.diff(n=2, dim=0).square().sum() / (p.shape[0] * p.shape[1]) for p in planes]
    return torch.stack(parts).mean()


def distance_to_one(planes: Sequence[Tensor]) -> Tensor:
    """Mean |1 - P|, summed over planes (K-Planes' sparsity of planes that contain time)."""
    return torch.stack([(1 - p).abs().mean() for p in planes]).sum()


def _mean_square(x: Tensor) -> Tensor:
    return x.square().mean() if x.numel() else x.new_zeros(())
