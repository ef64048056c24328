"""The thread that owns OpenGL: takes the newest picture to draw, leaves the newest pixels to show; and where the
graphics card can do it, draws published Gaussians itself, so that no view waits for a training step."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from renderer.gaussians import Gaussians
from renderer.gl.context import GlContext, draws_in_software
from renderer.gl.frame_drawer import FrameDrawer, Picture
from renderer.gl.splat_drawer import SplatDrawer
from renderer.view import Frame, View

COLOR_MAP: NDArray[np.float32] = colormaps["viridis"](np.arange(256))[:, :3].astype(np.float32)
Splatting = Literal["auto", "opengl", "engine"]


@dataclass(frozen=True)
class Drawing:
    """Pixels for Dear PyGui: ``rgba`` (height, width, 4) float32 in [0, 1], and the picture that they show."""

    rgba: NDArray[np.float32]
    picture: Picture


@dataclass(frozen=True)
class Scene:
    """Gaussians to draw views of, as they were at a training ``step``."""

    gaussians: Gaussians
    step: int


class GlThread(threading.Thread):
    """Draws pictures one after another; of several that wait only the newest is drawn.

    ``splatting``: who draws Gaussians: this thread with "opengl", the engine, or "auto": this thread unless OpenGL is
    Mesa's software renderer, which is slower at it than the processor's own kernels. ``splats``: which it came out to
    be, None until the context is there.
    """

    def __init__(self, context: GlContext, backdrop: tuple[float, float, float], splatting: Splatting = "auto") -> None:
        super().__init__(name="gl", daemon=True)
        self._context, self._backdrop, self._splatting = context, backdrop, splatting
        self._condition = threading.Condition()
        self._wanted: Picture | None = None
        self._view: View | None = None
        self._scene: Scene | None = None
        self._drawn: Drawing | None = None
        self._frame: Frame | None = None
        self._stopping = False
        self.splats: bool | None = None
        self.failure: str | None = None

    def show(self, picture: Picture) -> None:
        """Ask for a picture; returns at once."""
        with self._condition:
            self._wanted = picture
            self._condition.notify()

    def look(self, view: View) -> None:
        """Ask for a view of the published scene; returns at once."""
        with self._condition:
            self._view = view
            self._condition.notify()

    def publish(self, scene: Scene) -> None:
        """Draw this scene from now on, and the last view of it anew."""
        with self._condition:
            self._scene = scene
            self._condition.notify()

    def take(self) -> Drawing | None:
        """The newest drawing since the last call."""
        with self._condition:
            drawn, self._drawn = self._drawn, None
        return drawn

    def take_frame(self) -> Frame | None:
        """The newest view that was drawn since the last call."""
        with self._condition:
            frame, self._frame = self._frame, None
        return frame

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
            self.splats = self._splatting == "opengl" or (self._splatting == "auto" and not draws_in_software())
            drawer = FrameDrawer(COLOR_MAP, self._backdrop)
            splatter = _Splatter() if self.splats else None
            while self._wait():
                if splatter is not None:
                    self._draw_view(splatter)
                self._draw_picture(drawer)
            if splatter is not None:
                splatter.drawer.close()
            drawer.close()
            self._context.release()
        except Exception as problem:  # a driver may refuse anything; the window says so and lives on
            self.splats = False
            self.failure = f"OpenGL failed: {problem}"

    def _wait(self) -> bool:
        """Until there is something to do; whether to go on."""
        with self._condition:
            while not (self._stopping or self._wanted or (self.splats and (self._view or self._scene))):
                self._condition.wait()
            return not self._stopping

    def _draw_view(self, splatter: _Splatter) -> None:
        with self._condition:
            view, scene, self._view, self._scene = self._view, self._scene, None, None
        frame = splatter.draw(view, scene)
        with self._condition:
            self._frame = frame or self._frame

    def _draw_picture(self, drawer: FrameDrawer) -> None:
        with self._condition:
            picture, self._wanted = self._wanted, None
        if picture is not None:
            rgba = np.multiply(drawer.draw(picture), np.float32(1 / 255), dtype=np.float32)
            with self._condition:
                self._drawn = Drawing(rgba, picture)


class _Splatter:
    """The newest scene and the last view of it."""

    def __init__(self) -> None:
        self.drawer = SplatDrawer()
        self._view: View | None = None
        self._step: int | None = None

    def draw(self, view: View | None, scene: Scene | None) -> Frame | None:
        """What changed by a new view or a new scene; None while either is missing."""
        if scene is not None:
            self.drawer.load(scene.gaussians)
            self._step = scene.step
        self._view = view or self._view
        if self._view is None or self._step is None or (view is None and scene is None):
            return None
        return self.drawer.draw(self._view, self._step)
