"""Older checkpoints of the run, to go on from."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk, Source
from training.run import branch


class CheckpointList:
    """A section of the training panel."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._steps: tuple[int, ...] = ()
        self._branching = False

    def build(self) -> None:
        """The section, in the current container."""
        skin = self.desk.skin
        with dpg.collapsing_header(label="Checkpoints", tag="checkpoints"):
            skin.text("None yet: Save writes one.", tag="checkpoints_none", wrap=0)
            with dpg.group(tag="checkpoints_some", show=False):
                with dpg.group(horizontal=True):
                    dpg.add_combo([], width=skin.px(130), tag="checkpoint")
                    dpg.add_button(label="Go on from here", tag="branch", callback=lambda: self._go_on())
                skin.text("Begins a new run beside this one, which stays as it is.", wrap=0)

    def show(self, steps: tuple[int, ...]) -> None:
        """These are on disk."""
        chosen = self._chosen() if self._steps else None
        newest = self._steps[-1:] == (chosen,)
        self._steps = steps
        dpg.configure_item("checkpoints_none", show=not steps)
        dpg.configure_item("checkpoints_some", show=bool(steps))
        dpg.configure_item("checkpoint", items=[_label(step) for step in reversed(steps)])
        if steps and (newest or chosen not in steps):
            dpg.set_value("checkpoint", _label(steps[-1]))

    def _chosen(self) -> int | None:
        return next((step for step in self._steps if _label(step) == dpg.get_value("checkpoint")), None)

    def _go_on(self) -> None:
        opened, step = self.desk.stage.opened, self._chosen()
        if opened is None or step is None or self._branching:
            return
        self._branching = True
        self.desk.beside(lambda: branch(opened.run, step), lambda run: self._made(run, step, opened.run), self._over)

    def _over(self) -> None:
        self._branching = False

    def _made(self, run: Path, step: int, before: Path) -> None:
        """Open the new run, where the one before is still open and nothing else is to be."""
        self._over()
        self.desk.say(f"A new run goes on from step {step:,} in {run}")
        opened = self.desk.stage.opened
        if opened is not None and opened.run == before and not self.desk.opening:
            self.desk.leave_for(Source(str(run)))


def _label(step: int) -> str:
    return f"step {step:,}"
