"""Losses on the weights along rays: each against its definition, its derivatives, and what it can and cannot see."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tests import ray_references as reference
from training import ray_losses as losses

R, S, P = 6, 9, 5
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

OF_DEPTH: dict[str, Loss] = {
    "ddr": losses.ddr_exact,
    "squared": lambda t, w, D: losses.expected_depth_loss(t, w, D, "squared"),
    "absolute": lambda t, w, D: losses.expected_depth_loss(t, w, D, "absolute"),
    "kl": lambda t, w, D: losses.ds_nerf_kl(t, w, D, 0.1),
    "urban": lambda t, w, D: losses.urban_loss(t, w, D, 0.3),
}


def rays(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Edges (R, S + 1) with unequal steps, their middles, weights and targets."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(0.02, 0.2, (R, S + 1)), axis=1)
    weights = rng.dirichlet(np.ones(S), R) * rng.uniform(0.3, 1, (R, 1))
    target = rng.uniform(edges[:, 1], edges[:, -2])
    e, w, D = (torch.tensor(x) for x in (edges, weights, target))
    return e, 0.5 * (e[:, 1:] + e[:, :-1]), w, D


def mean_of(f: Callable[..., float], *columns: Tensor) -> float:
    return float(np.mean([f(*(c[r].numpy() for c in columns)) for r in range(len(columns[0]))]))


def test_losses_of_depth_are_their_definitions() -> None:
    edges, t, w, D = rays()
    widths, ones = edges.diff(dim=1), torch.ones_like(t)
    kl = mean_of(lambda t, w, D, d: reference.ds_nerf_kl(t, w, D, 0.1, d), t, w, D, widths)
    urban = [mean_of(lambda t, w, D, d: reference.urban(t, w, D, 0.3, d), t, w, D, d) for d in (ones, widths)]
    pairs = [
        (losses.ddr_exact(t, w, D), mean_of(reference.expected_error, t, w, D)),
        (OF_DEPTH["squared"](t, w, D), mean_of(lambda *ray: reference.error_of_expectation(*ray) ** 2, t, w, D)),
        (OF_DEPTH["absolute"](t, w, D), mean_of(lambda *ray: abs(reference.error_of_expectation(*ray)), t, w, D)),
        (losses.ds_nerf_kl(t, w, D, 0.1, widths), kl),
        (losses.urban_loss(t, w, D, 0.3), urban[0]),
        (losses.urban_loss(t, w, D, 0.3, widths), urban[1]),
    ]
    for got, expected in pairs:
        assert float(got) == pytest.approx(expected, rel=1e-12)


def test_losses_without_target_are_their_definitions() -> None:
    edges, t, w, _ = rays()
    assert float(losses.distortion_loss(edges, w)) == pytest.approx(mean_of(reference.distortion, edges, w), rel=1e-12)
    assert float(losses.point_distortion(t, w)) == pytest.approx(mean_of(reference.spread, t, w), rel=1e-12)
    p = losses.normalised(w)
    np.testing.assert_allclose(losses.weights_entropy(w), -(p * p.log()).sum(1), rtol=1e-6)
    assert float(losses.entropy(w)) == pytest.approx(float(-(w * w.log()).mean()), rel=1e-6)


def test_proposals_that_bound_the_weights_cost_nothing_and_others_what_they_miss() -> None:
    edges, _, w, _ = rays()
    rng = np.random.default_rng(1)
    shared = edges[:, [0, 2, 4, 5, 7, 9]]  # some edges coincide: an interval that only touches does not overlap
    apart = torch.sort(torch.tensor(rng.uniform(0, edges.max(), (R, P + 1))), dim=1).values
    for proposal_edges in (shared, apart):
        guess = torch.tensor(rng.uniform(0, 0.3, (R, P)))
        expected = mean_of(reference.interlevel, edges, w, proposal_edges, guess)
        assert expected > 0
        assert float(losses.interlevel_loss(edges, w, proposal_edges, guess)) == pytest.approx(expected, rel=1e-9)
    sums = torch.stack([w[:, :2].sum(1), w[:, 2:4].sum(1), w[:, 4], w[:, 5:7].sum(1), w[:, 7:].sum(1)], dim=1)
    assert float(losses.interlevel_loss(edges, w, shared, sums)) < 1e-20


def test_only_proposals_learn_from_the_weights() -> None:
    edges, _, w, _ = rays()
    w, guess = w.requires_grad_(), torch.full((R, S), 0.01, dtype=torch.float64, requires_grad=True)
    losses.interlevel_loss(edges, w, edges, guess).backward()
    assert w.grad is None
    assert guess.grad is not None and float(guess.grad.max()) <= 0 and float(guess.grad.min()) < 0


def test_density_counts_in_front_of_the_surface_only() -> None:
    _, t, w, D = rays()
    sigma, mask = 3 * w - 0.2, torch.tensor([True, False, True, True, False, True])
    got = losses.empty_space(sigma, t, D, 0.05, mask)
    expected = reference.empty_space(sigma.numpy(), t.numpy(), D.numpy(), 0.05, mask.numpy())
    assert expected > 0 and float(got) == pytest.approx(expected, rel=1e-12)
    assert float(losses.empty_space(sigma, t, D, 0.05, ~mask & mask)) == 0
    sigma = sigma.requires_grad_()
    losses.empty_space(sigma, t, D, 0.05, mask).backward()
    assert sigma.grad is not None
    assert torch.equal(sigma.grad != 0, (t < D[:, None] - 0.05) & mask[:, None])


def test_a_floater_weighs_the_same_among_few_gaussians_and_among_many() -> None:
    t = torch.tensor([[0.1, 0.2, 0.8, 0.9]])
    alphas, D = torch.tensor([[0.0, 0.6, 0.9, 0.9]]), torch.tensor([0.8])
    few, many = losses.empty_alpha(alphas[:, 1:], t[:, 1:], D, 0.1), losses.empty_alpha(alphas, t, D, 0.1)
    assert float(few) == pytest.approx(0.36) and float(many) == pytest.approx(0.36)


def test_the_readings_of_the_masks_differ_by_whose_surface_is_meant() -> None:
    moving, still = torch.tensor([True, False, False]), torch.tensor([False, True, True])
    for reading, dynamic, static in (("released", still, moving), ("natural", moving, still)):
        got = losses.empty_masks(moving, reading)  # type: ignore[arg-type]
        assert torch.equal(got[0], dynamic) and torch.equal(got[1], static)
    assert all(bool(mask.all()) for mask in losses.empty_masks(moving, "all"))


@pytest.mark.parametrize("count", [6, 7])
def test_what_is_normalised_over_a_batch_is_its_definition(count: int) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=count), rng.uniform(1, 9, count)
    np.testing.assert_allclose(losses.median_mad(torch.tensor(x)), reference.median_mad(x), rtol=1e-12)
    np.testing.assert_allclose(losses.released_boundary(torch.tensor(y)), reference.released_boundary(y), atol=1e-12)
    got = float(losses.depth_gradient(torch.tensor(x), torch.tensor(y)))
    assert got == pytest.approx(reference.depth_gradient(x, y), rel=1e-12)


def test_the_depth_gradient_does_not_know_scale_and_shift() -> None:
    D = rays()[3]
    assert float(losses.depth_gradient(7 * D - 2, D)) == pytest.approx(0, abs=1e-12)
    assert float(losses.depth_gradient(-D, D)) > 0.1


def test_equal_depths_and_disparities_are_no_numbers_that_are_none() -> None:
    same = torch.full((5,), 0.3)
    for value in (losses.median_mad(same), losses.released_boundary(same), losses.depth_gradient(same, same)):
        assert bool(torch.isfinite(value).all())


def test_ddr_and_the_expected_depth_agree_where_all_is_wrong_on_one_side() -> None:
    _, t, w, _ = rays()
    for D in (t[:, 0] - 0.1, t[:, -1] + 0.1):
        np.testing.assert_allclose(
            losses.expected_error(t, w, D), losses.error_of_expectation(t, w, D).abs(), rtol=1e-6
        )


def test_ddr_sees_what_the_expected_depth_does_not() -> None:
    t, w, D = torch.tensor([[0.2, 0.6, 1.0]]), torch.tensor([[0.5, 0.0, 0.5]]), torch.tensor([0.6])
    assert float(OF_DEPTH["absolute"](t, w, D)) == pytest.approx(0, abs=1e-6)
    assert float(losses.ddr_exact(t, w, D)) == pytest.approx(0.4)


def test_distortion_is_the_expected_distance_of_two_draws_and_bounds_ddr() -> None:
    _, t, w, _ = rays()
    p = w / w.sum(1, keepdim=True)
    two_draws = sum(p[:, j] * losses.expected_error(t, p, t[:, j]) for j in range(S))
    assert isinstance(two_draws, Tensor)
    assert float(losses.point_distortion(t, p)) == pytest.approx(float(two_draws.mean()), rel=1e-6)
    median = t.gather(1, (p.cumsum(1) < 0.5).sum(1, keepdim=True))[:, 0]
    for r in range(R):
        both = float(losses.point_distortion(t[r : r + 1], p[r : r + 1]))
        assert both / 2 <= float(losses.expected_error(t, p, median)[r]) <= both


def test_distortion_is_exact_far_from_the_origin_in_single_precision() -> None:
    edges, _, w, _ = rays()
    step = torch.round(edges * 64) / 64
    near, far = (losses.distortion_loss((step + x).float(), w.float()) for x in (0.0, 4096.0))
    assert float(far) == pytest.approx(float(near), rel=1e-6)


@pytest.mark.parametrize("name", OF_DEPTH)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    _, t, w, D = rays()
    loss = OF_DEPTH[name]
    assert gradcheck(lambda w: loss(t, w, D), w.requires_grad_())
    if name not in ("kl", "urban"):  # these take places as where to evaluate an integral
        assert gradcheck(lambda t: loss(t, w.detach(), D), t.requires_grad_())


def test_gradients_without_target_are_those_of_finite_differences() -> None:
    edges, t, w, D = (x.requires_grad_() for x in rays())
    assert gradcheck(losses.distortion_loss, (edges.detach(), w))
    assert gradcheck(losses.point_distortion, (t.detach().requires_grad_(), w))
    assert gradcheck(lambda guess: losses.interlevel_loss(edges, w, edges, guess), (0.7 * w).detach().requires_grad_())
    assert gradcheck(lambda a: losses.empty_alpha(a, t.detach(), D.detach(), 0.05), w)
    assert gradcheck(lambda d: losses.depth_gradient(d, t.detach()[:, 3].flip(0)), D)
    assert gradcheck(losses.entropy, w) and gradcheck(losses.weights_entropy, w)


def test_points_do_not_run_from_the_depth_to_lower_the_divergence() -> None:
    _, t, w, D = rays()
    t, w = t.requires_grad_(), w.requires_grad_()
    losses.ds_nerf_kl(t, w, D, 0.1).backward()
    assert t.grad is None and w.grad is not None and float(w.grad.max()) <= 0


@pytest.mark.parametrize("name", [*OF_DEPTH, "distortion"])
def test_padding_changes_nothing(name: str) -> None:
    _, t, w, D = rays()
    loss = OF_DEPTH.get(name, lambda t, w, D: losses.point_distortion(t, w))
    expected = float(loss(t, w, D))
    for place in (0.0, 50.0):
        padded = torch.cat([t, torch.full((R, 3), place, dtype=t.dtype)], dim=1)
        weights = torch.cat([w, torch.zeros(R, 3, dtype=w.dtype)], dim=1)
        assert float(loss(padded, weights, D)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", OF_DEPTH)
def test_rays_that_do_not_count_may_hold_nothing(name: str) -> None:
    _, t, w, D = rays()
    w, valid = w.requires_grad_(), torch.tensor([True, False, True, True, False, True])
    losses_of: dict[str, Callable[..., Tensor]] = {
        "ddr": losses.ddr_exact,
        "squared": losses.expected_depth_loss,
        "absolute": lambda t, w, D, valid: losses.expected_depth_loss(t, w, D, "absolute", valid),
        "kl": lambda t, w, D, valid: losses.ds_nerf_kl(t, w, D, 0.1, valid=valid),
        "urban": lambda t, w, D, valid: losses.urban_loss(t, w, D, 0.3, valid=valid),
    }
    loss = losses_of[name]
    got = loss(t, w, torch.where(valid, D, torch.nan), valid=valid)
    got.backward()
    expected = float(OF_DEPTH[name](t[valid], w.detach()[valid], D[valid]))
    assert float(got.detach()) == pytest.approx(expected, rel=1e-12)
    assert w.grad is not None and bool(torch.equal(w.grad.abs().sum(1) > 0, valid))
    none = loss(t, w, D, valid=~valid & valid)
    none.backward()
    assert float(none.detach()) == 0


def test_empty_rays_have_no_gradient_that_is_none() -> None:
    _, t, w, D = rays()
    w = (0 * w).requires_grad_()
    total = sum((loss(t, w, D) for loss in OF_DEPTH.values()), losses.point_distortion(t, w) + losses.entropy(w))
    (total + losses.weights_entropy(w).sum()).backward()
    assert w.grad is not None and bool(torch.isfinite(w.grad).all())
