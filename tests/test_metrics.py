"""How close pictures are: PSNR, SSIM, and a perceptual distance that says honestly which one it is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from renderer.errors import InputError
from tests.test_losses import pictures
from training import metrics, perceptual
from training.losses import ssim_reference
from training.perceptual import Perceptual, gradient_structure


def test_psnr_of_a_known_error() -> None:
    assert metrics.psnr(torch.zeros(4, 4, 3), torch.full((4, 4, 3), 0.1)) == pytest.approx(20)


def test_psnr_of_equal_pictures_is_bounded() -> None:
    a, _ = pictures()
    assert metrics.psnr(a, a) == pytest.approx(100)


def test_ssim_is_that_of_the_loss() -> None:
    a, b = pictures()
    assert metrics.ssim(a.float(), b.float()) == pytest.approx(float(ssim_reference(a, b)), abs=1e-5)


def test_the_stand_in_is_never_called_lpips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    distance = Perceptual.load()
    assert distance.key == "perceptual"
    assert "lpips" not in distance.name.lower()
    a, b = (t.float() for t in pictures(64, 80))
    assert distance(a, a) == pytest.approx(0, abs=1e-5)
    blurred = torch.nn.functional.avg_pool2d(a.permute(2, 0, 1)[None], 5, 1, 2)[0].permute(1, 2, 0).contiguous()
    assert distance(blurred, a) > 0.1
    assert distance(0.9 * a + 0.1 * b, a) < distance(b, a)


def test_lpips_is_used_where_its_weights_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torchvision.models import alexnet

    torch.manual_seed(0)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    backbone = alexnet(weights=None)
    torch.save(backbone.state_dict(), folder / perceptual.BACKBONES["alex"][1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    distance = Perceptual.load()
    assert distance.key == "lpips"
    a, b = (t.float() for t in pictures(64, 80))
    assert distance(a, a) == pytest.approx(0, abs=1e-6)
    assert distance(b, a) > 0
    leaf = b.clone().requires_grad_()
    distance.loss(leaf, a).backward()
    assert leaf.grad is not None and torch.isfinite(leaf.grad).all() and leaf.grad.abs().max() > 0


def test_weights_that_are_named_must_be_there_and_be_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Perceptual.load(tmp_path / "missing.pth")
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    with pytest.raises(InputError, match="not AlexNet's weights"):
        Perceptual.load(tmp_path / "broken.pth")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = "import sys, training.perceptual; print({'lpips', 'torchvision'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def by_hand(image: np.ndarray, target: np.ndarray) -> float:
    """The stand-in in float64 numpy."""
    w = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    w /= w.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            x = ndimage.correlate1d(x, w, axis=axis, mode="constant")
        return x

    x, y, total, used = image, target, 0.0, 0
    for _ in range(4):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
        likeness = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
        slopes = []
        for picture in (x, y):
            gray = picture.mean(2)
            slopes.append(np.stack([gray[:-1, 1:] - gray[:-1, :-1], gray[1:, :-1] - gray[:-1, :-1]]))
        lengths = [np.sqrt((g**2).sum(0)) for g in (*slopes, slopes[0] - slopes[1])]
        total += 0.5 * (1 - likeness.mean()) + 0.5 * lengths[2].mean() / (lengths[0] + lengths[1]).mean()
        used += 1
        if min(x.shape[:2]) < 16:
            break
        H, W = (n // 2 * 2 for n in x.shape[:2])
        x, y = (p[:H, :W].reshape(H // 2, 2, W // 2, 2, 3).mean((1, 3)) for p in (x, y))
    return total / used


def test_the_stand_in_is_what_it_says_at_both_precisions() -> None:
    a, b = pictures(37, 52)
    expected = by_hand(a.numpy(), b.numpy())
    assert float(gradient_structure(a, b)) == pytest.approx(expected, rel=1e-6)
    assert float(gradient_structure(a.float(), b.float())) == pytest.approx(expected, rel=1e-4)


def test_the_gradient_of_the_stand_in_is_that_of_finite_differences() -> None:
    a, b = pictures(20, 24)
    leaf, single = a.clone().requires_grad_(), a.float().requires_grad_()
    gradient_structure(leaf, b).backward()
    gradient_structure(single, b.float()).backward()
    assert leaf.grad is not None and single.grad is not None
    assert float((single.grad.double() - leaf.grad).norm() / leaf.grad.norm()) < 1e-3
    for place in ((0, 0, 0), (7, 11, 1), (19, 23, 2), (10, 5, 0)):
        moved = [a.clone(), a.clone()]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        slope = float(gradient_structure(moved[0], b) - gradient_structure(moved[1], b)) / 2e-6
        assert float(leaf.grad[place]) == pytest.approx(slope, rel=1e-4, abs=1e-8)
    same = a.clone().requires_grad_()
    gradient_structure(same, a).backward()
    assert same.grad is not None and torch.isfinite(same.grad).all()


def test_networks_that_are_asked_for_are_loaded_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert Perceptual.load(network="stand-in").key == "perceptual"
    for network, model in (("alex", "alexnet"), ("vgg", "vgg16")):
        with pytest.raises(InputError, match=model):
            Perceptual.load(network=network)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------- in a mask


def test_psnr_of_a_mask_is_of_its_pixels() -> None:
    image, target = torch.zeros(4, 6, 3), torch.full((4, 6, 3), 0.5)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[1, 2:5] = True
    target[mask] = 0.1
    target[1, 2] = torch.tensor([0.1, 0.1, 0.4])
    assert metrics.psnr(image, target, mask) == pytest.approx(-10 * np.log10((8 * 0.01 + 0.16) / 9))
    assert metrics.psnr(image, target) == pytest.approx(-10 * np.log10((8 * 0.01 + 0.16 + 63 * 0.25) / 72))
    assert metrics.psnr(image, image, mask) == pytest.approx(100)


def test_without_a_pixel_nothing_is_compared() -> None:
    a, b = pictures()
    nothing = torch.zeros(a.shape[:2], dtype=torch.bool)
    for compare in (metrics.psnr, metrics.ssim_within, metrics.partial_ssim):
        assert np.isnan(compare(a, b, nothing))
    assert np.isnan(metrics.partial_ssim(a[:10], b[:10], ~nothing[:10])), "no whole window"


def test_ssim_within_a_mask_is_the_mean_of_the_map_there() -> None:
    a, b = pictures(24, 40)
    b[:, 20:] = a[:, 20:]
    mask = torch.zeros(24, 40, dtype=torch.bool)
    mask[3:9, 26:33] = True
    assert metrics.ssim_within(a, b, mask) == pytest.approx(1)
    left = torch.zeros_like(mask)
    left[3:9, 2:9] = True
    assert metrics.ssim_within(a, b, left) < 0.9
    half = torch.zeros_like(mask)
    half[:, :20] = True
    parts = metrics.ssim_within(a, b, half) + metrics.ssim_within(a, b, ~half)
    assert parts / 2 == pytest.approx(float(ssim_reference(a, b)))


def similarity(mx: float, my: float, vx: float, vy: float, cov: float) -> float:
    return (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))


@pytest.mark.parametrize("column", [0, 5])
def test_partial_ssim_of_one_window_is_that_by_hand(column: int) -> None:
    """Of one column of 11 the window's weight counts 11 times; a variance below zero is none."""
    a, b = 0.5, 0.8
    image, target = torch.full((11, 11, 3), a), torch.full((11, 11, 3), b)
    mask = torch.zeros(11, 11, dtype=torch.bool)
    mask[4, column] = True
    image[~mask], target[~mask] = 7.0, -3.0
    weight = 11 * float(np.exp(-0.5 * ((column - 5) / 1.5) ** 2) / np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2).sum())
    weight *= 11 * float(np.exp(-0.5 * (1 / 1.5) ** 2) / np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2).sum())
    mx, my = weight * a, weight * b
    vx, vy = max(0.0, weight * a * a - mx * mx), max(0.0, weight * b * b - my * my)
    cov = weight * a * b - mx * my
    cov = np.sign(cov) * min(abs(cov), np.sqrt(vx * vy))
    assert (vx > 0) == (column == 0), "both cases are met"
    assert metrics.partial_ssim(image, target, mask) == pytest.approx(similarity(mx, my, vx, vy, cov), rel=1e-6)


