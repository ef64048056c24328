"""Pictures of a corner of textured boards, ray traced with numpy through a lens that may bend straight lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera, look_at

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]
TEXTURE = 512
"""Pixels of a board's texture, each way."""


@dataclass(frozen=True, eq=False)
class Board:
    """A rectangle: ``corner`` (3,), its sides ``u`` and ``v`` (3,), and the seed of what is painted on it."""

    corner: Array
    u: Array
    v: Array
    seed: int
    texture: Picture = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        layers = [
            cv2.resize(rng.normal(size=(n, n, 3)), (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC) * weight
            for n, weight in ((8, 30.0), (32, 35.0), (96, 30.0))
        ]
        object.__setattr__(self, "texture", np.clip(128 + sum(layers), 0, 255).astype(np.uint8))


BACK = Board(np.array([-4.0, -3.0, 7.0]), np.array([8.0, 0, 0]), np.array([0, 6.0, 0]), 0)
FLOOR = Board(np.array([-4.0, 1.6, 1.5]), np.array([8.0, 0, 0]), np.array([0, 0, 5.5]), 1)
LEFT = Board(np.array([-2.4, -1.2, 3.2]), np.array([1.6, 0, 0.7]), np.array([0, 2.4, 0]), 2)
RIGHT = Board(np.array([0.7, -0.8, 4.6]), np.array([1.8, 0, -0.9]), np.array([0, 2.2, 0]), 3)
ROOM = (BACK, FLOOR, LEFT, RIGHT)


def picture(camera: Camera, radial: float = 0.0, boards: Sequence[Board] = ROOM) -> Picture:
    """(H, W, 3) what the camera sees through a lens with the coefficient k1 ``radial``.

    One ray a pixel: the textures are smooth.
    """
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    bent = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy], axis=-1)
    straight = bent
    for _ in range(30):  # x (1 + k |x|^2) = bent
        straight = bent / (1 + radial * (straight**2).sum(-1, keepdims=True))
    rays = np.concatenate([straight, np.ones((*straight.shape[:2], 1))], axis=-1) @ camera.world_to_camera[:3, :3]
    result = np.zeros((*rays.shape[:2], 3))
    nearest = np.full(rays.shape[:2], np.inf)
    for board in boards:
        normal = np.cross(board.u, board.v)
        with np.errstate(divide="ignore"):
            depth = ((board.corner - camera.center) @ normal) / (rays @ normal)
        place = camera.center + depth[..., None] * rays - board.corner
        s, t = (place @ side / (side @ side) for side in (board.u, board.v))  # the sides are at right angles
        hit = (depth > 0) & (depth < nearest) & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
        painted = cv2.remap(
            board.texture, (s * TEXTURE - 0.5).astype(np.float32), (t * TEXTURE - 0.5).astype(np.float32),
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        result[hit], nearest[hit] = painted[hit], depth[hit]
    return np.round(result).astype(np.uint8)


def write_picture(path: Path, image: Picture) -> Path:
    """A file with the picture (H, W, 3) RGB or (H, W)."""
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


def path_of_cameras(
    count: int, reach: float, width: int = 320, height: int = 240, focal: float = 300.0
) -> list[Camera]:
    """Cameras on an arc of half width ``reach`` scene units that look into the room; the focal length is in pixels."""
    cameras = []
    for t in np.linspace(-1, 1, count):
        eye = np.array([reach * t, -0.3 * reach * np.cos(2 * t), 0.25 * reach * t * t])
        pose = look_at(eye, np.array([0.15 * t, 0.1, 4.5]), np.array([0, -1.0, 0]))
        cameras.append(Camera(pose, focal, focal, width / 2, height / 2, width, height))
    return cameras
