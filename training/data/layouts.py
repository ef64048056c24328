"""The layouts that clips come in: by which files each is told, what opens it, and how it is described before.

Every layout is a module here with a ``LAYOUT``, and stands once in ``MODULES``; nothing else has to know of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.data.dataset import Dataset

Report = Callable[[str], None]
MotionMasks = Literal["auto", "moving", "still", "none"]
MODULES = (
    "sparsecam4d_scene",
    "panoptic",
    "iphone",
    "nerfies",
    "neural3dvideo",
    "technicolor",
    "nsff",
    "dynamicnerf",
    "calibrated_videos",
    "llff",
    "posed_frames",
    "nerfstudio",
    "blender",
    "colmap_clip",
)
"""A folder is of the first layout that claims it: what is told by more files, or by rarer ones, comes first."""
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".webm"}


def is_demo(source: str | Path) -> bool:
    """Whether a source is the procedural scene, whatever folders there are."""
    return str(source).partition(":")[0] == "demo"


@dataclass(frozen=True)
class DataOptions:
    """How a clip is read."""

    megapixels: float = 0.13
    """Pictures are shrunk to at most so many million pixels."""
    cameras: tuple[str, ...] = ()
    """Train on these cameras only (names); by default on all that are not held out."""
    holdout: tuple[str, ...] = ()
    """Cameras never trained on, measured instead; by default those that the clip's layout holds out, else one of four
    or more, and every eighth frame of a single moving camera. The word none holds out nothing."""
    train_frames: tuple[int, ...] = ()
    """First and last frame (from 0) to train on, of a single moving camera; the frames outside are held out."""
    test_frames: tuple[int, ...] = ()
    """First and last frame (from 0) to measure, of a single moving camera; with train_frames."""
    poses: Literal["stated", "identity"] = "stated"
    """Camera poses as the clip states them; identity for a hand-held clip without any, to learn them."""
    fov: float = 60.0
    """Field of view along the longer side, degrees, of a clip without poses."""
    motion_masks: MotionMasks = "auto"
    """What is white in the clip's motion_masks: what is moving, or what is still. auto tells it by their names: moving
    as 00012.png, still as 00012.jpg.png; none leaves them aside and finds what moves from optical flow."""
    frame_step: int = 1
    """Use every N-th frame only."""
    generated: str = "auto"
    """Generated views, for a method that learns from some: a folder, or inconsistent for the demo scene; auto takes
    the folder generated in the clip's own."""
    cache_megabytes: int = 2000
    """Memory for pictures; more goes to a temporary file or is read again."""

    @property
    def cache_bytes(self) -> int:
        """The budget in bytes."""
        return self.cache_megabytes * 1_000_000


@dataclass(frozen=True)
class Recognised:
    """What was found. ``path``: what to open: a folder, or a scene file; for the demo and what is not there as it was
    given.

    ``kind``: the name of a clip's layout, else ``demo``, ``run``, ``pictures without cameras``, ``videos without
    cameras``, ``scene`` (by itself, without a clip) or ``nothing``. ``what``: as what it was recognised, for the end of
    "this is". ``opens``: whether it can be opened, as far as this look tells, with ``poses`` for :class:`DataOptions`.
    ``missing``: sentences of what is not there, or what to do. ``method``: the preset to begin with, and ``reason``, a
    sentence; empty where nothing opens.
    """

    path: Path
    kind: str
    opens: bool
    what: str
    missing: tuple[str, ...] = ()
    method: str = ""
    reason: str = ""
    poses: Literal["stated", "identity"] = "stated"

    @property
    def trains(self) -> bool:
        """Whether a scene can be learned from it, or go on."""
        return self.opens and self.kind != "scene"


@dataclass(frozen=True)
class Layout:
    """One layout. ``claims``: whether a folder has it, by names and the heads of files; never raises InputError.

    ``open``: the clip, InputError for what is damaged. ``look``: what it is in a sentence, from names, tables and heads
    of files, no picture decoded; InputError as ``open``. ``inside``: names of folders that are a part of such a clip.
    """

    name: str
    claims: Callable[[Path], bool]
    open: Callable[[Path, DataOptions, Report], Dataset]
    look: Callable[[Path], Recognised]
    inside: tuple[str, ...] = ("images",)


def layouts() -> Iterator[Layout]:
    """All of them, in order of precedence; a layout's module is loaded when it is its turn."""
    for name in MODULES:
        yield importlib.import_module(f"training.data.{name}").LAYOUT


def layout_of(folder: Path) -> Layout | None:
    """The layout of a clip with cameras; None where a folder has none."""
    return next((layout for layout in layouts() if layout.claims(folder)), None)
