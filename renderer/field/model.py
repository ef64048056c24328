"""A dynamic radiance field of two parts (NSFF, Li et al. 2021; DDR, TVCG 2025), on feature planes (K-Planes, 2023).

The static part knows (x, y, z): density, colour, and how much of a place belongs to the dynamic part. The dynamic part
knows (x, y, z, t): density, colour, where the place goes until the next and comes from since the last frame, and how
likely it is hidden there. A third, small field of density alone says where along a ray to look (proposals, mip-NeRF
360). Places are in the cube of a :class:`renderer.field.space.Space`; so are flows.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from renderer.field.space import Space
from renderer.planes import K_PLANES, PlaneLayout, Planes

SPACE_PLANES = (("xy", "xz", "yz"),)
MOST_EXPONENT = 11.0
"""Raw densities are clamped to this before the exponential; its slope goes on."""
FIRST_DENSITY = -1.0
"""Bias of the exponent: a new field is half transparent."""
FLOW_REACH = 0.2
"""The longest flow between two frames, as a share of half the cube's side."""
DIRECTIONS = 9
"""Numbers that describe a viewing direction: harmonics up to degree 2."""
GEOMETRY = 15
"""Features that the colour layers get from the density layers."""


@dataclass(frozen=True)
class FieldShape:
    """How large a field is.

    ``nodes``: along x, y, z of the coarsest level. ``time_nodes``: along t. ``levels``: factors of the resolution in
    space. ``channels``: per plane. ``width``: of the layers. ``proposal_nodes``: of the proposal field. ``views``:
    whether colours of the static part depend on the direction of view.
    """

    nodes: tuple[int, int, int]
    time_nodes: int
    levels: tuple[int, ...]
    channels: int
    width: int
    proposal_nodes: int
    views: bool


@dataclass(frozen=True)
class StaticValues:
    """At N places. ``raw``: (N,) density before activation. ``color``: (N, 3) in [0, 1]. ``blend``: (N,) in [0, 1], the
    share v of the dynamic part."""

    raw: Tensor
    color: Tensor
    blend: Tensor


@dataclass(frozen=True)
class DynamicValues:
    """At N places and a time. ``raw``, ``color``: as in the static part. ``flow``: (N, 2, 3) to the frame before and to
    the one after, in the cube. ``hidden``: (N, 2) in [0, 1], probability that the place is not seen there."""

    raw: Tensor
    color: Tensor
    flow: Tensor
    hidden: Tensor


class RadianceField(nn.Module):
    """The field of a clip with ``frames`` instants; ``seed`` gives its first values."""

    def __init__(self, shape: FieldShape, space: Space, frames: int, seed: int = 0) -> None:
        super().__init__()
        self.shape, self.space, self.frames = shape, space, frames
        generator = torch.Generator().manual_seed(seed)
        features = shape.channels * len(shape.levels)
        still = PlaneLayout(SPACE_PLANES, shape.nodes, shape.levels, shape.channels)
        moving = PlaneLayout(K_PLANES, (*shape.nodes, shape.time_nodes), shape.levels, shape.channels)
        small = PlaneLayout(K_PLANES, (*[shape.proposal_nodes] * 3, shape.time_nodes), (1,), 8)
        self.static_planes = Planes(still, generator)
        self.dynamic_planes = Planes(moving, generator)
        self.proposal_planes = Planes(small, generator)
        seen = DIRECTIONS if shape.views else 0
        self.static_layers = _layers(features, shape.width, 2 + GEOMETRY, generator)
        self.static_color = _layers(GEOMETRY + seen, shape.width, 3, generator)
        self.dynamic_layers = _layers(features, shape.width, 9 + GEOMETRY, generator)
        self.dynamic_color = _layers(GEOMETRY, shape.width, 3, generator)
        self.proposal_layer = _layers(small.features, 16, 1, generator)

    def static_at(self, places: Tensor, directions: Tensor) -> StaticValues:
        """The static part at ``places`` (N, 3), seen along unit ``directions`` (N, 3) of the world."""
        out = self.static_layers(self.static_planes(places))
        inputs = out[:, 2:]
        if self.shape.views:
            inputs = torch.cat([inputs, direction_harmonics(directions)], dim=1)
        return StaticValues(out[:, 0], torch.sigmoid(self.static_color(inputs)), torch.sigmoid(out[:, 1]))

    def dynamic_at(self, places: Tensor, time: float) -> DynamicValues:
        """The dynamic part at ``places`` (N, 3) at a time in [0, 1]."""
        out = self.dynamic_layers(self.dynamic_planes(places, (2 * time - 1,)))
        flow = FLOW_REACH * torch.tanh(out[:, 1:7]).view(-1, 2, 3)
        color = torch.sigmoid(self.dynamic_color(out[:, 9:]))
        return DynamicValues(out[:, 0], color, flow, torch.sigmoid(out[:, 7:9]))

    def proposal_at(self, places: Tensor, time: float) -> Tensor:
        """(N,) density of the proposal field, per unit of length in the cube."""
        return density(self.proposal_layer(self.proposal_planes(places, (2 * time - 1,)))[:, 0])

    def plane_parameters(self) -> list[nn.Parameter]:
        """What is learned at the planes' rate."""
        return [self.static_planes.values, self.dynamic_planes.values, self.proposal_planes.values]

    def layer_parameters(self) -> list[nn.Parameter]:
        """What is learned at the layers' rate."""
        return [p for name, p in self.named_parameters() if not name.endswith("planes.values")]

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.static_planes.values.device

    @property
    def size(self) -> int:
        """Number of learned values."""
        return sum(p.numel() for p in self.parameters())

    def settings(self) -> dict[str, Any]:
        """What, with the tensors, makes the field again: see :meth:`from_settings`."""
        return {"shape": asdict(self.shape), "space": self.space.as_json(), "frames": self.frames}

    @staticmethod
    def from_settings(values: dict[str, Any]) -> RadianceField:
        """A field of the stated shape with first values; KeyError, TypeError or ValueError when something is wrong."""
        shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["shape"].items()}
        return RadianceField(FieldShape(**shape), Space.from_json(values["space"]), int(values["frames"]))


def density(raw: Tensor) -> Tensor:
    """Per unit of length in the cube: the exponential, above zero, with a slope that does not die at the clamp."""
    return _Exponential.apply(raw + FIRST_DENSITY)


class _Exponential(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        y = x.clamp(max=MOST_EXPONENT).exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Tensor:  # type: ignore[override]
        return v * ctx.saved_tensors[0]


def direction_harmonics(d: Tensor) -> Tensor:
    """(N, 9) real spherical harmonics up to degree 2, up to constant factors, of unit directions (N, 3)."""
    x, y, z = d.unbind(1)
    return torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], dim=1)


def _layers(inputs: int, width: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Two layers with a ReLU between them, Xavier-uniform, from a seed of their own."""
    first, last = nn.Linear(inputs, width), nn.Linear(width, outputs)
    for layer in (first, last):
        nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(2) if layer is first else 1.0, generator=generator)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.ReLU(), last)


def without_gradients(field: RadianceField) -> dict[str, Tensor]:
    """The field's tensors by name, detached: what a checkpoint keeps of it."""
    return {name: value.detach() for name, value in field.state_dict().items()}
