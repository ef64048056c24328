"""Closing the scene and the window: asks once where something would be cut short, and waits until everything is
saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk, Source
from app.gui.panel import Panel
from app.gui.widgets.placing import in_the_middle
from app.gui.widgets.updates import set_text

WIDTH, SAVING_WIDTH = 460, 300
PATIENCE = 0.3
"""Seconds of saving before it is said in the middle of the window."""


class Closing(Panel):
    """``end``: closes the scene and then the window; at once where nothing is going on."""

    def __init__(self, desk: Desk, end: Callable[[], None]) -> None:
        super().__init__(desk)
        self._end = end
        self._then: Callable[[], None] | None = None  # what waits for the answer
        self._leaving_since: float | None = None

    def build(self) -> None:
        """The question, and what is said while saving takes long."""
        px = self.desk.skin.px
        with dpg.window(label="Close dynview?", tag="closing", modal=True, show=False, no_resize=True, no_move=True,
                        autosize=True, no_saved_settings=True, on_close=lambda: self._stay()):  # fmt: skip
            dpg.add_text("", tag="closing_text", wrap=px(WIDTH - 20))
            dpg.add_spacer(width=px(WIDTH - 20), height=px(6))
            with dpg.group(horizontal=True):
                dpg.add_button(label="Save and close", tag="close_yes", width=px(160), callback=lambda: self._leave())
                self.desk.skin.primary("close_yes")
                dpg.add_button(label="Keep it open", tag="close_no", width=px(140), callback=lambda: self._stay())
        self.desk.skin.card("closing")
        quiet: dict[str, Any] = dict.fromkeys(("no_title_bar", "no_resize", "no_move", "autosize"), True)
        with dpg.window(tag="saving", show=False, no_saved_settings=True, **quiet), dpg.group(horizontal=True):
            dpg.add_loading_indicator(style=1, radius=1.2 * self.desk.skin.scale)
            dpg.add_text("Saving ...\nThe window closes when it is done.")
        self.desk.skin.card("saving")

    # ------------------------------------------------------------------------------------------ the question

    def ask(self) -> None:
        """The person wants to close the window; a second time means it."""
        self._ask("Close dynview?", self._end)

    def ask_for_scene(self) -> None:
        """The person wants to close the scene."""
        self._ask("Close the scene?", self.desk.close_scene)

    def ask_to_open(self, source: Source) -> None:
        """The person wants another scene in the place of this one; nothing happens while something else is asked."""
        if self._then is not None:
            return
        if "export" in self.desk.busy:
            self._ask("Close the scene?", lambda: self.desk.open_scene(source))
        else:
            self.desk.open_scene(source)

    def _ask(self, title: str, then: Callable[[], None]) -> None:
        again = self._then is not None
        self._then = then
        if not self.desk.busy or again:
            self._leave()
            return
        dpg.set_item_label("closing", title)
        self._say_what_goes_on()
        dpg.configure_item("closing", show=True, pos=in_the_middle(self.desk.skin.px(WIDTH)))

    def _say_what_goes_on(self) -> None:
        set_text("closing_text", "\n".join(self.desk.busy.values()) or "Nothing goes on any more.")

    def _leave(self) -> None:
        then, self._then = self._then, None
        dpg.configure_item("closing", show=False)
        if then is None or self._leaving_since is not None:
            return
        if then == self._end:
            self._leaving_since = time.monotonic()
            self.desk.say("Saving and closing")
        then()

    def _stay(self) -> None:
        self._then = None
        dpg.configure_item("closing", show=False)

    def catches(self, chord: str) -> bool:
        """Escape keeps the window open; while the question is there, keys do nothing else."""
        if self._then is None:
            return False
        if chord == "Escape":
            self._stay()
        return chord != "Ctrl+Q"

    # -------------------------------------------------------------------------------------------- meanwhile

    def tick(self, now: float) -> None:
        """Keep the question true, and say that saving goes on where it takes long."""
        if self._then is not None:
            self._say_what_goes_on()
        leaving = self._leaving_since
        if leaving is not None and now - leaving > PATIENCE and not dpg.is_item_shown("saving"):
            dpg.configure_item("saving", show=True, pos=in_the_middle(self.desk.skin.px(SAVING_WIDTH)))
            dpg.focus_item("saving")

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys and the menu do here."""
        return {"file.close": self.ask_for_scene, "app.quit": self.ask}

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"asking": self._then is not None, "leaving": self._leaving_since is not None}
