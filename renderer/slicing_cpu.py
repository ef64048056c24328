"""Slicing on the CPU: numba kernels behind a torch function, float32, equal bits from equal input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from renderer import slicing_kernels as kernels
from renderer.gaussians import Gaussians
from renderer.splat.types import Splats


def slice_at(gaussians: Gaussians, t: float, camera_center: Tensor) -> tuple[Splats, Tensor]:
    """The Gaussians alive at internal time ``t`` as seen from ``camera_center`` (3,), and their rows (M,) int64."""
    parameters = tuple(gaussians.parameters.values())
    softplus = gaussians.scale_activation == "softplus"
    ids = alive(gaussians, t)
    settings = _Settings(
        np.float32(t),
        np.float32(gaussians.time_span),
        softplus,
        (min(gaussians.sh_level, 3) + 1) ** 2,
        max(0, gaussians.sh_level - 3),
    )
    sliced = _Slice.apply(ids, settings, camera_center, *parameters)
    return Splats(*sliced), torch.from_numpy(ids)


def alive(gaussians: Gaussians, t: float, reach: float = 1.0) -> np.ndarray:
    """Rows (M,) int64 whose temporal weight at internal time ``t`` is above the threshold to the power of ``reach``."""
    arrays = _arrays(tuple(gaussians.parameters.values())[1:6])
    softplus = gaussians.scale_activation == "softplus"
    return np.flatnonzero(kernels.alive(*arrays, np.float32(t), np.float32(reach), softplus))


class _Settings(NamedTuple):
    """``degree_count``: ordinary harmonics in use; ``orders``: temporal orders above zero in use."""

    t: np.float32
    span: np.float32
    softplus: bool
    degree_count: int
    orders: int


def _arrays(tensors: Sequence[Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(t.detach().numpy(), dtype=np.float32) for t in tensors)


class _Slice(torch.autograd.Function):
    """Means, packed covariances, opacities, colours."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, ids: np.ndarray, settings: _Settings, center: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        eye, *arrays = _arrays((center, *parameters))
        t, *rest = settings
        results = kernels.forward(ids, tuple(arrays), t, eye, *rest)
        ctx.ids, ctx.settings, ctx.colors = ids, settings, results[3]
        ctx.save_for_backward(center, *parameters)
        return tuple(torch.from_numpy(r) for r in results)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        eye, *arrays = _arrays(ctx.saved_tensors)
        t, *rest = ctx.settings
        gradients = tuple(np.zeros(a.shape, np.float32) for a in arrays)
        v_centers = np.zeros((kernels.PARTS, 3))
        kernels.backward(ctx.ids, tuple(arrays), t, eye, *rest, ctx.colors, *_arrays(incoming), gradients, v_centers)
        v_center = torch.from_numpy(v_centers.sum(0).astype(np.float32)) if ctx.needs_input_grad[2] else None
        return None, None, v_center, *(torch.from_numpy(g) for g in gradients)
