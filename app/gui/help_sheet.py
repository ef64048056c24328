"""The sheet of keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dearpygui.dearpygui as dpg

from app.gui.panel import Panel


class HelpSheet(Panel):
    """Lists what keys and mouse do."""

    def build(self) -> None:
        """The sheet, as a window of its own."""
        dpg.add_window(label="Keys and mouse", tag="help", show=False, width=460, pos=(420, 140))

    def catches(self, chord: str) -> bool:
        """Whether a chord that was pressed is the answer to a question of the sheet."""
        return False

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"help": lambda: dpg.configure_item("help", show=not dpg.is_item_shown("help"))}
