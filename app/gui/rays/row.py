"""A row of rays: the slice of weights under a line that was drawn across the picture, seen from above."""

from __future__ import annotations

import time
from dataclasses import replace

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.gui.desk import Desk
from app.gui.rays.files import RayFiles
from app.gui.scenery import across
from app.gui.widgets.depth_axis import DepthAxis
from app.gui.widgets.image_series import ImageSeries
from app.gui.widgets.updates import set_text
from app.ray_plots import CONTRAST, NAMES, SLICE
from renderer.camera import Camera
from renderer.picture import palette_table
from renderer.weights import Quantity

HEIGHT = 220
TICKS, PLACES = 6, 5
LINE = (1.0, 0.76, 0.25)
BRIGHTEST = 99.9
"""Percentile of the values that has the brightest colour."""
OFTEN, SHARE = 1.0, 12
"""Seconds between two slices while training at least, and how many times as long as one takes."""
BY_NAME: dict[str, Quantity] = {name: quantity for quantity, name in NAMES.items()}


class RowSection:
    """Draws the line, asks for its slice, shows it, and asks anew when training or time has gone on. ``picked``: what
    is shown. ``step``: that training has come to."""

    def __init__(self, desk: Desk, files: RayFiles) -> None:
        self._desk, self._files = desk, files
        self.picked: p.LinePicked | None = None
        self._line: p.PickLine | None = None
        self._asked: p.PickLine | None = None
        self._asked_at, self._took, self._waits = 0.0, 0.0, False
        self.step = 0
        self._series = ImageSeries("row_series")
        self._drawn: object = None

    @property
    def quantity(self) -> Quantity:
        """What of the weights is shown."""
        return BY_NAME[dpg.get_value("row_quantity")]

    def build(self) -> None:
        """The section, in the current container."""
        skin = self._desk.skin
        with dpg.group(horizontal=True):
            dpg.add_button(label="Draw a line", width=skin.px(130), tag="row_draw", callback=lambda: self.toggle())
            skin.tip("row_draw", "Then drag across the picture: the weights of all rays under the line, from above.")
            dpg.add_button(label="Export...", tag="row_export", callback=lambda: self._export(), show=False)
            dpg.add_button(label="Clear", tag="row_clear", callback=lambda: self.clear(), show=False)
        skin.text(
            "Draw a line across the picture to see the weights of all rays under it from above: clean geometry is one "
            "thin bright curve, what floats is a second one.",
            tag="row_hint", wrap=0,
        )  # fmt: skip
        with dpg.group(tag="row_body", show=False):
            dpg.add_combo(
                list(BY_NAME), default_value=NAMES["blended"], width=-1, tag="row_quantity",
                callback=lambda: self._show(),
            )  # fmt: skip
            with dpg.plot(
                height=skin.px(HEIGHT), width=-1, no_menus=True, no_mouse_pos=True, no_box_select=True, tag="row_plot"
            ):
                dpg.add_plot_axis(dpg.mvXAxis, label="along the line (pixels)", tag="row_x", no_highlight=True)
                with dpg.plot_axis(dpg.mvYAxis, label="depth (scene units)", tag="row_y", no_highlight=True):
                    self._series.build()
            skin.text("", tag="row_label", wrap=0)
            skin.text("", tag="row_place", wrap=0)

    def toggle(self) -> None:
        """Begin or end to draw lines."""
        stage = self._desk.stage
        stage.drawing_line = not stage.drawing_line
        stage.version += 1

    def clear(self) -> None:
        """Forget the line."""
        self.picked = self._line = self._asked = None
        self._waits = False
        self._show()

    def answered(self, event: p.LinePicked) -> None:
        """The slice has come."""
        if event.line != self._asked:
            return
        self._took, self._waits = time.monotonic() - self._asked_at, False
        self.picked = event
        self._show()

    def failed(self) -> None:
        """What was asked may never be answered."""
        self._waits = False

    def _export(self) -> None:
        if self.picked is not None:
            self._files.slice(self.picked, self.quantity)

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """A new line, a new time, a new step; the line in the picture; the mouse in the plot."""
        stage = self._desk.stage
        while stage.lines:
            drawn = stage.lines.popleft()
            self._line = p.PickLine(replace(drawn.view, overlay="", pose=0), drawn.start, drawn.end)
            self._asked, stage.drawing_line = None, False
            stage.version += 1
        self._ask(now)
        self._mark()
        label = "Drag in the picture" if stage.drawing_line else "Draw a line"
        if dpg.get_item_label("row_draw") != label:
            dpg.set_item_label("row_draw", label)
            (self._desk.skin.primary if stage.drawing_line else self._plain)("row_draw")
        self._series.tick()
        self._tell_place()

    def _plain(self, button: str) -> None:
        dpg.bind_item_theme(button, 0)

    def _ask(self, now: float) -> None:
        """For the slice, where that of this line and time is not there, and again as training goes on."""
        if self._line is None or self._waits:
            return
        self._line = replace(self._line, view=replace(self._line.view, time=self._desk.stage.time))
        if self._line == self._asked:
            rested = now - self._asked_at > max(OFTEN, SHARE * self._took)
            older = self.picked is not None and self.picked.step != self.step
            if not (rested and older and dpg.is_item_visible("row_plot")):
                return
        self._asked, self._asked_at, self._waits = self._line, now, True
        self._desk.send(self._line)

    def _mark(self) -> None:
        """The line in the picture, while that is the view that it was drawn across."""
        stage, line = self._desk.stage, self._line
        frame = stage.frames.get("left")
        there = line is not None and frame is not None and same_view(frame.view.camera, line.view.camera)
        wanted = (line.view.camera, line.start, line.end) if there and line is not None else None
        if wanted == self._drawn:
            return
        self._drawn = wanted
        if wanted is None:
            stage.drawn.pop("row", None)
        else:
            stage.drawn["row"] = across(*wanted, LINE)
        stage.version += 1

    # ---------------------------------------------------------------------------------------- what is shown

    def _show(self) -> None:
        picked = self.picked
        for tag in ("row_body", "row_export", "row_clear"):
            dpg.configure_item(tag, show=picked is not None)
        dpg.configure_item("row_hint", show=picked is None)
        if picked is None:
            return
        values = picked.slices[self.quantity]
        W = len(values)
        top = max(float(np.percentile(values, BRIGHTEST)), 1e-9)
        colors = (255 * palette_table(SLICE)).astype(np.uint8)
        shown = colors[(255 * np.clip(values.T[::-1] / top, 0, 1) ** CONTRAST).astype(int)]  # the farthest on top
        self._series.show(shown, (W, 1))
        axis = self._axis(picked)
        dpg.set_axis_ticks("row_y", axis.ticks(TICKS))
        dpg.set_axis_ticks("row_x", tuple((str(x), float(x)) for x in _round_places(W)))
        dpg.set_axis_limits("row_x", 0, W)
        dpg.set_axis_limits("row_y", 0, 1)
        dpg.set_value("row_label", f"time {picked.line.view.time:.3f}, step {picked.step:,}; brightest at {top:.3g}")

    def _tell_place(self) -> None:
        """What is under the mouse."""
        picked, text = self.picked, " "
        if picked is not None and dpg.is_item_hovered("row_plot"):
            x, y = dpg.get_plot_mouse_pos()
            values = picked.slices[self.quantity]
            W, B = values.shape
            if 0 <= x < W and 0 <= y < 1:
                (x0, y0), (x1, y1) = picked.line.start, picked.line.end
                column, row = x0 + (x1 - x0) * x / W, y0 + (y1 - y0) * x / W
                depth = float(self._axis(picked).depths(y))
                text = f"pixel {column:.0f}, {row:.0f}; depth {depth:.4g}: {values[int(x), int(y * B)]:.3g}"
        set_text("row_place", text)

    @staticmethod
    def _axis(picked: p.LinePicked) -> DepthAxis:
        return DepthAxis(float(picked.edges[0]), float(picked.edges[-1]))


def _round_places(count: int) -> list[int]:
    """A few round numbers below a count, none so near to it that its label would be cut off."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, count) if s * PLACES >= count)
    return list(range(0, max(1, round(0.95 * count)), step))


def same_view(a: Camera, b: Camera) -> bool:
    """Whether two cameras see the same, at whatever size."""
    a = a.resized(b.width, b.height)
    inside, other = ([c.fx, c.fy, c.cx, c.cy] for c in (a, b))
    return np.allclose(a.world_to_camera, b.world_to_camera, atol=1e-9) and np.allclose(inside, other, atol=0.51)
