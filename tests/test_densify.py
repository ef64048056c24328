import pytest
import torch

from renderer.gaussians import Gaussians, rotations_4d
from tests.tiny import camera_at, random_gaussians
from training.config import DensifyConfig, LearningRates
from training.densify import DensityStatistics, densify, reset_opacities, split_children
from training.optimizer import GaussianOptimizer

EXTENT = 1.0


def optimizer_of(gaussians: Gaussians) -> GaussianOptimizer:
    """An optimiser that has taken one step, so that there are moments."""
    optimizer = GaussianOptimizer(gaussians, LearningRates(), EXTENT)
    sum(p.square().sum() for p in optimizer.gaussians.parameters.values()).backward()
    optimizer.step(0.0)
    return optimizer


def sized(scale: list[float]) -> Gaussians:
    g = random_gaussians(len(scale))
    return g.with_parameters(
        {"scales": torch.log(torch.tensor(scale))[:, None].repeat(1, 3), "opacities": torch.ones(len(scale), 1)}
    )


def run_round(optimizer: GaussianOptimizer, pull: list[float], config: DensifyConfig, **options: bool) -> None:
    statistics = DensityStatistics.empty(len(pull), torch.device("cpu"))
    statistics.screen += torch.tensor(pull)
    statistics.seen += 1
    generator = torch.Generator().manual_seed(0)
    densify(optimizer, statistics, config, EXTENT, options.get("prune_large", False), generator)


def test_small_gaussians_are_cloned_and_large_ones_split() -> None:
    optimizer = optimizer_of(sized([0.005, 0.5, 0.5]))
    before = {k: v.detach().clone() for k, v in optimizer.gaussians.parameters.items()}
    run_round(optimizer, [1.0, 1.0, 0.0], DensifyConfig())
    after = optimizer.gaussians
    assert len(after) == 5  # kept 0 and 2, a clone of 0, two children of 1
    for name, value in after.parameters.items():
        torch.testing.assert_close(value[:2].detach(), before[name][[0, 2]])
        torch.testing.assert_close(value[2].detach(), before[name][0])
    children = torch.exp(after.scales[3:].detach())
    torch.testing.assert_close(children, torch.exp(before["scales"][1]).expand(2, 3) / 1.6)


def test_nothing_is_added_below_the_gradient() -> None:
    optimizer = optimizer_of(sized([0.005, 0.5]))
    run_round(optimizer, [1.9e-4, 1.9e-4], DensifyConfig())
    assert len(optimizer.gaussians) == 2


def test_the_time_gradient_densifies_only_when_asked_to() -> None:
    for threshold, expected in ((None, 2), (1e-3, 3)):
        optimizer = optimizer_of(sized([0.005, 0.005]))
        statistics = DensityStatistics.empty(2, torch.device("cpu"))
        statistics.seen += 1
        statistics.observe_time(torch.tensor([[2e-3], [0.0]]))
        config = DensifyConfig(time_gradient=threshold)
        densify(optimizer, statistics, config, EXTENT, False, torch.Generator())
        assert len(optimizer.gaussians) == expected


def test_faint_and_when_asked_large_gaussians_are_removed() -> None:
    g = sized([0.005, 0.2, 0.05])
    g = g.with_parameters({"opacities": torch.tensor([[-10.0], [2.0], [2.0]])})
    optimizer = optimizer_of(g)
    run_round(optimizer, [0, 0, 0], DensifyConfig())
    assert len(optimizer.gaussians) == 2
    run_round(optimizer, [0, 0], DensifyConfig(), prune_large=True)
    assert torch.exp(optimizer.gaussians.scales).max() < 0.1


def test_the_limit_keeps_the_most_wanted() -> None:
    optimizer = optimizer_of(sized([0.005] * 4))
    wanted = optimizer.gaussians.positions[2].detach().clone()
    run_round(optimizer, [1.0, 2.0, 3.0, 0.0], DensifyConfig(max_gaussians=5))
    assert len(optimizer.gaussians) == 5
    torch.testing.assert_close(optimizer.gaussians.positions[4].detach(), wanted)


def test_moments_follow_their_gaussians() -> None:
    optimizer = optimizer_of(sized([0.005, 0.5, 0.005]))
    before = {k: v.clone() for k, v in optimizer.moments().items()}
    run_round(optimizer, [0.0, 1.0, 0.0], DensifyConfig())
    after = optimizer.moments()
    for name in optimizer.gaussians.parameters:
        torch.testing.assert_close(after[f"{name}.exp_avg"][:2], before[f"{name}.exp_avg"][[0, 2]])
        assert (after[f"{name}.exp_avg"][2:] == 0).all()
        assert after[f"{name}.exp_avg"].shape == getattr(optimizer.gaussians, name).shape


def test_children_follow_the_4d_density_of_their_parent() -> None:
    g = random_gaussians(1, seed=5)
    many = g.with_parameters({k: v.repeat(20_000, *[1] * (v.ndim - 1)) for k, v in g.parameters.items()})
    children = split_children(many, torch.ones(20_000, dtype=torch.bool), torch.Generator().manual_seed(1))
    offsets = torch.cat([children["positions"] - g.positions, children["times"] - g.times], dim=1)
    torch.testing.assert_close(offsets.T.cov(), g.covariances()[0], rtol=0.05, atol=2e-3)
    assert torch.linalg.det(rotations_4d(g.left, g.right))[0] == pytest.approx(1, abs=1e-5)


def test_statistics_count_only_what_was_drawn_in_device_coordinates() -> None:
    statistics = DensityStatistics.empty(5, torch.device("cpu"))
    camera = camera_at(0, width=40, height=30)
    gradients = torch.tensor([[0.3, 0.4], [1.0, 1.0]])
    statistics.observe(torch.tensor([1, 3]), gradients, torch.tensor([7, 0], dtype=torch.int32), camera)
    assert statistics.seen.tolist() == [0, 1, 0, 0, 0]
    assert statistics.screen[1] == pytest.approx(((0.3 * 20) ** 2 + (0.4 * 15) ** 2) ** 0.5)
    assert statistics.radii[1] == 7


def test_resetting_lowers_opacities_and_forgets_their_moments() -> None:
    optimizer = optimizer_of(sized([0.1, 0.1]))
    reset_opacities(optimizer)
    assert torch.sigmoid(optimizer.gaussians.opacities).max().item() == pytest.approx(0.01, rel=1e-4)
    assert (optimizer.moments()["opacities.exp_avg"] == 0).all()
    assert (optimizer.moments()["positions.exp_avg"] != 0).any()


def test_positions_learn_at_a_rate_that_falls_over_the_run() -> None:
    moves = []
    for progress in (0.0, 1.0):
        g = random_gaussians(3)
        optimizer = GaussianOptimizer(g, LearningRates(), extent=2.0)
        optimizer.gaussians.positions.sum().backward()
        optimizer.step(progress)
        moves.append((optimizer.gaussians.positions.detach() - g.positions).abs().max().item())
    assert moves == pytest.approx([2 * 1.6e-4, 2 * 1.6e-6], rel=0.02)  # Adam's first step is the rate itself
