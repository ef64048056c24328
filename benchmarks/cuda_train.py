"""Learning a scene of three cameras for some seconds, with the steps of :mod:`benchmarks.cuda_step`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.cuda_measure import Bench, Row
from benchmarks.cuda_scene import Sight, camera_of, random_scene
from benchmarks.cuda_step import Learner, draw
from renderer.camera import look_at
from renderer.gaussians import Gaussians

EYES = (-0.6, 0.0, 0.6)
"""x of the cameras, which look at the middle of the scene."""
TARGET = (0.0, 0.0, 4.0)
INSTANTS = 8
AT_ONCE = 20
"""Steps between two looks at the clock, which wait for the device."""
FAINTER = 1.5


def train(bench: Bench, count: int, size: tuple[int, int], seconds: float) -> Iterator[Row]:
    """Steps per second, and how near the pictures of the three cameras at 8 instants come to those of a random scene.

    What is learned starts as that scene without colours, each opacity's logit lower by 1.5, every mean moved by about
    a pixel. Nothing is added or removed.
    """
    truth = random_scene(count, camera_of(*size), bench.device)
    sights = sights_of(size, bench.device)
    shots = [(s, k / (INSTANTS - 1)) for s in sights for k in range(INSTANTS)]
    with torch.no_grad():
        targets = [draw(truth, sight, instant).color for sight, instant in shots]
    learner = Learner(started(truth))
    del truth

    order = np.random.default_rng(0)
    before = psnr(learner.scene, shots, targets)
    steps, passed, began = 0, 0.0, time.perf_counter()
    while passed < seconds:
        for k in order.integers(0, len(shots), AT_ONCE):
            sight, instant = shots[k]
            learner.step(sight, instant, targets[k])
        bench.clock.wait()
        steps, passed = steps + AT_ONCE, time.perf_counter() - began
    found = {"steps": steps, "seconds": passed, "steps per second": steps / passed}
    after = psnr(learner.scene, shots, targets)
    name = f"{count:,} at {size[0]}x{size[1]}, three cameras"
    yield Row(name, {**found, "dB before": before, "dB after": after}, ok=after > before)


def sights_of(size: tuple[int, int], device: torch.device) -> list[Sight]:
    """Of the three cameras."""
    camera, target, up = camera_of(*size), np.array(TARGET), np.array([0.0, -1.0, 0.0])
    return [Sight.of(camera.moved(look_at(np.array([x, 0.0, 0.0]), target, up)), device) for x in EYES]


def started(truth: Gaussians) -> Gaussians:
    """What learning begins with."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(len(truth), 3, generator=generator).to(truth.positions)
    return replace(
        truth,
        positions=truth.positions + torch.exp(truth.scales.mean(1, keepdim=True)) * noise,
        opacities=truth.opacities - FAINTER,
        sh_dc=torch.zeros_like(truth.sh_dc),
        sh_rest=torch.zeros_like(truth.sh_rest),
    )


@torch.no_grad()
def psnr(scene: Gaussians, shots: list[tuple[Sight, float]], targets: list[Tensor]) -> float:
    """Of all pictures together, dB."""
    errors = [(draw(scene, *shot).color - target).square().mean() for shot, target in zip(shots, targets, strict=True)]
    return float(-10 * torch.log10(torch.stack(errors).mean()))
