"""What goes into mapping and what comes out of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError

Array = NDArray[np.float64]
LENSES = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
VERSION = 2
"""Raised when the same inputs give something else than before."""


class MappingFailed(InputError):  # noqa: N818 (what happened, not what is wrong with a file)
    """The pictures do not tell where the cameras were; the sentence says what to try."""


@dataclass(frozen=True)
class MappingOptions:
    """How cameras are found in pictures."""

    camera_model: Literal["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"] = "SIMPLE_RADIAL"
    """COLMAP's model of the lens."""
    fov: float | None = None
    """Field of view along the longer side in degrees, where it is known; it is found otherwise."""
    max_features: int = 4096
    """Features of a picture at most."""
    longest: int = 1600
    """Features are looked for in pictures with at most so many pixels along the longer side."""
    matching: Literal["auto", "sequential", "exhaustive"] = "auto"
    """Which pictures of a moving camera are compared: neighbours in time, or all; auto: all of 30 at most."""
    threads: int = 0
    """Threads to use; 0 for one per core."""
    seed: int = 0
    """Of what is drawn at random."""


@dataclass(frozen=True)
class MappedCameras:
    """``names``: pictures that have a pose, in the order given; ``missing``: those that have none. By name: ``cameras``
    pinholes in COLMAP's unit of length, ``distortion`` (4,) k1 k2 p1 p2 of the pictures as given. ``pictures``: the
    folder of the undistorted ones, under the names (for cameras that stand still with ``.png``).

    ``points``: (P, 3). ``colors``: (P, 3) in [0, 1]. ``tracks``: per point, places in ``names`` of who sees it.
    ``error``: mean reprojection error, pixels of the pictures given. ``focal_error``: standard deviation of the focal
    lengths as a share of them, None where many pictures or wide angles leave no doubt.
    """

    names: tuple[str, ...]
    missing: tuple[str, ...]
    cameras: Mapping[str, Camera]
    distortion: Mapping[str, Array]
    pictures: Path
    points: Array = field(repr=False)
    colors: NDArray[np.float32] = field(repr=False)
    tracks: tuple[tuple[int, ...], ...] = field(repr=False)
    error: float
    focal_error: float | None


@dataclass(frozen=True)
class Picture:
    """``name``: of what comes back, empty for a picture that only helps. ``lens``: those of the same word and size
    share one."""

    name: str
    path: Path
    mask: Path | None
    lens: str


@dataclass(frozen=True)
class Model:
    """``reconstruction``: pycolmap's, of the pictures as given, by their places + 1."""

    reconstruction: Any
    focal_error: float | None


def key_of(pictures: Sequence[Picture], options: MappingOptions, still: bool) -> str:
    """16 hexadecimal digits that stand for the contents of all files and for the options that change the result."""
    digest = hashlib.sha256()
    told = {k: v for k, v in asdict(options).items() if k != "threads"}
    digest.update(json.dumps([VERSION, still, told], sort_keys=True).encode())
    for picture in pictures:
        digest.update(json.dumps([picture.name, picture.lens, picture.mask is not None]).encode())
        for path in (picture.path, picture.mask):
            if path is not None:
                try:
                    with path.open("rb") as file:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
                except OSError as problem:
                    raise InputError(f"{path}: cannot be read ({problem.strerror}); restore it") from None
    return digest.hexdigest()[:16]


def threads_of(options: MappingOptions) -> int:
    """How many threads the options ask for."""
    return options.threads or os.cpu_count() or 1


def loaded_pycolmap() -> Any:
    """The package; InputError where it is not installed."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        import pycolmap
    except ImportError:
        raise InputError("finding cameras needs the package pycolmap; install it with: pip install pycolmap") from None
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # COLMAP's own prints addresses when the process is told to end
    return pycolmap


@contextmanager
def quiet() -> Iterator[None]:
    """Keep COLMAP from writing to the terminal meanwhile; what fails there is raised all the same."""
    logging = loaded_pycolmap().logging
    before = logging.minloglevel
    logging.minloglevel = 3  # only what ends the process
    try:
        yield
    finally:
        logging.minloglevel = before


def internal_name(place: int) -> str:
    """The name of a picture in COLMAP's database: given ones may hold what its lists of pairs cannot."""
    return f"{place:06d}.png"
