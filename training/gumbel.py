"""DDR by sampling: soft draws from the weights along a ray (Sun et al. 2025; Sampling-Argmax, Li et al. 2021).

A draw is made differentiable with Gumbel noise and a softmax at some temperature. It is an index into the ray's S
samples, jittered within a basis around each, and only as sharp as the temperature is low: the mean of |draw - D| tends
to the closed form (:func:`training.ray_losses.expected_error`) as the temperature falls to 0, and sees only a part of
the spread before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from renderer.cuda import field_ddr as kernels
from training.ray_losses import FLOOR, median_mad, normalised

Basis = Literal["tri", "uni", "gaussian"]
Form = Literal["plain", "released"]

COLDEST = 0.5
"""Lowest temperature of the released schedule."""


@dataclass(frozen=True)
class Noise:
    """What is random in K draws from R rays of S samples. ``gumbel``: (R, K, S) standard Gumbel noise. ``offsets``:
    (R, K, S) from each sample within its basis, in samples."""

    gumbel: Tensor
    offsets: Tensor


def draw_noise(weights: Tensor, count: int, generator: torch.Generator | None, basis: Basis = "tri") -> Noise:
    """Noise for ``count`` draws from ``weights`` (R, S), in their dtype and on their device; drawn on the generator's,
    so that a seed means the same on all."""
    shape = (weights.shape[0], count, weights.shape[1])
    options: dict[str, Any] = {
        "generator": generator, "dtype": weights.dtype, "device": generator.device if generator else weights.device
    }  # fmt: skip
    u = torch.rand(shape, **options)
    gumbel = u.add_(FLOOR).log_().neg_().add_(FLOOR).log_().neg_()
    if basis == "gaussian":
        offsets = torch.randn(shape, **options)
    elif basis == "uni":
        offsets = torch.rand(shape, **options).sub_(0.5)
    else:  # the difference of two uniform numbers is triangular on (-1, 1)
        offsets = torch.rand(shape, **options).sub_(torch.rand(shape, **options))
    return Noise(gumbel.to(weights.device), offsets.to(weights.device))


def gumbel_samples(
    weights: Tensor,
    count: int,
    temperature: float,
    generator: torch.Generator | None = None,
    basis: Basis = "tri",
    form: Form = "plain",
) -> Tensor:
    """(R, ``count``) soft draws from ``weights`` (R, S): the index of a sample, plus an offset, over S; in [0, 1] but
    for an offset before the first sample. Differentiable in the weights, whose sum per ray does not matter.

    ``basis``: density around a sample: triangular to both neighbours, uniform between, or normal. ``form``: ordinary
    derivatives, or the released code's, which pull each sample's share with equal force (:class:`_SignedSum`).
    """
    return soft_samples(weights, draw_noise(weights, count, generator, basis), temperature, basis, form)


def soft_samples(
    weights: Tensor, noise: Noise, temperature: float, basis: Basis = "tri", form: Form = "plain"
) -> Tensor:
    """(R, K) the draws of :func:`gumbel_samples` for given noise, steps 1 to 4 of the released loss."""
    if kernels.draws_served(weights, noise.gumbel, noise.offsets):
        return kernels.soft_samples(weights, noise.gumbel, noise.offsets, temperature, basis, form == "released")
    S, e = weights.shape[-1], noise.offsets
    logits = torch.log(normalised(weights) + FLOOR)[:, None] + noise.gumbel
    y = torch.softmax(logits / temperature, dim=-1)  # (R, K, S)
    if basis == "tri":  # y read between the samples; outside the ray it is 0
        around = F.pad(y, (1, 1))
        q = y * (1 - e.abs()) + around[..., 2:] * e.clamp(min=0) - around[..., :-2] * e.clamp(max=0)
    elif basis == "gaussian":
        q = y * torch.exp(-2 * e.square())
    else:
        q = y
    if basis != "uni":
        q = q / q.sum(-1, keepdim=True)
    places = torch.arange(S, dtype=e.dtype, device=e.device) + e
    total = (q * places).sum(-1) if form == "plain" else _SignedSum.apply(q, places)
    return total / S


def samples_along(t: Tensor, samples: Tensor) -> Tensor:
    """(R, K) places of ``samples`` (R, K), indices over S, in the coordinate of ``t`` (R, S), ascending: linear between
    the two samples around the index and beyond the first and last. For evenly spaced t an affine map."""
    S = t.shape[-1]
    index = samples * S
    lower = index.detach().floor().long().clamp(0, max(S - 2, 0))
    a, b = t.gather(1, lower), t.gather(1, (lower + 1).clamp(max=S - 1))
    return a + (index - lower) * (b - a)


def hard_samples(t: Tensor, weights: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """(R, ``count``) places of samples drawn exactly by ``weights`` (R, S), for looking at: each is one of the ray's
    own ``t`` (R, S); NaN on a ray without weight. No gradient."""
    mass = weights.detach().cumsum(-1).contiguous()
    device = generator.device if generator else t.device
    u = 1 - torch.rand((len(t), count), generator=generator, dtype=mass.dtype, device=device).to(t.device)  # (0, 1]
    index = torch.searchsorted(mass, u * mass[:, -1:])  # u > 0: the first sample that lifts the sum so far has weight
    return torch.where(mass[:, -1:] > 0, t.detach().gather(1, index.clamp(max=t.shape[-1] - 1)), torch.nan)


def temperature_at(temperature: float, decays: int = 0) -> float:
    """The temperature after ``decays`` halvings, max(0.5, tau_0 / 2^d) (DDR's code): one that starts lower stays."""
    return max(min(COLDEST, temperature), temperature / 2**decays)


def ddr_gumbel(
    t: Tensor,
    weights: Tensor,
    target: Tensor,
    *,
    count: int = 30,
    temperature: float = 2.0,
    generator: torch.Generator | None = None,
    basis: Basis = "tri",
    form: Form = "plain",
    normalise: Literal["aligned", "batch"] = "aligned",
    valid: Tensor | None = None,
) -> Tensor:
    """The expectation of the error from ``count`` soft draws per ray, mean |s - D| (DDR).

    ``t``, ``weights``: (R, S) places, ascending, and rendering weights. ``target``: (R,) D. ``valid``: (R,) bool, rays
    that count. ``normalise``: ``aligned`` compares in the coordinate of t, in which D then has to be; ``batch`` brings
    draws and D each to median 0 and mean deviation 1 over the whole batch, as released, so that D may be anything
    affine in t that grows with it, such as minus the disparity, and the result has no unit. Padding, of weight 0, has
    to repeat the ray's last place: a warm draw leans on all samples, on each without weight by about 1e-8^(1/tau).
    """
    if valid is not None:
        t, weights, target = t[valid], weights[valid], target[valid]
    if not len(t):
        return weights.sum() * 0
    noise = draw_noise(weights, count, generator, basis)
    in_one_go = normalise == "aligned" and not t.requires_grad and not target.requires_grad
    if in_one_go and kernels.draws_served(weights, t, target, noise.gumbel):
        pair = (noise.gumbel, noise.offsets)
        return kernels.sampled_errors(t, weights, target, pair, temperature, basis, form == "released").mean()
    s = samples_along(t, soft_samples(weights, noise, temperature, basis, form))
    if normalise == "batch":
        s, target = median_mad(s), median_mad(target)
    return (s - target[:, None]).abs().mean()


class _SignedSum(torch.autograd.Function):
    """sum_i q_i x_i over the last axis, with the derivative by q_i replaced: -2 where x_i lies before the sum, else +2
    (Sampling-Argmax). Its own would be x_i, so that the far end of a ray would pull the hardest."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, places: Tensor) -> Tensor:
        total = (q * places).sum(-1)
        ctx.save_for_backward(places, total)
        return total

    @staticmethod
    def backward(ctx: Any, *v_total: Tensor) -> tuple[Tensor, None]:
        places, total = ctx.saved_tensors
        before = (places < total[..., None]).to(places.dtype)
        return (2 - 4 * before) * v_total[0][..., None], None
