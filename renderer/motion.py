"""Which Gaussians of a scene move. They are not told: it is read off how far they go and how long they live."""

from __future__ import annotations

import torch
from torch import Tensor

from renderer.gaussians import Gaussians

MOVING_SHARE = 0.02
"""A Gaussian that goes further than this share of the scene's extent while it is there moves: some pixels in a picture
that is a few hundred wide. What stands still is fitted with velocities too, but has no reason to go anywhere."""
LASTING_SHARE = 0.5
"""A Gaussian that lives for less than this share of the clip shows something that changes. They start with 0.69 of it
(:func:`renderer.gaussians.gaussians_from_points`), and what stands still gains nothing from dying earlier."""


def moving(gaussians: Gaussians) -> Tensor:
    """(N,) bool: which Gaussians are the scene's dynamic part, the same at every instant; the others are its static
    part."""
    with torch.no_grad():
        g = gaussians.detached()
        lives = g.lifespans()  # (N,) shares of the clip
        middle = g.times[:, 0] / g.time_span
        there = (middle + 0.5 * lives).clamp(max=1) - (middle - 0.5 * lives).clamp(min=0)
        way = torch.linalg.vector_norm(g.velocities(), dim=1) * there.clamp(min=0)
        return (way > MOVING_SHARE * extent(g)) | (lives < LASTING_SHARE)


def extent(gaussians: Gaussians) -> float:
    """Scene units: the median distance of the centres to their median, at least the median Gaussian's size, so that one
    Gaussian has an extent too; 0 for an empty scene."""
    if not len(gaussians):
        return 0.0
    centers = gaussians.positions.detach()
    distances = torch.linalg.vector_norm(centers - centers.median(0).values, dim=1)
    sizes = gaussians.activate_scales(gaussians.scales.detach()).amax(1)
    return float(torch.maximum(distances.median(), sizes.median()))
