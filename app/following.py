"""What shows the scene as it is now: looks, rays, copies of it, and where its cameras are. Only the engine's thread is
ever in here."""

from __future__ import annotations

import time
from collections.abc import Callable

from app import protocol as p
from app.jobs import RAY_SHARE, REDRAW_SHARE, Job, Rest, ray_through_time
from app.painter import Painter
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.scene import Scene
from training.depth_term import depth_term
from training.run import Run

PUBLISH_INTERVAL = 0.5
"""Seconds between two copies of the scene that are handed over while it is learned."""
CAMERAS_INTERVAL = 2.0
"""Seconds between two words of where learned cameras are."""

Guard = Callable[[Callable[[], object], str], object]


class Following:
    """Keeps what is shown up with what is learned. ``emit``: hands an event over. ``guard``: runs something whose
    failure becomes an event. ``jobs``: those that go on, by name, to which it adds what takes long."""

    def __init__(
        self, run: Run, painter: Painter, emit: Callable[[p.Event], None], guard: Guard, jobs: dict[str, Job]
    ) -> None:
        self._run, self._painter, self._emit, self._guard, self._jobs = run, painter, emit, guard, jobs
        self._looks: dict[p.Side, p.Look] = {}
        self._picks: dict[str, p.Pick] = {}
        self._redrawn, self._followed = Rest(REDRAW_SHARE), Rest(RAY_SHARE)
        self._publishing, self._published_at, self._published_step = False, 0.0, -1
        self._cameras_at, self._cameras_moved = 0.0, False

    def look(self, side: p.Side, look: p.Look | None) -> None:
        """Somebody wants to see this on a side from now on; None: nobody looks."""
        self._jobs.pop(f"finer {side}", None)
        if look is None:
            self._looks.pop(side, None)
            return
        self._looks[side] = look
        self._guard(lambda: self._draw(side), "The view could not be drawn")

    def _draw(self, side: p.Side) -> None:
        look = self._looks[side]
        began = time.monotonic()
        self._emit(p.Drawn(self._painter.draw(look), look, side))
        self._redrawn.took(time.monotonic() - began)
        finer = self._painter.finer(look)
        if finer is not None:
            pieces = (None if frame is None else p.Drawn(frame, look, side) for frame in finer)
            self._jobs[f"finer {side}"] = Job(pieces, "The view could not be drawn")

    def pick(self, key: str, pick: p.Pick | p.Unpick) -> None:
        """Somebody wants to see this ray from now on, or no ray of this key any more."""
        self._picks.pop(key, None)
        self._jobs.pop(f"history {key}", None)
        if isinstance(pick, p.Unpick):
            return
        if self._guard(lambda: self._answer(pick), "The ray could not be read") is True:
            if pick.step is None:
                self._picks[key] = pick
            pieces = ray_through_time(self._run.trainer, pick, self._scene_of(pick))
            self._jobs[f"history {key}"] = Job(pieces, "The ray could not be read", Rest(0.3))

    def _answer(self, pick: p.Pick) -> bool:
        trainer = self._run.trainer
        step = trainer.done if pick.step is None else pick.step
        try:
            ray = trainer.ray(pick.view, pick.pixel, self._scene_of(pick))
        except ValueError as problem:
            raise InputError(str(problem)) from None
        temperature = depth_term(trainer.config).temperature(step)
        self._emit(p.Picked(ray, step, trainer.sampled_depths(ray, step), temperature, pick.key))
        return True

    def _scene_of(self, pick: p.Pick) -> Scene | None:
        """The scene that is asked about; None for the present one."""
        return None if pick.step is None else self._painter.scene(pick.step)

    def keep_up(self) -> None:
        """Renew what shows the scene as it is now, within the time that this may take."""
        if self._redrawn.over:
            for side, look in self._looks.items():
                if look.live:
                    self._draw(side)
        if self._followed.over:
            began = time.monotonic()
            for pick in self._picks.values():
                self._answer(pick)
            self._followed.took(time.monotonic() - began)
        if time.monotonic() - self._published_at > PUBLISH_INTERVAL:
            self._publish()
        self._tell_cameras(time.monotonic() - self._cameras_at > CAMERAS_INTERVAL)

    def _tell_cameras(self, due: bool = True) -> None:
        """Where the cameras are, where training has moved them since."""
        trainer = self._run.trainer
        learned = trainer.cameras.learned
        if not due or learned is None or not (learned.moving(trainer.done) or self._cameras_moved):
            return
        self._cameras_at, self._cameras_moved = time.monotonic(), learned.moving(trainer.done)
        clip = trainer.clip()
        virtual = tuple(clip.generated.cameras) if clip.generated is not None and trainer.generated else ()
        self._emit(p.CamerasMoved(tuple(clip.shots), virtual))

    def show_all(self) -> None:
        """Renew all that shows the scene as it is now, at once."""
        self._tell_cameras()
        for side, look in self._looks.items():
            if look.live:
                self._draw(side)
        for pick in self._picks.values():
            self._answer(pick)
        self._publish()

    def hand_over(self) -> None:
        """From now on somebody draws the scene without the engine."""
        self._publishing = True
        self._publish()

    def _publish(self) -> None:
        """Hand over a copy of the scene, where somebody wants it and it has changed."""
        scene, step = self._run.trainer.scene, self._run.trainer.done
        if not self._publishing or not isinstance(scene, Gaussians) or step == self._published_step:
            return
        self._emit(p.Published(scene.cloned(), step))
        self._published_at, self._published_step = time.monotonic(), step
