"""Depths of a clip's pixels to hold a scene to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset


@dataclass(frozen=True)
class DepthTargets:
    read: Callable[[int], NDArray[np.float32]]
    disparity: Callable[[int], NDArray[np.float32]] | None
    source: str


def depth_targets(dataset: Dataset, source: str, folder: Path | None, alignment: str, seed: int) -> DepthTargets:
    raise NotImplementedError
