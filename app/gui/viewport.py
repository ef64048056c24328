"""The viewport: where the camera is, what is asked of the engine, what is on the screen, and the mouse and keys."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.gui import theme
from app.gui.gl_thread import COLOR_MAP, Drawing, GlThread
from app.gui.navigation import Viewpoint
from renderer.gl.frame_drawer import Mode, Picture, fitted
from renderer.rays import RayDistribution
from renderer.view import Frame, View
from renderer.weights import RAY_MAPS
from training.config import HEADS

STILL_PIXELS, MOVING_PIXELS = 400_000, 60_000
"""Most pixels of a frame when the view is still, and while it changes if frames come slowly."""
SLOW = 0.06
"""Seconds that a frame may take before a moving view is drawn coarser."""
SETTLE = 0.25
"""Seconds without a change after which the view is drawn in full."""
CLICK_SLACK = 4
"""Pixels that the mouse may move between press and release of a click."""
TEXTURE_STEP = 64
TURN = 0.008
"""Radians per pixel of an orbit drag."""
DISTORTION, RAY_MODE = "Distortion (STDF)", "Rays (DDR)"
MODES = {
    "Colour": Mode.COLOR,
    "Depth": Mode.DEPTH,
    "Opacity": Mode.OPACITY,
    DISTORTION: Mode.OVERLAY,
    RAY_MODE: Mode.OVERLAY,
}
PLAIN_MODES = [name for name in MODES if name != DISTORTION]
"""Those that every scene has."""


class Viewport:
    """Owns the picture and the navigation. ``send``: to the engine. ``gl``: draws frames."""

    def __init__(self, send: Callable[[p.Command], None], gl: GlThread) -> None:
        self._send, self._gl = send, gl
        self.viewpoint: Viewpoint | None = None
        self.time = 0.0
        self.frame: Frame | None = None
        self.marked: RayDistribution | None = None
        self._opened: p.Opened | None = None
        self._mode_name = "Colour"
        self._size = (640, 480)
        self._shape = (0, 0)
        self._shown: tuple[int, int, int, int] = (0, 0, 1, 1)
        self._asked: View | None = None
        self._asked_at, self._latency = 0.0, 0.0
        self._changed_at, self._coarse = 0.0, False
        self._press: tuple[int, tuple[float, float], tuple[float, float], bool] | None = None
        self._texture: int | str = 0
        self._depth_range, self._overlay_range = (0.0, 1.0), (0.0, 1.0)
        self._shot = -1
        self._published, self._drawn_here = False, False

    # ------------------------------------------------------------------------------------------ widgets

    def build(self) -> None:
        """The mode row and the picture, in the current container."""
        # a row that is too long is cut off rather than push the panels beside the picture out of the window
        with dpg.child_window(tag="mode_row", height=28, border=False, no_scrollbar=True, no_scroll_with_mouse=True):
            dpg.bind_item_theme("mode_row", _without_padding())
            with dpg.group(horizontal=True):
                dpg.add_radio_button(
                    PLAIN_MODES, default_value="Colour", horizontal=True, tag="mode", callback=self._change_mode
                )
                with dpg.tooltip("mode"):
                    dpg.add_text(
                        "What is shown (keys 1 to 5). Distortion: where the views that a generator made disagree\n"
                        "with the scene, at one of its virtual cameras. Rays: how the weights spread along each\n"
                        "pixel's ray, which shows geometry that is wrong although the depth looks right"
                    )
                with dpg.group(horizontal=True, tag="distortion_row", show=False):
                    dpg.add_combo(list(HEADS), default_value=HEADS[0], width=96, tag="head", callback=self._ask_anew)
                    dpg.add_slider_int(label="s", width=96, tag="pose", callback=self._ask_anew)
                    with dpg.tooltip("pose"):
                        dpg.add_text("Virtual camera of the generated views")
                dpg.add_combo(
                    list(RAY_MAPS), default_value=RAY_MAPS[0], width=130, tag="ray_map", show=False,
                    callback=self._ask_anew,
                )  # fmt: skip
                dpg.add_spacer(width=12)
                with dpg.group(horizontal=True, tag="color_bar", show=False):
                    dpg.add_text("", tag="range_low", color=theme.MUTED)
                    with dpg.texture_registry():
                        bar = np.ones((12, 256, 4), np.float32)
                        bar[..., :3] = COLOR_MAP
                        dpg.add_static_texture(256, 12, bar.ravel(), tag="bar_texture")  # type: ignore[arg-type]
                    with dpg.group():
                        dpg.add_spacer(height=1)
                        dpg.add_image("bar_texture", width=110, height=14)
                    dpg.add_text("", tag="range_high", color=theme.MUTED)
                dpg.add_text("", tag="latency", color=theme.MUTED)
        with dpg.child_window(tag="viewport", no_scrollbar=True, no_scroll_with_mouse=True, border=False):
            self._make_texture(1024, 768)
            dpg.add_image(self._texture, tag="picture", width=640, height=480)
        dpg.bind_item_theme("viewport", _without_padding())
        with dpg.item_handler_registry(tag="picture_handlers"):
            for button in (0, 1, 2):
                dpg.add_item_clicked_handler(button, callback=self._pressed, user_data=button)
        dpg.bind_item_handler_registry("picture", "picture_handlers")
        with dpg.handler_registry():
            dpg.add_mouse_wheel_handler(callback=self._wheel)

    def resize(self, width: int, height: int) -> None:
        """The picture's place in the window, pixels."""
        width, height = max(64, width), max(64, height)
        if (width, height) == self._size:
            return
        self._size = (width, height)
        dpg.configure_item("viewport", width=width, height=height)
        dpg.configure_item("mode_row", width=width)
        dpg.configure_item("picture", width=width, height=height)
        if width > self._shape[0] or height > self._shape[1]:
            self._make_texture(max(width, self._shape[0]), max(height, self._shape[1]))
            dpg.configure_item("picture", texture_tag=self._texture)
        self._redraw()
        self._touch()

    def _make_texture(self, width: int, height: int) -> None:
        """Only ever larger: Dear PyGui does not give the memory of a deleted one back."""
        self._shape = (-(-width // TEXTURE_STEP) * TEXTURE_STEP, -(-height // TEXTURE_STEP) * TEXTURE_STEP)
        self._pixels = np.zeros((self._shape[1], self._shape[0], 4), np.float32)
        with dpg.texture_registry():
            self._texture = dpg.add_raw_texture(
                *self._shape,
                self._pixels,
                format=dpg.mvFormat_Float_rgba,  # type: ignore[arg-type]
            )

    # ------------------------------------------------------------------------------------ what happened

    def opened(self, event: p.Opened) -> None:
        """A scene is there: look at it from its home camera."""
        self._opened = event
        if event.has_distortion:
            dpg.configure_item("mode", items=list(MODES))
            dpg.configure_item("pose", min_value=0, max_value=len(event.virtual_cameras) - 1, clamped=True)
            dpg.set_value("pose", len(event.virtual_cameras) // 2)
        self.go_home()

    def drawn(self, frame: Frame) -> None:
        """A frame came from the engine."""
        if self._asked is not None and frame.view == self._asked and self._asked_at:
            self._latency, self._asked_at = time.monotonic() - self._asked_at, 0.0
            dpg.set_value(
                "latency", f"{frame.view.camera.width} x {frame.view.camera.height}   {1e3 * self._latency:.0f} ms"
            )
        self.frame = frame
        depth = frame.expected_depth()[frame.opacity > 0.5]
        if depth.size > 16:
            low, high = np.percentile(depth[:: max(1, depth.size // 4000)], (2, 98))
            self._depth_range = (float(low), float(max(high, low + 1e-6)))
        if frame.overlay is not None:
            known = frame.overlay[np.isfinite(frame.overlay)]
            self._overlay_range = (0.0, max(float(np.percentile(known, 99.5)), 1e-6) if known.size else 1.0)
        self._label_range()
        self._redraw()

    def published(self) -> None:
        """The scene itself was handed to OpenGL, which draws views of it from now on."""
        if not self._published:
            self._published, self._asked = True, None
            self._ask(still=True)

    def picked(self, ray: RayDistribution) -> None:
        """A ray came from the engine: mark its pixel."""
        self.marked = ray
        self._redraw()

    def show(self, drawing: Drawing) -> None:
        """Pixels came from OpenGL: put them on the screen."""
        h, w = drawing.rgba.shape[:2]
        if w > self._shape[0] or h > self._shape[1] or (w, h) != self._size:
            return  # drawn for a size that the panel no longer has
        self._pixels[:h, :w] = drawing.rgba
        dpg.configure_item("picture", uv_min=(0, 0), uv_max=(w / self._shape[0], h / self._shape[1]))
        camera = drawing.picture.frame.view.camera
        self._shown = fitted(camera.width, camera.height, w, h)

    # ---------------------------------------------------------------------------------------- the mouse

    def tick(self, seconds: float, typing: bool) -> None:
        """Once per frame of the window: drags, flying, and the full picture once the view rests."""
        self._drag()
        if not typing:
            self._fly(seconds)
        if self._coarse and time.monotonic() - self._changed_at > SETTLE:
            self._ask(still=True)

    def pixel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """The pixel of the shown frame at a place in the window, if there is one."""
        if self.frame is None:
            return None
        x0, y0 = dpg.get_item_rect_min("picture")
        left, top, w, h = self._shown
        camera = self.frame.view.camera
        column = math.floor((x - x0 - left) / w * camera.width)
        row = math.floor((y - y0 - top) / h * camera.height)
        return (column, row) if 0 <= column < camera.width and 0 <= row < camera.height else None

    def _pressed(self, sender: int, data: object, button: int) -> None:
        place = tuple(dpg.get_mouse_pos(local=False))
        self._press = (button, place, place, False)  # type: ignore[assignment]

    def _drag(self) -> None:
        if self._press is None or self.viewpoint is None:
            return
        button, start, last, moving = self._press
        x, y = dpg.get_mouse_pos(local=False)
        if not dpg.is_mouse_button_down(button):
            self._press = None
            if button == 0 and not moving and math.dist((x, y), start) <= CLICK_SLACK:
                self._pick(*start)
            return
        moving = moving or math.dist((x, y), start) > CLICK_SLACK
        if moving and (x, y) != last:
            dx, dy = x - last[0], y - last[1]
            scale = self.viewpoint.camera.height / max(1, self._shown[3])
            if button == 0:
                self._move(self.viewpoint.orbited(TURN * dx, TURN * dy))
            else:
                self._move(self.viewpoint.panned(dx * scale, dy * scale))
            last = (x, y)
        self._press = (button, start, last, moving)

    def _pick(self, x: float, y: float) -> None:
        pixel = self.pixel_at(x, y)
        if pixel is not None and self.frame is not None:
            self._send(p.Pick(self.frame.view, pixel))

    def _wheel(self, sender: int, amount: float) -> None:
        if self.viewpoint is not None and dpg.is_item_hovered("picture"):
            self._move(self.viewpoint.dollied(0.9**amount))

    def _fly(self, seconds: float) -> None:
        if self.viewpoint is None or dpg.is_key_down(dpg.mvKey_LControl):
            return
        held = [
            dpg.is_key_down(key)
            for key in (dpg.mvKey_D, dpg.mvKey_A, dpg.mvKey_E, dpg.mvKey_Q, dpg.mvKey_W, dpg.mvKey_S)
        ]
        if any(held):
            speed = 0.5 * self.viewpoint.distance * min(seconds, 0.1) * (4 if dpg.is_key_down(dpg.mvKey_LShift) else 1)
            right, up, forward = ((held[k] - held[k + 1]) * speed for k in (0, 2, 4))
            self._move(self.viewpoint.flown(right, up, forward))

    # ------------------------------------------------------------------------------------ moving about

    def go_home(self) -> None:
        """To the camera that the scene opened with."""
        if self._opened is not None:
            o = self._opened
            up = np.array(o.up, float)
            self._move(Viewpoint(o.home, np.array(o.center, float), up / np.linalg.norm(up)))

    def focus(self) -> None:
        """Turn around the picked point from now on."""
        if self.viewpoint is not None and self.marked is not None and self.marked.opacity > 0:
            self._move(self.viewpoint.focused(self.marked.world_point()))

    def step_camera(self, by: int) -> str:
        """To the next or previous training camera; its name."""
        if self._opened is None or self.viewpoint is None:
            return ""
        shots = [s for s in self._opened.shots if s.split == "train"]
        names = list(dict.fromkeys(s.camera_name for s in shots))
        if len(names) > 1:  # the cameras of a rig, at the present time
            self._shot = (self._shot + by) % len(names) if self._shot >= 0 else (0 if by > 0 else len(names) - 1)
            shot = next(s for s in shots if s.camera_name == names[self._shot])
        else:  # the way of a single camera
            self._shot = (self._shot + by) % len(shots) if self._shot >= 0 else 0
            shot = shots[self._shot]
            self.time = shot.time
        self._move(self.viewpoint.placed(shot.camera))
        return f"{shot.camera_name}, frame {shot.frame}"

    def set_time(self, value: float) -> None:
        """Show another moment of the clip, in [0, 1]."""
        self.time = min(max(value, 0.0), 1.0)
        self._touch()

    def set_mode(self, name: str) -> None:
        """Show colour, depth, opacity, how rays' weights spread, or the distortion where the scene has one."""
        if name == DISTORTION and not (self._opened and self._opened.has_distortion):
            return
        dpg.set_value("mode", name)
        self._change_mode(0, name)

    def _change_mode(self, sender: int | str, name: str) -> None:
        self._mode_name = name
        dpg.configure_item("distortion_row", show=name == DISTORTION)
        dpg.configure_item("ray_map", show=name == RAY_MODE)
        self._label_range()
        self._redraw()
        self._ask(still=True)

    def _ask_anew(self) -> None:
        self._ask(still=True)

    @property
    def _mode(self) -> Mode:
        return MODES[self._mode_name]

    def _range(self) -> tuple[float, float]:
        """Values at the two ends of the colour map."""
        return {Mode.DEPTH: self._depth_range, Mode.OVERLAY: self._overlay_range}.get(self._mode, (0.0, 1.0))

    def _label_range(self) -> None:
        low, high = self._range()
        unit = " scene units" if self._mode == Mode.DEPTH else ""
        if self._mode == Mode.OVERLAY and self.frame is not None:
            nothing = self.frame.overlay is None
            waiting = " (no distortion field yet)" if self._mode_name == DISTORTION else ""
            unit = waiting if nothing else " " + self.frame.overlay_unit
        dpg.configure_item("color_bar", show=self._mode != Mode.COLOR)
        dpg.set_value("range_low", f"{low:.3g}")
        dpg.set_value("range_high", f"{high:.3g}{unit}")

    def _move(self, viewpoint: Viewpoint) -> None:
        self.viewpoint = viewpoint
        self._touch()

    def _touch(self) -> None:
        """The view has changed: ask for it, coarse when frames come slowly."""
        self._changed_at = time.monotonic()
        self._ask(still=False)

    def _ask(self, still: bool) -> None:
        if self.viewpoint is None:
            return
        _, _, w, h = fitted(self.viewpoint.camera.width, self.viewpoint.camera.height, *self._size)
        limit = STILL_PIXELS if still or self._latency < SLOW else MOVING_PIXELS
        shrink = min(1.0, math.sqrt(limit / (w * h)))
        self._coarse = not still and limit < STILL_PIXELS
        camera = self.viewpoint.camera.resized(max(8, round(w * shrink)), max(8, round(h * shrink)))
        view = View(camera, self.time)
        if self._mode_name == DISTORTION:
            view = View(camera, self.time, f"distortion/{dpg.get_value('head')}", dpg.get_value("pose"))
        if self._mode_name == RAY_MODE:
            view = View(camera, self.time, f"rays/{dpg.get_value('ray_map')}")
        if view == self._asked:
            return
        self._asked, self._asked_at = view, time.monotonic()
        here = self._published and not view.overlay
        if here:
            self._gl.look(view)
        if not here or not self._drawn_here:
            self._send(p.Draw(None if here else view))
        self._drawn_here = here

    def _redraw(self) -> None:
        """Ask OpenGL for the present frame at the present size."""
        if self.frame is not None:
            self._gl.show(Picture(self.frame, self._mode, *self._size, self._range(), self._mark()))

    def _mark(self) -> tuple[float, float] | None:
        """Where the picked point is in the shown frame: the pixel itself, or its point in space once the view moved."""
        if self.marked is None or self.frame is None:
            return None
        view, ray = self.frame.view, self.marked
        if view == ray.view or not ray.opacity > 0:
            camera = ray.view.camera
            return ((ray.pixel[0] + 0.5) / camera.width, (ray.pixel[1] + 0.5) / camera.height)
        uv, z = view.camera.project(ray.world_point()[None])
        inside = z[0] > 0 and 0 <= uv[0, 0] < view.camera.width and 0 <= uv[0, 1] < view.camera.height
        return (float(uv[0, 0] / view.camera.width), float(uv[0, 1] / view.camera.height)) if inside else None


def _without_padding() -> int | str:
    """A theme for containers that fill their place."""
    with dpg.theme() as flush, dpg.theme_component(dpg.mvChildWindow):
        dpg.add_theme_style(dpg.mvStyleVar_WindowPadding, 0, 0)
    return flush
