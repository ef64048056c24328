"""What ``dynview inspect`` looks at: a scene of a run, at a step, in a view, with the depth that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.ray_report import RayReport
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.scene import Scene, ray_distribution
from renderer.view import View
from training.checkpoint import load_checkpoint
from training.data.dataset import Dataset
from training.depth_term import depth_term
from training.run import Run

SAME_INSTANT = 0.1
"""Frames by which --time may miss a picture of the clip whose depth is known: times are typed with few digits."""


@dataclass(frozen=True)
class Subject:
    """What is looked at: a ``scene`` of a ``run`` at a ``step``, in a ``view``. ``name``: for titles.
    ``target``: (H, W) depth that the clip has of the view, scene units, NaN where none is known."""

    name: str
    run: Run
    scene: Scene
    step: int
    view: View
    target: NDArray[np.float32] | None


def target_depth(run: Run, index: int) -> NDArray[np.float32] | None:
    """(H, W) depth along +z that is known of a shot, scene units, NaN where none is; None where the clip has none."""
    camera = run.dataset.shots[index].camera
    return run.trainer.targets.known_depth(index, camera.width, camera.height)


def subject_of(run: Run, view: View, camera: str, step: int | None) -> Subject:
    """The view of a run's newest scene, or of that of a ``step`` whose checkpoint is still there."""
    scene, done = run.trainer.scene, run.trainer.done
    if step is not None and step != done:
        checkpoint = load_checkpoint(run.folder, with_training=False, step=step)
        scene, done = checkpoint.scene, checkpoint.step
    index = _shot_of(run.trainer.clip(), view)
    target = None if index is None else target_depth(run, index)
    if target is not None:
        target = np.where(target > 0, target, np.float32(np.nan))
    name = f"{run.folder.resolve().name} ({run.config.method}), step {done} · {camera} · time {view.time:.4g}"
    return Subject(name, run, scene, done, view, target)


def _shot_of(clip: Dataset, view: View) -> int | None:
    """The shot whose picture a view is, if it is one."""
    frames = max(1, clip.frame_count - 1)
    for index, shot in enumerate(clip.shots):
        if shot.camera == view.camera and abs(shot.time - view.time) * frames < SAME_INSTANT:
            return index
    return None


def ray_report(subject: Subject, pixel: tuple[int, int], depths: tuple[float, float]) -> RayReport:
    """The weights along the ray of a pixel (x, y), between the nearest and the farthest depth, scene units. InputError
    for a pixel outside of the picture."""
    try:
        ray = ray_distribution(subject.scene, subject.view, pixel)
    except ValueError as problem:
        raise InputError(f"--pixel: {problem}") from None
    x, y = pixel
    if subject.target is not None and np.isfinite(subject.target[y, x]):
        ray = replace(ray, target_depth=float(subject.target[y, x]))
    trainer = subject.run.trainer
    return RayReport(
        f"{subject.name} · pixel {x},{y}",
        ray,
        *depths,
        samples=trainer.sampled_depths(ray),
        temperature=depth_term(trainer.config).temperature(trainer.done),
        kind="Gaussian" if isinstance(subject.scene, Gaussians) else "sample",
    )
