"""The engine: one thread that owns the scene and everything that touches it.

Training steps, views, picks, exports and checkpoints happen here, one after another. Commands wait in a queue and
are taken between two steps; of views and picks only the newest counts. What happened comes back as events.

    window  --send(command)-->  [queue]  -->  engine thread  -->  [events]  --drain()-->  window
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import numpy as np

from app import protocol as p
from app.video import VideoWriter, to_uint8
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.paths import focus_point
from renderer.scene import render
from renderer.view import View
from training.checkpoint import is_run
from training.config import TrainConfig
from training.data.dataset import Dataset, Split
from training.evaluation import score, spread
from training.run import Run

PROGRESS_INTERVAL = 0.1
"""Seconds between two Progress events."""
REDRAW_SHARE = 0.2
"""Share of the time that goes into redrawing an unchanged view while the scene is learned."""
PUBLISH_INTERVAL = 0.5
"""Seconds between two copies of the scene that are handed over while it is learned."""
IDLE_WAIT = 0.05
"""Seconds to wait for a command when there is nothing to do."""
RATE_WINDOW = 50
"""Steps over which the rate is measured."""
EVALUATION_VIEWS = 12
"""Views of an evaluation while training; ``dynview evaluate`` measures all."""


T = TypeVar("T")
Job = Generator[None, None, None]


class Engine:
    """Runs a :class:`training.run.Run` in a thread of its own.

    ``source``: a clip, or the folder of a run. ``run``: where a new run is kept; by default ``runs/NAME``.
    Nothing is written before training begins.
    """

    def __init__(self, source: str | Path, config: TrainConfig | None = None, run: Path | None = None) -> None:
        self._source, self._config, self._folder = str(source), config or TrainConfig(), run
        self._commands: queue.SimpleQueue[p.Command] = queue.SimpleQueue()
        self._events: deque[p.Event] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._draw: p.Draw | None = None
        self._pick: p.Pick | None = None
        self._thread = threading.Thread(target=self._main, name="engine")

    # --------------------------------------------------------------------------------- from other threads

    def start(self) -> None:
        """Begin to open the source; an Opened or a Failed event follows."""
        self._thread.start()

    def send(self, command: p.Command) -> None:
        """Hand over a command; returns at once."""
        with self._lock:
            if isinstance(command, p.Draw):
                self._draw = command
            elif isinstance(command, p.Pick):
                self._pick = command
            else:
                self._commands.put(command)
        self._wake.set()

    def drain(self, limit: int = 100) -> list[p.Event]:
        """Take the events that have happened, oldest first."""
        with self._lock:
            return [self._events.popleft() for _ in range(min(limit, len(self._events)))]

    def close(self, timeout: float = 60.0) -> bool:
        """Save what was learned and end the thread; whether it ended in time."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ------------------------------------------------------------------------------------ on the thread

    def _main(self) -> None:
        session = self._guard(self._open, "The scene could not be opened")
        if session is None:
            return
        while not self._closing.is_set():
            if not session.turn():
                self._wake.wait(IDLE_WAIT)
            self._wake.clear()
        session.end()

    def _open(self) -> _Session:
        def report(text: str) -> None:
            self._emit(p.Status(text))
            if self._closing.is_set():
                raise InputError("closed while opening")

        if is_run(Path(self._source)):
            run = Run.open(Path(self._source), steps=self._config.steps, report=report)
        else:
            folder = self._folder or _free_folder(Path("runs") / (Path(self._source).name.replace(":", "-") or "scene"))
            run = Run.create(self._source, self._config, folder, report=report)
        session = _Session(run, self._take, self._emit, self._guard)
        self._emit(_opened(run))
        return session

    def _take(self) -> tuple[list[p.Command], p.Draw | None, p.Pick | None]:
        with self._lock:
            draw, pick, self._draw, self._pick = self._draw, self._pick, None, None
        commands = []
        while not self._commands.empty():
            commands.append(self._commands.get())
        return commands, draw, pick

    def _emit(self, event: p.Event) -> None:
        with self._lock:
            if isinstance(event, p.Drawn | p.Published):  # only the newest counts
                self._events = deque(e for e in self._events if type(e) is not type(event))
            self._events.append(event)

    def _guard(self, job: Callable[[], T], what: str) -> T | None:
        """Run a job; an exception becomes a Failed event."""
        try:
            return job()
        except InputError as problem:
            self._emit(p.Failed(str(problem)))
        except MemoryError:
            self._emit(
                p.Failed(f"{what}: out of memory; use fewer Gaussians or smaller pictures", traceback.format_exc())
            )
        except Exception as problem:
            self._emit(p.Failed(f"{what}: {type(problem).__name__}: {problem}", traceback.format_exc()))
        return None


