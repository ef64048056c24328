"""Waiting for what an engine says."""

from __future__ import annotations

import time
from collections.abc import Callable

from app import protocol as p
from app.engine import Engine


class Listener:
    """Drains an engine until something happens."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[p.Event] = []
        self._seen = 0

    def until(self, kind: type, accept: Callable[..., bool] = lambda event: True, timeout: float = 60) -> p.Event:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.events += self.engine.drain()
            while self._seen < len(self.events):
                event = self.events[self._seen]
                self._seen += 1
                if isinstance(event, kind) and accept(event):
                    return event
            time.sleep(0.005)
        raise AssertionError(f"no {kind.__name__}; last events: {self.events[-5:]}")


def opened(listener: Listener) -> p.Opened:
    event = listener.until(p.Opened)
    assert isinstance(event, p.Opened)
    return event
