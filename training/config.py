"""Everything that a run can be told, one frozen dataclass per component.

The text under each field is its help on the command line. A preset is a value of :class:`TrainConfig`; ``None``
means "what suits the device", filled in by :func:`resolved`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from renderer.gaussians import ScaleActivation
from training.data.loading import DataOptions

REFERENCE_STEPS = 30_000
"""The length of the published schedules; a shorter run scales them in proportion."""


@dataclass(frozen=True)
class SceneConfig:
    """How the Gaussians start (Yang et al. 2024)."""

    points: int | None = None
    """Gaussians to start with at most: 300,000 as published on a GPU, 30,000 on a CPU."""
    time_span: float = 10.0
    """Length of the clip on the Gaussians' own time axis (10 as for Neural 3D Video)."""
    scale_activation: ScaleActivation = "exp"
    """exp in the base method, softplus in SparseCam4D."""


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes; positions and times are multiplied by the scene's extent."""

    position: float = 1.6e-4
    """Start; falls log-linearly to position_final over the run."""
    position_final: float = 1.6e-6
    """End of the same."""
    time: float = 1.6e-4
    """Constant."""
    sh_dc: float = 2.5e-3
    """Constant part of the colour."""
    sh_rest: float = 2.5e-3 / 20
    """View- and time-dependent part of the colour."""
    opacity: float = 0.05
    """Opacity logits."""
    scale: float = 5e-3
    """Raw spatial scales."""
    time_scale: float = 5e-3
    """Raw temporal scales."""
    rotation: float = 1e-3
    """Left and right quaternions."""


@dataclass(frozen=True)
class DensifyConfig:
    """Adding and removing Gaussians. Steps are of a run of 30,000 and shrink with shorter runs; intervals stay."""

    start: int = 500
    """First step that may densify."""
    stop: int = 15_000
    """No densification from here on."""
    interval: int = 100
    """Steps between two rounds."""
    gradient: float = 2e-4
    """Mean screen-space gradient (normalised device coordinates) from which a Gaussian is cloned or split."""
    time_gradient: float | None = None
    """Mean |dL/dt| from which it is densified as well: in the paper, unused in its code, whose threshold is 5e-6."""
    dense_share: float = 0.01
    """Share of the scene's extent up to which a Gaussian is cloned rather than split."""
    min_opacity: float = 0.005
    """Fainter Gaussians are removed."""
    opacity_reset: int = 3000
    """Every so many steps, in a run of any length, opacities are lowered to 0.01; 0 for never."""
    max_gaussians: int | None = None
    """Upper limit: 4,000,000 on a GPU, 80,000 on a CPU."""


@dataclass(frozen=True)
class LossConfig:
    """What is minimised."""

    dssim: float = 0.2
    """Share of 1 - SSIM; the rest is L1."""
    rigid: float = 0.0
    """Weight of the difference between neighbours' velocities."""
    motion: float = 0.0
    """Weight of the mean speed."""


@dataclass(frozen=True)
class TrainConfig:
    """A whole run."""

    method: Literal["4dgs"] = "4dgs"
    """What the values reproduce."""
    steps: int | None = None
    """Optimisation steps: 30,000 as published on a GPU, 6,000 on a CPU."""
    batch: int | None = None
    """Pictures per step: 4 as published on a GPU, 1 on a CPU."""
    seed: int = 0
    """Seed of everything random."""
    sh_interval: int = 1000
    """Steps (of 30,000) between two levels of the harmonics."""
    save_every: int = 1000
    """Steps between two checkpoints."""
    evaluate_every: int = 1000
    """Steps between two evaluations on held-out pictures."""
    data: DataOptions = field(default_factory=DataOptions)
    scene: SceneConfig = field(default_factory=SceneConfig)
    rates: LearningRates = field(default_factory=LearningRates)
    densify: DensifyConfig = field(default_factory=DensifyConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def scaled(self, step_of_reference: int) -> int:
        """A step of the 30,000-step schedule in this run, at least 1."""
        assert self.steps is not None, "resolve the configuration first"
        return max(1, round(step_of_reference * self.steps / REFERENCE_STEPS))


PRESETS: dict[str, TrainConfig] = {"4dgs": TrainConfig()}
"""By the name of what they reproduce."""


def resolved(config: TrainConfig, device: str) -> TrainConfig:
    """The configuration with every None filled in for ``device`` ("cpu" or "cuda")."""
    gpu = device == "cuda"
    points = config.scene.points or (300_000 if gpu else 30_000)
    return replace(
        config,
        steps=config.steps if config.steps is not None else (30_000 if gpu else 6_000),
        batch=config.batch or (4 if gpu else 1),
        scene=replace(config.scene, points=points),
        densify=replace(
            config.densify,
            max_gaussians=config.densify.max_gaussians or (4_000_000 if gpu else 80_000),
        ),
    )


def flattened(config: object, prefix: str = "") -> dict[str, object]:
    """Every value of a configuration by its dotted name."""
    values: dict[str, object] = {}
    for f in fields(config):  # type: ignore[arg-type]
        value = getattr(config, f.name)
        if is_dataclass(value):
            values |= flattened(value, f"{prefix}{f.name}.")
        else:
            values[prefix + f.name] = value
    return values


def changes(config: TrainConfig) -> dict[str, object]:
    """What differs from the preset that ``config.method`` names, by dotted name."""
    preset = flattened(PRESETS[config.method])
    return {name: value for name, value in flattened(config).items() if value != preset[name]}


def with_changes(config: TrainConfig, values: dict[str, object]) -> TrainConfig:
    """The inverse of :func:`changes`; lists from JSON become tuples. Raises KeyError for a name that does not exist."""
    unknown = values.keys() - flattened(config).keys()
    if unknown:
        raise KeyError(sorted(unknown)[0])
    return _replaced(config, values, "")


def _replaced(config: Any, values: dict[str, object], prefix: str) -> Any:
    new = {}
    for f in fields(config):
        name, value = prefix + f.name, getattr(config, f.name)
        if is_dataclass(value):
            new[f.name] = _replaced(value, values, name + ".")
        elif name in values:
            given = values[name]
            new[f.name] = tuple(given) if isinstance(given, list) else given
    return replace(config, **new)
