"""DDR's kernels (``shaders/field_errors.cu``, ``field_draws.cu``): twins of functions of ``training/ray_losses.py`` and
``training/gumbel.py``, for float32.

Where a ray ends in one number, its value and its derivatives come out of one kernel.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from renderer.cuda.field import RAYS, THREADS, served
from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program

MOST_CHUNKS = 8
"""Of 32 samples, on rays from which can be drawn."""
ERRORS = Program(("common.cu", "field_common.cu", "field_errors.cu"))
DRAWS = tuple(
    Program(("common.cu", "field_common.cu", "field_draws.cu"), (("CHUNKS", count),))
    for count in range(1, MOST_CHUNKS + 1)
)
PROGRAMS = (ERRORS, *DRAWS)
Basis = Literal["tri", "uni", "gaussian"]
_BASES: tuple[Basis, ...] = ("tri", "uni", "gaussian")


def draws_served(weights: Tensor, *more: Tensor) -> bool:
    """Whether kernels serve draws from ``weights`` (R, S) with ``more`` tensors."""
    return served(weights, *more) and weights.ndim == 2 and 0 < weights.shape[1] <= 32 * MOST_CHUNKS


# ------------------------------------------------------------------------------------------------ closed forms


def normalised(weights: Tensor) -> Tensor:
    """As :func:`training.ray_losses.normalised`, of (R, S)."""
    return _Normalised.apply(weights)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor) -> Tensor:  # type: ignore[override]
        weights = weights.contiguous()
        out = torch.empty_like(weights)
        launch(ERRORS, "normalise", blocks(len(weights), RAYS), THREADS, weights, out, *weights.shape)
        ctx.save_for_backward(weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_out: Tensor) -> Tensor:  # type: ignore[override]
        (weights,) = ctx.saved_tensors
        v_weights = torch.empty_like(weights)
        launch(
            ERRORS, "normalise_backward", blocks(len(weights), RAYS), THREADS,
            weights, v_out.contiguous(), v_weights, *weights.shape,
        )  # fmt: skip
        return v_weights


def expected_error(t: Tensor, weights: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """As :func:`training.ray_losses.expected_error`; rays that are not ``valid`` (R,) get 0, and nothing waits for how
    many there are."""
    return _RayErrors.apply(t, weights, target, valid, True)


def error_of_expectation(t: Tensor, weights: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """As :func:`training.ray_losses.error_of_expectation`; ``valid`` as above."""
    return _RayErrors.apply(t, weights, target, valid, False)


class _RayErrors(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, t: Tensor, weights: Tensor, target: Tensor, valid: Tensor | None, absolute: bool
    ) -> Tensor:
        inputs = [t.contiguous(), weights.contiguous(), target.contiguous()]
        slopes = [
            torch.empty_like(x) if needed else None for x, needed in zip(inputs, ctx.needs_input_grad[:3], strict=True)
        ]
        of_t, of_weights, of_target = slopes
        errors = torch.empty_like(inputs[2])
        counted = None if valid is None else valid.bool().contiguous().view(torch.uint8)
        launch(
            ERRORS, "ray_errors", blocks(len(errors), RAYS), THREADS,
            *inputs, counted, errors, of_weights, of_t, of_target, int(absolute), *inputs[1].shape,
        )  # fmt: skip
        ctx.save_for_backward(*slopes)
        return errors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_errors: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        of_t, of_weights, of_target = ctx.saved_tensors
        per_ray = v_errors[:, None]
        return (
            None if of_t is None else per_ray * of_t,
            None if of_weights is None else per_ray * of_weights,
            None if of_target is None else v_errors * of_target,
            None,
            None,
        )


# ------------------------------------------------------------------------------------------------ draws


def soft_samples(
    weights: Tensor, gumbel: Tensor, offsets: Tensor, temperature: float, basis: Basis, released: bool
) -> Tensor:
    """As :func:`training.gumbel.soft_samples`: (R, K) draws from ``weights`` (R, S) for noise ``gumbel``, ``offsets``
    (R, K, S); ``released``: with the released code's derivatives."""
    return _SoftSamples.apply(weights, gumbel, offsets, temperature, _BASES.index(basis), int(released))


class _SoftSamples(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, weights: Tensor, gumbel: Tensor, offsets: Tensor, temperature: float, basis: int, released: int
    ) -> Tensor:
        inputs = [weights.contiguous(), gumbel.contiguous(), offsets.contiguous()]
        R, K, S = gumbel.shape
        out = weights.new_empty(R, K)
        launch(_draws(S), "soft_samples", R, THREADS, *inputs, out, temperature, basis, K, S)
        ctx.save_for_backward(*inputs)
        ctx.how = (temperature, basis, released)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weights, gumbel, offsets = ctx.saved_tensors
        R, K, S = gumbel.shape
        v_weights = torch.empty_like(weights)
        launch(
            _draws(S), "soft_samples_backward", R, THREADS,
            weights, gumbel, offsets, v_out.contiguous(), v_weights, *ctx.how, K, S,
        )  # fmt: skip
        return v_weights, None, None, None, None, None


def sampled_errors(
    t: Tensor,
    weights: Tensor,
    target: Tensor,
    noise: tuple[Tensor, Tensor],
    temperature: float,
    basis: Basis,
    released: bool,
) -> Tensor:
    """(R,) mean of |s - D| over the draws s of :func:`soft_samples`, read along ``t`` (R, S), ascending; differentiable
    in the weights. ``target``: (R,) D. ``noise``: as there."""
    return _SampledErrors.apply(t, weights, target, *noise, temperature, _BASES.index(basis), int(released))


class _SampledErrors(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, t: Tensor, weights: Tensor, target: Tensor, gumbel: Tensor, offsets: Tensor, temperature: float,
        basis: int, released: int,
    ) -> Tensor:  # fmt: skip
        inputs = [x.contiguous() for x in (t, weights, target, gumbel, offsets)]
        R, K, S = gumbel.shape
        errors, slopes = torch.empty_like(inputs[2]), torch.empty_like(inputs[1])
        launch(
            _draws(S), "sampled_errors", R, THREADS, *inputs, errors, slopes, temperature, basis, released, K, S
        )  # fmt: skip
        ctx.save_for_backward(slopes)
        return errors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_errors: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (slopes,) = ctx.saved_tensors
        return None, v_errors[:, None] * slopes, *[None] * 6


def _draws(samples: int) -> Program:
    return DRAWS[blocks(samples, 32) - 1]
