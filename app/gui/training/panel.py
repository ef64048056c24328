"""Training: start and pause, how fast and how long, how good, with which settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel
from app.gui.training.checkpoint_list import CheckpointList
from app.gui.training.curves import TrainingCurves
from app.gui.training.facts import TrainingFacts
from app.gui.training.settings_form import SettingsForm
from app.training_record import Record, coming, passed, read_record
from app.words import duration
from training.schedule import Milestone

EVERY = 0.2
"""Seconds between two changes of the progress bar."""
NO_CLIP = "This is a scene without its clip: there is nothing to learn from. It can be looked at, and exported."


class TrainingPanel(Panel):
    """Buttons, figures, curves, settings and checkpoints."""

    title = "Train"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.running = False
        self.step, self.steps = 0, 1
        self._eta = math.nan
        self._schedule: tuple[Milestone, ...] = ()
        self._shown_at = 0.0
        self._said = ""
        self._facts, self._curves = TrainingFacts(desk), TrainingCurves(desk)
        self._settings, self._checkpoints = SettingsForm(desk), CheckpointList(desk)

    def build(self) -> None:
        """The sections, in the current container; a sentence in their place where there is nothing to learn from."""
        self.desk.skin.text(NO_CLIP, tag="train_no_clip", wrap=0, show=False)
        with dpg.group(tag="train_sections"):
            self._build_sections()

    def _build_sections(self) -> None:
        skin, send = self.desk.skin, lambda command: self.desk.send(command)
        buttons = (
            (("train", "Start training", 124, self.toggle, "Start or pause; looking around goes on meanwhile (T)"),
             ("train_step", "Step once", 90, self.step_once, "A single step of training (Shift+T)"),
             ("train_stop", "Stop", 56, lambda: send(p.Stop()), "Pause, and write a checkpoint")),
            (("save", "Save", 124, lambda: send(p.Save()), "Write a checkpoint now (Ctrl+S)"),
             ("measure", "Measure", 90, lambda: send(p.Evaluate()), "PSNR and SSIM on pictures that are held out")),
        )  # fmt: skip
        for row in buttons:
            with dpg.group(horizontal=True):
                for tag, label, width, do, tip in row:
                    dpg.add_button(label=label, width=skin.px(width), tag=tag, user_data=do,
                                   callback=lambda s, a, do: do())  # fmt: skip
                    skin.tip(tag, tip)
        skin.primary("train")
        dpg.add_progress_bar(tag="train_progress", width=-1, overlay="not started")
        self._facts.build()
        with dpg.collapsing_header(label="Curves", tag="curves_section", default_open=True):
            self._curves.build()
            skin.text("", tag="coming", wrap=0)
        self._settings.build()
        self._checkpoints.build()

    # ---------------------------------------------------------------------------------------------- what keys do

    def toggle(self) -> None:
        """Start or pause."""
        self.desk.send(p.Pause() if self.running else p.Train())

    def step_once(self) -> None:
        """One step; where training goes on, it stops after the present one."""
        self.desk.send(p.Train(until=self.step + 1))

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {
            "train.toggle": self.toggle,
            "train.step": self.step_once,
            "train.stop": lambda: self.desk.send(p.Stop()),
            "train.measure": lambda: self.desk.send(p.Evaluate()),
        }

    # ---------------------------------------------------------------------------------------------- what happens

    def handle(self, event: p.Event) -> None:
        """Show what the engine says."""
        self._facts.handle(event)
        self._settings.handle(event)
        match event:
            case p.Opened():
                self._opened(event)
            case p.Started():
                self.step, self.steps, self._eta = event.step, event.steps, math.nan
                self._set_running(True)
            case p.Progress():
                self._progress(event)
            case p.Paused() | p.Finished():
                self.step = event.step
                self._set_running(False)
            case p.Milestone():
                self._curves.mark(event.step, event.text)
            case p.Configured():
                self.steps = event.config.steps or self.steps
                self._schedule = event.planned
                self._set_running(self.running)
            case p.Saved():
                self._checkpoints.show(event.checkpoints)
            case p.Evaluated() if event.split == "test":
                self._curves.record.held_out[event.step] = event.psnr
                self._curves.changed()

    def _opened(self, event: p.Opened) -> None:
        dpg.configure_item("train_no_clip", show=not event.has_clip)
        dpg.configure_item("train_sections", show=event.has_clip)
        self.step, self.steps = event.step, event.steps
        self._schedule = event.planned
        unit = "Gaussians" if event.model == "gaussians" else "values"
        marks = passed(self._schedule, event.step)
        self._curves.begin(Record(), marks, unit, event.config.cameras.enabled)
        self._settings.opened(event)
        self._checkpoints.show(event.checkpoints)
        self._set_running(False)
        if event.step:
            path, step = event.run / "metrics.jsonl", event.step
            self.desk.beside(lambda: read_record(path, step), lambda earlier: self._join(event.run, earlier))

    def _join(self, run: Path, earlier: Record) -> None:
        """Put what a run has written down before its curves, where it is still the one that is open."""
        opened = self.desk.stage.opened
        if opened is None or opened.run != run:
            return
        self._curves.record = self._curves.record.after(earlier)
        self._curves.changed()
        held_out = self._curves.record.held_out
        if held_out and self._facts.held_out is None:
            step = max(held_out)
            self._facts.measured(held_out[step], step)

    def _progress(self, event: p.Progress) -> None:
        self.step, self.steps, self._eta = event.step, event.steps, event.eta
        values = {
            "psnr": event.psnr, "loss": event.loss, "size": event.size, "turned": event.turned,
            "shifted": event.shifted,
        }  # fmt: skip
        self._curves.record.step(event.step, values, event.parts)
        self._curves.changed(event.unit)

    def closed(self) -> None:
        """The scene was closed: forget it."""
        dpg.configure_item("train_no_clip", show=False)
        dpg.configure_item("train_sections", show=True)
        self.running, self.step, self.steps, self._eta, self._schedule = False, 0, 1, math.nan, ()
        self._curves.begin(Record(), [], "Gaussians", cameras=False)
        self._facts.closed()
        self._settings.closed()
        self._checkpoints.show(())
        self._set_running(False)

    def tick(self, now: float) -> None:
        """Bring everything up to date."""
        self._facts.tick(now)
        self._curves.tick(now)
        self._settings.tick(now)
        if now - self._shown_at >= EVERY:
            self._shown_at = now
            self._show_progress()

    def _set_running(self, running: bool) -> None:
        self.running = running
        finished = self.step >= self.steps
        label = "Pause" if running else "Finished" if finished else "Go on" if self.step else "Start training"
        dpg.set_item_label("train", label)
        self._show_progress()

    def _show_progress(self) -> None:
        said = f"step {self.step:,} of {self.steps:,}"
        if self.running and self._eta >= 0:
            said += f", {duration(self._eta)} left"
        if said == self._said:
            return
        self._said = said
        dpg.set_value("train_progress", self.step / max(1, self.steps))
        dpg.configure_item("train_progress", overlay=said)
        ahead = [f"in {at - self.step:,} steps: {text}" for at, text in coming(self._schedule, self.step)]
        dpg.set_value("coming", "\n".join(ahead))

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        points = len(self._curves.record.track.steps)
        return {"training": {"curve_points": points, **self._facts.state(), **self._settings.state()}}
