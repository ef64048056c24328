"""What depth is asked of the weights along rays: DDR (TVCG 2025) and its relatives, for fields and Gaussians alike.

All is computed in normalised depth s in [0, 1], linear in disparity between a near and a far depth: what DDR calls
normalised device coordinates, in which a monocular network's disparity is right up to a scale and a shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training import gumbel
from training import ray_losses as losses
from training.config import TrainConfig, with_changes
from training.ddr_config import DdrConfig, DepthConfig
from training.device import there
from training.field_terms import decay

KNOWN_SHARE = 0.25
"""Share of a step's rays that have a known depth where that can be had."""
Branches = dict[str, Tensor]
LEAST_MEMBERS = {"frame": 1, "batch": 8}
"""Rays with a target below which there is nothing to compare, or no batch to be aligned."""


@dataclass(frozen=True)
class SeenRays:
    """R rays with S samples. ``s``: (R, S) normalised depths, ascending. ``weights``: (R, S) by branch: "total",
    "dynamic", "static". ``edges``: (R, S + 1) of the intervals, None for contributions that are points.
    ``target``: (R,) normalised depth that is known, NaN where none is. ``disparity``: (R,) of the same, in any unit.
    These two may lie on the CPU: then nobody waits to learn how many are known."""

    s: Tensor
    weights: Branches
    target: Tensor
    disparity: Tensor
    edges: Tensor | None = None


class DepthTerm:
    """The weighted sum of the terms. ``steps_per_decay``: after so many steps all weights fall to a tenth; 0: never."""

    def __init__(self, depth: DepthConfig, ddr: DdrConfig, steps_per_decay: int, seed: int) -> None:
        self._depth, self._ddr = depth, ddr
        self._steps_per_decay, self._seed = steps_per_decay, seed

    @property
    def needs_depth(self) -> bool:
        """Whether any term needs to know depths."""
        d, r = self._depth, self._ddr
        return any(w > 0 for w in (r.weight, r.empty, d.expected, d.ds_nerf_kl, d.gradient))

    @property
    def is_on(self) -> bool:
        """Whether there is any term at all."""
        return self.needs_depth or self._depth.distortion > 0

    def weight(self, step: int) -> float:
        """What all weights are multiplied by at a step."""
        return decay(step, self._steps_per_decay)

    def temperature(self, step: int) -> float:
        """Of the Gumbel softmax at a step."""
        decays = step // self._steps_per_decay if self._ddr.anneal and self._steps_per_decay else 0
        return gumbel.temperature_at(self._ddr.temperature, decays)

    def __call__(self, rays: SeenRays, step: int) -> Tensor:
        """All terms but empty space, at a step of the run."""
        d, r = self._depth, self._ddr
        s, w = rays.s, rays.weights[r.branch]
        total = w.new_zeros(())
        if d.distortion:
            total = total + d.distortion * (
                losses.point_distortion(s, w) if rays.edges is None else losses.distortion_loss(rays.edges, w)
            )
        if not self.needs_depth or (found := self._known(rays)) is None:
            return self.weight(step) * total
        known, target, disparity = found
        s, w = s[known], w[known]
        target = self._aligned(s, w, target, disparity)
        if d.expected:
            total = total + d.expected * losses.expected_depth_loss(s, w, target, form=d.expected_form)
        if d.ds_nerf_kl:
            widths = None if rays.edges is None else rays.edges[known].diff(dim=1)
            total = total + d.ds_nerf_kl * losses.ds_nerf_kl(s, w, target, d.kl_sigma, widths)
        if d.gradient:
            expected = (losses.normalised(rays.weights["total"][known]) * s).sum(1)
            total = total + d.gradient * losses.depth_gradient(expected, target)
        if r.weight:
            total = total + r.weight * self._ddr_loss(s, w, target, -disparity, step)
        return self.weight(step) * total

    def empty_space(self, sigma: dict[str, Tensor], rays: SeenRays, moving: Tensor | None, step: int) -> Tensor:
        """Squared densities (R, S) of the "dynamic" and the "static" part in front of the surface."""
        r = self._ddr
        if not r.empty or (found := self._known(rays)) is None:
            return rays.s.new_zeros(())
        known, target, disparity = found
        if r.empty_form == "released":
            surface = losses.released_boundary(disparity)
        else:
            surface = self._aligned(rays.s[known], rays.weights["total"][known], target, disparity)
        still = torch.zeros_like(rays.s[:, 0], dtype=torch.bool) if moving is None else moving
        masks = losses.empty_masks(still[known], r.empty_masks)
        parts = zip(("dynamic", "static"), masks, strict=True)
        terms = [
            losses.empty_space(sigma[p][known], rays.s[known], surface, r.margin, m) for p, m in parts if p in sigma
        ]
        return self.weight(step) * r.empty * torch.stack(terms).sum()

    def _known(self, rays: SeenRays) -> tuple[Tensor, Tensor, Tensor] | None:
        """Rows (K,) of the rays with a known depth, that depth and the disparity, all where the rays are; None where
        there are too few."""
        rows = torch.nonzero(torch.isfinite(rays.target)).squeeze(1)
        if len(rows) < LEAST_MEMBERS[self._depth.alignment]:
            return None
        known = (rows, rays.target[rows].to(rays.s.dtype), rays.disparity[rows].to(rays.s.dtype))
        rows, target, disparity = (there(x, rays.s.device) for x in known)
        return rows, target, disparity

    def _ddr_loss(self, s: Tensor, w: Tensor, target: Tensor, depth_like: Tensor, step: int) -> Tensor:
        r = self._ddr
        if r.estimator == "exact":
            return losses.ddr_exact(s, w, target)
        generator = torch.Generator(w.device).manual_seed(self._seed * 1_000_003 + step)
        return gumbel.ddr_gumbel(
            s, w, target if self._depth.alignment == "frame" else depth_like,
            count=r.samples, temperature=self.temperature(step), generator=generator,
            form="plain" if r.estimator == "gumbel" else "released",
            normalise="aligned" if self._depth.alignment == "frame" else "batch",
        )  # fmt: skip

    def _aligned(self, s: Tensor, w: Tensor, target: Tensor, disparity: Tensor) -> Tensor:
        """(R,) normalised depths to compare with: as known, or brought to the median and the mean absolute deviation
        of the batch's own expected depths."""
        if self._depth.alignment == "frame":
            return target
        own = (losses.normalised(w) * s).sum(1).detach()
        median = own.median()
        return median + (own - median).abs().mean() * losses.median_mad(-disparity)


