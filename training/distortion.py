"""The spatio-temporal distortion field of SparseCam4D (section 3.2, eq. 2-5).

Generated views disagree with each other. F: (x, y, z, t, s) -> changes of a Gaussian's position, quaternions and scales
absorbs that: a generated view at time t from virtual camera s draws the changed scene, a real view draws the scene
itself, and after training F is thrown away. It is read on nine planes (the Ennea-plane, :mod:`renderer.planes`) by a
trunk with a head for each thing that it changes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renderer.gaussians import Gaussians
from renderer.planes import ENNEA_PLANES, PlaneLayout, Planes
from renderer.slicing import alive_at
from training.config import DistortionConfig
from training.plane_penalties import Term, penalties

SIZES = {"positions": 3, "left": 4, "right": 4, "scales": 3}
MARGIN = 2.0 * 1.1
"""Half size of the field's box over that of the first points' box, as released."""
PLANE_KINDS = (("xy", "xz", "yz"), ("xt", "yt", "zt"), ("xs", "ys", "zs"))
"""Planes of space alone, with time, with pose."""
REACH = 2.0
"""The field is asked about Gaussians whose temporal weight is above 0.05 squared: a fainter one would have to become
more than sqrt(2) times as long-lived to be drawn."""

Deltas = dict[str, Tensor]


class DistortionField(nn.Module):
    """F of one clip.

    ``box``: (2, 3) lowest and highest corner of the scene, scene units. ``frames``, ``poses``: instants of the clip and
    virtual cameras; each has a node of its own on its axis. ``config`` must be resolved.
    """

    box: Tensor

    def __init__(self, config: DistortionConfig, box: Tensor, frames: int, poses: int, seed: int) -> None:
        super().__init__()
        assert config.space_nodes is not None and config.width is not None, "resolve the configuration first"
        self.config, self.frames = config, frames
        center, half = box.mean(0), MARGIN * 0.5 * (box[1] - box[0]).clamp(min=1e-6)
        self.register_buffer("box", torch.stack([center - half, center + half]))
        names = [
            name
            for name in ENNEA_PLANES[0]
            if (config.time_axis or "t" not in name) and (config.pose_axis or "s" not in name)
        ]
        layout = PlaneLayout(
            (tuple(names),), (*[config.space_nodes] * 3, max(frames, 1), max(poses, 1)), config.levels, config.channels
        )
        count = math.ceil(frames / config.frames_per_field) if config.frames_per_field else 1
        generator = torch.Generator().manual_seed(seed)
        self.parts = nn.ModuleList(_Part(layout, config, generator) for _ in range(count))

    def forward(self, positions: Tensor, time: float, s: float) -> Deltas:
        """What changes of Gaussians at ``positions`` (N, 3), scene units, at ``time`` and pose coordinate ``s`` in
        [0, 1]: by name, (N, 3) or (N, 4), raw parameters before activation. Differentiable in the positions."""
        low, high = self.box[0], self.box[1]
        place = 2 * (positions - low) / (high - low) - 1
        return self._part(time)(place, (2 * time - 1, 2 * s - 1))

    def distorted(self, gaussians: Gaussians, time: float, s: float) -> tuple[Gaussians, Deltas]:
        """G' = G + dG (eq. 5) and dG for the rows that may be drawn at ``time``; other rows stay as they are. On a GPU
        all rows are changed: to learn which ones matter, the host would have to wait.

        Gradients flow to the scene directly and through the place at which the field is read.
        """
        if gaussians.device.type == "cuda":
            deltas = self(gaussians.positions, time, s)
            return gaussians.with_parameters({n: getattr(gaussians, n) + delta for n, delta in deltas.items()}), deltas
        rows = alive_at(gaussians, time, REACH)
        deltas = self(gaussians.positions[rows], time, s)
        changed = {name: getattr(gaussians, name).index_add(0, rows, delta) for name, delta in deltas.items()}
        return gaussians.with_parameters(changed), deltas

    def regularisers(self, time: float) -> Tensor:
        """The weighted penalties of the planes that serve ``time`` (eq. 9 and section 3.4)."""
        c = self.config
        spatial, times, poses = PLANE_KINDS
        return penalties(
            self._part(time).planes,
            (
                Term("variation" if c.variation_form == "first-order" else "curvature", c.variation, spatial),
                Term("pose" if c.smoothness_form == "paper" else "curvature", c.smoothness, poses),
                Term("to one", c.to_one, times + poses),
            ),
        )

    def shrinkage(self, deltas: Deltas) -> Tensor:
        """The weighted size of the distortion itself: mean d_mu^2 + mean |d_s| (released code)."""
        total = self.box.new_zeros(())
        if self.config.to_zero and "positions" in deltas and len(deltas["positions"]):
            total = total + deltas["positions"].square().mean()
        if self.config.to_zero and "scales" in deltas and len(deltas["scales"]):
            total = total + deltas["scales"].abs().mean()
        return self.config.to_zero * total

    def plane_parameters(self) -> list[nn.Parameter]:
        """What is learned at the planes' rate."""
        return [part.planes.values for part in self.parts]  # type: ignore[union-attr,misc]

    def network_parameters(self) -> list[nn.Parameter]:
        """What is learned at the layers' rate."""
        return [p for name, p in self.named_parameters() if not name.endswith("planes.values")]

    def _part(self, time: float) -> _Part:
        if not self.config.frames_per_field:
            return self.parts[0]  # type: ignore[return-value]
        k = round(time * max(0, self.frames - 1)) // self.config.frames_per_field
        return self.parts[min(k, len(self.parts) - 1)]  # type: ignore[return-value]


class _Part(nn.Module):
    """Planes, trunk and heads for a stretch of time: D = {phi, phi_mu, phi_l, phi_r, phi_s} of eq. 4."""

    def __init__(self, layout: PlaneLayout, config: DistortionConfig, generator: torch.Generator) -> None:
        super().__init__()
        width = config.width or 0
        self.heads = config.heads
        self.planes = Planes(layout, generator)
        self.trunk = _linear(layout.features, width, generator)
        self.film = _linear(2, 2 * width, generator) if config.film else None
        self.hidden = nn.ModuleList(_linear(width, width, generator) for _ in config.heads)
        self.last = nn.ModuleList(_linear(width, SIZES[name], generator) for name in config.heads)
        if config.zero_start:
            for layer in self.last:
                nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, places: Tensor, ts: tuple[float, float]) -> Deltas:
        """Changes by name at ``places`` (N, 3), all at time and pose ``ts``, everything in [-1, 1]."""
        h = self.trunk(self.planes(places, ts))
        if self.film is not None:
            gamma, beta = self.film(torch.cat([places.new_full((1,), x) for x in ts])).chunk(2)
            h = gamma * h + beta
        h = F.relu(h)
        layers = zip(self.heads, self.hidden, self.last, strict=True)
        return {name: last(F.relu(hidden(h))) for name, hidden, last in layers}


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Xavier-uniform weights, torch's default biases, from a seed of its own."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.uniform_(layer.bias, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
    return layer
