"""Depth terms on Gaussians: from the picture's own channel, and from single rays."""

from dataclasses import replace

import pytest
import torch

from renderer.field.draw import all_pixels
from renderer.instant import Instant, splat_scene
from renderer.slicing import slice_at
from renderer.splat import SplatImage
from renderer.splat.rays import splat_rays
from tests.tiny import random_gaussians, tiny_dataset
from training.config import PRESETS, TrainConfig, resolved
from training.ddr_config import DdrConfig, DepthConfig
from training.field_scene import scene_space
from training.gaussian_depth import GaussianDepth
from training.gaussian_trainer import GaussianTrainer
from training.ray_losses import ddr_exact

DEPTH = 3.2


class Plane:
    """Every pixel of every picture is known to lie near one depth, on a plane that is a little askew."""

    source = "a plane"

    def depth(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        depth = DEPTH + torch.linspace(-0.1, 0.1, 40).repeat(30, 1)
        depth[:, :4] = torch.nan
        return depth, 1 / depth


def config(depth: DepthConfig | None = None, ddr: DdrConfig | None = None) -> TrainConfig:
    return resolved(replace(PRESETS["4dgs"], steps=100, depth=depth or DepthConfig(), ddr=ddr or DdrConfig()), "cpu")


def loss_and_pull(c: TrainConfig, spread: float = 1.0) -> tuple[float, float]:
    """The loss, and the change of the Gaussians' mean distance to the known depth along its descent."""
    data, scene = tiny_dataset(), random_gaussians(60, seed=3)
    scene = scene.with_parameters({"positions": (spread * scene.positions).requires_grad_()})
    term = GaussianDepth(Plane(), scene_space(data, c.field), c)  # type: ignore[arg-type]
    camera = data.shots[0].camera
    pose = torch.tensor(camera.world_to_camera, dtype=torch.float32)
    instant = splat_scene(scene, 0.0, camera, pose=pose, depth_target=term.channel(0))
    loss = term.loss(instant, camera, pose, 0, 0)
    loss.backward()
    gradient = scene.positions.grad
    assert gradient is not None
    z = (scene.positions @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    toward = torch.sign(DEPTH - z)[:, None] * pose[2, :3]  # (N, 3) the way to the known depth
    return loss.item(), -(gradient * toward).sum().item()


def test_the_channel_is_the_closed_form_over_all_rays() -> None:
    near, c = 0.05, config(ddr=DdrConfig(weight=1.0))  # the channel is linear around the known depth
    channel, _ = loss_and_pull(c, near)
    data, scene = tiny_dataset(), random_gaussians(60, seed=3)
    scene = scene.with_parameters({"positions": near * scene.positions})
    camera, space = data.shots[0].camera, scene_space(data, c.field)
    instant = slice_at(scene, 0.0, torch.as_tensor(camera.center, dtype=torch.float32))
    batch = splat_rays(instant.splats, camera, all_pixels(camera))
    target = space.place(Plane().depth(0)[0].reshape(-1))
    known = torch.isfinite(target) & (batch.weights.sum(1) > 1e-3)
    exact = ddr_exact(space.place(batch.depths)[known], batch.weights[known], target[known])
    assert channel == pytest.approx(exact.item(), rel=0.12)


@pytest.mark.parametrize(
    "c",
    [
        config(ddr=DdrConfig(weight=1.0)),
        config(ddr=DdrConfig(weight=1.0, estimator="gumbel", temperature=0.2)),
        config(DepthConfig(expected=1.0)),
    ],
    ids=["exact", "gumbel", "expected"],
)
def test_gaussians_are_pulled_to_the_known_depth(c: TrainConfig) -> None:
    loss, pull = loss_and_pull(c)
    assert loss > 0
    assert pull > 0


@pytest.mark.parametrize(
    "c",
    [
        config(DepthConfig(distortion=1.0)),
        config(DepthConfig(ds_nerf_kl=1.0)),
        config(DepthConfig(gradient=1.0)),
        config(ddr=DdrConfig(empty=1.0)),
        config(DepthConfig(alignment="batch"), DdrConfig(weight=1.0, estimator="released")),
    ],
    ids=["distortion", "kl", "gradient", "empty", "released"],
)
def test_every_other_term_has_a_gradient(c: TrainConfig) -> None:
    scene = random_gaussians(60, seed=3)
    scene = scene.with_parameters({"opacities": scene.opacities.clone().requires_grad_()})
    data = tiny_dataset()
    term = GaussianDepth(Plane(), scene_space(data, c.field), c)  # type: ignore[arg-type]
    camera = data.shots[0].camera
    pose = torch.tensor(camera.world_to_camera, dtype=torch.float32)
    instant = splat_scene(scene, 0.0, camera, pose=pose, depth_target=term.channel(0))
    assert instant.image.depth_error is None  # the channel serves the closed form alone
    term.loss(instant, camera, pose, 0, 0).backward()
    assert scene.opacities.grad is not None
    assert torch.isfinite(scene.opacities.grad).all()
    assert float(scene.opacities.grad.abs().sum()) > 0


def test_the_disparity_of_the_picture_is_compared_in_deviations_of_the_known_one() -> None:
    c = replace(config(DepthConfig(standardised=0.5)), steps=1000)
    term = GaussianDepth(Plane(), scene_space(tiny_dataset(), c.field), c)  # type: ignore[arg-type]
    depth = Plane().depth(0)[0].nan_to_num(1.0)
    known = 1 / Plane().depth(0)[0][:, 4:]
    off = 1 / (1 / depth + 0.3)
    picture = SplatImage(torch.zeros(30, 40, 3), off, torch.ones(30, 40), torch.zeros(0), None)
    seen = Instant(picture, None, None, slice=lambda: None)  # type: ignore[arg-type, return-value]
    loss = [term.loss(seen, None, None, 0, step).item() for step in (0, 16, 17, 1000)]  # type: ignore[arg-type]
    assert loss[:2] == [0, 0]  # it begins at 500 of 30,000
    assert loss[2] == pytest.approx(0.5 * 500 ** (-17 / 1000) * 0.3 / float(known.std()), rel=1e-4)
    assert loss[3] == pytest.approx(0.001 * 0.3 / float(known.std()), rel=1e-4)


def test_depth_files_that_are_not_there_are_not_missed() -> None:
    c = resolved(replace(PRESETS["sparsecam4d-released"], steps=10), "cpu")
    assert c.depth.standardised == 0.5
    trainer = GaussianTrainer(tiny_dataset(), replace(c, generated=replace(c.generated, batch=0)))
    assert trainer.targets.source is None
    trainer.step()


def test_without_weights_nothing_is_asked_and_no_depth_is_needed() -> None:
    trainer = GaussianTrainer(tiny_dataset(), config())
    assert trainer.targets.source is None
    trainer.step()
