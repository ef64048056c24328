"""A pinhole camera: pose, intrinsics and image size, in OpenCV axes (+x right, +y down, +z forward)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Right-multiply a camera-to-world matrix with OpenGL axes by this to get OpenCV axes, and back."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion.

    ``world_to_camera``: (4, 4) rigid, float64, read-only, scene units.
    ``fx, fy, cx, cy``: pixels, with the centre of the first pixel at (0.5, 0.5).
    ``near``: scene units along +z; what lies nearer is not drawn.
    """

    world_to_camera: Matrix = field(repr=False)
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    near: float = 0.01

    def __post_init__(self) -> None:
        pose = np.array(self.world_to_camera, dtype=np.float64)
        if pose.shape != (4, 4):
            raise ValueError(f"world_to_camera has shape {pose.shape}, expected (4, 4)")
        pose.setflags(write=False)
        object.__setattr__(self, "world_to_camera", pose)
        for name in ("fx", "fy", "cx", "cy", "near"):
            object.__setattr__(self, name, float(getattr(self, name)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Camera) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        intrinsics = (self.fx, self.fy, self.cx, self.cy, self.width, self.height, self.near)
        return (self.world_to_camera.tobytes(), *intrinsics)

    @staticmethod
    def from_fov(world_to_camera: Matrix, fov_y: float, width: int, height: int, near: float = 0.01) -> Camera:
        """A centred camera of vertical field of view ``fov_y`` (radians)."""
        f = 0.5 * height / np.tan(0.5 * fov_y)
        return Camera(world_to_camera, f, f, 0.5 * width, 0.5 * height, width, height, near)

    @property
    def camera_to_world(self) -> Matrix:
        """(4, 4), by the closed form of a rigid inverse."""
        R, T = self.world_to_camera[:3, :3], self.world_to_camera[:3, 3]
        c2w = np.eye(4)
        c2w[:3, :3] = R.T
        c2w[:3, 3] = -R.T @ T
        return c2w

    @property
    def center(self) -> Matrix:
        """(3,) position of the pinhole in the world."""
        return self.camera_to_world[:3, 3]

    @property
    def fov_y(self) -> float:
        """Vertical field of view in radians."""
        return float(2 * np.arctan(0.5 * self.height / self.fy))

    def resized(self, width: int, height: int) -> Camera:
        """The same view sampled at another size; the field of view is kept along both axes."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy, width=width, height=height
        )

    def moved(self, world_to_camera: Matrix) -> Camera:
        """The same intrinsics at another pose."""
        return replace(self, world_to_camera=world_to_camera)

    def zoomed(self, fov_y: float) -> Camera:
        """The same camera with another vertical field of view, radians; the ratio of its focal lengths is kept."""
        f = 0.5 * self.height / np.tan(0.5 * fov_y)
        return replace(self, fx=self.fx * f / self.fy, fy=f)

    def along(self, start: tuple[float, float], end: tuple[float, float]) -> tuple[Camera, int, slice]:
        """A camera turned about its axis, of which one row of pixels lies on the line between two places (pixels) of
        this one; that row, and the columns of it between the places. Depths along +z stay what they are.

        ValueError when the places are nearer than a pixel.
        """
        a, b = (np.array([(x - self.cx) / self.fx, (y - self.cy) / self.fy]) for x, y in (start, end))
        count = round(float(np.hypot(end[0] - start[0], end[1] - start[1])))
        if count < 1:
            raise ValueError("a line needs two places")
        u = (b - a) / np.linalg.norm(b - a)
        turn = np.eye(4)
        turn[:2, :2] = [u, [-u[1], u[0]]]
        f = count / float(np.linalg.norm(b - a))
        corners = np.array([(x, y) for x in (0, self.width) for y in (0, self.height)], float)
        seen = f * ((corners - [self.cx, self.cy]) / [self.fx, self.fy] - a) @ turn[:2, :2].T  # from the line's start
        low, high = np.floor(seen.min(0)).astype(int), np.ceil(seen.max(0)).astype(int)
        first, row = max(0, -int(low[0])), max(0, -int(low[1]))
        origin = np.array([first, row + 0.5]) - f * turn[:2, :2] @ a
        width, height = first + max(count, int(high[0])), row + max(1, int(high[1]))
        camera = Camera(turn @ self.world_to_camera, f, f, origin[0], origin[1], width, height, self.near)
        return camera, row, slice(first, first + count)

    def project(self, points: Matrix) -> tuple[Matrix, Matrix]:
        """World points (N, 3) to pixels (N, 2) and depths along +z (N,)."""
        local = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        z = local[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            uv = np.stack([self.fx * local[:, 0] / z + self.cx, self.fy * local[:, 1] / z + self.cy], axis=1)
        return uv, z

    def unproject(self, pixels: Matrix, depths: Matrix) -> Matrix:
        """Pixel positions (N, 2) and depths along +z (N,) to world points (N, 3)."""
        x = (pixels[:, 0] - self.cx) / self.fx * depths
        y = (pixels[:, 1] - self.cy) / self.fy * depths
        c2w = self.camera_to_world
        return np.stack([x, y, depths], axis=1) @ c2w[:3, :3].T + c2w[:3, 3]


def look_at(eye: Matrix, target: Matrix, up: Matrix) -> Matrix:
    """World-to-camera (4, 4) of a camera at ``eye`` that looks at ``target``; ``up`` (3,) points up in the image."""
    forward = np.asarray(target, float) - np.asarray(eye, float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up, float))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    R = np.stack([right, down, forward])
    pose = np.eye(4)
    pose[:3, :3] = R
    pose[:3, 3] = -R @ np.asarray(eye, float)
    return pose
