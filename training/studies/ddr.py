"""What depth regularisation is worth on a video whose camera hardly moves, for a radiance field and for Gaussians.

All variants learn the same hand-held clip of the procedural scene for the same number of steps. Its poses are stated a
little wrong, and learned where the variant says so. Depths are known as a monocular network would know them: with a
scale and a shift of their own in every frame, blurred and noisy, and aligned by sparse points; or exactly. Each variant
is measured on static cameras beside the clip that were held out, whose poses are fitted to the frozen scene.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.scene import Scene, render
from renderer.view import View
from renderer.weights import depth_edges, weight_histogram
from training.config import PRESETS, SceneModel, flattened, resolved, with_changes
from training.data.dataset import Dataset
from training.data.procedural import procedural_dataset
from training.ddr_config import DepthSource
from training.evaluation import score, spread
from training.generators.inconsistent import perturbed
from training.held_out import aligned
from training.trainers import make_trainer

WIDTH, HEIGHT, FRAMES = 160, 96, 24
DEGREES, SHARE_OF_DEPTH = 0.25, 0.0025
"""How wrong every frame's pose is stated: about half a pixel, as of structure from motion that had little to go by."""
POSE_SEED = 1000
MEASURED = 12
"""Held-out pictures that are measured, evenly over cameras and times."""
FLOATING = 0.95
"""Weight nearer than this share of the true depth floats in front of the surface."""
BINS = 128

_NO_DDR: dict[str, Any] = {"ddr.weight": 0.0, "ddr.empty": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "no-depth": {**_NO_DDR},
    "expected-depth": {**_NO_DDR, "depth.expected": 0.1, "depth.expected_form": "absolute"},
    "ds-nerf-kl": {**_NO_DDR, "depth.ds_nerf_kl": 0.01},
    "distortion": {**_NO_DDR, "depth.distortion": 0.01},
    "ddr-released": {"ddr.estimator": "released"},
    "ddr-gumbel": {"ddr.estimator": "gumbel"},
    "ddr-exact": {},
    "ddr-exact-no-empty": {"ddr.empty": 0.0},
    "ddr-exact-fixed-cameras": {"cameras.enabled": False},
}
"""What differs from the preset ddr, by variant. The loss's weight is the same in all that have it, and so is that of
the expected depth's error, which is of the same kind; the others' are usual values of their own papers."""
MODELS: tuple[SceneModel, ...] = ("field", "gaussians")
OF_GAUSSIANS: dict[str, Any] = {
    "scene.model": "gaussians", "scene.points": 8000, "densify.max_gaussians": 20_000, "densify.opacity_reset": 0,
}  # fmt: skip
WEIGHT_ON_GAUSSIANS = 1.0
"""Of DDR and of the expected depth's error, where a field has 0.1: Gaussians are fitted to absolute and not to squared
differences of colours, which are larger."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One run. ``psnr``: dB, mean over held-out pictures. ``depth_error``: mean over their pixels of the distance of
    the expected to the true depth, as a share of it. ``floater_mass``: mean weight of their rays nearer than 95 % of
    the true depth. ``seconds``: of training."""

    variant: str
    scene_model: SceneModel
    seed: int
    psnr: float
    depth_error: float
    floater_mass: float
    seconds: float
    steps: int
    depth_source: DepthSource


def study(
    variants: Sequence[str],
    models: Sequence[SceneModel],
    seeds: Sequence[int],
    steps: Callable[[SceneModel], int],
    source: DepthSource = "midas-like",
    report: Report = lambda text: None,
) -> Iterator[Row]:
    """Train and measure each variant of each model with each seed, which is that of the run and of what is wrong."""
    for seed in seeds:
        clip = procedural_dataset("small-motion", width=WIDTH, height=HEIGHT, frames=FRAMES)
        for model in models:
            for variant in variants:
                report(f"seed {seed}: {model}, {variant}")
                yield run_variant(wrongly_stated(clip, seed), variant, model, seed, steps(model), source)


