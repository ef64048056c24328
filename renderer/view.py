"""View -> Frame: what is asked of a scene, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.camera import Camera
from renderer.streams import beside, marked, on_host


@dataclass(frozen=True)
class View:
    """One picture that somebody wants: a viewport is dirty when its View differs from the last one drawn.

    ``time``: in [0, 1] over the clip. ``overlay``: what else is asked about every pixel, by a name that whoever draws
    the view understands, such as "distortion/positions"; nothing when empty. ``pose``: which virtual camera that is
    about, as an index.
    """

    camera: Camera
    time: float
    overlay: str = ""
    pose: int = 0


@dataclass(frozen=True)
class Planes:
    """What a Frame holds, where it was drawn: contiguous float32 tensors of one device, as the arrays of the Frame.

    ``ready``: after which they may be read on another stream; None where they may be read at any time.
    """

    color: Tensor  # (H, W, 3)
    depth: Tensor  # (H, W)
    opacity: Tensor  # (H, W)
    overlay: Tensor | None = None  # (H, W)
    ready: torch.cuda.Event | None = None

    def copied(self, plane: Tensor) -> NDArray[np.float32]:
        """One of them in the host's memory, read-only; waits for the device, but for nothing queued there later."""
        with beside(plane.device, self.ready):
            (array,) = on_host([plane])
        array.setflags(write=False)
        return array


@dataclass(frozen=True)
class Frame:
    """A rendered View.

    ``color``: (H, W, 3) float32, sRGB as in the training images, not clipped.
    ``depth``: (H, W) float32, sum of weight times depth along +z, scene units; not divided by the opacity.
    ``opacity``: (H, W) float32 in [0, 1], the sum of the weights.
    ``version``: training step of the scene that was drawn.
    ``overlay``: (H, W) float32 of what the view asked for besides, in ``overlay_unit``; None where there is nothing.
    ``planes``: the same on the device, where a GPU drew them (:meth:`from_device`); then the arrays are copies, made
    when somebody first reads them, and read-only. ``dataclasses.replace`` gives a frame of arrays alone.
    """

    view: View
    color: NDArray[np.float32]
    depth: NDArray[np.float32]
    opacity: NDArray[np.float32]
    version: int = 0
    overlay: NDArray[np.float32] | None = None
    overlay_unit: str = ""
    planes: Planes | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def from_device(
        cls,
        view: View,
        color: Tensor,
        depth: Tensor,
        opacity: Tensor,
        version: int = 0,
        overlay: Tensor | None = None,
        overlay_unit: str = "",
    ) -> Frame:
        """A frame of tensors, shaped as its arrays, of any floating type. To be called where they were computed, on the
        same stream; waits for nothing. The tensors must not be changed afterwards. Those in the host's memory become
        arrays at once, without a copy where they are float32."""
        color, depth, opacity = (_plain(plane) for plane in (color, depth, opacity))
        overlay = None if overlay is None else _plain(overlay)
        if color.is_cuda:
            return cls.in_planes(view, Planes(color, depth, opacity, overlay, marked(color)), version, overlay_unit)
        known = None if overlay is None else overlay.numpy()
        return cls(view, color.numpy(), depth.numpy(), opacity.numpy(), version, known, overlay_unit)

    @staticmethod
    def in_planes(view: View, planes: Planes, version: int = 0, overlay_unit: str = "") -> Frame:
        """A frame of which nothing is in the host's memory yet."""
        frame = object.__new__(_LazyFrame)
        vars(frame).update(view=view, planes=planes, version=version, overlay_unit=overlay_unit)
        return frame

    def with_overlay(self, overlay: NDArray[np.float32] | Tensor | None, unit: str = "") -> Frame:
        """The same picture with another overlay (H, W); everything stays where it is, on the device or not. A tensor
        has to be where the frame is, computed on the same stream."""
        if self.planes is None:
            values = _plain(overlay).numpy() if isinstance(overlay, Tensor) else overlay
            return replace(self, overlay=values, overlay_unit=unit)
        on_device = _plain(overlay) if isinstance(overlay, Tensor) else None
        ready = self.planes.ready if on_device is None else marked(on_device)
        planes = replace(self.planes, overlay=on_device, ready=ready)
        frame = self.in_planes(self.view, planes, self.version, unit)
        if on_device is None:
            vars(frame)["overlay"] = overlay
        return frame

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W); copies nothing."""
        height, width = (self.opacity if self.planes is None else self.planes.opacity).shape
        return height, width

    def expected_depth(self) -> NDArray[np.float32]:
        """(H, W) depth divided by opacity; NaN where nothing is drawn."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.opacity > 1e-3, self.depth / self.opacity, np.float32(np.nan)).astype(np.float32)


class _LazyFrame(Frame):
    """Copies each plane when it is first read; ``planes`` is there. What replaces something in it has all arrays."""

    @cached_property
    def color(self) -> NDArray[np.float32]:  # type: ignore[override]
        return self._planes.copied(self._planes.color)

    @cached_property
    def depth(self) -> NDArray[np.float32]:  # type: ignore[override]
        return self._planes.copied(self._planes.depth)

    @cached_property
    def opacity(self) -> NDArray[np.float32]:  # type: ignore[override]
        return self._planes.copied(self._planes.opacity)

    @cached_property
    def overlay(self) -> NDArray[np.float32] | None:  # type: ignore[override]
        return None if self._planes.overlay is None else self._planes.copied(self._planes.overlay)

    @property
    def _planes(self) -> Planes:
        assert self.planes is not None, "in_planes gives them"
        return self.planes


def _plain(plane: Tensor) -> Tensor:
    return plane.detach().float().contiguous()
