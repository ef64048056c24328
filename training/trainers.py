"""Which trainer learns which kind of scene."""

from __future__ import annotations

import torch

from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.device import CPU
from training.field_trainer import FieldTrainer
from training.gaussian_trainer import GaussianTrainer
from training.trainer import Trainer


def make_trainer(
    dataset: Dataset, config: TrainConfig, checkpoint: Checkpoint | None = None, device: torch.device = CPU
) -> Trainer:
    """The trainer that ``config.scene.model`` asks for, at a checkpoint, from whatever device, where one is given."""
    if config.scene.model == "field":
        return FieldTrainer(dataset, config, checkpoint, device)
    return GaussianTrainer(dataset, config, checkpoint, device)
