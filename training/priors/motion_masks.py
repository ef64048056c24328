"""Which pixels of a picture show something that moves."""

from __future__ import annotations

from training.data.dataset import Dataset
from training.priors.flow import Mask


def moving_pixels(dataset: Dataset, index: int) -> Mask:
    """(H, W) bool."""
    raise NotImplementedError
