"""What keeps feature planes smooth, on the GPU: all terms of all planes at once (``shaders/plane_penalties.cu``)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program
from renderer.planes import PlaneLayout

THREADS = 256
MOST_BLOCKS = 64
"""Of a plane."""

PENALTIES = Program(("common.cu", "reduce.cu", "plane_penalties.cu"))
PROGRAMS = (PENALTIES,)

Weights = tuple[float, float, float, float]
"""Of a plane's sum over squared differences of neighbours along its first axis, of those along its second axis, of
squared second differences along its second axis, and of the distances of its values to one."""


def plane_penalties(values: Tensor, layout: PlaneLayout, weights: tuple[Weights, ...]) -> Tensor:
    """The weighted sum of the planes' penalties, differentiable in the planes.

    ``values``: (V, C) float32, the planes of the layout, one after another. ``weights``: for each of them.
    """
    return _Penalties.apply(values, layout, weights)


class _Penalties(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, layout: PlaneLayout, weights: tuple[Weights, ...]) -> Tensor:  # type: ignore[override]
        values = values.contiguous()
        ctx.sheets = table, largest = _sheets(layout, values.device)
        ctx.weights, ctx.C = _sent(weights, values.device), layout.channels
        ctx.save_for_backward(values)
        grid = (min(MOST_BLOCKS, blocks(largest, THREADS)), len(table))
        costs = values.new_empty(grid[0] * grid[1])
        launch(PENALTIES, "plane_penalties", grid, THREADS, values, table, ctx.weights, costs, ctx.C)
        return costs.sum()

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (values,) = ctx.saved_tensors
        table, largest = ctx.sheets
        v_values = torch.empty_like(values)
        launch(
            PENALTIES, "plane_penalties_backward", (blocks(largest, THREADS), len(table)), THREADS,
            values, table, ctx.weights, v.contiguous(), v_values, ctx.C,
        )  # fmt: skip
        return v_values, None, None


@lru_cache(maxsize=64)
def _sheets(layout: PlaneLayout, device: torch.device) -> tuple[Tensor, int]:
    """What the kernels know of each plane, (Q, 3) int32, and the values of the largest one."""
    rows, first = [], 0
    for *_, N_i, N_j in layout.planes():
        rows.append((first * layout.channels, N_i, N_j))
        first += N_i * N_j
    return torch.tensor(rows, dtype=torch.int32, device=device), max(i * j for _, i, j in rows) * layout.channels


@lru_cache(maxsize=64)
def _sent(weights: tuple[Weights, ...], device: torch.device) -> Tensor:
    """The weights on the device, (Q, 4): they change when a person changes them."""
    return torch.tensor(weights, dtype=torch.float32, device=device)
