"""Which of a clip's pictures belong to a view, and those pictures at the size of a view."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.view import View
from training.data.dataset import Dataset

ALIKE = 1e-6
"""Poses and intrinsics (as shares of the picture's size) that differ by less are the same: what a camera loses when it
is resized and back."""
MOST_BYTES = 64 << 20
"""Of the pictures that are kept at the size at which they were last asked for."""

Picture = NDArray[np.float32]


def shot_of(dataset: Dataset, view: View) -> int | None:
    """The shot whose camera the view has, pose and intrinsics alike at any size, and of several the nearest in time;
    None where the view is no shot's."""
    shots, camera = dataset.shots, view.camera
    poses = np.stack([shot.camera.world_to_camera for shot in shots])  # (S, 4, 4)
    near = np.flatnonzero(np.abs(poses - camera.world_to_camera).max((1, 2)) < ALIKE)
    same = [i for i in near.tolist() if same_camera(shots[i].camera, camera)]
    return min(same, key=lambda i: abs(shots[i].time - view.time), default=None)


def same_camera(a: Camera, b: Camera) -> bool:
    """Whether pose and intrinsics are alike, at any size."""
    alike = np.abs(a.world_to_camera - b.world_to_camera).max() < ALIKE
    return bool(alike and np.abs(_lens(a) - _lens(b)).max() < ALIKE)


def nearest_shot(dataset: Dataset, view: View) -> int:
    """The shot, learned from or held out, that shows most nearly what a view shows.

    Of each physical camera the shot that is nearest in time stands for it: a hand-held camera is where it was then.
    Of the cameras the nearest counts, by the sum of two angles: that by which its position differs as seen from the
    scene, |c - c'| over the harmonic mean of the near and far depths, and that between the directions of view.
    """
    shots, typical = dataset.shots, 2 / (1 / dataset.near + 1 / dataset.far)
    closest: dict[str, int] = {}
    for i, shot in enumerate(shots):
        other = closest.get(shot.camera_name)
        if other is None or abs(shot.time - view.time) < abs(shots[other].time - view.time):
            closest[shot.camera_name] = i
    return min(closest.values(), key=lambda i: _apart(shots[i].camera, view.camera, typical))


def half_frame(dataset: Dataset) -> float:
    """Half the time between two instants of the clip's clock, in [0, 1]; infinite where there is one instant only."""
    return 0.5 / (dataset.frame_count - 1) if dataset.frame_count > 1 else float("inf")


class ClipPictures:
    """The pictures of a clip and of its generated views at any size; the newest ones are kept."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._kept: OrderedDict[tuple[str, int, int, int], Picture] = OrderedDict()

    def real(self, index: int, width: int, height: int) -> Picture:
        """(height, width, 3) in [0, 1], read-only, of a shot."""
        return self._sized("real", index, self._dataset.read, width, height)

    def generated(self, pose: int, time: float, width: int, height: int) -> Picture | None:
        """The same of the generated picture of a virtual camera at its nearest instant; None where there is none."""
        views = self._dataset.generated
        indices = [] if views is None else views.of_pose(pose)
        if views is None or not indices:
            return None
        index = min(indices, key=lambda i: abs(views.frames[i].time - time))
        return self._sized("generated", index, views.read, width, height)

    def _sized(
        self, kind: str, index: int, read: Callable[[int], NDArray[np.uint8]], width: int, height: int
    ) -> Picture:
        key = (kind, index, width, height)
        if key not in self._kept:
            self._kept[key] = resized_picture(read(index), width, height)
            self._kept[key].setflags(write=False)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(picture.nbytes for picture in self._kept.values()) > MOST_BYTES:
            self._kept.popitem(last=False)
        return self._kept[key]


def resized_picture(image: NDArray[np.uint8], width: int, height: int) -> Picture:
    """(height, width, 3) in [0, 1] of a picture (H, W, 3): what falls together is averaged, and what has to be made up
    is interpolated."""
    picture = image.astype(np.float32) * np.float32(1 / 255)
    H, W = picture.shape[:2]
    if (width, height) == (W, H):
        return picture
    how = cv2.INTER_AREA if width <= W and height <= H else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.float32)


def _lens(camera: Camera) -> NDArray[np.float64]:
    """(4,) intrinsics as shares of the picture's size."""
    return np.array(
        [camera.fx / camera.width, camera.fy / camera.height, camera.cx / camera.width, camera.cy / camera.height]
    )


def _apart(a: Camera, b: Camera, depth: float) -> float:
    """The sum of the two angles of :func:`nearest_shot`, radians."""
    turn = np.arccos(np.clip(a.camera_to_world[:3, 2] @ b.camera_to_world[:3, 2], -1, 1))
    return float(np.linalg.norm(a.center - b.center) / depth + turn)
