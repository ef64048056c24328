"""A picture of one ray's weights, for files and reports; the window draws its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from renderer.rays import RayDistribution

INK, WEIGHT, LIGHT = "#30343b", "#3b6fb6", "#d98a3d"


def plot_ray(ray: RayDistribution, path: Path, title: str) -> None:
    """Weights and transmittance over depth, with the expected and the median depth, as a PNG."""
    figure = Figure(figsize=(7.2, 3.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("depth along the camera axis (scene units)")
    axes.set_ylabel("rendering weight")
    colors = np.clip(ray.colors, 0, 1)
    axes.vlines(ray.depths, 0, ray.weights, colors=WEIGHT, linewidth=1.2, alpha=0.8)
    axes.scatter(ray.depths, ray.weights, c=colors, s=26, edgecolors=INK, linewidths=0.5, zorder=3)
    axes.set_ylim(bottom=0)

    light = axes.twinx()
    light.step(ray.depths, ray.transmittances, where="post", color=LIGHT, linewidth=1.0, label="transmittance")
    light.set_ylim(0, 1.05)
    light.set_ylabel("transmittance", color=LIGHT)
    if len(ray.depths):
        axes.axvline(ray.expected_depth, color=INK, linewidth=1.0, label=f"expected depth {ray.expected_depth:.3g}")
        axes.axvline(
            ray.median_depth, color=INK, linewidth=1.0, linestyle="--", label=f"median depth {ray.median_depth:.3g}"
        )
        axes.legend(loc="center left", fontsize=8, frameon=False)
    swatch = tuple(float(c) for c in np.clip(ray.composite, 0, 1))
    axes.add_patch(Rectangle((0.015, 0.86), 0.05, 0.1, transform=axes.transAxes, facecolor=swatch, edgecolor=INK))
    axes.text(
        0.075, 0.91, f"composite; opacity {ray.opacity:.3f}, spread {ray.spread:.3g}", transform=axes.transAxes,
        va="center", fontsize=8, color=INK,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
