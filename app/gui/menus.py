"""The menu bar: everything that has a key, where people look for it first."""

from __future__ import annotations

from collections.abc import Sequence

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.keys import BY_NAME, shown

MENUS: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    ("File", (
        ("Open a clip or a run ...", "file.open"), ("Close the scene", "file.close"), ("", ""),
        ("Save a checkpoint", "file.save"), ("Export ...", "file.export"), ("Screenshot", "screenshot"), ("", ""),
        ("Quit", "app.quit"),
    )),
    ("Edit", (("Undo", "edit.undo"), ("Redo", "edit.redo"), ("", ""), ("Copy camera", "camera.copy"),
              ("Paste camera", "camera.paste"), ("", ""), ("Preferences ...", "edit.preferences"))),
    ("View", (
        ("Home", "camera.home"), ("Turn around the picked point", "camera.focus"), ("", ""),
        ("Compare with the input picture", "view.truth"), ("Split", "view.split"), ("Cameras", "view.frusta"),
        ("", ""), ("Dark or light", "view.theme"), ("Larger text", "view.larger"), ("Smaller text", "view.smaller"),
        ("Hide or show the panels", "view.hide"), ("Full screen", "view.full"),
    )),
    ("Training", (("Start, pause", "train.toggle"), ("A single step", "train.step"), ("Stop and save", "train.stop"),
                  ("Measure held-out pictures", "train.measure"))),
    ("Help", (("Keys and mouse", "help"), ("", ""), ("Copy the log for a report", "log.copy"))),
)  # fmt: skip


def build_menus(desk: Desk) -> None:
    """The menu bar of the window whose container is current."""
    with dpg.menu_bar():
        for title, entries in MENUS:
            with dpg.menu(label=title, tag=f"menu {title}"):
                if title == "File":
                    dpg.add_menu(label="Open recent", tag="menu recent")
                for label, action in entries:
                    if not action:
                        dpg.add_separator()
                        continue
                    keys = desk.keys.keys_of(action) if action in BY_NAME else ()
                    dpg.add_menu_item(label=label, shortcut=shown(keys[0]) if keys else "", tag=f"menu {action}",
                                      user_data=action, callback=lambda s, d, name: desk.run_action(name))  # fmt: skip
    fill_recent(desk)


def renew_shortcuts(desk: Desk) -> None:
    """Show the keys as they are now."""
    for action in BY_NAME:
        if dpg.does_item_exist(f"menu {action}"):
            keys = desk.keys.keys_of(action)
            dpg.configure_item(f"menu {action}", shortcut=shown(keys[0]) if keys else "")


def fill_recent(desk: Desk) -> None:
    """The scenes that were opened last."""
    dpg.delete_item("menu recent", children_only=True)
    for name in desk.settings.recent:
        dpg.add_menu_item(label=name, parent="menu recent", user_data=name,
                          callback=lambda s, d, source: desk.offer(source))  # fmt: skip
    dpg.configure_item("menu recent", enabled=bool(desk.settings.recent))
