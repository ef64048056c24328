"""What training says of itself: after each step, and when it is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil
import torch
from torch import Tensor

LOSS, ERROR = "loss", "squared error"
"""What a tally holds besides the parts of the loss."""


class Tally:
    """Sums of numbers of one step, some of which a GPU may yet have to compute: nobody waits before they are read."""

    def __init__(self) -> None:
        self._terms: list[tuple[str, Tensor | float, float]] = []
        self._sums: dict[str, float] = {}

    def add(self, name: str, value: Tensor | float, share: float = 1.0) -> None:
        """Add ``share`` times ``value``, a number or a tensor of one."""
        self._terms.append((name, value.detach() if isinstance(value, Tensor) else value, share))

    def add_part(self, name: str, value: Tensor | float, share: float = 1.0) -> None:
        """Add what a part of the loss comes to; a value that nothing was learned from is no part of it."""
        if isinstance(value, Tensor) and value.requires_grad:
            self.add(name, value, share)

    def read(self) -> Mapping[str, float]:
        """The sums by name. Waits once for all that is still to be computed."""
        on_card = [v.float().reshape(()) for _, v, _ in self._terms if isinstance(v, Tensor) and v.is_cuda]
        arrived = iter(torch.stack(on_card).tolist() if on_card else ())
        for name, value, share in self._terms:
            number = next(arrived) if isinstance(value, Tensor) and value.is_cuda else float(value)
            self._sums[name] = self._sums.get(name, 0.0) + share * number
        self._terms.clear()
        return self._sums

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.read() == other.read()

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class StepReport:
    """``step``: how many are done. ``size``: of the scene, in the trainer's ``unit``. The rest is read from ``tally``
    when somebody wants it, which may wait for a GPU."""

    step: int
    size: int
    tally: Tally = field(repr=False)

    @property
    def loss(self) -> float:
        """Of the step, before the update."""
        return self.tally.read().get(LOSS, 0.0)

    @property
    def psnr(self) -> float:
        """dB of the step's own real pictures or rays, before the update."""
        return to_db(self.tally.read().get(ERROR, 0.0))

    @property
    def parts(self) -> Mapping[str, float]:
        """What the loss is the sum of, by name, weights included: those among photometric, depth, motion, regularisers,
        generated, distortion and cameras that this step had."""
        return {name: value for name, value in self.tally.read().items() if name not in (LOSS, ERROR)}

    def values(self) -> dict[str, object]:
        """All of it, for JSON."""
        return {"step": self.step, "loss": self.loss, "psnr": self.psnr, "size": self.size, "parts": self.parts}


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


def memory_taken() -> tuple[int, int | None]:
    """Bytes in memory, and the most on the graphics card where one is used (see :class:`TrainingFacts`)."""
    on_card = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
    return int(psutil.Process().memory_info().rss), on_card


def to_db(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio of pictures in [0, 1]."""
    return -10 * math.log10(max(mean_squared_error, 1e-10))
