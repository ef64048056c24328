"""Learning cameras together with the scene: a rotation and a translation for each, and one focal length for all.

Gradients come through the splatter or through the rays of a radiance field. A global similarity of scene and cameras
together changes no picture; nothing but the anchor term (SparseCam4D, eq. 8) holds this gauge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from renderer.camera import Camera
from training.config import CameraConfig
from training.device import CPU, beside

FALL = 100.0
"""Step sizes fall by this factor until the end of the learning."""


class LearnedCameras:
    """Poses of C cameras, all free, and where the configuration says so one focal length.

    ``parameters``: by name, float64. "quaternion": ``q`` (C, 4) wxyz of the camera-to-world rotation, not normalised,
    and ``T`` (C, 3) the world-to-camera translation, as in SparseCam4D's released code. "axis-angle": ``r`` (C, 3) and
    ``t`` (C, 3), zero at first, of a motion that is applied after the stated camera-to-world, as in DDR's. ``log_zoom``
    (1,): the logarithm of the factor of all focal lengths, so that its step size means the same for every picture size.
    ``first``, ``last``: steps of the run between which they move. ``haste``: factor of the step sizes, for a run that
    is shorter than the published one. ``device``: where the parameters lie, and so the poses.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        config: CameraConfig,
        first: int,
        last: int,
        haste: float = 1.0,
        device: torch.device = CPU,
    ) -> None:
        self._cameras = list(cameras)
        self.reconfigure(config, first, last, haste)
        self._w2c = torch.from_numpy(np.stack([c.world_to_camera for c in cameras]))  # (C, 4, 4)
        if config.form == "quaternion":
            wxyz = Rotation.from_matrix(self._w2c[:, :3, :3].mT.numpy()).as_quat(scalar_first=True)
            start = {"q": torch.from_numpy(wxyz), "T": self._w2c[:, :3, 3].clone()}
        else:
            start = {name: torch.zeros(len(cameras), 3, dtype=torch.float64) for name in ("r", "t")}
        self._w2c = self._w2c.to(device)
        self._bottom = torch.tensor([[0, 0, 0, 1]], dtype=torch.float64).to(device)
        self._start = {name: value.to(device) for name, value in start.items()}
        self.parameters = {name: value.clone().requires_grad_() for name, value in self._start.items()}
        if config.focal:
            self.parameters["log_zoom"] = torch.zeros(1, dtype=torch.float64, device=device, requires_grad=True)
        self._adam = torch.optim.Adam([{"params": [p]} for p in self.parameters.values()], lr=0.0, eps=1e-15)

    def reconfigure(self, config: CameraConfig, first: int, last: int, haste: float) -> None:
        """Go on with other rates and steps, and another anchor."""
        self.config, self._first, self._last, self._haste = config, first, last, haste

    def moved(self) -> tuple[float, float]:
        """How far the cameras are from where they started: means over all of them of the angle of rotation, degrees,
        and of the distance between positions, scene units."""
        R, centers = self._rotations_and_centers(self._start)
        R_now, centers_now = self._rotations_and_centers({n: p.detach() for n, p in self.parameters.items()})
        angles, distances = (R_now * R.inv()).magnitude(), np.linalg.norm(centers_now - centers, axis=1)
        return float(np.degrees(angles).mean()), float(distances.mean())

    def moving(self, step: int) -> bool:
        """Whether the cameras are learned at a step of the run."""
        return self._first <= step < self._last

    def pose(self, index: int) -> Tensor:
        """(4, 4) world-to-camera, float32, differentiable."""
        return self._pose(index).float()

    def zoom(self, step: int) -> Tensor | None:
        """() factor of the focal lengths, float32, differentiable while it is learned; None where it is fixed."""
        if "log_zoom" not in self.parameters:
            return None
        zoom = self.parameters["log_zoom"][0].exp().float()
        return zoom if self.moving(step) else zoom.detach()

    def anchor(self, index: int) -> Tensor:
        """The weighted distance of a camera from where it started (SparseCam4D, eq. 8)."""
        moves = [self.parameters[name][index] - start[index] for name, start in self._start.items()]
        measure = _mean_length if self.config.anchor_form == "mean" else _norm
        return (self.config.anchor * (measure(moves[1]) + measure(moves[0]))).float()

    def step(self, step: int) -> None:
        """One update, with rates that fall log-linearly until the end of the learning."""
        begin = self._first if self.config.falls_from == "start" else 0
        fall = FALL ** -min(1.0, max(0, step - begin) / max(1, self._last - begin))
        rates = {"log_zoom": self.config.focal_rate}
        rates |= dict(zip(self._start, (self.config.rotation, self.config.translation), strict=True))
        for group, rate in zip(self._adam.param_groups, (rates[name] for name in self.parameters), strict=True):
            group["lr"] = rate * self._haste * fall
        self._adam.step()
        self.release()

    def release(self) -> None:
        """Let go of gradients."""
        self._adam.zero_grad(set_to_none=True)

    def camera(self, index: int) -> Camera:
        """The camera where it is now."""
        with torch.no_grad():
            return self.zoomed(self._cameras[index].moved(self._pose(index).cpu().numpy()))

    def zoomed(self, camera: Camera) -> Camera:
        """A camera of the clip with the focal length that was learned."""
        if "log_zoom" not in self.parameters:
            return camera
        factor = float(self.parameters["log_zoom"].detach().exp())
        return replace(camera, fx=camera.fx * factor, fy=camera.fy * factor)

    def cameras(self) -> list[Camera]:
        """All of them where they are now."""
        return [self.camera(k) for k in range(len(self._cameras))]

    def initial(self) -> list[Camera]:
        """All of them where they started."""
        return list(self._cameras)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        values = {name: leaf.detach() for name, leaf in self.parameters.items()}
        for name, leaf in self.parameters.items():
            values |= {f"{name}.{key}": value for key, value in self._adam.state.get(leaf, {}).items()}
        return values

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state`; ValueError when it is of other cameras."""
        shapes = {name: tuple(leaf.shape) for name, leaf in self.parameters.items()}
        found = {name: tuple(value.shape) for name, value in state.items() if "." not in name}
        if found != shapes:
            raise ValueError(f"cameras are stored as {found}, expected {shapes}")
        for name, leaf in self.parameters.items():
            with torch.no_grad():
                leaf.copy_(state[name])
            kept = {k.removeprefix(name + "."): v for k, v in state.items() if k.startswith(name + ".")}
            if kept:
                self._adam.state[leaf] = beside(leaf, kept)

    def _rotations_and_centers(self, values: Mapping[str, Tensor]) -> tuple[Rotation, NDArray[np.float64]]:
        """Camera-to-world rotations and positions (C, 3) of all cameras with these values of the parameters."""
        if self.config.form == "quaternion":
            R = Rotation.from_quat(values["q"].cpu().numpy(), scalar_first=True)
            return R, -R.apply(values["T"].cpu().numpy())
        R, stated = Rotation.from_rotvec(values["r"].cpu().numpy()), self._w2c.cpu().numpy()
        c2w = Rotation.from_matrix(np.ascontiguousarray(stated[:, :3, :3].transpose(0, 2, 1)))
        return R * c2w, R.apply(-c2w.apply(stated[:, :3, 3])) + values["t"].cpu().numpy()

    def _pose(self, index: int) -> Tensor:
        """(4, 4) world-to-camera, float64, differentiable."""
        bottom = self._bottom
        if self.config.form == "quaternion":
            R = rotation_matrix(self.parameters["q"][index])
            return torch.cat([torch.cat([R.T, self.parameters["T"][index, :, None]], dim=1), bottom])
        R, t = rodrigues(self.parameters["r"][index]), self.parameters["t"][index]
        return self._w2c[index] @ torch.cat([torch.cat([R.T, -(R.T @ t)[:, None]], dim=1), bottom])


def rodrigues(r: Tensor) -> Tensor:
    """(3, 3) rotation by the length of an axis-angle vector (3,), radians, also where it is zero."""
    x, y, z = r.unbind()
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    square = (r * r).sum()
    small = square < 1e-12
    angle = torch.sqrt(torch.where(small, torch.ones_like(square), square))
    a = torch.where(small, 1 - square / 6, torch.sin(angle) / angle)
    b = torch.where(small, 0.5 - square / 24, (1 - torch.cos(angle)) / angle**2)
    return torch.eye(3, dtype=r.dtype, device=r.device) + a * K + b * (K @ K)


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


def magnified(pose: Tensor, zoom: Tensor | None) -> Tensor:
    """(4, 4) for a splatter: a world-to-camera after which x and y are stretched by ``zoom``, as a longer focal length
    stretches what a pinhole camera sees."""
    if zoom is None:
        return pose
    one = torch.ones_like(zoom)
    return torch.stack([zoom, zoom, one, one])[:, None] * pose


def camera_center(pose: Tensor) -> Tensor:
    """(3,) position in the world of a world-to-camera (4, 4)."""
    return -pose[:3, :3].T @ pose[:3, 3]


def _mean_length(v: Tensor) -> Tensor:
    return v.abs().mean()


def _norm(v: Tensor) -> Tensor:
    """The length, with a slope of zero at zero: there a camera starts."""
    square = (v * v).sum()
    return torch.where(square > 0, torch.sqrt(torch.where(square > 0, square, torch.ones_like(square))), 0 * square)
