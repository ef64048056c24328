"""The CUDA engine beside gsplat (Ye et al. 2024), on the same 3D Gaussians in the same process.

Both draw colour, depth and opacity of a random scene that is sliced before; gsplat takes it with ``packed=False``, the
faster of its two ways.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.cuda_measure import Bench, Deadline, Row
from benchmarks.cuda_scene import TIME, Sight, camera_of, random_scene
from benchmarks.cuda_table import WAYS, Size
from renderer.cuda import splat
from renderer.slicing import slice_at
from renderer.splat import Splats
from renderer.splat.reference import unpack_symmetric

Rasterization = Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]
"""gsplat.rasterization."""
TRIAL = """
import torch
from gsplat import rasterization
x = torch.zeros(1, 3, device="cuda")
one, far = torch.ones(1, device="cuda"), x + torch.tensor([0.0, 0.0, 2.0], device="cuda")
eye = torch.eye(4, device="cuda")[None]
rasterization(far, None, None, one, x, eye, eye[:, :3, :3], 16, 16, covars=torch.eye(3, device="cuda")[None])
torch.cuda.synchronize()
"""


def trouble(seconds: float) -> str | None:
    """Why gsplat cannot be measured, found out in another process: it may be missing, or take minutes to compile."""
    seconds = max(1.0, seconds)
    try:
        done = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"gsplat did not draw a first picture within {seconds:.0f} s"
    return None if done.returncode == 0 else f"gsplat does not run: {done.stderr.strip().splitlines()[-1]}"


def compare(
    bench: Bench, counts: tuple[int, ...], sizes: tuple[Size, ...], rasterization: Rasterization, deadline: Deadline
) -> Iterator[Row]:
    """Forward, both ways, and memory of each, case by case, and how far their pictures are apart."""
    for count in counts:
        for size in sizes:
            name = f"{count:,} at {size[0]}x{size[1]}"
            if not deadline.left:
                yield Row(f"{name}: left out, no time", ok=False)
                continue
            yield from case(bench, name, count, size, rasterization)
            splat.forget_rooms()


def case(bench: Bench, name: str, count: int, size: Size, rasterization: Rasterization) -> Iterator[Row]:
    """One number of Gaussians at one size."""
    camera = camera_of(*size)
    sight = Sight.of(camera, bench.device)
    with torch.no_grad():
        scene = random_scene(count, camera, bench.device)
        splats = slice_at(scene, TIME, sight.center, backend="reference").splats
    del scene
    given = list(vars(splats).values())
    theirs = [given[0], unpack_symmetric(given[1]), *given[2:]]
    ours, theirs = ([value.detach().clone().requires_grad_() for value in values] for values in (given, theirs))
    K = torch.tensor([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], device=bench.device)
    jobs: dict[str, Callable[[], Tensor]] = {way: partial(_ours, ours, sight, way) for way in WAYS}
    jobs["gsplat"] = partial(_theirs, theirs, sight, K, rasterization)

    looking = {who: torch.no_grad()(job) for who, job in jobs.items()}
    picture = looking["splats"]()
    yield Row(f"{name}, difference of the pictures", _apart(picture, looking["gsplat"]()))
    yield bench.timed(f"{name}, engine: forward", looking["splats"])
    yield bench.timed(f"{name}, gsplat: forward", looking["gsplat"])
    weights = torch.ones_like(picture)
    for who, job in jobs.items():
        label, leaves = (who, theirs) if who == "gsplat" else (f"engine, {who}", ours)
        both = partial(_both_ways, job, leaves, weights)
        row = bench.timed(f"{name}, {label}: forward and backward", both)
        row.facts["peak MiB"] = bench.clock.peak(both)
        yield row


def _ours(leaves: list[Tensor], sight: Sight, way: Any) -> Tensor:
    """(H, W, 4) colour and depth."""
    background = torch.zeros(3, device=sight.pose.device)
    image = splat.splat(Splats(*leaves), sight.camera, sight.pose, background, None, None, backward=way)
    return torch.cat([image.color, image.depth[..., None]], dim=2)


def _theirs(leaves: list[Tensor], sight: Sight, K: Tensor, rasterization: Rasterization) -> Tensor:
    """The same."""
    means, covariances, opacities, colors = leaves
    c = sight.camera
    pixels, _, _ = rasterization(
        means, None, None, opacities, colors, sight.pose[None], K[None], c.width, c.height, near_plane=c.near,
        packed=False, render_mode="RGB+D", covars=covariances,
    )  # fmt: skip
    return pixels[0]


def _both_ways(job: Callable[[], Tensor], leaves: list[Tensor], weights: Tensor) -> object:
    return torch.autograd.grad(job(), leaves, weights)


def _apart(a: Tensor, b: Tensor) -> dict[str, float | str]:
    difference = (a - b)[..., :3].abs()
    return {"mean": float(difference.mean()), "most": float(difference.max())}
