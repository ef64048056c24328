"""Pictures of rendering weights: along rays, along rows of pixels seen from above, and as maps over a picture.

Several things of one kind are drawn one above the other on the same scales. Depth axes are even in disparity, which is
what pictures can tell apart. Colours are those of Okabe and Ito, which the colour-blind can tell apart too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, PowerNorm
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from app.plots import INK, Heat, Image, heat_over, new_figure, save
from app.ray_report import RayReport
from renderer.weights import Quantity, RayMap
from training.trainer import RayThroughTime

Values = NDArray[np.float64]

STATIC, DYNAMIC, TARGET, SAMPLES, PALE = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#8b929c"
MODES = ("#30343b", "#f4ecd8", "#56B4E9", "#E69F00", "#D55E00", "#7b2d8b")
"""Colours of 0, 1, 2, 3, 4 modes and more."""
SLICE = "magma"
CONTRAST = 0.5
"""Power of a slice's values that its colours show: a floater of a tenth of the weight shows at a third."""
NAMES: dict[Quantity, str] = {
    "blended": "blended weight",
    "static-of-blend": "static part of the blend",
    "dynamic-of-blend": "dynamic part of the blend",
    "dynamic-alone": "dynamic part alone",
    "transmittance": "transmittance",
    "static-density": "static density",
    "dynamic-density": "dynamic density",
    "dynamic-weight-density": "dynamic weight × density",
}
MAP_NAMES: dict[RayMap, str] = {
    "expected-error": "E|t − D|",
    "error-gap": "E|t − D| − |E[t] − D|",
    "entropy": "entropy of the weights",
    "modes": "modes of the weights",
}


@dataclass(frozen=True)
class RowSlice:
    """One row of pixels of something called ``name``: ``values`` (W, B) per quantity, and ``target`` (W,) depths that
    are known, scene units, NaN where none is."""

    name: str
    values: Mapping[Quantity, Values]
    target: Values | None = None


@dataclass(frozen=True)
class MapPanel:
    """A ``picture`` (H, W, 3) in [0, 1] of something called ``name``, and what is shown over it, (H, W)."""

    name: str
    picture: Image
    values: Heat


# ---------------------------------------------------------------------------------------------------- rays


def plot_rays(reports: Sequence[RayReport], path: Path) -> None:
    """One or more rays, one above the other on one axis of depth, as a PNG."""
    near, far = min(r.near for r in reports), max(r.far for r in reports)
    figure = new_figure(8.6, 4.3 * len(reports))
    for part, report in zip(figure.subfigures(len(reports), 1, squeeze=False)[:, 0], reports, strict=True):
        _plot_ray(part, report, near, far)
    save(figure, path)


def _plot_ray(figure: SubFigure, report: RayReport, near: float, far: float) -> None:
    """Weights with the depths that sum them up, samples below, transmittance and density; beside it the numbers."""
    grid = figure.add_gridspec(3, 2, width_ratios=(3.4, 1), height_ratios=(3.2, 0.22, 1.1), hspace=0.04)
    weights = figure.add_subplot(grid[0, 0])
    rug, light = (figure.add_subplot(grid[k, 0], sharex=weights) for k in (1, 2))
    weights.set_title(report.name, loc="left", fontsize=10, color=INK)
    weights.set_xscale("function", functions=(_towards, _back))
    weights.set_xlim(near, far)
    weights.set_xticks(depth_ticks(near, far))
    weights.minorticks_off()
    weights.xaxis.set_major_formatter("{x:g}")
    _weights(weights, report)
    _rug(rug, report)
    _light(light, report)
    for axes in (weights, rug):
        axes.tick_params(axis="x", labelbottom=False)
    for axes in (weights, light):
        axes.spines[["top"]].set_visible(False)
    weights.spines[["right"]].set_visible(False)
    _errors(figure.add_subplot(grid[0, 1]), report)
    _numbers(figure.add_subplot(grid[1:, 1]), report)


def _weights(axes: Axes, report: RayReport) -> None:
    ray, edges = report.ray, report.edges
    total = report.histogram
    if ray.parts is not None:
        still = ray.histogram(edges, ray.parts.of_static)
        axes.stairs(still, edges, fill=True, color=STATIC, label="static")
        axes.stairs(total, edges, baseline=still, fill=True, color=DYNAMIC, label="dynamic")
    axes.stairs(total, edges, color=INK, linewidth=0.9, label="blended")
    axes.set_ylim(0, max(1.18 * float(total.max()), 1e-3))
    axes.set_ylabel("weight per bin")
    if ray.opacity > 0:
        axes.axvline(ray.expected_depth, color=INK, linewidth=1.4, label=f"expected {ray.expected_depth:.3g}")
        axes.axvline(
            ray.median_depth, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label=f"median {ray.median_depth:.3g}"
        )
    if ray.target_depth is not None:
        axes.axvline(ray.target_depth, color=TARGET, linewidth=1.2)
        axes.plot(
            [ray.target_depth], [1.0], marker="v", color=TARGET, linestyle="none", clip_on=False, zorder=5,
            transform=axes.get_xaxis_transform(), label=f"target {ray.target_depth:.3g}",
        )  # fmt: skip
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.1), ncols=6, fontsize=7.5, frameon=False, handlelength=1.3,
        columnspacing=1.1, borderpad=0,
    )  # fmt: skip


