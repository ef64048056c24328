"""How close pictures are: PSNR, SSIM, and a perceptual distance that says honestly which one it is."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from renderer.errors import InputError
from tests.test_losses import pictures
from training import metrics, perceptual
from training.losses import ssim_reference
from training.perceptual import Perceptual


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
