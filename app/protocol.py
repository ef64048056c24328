"""What the window and the engine say to each other, whole: commands go in, events come out.

Everything is a frozen value. The window looks into no tensor, the engine never imports the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.exports.plans import CameraExport, GaussianExport, VideoExport
from renderer.camera import Camera
from renderer.gaussians import Gaussians
from renderer.rays import RayDistribution
from renderer.view import Frame, View
from renderer.weights import Edges
from training.config import Head, TrainConfig
from training.data.dataset import Shot
from training.device import DeviceName
from training.overlay import TimeSlice
from training.schedule import Milestone as Planned
from training.trainer import RayThroughTime, Slices

Side = Literal["left", "right"]
Pixel = tuple[int, int]


@dataclass(frozen=True)
class Look:
    """A picture that a person wants to see. ``of``: the scene itself, or the clip's own or the generated picture that
    is nearest to the view. ``step``: the scene of a checkpoint; None for the scene as it is now."""

    view: View
    of: Literal["scene", "input", "generated"] = "scene"
    step: int | None = None

    @property
    def live(self) -> bool:
        """Whether training changes what it shows."""
        return self.of == "scene" and self.step is None


# ---------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True)
class Train:
    """Start or go on training, until ``until`` steps or, when None, the run's own number of steps."""

    until: int | None = None


@dataclass(frozen=True)
class Pause:
    """Stop after the current step; views, picks and exports go on."""


@dataclass(frozen=True)
class Stop:
    """Pause, and write a checkpoint."""


@dataclass(frozen=True)
class Configure:
    """Change settings of the run while it goes on, by dotted name; only those that can change then."""

    values: Mapping[str, object]


@dataclass(frozen=True)
class Draw:
    """Draw what one side of the viewport shows. Only the newest waits: a hundred camera moves cost one render. None:
    nobody looks."""

    look: Look | None
    side: Side = "left"


@dataclass(frozen=True)
class Pick:
    """Ask for the weights along the ray of a pixel (x, y) of a view; the newest of a ``key`` wins. While training goes
    on it is answered again as the scene changes, until :class:`Unpick`. ``step``: of a checkpoint, whose ray stays as
    it is; None for the scene as it is now."""

    view: View
    pixel: Pixel
    key: str = ""
    step: int | None = None


@dataclass(frozen=True)
class Unpick:
    """Nobody looks at this ray any more."""

    key: str


@dataclass(frozen=True)
class PickLine:
    """Ask for the slice of weights under a line across a view, from place to place (x, y) in pixels: x along the line,
    depth across."""

    view: View
    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class Publish:
    """From now on hand over Gaussians themselves whenever they have changed, to whoever draws them without the engine;
    views that ask for an overlay, and scenes of another kind, are still asked for with Draw."""


@dataclass(frozen=True)
class WatchFrames:
    """From now on measure how much each frame of the clip moves, and again and again how well it is reproduced."""


@dataclass(frozen=True)
class MeasureDistortion:
    """Measure the mean distortion of every generated frame by one head of the field. ``patient``: at a small share of
    the time while training goes on, for nobody waits for it."""

    head: Head
    patient: bool = False


@dataclass(frozen=True)
class SliceTime:
    """Ask for one row of the pictures of a virtual camera over time, as generated and as the scene has it.
    ``row``: share of the height."""

    pose: int
    row: float


@dataclass(frozen=True)
class ShowCameras:
    """Ask for a small picture of what each camera of the clip saw."""


@dataclass(frozen=True)
class Evaluate:
    """Measure the held-out views now."""


@dataclass(frozen=True)
class Save:
    """Write a checkpoint now."""


@dataclass(frozen=True)
class Export:
    """Write files, a piece between two training steps; one export at a time."""

    plan: VideoExport | GaussianExport | CameraExport


@dataclass(frozen=True)
class CancelExport:
    """Stop the running export and remove its unfinished files."""


Command = (
    Train
    | Pause
    | Stop
    | Configure
    | Draw
    | Pick
    | Unpick
    | PickLine
    | Publish
    | WatchFrames
    | MeasureDistortion
    | SliceTime
    | ShowCameras
    | Evaluate
    | Save
    | Export
    | CancelExport
)

# ------------------------------------------------------------------------------------------------ events


