"""What the engine does with an open run: commands, pictures, rays, long jobs, training steps, one after another.

Only the engine's thread is ever in here. A turn is: commands, the newest looks and picks, a piece of each long job, one
training step. Whatever waits, waits for one step at most.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app import jobs
from app import protocol as p
from app.exports.jobs import exported
from app.following import Following, Guard
from app.jobs import FRAMES_SHARE, REDRAW_SHARE, Job, Rest
from app.opened import planned
from app.painter import Painter
from training.checkpoint import checkpoint_folder, checkpoint_steps
from training.device import OUT_OF_MEMORY
from training.facts import StepReport
from training.run import Run

PROGRESS_INTERVAL = 0.1
"""Seconds between two Progress events."""
RATE_WINDOW = 50
"""Steps over which the rate and the served share are measured."""
NOT_SAVED = "The checkpoint could not be written"


@dataclass
class Mail:
    """What came in since it was last looked into: of looks and picks the newest by side and by key."""

    commands: list[p.Command] = field(default_factory=list)
    looks: dict[p.Side, p.Draw] = field(default_factory=dict)
    picks: dict[str, p.Pick | p.Unpick] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.commands or self.looks or self.picks)


class Session:
    """``emit``: hands an event over. ``guard``: runs something whose failure becomes an event."""

    def __init__(self, run: Run, emit: Callable[[p.Event], None], guard: Guard) -> None:
        self._run, self._emit, self._guard = run, emit, guard
        self._painter = Painter(run)
        self._until: int | None = None
        self._saved_at = run.trainer.done
        self._jobs: dict[str, Job] = {}
        self._following = Following(run, self._painter, emit, guard, self._jobs)
        self._stamps: deque[float] = deque(maxlen=RATE_WINDOW)
        self._served: deque[float] = deque(maxlen=RATE_WINDOW)
        self._serving = 0.0
        self._stepped, self._ending = False, False
        self._progress_at = 0.0
        self._milestones = planned(run)

    def turn(self, mail: Mail) -> bool:
        """One round; False when there was nothing to do."""
        began = time.monotonic()
        for command in mail.commands:
            self._guard(lambda c=command: self._obey(c), "The command failed")  # type: ignore[misc]
        for side, draw in mail.looks.items():
            self._following.look(side, draw.look)
        for key, pick in mail.picks.items():
            self._following.pick(key, pick)
        self._serving += time.monotonic() - began
        worked = self._advance_jobs()
        if self._until is not None:
            self._guard_training()
            worked = True
        return worked or bool(mail)

    def end(self) -> None:
        """Keep what was learned and stop long jobs."""
        self._ending = True
        if self._run.begun and self._run.trainer.done > self._saved_at:
            self._guard(self._save, NOT_SAVED)
        for key in list(self._jobs):
            self._guard(lambda k=key: self._drop(k), "What was begun could not be tidied up")  # type: ignore[misc]

    # ---------------------------------------------------------------------------------------- commands

    def _obey(self, command: p.Command) -> None:
        run = self._run
        match command:
            case p.Train():
                self._start_training(command.until)
            case p.Pause():
                self._stand_still()
            case p.Stop():
                self._stand_still()
                if run.begun and run.trainer.done > self._saved_at:
                    self._save()
            case p.Configure():
                self._configure(dict(command.values))
            case p.Save():
                run.begin()
                self._save()
            case p.Publish():
                self._following.hand_over()
            case p.PickLine():
                self._emit(jobs.picked_line(run.trainer, command))
            case p.WatchFrames() if run.has_clip:
                self._jobs["energies"] = Job(jobs.frame_energies(run), "Frames could not be read", Rest(FRAMES_SHARE))
                self._jobs["errors"] = Job(jobs.frame_errors(run), "Frames could not be compared", Rest(FRAMES_SHARE))
            case p.MeasureDistortion():
                pieces, rest = jobs.measured_distortion(run.trainer, command.head), Rest(REDRAW_SHARE)
                what = "The distortion could not be measured"
                self._jobs["distortion"] = Job(pieces, what, rest if command.patient else None)
            case p.SliceTime():
                self._jobs["slice"] = Job(
                    jobs.sliced_time(run.trainer, command), "The generated pictures could not be read"
                )
            case p.ShowCameras() if run.has_clip:
                self._jobs["cameras"] = Job(jobs.shown_cameras(run), "A picture could not be read", Rest(FRAMES_SHARE))
            case p.Evaluate():
                self._jobs["evaluation"] = Job(jobs.evaluated(run), "Evaluation failed", for_window=False)
            case p.Export():
                self._export(command)
            case p.CancelExport():
                self._drop("export")

    def _configure(self, values: dict[str, object]) -> None:
        self._run.reconfigure(values)
        self._configured(tuple(values))

    def _configured(self, changed: tuple[str, ...]) -> None:
        self._milestones = planned(self._run)
        self._emit(p.Configured(self._run.config, changed, self._run.trainer.done, self._milestones))

    def _export(self, command: p.Export) -> None:
        if "export" in self._jobs:
            self._emit(p.Warned("Something is being exported already; cancel it or wait for its end"))
            self._emit(p.ExportProgress(0, 1, command.plan.path, cancelled=True))
            return
        job = exported(self._run, self._painter, command.plan)
        self._jobs["export"] = Job(job, "The export failed", for_window=False)

    def _drop(self, key: str) -> None:
        """End a job early; an export says so, for its files are gone."""
        job = self._jobs.pop(key, None)
        try:
            if job is not None:
                job.pieces.close()  # type: ignore[attr-defined]
        finally:
            if key == "export" and (job is not None or not self._ending):
                self._emit(p.ExportProgress(0, 1, cancelled=True))

    # ---------------------------------------------------------------------------------------- training

    def _start_training(self, until: int | None) -> None:
        trainer = self._run.trainer
        if trainer.finished and self._run.has_clip:
            self._emit(p.Finished(trainer.done))
            return
        self._run.begin()
        self._until = min(until or trainer.steps, trainer.steps)
        self._stamps.clear()
        self._served.clear()
        if not self._stepped:
            self._emit(p.Status("Compiling the kernels; the first step takes longest"))
        self._emit(p.Started(trainer.done, trainer.steps))

    def _stand_still(self) -> None:
        """Pause; everything that is shown becomes that of the last step."""
        if self._until is None:
            return
        self._until = None
        self._guard(self._following.show_all, "The scene could not be shown")
        self._emit(p.Paused(self._run.trainer.done))

    def _guard_training(self) -> None:
        before = self._run.trainer.done
        done = self._guard(self._train_step, "Training stopped")
        trainer = self._run.trainer
        at = trainer.done
        if done is not True and (at == before or (self._until is not None and at >= self._until)):
            # stand still rather than fail again, or go too far
            self._until = None
            self._emit(p.Finished(at) if trainer.finished else p.Paused(at))

    def _train_step(self) -> bool:
        """A step; True, as it was done or can be tried again."""
        run, trainer = self._run, self._run.trainer
        try:
            report = run.step()
        except OUT_OF_MEMORY:
            report = None  # and with the exception goes what the failed step still holds
        if report is None:
            self._economise()
            return True
        if not self._stepped:
            self._stepped = True
            self._emit(p.Status("Training"))
        self._stamps.append(time.monotonic())
        self._served.append(self._serving)
        self._serving = 0.0
        for milestone in self._milestones:
            if milestone.is_at(trainer.done):
                self._emit(p.Milestone(trainer.done, milestone.text))
        reached = self._until is not None and trainer.done >= self._until
        if reached or self._stamps[-1] - self._progress_at >= PROGRESS_INTERVAL:
            self._report(report)
        if run.is_due(run.config.save_every):
            self._guard(self._save, NOT_SAVED)
        if run.is_due(run.config.evaluate_every) and "evaluation" not in self._jobs:
            self._obey(p.Evaluate())
        began = time.monotonic()
        self._following.keep_up()
        self._serving += time.monotonic() - began
        if reached:
            self._until = None
            self._guard(self._following.show_all, "The scene could not be shown")
            self._emit(p.Finished(trainer.done) if trainer.finished else p.Paused(trainer.done))
        return True

    def _economise(self) -> None:
        """Go on with less after memory was short; InputError where that cannot be."""
        self._painter.forget()
        text = self._run.economise()
        trainer, saved = self._run.trainer, checkpoint_steps(self._run.folder)
        if trainer.done in saved:
            self._saved_at = trainer.done
            self._emit(p.Saved(trainer.done, checkpoint_folder(self._run.folder, trainer.done), tuple(saved)))
        self._configured(("densify.stop", "densify.max_gaussians"))
        self._emit(p.Warned(text))

    def _report(self, report: StepReport) -> None:
        trainer, stamps = self._run.trainer, self._stamps
        self._progress_at = stamps[-1]
        passed = max(stamps[-1] - stamps[0], 1e-9)
        rate = (len(stamps) - 1) / passed if len(stamps) > 1 else 0.0
        eta = (trainer.steps - trainer.done) / rate if rate > 0 else float("nan")
        served = min(1.0, sum(list(self._served)[1:]) / passed) if len(stamps) > 1 else 0.0
        facts = trainer.facts()
        self._emit(
            p.Progress(
                trainer.done, trainer.steps, report.loss, report.psnr, report.size, trainer.unit, rate, eta,
                parts=facts.parts, turned=facts.turned, shifted=facts.shifted, memory=facts.memory, served=served,
            )
        )  # fmt: skip

    def _save(self) -> None:
        path = self._run.save()
        self._saved_at = self._run.trainer.done
        self._emit(p.Saved(self._saved_at, path, tuple(checkpoint_steps(self._run.folder))))

    # --------------------------------------------------------------------------------------------- jobs

    def _advance_jobs(self) -> bool:
        """A piece of everything that takes long; whether any had something to do."""
        training, worked = self._until is not None, False
        for key, job in list(self._jobs.items()):
            if training and (key.startswith("finer") or (job.rest is not None and not job.rest.over)):
                continue
            began = time.monotonic()
            worked = self._advance(key, job) or worked
            seconds = time.monotonic() - began
            if job.rest is not None:
                job.rest.took(seconds)
            if job.for_window:
                self._serving += seconds
        return worked

    def _advance(self, key: str, job: Job) -> bool:
        """A piece of a job, which is let go of at its end; whether it had something to do."""
        pieces: list[p.Event | jobs.Idle | None] = []
        self._guard(lambda: pieces.extend(itertools.islice(job.pieces, 1)), job.what)
        if not pieces:
            self._drop(key)
        elif isinstance(pieces[0], jobs.Idle):
            return False
        elif pieces[0] is not None:
            self._emit(pieces[0])
            if isinstance(pieces[0], p.ExportProgress) and pieces[0].finished:
                self._jobs.pop(key)  # nothing comes after, and the next export may begin
        return True
