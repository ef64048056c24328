"""The ray inspector: how the weights of a picked pixel spread over depth."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui import theme
from renderer.rays import RayDistribution

MOST_STEMS = 400
"""Contributions that are drawn; the strongest ones."""


class RayPanel:
    """Shows one ray; ``ray`` is the one shown."""

    def __init__(self) -> None:
        self.ray: RayDistribution | None = None

    def build(self) -> None:
        """The section, in the current container."""
        dpg.add_text("Click a pixel to see the weights along its ray.", tag="ray_hint", color=theme.MUTED, wrap=360)
        with dpg.group(tag="ray_body", show=False):
            with dpg.group(horizontal=True):
                dpg.add_color_button(tag="pixel_color", width=22, height=22, no_alpha=True, no_drag_drop=True)
                dpg.add_text("pixel", color=theme.MUTED)
                dpg.add_color_button(tag="composite_color", width=22, height=22, no_alpha=True, no_drag_drop=True)
                dpg.add_text("composite", color=theme.MUTED)
                dpg.add_text("", tag="ray_pixel")
            with dpg.plot(height=224, width=-1, no_menus=True, tag="ray_plot"):
                dpg.add_plot_legend(location=dpg.mvPlot_Location_North, horizontal=True, outside=True)
                dpg.add_plot_axis(dpg.mvXAxis, label="depth (scene units)", tag="ray_x")
                with dpg.plot_axis(dpg.mvYAxis, label="weight", tag="ray_y"):
                    dpg.add_stem_series([], [], label="weight", tag="weight_series")
                    dpg.add_inf_line_series([], label="expected", tag="expected_series")
                    dpg.add_inf_line_series([], label="median", tag="median_series")
                with dpg.plot_axis(dpg.mvYAxis2, label="light left", tag="ray_y2", no_gridlines=True, opposite=True):
                    dpg.add_stair_series([], [], label="transmittance", tag="light_series")
            for tag, color in (
                ("weight_series", theme.ACCENT),
                ("expected_series", theme.AMBER),
                ("median_series", theme.GREEN),
                ("light_series", theme.MUTED),
            ):
                dpg.bind_item_theme(tag, theme.series_theme(color))
            dpg.add_text("", tag="ray_numbers", color=theme.MUTED)

    def show(self, ray: RayDistribution, pixel_color: NDArray[np.float32] | None, step: int) -> None:
        """Show a ray; ``pixel_color`` (3,) is what the picture has at its pixel."""
        self.ray = ray
        dpg.configure_item("ray_hint", show=False)
        dpg.configure_item("ray_body", show=True)
        strongest = np.sort(np.argsort(-ray.weights)[:MOST_STEMS])
        dpg.set_value("weight_series", [ray.depths[strongest].tolist(), ray.weights[strongest].tolist()])
        dpg.set_value("light_series", [ray.depths.tolist(), ray.transmittances.tolist()])
        lines = [[ray.expected_depth], [ray.median_depth]] if ray.opacity > 0 else [[], []]
        dpg.set_value("expected_series", [lines[0]])
        dpg.set_value("median_series", [lines[1]])
        for axis in ("ray_x", "ray_y"):
            dpg.fit_axis_data(axis)
        dpg.set_axis_limits("ray_y2", 0, 1.05)
        _swatch("composite_color", ray.composite)
        _swatch("pixel_color", ray.composite if pixel_color is None else pixel_color)
        dpg.set_value("ray_pixel", f"   {ray.pixel[0]}, {ray.pixel[1]}   step {step:,}")
        if ray.opacity > 0:
            x, y, z = ray.world_point()
            dpg.set_value(
                "ray_numbers",
                f"{len(ray.depths)} Gaussians, opacity {ray.opacity:.3f}\n"
                f"expected {ray.expected_depth:.3f}, median {ray.median_depth:.3f}, spread {ray.spread:.3f}\n"
                f"point at the median  {x:.3f}, {y:.3f}, {z:.3f}",
            )
        else:
            dpg.set_value("ray_numbers", "nothing along this ray")


def _swatch(tag: str, color: NDArray[np.floating]) -> None:
    dpg.set_value(tag, [*(np.clip(color, 0, 1) * 255).tolist(), 255])
