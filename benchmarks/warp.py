"""How good and how fast warped views are: ``python -m benchmarks.warp [--json F] [--pictures FOLDER]``.

The procedural room at 160x96 in 6 frames: views at the midpoints between neighbouring training cameras against the
exact pictures there, by exact depth and by the plane sweep's; the sweep's relative depth error over all training
shots; and the milliseconds of one 288x216 view and one depth map (with its neighbours'), medians on one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.splat_cpu import median_ms
from renderer.camera import Camera
from training.data.dataset import Dataset
from training.data.procedural import ProceduralScene, procedural_dataset
from training.generators.plane_sweep import plane_sweep_depth
from training.generators.trajectory import STEPS, virtual_cameras
from training.generators.warp import Depth, exact_depth, warp_views

FOCUS = 4.0
"""Distance of the look-at points of the virtual cameras, metres."""


def midpoints(dataset: Dataset) -> list[Camera]:
    """The virtual cameras halfway between the training cameras, which stand still."""
    cameras = [dataset.shots[i].camera for i in dataset.indices("train") if dataset.shots[i].frame == 0]
    return virtual_cameras(cameras, FOCUS, keep_every=STEPS // 2)


def quality(dataset: Dataset, depth: Depth, pictures: Path | None, name: str) -> list[float]:
    """PSNR of every midpoint view, dB; the pictures side by side with the exact ones go to ``pictures``."""
    cameras, scene = midpoints(dataset), ProceduralScene.from_recipe()
    views, values = warp_views(dataset, cameras, depth), []
    for index, frame in enumerate(views.frames):
        made = views.read(index).astype(np.float32) / 255
        exact = scene.render(cameras[frame.pose], frame.time).color
        values.append(float(-10 * np.log10(np.mean((made - exact) ** 2))))
        if pictures is not None:
            row = np.concatenate([made, exact, np.abs(made - exact)], axis=1)[..., ::-1]
            picture = (255 * row + 0.5).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(pictures / f"{name}-{frame.pose}-{frame.frame:02}.png"), picture)
    return values


def depth_error(dataset: Dataset, depth: Depth) -> NDArray[np.float64]:
    """Relative error at every pixel of every training shot, (N,)."""
    exact = exact_depth(dataset)
    return np.concatenate([np.abs(depth(i) / exact(i) - 1).ravel() for i in dataset.indices("train")]).astype(float)


def milliseconds(rounds: int) -> dict[str, float]:
    """Of one view and one depth map at 288x216; nothing is taken from a cache but the real pictures."""
    dataset = procedural_dataset(frames=2)
    cameras, exact, index = midpoints(dataset), exact_depth(dataset), dataset.indices("train")[0]
    for i in dataset.indices("train"):
        dataset.read(i)
    cv2.setNumThreads(1)
    times = {
        "warp_ms": median_ms(lambda: warp_views(dataset, cameras, exact).read(0), rounds),
        "sweep_ms": median_ms(lambda: plane_sweep_depth(dataset)(index), max(3, rounds // 4)),
    }
    cv2.setNumThreads(-1)
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for pictures: made, exact, difference")
    options = parser.parse_args()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    dataset = procedural_dataset(width=160, height=96, frames=6)
    swept = plane_sweep_depth(dataset)
    result: dict[str, float] = {}
    print(f"{'depth':<14}{'mean PSNR':>10}{'worst':>8}")
    for name, depth in (("exact", exact_depth(dataset)), ("plane sweep", swept)):
        values = quality(dataset, depth, options.pictures, name.replace(" ", "-"))
        result |= {f"{name} mean dB": float(np.mean(values)), f"{name} worst dB": min(values)}
        print(f"{name:<14}{np.mean(values):>10.2f}{min(values):>8.2f}")
    error = depth_error(dataset, swept)
    result |= {"median depth error": float(np.median(error)), "off by 5 %": float(np.mean(error > 0.05))}
    print(
        f"plane sweep: median relative error {np.median(error):.2%}, off by more than 5 %: {np.mean(error > 0.05):.1%}"
    )
    result |= milliseconds(options.rounds)
    print(f"288x216: {result['warp_ms']:.1f} ms a view, {result['sweep_ms']:.0f} ms a depth map with its neighbours'")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
