"""The depth terms of a run, on rays made by hand."""

from dataclasses import replace

import pytest
import torch

from training import ray_losses as losses
from training.ddr_config import DdrConfig, DepthConfig
from training.depth_term import DepthTerm, SeenRays

R, S = 16, 24


def rays(generator: int = 0) -> SeenRays:
    g = torch.Generator().manual_seed(generator)
    edges = torch.linspace(0, 1, S + 1).expand(R, -1)
    s = 0.5 * (edges[:, 1:] + edges[:, :-1])

    def weights() -> torch.Tensor:
        return torch.softmax(3 * torch.randn(R, S, generator=g), dim=1).requires_grad_()

    target = torch.rand(R, generator=g)
    return SeenRays(s, {"total": weights(), "dynamic": weights(), "static": weights()}, target, 1 - target, edges)


def term(depth: DepthConfig | None = None, ddr: DdrConfig | None = None, decay: int = 0) -> DepthTerm:
    return DepthTerm(depth or DepthConfig(), ddr or DdrConfig(), decay, 0)


@pytest.mark.parametrize("branch", ["total", "dynamic", "static"])
def test_the_chosen_branch_alone_is_held_to_the_depth(branch: str) -> None:
    seen = rays()
    value = term(ddr=DdrConfig(weight=0.5, branch=branch))(seen, 0)  # type: ignore[arg-type]
    expected = 0.5 * losses.ddr_exact(seen.s, seen.weights[branch], seen.target)
    torch.testing.assert_close(value, expected)
    value.backward()
    for name, w in seen.weights.items():
        assert (w.grad is not None) == (name == branch)


def test_rays_without_a_known_depth_count_for_nothing() -> None:
    seen = rays()
    target = seen.target.clone()
    target[3:7] = torch.nan
    known = torch.isfinite(target)
    part = term(ddr=DdrConfig(weight=1.0))(replace(seen, target=target), 0)
    expected = losses.ddr_exact(seen.s[known], seen.weights["total"][known], target[known])
    torch.testing.assert_close(part, expected)
    assert float(term(ddr=DdrConfig(weight=1.0))(replace(seen, target=torch.full((R,), torch.nan)), 0)) == 0


def test_samples_at_a_low_temperature_give_the_closed_form() -> None:
    seen = rays()
    exact = term(ddr=DdrConfig(weight=1.0))(seen, 0)
    cold = term(ddr=DdrConfig(weight=1.0, estimator="gumbel", temperature=0.02, samples=4000))(seen, 0)
    assert cold.item() == pytest.approx(exact.item(), rel=0.03)


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "released"])
def test_a_disparity_of_any_scale_and_shift_is_aligned_in_the_batch(estimator: str) -> None:
    """As released: the median and the mean absolute deviation of the batch take scale and shift away."""
    seen = rays()
    config = DdrConfig(weight=1.0, estimator=estimator)  # type: ignore[arg-type]
    batch = term(DepthConfig(alignment="batch"), config)
    scaled = replace(seen, disparity=7 * seen.disparity + 3)
    torch.testing.assert_close(batch(scaled, 0), batch(seen, 0), rtol=1e-4, atol=1e-6)


def test_all_weights_fall_to_a_tenth_and_the_temperature_halves() -> None:
    seen, config = rays(), DdrConfig(weight=1.0, anneal=True, temperature=2.0)
    falling = term(ddr=config, decay=100)
    assert falling(seen, 100).item() == pytest.approx(0.1 * falling(seen, 99).item())
    assert [falling.temperature(step) for step in (0, 100, 200, 900)] == [2.0, 1.0, 0.5, 0.5]
    assert term(ddr=replace(config, anneal=False), decay=100).temperature(900) == 2.0


@pytest.mark.parametrize("name", ["expected", "ds_nerf_kl", "distortion", "gradient"])
def test_every_relative_can_be_switched_on(name: str) -> None:
    seen = rays()
    on = term(DepthConfig(**{name: 1.0}))  # type: ignore[arg-type]
    assert on.is_on and on.needs_depth == (name != "distortion")
    assert not term().is_on
    on(seen, 0).backward()
    assert float(seen.weights["total"].grad.abs().sum()) > 0  # type: ignore[union-attr]


def test_density_counts_before_the_surface_and_not_behind() -> None:
    seen = rays()
    near, far = (torch.zeros(R, S) for _ in range(2))
    near[seen.s < seen.target[:, None] - 0.06] = 2.0
    far[seen.s > seen.target[:, None]] = 2.0
    on = term(ddr=DdrConfig(empty=0.5))
    assert float(on.empty_space({"dynamic": far}, seen, None, 0)) == 0
    assert float(on.empty_space({"dynamic": near}, seen, None, 0)) > 0.5
    moving = torch.arange(R) < R // 2
    natural = term(ddr=DdrConfig(empty=0.5, empty_masks="natural"))
    only_still = near * (~moving)[:, None]
    assert float(natural.empty_space({"dynamic": only_still}, seen, moving, 0)) == 0
    assert float(natural.empty_space({"static": only_still}, seen, moving, 0)) > 0
