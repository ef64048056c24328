"""The distortion field: what it adds, when, where its gradients go, and that nothing of it is left in the scene."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from renderer.gaussians import Gaussians
from renderer.scene import render
from renderer.slicing import slice_at
from renderer.splat import splat
from renderer.view import View
from tests.tiny import camera_at, random_gaussians
from training.config import HEADS, DistortionConfig
from training.distortion import DistortionField

CONFIG = DistortionConfig(enabled=True, space_nodes=6, width=8, channels=4)
BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def field_of(config: DistortionConfig = CONFIG, frames: int = 5, poses: int = 4, seed: int = 0) -> DistortionField:
    return DistortionField(config, BOX, frames, poses, seed)


def shaken(config: DistortionConfig = CONFIG, **sizes: int) -> DistortionField:
    """A field that has learned something."""
    field = field_of(config, **sizes)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in field.parameters():
            p += 0.2 * torch.randn(p.shape, generator=generator)
    return field


def by_hand(field: DistortionField, position: np.ndarray, time: float, s: float) -> dict[str, np.ndarray]:
    """Equations 2 to 5 for one point, float64 numpy."""
    part = field.parts[0]
    low, high = -2.2 * np.ones(3), 2.2 * np.ones(3)  # the box of the points, 2 x 1.1 as large
    c = np.concatenate([2 * (position - low) / (high - low) - 1, [2 * time - 1, 2 * s - 1]])
    features: dict[int, np.ndarray] = {}
    for plane, (name, _, slot, N_i, N_j) in zip(part.planes.planes(), part.planes.layout.planes(), strict=True):
        u, v = (c["xyzts".index(axis)] for axis in name)
        x, y = (u + 1) / 2 * (N_i - 1), (v + 1) / 2 * (N_j - 1)
        i, j = min(int(x), N_i - 2), min(int(y), N_j - 2)
        p = plane.detach().double().numpy()
        top = p[j, i] + (x - i) * (p[j, i + 1] - p[j, i])
        bottom = p[j + 1, i] + (x - i) * (p[j + 1, i + 1] - p[j + 1, i])
        features[slot] = features.get(slot, 1.0) * (top + (y - j) * (bottom - top))

    def linear(layer: torch.nn.Module, x: np.ndarray) -> np.ndarray:
        return layer.weight.detach().double().numpy() @ x + layer.bias.detach().double().numpy()  # type: ignore

    h = linear(part.trunk, np.concatenate([features[0], features[1]]))
    if part.film is not None:
        gamma, beta = np.split(linear(part.film, c[3:]), 2)
        h = gamma * h + beta
    h = np.maximum(h, 0)
    layers = zip(part.heads, part.hidden, part.last, strict=True)
    return {name: linear(last, np.maximum(linear(hidden, h), 0)) for name, hidden, last in layers}


@pytest.mark.parametrize("film", [False, True])
def test_the_field_is_that_of_the_equations(film: bool) -> None:
    field = shaken(replace(CONFIG, film=film))
    for position, time, s in (([0.3, -0.2, 0.9], 0.37, 0.61), ([-1.9, 1.2, 0.0], 0.99, 0.02)):
        got = field(torch.tensor([position]), time, s)
        expected = by_hand(field, np.array(position), time, s)
        assert list(got) == list(expected) == list(HEADS)
        for name in HEADS:
            np.testing.assert_allclose(got[name][0].detach().numpy(), expected[name], rtol=1e-4, atol=1e-6)


def test_switching_it_on_changes_nothing_and_yet_it_learns() -> None:
    g, field = random_gaussians(30), field_of()
    scene, _ = field.distorted(g, 0.5, 0.3)
    for name, value in g.parameters.items():
        assert torch.equal(getattr(scene, name), value), name
    scene.positions.square().sum().backward()
    assert all(last.weight.grad is not None and last.weight.grad.abs().max() > 0 for last in field.parts[0].last[:1])
    released = field_of(replace(CONFIG, zero_start=False)).distorted(g, 0.5, 0.3)[0]
    assert not torch.equal(released.positions, g.positions)


def test_each_head_changes_what_it_is_named_after_and_the_rest_stays() -> None:
    g = random_gaussians(30)
    for heads in (("positions",), ("left", "right"), ("positions", "scales"), HEADS):
        scene, deltas = shaken(replace(CONFIG, heads=heads)).distorted(g, 0.5, 0.3)
        assert tuple(deltas) == heads
        for name, value in g.parameters.items():
            assert torch.equal(getattr(scene, name), value) != (name in heads), name


def test_the_deltas_are_added_before_activation_and_slicing() -> None:
    g, field, camera = random_gaussians(30), shaken(), camera_at(0.2)
    deltas = field(g.positions, 0.5, 0.3)
    by_definition = g.with_parameters({name: getattr(g, name) + d for name, d in deltas.items()})
    center = torch.tensor(camera.center, dtype=torch.float32)
    with torch.no_grad():
        expected = splat(slice_at(by_definition, 0.5, center).splats, camera).color
        got = splat(slice_at(field.distorted(g, 0.5, 0.3)[0], 0.5, center).splats, camera).color
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert (got - torch.from_numpy(render(g, View(camera, 0.5)).color)).abs().max() > 0.01


def test_gaussians_that_are_long_gone_are_not_asked_about() -> None:
    g = random_gaussians(40)
    g = g.with_parameters({"times": torch.where(torch.arange(40)[:, None] < 10, 100.0, g.times)})
    scene, deltas = shaken().distorted(g, 0.5, 0.3)
    assert len(deltas["positions"]) <= 30
    assert torch.equal(scene.positions[:10], g.positions[:10])


def test_gradients_reach_the_scene_the_field_and_the_place_where_it_is_read() -> None:
    field = shaken().double()
    g = random_gaussians(3)
    g = g.with_parameters({name: value.double() for name, value in g.parameters.items()})

    def total(positions: torch.Tensor) -> torch.Tensor:
        scene, _ = field.distorted(g.with_parameters({"positions": positions}), 0.4, 0.7)
        rest = sum(getattr(scene, name).square().sum() for name in ("left", "right", "scales"))
        return (scene.positions * torch.arange(9.0).view(3, 3)).sum() + rest

    leaf = 0.3 * g.positions.clone().requires_grad_()
    leaf.retain_grad()
    total(leaf).backward()
    assert leaf.grad is not None
    for k in range(9):
        moved = [leaf.detach().clone() for _ in range(2)]
        moved[0].view(-1)[k] += 1e-6
        moved[1].view(-1)[k] -= 1e-6
        slope = float((total(moved[0]) - total(moved[1])).detach()) / 2e-6
        assert float(leaf.grad.view(-1)[k]) == pytest.approx(slope, rel=1e-5)
    direct = torch.arange(9.0).view(3, 3)
    assert (leaf.grad - direct).abs().max() > 1e-3  # the part that comes through the query
    assert all(p.grad is not None for p in field.parameters())


def test_time_and_pose_matter_and_can_be_taken_away() -> None:
    g = random_gaussians(10)

    def at(field: DistortionField, time: float, s: float) -> torch.Tensor:
        return field(g.positions, time, s)["positions"].detach()

    full = shaken()
    assert not torch.allclose(at(full, 0.2, 0.3), at(full, 0.8, 0.3))
    assert not torch.allclose(at(full, 0.2, 0.3), at(full, 0.2, 0.9))
    timeless = shaken(replace(CONFIG, time_axis=False))
    assert torch.equal(at(timeless, 0.2, 0.3), at(timeless, 0.8, 0.3))
    assert not torch.allclose(at(timeless, 0.2, 0.3), at(timeless, 0.2, 0.9))
    poseless = shaken(replace(CONFIG, pose_axis=False))
    assert torch.equal(at(poseless, 0.2, 0.3), at(poseless, 0.2, 0.9))
    assert not torch.allclose(at(poseless, 0.2, 0.3), at(poseless, 0.8, 0.3))


def test_a_long_clip_has_a_field_for_every_fifty_frames_as_released() -> None:
    field = shaken(replace(CONFIG, frames_per_field=50), frames=120)
    assert len(field.parts) == 3
    used = [[p is field._part(k / 119) for p in field.parts].index(True) for k in range(120)]
    assert used == [0] * 50 + [1] * 50 + [2] * 20
    assert len(shaken(frames=120).parts) == 1


def test_regularisers_touch_the_planes_they_are_for() -> None:
    c = replace(CONFIG, variation=0.0, smoothness=0.0)
    for change, kinds in (
        ({"variation": 1.0}, {"xy", "xz", "yz"}),
        ({"variation": 1.0, "variation_form": "curvature"}, {"xy", "xz", "yz"}),
        ({"smoothness": 1.0}, {"xs", "ys", "zs"}),
        ({"smoothness": 1.0, "smoothness_form": "released"}, {"xs", "ys", "zs"}),
        ({"to_one": 1.0}, {"xs", "ys", "zs", "xt", "yt", "zt"}),
    ):
        field = shaken(replace(c, **change))  # type: ignore[arg-type]
        field.regularisers(0.5).backward()
        planes = field.parts[0].planes  # type: ignore[union-attr]
        sizes = [N_i * N_j for *_, N_i, N_j in planes.layout.planes()]
        names = [name for name, *_ in planes.layout.planes()]
        touched = {n for n, g in zip(names, planes.values.grad.split(sizes), strict=True) if g.abs().max() > 0}
        assert touched == kinds
    assert float(shaken(c).regularisers(0.5)) == 0


def test_the_size_of_the_distortion_costs_what_the_released_code_says() -> None:
    deltas = {"positions": torch.tensor([[1.0, 2.0, 3.0]]), "scales": torch.tensor([[-1.0, 0.5, 0.0]])}
    assert float(shaken(replace(CONFIG, to_zero=2.0)).shrinkage(deltas)) == pytest.approx(2 * (14 / 3 + 0.5))
    assert float(shaken().shrinkage(deltas)) == 0


def test_a_scene_knows_nothing_of_a_field() -> None:
    assert not [name for name in vars(Gaussians) if "distort" in name]
