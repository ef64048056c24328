"""How training goes, in figures: speed, size, memory, cameras, quality, and what the window costs it."""

from __future__ import annotations

from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.training.cost import CostMeter, cost
from app.gui.widgets.updates import set_text
from app.words import amount

EVERY = 0.2
"""Seconds between two changes of the figures."""
ROWS = (
    ("rate", "Speed", "Steps per second, over the last fifty steps"),
    ("size", "Size", "What the scene is made of"),
    ("memory", "Memory", "What this program takes in memory"),
    ("cameras", "Cameras moved", "How far the learned cameras are from where they started, on average"),
    ("held_out", "Held-out PSNR", "On pictures that are not learned from; Measure takes it now"),
    ("cost", "Window costs", "Measured while training goes on"),
)  # fmt: skip


class TrainingFacts:
    """``held_out``: PSNR and step of the last measurement on held-out pictures, None before one. ``cost``: share of
    its speed that training loses to the window, None while it is not known."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._meter = CostMeter()
        self._progress: p.Progress | None = None
        self._shown_at = 0.0
        self._dirty = False
        self._running = False
        self.held_out: tuple[float, int] | None = None
        self.cost: float | None = None

    def build(self) -> None:
        """The table, in the current container."""
        skin = self.desk.skin
        with dpg.table(header_row=False, policy=dpg.mvTable_SizingFixedFit, tag="facts"):
            dpg.add_table_column(width_fixed=True)
            dpg.add_table_column(width_stretch=True)
            for name, label, about in ROWS:
                with dpg.table_row(tag=f"fact row {name}", show=name != "cameras"):
                    skin.text(label)
                    with dpg.group():  # a tooltip in a row would be a cell of its own
                        skin.text("-", "text", tag=f"fact {name}")
                        with dpg.tooltip(f"fact {name}", delay=0.4):
                            dpg.add_text(about, tag=f"about {name}", wrap=skin.px(380))

    def handle(self, event: p.Event) -> None:
        """Take what the engine says."""
        match event:
            case p.Opened():
                self._set("size", "-")
                dpg.configure_item("fact row cameras", show=event.config.cameras.enabled)
            case p.Started():
                self._running = True
            case p.Paused() | p.Finished():
                self._running = False
                self._dirty = True
            case p.Progress():
                self._progress, self._dirty = event, True
            case p.Evaluated():
                if event.split == "test":
                    self.measured(event.psnr, event.step)
                else:
                    self._set("held_out", f"none held out; {event.psnr:.2f} dB on input")

    def measured(self, psnr: float, step: int) -> None:
        """Held-out pictures were compared at a step."""
        self.held_out = (psnr, step)
        self._set("held_out", f"{psnr:.2f} dB at step {step:,}")

    def closed(self) -> None:
        """Forget the scene."""
        self._progress, self.held_out, self.cost, self._running, self._dirty = None, None, None, False, False
        for name, _, _ in ROWS:
            self._set(name, "-")

    def tick(self, now: float) -> None:
        """Bring the figures up to date."""
        if self._meter.tick(now, self._running) and self._progress is not None and self._meter.processor is not None:
            self._tell_cost(self._progress.served, self._meter.processor)
        if self._dirty and self._progress is not None and now - self._shown_at >= EVERY:
            self._dirty, self._shown_at = False, now
            self._show(self._progress)

    def _show(self, now: p.Progress) -> None:
        if not self._running:
            self._set("rate", "standing still")
        elif now.rate > 0:
            self._set("rate", f"{now.rate:.1f} steps/s")
        self._set("size", f"{now.size:,} {now.unit}")
        if now.memory:
            self._set("memory", amount(now.memory))
        if now.turned is not None and now.shifted is not None:
            self._set("cameras", f"{now.turned:.3g}°, {now.shifted:.3g} scene units")

    def _tell_cost(self, served: float, processor: float) -> None:
        self.cost = cost(served, processor)
        self._set("cost", f"{100 * self.cost:.0f} % of the training")
        about = (
            f"{100 * served:.1f} % of the engine's time goes into pictures, rays and other work that the window asks "
            f"for; the window's own threads (drawing, OpenGL, Mesa's software renderer) take {100 * processor:.1f} % "
            "of the processor, and training is counted as losing that share of what is left. Where training does not "
            "use all cores it loses less than that."
        )
        set_text("about cost", about)

    def _set(self, name: str, text: str) -> None:
        set_text(f"fact {name}", text)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"cost": self.cost, "held_out": list(self.held_out) if self.held_out else None}
