"""How well a scene reproduces pictures of its clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from renderer.scene import Scene, render
from renderer.view import View
from training.data.dataset import Dataset
from training.data.images import as_target
from training.metrics import psnr, ssim
from training.perceptual import Perceptual


@dataclass(frozen=True)
class ViewScore:
    """Scores of one shot. ``psnr``: dB. ``perceptual``: "lpips" or the stand-in's own key, to its value."""

    index: int
    psnr: float
    ssim: float
    perceptual: dict[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """All scores by name."""
        return {"psnr": self.psnr, "ssim": self.ssim, **self.perceptual}


def score(scene: Scene, dataset: Dataset, index: int, perceptual: Perceptual | None = None) -> ViewScore:
    """Render a shot's view and compare; the picture is clipped to [0, 1] first."""
    shot = dataset.shots[index]
    image = torch.from_numpy(render(scene, View(shot.camera, shot.time)).color).clamp(0, 1)
    target = as_target(dataset.read(index))
    extra = {} if perceptual is None else {perceptual.key: perceptual(image, target)}
    return ViewScore(index, psnr(image, target), ssim(image, target), extra)


def spread(indices: Sequence[int], limit: int) -> list[int]:
    """At most ``limit`` of the indices, evenly over the clip."""
    if len(indices) <= limit:
        return list(indices)
    return [indices[round(k * (len(indices) - 1) / max(1, limit - 1))] for k in range(limit)]


def evaluation_report(
    scene: Scene,
    dataset: Dataset,
    perceptual: Perceptual,
    train_limit: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda indices: indices,
) -> dict[str, object]:
    """Every held-out shot and at most ``train_limit`` input shots: means and one entry per view.

    ``mean`` is over the held-out shots, and over the input shots where none is held out; ``mean_of`` says which.
    """
    train = spread(dataset.indices("train"), train_limit)
    scores = [score(scene, dataset, i, perceptual) for i in progress([*dataset.indices("test"), *train])]
    by_split: dict[str, list[ViewScore]] = {"test": [], "train": []}
    for s in scores:
        by_split[dataset.shots[s.index].split].append(s)
    measured = "test" if by_split["test"] else "train"
    return {
        "mean": _means(by_split[measured]),
        "mean_of": measured,
        "train": _means(by_split["train"]),
        "views": [
            {
                "camera": dataset.shots[s.index].camera_name,
                "time": dataset.shots[s.index].time,
                "frame": dataset.shots[s.index].frame,
                "split": dataset.shots[s.index].split,
                **s.values(),
            }
            for s in scores
        ],
    }


def _means(scores: Sequence[ViewScore]) -> dict[str, float]:
    names = scores[0].values() if scores else {}
    return {name: float(np.mean([s.values()[name] for s in scores])) for name in names}
