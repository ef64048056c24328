"""What is to be prepared: options, and which instants of which clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from renderer.errors import InputError
from training.prepare.decode import Instants, even_size
from training.prepare.sources import Source

Cameras = Literal["auto", "mapped", "identity"]

FASTEST = 30.0
"""Frames per second that are taken where none are asked for and more were filmed."""
REPEATED = 1.01
"""The frame rate may be that much higher than the one of the film; beyond, frames would repeat."""


@dataclass(frozen=True)
class PrepareOptions:
    """What is made of the sources.

    ``fps``: frames per second; None for as filmed, at most 30. ``start``, ``end``: seconds on the first clip's clock.
    ``megapixels``, ``longest``: largest size of the pictures. ``offsets``: seconds after the first that each clip
    began, found where empty. ``cameras``: mapped, identity for one camera whose poses are learned with the scene, auto
    to map and to leave out the poses of one camera that cannot be mapped. ``between``: a video or folder of pictures of
    the same place, to find how cameras that stand far apart stand to each other.
    """

    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    megapixels: float | None = 1.0
    longest: int | None = None
    offsets: tuple[float, ...] = ()
    cameras: Cameras = "auto"
    between: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What is decoded of each source: ``sizes``, (width, height), and ``instants``, both by camera name."""

    sources: tuple[Source, ...]
    sizes: Mapping[str, tuple[int, int]]
    instants: Mapping[str, Instants]
    count: int
    fps: float


def check(options: PrepareOptions, sources: int) -> None:
    """InputError for values that cannot be."""
    if options.fps is not None and not 0.1 <= options.fps <= 1000:
        raise InputError(f"--fps {options.fps:g}: give a number between 0.1 and 1000")
    if not options.start >= 0 or (options.end is not None and not options.end > options.start):
        raise InputError(f"--start {options.start:g} and --end {options.end}: give seconds, the end after the start")
    if options.megapixels is not None and not 0.001 <= options.megapixels <= 100:
        raise InputError(f"--megapixels {options.megapixels:g}: give a number between 0.001 and 100")
    if options.longest is not None and not 32 <= options.longest <= 20_000:
        raise InputError(f"--longest {options.longest}: give between 32 and 20000 pixels")
    if options.offsets and (len(options.offsets) != sources or not np.isfinite(options.offsets).all()):
        raise InputError(
            f"--offsets {' '.join(f'{o:g}' for o in options.offsets)}: give {sources}, the seconds after the first "
            "clip that each one began"
        )
    if options.cameras == "identity" and sources > 1:
        raise InputError("--cameras identity: is for one hand-held camera; those of several clips have to be mapped")
    if options.between is not None and sources == 1:
        raise InputError("--between: connects several cameras that stand still; leave it out for one that moves")


def planned(sources: Sequence[Source], offsets: Sequence[float], options: PrepareOptions) -> Plan:
    """Which instants all clips have filmed. ``offsets``: seconds that each began after the first. InputError."""
    fps = options.fps or min(FASTEST, *(s.rate for s in sources))
    slow = min(sources, key=lambda s: s.rate)
    if slow.kind == "video" and fps > REPEATED * slow.rate:
        raise InputError(f"--fps {fps:g}: {slow.path} has {slow.rate:.4g} frames a second; give at most that many")
    pairs = list(zip(sources, offsets, strict=True))
    begin = max(options.start, *(float(s.times[0]) + o for s, o in pairs))
    last = min(float(s.times[-1]) + o for s, o in pairs)
    count = int(np.floor((last - begin + 0.5 * min(s.period for s in sources)) * fps - 1e-6)) + 1
    if options.end is not None:
        count = min(count, int(np.ceil((options.end - begin) * fps - 1e-6)))
    if count < 2:
        whose = "of all clips" if len(sources) > 1 else f"of {sources[0].path}"
        raise InputError(
            f"--start {options.start:g}: {max(0, count)} frames {whose} lie there, two at least are needed; the film "
            f"is from {max(float(s.times[0]) + o for s, o in pairs):.2f} to {last:.2f} s"
        )
    return Plan(
        tuple(sources),
        {s.name: even_size(s.size, options.megapixels, options.longest) for s in sources},
        {s.name: Instants(float(begin - o), fps, count) for s, o in pairs},
        count,
        fps,
    )


def repeats(source: Source, instants: Instants) -> int:
    """How many of the frames at the instants show the same one as the frame before."""
    wanted = instants.start + np.arange(instants.count) / instants.fps
    nearest = np.searchsorted((source.times[1:] + source.times[:-1]) / 2, wanted)
    return int((np.diff(nearest) == 0).sum())
