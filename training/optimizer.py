"""Adam over a scene's parameters, and edits of the scene that keep parameters and moments in step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from renderer.cuda.adam import FusedAdam
from renderer.gaussians import Gaussians
from training.config import REFERENCE_STEPS, DistortionConfig, LearningRates
from training.device import beside
from training.distortion import DistortionField

Edit = Callable[[str, Tensor], Tensor]

RATE_OF = {
    "positions": "position",
    "times": "time",
    "scales": "scale",
    "time_scales": "time_scale",
    "left": "rotation",
    "right": "rotation",
    "opacities": "opacity",
    "sh_dc": "sh_dc",
    "sh_rest": "sh_rest",
}

TIME_SCALE_FALL = 7_000 / REFERENCE_STEPS
"""Share of the run over which the rate of the temporal scales falls, where it does."""
MOST_PLANE_RATE = 0.02
"""Products of nine planes run away at a rate of 0.04 (ours, measured)."""
FIELD_FALL = 10.0
"""Factor by which the rates of a distortion field fall over a run."""


class GaussianOptimizer:
    """Adam (eps 1e-15) with one learning rate per parameter; rows can be kept, appended and reset.

    ``extent``: scene units; positions and times are learned at a rate proportional to it. ``rates``: may be replaced.
    """

    def __init__(self, gaussians: Gaussians, rates: LearningRates, extent: float) -> None:
        self.rates, self._extent = rates, extent
        leaves = {name: value.detach().clone().requires_grad_() for name, value in gaussians.parameters.items()}
        self.gaussians = gaussians.with_parameters(leaves)
        groups = [
            {"params": [leaf], "name": name, "lr": self._rate(name, progress=0.0)} for name, leaf in leaves.items()
        ]
        self._adam: torch.optim.Optimizer = (
            FusedAdam(groups, eps=1e-15)
            if gaussians.device.type == "cuda"
            else torch.optim.Adam(groups, eps=1e-15, fused=True)
        )

    def _rate(self, name: str, progress: float) -> float:
        rate = getattr(self.rates, RATE_OF[name])
        if name == "positions":
            rate = math.exp((1 - progress) * math.log(rate) + progress * math.log(self.rates.position_final))
        if name == "time_scales" and self.rates.time_scale_start is not None:
            fallen = min(1.0, progress / TIME_SCALE_FALL)
            rate = math.exp((1 - fallen) * math.log(self.rates.time_scale_start) + fallen * math.log(rate))
        return rate * self._extent if name in ("positions", "times") else rate

    def step(self, progress: float) -> None:
        """One update and fresh gradients; ``progress`` in [0, 1] is the share of the run that is done."""
        for group in self._adam.param_groups:
            group["lr"] = self._rate(group["name"], progress)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def moments(self) -> dict[str, Tensor]:
        """Adam's state by "parameter.moment", for a checkpoint."""
        state = {}
        for group in self._adam.param_groups:
            for key, value in self._adam.state[group["params"][0]].items():
                state[f"{group['name']}.{key}"] = value
        return state

    def load_moments(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`moments`."""
        for group in self._adam.param_groups:
            prefix = group["name"] + "."
            leaf = group["params"][0]
            kept = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            self._adam.state[leaf] = beside(leaf, kept)

    def restore(self) -> None:
        """Let go of gradients, and of what an edit that failed half-way has made: the scene is as it was before.
        Moments that are lost with it begin at zero."""
        for group in self._adam.param_groups:
            leaf, there = self.gaussians.parameters[group["name"]], group["params"][0]
            if there is not leaf:
                self._adam.state.pop(there, None)
                group["params"] = [leaf]
        self._adam.zero_grad(set_to_none=True)

    def keep(self, rows: Tensor) -> None:
        """Keep these rows (a mask or indices), in this order."""
        self._edit(lambda name, value: value[rows], lambda name, moment: moment[rows])

    def append(self, new: Mapping[str, Tensor]) -> None:
        """Add Gaussians; their moments start at zero."""
        self._edit(
            lambda name, value: torch.cat([value, new[name]]),
            lambda name, moment: torch.cat([moment, torch.zeros_like(new[name])]),
        )

    def set_values(self, name: str, values: Tensor) -> None:
        """Overwrite one parameter and forget its moments."""
        leaf = getattr(self.gaussians, name)
        with torch.no_grad():
            leaf.copy_(values)
        for key, value in self._adam.state.get(leaf, {}).items():
            if key != "step":
                value.zero_()

    def set_sh_level(self, level: int) -> None:
        """Switch harmonics on."""
        self.gaussians = replace(self.gaussians, sh_level=level)

    def _edit(self, values: Edit, moments: Edit) -> None:
        leaves = {}
        for group in self._adam.param_groups:
            name, old = group["name"], group["params"][0]
            state = self._adam.state.pop(old, {})
            with torch.no_grad():
                leaf = values(name, old).contiguous().requires_grad_()
                for key in state.keys() - {"step"}:
                    state[key] = moments(name, state[key]).contiguous()
            if state:
                self._adam.state[leaf] = state
            group["params"] = [leaf]
            leaves[name] = leaf
        self.gaussians = self.gaussians.with_parameters(leaves)


class FieldOptimizer:
    """Adam (eps 1e-15) over a distortion field; rates are proportional to ``extent``, scene units, and to ``haste``."""

    def __init__(self, field: DistortionField, config: DistortionConfig, extent: float, haste: float = 1.0) -> None:
        self._extent = extent
        self.reconfigure(config, haste)
        groups = [{"params": field.plane_parameters()}, {"params": field.network_parameters()}]
        self._adam = torch.optim.Adam(groups, lr=0.0, eps=1e-15, fused=True)

    def reconfigure(self, config: DistortionConfig, haste: float) -> None:
        """Go on with other rates."""
        planes, network = (rate * self._extent * haste for rate in (config.plane_rate, config.network_rate))
        self._rates = (min(planes, MOST_PLANE_RATE), network)

    def step(self, progress: float) -> None:
        """One update and fresh gradients; ``progress``: steps since the field's start as a share of the run."""
        for group, rate in zip(self._adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * FIELD_FALL**-progress
        self._adam.step()
        self.release()

    def release(self) -> None:
        """Let go of gradients."""
        self._adam.zero_grad(set_to_none=True)

    def moments(self) -> dict[str, Tensor]:
        """Adam's state by "number.moment", for a checkpoint."""
        leaves = [p for group in self._adam.param_groups for p in group["params"]]
        return {f"{k}.{key}": value for k, leaf in enumerate(leaves) for key, value in self._adam.state[leaf].items()}

    def load_moments(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`moments`."""
        leaves = [p for group in self._adam.param_groups for p in group["params"]]
        for k, leaf in enumerate(leaves):
            kept = {
                key.partition(".")[2]: v.to(leaf.device, copy=True)
                for key, v in state.items()
                if key.partition(".")[0] == str(k)
            }
            if kept:
                self._adam.state[leaf] = kept
