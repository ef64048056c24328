"""Views that a generator made up: pictures on a grid of virtual cameras (poses) and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera


@dataclass(frozen=True)
class GeneratedFrame:
    """One generated picture. ``pose``: index of its virtual camera. ``time``: in [0, 1]. ``frame``: index on the
    clip's clock."""

    pose: int
    time: float
    frame: int


@dataclass(frozen=True)
class GeneratedViews:
    """What a generator made of a clip: V_G of SparseCam4D, section 3.2.

    ``cameras``: the virtual cameras in the clip's world, in the order of their path, as far as they are known;
    training refines them. A static one stands still over time; one that moves is a camera per frame.
    ``frames``: which pictures there are. ``read``: index into ``frames`` to the picture (H, W, 3) uint8 of its
    camera's size; safe to call from any thread. ``source``: where they come from, for people.
    """

    source: str
    cameras: Sequence[Camera]
    frames: Sequence[GeneratedFrame]
    read: Callable[[int], NDArray[np.uint8]] = field(repr=False)

    def pose_coordinate(self, pose: float) -> float:
        """The place s in [0, 1] of a pose on the distortion field's pose axis: pose k of M lies at k / (M - 1)."""
        return pose / max(1, len(self.cameras) - 1)

    def of_pose(self, pose: int) -> list[int]:
        """Indices of the frames of one virtual camera, in the order of time."""
        return sorted((i for i, f in enumerate(self.frames) if f.pose == pose), key=lambda i: self.frames[i].time)
