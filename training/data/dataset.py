"""A clip with cameras: which camera saw what when, and the pictures, read lazily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from training.data.generated import GeneratedViews

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Shot:
    """One picture of the clip.

    ``camera_name``: the physical camera; a hand-held camera is one camera with a pose per shot.
    ``camera``: at the size that the clip is loaded at. ``time``: in [0, 1]. ``frame``: index on the clip's clock.
    ``picture``: of the one camera of a clip, its place in :attr:`Dataset.pictures`.
    """

    camera_name: str
    camera: Camera
    time: float
    frame: int
    split: Split = "train"
    picture: int | None = None


@dataclass(frozen=True)
class PointCloud:
    """Where the scene is: ``points`` (N, 3) float32 scene units, ``colors`` (N, 3) float32 in [0, 1], and for points
    that move ``times`` (N,) float32 in [0, 1]."""

    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    times: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Dataset:
    """A clip: its shots, the function that reads a picture, and what is known of the scene.

    ``read``: index of a shot to its picture, (H, W, 3) uint8 of the shot camera's size; cached by the loader, safe
    to call from any thread. ``depth``: the same for an exact metric depth (H, W) float32 where one is known.
    ``moving``: the same for a mask (H, W) of what the clip's makers say moves, None for a shot without one;
    ``covisible``: for one of what the pictures that are learned from show as well, so that it can be asked of a scene.
    ``duration``: seconds. ``near, far``: depths between which the scene lies, scene units. ``up``: (3,) world
    direction that points up. ``points``: sparse points, when the clip comes with some. ``source``: what was opened.
    ``generated``: views that a generator made of it, where some are learned from. ``posed``: whether poses are known;
    where not they are all stated alike, and every shot has one of its own to learn. ``pictures``: of one camera, the
    names without their endings of all its pictures in order, also of those that are not used.
    """

    name: str
    source: Path
    shots: Sequence[Shot]
    read: Callable[[int], NDArray[np.uint8]] = field(repr=False)
    duration: float
    near: float
    far: float
    up: tuple[float, float, float] = (0.0, -1.0, 0.0)
    points: PointCloud | None = field(default=None, repr=False)
    depth: Callable[[int], NDArray[np.float32]] | None = field(default=None, repr=False)
    moving: Callable[[int], NDArray[np.bool_] | None] | None = field(default=None, repr=False)
    covisible: Callable[[int], NDArray[np.bool_] | None] | None = field(default=None, repr=False)
    generated: GeneratedViews | None = field(default=None, repr=False)
    posed: bool = True
    pictures: Sequence[str] = field(default=(), repr=False)

    def indices(self, split: Split) -> list[int]:
        """Shots of a split, in the order of the clip."""
        return [i for i, shot in enumerate(self.shots) if shot.split == split]

    @property
    def frame_count(self) -> int:
        """Number of instants on the clip's clock."""
        return max(shot.frame for shot in self.shots) + 1

    @property
    def fps(self) -> float:
        """Instants per second; 30 where there is one instant only."""
        return (self.frame_count - 1) / self.duration if self.duration > 0 and self.frame_count > 1 else 30.0

    @property
    def camera_names(self) -> list[str]:
        """Physical cameras, in order of appearance."""
        return list(dict.fromkeys(shot.camera_name for shot in self.shots))
