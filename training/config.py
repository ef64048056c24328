"""Everything that a run can be told, one frozen dataclass per component.

The text under each field is its help on the command line. A preset is a value of :class:`TrainConfig`; ``None``
means "what suits the device", filled in by :func:`resolved`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from renderer.errors import InputError
from renderer.gaussians import ScaleActivation
from training.data.loading import DataOptions
from training.ddr_config import DdrConfig, DepthConfig, FieldConfig, TermsConfig

Method = Literal["4dgs", "sparsecam4d", "sparsecam4d-released", "ddr", "ddr-released"]
SceneModel = Literal["gaussians", "field"]
Head = Literal["positions", "left", "right", "scales"]
HEADS: tuple[Head, ...] = ("positions", "left", "right", "scales")
"""What a distortion field can change: the names of a scene's parameters."""

MOST_HASTE = 10.0
REFERENCE_STEPS = 30_000
"""The length of the published schedules; a shorter run scales them in proportion."""


@dataclass(frozen=True)
class SceneConfig:
    """What a scene is, and how Gaussians start (Yang et al. 2024)."""

    model: SceneModel = "gaussians"
    """4D Gaussians, or a radiance field with a static and a dynamic part."""
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
    time_scale_start: float | None = None
    """Where the rate of the raw temporal scales starts, to fall log-linearly over the first 7,000 steps of 30,000; by
    default it is constant. SparseCam4D: 0.05."""
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
class GeneratedConfig:
    """How generated views are learned from, when the clip comes with some (SparseCam4D, eq. 7)."""

    batch: int = 0
    """Generated pictures per step, beside the real ones; 0 to leave them out, 1 in SparseCam4D."""
    l1: float = 0.02
    """Weight of their L1 difference."""
    perceptual: float = 0.2
    """Weight of their perceptual difference."""
    network: Literal["auto", "alex", "vgg", "stand-in"] = "auto"
    """Of LPIPS; auto takes AlexNet where its weights are on this machine, else a stand-in without learned weights."""
    weights: str = ""
    """File of the network's weights; by default torch's hub cache."""


@dataclass(frozen=True)
class DistortionConfig:
    """The field that bends the scene for generated views while it is learned (SparseCam4D, section 3.2)."""

    enabled: bool = False
    """Whether there is one."""
    heads: tuple[Head, ...] = HEADS
    """What it changes: positions, left, right (quaternions), scales. The released code: positions and scales."""
    time_axis: bool = True
    """Whether it knows the time: planes xt, yt, zt."""
    pose_axis: bool = True
    """Whether it knows the virtual camera: planes xs, ys, zs."""
    film: bool = False
    """Whether time and pose also scale and shift the trunk's output, as in the released code."""
    zero_start: bool = True
    """Whether the last layers start at zero, so that switching it on changes nothing at first."""
    space_nodes: int | None = None
    """Nodes along x, y and z at level 1: 128 as released on a GPU, 16 on a CPU."""
    levels: tuple[int, ...] = (1, 2)
    """Factors of the spatial resolution."""
    channels: int = 16
    """Features per plane."""
    width: int | None = None
    """Of the trunk and the heads: 128 as released on a GPU, 32 on a CPU."""
    frames_per_field: int = 0
    """A field of its own for every so many frames, as released with 50; 0 for one."""
    start: int = 3000
    """Step of 30,000 at which it is switched on."""
    stop: int = 30_000
    """Step of 30,000 at which it is frozen; it stays applied."""
    plane_rate: float = 1.6e-3
    """Adam's step size for the planes, times the scene's extent; falls to a tenth by the end. Shorter runs take longer
    steps in proportion."""
    network_rate: float = 1.6e-4
    """The same for the layers."""
    variation: float = 2e-4
    """Weight of the total variation of the planes xy, xz, yz."""
    variation_form: Literal["first-order", "curvature"] = "first-order"
    """Differences along both axes (K-Planes), or second differences along one as in the released code."""
    smoothness: float = 1e-4
    """Weight of the smoothness of the planes xs, ys, zs along s."""
    smoothness_form: Literal["paper", "released"] = "paper"
    """Squared norm over channels averaged over planes (eq. 9), or the mean over channels summed over planes."""
    to_one: float = 0.0
    """Weight of |1 - P| over all planes with t or s; 1e-4 as released."""
    to_zero: float = 0.0
    """Weight of the distortion itself, mean d_mu^2 + mean |d_s|; 1 as released."""


