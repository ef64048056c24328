"""The (s, t) matrix of mean distortion as a heat map: what was measured, its colours, and the mouse in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app import protocol as p
from app.gui.desk import Desk
from app.gui.widgets.image_series import ImageSeries
from app.gui.widgets.updates import set_text
from app.plots import HEAT
from renderer.picture import palette_table

HEIGHT, BAR = 230, 90
CELL = 12
"""Pixels of a cell along both axes, so that its edges stay sharp however it is enlarged."""
OFTEN = 0.25
"""Seconds between two pictures of a matrix that grows."""
TICKS = 5
Cell = tuple[int, int]


class MatrixPlot:
    """``jump``: called with the cell (s, column of time) that is clicked."""

    def __init__(self, desk: Desk, jump: Callable[[Cell], None]) -> None:
        self._desk, self._jump = desk, jump
        self._measured: p.DistortionMeasured | None = None
        self._series = ImageSeries("matrix_series", sharp=True)
        self._changed, self._painted_at = False, 0.0
        self._cross: object = None

    def build(self) -> None:
        """The plot, its colours and what is under the mouse, in the current container."""
        skin = self._desk.skin
        with dpg.plot(
            height=skin.px(HEIGHT), width=-1, no_menus=True, no_mouse_pos=True, no_box_select=True, tag="matrix_plot"
        ):
            dpg.add_plot_axis(dpg.mvXAxis, label="time t (s)", tag="matrix_x", no_highlight=True, no_gridlines=True)
            with dpg.plot_axis(
                dpg.mvYAxis, label="generated camera s", tag="matrix_y", no_highlight=True, no_gridlines=True
            ):
                self._series.build()
                dpg.add_inf_line_series([], label="##t", tag="matrix_now")
                dpg.add_inf_line_series([], label="##s", tag="matrix_pose", horizontal=True)
        for tag in ("matrix_now", "matrix_pose"):
            skin.series(tag, "blue", 2)
        with dpg.texture_registry():
            colors = np.ones((256, 4), np.float32)
            colors[:, :3] = palette_table(HEAT)
            dpg.add_static_texture(256, 1, colors.ravel().tolist(), tag="matrix_colors")
        with dpg.group(horizontal=True, tag="matrix_bar"):
            skin.text("0")
            dpg.add_image("matrix_colors", width=skin.px(BAR), height=skin.px(16))
            skin.text("", tag="matrix_top")
        skin.text("Point at a cell to read it; click it to go there.", tag="matrix_place", wrap=0)

    # ----------------------------------------------------------------------------------------- what it shows

    @property
    def measured(self) -> p.DistortionMeasured | None:
        """What is shown."""
        return self._measured

    @property
    def known(self) -> int:
        """Cells that have a value."""
        return 0 if self._measured is None else int(np.isfinite(self._measured.matrix).sum())

    @property
    def worst(self) -> Cell | None:
        """The cell with the largest value; None where nothing is measured."""
        if self._measured is None or not self.known:
            return None
        s, column = np.unravel_index(np.nanargmax(self._measured.matrix), self._measured.matrix.shape)
        return int(s), int(column)

    def time_of(self, column: int) -> float:
        """In [0, 1], of a column."""
        assert self._measured is not None, "nothing is shown"
        return float(self._measured.times[column])

    def show(self, measured: p.DistortionMeasured | None) -> None:
        """Show this from the next picture on."""
        self._measured, self._changed, self._cross = measured, True, None

    def recolor(self) -> None:
        """The theme has changed."""
        self._changed = True

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """Paint what has changed, cross hairs, the mouse."""
        if self._changed and now - self._painted_at > OFTEN:
            self._changed, self._painted_at = False, now
            self._paint()
        self._series.tick()
        self._draw_cross()
        self._follow_mouse()

    def _paint(self) -> None:
        m = self._measured
        if m is None:
            self._series.clear()
            return
        P, T = m.matrix.shape
        top = float(np.nanmax(m.matrix)) if self.known else 0.0
        self._series.show(self._pixels(m.matrix, top), (T, P))
        columns, rows = (range(0, n, -(-n // TICKS)) for n in (T, P))
        dpg.set_axis_ticks("matrix_x", tuple((f"{self._desk.stage.seconds(m.times[k]):.3g}", k + 0.5) for k in columns))
        dpg.set_axis_ticks("matrix_y", tuple((str(k), P - k - 0.5) for k in rows))
        dpg.set_axis_limits("matrix_x", 0, T)
        dpg.set_axis_limits("matrix_y", 0, P)
        dpg.set_value("matrix_top", f"{top:.3g} {m.unit}" if self.known else m.unit)

    def _pixels(self, matrix: NDArray[np.float32], top: float) -> NDArray[np.uint8]:
        """(P * CELL, T * CELL, 3); a cell without a value is hatched."""
        table = (255 * palette_table(HEAT) + 0.5).astype(np.uint8)
        shares = np.clip(np.nan_to_num(matrix) / max(top, 1e-12), 0, 1)
        large = table[(255 * shares + 0.5).astype(int)].repeat(CELL, 0).repeat(CELL, 1)
        unknown = np.isnan(matrix).repeat(CELL, 0).repeat(CELL, 1)
        y, x = np.indices(unknown.shape)
        skin = self._desk.skin
        for stripe, name in ((0, "plot"), (1, "hover")):
            large[unknown & ((x + y) // (CELL // 3) % 3 // 2 == stripe)] = skin.color(name)[:3]
        return large

    def _draw_cross(self) -> None:
        m, stage = self._measured, self._desk.stage
        wanted = None if m is None else (stage.time, stage.display.pose)
        if wanted == self._cross:
            return
        self._cross = wanted
        lines: tuple[list[float], list[float]] = ([], [])
        if m is not None and len(m.times):
            column = float(np.interp(stage.time, m.times, np.arange(len(m.times))))
            lines = [column + 0.5], [len(m.matrix) - stage.display.pose - 0.5]
        for tag, places in zip(("matrix_now", "matrix_pose"), lines, strict=True):
            dpg.set_value(tag, [places])

    def _follow_mouse(self) -> None:
        m, text = self._measured, "Point at a cell to read it; click it to go there."
        if m is not None and dpg.is_item_hovered("matrix_plot"):
            x, y = dpg.get_plot_mouse_pos()
            P, T = m.matrix.shape
            if 0 <= x < T and 0 < y <= P:
                cell = (min(P - 1, int(P - y)), int(x))
                value = float(m.matrix[cell])
                told = "not measured" if np.isnan(value) else f"{value:.3g} {m.unit}"
                text = f"s = {cell[0]}, t = {self._desk.stage.seconds(m.times[cell[1]]):.3g} s: {told}"
                if dpg.is_mouse_button_clicked(dpg.mvMouseButton_Left):
                    self._jump(cell)
        set_text("matrix_place", text)


def merged(new: p.DistortionMeasured, old: p.DistortionMeasured | None) -> p.DistortionMeasured:
    """A matrix that grows, over the one that was measured before: nothing goes dark while it is measured anew."""
    if old is None or old.head != new.head or old.matrix.shape != new.matrix.shape or [*old.times] != [*new.times]:
        return new
    return replace(new, matrix=np.where(np.isnan(new.matrix), old.matrix, new.matrix))
