"""Where a radiance field lives: the whole visible world, folded into the cube [-1, 1]^3.

Two ways, both continuous and invertible. ``ndc``: normalised device coordinates of a reference camera (NeRF, appendix
C, as NSFF and DDR use them): the image plane by the disparity, for cameras that stay together and look the same way.
``contraction``: space as it is within a ball, and all that is outside folded into a shell (mip-NeRF 360, eq. 10), for
cameras all around.

Along a ray the places of samples are stated as s in [0, 1], linear in disparity between the near and the far depth: in
normalised device coordinates these are equal steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SpaceKind = Literal["ndc", "contraction"]

LEAST_DEPTH = 0.25
"""Share of the near depth below which normalised device coordinates stop: what lies nearer to the reference camera, or
behind it, is folded onto that plane."""


@dataclass(frozen=True)
class Space:
    """A folding of the world.

    ``world_to_local``: (4, 4), row by row: of the reference camera, or of the ball's centre. ``half``: (3,) for ndc the
    tangents of the half angles of view, the third unused; for contraction the ball's radius, scene units, three times.
    ``near``, ``far``: depths along +z of a camera between which samples lie, scene units.
    """

    kind: SpaceKind
    world_to_local: tuple[tuple[float, ...], ...]
    half: tuple[float, float, float]
    near: float
    far: float

    def fold(self, points: Tensor) -> Tensor:
        """World points (N, 3) to the cube; differentiable."""
        R, T, half = _tensors(self, points.dtype, points.device)
        local = points @ R.T + T
        if self.kind == "ndc":
            z = local[:, 2].clamp(min=LEAST_DEPTH * self.near)
            s = (1 / self.near - 1 / z) / (1 / self.near - 1 / self.far)
            return torch.stack([local[:, 0] / (z * half[0]), local[:, 1] / (z * half[1]), 2 * s - 1], dim=1)
        x = local / half
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        outside = length > 1
        safe = torch.where(outside, length, torch.ones_like(length))
        return 0.5 * torch.where(outside, (2 - 1 / safe) / safe * x, x)

    def unfold(self, places: Tensor) -> Tensor:
        """The inverse of :meth:`fold`."""
        R, T, half = _tensors(self, places.dtype, places.device)
        if self.kind == "ndc":
            s = 0.5 * (places[:, 2] + 1)
            most = 1 / (LEAST_DEPTH * self.near)
            disparity = (1 / self.near - s * (1 / self.near - 1 / self.far)).clamp(0.5 / self.far, most)
            xy = places[:, :2] * half[:2]
            local = torch.cat([xy, torch.ones_like(xy[:, :1])], dim=1) / disparity[:, None]
        else:
            y = 2 * places
            length = torch.linalg.vector_norm(y, dim=1, keepdim=True)
            outside = length > 1
            safe = torch.where(outside, length.clamp(max=2 - 1e-4), torch.ones_like(length))
            local = torch.where(outside, y / (safe * (2 - safe)), y) * half
        return (local - T) @ R

    def depth(self, s: Tensor) -> Tensor:
        """Depth along +z, scene units, of places s in [0, 1] along a ray."""
        return 1 / (1 / self.near - s * (1 / self.near - 1 / self.far))

    def place(self, depth: Tensor) -> Tensor:
        """The inverse of :meth:`depth`; depths outside [near, far] give places outside [0, 1]."""
        return (1 / self.near - 1 / depth) / (1 / self.near - 1 / self.far)

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return dict(vars(self))

    @staticmethod
    def from_json(values: dict[str, Any]) -> Space:
        """The inverse of :meth:`as_json`."""
        rows = tuple(tuple(float(x) for x in row) for row in values["world_to_local"])
        half = tuple(float(x) for x in values["half"])
        if values["kind"] not in ("ndc", "contraction") or len(rows) != 4 or len(half) != 3:
            raise ValueError(f"not a space: {values!r}")
        return Space(values["kind"], rows, half, float(values["near"]), float(values["far"]))  # type: ignore[arg-type]

    @staticmethod
    def around(kind: SpaceKind, pose: NDArray[np.float64], half: NDArray[np.float64], near: float, far: float) -> Space:
        """From arrays: ``pose`` (4, 4), ``half`` (3,)."""
        rows = tuple(tuple(float(x) for x in row) for row in pose)
        return Space(kind, rows, tuple(float(x) for x in half), near, far)  # type: ignore[arg-type]


@lru_cache(maxsize=16)
def _tensors(space: Space, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The rotation, translation and half angles of a space; kept, because a GPU waits for what is copied to it."""
    pose = torch.tensor(space.world_to_local, dtype=dtype, device=device)
    return pose[:3, :3], pose[:3, 3], torch.tensor(space.half, dtype=dtype, device=device)
