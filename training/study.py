"""The ablation study of SparseCam4D on the procedural scene, in which the truth is known.

Six variants learn the same clip for the same number of steps: three cameras and 22 virtual ones, whose pictures are
inconsistent and whose poses are stated 1 degree and 1 % of the depth wrong. Each is measured on cameras that were held
out, against the true warps and against the true poses.
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
from training.data.generated_sources import demo_views
from training.data.procedural import procedural_dataset
from training.evaluation import score, spread
from training.generators.inconsistent import InconsistentViews
from training.overlay import image_displacement
from training.perceptual import Perceptual
from training.trainer import Trainer

WIDTH, HEIGHT, FRAMES = 160, 96, 24
COMMON: dict[str, Any] = {"densify.max_gaussians": 20_000, "scene.points": 8_000}
VARIANTS: dict[str, dict[str, Any]] = {
    "real-only": {"generated.batch": 0, "distortion.enabled": False, "cameras.enabled": False},
    "no-field": {"distortion.enabled": False},
    "no-time-axis": {"distortion.time_axis": False},
    "no-pose-axis": {"distortion.pose_axis": False},
    "no-pose-optimisation": {"cameras.enabled": False},
    "full": {},
}
"""What differs from the preset sparsecam4d, by variant."""
MEASURED_WARPS = 60
"""Generated pictures, evenly over the clip, on which the recovered displacement is compared with the true one."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One run. ``psnr`` (dB), ``perceptual``, ``ssim``: means over the held-out pictures; ``perceptual_name`` says what
    measured. ``distortion_correlation``: of the recovered and the true displacement, None without a field.
    ``pose_error_ratio``: mean shift in pixels of the scene's points by the virtual cameras' errors, before over after,
    None where poses are not learned; ``pose_error``: degrees, share of the depth and pixels, before and after.
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
            yield run_variant(replace(clip, generated=wrong.views), wrong, variant, seed, steps)


def run_variant(clip: Dataset, wrong: InconsistentViews, variant: str, seed: int, steps: int) -> Row:
    """One row of the study."""
    changes = {**COMMON, **VARIANTS[variant], "steps": steps, "seed": seed}
    config: TrainConfig = resolved(with_changes(PRESETS["sparsecam4d"], changes), "cpu")
    trainer = Trainer(clip, config)
    began = time.monotonic()
    while not trainer.finished:
        trainer.step()
    seconds = time.monotonic() - began
    now, perceptual = trainer.clip(), Perceptual.load()
    scores = [score(trainer.gaussians, now, i, perceptual) for i in spread(now.indices("test"), FRAMES)]
    poses = _pose_errors(trainer, now, wrong)
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


def distortion_correlation(trainer: Trainer, wrong: InconsistentViews) -> float | None:
    """Correlation over the pixels and both directions of the displacement that the field recovered with the true one,
    averaged over generated pictures; None without a field."""
    term, views = trainer.generated, trainer.clip().generated
    if term is None or term.field is None or views is None:
        return None
    found = []
    for index in spread(range(len(views.frames)), MEASURED_WARPS):
        f = views.frames[index]
        s = views.pose_coordinate(f.pose)
        moved = image_displacement(trainer.gaussians, term.field, views.cameras[f.pose], f.time, s)
        found.append(np.corrcoef(moved.ravel(), wrong.displacement(index).ravel())[0, 1])
    return float(np.mean(found))


def _pose_errors(trainer: Trainer, now: Dataset, wrong: InconsistentViews) -> dict[str, tuple[float, float]] | None:
    """Errors of the virtual cameras before and after, in the frame of the real cameras."""
    if trainer.cameras is None or now.generated is None:
        return None
    depth = 2 / (1 / now.near + 1 / now.far)
    real = [[clip.shots[i].camera for i in clip.indices("train")] for clip in (now, trainer.dataset)]
    back = similarity_between(*real)
    still = Similarity(1.0, np.eye(3), np.zeros(3))
    errors = []
    for cameras, align in ((wrong.views.cameras, still), (now.generated.cameras, back)):
        angles, shifts = pose_errors(cameras, wrong.cameras, align).mean(0)
        errors.append((float(angles), float(shifts) / depth, _pixel_shift(cameras, wrong.cameras, align, trainer)))
    names = ("degrees", "share_of_depth", "pixels")
    return {name: (errors[0][k], errors[1][k]) for k, name in enumerate(names)}


def _pixel_shift(cameras: Sequence[Camera], truth: Sequence[Camera], align: Similarity, trainer: Trainer) -> float:
    """Mean distance in pixels between where a camera and its true partner see the clip's points."""
    cloud = trainer.dataset.points
    assert cloud is not None, "the procedural scene comes with points"
    points: NDArray[np.float64] = cloud.points[::20].astype(np.float64)
    shifts = []
    for camera, true in zip((align.camera(c) for c in cameras), truth, strict=True):
        (uv, z), (uv1, z1) = camera.project(points), true.project(points)
        inside = (z > 0) & (z1 > 0) & (uv1 >= 0).all(1) & (uv1 < [true.width, true.height]).all(1)
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
