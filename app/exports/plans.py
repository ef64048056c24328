"""What to export, as values: the window and the command line make them, :mod:`app.exports.jobs` carries them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from renderer.picture import Mode
from renderer.view import View

Quality = Literal["draft", "good", "best"]
Against = Literal["nothing", "input", "mode", "time", "checkpoint", "generated"]


@dataclass(frozen=True)
class Shade:
    """How a frame becomes a picture. ``overlay``: what the view is asked for besides (:class:`renderer.view.View`),
    with the virtual camera ``pose``. ``value_range``: values at the two ends of the colour map, the same for all frames
    of a video; None to take it from frames of the video itself."""

    mode: Mode = Mode.COLOR
    overlay: str = ""
    pose: int = 0
    palette: str = "viridis"
    blend: float = 1.0
    value_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class VideoExport:
    """A video of these views; ``path`` says the format (:func:`app.exports.video.open_writer`).

    ``shade``: what is shown. ``against``: what is shown beside it: nothing, the clip's own nearest picture, the same
    view shaded as ``other``, at ``other_time``, of the checkpoint ``other_step``, or the generated picture of the
    virtual camera ``other.pose``. ``layout``: as a wipe that ends at ``divider`` of the width, or side by side.
    """

    path: Path
    views: tuple[View, ...] = field(repr=False)
    fps: float = 30.0
    quality: Quality = "good"
    shade: Shade = field(default_factory=Shade)
    against: Against = "nothing"
    other: Shade = field(default_factory=Shade)
    other_time: float = 0.0
    other_step: int = 0
    layout: Literal["split", "beside"] = "beside"
    divider: float = 0.5


@dataclass(frozen=True)
class GaussianExport:
    """Gaussians for other viewers. ``kind``: one instant as .ply or .splat, the 4D scene as a native .ply or .splatv.
    ``frames``: a numbered sequence of so many instants instead of the one at ``time``."""

    path: Path
    kind: Literal["ply", "splat", "native", "splatv"] = "ply"
    time: float = 0.0
    frames: int | None = None


@dataclass(frozen=True)
class CameraExport:
    """The clip's cameras where they are now: a COLMAP folder, or nerfstudio's transforms.json. ``pictures``: whether
    the clip's pictures are written beside them."""

    path: Path
    kind: Literal["colmap", "transforms"] = "colmap"
    pictures: bool = False
