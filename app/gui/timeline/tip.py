"""What is known of the frame under the mouse, above the strip of the timeline so that it hides none of it."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np

from app.clock import Clock
from app.gui.theme import Skin
from app.gui.timeline.strip import Frames

COLORS = {"frame": "text", "energy": "grey", "error": "orange", "marks": "muted"}
WIDTH, HEIGHT, GAP = 300, 140, 6
"""Before its size is known; from the strip. Pixels at 96 dpi."""
AWAY = (100_000, 100_000)
"""Where it is while it has nothing to say, the lower right corner: a window that appears takes the first click from
what is below, and one outside of the window is pulled in."""


def share(value: float) -> str:
    """A mean absolute difference of intensities in words."""
    return f"{100 * value:.2f} % of full intensity" if np.isfinite(value) else "not measured"


class FrameTip:
    """A small window of its own: a tooltip would lie over the strip."""

    def __init__(self, skin: Skin) -> None:
        self._skin = skin
        self._shown: object = None

    def build(self) -> None:
        """Make it; not inside of another window."""
        with dpg.window(tag="time_tip", pos=AWAY, no_title_bar=True, no_resize=True, no_move=True, autosize=True,
                        no_scrollbar=True, no_saved_settings=True, no_focus_on_appearing=True, min_size=(8, 8),
                        no_open_over_existing_popup=False):  # fmt: skip
            for name, color in COLORS.items():
                self._skin.text("", color, tag=f"tip_{name}")

    def show(self, frames: Frames, clock: Clock, frame: int, x: float) -> None:
        """Tell of a frame, at ``x`` pixels from the left end of the strip."""
        left, top = dpg.get_item_rect_min("time")
        width, height = dpg.get_item_rect_size("time_tip") if self._shown else (0, 0)
        width, height = width or self._skin.px(WIDTH), height or self._skin.px(HEIGHT)
        most = dpg.get_viewport_client_width() - width
        place = [round(min(max(0, left + x - width / 2), most)), round(top - height - self._skin.px(GAP))]
        now = (id(frames), frame, place)
        if now == self._shown:
            return
        self._shown = now
        dpg.configure_item("time_tip", pos=place)
        dpg.set_value(
            "tip_frame", f"Frame {frame + 1} of {clock.frame_count}, {frame / clock.last * clock.duration:.2f} s"
        )
        dpg.set_value("tip_energy", f"motion  {share(frames.energies[frame])}")
        when = f", step {frames.step:,}" if np.isfinite(frames.errors[frame]) else ""
        dpg.set_value("tip_error", f"error  {share(frames.errors[frame])}{when}")
        marks = (("learned from", frames.learned[frame]), ("held out", frames.held_out[frame]))
        dpg.set_value("tip_marks", "pictures: " + (" and ".join(words for words, there in marks if there) or "none"))

    def hide(self) -> None:
        """Say nothing."""
        if self._shown is not None:
            self._shown = None
            dpg.configure_item("time_tip", pos=AWAY)