@dataclass(frozen=True)
class CameraConfig:
    """Learning the cameras with the scene (SparseCam4D, eq. 8)."""

    enabled: bool = False
    """Whether poses are learned."""
    form: Literal["quaternion", "axis-angle"] = "quaternion"
    """What is learned: a quaternion and a translation (SparseCam4D), or a motion after the stated pose (DDR)."""
    focal: bool = False
    """Whether one focal length is learned as well, as a factor."""
    focal_rate: float = 1e-3
    """Adam's step size for the logarithm of that factor."""
    start: int = 3000
    """First step of 30,000 that moves them."""
    stop: int = 7000
    """No movement from here on."""
    rotation: float = 1e-4
    """Adam's step size for quaternions; falls to a hundredth by stop. Shorter runs take longer steps in proportion."""
    falls_from: Literal["start", "zero"] = "start"
    """Where the fall of the rates begins: with the learning, or at step 0 as in the released code, whose cameras have
    a seventh of the rate left when they are switched on."""
    translation: float = 1e-3
    """The same for translations, scene units."""
    anchor: float = 0.1
    """Weight of the distance from where they started; it alone holds the gauge."""
    anchor_form: Literal["norm", "mean"] = "norm"
    """Euclidean norms (eq. 8), or mean absolute differences as in the released code."""


@dataclass(frozen=True)
class TrainConfig:
    """A whole run."""

    method: Method = "4dgs"
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
    keep: int = 2
    """Newest checkpoints that are kept; 0 for all, to go back to any. Each takes 2 kB of the disk per Gaussian (160 MB
    for 80,000) or 12 bytes per value of a field, and more for a distortion field."""
    evaluate_every: int = 1000
    """Steps between two evaluations on held-out pictures."""
    data: DataOptions = dataclasses.field(default_factory=DataOptions)
    scene: SceneConfig = dataclasses.field(default_factory=SceneConfig)
    rates: LearningRates = dataclasses.field(default_factory=LearningRates)
    densify: DensifyConfig = dataclasses.field(default_factory=DensifyConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    generated: GeneratedConfig = dataclasses.field(default_factory=GeneratedConfig)
    distortion: DistortionConfig = dataclasses.field(default_factory=DistortionConfig)
    cameras: CameraConfig = dataclasses.field(default_factory=CameraConfig)
    field: FieldConfig = dataclasses.field(default_factory=FieldConfig)
    terms: TermsConfig = dataclasses.field(default_factory=TermsConfig)
    depth: DepthConfig = dataclasses.field(default_factory=DepthConfig)
    ddr: DdrConfig = dataclasses.field(default_factory=DdrConfig)

    @property
    def haste(self) -> float:
        """Factor by which what is learned for a share of the run only, the cameras and the distortion field, takes
        longer steps in a run that is shorter than the published one: at most 10."""
        assert self.steps is not None, "resolve the configuration first"
        return min(MOST_HASTE, max(1.0, REFERENCE_STEPS / self.steps))

    def scaled(self, step_of_reference: int) -> int:
        """A step of the 30,000-step schedule in this run, at least 1."""
        assert self.steps is not None, "resolve the configuration first"
        return max(1, round(step_of_reference * self.steps / REFERENCE_STEPS))


_BASE = TrainConfig()
_SPARSECAM4D = replace(
    _BASE,
    method="sparsecam4d",
    scene=replace(_BASE.scene, scale_activation="softplus"),
    rates=replace(_BASE.rates, time_scale_start=5e-2),
    densify=replace(_BASE.densify, opacity_reset=0),
    generated=GeneratedConfig(batch=1),
    distortion=DistortionConfig(enabled=True),
    cameras=CameraConfig(enabled=True),
)
"""The paper's values; where it gives none, those of the released code."""
_SPARSECAM4D_RELEASED = replace(
    _SPARSECAM4D,
    method="sparsecam4d-released",
    seed=6666,
    batch=2,
    generated=GeneratedConfig(batch=2, l1=0.016, perceptual=0.1),
    distortion=DistortionConfig(
        enabled=True,
        heads=("positions", "scales"),
        film=True,
        zero_start=False,
        frames_per_field=50,
        start=1000,
        stop=15_000,
        variation_form="curvature",
        smoothness_form="released",
        to_one=1e-4,
        to_zero=1.0,
    ),
    cameras=CameraConfig(enabled=True, start=1000, anchor=1.0, anchor_form="mean", falls_from="zero"),
    depth=DepthConfig(source="found", standardised=0.5),
)
"""The values of the authors' released code."""

_DDR = replace(
    _BASE,
    method="ddr",
    scene=replace(_BASE.scene, model="field"),
    cameras=CameraConfig(enabled=True, form="axis-angle", start=0, stop=15_000),
    depth=DepthConfig(source="auto"),
    ddr=DdrConfig(weight=0.1, empty=1e-4),
)
"""The paper's idea in closed form, with targets that are aligned per frame."""
_DDR_RELEASED = replace(
    _DDR,
    method="ddr-released",
    cameras=CameraConfig(
        enabled=True, form="axis-angle", focal=True, rotation=1e-3, translation=1e-3, start=0, stop=1000, anchor=0.0
    ),
    depth=DepthConfig(source="auto", alignment="batch", expected=0.02, gradient=0.01, decay=2500),
    ddr=DdrConfig(
        weight=0.01, estimator="released", branch="dynamic", empty=0.1, empty_form="released", empty_masks="released"
    ),
)
"""The values of the authors' released code."""

PRESETS: dict[str, TrainConfig] = {
    c.method: c for c in (_BASE, _SPARSECAM4D, _SPARSECAM4D_RELEASED, _DDR, _DDR_RELEASED)
}
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
        distortion=replace(
            config.distortion,
            space_nodes=config.distortion.space_nodes or (128 if gpu else 16),
            width=config.distortion.width or (128 if gpu else 32),
        ),
        field=replace(
            config.field,
            nodes=config.field.nodes or (64 if gpu else 40),
            channels=config.field.channels or (32 if gpu else 8),
            rays=config.field.rays or (1024 if gpu else 512),
            moving_rays=config.field.moving_rays if config.field.moving_rays is not None else (512 if gpu else 128),
            proposals=config.field.proposals or (128 if gpu else 48),
            samples=config.field.samples or (64 if gpu else 24),
        ),
        densify=replace(
            config.densify,
            max_gaussians=config.densify.max_gaussians or (4_000_000 if gpu else 80_000),
        ),
    )


