"""Asks once before a file takes the place of another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.gui.theme import Skin
from app.gui.widgets.placing import in_the_middle

WIDTH = 400


class ReplaceQuestion:
    """A small modal window. ``tag``: of it, and what those of its widgets begin with."""

    def __init__(self, skin: Skin, tag: str = "replace") -> None:
        self._skin, self._tag = skin, tag
        self._then: Callable[[], None] | None = None

    def build(self) -> None:
        """The window, hidden; outside of any other."""
        px = self._skin.px
        with dpg.window(label="Replace?", tag=self._tag, modal=True, show=False, no_resize=True, no_move=True,
                        width=px(WIDTH), autosize=False, on_close=self.cancel):  # fmt: skip
            dpg.add_text("", tag=f"{self._tag}_text", wrap=px(WIDTH - 24))
            dpg.add_spacer(height=px(4))
            with dpg.group(horizontal=True):
                dpg.add_button(label="Replace", tag=f"{self._tag}_yes", width=px(120), callback=self._agree)
                dpg.add_button(label="Cancel", tag=f"{self._tag}_no", width=px(120), callback=self.cancel)

    @property
    def open(self) -> bool:
        """Whether it waits for an answer."""
        return self._then is not None

    def ask(self, files: Sequence[Path], then: Callable[[], None]) -> None:
        """Ask whether these may be replaced, and then go on."""
        self._then = then
        first = files[0]
        what = first.name if len(files) == 1 else f"{len(files):,} files"
        named = "" if len(files) == 1 else f", {first.name} and others"
        dpg.set_value(f"{self._tag}_text", f"{what} in {first.parent} would be replaced{named}.")
        place = in_the_middle(self._skin.px(WIDTH))
        dpg.configure_item(self._tag, label=f"Replace {what}?", show=True, pos=place)

    def cancel(self) -> None:
        """Leave everything as it is."""
        self._then = None
        dpg.configure_item(self._tag, show=False)

    def catches(self, chord: str) -> bool:
        """While it waits, keys are for it; Escape leaves everything as it is."""
        if not self.open:
            return False
        if chord == "Escape":
            self.cancel()
        return chord != "Ctrl+Q"

    def _agree(self) -> None:
        then = self._then
        self.cancel()
        if then is not None:
            then()
