"""How fast the CPU splatter is: ``python -m benchmarks.splat_cpu [--json F]``.

A random scene of round Gaussians: positions uniform over the image, standard deviation log-normal around 1, 2 or 3.3
pixels (sigma 0.3 in the log), uniform opacities, depths and colours. Medians over the rounds, in milliseconds.
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
from renderer.splat import Splats, cpu_tiles, splat
from renderer.splat.cpu_project import project

CASES = ((50_000, 320, 240, 1.0), (50_000, 640, 480, 2.0), (50_000, 640, 480, 3.3), (200_000, 1280, 720, 2.0))


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


def median_ms(job: Callable[[], object], rounds: int) -> float:
    """Median time of a call after one warm-up."""
    job()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        job()
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


def pair_count(splats: Splats, camera: Camera) -> int:
    """Splat-tile pairs that the exact test leaves."""
    m, cov, o, c = (t.numpy() for t in (splats.means, splats.covariances, splats.opacities, splats.colors))
    intrinsics = np.array([0.01, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height], np.float32)
    pose = np.eye(4, dtype=np.float32)
    screen, radii, boxes = project(m, cov, o, pose, intrinsics, np.zeros((0, 2), np.float32), cpu_tiles.TILE)
    rows = cpu_tiles.sort_by_depth(screen, radii)
    geometry = cpu_tiles.gather(rows, screen, o, c)
    columns, tile_rows = -(-camera.width // cpu_tiles.TILE), -(-camera.height // cpu_tiles.TILE)
    return int(cpu_tiles.bin_splats(rows, boxes, geometry, columns, tile_rows)[1].sum())


def measure(count: int, width: int, height: int, sigma: float, rounds: int) -> dict[str, float | str]:
    """Forward, and backward alone, of one case."""
    splats, camera = scene(count, width, height, sigma)
    leaves = [getattr(splats, f).requires_grad_() for f in ("means", "covariances", "opacities", "colors")]

    def forward() -> torch.Tensor:
        image = splat(splats, camera)
        return image.color.sum() + image.depth.sum()

    with torch.no_grad():
        pairs = pair_count(splats, camera)
        forward_ms = median_ms(forward, rounds)
    loss = forward()
    backward_ms = median_ms(lambda: torch.autograd.grad(loss, leaves, retain_graph=True), rounds)
    return {
        "case": f"{count:,} at {width}x{height}",
        "pairs": pairs,
        "forward_ms": forward_ms,
        "backward_ms": backward_ms,
        "ratio": backward_ms / forward_ms,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{'splats':<24}{'pairs':>12}{'forward ms':>12}{'backward ms':>13}{'ratio':>8}")
    rows = []
    for case in CASES:
        row = measure(*case, options.rounds)
        rows.append(row)
        print(
            f"{row['case']:<24}{row['pairs']:>12,}{row['forward_ms']:>12.1f}{row['backward_ms']:>13.1f}{row['ratio']:>8.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
