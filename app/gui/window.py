"""The window: lays the panels out, passes events to them, opens and closes scenes, and runs the main loop, the only
place that touches Dear PyGui after start-up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.engine import Engine
from app.gui.closing import Closing
from app.gui.control import Control
from app.gui.desk import Desk, Source
from app.gui.distortion.panel import DistortionPanel
from app.gui.export.panel import ExportPanel
from app.gui.gl_thread import GlThread, Scene, Splatting
from app.gui.help_sheet import HelpSheet
from app.gui.key_names import chord_of
from app.gui.layout import Layout
from app.gui.log_panel import LogPanel
from app.gui.menus import build_menus, fill_recent
from app.gui.native import Native
from app.gui.pace import Pace
from app.gui.panel import Panel
from app.gui.path.panel import PathPanel
from app.gui.picture.viewport import Viewport
from app.gui.preferences import Preferences
from app.gui.rays.panel import RayPanel
from app.gui.start.panel import StartPanel
from app.gui.status import Status
from app.gui.theme import Skin
from app.gui.timeline.panel import Timeline
from app.gui.tour import tour
from app.gui.training.panel import TrainingPanel
from app.settings import Settings, load_settings, save_settings, with_recent
from renderer.errors import InputError
from renderer.gl.context import best_context

EVENTS_PER_FRAME = 100
HEARD_OF = 0.5
"""Seconds for which a key that went down is taken to be down."""
WHILE_TYPING = ("Ctrl+S", *(f"F{k}" for k in range(1, 13)))
"""Chords that are no part of a text."""


@dataclass(frozen=True)
class Options:
    """``control``: socket for tests. ``splatting``: who draws Gaussians (:class:`app.gui.gl_thread.GlThread`).
    ``size``: of the window, pixels; None as it was last. ``screenshots``: folder to fill with pictures of everything,
    and end. ``device``: where scenes are learned: auto, cpu or cuda."""

    control: str | None = None
    splatting: Splatting = "auto"
    size: tuple[int, int] | None = None
    screenshots: Path | None = None
    device: str = "auto"


class Window:
    """Shows ``source``, or the start panel where it is None."""

    def __init__(self, source: Source | None, options: Options) -> None:
        on_tour = options.screenshots is not None
        settings, complaints = (Settings(), ()) if on_tour else load_settings()
        self._options, self._native = options, Native()
        self.desk = Desk(Skin(settings.theme), settings, (lambda _: None) if on_tour else save_settings)
        self._tour = tour(self, options.screenshots) if options.screenshots is not None else None
        for complaint in complaints:
            self.desk.warn(complaint)
        self._gl = GlThread(best_context(), options.splatting, self._native.post_empty_event)
        desk = self.desk
        desk.open_scene, desk.close_scene, desk.run_action = self.open_scene, self.close_scene, self.run_action
        self.viewport, self.timeline, self.start = (
            Viewport(desk, self._gl, self._native),
            Timeline(desk),
            StartPanel(desk),
        )
        self.tabs: Sequence[Panel] = (
            TrainingPanel(desk), RayPanel(desk), DistortionPanel(desk), PathPanel(desk), ExportPanel(desk),
            LogPanel(desk),
        )  # fmt: skip
        self._status, self._help, self._closing = Status(desk), HelpSheet(desk), Closing(desk, self._end)
        desk.leave_for = self._closing.ask_to_open
        self._preferences = Preferences(desk)
        self._layout = Layout(desk, self.viewport, self.timeline)
        self._panels: Sequence[Panel] = (
            self.viewport, self.timeline, self.start, *self.tabs, self._status, self._help, self._preferences,
            self._closing,
        )  # fmt: skip
        self._engine: Engine | None = None
        self._source: Source | None = None
        self._next = source
        self._publishing, self._ending = False, False
        self._events: dict[str, int] = {}
        self._actions: dict[str, Callable[[], object]] = {}
        self._pace, self._pointer = Pace(self._native), [0.0, 0.0]
        self._fresh: list[tuple[int, bool]] = []  # keys that went down since the last frame, and whether they were down
        self._lifted: list[int] = []
        self._held: dict[int, float] = {}  # keys that are down, and when they were last said to be
        self._typing = False  # before the last frame, which may have ended it

    # --------------------------------------------------------------------------------------- life

    def run(self) -> None:
        """Show the window until it is closed, then save and end every thread."""
        dpg.create_context()
        try:
            dpg.configure_app(manual_callback_management=True)
            self._layout.create_viewport(self._options.size)
            dpg.setup_dearpygui()
            dpg.show_viewport()
            self._layout.shown(self._native)
            self._build()
            control = self._control()
            self._gl.start()
            self._native.on_drop(self.start.dropped)
            self._loop(control)
        finally:
            self._finish()

    def _finish(self) -> None:
        if self._engine is not None:
            self._engine.close(120.0)
        self._layout.remember()
        self.start.close()
        self.desk.worker.close(30.0)
        self.desk.dialogs.close()
        self._gl.stop()
        dpg.destroy_context()

    def _build(self) -> None:
        self.desk.skin.apply()
        with dpg.window(tag="main", no_scrollbar=True, no_scroll_with_mouse=True, no_background=True):
            build_menus(self.desk)
            self._layout.build(self.tabs, self.start, self._status)
        dpg.set_primary_window("main", True)
        self._help.build()
        self._preferences.build()
        self.start.build_card()
        self._closing.build()
        self.desk.skin.switch(self.desk.settings.theme)
        self._actions = {**self._own_actions()}
        for panel in self._panels:
            self._actions |= panel.actions()
        with dpg.handler_registry():
            dpg.add_key_press_handler(callback=self._pressed)
            dpg.add_key_release_handler(callback=lambda s, number: self._lifted.append(number))
        dpg.set_exit_callback(lambda: self._closing.ask())

    def _control(self) -> Control | None:
        path = self._options.control
        return Control(path, self) if path else None

    # ------------------------------------------------------------------------------------ the main loop

    def _loop(self, control: Control | None) -> None:
        while dpg.is_dearpygui_running() and not (self._ending and self._engine is None):
            began = time.monotonic()
            self._turn(began)
            turned = time.monotonic()
            if self._native.iconified():
                self._native.wait_events(0.05)
            else:
                dpg.render_dearpygui_frame()
            drawn = time.monotonic()
            if control is not None:
                control.serve()
            if self._in_use():
                self._pace.touch()
            self._go_on_touring()
            self._pace.rest(began, turned - began, drawn - turned, self._status.running)

    def _go_on_touring(self) -> None:
        """A step of the script that makes pictures; after its last one the window closes."""
        if self._tour is None:
            return
        try:
            next(self._tour)
        except StopIteration:
            self._tour = None
            self._end()

    def _in_use(self) -> bool:
        """Whether the mouse moves, or something moves by itself."""
        place = dpg.get_mouse_pos(local=False)
        moved, self._pointer = place != self._pointer, place
        return moved or self.timeline.playing or bool(self.desk.stage.flown_by)

    def _turn(self, now: float) -> None:
        """Everything that happens between two frames."""
        self._change_scene()
        if self._engine is not None:
            for event in self._engine.drain(EVENTS_PER_FRAME):
                self._handle(event)
        self._take_drawings()
        for job in dpg.get_callback_queue() or ():
            self._guard(lambda j=job: dpg.run_callbacks([j]))  # type: ignore[misc]
        self._guard(self._act_on_keys)
        self._typing = self._layout.typing()
        self._guard(self.desk.worker.poll)
        self._guard(self.desk.dialogs.poll)
        self._layout.tick(self.desk.stage.opened is not None or bool(self.desk.opening))
        for panel in self._panels:
            self._guard(lambda panel=panel: panel.tick(now))  # type: ignore[misc]

    def _take_drawings(self) -> None:
        if self._gl.splats and not self._publishing and self.desk.stage.opened is not None:
            self._publishing = True
            self.desk.send(p.Publish())
        for side, (look, frame) in self._gl.take_frames().items():
            self.viewport.drawn(side, look, frame)
        drawing = self._gl.take()
        if drawing is not None:
            self.viewport.show(drawing)
        if self._gl.failure:
            self.desk.complain(self._gl.failure)
            self._gl.failure = None
        if self._gl.notice:
            self.desk.warn(self._gl.notice)
            self._gl.notice = None

    def _guard(self, job: Callable[[], object]) -> None:
        """What goes wrong in a callback becomes a sentence, not the end of the window."""
        try:
            job()
        except InputError as problem:
            self.desk.complain(str(problem))
        except Exception as problem:
            self._status.failed(problem)

    # --------------------------------------------------------------------------------------- scenes

    def open_scene(self, source: Source) -> None:
        """Save and close the scene that is open, and open this one."""
        self._next = source
        if self._engine is not None:
            self._engine.end()

    def close_scene(self) -> None:
        """Save and close the scene; the start panel follows."""
        self._next = None
        if self._engine is not None:
            self._engine.end()

    def end_soon(self) -> None:
        """Save and close without a question; a signal may call it."""
        self._end()

    def _end(self) -> None:
        """Close the scene, then the window."""
        self._ending, self._next = True, None
        self.close_scene()

    def _change_scene(self) -> None:
        """Take leave of an engine that has ended, and start the one that is wanted."""
        if self._engine is not None and not self._engine.alive:
            for event in self._engine.drain(10_000):
                self._handle(event)
            self._engine, self._source, self._publishing = None, None, False
            self.desk.send = lambda command: None
            self.desk.stage.close()
            self.desk.busy.clear()
            self._gl.publish(Scene(None))
            dpg.set_viewport_title("dynview")
            for panel in self._panels:
                self._guard(panel.closed)
        if self._engine is None and self._next is not None and not self._ending:
            self._source, self._next = self._next, None
            source, device = self._source, self._options.device
            self._engine = Engine(source.name, source.config, source.out, polite=True, device=device)
            self.desk.send = self._engine.send
            self._engine.start()
        waited_for = self._next or (self._source if self.desk.stage.opened is None else None)
        self.desk.opening = waited_for.name if waited_for else ""

    def _handle(self, event: p.Event) -> None:
        name = type(event).__name__
        self._events[name] = self._events.get(name, 0) + 1
        match event:
            case p.Opened():
                self.desk.stage.open(event)
                kept = event.run if event.step and event.has_clip else event.source
                recent = with_recent(self.desk.settings, kept)
                self.desk.remember(recent=recent.recent)
                fill_recent(self.desk)
                dpg.set_viewport_title(f"{event.name} - dynview")
                if self._source is not None and self._source.train and event.step < event.steps:
                    self.desk.send(p.Train())
            case p.Published():
                self._gl.publish(Scene(event.scene, event.step))
            case p.Finished() | p.ExportProgress(finished=True) if self._native.focused() is False:
                self._native.ask_for_attention()  # who waits for it looks elsewhere
        for panel in self._panels:
            self._guard(lambda panel=panel: panel.handle(event))  # type: ignore[misc]

    # -------------------------------------------------------------------------------------- keys

    def run_action(self, name: str) -> None:
        """What a key does, by the action's name."""
        action = self._actions.get(name)
        if action is not None:
            self._guard(action)

    def _pressed(self, sender: int, number: int) -> None:
        self._pace.touch()
        self._fresh.append((number, number in self._held))
        self._held[number] = time.monotonic()

    def _act_on_keys(self) -> None:
        """What the keys do that went down since the last frame: together, for those of a chord come in any order."""
        fresh, self._fresh = self._fresh, []
        for number, again in fresh:
            chord = chord_of(number, self._down())
            self.desk.typing = self._typing or self._layout.typing()
            if chord is None or any(panel.catches(chord) for panel in self._panels):
                continue
            action = self.desk.keys.action_for(chord)
            if action is None or action.held or (self.desk.typing and chord not in WHILE_TYPING):
                continue
            if action.repeats or not again:
                self.run_action(action.name)
        for number in self._lifted:  # a short press may begin and end between two frames
            self._held.pop(number, None)
        self._lifted.clear()

    def _down(self) -> set[int]:
        """Keys that are down; where nothing was heard of one for a while Dear PyGui is asked, for a release may be lost
        with the focus."""
        now = time.monotonic()
        return {number for number, at in self._held.items() if now - at < HEARD_OF or dpg.is_key_down(number)}

    def _own_actions(self) -> Mapping[str, Callable[[], object]]:
        history = self.desk.history

        def says(what: str, label: str | None) -> None:
            self.desk.say(f"{what}: {label}" if label else f"Nothing to {what.lower()}")

        return {
            "edit.undo": lambda: says("Undo", history.undo()),
            "edit.redo": lambda: says("Redo", history.redo()),
            "file.save": lambda: self.desk.send(p.Save()),
            **self._layout.actions(),
        }

    # -------------------------------------------------------------------------------------- tests

    def show_tab(self, title: str) -> None:
        """Bring a panel to the front."""
        self._layout.show_tab(title)

    def left(self) -> dict[str, Any]:
        """What would be left over if it were not freed: threads by name, and objects of OpenGL by kind."""
        return {"threads": sorted(thread.name for thread in threading.enumerate()), "gl": self._gl.objects()}

    def times(self, forget: bool) -> dict[str, Any]:
        """How long frames took, and from the mouse to the picture, milliseconds; ``forget``: begin anew afterwards."""
        times = {**self._pace.times(), "latency": self.viewport.latencies()}
        if forget:
            self._pace.forget()
            self.viewport.forget_latencies()
        return times

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        state: dict[str, Any] = {
            "open": self.desk.stage.opened is not None,
            "opening": bool(self.desk.opening),
            "events": self._events,
            "complaints": [entry.text for entry in self.desk.log if entry.level != "info"],
            "log": [entry.text for entry in self.desk.log],
            "tab": self._layout.tab,
        }
        for panel in self._panels:
            state |= panel.state()
        return state
