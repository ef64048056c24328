"""Training: start and pause, how fast and how long, how good."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel

MOST_POINTS = 1500
"""Points of a curve before every other one is dropped."""


class Curve:
    """A growing line that never has more than ``MOST_POINTS`` points."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.y: list[float] = []
        self._every, self._skipped = 1, 0

    def add(self, x: float, y: float) -> None:
        """Append a point, or leave it out."""
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self.x.append(x)
        self.y.append(y)
        if len(self.x) > MOST_POINTS:
            self.x, self.y, self._every = self.x[::2], self.y[::2], 2 * self._every


class TrainingPanel(Panel):
    """Start, pause, and the curves."""

    title = "Train"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._send = lambda command: desk.send(command)
        self.running = False
        self.step, self.steps = 0, 1
        self._loss, self._psnr = Curve(), Curve()
        self._held_out: tuple[list[float], list[float]] = ([], [])
        self._smooth = float("nan")

    def build(self) -> None:
        """The section, in the current container."""
        with dpg.group(horizontal=True):
            dpg.add_button(label="Start training", width=150, tag="train", callback=lambda: self.toggle())
            self.desk.skin.primary("train")
            with dpg.tooltip("train"):
                dpg.add_text("Start or pause (T); looking around goes on meanwhile")
            dpg.add_button(label="Save", width=80, tag="save", callback=lambda: self._send(p.Save()))
            with dpg.tooltip("save"):
                dpg.add_text("Write a checkpoint now (Ctrl+S)")
            dpg.add_button(label="Measure", width=96, tag="measure", callback=lambda: self._send(p.Evaluate()))
            with dpg.tooltip("measure"):
                dpg.add_text("PSNR and SSIM on pictures that are held out")
        dpg.add_progress_bar(tag="train_progress", width=-1, overlay="not started")
        with dpg.group(horizontal=True):
            for tag, width in (("rate_text", 120), ("eta_text", 120), ("count_text", 130)):
                with dpg.group(width=width):
                    self.desk.skin.text("", tag=tag)
        self._plot("psnr", "PSNR (dB)", [("psnr_series", "input", "blue")])
        dpg.add_scatter_series([], [], label="held out", parent="psnr_y", tag="test_series")
        self.desk.skin.series("test_series", "amber")
        self._plot("loss", "loss", [("loss_series", "loss", "green")])

    def _plot(self, name: str, label: str, series: list[tuple[str, str, str]]) -> None:
        with dpg.plot(height=124, width=-1, no_menus=True, no_mouse_pos=True, tag=f"{name}_plot"):
            if name == "psnr":
                dpg.add_plot_legend(location=dpg.mvPlot_Location_SouthEast)
            dpg.add_plot_axis(dpg.mvXAxis, tag=f"{name}_x")
            with dpg.plot_axis(dpg.mvYAxis, label=label, tag=f"{name}_y"):
                for tag, text, color in series:
                    dpg.add_line_series([], [], label=text, tag=tag)
                    self.desk.skin.series(tag, color)

    def toggle(self) -> None:
        """Start or pause."""
        self._send(p.Pause() if self.running else p.Train())

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"train.toggle": self.toggle}

    def handle(self, event: p.Event) -> None:
        """Show what the engine says."""
        match event:
            case p.Opened():
                self.step, self.steps = event.step, event.steps
                self._show_progress()
            case p.Started():
                self.step, self.steps = event.step, event.steps
                self._set_running(True)
            case p.Progress():
                self._progress(event)
            case p.Paused() | p.Finished():
                self.step = event.step
                self._set_running(False)
                self._show_progress()
            case p.Evaluated():
                if event.split == "test":
                    self._held_out[0].append(float(event.step))
                    self._held_out[1].append(event.psnr)
                    dpg.set_value("test_series", list(self._held_out))
                    self._fit("psnr")

    def _progress(self, event: p.Progress) -> None:
        self.step, self.steps = event.step, event.steps
        self._smooth = event.psnr if self._smooth != self._smooth else 0.8 * self._smooth + 0.2 * event.psnr
        self._loss.add(float(event.step), event.loss)
        self._psnr.add(float(event.step), self._smooth)
        dpg.set_value("loss_series", [self._loss.x, self._loss.y])
        dpg.set_value("psnr_series", [self._psnr.x, self._psnr.y])
        self._fit("loss")
        self._fit("psnr")
        dpg.set_value("rate_text", f"{event.rate:.1f} steps/s")
        dpg.set_value("eta_text", f"{duration(event.eta)} left")
        dpg.set_value("count_text", f"{event.size:,} {event.unit}")
        self._show_progress()

    def _fit(self, name: str) -> None:
        dpg.fit_axis_data(f"{name}_x")
        dpg.fit_axis_data(f"{name}_y")

    def _set_running(self, running: bool) -> None:
        self.running = running
        finished = self.step >= self.steps
        dpg.set_item_label(
            "train", "Pause" if running else "Finished" if finished else "Go on" if self.step else "Start training"
        )
        if not running:
            dpg.set_value("eta_text", "")

    def _show_progress(self) -> None:
        dpg.set_value("train_progress", self.step / max(1, self.steps))
        dpg.configure_item("train_progress", overlay=f"step {self.step:,} of {self.steps:,}")


def duration(seconds: float) -> str:
    """A time span for people."""
    if not 0 <= seconds < 1e7:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