def wrongly_stated(clip: Dataset, seed: int) -> Dataset:
    """The clip with training cameras that are not quite where they are said to be."""
    depth = 2 / (1 / clip.near + 1 / clip.far)
    train = clip.indices("train")
    stated = perturbed([clip.shots[i].camera for i in train], DEGREES, SHARE_OF_DEPTH * depth, seed + POSE_SEED)
    cameras = dict(zip(train, stated, strict=True))
    return replace(clip, shots=[replace(s, camera=cameras.get(i, s.camera)) for i, s in enumerate(clip.shots)])


def run_variant(
    clip: Dataset, variant: str, model: SceneModel, seed: int, steps: int, source: DepthSource = "midas-like"
) -> Row:
    """One row of the study."""
    changes = {**VARIANTS[variant], "steps": steps, "seed": seed, "depth.source": source}
    if model == "gaussians":
        changes |= OF_GAUSSIANS
        defaults = flattened(PRESETS["ddr"])
        weighted = ("ddr.weight", "depth.expected")
        changes |= {name: WEIGHT_ON_GAUSSIANS for name in weighted if changes.get(name, defaults[name])}
    trainer = make_trainer(clip, resolved(with_changes(PRESETS["ddr"], changes), "cpu"))
    began = time.monotonic()
    while not trainer.finished:
        trainer.step()
    seconds = time.monotonic() - began
    return measured(trainer.scene, trainer.clip(), Row(variant, model, seed, 0, 0, 0, seconds, steps, source))


def measured(scene: Scene, clip: Dataset, row: Row) -> Row:
    """The row with its scores: of a scene on the held-out pictures of a clip whose depths are known."""
    now = aligned(scene, clip)
    assert now.depth is not None, "the procedural scene knows its depth"
    psnrs, errors, masses = [], [], []
    for index in spread(now.indices("test"), MEASURED):
        shot, depth = now.shots[index], now.depth(index)
        view = View(shot.camera, shot.time)
        psnrs.append(score(scene, now, index).psnr)
        errors.append(np.nanmean(np.abs(render(scene, view).expected_depth() - depth) / depth))
        masses.append(mass_in_front(scene, view, depth).mean())
    return replace(
        row, psnr=float(np.mean(psnrs)), depth_error=float(np.mean(errors)), floater_mass=float(np.mean(masses))
    )


def mass_in_front(scene: Scene, view: View, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) share of each ray's weight that lies nearer than 95 % of a depth (H, W)."""
    edges = depth_edges(0.3 * float(depth.min()), 1.5 * float(depth.max()), BINS)
    histogram = weight_histogram(scene, view, edges)
    total = histogram.sum(2)
    front = (histogram * (edges[1:] <= FLOATING * depth[..., None])).sum(2)
    return np.where(total > 1e-3, front / np.maximum(total, 1e-3), 0).astype(np.float32)


def as_json(rows: Sequence[Row]) -> dict[str, object]:
    """What ``dynview bench ddr --json`` writes."""
    return {"rows": [asdict(row) for row in rows]}


def as_table(rows: Sequence[Row]) -> str:
    """Means over the seeds, one line per variant and model."""
    lines = [f"{'variant':<26}{'model':<12}{'psnr':>7}{'depth error':>13}{'floaters':>10}{'seconds':>9}"]
    for model in dict.fromkeys(row.scene_model for row in rows):
        for variant in dict.fromkeys(row.variant for row in rows if row.scene_model == model):
            mine = [row for row in rows if (row.variant, row.scene_model) == (variant, model)]
            psnr, error, mass, seconds = (
                float(np.mean([getattr(row, name) for row in mine]))
                for name in ("psnr", "depth_error", "floater_mass", "seconds")
            )
            lines.append(f"{variant:<26}{model:<12}{psnr:7.2f}{100 * error:12.1f}%{100 * mass:9.1f}%{seconds:9.0f}")
    return "\n".join(lines)
