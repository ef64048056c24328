"""The same ray over the clip: weights as a picture of depth over time, with the time that is shown as a cursor."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np

from app.gui.desk import Desk
from app.gui.rays.files import RayFiles
from app.gui.widgets.depth_axis import DepthAxis
from training.trainer import RayThroughTime

HEIGHT = 190
TICKS = 6
BRIGHTEST = 99.5
"""Percentile of the weights that has the brightest colour."""


class TimeSection:
    """A click or a drag in it sets the time. ``history``: what it shows."""

    def __init__(self, desk: Desk, files: RayFiles) -> None:
        self._desk, self._files = desk, files
        self.history: RayThroughTime | None = None
        self._cursor = -1.0
        self._dragging = False

    def build(self) -> None:
        """The section, in the current container."""
        skin = self._desk.skin
        skin.text("A picked ray is read over the whole clip, a moment later.", tag="time_hint", wrap=0)
        with dpg.plot(
            height=skin.px(HEIGHT), width=-1, no_menus=True, no_mouse_pos=True, no_box_select=True, tag="time_plot",
            show=False,
        ):  # fmt: skip
            dpg.add_plot_axis(dpg.mvXAxis, label="time (s)", tag="time_x", no_highlight=True)
            with dpg.plot_axis(dpg.mvYAxis, label="depth (scene units)", tag="time_y", no_highlight=True):
                dpg.add_heat_series([0.0], 1, 1, format="", tag="time_series")
                dpg.add_inf_line_series([], label="##now", tag="now_series")
        skin.series("now_series", "amber", 2)
        dpg.bind_colormap("time_plot", dpg.mvPlotColormap_Viridis)
        skin.text("", tag="time_label", show=False, wrap=0)
        dpg.add_button(label="Export...", tag="time_export", show=False, callback=lambda: self._export())

    def show(self, history: RayThroughTime | None) -> None:
        """Time to the right, depth upwards, the strongest weights brightest."""
        self.history = history
        dpg.configure_item("time_hint", show=history is None)
        for tag in ("time_plot", "time_label", "time_export"):
            dpg.configure_item(tag, show=history is not None)
        if history is None:
            return
        weights = history.weights.T[::-1]  # (B, T), the farthest bin on top
        T, B = history.weights.shape
        half = 0.5 / max(1, T - 1)
        top = max(float(np.percentile(weights, BRIGHTEST)), 1e-6)
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
        axis = DepthAxis(float(history.edges[0]), float(history.edges[-1]))
        dpg.set_axis_ticks("time_y", axis.ticks(TICKS))
        dpg.set_axis_ticks("time_x", self._times())
        dpg.set_axis_limits("time_x", -half, 1 + half)
        dpg.set_axis_limits("time_y", 0, 1)
        dpg.set_value("time_label", f"Brightness is weight per bin of depth, at step {history.step:,}.")

    def _times(self) -> tuple[tuple[str, float], ...]:
        """Labels in seconds."""
        seconds = self._desk.stage.seconds
        return tuple((f"{seconds(time):.2g}", time) for time in np.linspace(0, 1, TICKS).tolist())

    def _export(self) -> None:
        if self.history is not None:
            self._files.through_time(self.history)

    def tick(self) -> None:
        """Once per frame of the window: the cursor, and the mouse in the plot."""
        stage = self._desk.stage
        if stage.time != self._cursor:
            self._cursor = stage.time
            dpg.set_value("now_series", [[stage.time]])
        down = dpg.is_mouse_button_down(dpg.mvMouseButton_Left)
        over = self.history is not None and dpg.is_item_hovered("time_plot")
        if not down:
            self._dragging = False
        elif over and dpg.is_mouse_button_clicked(dpg.mvMouseButton_Left):
            self._dragging = True
        if self._dragging and over:
            stage.set_time(float(dpg.get_plot_mouse_pos()[0]))
