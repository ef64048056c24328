"""The weights along one ray over depth: in bins or contribution by contribution, with what sums them up."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.theme import Skin
from app.gui.widgets.depth_axis import DepthAxis
from app.ray_report import RayReport

Values = NDArray[np.float64]
NO_CURVE, TRANSMITTANCE, DENSITY = "no curve", "transmittance", "density"
BINS, CONTRIBUTIONS = "bins", "contributions"
MOST_STEMS = 400
"""Contributions that are drawn; the strongest ones."""
MOST_POINTS = 1500
"""Of a curve."""
HEIGHT = 210
TICKS = 5
LINES = (("expected", "amber"), ("median", "green"), ("target", "text"))
STEMS = (("static", "blue"), ("dynamic", "orange"), ("weight", "blue"))
SHADES = (("static_bins", "blue"), ("dynamic_bins", "orange"), ("weight_bins", "grey"))
CURVES = ("light", "static_density", "dynamic_density")
ROOM = 0.09
"""Share of the height below zero that the samples have."""


class RayPlot:
    """One plot; :meth:`show` replaces what it shows."""

    def __init__(self, skin: Skin) -> None:
        self._skin = skin
        self._shown: tuple[RayReport, DepthAxis] | None = None
        self._labelled: DepthAxis | None = None

    def build(self) -> None:
        """The choices and the plot, in the current container."""
        skin, again = self._skin, lambda: self._again()
        with dpg.group(horizontal=True):
            dpg.add_combo(
                [BINS, CONTRIBUTIONS], default_value=BINS, width=skin.px(118), tag="ray_style", callback=again
            )
            skin.tip("ray_style", "Weight per bin of depth, or each thing that the ray meets by itself.")
            dpg.add_combo(
                [NO_CURVE, TRANSMITTANCE], default_value=TRANSMITTANCE, width=skin.px(128), tag="ray_curve",
                callback=again,
            )  # fmt: skip
            skin.tip("ray_curve", "Light that is left behind each depth, or how dense a radiance field is there.")
        with dpg.plot(
            height=skin.px(HEIGHT), width=-1, no_menus=True, no_mouse_pos=True, no_box_select=True, tag="ray_plot"
        ):
            dpg.add_plot_axis(dpg.mvXAxis, label="depth (scene units)", tag="ray_x", no_highlight=True)
            with dpg.plot_axis(dpg.mvYAxis, label="weight", tag="ray_y", no_highlight=True):
                for name, _ in SHADES:
                    dpg.add_shade_series([], [], y2=[], label=f"##{name}", tag=name)
                dpg.add_line_series([], [], label="##outline", tag="blended_bins")
                for name, _ in STEMS:
                    dpg.add_stem_series([], [], label=f"##{name}", tag=f"{name}_series")
                dpg.add_line_series([], [], label="##blended", tag="blended_series")
                for name, _ in LINES:
                    dpg.add_inf_line_series([], label=f"##{name}", tag=f"{name}_series")
                dpg.add_line_series([], [], label="##samples", tag="samples_series", segments=True)
            with dpg.plot_axis(
                dpg.mvYAxis2, label="transmittance", tag="ray_y2", no_gridlines=True, opposite=True, no_highlight=True
            ):
                for name in CURVES:
                    dpg.add_line_series([], [], label=f"##{name}", tag=f"{name}_series")
        for name, color in (*STEMS, *LINES, ("samples", "purple"), ("light", "grey"), ("blended", "text"),
                            ("static_density", "blue"), ("dynamic_density", "orange")):  # fmt: skip
            skin.series(f"{name}_series", color)
        for name, color in SHADES:
            skin.series(name, color)
        skin.series("blended_bins", "text", 1.2)

    def show(self, report: RayReport, axis: DepthAxis) -> None:
        """Show a ray."""
        self._shown = (report, axis)
        self._again()

    def depth_under_mouse(self) -> float | None:
        """Scene units; None where the mouse is not over the plot."""
        if self._shown is None or not dpg.is_item_hovered("ray_plot"):
            return None
        return float(self._shown[1].depths(dpg.get_plot_mouse_pos()[0]))

    def _again(self) -> None:
        if self._shown is None:
            return
        report, axis = self._shown
        if self._labelled != axis:
            self._labelled = axis
            dpg.set_axis_ticks("ray_x", axis.ticks(TICKS))
            dpg.set_axis_limits("ray_x", -0.01, 1.01)
        in_bins = dpg.get_value("ray_style") == BINS
        top = self._bins(report, axis, in_bins)
        top = max(top, self._stems(report, axis, not in_bins))
        dpg.set_axis_limits("ray_y", -ROOM * top, 1.08 * top)
        self._samples(report, axis, top)
        self._lines(report, axis)
        self._curves(report, axis)

    def _bins(self, report: RayReport, axis: DepthAxis, shown: bool) -> float:
        """The static part from below, the dynamic one on top of it, the whole as an outline; the highest."""
        total, parts = report.histogram, report.ray.parts
        still = np.zeros_like(total) if parts is None else report.ray.histogram(report.edges, parts.of_static)
        x = np.repeat(axis.places(report.edges), 2)[1:-1]
        nothing = np.zeros_like(total)
        bands = {
            "static_bins": (nothing, still, parts is not None),
            "dynamic_bins": (still, total, parts is not None),
            "weight_bins": (nothing, total, parts is None),
        }
        for name, (low, high, there) in bands.items():
            values = [x, np.repeat(high, 2), np.repeat(low, 2)] if shown and there else [np.zeros(0)] * 3
            dpg.set_value(name, [v.tolist() for v in values])
        dpg.set_value("blended_bins", [x.tolist(), np.repeat(total, 2).tolist()] if shown else [[], []])
        return max(float(total.max(initial=0)), 1e-6) if shown else 1e-6

    def _stems(self, report: RayReport, axis: DepthAxis, shown: bool) -> float:
        """The static and the dynamic part where the scene tells them apart, else the whole; the highest."""
        ray = report.ray
        strongest = np.sort(np.argsort(-ray.weights)[:MOST_STEMS])
        strongest = strongest[ray.weights[strongest] > 0]
        parts = ray.parts
        given = {} if parts is None else {"static": parts.of_static, "dynamic": parts.of_dynamic}
        for name, _ in STEMS:
            of = ray.weights if parts is None and name == "weight" else given.get(name)
            there = strongest if of is None else strongest[of[strongest] > 0]
            values = [axis.places(ray.depths[there]), of[there]] if shown and of is not None else [np.zeros(0)] * 2
            dpg.set_value(f"{name}_series", [v.tolist() for v in values])
        whole = shown and parts is not None and ray.edges is not None  # of Gaussians each stem is the whole
        dpg.set_value(
            "blended_series",
            [axis.places(ray.depths[strongest]).tolist(), ray.weights[strongest].tolist()] if whole else [[], []],
        )
        return max(float(ray.weights.max(initial=0)), 1e-6) if shown else 1e-6

    def _samples(self, report: RayReport, axis: DepthAxis, top: float) -> None:
        """Ticks below the weights."""
        x = np.repeat(axis.places(report.samples), 2)
        dpg.set_value("samples_series", [x.tolist(), np.tile([-0.8 * ROOM * top, 0.0], len(report.samples)).tolist()])

    def _lines(self, report: RayReport, axis: DepthAxis) -> None:
        ray = report.ray
        depths = [ray.expected_depth, ray.median_depth] if ray.opacity > 0 else [None, None]
        for (name, _), depth in zip(LINES, [*depths, ray.target_depth], strict=True):
            dpg.set_value(f"{name}_series", [[] if depth is None else [float(axis.places(depth))]])

    def _curves(self, report: RayReport, axis: DepthAxis) -> None:
        """What the right axis is for, as chosen."""
        ray, densities = report.ray, _densities(report)
        choices = [NO_CURVE, TRANSMITTANCE, *([DENSITY] if densities else [])]
        if dpg.get_item_configuration("ray_curve")["items"] != choices:
            dpg.configure_item("ray_curve", items=choices)
            if dpg.get_value("ray_curve") not in choices:
                dpg.set_value("ray_curve", TRANSMITTANCE)
        curve, top = dpg.get_value("ray_curve"), 1.0
        dpg.configure_item("ray_y2", show=curve != NO_CURVE, label=curve)
        curves: dict[str, tuple[Values, Values]] = {}
        if curve == TRANSMITTANCE:
            depths = np.concatenate([[report.near], np.repeat(ray.depths, 2), [report.far]])
            curves["light"] = (depths, np.repeat(np.concatenate([[1.0], 1 - np.cumsum(ray.weights)]), 2))
        elif curve == DENSITY:
            curves = {name: (ray.depths, values) for name, values in densities.items()}
            top = max(1e-9, *(float(values.max()) for values in densities.values()))
        dpg.set_axis_limits("ray_y2", -ROOM * top, 1.08 * top)
        for name in CURVES:
            z, values = curves.get(name, (np.zeros(0), np.zeros(0)))
            every = max(1, -(-len(z) // MOST_POINTS))
            dpg.set_value(f"{name}_series", [axis.places(z[::every]).tolist(), values[::every].tolist()])


def _densities(report: RayReport) -> dict[str, Values]:
    """Of a radiance field; Gaussians have none."""
    parts = report.ray.parts
    if parts is None or parts.static_density is None or parts.dynamic_density is None:
        return {}
    return {"static_density": parts.static_density, "dynamic_density": parts.dynamic_density}