class _Session:
    """What the engine does once a run is open. Only the engine's thread is ever in here."""

    def __init__(
        self,
        run: Run,
        take: Callable[[], tuple[list[p.Command], p.Draw | None, p.Pick | None]],
        emit: Callable[[p.Event], None],
        guard: Callable[[Callable[[], object], str], object],
    ) -> None:
        self._run, self._take, self._emit, self._guard = run, take, emit, guard
        self._until: int | None = None
        self._saved_at = run.trainer.done
        self._view: View | None = None
        self._picked: p.Pick | None = None
        self._draw_seconds = 0.0
        self._drawn_at = 0.0
        self._publishing, self._published_at, self._published_step = False, 0.0, -1
        self._stamps: deque[float] = deque(maxlen=RATE_WINDOW)
        self._progress_at = 0.0
        self._export: Job | None = None
        self._evaluation: Job | None = None
        self._finer: Job | None = None
        self._history: Job | None = None

    def turn(self) -> bool:
        """One round: commands, the newest view and pick, one piece of each long job, one step. False when idle."""
        commands, draw, pick = self._take()
        for command in commands:
            self._guard(lambda c=command: self._obey(c), "The command failed")  # type: ignore[misc]
        if draw is not None:
            self._view = draw.view
            if self._view is not None:
                self._guard(self._redraw, "The view could not be drawn")
        if pick is not None:
            self._guard(lambda: self._answer(pick), "The ray could not be read")
            self._history = None if self._picked is None else self._through_time(pick)
        worked = self._advance_jobs()
        if self._until is not None:
            self._guard_training()
            worked = True
        return worked or bool(commands) or draw is not None or pick is not None

    def end(self) -> None:
        """Stop long jobs and keep what was learned."""
        if self._export is not None:
            self._export.close()
        if self._run.begun and self._run.trainer.done > self._saved_at:
            self._guard(self._save, "The checkpoint could not be written")

    # ---------------------------------------------------------------------------------------- commands

    def _obey(self, command: p.Command) -> None:
        run = self._run
        match command:
            case p.Train():
                self._start_training(command.until)
            case p.Pause():
                if self._until is not None:
                    self._until = None
                    if self._view is not None:
                        self._redraw()
                    self._publish()
                    self._emit(p.Paused(run.trainer.done))
            case p.Save():
                run.begin()
                self._save()
            case p.PickRow():
                self._answer_row(command)
            case p.Publish():
                self._publishing = True
                self._publish()
            case p.Evaluate():
                self._evaluation = self._evaluated()
            case p.Export():
                if self._export is None:
                    self._export = self._exported(command)
                else:
                    self._emit(p.Warned("A video is being written already; cancel it or wait for its end"))
            case p.CancelExport():
                if self._export is not None:
                    self._export.close()
                    self._export = None

    def _start_training(self, until: int | None) -> None:
        trainer = self._run.trainer
        if trainer.finished:
            self._emit(p.Finished(trainer.done))
            return
        self._run.begin()
        self._until = min(until or trainer.steps, trainer.steps)
        self._stamps.clear()
        self._emit(p.Status("Compiling the kernels; the first step takes longest"))
        self._emit(p.Started(trainer.done, trainer.steps))

    # ---------------------------------------------------------------------------------------- training

    def _guard_training(self) -> None:
        before = self._run.trainer.done
        self._guard(self._train_step, "Training stopped")
        if self._run.trainer.done == before:  # the step failed: stand still rather than fail again
            self._until = None
            self._emit(p.Paused(before))

    def _train_step(self) -> None:
        run, trainer = self._run, self._run.trainer
        report = run.step()
        now = time.monotonic()
        if not self._stamps:
            self._emit(p.Status("Training"))
        self._stamps.append(now)
        reached = self._until is not None and trainer.done >= self._until
        if reached or now - self._progress_at >= PROGRESS_INTERVAL:
            self._progress_at = now
            rate = self._rate()
            eta = (trainer.steps - report.step) / rate if rate > 0 else float("nan")
            self._emit(
                p.Progress(report.step, trainer.steps, report.loss, report.psnr, report.size, trainer.unit, rate, eta)
            )
        if self._view is not None and now - self._drawn_at > self._draw_seconds / REDRAW_SHARE:
            self._redraw()
        if now - self._published_at > PUBLISH_INTERVAL:
            self._publish()
        if run.is_due(run.config.save_every):
            self._save()
        if run.is_due(run.config.evaluate_every) and self._evaluation is None:
            self._evaluation = self._evaluated()
        if reached:
            self._until = None
            if self._view is not None:
                self._redraw()
            self._publish()
            self._emit(p.Finished(trainer.done) if trainer.finished else p.Paused(trainer.done))

    def _rate(self) -> float:
        if len(self._stamps) < 2:
            return 0.0
        return (len(self._stamps) - 1) / max(self._stamps[-1] - self._stamps[0], 1e-9)

    def _save(self) -> None:
        path = self._run.save()
        self._saved_at = self._run.trainer.done
        self._emit(p.Saved(self._saved_at, path))

    # ------------------------------------------------------------------------------------------- views

    def _redraw(self) -> None:
        assert self._view is not None
        started = time.monotonic()
        frame = self._run.trainer.draw(self._view)
        self._emit(p.Drawn(frame))
        self._finer = self._drawn_finely(self._view)
        if self._picked is not None and self._until is not None:
            self._answer(self._picked)
        self._drawn_at = time.monotonic()
        self._draw_seconds = self._drawn_at - started

    def _publish(self) -> None:
        """Hand over a copy of the scene, where somebody wants it and it has changed."""
        scene, step = self._run.trainer.scene, self._run.trainer.done
        if not self._publishing or not isinstance(scene, Gaussians) or step == self._published_step:
            return
        self._emit(p.Published(scene.cloned(), step))
        self._published_at, self._published_step = time.monotonic(), step
        if self._picked is not None:
            self._answer(self._picked)

    def _drawn_finely(self, view: View) -> Job:
        """What a scene that is slow to draw is drawn into while nothing else is asked for."""
        for frame in self._run.trainer.drawn_finely(view) or ():
            if frame is not None:
                self._emit(p.Drawn(frame))
            yield

    def _answer(self, pick: p.Pick) -> None:
        self._picked, trainer = None, self._run.trainer
        try:
            ray = trainer.ray(pick.view, pick.pixel)
        except ValueError as problem:
            raise InputError(str(problem)) from None
        self._picked = pick
        self._emit(p.Picked(ray, trainer.done, trainer.sampled_depths(ray)))

    def _answer_row(self, pick: p.PickRow) -> None:
        try:
            edges, slices = self._run.trainer.rows(pick.view, pick.row)
        except ValueError as problem:
            raise InputError(str(problem)) from None
        self._emit(p.RowPicked(pick, edges, slices, self._run.trainer.done))

    # ------------------------------------------------------------------------------------------- jobs

    def _advance_jobs(self) -> bool:
        """One piece of everything that takes long."""
        if self._history is not None and not self._guard(lambda: _advance(self._history), "The ray could not be read"):
            self._history = None
        busy = self._history is not None or self._export is not None or self._evaluation is not None
        if self._export is not None and not self._guard(
            lambda: _advance(self._export), "The video could not be written"
        ):
            self._export = None
        if self._evaluation is not None and not self._guard(lambda: _advance(self._evaluation), "Evaluation failed"):
            self._evaluation = None
        if self._finer is not None and self._until is None:
            busy = True
            if not self._guard(lambda: _advance(self._finer), "The view could not be drawn"):
                self._finer = None
        return busy

    def _through_time(self, pick: p.Pick) -> Job:
        for history in self._run.trainer.ray_through_time(pick.view, pick.pixel):
            if history is not None:
                self._emit(p.PickedThroughTime(history))
            yield

    def _exported(self, job: p.Export) -> Job:
        total = len(job.views)
        try:
            with VideoWriter(job.path, job.fps) as writer:
                for done, view in enumerate(job.views, start=1):
                    writer.add(to_uint8(render(self._run.trainer.scene, view).color))
                    self._emit(p.ExportProgress(done, total, job.path))
                    yield
        except GeneratorExit:
            self._emit(p.ExportProgress(0, total, job.path, cancelled=True))
            raise
        self._emit(p.ExportProgress(total, total, job.path, finished=True))

    def _evaluated(self) -> Job:
        dataset, step = self._run.trainer.clip(), self._run.trainer.done
        split: Split = "test" if dataset.indices("test") else "train"
        scores = []
        for index in spread(dataset.indices(split), EVALUATION_VIEWS):
            scores.append(score(self._run.trainer.scene, dataset, index))
            yield
        psnr, ssim = (float(np.mean([getattr(s, name) for s in scores])) for name in ("psnr", "ssim"))
        if self._run.begun:
            self._run.log(step=step, split=split, psnr=psnr, ssim=ssim)
        self._emit(p.Evaluated(step, psnr, ssim, split))


