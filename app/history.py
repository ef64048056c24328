"""Undo and redo over documents that are values: whatever is edited is replaced whole, and the old value remembered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

COALESCE = 0.5
"""Seconds within which a change of the same thing goes on: dragging a slider is one step."""
LIMIT = 200
"""Steps that are remembered."""


@dataclass(frozen=True)
class _Step:
    name: str
    label: str
    before: Any
    after: Any
    at: float


class History:
    """Remembers what was changed; belongs to one thread.

    ``clock``: seconds that only grow.
    """

    def __init__(self, limit: int = LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._documents: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._open = False  # whether the newest step may still grow
        self._applying = False

    def track(self, name: str, get: Callable[[], T], set: Callable[[T], None]) -> None:
        """Register a document: ``get`` gives its present value, an immutable one, and ``set`` replaces it."""
        self._documents[name] = (get, set)

    def changed(self, name: str, before: object, label: str) -> None:
        """Record that a document was ``before`` and is different now. ``label``: what was done, for people.

        A change that follows the last one of the same label and document within half a second becomes part of it.
        What ``set`` itself causes while undoing or redoing is not recorded; neither is a change that changed nothing.
        KeyError for a document that is not tracked.
        """
        after = self._documents[name][0]()
        if self._applying or after == before:
            return
        self._undone.clear()
        now = self._clock()
        last = self._done[-1] if self._done and self._open else None
        if last and (last.name, last.label) == (name, label) and now - last.at <= COALESCE:
            before = self._done.pop().before
        self._open = True
        self._done.append(_Step(name, label, before, after, now))
        del self._done[: -self._limit]

    def undo(self) -> str | None:
        """Take the newest step back; returns its label, None where there is none."""
        return self._move(self._done, self._undone, lambda step: step.before)

    def redo(self) -> str | None:
        """Do again what was taken back last; returns its label, None where there is nothing."""
        return self._move(self._undone, self._done, lambda step: step.after)

    def forget(self, *names: str) -> None:
        """Drop the steps of some documents, of all where none is named: another scene was opened."""
        for steps in (self._done, self._undone):
            steps[:] = [step for step in steps if names and step.name not in names]

    def _move(self, source: list[_Step], target: list[_Step], value: Callable[[_Step], Any]) -> str | None:
        if not source or self._applying:
            return None
        self._open, self._applying = False, True
        try:
            self._documents[source[-1].name][1](value(source[-1]))
        finally:
            self._applying = False
        target.append(source.pop())
        return target[-1].label
