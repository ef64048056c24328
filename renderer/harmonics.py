"""4D spherindrical harmonics: a colour that depends on the viewing direction and on time.

Z_nl^m(dt, theta, phi) = cos(2 pi n dt / T) Y_l^m(theta, phi), l <= 3, n <= 2 (Yang et al., ICLR 2024, eq. 8):
48 coefficients per channel. Evaluated by folding time into 16 ordinary coefficients first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SH_C0 = 0.5 / math.sqrt(math.pi)
"""Y_0^0, so that a constant colour c has the first coefficient (c - 0.5) / SH_C0."""
COEFFICIENTS = 48
MAX_LEVEL = 5
"""Levels 0 to 3 raise the angular degree l, levels 4 and 5 the temporal order n."""


def active_coefficients(level: int) -> int:
    """How many of the 48 coefficients a level uses: 1, 4, 9, 16, 32, 48."""
    return (min(level, 3) + 1) ** 2 if level <= 3 else 16 * (level - 2)


def real_harmonics(directions: Tensor) -> Tensor:
    """The 16 real spherical harmonics up to degree 3 of unit directions (..., 3): (..., 16).

    Order (l, m) = (0,0), (1,-1), (1,0), (1,1), (2,-2) .. (3,3); the signs are those of 3DGS files
    (Condon-Shortley phase included).
    """
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    c1 = math.sqrt(3 / (4 * math.pi))
    c2 = math.sqrt(15 / (4 * math.pi))
    c33, c32, c31 = math.sqrt(35 / (32 * math.pi)), math.sqrt(105 / (4 * math.pi)), math.sqrt(21 / (32 * math.pi))
    return torch.stack(
        [
            torch.full_like(x, SH_C0),
            -c1 * y,
            c1 * z,
            -c1 * x,
            c2 * x * y,
            -c2 * y * z,
            c2 / math.sqrt(12) * (2 * zz - xx - yy),
            -c2 * x * z,
            0.5 * c2 * (xx - yy),
            -c33 * y * (3 * xx - yy),
            c32 * x * y * z,
            -c31 * y * (4 * zz - xx - yy),
            math.sqrt(7 / (16 * math.pi)) * z * (2 * zz - 3 * xx - 3 * yy),
            -c31 * x * (4 * zz - xx - yy),
            0.5 * c32 * z * (xx - yy),
            -c33 * x * (xx - 3 * yy),
        ],
        dim=-1,
    )


def fold_time(coefficients: Tensor, dt_over_span: Tensor, level: int) -> Tensor:
    """Sum the temporal orders: (N, 48, 3) coefficients and (N,) dt / T to (N, 16, 3) ordinary coefficients."""
    folded = coefficients[:, :16]
    for n in range(1, max(0, level - 3) + 1):
        folded = (
            folded + torch.cos(2 * math.pi * n * dt_over_span)[:, None, None] * coefficients[:, 16 * n : 16 * n + 16]
        )
    return folded


def colors(coefficients: Tensor, directions: Tensor, dt_over_span: Tensor, level: int) -> Tensor:
    """Colours (N, 3), clamped at zero, of (N, 48, 3) coefficients seen along unit ``directions`` (N, 3)."""
    k = active_coefficients(min(level, 3))
    folded = fold_time(coefficients, dt_over_span, level)[:, :k]
    basis = real_harmonics(directions)[:, :k]
    return ((basis[:, :, None] * folded).sum(1) + 0.5).clamp(min=0.0)
