"""The table of keyframes: one row each, its values to be typed over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import dearpygui.dearpygui as dpg

from app.gui.theme import Item, Skin
from app.track_edits import with_fov, with_seconds, with_time
from renderer.tracks import Keyframe, Track

ROWS_PER_TICK = 12
"""So many rows are made at once; a file with a keyframe for each frame has hundreds."""
MOST_VISIBLE = 7
"""Rows before the table scrolls."""
ROW, HEADER, NUMBER = 26, 25, 22
"""Heights in pixels, the last one of the number to click."""
COLUMNS = (("", 26), ("name", 0), ("time", 44), ("sec", 50), ("fov°", 46))
"""Titles and widths in pixels, 0 for what is left."""
ABOUT: Mapping[str, str] = {
    "name": "A name, for you",
    "time": "Time of the scene, 0 to 1",
    "seconds": "How long the transition takes that leads here",
    "fov": "Vertical field of view, degrees",
}
FORMATS = {"time": "%.2f", "seconds": "%.2f", "fov": "%.1f"}
CHANGES: Mapping[str, Callable[[Keyframe, float], Keyframe]] = {
    "time": with_time, "seconds": with_seconds, "fov": with_fov
}  # fmt: skip
LABELS = {"name": "name", "time": "time", "seconds": "seconds", "fov": "field of view"}
Edit = Callable[[int, Callable[[Keyframe], Keyframe], str], None]


@dataclass(frozen=True)
class _Values:
    """What a row shows. ``timed``: whether its transition counts."""

    name: str
    time: float
    seconds: float
    fov: float
    timed: bool


class PathTable:
    """``toggle``: called with the index of a row whose number was clicked, ``select`` where one of its fields was.
    ``edit``: with the index, the change of its keyframe and what changes. Fields have tags such as ``path_time_0``."""

    def __init__(self, skin: Skin, toggle: Callable[[int], None], select: Callable[[int], None], edit: Edit) -> None:
        self._skin, self._toggle, self._select, self._edit = skin, toggle, select, edit
        self._rows: list[Item] = []
        self._shown: list[_Values | None] = []
        self._fields: dict[Item, tuple[int, str]] = {}  # by their tags, as handlers name them
        self._highlit: object = None

    def build(self) -> None:
        """The empty table, in the current container."""
        px = self._skin.px
        with dpg.item_handler_registry(tag="path_handlers"):
            dpg.add_item_activated_handler(callback=lambda s, item: self._activated(item))
            dpg.add_item_deactivated_after_edit_handler(callback=lambda s, item: self._edited(item))
        with dpg.theme() as narrow, dpg.theme_component(dpg.mvAll):
            dpg.add_theme_style(dpg.mvStyleVar_FramePadding, px(4), px(3))
            dpg.add_theme_style(dpg.mvStyleVar_CellPadding, px(2), px(2))
            dpg.add_theme_style(dpg.mvStyleVar_SelectableTextAlign, 0.3, 0.5)
        with dpg.table(tag="path_table", scrollY=True, height=px(HEADER), borders_innerH=True, pad_outerX=False):
            for title, width in COLUMNS:
                dpg.add_table_column(label=title, width_fixed=bool(width), init_width_or_weight=px(width) or 1.0)
        dpg.bind_item_theme("path_table", narrow)

    def show(self, track: Track, selected: int) -> bool:
        """Show the keyframes; False where some rows are still to be made, in the next call."""
        count = len(track.keyframes)
        for _ in range(min(ROWS_PER_TICK, count - len(self._rows))):
            self._add_row(len(self._rows))
        while len(self._rows) > count:
            self._drop_row()
        for i in range(len(self._rows)):
            self._fill(i, track)
            dpg.set_value(f"path_select_{i}", i == selected)
        self._highlight(selected)
        height = self._skin.px(HEADER + ROW * min(count, MOST_VISIBLE))
        if dpg.get_item_height("path_table") != height:
            dpg.configure_item("path_table", height=height)
        return len(self._rows) == count

    def _add_row(self, i: int) -> None:
        with dpg.table_row(parent="path_table") as row:
            dpg.add_selectable(label=f"{i + 1}", tag=f"path_select_{i}", height=self._skin.px(NUMBER),
                               callback=lambda: self._toggle(i))  # fmt: skip
            dpg.add_input_text(tag=f"path_name_{i}", width=-1, hint="name")
            for field, form in FORMATS.items():
                dpg.add_input_double(tag=f"path_{field}_{i}", width=-1, step=0, format=form)
        for field in ABOUT:
            tag = f"path_{field}_{i}"
            self._fields[tag] = (i, field)
            dpg.bind_item_handler_registry(tag, "path_handlers")
        self._rows.append(row)
        self._shown.append(None)

    def _drop_row(self) -> None:
        i = len(self._rows) - 1
        if self._highlit is not None:
            dpg.unhighlight_table_row("path_table", i)
            self._highlit = None
        for field in ABOUT:
            del self._fields[f"path_{field}_{i}"]
        dpg.delete_item(self._rows.pop())
        self._shown.pop()

    def _fill(self, i: int, track: Track) -> None:
        k = track.keyframes[i]
        values = _Values(k.name, k.time, k.seconds, math.degrees(k.camera.fov_y), i > 0 or track.closed)
        if values == self._shown[i]:
            return
        self._shown[i] = values
        for field in ABOUT:
            dpg.set_value(f"path_{field}_{i}", getattr(values, field))
        dpg.configure_item(f"path_seconds_{i}", show=values.timed)

    def _highlight(self, selected: int) -> None:
        wanted = (selected, self._skin.theme) if 0 <= selected < len(self._rows) else None
        if wanted == self._highlit:
            return
        for row in range(len(self._rows)):
            dpg.unhighlight_table_row("path_table", row)
        if wanted is not None:
            dpg.highlight_table_row("path_table", selected, [*self._skin.color("accent")[:3], 110])
        self._highlit = wanted

    def _activated(self, item: Item) -> None:
        if item in self._fields:
            self._select(self._fields[item][0])

    def _edited(self, item: Item) -> None:
        """A field was left with another value in it."""
        if item not in self._fields:
            return
        i, field = self._fields[item]
        value = dpg.get_value(item)
        self._shown[i] = None  # a value that is refused gives way to the one that holds

        def changed(keyframe: Keyframe) -> Keyframe:
            return replace(keyframe, name=value) if field == "name" else CHANGES[field](keyframe, value)

        self._edit(i, changed, LABELS[field])
