"""DDR's kernels against plain torch in float64: what is asked of weights in closed form and by soft draws."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from renderer.cuda import field_ddr as kernels
from tests.cuda_emulator import emulated, needs_emulator
from training import gumbel
from training import ray_losses as losses

SHAPES = ((1, 2), (3, 7), (5, 32), (9, 33), (2, 96))
"""Rays and samples: one, and more than fit into a block and into a warp."""
BASES: tuple[gumbel.Basis, ...] = ("tri", "uni", "gaussian")
FORMS: tuple[gumbel.Form, ...] = ("plain", "released")


def rays(R: int, S: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Places, weights and targets, float32, some of the weights 0; a target on a sample's very place."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(R, S, generator=generator).sort(dim=1).values
    weights = torch.rand(R, S, generator=generator) ** 4
    weights[:, S // 2 + 1 :: 3] = 0
    target = torch.rand(R, generator=generator)
    target[:1] = t[:1, S // 2]
    return t, weights, target


def assert_near(found: Tensor | None, expected: Tensor | None, least: float) -> None:
    """Relative L2 distance, which a few outliers cannot hide in."""
    assert found is not None and expected is not None and found.shape == expected.shape
    found, expected = found.detach().cpu().double(), expected.detach()
    assert torch.isfinite(found).all()
    distance = torch.linalg.vector_norm(found - expected)
    assert distance <= least * torch.linalg.vector_norm(expected) + 1e-12, f"{distance:.3g}"


def check(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], device: torch.device, least: float) -> None:
    """The same value by kernels as by plain torch in float64, and gradients of a random sum of it by all inputs."""
    near = [x.detach().to(device, copy=True).requires_grad_() for x in inputs]
    exact = [x.detach().double().requires_grad_() for x in inputs]
    found, expected = function(*near), function(*exact)
    assert_near(found, expected, least)
    factors = 0.5 + torch.rand(expected.shape, generator=torch.Generator().manual_seed(5))
    (found * factors.to(device)).sum().backward()
    (expected * factors.double()).sum().backward()
    for ours, plain in zip(near, exact, strict=True):
        assert_near(ours.grad, plain.grad, 10 * least)


# ------------------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize(("R", "S"), SHAPES)
def test_errors_along_rays_are_their_definitions(R: int, S: int, kernels_on: torch.device) -> None:
    for function in (losses.expected_error, losses.error_of_expectation):
        check(function, rays(R, S), kernels_on, 1e-6)


@pytest.mark.parametrize(("R", "S"), SHAPES)
def test_normalised_weights_are_their_definition(R: int, S: int, kernels_on: torch.device) -> None:
    check(losses.normalised, rays(R, S)[1:2], kernels_on, 1e-6)


@pytest.mark.parametrize("form", ["exact", "squared", "absolute"])
@pytest.mark.parametrize("counted", ["all", "some", "none"])
def test_rays_that_do_not_count_change_nothing(
    form: Literal["exact", "squared", "absolute"], counted: str, kernels_on: torch.device
) -> None:
    def loss(t: Tensor, weights: Tensor, target: Tensor) -> Tensor:
        where = None if valid is None else valid.to(t.device)
        if form == "exact":
            return losses.ddr_exact(t, weights, target, where)
        return losses.expected_depth_loss(t, weights, target, form, where)

    t, weights, target = rays(6, 40)
    valid = None if counted == "all" else torch.tensor([True, False, True, True, False, False]) & (counted == "some")
    if valid is not None:
        t[~valid], weights[~valid], target[~valid] = torch.nan, torch.nan, torch.nan
    if form == "absolute":
        target[0] += 0.1  # away from where a kink would be
    check(loss, (t, weights, target), kernels_on, 1e-6)


def test_no_rays_have_no_errors(kernels_on: torch.device) -> None:
    t, weights, target = (x.to(kernels_on).requires_grad_() for x in rays(0, 4))
    assert losses.expected_error(t, weights, target).shape == (0,)
    assert losses.ddr_exact(t, weights, target).detach() == 0
    assert losses.normalised(weights).shape == (0, 4)


def test_a_ray_without_weight_has_no_share_and_a_finite_gradient(kernels_on: torch.device) -> None:
    t, weights, target = rays(3, 5)
    check(losses.expected_error, (t, torch.zeros_like(weights), target), kernels_on, 1e-6)


# ------------------------------------------------------------------------------------------------ draws


def noise_for(weights: Tensor, noise: gumbel.Noise) -> gumbel.Noise:
    return gumbel.Noise(noise.gumbel.to(weights), noise.offsets.to(weights))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("S", "temperature"), [(1, 1.0), (7, 2.0), (33, 0.5), (64, 2.0), (250, 1.0)])
def test_soft_draws_are_those_of_the_equations(
    basis: gumbel.Basis, form: gumbel.Form, S: int, temperature: float, kernels_on: torch.device
) -> None:
    _, weights, _ = rays(3, S)
    noise = gumbel.draw_noise(weights, 5, torch.Generator().manual_seed(1), basis)

    def draws(weights: Tensor) -> Tensor:
        return gumbel.soft_samples(weights, noise_for(weights, noise), temperature, basis, form)

    if S == 1 and (form == "plain" or basis != "uni"):  # one sample is drawn whatever it weighs
        with torch.no_grad():
            assert_near(draws(weights.to(kernels_on)), draws(weights.double()), 1e-6)
    else:
        check(draws, (weights,), kernels_on, 1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("S", "K"), [(2, 1), (31, 6), (70, 3)])
def test_the_error_of_draws_and_its_gradient_come_out_of_one_kernel(
    basis: gumbel.Basis, form: gumbel.Form, S: int, K: int, kernels_on: torch.device
) -> None:
    t, weights, target = rays(4, S)

    def loss(weights: Tensor) -> Tensor:
        drawn, places, D = noise_for(weights, noise), t.to(weights), target.to(weights)
        if weights.dtype == torch.float32:
            pair = (drawn.gumbel, drawn.offsets)
            return kernels.sampled_errors(places, weights, D, pair, 1.5, basis, form == "released")
        s = gumbel.samples_along(places, gumbel.soft_samples(weights, drawn, 1.5, basis, form))
        return (s - D[:, None]).abs().mean(1)

    noise = gumbel.draw_noise(weights, K, torch.Generator().manual_seed(2), basis)
    check(loss, (weights,), kernels_on, 1e-5)


@pytest.mark.parametrize("normalise", ["aligned", "batch"])
@pytest.mark.parametrize("places_learn", [False, True])
def test_the_loss_is_the_same_in_one_kernel_and_in_pieces(
    normalise: Literal["aligned", "batch"],
    places_learn: bool,
    kernels_on: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In pieces where the batch is to be normalised or places learn too."""
    t, weights, target = rays(12, 40)
    t = torch.linspace(0, 1, 40) + 0.01 * t
    noise = gumbel.draw_noise(weights, 4, torch.Generator().manual_seed(3))

    def same_noise(weights: Tensor, *_: object) -> gumbel.Noise:
        return noise_for(weights, noise)

    monkeypatch.setattr(gumbel, "draw_noise", same_noise)

    def loss(weights: Tensor, t: Tensor, target: Tensor) -> Tensor:
        return gumbel.ddr_gumbel(t, weights, target, count=4, normalise=normalise)

    if places_learn:
        check(lambda w, t: loss(w, t, target.to(w)), (weights, t), kernels_on, 1e-5)
    else:
        check(lambda w: loss(w, t.to(w), target.to(w)), (weights,), kernels_on, 1e-5)


