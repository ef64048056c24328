"""View + pixel -> RayDistribution: what a ray meets, and how much each thing counts.

The ray inspector, the depth regularisers and the tests all use this object. Gaussians give their sorted
contributions; the weights composite to the colour that a render shows at the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from renderer.gaussians import Gaussians
from renderer.motion import moving
from renderer.slicing import slice_at
from renderer.splat.reference import alphas_at, project, weights_from_alphas
from renderer.splat.types import Splats
from renderer.view import View


@dataclass(frozen=True)
class RayParts:
    """What stands still and what moves along one ray, all (K,) beside :class:`RayDistribution`'s.

    ``of_static`` + ``of_dynamic``: the two parts' share of the blended weights. ``static``, ``dynamic``: the weights of
    each part as if the other were not there. ``static_density``, ``dynamic_density``: of a radiance field, per unit of
    length in its cube; Gaussians have none. Of Gaussians each is of one part (:func:`renderer.motion.moving`).
    """

    of_static: NDArray[np.float64]
    of_dynamic: NDArray[np.float64]
    static: NDArray[np.float64]
    dynamic: NDArray[np.float64]
    static_density: NDArray[np.float64] | None = None
    dynamic_density: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class RayDistribution:
    """The K contributions along one ray, nearest first, all read-only.

    ``pixel``: (x, y), column and row; the ray goes through the pixel's centre.
    ``depths``: (K,) along +z of the camera, scene units. ``weights``: (K,) sum to at most 1; zero for what only a part
    alone would show.
    ``transmittances``: (K,) share of light that reaches each contribution. ``colors``: (K, 3).
    ``ids``: (K,) rows in the scene, or numbers of a field's samples. ``composite``: (3,) sum of weight times colour.
    ``target_depth``: depth that training pulls the ray to, where one is known.
    ``parts``: static and dynamic, where the scene tells them apart.
    ``edges``: (K + 1,) depths of the intervals that a field's samples stand for; None for Gaussians, which are points.
    """

    view: View
    pixel: tuple[int, int]
    depths: NDArray[np.float64]
    weights: NDArray[np.float64]
    transmittances: NDArray[np.float64]
    colors: NDArray[np.float64]
    ids: NDArray[np.int64]
    composite: NDArray[np.float64]
    target_depth: float | None = None
    parts: RayParts | None = None
    edges: NDArray[np.float64] | None = None

    @property
    def opacity(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())

    @property
    def expected_depth(self) -> float:
        """Mean of the normalised weights; NaN for an empty ray."""
        return float(self.weights @ self.depths / self.opacity) if self.opacity > 0 else float("nan")

    @property
    def median_depth(self) -> float:
        """Depth at which half of the ray's weight lies in front; NaN for an empty ray."""
        if not self.opacity > 0:
            return float("nan")
        return float(self.depths[np.searchsorted(np.cumsum(self.weights), 0.5 * self.opacity)])

    @property
    def spread(self) -> float:
        """Mean distance to the expected depth, scene units."""
        return self.expected_error(self.expected_depth)

    @property
    def entropy(self) -> float:
        """Of the normalised weights, nats; NaN for an empty ray. Two Gaussians on one surface have log 2: to compare
        scenes take that of a histogram (:func:`renderer.ray_maps.entropy`)."""
        if not self.opacity > 0:
            return float("nan")
        p = self.weights[self.weights > 0] / self.opacity
        return abs(float(p @ np.log(p)))

    def expected_error(self, depth: float) -> float:
        """E|t - depth| over the normalised weights, scene units: what DDR penalises."""
        return float(self.weights @ np.abs(self.depths - depth) / self.opacity) if self.opacity > 0 else float("nan")

    def error_of_expectation(self, depth: float) -> float:
        """|E[t] - depth|, scene units: what a loss on the depth map penalises."""
        return abs(self.expected_depth - depth)

    def error_gap(self, depth: float) -> float:
        """E|t - depth| - |E[t] - depth|, scene units, not negative: what the depth map does not show."""
        gap = self.expected_error(depth) - self.error_of_expectation(depth)
        return gap if np.isnan(gap) else max(gap, 0.0)

    def share_before(self, depth: float) -> float:
        """Share of the ray's weight in front of a depth; NaN for an empty ray."""
        return float(self.weights[self.depths < depth].sum() / self.opacity) if self.opacity > 0 else float("nan")

    def histogram(self, edges: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """(B,) the ray's ``weights``, or others (K,), per depth bin; ``edges`` (B + 1,) ascending, scene units.

        What lies in front of the first or behind the last edge counts in the first or the last bin. A field's sample is
        spread evenly over its interval; a Gaussian is a point, in the bin whose near edge it lies on.
        """
        w = self.weights if weights is None else weights
        if self.edges is None:
            bins = np.searchsorted(edges[1:-1], self.depths, side="right")
            return np.bincount(bins, weights=w, minlength=len(edges) - 1).astype(np.float64)
        total = np.concatenate([[0.0], np.cumsum(w)])
        return np.diff(np.concatenate([[0.0], np.interp(edges[1:-1], self.edges, total), total[-1:]]))

    def world_point(self, depth: float | None = None) -> NDArray[np.float64]:
        """(3,) the point on the ray at a depth, the median depth when none is given."""
        z = self.median_depth if depth is None else depth
        center = np.array([[self.pixel[0] + 0.5, self.pixel[1] + 0.5]])
        return self.view.camera.unproject(center, np.array([z]))[0]


def gaussian_ray(gaussians: Gaussians, view: View, pixel: tuple[int, int]) -> RayDistribution:
    """The contributions to one pixel of a view, in float64, and what else either part alone would show there."""
    camera, (x, y) = view.camera, pixel
    with torch.no_grad():
        center = torch.tensor(camera.center, dtype=torch.float32, device=gaussians.device)
        instant = slice_at(gaussians.detached(), view.time, center)
        splats = Splats(
            *(getattr(instant.splats, f).cpu().double() for f in ("means", "covariances", "opacities", "colors"))
        )
        projection = project(splats, camera, torch.tensor(camera.world_to_camera))
        place = torch.tensor([[x + 0.5, y + 0.5]], dtype=torch.float64)
        alpha = alphas_at(projection, splats.opacities[projection.ids], place)
        dynamic = moving(gaussians).cpu()[instant.ids.cpu()][projection.ids]  # (K,)
        weights = weights_from_alphas(alpha)[0][0]
        of_dynamic = weights_from_alphas(alpha * dynamic)[0][0]
        of_static = weights_from_alphas(alpha * ~dynamic)[0][0]
        seen = torch.nonzero((weights > 0) | (of_dynamic > 0) | (of_static > 0)).squeeze(1)
        weights, dynamic, rows = weights[seen], dynamic[seen], projection.ids[seen]
        colors = splats.colors[rows]
        parts = RayParts(
            frozen(weights * ~dynamic), frozen(weights * dynamic), frozen(of_static[seen]), frozen(of_dynamic[seen])
        )
    return RayDistribution(
        view,
        (x, y),
        depths=frozen(projection.depths[seen]),
        weights=frozen(weights),
        transmittances=frozen(1 - (weights.cumsum(0) - weights)),  # nothing is lost behind the ray's end
        colors=frozen(colors),
        ids=frozen(instant.ids.cpu()[rows]),
        composite=frozen(weights @ colors),
        parts=parts,
    )


def frozen(tensor: torch.Tensor) -> NDArray:
    """The tensor's values as a read-only array."""
    array = tensor.cpu().numpy()
    array.setflags(write=False)
    return array
