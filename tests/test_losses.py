import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from tests.tiny import random_gaussians
from training import metrics
from training.losses import motion_loss, photometric_loss, rigid_loss, ssim, ssim_reference, window
from training.metrics import Perceptual


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
    assert metrics.psnr(a, a) == pytest.approx(100)


def test_the_photometric_loss_mixes_l1_and_dssim() -> None:
    a, b = (t.float() for t in pictures())
    l1, structure = float((a - b).abs().mean()), 1 - float(ssim(a, b))
    assert float(photometric_loss(a, b, 0.2)) == pytest.approx(0.8 * l1 + 0.2 * structure, rel=1e-5)


def test_psnr_of_a_known_error() -> None:
    assert metrics.psnr(torch.zeros(4, 4, 3), torch.full((4, 4, 3), 0.1)) == pytest.approx(20)


def test_gaussians_that_move_alike_cost_nothing_and_different_ones_do() -> None:
    still = random_gaussians(30)
    alike = still.with_parameters({"right": still.left})
    assert float(rigid_loss(alike)) == pytest.approx(0, abs=1e-5)
    assert float(motion_loss(alike)) == pytest.approx(0, abs=1e-5)
    close = still.with_parameters({"positions": still.positions * 0.01})
    assert float(rigid_loss(close)) > 1e-3
    assert float(motion_loss(close)) == pytest.approx(float(close.velocities().norm(dim=1).mean()), rel=1e-3)


def test_the_stand_in_is_never_called_lpips(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    distance = Perceptual.load()
    assert distance.key == "perceptual"
    assert "lpips" not in distance.name.lower()
    a, b = (t.float() for t in pictures(64, 80))
    assert distance(a, a) == pytest.approx(0, abs=1e-5)
    blurred = torch.nn.functional.avg_pool2d(a.permute(2, 0, 1)[None], 5, 1, 2)[0].permute(1, 2, 0).contiguous()
    assert distance(blurred, a) > 0.1
    assert distance(0.9 * a + 0.1 * b, a) < distance(b, a)


def test_lpips_is_used_where_its_weights_are(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from torchvision.models import alexnet

    torch.manual_seed(0)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    backbone = alexnet(weights=None)
    torch.save(backbone.state_dict(), folder / metrics.ALEXNET)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    distance = Perceptual.load()
    assert distance.key == "lpips"
    a, b = (t.float() for t in pictures(64, 80))
    assert distance(a, a) == pytest.approx(0, abs=1e-6)
    assert distance(b, a) > 0
