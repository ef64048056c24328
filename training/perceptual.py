"""The perceptual distance of two pictures, measured and minimised: LPIPS, or a stand-in that never bears its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from renderer.errors import InputError
from training import losses
from training.device import CPU

Network = Literal["auto", "alex", "vgg", "stand-in"]
BACKBONES = {"alex": ("AlexNet", "alexnet-owt-7be5be79.pth"), "vgg": ("VGG16", "vgg16-397923af.pth")}
"""Name and, in torch's hub cache, file of the networks that LPIPS stands on."""
SCALES = 4


class Perceptual:
    """A perceptual distance of two pictures (H, W, 3) in [0, 1]; smaller is closer.

    ``key``: "lpips" for LPIPS (Zhang et al. 2018), "perceptual" for the stand-in. ``name``: in words.
    """

    def __init__(
        self,
        key: str,
        name: str,
        distance: Callable[[Tensor, Tensor], Tensor],
        device: torch.device = CPU,
        spatial: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.key, self.name, self._distance, self._device, self._spatial = key, name, distance, device, spatial

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """The distance as a number."""
        with torch.no_grad():
            return float(self._distance(*(x.to(self._device, torch.float32) for x in (image, target))))

    def within(self, image: Tensor, target: Tensor, mask: Tensor) -> float:
        """The mean over the pixels of a mask (H, W) of LPIPS' map of distances; NaN where the mask is empty, and for
        the stand-in, which has no map."""
        if self._spatial is None:
            return math.nan
        with torch.no_grad():
            distances = self._spatial(*(x.to(self._device, torch.float32) for x in (image, target)))
            return float(distances[mask.to(self._device)].mean())

    def loss(self, image: Tensor, target: Tensor) -> Tensor:
        """The distance, differentiable in the first picture."""
        return self._distance(image, target)

    @staticmethod
    def load(weights: Path | None = None, network: Network = "auto", device: torch.device = CPU) -> Perceptual:
        """LPIPS on a device where its backbone's weights are at hand, in the file ``weights`` or in torch's hub cache.

        ``auto`` takes AlexNet when it is there and else the stand-in. Nothing is ever downloaded. InputError when a
        file or a network is asked for and is not there.
        """
        if network == "stand-in":
            return stand_in(device)
        name = "alex" if network == "auto" else network
        path = weights or Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[name][1]
        if not path.is_file():
            if weights is not None:
                owner = BACKBONES[name][0]
                raise InputError(f"{weights}: no such file; give {owner}'s weights as torchvision stores them")
            if network != "auto":
                raise InputError(f"{path}: not there; get it with {fetch_command(name)}, or take the stand-in")
            return stand_in(device)
        return _lpips(path, name, device)


def fetch_command(network: str = "alex") -> str:
    """What a person types, once and online, to get LPIPS' backbone."""
    model = {"alex": "alexnet", "vgg": "vgg16"}[network]
    return f"python -c \"from torchvision.models import {model}; {model}(weights='DEFAULT')\""


def gradient_structure(image: Tensor, target: Tensor) -> Tensor:
    """The stand-in, without learned weights: over four halvings, the mean of 1 - SSIM and of the relative difference
    of the luminance gradients; 0 for equal pictures, at most about 1. Differentiable in the first picture."""
    total = image.new_zeros(())
    x, y = (t.permute(2, 0, 1)[None] for t in (image, target))
    used = 0
    for _ in range(SCALES):
        structure = 1 - losses.ssim(x[0].permute(1, 2, 0).contiguous(), y[0].permute(1, 2, 0).contiguous())
        gx, gy = _gradients(x.mean(1)), _gradients(y.mean(1))
        size = (_lengths(gx) + _lengths(gy)).mean()
        total = total + 0.5 * structure + 0.5 * _lengths(gx - gy).mean() / size.clamp(min=1e-6)
        used += 1
        if min(x.shape[2:]) < 16:
            break
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return total / used


def stand_in(device: torch.device = CPU) -> Perceptual:
    """That of :func:`gradient_structure`."""
    return Perceptual("perceptual", "multi-scale gradient and structural difference", gradient_structure, device)


STAND_IN = stand_in()


def _gradients(luminance: Tensor) -> Tensor:
    """Forward differences (2, 1, H - 1, W - 1)."""
    dx = luminance[:, :-1, 1:] - luminance[:, :-1, :-1]
    dy = luminance[:, 1:, :-1] - luminance[:, :-1, :-1]
    return torch.stack([dx, dy])


def _lengths(gradients: Tensor) -> Tensor:
    """(1, H, W) lengths of (2, 1, H, W), with a slope that is defined at zero."""
    return torch.sqrt(gradients[0] ** 2 + gradients[1] ** 2 + 1e-12)


def _lpips(path: Path, network: str, device: torch.device) -> Perceptual:
    import lpips  # takes seconds to import, with torchvision
    from torchvision import models

    distance = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
    backbone = {"alex": models.alexnet, "vgg": models.vgg16}[network](weights=None)
    name = BACKBONES[network][0]
    try:
        backbone.load_state_dict(torch.load(path, weights_only=True))
    except Exception as problem:
        raise InputError(f"{path}: not {name}'s weights ({type(problem).__name__}); delete the file") from None
    # lpips keeps the backbone's layers in five slices, under the numbers that they have in torchvision's features
    own = dict(distance.net.named_modules())
    for number, layer in enumerate(backbone.features):
        if isinstance(layer, torch.nn.Conv2d):
            (place,) = [n for n in own if n.startswith("slice") and n.endswith(f".{number}")]
            own[place].load_state_dict(layer.state_dict())
    distance.eval().requires_grad_(False).to(device)

    mapped = copy(distance)  # with the same weights
    mapped.spatial = True

    def measure(image: Tensor, target: Tensor, network: Any = distance) -> Tensor:
        x, y = (2 * t.permute(2, 0, 1)[None] - 1 for t in (image, target))
        return network(x, y).squeeze()

    return Perceptual("lpips", f"LPIPS ({name})", measure, device, partial(measure, network=mapped))
