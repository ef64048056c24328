"""The thread that owns OpenGL: takes the newest picture to draw, leaves the newest pixels to show."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from renderer.gl.context import GlContext
from renderer.gl.frame_drawer import FrameDrawer, Picture

COLOR_MAP: NDArray[np.float32] = colormaps["viridis"](np.arange(256))[:, :3].astype(np.float32)


@dataclass(frozen=True)
class Drawing:
    """Pixels for Dear PyGui: ``rgba`` (height, width, 4) float32 in [0, 1], and the picture that they show."""

    rgba: NDArray[np.float32]
    picture: Picture


class GlThread(threading.Thread):
    """Draws pictures one after another; of several that wait only the newest is drawn."""

    def __init__(self, context: GlContext, backdrop: tuple[float, float, float]) -> None:
        super().__init__(name="gl", daemon=True)
        self._context, self._backdrop = context, backdrop
        self._condition = threading.Condition()
        self._wanted: Picture | None = None
        self._drawn: Drawing | None = None
        self._stopping = False
        self.failure: str | None = None

    def show(self, picture: Picture) -> None:
        """Ask for a picture; returns at once."""
        with self._condition:
            self._wanted = picture
            self._condition.notify()

    def take(self) -> Drawing | None:
        """The newest drawing since the last call."""
        with self._condition:
            drawn, self._drawn = self._drawn, None
        return drawn

    def stop(self) -> None:
        """End the thread and free what it has."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self.join(10)

    def run(self) -> None:
        """The thread's life."""
        try:
            self._context.make_current()
            drawer = FrameDrawer(COLOR_MAP, self._backdrop)
            while (picture := self._next()) is not None:
                rgba = np.multiply(drawer.draw(picture), np.float32(1 / 255), dtype=np.float32)
                with self._condition:
                    self._drawn = Drawing(rgba, picture)
            drawer.close()
            self._context.release()
        except Exception as problem:  # a driver may refuse anything; the window says so and lives on
            self.failure = f"OpenGL failed: {problem}"

    def _next(self) -> Picture | None:
        with self._condition:
            while self._wanted is None and not self._stopping:
                self._condition.wait()
            picture, self._wanted = self._wanted, None
            return None if self._stopping else picture
