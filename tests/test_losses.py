import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from tests.tiny import random_gaussians
from training.losses import motion_loss, photometric_loss, rigid_loss, ssim, ssim_reference, window


def pictures(height: int = 23, width: int = 31) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 1, (height, width, 3))
    return torch.tensor(a), torch.tensor(np.clip(a + 0.2 * rng.normal(size=a.shape), 0, 1))


def ssim_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Windowed moments with zeros outside, by scipy."""

    def mean(a: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(a, window(), axis=0, mode="constant"), window(), axis=1, mode="constant")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return float(((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def test_both_ssims_follow_the_definition() -> None:
    a, b = pictures()
    expected = ssim_by_definition(a.numpy(), b.numpy())
    assert float(ssim_reference(a, b)) == pytest.approx(expected, abs=1e-10)
    assert float(ssim(a.float(), b.float())) == pytest.approx(expected, abs=1e-5)


def test_the_fast_gradient_is_that_of_the_reference() -> None:
    a, b = pictures()
    slow, fast = a.clone().requires_grad_(), a.float().requires_grad_()
    ssim_reference(slow, b).backward()
    ssim(fast, b.float()).backward()
    assert slow.grad is not None
    assert fast.grad is not None
    assert float((slow.grad - fast.grad).norm() / slow.grad.norm()) < 1e-4


def test_the_reference_gradient_is_that_of_finite_differences() -> None:
    a, b = pictures(7, 9)
    assert torch.autograd.gradcheck(lambda x: ssim_reference(x, b), a.requires_grad_())


def test_equal_pictures_are_perfect() -> None:
    a, _ = pictures()
    assert float(ssim(a.float(), a.float())) == pytest.approx(1, abs=1e-5)
    assert float(photometric_loss(a.float(), a.float())) == pytest.approx(0, abs=1e-6)


def test_the_photometric_loss_mixes_l1_and_dssim() -> None:
    a, b = (t.float() for t in pictures())
    l1, structure = float((a - b).abs().mean()), 1 - float(ssim(a, b))
    assert float(photometric_loss(a, b, 0.2)) == pytest.approx(0.8 * l1 + 0.2 * structure, rel=1e-5)


def test_gaussians_that_move_alike_cost_nothing_and_different_ones_do() -> None:
    still = random_gaussians(30)
    alike = still.with_parameters({"right": still.left})
    assert float(rigid_loss(alike)) == pytest.approx(0, abs=1e-5)
    assert float(motion_loss(alike)) == pytest.approx(0, abs=1e-5)
    close = still.with_parameters({"positions": still.positions * 0.01})
    assert float(rigid_loss(close)) > 1e-3
    assert float(motion_loss(close)) == pytest.approx(float(close.velocities().norm(dim=1).mean()), rel=1e-3)


def test_a_scene_that_does_not_move_is_not_pushed() -> None:
    g = random_gaussians(30)
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(30, 1)
    g = g.with_parameters({"left": identity.clone().requires_grad_(), "right": identity.clone().requires_grad_()})
    for loss in (motion_loss(g), rigid_loss(g)):
        gradients = torch.autograd.grad(loss, [g.left, g.right])
        assert loss.item() == 0
        assert all(not v.any() for v in gradients)


def test_the_motion_losses_follow_their_definitions() -> None:
    g = random_gaussians(25, seed=2, time_span=2.0)
    g = g.with_parameters({"positions": 0.02 * g.positions})
    velocities, positions = (g.velocities() / 2).double().numpy(), g.positions.double().numpy()
    assert float(motion_loss(g)) == pytest.approx(np.linalg.norm(velocities, axis=1).mean(), rel=1e-5)
    terms = []
    for i in range(25):
        distances = np.linalg.norm(positions - positions[i], axis=1)
        for j in np.argsort(distances)[1:21]:
            terms.append(np.exp(-100 * distances[j]) * np.linalg.norm(velocities[i] - velocities[j]))
    assert float(rigid_loss(g)) == pytest.approx(np.mean(terms), rel=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_a_scene_without_neighbours_has_finite_losses(count: int) -> None:
    g = random_gaussians(count)
    assert float(rigid_loss(g)) == 0
    assert float(motion_loss(g)) >= 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pictures_of_different_sizes_are_refused(dtype: torch.dtype) -> None:
    a, b = torch.rand(6, 8, 3, dtype=dtype), torch.rand(6, 9, 3, dtype=dtype)
    with pytest.raises(ValueError, match="expected equal ones"):
        ssim(a, b)
