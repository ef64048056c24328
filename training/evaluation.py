"""How well a scene reproduces pictures of its clip, and the pixels of them that its masks single out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from renderer.scene import Scene, render
from renderer.view import View
from training.data.dataset import Dataset
from training.data.images import as_target
from training.metrics import partial_ssim, psnr, ssim, ssim_within
from training.perceptual import STAND_IN, Perceptual


@dataclass(frozen=True)
class ViewScore:
    """Scores of one shot. ``psnr``: dB. ``perceptual``: "lpips" or the stand-in's own key, to its value. ``masked``:
    as :func:`masked_scores` has them."""

    index: int
    psnr: float
    ssim: float
    perceptual: dict[str, float] = field(default_factory=dict)
    masked: dict[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """All scores by name."""
        return {"psnr": self.psnr, "ssim": self.ssim, **self.perceptual, **self.masked}


def score(
    scene: Scene, dataset: Dataset, index: int, perceptual: Perceptual | None = None, masks: bool = False
) -> ViewScore:
    """Render a shot's view and compare; the picture is clipped to [0, 1] first. ``masks``: also where the clip's masks
    hold; InputError for a mask that is damaged."""
    shot = dataset.shots[index]
    image = torch.from_numpy(render(scene, View(shot.camera, shot.time)).color).clamp(0, 1)
    target = as_target(dataset.read(index))
    extra = {} if perceptual is None else {perceptual.key: perceptual(image, target)}
    masked = masked_scores(dataset, index, image, target, perceptual or STAND_IN) if masks else {}
    return ViewScore(index, psnr(image, target), ssim(image, target), extra, masked)


def masked_scores(
    dataset: Dataset, index: int, image: Tensor, target: Tensor, perceptual: Perceptual
) -> dict[str, float]:
    """Scores of the pixels of a shot's masks for a picture (H, W, 3) in [0, 1].

    ``mpsnr``, ``mssim``, ``mlpips``: of what the clip's training pictures show as well, as DyCheck measures (Gao et al.
    2022), but for the rounding of renders to 8 bits; for LPIPS all else is black in both. ``dynamic_psnr``, ``_ssim``,
    ``_lpips``: of what moves, as NSFF measures (Li et al. 2021), where LPIPS' map is averaged at the picture's size.
    Left out: a mask that the shot lacks or that is empty, and LPIPS' where the stand-in stands in.
    """
    found: dict[str, float] = {}
    seen, moving = (None if of is None else of(index) for of in (dataset.covisible, dataset.moving))
    if seen is not None:
        mask = torch.from_numpy(seen)
        cut, cut_target = image * mask[..., None], target * mask[..., None]
        found |= {
            "mpsnr": psnr(image, target, mask),
            "mssim": partial_ssim(image, target, mask),
            "mlpips": perceptual.within(cut, cut_target, mask),
        }
    if moving is not None:
        mask = torch.from_numpy(moving)
        found |= {
            "dynamic_psnr": psnr(image, target, mask),
            "dynamic_ssim": ssim_within(image, target, mask),
            "dynamic_lpips": perceptual.within(image, target, mask),
        }
    return {name: value for name, value in found.items() if not math.isnan(value)}


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

    ``mean`` is over the held-out shots, and over the input shots where none is held out; ``mean_of`` says which. That
    of a masked score is over those of the shots that have it.
    """
    train = spread(dataset.indices("train"), train_limit)
    scores = [score(scene, dataset, i, perceptual, masks=True) for i in progress([*dataset.indices("test"), *train])]
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
    values: dict[str, list[float]] = {}
    for s in scores:
        for name, value in s.values().items():
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(found)) for name, found in values.items()}
