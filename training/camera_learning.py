"""Learning cameras together with the scene: a rotation and a translation for each, gradients through the splatter.

As in SparseCam4D's released code: q, a quaternion wxyz of the camera-to-world rotation, not normalised, and T, the
world-to-camera translation. A global similarity of scene and cameras together changes no picture; nothing but the
anchor term (eq. 8) holds this gauge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from renderer.camera import Camera
from training.config import CameraConfig

FALL = 100.0
"""Step sizes fall by this factor until the end of the learning."""


class LearnedCameras:
    """Poses of C cameras, all free.

    ``first``, ``last``: steps of the run between which they move. ``haste``: factor of the step sizes, for a run that
    is shorter than the published one.
    """

    def __init__(
        self, cameras: Sequence[Camera], config: CameraConfig, first: int, last: int, haste: float = 1.0
    ) -> None:
        self._cameras, self.config = list(cameras), config
        self._first, self._last, self._haste = first, last, haste
        rotations = np.stack([c.world_to_camera[:3, :3].T for c in cameras])
        self.q0 = torch.from_numpy(Rotation.from_matrix(rotations).as_quat(scalar_first=True))  # (C, 4)
        self.T0 = torch.from_numpy(np.stack([c.world_to_camera[:3, 3] for c in cameras]))  # (C, 3)
        self.q = self.q0.clone().requires_grad_()
        self.T = self.T0.clone().requires_grad_()
        self._adam = torch.optim.Adam([{"params": [self.q]}, {"params": [self.T]}], eps=1e-15)

    def moving(self, step: int) -> bool:
        """Whether the cameras are learned at a step of the run."""
        return self._first <= step < self._last

    def pose(self, index: int) -> Tensor:
        """(4, 4) world-to-camera, float32, differentiable."""
        R = rotation_matrix(self.q[index])
        pose = torch.cat([torch.cat([R.T, self.T[index, :, None]], dim=1), self.T.new_tensor([[0, 0, 0, 1.0]])])
        return pose.float()

    def anchor(self, index: int) -> Tensor:
        """The weighted distance of a camera from where it started (SparseCam4D, eq. 8)."""
        dT, dq = self.T[index] - self.T0[index], self.q[index] - self.q0[index]
        by_mean = self.config.anchor_form == "mean"
        distance = dT.abs().mean() + dq.abs().mean() if by_mean else _norm(dT) + _norm(dq)
        return (self.config.anchor * distance).float()

    def step(self, step: int) -> None:
        """One update, with rates that fall log-linearly until the end of the learning."""
        begin = self._first if self.config.falls_from == "start" else 0
        fall = FALL ** -min(1.0, max(0, step - begin) / max(1, self._last - begin))
        for group, rate in zip(self._adam.param_groups, (self.config.rotation, self.config.translation), strict=True):
            group["lr"] = rate * self._haste * fall
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def camera(self, index: int) -> Camera:
        """The camera where it is now."""
        pose = np.eye(4)
        with torch.no_grad():
            R = rotation_matrix(self.q[index]).numpy()
        pose[:3, :3], pose[:3, 3] = R.T, self.T[index].detach().numpy()
        return self._cameras[index].moved(pose)

    def cameras(self) -> list[Camera]:
        """All of them where they are now."""
        return [self.camera(k) for k in range(len(self._cameras))]

    def initial(self) -> list[Camera]:
        """All of them where they started."""
        return list(self._cameras)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        values = {"q": self.q.detach(), "T": self.T.detach()}
        for name, leaf in (("q", self.q), ("T", self.T)):
            values |= {f"{name}.{key}": value for key, value in self._adam.state.get(leaf, {}).items()}
        return values

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state`; ValueError when it is of other cameras."""
        if state["q"].shape != self.q.shape or state["T"].shape != self.T.shape:
            raise ValueError(f"poses of {len(state['q'])} cameras, expected {len(self.q)}")
        with torch.no_grad():
            self.q.copy_(state["q"])
            self.T.copy_(state["T"])
        for name, leaf in (("q", self.q), ("T", self.T)):
            kept = {k.removeprefix(name + "."): v.clone() for k, v in state.items() if k.startswith(name + ".")}
            if kept:
                self._adam.state[leaf] = kept


def rotation_matrix(q: Tensor) -> Tensor:
    """(3, 3) of a quaternion wxyz (4,) of any length but zero."""
    w, x, y, z = q.unbind()
    n = 2 / (q * q).sum()
    rows = [
        1 - n * (y * y + z * z), n * (x * y - w * z), n * (x * z + w * y),
        n * (x * y + w * z), 1 - n * (x * x + z * z), n * (y * z - w * x),
        n * (x * z - w * y), n * (y * z + w * x), 1 - n * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows).reshape(3, 3)


def camera_center(pose: Tensor) -> Tensor:
    """(3,) position in the world of a world-to-camera (4, 4)."""
    return -pose[:3, :3].T @ pose[:3, 3]


def _norm(v: Tensor) -> Tensor:
    """The length, with a slope of zero at zero: there a camera starts."""
    square = (v * v).sum()
    return torch.where(square > 0, torch.sqrt(torch.where(square > 0, square, torch.ones_like(square))), 0 * square)
