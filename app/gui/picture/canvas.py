"""The picture in the window, at the size that it is shown at."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.native import Native
from app.gui.widgets.texture import Texture


class Canvas:
    """An image in the current container, by a tag; :meth:`show` replaces its pixels."""

    def __init__(self, tag: str, native: Native | None) -> None:
        self._tag, self._native = tag, native
        self._texture: Texture | None = None
        self._waiting: NDArray[np.uint8] | None = None

    def build(self, width: int, height: int) -> None:
        """Make the image."""
        self._texture = Texture(self._native)
        dpg.add_image(self._texture.tag, tag=self._tag, width=width, height=height, show=False)

    def resize(self, width: int, height: int) -> None:
        """The size on the screen, pixels."""
        dpg.configure_item(self._tag, width=width, height=height)

    def show(self, rgba: NDArray[np.uint8]) -> None:
        """(height, width, 4) bytes, row 0 on top."""
        assert self._texture is not None, "build it first"
        self._waiting = None if self._texture.write(rgba) else rgba
        shown = self._waiting is None
        dpg.configure_item(
            self._tag, texture_tag=self._texture.tag, uv_min=(0, 0), uv_max=self._texture.uv_max, show=shown
        )

    def clear(self) -> None:
        """Show nothing until the next picture."""
        self._waiting = None
        dpg.configure_item(self._tag, show=False)

    def tick(self) -> None:
        """Once per frame of the window: pixels that could not be taken yet."""
        if self._waiting is not None:
            self.show(self._waiting)
