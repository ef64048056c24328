"""A stand-in for a video diffusion model, of which the truth is known: the procedural scene, rendered exactly at
virtual cameras, then bent, tinted and blurred differently in every picture.

As with a diffusion model that makes each instant on its own (SparseCam4D's use of ViewCrafter), what is wrong changes
smoothly from one virtual camera to the next and jumps from one instant to the next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from renderer.camera import Camera
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.procedural import ProceduralScene

CELLS = (4, 6)
"""Rows and columns of the grid whose random values the displacement follows: it bends on the scale of a quarter of the
picture."""
ALONG_POSES = 3.0
"""Standard deviation, in poses, of the smoothing along the path of the virtual cameras."""


@dataclass(frozen=True)
class Inconsistency:
    """How wrong the pictures are; all numbers are of one picture (s, t), and all are random with ``seed``.

    ``displacement``: root mean square length of the warp, pixels. ``gain``: standard deviation of each colour channel's
    factor. ``flicker``: that of a common factor, of its own in every picture. ``blur``: largest standard deviation of
    the blur, pixels.
    """

    displacement: float = 2.0
    gain: float = 0.10
    flicker: float = 0.03
    blur: float = 0.7
    seed: int = 0


class InconsistentViews:
    """Wrong pictures of the procedural scene, and what is wrong with them.

    ``cameras``: P virtual cameras, the true ones. ``times``: T instants in [0, 1]. ``views`` hands the pictures out,
    with ``stated`` cameras in place of the true ones where given (as if poses had been estimated). Picture (s, t) shows
    at x what the exact one shows at x + d(x).
    """

    def __init__(
        self,
        scene: ProceduralScene,
        cameras: Sequence[Camera],
        times: Sequence[float],
        amounts: Inconsistency,
        stated: Sequence[Camera] | None = None,
    ) -> None:
        self._scene, self.cameras, self._times = scene, list(cameras), list(times)
        P, T = len(cameras), len(times)
        rng = np.random.default_rng([amounts.seed, 3])
        bends = _along_poses(rng.normal(size=(P, T, *CELLS, 2)))
        shape = (cameras[0].height, cameras[0].width)
        rms = np.sqrt(np.mean([(_spread(bends[s, t], shape) ** 2).sum(2).mean() for s in range(P) for t in range(T)]))
        self._bends = bends * (amounts.displacement / max(rms, 1e-9))
        tint = amounts.gain * _along_poses(rng.normal(size=(P, T, 3)))
        self.gains = np.clip(1 + tint + amounts.flicker * rng.normal(size=(P, T, 1)), 0.3, 1.7)
        self._blurs = amounts.blur * rng.uniform(size=(P, T))
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()
        frames = [GeneratedFrame(s, times[t], t) for s in range(P) for t in range(T)]
        self.views = GeneratedViews("inconsistent", list(stated or cameras), frames, self._read)

    def warp(self, index: int) -> NDArray[np.float32]:
        """d (H, W, 2) of a picture, pixels: it shows at x what the exact picture shows at x + d(x)."""
        camera = self.cameras[index // len(self._times)]
        return _spread(self._bends[divmod(index, len(self._times))], (camera.height, camera.width))

    def displacement(self, index: int) -> NDArray[np.float32]:
        """(H, W, 2) pixels: how far what the exact picture shows at p has moved, that is x - p with x + d(x) = p."""
        d = self.warp(index)
        ys, xs = np.mgrid[0 : d.shape[0], 0 : d.shape[1]].astype(np.float32)
        moved = -d
        for _ in range(8):  # a contraction: d changes by far less than a pixel per pixel
            moved = -_sampled(d, xs + moved[..., 0], ys + moved[..., 1])
        return moved

    def exact(self, index: int) -> NDArray[np.float32]:
        """The right picture (H, W, 3) in [0, 1] at the true camera."""
        s, t = divmod(index, len(self._times))
        return self._scene.render(self.cameras[s], self._times[t]).color

    def _read(self, index: int) -> NDArray[np.uint8]:
        with self._lock:
            if index in self._kept:
                return self._kept[index]
        s, t = divmod(index, len(self._times))
        d, exact = self.warp(index), self.exact(index)
        ys, xs = np.mgrid[0 : d.shape[0], 0 : d.shape[1]].astype(np.float32)
        wrong: NDArray[np.float32] = _sampled(exact, xs + d[..., 0], ys + d[..., 1], cv2.INTER_CUBIC)
        if self._blurs[s, t] > 0.05:
            wrong = cv2.GaussianBlur(wrong, (0, 0), float(self._blurs[s, t]))  # type: ignore[assignment]
        picture = (np.clip(wrong * self.gains[s, t], 0, 1) * 255 + 0.5).astype(np.uint8)
        with self._lock:
            self._kept[index] = picture
        return picture


def _sampled(
    image: NDArray[np.float32], xs: NDArray[np.float32], ys: NDArray[np.float32], how: int = cv2.INTER_LINEAR
) -> NDArray[np.float32]:
    return cv2.remap(image, xs, ys, how, None, cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def perturbed(cameras: Sequence[Camera], degrees: float, shift: float, seed: int) -> list[Camera]:
    """Each camera turned by ``degrees`` around a random axis and moved by ``shift`` scene units somewhere."""
    rng = np.random.default_rng([seed, 4])
    result = []
    for camera in cameras:
        axis, direction = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix() @ camera.world_to_camera[:3, :3]
        pose[:3, 3] = -pose[:3, :3] @ (camera.center + shift * direction)
        result.append(camera.moved(pose))
    return result


def _along_poses(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed along the first axis, with a standard deviation of one."""
    smooth = gaussian_filter1d(noise, ALONG_POSES, axis=0, mode="reflect")
    return smooth / max(float(smooth.std()), 1e-9)


def _spread(values: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Grid values (rows, columns, 2) over a picture (H, W, 2), by cubic interpolation."""
    return cv2.resize(values.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]
