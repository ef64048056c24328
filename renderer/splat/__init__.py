"""Splatting: 3D Gaussians and a camera in, an image out, by one function with several backends.

``reference`` is plain torch, any dtype, written to be read. ``cpu`` is numba, float32, tiles of pixels. Both draw
the same picture and return the same gradients; one parametrised test holds them together.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.splat import cpu, reference
from renderer.splat.types import SplatImage, Splats

__all__ = ["Backend", "SplatImage", "Splats", "splat"]

Backend = Literal["auto", "reference", "cpu"]


def splat(
    splats: Splats,
    camera: Camera,
    *,
    pose: Tensor | None = None,
    background: Tensor | None = None,
    screen_offsets: Tensor | None = None,
    backend: Backend = "auto",
) -> SplatImage:
    """Blend 3D Gaussians front to back into a picture (EWA splatting, Zwicker 2001; Kerbl et al. 2023, eq. 2-3).

    ``pose``: (4, 4) world-to-camera tensor that replaces the camera's own, so that it can be learned.
    ``background``: (3,) colour behind everything, black when absent; it gets no gradient.
    ``screen_offsets``: (M, 2) pixels added to the projected means. Pass zeros that require a gradient to learn
    dL/d(screen position), which drives densification.
    Gradients flow to every field of ``splats``, to ``pose`` and to ``screen_offsets``.
    """
    if pose is None:
        pose = torch.as_tensor(camera.world_to_camera.copy(), dtype=splats.means.dtype, device=splats.means.device)
    if background is None:
        background = splats.means.new_zeros(3)
    if backend == "auto":
        backend = "cpu" if splats.means.dtype == torch.float32 and splats.means.device.type == "cpu" else "reference"
    draw = {"reference": reference.splat, "cpu": cpu.splat}[backend]
    return draw(splats, camera, pose, background, screen_offsets)
