"""View -> Frame: what is asked of a scene, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera


@dataclass(frozen=True)
class View:
    """One picture that somebody wants: a viewport is dirty when its View differs from the last one drawn.

    ``time``: in [0, 1] over the clip. ``overlay``: what else is asked about every pixel, by a name that whoever draws
    the view understands, such as "distortion/positions"; nothing when empty. ``pose``: which virtual camera that is
    about, as an index.
    """

    camera: Camera
    time: float
    overlay: str = ""
    pose: int = 0


@dataclass(frozen=True)
class Frame:
    """A rendered View.

    ``color``: (H, W, 3) float32, sRGB as in the training images, not clipped.
    ``depth``: (H, W) float32, sum of weight times depth along +z, scene units; not divided by the opacity.
    ``opacity``: (H, W) float32 in [0, 1], the sum of the weights.
    ``version``: training step of the scene that was drawn.
    ``overlay``: (H, W) float32 of what the view asked for besides, in ``overlay_unit``; None where there is nothing.
    """

    view: View
    color: NDArray[np.float32]
    depth: NDArray[np.float32]
    opacity: NDArray[np.float32]
    version: int = 0
    overlay: NDArray[np.float32] | None = None
    overlay_unit: str = ""

    def expected_depth(self) -> NDArray[np.float32]:
        """(H, W) depth divided by opacity; NaN where nothing is drawn."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.opacity > 1e-3, self.depth / self.opacity, np.float32(np.nan)).astype(np.float32)
