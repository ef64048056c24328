"""The training loop's one step, and what surrounds it: resuming, saving, measuring.

The same Trainer runs under the command line and, in the engine's thread, under the window. Nothing random depends
on how often it was stopped: every draw is seeded by the run's seed and the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.gaussians import Gaussians
from renderer.harmonics import MAX_LEVEL
from renderer.slicing import slice_at
from renderer.splat import splat
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.densify import DensityStatistics, densify, reset_opacities
from training.initialise import initial_gaussians, scene_extent
from training.losses import motion_loss, photometric_loss, rigid_loss
from training.optimizer import GaussianOptimizer


@dataclass(frozen=True)
class StepReport:
    """``step``: how many are done. ``psnr``: dB of the step's own pictures, before the update."""

    step: int
    loss: float
    psnr: float
    gaussians: int


class Trainer:
    """Learns 4D Gaussians from a clip. ``config`` must be resolved (:func:`training.config.resolved`)."""

    def __init__(self, dataset: Dataset, config: TrainConfig, checkpoint: Checkpoint | None = None) -> None:
        assert config.steps is not None and config.batch is not None, "resolve the configuration first"
        self.dataset, self.config = dataset, config
        self.steps, self.batch = config.steps, config.batch
        self.extent = scene_extent(dataset)
        self._train = dataset.indices("train")
        self.done = checkpoint.step if checkpoint else 0
        gaussians = checkpoint.gaussians if checkpoint else initial_gaussians(dataset, config.scene, config.seed)
        self.optimizer = GaussianOptimizer(gaussians, config.rates, self.extent)
        self._statistics = DensityStatistics.empty(len(gaussians), gaussians.positions.device)
        if checkpoint:
            self._restore(checkpoint)

    @property
    def gaussians(self) -> Gaussians:
        """The scene as it is now; later steps change its tensors in place."""
        return self.optimizer.gaussians

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.steps

    def step(self) -> StepReport:
        """One update of the scene."""
        self._raise_sh_level()
        loss_sum, error_sum = 0.0, 0.0
        for index in self._next_shots():
            shot = self.dataset.shots[index]
            target = as_target(self.dataset.read(index))  # (H, W, 3)
            center = torch.tensor(shot.camera.center, dtype=torch.float32)

            instant = slice_at(self.gaussians, shot.time, center)
            offsets = torch.zeros(len(instant.ids), 2, requires_grad=True)
            image = splat(instant.splats, shot.camera, screen_offsets=offsets)

            loss = photometric_loss(image.color, target, self.config.loss.dssim)
            loss = (loss + self._regularisers()) / self.batch
            loss.backward()

            if offsets.grad is not None:
                self._statistics.observe(instant.ids, offsets.grad, image.radii, shot.camera)
            loss_sum += loss.item()
            error_sum += (image.color.detach().clamp(0, 1) - target).square().mean().item() / self.batch

        if self.gaussians.times.grad is not None:
            self._statistics.observe_time(self.gaussians.times.grad)
        self.optimizer.step(self.done / self.steps)
        self.done += 1
        self._control_density()
        return StepReport(self.done, loss_sum, _to_db(error_sum), len(self.gaussians))

    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""
        statistics = {f"statistics.{k}": v for k, v in vars(self._statistics).items()}
        moments = {f"adam.{k}": v for k, v in self.optimizer.moments().items()}
        return Checkpoint(self.done, self.gaussians, {**statistics, **moments}, {"steps": self.steps})

    # -------------------------------------------------------------------------------------------- details

    def _next_shots(self) -> list[int]:
        """The shots of this step: every training shot once per epoch, in an order that the seed and epoch give."""
        chosen = []
        for k in range(self.done * self.batch, (self.done + 1) * self.batch):
            epoch, place = divmod(k, len(self._train))
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self._train))
            chosen.append(self._train[order[place]])
        return chosen

    def _raise_sh_level(self) -> None:
        level = min(MAX_LEVEL, self.done // self.config.scaled(self.config.sh_interval))
        if level != self.gaussians.sh_level:
            self.optimizer.set_sh_level(level)

    def _regularisers(self) -> Tensor | float:
        weights = self.config.loss
        total: Tensor | float = 0.0
        if weights.rigid:
            total = total + weights.rigid * rigid_loss(self.gaussians)
        if weights.motion:
            total = total + weights.motion * motion_loss(self.gaussians)
        return total

    def _control_density(self) -> None:
        c, scaled = self.config.densify, self.config.scaled
        if scaled(c.start) < self.done < scaled(c.stop) and self.done % c.interval == 0:
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.done)
            prune_large = bool(c.opacity_reset) and self.done > c.opacity_reset
            densify(self.optimizer, self._statistics, c, self.extent, prune_large, generator)
            self._statistics = DensityStatistics.empty(len(self.gaussians), self.gaussians.positions.device)
        if c.opacity_reset and self.done < scaled(c.stop) and self.done % c.opacity_reset == 0:
            reset_opacities(self.optimizer)

    def _restore(self, checkpoint: Checkpoint) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in checkpoint.training.items() if k.startswith(prefix)}

        self.optimizer.load_moments(part("adam."))
        saved = part("statistics.")
        if saved.keys() == vars(self._statistics).keys():
            self._statistics = replace(self._statistics, **{k: v.clone() for k, v in saved.items()})


def as_target(image: NDArray[np.uint8]) -> Tensor:
    """A picture (H, W, 3) uint8 as float32 in [0, 1]."""
    return torch.from_numpy(image.astype(np.float32) * np.float32(1 / 255))


def _to_db(mean_squared_error: float) -> float:
    return -10 * math.log10(max(mean_squared_error, 1e-10))
