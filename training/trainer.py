"""What the trainers of all kinds of scenes have in common: steps, the order of pictures, cameras, checkpoints.

The same trainer runs under the command line and, in the engine's thread, under the window. Nothing random depends on
how often it was stopped: every draw is seeded by the run's seed and the step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from renderer.errors import InputError
from renderer.rays import RayDistribution
from renderer.scene import Scene, ray_distribution, render
from renderer.view import Frame, View
from training.checkpoint import Checkpoint
from training.clip_cameras import ClipCameras
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.data.generated import GeneratedViews
from training.generated_term import GeneratedTerm


@dataclass(frozen=True)
class StepReport:
    """``step``: how many are done. ``psnr``: dB of the step's own real pictures or rays, before the update. ``size``:
    of the scene, in the trainer's ``unit``."""

    step: int
    loss: float
    psnr: float
    size: int


class Trainer(ABC):
    """Learns a scene from a clip, step by step. ``config`` must be resolved (:func:`training.config.resolved`).

    ``cameras``: those of the clip, which may be learned with the scene. ``generated``: what learns from generated
    views, where the clip comes with some and the method wants them. ``unit``: what a scene's size is counted in.
    """

    unit: str
    generated: GeneratedTerm | None = None

    def __init__(self, dataset: Dataset, config: TrainConfig, virtual: GeneratedViews | None, done: int) -> None:
        assert config.steps is not None and config.batch is not None, "resolve the configuration first"
        self.dataset, self.config = dataset, config
        self.steps, self.batch = config.steps, config.batch
        self.done = done
        self._train = dataset.indices("train")
        self.cameras = ClipCameras(dataset, config, virtual)

    @property
    @abstractmethod
    def scene(self) -> Scene:
        """The scene as it is now; later steps change its tensors in place."""

    @abstractmethod
    def step(self) -> StepReport:
        """One update of everything that is learned."""

    @abstractmethod
    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.steps

    def clip(self) -> Dataset:
        """The clip with its cameras where they are now (:meth:`ClipCameras.clip`)."""
        return self.cameras.clip()

    def draw(self, view: View) -> Frame:
        """The view of the scene as it is now, with the overlay that it asks for, where there is such a thing."""
        return render(self.scene, view, version=self.done)

    def drawn_finely(self, view: View) -> Iterator[Frame | None] | None:
        """Pieces of a finer picture than :meth:`draw` takes the time for: None after each, at last the picture. None
        where there is nothing finer."""
        return None

    def ray(self, view: View, pixel: tuple[int, int]) -> RayDistribution:
        """What the ray of a pixel meets now; ValueError when the pixel lies outside the image."""
        return ray_distribution(self.scene, view, pixel)

    def _next_shots(self) -> list[int]:
        """The shots of this step: every training shot once per epoch, in an order that the seed and epoch give."""
        chosen = []
        for k in range(self.done * self.batch, (self.done + 1) * self.batch):
            epoch, place = divmod(k, len(self._train))
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self._train))
            chosen.append(self._train[order[place]])
        return chosen


def other_data(step: int) -> InputError:
    """For a checkpoint that does not fit the data."""
    return InputError(
        f"step {step} of this run was made with other cameras or generated views than are there now; restore the data "
        "it was trained on"
    )


def to_db(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio of pictures in [0, 1]."""
    return -10 * math.log10(max(mean_squared_error, 1e-10))
