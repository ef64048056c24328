"""The log: every sentence that was said, what lies behind it, and all of it for a report."""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes import c_char_p, c_uint
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk, Entry
from app.gui.native import Native
from app.gui.panel import Panel

ROWS = 200
"""Entries that are listed; "Copy all" has those before, too."""
SHOWN: Mapping[str, tuple[str, ...]] = {
    "everything": ("info", "warning", "error"),
    "warnings and errors": ("warning", "error"),
    "errors": ("error",),
}
"""Levels by the choice that shows them."""
COLORS = {"info": "text", "warning": "amber", "error": "red"}
WIDE = 450
"""Width of the column of panels from which on there is room for a number in the title."""
GL_RENDERER = 0x1F01
PACKAGES = ("dynview", "torch", "numpy", "numba", "dearpygui")
"""Whose versions a report states."""


@dataclass(frozen=True)
class _Row:
    """An entry in the list. ``item``: the group of its widgets."""

    entry: Entry
    item: int | str


class LogPanel(Panel):
    """``unread``: warnings and errors since the panel was in front last."""

    title = "Log"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.unread = 0
        self._worst: Literal["warning", "error"] = "warning"  # of what is unread
        self._taken, self._hidden = 0, 0  # of all that was said
        self._rows: deque[_Row] = deque()
        self._follow_at = 0
        self._details: tuple[int | str, int | str] | None = None  # the last entry's button and what it shows
        self._title = (self.title, "text")

    def build(self) -> None:
        """The panel, in the current container."""
        px = self.desk.skin.px
        with dpg.group(horizontal=True):
            dpg.add_combo(list(SHOWN), default_value="everything", width=px(180), tag="log_filter",
                          callback=lambda: self._rebuild())  # fmt: skip
            dpg.add_button(label="Copy all", tag="log_copy", callback=lambda: self._copy_all())
            self.desk.skin.tip("log_copy", "Everything, with the versions of what takes part, to paste into a report. "
                           "A right click on a sentence copies that one.")  # fmt: skip
            dpg.add_button(label="Clear", tag="log_clear", callback=lambda: self._clear())
        self.desk.skin.text("Nothing yet.", tag="log_empty")
        with dpg.item_handler_registry(tag="log_clicks"):
            dpg.add_item_clicked_handler(
                button=dpg.mvMouseButton_Right,
                callback=lambda s, clicked: self._copy(dpg.get_item_user_data(clicked[1])),
            )
        dpg.add_child_window(tag="log_list", border=False, height=-1)

    # --------------------------------------------------------------------------------------------- the list

    def tick(self, now: float) -> None:
        """List what was said since, and follow it where the list was at its end."""
        in_front = dpg.is_item_visible("log_filter")
        news, self._taken = self.desk.news(self._taken), self.desk.said
        self._count(() if in_front else news, in_front)
        if self._follow_at and dpg.get_frame_count() >= self._follow_at:  # now the rows have a height
            dpg.set_y_scroll("log_list", dpg.get_y_scroll_max("log_list"))
            self._follow_at = 0
        if news:
            at_end = dpg.get_y_scroll("log_list") >= dpg.get_y_scroll_max("log_list") - self.desk.skin.px(4)
            self._add(news)
            if at_end:
                self._follow()

    def _count(self, news: Sequence[Entry], read: bool) -> None:
        """Say in the title what was not read: by its colour, and how much where the tabs leave room for it."""
        if read:
            self.unread, self._worst = 0, "warning"
        self.unread += sum(entry.level != "info" for entry in news)
        if any(entry.level == "error" for entry in news):
            self._worst = "error"
        room = (dpg.get_item_width("side") or 0) >= self.desk.skin.px(WIDE)
        label = f"{self.title} ({min(self.unread, 99)})" if self.unread and room else self.title
        title = (label, COLORS[self._worst] if self.unread else "text")
        if title != self._title:
            self._title = title
            dpg.set_item_label(f"tab {self.title}", title[0])
            self.desk.skin.tab_color(f"tab {self.title}", title[1])

    def _add(self, entries: Iterable[Entry]) -> None:
        levels = SHOWN[dpg.get_value("log_filter")]
        wanted = [entry for entry in entries if entry.level in levels][-ROWS:]
        while self._rows and len(self._rows) + len(wanted) > ROWS:
            dpg.delete_item(self._rows.popleft().item)
        for entry in wanted:
            self._rows.append(_Row(entry, self._row(entry)))
        dpg.configure_item("log_empty", show=not self._rows)

    def _row(self, entry: Entry) -> int | str:
        skin = self.desk.skin
        with dpg.group(parent="log_list") as group:
            with dpg.group(horizontal=True):
                skin.text(time.strftime("%H:%M:%S", time.localtime(entry.at)))
                text = skin.text(entry.text, COLORS[entry.level], wrap=0, user_data=entry)
                dpg.bind_item_handler_registry(text, "log_clicks")
            if entry.level != "info":
                self._more(entry)
        return group

    def _more(self, entry: Entry) -> None:
        """The buttons of what somebody may have to do something about, and what they show."""
        skin = self.desk.skin
        with dpg.group(horizontal=True, indent=skin.px(24)):
            dpg.add_button(label="Copy", small=True, callback=lambda: self._copy(entry))
            if entry.detail:
                more = dpg.add_button(label="Details", small=True)
        if entry.detail:
            text = skin.text(entry.detail.rstrip(), wrap=0, show=False, indent=skin.px(24))
            dpg.configure_item(more, callback=lambda: self._toggle(text))
            self._details = (more, text)

    def _toggle(self, text: int | str) -> None:
        dpg.configure_item(text, show=not dpg.is_item_shown(text))

    def _rebuild(self) -> None:
        dpg.delete_item("log_list", children_only=True)
        self._rows.clear()
        self._add(self.desk.news(max(self._hidden, self.desk.said - len(self.desk.log))))
        self._follow()

    def _follow(self) -> None:
        self._follow_at = dpg.get_frame_count() + 2

    def _clear(self) -> None:
        self._hidden = self.desk.said
        self._rebuild()

    # ----------------------------------------------------------------------------------------------- copies

    def _copy(self, entry: Entry) -> None:
        dpg.set_clipboard_text(as_text(entry))
        self.desk.say("The sentence is in the clipboard")

    def _copy_all(self) -> None:
        dpg.set_clipboard_text(report(self.desk.log))
        self.desk.say("The log is in the clipboard")

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What the menu does here."""
        return {"log.copy": self._copy_all}

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {
            "unread": self.unread,
            "log_title": list(self._title),
            "listed": [row.entry.text for row in self._rows],
            "details": self._details,
        }


def report(entries: Iterable[Entry]) -> str:
    """The log as text, below what a person who looks into it asks first. Of use once the window is shown."""
    return "\n".join((*(f"{name}: {what}" for name, what in versions().items()), "", *map(as_text, entries), ""))


def versions() -> Mapping[str, str]:
    """What takes part, by its name."""
    ask = Native().gl_function("glGetString", c_char_p, c_uint)
    renderer = ask(GL_RENDERER) if ask else None
    return {
        **{name: _version(name) for name in PACKAGES},
        "Python": platform.python_version(),
        "platform": platform.platform(),
        "OpenGL": renderer.decode(errors="replace") if renderer else "not known",
    }


def as_text(entry: Entry) -> str:
    """One entry, its details on lines of their own."""
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(entry.at))} {entry.level}: {entry.text}"
    return "\n".join((line, entry.detail.rstrip())) if entry.detail else line


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