def _advance(job: Job | None) -> bool:
    """Whether the job goes on."""
    return job is not None and next(job, _END) is not _END


_END = object()


def _opened(run: Run) -> p.Opened:
    dataset = run.trainer.clip()
    cameras = [dataset.shots[i].camera for i in dataset.indices("train")]
    center = focus_point(cameras, dataset.near, dataset.far)
    return p.Opened(
        name=dataset.name,
        shots=tuple(dataset.shots),
        home=home_camera(dataset),
        center=tuple(float(x) for x in center),  # type: ignore[arg-type]
        up=dataset.up,
        fps=dataset.fps,
        frame_count=dataset.frame_count,
        step=run.trainer.done,
        steps=run.trainer.steps,
        run=run.folder,
        virtual_cameras=tuple(dataset.generated.cameras) if dataset.generated and run.trainer.generated else (),
        has_distortion=run.trainer.generated is not None and run.trainer.generated.field is not None,
    )


def home_camera(dataset: Dataset) -> Camera:
    """The training camera nearest to the middle of them all."""
    cameras = [dataset.shots[i].camera for i in dataset.indices("train")]
    centers = np.stack([c.center for c in cameras])
    return cameras[int(np.linalg.norm(centers - np.median(centers, axis=0), axis=1).argmin())]


def _free_folder(folder: Path) -> Path:
    """``folder``, or the first of folder-2, folder-3, ... that does not exist."""
    candidate, k = folder, 2
    while candidate.exists():
        candidate, k = folder.with_name(f"{folder.name}-{k}"), k + 1
    return candidate
