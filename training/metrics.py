"""How close two pictures are, for people: PSNR, SSIM and a perceptual distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from renderer.errors import InputError
from training import losses

ALEXNET = "alexnet-owt-7be5be79.pth"
"""File name of LPIPS' AlexNet backbone in torch's hub cache."""
SCALES = 4


def psnr(image: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio of two pictures in [0, 1], dB, at most 100."""
    error = (image.double() - target.double()).square().mean().item()
    return -10 * math.log10(max(error, 1e-10))


def ssim(image: Tensor, target: Tensor) -> float:
    """Structural similarity, data range 1 (:func:`training.losses.ssim`)."""
    return float(losses.ssim(image, target))


class Perceptual:
    """A perceptual distance of two pictures (H, W, 3) in [0, 1]; smaller is closer.

    ``key``: "lpips" for LPIPS with AlexNet (Zhang et al. 2018), "perceptual" for the stand-in. ``name``: in words.
    """

    def __init__(self, key: str, name: str, distance: Callable[[Tensor, Tensor], float]) -> None:
        self.key, self.name, self._distance = key, name, distance

    def __call__(self, image: Tensor, target: Tensor) -> float:
        with torch.no_grad():
            return self._distance(image.float(), target.float())

    @staticmethod
    def load(weights: Path | None = None) -> Perceptual:
        """LPIPS where its backbone's weights are at hand, in ``weights`` or in torch's hub cache; else the stand-in.

        Nothing is ever downloaded. InputError when ``weights`` is given and cannot be read.
        """
        path = weights or Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
        if not path.is_file():
            if weights is not None:
                raise InputError(f"{weights}: no such file; give AlexNet's weights as torchvision stores them")
            return Perceptual("perceptual", "multi-scale gradient and structural difference", gradient_structure)
        return _lpips(path)


def gradient_structure(image: Tensor, target: Tensor) -> float:
    """The stand-in, without learned weights: over four halvings, the mean of 1 - SSIM and of the relative difference
    of the luminance gradients; 0 for equal pictures, at most about 1."""
    total = 0.0
    x, y = (t.permute(2, 0, 1)[None] for t in (image, target))
    used = 0
    for _ in range(SCALES):
        structure = 1 - float(losses.ssim(x[0].permute(1, 2, 0).contiguous(), y[0].permute(1, 2, 0).contiguous()))
        gx, gy = _gradients(x.mean(1)), _gradients(y.mean(1))
        size = (gx.norm(dim=0) + gy.norm(dim=0)).mean()
        total += 0.5 * structure + 0.5 * float((gx - gy).norm(dim=0).mean() / size.clamp(min=1e-6))
        used += 1
        if min(x.shape[2:]) < 16:
            break
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return total / used


def _gradients(luminance: Tensor) -> Tensor:
    """Forward differences (2, 1, H - 1, W - 1)."""
    dx = luminance[:, :-1, 1:] - luminance[:, :-1, :-1]
    dy = luminance[:, 1:, :-1] - luminance[:, :-1, :-1]
    return torch.stack([dx, dy])


def _lpips(path: Path) -> Perceptual:
    import lpips  # takes seconds to import, with torchvision
    from torchvision.models import alexnet

    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    backbone = alexnet(weights=None)
    try:
        backbone.load_state_dict(torch.load(path, weights_only=True))
    except Exception as problem:
        raise InputError(f"{path}: not AlexNet's weights ({type(problem).__name__}); delete the file") from None
    # lpips keeps AlexNet's layers in five slices, under the numbers that they have in torchvision's features
    own = dict(network.net.named_modules())
    for number, layer in enumerate(backbone.features):
        if isinstance(layer, torch.nn.Conv2d):
            (name,) = [n for n in own if n.startswith("slice") and n.endswith(f".{number}")]
            own[name].load_state_dict(layer.state_dict())
    network.eval()

    def distance(image: Tensor, target: Tensor) -> float:
        x, y = (2 * t.permute(2, 0, 1)[None] - 1 for t in (image, target))
        return float(network(x, y))

    return Perceptual("lpips", "LPIPS (AlexNet)", distance)
