"""Kernels along rays of a radiance field (``shaders/field_blend.cu``, ``field_samples.cu``): twins of the functions of
:mod:`renderer.field.march` and :mod:`renderer.field.draw`, for float32.

R rays have S samples. A warp goes along a ray, so that all of it is read and written once.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from renderer.cuda.launch import blocks, launch, stood_in
from renderer.cuda.program import Program
from renderer.field.space import LEAST_DEPTH, Space

THREADS = 128
RAYS = THREADS // 32
"""Per block."""
MOST_INTERVALS = 1024
"""Of a ray that is searched in."""
BLEND = Program(("common.cu", "field_common.cu", "field_blend.cu"))
SAMPLES = Program(("common.cu", "field_common.cu", "field_samples.cu"))
PROGRAMS = (BLEND, SAMPLES)


def served(*tensors: Tensor) -> bool:
    """Whether kernels serve these: float32 on a GPU for which they can be compiled, or wherever somebody else runs
    them."""
    if any(x.dtype != torch.float32 for x in tensors):
        return False
    return stood_in() or (all(x.is_cuda for x in tensors) and _has_cupy())


def searched(edges: Tensor, values: Tensor) -> bool:
    """Whether kernels serve what is looked up in intervals with ``edges`` (R, S + 1), without gradients."""
    wanted = torch.is_grad_enabled() and (edges.requires_grad or values.requires_grad)
    return served(edges, values) and not wanted and values.shape[1] <= MOST_INTERVALS


@cache
def _has_cupy() -> bool:
    return find_spec("cupy") is not None


# ------------------------------------------------------------------------------------------------ weights


class Composited(NamedTuple):
    """Of the blend, its two parts and each part alone: weights (R, S), as in
    :class:`renderer.field.march.RayWeights`, and colours (R, 3)."""

    blended: Tensor
    of_static: Tensor
    of_dynamic: Tensor
    static: Tensor
    dynamic: Tensor
    transmittances: Tensor
    color: Tensor
    color_static: Tensor
    color_dynamic: Tensor


def composite(
    raw_static: Tensor, raw_dynamic: Tensor, blend: Tensor, color_static: Tensor, color_dynamic: Tensor, deltas: Tensor
) -> Composited:
    """What samples weigh and the colours that they composite to; differentiable in all but ``deltas`` (R, S).

    ``raw_static``, ``raw_dynamic``: (R * S,) densities before activation. ``blend``: (R * S,) the dynamic part's share.
    ``color_static``, ``color_dynamic``: (R * S, 3).
    """
    return Composited(*_Composite.apply(raw_static, raw_dynamic, blend, color_static, color_dynamic, deltas))


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *values: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        inputs = [x.contiguous() for x in values]
        deltas = inputs[-1]
        R, S = deltas.shape
        out = [torch.empty_like(deltas) for _ in range(6)] + [deltas.new_empty(R, 3) for _ in range(3)]
        starts = deltas.new_empty(R, blocks(S, 32), 3) if any(ctx.needs_input_grad) else None
        launch(BLEND, "composite", blocks(R, RAYS), THREADS, *inputs, *out, starts, R, S)
        if starts is not None:
            ctx.save_for_backward(*inputs, starts)
        ctx.set_materialize_grads(False)
        return tuple(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *v_out: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        *inputs, deltas, starts = ctx.saved_tensors
        gradients = [None if v is None else v.contiguous() for v in v_out]
        v_inputs = [torch.empty_like(x) for x in inputs]
        launch(
            BLEND, "composite_backward", blocks(len(deltas), RAYS), THREADS,
            *inputs, deltas, starts, *gradients, *v_inputs, *deltas.shape,
        )  # fmt: skip
        return *v_inputs, None


def density_weights(sigma: Tensor, deltas: Tensor) -> Tensor:
    """(R, S) weights of a density ``sigma`` (R, S) over intervals of lengths ``deltas`` (R, S); differentiable in the
    density."""
    return _DensityWeights.apply(sigma, deltas)


class _DensityWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sigma: Tensor, deltas: Tensor) -> Tensor:  # type: ignore[override]
        sigma, deltas = sigma.contiguous(), deltas.contiguous()
        R, S = sigma.shape
        weights = torch.empty_like(sigma)
        starts = sigma.new_empty(R, blocks(S, 32)) if ctx.needs_input_grad[0] else None
        launch(BLEND, "weigh", blocks(R, RAYS), THREADS, sigma, deltas, weights, starts, R, S)
        if starts is not None:
            ctx.save_for_backward(sigma, deltas, starts)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_weights: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        sigma, deltas, starts = ctx.saved_tensors
        v_sigma = torch.empty_like(sigma)
        launch(
            BLEND, "weigh_backward", blocks(len(sigma), RAYS), THREADS,
            sigma, deltas, starts, v_weights.contiguous(), v_sigma, *sigma.shape,
        )  # fmt: skip
        return v_sigma, None


# ------------------------------------------------------------------------------------------------ samples


def stratify(noise: Tensor) -> Tensor:
    """(R, n + 1) edges from 0 to 1, the inner ones moved by (``noise`` - 0.5) intervals; (R, n + 1) in [0, 1)."""
    edges = torch.empty_like(noise, memory_format=torch.contiguous_format)
    R, n = noise.shape[0], noise.shape[1] - 1
    launch(SAMPLES, "stratify", blocks(noise.numel(), 256), 256, noise.contiguous(), edges, R, n)
    return edges


def resample(edges: Tensor, weights: Tensor, noise: Tensor | None, count: int, uniform: float) -> Tensor:
    """(R, count + 1) edges of intervals that hold equal shares of the weight of ``edges`` (R, P + 1), ``weights``
    (R, P), with the share ``uniform`` of it spread evenly. ``noise``: (R, count + 1) in [0, 1), None for no jitter."""
    R, P = weights.shape
    out = edges.new_empty(R, count + 1)
    noise = None if noise is None else noise.contiguous()
    launch(
        SAMPLES, "resample", blocks(R, RAYS), THREADS,
        edges.contiguous(), weights.contiguous(), noise, out, uniform, R, P, count,
    )  # fmt: skip
    return out


class Placed(NamedTuple):
    """As :class:`renderer.field.march.Samples`: (R, S), (R, S), (R * S, 3), (R, S)."""

    s: Tensor
    depths: Tensor
    places: Tensor
    deltas: Tensor


def place(space: Space, origins: Tensor, directions: Tensor, edges: Tensor, last: float) -> Placed:
    """The middles of intervals ``edges`` (R, S + 1) of rays, (R, 3) both, and where they are; the places are
    differentiable in the rays. ``last``: length of the last interval."""
    return Placed(*_Place.apply(origins, directions, edges, space, last))


class _Place(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, origins: Tensor, directions: Tensor, edges: Tensor, space: Space, last: float
    ) -> tuple[Tensor, ...]:
        origins, directions, edges = origins.contiguous(), directions.contiguous(), edges.contiguous()
        R, S = len(edges), edges.shape[1] - 1
        s, depths, deltas = (edges.new_empty(R, S) for _ in range(3))
        places = edges.new_empty(R * S, 3)
        launch(
            SAMPLES, "place", blocks(R * S, THREADS), THREADS,
            origins, directions, edges, s, depths, places, deltas, last, R, S, *_numbers(space),
        )  # fmt: skip
        ctx.save_for_backward(origins, directions, depths)
        ctx.space = space
        ctx.mark_non_differentiable(s, depths, deltas)
        ctx.set_materialize_grads(False)
        return s, depths, places, deltas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *v_out: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        v_places = v_out[2]
        if v_places is None:
            return None, None, None, None, None
        origins, directions, depths = ctx.saved_tensors
        v_origins, v_directions = torch.empty_like(origins), torch.empty_like(directions)
        launch(
            SAMPLES, "place_backward", blocks(len(depths), RAYS), THREADS, origins, directions, depths,
            v_places.contiguous(), v_origins, v_directions, *depths.shape, *_numbers(ctx.space),
        )  # fmt: skip
        return v_origins, v_directions, None, None, None


def _numbers(space: Space) -> tuple[int | float, ...]:
    """A space as the kernels take it."""
    near = 1 / space.near
    numbers = (near, near - 1 / space.far, LEAST_DEPTH * space.near)
    pose = (x for row in space.world_to_local[:3] for x in row)
    return int(space.kind == "contraction"), *numbers, *space.half, *pose


# ------------------------------------------------------------------------------------------------ histograms


def spread_over_bins(weights: Tensor, edges: Tensor, bins: Tensor) -> Tensor:
    """As :func:`renderer.field.draw.spread_over_bins`."""
    R, S = weights.shape
    B = len(bins) - 1
    out = weights.new_empty(R, B)
    launch(
        SAMPLES, "spread", blocks(R, RAYS), THREADS,
        weights.contiguous(), edges.contiguous(), bins.to(edges).contiguous(), out, R, S, B,
    )  # fmt: skip
    return out
