"""A training step of 4D Gaussians, of the CUDA engine's parts alone: picture, loss, both ways, update.

What :class:`training.gaussian_trainer.GaussianTrainer` does besides is left out: densification, depth, learned cameras,
generated views, and reading how large the loss was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.cuda_limits import Work
from benchmarks.cuda_scene import TIME, Sight, learned
from renderer.camera import Camera
from renderer.cuda import blend, project, tiles
from renderer.cuda.adam import FusedAdam
from renderer.cuda.images import photometric_loss
from renderer.cuda.splat import splat_gaussians
from renderer.gaussians import Gaussians
from renderer.splat import SplatImage

DSSIM = 0.2
SAMPLED = 4096
"""Pixels whose contributions are counted, to know how many there are in all."""
RATES = {
    "positions": 1.6e-4, "times": 1.6e-4, "scales": 5e-3, "time_scales": 5e-3, "left": 1e-3, "right": 1e-3,
    "opacities": 5e-2, "sh_dc": 2.5e-3, "sh_rest": 1.25e-4,
}  # fmt: skip


def draw(scene: Gaussians, sight: Sight, time: float = TIME, way: blend.Backward = "splats") -> SplatImage:
    """A picture on black."""
    background = torch.zeros(3, device=sight.pose.device)
    return splat_gaussians(
        scene, time, sight.camera, sight.pose, sight.center, background, None, None, backward=way
    )  # fmt: skip


class Learner:
    """Learns a copy of a scene, at the usual rates times ``haste``. ``sparse``: whether Adam leaves alone what is not
    in the picture."""

    def __init__(
        self, scene: Gaussians, way: blend.Backward = "splats", haste: float = 1.0, sparse: bool = False
    ) -> None:
        self.scene, self._way, self._sparse = learned(scene), way, sparse
        groups = [{"params": [p], "lr": haste * RATES[name]} for name, p in self.scene.parameters.items()]
        self._adam = FusedAdam(groups)

    def step(self, sight: Sight, time: float, target: Tensor) -> None:
        """One update towards a picture (H, W, 3)."""
        image = draw(self.scene, sight, time, self._way)
        photometric_loss(image.color, target, DSSIM).backward()
        self._adam.step(visible=image.radii if self._sparse else None)
        self._adam.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Prepared:
    """The stages of a picture on black, and what there was to do."""

    projected: project.Projected
    picture: blend.Picture
    work: Work


@torch.no_grad()
def prepared(scene: Gaussians, sight: Sight, seed: int = 0) -> Prepared:
    """Those at time 0.5. Contributions are counted at 4,096 pixels drawn by chance. Waits for the device."""
    camera: Camera = sight.camera
    projected = project.project_gaussians(scene, TIME, sight.center, project.Pinhole.of(camera, sight.pose))
    pairs = int(projected.counts.sum())
    columns, rows = blend.tiles_of(camera.width, camera.height)
    p = projected
    lists = tiles.tile_lists(p.screen, p.keys, p.boxes, p.counts, columns, rows, max(1, pairs))
    picture = blend.Picture(camera.width, camera.height, lists, torch.zeros(3, device=sight.pose.device))
    generator = torch.Generator().manual_seed(seed)
    at = [torch.randint(size, (SAMPLED,), generator=generator) for size in (camera.width, camera.height)]
    counts, _ = blend.contributions(p.screen, picture, torch.stack(at, 1).to(sight.pose.device))
    pixels = camera.width * camera.height
    drawn = int((p.radii > 0).sum())
    contributions = float(counts.double().mean()) * pixels
    return Prepared(projected, picture, Work(len(scene), drawn, pairs, contributions, pixels, columns * rows))
