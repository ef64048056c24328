"""Which settings may change while a run goes on.

What is read anew in every step may: step sizes, weights, thresholds, intervals, sizes of random samples, and the steps
at which something is switched on or off. What decides which tensors there are, which data they are learned from or what
a random number is drawn for may not; that takes another run.

The run's length may change as long as that does not set back what the schedule has done already: a longer run would
raise the harmonics' level later, let cameras rest that move, or let them move again long after they were frozen.
"""

from __future__ import annotations

from renderer.errors import InputError
from renderer.harmonics import MAX_LEVEL
from training.config import TrainConfig, check_values, flattened

FIXED: frozenset[str] = frozenset((
    "method", "seed",
    "data.megapixels", "data.cameras", "data.holdout", "data.train_frames", "data.test_frames", "data.poses",
    "data.fov", "data.frame_step", "data.generated", "data.cache_megabytes",
    "scene.model", "scene.points", "scene.time_span", "scene.scale_activation",
    "generated.network", "generated.weights",
    "distortion.enabled", "distortion.heads", "distortion.time_axis", "distortion.pose_axis", "distortion.film",
    "distortion.zero_start", "distortion.space_nodes", "distortion.levels", "distortion.channels", "distortion.width",
    "distortion.frames_per_field",
    "cameras.enabled", "cameras.form", "cameras.focal",
    "field.space", "field.nodes", "field.levels", "field.channels", "field.width", "field.frames_per_node",
    "field.views",
    "depth.source", "depth.folder", "depth.model", "depth.kind", "depth.alignment",
))  # fmt: skip
"""Dotted names of what a run keeps from its first step to its last."""

LIVE: frozenset[str] = frozenset(flattened(TrainConfig())) - FIXED
"""Dotted names of everything else."""


def option(name: str) -> str:
    """A dotted name as it is written on the command line."""
    return "--" + name.replace("_", "-")


def differing(before: TrainConfig, after: TrainConfig) -> dict[str, object]:
    """Values of ``after`` that differ from those of ``before``, by dotted name."""
    old = flattened(before)
    return {name: value for name, value in flattened(after).items() if value != old[name]}


def check_live(before: TrainConfig, after: TrainConfig, done: int) -> None:
    """InputError, one sentence, where a run that has done ``done`` steps cannot go on with other settings. Both
    configurations must be resolved."""
    changed = differing(before, after)
    for name in changed:
        if name in FIXED:
            raise InputError(f"{option(name)}: stays as it is while a run goes on; begin a new run to change it")
    check_values(after)
    if "generated.batch" in changed and not (before.generated.batch and after.generated.batch):
        raise InputError("--generated.batch: generated views come in or go with a new run only; give 1 or more")
    if "steps" in changed:
        _check_length(before, after, done)


def _check_length(before: TrainConfig, after: TrainConfig, done: int) -> None:
    assert after.steps is not None, "resolve the configuration first"
    if after.steps < done:
        raise InputError(f"--steps {after.steps}: {done} are done already; give as many or more")
    then, now = _stage(before, done), _stage(after, done)
    for what, stage in then.items():
        if stage != now[what]:
            raise InputError(
                f"--steps {after.steps}: a run of that length would be at another stage at step {done} ({what}); give "
                "a number nearer to the present one, or begin a new run"
            )


def _stage(config: TrainConfig, done: int) -> dict[str, object]:
    """Where the schedule stands, by what depends on the run's length. What ends with the run is not over before."""

    def span(start: int, stop: int) -> tuple[bool, bool]:
        end = config.scaled(stop)
        return done >= config.scaled(start), end < (config.steps or 0) and done >= end

    c, d = config.cameras, config.distortion
    stage: dict[str, object] = {}
    if config.scene.model == "gaussians":
        stage["level of the harmonics"] = min(MAX_LEVEL, done // config.scaled(config.sh_interval))
    if c.enabled:
        stage["learning of the cameras"] = span(c.start, c.stop)
    if d.enabled and config.generated.batch:
        stage["learning of the distortion field"] = span(d.start, d.stop)
    return stage
