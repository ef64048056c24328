"""The window: lays the panels out, passes events to them, and runs the main loop, the only place that touches
Dear PyGui after start-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.engine import Engine
from app.gui import theme
from app.gui.control import Control
from app.gui.export_panel import ExportPanel
from app.gui.gl_thread import GlThread, Scene, Splatting
from app.gui.ray_panel import RayPanel
from app.gui.timeline import Timeline
from app.gui.training_panel import TrainingPanel
from app.gui.viewport import MODES, Viewport
from renderer.gl.context import best_context
from renderer.view import View

SIDE = 400
"""Width of the column of panels, pixels."""
MARGIN, ROW, STATUS = 10, 34, 30
FRAME_SECONDS = 1 / 60
SHARE_IDLE, SHARE_BUSY = 0.2, 0.6
"""Share of the time that drawing the window may take: untouched, and while the mouse or a key is in use. It matters
where a processor has to draw and to train; with a graphics card a frame costs next to nothing."""
LINGER = 0.5
"""Seconds after a touch for which the window still counts as in use."""
EVENTS_PER_FRAME = 100
CLOSE_SECONDS = 120.0
HELP = (
    ("Left drag", "orbit"),
    ("Right or middle drag", "pan"),
    ("Wheel", "nearer, farther"),
    ("W A S D, Q, E", "fly, down, up; Shift for fast"),
    ("Click", "the weights along a pixel's ray"),
    ("F", "turn around the picked point"),
    ("H", "home"),
    ("[  ]", "previous, next training camera"),
    ("1 to 5", "colour, depth, opacity, distortion, rays"),
    ("Space", "play, pause time"),
    ("Left, Right", "previous, next frame"),
    ("T", "start, pause training"),
    ("Ctrl+S", "write a checkpoint"),
    ("F1", "this help"),
)


class Window:
    """Shows an engine. ``train``: begin training as soon as the scene is open. ``control``: socket for tests.
    ``splatting``: who draws Gaussians (:class:`app.gui.gl_thread.GlThread`)."""

    def __init__(
        self, engine: Engine, train: bool = False, control: str | None = None, splatting: Splatting = "auto"
    ) -> None:
        self._engine, self._train, self._control_path = engine, train, control
        self._gl = GlThread(best_context(), theme.BACKDROP, splatting)
        self._viewport = Viewport(engine.send, self._gl)
        self._timeline = Timeline(self._viewport.set_time)
        self._training = TrainingPanel(engine.send)
        self._ray = RayPanel()
        self._export = ExportPanel(engine.send, self._present)
        self._publishing = False
        self._said: list[str] = []
        self._events: dict[str, int] = {}

    def _present(self) -> View | None:
        return None if self._viewport.frame is None else self._viewport.frame.view

    def run(self) -> None:
        """Open, loop until closed, then save and end every thread."""
        dpg.create_context()
        dpg.configure_app(manual_callback_management=True)
        dpg.create_viewport(
            title="dynview", width=1360, height=860, x_pos=20, y_pos=20, min_width=900, min_height=600, vsync=True
        )
        dpg.setup_dearpygui()
        theme.apply()
        self._build()
        control = Control(self._control_path, self._state) if self._control_path else None
        self._gl.start()
        self._engine.start()
        dpg.show_viewport()
        try:
            self._loop(control)
        finally:
            saved = self._engine.close(CLOSE_SECONDS)
            self._gl.stop()
            dpg.destroy_context()
        if not saved:
            raise RuntimeError("the engine did not end in time")

    def _loop(self, control: Control | None) -> None:
        last, touched, pointer = time.monotonic(), time.monotonic(), [0.0, 0.0]
        while dpg.is_dearpygui_running():
            now = time.monotonic()
            seconds, last = now - last, now
            for event in self._engine.drain(EVENTS_PER_FRAME):
                self._handle(event)
            if self._gl.splats and not self._publishing:
                self._publishing = True
                self._engine.send(p.Publish())
            frame = self._gl.take_frame()
            if frame is not None:
                self._viewport.drawn(frame)
            drawing = self._gl.take()
            if drawing is not None:
                self._viewport.show(drawing)
            for job in dpg.get_callback_queue() or ():
                self._call(job)
            self._layout()
            self._timeline.tick(seconds)
            self._ray.set_time(self._timeline.time)
            self._viewport.tick(seconds, self._export.typing())
            drawing_began = time.monotonic()
            dpg.render_dearpygui_frame()
            cost = time.monotonic() - drawing_began
            if control is not None:
                control.serve()
            place = dpg.get_mouse_pos(local=False)
            if place != pointer or self._timeline.playing or not self._training.running:
                touched, pointer = time.monotonic(), place
            share = SHARE_BUSY if time.monotonic() - touched < LINGER else SHARE_IDLE
            time.sleep(min(0.25, max(0.0, FRAME_SECONDS - (time.monotonic() - now), cost / share - cost)))

    def _call(self, job: Any) -> None:
        """One callback; an error in it becomes a sentence, not the end of the window."""
        try:
            dpg.run_callbacks([job])
        except Exception as problem:
            self._complain(f"This did not work: {problem}")

    # ------------------------------------------------------------------------------------------- layout

    def _build(self) -> None:
        with dpg.window(tag="main", no_scrollbar=True):
            with dpg.group(horizontal=True):
                with dpg.group(tag="left"):
                    self._viewport.build()
                    self._timeline.build()
                with dpg.child_window(tag="side", width=SIDE, border=False):
                    for title, panel in (("Training", self._training), ("Ray", self._ray), ("Export", self._export)):
                        with dpg.collapsing_header(label=title, default_open=True):
                            panel.build()  # type: ignore[attr-defined]
                            dpg.add_spacer(height=4)
            with dpg.group(horizontal=True, tag="status_row"):
                dpg.add_text("Opening ...", tag="status", color=theme.MUTED)
                dpg.add_text("", tag="complaint", color=theme.RED)
        dpg.set_primary_window("main", True)
        dpg.add_window(
            label="Keys and mouse", tag="help", modal=True, show=False, no_resize=True, width=460, pos=(420, 140)
        )
        with dpg.table(header_row=False, parent="help"):
            dpg.add_table_column(width_fixed=True, init_width_or_weight=180)
            dpg.add_table_column()
            for keys, meaning in HELP:
                with dpg.table_row():
                    dpg.add_text(keys, color=theme.ACCENT_HOVER)
                    dpg.add_text(meaning)
        with dpg.handler_registry():
            for key, action in self._keys().items():
                dpg.add_key_press_handler(key, callback=lambda s, d, act: self._key(act), user_data=action)

    def _layout(self) -> None:
        """Fit the panels to the window."""
        width, height = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        left, inner = width - SIDE - 3 * MARGIN, height - 2 * MARGIN - STATUS
        if left < 100 or inner < 200:
            return
        self._viewport.resize(left, inner - 2 * ROW - 14)
        self._timeline.resize(left)
        dpg.configure_item("side", height=inner - 4)

    def _keys(self) -> dict[int, Callable[[], object]]:
        v, t, names = self._viewport, self._timeline, list(MODES)
        return {
            dpg.mvKey_Spacebar: t.toggle,
            dpg.mvKey_Left: lambda: t.step(-1),
            dpg.mvKey_Right: lambda: t.step(1),
            dpg.mvKey_H: v.go_home,
            dpg.mvKey_F: v.focus,
            dpg.mvKey_T: self._training.toggle,
            dpg.mvKey_1: lambda: v.set_mode(names[0]),
            dpg.mvKey_2: lambda: v.set_mode(names[1]),
            dpg.mvKey_3: lambda: v.set_mode(names[2]),
            dpg.mvKey_4: lambda: v.set_mode(names[3]),
            dpg.mvKey_5: lambda: v.set_mode(names[4]),
            dpg.mvKey_Open_Brace: lambda: self._snap(-1),
            dpg.mvKey_Close_Brace: lambda: self._snap(1),
            dpg.mvKey_F1: lambda: dpg.configure_item("help", show=not dpg.is_item_shown("help")),
            dpg.mvKey_S: self._save_with_control,
        }

    def _key(self, action: Callable[[], object]) -> None:
        if not self._export.typing():
            action()

    def _save_with_control(self) -> None:
        if dpg.is_key_down(dpg.mvKey_LControl) or dpg.is_key_down(dpg.mvKey_RControl):
            self._engine.send(p.Save())

    def _snap(self, by: int) -> None:
        name = self._viewport.step_camera(by)
        if name:
            self._timeline.time = self._viewport.time
            dpg.set_value("time", self._viewport.time)
            self._say(f"At {name}")

    # ------------------------------------------------------------------------------------------- events

    def _handle(self, event: p.Event) -> None:
        name = type(event).__name__
        self._events[name] = self._events.get(name, 0) + 1
        self._training.handle(event)
        sentence = self._export.handle(event)
        if sentence:
            self._say(sentence)
        match event:
            case p.Opened():
                self._viewport.opened(event)
                self._timeline.opened(event)
                self._export.opened(event)
                dpg.set_viewport_title(f"{event.name} - dynview")
                train = sum(s.split == "train" for s in event.shots)
                self._say(
                    f"{event.name}: {train} pictures to learn from, {len(event.shots) - train} held out    F1 for keys"
                )
                if self._train and event.step < event.steps:
                    self._engine.send(p.Train())
            case p.Drawn():
                self._viewport.drawn(event.frame)
            case p.Published():
                self._gl.publish(Scene(event.scene, event.step))
                self._viewport.published()
            case p.Picked():
                self._picked(event)
            case p.PickedThroughTime():
                self._ray.show_through_time(event.history)
            case p.Status():
                self._say(event.text)
            case p.Saved():
                self._say(f"Saved step {event.step:,} in {event.path}")
            case p.Evaluated():
                which = "held-out" if event.split == "test" else "input"
                self._say(f"Step {event.step:,}: {event.psnr:.2f} dB, SSIM {event.ssim:.3f} on {which} pictures")
            case p.Paused():
                self._say(f"Paused at step {event.step:,}")
            case p.Finished():
                self._say(f"Training finished at step {event.step:,}")
            case p.Warned():
                self._complain(event.message)
            case p.Failed():
                self._complain(event.message)
        if self._gl.failure:
            self._complain(self._gl.failure)
            self._gl.failure = None

    def _picked(self, event: p.Picked) -> None:
        frame, (x, y) = self._viewport.frame, event.ray.pixel
        color = frame.color[y, x] if frame is not None and frame.view == event.ray.view else None
        self._viewport.picked(event.ray)
        self._ray.show(event.ray, color, event.step, event.samples)

    def _say(self, text: str) -> None:
        dpg.set_value("status", text)
        dpg.set_value("complaint", "")

    def _complain(self, text: str) -> None:
        self._said.append(text)
        dpg.set_value("status", "")
        dpg.set_value("complaint", text)

    def _state(self) -> dict[str, Any]:
        """What tests ask."""
        frame, ray = self._viewport.frame, self._ray.ray
        state: dict[str, Any] = {
            "step": self._training.step,
            "running": self._training.running,
            "time": self._timeline.time,
            "playing": self._timeline.playing,
            "exporting": self._export.running,
            "events": self._events,
            "complaints": self._said,
            "settled": frame is not None and frame.view == self._viewport._asked and not self._viewport._coarse,
        }
        if frame is not None:
            state["frame"] = {
                "time": frame.view.time,
                "version": frame.version,
                "size": [frame.view.camera.width, frame.view.camera.height],
                "eye": frame.view.camera.center.tolist(),
                "asked": [frame.view.overlay, frame.view.pose],
                "overlay": None if frame.overlay is None else float(np.nanmean(frame.overlay)),
            }
        if ray is not None:
            state["ray"] = {
                "pixel": ray.pixel,
                "composite": ray.composite.tolist(),
                "weights": int((ray.weights > 0).sum()),
                "target": ray.target_depth,
            }
        return state
