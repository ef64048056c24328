"""The ablation study of SparseCam4D on the procedural scene, in which the truth is known.

Six variants learn the same clip for the same number of steps: three cameras and 22 virtual ones, whose pictures are
inconsistent. The cameras are uncalibrated, as in the paper: every pose, real or virtual, is stated 1 degree and 1 % of
the depth wrong. Each variant is measured on cameras that were held out, whose poses are fitted to the frozen scene as
the paper does it, against the true warps and against the true poses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from training.alignment import Similarity, pose_errors, similarity_between
from training.config import PRESETS, TrainConfig, resolved, with_changes
from training.data.dataset import Dataset
from training.data.generated_sources import PUSH_DEGREES, PUSH_SHARE, demo_views
from training.data.procedural import procedural_dataset
from training.evaluation import score, spread
from training.gaussian_trainer import GaussianTrainer
from training.generators.inconsistent import InconsistentViews, perturbed
from training.held_out import aligned
from training.overlay import image_displacement
from training.perceptual import Perceptual

WIDTH, HEIGHT, FRAMES = 160, 96, 24
COMMON: dict[str, Any] = {
    "densify.max_gaussians": 20_000,
    "scene.points": 8_000,
    "cameras.anchor": 0.01,
    "cameras.start": 1_000,
    "cameras.stop": 15_000,
    "distortion.start": 7_000,
}
"""What all variants share; steps are those of the paper's 30,000. Its anchor of 0.1 and its 4,000 steps of pose
learning are for poses that are nearly right. From 1 degree off that anchor holds the virtual cameras back (measured at
1,400 of 6,000 steps: 0.52 pixels left of 1.60, and 0.25 with a tenth of it), and the poses need longer and a scene that
the field does not yet bend (measured at 2,400 steps: the error falls to 1/10.6 instead of 1/3.8)."""
VARIANTS: dict[str, dict[str, Any]] = {
    "real-only": {"generated.batch": 0, "distortion.enabled": False, "cameras.enabled": False},
    "no-field": {"distortion.enabled": False},
    "no-time-axis": {"distortion.time_axis": False},
    "no-pose-axis": {"distortion.pose_axis": False},
    "no-pose-optimisation": {"cameras.enabled": False},
    "full": {},
}
"""What differs from the preset sparsecam4d, by variant."""
REAL_SEED = 1000
"""Added to the seed of the real cameras' errors, so that they are not those of the first virtual ones."""
MEASURED_WARPS = 60
"""Generated pictures, evenly over the clip, on which the recovered displacement is compared with the true one."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One run. ``psnr`` (dB), ``perceptual``, ``ssim``: means over the held-out pictures; ``perceptual_name`` says what
    measured. ``distortion_correlation``: of the recovered and the true displacement, None without a field.
    ``pose_error_ratio``: mean shift in pixels of the scene's points by all cameras' errors, before over after, each
    after the similarity that fits the cameras best; None where poses are not learned. ``pose_error``: degrees, share of
    the depth and pixels, before and after.
    ``seconds``: of training.
    """

    variant: str
    seed: int
    psnr: float
    perceptual: float
    ssim: float
    distortion_correlation: float | None
    pose_error_ratio: float | None
    seconds: float
    steps: int
    perceptual_name: str
    pose_error: dict[str, tuple[float, float]] | None = None


def study(
    variants: Sequence[str], seeds: Sequence[int], steps: int, report: Report = lambda text: None
) -> Iterator[Row]:
    """Train and measure each variant with each seed; the seed is that of the run and of what is wrong."""
    for seed in seeds:
        clip = procedural_dataset("sparse", width=WIDTH, height=HEIGHT, frames=FRAMES)
        wrong = demo_views(clip, seed)
        for index in range(len(wrong.views.frames)):  # so that no variant pays for the ray tracing
            wrong.views.read(index)
        for variant in variants:
            report(f"seed {seed}: {variant}")
            yield run_variant(uncalibrated(clip, wrong, seed), clip, wrong, variant, seed, steps)


def uncalibrated(clip: Dataset, wrong: InconsistentViews, seed: int) -> Dataset:
    """The clip with its generated views and with training cameras that are stated as wrongly as the virtual ones."""
    depth = 2 / (1 / clip.near + 1 / clip.far)
    true = list(dict.fromkeys(clip.shots[i].camera for i in clip.indices("train")))
    stated = dict(zip(true, perturbed(true, PUSH_DEGREES, PUSH_SHARE * depth, seed + REAL_SEED), strict=True))
    shots = [replace(s, camera=stated[s.camera]) if s.split == "train" else s for s in clip.shots]
    return replace(clip, shots=shots, generated=wrong.views)