LEAST: dict[str, float] = {
    "steps": 1, "batch": 1, "seed": 0, "sh_interval": 1, "save_every": 1, "keep": 0, "evaluate_every": 1,
    "scene.points": 1, "scene.time_span": 0.001,
    "rates.position": 1e-12, "rates.position_final": 1e-12, "rates.time": 0, "rates.sh_dc": 0, "rates.sh_rest": 0,
    "rates.opacity": 0, "rates.scale": 0, "rates.time_scale": 1e-12, "rates.time_scale_start": 1e-12,
    "rates.rotation": 0,
    "densify.start": 0, "densify.stop": 0, "densify.interval": 1, "densify.gradient": 0, "densify.time_gradient": 0,
    "densify.dense_share": 0, "densify.min_opacity": 0, "densify.opacity_reset": 0, "densify.max_gaussians": 1,
    "loss.dssim": 0, "loss.rigid": 0, "loss.motion": 0,
    "generated.batch": 0, "generated.l1": 0, "generated.perceptual": 0,
    "distortion.space_nodes": 2, "distortion.channels": 1, "distortion.width": 1, "distortion.levels": 1,
    "distortion.frames_per_field": 0, "distortion.start": 0, "distortion.stop": 0, "distortion.plane_rate": 0,
    "distortion.network_rate": 0, "distortion.variation": 0, "distortion.smoothness": 0, "distortion.to_one": 0,
    "distortion.to_zero": 0,
    "cameras.focal_rate": 0, "cameras.start": 0, "cameras.stop": 0, "cameras.rotation": 0, "cameras.translation": 0,
    "cameras.anchor": 0,
    "field.nodes": 2, "field.levels": 1, "field.channels": 1, "field.width": 1, "field.frames_per_node": 0.1,
    "field.rays": 1, "field.moving_rays": 0, "field.proposals": 2, "field.samples": 2, "field.plane_rate": 0,
    "field.layer_rate": 0, "field.variation": 0, "field.time_smoothness": 0, "field.to_one": 0,
    "terms.blend": 0, "terms.dynamic": 0, "terms.static": 0, "terms.warped": 0, "terms.flow": 0, "terms.cycle": 0,
    "terms.flow_size": 0, "terms.flow_smoothness": 0, "terms.hidden": 0, "terms.entropy": 0, "terms.sparsity": 0,
    "terms.interlevel": 0, "terms.decay": 0,
    "depth.expected": 0, "depth.ds_nerf_kl": 0, "depth.kl_sigma": 1e-4, "depth.distortion": 0, "depth.gradient": 0,
    "depth.standardised": 0, "depth.rays": 1, "depth.decay": 0,
    "ddr.weight": 0, "ddr.samples": 1, "ddr.temperature": 0.01, "ddr.empty": 0, "ddr.margin": 0,
}  # fmt: skip
"""The smallest value of options that cannot be any number."""


def check_values(config: TrainConfig) -> None:
    """InputError, one sentence, for a value that cannot be."""
    values = flattened(config)
    for name, least in LEAST.items():
        value = values[name]
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not number >= least:  # type: ignore[operator]
                option = name.replace("_", "-")
                raise InputError(f"--{option} {number}: give {least:g} or more")
    if not config.distortion.heads or not config.distortion.levels:
        raise InputError("--distortion.heads and --distortion.levels: give one at least")


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
