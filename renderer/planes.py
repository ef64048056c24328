"""Factorised feature planes: a field over many coordinates, stored on planes of two.

K-Planes (Fridovich-Keil et al., CVPR 2023) takes all pairs of (x, y, z, t); the Ennea-plane of SparseCam4D (section
3.2, eq. 2-3) those of (x, y, z, t, s) without (t, s); HexPlane (Cao and Johnson, CVPR 2023) multiplies complementary
pairs only. A point's feature is read bilinearly in every plane, multiplied over the planes of a group, and
concatenated over groups and levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renderer import plane_kernels

AXES = "xyzts"
SPACE = "xyz"
K_PLANES = (("xy", "xz", "xt", "yz", "yt", "zt"),)
ENNEA_PLANES = (("xy", "xz", "xt", "xs", "yz", "yt", "ys", "zt", "zs"),)
HEX_PLANES = (("xy", "zt"), ("xz", "yt"), ("yz", "xt"))
SPACE_INIT = (0.1, 0.5)
"""Planes of two spatial axes start uniform in this range, all others at one (K-Planes)."""


@dataclass(frozen=True)
class PlaneLayout:
    """Which planes there are.

    ``groups``: names of planes, by their two axes; a group's planes are multiplied. ``nodes``: per axis of "xyzts" (as
    many as there are coordinates) at level 1. ``levels``: factors by which the spatial axes, and only these, grow.
    ``channels``: C, per plane.
    """

    groups: tuple[tuple[str, ...], ...]
    nodes: tuple[int, ...]
    levels: tuple[int, ...] = (1, 2)
    channels: int = 16

    def __post_init__(self) -> None:
        for name in (n for group in self.groups for n in group):
            i, j = (AXES.find(axis) for axis in name)
            if not 0 <= i < j < len(self.nodes):
                raise ValueError(f"plane {name}: not two of the axes {AXES[: len(self.nodes)]} in their order")
        if min(self.nodes) < 1:
            raise ValueError(f"an axis has {min(self.nodes)} nodes, expected at least 1")

    @property
    def features(self) -> int:
        """Length of a point's feature."""
        return len(self.groups) * len(self.levels) * self.channels

    def planes(self) -> Iterator[tuple[str, int, int, int, int]]:
        """Name, level, slot, N_i, N_j of every plane, slot by slot."""
        slots = [(level, group) for level in self.levels for group in self.groups]
        for slot, (level, group) in enumerate(slots):
            for name in group:
                N_i, N_j = (self.nodes[AXES.index(a)] * (level if a in SPACE else 1) for a in name)
                yield name, level, slot, N_i, N_j


