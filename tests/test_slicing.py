"""4D Gaussians at an instant: against the definition, and the fused kernels against the reference."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from renderer.gaussians import Gaussians, empty_gaussians, inverse_softplus, rotations_4d
from renderer.harmonics import real_harmonics
from renderer.slicing import slice_at
from renderer.splat.reference import unpack_symmetric
from tests.tiny import random_gaussians

CENTER = torch.tensor([0.3, 0.1, -3.0])
FIELDS = ("means", "covariances", "opacities", "colors")


def double(g: Gaussians) -> Gaussians:
    return g.with_parameters({k: v.double() for k, v in g.parameters.items()})


def test_a_slice_is_the_conditional_of_the_4d_density() -> None:
    g = double(random_gaussians(6, seed=2))
    time = 0.4
    instant = slice_at(g, time, CENTER.double(), backend="reference")
    rng = np.random.default_rng(0)
    for m, i in enumerate(instant.ids.tolist()):
        mean = torch.cat([g.positions[i], g.times[i]]).numpy()
        precision = np.linalg.inv(g.covariances()[i].numpy())
        sliced = np.linalg.inv(unpack_symmetric(instant.splats.covariances)[m].numpy())
        peak = float(instant.splats.opacities[m]) / float(torch.sigmoid(g.opacities[i]))
        for _ in range(5):
            x = mean[:3] + 0.1 * rng.normal(size=3)
            d4 = np.append(x, time) - mean
            d3 = x - instant.splats.means[m].numpy()
            assert math.exp(-0.5 * d4 @ precision @ d4) == pytest.approx(peak * math.exp(-0.5 * d3 @ sliced @ d3))


def test_a_covariance_is_that_of_the_two_quaternions_by_hand() -> None:
    """A = L(q_l) R(q_r) with both axes reversed, Sigma = A S S^T A^T (Yang et al. 2024, eq. 5), in numpy."""
    g = double(replace(random_gaussians(8, seed=4), scale_activation="softplus"))
    for i in range(len(g)):
        a, b, c, d = (g.left[i] / g.left[i].norm()).numpy()
        p, q, r, s = (g.right[i] / g.right[i].norm()).numpy()
        L = np.array([[a, -b, -c, -d], [b, a, -d, c], [c, d, a, -b], [d, -c, b, a]])
        R = np.array([[p, q, r, s], [-q, p, -s, r], [-r, s, p, -q], [-s, -r, q, p]])
        A = (L @ R)[::-1, ::-1]
        raw = np.append(g.scales[i].numpy(), g.time_scales[i].numpy())
        S = np.diag(np.log1p(np.exp(raw)))
        np.testing.assert_allclose(g.covariances()[i].numpy(), A @ S @ S.T @ A.T, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("level", range(6))
def test_colours_are_spherindrical_harmonics_by_hand(level: int) -> None:
    """sum of k cos(2 pi n (mu_t - t) / T) Y_lm, plus a half, not below zero; n above 0 only once l is at 3."""
    g = double(replace(random_gaussians(30, seed=5, time_span=2.0), sh_level=level))
    g = g.with_parameters({"time_scales": torch.full_like(g.time_scales, 2.0), "sh_rest": 2 * g.sh_rest})
    time = 0.3
    instant = slice_at(g, time, CENTER.double(), backend="reference")
    coefficients = torch.cat([g.sh_dc, g.sh_rest], dim=1).numpy()
    for m, i in enumerate(instant.ids.tolist()):
        view = g.positions[i].numpy() - CENTER.double().numpy()
        x, y, z = view / np.linalg.norm(view)
        theta, phi = np.arccos(z), np.arctan2(y, x)
        total = np.zeros(3)
        for n in range(3):
            wave = np.cos(2 * np.pi * n * (float(g.times[i, 0]) - time * 2.0) / 2.0)
            for degree in range(4):
                if degree > level or (n > 0 and level < 3 + n):
                    continue
                for order in range(-degree, degree + 1):
                    complex_one = sph_harm_y(degree, abs(order), theta, phi)
                    part = complex_one.imag if order < 0 else complex_one.real
                    Y = part * (np.sqrt(2) if order else 1)
                    total += coefficients[i, 16 * n + degree * degree + degree + order] * wave * Y
        np.testing.assert_allclose(instant.splats.colors[m].numpy(), np.maximum(total + 0.5, 0), atol=1e-10)


def test_rotations_are_in_so4_and_equal_quaternions_leave_time_alone() -> None:
    g = double(random_gaussians(20, seed=3))
    A = rotations_4d(g.left, g.right)
    torch.testing.assert_close(A @ A.mT, torch.eye(4, dtype=torch.float64).expand(20, 4, 4))
    torch.testing.assert_close(torch.linalg.det(A), torch.ones(20, dtype=torch.float64))
    still = rotations_4d(g.left, g.left)
    torch.testing.assert_close(still[:, 3], torch.tensor([0, 0, 0, 1.0], dtype=torch.float64).expand(20, 4))


def test_the_velocity_is_the_motion_of_the_sliced_mean() -> None:
    g = double(replace(random_gaussians(10, seed=4, time_span=3.0), time_span=3.0))
    g = g.with_parameters({"time_scales": g.time_scales + 4})  # all alive
    a, b = (slice_at(g, t, CENTER.double(), backend="reference").splats.means for t in (0.5, 0.501))
    torch.testing.assert_close((b - a) / 0.001, g.velocities(), rtol=1e-6, atol=1e-9)


def test_a_gaussian_lives_as_long_as_its_lifespan_says() -> None:
    g = random_gaussians(1, seed=5).with_parameters({"times": torch.tensor([[0.5]])})
    half = float(g.lifespans()[0]) / 2
    for offset, alive in ((0.99, 1), (1.01, 0)):
        for sign in (-1, 1):
            for backend in ("reference", "cpu"):
                instant = slice_at(g, 0.5 + sign * offset * half, CENTER, backend=backend)  # type: ignore[arg-type]
                assert len(instant.ids) == alive


def test_the_harmonics_are_orthonormal() -> None:
    z, weights = np.polynomial.legendre.leggauss(12)
    phi = np.arange(24) * 2 * np.pi / 24
    zz, pp = np.meshgrid(z, phi, indexing="ij")
    r = np.sqrt(1 - zz**2)
    B = real_harmonics(torch.tensor(np.stack([r * np.cos(pp), r * np.sin(pp), zz], axis=-1))).numpy()
    gram = np.einsum("i,ijk,ijl->kl", weights * 2 * np.pi / 24, B, B)
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-12)


def test_softplus_is_inverted_also_for_large_values() -> None:
    y = torch.tensor([1e-4, 0.3, 1.0, 20.0, 200.0], dtype=torch.float64)
    torch.testing.assert_close(torch.nn.functional.softplus(inverse_softplus(y)), y)


def run(g: Gaussians, backend: str, time: float = 0.4) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    dtype = torch.float64 if backend == "reference" else torch.float32
    leaves = {k: v.to(dtype).clone().requires_grad_() for k, v in g.parameters.items()}
    leaves["center"] = CENTER.to(dtype).clone().requires_grad_()
    scene = g.with_parameters({k: v for k, v in leaves.items() if k != "center"})
    instant = slice_at(scene, time, leaves["center"], backend=backend)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    outputs = [getattr(instant.splats, f) for f in FIELDS]
    total = sum((x * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(dtype)).sum() for x in outputs)
    assert isinstance(total, torch.Tensor)
    total.backward()
    none = {k: torch.zeros_like(v) for k, v in leaves.items()}
    return [*outputs, instant.ids.float()], {k: none[k] if v.grad is None else v.grad for k, v in leaves.items()}


@pytest.mark.parametrize("activation", ["exp", "softplus"])
@pytest.mark.parametrize("level", range(6))
def test_the_kernels_agree_with_the_reference(activation: str, level: int) -> None:
    g = replace(random_gaussians(300, seed=3, time_span=5.0), sh_level=level, scale_activation=activation)  # type: ignore[arg-type]
    expected, expected_gradients = run(g, "reference")
    found, gradients = run(g, "cpu")
    assert 50 < len(expected[4]) < 300
    pairs = [*zip(found, expected, strict=True), *((gradients[k], v) for k, v in expected_gradients.items())]
    for a, b in pairs:
        a, b = a.detach().double().ravel(), b.detach().double().ravel()
        assert float((a - b).norm()) <= 1e-4 * float(b.norm()) + 1e-9


@pytest.mark.parametrize("activation", ["exp", "softplus"])
def test_the_kernels_agree_where_all_are_alive(activation: str) -> None:
    g = replace(random_gaussians(100, seed=9), sh_level=5, scale_activation=activation)  # type: ignore[arg-type]
    g = g.with_parameters({"time_scales": g.time_scales + 4})
    expected, expected_gradients = run(g, "reference")
    found, gradients = run(g, "cpu")
    assert len(found[4]) == len(expected[4]) == 100
    for k, b in expected_gradients.items():
        a = gradients[k].double().ravel()
        assert float((a - b.ravel()).norm()) <= 1e-4 * float(b.norm()), k
        assert float(torch.cosine_similarity(a, b.ravel(), dim=0)) > 0.9999, k


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_single_precision_is_enough_for_gaussians_that_live_long_and_move(backend: str) -> None:
    g = random_gaussians(300, seed=1)
    g = g.with_parameters({"scales": g.scales - 3, "time_scales": torch.full((300, 1), math.log(10.0))})
    exact = unpack_symmetric(slice_at(double(g), 0.5, CENTER.double(), backend="reference").splats.covariances)
    found = unpack_symmetric(slice_at(g, 0.5, CENTER, backend=backend).splats.covariances).double()  # type: ignore[arg-type]
    assert float(torch.linalg.eigvalsh(found).min()) > 0
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-5 * float(exact.abs().max()))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_an_empty_scene_and_a_dead_one_give_nothing(backend: str) -> None:
    for g in (empty_gaussians(), random_gaussians(20)):
        instant = slice_at(g, 500.0, CENTER, backend=backend)  # type: ignore[arg-type]
        assert len(instant.ids) == len(instant.splats) == 0


def test_the_gradients_of_the_reference_are_those_of_finite_differences() -> None:
    g = double(replace(random_gaussians(3, seed=6), sh_level=5))
    g = g.with_parameters({"time_scales": g.time_scales + 2})

    def value(*leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scene = g.with_parameters(dict(zip(g.parameters, leaves[:-1], strict=True)))
        splats = slice_at(scene, 0.45, leaves[-1], backend="reference").splats
        return tuple(getattr(splats, f) for f in FIELDS)

    leaves = [v.clone().requires_grad_() for v in g.parameters.values()]
    assert torch.autograd.gradcheck(value, (*leaves, CENTER.double().requires_grad_()))


def test_equal_input_gives_equal_bits() -> None:
    g = replace(random_gaussians(300, seed=3), sh_level=5)
    first, second = run(g, "cpu")[1], run(g, "cpu")[1]
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_a_camera_that_does_not_learn_gets_no_gradient_and_changes_no_other() -> None:
    g = replace(random_gaussians(50, seed=3), sh_level=3)
    with_center = run(g, "cpu")[1]
    leaves = {k: v.clone().requires_grad_() for k, v in g.parameters.items()}
    instant = slice_at(g.with_parameters(leaves), 0.4, CENTER, backend="cpu")
    generator = torch.Generator().manual_seed(0)
    for f in FIELDS:
        x = getattr(instant.splats, f)
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).float()
        (x * noise).sum().backward(retain_graph=True)
    for k, leaf in leaves.items():
        assert leaf.grad is not None
        torch.testing.assert_close(leaf.grad, with_center[k], rtol=1e-4, atol=1e-5)


def test_parameters_changed_between_forward_and_backward_are_noticed() -> None:
    g = random_gaussians(10, seed=3)
    leaves = {k: v.clone().requires_grad_() for k, v in g.parameters.items()}
    total = slice_at(g.with_parameters(leaves), 0.4, CENTER, backend="cpu").splats.means.sum()
    with torch.no_grad():
        leaves["scales"] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_coefficients_above_the_active_level_get_no_gradient() -> None:
    gradients = run(replace(random_gaussians(50, seed=3), sh_level=2), "cpu")[1]
    assert gradients["sh_rest"][:, :8].abs().sum() > 0
    assert not gradients["sh_rest"][:, 8:].any()
