"""The ray inspector: how the weights of a picked pixel spread over depth, and how far they are from the known depth."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel
from app.gui.stage import Spot
from renderer import ray_maps
from renderer.rays import RayDistribution
from renderer.weights import depth_edges
from training.trainer import RayThroughTime

MOST_STEMS = 400
"""Contributions that are drawn; the strongest ones."""
BINS = 64
"""Of depth, in which modes are counted."""
DEPTH_TICKS = 5
LINES = (("expected", "amber"), ("median", "green"), ("target", "text"))
STEMS = (("static", "blue"), ("dynamic", "orange"), ("weight", "blue"))


class RayPanel(Panel):
    """Shows one ray; ``ray`` is the one shown."""

    title = "Rays"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.ray: RayDistribution | None = None
        self._now = -1.0

    def build(self) -> None:
        """The section, in the current container."""
        self.desk.skin.text("Click a pixel to see the weights along its ray.", tag="ray_hint", wrap=360)
        with dpg.group(tag="ray_body", show=False):
            with dpg.group(horizontal=True):
                dpg.add_color_button(tag="pixel_color", width=22, height=22, no_alpha=True, no_drag_drop=True)
                self.desk.skin.text("pixel")
                dpg.add_color_button(tag="composite_color", width=22, height=22, no_alpha=True, no_drag_drop=True)
                self.desk.skin.text("composite")
                dpg.add_text("", tag="ray_pixel")
            with dpg.plot(height=236, width=-1, no_menus=True, tag="ray_plot"):
                dpg.add_plot_legend(location=dpg.mvPlot_Location_North, horizontal=True, outside=True)
                dpg.add_plot_axis(dpg.mvXAxis, label="depth (scene units)", tag="ray_x")
                with dpg.plot_axis(dpg.mvYAxis, label="weight", tag="ray_y"):
                    for name, _ in STEMS:
                        dpg.add_stem_series([], [], label=name, tag=f"{name}_series")
                    dpg.add_scatter_series([], [], label="##samples", tag="samples_series")
                    for name, _ in LINES:
                        dpg.add_inf_line_series([], label=name, tag=f"{name}_series")
                with dpg.plot_axis(dpg.mvYAxis2, label="light left", tag="ray_y2", no_gridlines=True, opposite=True):
                    dpg.add_stair_series([], [], label="##light", tag="light_series")
            for name, color in (*STEMS, *LINES, ("samples", "grey"), ("light", "grey")):
                self.desk.skin.series(f"{name}_series", color)
            self.desk.skin.text("", tag="ray_numbers")
            with dpg.plot(height=150, width=-1, no_menus=True, tag="time_plot", show=False, no_mouse_pos=True):
                dpg.add_plot_axis(dpg.mvXAxis, label="the same ray through time", tag="time_x")
                with dpg.plot_axis(dpg.mvYAxis, label="depth", tag="time_y"):
                    dpg.add_heat_series([0.0], 1, 1, format="", tag="time_series")
                    dpg.add_inf_line_series([], label="##now", tag="now_series")
            self.desk.skin.series("now_series", "amber")
            dpg.bind_colormap("time_plot", dpg.mvPlotColormap_Viridis)

    def tick(self, now: float) -> None:
        """Ask for the ray of what was clicked."""
        stage = self.desk.stage
        while stage.clicks:
            pressed = stage.clicks.popleft()
            self.desk.send(p.Pick(pressed.look.view, pressed.pixel))
        self.set_time(stage.time)

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        if isinstance(event, p.Picked):
            ray = event.ray
            self.show(ray, None, event.step, event.samples)
            point = ray.world_point() if ray.opacity > 0 else None
            self.desk.stage.spots["rays"] = [Spot(point, ray.view, ray.pixel, (1.0, 0.76, 0.25))]
            self.desk.stage.version += 1
        elif isinstance(event, p.PickedThroughTime):
            self.show_through_time(event.history)

    def show_through_time(self, history: RayThroughTime) -> None:
        """Show the ray over the clip: time to the right, depth upwards, the strongest weights brightest."""
        if self.ray is None or self.ray.pixel != history.pixel:
            return
        weights = history.weights.T[::-1]  # (B, T), the farthest bin on top
        T, B = history.weights.shape
        half = 0.5 / max(1, T - 1)
        top = max(float(np.percentile(weights, 99.5)), 1e-6)
        dpg.set_value("time_series", [np.sqrt(np.clip(weights / top, 0, 1)).ravel().tolist(), []])
        dpg.configure_item(
            "time_series",
            rows=B,
            cols=T,
            scale_min=0.0,
            scale_max=1.0,
            bounds_min=(-half, 0.0),
            bounds_max=(1 + half, 1.0),
        )
        depths = 1 / np.linspace(1 / history.edges[0], 1 / history.edges[-1], DEPTH_TICKS)
        places = np.linspace(0, 1, DEPTH_TICKS)
        ticks = tuple((f"{z:.3g}", float(place)) for z, place in zip(depths, places, strict=True))
        dpg.set_axis_ticks("time_y", ticks)
        dpg.set_axis_limits("time_x", -half, 1 + half)
        dpg.set_axis_limits("time_y", 0, 1)
        dpg.configure_item("time_plot", show=True)

    def set_time(self, time: float) -> None:
        """The instant that the viewport shows."""
        if self.ray is not None and time != self._now:
            self._now = time
            dpg.set_value("now_series", [[time]])

    def show(
        self,
        ray: RayDistribution,
        pixel_color: NDArray[np.float32] | None,
        step: int,
        samples: NDArray[np.float64],
    ) -> None:
        """Show a ray; ``pixel_color`` (3,) is what the picture has at its pixel, ``samples`` (K,) depths that DDR's
        estimator draws from it."""
        self.ray = ray
        dpg.configure_item("ray_hint", show=False)
        dpg.configure_item("ray_body", show=True)
        self._draw_weights(ray)
        dpg.set_value("light_series", [ray.depths.tolist(), ray.transmittances.tolist()])
        low = -0.04 * float(ray.weights.max(initial=0))  # a rug below the stems
        dpg.set_value("samples_series", [samples.tolist(), [low] * len(samples)])
        lines = [[ray.expected_depth], [ray.median_depth]] if ray.opacity > 0 else [[], []]
        lines.append([] if ray.target_depth is None else [ray.target_depth])
        for (name, _), line in zip(LINES, lines, strict=True):
            dpg.set_value(f"{name}_series", [line])
        for axis in ("ray_x", "ray_y"):
            dpg.fit_axis_data(axis)
        dpg.set_axis_limits("ray_y2", 0, 1.05)
        _swatch("composite_color", ray.composite)
        _swatch("pixel_color", ray.composite if pixel_color is None else pixel_color)
        dpg.set_value("ray_pixel", f"   {ray.pixel[0]}, {ray.pixel[1]}   step {step:,}")
        dpg.set_value("ray_numbers", _numbers(ray))

    def _draw_weights(self, ray: RayDistribution) -> None:
        """Stems of the static and of the dynamic part where the scene tells them apart, else of the whole."""
        strongest = np.sort(np.argsort(-ray.weights)[:MOST_STEMS])
        parts = ray.parts
        for name, _ in STEMS:
            of = ray.weights if parts is None else {"static": parts.of_static, "dynamic": parts.of_dynamic}.get(name)
            shown = of is not None and (parts is not None) == (name != "weight")
            there = strongest if of is None else strongest[of[strongest] > 0]
            values = [ray.depths[there].tolist(), of[there].tolist()] if shown and of is not None else [[], []]
            dpg.set_value(f"{name}_series", values)
            dpg.configure_item(f"{name}_series", show=shown)


def _numbers(ray: RayDistribution) -> str:
    if not ray.opacity > 0:
        return "nothing along this ray"
    what = "samples" if ray.edges is not None else "Gaussians"
    lines = [
        f"{len(ray.depths)} {what}, opacity {ray.opacity:.3f}, {_modes(ray)}",
        f"expected {ray.expected_depth:.3f}, median {ray.median_depth:.3f}, spread {ray.spread:.3f}",
    ]
    if ray.target_depth is not None:
        D = ray.target_depth
        lines.append(f"target {D:.3f}: E|t-D| {ray.expected_error(D):.3f}, |E[t]-D| {ray.error_of_expectation(D):.3f}")
    x, y, z = ray.world_point()
    lines.append(f"point at the median  {x:.3f}, {y:.3f}, {z:.3f}")
    return "\n".join(lines)


def _modes(ray: RayDistribution) -> str:
    met = ray.depths[ray.weights > 0]
    near, far = max(1e-6, 0.8 * float(met.min())), 1.2 * float(met.max())
    histogram = ray.histogram(depth_edges(near, far, BINS))
    count = int(ray_maps.modes(histogram))
    return f"{count} mode{'' if count == 1 else 's'}, entropy {float(ray_maps.entropy(histogram)):.2f}"


def _swatch(tag: str, color: NDArray[np.floating]) -> None:
    dpg.set_value(tag, [*(np.clip(color, 0, 1) * 255).tolist(), 255])
