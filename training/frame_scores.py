"""What a timeline says about each frame of a clip: how much moves in it, and how well the scene shows it.

Both are generators that do a little at a time, so that whoever trains or draws can go on in between. A picture that
nobody has read yet takes as long as its reading.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from renderer.field.draw import PROPOSALS, SAMPLES, shrunk
from renderer.field.march import march, rays_through
from renderer.field.model import RadianceField
from renderer.view import View
from training.clip_pictures import resized_picture, same_camera
from training.data.dataset import Dataset
from training.evaluation import spread
from training.trainer import Trainer

MOST_PIXELS = 20_000
"""Of the pictures that are compared."""
FIELD_RAYS = 512
"""Rays by which a radiance field is compared with a picture: it takes far longer than Gaussians."""
CORNERS = 200
"""Most corners that are followed from a picture to the next where the camera moves."""
FEWEST_CORNERS = 12
"""With fewer that agree the pictures are compared as they are."""

Picture = NDArray[np.float32]
Affine = NDArray[np.float64]


def moving_energy(dataset: Dataset) -> Iterator[tuple[int, float] | None]:
    """How much moves in each frame of the clip's clock: frame number and the mean absolute difference of its pictures
    to those of the same cameras at the instant before, of full intensity; None between pictures.

    A mean over the cameras that are learned from. A frame without an earlier one is left out. Where the camera itself
    moved, the earlier picture is first laid over the later one by the affine motion on which most corners agree
    (Lucas-Kanade, RANSAC), and only what both show is compared: parallax is left and counts, so does a change of light.
    """
    cameras = {dataset.shots[i].camera_name for i in dataset.indices("train")}
    by_frame: dict[int, list[int]] = {}
    for index, shot in enumerate(dataset.shots):
        if shot.camera_name in cameras:
            by_frame.setdefault(shot.frame, []).append(index)
    before: dict[str, tuple[int, Picture]] = {}
    for frame in sorted(by_frame):
        differences = []
        for index in by_frame[frame]:
            name, picture = dataset.shots[index].camera_name, _small(dataset, index)
            yield None
            if name in before:
                earlier, there = before[name]
                differences.append(_difference(there, picture, _camera_moves(dataset, earlier, index)))
                yield None
            before[name] = index, picture
        if differences:
            yield frame, float(np.mean(differences))


def frame_errors(trainer: Trainer, at_most: int = 48) -> Iterator[tuple[int, float] | None]:
    """How badly the scene shows each instant: frame number and the mean absolute difference of its render to a training
    picture, of full intensity; None in between.

    Of more than ``at_most`` instants so many, evenly over the clip. The cameras take turns, one per instant. Each error
    is of the scene as it is when its turn comes. Gaussians are drawn small; of a radiance field rays on a grid are
    compared with the pixels that they go through.
    """
    shots = trainer.dataset.shots
    by_frame: dict[int, dict[str, int]] = {}
    for index in trainer.dataset.indices("train"):
        by_frame.setdefault(shots[index].frame, {})[shots[index].camera_name] = index
    names = list(dict.fromkeys(shots[i].camera_name for i in trainer.dataset.indices("train")))
    for turn, frame in enumerate(spread(sorted(by_frame), at_most)):
        there = by_frame[frame]
        order = names[turn % len(names) :] + names[: turn % len(names)]
        index = next(there[name] for name in order if name in there)
        trainer.dataset.read(index)
        yield None
        measure = _field_error if isinstance(trainer.scene, RadianceField) else _error
        yield frame, measure(trainer, index)


# ------------------------------------------------------------------------------------------------ errors


def _error(trainer: Trainer, index: int) -> float:
    shot = trainer.clip().shots[index]
    view = shrunk(View(shot.camera, shot.time), MOST_PIXELS)
    target = trainer.input_picture(index, view.camera.width, view.camera.height)
    return float(np.abs(np.clip(trainer.draw(view).color, 0, 1) - target).mean())


def _field_error(trainer: Trainer, index: int) -> float:
    """Of rays through the middles of a regular grid of pixels."""
    shot, field = trainer.clip().shots[index], trainer.scene
    assert isinstance(field, RadianceField)
    grid = shrunk(View(shot.camera, shot.time), FIELD_RAYS).camera
    x = ((np.arange(grid.width) + 0.5) * shot.camera.width / grid.width).astype(np.int64)
    y = ((np.arange(grid.height) + 0.5) * shot.camera.height / grid.height).astype(np.int64)
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    with torch.no_grad():
        rays = rays_through(shot.camera, torch.from_numpy(pixels), shot.time)
        color = march(field, rays, PROPOSALS, SAMPLES).color().clamp(0, 1).cpu().numpy()
    target = trainer.dataset.read(index)[pixels[:, 1], pixels[:, 0]].astype(np.float32) / 255
    return float(np.abs(color - target).mean())


# ------------------------------------------------------------------------------------------------ motion


def _small(dataset: Dataset, index: int) -> Picture:
    shot = dataset.shots[index]
    camera = shrunk(View(shot.camera, shot.time), MOST_PIXELS).camera
    return resized_picture(dataset.read(index), camera.width, camera.height)


def _camera_moves(dataset: Dataset, first: int, second: int) -> bool:
    """Whether a camera is not known to have stood still between two shots."""
    return not dataset.posed or not same_camera(dataset.shots[first].camera, dataset.shots[second].camera)


def _difference(before: Picture, after: Picture, moved: bool) -> float:
    """Mean absolute difference of two pictures (H, W, 3), without the motion of a camera that ``moved``."""
    motion = _affine_motion(before, after) if moved else None
    difference = np.abs(after - before).mean(2)
    if motion is None:
        return float(difference.mean())
    size = (after.shape[1], after.shape[0])
    laid = cv2.warpAffine(before, motion, size, flags=cv2.INTER_LINEAR)
    covered = cv2.warpAffine(np.ones_like(difference), motion, size, flags=cv2.INTER_LINEAR) > 0.999
    return float(np.abs(after - laid).mean(2)[covered].mean()) if covered.any() else float(difference.mean())


def _affine_motion(before: Picture, after: Picture) -> Affine | None:
    """(2, 3) where most of a picture goes in the next, pixels; None where too few corners agree."""
    first, second = (cv2.cvtColor((p * 255 + 0.5).astype(np.uint8), cv2.COLOR_RGB2GRAY) for p in (before, after))
    corners = cv2.goodFeaturesToTrack(first, CORNERS, 0.01, 4)
    if corners is None or len(corners) < FEWEST_CORNERS:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None)  # type: ignore[call-overload]
    kept = found[:, 0] == 1
    if kept.sum() < FEWEST_CORNERS:
        return None
    motion, agree = cv2.estimateAffine2D(corners[kept], there[kept], ransacReprojThreshold=1.0)
    return None if motion is None or agree.sum() < FEWEST_CORNERS else motion
