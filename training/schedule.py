"""What happens when in a run, in words: cameras that begin to move, fields that are switched on, rounds that end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from renderer.harmonics import MAX_LEVEL
from training.config import TrainConfig
from training.densify import RESET_OPACITY
from training.depth_term import depth_term
from training.field_scene import HARD_SHARE, WARM_UP, WARM_UP_AT_ZERO
from training.gaussian_depth import FIRST_STEP


@dataclass(frozen=True)
class Milestone:
    """``step``: how many steps are done when it comes about: what is looked at before a step holds from the next on,
    what happens after a step has just happened. ``every``: steps between it and its repetitions, 0 where it has none.
    ``last``: the last of them."""

    step: int
    text: str
    every: int = 0
    last: int = 0

    def is_at(self, step: int) -> bool:
        """Whether it comes about, or again, when so many steps are done."""
        if not self.every:
            return step == self.step
        return self.step <= step <= self.last and (step - self.step) % self.every == 0


def milestones(config: TrainConfig, generated: bool, depths: bool = True) -> list[Milestone]:
    """All that this run does but at its beginning and at its end, in order. ``config`` must be resolved.

    ``generated``: whether it learns from generated views. ``depths``: whether any depth of the clip is known.
    """
    assert config.steps is not None, "resolve the configuration first"
    parts = [*_cameras(config), *_depth(config, depths)]
    if config.scene.model == "field":
        parts += _field(config)
    else:
        parts += [*_harmonics(config), *_density(config)]
        if generated:
            parts += _distortion(config)
    return sorted((m for m in parts if 0 < m.step < config.steps), key=lambda m: m.step)


def _cameras(config: TrainConfig) -> Iterator[Milestone]:
    first, last = config.scaled(config.cameras.start), config.scaled(config.cameras.stop)
    if config.cameras.enabled and first < last:
        yield Milestone(first, "Cameras begin to move")
        yield Milestone(last, "Camera poses freeze")


def _distortion(config: TrainConfig) -> Iterator[Milestone]:
    first, last = config.scaled(config.distortion.start), config.scaled(config.distortion.stop)
    if config.distortion.enabled:
        yield Milestone(first, "The distortion field is switched on")
        if first < last:
            yield Milestone(last, "The distortion field freezes")


def _harmonics(config: TrainConfig) -> Iterator[Milestone]:
    """A level is raised at the beginning of a step."""
    interval = config.scaled(config.sh_interval)
    for level in range(1, MAX_LEVEL + 1):
        yield Milestone(level * interval, f"Harmonics rise to level {level}")


def _density(config: TrainConfig) -> Iterator[Milestone]:
    """Rounds and resets come at the end of a step."""
    c, stop = config.densify, config.scaled(config.densify.stop)
    first = _next_multiple(c.interval, config.scaled(c.start))
    if first < stop:
        yield Milestone(first, "Densification begins")
        yield Milestone(stop, "Densification ends")
    if not c.opacity_reset or c.opacity_reset >= stop:
        return
    last = (stop - 1) // c.opacity_reset * c.opacity_reset
    yield Milestone(c.opacity_reset, f"Opacities are lowered to {RESET_OPACITY:g}", c.opacity_reset, last)
    pruned = _next_multiple(c.interval, max(config.scaled(c.start), c.opacity_reset))
    if pruned < stop:
        yield Milestone(pruned, "Large Gaussians are removed from here on")


def _depth(config: TrainConfig, depths: bool) -> Iterator[Milestone]:
    """Weights fall, and the temperature with them, at the beginning of a step."""
    term, steps = depth_term(config), config.steps or 0
    if depths and config.scene.model == "gaussians" and config.depth.standardised:
        yield Milestone(config.scaled(FIRST_STEP), "Depths begin to be compared")
    if config.depth.decay and (config.depth.distortion or (depths and term.needs_depth)):
        yield _repeated(config.scaled(config.depth.decay), "The weights of depth fall to a tenth", steps)


def _field(config: TrainConfig) -> Iterator[Milestone]:
    assert config.steps is not None
    c, steps = config.field, config.steps
    warm = math.ceil(steps * (WARM_UP - WARM_UP_AT_ZERO) - 1e-9)
    yield Milestone(warm, "The step sizes are warmed up")
    if c.moving_rays:
        yield Milestone(math.ceil(HARD_SHARE * steps), "No more additional rays on what moves")
    if config.terms.flow and config.terms.decay:
        yield _repeated(config.scaled(config.terms.decay), "The weight of the optical flow falls to a tenth", steps)


def _repeated(every: int, text: str, steps: int) -> Milestone:
    return Milestone(every, text, every, (steps - 1) // every * every)


def _next_multiple(of: int, above: int) -> int:
    """The first multiple that is greater than ``above``."""
    return (above // of + 1) * of
