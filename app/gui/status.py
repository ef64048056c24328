"""The line below everything: what was said last, and how training goes."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel
from app.gui.theme import FONT_SIZE

LOGGER = logging.getLogger("dynview")
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LETTER = 0.56
"""Mean width of a letter, in heights of the font."""
COLORS = {"info": "muted", "warning": "amber", "error": "red"}


class Status(Panel):
    """``running``: whether training goes on. Turns what the engine tells into sentences for the log."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.running = False
        self.step, self.steps = 0, 0
        self._told = 0
        self._last = self._fitted = self._rates = ""

    def build(self) -> None:
        """The texts, in the current container."""
        self.desk.skin.text("", tag="training_line")
        self.desk.skin.text("", tag="latency")
        self.desk.skin.tip("latency", "Size of the picture, pictures per second, from a change to its picture")
        self.desk.skin.text("", tag="status")

    def tick(self, now: float) -> None:
        """Show and log what was said since."""
        news, self._told = self.desk.news(self._told), self.desk.said
        for entry in news:
            LOGGER.log(LEVELS[entry.level], "%s", entry.text)
            if entry.detail:
                LOGGER.debug("%s", entry.detail)
            self._last = entry.text
            self.desk.skin.recolor("status", COLORS[entry.level])
        if self.desk.stage.rates != self._rates:
            self._rates = self.desk.stage.rates
            dpg.set_value("latency", f"{self._rates}   " if self._rates else "")
        self._fit()

    def _fit(self) -> None:
        """As much of the last sentence as the window is wide; the log has all of it."""
        taken = sum(dpg.get_item_rect_size(tag)[0] for tag in ("training_line", "latency"))
        room = dpg.get_viewport_client_width() - taken - self.desk.skin.px(50)
        most = max(20, int(room / (LETTER * self.desk.skin.px(FONT_SIZE))))
        text = self._last if len(self._last) <= most else self._last[: most - 3] + "..."
        if text != self._fitted:
            self._fitted = text
            dpg.set_value("status", text)

    def failed(self, problem: Exception) -> None:
        """Something in the window itself went wrong."""
        self.desk.complain(f"This did not work: {type(problem).__name__}: {problem}", traceback.format_exc())

    def closed(self) -> None:
        """The scene was closed: forget it."""
        self.running = False
        dpg.set_value("training_line", "")

    def handle(self, event: p.Event) -> None:
        """Say what the engine tells."""
        desk = self.desk
        match event:
            case p.Opened():
                self._opened(event)
            case p.Started():
                self._run(True, event.step)
            case p.Paused():
                self._run(False, event.step)
                desk.say(f"Paused at step {event.step:,}")
            case p.Finished():
                self._run(False, event.step)
                desk.say(f"Training finished at step {event.step:,}")
            case p.Progress():
                self.step, self.steps = event.step, event.steps
                self._line(f"   {event.psnr:.1f} dB   {event.rate:.1f} steps/s")
            case p.Milestone():
                desk.say(f"Step {event.step:,}: {event.text}")
            case p.Status():
                desk.say(event.text)
            case p.Saved():
                desk.say(f"Saved step {event.step:,} in {event.path}")
            case p.Evaluated():
                which = "held-out" if event.split == "test" else "input"
                desk.say(f"Step {event.step:,}: {event.psnr:.2f} dB, SSIM {event.ssim:.3f} on {which} pictures")
            case p.Warned():
                desk.warn(event.message)
            case p.Failed():
                desk.complain(event.message, event.detail)

    def _opened(self, event: p.Opened) -> None:
        self.step, self.steps = event.step, event.steps
        if not event.has_clip:
            self.desk.say(f"{event.name}: a scene without its clip, to look at")
            return
        train = sum(s.split == "train" for s in event.shots)
        self._line("")
        self.desk.say(f"{event.name}: {train} pictures to learn from, {len(event.shots) - train} held out")

    def _run(self, running: bool, step: int) -> None:
        self.running, self.step = running, step
        if running:
            self.desk.busy["training"] = "Training goes on; what was learned is saved first."
        else:
            self.desk.busy.pop("training", None)
        self._line("")

    def _line(self, more: str) -> None:
        state = "training" if self.running else "paused" if self.step else "not trained yet"
        dpg.set_value("training_line", f"step {self.step:,} of {self.steps:,}   {state}{more}   ")

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"step": self.step, "running": self.running}
