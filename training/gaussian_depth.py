"""DDR and its relatives on 4D Gaussians: what depth is asked of the weights with which a picture is drawn."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.field.space import Space
from renderer.instant import Instant
from renderer.splat import SplatImage, Splats
from renderer.splat.rays import splat_rays
from training.clip_targets import ClipTargets
from training.config import TrainConfig
from training.depth_term import SeenRays, depth_term, with_known
from training.device import CPU, there
from training.ray_losses import empty_alpha

FIRST_STEP, LEFT, SMALL = 500, 1 / 500, 1e-6
"""Of SparseCam4D's released depth loss: first step of 30,000, share of the weight that is left at the end, and the
least deviation."""
COVERED = 0.5
"""Least opacity of a pixel whose disparity is compared; that of an empty one is infinite."""
SOLID = 1e-3
"""Least opacity of a pixel whose depth is looked at."""


class GaussianDepth:
    """The depth terms of one run. The closed form of DDR is a channel of the picture itself; what needs the weights one
    by one looks at some of the picture's rays."""

    def __init__(self, targets: ClipTargets, space: Space, config: TrainConfig, device: torch.device = CPU) -> None:
        self._device = device
        self._depth, self._ddr, self._seed = config.depth, config.ddr, config.seed
        self._targets, self._space = targets, space
        assert config.steps is not None, "resolve the configuration first"
        self._first, self._steps = config.scaled(FIRST_STEP), config.steps
        self._by_channel = (
            config.ddr.weight > 0 and config.ddr.estimator == "exact" and config.depth.alignment == "frame"
        )
        on_rays = replace(config.ddr, weight=0.0) if self._by_channel else config.ddr
        self._term = depth_term(replace(config, ddr=on_rays))

    def channel(self, index: int) -> Tensor | None:
        """(H, W) depths that the splatter compares with, 0 where none is known; None where it need not."""
        return torch.nan_to_num(self._depth_of(index)) if self._by_channel else None

    def loss(self, instant: Instant, camera: Camera, pose: Tensor, index: int, step: int) -> Tensor:
        """All terms of a step on the picture of a shot. Those that look at rays one by one wait for a GPU, to know how
        much each of them meets."""
        image = instant.image
        total = image.color.new_zeros(())
        if self._depth.standardised and self._targets.source is not None and step >= self._first:
            total = total + self._depth.standardised * LEFT ** (step / self._steps) * self._standardised(image, index)
        if image.depth_error is not None:
            total = total + self._term.weight(step) * self._ddr.weight * self._channel_error(image, index)
        if self._term.is_on:
            total = total + self._ray_terms(instant.slice().splats, camera, pose, index, step)
        return total

    def _standardised(self, image: SplatImage, index: int) -> Tensor:
        """Mean over pixels of the error of the disparity, in standard deviations of the known one."""
        depth = self._depth_of(index)
        known = torch.isfinite(depth) & (image.opacity.detach() > COVERED)
        count = known.sum()
        disparity = 1 / torch.where(known, depth, 1)
        error = (1 / torch.where(known, image.depth, 1) - disparity).abs().sum() / count.clamp(min=1)
        mean = torch.where(known, disparity, 0).sum() / count.clamp(min=1)
        deviation = torch.where(known, disparity - mean, 0).square().sum() / (count - 1).clamp(min=1)
        return torch.where(count < 2, 0, error / deviation.sqrt().clamp(min=SMALL))

    def _channel_error(self, image: SplatImage, index: int) -> Tensor:
        """Mean over pixels of E|t - D| in normalised depth, to first order around D."""
        assert image.depth_error is not None
        depth = self._depth_of(index)
        known = torch.isfinite(depth) & (image.opacity.detach() > SOLID)
        D = torch.where(known, depth, 1)
        slope = known / (D * D * (1 / self._space.near - 1 / self._space.far))
        error = image.depth_error / image.opacity.clamp(min=SOLID) * slope
        return error.sum() / known.sum().clamp(min=1)

    def _depth_of(self, index: int) -> Tensor:
        """(H, W) known depth of a shot where the scene is."""
        return there(self._targets.depth(index)[0], self._device)

    def _ray_terms(self, splats: Splats, camera: Camera, pose: Tensor, index: int, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        columns = torch.randint(camera.width, (self._depth.rays,), generator=generator)
        pixels = torch.stack([columns, torch.randint(camera.height, (self._depth.rays,), generator=generator)], dim=1)
        if self._term.needs_depth:
            pixels = with_known(pixels, self._targets.depth(index)[0], generator)
        batch = splat_rays(splats, camera, pixels, pose=pose)
        x, y = pixels.unbind(1)
        unknown = torch.full((len(pixels),), float("nan"))
        target, disparity = unknown, unknown
        if self._term.needs_depth:
            depth, raw = self._targets.depth(index)
            target, disparity = self._space.place(depth[y, x]), raw[y, x]
        target, disparity = there(target, self._device), there(disparity, self._device)
        solid = batch.weights.detach().sum(1) > SOLID
        target = torch.where(solid, target, torch.nan)
        s = self._space.place(batch.depths.clamp(min=camera.near))
        seen = SeenRays(
            s, {"total": batch.weights, "dynamic": batch.weights, "static": batch.weights}, target, disparity
        )
        total = self._term(seen, step)
        known = torch.isfinite(target)
        if self._ddr.empty and known.any():
            empty = empty_alpha(batch.alphas[known], s[known], target[known], self._ddr.margin)
            total = total + self._term.weight(step) * self._ddr.empty * empty
        return total
