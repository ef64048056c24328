"""Files of what is picked, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from app.exports.rays import ENDINGS, write_rays, write_slice, write_through_time
from app.gui.desk import Desk
from app.gui.widgets.writing import ask_and_write
from app.pins import Reading
from app.protocol import LinePicked
from renderer.weights import Quantity
from training.trainer import RayThroughTime


class RayFiles:
    """Pictures, tables and JSON of rays, in the run's folder unless the person chooses another."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def ray(self, reading: Reading) -> None:
        """The ray that is shown."""
        x, y = reading.report.ray.pixel
        self._ask("The ray", f"ray-{x}-{y}-step-{reading.step}", lambda path: write_rays([reading.report], path))

    def pins(self, readings: Sequence[Reading]) -> None:
        """The rays that are compared."""
        reports, step = [reading.report for reading in readings], max(reading.step for reading in readings)
        self._ask("The pinned rays", f"pinned-rays-step-{step}", lambda path: write_rays(reports, path))

    def through_time(self, history: RayThroughTime) -> None:
        """A ray over the clip."""
        x, y = history.pixel
        title = f"pixel {x},{y} through time · step {history.step:,}"
        name = f"ray-{x}-{y}-through-time-step-{history.step}"
        self._ask("The ray through time", name, lambda path: write_through_time(history, title, path))

    def slice(self, picked: LinePicked, quantity: Quantity) -> None:
        """A row of rays from above."""
        name = f"slice-{quantity}-step-{picked.step}"
        self._ask("The slice", name, lambda path: write_slice(picked, quantity, path))

    def _ask(self, what: str, name: str, write: Callable[[Path], Path]) -> None:
        ask_and_write(self._desk, what, name, ENDINGS, write)
