"""What can be asked of the weights along rays: DDR's exact form (TVCG 2025), and the terms of its relatives.

R rays have S samples each. ``t``: (R, S) places of the samples, ascending, in whatever coordinate the caller compares
depths: normalised depth in [0, 1] or scene units. ``weights``: (R, S) rendering weights. ``target``: (R,) known depth
D in the same coordinate. A sample of weight 0 with a finite place is padding and changes nothing. ``valid``: (R,) bool,
rays that count, all by default; the others may hold NaN. Where nothing is said, a loss is a mean over the rays that
count, and 0 where there is none. On a GPU the kernels of :mod:`renderer.cuda.field_ddr` do the first few.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from renderer.cuda import field_ddr as kernels
from renderer.cuda.field import served

FLOOR = 1e-8
"""Added to what is divided by or taken the logarithm of, as DDR's code does."""
KL_FLOOR = 1e-5
"""The same in DS-NeRF's code."""

Reading = Literal["released", "natural", "all"]


def normalised(weights: Tensor) -> Tensor:
    """(R, S) weights that sum to 1 along each ray, or to 0 on an empty one: p_i = w_i / (sum_j w_j + 1e-8)."""
    if weights.ndim == 2 and served(weights):
        return kernels.normalised(weights)
    return weights / (weights.sum(-1, keepdim=True) + FLOOR)


def expected_error(t: Tensor, weights: Tensor, target: Tensor) -> Tensor:
    """(R,) expectation of the error along each ray in closed form, E|t - D| = sum_i p_i |t_i - D|."""
    if served(t, weights, target):
        return kernels.expected_error(t, weights, target)
    return (normalised(weights) * (t - target[:, None]).abs()).sum(-1)


