"""The table of poses that LLFF began: a row per camera, or per frame of a moving one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.arrays import read_array
from training.data import poses

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LlffTable:
    """A row per camera or frame. ``camera_to_world``: (N, 3, 4) OpenCV axes. ``sizes``: (N, 3) height, width, focal
    length in pixels. ``bounds``: (N, 2) near and far, scene units."""

    path: Path
    camera_to_world: Array
    sizes: Array
    bounds: Array

    def __len__(self) -> int:
        return len(self.sizes)

    def camera(self, row: int, name: str) -> Camera:
        """The camera of a row at the size that the file states; InputError that names ``name`` for a pose that is
        none."""
        pose = poses.inverted(poses.rigid(self.camera_to_world[row], self.path, name))
        height, width, focal = (float(v) for v in self.sizes[row])
        return Camera(pose, focal, focal, width / 2, height / 2, int(width), int(height))

    def depths(self) -> tuple[float, float]:
        """Near and far of the scene, without the outliers among the rows."""
        return float(np.percentile(self.bounds[:, 0], 5)), float(np.percentile(self.bounds[:, 1], 95))


def read_table(path: Path) -> LlffTable:
    """The table of a file as :func:`read_poses` reads it; InputError also for sizes, focal lengths or depths that
    cannot be."""
    return checked(LlffTable(path, *read_poses(path)))


def read_poses(path: Path) -> tuple[Array, Array, Array]:
    """Camera-to-world (N, 3, 4) in OpenCV axes, sizes (N, 3) of height, width and focal length in pixels, near and far
    (N, 2), of rows of a (3, 5) matrix with axes down, right, back, centre and a column of sizes, then near and far;
    InputError when the file is not such a table."""
    table = read_array(path)
    if table.ndim != 2 or table.shape[1] != 17:
        raise InputError(f"{path}: is not a table of 17 numbers per picture; restore it")
    if table.dtype.kind not in "fiu":
        raise InputError(f"{path}: does not hold numbers; restore it")
    matrices = table[:, :15].reshape(-1, 3, 5).astype(np.float64)
    down, right, back, center, sizes = (matrices[:, :, k] for k in range(5))
    return np.stack([right, down, -back, center], axis=2), sizes, table[:, 15:].astype(np.float64)


def checked(table: LlffTable) -> LlffTable:
    """The table; InputError for one without rows, and for sizes, focal lengths or depths that cannot be."""
    path = table.path
    if not len(table):
        raise InputError(f"{path}: holds no poses; restore it")
    if not np.isfinite(table.sizes).all() or not (table.sizes > 0).all() or (table.sizes[:, :2] < 1).any():
        raise InputError(f"{path}: a size or focal length is not above zero; restore it")
    near, far = table.bounds.T
    if not np.isfinite(table.bounds).all() or not (near > 0).all() or not (far > near).all():
        raise InputError(f"{path}: near and far depths are not positive and in order; restore it")
    return table
