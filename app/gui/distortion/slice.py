"""The spatio-temporal slice: one row of a generated camera's pictures over time, beside the scene's own render."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.gui.desk import Desk
from app.gui.widgets.image_series import ImageSeries
from training.overlay import TimeSlice

HEIGHT = 230
SETTLED = 0.35
"""Seconds for which camera and row stay as they are before their slice is asked for."""
TICKS = 4
SIDES = (("generated", "generated"), ("rendered", "the scene"))


class SliceSection:
    """Asks by a button, then again whenever the generated camera or the row has changed. ``shown``: the slice, and
    ``shown_step`` when it was made."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.shown: TimeSlice | None = None
        self.shown_step = 0
        self.step = 0
        self._asked: tuple[int, float] | None = None
        self._waits = False
        self._wanted: tuple[int, float] | None = None
        self._wanted_at = 0.0
        self._now: float | None = None
        self._images = {side: ImageSeries(f"slice_{side}", sharp=True) for side, _ in SIDES}

    def build(self) -> None:
        """The section, in the current container."""
        skin = self._desk.skin
        with dpg.group(horizontal=True):
            dpg.add_button(label="Slice", width=skin.px(70), tag="slice_ask", callback=lambda: self.ask())
            skin.tip("slice_ask", "One row of this generated camera's pictures over time, as generated and as the "
                     "scene has it now")  # fmt: skip
            dpg.add_slider_float(label="row", width=skin.px(120), tag="slice_row", default_value=0.5, max_value=1.0,
                                 clamped=True, format="%.2f")  # fmt: skip
            skin.tip("slice_row", "Of the picture: 0 on top, 1 at the bottom")
        with dpg.group(tag="slice_body", show=False):
            with dpg.subplots(
                1, 2, height=skin.px(HEIGHT), width=-1, no_title=True, no_menus=True, no_resize=True, link_all_x=True,
                link_all_y=True, tag="slice_plots",
            ):  # fmt: skip
                for side, label in SIDES:
                    self._build_side(side, label)
            skin.text("", tag="slice_label", wrap=0)
            skin.text(
                "Time in seconds goes down. Flicker of the generator shows as jagged verticals left that are smooth "
                "right; what moves is slanted on both sides.",
                tag="slice_caption", wrap=0,
            )  # fmt: skip

    def _build_side(self, side: str, label: str) -> None:
        first = side == SIDES[0][0]
        with dpg.plot(label=label, no_menus=True, no_mouse_pos=True, no_box_select=True, tag=f"slice_plot_{side}"):
            dpg.add_plot_axis(dpg.mvXAxis, label="column", tag=f"slice_x_{side}", no_highlight=True, no_gridlines=True)
            with dpg.plot_axis(
                dpg.mvYAxis, tag=f"slice_y_{side}", no_highlight=True, no_gridlines=True, opposite=not first
            ):  # fmt: skip
                self._images[side].build()
                dpg.add_inf_line_series([], label="##now", tag=f"slice_now_{side}", horizontal=True)
        self._desk.skin.series(f"slice_now_{side}", "blue", 1.5)

    # --------------------------------------------------------------------------------------------- what happens

    @property
    def row(self) -> float:
        """Share of the height."""
        return float(dpg.get_value("slice_row"))

    def ask(self) -> None:
        """For the slice of the present camera and row."""
        self._asked, self._waits = (self._desk.stage.display.pose, self.row), True
        self._desk.send(p.SliceTime(*self._asked))

    def clear(self) -> None:
        """Forget it."""
        self.shown = self._asked = self._wanted = None
        self._waits = False
        for image in self._images.values():
            image.clear()
        dpg.configure_item("slice_body", show=False)

    def failed(self) -> None:
        """What was asked may never be answered."""
        self._waits = False

    def answered(self, rows: TimeSlice) -> None:
        """A slice has come."""
        if self._asked is None or rows.pose != self._asked[0]:
            return
        self._waits, self.shown, self.shown_step = False, rows, self.step
        T, W = rows.generated.shape[:2]
        dpg.configure_item("slice_body", show=True)
        self._images["generated"].show(rows.generated, (W, T))
        self._images["rendered"].show(rows.rendered, (W, T))
        instants = range(0, T, -(-T // TICKS))
        ticks = tuple((f"{self._desk.stage.seconds(rows.times[k]):.3g}", T - k - 0.5) for k in instants)
        for side, _ in SIDES:
            dpg.set_axis_ticks(f"slice_y_{side}", ticks)
            dpg.set_axis_ticks(f"slice_x_{side}", tuple((f"{x}", float(x)) for x in (0, W // 2)))
            dpg.set_axis_limits(f"slice_x_{side}", 0, W)
            dpg.set_axis_limits(f"slice_y_{side}", 0, T)
        told = f"Row {rows.row} of generated camera s = {rows.pose}, the scene at step {self.shown_step:,}"
        dpg.set_value("slice_label", told)
        self._now = None

    def tick(self, now: float) -> None:
        """Once per frame of the window: pictures, the present time, and a camera or a row that was changed."""
        for image in self._images.values():
            image.tick()
        self._mark_time()
        wanted = (self._desk.stage.display.pose, self.row)
        if wanted != self._wanted:
            self._wanted, self._wanted_at = wanted, now
        stale = self._asked is not None and wanted != self._asked
        if stale and not self._waits and now - self._wanted_at > SETTLED and dpg.is_item_visible("slice_ask"):
            self.ask()

    def _mark_time(self) -> None:
        time = self._desk.stage.time
        if self.shown is None or time == self._now:
            return
        self._now = time
        T = len(self.shown.times)
        place = T - 0.5 - float(np.interp(time, self.shown.times, np.arange(T)))
        for side, _ in SIDES:
            dpg.set_value(f"slice_now_{side}", [[place]])
