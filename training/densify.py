"""Adaptive density control: where the picture pulls, Gaussians are cloned or split; faint ones go.

Kerbl et al. 2023, section 5, in space and time as in Yang et al. 2024, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.gaussians import Gaussians, rotations_4d
from training.config import DensifyConfig
from training.optimizer import GaussianOptimizer

CHILDREN = 2
"""A split Gaussian becomes this many."""
SHRINK = 0.8 * CHILDREN
"""All four scales of a child are the parent's divided by this."""
RESET_OPACITY = 0.01
LARGE_SHARE = 0.1
"""After the first opacity reset, Gaussians larger than this share of the extent are removed."""
LARGE_RADIUS = 20
"""So are those with a larger radius on the screen, in pixels."""


@dataclass
class DensityStatistics:
    """What has been seen of each of N Gaussians since the last round.

    ``screen``: (N,) sum of the norms of dL/d(screen position), normalised device coordinates. ``time``: (N,) sum
    of |dL/d mu_t|. ``seen``: (N,) pictures that showed it. ``radii``: (N,) largest radius, pixels.
    """

    screen: Tensor
    time: Tensor
    seen: Tensor
    radii: Tensor

    @staticmethod
    def empty(count: int, device: torch.device) -> DensityStatistics:
        """Nothing seen yet."""
        return DensityStatistics(*(torch.zeros(count, device=device) for _ in range(4)))

    def observe(self, ids: Tensor | None, screen_gradients: Tensor, radii: Tensor, camera: Camera) -> None:
        """Add one picture: rows ``ids`` (M,), None for all in their order, dL/d pixels (M, 2), ``radii`` (M,), 0 for
        what was not drawn. Of all rows nobody waits to learn which were drawn."""
        drawn = radii > 0
        if ids is None:
            x, y = screen_gradients.unbind(1)
            self.screen += torch.hypot(x * (0.5 * camera.width), y * (0.5 * camera.height)) * drawn
            self.seen += drawn
            self.radii = torch.maximum(self.radii, radii.float())
            return
        rows = ids[drawn]
        to_ndc = screen_gradients.new_tensor([0.5 * camera.width, 0.5 * camera.height])
        self.screen[rows] += (screen_gradients[drawn] * to_ndc).norm(dim=1)
        self.seen[rows] += 1
        self.radii[rows] = torch.maximum(self.radii[rows], radii[drawn].float())

    def observe_time(self, time_gradients: Tensor) -> None:
        """Add |dL/d mu_t| (N, 1) of one step."""
        self.time += time_gradients[:, 0].abs()


def densify(
    optimizer: GaussianOptimizer,
    statistics: DensityStatistics,
    config: DensifyConfig,
    extent: float,
    prune_large: bool,
    generator: torch.Generator,
) -> None:
    """One round: clone, split, prune. The statistics do not fit the scene any more afterwards.

    ``extent``: scene units. ``prune_large``: also remove what is large in the world or on the screen.
    """
    seen = statistics.seen.clamp(min=1)
    pull = statistics.screen / seen
    wanted = pull >= config.gradient
    if config.time_gradient is not None:
        wanted |= statistics.time / seen >= config.time_gradient
    wanted = _within_budget(wanted, pull, config.max_gaussians)

    g = optimizer.gaussians.detached()
    N = len(g)
    large = g.activate_scales(g.scales).amax(1) > config.dense_share * extent
    clone, split = wanted & ~large, wanted & large
    children = split_children(g, split, generator)
    optimizer.append({name: torch.cat([value[clone], children[name]]) for name, value in g.parameters.items()})

    g = optimizer.gaussians.detached()
    added = len(g) - N
    removed = torch.sigmoid(g.opacities[:, 0]) < config.min_opacity
    removed[:N] |= split
    if prune_large:
        radii = torch.cat([statistics.radii, statistics.radii.new_zeros(added)])
        removed |= g.activate_scales(g.scales).amax(1) > LARGE_SHARE * extent
        removed |= radii > LARGE_RADIUS
    optimizer.keep(~removed)


def split_children(g: Gaussians, split: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Two children of each row in the mask ``split``, drawn from its 4D density, all four scales smaller."""
    parents = {name: value[split].repeat(CHILDREN, *[1] * (value.ndim - 1)) for name, value in g.parameters.items()}
    scales, time_scales = g.activate_scales(parents["scales"]), g.activate_scales(parents["time_scales"])
    sigma = torch.cat([scales, time_scales], dim=1)  # (2 S, 4)
    noise = torch.randn(sigma.shape, generator=generator).to(sigma)
    offsets = (rotations_4d(parents["left"], parents["right"]) @ (sigma * noise)[:, :, None])[:, :, 0]
    parents["positions"] = parents["positions"] + offsets[:, :3]
    parents["times"] = parents["times"] + offsets[:, 3:]
    parents["scales"] = g.deactivate_scales(scales / SHRINK)
    parents["time_scales"] = g.deactivate_scales(time_scales / SHRINK)
    return parents


def reset_opacities(optimizer: GaussianOptimizer) -> None:
    """Lower every opacity to 0.01 at most; what the pictures need comes back."""
    ceiling = torch.logit(torch.tensor(RESET_OPACITY)).item()
    optimizer.set_values("opacities", optimizer.gaussians.opacities.detach().clamp(max=ceiling))


def _within_budget(wanted: Tensor, pull: Tensor, limit: int | None) -> Tensor:
    """Only the most wanted ones when all would exceed the limit: each adds one Gaussian."""
    room = max(0, (limit or len(wanted) * 2) - len(wanted))
    if int(wanted.sum()) <= room:
        return wanted
    order = torch.argsort(torch.where(wanted, pull, -1.0), descending=True, stable=True)
    allowed = torch.zeros_like(wanted)
    allowed[order[:room]] = True
    return wanted & allowed
