"""The viewport: what is asked of the engine and of OpenGL, what is on the screen, and the mouse in it."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.gui.desk import Desk
from app.gui.gl_thread import Drawing, GlThread
from app.gui.key_names import held, is_down
from app.gui.native import Native
from app.gui.pace import summary
from app.gui.panel import Panel
from app.gui.picture.bar import ViewportBar
from app.gui.picture.camera_text import camera_from_text, camera_to_text
from app.gui.picture.canvas import Canvas
from app.gui.scenery import across, scenery, thumbnails
from app.gui.stage import Drawn, Pressed
from app.looks import Display
from renderer.picture import Mark, Mode, Pane, Picture, fitted
from renderer.view import Frame, View

STILL_PIXELS, MOVING_PIXELS = 400_000, 60_000
"""Most pixels of a frame when the view is still, and while it changes if frames come slowly."""
SLOW = 0.06
"""Seconds that a frame may take before a moving view is drawn coarser."""
SETTLE = 0.25
"""Seconds without a change after which the view is drawn in full."""
CLICK_SLACK = 4
"""Pixels that the mouse may move between press and release of a click."""
GRIP = 7
"""Pixels beside the divider of a split view within which it is taken hold of."""
TURN = 0.008
"""Radians per pixel of an orbit drag."""
FAST, LEISURELY = 4.0, 0.25
SPEED = 0.5
RUBBER = (1.0, 0.76, 0.25)
Place = tuple[float, float]
Drag = Literal["orbit", "pan", "line", "divider"]


class Viewport(Panel):
    """Owns the picture and the mouse in it. ``gl``: draws frames."""

    title = "Viewport"

    def __init__(self, desk: Desk, gl: GlThread, native: Native | None) -> None:
        super().__init__(desk)
        self._stage, self._gl = desk.stage, gl
        self._canvas = Canvas("picture", native)
        self._bar = ViewportBar(desk)
        self._size = (640, 480)
        self._asked: dict[p.Side, p.Look] = {}
        self._shown: dict[p.Side, p.Look] = {}
        self._asked_at, self._latency = 0.0, 0.0
        self._version, self._coarse, self._flown_at = -1, False, 0.0
        self._drag: Drag | None = None
        self._button, self._start, self._last, self._moving = 0, (0.0, 0.0), (0.0, 0.0), False
        self._published, self._here = False, set[p.Side]()
        self._times: deque[float] = deque(maxlen=120)
        self._awaited: deque[tuple[View, float]] = deque(maxlen=64)
        self._latencies: deque[float] = deque(maxlen=2000)

    # ------------------------------------------------------------------------------------------ widgets

    def build(self) -> None:
        """The bars and the picture, in the current container."""
        self._bar.build()
        with dpg.child_window(tag="viewport", no_scrollbar=True, no_scroll_with_mouse=True, border=False):
            self._canvas.build(*self._size)
        self.desk.skin.flush("viewport")
        with dpg.item_handler_registry(tag="picture_handlers"):
            for button in (0, 1, 2):
                dpg.add_item_clicked_handler(button, callback=self._pressed, user_data=button)
        dpg.bind_item_handler_registry("picture", "picture_handlers")
        with dpg.handler_registry():
            dpg.add_mouse_wheel_handler(callback=self._wheel)

    def resize(self, width: int, height: int) -> None:
        """The place for bars and picture in the window, pixels."""
        width, height = max(64, width), max(64, height - self._bar.height)
        if (width, height) == self._size:
            return
        self._size = (width, height)
        self._bar.resize(width)
        dpg.configure_item("viewport", width=width, height=height)
        self._canvas.resize(width, height)
        self._ask(still=False)

    # ------------------------------------------------------------------------------------ what happened

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        match event:
            case p.Opened():
                self.closed()
                self._bar.opened(event)
            case p.Drawn():
                self.drawn(event.side, event.look, event.frame)
            case p.Published():
                if not self._published:
                    self._published = True
                    self._asked.clear()
                    self._ask(still=True)
            case p.CamerasMoved():
                self._stage.cameras_moved(event)
            case p.CamerasShown():
                self._stage.thumbnails = dict(event.thumbnails)
                self._stage.version += 1
            case p.Saved():
                self._bar.saved(event.checkpoints)

    def closed(self) -> None:
        """The scene was closed: forget it."""
        self._asked, self._shown, self._here = {}, {}, set()
        self._published, self._version = False, -1
        self._bar.ranges.clear()
        self._canvas.clear()

    def drawn(self, side: p.Side, look: p.Look, frame: Frame) -> None:
        """A frame came, from the engine or from OpenGL."""
        if side not in self._asked or (look.of, look.step) != (self._asked[side].of, self._asked[side].step):
            return  # nobody looks at this any more
        if side == "left" and self._asked_at and look == self._asked[side]:
            self._latency, self._asked_at = time.monotonic() - self._asked_at, 0.0
        self._shown[side] = look
        self._stage.frames[side] = frame
        self._bar.ranges.learn(side, self._display(side), frame)
        self._redraw()

    def show(self, drawing: Drawing) -> None:
        """Pixels came from OpenGL: put them on the screen."""
        h, w = drawing.rgba.shape[:2]
        if (w, h) != self._size:
            return  # drawn for a size that the panel no longer has
        self._canvas.show(drawing.rgba)
        self._stage.shown = drawing
        now = time.monotonic()
        self._times.append(now)
        for place, (view, asked_at) in enumerate(self._awaited):
            if drawing.picture.left.frame.view == view:
                self._latencies.append(now - asked_at)
                for _ in range(place + 1):  # those before it were overtaken
                    self._awaited.popleft()
                break

    def latencies(self) -> dict[str, float]:
        """From the change of a view to its picture on the screen: median, 99th percentile and most, milliseconds."""
        return summary(self._latencies)

    def forget_latencies(self) -> None:
        """Begin to measure anew."""
        self._latencies.clear()

    @property
    def settled(self) -> bool:
        """Whether everything that is wanted is shown, in full."""
        return bool(self._asked) and self._shown == self._asked and not self._coarse

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """Drags, flying, what has changed, and the full picture once the view rests."""
        self._canvas.tick()
        self._follow_mouse()
        if not self.desk.typing:
            self._fly()
        if self._stage.version != self._version:
            moved = now - self._stage.moved_at < SETTLE
            self._ask(still=not moved)
        elif self._coarse and now - self._stage.moved_at > SETTLE:
            self._ask(still=True)
        self._bar.tick(self._stage.frames.get("left"), self._latency, self._rate(now))

    def _rate(self, now: float) -> float:
        """Pictures per second, over the last second."""
        return float(sum(now - at < 1.0 for at in self._times))

    def _ask(self, still: bool) -> None:
        """Ask for what is not asked for yet, coarse when frames come slowly."""
        stage = self._stage
        if stage.viewpoint is None:
            return
        self._version = stage.version
        _, _, w, h = fitted(stage.viewpoint.camera.width, stage.viewpoint.camera.height, *self._size)
        limit = STILL_PIXELS if still or self._latency < SLOW else MOVING_PIXELS
        shrink = min(1.0, math.sqrt(limit / (w * h)))
        self._coarse = not still and limit < STILL_PIXELS
        camera = stage.viewpoint.camera.resized(max(8, round(w * shrink)), max(8, round(h * shrink)))
        looks = stage.looks(camera)
        if looks.get("left") != self._asked.get("left"):
            self._asked_at = time.monotonic()
            self._awaited.append((looks["left"].view, self._asked_at))
        for side in ("left", "right"):
            self._ask_side(side, looks.get(side))
        self._asked = looks
        if "right" not in looks:
            stage.frames.pop("right", None)
            self._shown.pop("right", None)
        for side, frame in stage.frames.items():  # another mode of the same frame has values of its own
            self._bar.ranges.learn(side, self._display(side), frame)
        self._redraw()

    def _ask_side(self, side: p.Side, look: p.Look | None) -> None:
        if look == self._asked.get(side):
            return
        here = look is not None and self._published and look.live and not look.view.overlay
        if here:
            self._gl.look(side, look)
        elif side in self._here:
            self._gl.look(side, None)
        if not here:
            self.desk.send(p.Draw(look, side))
        elif side not in self._here:
            self.desk.send(p.Draw(None, side))
        (self._here.add if here else self._here.discard)(side)

    # ----------------------------------------------------------------------------------------- the picture

    def _display(self, side: p.Side) -> Display:
        return self._stage.display if side == "left" else self._stage.right_display

    def _pane(self, side: p.Side) -> Pane | None:
        frame = self._stage.frames.get(side)
        if frame is None:
            return None
        if side == "right" and self._stage.split.kind in ("input", "generated"):
            return Pane(frame, Mode.PICTURE)
        display, shown = self._display(side), self._display(side).shown
        if shown.mode == Mode.OVERLAY and frame.view.overlay != display.overlay:
            return Pane(frame, Mode.COLOR)  # what was asked for has not come yet
        blend = display.blend if shown.mode == Mode.OVERLAY else None
        return Pane(frame, shown.mode, self._bar.ranges.of(side, display), shown.palette, blend)

    def _redraw(self) -> None:
        """Ask OpenGL for the present frames at the present size, where anything has changed."""
        left = self._pane("left")
        if left is None:
            return
        picture = Picture(
            left, *self._size,
            right=self._pane("right"),
            divider=self._stage.split.divider,
            marks=self._marks("left"),
            right_marks=self._marks("right"),
            lines=scenery(self._stage),
            thumbnails=thumbnails(self._stage),
            backdrop=self.desk.skin.share("backdrop"),
        )  # fmt: skip
        self._gl.show(picture)

    def _marks(self, side: p.Side) -> tuple[Mark, ...]:
        """Where the picked points are in a shown frame: the pixel itself, or its point in space once the view moved."""
        frame, found = self._stage.frames.get(side), []
        if frame is None:
            return ()
        camera = frame.view.camera
        for spot in (spot for spots in self._stage.spots.values() for spot in spots):
            if replace(frame.view, overlay="", pose=0) == replace(spot.view, overlay="", pose=0):
                x, y = ((k + 0.5) / size for k, size in zip(spot.pixel, (camera.width, camera.height), strict=True))
                found.append(Mark((x, y), spot.color))
            elif spot.point is not None:
                uv, z = camera.project(spot.point[None])
                if z[0] > 0 and 0 <= uv[0, 0] < camera.width and 0 <= uv[0, 1] < camera.height:
                    found.append(Mark((float(uv[0, 0] / camera.width), float(uv[0, 1] / camera.height)), spot.color))
        return tuple(found)

    # ---------------------------------------------------------------------------------------- the mouse

    def place_at(self, x: float, y: float) -> tuple[p.Side, Place] | None:
        """On which side a place in the window is, and where in the pixels of the frame there; None outside."""
        x0, y0 = dpg.get_item_rect_min("picture")
        right = "right" in self._stage.frames and x - x0 >= self._divider()
        side: p.Side = "right" if right else "left"
        frame = self._stage.frames.get(side)
        if frame is None:
            return None
        camera = frame.view.camera
        left, top, w, h = fitted(camera.width, camera.height, *self._size)
        column, row = (x - x0 - left) / w * camera.width, (y - y0 - top) / h * camera.height
        return (side, (column, row)) if 0 <= column < camera.width and 0 <= row < camera.height else None

    def _divider(self) -> float:
        return self._stage.split.divider * self._size[0]

    def _pressed(self, sender: int, data: object, button: int) -> None:
        x, y = dpg.get_mouse_pos(local=False)
        self._button, self._start, self._last, self._moving = button, (x, y), (x, y), False
        near = abs(x - dpg.get_item_rect_min("picture")[0] - self._divider()) <= GRIP
        if button == 0 and "right" in self._stage.frames and near:
            self._drag = "divider"
        elif button == 0:
            self._drag = "line" if self._stage.drawing_line else "orbit"
        else:
            self._drag = "pan"

    def _follow_mouse(self) -> None:
        if self._drag is None or self._stage.viewpoint is None:
            return
        x, y = dpg.get_mouse_pos(local=False)
        if not dpg.is_mouse_button_down(self._button):
            drag, self._drag = self._drag, None
            self._released(drag, (x, y))
            return
        self._moving = self._moving or math.dist((x, y), self._start) > CLICK_SLACK
        if not self._moving or (x, y) == self._last:
            return
        dx, dy, self._last = x - self._last[0], y - self._last[1], (x, y)
        viewpoint = self._stage.viewpoint
        match self._drag:
            case "orbit":
                self._stage.flown_by = ""
                self._stage.move(viewpoint.orbited(TURN * dx, TURN * dy))
            case "pan":
                self._stage.flown_by = ""
                camera = viewpoint.camera
                scale = camera.height / max(1, fitted(camera.width, camera.height, *self._size)[3])
                self._stage.move(viewpoint.panned(dx * scale, dy * scale))
            case "divider":
                share = (x - dpg.get_item_rect_min("picture")[0]) / self._size[0]
                self._stage.set_split(divider=min(max(share, 0.02), 0.98))
            case "line":
                self._rubber_band((x, y))

    def _released(self, drag: Drag, end: Place) -> None:
        self._stage.drawn.pop("rubber band", None)
        if drag == "line" and self._moving:
            ends = self._line_to(end)
            if ends is not None:
                self._stage.lines.append(ends)
            self._stage.version += 1
        elif drag in ("orbit", "line") and not self._moving and math.dist(end, self._start) <= CLICK_SLACK:
            place = self.place_at(*self._start)
            if place is not None:
                side, (column, row) = place
                _, shift, _ = held()
                self._stage.clicks.append(
                    Pressed(self._shown[side], (math.floor(column), math.floor(row)), bool(shift))
                )

    def _line_to(self, end: Place) -> Drawn | None:
        """The line from where the button went down, where both ends are in the picture of one side."""
        first, last = self.place_at(*self._start), self.place_at(*end)
        if first is None or last is None or first[0] != last[0] or math.dist(first[1], last[1]) < 2:
            return None
        return Drawn(self._stage.frames[first[0]].view, first[1], last[1])

    def _rubber_band(self, end: Place) -> None:
        line = self._line_to(end)
        if line is not None:
            self._stage.drawn["rubber band"] = across(line.view.camera, line.start, line.end, RUBBER)
            self._redraw()

    def _wheel(self, sender: int, amount: float) -> None:
        if self._stage.viewpoint is not None and dpg.is_item_hovered("picture"):
            self._stage.flown_by = ""
            self._stage.move(self._stage.viewpoint.dollied(0.9**amount))

    def _fly(self) -> None:
        viewpoint, keys = self._stage.viewpoint, self.desk.keys
        seconds, self._flown_at = time.monotonic() - self._flown_at, time.monotonic()
        control, shift, alt = held()
        if viewpoint is None or control or not dpg.is_item_hovered("picture"):
            return
        down = [
            any(is_down(key) for key in keys.keys_of(f"fly.{way}"))
            for way in ("right", "left", "up", "down", "forward", "back")
        ]
        if any(down):
            factor = FAST if shift else LEISURELY if alt else 1.0
            speed = SPEED * viewpoint.distance * min(seconds, 0.1) * factor
            right, up, forward = ((down[k] - down[k + 1]) * speed for k in (0, 2, 4))
            self._stage.flown_by = ""
            self._stage.move(viewpoint.flown(right, up, forward))

    # -------------------------------------------------------------------------------------------- actions

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        stage = self._stage

        def says(name: str) -> None:
            if name:
                self.desk.say(f"At {name}")

        return {
            "camera.home": stage.go_home,
            "camera.focus": self._focus,
            "camera.next": lambda: says(stage.step_camera(1)),
            "camera.previous": lambda: says(stage.step_camera(-1)),
            "camera.generated_next": lambda: says(stage.step_virtual(1)),
            "camera.generated_previous": lambda: says(stage.step_virtual(-1)),
            "camera.copy": self._copy_camera,
            "camera.paste": self._paste_camera,
            **self._bar.actions(),
        }

    def _focus(self) -> None:
        point = self._stage.picked_point
        if point is not None:
            self._stage.focus(point)
        else:
            self.desk.say("Click a pixel first; then F turns around what it shows")

    def _copy_camera(self) -> None:
        if self._stage.viewpoint is not None:
            dpg.set_clipboard_text(camera_to_text(self._stage.viewpoint.camera, self._stage.time))
            self.desk.say("The camera is in the clipboard, as text")

    def _paste_camera(self) -> None:
        viewpoint = self._stage.viewpoint
        if viewpoint is None:
            return
        camera, at = camera_from_text(dpg.get_clipboard_text() or "", viewpoint.camera)
        self._stage.look_from(camera, at)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        frame = self._stage.frames.get("left")
        state: dict[str, Any] = {
            "settled": self.settled, "mode": self._stage.display.mode, "split": self._stage.split.kind,
            "latency": self._latency, "sides": sorted(self._stage.frames),
        }  # fmt: skip
        if frame is not None:
            state["frame"] = {
                "time": frame.view.time,
                "version": frame.version,
                "size": [frame.view.camera.width, frame.view.camera.height],
                "eye": frame.view.camera.center.tolist(),
                "fov": math.degrees(frame.view.camera.fov_y),
                "asked": [frame.view.overlay, frame.view.pose],
                "overlay": None if frame.overlay is None else float(np.nanmean(frame.overlay)),
            }
        return json.loads(json.dumps(state))
