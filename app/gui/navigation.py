"""Moving a camera by hand, as pure maths: orbit, pan, dolly, fly. The picture never rolls by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from renderer.camera import Camera, Matrix

POLE_MARGIN = np.radians(8)
"""The viewing direction stays this far from straight up and down."""


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera, what it turns around and what is up, (3,) each in the world. Every motion gives a new one."""

    camera: Camera
    pivot: Matrix
    up: Matrix

    @property
    def distance(self) -> float:
        """From the camera to the pivot, scene units."""
        return float(np.linalg.norm(self.pivot - self.camera.center))

    def orbited(self, right: float, down: float) -> Viewpoint:
        """Turn around the pivot by angles in radians, as if the scene were dragged right and down."""
        c2w = self.camera.camera_to_world
        forward = c2w[:3, 2]
        angle = float(np.arccos(np.clip(-forward @ self.up, -1, 1)))  # 0 when looking straight down
        down = float(np.clip(down, -(np.pi - POLE_MARGIN - angle), angle - POLE_MARGIN))
        turn = Rotation.from_rotvec(-right * self.up) * Rotation.from_rotvec(-down * c2w[:3, 0])
        moved = np.eye(4)
        moved[:3, :3] = turn.as_matrix() @ c2w[:3, :3]
        moved[:3, 3] = self.pivot + turn.apply(c2w[:3, 3] - self.pivot)
        return replace(self, camera=self._at(moved))

    def panned(self, right: float, down: float) -> Viewpoint:
        """Move camera and pivot so that what is at the pivot's depth follows a drag, in pixels of the camera."""
        c2w = self.camera.camera_to_world.copy()
        depth = float((self.pivot - c2w[:3, 3]) @ c2w[:3, 2])
        shift = -depth * (right / self.camera.fx * c2w[:3, 0] + down / self.camera.fy * c2w[:3, 1])
        c2w[:3, 3] += shift
        return replace(self, camera=self._at(c2w), pivot=self.pivot + shift)

    def dollied(self, factor: float) -> Viewpoint:
        """Change the distance to the pivot by a factor."""
        c2w = self.camera.camera_to_world.copy()
        c2w[:3, 3] = self.pivot + (c2w[:3, 3] - self.pivot) * max(factor, 1e-3)
        return replace(self, camera=self._at(c2w))

    def flown(self, right: float, up: float, forward: float) -> Viewpoint:
        """Move camera and pivot along the camera's right, the world's up and the camera's forward, scene units."""
        c2w = self.camera.camera_to_world.copy()
        shift = right * c2w[:3, 0] + up * self.up + forward * c2w[:3, 2]
        c2w[:3, 3] += shift
        return replace(self, camera=self._at(c2w), pivot=self.pivot + shift)

    def focused(self, point: Matrix) -> Viewpoint:
        """Turn around another point from now on; the camera stays."""
        return replace(self, pivot=np.asarray(point, float))

    def placed(self, camera: Camera) -> Viewpoint:
        """At another camera, around the same pivot."""
        return replace(self, camera=camera)

    def carried(self, before: Matrix, after: Matrix) -> Viewpoint:
        """As something that it is fixed to moves from one pose (4, 4), camera to world, to another; the pivot stays."""
        return replace(self, camera=self._at(after @ np.linalg.inv(before) @ self.camera.camera_to_world))

    def _at(self, c2w: Matrix) -> Camera:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = c2w[:3, :3].T, -c2w[:3, :3].T @ c2w[:3, 3]
        return self.camera.moved(pose)