class Planes(nn.Module):
    """The planes of a layout, learned; ``values`` (V, C) holds them all, node by node.

    ``generator``: seeds the initial values.
    """

    def __init__(self, layout: PlaneLayout, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.layout = layout
        rows, parts, offset = [], [], 0
        for name, _, slot, N_i, N_j in layout.planes():
            i, j = (AXES.index(axis) for axis in name)
            rows.append((offset, i, j, N_i, N_j, slot))
            part = torch.ones(N_j * N_i, layout.channels)
            if set(name) <= set(SPACE):
                part.uniform_(*SPACE_INIT, generator=generator)
            parts.append(part)
            offset += len(part)
        self.table = np.array(rows, np.int64)
        self.values = nn.Parameter(torch.cat(parts))

    def forward(self, coordinates: Tensor, common: tuple[float, ...] = ()) -> Tensor:
        """Features (N, layout.features) of points in [-1, 1]; differentiable in them and in the planes.

        ``coordinates``: (N, D), or (N, D - K) when all points share their last K coordinates, given as ``common``: then
        planes of those axes are read once and the rest is done on lines. Nodes lie at -1 and 1 and evenly between;
        outside, a plane goes on as at its border.
        """
        D = len(self.layout.nodes) - len(common)
        if coordinates.ndim != 2 or coordinates.shape[1] != D:
            raise ValueError(f"coordinates have shape {tuple(coordinates.shape)}, expected (N, {D})")
        if coordinates.dtype != torch.float32 or self.values.dtype != torch.float32:
            return self.lookup_reference(coordinates, common)
        if coordinates.device.type == "cuda":
            from renderer.cuda import planes as cuda_planes  # which imports the layouts from here

            return cuda_planes.lookup(self.values, coordinates, self.layout, common)
        if coordinates.device.type != "cpu":
            return self.lookup_reference(coordinates, common)
        values, table = self._cut(common) if common else (self.values, self.table)
        return _Lookup.apply(values, coordinates, table, self.layout)

    def lookup_reference(self, coordinates: Tensor, common: tuple[float, ...] = ()) -> Tensor:
        """The same by torch's grid_sample, for any dtype and device."""
        shared = coordinates.new_tensor(common).expand(len(coordinates), len(common))
        coordinates = torch.cat([coordinates, shared], dim=1)
        slots = [coordinates.new_ones(self.layout.channels, len(coordinates)) for _ in range(self._slots)]
        for (_, i, j, _, _, slot), plane in zip(self.table.tolist(), self.planes(), strict=True):
            grid = torch.stack([coordinates[:, i], coordinates[:, j]], dim=1)[None, None]  # (1, 1, N, 2)
            sampled = F.grid_sample(
                plane.permute(2, 0, 1)[None].to(coordinates), grid, align_corners=True, padding_mode="border"
            )
            slots[slot] = slots[slot] * sampled[0, :, 0]
        return torch.cat(slots).T

    def _cut(self, common: tuple[float, ...]) -> tuple[Tensor, np.ndarray]:
        """The planes as values and table, those of the last axes cut to lines at ``common``."""
        first = len(self.layout.nodes) - len(common)
        rows, parts, offset = [], [], 0
        for (_, i, j, N_i, N_j, slot), plane in zip(self.table.tolist(), self.planes(), strict=True):
            if i >= first:
                raise ValueError("a plane of two common axes has nothing left to be read along")
            if j >= first:
                y = min(max(0.5 * (common[j - first] + 1), 0.0), 1.0) * (N_j - 1)
                lower = min(int(y), max(N_j - 2, 0))
                upper = min(lower + 1, N_j - 1)
                plane = torch.lerp(plane[lower], plane[upper], y - lower)
                j, N_j = i, 1
            rows.append((offset, i, j, N_i, N_j, slot))
            parts.append(plane.reshape(-1, self.layout.channels))
            offset += len(parts[-1])
        return torch.cat(parts), np.array(rows, np.int64)

    def planes(self) -> list[Tensor]:
        """All planes (N_j, N_i, C), in the layout's order."""
        sizes = [N_i * N_j for *_, N_i, N_j in self.layout.planes()]
        return [
            part.view(N_j, N_i, self.layout.channels)
            for part, (*_, N_i, N_j) in zip(self.values.split(sizes), self.layout.planes(), strict=True)
        ]

    def by_name(self) -> dict[str, list[Tensor]]:
        """The planes (N_j, N_i, C) of each name, one for every level."""
        planes: dict[str, list[Tensor]] = {}
        for plane, (name, *_) in zip(self.planes(), self.layout.planes(), strict=True):
            planes.setdefault(name, []).append(plane)
        return planes

    @property
    def _slots(self) -> int:
        return len(self.layout.groups) * len(self.layout.levels)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, values: Tensor, coordinates: Tensor, table: np.ndarray, layout: PlaneLayout
    ) -> Tensor:
        ctx.save_for_backward(values, coordinates)
        ctx.table, ctx.layout = table, layout
        slots = len(layout.groups) * len(layout.levels)
        out = plane_kernels.lookup(_array(values), table, _array(coordinates), slots, layout.channels)
        return torch.from_numpy(out).view(len(out), -1)

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        values, coordinates = ctx.saved_tensors
        C, of_values = ctx.layout.channels, ctx.needs_input_grad[0]
        v_values, v_points = plane_kernels.lookup_backward(
            _array(values), ctx.table, _array(coordinates), _array(v_out).reshape(len(v_out), -1, C), C, of_values
        )
        return torch.from_numpy(v_values) if of_values else None, torch.from_numpy(v_points), None, None


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())
