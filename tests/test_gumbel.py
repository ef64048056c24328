"""Soft draws along rays: what they are, what they tend to, and which way they pull."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tests import ray_references as reference
from training import gumbel, ray_losses
from training.gumbel import Basis, Noise

BASES: tuple[Basis, ...] = ("tri", "uni", "gaussian")
N = 128
LOBE = np.exp(-0.5 * ((np.arange(N) - 64) / 4) ** 2)
MODES = np.isin(np.arange(N), (20, 100)).astype(float)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rays(R: int = 4, S: int = 7, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Unevenly spaced places, weights and targets."""
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.uniform(0.05, 0.3, (R, S)), axis=1)
    weights = rng.dirichlet(np.ones(S), R) * rng.uniform(0.3, 1, (R, 1))
    return torch.tensor(t), torch.tensor(weights), torch.tensor(rng.uniform(t[:, 1], t[:, -2]))


def soft_error(weights: np.ndarray, D: float, temperature: float, basis: Basis | None = None) -> float:
    """Mean |s - D| of 4000 draws; without basis a sample lies in the middle of its bin."""
    w = torch.tensor(weights)[None].expand(40, -1)
    noise = gumbel.draw_noise(w, 100, seeded(), basis or "uni")
    if basis is None:
        noise = Noise(noise.gumbel, torch.zeros_like(noise.offsets))
    return float((gumbel.soft_samples(w, noise, temperature, basis or "uni") - D).abs().mean())


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("temperature", [2.0, 0.3])
def test_a_draw_is_that_of_the_definition(basis: Basis, temperature: float) -> None:
    _, w, _ = rays()
    noise = gumbel.draw_noise(w, 5, seeded(), basis)
    got = gumbel.soft_samples(w, noise, temperature, basis)
    for r in range(4):
        for k in range(5):
            drawn = noise.gumbel[r, k].numpy(), noise.offsets[r, k].numpy()
            assert float(got[r, k]) == pytest.approx(reference.soft_sample(w[r].numpy(), *drawn, temperature, basis))


def test_noise_has_the_moments_of_its_distributions() -> None:
    w = torch.ones(100, 50, dtype=torch.float64)
    for basis, variance in (("tri", 1 / 6), ("uni", 1 / 12), ("gaussian", 1.0)):
        noise = gumbel.draw_noise(w, 20, seeded(), basis)  # type: ignore[arg-type]
        assert float(noise.gumbel.mean()) == pytest.approx(0.5772, abs=0.02)
        assert float(noise.gumbel.var()) == pytest.approx(np.pi**2 / 6, rel=0.02)
        assert float(noise.offsets.mean()) == pytest.approx(0, abs=0.02)
        assert float(noise.offsets.var()) == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize(
    ("weights", "D", "exact", "known"),
    [
        (LOBE, 64 / N, 0.0248, {2.0: 0.0055, 1.0: 0.0114, 0.5: 0.0177, 0.1: 0.0233}),
        (MODES, 60 / N, 0.3125, {2.0: 0.095, 1.0: 0.155, 0.5: 0.215, 0.1: 0.291}),
    ],
)
def test_draws_see_a_part_of_the_spread_and_all_of_it_when_cold(
    weights: np.ndarray, D: float, exact: float, known: dict[float, float]
) -> None:
    closed = float(
        ray_losses.ddr_exact(torch.arange(N)[None] / N, torch.tensor(weights)[None], torch.tensor([D]).double())
    )
    assert closed == pytest.approx(exact, abs=1e-4)
    for temperature, error in known.items():
        assert soft_error(weights, D, temperature) == pytest.approx(error, rel=0.04)
    assert soft_error(weights, D, 0.01) == pytest.approx(closed, rel=0.02)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("weights", "D"), [(LOBE, 64 / N), (MODES, 60 / N)])
def test_the_colder_the_closer_to_the_closed_form(basis: Basis, weights: np.ndarray, D: float) -> None:
    errors = [soft_error(weights, D, temperature, basis) for temperature in (2.0, 1.0, 0.5, 0.1)]
    assert errors == sorted(errors)
    exact = reference.expected_error(np.arange(N) / N, weights, D)
    assert errors[0] < 0.65 * exact and errors[-1] == pytest.approx(exact, rel=0.08)


@pytest.mark.parametrize("basis", BASES)
def test_plain_gradients_are_those_of_finite_differences(basis: Basis) -> None:
    t, w, _ = rays()
    noise = gumbel.draw_noise(w, 3, seeded(), basis)
    assert gradcheck(lambda w: gumbel.soft_samples(w, noise, 0.7, basis), w.requires_grad_())
    places = gumbel.soft_samples(w.detach(), noise, 0.7, basis)
    assert gradcheck(gumbel.samples_along, (t.requires_grad_(), places.requires_grad_()))


@pytest.mark.parametrize("normalise", ["aligned", "batch"])
def test_the_losss_gradient_is_that_of_finite_differences(normalise: str) -> None:
    t, w, D = rays()

    def loss(t: Tensor, w: Tensor) -> Tensor:
        return gumbel.ddr_gumbel(t, w, D, count=3, temperature=1.0, generator=seeded(), normalise=normalise)  # type: ignore

    assert gradcheck(loss, (t.requires_grad_(), w.requires_grad_()))


