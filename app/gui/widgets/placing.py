"""Where small windows lie in the large one."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

HEIGHT = 1 / 3
"""Share of the window's height that is above them."""


def in_the_middle(width: int, share: float = HEIGHT) -> tuple[int, int]:
    """Place for a window of so many pixels in width: in the middle, below that share of the height."""
    across, down = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
    return max(0, (across - width) // 2), round(share * down)