def _rug(axes: Axes, report: RayReport) -> None:
    """Gumbel samples as ticks."""
    axes.set_axis_off()
    axes.vlines(report.samples, 0.1, 0.95, colors=SAMPLES, linewidth=1.0, alpha=0.8)
    axes.set_ylim(0, 1)


def _light(axes: Axes, report: RayReport) -> None:
    """Transmittance, and the densities of a field."""
    ray = report.ray
    axes.set_xlabel("depth along the camera's axis (scene units)")
    axes.set_ylabel("transm.")
    axes.set_ylim(0, 1.05)
    depths = np.concatenate([[report.near], ray.depths, [report.far]])
    axes.step(depths, np.concatenate([[1], 1 - np.cumsum(ray.weights), [1 - ray.opacity]]), where="post", color=PALE)
    if ray.parts is None or ray.parts.static_density is None or ray.parts.dynamic_density is None:
        axes.spines[["right"]].set_visible(False)
        return
    right = axes.twinx()
    right.spines[["top"]].set_visible(False)
    right.plot(ray.depths, ray.parts.static_density, color=STATIC, linewidth=1.1)
    right.plot(ray.depths, ray.parts.dynamic_density, color=DYNAMIC, linewidth=1.1)
    right.set_ylabel("density")
    right.set_ylim(bottom=0)


def _errors(axes: Axes, report: RayReport) -> None:
    """E|t - D| beside |E[t] - D|: what DDR penalises, and what a loss on the depth map does."""
    ray, D = report.ray, report.reference
    errors = np.nan_to_num([ray.expected_error(D), ray.error_of_expectation(D)])
    axes.bar([0, 1], errors, width=0.62, color=[INK, "white"], edgecolor=INK, linewidth=0.9)
    for x, error in enumerate(errors):
        axes.annotate(f"{error:.3g}", (x, error), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks([0, 1], ["E|t − D|", "|E[t] − D|"], fontsize=8)
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylim(0, max(1.25 * float(errors.max()), 1e-6))
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    known = "target" if report.error_to == "target" else "own median, as no target is known"
    axes.set_title(f"error in depth\nD: {known}", fontsize=7.5 if report.error_to == "target" else 6.5, color=INK)


def _numbers(axes: Axes, report: RayReport) -> None:
    ray = report.ray
    axes.set_axis_off()
    lines = [
        ("gap", f"{ray.error_gap(report.reference):.3g}"),
        ("modes", f"{report.modes}"),
        ("entropy", f"{report.entropy:.2f} nats"),
        ("in front", f"{100 * report.floater_mass:.0f} %"),
        ("spread", f"{ray.spread:.3g}"),
        ("opacity", f"{ray.opacity:.3f}"),
    ]
    if len(report.samples):
        lines.append((f"{len(report.samples)} samples", f"τ = {report.temperature:g}"))
    for k, (name, value) in enumerate(lines):
        y = 0.98 - 0.155 * k
        sampled = SAMPLES if name.endswith("samples") else INK
        axes.text(0.46, y, name, ha="right", va="top", fontsize=8, color=sampled, transform=axes.transAxes)
        axes.text(0.54, y, value, ha="left", va="top", fontsize=8, color=sampled, transform=axes.transAxes)


def plot_through_time(history: RayThroughTime, path: Path, title: str) -> None:
    """One ray over the clip, time to the right and depth upwards, with the instant that was picked, as a PNG."""
    T, B = history.weights.shape
    figure = new_figure(7.2, 3.6)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    half = 0.5 / max(1, T - 1)
    top = max(float(np.percentile(history.weights, 99.8)), 1e-6)
    shown = axes.imshow(
        history.weights.T, cmap=SLICE, norm=PowerNorm(CONTRAST, 0, top), origin="lower", aspect="auto",
        interpolation="nearest", extent=(-half, 1 + half, 0, B),
    )  # fmt: skip
    axes.axvline(history.view.time, color="#7ff0c8", linewidth=0.9)
    ticks = depth_ticks(history.edges[0], history.edges[-1], 6)
    axes.set_yticks(_places(ticks, history.edges), [f"{z:g}" for z in ticks])
    axes.set_xlabel("time")
    axes.set_ylabel("depth (scene units)")
    figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02).set_label("weight per bin")
    save(figure, path)


# ---------------------------------------------------------------------------------------------------- rows