@dataclass(frozen=True)
class Opened:
    """A scene is ready to be looked at. ``home``: the camera to start from. ``center``: (3,) what to orbit around.
    ``depths``: nearest and farthest of the scene from its cameras, scene units. ``box``: (2, 3) corners of where it
    mostly is. ``virtual_cameras``: of the generated views that are learned from.
    ``has_distortion``: whether a field bends the scene for them, so that views may ask for "distortion/HEAD".
    ``checkpoints``: steps of those on disk. ``has_clip``: whether its pictures are there, which training, errors and
    the clip's own pictures need. ``has_cameras``: whether cameras stood where the shots' do; else they are places to
    look from. ``device``: where it is learned, which decides values that nobody has set. ``planned``: what the schedule
    holds."""

    name: str
    source: str
    shots: tuple[Shot, ...] = field(repr=False)
    home: Camera
    center: tuple[float, float, float]
    up: tuple[float, float, float]
    depths: tuple[float, float]
    box: NDArray[np.float64] = field(repr=False)
    fps: float
    frame_count: int
    step: int
    steps: int
    run: Path
    config: TrainConfig = field(repr=False)
    model: Literal["gaussians", "field"]
    checkpoints: tuple[int, ...] = ()
    virtual_cameras: tuple[Camera, ...] = field(default=(), repr=False)
    has_distortion: bool = False
    has_clip: bool = True
    has_cameras: bool = True
    device: DeviceName = "cpu"
    planned: tuple[Planned, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Started:
    """Training goes on from ``step`` and will stop at ``steps``."""

    step: int
    steps: int


@dataclass(frozen=True)
class Progress:
    """After a step, at most ten times a second. ``psnr``: dB of the step's own picture. ``rate``: steps per second.
    ``eta``: seconds left. ``parts``: of the loss, by name. ``turned``, ``shifted``: how far learned cameras are from
    where they started on average, degrees and scene units; None where they are not learned. ``memory``: bytes in use.
    ``served``: share of the engine's time that went into views and other work for the window."""

    step: int
    steps: int
    loss: float
    psnr: float
    size: int
    unit: str
    rate: float
    eta: float
    parts: Mapping[str, float] = field(default_factory=dict)
    turned: float | None = None
    shifted: float | None = None
    memory: int = 0
    served: float = 0.0


@dataclass(frozen=True)
class Milestone:
    """Something that the schedule holds has happened, in words ("Camera poses freeze")."""

    step: int
    text: str


@dataclass(frozen=True)
class Configured:
    """The run's settings are these from now on, and ``planned`` is what its schedule holds."""

    config: TrainConfig = field(repr=False)
    changed: tuple[str, ...]
    step: int
    planned: tuple[Planned, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class CamerasMoved:
    """Where the clip's and the generated views' cameras are now that they were learned a little more."""

    shots: tuple[Shot, ...] = field(repr=False)
    virtual_cameras: tuple[Camera, ...] = field(repr=False)


@dataclass(frozen=True)
class Drawn:
    """The newest picture of the newest look on a side."""

    frame: Frame
    look: Look
    side: Side = "left"


@dataclass(frozen=True)
class Published:
    """The scene as it was at a step; nobody changes it any more."""

    scene: Gaussians = field(repr=False)
    step: int


@dataclass(frozen=True)
class Picked:
    """The ray that was asked for, at a step of training. ``samples``: (K,) depths that the estimator of DDR draws from
    it (:meth:`training.trainer.Trainer.sampled_depths`) at ``temperature``."""

    ray: RayDistribution
    step: int
    samples: NDArray[np.float64]
    temperature: float = float("nan")
    key: str = ""


@dataclass(frozen=True)
class PickedThroughTime:
    """A picked ray over the whole clip, a moment after :class:`Picked`."""

    history: RayThroughTime
    key: str = ""


@dataclass(frozen=True)
class LinePicked:
    """The line that was asked for. ``edges``: (B + 1,) depths, scene units. ``slices``: (W, B) by quantity
    (:func:`renderer.weights.row_slices`), W places along the line."""

    line: PickLine
    edges: Edges
    slices: Slices
    step: int


@dataclass(frozen=True)
class FrameEnergies:
    """How much each frame of the clip's clock differs from the one before; NaN where that is not known yet."""

    values: NDArray[np.float64]


@dataclass(frozen=True)
class FrameErrors:
    """Mean absolute error of the scene at each frame of the clip's clock; NaN where it was not measured."""

    values: NDArray[np.float64]
    step: int


@dataclass(frozen=True)
class DistortionMeasured:
    """(P, T) mean distortion by virtual camera and instant, in ``unit``; NaN where it is not measured yet."""

    head: Head
    matrix: NDArray[np.float32]
    times: Sequence[float]
    unit: str
    step: int
    complete: bool


@dataclass(frozen=True)
class TimeSliced:
    """The rows that were asked for with :class:`SliceTime`."""

    slice: TimeSlice


@dataclass(frozen=True)
class CamerasShown:
    """Small pictures (h, w, 3) uint8 of what the shots saw, by their numbers."""

    thumbnails: Mapping[int, NDArray[np.uint8]] = field(repr=False)


@dataclass(frozen=True)
class Evaluated:
    """Means over the held-out views (over the input views where none is held out)."""

    step: int
    psnr: float
    ssim: float
    split: Literal["train", "test"]


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on disk. ``checkpoints``: steps of all that are."""

    step: int
    path: Path
    checkpoints: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExportProgress:
    """``done`` of ``total`` pieces are written to ``path``; ``finished`` once the files are complete, ``cancelled``
    once what was begun is removed, because of a failure too."""

    done: int
    total: int
    path: Path | None = None
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
    """A job ended: a sentence a person can act on. ``detail`` is the traceback, for a bug report. ``closed``: the
    scene could not be opened, and the engine has ended."""

    message: str
    detail: str = ""
    closed: bool = False


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
    | Milestone
    | Configured
    | CamerasMoved
    | Drawn
    | Published
    | Picked
    | PickedThroughTime
    | LinePicked
    | FrameEnergies
    | FrameErrors
    | DistortionMeasured
    | TimeSliced
    | CamerasShown
    | Evaluated
    | Saved
    | ExportProgress
    | Status
    | Warned
    | Failed
    | Paused
    | Finished
)
