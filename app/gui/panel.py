"""What the window asks of every panel. No panel imports another: they meet on the desk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app import protocol as p
from app.gui.desk import Desk


class Panel:
    """A part of the window. ``title``: of its tab. Only the main thread is ever in here."""

    title = ""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def build(self) -> None:
        """Make the widgets, in the current container; once."""
        raise NotImplementedError

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""

    def closed(self) -> None:
        """The scene was closed: forget it."""

    def tick(self, now: float) -> None:
        """Once per frame of the window; ``now`` in seconds of :func:`time.monotonic`."""

    def catches(self, chord: str) -> bool:
        """Whether a chord that was pressed is the answer to a question of the panel, and for nothing else."""
        return False

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What the panel does for an action of :mod:`app.keys`, by its name."""
        return {}

    def state(self) -> dict[str, Any]:
        """What tests ask, as values of JSON."""
        return {}
