"""What a radiance field of a moving scene is asked for besides depth: NSFF's terms (Li et al. 2021), as DDR uses them.

Each function takes what rays met and returns one number, a mean over rays; :class:`SceneTerms` weighs and adds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.field.march import Marched, density_weights
from renderer.field.model import DynamicValues, RadianceField, density
from training.config import TrainConfig
from training.ddr_config import TermsConfig
from training.ray_losses import entropy, interlevel_loss

FLOW_WIDTH = 512.0
"""Width of the picture in whose pixels optical flow is compared."""
WHOLE_FLOW = 0.95
"""Share of a ray's samples, from the near end, along which the flow is asked to be smooth, as released."""


@dataclass(frozen=True)
class RayTargets:
    """What is known about R rays. ``color``: (R, 3). ``moving``: (R,) bool, whether the pixel shows something that
    moves; None where nothing is known. ``pixels``: (R, 2) column and row."""

    color: Tensor
    moving: Tensor | None
    pixels: Tensor


@dataclass(frozen=True)
class Neighbour:
    """The frame before or after. ``side``: 0 or 1. ``time``: in [0, 1]. ``camera``, ``pose`` (4, 4), ``zoom``: of that
    frame. ``flow``: (R, 2) optical flow of the rays' pixels to it, pixels. ``seen``: (R,) bool, where it can be
    trusted."""

    side: int
    time: float
    camera: Camera
    pose: Tensor
    zoom: Tensor | None
    flow: Tensor
    seen: Tensor


@dataclass(frozen=True)
class Fetched:
    """The dynamic part of a neighbouring frame at the places to which the flow leads, (R * S,), and its weights and
    those with what is hidden left out, (R, S)."""

    places: Tensor
    values: DynamicValues
    weights: Tensor
    seen: Tensor


class SceneTerms:
    """The weighted sum of the terms. ``steps_per_decay``: after so many steps the weight of the optical flow falls to
    a tenth; 0 for never."""

    def __init__(self, config: TermsConfig, steps_per_decay: int) -> None:
        self._config, self._steps_per_decay = config, steps_per_decay

    def photometric(self, m: Marched, targets: RayTargets) -> Tensor:
        """Colours of the blend and of each part alone."""
        c, total = self._config, m.weights.blended.new_zeros(())
        if c.blend:
            total = total + c.blend * (m.color() - targets.color).square().mean()
        if c.dynamic:
            total = total + c.dynamic * (m.color_alone("dynamic") - targets.color).square().mean()
        if c.static:
            error = (m.color_alone("static") - targets.color).square().mean(1)
            still = torch.ones_like(error) if targets.moving is None else (~targets.moving).to(error)
            total = total + c.static * (error * still).sum() / still.sum().clamp(min=1)
        return total

    def parts(self, m: Marched) -> Tensor:
        """What keeps the two parts and the proposals apart and lean."""
        c, w = self._config, m.weights
        total = w.blended.new_zeros(())
        if c.interlevel:
            edges, guess = m.proposals
            total = total + c.interlevel * interlevel_loss(m.samples.edges, w.blended, edges, guess)
        if c.entropy:
            total = total + c.entropy * entropy(m.static.blend)
        if c.sparsity:
            total = total + c.sparsity * w.of_dynamic.sum(1).mean()
        return total

    def motion(self, field: RadianceField, m: Marched, targets: RayTargets, to: Neighbour, step: int) -> Tensor:
        """All that has to do with a neighbouring frame."""
        c, there = self._config, fetched(field, m, to)
        total = there.weights.new_zeros(())
        if c.warped:
            total = total + c.warped * warped_error(there, targets.color)
        if c.flow:
            decayed = c.flow * decay(step, self._steps_per_decay)
            total = total + decayed * flow_error(field, m, there, targets.pixels, to)
        if c.cycle:
            total = total + c.cycle * cycle_error(m, there, to.side)
        flow = m.dynamic.flow
        if c.flow_size:
            total = total + c.flow_size * flow.abs().mean()
        if c.flow_smoothness:
            total = total + c.flow_smoothness * (roughness_along_rays(m) + 0.5 * flow.sum(1).square().mean())
        if c.hidden:
            total = total + c.hidden * m.dynamic.hidden.mean()
        return total


def scene_terms(config: TrainConfig) -> SceneTerms:
    """The terms of a run."""
    return SceneTerms(config.terms, config.scaled(config.terms.decay) if config.terms.decay else 0)


def decay(step: int, steps_per_decay: int) -> float:
    """A tenth for every so many steps that are done; one where that is zero."""
    return float(10.0 ** -(step // steps_per_decay)) if steps_per_decay else 1.0


def fetched(field: RadianceField, m: Marched, to: Neighbour) -> Fetched:
    """Follow the scene flow and look at the neighbouring frame there (NSFF, eq. 4): same ray, other time."""
    shape = m.samples.s.shape
    places = m.samples.places + m.dynamic.flow[:, to.side]
    values = field.dynamic_at(places, to.time)
    weights = density_weights(density(values.raw).view(shape), m.samples.deltas)
    return Fetched(places, values, weights, weights * (1 - m.dynamic.hidden[:, to.side].view(shape)))


def warped_error(there: Fetched, color: Tensor) -> Tensor:
    """Squared colour error of the fetched frame, weighted by how much of the ray is seen there (NSFF, eq. 5)."""
    picture = (there.weights[..., None] * there.values.color.view(*there.weights.shape, 3)).sum(1)
    seen = there.seen.sum(1)
    return (seen * (picture - color).square().mean(1)).sum() / seen.detach().sum().clamp(min=1e-3)


def flow_error(field: RadianceField, m: Marched, there: Fetched, pixels: Tensor, to: Neighbour) -> Tensor:
    """L1 of where the ray's mean place goes in the neighbouring picture to where optical flow says (NSFF, eq. 9)."""
    w = m.weights.dynamic
    w = w / w.sum(1, keepdim=True).clamp(min=1e-6)
    mean = (w[..., None] * there.places.view(*w.shape, 3)).sum(1)
    local = field.space.unfold(mean) @ to.pose[:3, :3].T + to.pose[:3, 3]
    x, y = (local[:, :2] / local[:, 2:].clamp(min=to.camera.near)).unbind(1)
    zoom = 1.0 if to.zoom is None else to.zoom
    landed = torch.stack([x * (to.camera.fx * zoom) + to.camera.cx, y * (to.camera.fy * zoom) + to.camera.cy], dim=1)
    error = (landed - (pixels + 0.5) - to.flow).abs().sum(1) * (FLOW_WIDTH / to.camera.width)
    return torch.where(to.seen, error, 0).sum() / to.seen.sum().clamp(min=1)


def cycle_error(m: Marched, there: Fetched, side: int) -> Tensor:
    """L1 of the flow there and back, where the ray's weight is and is seen there (NSFF, eq. 7)."""
    back = m.dynamic.flow[:, side] + there.values.flow[:, 1 - side]
    w = (m.weights.dynamic * (1 - m.dynamic.hidden[:, side].view_as(m.weights.dynamic))).detach()
    return (w * back.abs().sum(1).view_as(w)).sum(1).mean()


def roughness_along_rays(m: Marched) -> Tensor:
    """Mean L1 difference of the flow between neighbouring samples of a ray."""
    R, S = m.samples.s.shape
    flow = m.dynamic.flow.view(R, S, 6)[:, : max(2, round(WHOLE_FLOW * S))]
    return flow.diff(dim=1).abs().mean()
