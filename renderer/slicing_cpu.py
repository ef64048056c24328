"""Slicing on the CPU: numba kernels behind a torch function, float32, equal bits from equal input."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from renderer import slicing_kernels as kernels
from renderer.gaussians import Gaussians
from renderer.splat.types import Splats


def slice_at(gaussians: Gaussians, t: float, camera_center: Tensor) -> tuple[Splats, Tensor]:
    """The Gaussians alive at internal time ``t`` as seen from ``camera_center`` (3,), and their rows (M,) int64."""
    parameters = list(gaussians.parameters.values())
    arrays = [np.ascontiguousarray(p.detach().numpy()) for p in parameters]
    softplus = gaussians.scale_activation == "softplus"
    ids = np.flatnonzero(kernels.alive(*arrays[1:6], np.float32(t), softplus))
    level = gaussians.sh_level
    settings = (
        np.float32(t),
        np.ascontiguousarray(camera_center.detach().numpy(), dtype=np.float32),
        np.float32(gaussians.time_span),
        softplus,
        (min(level, 3) + 1) ** 2,
        max(0, level - 3),
    )
    sliced = _Slice.apply(ids, arrays, settings, camera_center, *parameters)
    return Splats(*sliced), torch.from_numpy(ids)


class _Slice(torch.autograd.Function):
    """Means, packed covariances, opacities, colours."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, ids: np.ndarray, arrays: list[np.ndarray], settings: tuple, center: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        results = kernels.forward(ids, *arrays, *settings)
        ctx.saved = (ids, arrays, settings, results[3])
        return tuple(torch.from_numpy(r) for r in results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        ids, arrays, settings, colors = ctx.saved
        incoming = [np.ascontiguousarray(g.numpy()) for g in gradients]
        *dense, v_center = kernels.backward(ids, *arrays, *settings, colors, *incoming)
        return None, None, None, torch.from_numpy(v_center), *(torch.from_numpy(g) for g in dense)
