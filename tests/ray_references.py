"""What the losses along rays are by definition: float64 numpy, one ray and one sample at a time.

All on one ray, unless they say otherwise: ``t``, ``w``: (S,) places and weights, ``D``: known depth. ``edges``:
(S + 1,) of the intervals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def shares(w: Array) -> Array:
    return w / (w.sum() + 1e-8)


def expected_error(t: Array, w: Array, D: float) -> float:
    return float(sum(p * abs(x - D) for p, x in zip(shares(w), t, strict=True)))


def error_of_expectation(t: Array, w: Array, D: float) -> float:
    return float(sum(p * x for p, x in zip(shares(w), t, strict=True))) - D


def ds_nerf_kl(t: Array, w: Array, D: float, sigma: float, widths: Array) -> float:
    total = 0.0
    for x, weight, width in zip(t, w, widths, strict=True):
        total -= np.log(weight + 1e-5) * np.exp(-((x - D) ** 2) / (2 * sigma**2)) * width
    return total


def urban(t: Array, w: Array, D: float, reach: float, widths: Array) -> float:
    total, sigma = error_of_expectation(t, w, D) ** 2, reach / 3
    for x, weight, width in zip(t, w, widths, strict=True):
        if abs(x - D) <= reach:
            normal = np.exp(-0.5 * ((x - D) / sigma) ** 2) / np.sqrt(2 * np.pi * sigma**2)
            total += (weight - normal * width) ** 2
        elif x < D:
            total += weight**2
    return total


def spread(t: Array, w: Array) -> float:
    return float(sum(w[i] * w[j] * abs(t[i] - t[j]) for i in range(len(t)) for j in range(len(t))))


def distortion(edges: Array, w: Array) -> float:
    middles = (edges[1:] + edges[:-1]) / 2
    return spread(middles, w) + float(sum(w[i] ** 2 * (edges[i + 1] - edges[i]) for i in range(len(w)))) / 3


def interlevel(edges: Array, w: Array, proposal_edges: Array, proposals: Array) -> float:
    total = 0.0
    for i in range(len(w)):
        bound = 0.0
        for j in range(len(proposals)):
            if proposal_edges[j] < edges[i + 1] and proposal_edges[j + 1] > edges[i]:
                bound += proposals[j]
        total += max(0.0, w[i] - bound) ** 2 / (w[i] + 1e-8)
    return total


def empty_space(sigma: Array, t: Array, D: Array, margin: float, mask: NDArray[np.bool_]) -> float:
    """Of all rays: ``sigma``, ``t`` (R, S), ``D``, ``mask`` (R,)."""
    found = [sigma[r, i] ** 2 for r in range(len(D)) for i in range(t.shape[1]) if mask[r] and t[r, i] < D[r] - margin]
    return float(np.mean(found)) if found else 0.0


def median_mad(x: Array) -> Array:
    """Of an array of any shape; the lower one of two medians."""
    median = np.sort(x, axis=None)[(x.size - 1) // 2]
    return (x - median) / np.abs(x - median).mean()


def released_boundary(disparity: Array) -> Array:
    """(R,) of a batch, with both steps that the released code takes."""
    d = median_mad(-disparity)
    return (d - d.min()) / (d.max() - d.min())


def depth_gradient(depth: Array, target: Array) -> float:
    """Of all rays, (R,) both."""
    d, D = median_mad(depth), median_mad(target)
    return float(np.mean([abs((d[r + 1] - d[r]) - (D[r + 1] - D[r])) for r in range(len(d) - 1)]))


def basis_shares(w: Array, gumbel: Array, offsets: Array, temperature: float, basis: str) -> Array:
    """(S,) q of one soft draw, steps 1 to 3 of DDR's loss."""
    S = len(w)
    logits = (np.log(shares(w) + 1e-8) + gumbel) / temperature
    y = np.exp(logits - logits.max())
    y /= y.sum()
    if basis == "uni":
        return y
    if basis == "gaussian":
        q = y * np.exp(-2 * offsets**2)
    else:
        q = np.interp(np.arange(S) + offsets, np.arange(-1, S + 1), np.concatenate([[0], y, [0]]))
    return q / q.sum()


def soft_sample(w: Array, gumbel: Array, offsets: Array, temperature: float, basis: str) -> float:
    """One soft draw, step 4."""
    q = basis_shares(w, gumbel, offsets, temperature, basis)
    return float(sum(q[i] * (i + offsets[i]) for i in range(len(w)))) / len(w)


def released_gradient(w: Array, gumbel: Array, offsets: Array, temperature: float, basis: str) -> Array:
    """(S,) derivative of one soft draw by the weights, with that of the sum by q replaced: -2 where x lies before the
    sum, else +2. What q does when a weight changes is by central differences."""
    places = np.arange(len(w)) + offsets
    sum_of = float((basis_shares(w, gumbel, offsets, temperature, basis) * places).sum())
    signs = np.where(places < sum_of, -2.0, 2.0)
    gradient = np.zeros(len(w))
    for j in range(len(w)):
        step = np.zeros(len(w))
        step[j] = 1e-6
        up, down = (basis_shares(w + s, gumbel, offsets, temperature, basis) for s in (step, -step))
        gradient[j] = (signs * (up - down) / 2e-6).sum() / len(w)
    return gradient
