"""Similarity transforms between two sets of poses of the same cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.camera import Camera

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """x -> scale R x + shift. ``rotation``: (3, 3). ``shift``: (3,) in units of the target world."""

    scale: float
    rotation: Array
    shift: Array

    def points(self, points: Array) -> Array:
        """(N, 3) moved."""
        return self.scale * points @ self.rotation.T + self.shift

    def camera(self, camera: Camera) -> Camera:
        """The camera that sees the moved world as ``camera`` sees the world; depths grow by ``scale``."""
        pose = np.eye(4)
        pose[:3, :3] = camera.world_to_camera[:3, :3] @ self.rotation.T
        pose[:3, 3] = -pose[:3, :3] @ self.points(camera.center[None])[0]
        return camera.moved(pose)


def similarity_between(source: Sequence[Camera], target: Sequence[Camera]) -> Similarity:
    """The similarity that takes each camera of ``source`` to its partner in ``target``, in the least-squares sense.

    The rotation is the mean of R_target^T R_source over the cameras, so that two cameras suffice; scale and shift then
    fit the centres. The scale is 1 where the centres hardly differ.
    """
    turns = [t.world_to_camera[:3, :3].T @ s.world_to_camera[:3, :3] for s, t in zip(source, target, strict=True)]
    R = Rotation.from_matrix(np.stack(turns)).mean().as_matrix()
    a, b = (np.stack([c.center for c in cameras]) for cameras in (source, target))
    from_mean, to_mean = (a - a.mean(0)) @ R.T, b - b.mean(0)
    spread = float((from_mean**2).sum())
    scale = float((from_mean * to_mean).sum()) / spread if spread > 1e-12 else 1.0
    return Similarity(scale, R, b.mean(0) - scale * R @ a.mean(0))


def pose_errors(cameras: Sequence[Camera], truth: Sequence[Camera], anchors: Similarity | None = None) -> Array:
    """(C, 2) degrees and scene units between cameras and their true partners, after ``anchors`` (cameras to truth) or
    the similarity that fits all of them best."""
    align = anchors or similarity_between(cameras, truth)
    errors = []
    for camera, true in zip((align.camera(c) for c in cameras), truth, strict=True):
        turn = Rotation.from_matrix(camera.world_to_camera[:3, :3] @ true.world_to_camera[:3, :3].T)
        errors.append((np.degrees(turn.magnitude()), np.linalg.norm(camera.center - true.center)))
    return np.array(errors)