def partial_by_definition(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> float:
    """DyCheck's, window by window: every row of a window first, then what the rows have found."""
    w = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    w /= w.sum()

    def line(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, bool]:
        count = known.sum()
        return (np.einsum("k,kc->c", w * known, values) * 11 / count if count else np.zeros(3)), bool(count)

    def mean(values: np.ndarray, known: np.ndarray) -> np.ndarray:
        rows = [line(v, k) for v, k in zip(values, known, strict=True)]
        return line(np.stack([r[0] for r in rows]), np.array([r[1] for r in rows]))[0]

    found = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            p, q, m = (t[i : i + 11, j : j + 11] for t in (x, y, mask))
            mx, my = mean(p, m), mean(q, m)
            vx, vy = np.maximum(mean(p * p, m) - mx * mx, 0), np.maximum(mean(q * q, m) - my * my, 0)
            cov = mean(p * q, m) - mx * my
            cov = np.sign(cov) * np.minimum(np.sqrt(vx * vy), np.abs(cov))
            found.append([similarity(*values) for values in zip(mx, my, vx, vy, cov, strict=True)])
    return float(np.mean(found))


def test_partial_ssim_is_that_of_the_definition() -> None:
    a, b = pictures(19, 26)
    b = 0.7 * a + 0.3 * b
    rng = np.random.default_rng(2)
    blob = np.zeros((19, 26), bool)
    blob[:5, :7] = rng.uniform(size=(5, 7)) > 0.4
    for mask in (blob, rng.uniform(size=(19, 26)) > 0.5, np.ones((19, 26), bool)):
        expected = partial_by_definition(a.numpy(), b.numpy(), mask)
        assert metrics.partial_ssim(a, b, torch.from_numpy(mask)) == pytest.approx(expected, abs=1e-9)
        assert metrics.partial_ssim(a.float(), b.float(), torch.from_numpy(mask)) == pytest.approx(expected, abs=1e-4)
    assert 0.7 < metrics.partial_ssim(a, b, torch.from_numpy(blob)) < 1, "far windows count as 1"
    outside = b.clone()
    outside[~torch.from_numpy(blob)] = 0.123
    inside = metrics.partial_ssim(a, b, torch.from_numpy(blob))
    assert metrics.partial_ssim(a, outside, torch.from_numpy(blob)) == pytest.approx(inside, abs=1e-12)


def test_lpips_in_a_mask_is_of_its_pixels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torchvision.models import alexnet

    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), tmp_path / "alexnet.pth")
    distance = Perceptual.load(tmp_path / "alexnet.pth", "alex")
    a, b = (t.float() for t in pictures(96, 128))
    b[:, :40] = a[:, :40]
    left = torch.zeros(96, 128, dtype=torch.bool)
    left[:, :4] = True
    right, everywhere = left.flip(1), torch.ones_like(left)
    assert distance.within(a, b, left) < 0.2 * distance.within(a, b, right)
    assert distance.within(a, a, right) == pytest.approx(0, abs=1e-6)
    assert distance.within(a, b, everywhere) == pytest.approx(distance(a, b), rel=0.2)
    assert np.isnan(distance.within(a, b, ~everywhere))
    assert np.isnan(Perceptual.load(network="stand-in").within(a, b, right)), "it has no map"
