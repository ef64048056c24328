"""Feature planes on the GPU: every plane, group and level of a point in one kernel (``shaders/planes.cu``)."""

from __future__ import annotations

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
    program(16, 4, 6, coordinates=False),
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


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, values: Tensor, coordinates: Tensor, layout: PlaneLayout, common: tuple[float, ...]
    ) -> Tensor:
        table, nodes = _table(layout, len(common), values.device)
        values, coordinates = _aligned(values), coordinates.contiguous()
        lines = values.new_empty(nodes, layout.channels)
        if common:
            _cut("cut_planes", values, table, lines, layout, common)
        N = len(coordinates)
        out = values.new_empty(N, layout.features)
        wide = program(layout.channels, 4 if layout.channels % 4 == 0 else 1, _group(layout))
        launch(
            wide, "look_planes_up", _grid(N, wide), THREADS,
            values, lines, table, coordinates, out, N, coordinates.shape[1], len(table), _slots(layout),
        )  # fmt: skip
        ctx.save_for_backward(values, coordinates, lines)
        ctx.layout, ctx.common, ctx.table = layout, common, table
        return out

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        values, coordinates, lines = ctx.saved_tensors
        layout, common, table = ctx.layout, ctx.common, ctx.table
        of_values, of_coordinates = ctx.needs_input_grad[:2]
        v_values = torch.zeros_like(values) if of_values else None
        v_lines = torch.zeros_like(lines) if of_values else None
        v_coordinates = torch.empty_like(coordinates) if of_coordinates else None
        width = _width_of_sums(layout.channels, values.device)
        chosen = program(layout.channels, width, _group(layout), of_values, of_coordinates)
        N = len(coordinates)
        launch(
            chosen, "look_planes_up_backward", _grid(N, chosen), THREADS, values, lines, table, coordinates,
            _aligned(v_out), v_values, v_lines, v_coordinates, N, coordinates.shape[1], len(table), _slots(layout),
        )  # fmt: skip
        if common and v_values is not None and v_lines is not None:
            _cut("cut_planes_backward", v_lines, table, v_values, layout, common)
        return v_values, v_coordinates, None, None


def _cut(
    kernel: str, source: Tensor, table: Tensor, target: Tensor, layout: PlaneLayout, common: tuple[float, ...]
) -> None:
    own, padded = len(layout.nodes) - len(common), (*common, *[0.0] * MOST_COMMON)[:MOST_COMMON]
    longest = max(N_i for *_, N_i, _ in layout.planes()) * layout.channels
    chosen = program(layout.channels, 4 if layout.channels % 4 == 0 else 1, _group(layout))
    launch(chosen, kernel, (blocks(longest, THREADS), len(table)), THREADS, source, table, target, own, *padded)


@lru_cache(maxsize=64)
def _table(layout: PlaneLayout, common: int, device: torch.device) -> tuple[Tensor, int]:
    """What the kernels know of each plane, (Q, 8) int32, when so many of the last axes are common, and how many nodes
    the lines of cut planes have."""
    rows, first, line = [], 0, 0
    companions = [len(group) for _ in layout.levels for group in layout.groups]
    for name, _, slot, N_i, N_j in layout.planes():
        i, j = (AXES.index(axis) for axis in name)
        cut = j >= len(layout.nodes) - common
        if i >= len(layout.nodes) - common:
            raise ValueError("a plane of two common axes has nothing left to be read along")
        rows.append((first, i, j, N_i, N_j, slot, line if cut else -1, companions[slot]))
        first, line = first + N_i * N_j, line + (N_i if cut else 0)
    return torch.tensor(rows, dtype=torch.int32, device=device), line


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


def _group(layout: PlaneLayout) -> int:
    return max(len(group) for group in layout.groups)


def _slots(layout: PlaneLayout) -> int:
    return len(layout.levels) * len(layout.groups)


def _aligned(tensor: Tensor) -> Tensor:
    """The tensor where four values at once can be read: contiguous, and at a multiple of 16 bytes."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()