def with_known(pixels: Tensor, depth: Tensor, generator: torch.Generator) -> Tensor:
    """The pixels (R, 2), the first quarter replaced by random ones of known depth where a picture (H, W) has fewer
    than a quarter of those: sparse points would be met by chance only."""
    known = depth.isfinite()
    if not known.any() or float(known.float().mean()) >= KNOWN_SHARE:
        return pixels
    wanted, places = round(KNOWN_SHARE * len(pixels)), torch.nonzero(known).flip(1)
    chosen = places[torch.randint(len(places), (wanted,), generator=generator)]
    return torch.cat([chosen, pixels[wanted:]])


def depth_term(config: TrainConfig) -> DepthTerm:
    """The terms of a run."""
    steps_per_decay = config.scaled(config.depth.decay) if config.depth.decay else 0
    return DepthTerm(config.depth, config.ddr, steps_per_decay, config.seed)


def without_depth(config: TrainConfig) -> TrainConfig:
    """The configuration with no term that needs to know depths."""
    nothing = ("ddr.weight", "ddr.empty", "depth.expected", "depth.ds_nerf_kl", "depth.gradient", "depth.standardised")
    return with_changes(config, dict.fromkeys(nothing, 0.0))


def depth_wanted(config: TrainConfig) -> bool:
    """Whether any term of a run needs to know depths."""
    return depth_term(config).needs_depth or config.depth.standardised > 0
