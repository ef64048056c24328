"""Frames of a GPU into textures: within its memory, or not at all, and then for a reason that somebody should hear."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from OpenGL import GL
from torch import Tensor

from renderer.gl import cuda_interop
from renderer.gl.cuda_interop import CudaInterop, InteropError
from renderer.gl.objects import Texture
from renderer.streams import beside
from renderer.view import Planes


@dataclass(frozen=True)
class Packed:
    """``pixels``: (H, W, C) contiguous on the device. ``stored``, ``layout``: as OpenGL calls them."""

    pixels: Tensor
    stored: int
    layout: int


Packing = Callable[[Planes], Packed | None]


def packed_color(planes: Planes) -> Packed:
    """Bytes of rgb in [0, 1], opaque."""
    rgb = (255 * planes.color.nan_to_num().clamp(0, 1)).round().to(torch.uint8)
    return Packed(F.pad(rgb, (0, 1), value=255), GL.GL_RGBA8, GL.GL_RGBA)


def packed_surface(planes: Planes) -> Packed:
    """Depth times opacity, scene units, and opacity."""
    return Packed(torch.stack([planes.depth.nan_to_num(), planes.opacity], dim=-1), GL.GL_RG32F, GL.GL_RG)


def packed_overlay(planes: Planes) -> Packed | None:
    """The overlay where it is known, else 0, and whether it is known; None where none is on the device."""
    if planes.overlay is None:
        return None
    there = planes.overlay.isfinite()
    return Packed(torch.stack([planes.overlay.where(there, 0), there.float()], dim=-1), GL.GL_RG32F, GL.GL_RG)


class Uploads:
    """Of the current context. ``runtime``: gives what has the functions of ``cuda.bindings.runtime``.

    After the first failure nothing is tried any more: what refuses once, such as OpenGL in software or on another GPU,
    refuses for ever, and a picture must not stutter over it.
    """

    def __init__(self, runtime: Callable[[], Any] = cuda_interop.runtime) -> None:
        self._runtime = runtime
        self._interop: CudaInterop | None = None
        self._refused = False
        self._notice: str | None = None

    def put(self, texture: Texture, planes: Planes, packing: Packing) -> bool:
        """Whether the texture holds it now; else it has to come from the frame's arrays."""
        if self._refused:
            return False
        device = planes.color.device
        try:
            if self._interop is None:
                self._interop = CudaInterop(device, self._runtime())
            with beside(device, planes.ready) as stream:
                packed = packing(planes)
                if packed is not None:
                    self._interop.put(texture, packed.pixels, packed.stored, packed.layout, stream)
                return packed is not None
        except (InteropError, torch.OutOfMemoryError) as problem:
            self._refused = True
            self._notice = f"The picture goes through the host's memory: {problem}"
            self.close()
            return False

    def take_notice(self) -> str | None:
        """What somebody should hear, once."""
        notice, self._notice = self._notice, None
        return notice

    def close(self) -> None:
        """Free everything."""
        interop, self._interop = self._interop, None
        if interop is not None:
            with suppress(InteropError):  # nobody could do anything about it, and the buffer is gone
                interop.close()
