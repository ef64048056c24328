"""What the window and the engine say to each other, whole: commands go in, events come out.

Everything is a frozen value. The window looks into no tensor, the engine never imports the window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.gaussians import Gaussians
from renderer.rays import RayDistribution
from renderer.view import Frame, View
from renderer.weights import Edges
from training.data.dataset import Shot
from training.trainer import RayThroughTime, Slices

# ---------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True)
class Train:
    """Start or go on training, until ``until`` steps or, when None, the run's own number of steps."""

    until: int | None = None


@dataclass(frozen=True)
class Pause:
    """Stop after the current step; views, picks and exports go on."""


@dataclass(frozen=True)
class Draw:
    """Draw a view. Only the newest waits: a hundred camera moves cost one render. None: nobody looks."""

    view: View | None


@dataclass(frozen=True)
class Pick:
    """Ask for the weights along the ray of a pixel (x, y) of a view; the newest wins. While training goes on it is
    answered again with every picture."""

    view: View
    pixel: tuple[int, int]


@dataclass(frozen=True)
class Evaluate:
    """Measure the held-out views now."""


@dataclass(frozen=True)
class Save:
    """Write a checkpoint now."""


@dataclass(frozen=True)
class Export:
    """Write a video of these views, one frame between two training steps."""

    views: tuple[View, ...] = field(repr=False)
    path: Path
    fps: float = 30.0


@dataclass(frozen=True)
class CancelExport:
    """Stop the running export and remove its unfinished file."""


@dataclass(frozen=True)
class PickRow:
    """Ask for the x-depth slices of a row of pixels of a view."""

    view: View
    row: int


@dataclass(frozen=True)
class Publish:
    """From now on hand over Gaussians themselves whenever they have changed, to whoever draws them without the engine;
    views that ask for an overlay, and scenes of another kind, are still asked for with Draw."""


Command = Train | Pause | Draw | Pick | PickRow | Publish | Evaluate | Save | Export | CancelExport

# ------------------------------------------------------------------------------------------------ events


@dataclass(frozen=True)
class Opened:
    """A scene is ready to be looked at. ``home``: the camera to start from. ``center``: (3,) what to orbit around.
    ``virtual_cameras``: of the generated views that are learned from. ``has_distortion``: whether a field bends the
    scene for them, so that views may ask for the overlay "distortion/HEAD"."""

    name: str
    shots: tuple[Shot, ...] = field(repr=False)
    home: Camera
    center: tuple[float, float, float]
    up: tuple[float, float, float]
    fps: float
    frame_count: int
    step: int
    steps: int
    run: Path
    virtual_cameras: tuple[Camera, ...] = field(default=(), repr=False)
    has_distortion: bool = False


@dataclass(frozen=True)
class Started:
    """Training goes on from ``step`` and will stop at ``steps``."""

    step: int
    steps: int


@dataclass(frozen=True)
class Progress:
    """After a step, at most ten times a second. ``psnr``: dB of the step's own picture. ``rate``: steps per second.
    ``eta``: seconds left."""

    step: int
    steps: int
    loss: float
    psnr: float
    size: int
    unit: str
    rate: float
    eta: float


@dataclass(frozen=True)
class Drawn:
    """The newest picture of the newest view."""

    frame: Frame


@dataclass(frozen=True)
class Published:
    """The scene as it was at a step; nobody changes it any more."""

    scene: Gaussians = field(repr=False)
    step: int


@dataclass(frozen=True)
class Picked:
    """The ray that was asked for, at a step of training. ``samples``: (K,) depths that the estimator of DDR draws from
    it (:meth:`training.trainer.Trainer.sampled_depths`)."""

    ray: RayDistribution
    step: int
    samples: NDArray[np.float64]


@dataclass(frozen=True)
class PickedThroughTime:
    """The picked ray over the whole clip, a moment after :class:`Picked`."""

    history: RayThroughTime


@dataclass(frozen=True)
class RowPicked:
    """The row that was asked for. ``edges``: (B + 1,) depths, scene units. ``slices``: (W, B) by quantity
    (:func:`renderer.weights.row_slices`)."""

    row: PickRow
    edges: Edges
    slices: Slices
    step: int


@dataclass(frozen=True)
class Evaluated:
    """Means over the held-out views (over the input views where none is held out)."""

    step: int
    psnr: float
    ssim: float
    split: Literal["train", "test"]


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class ExportProgress:
    """``done`` of ``total`` frames are written; ``finished`` once the file is complete, ``cancelled`` once removed."""

    done: int
    total: int
    path: Path
    finished: bool = False
    cancelled: bool = False


@dataclass(frozen=True)
class Status:
    """A sentence about what takes long right now ("Reading cam02.mp4", "Compiling kernels")."""

    text: str


@dataclass(frozen=True)
class Warned:
    """Something a person should know; work goes on."""

    message: str


@dataclass(frozen=True)
class Failed:
    """A job ended: a sentence a person can act on. ``detail`` is the traceback, for a bug report."""

    message: str
    detail: str = ""


@dataclass(frozen=True)
class Paused:
    """Training stands still at ``step``."""

    step: int


@dataclass(frozen=True)
class Finished:
    """Training reached its last step."""

    step: int


Event = (
    Opened
    | Started
    | Progress
    | Drawn
    | Published
    | Picked
    | PickedThroughTime
    | RowPicked
    | Evaluated
    | Saved
    | ExportProgress
    | Status
    | Warned
    | Failed
    | Paused
    | Finished
)
