"""Feature planes on the GPU: every plane, group and level of a point in one kernel (``shaders/planes.cu``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program
from renderer.planes import AXES, PlaneLayout

THREADS = 256
MOST_COMMON = 4
WHOLE_VECTORS = (9, 0)
"""From this capability on, four neighbouring values are added at once."""


@lru_cache(maxsize=64)
def program(channels: int, width: int, group: int, values: bool = True, coordinates: bool = True) -> Program:
    """The kernels for planes of so many channels, ``width`` of them in each thread, and slots of at most ``group``
    planes; with gradients of values and coordinates or without."""
    return Program(
        ("common.cu", "planes.cu"),
        (
            ("CHANNELS", channels), ("WIDTH", width), ("GROUP", group),
            ("WITH_VALUES", int(values)), ("WITH_COORDINATES", int(coordinates)),
        ),
    )  # fmt: skip


PROGRAMS = (
    *(program(C, width, 9) for C in (8, 16, 32) for width in (1, 4)),
    *(program(C, 4, 6, coordinates=False) for C in (8, 16, 32)),
    program(16, 4, 9, values=False),
    program(3, 1, 2),
    program(160, 4, 9),
)


def lookup(values: Tensor, coordinates: Tensor, layout: PlaneLayout, common: tuple[float, ...] = ()) -> Tensor:
    """Features (N, layout.features) of points in [-1, 1], as :meth:`renderer.planes.Planes.forward`; differentiable in
    the planes, whose gradients are added up in no fixed order, and in the points.

    ``values``: (V, C) float32, the planes of the layout, one after another. ``coordinates``: (N, D - K) float32, where
    all points share their last K coordinates, given as ``common``.
    Raises ValueError for a plane of two common axes.
    """
    return _Lookup.apply(values, coordinates, layout, common)


@dataclass(frozen=True)
class _Table:
    """What the kernels know of a layout's planes. ``rows``: (Q, 8) int32. ``line_nodes``: of all lines to which planes
    are cut. ``longest``: values of the longest line that there may be. ``group``: the most planes of a slot."""

    rows: Tensor
    line_nodes: int
    longest: int
    group: int
    slots: int


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, values: Tensor, coordinates: Tensor, layout: PlaneLayout, common: tuple[float, ...]
    ) -> Tensor:
        C, (N, D) = layout.channels, coordinates.shape
        table = _table(layout, len(common), values.device)
        values, coordinates = _aligned(values), coordinates.contiguous()
        lines = values.new_empty(table.line_nodes, C)
        out = values.new_empty(N, table.slots * C)
        chosen = program(C, 4 if C % 4 == 0 else 1, table.group)
        if common:
            grid = (blocks(table.longest, THREADS), len(table.rows))
            launch(chosen, "cut_planes", grid, THREADS, values, table.rows, lines, D, *_padded(common))
        launch(
            chosen, "look_planes_up", _grid(N, chosen), THREADS,
            values, lines, table.rows, coordinates, out, N, D, len(table.rows), table.slots,
        )  # fmt: skip
        ctx.save_for_backward(values, coordinates, lines)
        ctx.common, ctx.table = common, table
        return out

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        values, coordinates, lines = ctx.saved_tensors
        table, C, (N, D) = ctx.table, values.shape[1], coordinates.shape
        of_values, of_coordinates = ctx.needs_input_grad[:2]
        v_values = torch.zeros_like(values) if of_values else None
        v_lines = torch.zeros_like(lines) if of_values else None
        v_coordinates = torch.empty_like(coordinates) if of_coordinates else None
        chosen = program(C, _width_of_sums(C, values.device), table.group, of_values, of_coordinates)
        launch(
            chosen, "look_planes_up_backward", _grid(N, chosen), THREADS, values, lines, table.rows, coordinates,
            _aligned(v_out), v_values, v_lines, v_coordinates, N, D, len(table.rows), table.slots,
        )  # fmt: skip
        if ctx.common and of_values:
            grid = (blocks(table.longest, THREADS), len(table.rows))
            launch(chosen, "cut_planes_backward", grid, THREADS, v_lines, table.rows, v_values, D, *_padded(ctx.common))
        return v_values, v_coordinates, None, None


def _padded(common: tuple[float, ...]) -> tuple[float, ...]:
    return (*common, *[0.0] * MOST_COMMON)[:MOST_COMMON]


@lru_cache(maxsize=64)
def _table(layout: PlaneLayout, common: int, device: torch.device) -> _Table:
    """That of a layout of whose axes so many of the last ones are common."""
    rows, first, line = [], 0, 0
    companions = [len(group) for _ in layout.levels for group in layout.groups]
    own = len(layout.nodes) - common
    for name, _, slot, N_i, N_j in layout.planes():
        i, j = (AXES.index(axis) for axis in name)
        if i >= own:
            raise ValueError("a plane of two common axes has nothing left to be read along")
        rows.append((first, i, j, N_i, N_j, slot, line if j >= own else -1, companions[slot]))
        first, line = first + N_i * N_j, line + (N_i if j >= own else 0)
    longest = max(N_i for _, _, _, N_i, *_ in rows) * layout.channels
    group = max(len(group) for group in layout.groups)
    return _Table(torch.tensor(rows, dtype=torch.int32, device=device), line, longest, group, len(companions))


@lru_cache(maxsize=64)
def _width_of_sums(channels: int, device: torch.device) -> int:
    """Channels of one thread on the way back: four only where they are added at once, because the sums of lanes that
    are four apart would otherwise touch every sector four times."""
    whole = device.type != "cuda" or torch.cuda.get_device_capability(device) >= WHOLE_VECTORS
    return 4 if whole and channels % 4 == 0 else 1


def _grid(points: int, chosen: Program) -> int:
    """Blocks for so many points, with the lanes that ``shaders/planes.cu`` gives to each."""
    defines = dict(chosen.defines)
    needed = -(-defines["CHANNELS"] // defines["WIDTH"])
    return blocks(points * min(32, 1 << (needed - 1).bit_length()), THREADS)


def _aligned(tensor: Tensor) -> Tensor:
    """The tensor where four values at once can be read: contiguous, and at a multiple of 16 bytes."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()
