"""Which splatter serves which tensors."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Literal, Protocol

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat.types import SplatImage, Splats

Backend = Literal["auto", "reference", "cpu", "cuda"]
Chosen = Literal["reference", "cpu", "cuda"]


class Splatter(Protocol):
    """What a backend's module offers; see :mod:`renderer.splat` and, for the last, :mod:`renderer.splat.reference`."""

    def splat(
        self,
        splats: Splats,
        camera: Camera,
        pose: Tensor,
        background: Tensor,
        screen_offsets: Tensor | None,
        depth_target: Tensor | None,
    ) -> SplatImage: ...

    def depth_histogram(self, splats: Splats, camera: Camera, pose: Tensor, edges: Tensor) -> Tensor: ...

    def contributions(self, splats: Splats, camera: Camera, pose: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]: ...


def chosen(backend: Backend, splats: Splats) -> Chosen:
    """The backend itself: of itself that of the kernels where they can read the tensors, and else the plain one."""
    if backend != "auto":
        return backend
    if splats.means.dtype != torch.float32:
        return "reference"
    if splats.means.device.type == "cpu":
        return "cpu"
    return "cuda" if splats.means.is_cuda and has_cupy() else "reference"


@cache
def has_cupy() -> bool:
    """Whether CuPy is there to compile kernels with; does not load it."""
    return find_spec("cupy") is not None


def pose_of(camera: Camera, splats: Splats) -> Tensor:
    """(4, 4) the camera's world-to-camera matrix with the dtype and device of the splats."""
    return torch.as_tensor(camera.world_to_camera.copy(), dtype=splats.means.dtype, device=splats.means.device)
