"""Adam over a scene's parameters, and edits of the scene that keep parameters and moments in step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from renderer.gaussians import Gaussians
from training.config import LearningRates

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


class GaussianOptimizer:
    """Adam (eps 1e-15) with one learning rate per parameter; rows can be kept, appended and reset.

    ``extent``: scene units; positions and times are learned at a rate proportional to it.
    """

    def __init__(self, gaussians: Gaussians, rates: LearningRates, extent: float) -> None:
        self._rates, self._extent = rates, extent
        leaves = {name: value.detach().clone().requires_grad_() for name, value in gaussians.parameters.items()}
        self.gaussians = gaussians.with_parameters(leaves)
        groups = [
            {"params": [leaf], "name": name, "lr": self._rate(name, progress=0.0)} for name, leaf in leaves.items()
        ]
        self._adam = torch.optim.Adam(groups, eps=1e-15, fused=True)

    def _rate(self, name: str, progress: float) -> float:
        rate = getattr(self._rates, RATE_OF[name])
        if name == "positions":
            rate = math.exp((1 - progress) * math.log(rate) + progress * math.log(self._rates.position_final))
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
            self._adam.state[group["params"][0]] = {
                key.removeprefix(prefix): value.clone() for key, value in state.items() if key.startswith(prefix)
            }

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
