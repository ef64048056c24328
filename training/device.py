"""Where a scene is learned, what lies there, and how much memory that takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.cuda.blend import BUCKET, STATE, THREADS
from renderer.cuda.tiles import GROWTH
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.splat.backends import has_cupy
from training.data.images import as_target

DeviceName = Literal["cpu", "cuda"]
CPU = torch.device("cpu")
PICTURE_BYTES = 2 << 30
"""Of a clip's pictures that stay on a graphics card: 500 of a megapixel, 650 of 1024 x 1024."""
OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)
"""What is raised where memory is short: for a graphics card, and for the host."""


def pick_device(name: str) -> DeviceName:
    """ "cpu" or "cuda" for auto, cpu or cuda; InputError when it cannot be had. A graphics card is only taken once its
    kernels were seen to be right (:mod:`training.self_check`), which takes some seconds for the first time."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device {name}: not one of auto, cpu, cuda")
    if name == "cpu":
        return "cpu"
    missing = _missing()
    if missing and name == "cuda":
        raise InputError(f"--device cuda: {missing}, or use --device cpu")
    if missing:
        return "cpu"
    wrong = _wrong()
    if wrong and name == "cuda":
        raise InputError(f"--device cuda: the kernels are not right on this graphics card: {wrong}; use --device cpu")
    if wrong:
        logging.getLogger(__name__).warning("The processor is used: the kernels are not right on this card: %s", wrong)
    return "cpu" if wrong else "cuda"


def _wrong() -> str:
    """What the kernels do wrong on this graphics card; nothing where they are right."""
    from training.self_check import problem  # which few machines need

    return problem(torch.device("cuda"))


def _missing() -> str:
    """What has to be done before CUDA can be used; nothing where it can."""
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA; install one that is built with it"
    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA device; install NVIDIA's driver"
    if not has_cupy():
        return "CuPy, which compiles the kernels, is missing; install cupy-cuda13x"
    return ""


def there(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; nobody waits for what a GPU has yet to do."""
    if device.type == tensor.device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def beside(leaf: Tensor, moments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of Adam's moments where their parameter is. The number of steps stays with the host, which needs it."""
    return {k: v.clone() if k == "step" else v.to(leaf.device, copy=True) for k, v in moments.items()}


class TargetPictures:
    """Pictures as targets on a device. A graphics card keeps their bytes, up to :data:`PICTURE_BYTES` of them: what
    came first stays, because in an order that is drawn anew every epoch what came last is no likelier to come again."""

    def __init__(self, device: torch.device, budget: int = PICTURE_BYTES) -> None:
        self._device, self._room = device, budget
        self._kept: dict[int, Tensor] = {}

    def target(self, index: int, read: Callable[[int], NDArray[np.uint8]]) -> Tensor:
        """(H, W, 3) float32 in [0, 1] of the picture that ``read`` gives for ``index``."""
        if self._device.type == "cpu":
            return as_target(read(index))
        picture = self._kept.get(index)
        if picture is None:
            picture = there(torch.from_numpy(np.ascontiguousarray(read(index))), self._device)
            if picture.nbytes <= self._room:
                self._kept[index] = picture
                self._room -= picture.nbytes
        return picture.float().mul_(1 / 255)


# ------------------------------------------------------------------------------------------------ memory


PAIRS = 3
"""Of a tile and a Gaussian, for each Gaussian, in pictures of a megapixel. Counted: 3.3 in a real clip there, 0.8 at
0.13 megapixels; 2.3 in the demo scene at half a megapixel. More where a camera is close to large Gaussians."""
PAIR_BYTES = 4 + 4 * STATE * THREADS // BUCKET
"""Of the room for one, in a tile's list and in what the way back needs."""


def bytes_per_gaussian(gaussians: Gaussians) -> int:
    """What each Gaussian takes of a graphics card at most while it is learned from pictures of a megapixel.

    Always its parameters, Adam's two moments and the statistics of density control. In a step besides these as many
    gradients as parameters, a record on the screen with its gradient, an offset with its own, key, radius, tiles and
    their number, and room for its :data:`PAIRS`. Or, in a round of density control, the parameters once again, and
    their longest moment.
    """
    widths = [value[:1].numel() for value in gaussians.parameters.values()]
    parameters = 4 * sum(widths)
    always = 3 * parameters + 4 * 4
    step = parameters + 2 * 4 * 12 + 2 * 4 * 2 + 4 + 4 + 4 * 2 + 4 + int(GROWTH * PAIRS * PAIR_BYTES)
    round_ = parameters + 4 * max(widths)
    return always + max(step, round_)


def shortage(device: torch.device, gaussians: Gaussians, most: int) -> str:
    """A sentence where a graphics card has no room for ``most`` Gaussians; nothing where it has."""
    if device.type != "cuda":
        return ""
    free, _ = torch.cuda.mem_get_info(device)
    each = bytes_per_gaussian(gaussians)
    if most * each <= free:
        return ""
    return (
        f"The graphics card has room for about {free // each:,} Gaussians ({each / 1000:.1f} kB each), fewer than "
        f"--densify.max-gaussians {most:,}; when memory is full, no more are added"
    )
