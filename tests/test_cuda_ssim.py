"""The comparison of pictures by kernels against its definition in torch, float64."""

import numpy as np
import pytest
import torch

from renderer.cuda.images import photometric_loss
from tests.cuda_emulator import emulated, needs_emulator
from tests.cuda_fixtures import need

SIZES = [(1, 1), (5, 3), (16, 32), (17, 33), (37, 70)]


def pictures(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(height)
    a = rng.uniform(0, 1, (height, width, 3)) * np.linspace(0.2, 1, width)[:, None]
    b = np.clip(a + 0.2 * rng.normal(size=a.shape), 0, 1)
    b[1::3, ::2] = a[1::3, ::2]  # where the gradient of L1 is zero
    return torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)


def by_kernels(
    image: torch.Tensor, target: torch.Tensor, dssim: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = image.detach().to(device).requires_grad_()
    loss = photometric_loss(leaf, target.to(device), dssim)
    (3 * loss).backward()
    assert leaf.grad is not None
    return loss.detach().cpu(), leaf.grad.cpu()


def ssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Wang et al. 2004, with a window over 11 pixels of sigma 1.5 and zeros outside."""
    w = torch.exp(-0.5 * (torch.arange(-5, 6, dtype=torch.float64) / 1.5) ** 2)
    kernel = (torch.outer(w, w) / w.sum() ** 2)[None, None]

    def mean(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x.permute(2, 0, 1)[:, None], kernel, padding=5)

    mx, my = mean(image), mean(target)
    var_x, var_y = mean(image * image) - mx * mx, mean(target * target) - my * my
    covariance = mean(image * target) - mx * my
    alike = (2 * mx * my + 0.01**2) * (2 * covariance + 0.03**2)
    return (alike / ((mx * mx + my * my + 0.01**2) * (var_x + var_y + 0.03**2))).mean()


def plain(image: torch.Tensor, target: torch.Tensor, dssim: float) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = image.detach().double().requires_grad_()
    loss = (1 - dssim) * (leaf - target).abs().mean() + dssim * (1 - ssim(leaf, target.double()))
    (3 * loss).backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dssim", [0.0, 0.2, 1.0])
def test_the_loss_and_its_gradient_are_those_of_torch(
    size: tuple[int, int], dssim: float, kernels_on: torch.device
) -> None:
    image, target = pictures(*size)
    found, gradient = by_kernels(image, target, dssim, kernels_on)
    expected, v_image = plain(image, target, dssim)
    assert float(found) == pytest.approx(float(expected), abs=2e-6)
    assert float((gradient.double() - v_image).norm() / v_image.norm().clamp(min=1e-9)) < 1e-4


def test_without_a_gradient_the_value_is_the_same(kernels_on: torch.device) -> None:
    image, target = pictures(20, 37)
    found = photometric_loss(image.to(kernels_on), target.to(kernels_on), 0.2)
    assert not found.requires_grad
    assert torch.equal(found.cpu(), by_kernels(image, target, 0.2, kernels_on)[0])


def test_equal_pictures_are_perfect_and_pull_nowhere(kernels_on: torch.device) -> None:
    image, _ = pictures(20, 37)
    loss, gradient = by_kernels(image, image, 0.2, kernels_on)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    # the slopes by E[x], E[x^2] and E[x y] cancel up to how the last one is rounded
    assert float(gradient.norm()) < 1e-4 * float(by_kernels(image, 1 - image, 0.2, kernels_on)[1].norm())


def test_pictures_that_lie_in_columns_are_read(kernels_on: torch.device) -> None:
    image, target = pictures(20, 37)
    turned = image.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert torch.equal(by_kernels(turned, target, 0.2, kernels_on)[1], by_kernels(image, target, 0.2, kernels_on)[1])


@needs_emulator
def test_it_is_equal_in_every_order() -> None:
    image, target = pictures(20, 37)
    found = []
    for order in ("forward", "reversed", 3):
        with emulated(order):
            found.append(by_kernels(image, target, 0.2, torch.device("cpu")))
    for other in found[1:]:
        assert torch.equal(other[0], found[0][0]) and torch.equal(other[1], found[0][1])


@pytest.mark.parametrize("shapes", [((6, 8, 3), (6, 9, 3)), ((0, 8, 3), (0, 8, 3)), ((6, 8, 4), (6, 8, 4))], ids=str)
def test_other_pictures_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="the pictures have"):
        photometric_loss(torch.rand(shapes[0]), torch.rand(shapes[1]), 0.2)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_pictures_on_the_gpu_are_compared_by_the_kernels() -> None:
    need("scipy")
    from training import losses

    image, target = pictures(37, 70)
    loss = losses.photometric_loss(image.cuda().requires_grad_(), target.cuda())
    assert type(loss.grad_fn).__qualname__ == "_PhotometricBackward"
    assert float(loss) == pytest.approx(float(plain(image, target, 0.2)[0]), abs=2e-6)
    assert float(losses.ssim(image.cuda(), target.cuda())) == pytest.approx(
        float(losses.ssim_reference(image.double(), target.double())), abs=2e-6
    )
