"""One thread for small jobs that would hold the window up: writing files, thumbnails, plots."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

SECONDS_PER_POLL = 0.004
"""How long results are handed over before the rest waits for the next frame."""


class Worker:
    """Does jobs one after another on its own thread, and hands results over on the thread that polls.

    A daemon: a job that never ends does not keep the process alive.
    """

    def __init__(self, name: str = "worker") -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None]]]
        self._jobs = queue.SimpleQueue()
        self._results: deque[Callable[[], None]] = deque()
        self._closed = False
        self._submitted = self._delivered = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T], then: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        """Queue a job. ``then`` gets what it returns, ``failed`` what it raises, both inside :meth:`poll`.

        RuntimeError once :meth:`close` was called.
        """
        if self._closed:
            raise RuntimeError("the worker is closed")
        self._submitted += 1
        self._jobs.put((job, then, failed))

    @property
    def pending(self) -> int:
        """Jobs whose result was not handed over yet."""
        return self._submitted - self._delivered

    def poll(self, seconds: float = SECONDS_PER_POLL) -> None:
        """Hand over results, oldest first, at least one where there is one, until so many seconds are over.

        What a receiver raises passes through; the results after it wait for the next call.
        """
        end = time.monotonic() + seconds
        while self._results:
            deliver = self._results.popleft()
            self._delivered += 1
            deliver()
            if time.monotonic() >= end:
                break

    def close(self, timeout: float = 60.0) -> bool:
        """Take no more jobs and do those that are queued; whether all were done within ``timeout`` seconds.

        Their results wait for :meth:`poll`, in case there is still somebody to see them.
        """
        if not self._closed:
            self._closed = True
            self._jobs.put((_end, _ignore, _ignore))
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            job, then, failed = self._jobs.get()
            if job is _end:
                return
            try:
                result = job()
            except Exception as problem:
                self._results.append(_delivery(failed, problem))
            else:
                self._results.append(_delivery(then, result))
            del job, then, failed  # what they hold on to is free while the next job is waited for
            result = None


def _end() -> None:
    """Stands in the queue for the end."""


def _ignore(value: object) -> None:
    """For a result that nobody waits for."""


def _delivery(receive: Callable[[T], None], value: T) -> Callable[[], None]:
    return lambda: receive(value)
