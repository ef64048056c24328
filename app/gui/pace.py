"""How often the window is drawn: at once while it is in use, seldom while somebody trains and nobody touches it."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from app.gui.native import Native

FRAME_SECONDS = 1 / 60
SHARE_IDLE, SHARE_BUSY = 0.1, 0.85
"""Share of the time that drawing the window may take: untouched, and while the mouse or a key is in use. It matters
where a processor has to draw and to train; with a graphics card a frame costs next to nothing."""
LINGER = 0.5
"""Seconds after a touch for which the window still counts as in use."""
SLOWEST = 0.25
"""Seconds between two frames at most."""
REMEMBERED = 5000


class Pace:
    """Rests between frames, and remembers how long they took. Something that happens to the window ends a rest."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._touched = 0.0
        self._intervals: deque[float] = deque(maxlen=REMEMBERED)
        self._turns: deque[float] = deque(maxlen=REMEMBERED)
        self._costs: deque[float] = deque(maxlen=REMEMBERED)
        self._began = 0.0

    def touch(self) -> None:
        """The window is in use."""
        self._touched = time.monotonic()

    def rest(self, began: float, turn: float, cost: float, training: bool) -> None:
        """After a frame that ``began`` then: what happens between frames took ``turn``, drawing ``cost`` seconds."""
        if self._began:
            self._intervals.append(began - self._began)
        self._began = began
        self._turns.append(turn)
        self._costs.append(cost)
        spent = time.monotonic() - began
        least = max(0.0, FRAME_SECONDS - spent, cost / SHARE_BUSY - cost)
        time.sleep(min(SLOWEST, least))
        if training and time.monotonic() - self._touched > LINGER:
            more = min(SLOWEST, cost / SHARE_IDLE - cost) - least
            self._native.wait_events(max(0.0, more))

    def forget(self) -> None:
        """Begin to remember anew."""
        for kept in (self._intervals, self._turns, self._costs):
            kept.clear()

    def times(self) -> dict[str, Any]:
        """Milliseconds by name, each with median, 99th percentile and most: from frame to frame, between two frames
        (all of the window's own work), and drawing."""
        named = (("frame", self._intervals), ("turn", self._turns), ("draw", self._costs))
        return {"frames": len(self._turns), **{name: summary(values) for name, values in named}}


def summary(seconds: deque[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, milliseconds."""
    if not seconds:
        return {}
    values = 1e3 * np.array(seconds)
    low, high = np.percentile(values, (50, 99))
    return {"median": float(low), "p99": float(high), "max": float(values.max())}
