"""Making a scene folder of what was filmed, in a process of its own: the window stays quick, and a crash of a library
that finds cameras ends nothing else."""

from __future__ import annotations

import multiprocessing
import os
import queue
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Literal

from renderer.errors import InputError
from training.data.recognise import VIDEO_SUFFIXES

LOWER = 5
"""By how much the process is nicer than the window."""
Kind = Literal["said", "failure", "detail"]
"""Of what the process says."""


def scene_beside(sources: Sequence[Path]) -> Path:
    """The folder that is made of what was filmed, beside it: the first of NAME-scene, NAME-scene-2, ... that holds
    nothing else."""
    from training.prepare.pipeline import is_free

    first = sources[0]
    name = first.stem if first.suffix.lower() in VIDEO_SUFFIXES else first.name
    folder, k = first.parent / f"{name}-scene", 2
    with suppress(InputError):  # what is wrong with the sources is said when they are prepared
        while not is_free(folder, sources):
            folder, k = first.parent / f"{name}-scene-{k}", k + 1
    return folder


class Preparing:
    """Makes the scene folder ``out`` of ``sources``. ``said``: the newest sentence. ``failure``: why it ended early,
    one sentence, and ``detail``, where nobody expected it; both empty else."""

    def __init__(self, sources: Sequence[Path], out: Path) -> None:
        self.sources, self.out = tuple(sources), out
        self.said, self.failure, self.detail = "Beginning", "", ""
        self.stopping = False
        context = multiprocessing.get_context("spawn")
        self._lines: Queue[tuple[Kind, str]] = context.Queue()
        self._stop: Event = context.Event()
        self._process = context.Process(
            target=_prepare, args=(list(sources), out, self._lines, self._stop), name="prepare", daemon=True
        )
        self._process.start()

    def poll(self) -> bool:
        """Take what was said since; whether it goes on."""
        alive = self._process.is_alive()  # before the last look, or its last words would be lost
        with suppress(queue.Empty):
            while True:
                self._take(*self._lines.get_nowait())
        if not alive and not self.failure and self._process.exitcode != 0:
            self.failure = f"{self.out}: finding its cameras ended unexpectedly; what is finished counts the next time"
        return alive

    def _take(self, kind: Kind, text: str) -> None:
        match kind:
            case "said":
                self.said = text
            case "failure":
                self.failure = text
            case "detail":
                self.detail = text

    def stop(self) -> None:
        """End it soon; what is finished counts the next time."""
        self.stopping = True
        self._stop.set()

    def close(self, patience: float = 5.0) -> None:
        """End it, after so many seconds at the latest."""
        self.stop()
        self._process.join(patience)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


def _prepare(sources: list[Path], out: Path, lines: Any, stop: Any) -> None:
    """The process."""
    from training.prepare.decode import StoppedError
    from training.prepare.pipeline import PrepareOptions, prepare

    window = multiprocessing.parent_process()

    def should_stop() -> bool:
        return bool(stop.is_set()) or (window is not None and not window.is_alive())

    os.nice(LOWER)
    try:
        prepare(sources, out, PrepareOptions(), report=lambda text: lines.put(("said", text)), should_stop=should_stop)
    except StoppedError:
        lines.put(("failure", f"{out}: stopped; what is finished counts the next time"))
    except InputError as problem:
        lines.put(("failure", str(problem)))
    except Exception as problem:
        lines.put(("detail", traceback.format_exc()))
        lines.put(("failure", f"{out}: {type(problem).__name__}: {problem}"))