def ddr_exact(t: Tensor, weights: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """The expectation of the error without sampling: DDR's aim, to which its draws tend as they get colder."""
    if served(t, weights, target):
        return _mean_of(kernels.expected_error(t, weights, target, valid), valid)
    return _mean(expected_error(*_where(valid, t, weights, target)))


def error_of_expectation(t: Tensor, weights: Tensor, target: Tensor) -> Tensor:
    """(R,) signed error of the expected depth, sum_i p_i t_i - D: blind to how the weights spread around it."""
    if served(t, weights, target):
        return kernels.error_of_expectation(t, weights, target)
    return (normalised(weights) * t).sum(-1) - target


def expected_depth_loss(
    t: Tensor,
    weights: Tensor,
    target: Tensor,
    form: Literal["squared", "absolute"] = "squared",
    valid: Tensor | None = None,
) -> Tensor:
    """Squared (NSFF's single-view prior) or absolute error of the expected depth. NSFF's weights sum to 1 by its last,
    endless interval; here they are normalised."""
    if served(t, weights, target):
        error, counted = kernels.error_of_expectation(t, weights, target, valid), valid
    else:
        error, counted = error_of_expectation(*_where(valid, t, weights, target)), None
    return _mean_of(error.square() if form == "squared" else error.abs(), counted)


def ds_nerf_kl(
    t: Tensor, weights: Tensor, target: Tensor, sigma: float, widths: Tensor | None = None, valid: Tensor | None = None
) -> Tensor:
    """Cross entropy of the weights to a normal distribution around D, sum_i -log(w_i + 1e-5) exp(-(t_i - D)^2 /
    (2 sigma^2)) dt_i (DS-NeRF, eq. 7), which is their Kullback-Leibler divergence up to a constant and a factor.

    ``sigma``: standard deviation, in the unit of ``t``; it is sigma squared that belongs in the exponent, which some
    code gets wrong. ``widths``: (R, S) of the intervals, same unit; None for points, each of which then stands for the
    way half to its neighbours. Places and widths are where the integral is evaluated and get no gradient: else a
    point would lower the loss by running from D.
    """
    t, weights, target = _where(valid, t.detach(), weights, target)
    widths = _shares(t, weights) if widths is None else _where(valid, widths.detach())[0]
    wanted = torch.exp(-0.5 * ((t - target[:, None]) / sigma).square())
    return _mean(-(torch.log(weights + KL_FLOOR) * wanted * widths).sum(-1))


def urban_loss(
    t: Tensor, weights: Tensor, target: Tensor, reach: float, widths: Tensor | None = None, valid: Tensor | None = None
) -> Tensor:
    """The depth terms of Urban Radiance Fields (Rematas et al. 2022): squared error of the expected depth, squared
    distance of the weights within ``reach`` of D to a normal distribution of standard deviation reach / 3, and squared
    weights in front of it.

    ``widths``: (R, S) of the intervals, with which the density becomes weights; None takes the density itself, as
    common code does. Unit of all lengths: that of ``t``. Places get a gradient from the expected depth only.
    """
    t, weights, target = _where(valid, t, weights, target)
    away, sigma = t.detach() - target[:, None], reach / 3
    wanted = torch.exp(-0.5 * (away / sigma).square()) / (sigma * math.sqrt(2 * math.pi))
    if widths is not None:
        wanted = wanted * _where(valid, widths.detach())[0]
    near = (away.abs() <= reach) * (weights - wanted).square()
    front = (away < -reach) * weights.square()
    return _mean(error_of_expectation(t, weights, target).square() + (near + front).sum(-1))


def distortion_loss(edges: Tensor, weights: Tensor, valid: Tensor | None = None) -> Tensor:
    """How far weights on intervals are spread, sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 ds_i (mip-NeRF 360,
    eq. 15), exactly, in O(S). ``edges``: (R, S + 1) of the intervals, whose middles are m; weights as they are."""
    edges, weights = _where(valid, edges, weights)
    middles = 0.5 * (edges[:, 1:] + edges[:, :-1])
    return _mean(_spread(middles, weights) + (weights.square() * edges.diff(dim=-1)).sum(-1) / 3)


def point_distortion(t: Tensor, weights: Tensor, valid: Tensor | None = None) -> Tensor:
    """The same for contributions that are points, sum_ij w_i w_j |t_i - t_j|: E|t - t'| of two independent draws where
    the weights sum to 1. Needs no target; the expectation of the error E|t - D| lies between half of it and, with D
    the median, all of it."""
    return _mean(_spread(*_where(valid, t, weights)))


def interlevel_loss(
    edges: Tensor, weights: Tensor, proposal_edges: Tensor, proposal_weights: Tensor, valid: Tensor | None = None
) -> Tensor:
    """How far proposals fail to bound the weights, sum_i max(0, w_i - bound_i)^2 / w_i with bound_i the sum of all
    proposals whose interval overlaps i (mip-NeRF 360, eq. 12-13). Only the proposals' weights get a gradient.

    ``edges``: (R, S + 1), ``proposal_edges``: (R, P + 1), ascending, same coordinate. ``proposal_weights``: (R, P).
    """
    edges, proposal_edges, weights = (x.detach() for x in (edges, proposal_edges, weights))
    edges, weights, proposal_edges, proposals = _where(valid, edges, weights, proposal_edges, proposal_weights)
    starts, ends = edges[:, :-1].contiguous(), edges[:, 1:].contiguous()
    first = torch.searchsorted(proposal_edges[:, 1:].contiguous(), starts, right=True)
    last = torch.searchsorted(proposal_edges[:, :-1].contiguous(), ends)
    mass = torch.nn.functional.pad(proposals.cumsum(-1), (1, 0))  # (R, P + 1) in front of each proposal, and in all
    bound = mass.gather(1, torch.maximum(first, last)) - mass.gather(1, first)
    return _mean(((weights - bound).clamp(min=0).square() / (weights + FLOOR)).sum(-1))


def empty_space(sigma: Tensor, t: Tensor, target: Tensor, margin: float, pixel_mask: Tensor) -> Tensor:
    """Mean squared density in front of the surface, sum sigma^2 M m / sum M m over samples of all rays (DDR's
    volume-density constraint), M_ri = 1 where t_i < D - ``margin``.

    ``sigma``: (R, S) density; the released code takes the network's output before its activation. ``pixel_mask``: (R,)
    bool m, the rays that count (:func:`empty_masks`). A ray without target, NaN, does not count.
    """
    counted = (t < target[:, None] - margin) & pixel_mask[:, None].bool()
    return (sigma.square() * counted).sum() / counted.sum().clamp(min=1)


def empty_alpha(alphas: Tensor, t: Tensor, target: Tensor, margin: float, valid: Tensor | None = None) -> Tensor:
    """The same for contributions with ``alphas`` (R, S): sum of alpha^2 where t_i < D - ``margin``, mean over rays.

    Not over contributions, of which there are as many as there happen to be Gaussians: a floater would weigh the less
    the more there are.
    """
    alphas, t, target = _where(valid, alphas, t, target)
    return _mean((alphas.square() * (t < target[:, None] - margin)).sum(-1))


def empty_masks(moving: Tensor, reading: Reading) -> tuple[Tensor, Tensor]:
    """(R,) bool rays on which the dynamic and on which the static part is emptied, of rays that are ``moving``.

    ``released``: each in front of the other's surface, as the code with its doubly negated masks works: the dynamic
    part on static pixels and the static part on moving ones. ``natural``: each in front of its own. ``all``: both
    everywhere.
    """
    moving = moving.bool()
    if reading == "all":
        return torch.ones_like(moving), torch.ones_like(moving)
    return (~moving, moving) if reading == "released" else (moving, ~moving)


def released_boundary(disparity: Tensor) -> Tensor:
    """(R,) surfaces between the batch's nearest ray, 0, and its farthest, 1, as DDR's code places them.

    ``disparity``: (R,) in any unit. The code first divides by median and mean deviation, which the range then undoes.
    The margin of 0.05 that it leaves is :func:`empty_space`'s.
    """
    nearest = disparity.max()
    return (nearest - disparity) / (nearest - disparity.min()).clamp(min=FLOOR)


def depth_gradient(depth: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean difference of the steps of depth from one ray to the next, |(d_{r+1} - d_r) - (D_{r+1} - D_r)|, both (R,)
    brought to median 0 and mean deviation 1 (DDR's depth-gradient term). Rays are random: it compares random pairs."""
    depth, target = _where(valid, depth, target)
    if len(depth) < 2:
        return depth.sum() * 0
    return _mean((median_mad(depth).diff() - median_mad(target).diff()).abs())


def median_mad(x: Tensor) -> Tensor:
    """``x``, of any shape, less its median and over its mean absolute deviation from it (DDR, after MiDaS): blind to
    scale and shift. The median of an even number is the lower one; gradients flow through both."""
    away = x - x.median()
    return away / away.abs().mean().clamp(min=FLOOR)


def entropy(v: Tensor) -> Tensor:
    """Mean of -v log v, nats, ``v`` of any shape in [0, 1]: pulls a blend to 0 or 1 (NSFF)."""
    return -(v * torch.log(v + FLOOR)).mean()


def weights_entropy(weights: Tensor) -> Tensor:
    """(R,) entropy of each ray's normalised weights, nats; 0 for one sample, and for a ray without weight."""
    p = normalised(weights)
    return -(p * torch.log(p + FLOOR)).sum(-1)


# ------------------------------------------------------------------------------------------------ details


def _where(valid: Tensor | None, *rays: Tensor) -> tuple[Tensor, ...]:
    """Rows that count. Chosen before anything is computed: NaN times 0 would still be NaN, in the gradient too."""
    return rays if valid is None else tuple(x[valid] for x in rays)


def _mean(per_ray: Tensor) -> Tensor:
    return per_ray.sum() / max(1, per_ray.numel())


def _mean_of(per_ray: Tensor, valid: Tensor | None) -> Tensor:
    """Of rays that count, where the others are 0; nothing waits for how many there are."""
    return _mean(per_ray) if valid is None else per_ray.sum() / valid.sum().clamp(min=1)


def _spread(t: Tensor, weights: Tensor) -> Tensor:
    """(R,) sum_ij w_i w_j |t_i - t_j| for ascending t.

    Each gap between neighbours counts once for every pair that it separates: 2 sum_k (t_{k+1} - t_k) W_k (W_S - W_k)
    with W_k the sum of the first k weights. Equal to 2 sum_i w_i (t_i W_{i-1} - sum_{j<i} w_j t_j), but nothing
    cancels, which matters far from the origin in single precision.
    """
    mass = weights.cumsum(-1)
    front = mass[:, :-1]
    return 2 * (t.diff(dim=-1) * front * (mass[:, -1:] - front)).sum(-1)


def _shares(t: Tensor, weights: Tensor) -> Tensor:
    """(R, S) way half to both neighbours of points that have weight; a point without stands for none."""
    there = weights.detach() > 0
    half = 0.5 * t.diff(dim=-1) * (there[:, 1:] & there[:, :-1])
    return torch.nn.functional.pad(half, (1, 0)) + torch.nn.functional.pad(half, (0, 1))
