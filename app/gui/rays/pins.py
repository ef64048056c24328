"""The rays that are kept: a list of them, their weights in one plot, and their numbers side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np

from app.gui.desk import Desk
from app.gui.rays.files import RayFiles
from app.gui.rays.numbers import COMPARED, dense_rows
from app.gui.widgets.depth_axis import DepthAxis
from app.gui.widgets.updates import set_text
from app.pins import RGB, Pin, PinBoard, Pins, added, changed, found, without
from app.protocol import Pick

HEIGHT, LINE_HEIGHT = 200, 24
TICKS = 5
MOST_CHECKPOINTS = 10
"""That are offered to compare with; spread over all."""
Item = int | str


class PinSection:
    """``go``: looks from where a pin was picked, and shows its ray. ``checkpoints``: steps to compare with."""

    def __init__(self, desk: Desk, board: PinBoard, go: Callable[[Pin], None], files: RayFiles) -> None:
        self._desk, self._board, self._go, self._files = desk, board, go, files
        self._built: object = None
        self._cells: dict[tuple[str, int], Item] = {}
        self._names: dict[str, Item] = {}
        self._series: dict[str, Item] = {}
        self._themes: dict[RGB, Item] = {}
        self._dense: Item = 0
        self._axis: DepthAxis | None = None
        self.checkpoints: Sequence[int] = ()

    def build(self) -> None:
        """The section, in the current container."""
        skin = self._desk.skin
        self._dense = dense_rows(skin)
        skin.text(
            "Pin the ray that is shown (P), or Shift+click in the picture: pinned rays are followed while training and "
            "compared here, also with another time or a checkpoint.",
            tag="pins_hint", wrap=0,
        )  # fmt: skip
        dpg.add_group(tag="pins_list")
        with dpg.group(tag="pins_body", show=False):
            with dpg.plot(
                height=skin.px(HEIGHT), width=-1, no_menus=True, no_mouse_pos=True, no_box_select=True, tag="pins_plot"
            ):
                dpg.add_plot_axis(dpg.mvXAxis, label="depth (scene units)", tag="pins_x", no_highlight=True)
                dpg.add_plot_axis(dpg.mvYAxis, label="weight per bin", tag="pins_y", no_highlight=True)
            dpg.add_group(tag="pins_numbers")
            dpg.add_button(label="Export all...", tag="pins_export", callback=lambda: self._export())
            skin.tip("pins_export", "All pinned rays that are shown, into a PNG, CSV or JSON file.")
        dpg.add_window(tag="pin_menu", popup=True, show=False, autosize=True, no_title_bar=True, no_move=True)

    def opened(self, axis: DepthAxis, checkpoints: Sequence[int]) -> None:
        """Another scene, with depths and checkpoints of its own."""
        self._axis, self.checkpoints = axis, checkpoints

    def _export(self) -> None:
        readings = [reading for _, reading in self._board.compared]
        if readings:
            self._files.pins(readings)

    # --------------------------------------------------------------------------------------------- editing

    def edit(self, pins: Pins, label: str) -> None:
        """Replace the pins, so that it can be undone."""
        before = self._board.pins
        self._board.set(pins)
        self._desk.history.changed("pins", before, label)

    def pin(self, pick: Pick) -> None:
        """Keep a ray; once only."""
        same = found(self._board.pins, pick)
        if same is not None:
            self._desk.say(f"This ray is pinned already, as {same.name}")
            return
        self.edit(added(self._board.pins, pick), "pin the ray")

    def _again(self, pin: Pin, label: str, **values: Any) -> None:
        """Keep the same ray at another time, or of another step."""
        view = replace(pin.view, time=values.get("time", pin.view.time))
        pick = Pick(view, pin.pixel, step=values.get("step", pin.step))
        self.edit(added(self._board.pins, pick, f"{pin.name} {label}".strip()), "compare the ray")

    def _freeze(self, pin: Pin) -> None:
        frozen = None if pin.frozen is not None else self._board.reading(pin)
        if frozen is not None or pin.frozen is not None:
            self.edit(changed(self._board.pins, pin.key, frozen=frozen), "freeze the ray" if frozen else "follow it")

    # ---------------------------------------------------------------------------------------- what is shown

    def show(self) -> None:
        """Bring the widgets up to date with the pins and with what is known of them."""
        pins, board = self._board.pins, self._board
        structure = [(pin.key, pin.color, pin.shown, pin.frozen is None) for pin in pins]
        known = [pin.key for pin, _ in board.compared]
        if self._built != (structure, known):
            self._built = (structure, known)
            self._build_list(pins)
            self._build_comparison()
        for pin in pins:
            set_text(self._names[pin.key], pin.name)
        self._fill()

    def _build_list(self, pins: Pins) -> None:
        dpg.configure_item("pins_hint", show=not pins)
        dpg.delete_item("pins_list", children_only=True)
        self._names.clear()
        px = self._desk.skin.px
        for pin in pins:
            with dpg.group(horizontal=True, parent="pins_list"):
                dpg.add_checkbox(
                    default_value=pin.shown, tag=self._tag("show", pin), user_data=pin.key, callback=self._toggled
                )
                dpg.add_color_button(
                    (*pin.color, 255), width=px(20), height=px(20), no_alpha=True, no_drag_drop=True, no_border=True,
                    no_tooltip=True,
                )  # fmt: skip
                field = dpg.add_input_text(
                    default_value=pin.name, width=px(-102), tag=self._tag("name", pin), user_data=pin.key,
                    callback=self._renamed,
                )  # fmt: skip
                go = dpg.add_button(label="Go", tag=self._tag("go", pin), user_data=pin.key, callback=self._gone_to)
                more = dpg.add_button(
                    label="...", tag=self._tag("more", pin), user_data=pin.key, callback=self._open_menu
                )
            self._names[pin.key] = field
            self._desk.skin.tip(self._tag("show", pin), "Show or hide it, here and in the picture.")
            self._desk.skin.tip(go, "Look from where it was picked, at its time, and show it above.")
            self._desk.skin.tip(more, "Compare with another time or a checkpoint, freeze, unpin.")

    def _build_comparison(self) -> None:
        compared, skin = self._board.compared, self._desk.skin
        dpg.configure_item("pins_body", show=bool(compared))
        for series in self._series.values():
            dpg.delete_item(series)
        dpg.delete_item("pins_numbers", children_only=True)
        self._series.clear()
        self._cells.clear()
        for pin, _ in compared:
            series = dpg.add_line_series([], [], label=f"##{pin.key}", parent="pins_y", tag=self._tag("series", pin))
            dpg.bind_item_theme(series, self._theme(pin.color))
            self._series[pin.key] = series
        if not compared:
            return
        height = skin.px(LINE_HEIGHT * (len(COMPARED) + 1) + 14)
        with dpg.table(
            parent="pins_numbers", header_row=False, scrollX=True, freeze_columns=1, borders_innerV=True,
            policy=dpg.mvTable_SizingFixedFit, height=height, tag="pins_table", no_saved_settings=True,
        ):  # fmt: skip
            dpg.bind_item_theme("pins_table", self._dense)
            for _ in range(len(compared) + 1):
                dpg.add_table_column()
            with dpg.table_row():
                dpg.add_text("")
                for pin, _ in compared:
                    self._cells[pin.key, -1] = dpg.add_text("", color=pin.color)
            for index, number in enumerate(COMPARED):
                with dpg.table_row():
                    skin.tip(skin.text(number.name), number.about)
                    for pin, _ in compared:
                        tag = f"{pin.key} {number.name}"
                        self._cells[pin.key, index] = skin.text("", "text", tag=tag)

    def _fill(self) -> None:
        axis, compared = self._axis, self._board.compared
        if axis is None or not compared:
            return
        top = 1e-6
        for pin, reading in compared:
            report = reading.report
            top = max(top, float(report.histogram.max()))
            x = np.repeat(axis.places(report.edges), 2)[1:-1]
            dpg.set_value(self._series[pin.key], [x.tolist(), np.repeat(report.histogram, 2).tolist()])
            set_text(self._cells[pin.key, -1], report.name)
            for index, number in enumerate(COMPARED):
                set_text(self._cells[pin.key, index], number.read(reading))
        dpg.set_axis_ticks("pins_x", axis.ticks(TICKS))
        dpg.set_axis_limits("pins_x", -0.01, 1.01)
        dpg.set_axis_limits("pins_y", 0, 1.08 * top)

    def _theme(self, color: RGB) -> Item:
        if color not in self._themes:
            with dpg.theme() as theme, dpg.theme_component(dpg.mvLineSeries):
                dpg.add_theme_color(dpg.mvPlotCol_Line, (*color, 255), category=dpg.mvThemeCat_Plots)
                width = 1.8 * self._desk.skin.scale
                dpg.add_theme_style(dpg.mvPlotStyleVar_LineWeight, width, category=dpg.mvThemeCat_Plots)
            self._themes[color] = theme
        return self._themes[color]

    @staticmethod
    def _tag(what: str, pin: Pin) -> str:
        return f"{what} {pin.key}"

    # ----------------------------------------------------------------------------------- what people do

    def _found(self, key: str) -> Pin | None:
        return next((pin for pin in self._board.pins if pin.key == key), None)

    def _toggled(self, sender: Item, shown: bool, key: str) -> None:
        self.edit(changed(self._board.pins, key, shown=shown), "show the ray" if shown else "hide the ray")

    def _renamed(self, sender: Item, name: str, key: str) -> None:
        self.edit(changed(self._board.pins, key, name=name), "rename the ray")

    def _gone_to(self, sender: Item, data: object, key: str) -> None:
        pin = self._found(key)
        if pin is not None:
            self._go(pin)

    def _open_menu(self, sender: Item, data: object, key: str) -> None:
        """What can be done with a pin, under the mouse."""
        pin, at = self._found(key), self._desk.stage.time
        if pin is None:
            return
        dpg.delete_item("pin_menu", children_only=True)
        self._offer("Same ray at the time shown now", "pin_now", lambda: self._again(pin, f"at {at:.2f}", time=at))
        freeze = "Follow training again" if pin.frozen is not None else "Freeze as it is now"
        if pin.step is None:
            self._offer(freeze, "pin_freeze", lambda: self._freeze(pin))
        self._offer("Unpin", "pin_remove", lambda: self.edit(without(self._board.pins, key), "unpin the ray"))
        dpg.add_separator(parent="pin_menu")
        steps = self.checkpoints[:: max(1, -(-len(self.checkpoints) // MOST_CHECKPOINTS))]
        text = "Same ray at a checkpoint:" if steps else "No checkpoint to compare with yet: save one"
        self._desk.skin.text(text, parent="pin_menu")
        for step in steps:
            self._offer(f"step {step:,}", f"pin_step {step}", partial(self._again, pin, "", step=step))
        dpg.configure_item("pin_menu", show=True, pos=dpg.get_mouse_pos(local=False))

    def _offer(self, label: str, tag: str, do: Callable[[], object]) -> None:
        def chosen() -> None:
            dpg.configure_item("pin_menu", show=False)
            do()

        dpg.add_selectable(label=label, tag=tag, parent="pin_menu", callback=lambda: chosen())
