"""One widget for each setting, with its help, made in pieces so that the window is never held up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import dearpygui.dearpygui as dpg

from app.forms import Field, search, text_of
from app.gui.desk import Desk

PIECE = 0.005
"""Seconds of a frame that may go into making widgets."""
INPUT_WIDTH = 112
AT_ONCE, NEW_RUN = "●", "○"
"""Before the name of a setting: whether it may change while the run goes on."""
AUTOMATIC = "auto"


class SettingsRows:
    """``commit``: a person has given a setting another text, of which "" is its automatic value. ``reset``: it shall be
    as the preset has it. ``ready``: whether every widget is there."""

    def __init__(self, desk: Desk, commit: Callable[[Field, str], None], reset: Callable[[Field], None]) -> None:
        self.desk, self._commit, self._reset = desk, commit, reset
        self._fields: Sequence[Field] = ()
        self._making: Iterator[None] | None = None
        self._shown: dict[str, object] = {}
        self._changed: set[str] = set()
        self._notes: dict[str, tuple[str, str]] = {}
        self.ready = False

    def make(self, fields: Sequence[Field]) -> None:
        """Begin to make the widgets, in the item "setting_groups"."""
        self._fields = fields
        with dpg.item_handler_registry(tag="setting_edited"):
            dpg.add_item_deactivated_after_edit_handler(callback=lambda s, item: self._typed(item))
        self._making = self._pieces()

    def advance(self) -> bool:
        """A few more widgets, once per frame; whether they have just become complete."""
        if self._making is None:
            return False
        end = time.monotonic() + PIECE
        for _ in self._making:
            if time.monotonic() >= end:
                return False
        self._making, self.ready = None, True
        return True

    def _pieces(self) -> Iterator[None]:
        group = ""
        for field in self._fields:
            if field.group != group:
                group = field.group
                dpg.add_tree_node(
                    label=group, tag=f"settings of {group}", parent="setting_groups", span_full_width=True
                )
            self._row(field)
            yield

    def _row(self, field: Field) -> None:
        skin, tag = self.desk.skin, f"setting {field.path}"
        with dpg.group(parent=f"settings of {field.group}", tag=f"row {tag}"), dpg.group(horizontal=True):
            self._input(field, tag, skin.px(INPUT_WIDTH))
            dpg.add_button(label="↺", tag=f"reset {tag}", small=True, show=False, user_data=field,
                           callback=lambda s, a, f: self._reset(f))  # fmt: skip
            skin.tip(f"reset {tag}", "As the preset has it")
            # a text of its own per line: one that wraps starts its second line under the first
            label = skin.text(f"{AT_ONCE if field.live else NEW_RUN} {field.label}", tag=f"label {tag}", wrap=0)
        with dpg.tooltip(label, delay=0.3):
            dpg.add_text(_about(field), wrap=skin.px(360))

    def _input(self, field: Field, tag: str, width: int) -> None:
        match field.kind:
            case "bool":
                # as wide as the other widgets, so that the names stand in one line
                with dpg.group(horizontal=True, width=width):
                    dpg.add_checkbox(tag=tag, user_data=field, callback=lambda s, on, f: self._commit(f, yes_no(on)))
                    dpg.add_spacer(width=width - self.desk.skin.px(24 + 8))
            case "choice":
                items = [*([AUTOMATIC] if field.optional else []), *field.choices]
                dpg.add_combo(items, tag=tag, width=width, user_data=field,
                              callback=lambda s, text, f: self._commit(f, text))  # fmt: skip
            case _:
                hint = AUTOMATIC if field.optional else "none"
                dpg.add_input_text(tag=tag, width=width, user_data=field, hint=hint, auto_select_all=True)
                dpg.bind_item_handler_registry(tag, "setting_edited")

    def _typed(self, item: int) -> None:
        field = dpg.get_item_user_data(item)
        text = dpg.get_value(item)
        if text != self._shown.get(field.path):
            self._shown[field.path] = text
            self._commit(field, text)

    # -------------------------------------------------------------------------------------------- what is shown

    def show(self, values: Mapping[str, object], preset: Mapping[str, object]) -> None:
        """Bring the widgets to these values; ``preset``: names and values of the method's own where they differ."""
        if not self.ready:
            return
        for field in self._fields:
            path, tag = field.path, f"setting {field.path}"
            text: object = text_of(field, values[path])
            if field.kind == "bool":
                text = bool(values[path])
            elif field.kind == "choice" and not text:
                text = AUTOMATIC
            if text != self._shown.get(path):
                self._shown[path] = text
                dpg.set_value(tag, text)
            if (path in preset) != (path in self._changed):
                dpg.configure_item(f"reset {tag}", show=path in preset)
                self.desk.skin.recolor(f"label {tag}", "text" if path in preset else "muted")
        self._changed = set(preset)

    def note(self, notes: Mapping[str, tuple[str, str]]) -> None:
        """Say something under some settings, and nothing under the others: text and colour by dotted name."""
        if not self.ready:
            return
        for path in self._notes.keys() | notes.keys():
            now, tag = notes.get(path), f"note setting {path}"
            if now == self._notes.get(path):
                continue
            if not dpg.does_item_exist(tag):
                self.desk.skin.text("", parent=f"row setting {path}", tag=tag, wrap=0)
            dpg.configure_item(tag, show=now is not None)
            if now is not None:
                dpg.set_value(tag, now[0])
                self.desk.skin.recolor(tag, now[1])
        self._notes = dict(notes)

    def forget(self, path: str) -> None:
        """What the widget shows is not the setting's value: write it anew the next time."""
        self._shown.pop(path, None)

    def find(self, text: str) -> int:
        """Show the settings that a text finds, all where it is empty; how many those are."""
        if not self.ready:
            return 0
        found = {field.path for field in search(self._fields, text)} if text.strip() else None
        hits: dict[str, int] = {}
        for field in self._fields:
            shown = found is None or field.path in found
            hits[field.group] = hits.get(field.group, 0) + shown
            dpg.configure_item(f"row setting {field.path}", show=shown)
        for group, count in hits.items():
            dpg.configure_item(f"settings of {group}", show=count > 0)
            dpg.set_value(f"settings of {group}", found is not None and count > 0)
        return sum(hits.values())


def yes_no(on: bool) -> str:
    """As :func:`app.forms.parse` understands it."""
    return "yes" if on else "no"


def _about(field: Field) -> str:
    """Help of a setting, what it may be, and when it can change."""
    lines = [f"{field.label} (--{field.path.replace('_', '-')})", field.help]
    if field.kind == "choices":
        lines.append(f"Some of: {', '.join(field.choices)}")
    if field.least is not None:
        lines.append(f"{field.least:g} or more")
    if field.optional and field.automatic is not None:
        lines.append(f"Left empty: {text_of(field, field.automatic)}")
    lines.append(f"{AT_ONCE} Can change while the run goes on" if field.live else f"{NEW_RUN} Needs a new run")
    return "\n".join(line for line in lines if line)
