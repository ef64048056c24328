"""Closing the window: asks once where something would be cut short, and waits until everything is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.gui.panel import Panel


class Closing(Panel):
    """``end``: closes the scene and then the window; at once where nothing is going on."""

    def __init__(self, desk: Desk, end: Callable[[], None]) -> None:
        super().__init__(desk)
        self._end = end
        self._asked = False

    def build(self) -> None:
        """The question."""
        px = self.desk.skin.px
        with dpg.window(label="Close dynview?", tag="closing", modal=True, show=False, no_resize=True, no_move=True,
                        width=px(440), autosize=False, on_close=lambda: self._stay()):  # fmt: skip
            dpg.add_text("", tag="closing_text", wrap=px(410))
            dpg.add_spacer(height=px(6))
            with dpg.group(horizontal=True):
                dpg.add_button(label="Save and close", tag="close_yes", width=px(160), callback=lambda: self._leave())
                self.desk.skin.primary("close_yes")
                dpg.add_button(label="Keep it open", tag="close_no", width=px(140), callback=lambda: self._stay())

    def ask(self) -> None:
        """The person wants to close the window; a second time means it."""
        if not self.desk.busy or self._asked:
            self._leave()
            return
        self._asked = True
        dpg.set_value("closing_text", "\n".join(self.desk.busy.values()))
        width, height = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        dpg.configure_item("closing", show=True, pos=((width - self.desk.skin.px(440)) // 2, height // 3))

    def _leave(self) -> None:
        dpg.configure_item("closing", show=False)
        self.desk.say("Saving and closing")
        self._end()

    def _stay(self) -> None:
        self._asked = False
        dpg.configure_item("closing", show=False)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"asking": bool(dpg.is_item_shown("closing"))}
