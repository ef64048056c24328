"""The thread that owns OpenGL: takes the newest picture to draw, leaves the newest pixels to show; and where the
graphics card can do it, draws published Gaussians itself, so that no view waits for a training step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.protocol import Look, Side
from renderer.gaussians import Gaussians
from renderer.gl.context import GlContext, count_objects, draws_in_software
from renderer.gl.frame_drawer import FrameDrawer
from renderer.gl.splat_drawer import SplatDrawer
from renderer.picture import Picture
from renderer.view import Frame

Splatting = Literal["auto", "opengl", "engine"]


@dataclass(frozen=True)
class Drawing:
    """Pixels to show: ``rgba`` (height, width, 4) bytes, row 0 on top, and the picture that they are of."""

    rgba: NDArray[np.uint8]
    picture: Picture


@dataclass(frozen=True)
class Scene:
    """Gaussians to draw views of, as they were at a training ``step``; None where there is no scene any more."""

    gaussians: Gaussians | None
    step: int = 0


class GlThread(threading.Thread):
    """Draws pictures one after another; of several that wait only the newest is drawn.

    ``splatting``: who draws Gaussians: this thread with "opengl", the engine, or "auto": this thread unless OpenGL is
    Mesa's software renderer, which is slower at it than the processor's own kernels. ``splats``: which it came out to
    be, None until the context is there. ``notice``: a sentence for the log, ``failure``: why nothing is drawn any more;
    who has shown one sets it to None. ``wake``: called when something was drawn, from this thread.
    """

    def __init__(
        self, context: GlContext, splatting: Splatting = "auto", wake: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(name="gl", daemon=True)
        self._context, self._splatting, self._wake = context, splatting, wake
        self._condition = threading.Condition()
        self._wanted: Picture | None = None
        self._looks: dict[Side, Look | None] = {}
        self._scene: Scene | None = None
        self._drawn: Drawing | None = None
        self._frames: dict[Side, tuple[Look, Frame]] = {}
        self._stopping, self._counting = False, False
        self._counted: dict[str, int] | None = None
        self.splats: bool | None = None
        self.notice: str | None = None
        self.failure: str | None = None

    def show(self, picture: Picture) -> None:
        """Ask for a picture; returns at once."""
        with self._condition:
            self._wanted = picture
            self._condition.notify()

    def look(self, side: Side, look: Look | None) -> None:
        """Ask for a look at the published scene, or, with None, for none on this side any more; returns at once."""
        with self._condition:
            self._looks[side] = look
            self._condition.notify()

    def publish(self, scene: Scene) -> None:
        """Draw this scene from now on, and the last looks at it anew."""
        with self._condition:
            self._scene = scene
            self._condition.notify()

    def take(self) -> Drawing | None:
        """The newest drawing since the last call."""
        with self._condition:
            drawn, self._drawn = self._drawn, None
        return drawn

    def take_frames(self) -> dict[Side, tuple[Look, Frame]]:
        """The newest frame of each side that was drawn since the last call."""
        with self._condition:
            frames, self._frames = self._frames, {}
        return frames

    def objects(self, patience: float = 10.0) -> dict[str, int]:
        """How many objects of OpenGL there are, by kind; waits for the thread. Empty where it does not answer."""
        with self._condition:
            self._counted = None
            self._counting = True
            self._condition.notify()
            self._condition.wait_for(lambda: self._counted is not None, patience)
            return self._counted or {}

    def stop(self) -> None:
        """End the thread and free what it has."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self.is_alive():
            self.join(10)

    def run(self) -> None:
        """The thread's life."""
        try:
            self._context.make_current()
            self.splats = self._splatting == "opengl" or (self._splatting == "auto" and not draws_in_software())
            drawer = FrameDrawer()
            splatter = _Splatter() if self.splats else None
            while self._wait():
                if splatter is not None:
                    self._draw_looks(splatter)
                self._draw_picture(drawer)
                self._count()
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
            while not (
                self._stopping or self._wanted or self._counting or (self.splats and (self._looks or self._scene))
            ):
                self._condition.wait()
            return not self._stopping

    def _count(self) -> None:
        with self._condition:
            if self._counting:
                self._counting, self._counted = False, count_objects()
                self._condition.notify_all()

    def _draw_looks(self, splatter: _Splatter) -> None:
        with self._condition:
            looks, scene, self._looks, self._scene = self._looks, self._scene, {}, None
        for side, drawn in splatter.draw(looks, scene).items():
            with self._condition:
                self._frames[side] = drawn
            self._wake()

    def _draw_picture(self, drawer: FrameDrawer) -> None:
        with self._condition:
            picture, self._wanted = self._wanted, None
        if picture is not None:
            rgba = drawer.draw(picture)
            self.notice = drawer.uploads.take_notice() or self.notice
            with self._condition:
                self._drawn = Drawing(rgba, picture)
            self._wake()


class _Splatter:
    """The newest scene and the last looks at it."""

    def __init__(self) -> None:
        self.drawer = SplatDrawer()
        self._looks: dict[Side, Look] = {}
        self._step: int | None = None

    def draw(self, looks: dict[Side, Look | None], scene: Scene | None) -> dict[Side, tuple[Look, Frame]]:
        """What changed by new looks or a new scene."""
        if scene is not None and scene.gaussians is None:
            self._looks.clear()  # they were looks at the scene that is gone
        for side, look in looks.items():
            if look is None:
                self._looks.pop(side, None)
            else:
                self._looks[side] = look
        if scene is not None:
            self._step = scene.step if scene.gaussians is not None else None
            if scene.gaussians is not None:
                self.drawer.load(scene.gaussians)
        if self._step is None:
            return {}
        changed = [side for side in self._looks if scene is not None or side in looks]
        return {s: (self._looks[s], self.drawer.draw(self._looks[s].view, self._step)) for s in changed}
