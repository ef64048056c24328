"""Masks that lie beside a clip's pictures: which of their pixels show what moves, or can be compared at all.

``00012.png`` beside the picture ``00012.jpg`` is bright, above 0, where the mask holds: that is how NSFF (Li et al.
2021) and DynamicNeRF (Gao et al. 2021) write and read ``motion_masks``, and DyCheck (Gao et al. 2022) ``covisible``.
``00012.jpg.png``, with the picture's own ending inside, is COLMAP's name for a mask of what stands still, and black
where something moves; the scripts of DDR (Sun et al. 2025) fill ``motion_masks`` with such files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.dataset import Shot
from training.data.layouts import IMAGE_SUFFIXES, MotionMasks
from training.data.looks import names_in

Mask = NDArray[np.bool_]
MaskReader = Callable[[int], Mask | None]

SUFFIX = ".png"
"""Of masks; what is black in them has to be exactly 0, as in no picture that is compressed with losses."""
CACHE_SHARE = 8
"""Masks are kept within one part in so many of the memory for pictures."""


@dataclass(frozen=True)
class MaskFile:
    """A mask in a file; ``inverted``: it holds where the file is black."""

    path: Path
    inverted: bool = False

    def read(self, width: int, height: int) -> Mask:
        """(height, width) of the nearest pixels; InputError when it is no picture, or one of another shape."""
        try:
            data = cv2.imread(str(self.path), cv2.IMREAD_UNCHANGED)
        except (cv2.error, MemoryError):  # of a size that is not believed
            data = None
        if data is None:
            raise InputError(f"{self.path}: not readable as a mask; restore it or take it out")
        bright = (data if data.ndim == 2 else data[..., :3].max(axis=2)) > 0
        h, w = bright.shape
        if abs(w / h * height / width - 1) > 2 / min(h, w, height, width):
            raise InputError(f"{self.path}: is {w}x{h}, not of the shape of its picture, {width}x{height}; resize it "
                             "to match or take it out")  # fmt: skip
        fitted = cv2.resize(bright.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return (fitted > 0) != self.inverted


class MaskFolder:
    """The masks of a folder by the names of their pictures. ``meaning``: of what is bright in them, where ``auto``
    tells it by how each is named; where a picture has a mask of either name, the one that is bright where it holds is
    meant. No folder has no masks."""

    def __init__(self, folder: Path, meaning: MotionMasks = "auto") -> None:
        self._files: dict[str | int, MaskFile] = {}
        for name in names_in(folder) if meaning != "none" else ():
            stem, suffix = os.path.splitext(name)
            if suffix.lower() != SUFFIX:
                continue
            colmap = Path(stem).suffix.lower() in IMAGE_SUFFIXES
            place = _key(Path(stem).stem if colmap else stem)
            if not colmap or place not in self._files:
                inverted = colmap if meaning == "auto" else meaning == "still"
                self._files[place] = MaskFile(folder / name, inverted)

    def of(self, picture: Path) -> MaskFile | None:
        """That of a picture, by its name without the ending; numbers may have other leading zeros."""
        return self._files.get(_key(picture.stem))


def _key(stem: str) -> str | int:
    return int(stem) if stem.isdecimal() else stem


def mask_reader(files: Sequence[MaskFile | None], shots: Sequence[Shot], cache_bytes: int) -> MaskReader | None:
    """Index of a shot to its mask (H, W) at the size of its camera, read when it is first asked for, None where it has
    none; None when no shot has one. ``cache_bytes``: the memory for pictures, a share of which is for masks."""
    if not any(files):
        return None

    def read(index: int) -> Mask | None:
        file, camera = files[index], shots[index].camera
        return None if file is None else file.read(camera.width, camera.height)

    largest = max(shot.camera.width * shot.camera.height for shot in shots)
    return lru_cache(max(1, cache_bytes // CACHE_SHARE // largest))(read)
