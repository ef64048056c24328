"""The engine: one thread that owns the scene and everything that touches it.

Training steps, views, picks, exports and checkpoints happen here, one after another. Commands wait in a queue and
are taken between two steps; of views and picks only the newest counts. What happened comes back as events.

    window  --send(command)-->  [queue]  -->  engine thread  -->  [events]  --drain()-->  window

What it does once a scene is open is in :mod:`app.session`.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from app import protocol as p
from app.opened import opened_event
from app.scene_files import is_scene, opened_run
from app.session import Mail, Session
from renderer.cuda.splat import forget_rooms
from renderer.errors import InputError
from training.checkpoint import is_run
from training.config import TrainConfig
from training.device import OUT_OF_MEMORY, DeviceName, pick_device
from training.run import Run, free_folder

IDLE_WAIT = 0.05
"""Seconds to wait for a command when there is nothing to do."""
NICE = 5
"""Of a polite engine's threads: how much they leave to others, of 0 to 19."""
T = TypeVar("T")


class Engine:
    """Runs a :class:`training.run.Run` in a thread of its own.

    ``source``: a clip, the folder of a run, or a scene file or a checkpoint by itself, which can be looked at.
    ``run``: where a new run is kept; by default ``runs/NAME``.
    Nothing is written before training begins. ``device``: auto, cpu or cuda. ``polite``: other threads of the process
    come first where the processor is scarce, as those of a window should.
    """

    def __init__(
        self,
        source: str | Path,
        config: TrainConfig | None = None,
        run: Path | None = None,
        polite: bool = False,
        device: str = "cpu",
    ) -> None:
        self._polite, self._device = polite, device
        self.source, self._config, self._folder = str(source), config or TrainConfig(), run
        self._events: deque[p.Event] = deque()
        self._mail = Mail()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._main, name="engine")

    # --------------------------------------------------------------------------------- from other threads

    def start(self) -> None:
        """Begin to open the source; an Opened or a Failed event follows."""
        self._thread.start()

    def send(self, command: p.Command) -> None:
        """Hand over a command; returns at once."""
        with self._lock:
            match command:
                case p.Draw():
                    self._mail.looks[command.side] = command
                case p.Pick() | p.Unpick():
                    self._mail.picks[command.key] = command
                case _:
                    self._mail.commands.append(command)
        self._wake.set()

    def drain(self, limit: int = 100) -> list[p.Event]:
        """Take the events that have happened, oldest first."""
        with self._lock:
            return [self._events.popleft() for _ in range(min(limit, len(self._events)))]

    def end(self) -> None:
        """Save what was learned and end the thread; returns at once, :attr:`alive` says when it is done."""
        self._closing.set()
        self._wake.set()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self, timeout: float = 60.0) -> bool:
        """:meth:`end`, and wait; whether it ended in time."""
        self.end()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ------------------------------------------------------------------------------------ on the thread

    def _main(self) -> None:
        if self._polite and sys.platform == "linux":  # where a thread has a priority; those that it starts take it over
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        session = self._open()
        if session is None:
            return
        while not self._closing.is_set():
            self._wake.clear()
            if not session.turn(self._take()):
                self._wake.wait(IDLE_WAIT)
        session.end()

    def _open(self) -> Session | None:
        def report(text: str) -> None:
            self._emit(p.Status(text))
            if self._closing.is_set():
                raise InputError("closed while opening")

        def opened() -> Session:
            device = pick_device(self._device)
            run = self._run(Path(self.source), report, device)
            self._emit(opened_event(run))
            return Session(run, self._emit, self._guard)

        return self._guard(opened, "The scene could not be opened", closed=True)

    def _run(self, path: Path, report: Callable[[str], None], device: DeviceName) -> Run:
        if is_run(path) or is_scene(path):
            return opened_run(path, report, device, self._config.steps)
        folder = self._folder or free_folder(Path("runs") / (path.name.replace(":", "-") or "scene"))
        return Run.create(self.source, self._config, folder, report=report, device=device)

    def _take(self) -> Mail:
        with self._lock:
            mail, self._mail = self._mail, Mail()
        return mail

    def _emit(self, event: p.Event) -> None:
        with self._lock:
            if isinstance(event, p.Published):  # only the newest counts
                self._events = deque(e for e in self._events if not isinstance(e, p.Published))
            elif isinstance(event, p.Drawn):
                self._events = deque(e for e in self._events if not (isinstance(e, p.Drawn) and e.side == event.side))
            self._events.append(event)

    def _guard(self, job: Callable[[], T], what: str, closed: bool = False) -> T | None:
        """Run a job; an exception becomes a Failed event. ``closed``: the engine ends then."""
        try:
            return job()
        except InputError as problem:
            if not (closed and self._closing.is_set()):  # else it was wanted
                self._emit(p.Failed(str(problem), closed=closed))
        except OUT_OF_MEMORY:
            forget_rooms()
            advice = f"{what}: out of memory; use fewer Gaussians or smaller pictures"
            self._emit(p.Failed(advice, traceback.format_exc(), closed))
        except Exception as problem:
            self._emit(p.Failed(f"{what}: {type(problem).__name__}: {problem}", traceback.format_exc(), closed))
        return None
