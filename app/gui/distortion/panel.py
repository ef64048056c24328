"""Where generated views disagree with the scene: what SparseCam4D's spatio-temporal distortion field has learned, over
all generated frames, and one row of their pictures over time. It has nothing to do with the distortion of a lens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.exports.distortion import write_matrix, write_time_slice
from app.gui.desk import Desk
from app.gui.distortion.matrix import Cell, MatrixPlot, merged
from app.gui.distortion.slice import SliceSection
from app.gui.distortion.words import ABOUT, hint_of
from app.gui.panel import Panel
from app.gui.widgets.writing import ask_and_write
from app.looks import COLOR, DISTORTION
from training.config import HEADS, Head

EVERY = 20.0
"""Seconds between two measurements that nobody asked for, at least."""
SIDES = {COLOR: "colour", DISTORTION: "distortion"}


class DistortionPanel(Panel):
    """Measures, shows, and jumps to generated frames beside their render."""

    title = "Distortion"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._step, self._on_at = 0, 0
        self._measured: dict[Head, p.DistortionMeasured] = {}
        self._waits: Head | None = None
        self._began_at, self._growing, self._refused = -1.0, False, ""
        self._shown_head: Head | None = None
        self._told: object = None
        self._theme = desk.skin.theme
        self._matrix = MatrixPlot(desk, self.jump)
        self._slice = SliceSection(desk)

    # ------------------------------------------------------------------------------------------ widgets

    def build(self) -> None:
        """The panel, in the current container."""
        skin = self.desk.skin
        with dpg.group(tag="distortion_panel"):
            skin.text(ABOUT, tag="distortion_about", wrap=0)
            dpg.add_spacer(height=skin.px(2))
            skin.text("", "text", tag="distortion_hint", wrap=0)
            with dpg.group(tag="distortion_measure", show=False):
                self._build_measure()
            with dpg.group(tag="distortion_body", show=False):
                self._matrix.build()
            with dpg.group(tag="distortion_views", show=False):
                self._build_jumps()
                dpg.add_separator()
                skin.text("One row of the pictures over time", "text", tag="slice_title")
                self._slice.build()
                dpg.add_button(label="Export slice...", tag="slice_export", show=False, callback=self._export_slice)

    def _build_measure(self) -> None:
        skin = self.desk.skin
        with dpg.group(horizontal=True):
            dpg.add_combo([*HEADS], default_value=HEADS[0], width=skin.px(104), tag="distortion_head",
                          callback=lambda s, name: self.desk.stage.set_display(head=name))  # fmt: skip
            skin.tip("distortion_head", "What of a Gaussian the field changes: its position, either quaternion of its "
                     "rotation through space and time, its scales")  # fmt: skip
            dpg.add_button(label="Measure", tag="distortion_ask", callback=lambda: self.measure())
            skin.primary("distortion_ask")
            skin.tip("distortion_ask", "The mean distortion of every generated frame, of the scene as it is now")
        dpg.add_checkbox(label="keep measuring", tag="keep_measuring", default_value=True)
        skin.tip("keep_measuring", "Measure again as training goes on, while this panel is in front, at a small share "
                 "of the time")  # fmt: skip
        skin.text("", tag="distortion_line", wrap=0)

    def _build_jumps(self) -> None:
        skin = self.desk.skin
        with dpg.group(horizontal=True):
            dpg.add_button(label="<", width=skin.px(30), tag="pose_previous", callback=lambda: self.step(-1))
            skin.tip("pose_previous", "The previous generated camera: the scene left, the generated picture right")
            dpg.add_button(label=">", width=skin.px(30), tag="pose_next", callback=lambda: self.step(1))
            skin.tip("pose_next", "The next generated camera: the scene left, the generated picture right")
            skin.text("", tag="pose_line")
        with dpg.group(horizontal=True, tag="distortion_files"):
            dpg.add_button(label="Worst", tag="distortion_worst", callback=lambda: self._jump_to_worst())
            skin.tip("distortion_worst", "Go to the generated frame with the largest mean distortion")
            dpg.add_button(label="Export matrix...", tag="matrix_export", callback=self._export_matrix)
            skin.tip("matrix_export", "As a picture (.png) or a table (.csv)")
        with dpg.group(horizontal=True, tag="left_side"):
            skin.text("left")
            dpg.add_radio_button([*SIDES.values()], default_value=SIDES[COLOR], horizontal=True, tag="jump_mode",
                                 callback=lambda: self._choose_left())  # fmt: skip
            skin.tip("jump_mode", "What is shown beside the generated picture")

    # -------------------------------------------------------------------------------------- what happens

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        match event:
            case p.Opened():
                self._forget()
                self._step = self._slice.step = event.step
                self._configured(event.config.distortion.heads, event.config.scaled(event.config.distortion.start))
            case p.Configured():
                self._configured(event.config.distortion.heads, event.config.scaled(event.config.distortion.start))
            case p.Started() | p.Progress() | p.Paused() | p.Finished():
                self._step = self._slice.step = event.step
            case p.DistortionMeasured():
                self._take(event)
            case p.TimeSliced():
                self._slice.answered(event.slice)
                dpg.configure_item("slice_export", show=self._slice.shown is not None)
            case p.Warned() | p.Failed():
                self._slice.failed()
                if self._waits is not None and (isinstance(event, p.Failed) or not self._growing):
                    self._waits, self._refused = None, event.message  # what was asked for may be refused

    def closed(self) -> None:
        """The scene was closed: forget it."""
        self._forget()

    def _forget(self) -> None:
        self._measured.clear()
        self._waits, self._growing, self._refused, self._began_at = None, False, "", -1.0
        self._shown_head = None
        self._matrix.show(None)
        self._slice.clear()
        dpg.configure_item("slice_export", show=False)

    def _configured(self, heads: tuple[Head, ...], on_at: int) -> None:
        self._on_at = on_at
        dpg.configure_item("distortion_head", items=[*heads])

    def _take(self, event: p.DistortionMeasured) -> None:
        self._growing, self._refused = not event.complete, ""
        if event.complete and event.head == self._waits:
            self._waits = None
        elif not event.complete and self._waits is None:  # it goes on in spite of what was said in between
            self._waits = event.head
        self._measured[event.head] = merged(event, self._measured.get(event.head))
        if event.head == self.head:
            self._matrix.show(self._measured[event.head])

    # -------------------------------------------------------------------------------------- what is done

    @property
    def head(self) -> Head:
        """Of the field, whose changes are shown: that of the picture, where the field has it."""
        head, opened = self.desk.stage.display.head, self.desk.stage.opened
        heads = HEADS if opened is None else opened.config.distortion.heads
        return next((h for h in heads if h == head), heads[0])

    @property
    def _field_is_on(self) -> bool:
        return self.desk.stage.has_distortion and self._step >= self._on_at

    @property
    def _waiting(self) -> bool:
        """Whether the present head is being measured."""
        return self._waits == self.head

    def measure(self, patient: bool = False) -> None:
        """Every generated frame, by the present head. ``patient``: nobody waits for it."""
        self._waits, self._growing, self._refused, self._began_at = self.head, False, "", -1.0
        self.desk.send(p.MeasureDistortion(self.head, patient))

    def jump(self, cell: Cell) -> None:
        """To a generated frame: the scene left, what was generated right."""
        self._go(cell[0], self._matrix.time_of(cell[1]))

    def step(self, by: int) -> None:
        """To another generated camera at the present time."""
        opened = self.desk.stage.opened
        if opened is not None and opened.virtual_cameras:
            self._go((self.desk.stage.display.pose + by) % len(opened.virtual_cameras), None)

    def _jump_to_worst(self) -> None:
        worst = self._matrix.worst
        if worst is None:
            self.desk.say("Nothing is measured yet; press Measure")
        else:
            self.jump(worst)

    def _go(self, pose: int, at: float | None) -> None:
        self.desk.stage.go_virtual(pose, at)
        self.desk.stage.set_split(kind="generated")
        self._choose_left()

    def _choose_left(self) -> None:
        stage = self.desk.stage
        if stage.split.kind == "generated":
            chosen = dpg.get_value("jump_mode") == SIDES[DISTORTION] and stage.has_distortion
            stage.set_display(mode=DISTORTION if chosen else COLOR)

    # -------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """Show what there is, and measure again where that is wanted."""
        if not dpg.is_item_visible("distortion_panel"):
            return
        if self.desk.skin.theme != self._theme:
            self._theme = self.desk.skin.theme
            self._matrix.recolor()
        if self.head != self._shown_head:
            self._shown_head = self.head
            self._matrix.show(self._measured.get(self.head))
        if self._began_at < 0:
            self._began_at = now
        self._measure_again(now)
        self._tell()
        self._matrix.tick(now)
        self._slice.tick(now)

    def _measure_again(self, now: float) -> None:
        shown = self._matrix.measured
        if self._waiting or self._refused or not self._field_is_on or not dpg.get_value("keep_measuring"):
            return
        if shown is None or (shown.step != self._step and now - self._began_at > EVERY):
            self.measure(patient=True)

    def _tell(self) -> None:
        """Words, and which parts are there; only where something has changed."""
        stage, m = self.desk.stage, self._matrix.measured
        views = 0 if stage.opened is None else len(stage.opened.virtual_cameras)
        told = (
            stage.opened is not None, views, stage.has_distortion, self._field_is_on, stage.display, id(m), self._waits,
            self._growing, self._refused, None if self._field_is_on else self._step, stage.split.kind,
        )  # fmt: skip
        if told == self._told:
            return
        self._told = told
        hint = hint_of(stage.opened, None if self._field_is_on else self._step, self._on_at)
        dpg.set_value("distortion_hint", hint)
        for tag, show in (
            ("distortion_hint", bool(hint)), ("distortion_measure", self._field_is_on),
            ("distortion_body", self._field_is_on and self._matrix.known > 0), ("distortion_views", views > 0),
            ("distortion_files", self._matrix.known > 0), ("left_side", stage.has_distortion),
        ):  # fmt: skip
            dpg.configure_item(tag, show=show)
        dpg.set_value("distortion_head", self.head)
        dpg.set_value("pose_line", f"camera s = {stage.display.pose} (0 to {views - 1})")
        dpg.set_value("distortion_line", self._progress(m))
        if stage.split.kind == "generated" and stage.display.mode in SIDES:
            dpg.set_value("jump_mode", SIDES[stage.display.mode])

    def _progress(self, m: p.DistortionMeasured | None) -> str:
        if self._refused:
            return self._refused
        if m is None:
            return "Measuring..." if self._waiting else "Not measured yet: press Measure."
        if not self._waiting:
            known = self._matrix.known
            missing = "" if known == m.matrix.size else " Hatched: no picture was generated."
            return f"Mean over the picture of each of {known:,} generated frames at step {m.step:,}.{missing}"
        return f"Measuring at step {m.step:,}: {self._matrix.known:,} of {m.matrix.size:,} frames have a value"

    # ---------------------------------------------------------------------------------------------- files

    def _export_matrix(self) -> None:
        m = self._matrix.measured
        if m is not None:
            name = f"distortion-{m.head}-step-{m.step}"
            ask_and_write(self.desk, "The matrix", name, (".png", ".csv"), lambda path: write_matrix(m, path))

    def _export_slice(self) -> None:
        rows, step = self._slice.shown, self._slice.shown_step
        if rows is not None:
            name = f"slice-s{rows.pose}-row{rows.row}-step-{step}"
            ask_and_write(self.desk, "The slice", name, (".png",), lambda path: write_time_slice(rows, step, path))

    # ---------------------------------------------------------------------------------------------- tests

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What can be asked for by name."""
        return {"distortion.measure": self.measure, "distortion.slice": self._slice.ask}

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        m, known = self._matrix.measured, self._matrix.known
        return {
            "distortion": {
                "measured": known,
                "complete": m is not None and m.complete,
                "max": float(np.nanmax(m.matrix)) if m is not None and known else None,
                "step": None if m is None else m.step,
                "shape": None if m is None else [*m.matrix.shape],
                "pose": self.desk.stage.display.pose,
                "slice": self._slice.shown is not None,
                "hint": dpg.get_value("distortion_hint"),
            }
        }
