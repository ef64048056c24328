"""Comparing pictures on the GPU, with the gradient (``shaders/ssim.cu``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program

THREADS = 256
ACROSS, DOWN = 32, 16
"""Pixels of a block, as in the kernels."""


def program(slopes: bool) -> Program:
    """The kernels, with what the way back needs or without."""
    return Program(("common.cu", "reduce.cu", "ssim.cu"), (("WITH_SLOPES", int(slopes)),))


PROGRAMS = (program(slopes=True), program(slopes=False))


def photometric_loss(image: Tensor, target: Tensor, dssim: float) -> Tensor:
    """(1 - dssim) L1 + dssim (1 - SSIM) of two pictures (H, W, 3) float32 in [0, 1], differentiable in the first
    (Kerbl et al. 2023, eq. 7; structural similarity as in :func:`training.losses.ssim`).

    Raises ValueError for pictures of another kind, of different sizes, or without pixels.
    """
    if image.shape != target.shape:
        raise ValueError(
            f"the pictures have shapes {tuple(image.shape)} and {tuple(target.shape)}, expected equal ones"
        )
    if image.ndim != 3 or image.shape[2] != 3 or not image.numel():
        raise ValueError(f"the pictures have the shape {tuple(image.shape)}, expected (H, W, 3) with pixels")
    return _Photometric.apply(image, target, dssim)


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, dssim: float) -> Tensor:  # type: ignore[override]
        image, target = image.contiguous(), target.detach().to(image).contiguous()
        H, W, _ = image.shape
        learned = ctx.needs_input_grad[0]
        grid = (blocks(W, ACROSS), blocks(H, DOWN))
        slopes = image.new_empty(3, H, W, 3) if learned else None
        costs = image.new_empty(grid[0] * grid[1])
        weights = ((1 - dssim) / image.numel(), dssim / image.numel())
        launch(program(learned), "compare_pictures", grid, THREADS, image, target, slopes, costs, H, W, *weights)
        ctx.save_for_backward(image, target, slopes)
        ctx.grid, ctx.weights = grid, weights
        return costs.sum()

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        image, target, slopes = ctx.saved_tensors
        H, W, _ = image.shape
        v_image = torch.empty_like(image)
        launch(
            program(slopes=True), "compare_pictures_backward", ctx.grid, THREADS,
            image, target, slopes, v.contiguous(), v_image, H, W, *ctx.weights,
        )  # fmt: skip
        return v_image, None, None
