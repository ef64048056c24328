"""The axis of depth that all plots of rays share: even in disparity, labelled in scene units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ray_plots import depth_ticks

Values = NDArray[np.float64]


@dataclass(frozen=True)
class DepthAxis:
    """Places in [0, 1] for depths from ``near`` to ``far``, scene units."""

    near: float
    far: float

    def places(self, depths: Values | float) -> Values:
        """Where depths are; what lies beyond an end is at it, as it counts in the first or the last bin."""
        z = np.clip(np.asarray(depths, float), self.near, self.far)
        return (1 / self.near - 1 / z) / (1 / self.near - 1 / self.far)

    def depths(self, places: Values | float) -> Values:
        """The other way round."""
        place = np.clip(np.asarray(places, float), 0, 1)
        return 1 / (1 / self.near + place * (1 / self.far - 1 / self.near))

    def ticks(self, count: int) -> tuple[tuple[str, float], ...]:
        """Labels in scene units, about as many as asked for."""
        depths = depth_ticks(self.near, self.far, count)
        return tuple((f"{z:g}", float(place)) for z, place in zip(depths, self.places(depths), strict=True))
