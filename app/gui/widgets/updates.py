"""Widgets are told only what is new to them: that is cheaper than to write them in every frame."""

from __future__ import annotations

import dearpygui.dearpygui as dpg


def set_text(item: int | str, text: str) -> None:
    """Another text, where it is another one."""
    if dpg.get_value(item) != text:
        dpg.set_value(item, text)
