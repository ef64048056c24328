"""Preferences: theme, size, fly keys, and where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.gui.help_sheet import swap
from app.gui.layout import STEPS
from app.gui.panel import Panel
from app.gui.widgets.placing import in_the_middle
from app.settings import THEMES, settings_path

AUTOMATIC = "as the screen says"
SCALES: Mapping[str, float] = {AUTOMATIC: 0.0, **{f"{100 * step:.0f} %": step for step in STEPS}}
"""Sizes of text and widgets by how they are called."""
WIDTH = 480
RESTART = "Takes effect when the window is opened again."


class Preferences(Panel):
    """A window of its own, which other panels stay in use beside."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._shown: object = None

    def build(self) -> None:
        """The window, hidden."""
        px = self.desk.skin.px
        with dpg.window(label="Preferences", tag="preferences", show=False, width=px(WIDTH), no_collapse=True,
                        autosize=True, no_saved_settings=True):  # fmt: skip
            self._row("Theme", lambda: dpg.add_radio_button(
                THEMES, tag="prefer_theme", horizontal=True, callback=lambda s, theme: self._theme(theme)))  # fmt: skip
            self._row("Text and widgets", lambda: dpg.add_combo(
                list(SCALES), tag="prefer_scale", width=px(200),
                callback=lambda s, name: self._scale(name)))  # fmt: skip
            self.desk.skin.text(" ", tag="prefer_restart")
            dpg.add_separator()
            self._row("Flying", lambda: dpg.add_checkbox(
                label="Q flies up and E down", tag="prefer_fly", callback=lambda s, on: self._fly(on)))  # fmt: skip
            self._row("Keys", lambda: dpg.add_button(
                label="Show and change the keys ...", tag="prefer_keys", callback=self._keys))  # fmt: skip
            dpg.add_separator()
            self.desk.skin.text("All of this is kept in")
            dpg.add_input_text(default_value=str(settings_path()), readonly=True, width=px(WIDTH - 24),
                               tag="prefer_path")  # fmt: skip
            dpg.add_spacer(height=px(2))
            dpg.add_button(label="Close", width=px(100), tag="prefer_close", callback=lambda: self._show(False))
        self.desk.skin.card("preferences")

    def _row(self, label: str, make: Callable[[], object]) -> None:
        with dpg.group(horizontal=True, xoffset=self.desk.skin.px(150)):
            dpg.add_text(label)
            make()

    # ------------------------------------------------------------------------------------------- choices

    def _theme(self, theme: str) -> None:
        if theme != self.desk.settings.theme:
            self.desk.run_action("view.theme")

    def _scale(self, name: str) -> None:
        self.desk.remember(scale=SCALES[name])
        dpg.set_value("prefer_restart", RESTART)

    def _fly(self, swapped: bool) -> None:
        swap(self.desk, swapped)

    def _keys(self) -> None:
        self._show(False)
        self.desk.run_action("help")

    # ------------------------------------------------------------------------------------ what happens

    def tick(self, now: float) -> None:
        """Follow what was chosen elsewhere, by a key or the menu."""
        settings = self.desk.settings
        chosen = (settings.theme, settings.scale, settings.fly_swapped)
        if not dpg.is_item_shown("preferences") or chosen == self._shown:
            return
        self._shown = chosen
        dpg.set_value("prefer_theme", settings.theme)
        names = [name for name, step in SCALES.items() if step == settings.scale]
        dpg.set_value("prefer_scale", names[0] if names else f"{100 * settings.scale:.0f} %")
        dpg.set_value("prefer_fly", settings.fly_swapped)

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What the menu does here."""
        return {"edit.preferences": lambda: self._show(not dpg.is_item_shown("preferences"))}

    def catches(self, chord: str) -> bool:
        """Escape closes it."""
        if chord != "Escape" or not dpg.is_item_shown("preferences"):
            return False
        self._show(False)
        return True

    def _show(self, show: bool) -> None:
        dpg.configure_item("preferences", show=show, pos=in_the_middle(self.desk.skin.px(WIDTH), 0.2))
        if show:
            dpg.focus_item("preferences")

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"preferences": bool(dpg.is_item_shown("preferences"))}
