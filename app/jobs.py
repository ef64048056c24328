"""What takes long, as generators of events: one piece between two training steps, None where a piece has nothing to
tell. Closing a generator ends the job; what it has half written is removed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from app import protocol as p
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.scene import Scene
from training.config import Head
from training.data.dataset import Split
from training.evaluation import score, spread
from training.frame_scores import frame_errors as errors_of_frames
from training.frame_scores import moving_energy
from training.overlay import UNITS, disagreement_pieces, time_slice
from training.run import Run
from training.trainer import Trainer


class Idle:
    """Yielded by a job that has nothing to do at present."""


IDLE = Idle()
Pieces = Iterator[p.Event | Idle | None]
EVALUATION_VIEWS = 12
"""Views of an evaluation while training; ``dynview evaluate`` measures all."""
THUMBNAIL_WIDTH = 96
MOST_THUMBNAILS = 48
"""Cameras whose pictures are shown."""
TELL_EVERY = 6
"""Pieces between two events of a job that tells what it has so far."""
REDRAW_SHARE, RAY_SHARE, FRAMES_SHARE = 0.06, 0.02, 0.02
"""Shares of the time that may go into redrawing looks that stay as they are, into the rays that are followed, and into
measuring frames, while the scene is learned: what nobody asked for anew. What somebody asks for is done at once."""


class Rest:
    """Keeps something that happens again and again within a share of the time."""

    def __init__(self, share: float) -> None:
        self._share, self._until = share, 0.0

    @property
    def over(self) -> bool:
        """Whether it may happen again."""
        return time.monotonic() >= self._until

    def took(self, seconds: float) -> None:
        """It has happened, and took so long."""
        self._until = time.monotonic() + seconds * (1 / self._share - 1)


@dataclass
class Job:
    """Something long, a piece at a time. ``what``: said when it fails. ``rest``: while the scene is learned, where it
    is not done at once. ``for_window``: whether it counts as work for the window."""

    pieces: Pieces
    what: str
    rest: Rest | None = None
    for_window: bool = True


def evaluated(run: Run) -> Pieces:
    """Scores of some held-out views, of input views where none is held out."""
    dataset, step = run.trainer.clip(), run.trainer.done
    split: Split = "test" if dataset.indices("test") else "train"
    scores = []
    for index in spread(dataset.indices(split), EVALUATION_VIEWS):
        scores.append(score(run.trainer.scene, dataset, index))
        yield None
    psnr, ssim = (float(np.mean([getattr(s, name) for s in scores])) for name in ("psnr", "ssim"))
    if run.begun:
        run.log(step=step, split=split, psnr=psnr, ssim=ssim)
    yield p.Evaluated(step, psnr, ssim, split)


def ray_through_time(trainer: Trainer, pick: p.Pick, scene: Scene | None = None) -> Pieces:
    """A picked ray over the clip, in the ``scene`` of the checkpoint that it asks about."""
    for history in trainer.ray_through_time(pick.view, pick.pixel, scene=scene):
        if history is None:
            yield None
        else:
            step = history.step if pick.step is None else pick.step
            yield p.PickedThroughTime(replace(history, step=step), pick.key)


def picked_line(trainer: Trainer, pick: p.PickLine) -> p.LinePicked:
    """The slice of weights under a line."""
    try:
        camera, row, columns = pick.view.camera.along(pick.start, pick.end)
    except ValueError as problem:
        raise InputError(str(problem)) from None
    edges, slices = trainer.rows(replace(pick.view, camera=camera), row)
    return p.LinePicked(pick, edges, {name: values[columns] for name, values in slices.items()}, trainer.done)


def frame_energies(run: Run) -> Pieces:
    """How much each frame moves, once."""
    values = np.full(run.dataset.frame_count, np.nan)
    for done, measured in enumerate(moving_energy(run.dataset), start=1):
        if measured is not None:
            values[measured[0]] = measured[1]
        yield p.FrameEnergies(values.copy()) if done % TELL_EVERY == 0 else None
    yield p.FrameEnergies(values)


def frame_errors(run: Run) -> Pieces:
    """How well each frame is reproduced, again and again: from where the scene has changed since."""
    trainer, looked_at = run.trainer, -1
    values = np.full(run.dataset.frame_count, np.nan)
    while True:
        if trainer.done == looked_at:
            yield IDLE
            continue
        looked_at = trainer.done
        for done, measured in enumerate(errors_of_frames(trainer), start=1):
            if measured is not None:
                values[measured[0]] = measured[1]
            yield p.FrameErrors(values.copy(), trainer.done) if done % TELL_EVERY == 0 else None
        yield p.FrameErrors(values.copy(), trainer.done)


def measured_distortion(trainer: Trainer, head: Head) -> Pieces:
    """The (s, t) matrix of mean distortion, as far as it is known, of the scene as it is now."""
    term, step, scene = trainer.generated, trainer.done, trainer.scene
    if term is None or term.field is None or not isinstance(scene, Gaussians):
        yield p.Warned("This scene has no distortion field; train with generated views and --method sparsecam4d")
        return
    if not term.shows(step):
        told = "is not in the checkpoint: it was thrown away" if term.forgotten else "is not on yet: train a while"
        yield p.Warned(f"The distortion field {told}")
        return
    for done, found in enumerate(disagreement_pieces(scene.cloned(), term.field, term.views, head)):
        complete = found.measured == found.wanted
        event = p.DistortionMeasured(head, found.values, tuple(found.times), UNITS[head], step, complete)
        yield event if complete or done % TELL_EVERY == 0 else None


def sliced_time(trainer: Trainer, asked: p.SliceTime) -> Pieces:
    """Rows of a virtual camera over time."""
    for piece in time_slice(trainer, asked.pose, asked.row):
        yield None if piece is None else p.TimeSliced(piece)


def shown_cameras(run: Run) -> Pieces:
    """Small pictures: of each camera of a rig one, of a moving camera some along its way."""
    dataset = run.dataset
    first: dict[str, int] = {}
    for index, shot in enumerate(dataset.shots):
        first.setdefault(shot.camera_name, index)
    chosen = list(first.values())
    if len(chosen) == 1:
        chosen = spread(range(len(dataset.shots)), MOST_THUMBNAILS)
    small: dict[int, NDArray[np.uint8]] = {}
    for index in chosen[:MOST_THUMBNAILS]:
        picture = dataset.read(index)
        height = max(1, round(picture.shape[0] * THUMBNAIL_WIDTH / picture.shape[1]))
        resized = cv2.resize(picture, (THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
        small[index] = np.ascontiguousarray(resized, np.uint8)
        yield None
    yield p.CamerasShown(small)
