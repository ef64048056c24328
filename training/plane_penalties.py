"""What keeps feature planes smooth, and close to one, while they are learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from renderer.cuda.plane_penalties import Weights, plane_penalties
from renderer.planes import PlaneLayout, Planes

Form = Literal["variation", "curvature", "pose", "to one"]


@dataclass(frozen=True)
class Term:
    """``weight`` times a ``form`` of penalty of the planes with these ``names``, at all levels; those that a field does
    not have are left out."""

    form: Form
    weight: float
    names: tuple[str, ...]


def penalties(planes: Planes, terms: Sequence[Term]) -> Tensor:
    """The sum of the terms, differentiable in the planes."""
    terms = [term for term in terms if term.weight]
    if not terms:
        return planes.values.new_zeros(())
    if planes.values.device.type == "cuda" and planes.values.dtype == torch.float32:
        return plane_penalties(planes.values, planes.layout, penalty_weights(planes.layout, terms))
    by_name, total = planes.by_name(), planes.values.new_zeros(())
    for term in terms:
        those = [p for name in term.names for p in by_name.get(name, [])]
        if those:
            total = total + term.weight * FORMS[term.form](those)
    return total


def penalty_weights(layout: PlaneLayout, terms: Sequence[Term]) -> tuple[Weights, ...]:
    """What the terms weigh in the sums over each plane of a layout: see :mod:`renderer.cuda.plane_penalties`."""
    rows, C = [], layout.channels
    planes = list(layout.planes())
    for name, _, _, N_i, N_j in planes:
        along_i, along_j, bend, to_one = 0.0, 0.0, 0.0, 0.0
        for term in terms:
            if name not in term.names:
                continue
            if term.form == "variation":
                along_i += 2 * term.weight / max((N_i - 1) * N_j * C, 1)
                along_j += 2 * term.weight / max((N_j - 1) * N_i * C, 1)
            elif term.form == "curvature":
                bend += term.weight / max((N_j - 2) * N_i * C, 1)
            elif term.form == "pose":
                bend += term.weight / (N_i * N_j * sum(other in term.names for other, *_ in planes))
            else:
                to_one += term.weight / (N_i * N_j * C)
        rows.append((along_i, along_j, bend, to_one))
    return tuple(rows)


def total_variation(planes: Sequence[Tensor]) -> Tensor:
    """Twice the mean squared difference of neighbours along each of the two axes, summed over planes (K-Planes)."""
    return torch.stack([2 * (_mean_square(p.diff(dim=0)) + _mean_square(p.diff(dim=1))) for p in planes]).sum()


def curvature(planes: Sequence[Tensor]) -> Tensor:
    """Mean squared second difference along the second axis of each plane's name, its rows, summed over planes: what
    the released code of SparseCam4D calls total variation, and its smoothness along t or s."""
    return torch.stack([_mean_square(p.diff(n=2, dim=0)) for p in planes]).sum()


def pose_smoothness(planes: Sequence[Tensor]) -> Tensor:
    """Second-order smoothness along s of one level's planes xs, ys, zs (SparseCam4D, eq. 9): the squared norm over
    channels of the second difference, averaged over nodes and over planes. Planes of several levels are averaged too.
    """
    parts = [p.diff(n=2, dim=0).square().sum() / (p.shape[0] * p.shape[1]) for p in planes]
    return torch.stack(parts).mean()


def distance_to_one(planes: Sequence[Tensor]) -> Tensor:
    """Mean |1 - P|, summed over planes (K-Planes' sparsity of planes that contain time)."""
    return torch.stack([(1 - p).abs().mean() for p in planes]).sum()


FORMS: dict[Form, Callable[[Sequence[Tensor]], Tensor]] = {
    "variation": total_variation,
    "curvature": curvature,
    "pose": pose_smoothness,
    "to one": distance_to_one,
}


def _mean_square(x: Tensor) -> Tensor:
    return x.square().mean() if x.numel() else x.new_zeros(())
