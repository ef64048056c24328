"""Waiting for what an engine says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import protocol as p
from app.engine import Engine
from tests.tiny import tiny_dataset
from training import run as run_module
from training.config import SceneConfig, TrainConfig

CONFIG = TrainConfig(steps=400, scene=SceneConfig(points=40))


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


def listening(monkeypatch: pytest.MonkeyPatch, run: Path) -> Iterator[Listener]:
    """To an engine that opens a tiny clip for a new run in this folder, and ends in time."""
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    engine = Engine("tiny", CONFIG, run)
    engine.start()
    yield Listener(engine)
    assert engine.close()


def train(listener: Listener, until: int) -> None:
    """Until so many steps are done."""
    listener.engine.send(p.Train(until))
    listener.until(p.Paused, lambda e: e.step == until)
