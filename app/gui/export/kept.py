"""Widgets of the export panel, in rows, whose values are kept from one start to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from renderer.errors import InputError

V = TypeVar("V", int, float, str, bool)
LABELS = 88
"""Width of the column of labels, pixels."""


class Kept:
    """Makes widgets that begin with what was chosen last."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tags: list[str] = []

    def value(self, tag: str, default: V, among: Sequence[object] | None = None) -> V:
        """What a widget begins with. ``among``: what it may be."""
        self._tags.append(tag)
        old: Any = self._desk.settings.export.get(tag, default)
        same = type(old) is type(default) or (isinstance(default, float) and type(old) is int)
        if not same or (among is not None and old not in among):
            return default
        return type(default)(old)

    def save(self) -> None:
        """Keep the present values, where any has changed."""
        values = {tag: dpg.get_value(tag) for tag in self._tags}
        self._desk.remember(export={**self._desk.settings.export, **values})

    # ------------------------------------------------------------------------------------------- widgets

    def combo(self, label: str, tag: str, items: Sequence[str], tip: str, default: str = "") -> None:
        """A row with a list to choose from; the first is the default where none is given."""
        first = self.value(tag, default or items[0], items)
        self.row(label, lambda: dpg.add_combo([*items], default_value=first, width=-1, tag=tag))
        self._desk.skin.tip(tag, tip)

    def row(self, label: str, make: Callable[[], object], tag: str = "", show: bool = True) -> None:
        """A label, and a widget or a group beside it. ``tag``: of the row."""
        extra = {"tag": tag} if tag else {}
        with dpg.group(horizontal=True, xoffset=self._desk.skin.px(LABELS), show=show, **extra):
            dpg.add_text(label)
            make()

    def file(self, tag: str, tip: str, browse: Callable[[], None]) -> None:
        """A row with a path and a button that asks for one."""
        px = self._desk.skin.px
        with dpg.group(horizontal=True):
            dpg.add_input_text(tag=tag, width=-px(86))
            self._desk.skin.tip(tag, tip)
            dpg.add_button(label="Browse", width=-1, tag=f"{tag}_browse", callback=browse)


def show_only(tags: dict[str, bool]) -> None:
    """Show those of some widgets that are meant."""
    for tag, show in tags.items():
        if dpg.is_item_shown(tag) != show:
            dpg.configure_item(tag, show=show)


def set_items(tag: str, items: Sequence[str]) -> None:
    """What a combo offers; its value becomes the first one where it is not offered any more."""
    if [*items] != dpg.get_item_configuration(tag)["items"]:
        dpg.configure_item(tag, items=[*items])
    if items and dpg.get_value(tag) not in items:
        dpg.set_value(tag, items[0])


def path_in(tag: str) -> Path:
    """The path in a text field. InputError where there is none."""
    text = str(dpg.get_value(tag)).strip()
    if not text:
        raise InputError("No file name is given; type one, or press Browse")
    return Path(text).expanduser().absolute()
