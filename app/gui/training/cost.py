"""What the window costs the training: the engine's time that it asks for, and the processor time that it takes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

EVERY = 2.0
"""Seconds between two readings."""
THREADS = ("gl", "worker", "control")
"""Threads of the window's own, beside the main one."""
TASKS = Path("/proc/self/task")


def cost(served: float, processor: float) -> float:
    """Share of its speed that training loses: of what the processor leaves it, a share goes into work for the window.

    ``served``: share of the engine's time. ``processor``: share of all cores' time. Both and the result in [0, 1].
    """
    return 1 - (1 - min(max(served, 0.0), 1.0)) * (1 - min(max(processor, 0.0), 1.0))


def of_window(name: str) -> bool:
    """Whether a thread that Python has not started draws for the window, by its name: those of Mesa's software
    renderer, and the helpers of its drivers, which are called PROGRAM:WHAT."""
    return name.startswith("llvmpipe") or ":" in name


def thread_seconds() -> Mapping[int, float]:
    """Processor time of each thread of the window, seconds, by its number; called on the main thread. Where threads
    have no names that can be read, of the main thread only."""
    main = threading.get_native_id()
    seconds = {main: time.thread_time()}
    if not TASKS.is_dir():
        return seconds
    own = {t.native_id for t in threading.enumerate() if t.name in THREADS}
    python = {t.native_id for t in threading.enumerate()}
    for thread in psutil.Process().threads():
        if thread.id == main or not (thread.id in own or (thread.id not in python and of_window(_name(thread.id)))):
            continue
        seconds[thread.id] = thread.user_time + thread.system_time
    return seconds


def _name(thread: int) -> str:
    try:
        return (TASKS / str(thread) / "comm").read_text().strip()
    except OSError:  # it has ended
        return ""


def cores() -> int:
    """How many the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class CostMeter:
    """Reads every ``EVERY`` seconds how much processor time the window takes. ``processor``: share of all cores in the
    last interval that was wholly spent training, None before there was one.

    ``read``: processor time by thread, seconds.
    """

    def __init__(
        self, read: Callable[[], Mapping[int, float]] = thread_seconds, number_of_cores: int | None = None
    ) -> None:
        self._read, self._cores = read, number_of_cores or cores()
        self._at: float | None = None
        self._before: Mapping[int, float] = {}
        self.processor: float | None = None

    def tick(self, now: float, training: bool) -> bool:
        """Once per frame; ``now`` in seconds. Whether there is a new reading."""
        if not training:
            self._at = None
            return False
        if self._at is None:
            self._at, self._before = now, self._read()
            return False
        passed = now - self._at
        if passed < EVERY:
            return False
        after = self._read()
        spent = sum(max(0.0, seconds - self._before.get(thread, 0.0)) for thread, seconds in after.items())
        self.processor = min(1.0, spent / (passed * self._cores))
        self._at, self._before = now, after
        return True
