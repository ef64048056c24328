"""From what a person chooses in the export panel to plans, and what a plan would replace on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.exports.gaussians import gaussian_files
from app.exports.plans import CameraExport, GaussianExport, Shade, VideoExport
from app.exports.video import picture_folder
from app.looks import DISTORTION, Display
from app.tours import PRESETS, Stage
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.picture import FULL_BLEND, Mode, Picture
from renderer.shading import SEAM
from renderer.tracks import Track
from renderer.view import View

Plan = VideoExport | GaussianExport | CameraExport
Size = tuple[int, int]
"""Width and height, pixels."""
OWN_PATH = "Camera path"
"""The path that a person made, beside the presets."""
SIZES = {"1x": 1.0, "1.5x": 1.5, "2x": 2.0}
"""Multiples of the training pictures."""
SMALLEST, LARGEST = 16, 8192
"""Pixels of a picture's side."""
MOST_FRAMES = 100_000
SECONDS = 10.0
"""That a preset's track takes; its frames are spread over it, however long they are shown."""


def check_path(path: str, track: Track, frames: int) -> None:
    """InputError for a number of frames that cannot be, and where the person's own path has no keyframes."""
    if not 1 <= frames <= MOST_FRAMES:
        raise InputError(f"Frames: {frames:,} cannot be; give 1 to {MOST_FRAMES:,}")
    if path not in PRESETS and not track.keyframes:
        raise InputError(f"{path}: has no keyframes; add some in the Path panel, or choose another path")


def views_of(path: str, track: Track, stage: Stage, size: Size, frames: int) -> tuple[View, ...]:
    """One view per frame along ``track`` (``OWN_PATH``) or along a preset. InputError as :func:`check_path`."""
    check_path(path, track, frames)
    return (PRESETS[path](stage, SECONDS) if path in PRESETS else track).views(*size, frames)


def picture_size(camera: Camera, choice: str, typed: Size) -> Size:
    """Width and height of one view: a multiple of the training pictures, or as typed, which is made even."""
    if choice in SIZES:
        return max(1, round(SIZES[choice] * camera.width)), max(1, round(SIZES[choice] * camera.height))
    width, height = (min(max(side, SMALLEST), LARGEST) // 2 * 2 for side in typed)
    return width, height


def written_size(plan: VideoExport, size: Size) -> Size:
    """Width and height of a video whose views have a size: two side by side have a seam, and what is 4:2:0 has even
    sides."""
    width, height = size
    if plan.against != "nothing" and plan.layout == "beside":
        width = 2 * width + SEAM
    even = plan.path.suffix.lower() in (".mp4", ".webm")
    return (width // 2 * 2, height // 2 * 2) if even else (width, height)


def shade_of_display(display: Display, shown: Picture | None) -> Shade:
    """A display as a video shows it. ``shown``: the picture in the window, whose colours mean the same values where it
    shows the same thing; else they are taken from the video itself."""
    what = display.shown
    values = None
    for pane in (shown.left, shown.right) if shown is not None else ():
        if values is None and pane is not None and pane.mode == what.mode in (Mode.DEPTH, Mode.OVERLAY):
            asked = pane.frame.view.overlay if what.mode == Mode.OVERLAY else display.overlay
            values = pane.value_range if asked == display.overlay else None
    return Shade(
        mode=what.mode,
        overlay=display.overlay,
        pose=display.pose if display.mode == DISTORTION else 0,
        palette=what.palette,
        blend=display.blend if what.mode == Mode.OVERLAY else FULL_BLEND,
        value_range=values,
    )


def with_ending(path: str, ending: str, known: Iterable[str]) -> str:
    """The path with another ending in the place of one of the known ones; "" for none."""
    old = next((e for e in sorted(known, key=len, reverse=True) if e and path.lower().endswith(e)), "")
    return path.removesuffix(path[len(path) - len(old) :] if old else "") + ending


def files_of(plan: Plan) -> list[Path]:
    """The files that are there under the names of a plan: what it would replace, and afterwards what it wrote."""
    match plan:
        case VideoExport():
            folder = picture_folder(plan.path)
            return [path for path in (plan.path,) if path.exists()] if folder is None else sorted(folder.glob("*.png"))
        case GaussianExport():
            return [path for path in gaussian_files(plan) if path.exists()]
        case CameraExport():
            folder = plan.path if plan.kind == "colmap" else plan.path.parent
            own = (folder / "sparse" / "0").glob("*.txt") if plan.kind == "colmap" else (plan.path,)
            pictures = (folder / "images").glob("*.png") if plan.pictures else ()
            return [path for path in (*own, *pictures) if path.exists()]


def folder_of(plan: Plan) -> Path:
    """Where a person finds what a plan wrote."""
    if isinstance(plan, VideoExport):
        return picture_folder(plan.path) or plan.path.parent
    return plan.path if isinstance(plan, CameraExport) and plan.kind == "colmap" else plan.path.parent
