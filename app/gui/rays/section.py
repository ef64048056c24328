"""The ray that is shown: its weights, its colours and its numbers."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.desk import Desk
from app.gui.rays.numbers import BESIDE, dense_rows
from app.gui.rays.plot import RayPlot
from app.gui.widgets.depth_axis import DepthAxis
from app.gui.widgets.updates import set_text
from app.pins import Reading, bare
from app.ray_report import RayReport

SWATCHES = (
    ("pixel_color", "pixel", "What the picture shows at the pixel."),
    ("composite_color", "composite", "Sum of weight times colour along the ray: what the scene draws there."),
)


class RaySection:
    """``pin``, ``export``: what its buttons do."""

    def __init__(self, desk: Desk, pin: Callable[[], None], export: Callable[[], None]) -> None:
        self._desk, self._pin, self._export = desk, pin, export
        self._plot = RayPlot(desk.skin)

    def build(self) -> None:
        """The section, in the current container."""
        skin = self._desk.skin
        skin.text("Click a pixel in the picture to see the weights along its ray.", tag="ray_hint", wrap=0)
        skin.text("", "text", tag="ray_note", wrap=0, show=False)
        with dpg.group(tag="ray_body", show=False):
            with dpg.group(horizontal=True):
                dpg.add_button(label="Pin", tag="ray_pin", callback=lambda: self._pin())
                skin.tip("ray_pin", "Keep this ray, to follow it and to compare it with others (P).")
                dpg.add_button(label="Export...", tag="ray_export", callback=lambda: self._export())
                skin.tip("ray_export", "This ray into a PNG, CSV or JSON file.")
            skin.text("", tag="ray_title", wrap=0)
            with dpg.group(horizontal=True):
                for tag, label, about in SWATCHES:
                    size = skin.px(22)
                    dpg.add_color_button(tag=tag, width=size, height=size, no_alpha=True, no_drag_drop=True)
                    skin.tip(skin.text(label, tag=f"{tag}_label"), about)
                skin.text("", tag="ray_place")
            self._plot.build()
            self._build_numbers()

    def _build_numbers(self) -> None:
        skin = self._desk.skin
        with dpg.table(header_row=False, policy=dpg.mvTable_SizingFixedFit, tag="ray_numbers"):
            dpg.bind_item_theme("ray_numbers", dense_rows(skin))
            dpg.add_table_column(width_fixed=True)
            dpg.add_table_column(width_stretch=True)
            for number in BESIDE:
                with dpg.table_row():
                    skin.tip(skin.text(number.name, number.color), number.about)
                    skin.text("", "text", tag=f"ray {number.name}", wrap=0)

    def clear(self) -> None:
        """No ray is shown."""
        self.note("")
        dpg.configure_item("ray_body", show=False)
        dpg.configure_item("ray_hint", show=True)

    def note(self, text: str) -> None:
        """A sentence above the ray; none where it is empty."""
        dpg.set_value("ray_note", text)
        dpg.configure_item("ray_note", show=bool(text))

    def show(self, reading: Reading, axis: DepthAxis, of_checkpoint: bool) -> None:
        """Show a ray."""
        report = reading.report
        dpg.configure_item("ray_hint", show=False)
        dpg.configure_item("ray_body", show=True)
        self._plot.show(report, axis)
        x, y = report.ray.pixel
        of = "checkpoint of step" if of_checkpoint else "step"
        set_text("ray_title", f"pixel {x}, {y}, time {report.ray.view.time:.3f}, {of} {reading.step:,}")
        for number in BESIDE:
            set_text(f"ray {number.name}", number.read(reading))
        color = self._pixel_color(report)
        for tag in ("pixel_color", "pixel_color_label"):
            dpg.configure_item(tag, show=color is not None)
        _swatch("composite_color", report.ray.composite)
        if color is not None:
            _swatch("pixel_color", color)

    def tick(self) -> None:
        """Once per frame of the window: the depth under the mouse."""
        depth = self._plot.depth_under_mouse()
        set_text("ray_place", "" if depth is None else f"   mouse at depth {depth:.4g}")

    def _pixel_color(self, report: RayReport) -> NDArray[np.floating] | None:
        """What the picture shows at the ray's pixel; None where it shows something else."""
        x, y = report.ray.pixel
        for frame in self._desk.stage.frames.values():
            if bare(frame.view) == report.ray.view:
                return frame.color[y, x]
        return None


def _swatch(tag: str, color: NDArray[np.floating]) -> None:
    dpg.set_value(tag, [*(np.clip(color, 0, 1) * 255).tolist(), 255])
