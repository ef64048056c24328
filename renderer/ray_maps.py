"""Statistics of the weights along rays, from histograms over depth: where geometry is wrong although its depth looks
right.

A histogram is (..., B): the weight of a ray per depth bin; ``edges`` (B + 1,) ascend, scene units. A bin's weight
counts at the bin's middle, and a ray counts relative to its opacity. Rays whose weight is below ``EMPTY`` have no
depth, error or entropy (NaN), and no modes. Errors are those that DDR (Sun et al., TVCG 2025) sets against each other:
a depth loss asks for a small |E[t] - D|, DDR for a small E|t - D|, which is never less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = NDArray[np.floating]

EMPTY = 1e-3
"""Weight of a ray below which nothing is there to measure."""
SMOOTHING = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
"""Over neighbouring bins before modes are counted: a standard deviation of one bin."""
DIP = 0.5
"""Between two modes the smoothed weight falls below this share of the lower one."""
LEAST_MASS = 0.1
"""Share of the ray's weight that a mode has at least."""


def middles(edges: Array) -> Array:
    """(B,) depths at which bins count."""
    return 0.5 * (edges[1:] + edges[:-1])


def normalised(histogram: Weights) -> Array:
    """(..., B) shares of the ray's weight; NaN along an empty ray."""
    h = np.asarray(histogram, np.float64)
    total = h.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > EMPTY, h / total, np.nan)


def expected_depth(histogram: Weights, edges: Array) -> Array:
    """(...) E[t], scene units."""
    return normalised(histogram) @ middles(edges)


def median_depth(histogram: Weights, edges: Array) -> Array:
    """(...) middle of the bin in which half of the ray's weight is reached, scene units."""
    p = normalised(histogram)
    bins = (p.cumsum(-1) < 0.5 - 1e-9).sum(-1)  # weights of one half each: the nearer
    return np.where(np.isnan(p[..., 0]), np.nan, middles(edges)[bins.clip(max=p.shape[-1] - 1)])


def spread(histogram: Weights, edges: Array) -> Array:
    """(...) E|t - E[t]|, scene units."""
    return expected_error(histogram, edges, expected_depth(histogram, edges))


def entropy(histogram: Weights) -> Array:
    """(...) of the normalised weights, nats: 0 for one bin, log B for all alike. Its exponential is the number of bins
    that the ray is spread over."""
    p = normalised(histogram)
    return np.abs(np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1))  # abs: no negative zero


def expected_error(histogram: Weights, edges: Array, target: NDArray[np.floating]) -> Array:
    """(...) E|t - D|, scene units; ``target`` (...): D. What DDR penalises, in closed form."""
    p, z, D = normalised(histogram), middles(edges), np.asarray(target, np.float64)
    # bin after bin, as the distances of all rays to all bins need not be in memory at once
    return sum((p[..., k] * np.abs(z[k] - D) for k in range(len(z))), np.zeros(p.shape[:-1]))


def error_of_expectation(histogram: Weights, edges: Array, target: NDArray[np.floating]) -> Array:
    """(...) |E[t] - D|, scene units: what a loss on the depth map penalises."""
    return np.abs(expected_depth(histogram, edges) - np.asarray(target, np.float64))


def error_gap(histogram: Weights, edges: Array, target: NDArray[np.floating]) -> Array:
    """(...) E|t - D| - |E[t] - D|, scene units, not negative (Jensen): what the depth map does not show. Zero where all
    weight lies on one side of D."""
    gap = expected_error(histogram, edges, target) - error_of_expectation(histogram, edges, target)
    return np.maximum(gap, 0.0)


def modes(histogram: Weights) -> NDArray[np.int64]:
    """(...) number of lumps of weight along each ray.

    The weights are smoothed over neighbouring bins (``SMOOTHING``) and cut wherever they fall below ``DIP`` of the
    lower of the maxima on both sides; pieces with ``LEAST_MASS`` of the ray's weight are modes. So lumps less than four
    bins apart are one, a smear without a dip is one, and a ray that shatters into pieces too small to count has one:
    its entropy tells. An empty ray has none.
    """
    p = np.nan_to_num(normalised(histogram))
    B = p.shape[-1]
    flat = p.reshape(-1, B)
    cumulative = flat.cumsum(1)
    smooth = _smoothed(flat)
    peak, valley = smooth[:, 0].copy(), smooth[:, 0].copy()
    at_valley, behind = cumulative[:, 0].copy(), np.zeros(len(flat))  # weight up to the valley, up to the last cut
    count = np.zeros(len(flat), np.int64)
    for k in range(1, B):
        h = smooth[:, k]
        cut = valley < DIP * np.minimum(peak, h)
        count += cut & (at_valley - behind >= LEAST_MASS)
        behind = np.where(cut, at_valley, behind)
        higher = cut | (h > peak)
        lower = higher | (h < valley)
        peak = np.where(higher, h, peak)
        valley = np.where(lower, h, valley)
        at_valley = np.where(lower, cumulative[:, k], at_valley)
    count += cumulative[:, -1] - behind >= LEAST_MASS
    return np.where(cumulative[:, -1] > 0, np.maximum(count, 1), 0).reshape(p.shape[:-1])


def _smoothed(p: Array) -> Array:
    """(R, B) convolved with ``SMOOTHING``; nothing lies beyond the ends."""
    reach = len(SMOOTHING) // 2
    padded = np.pad(p, ((0, 0), (reach, reach)))
    return sum((w * padded[:, k : k + p.shape[1]] for k, w in enumerate(SMOOTHING)), np.zeros_like(p))