@pytest.mark.parametrize("basis", BASES)
def test_the_released_gradient_is_signed_and_chained_through_the_softmax(basis: Basis) -> None:
    _, w, _ = rays()
    noise = gumbel.draw_noise(w, 3, seeded(), basis)
    w = w.requires_grad_()
    draws = gumbel.soft_samples(w, noise, 2.0, basis, "released")
    assert torch.equal(draws, gumbel.soft_samples(w, noise, 2.0, basis, "plain"))
    for r in range(4):
        for k in range(3):
            (got,) = torch.autograd.grad(draws[r, k], w, retain_graph=True)
            drawn = noise.gumbel[r, k].numpy(), noise.offsets[r, k].numpy()
            expected = reference.released_gradient(w[r].detach().numpy(), *drawn, 2.0, basis)
            np.testing.assert_allclose(got[r], expected, rtol=1e-5, atol=1e-7)


def test_the_loss_is_its_definition_in_both_normalisations() -> None:
    t, w, D = rays()
    s = gumbel.samples_along(t, gumbel.gumbel_samples(w, 6, 2.0, seeded())).numpy()
    aligned = gumbel.ddr_gumbel(t, w, D, count=6, generator=seeded())
    assert float(aligned) == pytest.approx(np.abs(s - D.numpy()[:, None]).mean())
    batch = gumbel.ddr_gumbel(t, w, D, count=6, generator=seeded(), normalise="batch")
    apart = np.abs(reference.median_mad(s) - reference.median_mad(D.numpy())[:, None])
    assert float(batch) == pytest.approx(apart.mean())


def test_a_batch_does_not_know_the_targets_scale_and_shift() -> None:
    t, w, D = rays()
    a, b = (gumbel.ddr_gumbel(t, w, x, count=4, generator=seeded(), normalise="batch") for x in (D, 9 * D - 4))
    assert float(a) == pytest.approx(float(b))


def test_evenly_spaced_places_are_an_affine_map_of_the_index() -> None:
    _, w, _ = rays()
    t = (2 + 3 * torch.arange(7, dtype=torch.float64) / 7).expand(4, -1)
    s = gumbel.gumbel_samples(w, 50, 0.2, seeded())
    assert float(s.min()) < 0 and float(s.max()) > 6 / 7  # before the first sample, and beyond the last
    np.testing.assert_allclose(gumbel.samples_along(t, s), 2 + 3 * s, rtol=1e-12)


def test_cold_draws_along_uneven_places_are_the_places_themselves() -> None:
    t, _, _ = rays()
    w = torch.eye(7, dtype=torch.float64)[torch.tensor([0, 2, 5, 6])]
    still = torch.zeros(4, 1, 7, dtype=w.dtype)
    index = gumbel.soft_samples(w, Noise(still, still), 0.05)
    np.testing.assert_allclose(gumbel.samples_along(t, index)[:, 0], (w * t).sum(1), rtol=1e-6)


def test_a_single_sample_is_always_drawn() -> None:
    t, w, D = torch.tensor([[0.4], [0.7]]), torch.tensor([[0.2], [0.9]]), torch.tensor([0.5, 0.5])
    assert float(gumbel.ddr_gumbel(t, w, D, generator=seeded())) == pytest.approx(0.15, abs=1e-6)


def test_hard_draws_follow_the_weights_and_never_hit_padding() -> None:
    t = torch.tensor([[0.1, 0.3, 0.6, 9.0]]).expand(3, -1)
    w = torch.tensor([[0.2, 0.0, 0.6, 0.0], [0.0, 0.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    drawn = gumbel.hard_samples(t, w, 4000, seeded())
    assert float((drawn[0] == t[0, 0]).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert bool(torch.isin(drawn[0], t[0, [0, 2]]).all())
    assert bool((drawn[1] == t[1, 1]).all()) and bool(drawn[2].isnan().all())


def test_the_temperature_halves_down_to_a_half() -> None:
    assert [gumbel.temperature_at(2.0, d) for d in range(4)] == [2.0, 1.0, 0.5, 0.5]
    assert [gumbel.temperature_at(5.0, 2), gumbel.temperature_at(0.1, 0), gumbel.temperature_at(0.1, 3)] == [
        1.25, 0.1, 0.1,
    ]  # fmt: skip


def test_rays_that_do_not_count_may_hold_nothing() -> None:
    t, w, D = rays()
    valid = torch.tensor([True, False, True, False])
    w = w.requires_grad_()
    got = gumbel.ddr_gumbel(t, w, torch.where(valid, D, torch.nan), count=3, generator=seeded(), valid=valid)
    got.backward()
    assert w.grad is not None and bool(torch.equal(w.grad.abs().sum(1) > 0, valid))
    none = gumbel.ddr_gumbel(t, w, D, valid=valid & ~valid, normalise="batch")
    none.backward()
    assert float(none.detach()) == 0


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("form", ["plain", "released"])
def test_empty_and_certain_rays_are_finite_in_single_precision(basis: Basis, form: str) -> None:
    w = torch.zeros(200, 32)
    w[100:, 0] = 1.0
    w = w.requires_grad_()
    t, D = torch.linspace(0, 1, 32).expand(200, -1), torch.full((200,), 0.3)
    loss = gumbel.ddr_gumbel(t, w, D, generator=seeded(), basis=basis, form=form, normalise="batch")  # type: ignore
    loss.backward()
    assert bool(torch.isfinite(loss)) and w.grad is not None and bool(torch.isfinite(w.grad).all())
