"""Where virtual cameras stand: between the real ones, in the order in which these are listed.

As the preprocessing of SparseCam4D does it: between two neighbours, position, look-at point, up direction and
intrinsics run linearly in 24 steps; a real camera stands at each end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from renderer.camera import Camera, look_at

STEPS = 24
"""From one real camera to the next."""


def trajectory(cameras: Sequence[Camera], distance: float, steps: int = STEPS) -> list[Camera]:
    """``steps`` (N - 1) + 1 cameras through N given ones, which stand at every ``steps``-th place.

    ``distance``: of the look-at point from its camera, scene units. All have the first camera's image size.
    """
    path = [cameras[0]]
    for a, b in pairwise(cameras):
        path += [_between(a, b, j / steps, distance) for j in range(1, steps)] + [b]
    first = cameras[0]
    return [camera.resized(first.width, first.height) for camera in path]


def virtual_cameras(cameras: Sequence[Camera], distance: float, keep_every: int = 2) -> list[Camera]:
    """The cameras of :func:`trajectory` without the real ones, of which every ``keep_every``-th place is kept: 22 for
    three real cameras and a ``keep_every`` of 2, as in most of the authors' configurations."""
    path = trajectory(cameras, distance)
    return [camera for k, camera in enumerate(path) if k % keep_every == 0 and k % STEPS != 0]


def _between(a: Camera, b: Camera, u: float, distance: float) -> Camera:
    def mix(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (1 - u) * x + u * y

    target = mix(*(c.center + distance * c.camera_to_world[:3, 2] for c in (a, b)))
    up = mix(*(-c.camera_to_world[:3, 1] for c in (a, b)))
    pose = look_at(mix(a.center, b.center), target, up)
    b = b.resized(a.width, a.height)
    fx, fy, cx, cy = ((1 - u) * p + u * q for p, q in zip(_intrinsics(a), _intrinsics(b), strict=True))
    return replace(a.moved(pose), fx=fx, fy=fy, cx=cx, cy=cy, near=min(a.near, b.near))


def _intrinsics(camera: Camera) -> tuple[float, float, float, float]:
    return camera.fx, camera.fy, camera.cx, camera.cy
