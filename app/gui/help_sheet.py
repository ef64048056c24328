"""The sheet of keys: what keys and mouse do, and other keys for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.gui.menus import renew_shortcuts
from app.gui.panel import Panel
from app.keys import BY_NAME, Row, shown

MOUSE: Sequence[tuple[str, str]] = (
    ("left drag", "turn around the middle"),
    ("right or middle drag", "move sideways, up and down"),
    ("wheel", "nearer, farther"),
    ("click", "show the ray of a pixel"),
    ("drag the divider", "share the window out"),
    ("drop a folder", "open it"),
)
"""What the mouse does, by gesture."""
WIDTH, COLUMN, WIDE = 860, 400, 1240
"""Widths: of the sheet, of one of its columns, and of a window that takes three of them."""
KEY_WIDTH = 180
KEYS = "keys"
"""Name of the document in the history: what was changed, and whether flying is swapped."""
HINT = "Click a key to change it; a right click takes it away."
Bindings = tuple[tuple[tuple[str, str], ...], bool]


class HelpSheet(Panel):
    """Lists what keys and mouse do. ``waiting``: the action that the next key is for."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.waiting: str | None = None
        self._wanted: tuple[str, str] | None = None  # an action, and a chord that is another one's
        self._shown: object = None
        self._in_menus: object = None
        desk.history.track(KEYS, lambda: bindings(desk), self._bind)

    # ---------------------------------------------------------------------------------------------- widgets

    def build(self) -> None:
        """The sheet, as a window of its own."""
        px = self.desk.skin.px
        self._in_menus = self.desk.keys
        for complaint in self.desk.keys.complaints:
            self.desk.warn(complaint)
        with dpg.item_handler_registry(tag="help_clicks"):
            dpg.add_item_clicked_handler(button=dpg.mvMouseButton_Right,
                                         callback=lambda s, clicked: self._take_away(clicked[1]))  # fmt: skip
        with dpg.window(label="Keys and mouse", tag="help", show=False, no_collapse=True, no_saved_settings=True,
                        no_resize=True, on_close=lambda: self._leave()):  # fmt: skip
            with dpg.group(horizontal=True):
                dpg.add_text(HINT, tag="help_line")
                dpg.add_button(label="Give it", tag="help_yes", show=False, small=True, callback=lambda: self._give())
                dpg.add_button(label="Leave it", tag="help_no", show=False, small=True, callback=lambda: self._leave())
            with dpg.group(horizontal=True):
                dpg.add_checkbox(label="Q flies up and E down", tag="help_swap",
                                 callback=lambda s, on: swap(self.desk, on))  # fmt: skip
                dpg.add_button(label="Reset all keys", tag="help_reset", callback=lambda: self._reset_all())
            dpg.add_child_window(tag="help_body", border=False, height=-px(2))
        self.desk.skin.card("help")

    def _fill(self) -> None:
        """All rows anew; a few hundred widgets, only when a key or the window's size has changed."""
        px = self.desk.skin.px
        dpg.delete_item("help_body", children_only=True)
        groups = [(name, list(rows)) for name, rows in groupby(self.desk.keys.table(), lambda row: row.group)]
        heights = [len(MOUSE) + 2, *(2 + sum(not row.name.startswith("mode.") for row in rows) for _, rows in groups)]
        columns = 3 if dpg.get_viewport_client_width() >= px(WIDE) else 2
        breaks = divided(heights, columns)
        with dpg.group(horizontal=True, parent="help_body", horizontal_spacing=px(16)):
            for begin, end in breaks:
                with dpg.group():
                    dpg.add_spacer(width=px(COLUMN), height=1)
                    for k in range(begin, end):
                        if k == 0:
                            self._fill_mouse()
                        else:
                            self._fill_group(*groups[k - 1])

    def _fill_mouse(self) -> None:
        self.desk.skin.text("Mouse", "blue")
        for gesture, what in MOUSE:
            with dpg.group(horizontal=True, xoffset=self.desk.skin.px(170)):
                self.desk.skin.text(gesture)
                dpg.add_text(what)
        dpg.add_spacer(height=self.desk.skin.px(8))

    def _fill_group(self, name: str, rows: Sequence[Row]) -> None:
        px = self.desk.skin.px
        self.desk.skin.text(name, "blue")
        modes = [row for row in rows if row.name.startswith("mode.")]
        if modes:
            with dpg.group(horizontal=True, horizontal_spacing=px(3)):
                dpg.add_text("modes")
                for row in modes:
                    self._key(row, px(34))
        for row in rows:
            if row not in modes:
                with dpg.group(horizontal=True):
                    self._key(row, px(KEY_WIDTH))
                    dpg.add_text(row.label, wrap=px(COLUMN - KEY_WIDTH - (70 if row.changed else 16)))
                    if row.changed:
                        dpg.add_button(label="reset", small=True, tag=f"help_reset {row.name}", user_data=row.name,
                                       callback=lambda s, d, name: self._reset(name))  # fmt: skip
        dpg.add_spacer(height=px(8))

    def _key(self, row: Row, width: int) -> None:
        tag = f"help_key {row.name}"
        waits = row.name == self.waiting
        dpg.add_button(label="press ..." if waits else row.keys or "-", width=width, tag=tag, user_data=row.name,
                       callback=lambda s, d, name: self._wait_for(name))  # fmt: skip
        if waits:
            self.desk.skin.primary(tag)
        dpg.bind_item_handler_registry(tag, "help_clicks")

    # ------------------------------------------------------------------------------------------- other keys

    def catches(self, chord: str) -> bool:
        """Whether a chord that was pressed is the answer to a question of the sheet."""
        if not dpg.is_item_shown("help"):
            return False
        if self.waiting is None:
            if chord == "Escape":
                self._toggle() if self._wanted is None else self._leave()
            return chord == "Escape"
        if chord == "Escape":
            self._leave()
            return True
        action = BY_NAME[self.waiting]
        if action.held and "+" in chord:
            self._say(f"{action.label}: it is held down, with Shift for fast, so it takes a key of its own.")
            return True
        owner = self.desk.keys.taken_by(action.name, chord)
        if owner is None:
            self._rebind(self.desk.keys.rebound(action.name, chord), f"{shown(chord)} for {action.label}")
            self._leave()
        else:
            self.waiting, self._wanted = None, (action.name, chord)
            self._say(f"{shown(chord)} is for: {owner.label}.  Give it to: {action.label}?", ask=True)
        return True

    def _wait_for(self, name: str) -> None:
        self._leave()
        self.waiting = name
        self._say(f"Press a key for: {BY_NAME[name].label}.  Escape leaves it as it is.")

    def _give(self) -> None:
        if self._wanted is not None:
            name, chord = self._wanted
            self._rebind(self.desk.keys.rebound(name, chord), f"{shown(chord)} for {BY_NAME[name].label}")
        self._leave()

    def _take_away(self, button: int | str) -> None:
        name = dpg.get_item_user_data(button)
        self._rebind(self.desk.keys.rebound(name, ""), f"no key for {BY_NAME[name].label}")
        self._leave()

    def _reset(self, name: str) -> None:
        self._rebind(self.desk.keys.reset(name), f"own keys for {BY_NAME[name].label}")
        self._leave()

    def _reset_all(self) -> None:
        before = bindings(self.desk)
        self.desk.remember(keys={}, fly_swapped=False)
        self.desk.history.changed(KEYS, before, "all keys as they were")
        self._leave()

    def _rebind(self, keys: Mapping[str, str], label: str) -> None:
        before = bindings(self.desk)
        self.desk.remember(keys=keys)
        self.desk.history.changed(KEYS, before, label)

    def _bind(self, value: Bindings) -> None:
        self.desk.remember(keys=dict(value[0]), fly_swapped=value[1])

    def _leave(self) -> None:
        self.waiting = self._wanted = None
        self._say(HINT)

    def _say(self, text: str, ask: bool = False) -> None:
        dpg.set_value("help_line", text)
        self.desk.skin.recolor("help_line", "amber" if ask else "text" if self.waiting else "muted")
        for button in ("help_yes", "help_no"):
            dpg.configure_item(button, show=ask)

    # ----------------------------------------------------------------------------------------- what happens

    def tick(self, now: float) -> None:
        """Follow what was changed, here or by undo; menus too."""
        if self.desk.keys is not self._in_menus:
            self._in_menus = self.desk.keys
            renew_shortcuts(self.desk)
        if not dpg.is_item_shown("help"):
            return
        size = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        now_shown = (self.desk.keys, self.waiting, size)
        if now_shown != self._shown:
            if self._shown is None or size != self._shown[2]:  # type: ignore[index]
                self._place(*size)
            self._shown = now_shown
            dpg.set_value("help_swap", self.desk.settings.fly_swapped)
            self._fill()

    def _place(self, width: int, height: int) -> None:
        px = self.desk.skin.px
        wanted = px(3 * COLUMN + 80) if width >= px(WIDE) else px(WIDTH)
        w, h = min(wanted, width - px(20)), min(px(760), height - px(60))
        dpg.configure_item("help", width=w, height=h, pos=((width - w) // 2, max(px(30), (height - h) // 2)))

    def _toggle(self) -> None:
        show = not dpg.is_item_shown("help")
        self._leave()
        self._shown = None
        dpg.configure_item("help", show=show)
        if show:
            dpg.focus_item("help")

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"help": self._toggle}

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"help": bool(dpg.is_item_shown("help")), "waiting_for_key": self.waiting or ""}


def bindings(desk: Desk) -> Bindings:
    """The keys that a person has changed, as a document of the history."""
    return tuple(sorted(desk.settings.keys.items())), desk.settings.fly_swapped


def swap(desk: Desk, swapped: bool) -> None:
    """The keys of flying up and down the other way round, or as they were; it can be undone."""
    before = bindings(desk)
    desk.remember(fly_swapped=swapped)
    desk.history.changed(KEYS, before, "Q and E swapped")


def divided(heights: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """Groups of the given heights in so many columns, in order and as even as they go: begin and end of each."""
    lowest = max(heights)
    while True:
        result, begin, height = [], 0, 0
        for k, own in enumerate(heights):
            if height + own > lowest:
                result.append((begin, k))
                begin, height = k, 0
            height += own
        result.append((begin, len(heights)))
        if len(result) <= columns:
            return result
        lowest += 1