@needs_emulator
@pytest.mark.parametrize("order", ["reversed", 7])
def test_the_warps_of_a_ray_wait_for_each_other(order: Literal["reversed"] | int) -> None:
    t, weights, target = rays(3, 40)
    noise = gumbel.draw_noise(weights, 6, torch.Generator().manual_seed(4))
    results = []
    for chosen in ("forward", order):
        leaf = weights.clone().requires_grad_()
        with emulated(chosen):
            kernels.sampled_errors(t, leaf, target, (noise.gumbel, noise.offsets), 2.0, "tri", False).sum().backward()
        results.append(leaf.grad)
    assert results[0] is not None and results[1] is not None and torch.equal(*results)


def test_rays_of_more_samples_than_the_kernels_take_are_drawn_from_all_the_same(kernels_on: torch.device) -> None:
    S = 32 * kernels.MOST_CHUNKS + 1
    _, weights, _ = rays(2, S)
    assert not kernels.draws_served(weights.to(kernels_on)) and kernels.draws_served(weights[:, :-1].to(kernels_on))
    draws = gumbel.gumbel_samples(weights.to(kernels_on), 3, 1.0, torch.Generator().manual_seed(0))
    assert draws.shape == (2, 3) and torch.isfinite(draws).all()


def test_the_floor_is_that_of_the_losses() -> None:
    assert f"constexpr float FLOOR = {losses.FLOOR:.0e}f;".replace("e-08", "e-8") in kernels.ERRORS.text()
