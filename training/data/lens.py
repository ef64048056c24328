"""Lenses that bend straight lines: the pictures of a pinhole camera made of theirs, with OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from training.data.images import Image, Undistort

Matrix = NDArray[np.float64]
NEGLIGIBLE_SHIFT = 0.05
"""Pixels by which a lens may move the edge of a picture before that is undone."""
HALF_PIXEL = 0.5
"""OpenCV counts from the centre of the first pixel, our intrinsics from its corner."""
EDGE = 16
"""Places on each side of a picture where the shift is measured."""


@dataclass(frozen=True)
class Lens:
    """``coefficients``: in OpenCV's order, k1 k2 p1 p2 and maybe k3 (4 or 5,), of a fisheye lens k1 k2 k3 k4 (4,)."""

    coefficients: Matrix
    fisheye: bool = False


@dataclass(frozen=True)
class Straightening:
    """From the pictures of a bent camera to those of ``camera``, a pinhole that sees nothing outside of them.

    ``bent``, ``straight``: (3, 3) intrinsics of both as OpenCV counts.
    """

    camera: Camera
    lens: Lens
    bent: Matrix
    straight: Matrix

    def __call__(self, image: Image) -> Image:
        """The straight picture of a bent one, both (H, W, C) uint8."""
        return self.of_many()(image)

    def of_many(self) -> Undistort:
        """The same for many pictures: where their pixels come from is found once, and kept."""
        models: Any = cv2.fisheye if self.lens.fisheye else cv2
        size = (self.camera.width, self.camera.height)
        columns, rows = models.initUndistortRectifyMap(
            self.bent, self.lens.coefficients, np.eye(3), self.straight, size, cv2.CV_32FC1
        )
        return lambda image: cv2.remap(image, columns, rows, cv2.INTER_LINEAR)  # type: ignore[return-value]


def straightening(bent: Camera, lens: Lens) -> Straightening | None:
    """How to make the pictures of ``bent`` straight; None where its lens hardly bends anything."""
    K = np.array([[bent.fx, 0, bent.cx - HALF_PIXEL], [0, bent.fy, bent.cy - HALF_PIXEL], [0, 0, 1]])
    D, size = lens.coefficients, (bent.width, bent.height)
    models: Any = cv2.fisheye if lens.fisheye else cv2
    s = np.linspace(0, 1, EDGE)
    sides = [(s, 0 * s), (s, 0 * s + 1), (0 * s, s), (0 * s + 1, s)]
    edge = np.concatenate([np.stack(side, 1) for side in sides]) * [bent.width - 1.0, bent.height - 1.0]
    moved = models.undistortPoints(edge[:, None], K, D, P=K)[:, 0] - edge
    if np.linalg.norm(moved, axis=1).max() < NEGLIGIBLE_SHIFT:
        return None
    if lens.fisheye:
        new = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(K, D, size, np.eye(3), balance=0.0)
    else:
        new = cv2.getOptimalNewCameraMatrix(K, D, size, 0)[0]
    if not np.isfinite(new).all() or not (new[0, 0] > 0 and new[1, 1] > 0):
        new = K
    cx, cy = new[0, 2] + HALF_PIXEL, new[1, 2] + HALF_PIXEL
    camera = Camera(bent.world_to_camera, new[0, 0], new[1, 1], cx, cy, *size)
    return Straightening(camera, lens, K, np.asarray(new, np.float64))
