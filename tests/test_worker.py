"""Small jobs beside the window's loop."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from app.worker import Worker


def polled(worker: Worker, seconds: float = 5.0) -> None:
    """Poll until nothing is pending, as the window's loop does."""
    end = time.monotonic() + seconds
    while worker.pending:
        assert time.monotonic() < end, "the jobs never ended"
        worker.poll()
        time.sleep(0.001)


def unexpected(value: object) -> None:
    raise AssertionError(value)


def test_jobs_run_in_order_on_their_own_thread_and_results_come_on_ours() -> None:
    worker = Worker("jobs")
    done: list[tuple[int, str, str]] = []

    def submit(k: int) -> None:
        worker.submit(
            lambda: (k, threading.current_thread().name),
            lambda result: done.append((*result, threading.current_thread().name)),
            unexpected,
        )

    for k in range(5):
        submit(k)
    assert done == []
    polled(worker)
    assert done == [(k, "jobs", threading.current_thread().name) for k in range(5)]
    assert worker.close(5)


def test_the_loop_does_not_wait_for_a_job() -> None:
    worker, gate = Worker(), threading.Event()
    worker.submit(gate.wait, lambda result: None, unexpected)
    began = time.monotonic()
    worker.poll()
    assert time.monotonic() - began < 0.1 and worker.pending == 1
    gate.set()
    polled(worker)
    worker.close(5)


def test_a_job_that_fails_says_so_and_the_next_one_runs() -> None:
    worker, failures, results = Worker(), [], []
    worker.submit(lambda: 1 // 0, unexpected, failures.append)
    worker.submit(lambda: 7, results.append, unexpected)
    polled(worker)
    assert [type(f) for f in failures] == [ZeroDivisionError] and results == [7]
    worker.close(5)


def test_a_receiver_that_fails_does_not_lose_the_results_after_it() -> None:
    worker, results = Worker(), []
    worker.submit(lambda: 1, unexpected, unexpected)
    worker.submit(lambda: 2, results.append, unexpected)
    assert worker.close(5)
    with pytest.raises(AssertionError):
        worker.poll()
    worker.poll()
    assert results == [2] and worker.pending == 0


def test_a_flood_of_results_does_not_hold_a_frame_up() -> None:
    worker, seen = Worker(), []

    def receive(k: int) -> None:
        seen.append(k)
        time.sleep(0.002)

    for k in range(50):
        worker.submit(lambda k=k: k, receive, unexpected)  # type: ignore[misc]
    assert worker.close(5)
    worker.poll()
    assert 0 < len(seen) < 25
    polled(worker)
    assert seen == list(range(50))


def test_closing_finishes_what_is_queued() -> None:
    worker, written = Worker(), []
    for k in range(20):
        worker.submit(lambda k=k: (time.sleep(0.002), written.append(k)), lambda r: None, unexpected)  # type: ignore[misc]
    assert worker.close(5)
    assert written == list(range(20))
    with pytest.raises(RuntimeError):
        worker.submit(lambda: None, lambda r: None, unexpected)
    assert worker.close(5)


def test_closing_does_not_wait_for_ever() -> None:
    worker, gate = Worker(), threading.Event()
    worker.submit(gate.wait, lambda result: None, unexpected)
    began = time.monotonic()
    assert not worker.close(0.05)
    assert time.monotonic() - began < 1
    gate.set()
    assert worker.close(5)


def test_nothing_of_a_job_is_kept_once_it_is_done() -> None:
    class Large:
        pass

    worker, thing = Worker(), Large()
    alive = weakref.ref(thing)
    worker.submit(lambda thing=thing: thing, lambda result: None, unexpected)  # type: ignore[misc]
    del thing
    polled(worker)
    gc.collect()
    assert alive() is None
    worker.close(5)
