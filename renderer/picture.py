"""What a panel shows: one or two frames, each in a mode, with marks, lines and thumbnails over them.

Plain values. ``renderer.gl.frame_drawer`` draws them with OpenGL, ``renderer.shading`` with numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from renderer.view import Frame

RGB = tuple[float, float, float]
Rectangle = tuple[int, int, int, int]
"""x, y, width, height, pixels."""

PALETTES: tuple[str, ...] = ("viridis", "inferno", "cividis")
"""Colour maps of even lightness, legible for the colour-blind."""
BACKDROP: RGB = (18 / 255, 20 / 255, 23 / 255)
FULL_BLEND, OVERLAY_BLEND = 1.0, 0.8
GREY_WEIGHTS: RGB = (0.299, 0.587, 0.114)
GREY_BLEND = 0.25
"""The blend from which on the picture under an overlay is grey."""
FAINT, SOLID = 0.02, 0.2
"""Opacities below which a value is unknown, and from which on it is shown in full."""
DARK, LIGHT = (0.05, 0.05, 0.06), (0.92, 0.93, 0.95)


class Mode(IntEnum):
    """What of a frame is shown; the values are the shader's."""

    COLOR = 0
    DEPTH = 1
    OPACITY = 2
    OVERLAY = 3
    NORMALS = 4
    PICTURE = 5


@dataclass(frozen=True, eq=False)
class Pane:
    """A frame and how to show it. Equal when everything is, and the frame is the same object.

    ``mode``: the colour; depth, opacity or the frame's overlay through a palette; the normals of the surface through
    the pixels' expected depths, as 0.5 + 0.5 n in camera axes with n towards the camera; or a picture as it is. Where
    little is drawn, or no depth is known, depth and normals give way to the backdrop; where the overlay is unknown,
    there is the picture.
    ``value_range``: values at the palette's two ends.
    ``blend``: how much of the mode covers the frame's colour, in [0, 1]: at 0 only the colour is seen, at 1 only the
    mode. Below an overlay the colour turns grey, so that it is not taken for heat. None: 0.8 for an overlay, else 1.
    """

    frame: Frame
    mode: Mode
    value_range: tuple[float, float] = (0.0, 1.0)
    palette: str = "viridis"
    blend: float | None = None

    @property
    def cover(self) -> float:
        """The blend, or the mode's usual one."""
        if self.blend is not None:
            return self.blend
        return OVERLAY_BLEND if self.mode == Mode.OVERLAY else FULL_BLEND

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pane) and self.frame is other.frame and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((id(self.frame), self._key()))

    def _key(self) -> tuple[object, ...]:
        return (self.mode, self.value_range, self.palette, self.blend)


@dataclass(frozen=True)
class Mark:
    """A ring. ``place``: its middle in the pane's picture, in [0, 1], right and down. ``color``: in [0, 1]. ``radius``:
    pixels of the panel."""

    place: tuple[float, float]
    color: RGB
    radius: float = 8.0


@dataclass(frozen=True, eq=False)
class Lines:
    """Straight lines in the world. ``segments``: (N, 2, 3) float32, both ends, scene units. ``colors``: (N, 4) float32
    in [0, 1], the last one how much the line covers."""

    segments: NDArray[np.float32]
    colors: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.segments)
        if self.segments.shape != (count, 2, 3) or self.colors.shape != (count, 4):
            raise ValueError(f"segments {self.segments.shape} and colors {self.colors.shape}: not (N, 2, 3) and (N, 4)")


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small picture in the world. ``corners``: (4, 3) top-left, top-right, bottom-right, bottom-left, scene units.
    ``image``: (h, w, 3) uint8."""

    corners: NDArray[np.float32]
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a panel of ``width`` x ``height`` pixels shows.

    ``left``: alone, or up to ``divider``, a share of the panel's width, from which on there is ``right``. Both are
    fitted to the whole panel, so that the divider wipes from one to the other. ``marks`` lie on the left pane,
    ``right_marks`` on the right one; ``lines`` and ``thumbnails`` on both, each through its own camera.
    ``backdrop``: what is around and behind, in [0, 1].
    """

    left: Pane
    width: int
    height: int
    right: Pane | None = None
    divider: float = 0.5
    marks: tuple[Mark, ...] = ()
    right_marks: tuple[Mark, ...] = ()
    lines: Lines | None = None
    thumbnails: tuple[Thumbnail, ...] = ()
    backdrop: RGB = BACKDROP


def joined(parts: list[Lines]) -> Lines:
    """All lines as one."""
    segments = [np.zeros((0, 2, 3), np.float32), *(part.segments for part in parts)]
    colors = [np.zeros((0, 4), np.float32), *(part.colors for part in parts)]
    return Lines(np.concatenate(segments).astype(np.float32), np.concatenate(colors).astype(np.float32))


def palette_table(name: str) -> NDArray[np.float32]:
    """(256, 3) colours in [0, 1] from the low end to the high one."""
    return np.asarray(colormaps[name](np.arange(256))[:, :3], np.float32)


def fitted(width: int, height: int, panel_width: int, panel_height: int) -> Rectangle:
    """x, y, width, height of a picture of a given shape, as large as fits, in the middle of a panel."""
    scale = min(panel_width / width, panel_height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return (panel_width - w) // 2, (panel_height - h) // 2, w, h


def placed(pane: Pane, picture: Picture) -> Rectangle:
    """Where a pane's whole picture lies in the panel."""
    camera = pane.frame.view.camera
    return fitted(camera.width, camera.height, picture.width, picture.height)


def split_column(picture: Picture) -> int:
    """The panel's first column of the right pane; the panel's width where there is none."""
    if picture.right is None:
        return picture.width
    return round(min(max(picture.divider, 0.0), 1.0) * picture.width)


def clipped(rectangle: Rectangle, first: int, last: int, height: int) -> Rectangle:
    """What of a rectangle lies in the columns from ``first`` up to ``last`` and in the rows up to ``height``."""
    x, y, w, h = rectangle
    left, right, top, bottom = max(x, first), min(x + w, last), max(y, 0), min(y + h, height)
    return left, top, max(0, right - left), max(0, bottom - top)


def divider_shapes(picture: Picture) -> list[tuple[Rectangle, RGB]]:
    """The divider as rectangles to fill one after another: a line from top to bottom and a grip in its middle."""
    x, y = split_column(picture), picture.height // 2
    shapes = [
        ((x - 2, 0, 4, picture.height), DARK),
        ((x - 1, 0, 2, picture.height), LIGHT),
        ((x - 7, y - 17, 14, 34), DARK),
        ((x - 6, y - 16, 12, 32), LIGHT),
        ((x - 3, y - 8, 2, 16), DARK),
        ((x + 1, y - 8, 2, 16), DARK),
    ]
    return [(clipped(shape, 0, picture.width, picture.height), color) for shape, color in shapes]
