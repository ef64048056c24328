"""How fast the CPU splatter is: ``python -m benchmarks.splat_cpu [--json F]``.

A random scene of round Gaussians: positions uniform over the image, standard deviation log-normal around 1, 2 or 3.3
pixels (sigma 0.3 in the log), uniform opacities, depths and colours. Medians over the rounds, in milliseconds. What a
depth target costs is a ratio to the picture without one, taken turn about; a histogram has 64 bins.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from renderer.camera import Camera
from renderer.splat import Splats, cpu, depth_histogram, splat
from renderer.splat.backends import pose_of
from renderer.splat.rays import splat_rays

CASES = ((50_000, 320, 240, 1.0), (50_000, 640, 480, 2.0), (50_000, 640, 480, 3.3), (200_000, 1280, 720, 2.0))
RAY_CASE = (20_000, 160, 96, 1.0)
RAYS = 256
BINS = 64
WIDTHS = (12, 9, 10, 7, 10, 10, 11)
"""Of the columns behind the first."""
FIELDS = ("means", "covariances", "opacities", "colors")


def scene(count: int, width: int, height: int, sigma: float, seed: int = 0) -> tuple[Splats, Camera]:
    """The random scene: the camera looks along +z with a focal length of one image width."""
    rng = np.random.default_rng(seed)
    camera = Camera(np.eye(4), width, width, width / 2, height / 2, width, height)
    depths = rng.uniform(2, 6, count)
    pixels = rng.uniform([0, 0], [width, height], (count, 2))
    size = sigma * np.exp(0.3 * rng.normal(size=count)) * depths / camera.fx
    covariances = np.zeros((count, 6))
    covariances[:, [0, 3, 5]] = (size**2)[:, None]
    arrays = (camera.unproject(pixels, depths), covariances, rng.uniform(0, 1, count), rng.uniform(0, 1, (count, 3)))
    return Splats(*(torch.tensor(a, dtype=torch.float32) for a in arrays)), camera


def medians_ms(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median times of calls that take turns, after one warm-up each: what slows the machine slows them all."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn > 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def median_ms(job: Callable[[], object], rounds: int) -> float:
    """Median time of a call after one warm-up."""
    return medians_ms({"job": job}, rounds)["job"]


def measure(count: int, width: int, height: int, sigma: float, rounds: int) -> dict[str, float | str]:
    """Forward, backward alone, both with a depth target, and the histogram of one case."""
    splats, camera = scene(count, width, height, sigma)
    leaves = [getattr(splats, f).requires_grad_() for f in FIELDS]
    target, edges = torch.full((height, width), 4.0), torch.linspace(2, 6, BINS + 1)

    def loss(depth_target: torch.Tensor | None) -> torch.Tensor:
        image = splat(splats, camera, depth_target=depth_target)
        total = image.color.sum() + image.depth.sum()
        return total if image.depth_error is None else total + image.depth_error.sum()

    plain, compared = loss(None), loss(target)
    with torch.no_grad():
        pairs = int(cpu.tiles(splats, camera, pose_of(camera, splats)).counts.sum())
        forward = medians_ms(
            {
                "plain": lambda: loss(None),
                "target": lambda: loss(target),
                "histogram": lambda: depth_histogram(splats, camera, edges),
            },
            rounds,
        )
    backward = medians_ms(
        {
            "plain": lambda: torch.autograd.grad(plain, leaves, retain_graph=True),
            "target": lambda: torch.autograd.grad(compared, leaves, retain_graph=True),
        },
        rounds,
    )
    return {
        "case": f"{count:,} at {width}x{height}",
        "pairs": pairs,
        "forward_ms": forward["plain"],
        "backward_ms": backward["plain"],
        "ratio": backward["plain"] / forward["plain"],
        "target_forward_ratio": forward["target"] / forward["plain"],
        "target_backward_ratio": backward["target"] / backward["plain"],
        "histogram_ms": forward["histogram"],
    }


def measure_rays(rounds: int) -> dict[str, float | str]:
    """Forward and backward of the contributions along random rays, together and forward alone."""
    count, width, height, sigma = RAY_CASE
    splats, camera = scene(count, width, height, sigma)
    leaves = [getattr(splats, f).requires_grad_() for f in FIELDS[:3]]
    pixels = torch.tensor(np.random.default_rng(0).integers(0, [width, height], (RAYS, 2)))

    def forward() -> torch.Tensor:
        rays = splat_rays(splats, camera, pixels)
        return (rays.weights * rays.depths).sum()

    times = medians_ms({"forward": forward, "both": lambda: torch.autograd.grad(forward(), leaves)}, rounds)
    return {
        "case": f"{RAYS} rays of {count:,} at {width}x{height}",
        "forward_ms": times["forward"],
        "forward_and_backward_ms": times["both"],
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{'':<61}{'with a target':>18}")
    titles = ("pairs", "forward", "backward", "ratio", "forward", "backward", "histogram")
    print(f"{'splats':<24}" + "".join(f"{title:>{w}}" for title, w in zip(titles, WIDTHS, strict=True)))
    rows = []
    for case in CASES:
        row = measure(*case, options.rounds)
        rows.append(row)
        print(
            f"{row['case']:<24}{row['pairs']:>12,}{row['forward_ms']:>9.1f}{row['backward_ms']:>10.1f}{row['ratio']:>7.2f}"
            f"{row['target_forward_ratio']:>9.2f}x{row['target_backward_ratio']:>9.2f}x{row['histogram_ms']:>11.1f}"
        )
    rays = measure_rays(options.rounds)
    print(
        f"{rays['case']}: {rays['forward_ms']:.1f} forward, {rays['forward_and_backward_ms']:.1f} forward and backward"
    )
    if options.json:
        options.json.write_text(json.dumps([*rows, rays], indent=1) + "\n")


if __name__ == "__main__":
    main()
