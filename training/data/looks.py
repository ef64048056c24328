"""What a look at a clip has in common, whatever its layout: how its pictures are counted and its method suggested."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.layouts import IMAGE_SUFFIXES, Recognised

HARDLY = 0.12
"""A camera hardly moves when its places are within this share of the depth."""
FAR_SHARE = 10.0
"""What is farther than so many times the near depth says nothing of how deep the scene is."""
MOST_CENTERS = 200
"""Places of a camera that are compared with each other."""


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in order; none where there is no folder."""
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def pictures_in(folder: Path) -> list[str]:
    """Names of the pictures in a folder, by their endings."""
    return [name for name in names_in(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES]


def counted(n: int, noun: str) -> str:
    """A number with its noun."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun.replace('clip or run', 'clips or run')}s"


def moving_look(
    folder: Path, name: str, file: str, camera_to_world: NDArray[np.float64], bounds: NDArray[np.float64]
) -> Recognised:
    """A clip of one moving camera of the layout ``name`` with its pictures in ``images`` and its poses in ``file``.

    ``camera_to_world``: (F, 3, 4). ``bounds``: (F, 2) near and far.
    """
    pictures, poses = len(pictures_in(folder / "images")), len(camera_to_world)
    what = f"{counted(pictures, 'picture')} of one moving camera with {file}"
    missing = []
    if not pictures:
        missing.append(f"{folder / 'images'}: no pictures in this folder; put the clip's frames there.")
    elif pictures != poses:
        missing.append(f"{folder / file.split()[0]}: has {poses} poses for {pictures} pictures; make them match.")
    near, far = np.median(bounds, axis=0)
    return moving(folder, name, what, missing, camera_to_world[:, :3, 3], (near, far))


def moving(
    folder: Path,
    name: str,
    what: str,
    missing: Sequence[str],
    centers: NDArray[np.float64],
    depths: tuple[float, float] | None,
) -> Recognised:
    """A clip of one camera, with the method that fits how far it moves; it opens unless something is ``missing``.

    ``centers``: (F, 3) places of the camera. ``depths``: near and far, in their unit; None where unknown.
    """
    share = None if depths is None else motion(centers, depths)
    if share is not None and share < HARDLY:
        reason = f"The camera hardly moves, {100 * share:.0f} % of the depth, and this method finds depth all the same."
        return Recognised(folder, name, not missing, what, tuple(missing), "ddr", reason)
    moved = "" if share is None else f" by {100 * share:.0f} % of the depth"
    return Recognised(folder, name, not missing, what, tuple(missing), "4dgs", f"The camera moves{moved}.")


def at_once(folder: Path, name: str, what: str, missing: Sequence[str], cameras: int) -> Recognised:
    """A clip that several cameras filmed at the same time; it opens unless something is ``missing``."""
    reason = f"{counted(cameras, 'camera')} filmed at once; generated views would allow sparsecam4d."
    return Recognised(folder, name, not missing, what, tuple(missing), "4dgs", reason)


def motion(centers: NDArray[np.float64], depths: tuple[float, float]) -> float | None:
    """The largest distance between two places of a camera, (F, 3), as a share of the depth; None where unknown."""
    near, far = depths
    depth = min(far, FAR_SHARE * near)
    if not np.isfinite(centers).all() or not np.isfinite(depth) or depth <= 0:
        return None
    some = centers[:: max(1, len(centers) // MOST_CENTERS)]
    return float(np.linalg.norm(some[:, None] - some[None], axis=2).max() / depth)
