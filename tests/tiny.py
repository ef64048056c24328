"""Small scenes and clips that tests make for themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from renderer.camera import Camera, look_at
from renderer.gaussians import Gaussians, gaussians_from_points
from renderer.render import render_gaussians as render
from renderer.view import View
from training.data.dataset import Dataset, PointCloud, Shot


def camera_at(angle: float, width: int = 40, height: int = 30, distance: float = 3.0) -> Camera:
    """A camera on a circle around the origin, looking at it; ``angle`` in radians."""
    eye = np.array([distance * np.sin(angle), -0.3, -distance * np.cos(angle)])
    return Camera.from_fov(look_at(eye, np.zeros(3), np.array([0.0, -1.0, 0.0])), 0.8, width, height)


def random_gaussians(count: int, seed: int = 0, time_span: float = 1.0) -> Gaussians:
    """Gaussians around the origin, every parameter different, some moving."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    g = gaussians_from_points(
        points=0.5 * normal(count, 3),
        colors=torch.rand(count, 3, generator=generator),
        times=torch.rand(count, generator=generator) * time_span,
        spacing=torch.full((count,), 0.15),
        time_span=time_span,
    )
    return g.with_parameters(
        {
            "scales": g.scales + 0.3 * normal(count, 3),
            "left": g.left + 0.3 * normal(count, 4),
            "right": g.right + 0.3 * normal(count, 4),
            "opacities": normal(count, 1),
            "sh_rest": 0.1 * normal(count, 47, 3),
        }
    )


def tiny_dataset(frames: int = 4, width: int = 40, height: int = 30) -> Dataset:
    """Three cameras, one of them held out, that saw 40 moving Gaussians; with the Gaussians' centres as points."""
    truth = random_gaussians(40, seed=7)
    shots, images = [], []
    for name, angle in (("left", -0.3), ("middle", 0.0), ("right", 0.3)):
        for k in range(frames):
            time = k / (frames - 1)
            camera = camera_at(angle, width, height)
            shots.append(Shot(name, camera, time, k, "test" if name == "middle" else "train"))
            color = render(truth, View(camera, time), backend="reference").color
            images.append((np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8))
    points = PointCloud(truth.positions.numpy(), np.full((40, 3), 0.5, np.float32))
    return Dataset("tiny", Path("tiny"), shots, lambda i: images[i], 1.0, 1.0, 6.0, points=points)


def planted_floater(width: int = 96, height: int = 72) -> tuple[Gaussians, View, np.ndarray]:
    """A wall at depth 4, and a square in which half of the weight floats at depth 3 and the other half lies behind the
    wall, so that the expected depth is 4 there too. Gaussians, a view, and (H, W) bool where the square is."""
    camera = Camera.from_fov(np.eye(4), 0.9, width, height)
    view, pixels = View(camera, 0.5), np.argwhere(np.ones((height + 8, width + 8)))[:, ::-1] - 4 + 0.5
    middle = (np.abs(pixels - [width / 2, height / 2]) < 0.2 * height).all(1)

    def layer(where: np.ndarray, depth: float, opacity: float) -> Gaussians:
        points = camera.unproject(pixels[where], np.full(int(where.sum()), depth))
        checks = ((pixels[where] // 8).sum(1) % 2)[:, None]
        g = gaussians_from_points(
            points=torch.tensor(points, dtype=torch.float32),
            colors=torch.tensor(np.where(checks, [0.75, 0.7, 0.6], [0.45, 0.5, 0.6]), dtype=torch.float32),
            times=torch.full((len(points),), 0.5),
            spacing=torch.full((len(points),), 0.7 * depth / camera.fx),
            time_span=1.0,
        )
        logit = float(np.log(opacity / (1 - opacity)))
        return g.with_parameters({"opacities": torch.full_like(g.opacities, logit)})

    def scene(behind: float) -> Gaussians:
        parts = [layer(~middle, 4.0, 0.9), layer(middle, 3.0, 0.14), layer(middle, behind, 0.9)]
        joined = {name: torch.cat([p.parameters[name] for p in parts]) for name in parts[0].parameters}
        return parts[0].with_parameters(joined)

    square = middle.reshape(height + 8, width + 8)[4:-4, 4:-4]
    low, high = 4.0, 8.0
    for _ in range(12):  # until the expected depth in the square is that of the wall
        behind = 0.5 * (low + high)
        depth = render(scene(behind), view).expected_depth()[square].mean()
        low, high = (behind, high) if depth < 4 else (low, behind)
    return scene(0.5 * (low + high)), view, square