def run_variant(clip: Dataset, truth: Dataset, wrong: InconsistentViews, variant: str, seed: int, steps: int) -> Row:
    """One row of the study: learned from ``clip``, measured against ``truth``, the same with the true cameras."""
    changes = {**COMMON, **VARIANTS[variant], "steps": steps, "seed": seed}
    config: TrainConfig = resolved(with_changes(PRESETS["sparsecam4d"], changes), "cpu")
    trainer = GaussianTrainer(clip, config)
    began = time.monotonic()
    while not trainer.finished:
        trainer.step()
    seconds = time.monotonic() - began
    now, perceptual = aligned(trainer.scene, trainer.clip()), Perceptual.load()
    scores = [score(trainer.scene, now, i, perceptual) for i in spread(now.indices("test"), FRAMES)]
    poses = _pose_errors(trainer, truth, wrong)
    return Row(
        variant,
        seed,
        psnr=float(np.mean([s.psnr for s in scores])),
        perceptual=float(np.mean([s.perceptual[perceptual.key] for s in scores])),
        ssim=float(np.mean([s.ssim for s in scores])),
        distortion_correlation=distortion_correlation(trainer, wrong),
        pose_error_ratio=None if poses is None else poses["pixels"][0] / max(poses["pixels"][1], 1e-9),
        seconds=seconds,
        steps=steps,
        perceptual_name=perceptual.name,
        pose_error=poses,
    )


def distortion_correlation(trainer: GaussianTrainer, wrong: InconsistentViews) -> float | None:
    """Correlation over the pixels and both directions of the displacement that the field recovered with the true one,
    averaged over generated pictures; None without a field."""
    term, views = trainer.generated, trainer.clip().generated
    if term is None or term.field is None or views is None:
        return None
    found = []
    for index in spread(range(len(views.frames)), MEASURED_WARPS):
        f = views.frames[index]
        s = views.pose_coordinate(f.pose)
        moved = image_displacement(trainer.scene, term.field, views.cameras[f.pose], f.time, s)
        found.append(np.corrcoef(moved.ravel(), wrong.displacement(index).ravel())[0, 1])
    return float(np.mean(found))


def _pose_errors(
    trainer: GaussianTrainer, truth: Dataset, wrong: InconsistentViews
) -> dict[str, tuple[float, float]] | None:
    """Errors of all cameras before and after; None where they are not learned."""
    if trainer.cameras.learned is None:
        return None
    depth = 2 / (1 / truth.near + 1 / truth.far)
    true = [*dict.fromkeys(truth.shots[i].camera for i in truth.indices("train")), *wrong.cameras]
    errors = []
    for cameras in (trainer.cameras.learned.initial(), trainer.cameras.learned.cameras()):
        align = similarity_between(cameras, true)
        angles, shifts = pose_errors(cameras, true, align).mean(0)
        errors.append((float(angles), float(shifts) / depth, _pixel_shift(cameras, true, align, truth)))
    names = ("degrees", "share_of_depth", "pixels")
    return {name: (errors[0][k], errors[1][k]) for k, name in enumerate(names)}


def _pixel_shift(cameras: Sequence[Camera], true: Sequence[Camera], align: Similarity, clip: Dataset) -> float:
    """Mean distance in pixels between where a camera and its true partner see the clip's points."""
    assert clip.points is not None, "the procedural scene comes with points"
    points: NDArray[np.float64] = clip.points.points[::20].astype(np.float64)
    shifts = []
    for camera, partner in zip((align.camera(c) for c in cameras), true, strict=True):
        (uv, z), (uv1, z1) = camera.project(points), partner.project(points)
        inside = (z > 0) & (z1 > 0) & (uv1 >= 0).all(1) & (uv1 < [partner.width, partner.height]).all(1)
        shifts.append(np.linalg.norm(uv - uv1, axis=1)[inside].mean())
    return float(np.mean(shifts))


def as_json(rows: Sequence[Row]) -> dict[str, object]:
    """What ``dynview bench sparsecam4d --json`` writes."""
    return {"rows": [asdict(row) for row in rows]}


def as_table(rows: Sequence[Row]) -> str:
    """Means over the seeds, one line per variant."""
    lines = [
        f"{'variant':<22}{'psnr':>7}{'ssim':>8}{'percept.':>10}{'distortion r':>14}{'pose error':>12}{'seconds':>9}"
    ]
    for variant in dict.fromkeys(row.variant for row in rows):
        mine = [row for row in rows if row.variant == variant]

        def mean(name: str, mine: list[Row] = mine) -> float:
            values = [getattr(row, name) for row in mine]
            return float("nan") if None in values else float(np.mean(values))

        r, ratio = mean("distortion_correlation"), mean("pose_error_ratio")
        lines.append(
            f"{variant:<22}{mean('psnr'):7.2f}{mean('ssim'):8.4f}{mean('perceptual'):10.4f}"
            f"{'' if r != r else f'{r:.2f}':>14}{'' if ratio != ratio else f'/ {ratio:.1f}':>12}{mean('seconds'):9.0f}"
        )
    return "\n".join(lines)
