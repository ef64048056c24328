"""Pictures of a random 4D scene, their gradients, and whole training steps, by number of Gaussians and size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks import cuda_limits as limits
from benchmarks.cuda_limits import Work
from benchmarks.cuda_measure import Bench, Deadline, Row
from benchmarks.cuda_scene import TIME, Sight, camera_of, random_scene
from benchmarks.cuda_step import Learner, draw, prepared
from renderer.cuda import splat
from renderer.cuda.blend import Backward
from renderer.gaussians import Gaussians

WAYS: tuple[Backward, ...] = ("splats", "pixels")
HASTE = 1e-4
"""Of the steps that are measured: all of them meet the same scene."""
Size = tuple[int, int]


def table(bench: Bench, counts: tuple[int, ...], sizes: tuple[Size, ...], deadline: Deadline) -> Iterator[Row]:
    """The rows of every case; small scenes first, and none is begun after the deadline."""
    for count in counts:
        for size in sizes:
            name = f"{count:,} at {size[0]}x{size[1]}"
            if not deadline.left:
                yield Row(f"{name}: left out, no time", ok=False)
                continue
            try:
                yield from case(bench, name, count, size)
            except torch.OutOfMemoryError:
                yield Row(f"{name}: does not fit into the memory", ok=False)
            splat.forget_rooms()  # the next case makes room for its own pairs


def case(bench: Bench, name: str, count: int, size: Size) -> Iterator[Row]:
    """A picture that is only looked at; then with each backward what learning from it takes."""
    camera = camera_of(*size)
    sight = Sight.of(camera, bench.device)
    work, target, view = viewing(bench, f"{name}, view", random_scene(count, camera, bench.device), sight)
    yield Row(name, work.facts())
    yield view
    for way in WAYS:
        learner = Learner(random_scene(count, camera, bench.device), way, HASTE)  # alone in the memory
        yield from learning(bench, f"{name}, {way}", learner, sight, target, work, way)
        del learner


@torch.no_grad()
def viewing(bench: Bench, name: str, scene: Gaussians, sight: Sight) -> tuple[Work, Tensor, Row]:
    """What there is to do, a picture to learn from, and the times of one."""
    work = prepared(scene, sight).work
    row = bench.timed(name, partial(draw, scene, sight), limits.drawing(work))
    row.facts["frames per second"] = 1e3 / float(row.facts["whole"])
    return work, draw(scene, sight).color.flip(1), row


def learning(
    bench: Bench, name: str, learner: Learner, sight: Sight, target: Tensor, work: Work, way: Backward
) -> Iterator[Row]:
    """Forward and backward alone, then whole steps and their memory."""
    leaves = list(learner.scene.parameters.values())
    forward = partial(draw, learner.scene, sight, TIME, way)
    yield bench.timed(f"{name}: forward", forward, limits.drawing(work))
    color = forward().color
    v_color = color.detach() - target
    backward = partial(torch.autograd.grad, color, leaves, v_color, retain_graph=True)
    yield bench.timed(f"{name}: backward", backward, limits.drawing_backward(work))
    del color, v_color, backward
    step = partial(learner.step, sight, TIME, target)
    row = bench.timed(f"{name}: step", step, limits.learning(work))
    row.facts.update({"steps per second": 1e3 / float(row.facts["whole"]), "peak MiB": bench.clock.peak(step)})
    yield row
