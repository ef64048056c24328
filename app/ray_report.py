"""What one ray says, in numbers: for JSON, for a table and for the console."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from renderer import ray_maps
from renderer.rays import RayDistribution
from renderer.weights import MAP_BINS, depth_edges

Values = NDArray[np.float64]

MARGIN = 0.05
"""Share of the target depth by which weight lies in front of it before it floats: DDR empties space up to there."""
STRONGEST = 10
"""Contributions that the console lists."""


@dataclass(frozen=True)
class RayReport:
    """A ray with what is known of it.

    ``name``: of whose ray it is. ``near``, ``far``: depths between which its weights are told apart, scene units.
    ``samples``: (K,) depths drawn by Gumbel softmax, and ``temperature`` at which.
    ``kind``: what contributes.
    """

    name: str
    ray: RayDistribution
    near: float
    far: float
    samples: Values = field(default_factory=lambda: np.zeros(0))
    temperature: float = float("nan")
    kind: Literal["Gaussian", "sample"] = "Gaussian"

    @cached_property
    def edges(self) -> Values:
        """(MAP_BINS + 1,) of the bins in which entropy and modes are counted: those of the maps."""
        return depth_edges(self.near, self.far, MAP_BINS)

    @cached_property
    def histogram(self) -> Values:
        """(MAP_BINS,) weight per bin."""
        return self.ray.histogram(self.edges)

    @property
    def entropy(self) -> float:
        """Of the histogram, nats."""
        return float(ray_maps.entropy(self.histogram))

    @property
    def modes(self) -> int:
        """Of the histogram."""
        return int(ray_maps.modes(self.histogram))

    @property
    def error_to(self) -> Literal["target", "median"]:
        """What errors are taken to: the target depth, or where none is known the ray's own median depth."""
        return "median" if self.ray.target_depth is None else "target"

    @property
    def reference(self) -> float:
        """That depth, scene units."""
        return self.ray.median_depth if self.ray.target_depth is None else self.ray.target_depth

    @property
    def floater_mass(self) -> float:
        """Share of the weight that lies in front of the reference by more than ``MARGIN`` of it."""
        return self.ray.share_before((1 - MARGIN) * self.reference)

    def numbers(self) -> dict[str, object]:
        """For JSON; lists are (K,) beside ``depths``, and only there where the scene has such a thing."""
        ray = self.ray
        summary = {
            "opacity": ray.opacity,
            "expected_depth": ray.expected_depth,
            "median_depth": ray.median_depth,
            "target_depth": ray.target_depth,
            "spread": ray.spread,
            "entropy": self.entropy,
            "modes": self.modes,
            "error_to": self.error_to,
            "expected_error": ray.expected_error(self.reference),
            "error_of_expectation": ray.error_of_expectation(self.reference),
            "error_gap": ray.error_gap(self.reference),
            "floater_mass": self.floater_mass,
            "gumbel_samples": self.samples.tolist(),
            "gumbel_temperature": self.temperature,
            "composite": ray.composite.tolist(),
            "ids": ray.ids.tolist(),
        }
        columns = {_PLURALS.get(name, name): values.tolist() for name, values in self._columns().items()}
        if ray.edges is not None:
            columns["edges"] = ray.edges.tolist()
        return summary | columns

    def table(self) -> str:
        """The contributions as CSV, nearest first, under a line of names; depths in scene units."""
        columns = self._columns()
        if self.ray.edges is not None:
            columns |= {"from": self.ray.edges[:-1], "to": self.ray.edges[1:]}
        columns |= dict(zip("rgb", self.ray.colors.T, strict=True))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", *columns])
        for k, row in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([int(self.ray.ids[k]), *(f"{value:.9g}" for value in row)])
        return text.getvalue()

    def lines(self) -> list[str]:
        """For the console: the summary, and the strongest contributions."""
        ray = self.ray
        told = [
            f"{len(ray.depths)} contributions, opacity {ray.opacity:.4f}",
            f"expected depth {ray.expected_depth:.4g}, median {ray.median_depth:.4g}, spread {ray.spread:.4g}",
            f"to the {self.error_to} depth {self.reference:.4g}: E|t-D| {ray.expected_error(self.reference):.4g}, "
            f"|E[t]-D| {ray.error_of_expectation(self.reference):.4g}, gap {ray.error_gap(self.reference):.4g}",
            f"modes {self.modes}, entropy {self.entropy:.3f} nats, {100 * self.floater_mass:.1f} % floats in front",
        ]
        for k in sorted(np.argsort(-ray.weights)[:STRONGEST]):
            told.append(f"  depth {ray.depths[k]:8.4g}   weight {ray.weights[k]:.4f}   {self.kind} {ray.ids[k]}")
        return told

    def _columns(self) -> dict[str, Values]:
        """(K,) each, by singular names."""
        ray = self.ray
        columns = {"depth": ray.depths, "weight": ray.weights, "transmittance": ray.transmittances}
        if (parts := ray.parts) is not None:
            columns |= {
                "static_weight": parts.of_static,
                "dynamic_weight": parts.of_dynamic,
                "static_alone": parts.static,
                "dynamic_alone": parts.dynamic,
            }
            if parts.static_density is not None and parts.dynamic_density is not None:
                columns |= {"static_density": parts.static_density, "dynamic_density": parts.dynamic_density}
        return columns


_PLURALS = {
    "depth": "depths",
    "weight": "weights",
    "transmittance": "transmittances",
    "static_weight": "static_weights",
    "dynamic_weight": "dynamic_weights",
    "static_density": "static_densities",
    "dynamic_density": "dynamic_densities",
}
"""Names of whole lists."""