def plot_slices(slices: Sequence[RowSlice], edges: Values, path: Path, title: str) -> None:
    """Rows of pixels seen from above, column to the right and depth upwards: one picture per quantity, those of
    several slices one above the other with the same colours, as a PNG. ``edges``: (B + 1,) evenly in disparity."""
    quantities = list(slices[0].values)
    columns = 2 if len(quantities) > 1 else 1
    lines = -(-len(quantities) // columns)
    figure = new_figure(5.4 * columns + (1.4 if columns == 1 else 0), 2.2 * lines * len(slices) + 0.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    parts = figure.subfigures(lines, columns, squeeze=False).ravel()
    for part, quantity in zip(parts, quantities, strict=False):
        _plot_slice(part, slices, quantity, edges)
    save(figure, path)


def _plot_slice(figure: SubFigure, slices: Sequence[RowSlice], quantity: Quantity, edges: Values) -> None:
    panels = figure.subplots(len(slices), 1, sharex=True, squeeze=False)[:, 0]
    values = [s.values[quantity] for s in slices]
    top = max(float(np.percentile(v, 99.9)) for v in values) or 1.0
    ticks = depth_ticks(edges[0], edges[-1], 5)
    for axes, piece, v in zip(panels, slices, values, strict=True):
        W, B = v.shape
        shown = axes.imshow(
            v.T, cmap=SLICE, norm=PowerNorm(CONTRAST, 0, top), origin="lower", aspect="auto", interpolation="nearest",
            extent=(0, W, 0, B),
        )  # fmt: skip
        if piece.target is not None:
            axes.plot(np.arange(W) + 0.5, _places(piece.target, edges), color="#7ff0c8", linewidth=0.6, alpha=0.9)
        axes.set_ylim(0, B)
        axes.set_yticks(_places(ticks, edges), [f"{z:g}" for z in ticks], fontsize=7)
        axes.tick_params(axis="x", labelsize=7)
        axes.set_ylabel("depth", fontsize=8)
        name = NAMES[quantity] + (f" · {piece.name}" if len(slices) > 1 else "")
        axes.set_title(name, loc="left", fontsize=8.5, color=INK)
    panels[-1].set_xlabel("column of the picture", fontsize=8)
    bar = figure.colorbar(shown, ax=list(panels), fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize=7)


# ---------------------------------------------------------------------------------------------------- maps


def plot_maps(panels: Sequence[MapPanel], kind: RayMap, unit: str, path: Path) -> None:
    """A map over each picture, one above the other with the same colours, as a PNG."""
    H, W = panels[0].values.shape
    figure = new_figure(8.0, (7.4 * H / W + 0.35) * len(panels))
    every = np.concatenate([p.values.ravel() for p in panels])
    finite = every[np.isfinite(every)]
    top = max(float(np.percentile(finite, 99)), 1e-9) if finite.size else 1.0
    drawn = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(drawn, panels, strict=True):
        axes.set_title(panel.name, loc="left", fontsize=10, color=INK)
        axes.set_axis_off()
        if kind == "modes":
            _modes_over(figure, axes, panel)
        else:
            bar = figure.colorbar(heat_over(axes, panel.picture, panel.values, top), ax=axes, fraction=0.04, pad=0.02)
            bar.set_label(f"{MAP_NAMES[kind]} ({unit})")
    save(figure, path)


def _modes_over(figure: Figure, axes: Axes, panel: MapPanel) -> None:
    norm = BoundaryNorm(np.arange(-0.5, len(MODES)), len(MODES))
    axes.imshow(np.clip(panel.picture, 0, 1).mean(2), cmap="gray", vmin=0, vmax=1)
    counted = np.minimum(panel.values, len(MODES) - 1)
    shown = axes.imshow(counted, cmap=ListedColormap(MODES), norm=norm, alpha=np.where(counted == 1, 0.15, 0.75))
    bar = figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02, ticks=range(len(MODES)))
    bar.ax.set_yticklabels([*map(str, range(len(MODES) - 1)), f"{len(MODES) - 1} or more"])
    bar.set_label("modes of the weights")


# --------------------------------------------------------------------------------------------------- depths


def depth_ticks(near: float, far: float, count: int = 7) -> Values:
    """Round depths, about evenly spaced in disparity, from ``near`` to ``far``, scene units."""
    depths = 1 / np.linspace(1 / near, 1 / far, count)
    rounded = np.unique([float(f"{z:.2g}") for z in depths])
    return rounded[(rounded >= 0.999 * near) & (rounded <= 1.001 * far)]


def _places(depths: Values, edges: Values) -> Values:
    """Where depths lie among bins that are even in disparity, in bins; NaN outside of them."""
    place = (1 / edges[0] - 1 / depths) / (1 / edges[0] - 1 / edges[-1]) * (len(edges) - 1)
    return np.where((place >= -0.5) & (place <= len(edges) - 0.5), place, np.nan)


def _towards(depths: Values) -> Values:
    return -1 / np.maximum(depths, 1e-12)


def _back(disparities: Values) -> Values:
    return -1 / np.minimum(disparities, -1e-12)
