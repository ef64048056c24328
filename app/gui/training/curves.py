"""The curves of training: quality above, and below it what is chosen; marks where the schedule changed something."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.training_record import NAN, Record

EVERY = 0.2
"""Seconds between two changes of the plots."""
HEIGHT = 250
"""Of both plots, pixels."""
LATEST = 0.2
"""Share of the run so far that "Latest" shows, and the least of it in steps."""
LATEST_STEPS = 200
NEAR = 6
"""Pixels from which the mouse is at a mark."""
BY_HAND = "By hand"
ZOOMS = ("All", "Latest", BY_HAND)
PART_COLORS: Mapping[str, str] = {
    "photometric": "blue", "depth": "orange", "motion": "red", "regularisers": "grey", "generated": "green",
    "distortion": "purple", "cameras": "amber",
}  # fmt: skip
CHOICES: Mapping[str, tuple[str, Mapping[str, tuple[str, str]], bool]] = {
    "Loss": ("loss", {"loss": ("loss", "green")}, False),
    "Loss by parts": ("loss", {f"part {name}": (name, color) for name, color in PART_COLORS.items()}, True),
    "Size": ("", {"size": ("", "purple")}, False),
    "Cameras turned": ("degrees", {"turned": ("mean turn", "orange")}, False),
    "Cameras shifted": ("scene units", {"shifted": ("mean shift", "orange")}, False),
}
"""What the lower plot can show: the label of its axis, its columns with label and colour, whether by powers of ten
where the values reach over some of those."""
DECADES = 30.0
"""How many times the smallest value the largest has to be for an axis by powers of ten."""


class TrainingCurves:
    """``record``: what is shown."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.record = Record()
        self._marks: list[tuple[int, str]] = []
        self._unit = "Gaussians"
        self._dirty, self._drawn_at = False, 0.0
        self._said = ""

    def build(self) -> None:
        """Both plots and the choices above them, in the current container."""
        skin = self.desk.skin
        with dpg.group(horizontal=True):
            dpg.add_combo(list(CHOICES), default_value="Loss", width=skin.px(150), tag="curve",
                          callback=lambda s, name: self._choose(name))  # fmt: skip
            skin.tip("curve", "What the lower plot shows")
            dpg.add_combo(ZOOMS, default_value=ZOOMS[0], width=skin.px(94), tag="curve_zoom",
                          callback=lambda: self._touch())  # fmt: skip
            skin.tip("curve_zoom", "Which steps are shown: all, the latest, or those that the wheel and a drag choose")
        both = {"no_title": True, "no_menus": True, "no_resize": True, "link_all_x": True}
        skin.text("PSNR and losses are drawn here from the first step on.", tag="curves_none", wrap=0)
        with (
            dpg.group(tag="curves_area", show=False),
            dpg.subplots(2, 1, width=-1, height=skin.px(HEIGHT), tag="curves", **both),
        ):
            self._plot("psnr", "PSNR (dB)")
            self._line("psnr_series", "input", "psnr_y", "blue")
            dpg.add_scatter_series([], [], label="held out", parent="psnr_y", tag="test_series")
            skin.series("test_series", "amber")
            self._plot("lower", "loss")
            for _, columns, _ in CHOICES.values():
                for column, (label, color) in columns.items():
                    self._line(f"curve {column}", label, "lower_y", color)
        with dpg.tooltip("curves_area", tag="curve_tip", show=False):
            dpg.add_text("", tag="curve_reading")
        with dpg.handler_registry():
            dpg.add_mouse_wheel_handler(callback=lambda: self._moved_by_hand())
            dpg.add_mouse_drag_handler(button=dpg.mvMouseButton_Left, threshold=4,
                                       callback=lambda: self._moved_by_hand())  # fmt: skip
        self._choose("Loss")

    def _plot(self, name: str, label: str) -> None:
        with dpg.plot(width=-1, no_menus=True, no_mouse_pos=True, no_box_select=True, tag=f"{name}_plot"):
            dpg.add_plot_legend(location=dpg.mvPlot_Location_SouthEast if name == "psnr" else
                                dpg.mvPlot_Location_NorthEast)  # fmt: skip
            dpg.add_plot_axis(dpg.mvXAxis, tag=f"{name}_x", no_tick_labels=name == "psnr")
            dpg.add_plot_axis(dpg.mvYAxis, label=label, tag=f"{name}_y")
            dpg.add_inf_line_series([], parent=f"{name}_y", tag=f"{name}_marks")
            self.desk.skin.series(f"{name}_marks", "grey", 1.0)

    def _line(self, tag: str, label: str, parent: str, color: str) -> None:
        dpg.add_line_series([], [], label=label, tag=tag, parent=parent)
        self.desk.skin.series(tag, color)

    # ----------------------------------------------------------------------------------------- what happens

    def begin(self, record: Record, marks: Sequence[tuple[int, str]], unit: str, cameras: bool) -> None:
        """Show another run. ``cameras``: whether it learns them."""
        self.record, self._marks, self._unit = record, list(marks), unit
        names = [name for name in CHOICES if cameras or not name.startswith("Cameras")]
        dpg.configure_item("curve", items=names)
        if dpg.get_value("curve") not in names:
            dpg.set_value("curve", names[0])
        dpg.set_value("curve_zoom", ZOOMS[0])
        self._choose(dpg.get_value("curve"))

    def mark(self, step: int, text: str) -> None:
        """The schedule has changed something."""
        self._marks.append((step, text))
        self._touch()

    def changed(self, unit: str = "") -> None:
        """The record has grown. ``unit``: of the scene's size."""
        self._unit = unit or self._unit
        self._dirty = True

    def tick(self, now: float) -> None:
        """Bring the plots up to date, while they are seen."""
        self._show_once_there_is_something()
        if self._dirty and now - self._drawn_at >= EVERY and dpg.is_item_visible("curves_area"):
            self._dirty, self._drawn_at = False, now
            self._draw()
        self._read()

    def _show_once_there_is_something(self) -> None:
        there = bool(self.record.track.steps or self.record.held_out)
        if there != dpg.is_item_shown("curves_area"):
            dpg.configure_item("curves_area", show=there)
            dpg.configure_item("curves_none", show=not there)

    def _touch(self) -> None:
        self._dirty, self._drawn_at = True, 0.0

    def _moved_by_hand(self) -> None:
        if any(dpg.is_item_hovered(f"{name}_plot") for name in ("psnr", "lower")):
            dpg.set_value("curve_zoom", BY_HAND)
            for axis in ("psnr_x", "psnr_y", "lower_x", "lower_y"):
                dpg.set_axis_limits_auto(axis)

    def _choose(self, name: str) -> None:
        label, columns, _ = CHOICES[name]
        dpg.configure_item("lower_y", label=label or self._unit)
        for _, others, _ in CHOICES.values():
            for column in others:
                dpg.configure_item(f"curve {column}", show=column in columns)
        self._touch()

    # --------------------------------------------------------------------------------------------- drawing

    def _draw(self) -> None:
        track, steps = self.record.track, [float(step) for step, _ in self._marks]
        dpg.set_value("psnr_series", [track.steps, track.columns.get("psnr", [NAN] * len(track.steps))])
        held_out = self.record.held_out
        dpg.set_value("test_series", [[float(s) for s in held_out], list(held_out.values())])
        for name in ("psnr", "lower"):
            dpg.set_value(f"{name}_marks", [steps])
        self._zoom(self._draw_lower())

    def _draw_lower(self) -> bool:
        """Whether its axis goes by powers of ten."""
        label, columns, by_powers = CHOICES[dpg.get_value("curve")]
        dpg.configure_item("lower_y", label=label or self._unit)
        track, largest, smallest = self.record.track, 0.0, math.inf
        for column in columns:
            values = [v if v > 0 or not by_powers else NAN for v in track.columns.get(column, ())]
            known = [v for v in values if math.isfinite(v)]
            largest, smallest = max([largest, *known]), min([smallest, *known])
            dpg.configure_item(f"curve {column}", show=bool(known))
            dpg.set_value(f"curve {column}", [track.steps, values] if known else [[], []])
        powers = by_powers and largest > DECADES * smallest
        dpg.configure_item("lower_y", scale=dpg.mvPlotScale_Log10 if powers else dpg.mvPlotScale_Linear)
        return powers

    def _zoom(self, powers: bool) -> None:
        """Fit the axes. It is done here because an axis that fits itself is a frame late, and frames are few while
        nobody touches the window."""
        zoom, track = dpg.get_value("curve_zoom"), self.record.track
        if zoom == BY_HAND:
            return
        last = max([track.steps[-1] if track.steps else 0.0, *self.record.held_out, 10.0])
        first = max(0.0, last - max(LATEST_STEPS, LATEST * last)) if zoom == "Latest" else 0.0
        for name in ("psnr", "lower"):
            dpg.set_axis_limits(f"{name}_x", first, last + 0.02 * (last - first))
        begin = bisect_left(track.steps, first)
        held_out = [psnr for step, psnr in self.record.held_out.items() if step >= first]
        dpg.set_axis_limits("psnr_y", *limits([*track.columns.get("psnr", [])[begin:], *held_out]))
        columns = CHOICES[dpg.get_value("curve")][1]
        below = [value for column in columns for value in track.columns.get(column, [])[begin:]]
        dpg.set_axis_limits("lower_y", *limits(below, powers))

    def _read(self) -> None:
        """What the curves have under the mouse, beside it."""
        hovered = next((name for name in ("psnr", "lower") if dpg.is_item_hovered(f"{name}_plot")), "")
        text = self._reading(hovered) if hovered else ""
        if text != self._said:
            self._said = text
            dpg.set_value("curve_reading", text)
            dpg.configure_item("curve_tip", show=bool(text))

    def _reading(self, name: str) -> str:
        step, track = dpg.get_plot_mouse_pos()[0], self.record.track
        lines = []
        k = track.at(step)
        if k is not None:
            columns = {"psnr": ("dB", "")} if name == "psnr" else CHOICES[dpg.get_value("curve")][1]
            lines.append(f"step {track.steps[k]:,.0f}")
            for column, (label, _) in columns.items():
                value = track.columns.get(column, [NAN] * (k + 1))[k]
                if math.isfinite(value):
                    lines.append(f"{value:,.4g} {label or self._unit}")
        first, last = dpg.get_axis_limits(f"{name}_x")
        reach = (last - first) * NEAR / max(1, dpg.get_item_rect_size(f"{name}_plot")[0])
        lines += [f"{at:,}: {text}" for at, text in self._marks if abs(at - step) <= reach]
        return "\n".join(lines)


def limits(values: Sequence[float], powers: bool = False) -> tuple[float, float]:
    """Ends of an axis that has all values within it, with a little room. ``powers``: whether it goes by powers of ten;
    what is not above 0 counts for nothing then."""
    known = [v for v in values if math.isfinite(v) and (v > 0 or not powers)]
    if not known:
        return (0.1, 1.0) if powers else (0.0, 1.0)
    low, high = min(known), max(known)
    if powers:
        return low / 1.3, high * 1.3
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room
