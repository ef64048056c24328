"""A picture in a plot, whose pixels may be replaced again and again: it keeps one texture."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.native import Native
from app.gui.widgets.texture import Texture


class ImageSeries:
    """A series by a tag, in the current axis; :meth:`show` replaces its pixels. ``sharp``: pixels stay squares where
    they are enlarged, as far as OpenGL can be reached."""

    def __init__(self, tag: str, sharp: bool = False) -> None:
        self._tag, self._sharp = tag, sharp
        self._texture: Texture | None = None
        self._waiting: NDArray[np.uint8] | None = None
        self._bounds = (1.0, 1.0)

    def build(self) -> None:
        """Make the series, and its texture."""
        self._texture = Texture(Native())
        dpg.add_image_series(self._texture.tag, (0, 0), (1, 1), label=f"##{self._tag}", tag=self._tag, show=False)

    def show(self, rgb: NDArray[np.uint8], bounds: tuple[float, float]) -> None:
        """(H, W, 3) bytes, row 0 on top, from the plot's origin to ``bounds``, its upper right corner."""
        alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
        self._waiting, self._bounds = np.concatenate([rgb, alpha], 2), bounds

    def clear(self) -> None:
        """Show nothing until the next picture."""
        self._waiting = None
        dpg.configure_item(self._tag, show=False)

    def tick(self) -> None:
        """Once per frame of the window: hand over pixels that wait."""
        if self._waiting is None or self._texture is None or not self._texture.write(self._waiting):
            return
        self._waiting = None
        self._texture.set_sharp(self._sharp)
        dpg.configure_item(
            self._tag, texture_tag=self._texture.tag, bounds_min=(0, 0), bounds_max=self._bounds,
            uv_max=self._texture.uv_max, show=True,
        )  # fmt: skip
