"""The numbers of a ray as people read them: names, what they mean, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import dearpygui.dearpygui as dpg

from app.gui.theme import Skin
from app.pins import Reading
from app.ray_report import RayReport


@dataclass(frozen=True)
class Number:
    """``about``: what it means, in a sentence. ``color``: of what stands for it in the plot, from the palette.
    ``compared``: whether it is shown for pins side by side. ``beside``: for the ray that is looked at."""

    name: str
    about: str
    read: Callable[[Reading], str]
    color: str = "muted"
    compared: bool = True
    beside: bool = True


def _number(value: float | None, unit: str = "") -> str:
    """Four digits; a dash for what is not known."""
    return "-" if value is None or value != value else f"{value:.4g}{unit}"


def _share(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f} %"


def _part(report: RayReport, dynamic: bool) -> str:
    parts, opacity = report.ray.parts, report.ray.opacity
    if parts is None or not opacity > 0:
        return "-"
    return _share(float((parts.of_dynamic if dynamic else parts.of_static).sum()) / opacity)


def _samples(report: RayReport) -> str:
    if not len(report.samples):
        return "-"
    return f"{len(report.samples)} at temperature {report.temperature:.3g}"


def _point(report: RayReport) -> str:
    if not report.ray.opacity > 0:
        return "-"
    return ", ".join(f"{value:.3f}" for value in report.ray.world_point())


def _contributions(report: RayReport) -> str:
    count = len(report.ray.depths)
    return f"{count} {report.kind}{'' if count == 1 else 's'}"


NUMBERS: tuple[Number, ...] = (
    Number("expected depth", "Mean depth of the weights: what a depth map shows.",
           lambda r: _number(r.report.ray.expected_depth), "amber"),
    Number("median depth", "Depth in front of which half of the ray's weight lies.",
           lambda r: _number(r.report.ray.median_depth), "green"),
    Number("target depth", "Depth that is known for this pixel and that training pulls the ray to.",
           lambda r: _number(r.report.ray.target_depth), "text"),
    Number("D", "What the errors are taken to: the target depth where one is known, else the ray's own median.",
           lambda r: "target" if r.report.error_to == "target" else "own median"),
    Number("E|t - D|", "Expected distance of the weights from D, scene units: what DDR penalises.",
           lambda r: _number(r.report.ray.expected_error(r.report.reference)), "text"),
    Number("|E[t] - D|", "Distance of the expected depth from D, scene units: what a loss on the depth map penalises.",
           lambda r: _number(r.report.ray.error_of_expectation(r.report.reference)), "text"),
    Number("gap", "The first less the second: an error of the geometry that the depth map does not show.",
           lambda r: _number(r.report.ray.error_gap(r.report.reference)), "text"),
    Number("in front of D", "Share of the weight that floats in front of D by more than a twentieth of it.",
           lambda r: _share(r.report.floater_mass)),
    Number("entropy", "How widely the weights are spread over the bins of depth, in nats: 0 for a single one.",
           lambda r: _number(r.report.entropy, " nats")),
    Number("modes", "Separate heaps of weight along the ray: one for a clean surface.",
           lambda r: str(r.report.modes)),
    Number("opacity", "Sum of the weights: 1 where nothing shines through.",
           lambda r: f"{r.report.ray.opacity:.3f}"),
    Number("static part", "Share of the weight that belongs to what stands still.",
           lambda r: _part(r.report, dynamic=False), "blue", compared=False),
    Number("dynamic part", "Share of the weight that belongs to what moves.",
           lambda r: _part(r.report, dynamic=True), "orange", compared=False),
    Number("Gumbel samples", "Depths that DDR's estimator draws from the weights at its present temperature, as ticks "
           "below the plot; the colder, the nearer to single contributions.",
           lambda r: _samples(r.report), "purple", compared=False),
    Number("met", "What contributes to the pixel, nearest first.",
           lambda r: _contributions(r.report), compared=False),
    Number("point", "Position in the world of the point at the median depth, scene units.",
           lambda r: _point(r.report), compared=False),
    Number("step", "Step of training that the scene was at.",
           lambda r: f"{r.step:,}", beside=False),
)  # fmt: skip
BESIDE = tuple(number for number in NUMBERS if number.beside)
COMPARED = tuple(number for number in NUMBERS if number.compared)


def dense_rows(skin: Skin) -> int | str:
    """A theme for tables of numbers, whose rows are closer to each other than others."""
    with dpg.theme() as theme, dpg.theme_component(dpg.mvAll):
        for style, values in ((dpg.mvStyleVar_CellPadding, (4, 0)), (dpg.mvStyleVar_ItemSpacing, (8, 2))):
            dpg.add_theme_style(style, *(skin.scale * value for value in values))
    return theme
