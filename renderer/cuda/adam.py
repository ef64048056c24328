"""Adam on the GPU, all tensors in one launch (``shaders/adam.cu``)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program

THREADS = 256
CHUNK = THREADS * 16
"""Values of a block, as in the kernel."""

ADAM = Program(("adam.cu",))
PROGRAMS = (ADAM,)


class FusedAdam(torch.optim.Optimizer):
    """Adam (Kingma and Ba 2015) as ``torch.optim.Adam`` does it, with its groups and its state, over float32 tensors on
    one device in one launch. Rates may change at every step; nothing waits for the device.

    ``groups``: of parameters; ``lr``: for those that name no rate of their own.
    """

    def __init__(
        self,
        groups: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
    ) -> None:
        self._betas, self._eps = betas, eps
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None, visible: Tensor | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient.

        ``visible``: (N,) int32, such as the radii of a picture; then the rows of all parameters, which are (N, ...),
        that have zero or less there stay as they are, and so do their moments: a row's moments decay only in steps in
        which it is visible. The bias of the moments is corrected by the number of all steps.
        Raises ValueError for parameters that do not have N rows, and for values or gradients that the kernel cannot
        read: not float32, 2^31 or more of them, or values that are not contiguous.
        """
        rows, kept, block = [], [], 0
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None or not p.numel():
                    continue
                if visible is not None and p.shape[:1] != visible.shape:
                    raise ValueError(f"a parameter has the shape {tuple(p.shape)}, expected {len(visible)} rows")
                _check(p, p.grad)
                state, gradient = self._state_of(p), p.grad.contiguous()
                kept.append(gradient)
                tensors = (p, gradient, state["exp_avg"], state["exp_avg_sq"])
                columns = p.numel() // len(p) if p.ndim else 1
                rates = self._rates(float(group["lr"]), int(state["step"]))
                rows.append((*(t.data_ptr() for t in tensors), p.numel(), columns, block, rates))
                block += blocks(p.numel(), CHUNK)
        if not rows:
            return
        first, second = self._betas
        launch(
            ADAM, "adam_step", block, THREADS, _sent(rows, kept[0].device), visible, len(rows),
            first, second, 1 - first, 1 - second, self._eps,
        )  # fmt: skip

    def _state_of(self, p: Tensor) -> dict[str, Tensor]:
        """The state of a parameter for its next step. ``step`` stays with the host, which needs it."""
        state: dict[str, Tensor] = self.state[p]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
        if state["step"].device.type != "cpu":  # as it comes from a checkpoint
            state["step"] = state["step"].cpu()
        state["step"] += 1
        return state

    def _rates(self, lr: float, step: int) -> int:
        """Two floats in one number: the step size and the second moment's correction."""
        first, second = self._betas
        packed = struct.pack("<ff", lr / (1 - first**step), (1 - second**step) ** -0.5)
        return int.from_bytes(packed, "little", signed=True)


def _check(p: Tensor, gradient: Tensor) -> None:
    """Raise ValueError for what the kernel, which gets addresses alone, cannot read."""
    if p.dtype != torch.float32 or gradient.dtype != torch.float32:
        raise ValueError(f"a parameter is of {p.dtype} and its gradient of {gradient.dtype}, expected torch.float32")
    if not p.is_contiguous():
        raise ValueError(f"a parameter {tuple(p.shape)} is not contiguous")
    if p.numel() >= 2**31:
        raise ValueError(f"a parameter has {p.numel():,} values, expected fewer than 2^31")


def _sent(rows: list[tuple[int, ...]], device: torch.device) -> Tensor:
    """The rows as a table on the device. From pinned memory, which torch does not use again before it has been read."""
    on_card = device.type == "cuda"
    return torch.tensor(rows, dtype=torch.int64, pin_memory=on_card).to(device, non_blocking=on_card)
