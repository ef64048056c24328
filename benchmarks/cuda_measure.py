"""How the benchmark of the CUDA engine measures, and what it writes down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

WARM_UP = 3
LEAST = 5
"""Runs of whatever is measured."""
SLEEP_CYCLES = 2e9
"""Of a GPU's clock per second of waiting, roughly."""
LONGEST_SLEEP = 0.25

Job = Callable[[], object]
Fact = float | str


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one run. ``device``: the median between two events while the queue of the device is never empty,
    so that nothing of it is the host's. ``whole``: of runs one after another on the host's clock, to the last result,
    so that the slower of host and device counts."""

    device: float
    whole: float


@dataclass(frozen=True)
class Cost:
    """What has to be done: ``bytes`` read and written, each value once where the stage allows it; ``flops`` of float32
    arithmetic, counted from the equations, a multiplication with an addition as two."""

    bytes: float = 0.0
    flops: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.bytes + other.bytes, self.flops + other.flops)


@dataclass(frozen=True)
class Limits:
    """What the device does at most, measured: ``bandwidth`` bytes per second of a copy, ``rate`` flops per second."""

    bandwidth: float
    rate: float

    def of(self, cost: Cost) -> tuple[float, float]:
        """Milliseconds below which a cost cannot be: by its bytes and by its arithmetic."""
        return 1e3 * cost.bytes / self.bandwidth, 1e3 * cost.flops / self.rate


@dataclass(frozen=True)
class Row:
    """A line of the results. ``ok``: False for a check that fails and for what could not be measured; such a
    line begins with an exclamation mark."""

    name: str
    facts: dict[str, Fact] = field(default_factory=dict)
    ok: bool = True

    def __str__(self) -> str:
        text = "  ".join(f"{name} {_shown(value)}" for name, value in self.facts.items())
        return f"{' ' if self.ok else '!'} {self.name:<52} {text}"


class Clock(Protocol):
    """Who measures."""

    def time(self, job: Job) -> Timing:
        """Of one run."""
        ...

    def peak(self, job: Job) -> float:
        """The most MiB that torch's tensors take on the device during one run, those that are there before included."""
        ...

    def wait(self) -> None:
        """Until the device has done everything."""
        ...


class Deadline:
    """A time at which no more is begun."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; not negative."""
        return max(0.0, self._end - time.monotonic())

    def within(self, seconds: float) -> Deadline:
        """An earlier one."""
        return Deadline(min(seconds, self.left))


@dataclass(frozen=True)
class Bench:
    """Where things are measured, by whom, and against what."""

    device: torch.device
    clock: Clock
    limits: Limits

    def timed(self, name: str, job: Job, cost: Cost | None = None, **facts: Fact) -> Row:
        """A row with the times of a job, and beside them the limits of its cost, milliseconds."""
        timing = self.clock.time(job)
        found: dict[str, Fact] = {"ms": timing.device, "whole": timing.whole}
        if cost is not None:
            found["bytes"], found["arithmetic"] = self.limits.of(cost)
        return Row(name, found | facts)


class EventClock:
    """Measures with CUDA's events on torch's current stream: at most ``runs`` runs, in about ``seconds``."""

    def __init__(self, runs: int, seconds: float) -> None:
        self._runs, self._seconds = runs, seconds

    def time(self, job: Job) -> Timing:
        """As :class:`Clock`."""
        for _ in range(WARM_UP):
            job()
        self.wait()
        began = time.perf_counter()
        for _ in range(LEAST):
            job()
        self.wait()
        runs = max(LEAST, min(self._runs, int(0.5 * self._seconds * LEAST / (time.perf_counter() - began))))

        began = time.perf_counter()
        for _ in range(runs):
            job()
        queued = time.perf_counter() - began
        self.wait()
        whole = (time.perf_counter() - began) / runs

        torch.cuda._sleep(int(SLEEP_CYCLES * min(LONGEST_SLEEP, 1.5 * queued)))  # while the host fills the queue
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(runs)]
        for start, end in events:
            start.record()
            job()
            end.record()
        self.wait()
        return Timing(float(np.median([start.elapsed_time(end) for start, end in events])), 1e3 * whole)

    def peak(self, job: Job) -> float:
        """As :class:`Clock`."""
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        job()
        self.wait()
        return torch.cuda.max_memory_allocated() / 2**20

    def wait(self) -> None:
        """As :class:`Clock`."""
        torch.cuda.synchronize()


def _shown(value: Fact) -> str:
    if isinstance(value, str):
        return value
    if value == int(value) and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:.3f}" if 1e-3 <= abs(value) < 1e4 else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.1e}"
