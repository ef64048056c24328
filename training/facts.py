"""What training says of itself: after each step, and when it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil
import torch
from torch import Tensor


@dataclass(frozen=True)
class StepReport:
    """``step``: how many are done. ``psnr``: dB of the step's own real pictures or rays, before the update. ``size``:
    of the scene, in the trainer's ``unit``. ``parts``: what the loss is the sum of, by name, weights included: those
    among photometric, depth, motion, regularisers, generated, distortion and cameras that this step had."""

    step: int
    loss: float
    psnr: float
    size: int
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingFacts:
    """How training stands. ``step``: how many are done. ``parts``: of the last step's loss, empty before the first.
    ``turned``, ``shifted``: how far learned cameras are from where they started, means over all of them, degrees
    and scene units; None where they are not learned. ``memory``: bytes of this process that are in memory.
    ``gpu_memory``: most bytes that tensors have taken on the graphics card; None where none is used."""

    step: int
    parts: Mapping[str, float]
    turned: float | None
    shifted: float | None
    memory: int
    gpu_memory: int | None


def add_part(parts: dict[str, float], name: str, value: Tensor | float, share: float = 1.0) -> None:
    """Add what a part of the loss comes to; a value that nothing was learned from is no part of it."""
    if isinstance(value, Tensor) and value.requires_grad:
        parts[name] = parts.get(name, 0.0) + share * value.item()


def memory_taken() -> tuple[int, int | None]:
    """Bytes in memory, and the most on the graphics card where one is used (see :class:`TrainingFacts`)."""
    on_card = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
    return int(psutil.Process().memory_info().rss), on_card
