"""A scene that is looked at and not learned: one from elsewhere, or a checkpoint whose clip is not there."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.field.model import RadianceField
from renderer.scene import Scene
from renderer.view import View
from training.config import PRESETS, resolved, with_changes
from training.data.dataset import Dataset
from training.device import CPU
from training.field_trainer import FieldTrainer
from training.gaussian_trainer import GaussianTrainer
from training.trainer import Trainer


class FinishedScene(Trainer):
    """Draws a ``scene`` and reads its rays, as the trainers do while they learn one. ``dataset``: cameras from which it
    may be seen, without pictures. ``step``: of the training that it comes from, 0 where that is not known."""

    def __init__(self, dataset: Dataset, scene: Scene, step: int, device: torch.device = CPU) -> None:
        kind = FieldTrainer if isinstance(scene, RadianceField) else GaussianTrainer
        self.unit, self.map_pixels = kind.unit, kind.map_pixels
        self._scene = scene.to(device)
        model = "field" if kind is FieldTrainer else "gaussians"
        config = with_changes(PRESETS["4dgs"], {"scene.model": model, "steps": max(1, step)})
        super().__init__(dataset, resolved(config, device.type), None, step, device)

    @property
    def scene(self) -> Scene:
        """Always the same."""
        return self._scene

    @property
    def finished(self) -> bool:
        """Always."""
        return True

    def step(self) -> NoReturn:
        """InputError: there is nothing to learn from."""
        raise InputError(f"{self.dataset.source}: is a scene without its clip and cannot be trained; open the clip")

    def abandon(self) -> None:
        """Nothing is ever begun."""

    def checkpoint(self) -> NoReturn:
        """InputError: nothing is learned that could be kept."""
        self.step()

    def _speed(self, view: View) -> NDArray[np.float32] | None:
        """None of a field, which does not say whether its scene flow was learned."""
        return None if isinstance(self._scene, RadianceField) else super()._speed(view)
