"""The random 4D scene that the CUDA engine is measured with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.gaussians import Gaussians
from renderer.harmonics import COEFFICIENTS, MAX_LEVEL, SH_C0

TIME = 0.5
"""At which the scene is looked at."""
DEPTHS = (2.0, 6.0)
MARGIN = 0.05
"""Share of the picture's size by which means lie outside of it."""
PIXELS, PIXELS_SPREAD = 1.5, 0.5
LIFE, LIFE_SPREAD = 0.0988, 0.3
TILT = 0.1
OPACITY_SPREAD = 1.5
COLOR_ROWS = 4096


def camera_of(width: int, height: int) -> Camera:
    """At the origin, along +z, with a focal length of one picture's width."""
    return Camera(np.eye(4), width, width, width / 2, height / 2, width, height)


def random_scene(count: int, camera: Camera, device: torch.device, seed: int = 0) -> Gaussians:
    """``count`` Gaussians, of which half are alive at time 0.5, with all 48 harmonics; the same on every device.

    As ``camera``, at the origin, sees them: means uniform over a picture that is a tenth wider and higher, and in depth
    from 2 to 6. Standard deviations along each of three axes, which are turned at random, log-normal around 1.5 pixels
    (0.5 in the log). Times uniform in [0, 1], deviations in time log-normal around 0.0988 (0.3 in the log): the
    temporal weight is above 0.05 for half of them. Right quaternions are the left ones and a tenth of their size of
    noise: they move by about that many units per clip. Opacities are logistic of a normal number of deviation 1.5.
    First harmonics of uniform colours, the others normal with deviation 0.05 from a table of 4,096 rows.
    """
    rng = np.random.default_rng(seed)
    depths = rng.uniform(*DEPTHS, count)
    size = np.array([camera.width, camera.height])
    pixels = rng.uniform(-MARGIN * size, (1 + MARGIN) * size, (count, 2))
    left = _normal(rng, count, 4)
    rest = torch.from_numpy(0.05 * _normal(rng, COLOR_ROWS, 3 * (COEFFICIENTS - 1))).to(device)
    rows = torch.from_numpy(rng.integers(0, COLOR_ROWS, count)).to(device)

    def sent(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)

    return Gaussians(
        positions=sent(camera.unproject(pixels, depths)),
        times=sent(rng.uniform(0, 1, (count, 1))),
        scales=sent(np.log(PIXELS * depths / camera.fx)[:, None] + PIXELS_SPREAD * _normal(rng, count, 3)),
        time_scales=sent(np.log(LIFE) + LIFE_SPREAD * _normal(rng, count, 1)),
        left=sent(left),
        right=sent(left + TILT * _normal(rng, count, 4)),
        opacities=sent(OPACITY_SPREAD * _normal(rng, count, 1)),
        sh_dc=sent((rng.uniform(0, 1, (count, 1, 3)) - 0.5) / SH_C0),
        sh_rest=rest[rows].view(count, COEFFICIENTS - 1, 3),
        sh_level=MAX_LEVEL,
    )


def learned(scene: Gaussians) -> Gaussians:
    """A copy whose parameters are leaves of autograd."""
    return scene.with_parameters({k: v.detach().clone().requires_grad_() for k, v in scene.parameters.items()})


@dataclass(frozen=True)
class Sight:
    """A camera whose pose (4, 4) and centre (3,) lie on the device, float32."""

    camera: Camera
    pose: Tensor
    center: Tensor

    @staticmethod
    def of(camera: Camera, device: torch.device) -> Sight:
        """Copies them there."""
        values = (camera.world_to_camera, camera.center)
        return Sight(camera, *(torch.tensor(v, dtype=torch.float32, device=device) for v in values))


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)
