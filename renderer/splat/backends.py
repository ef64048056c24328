"""Which splatter serves which tensors."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat.types import Splats

Backend = Literal["auto", "reference", "cpu"]


def chosen(backend: Backend, splats: Splats) -> Literal["reference", "cpu"]:
    """The backend itself: of itself that of the kernels where they can read the tensors, and else the plain one."""
    if backend != "auto":
        return backend
    return "cpu" if splats.means.dtype == torch.float32 and splats.means.device.type == "cpu" else "reference"


def pose_of(camera: Camera, splats: Splats) -> Tensor:
    """(4, 4) the camera's world-to-camera matrix with the dtype and device of the splats."""
    return torch.as_tensor(camera.world_to_camera.copy(), dtype=splats.means.dtype, device=splats.means.device)
