"""Choosing what a video shows: a mode by its name, with what the mode needs to know."""

from __future__ import annotations

from collections.abc import Sequence

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.gui.export.kept import Kept, set_items, show_only
from app.looks import COLOR, DISTORTION, MODES, RAYS, Display
from renderer.weights import RAY_MAPS
from training.config import HEADS


class ModeChoice:
    """``tag``: of the list. ``before``: what is offered before the modes."""

    def __init__(self, desk: Desk, kept: Kept, tag: str, before: Sequence[str] = ()) -> None:
        self._desk, self._kept, self.tag, self._before = desk, kept, tag, before

    def build(self, label: str, tip: str) -> None:
        """Two rows, the second one only where it is needed."""
        px, tag = self._desk.skin.px, self.tag
        self._kept.combo(label, tag, [*self._before, *MODES], tip)
        with dpg.group(tag=f"{tag}_more", show=False):
            self._kept.row("", lambda: self._heads(px(104)), f"{tag}_distortion", show=False)
            first = self._kept.value(f"{tag}_map", RAY_MAPS[0], RAY_MAPS)
            self._kept.row("", lambda: dpg.add_combo([*RAY_MAPS], default_value=first, width=-1, tag=f"{tag}_map"),
                           f"{tag}_rays", show=False)  # fmt: skip

    def _heads(self, width: int) -> None:
        tag = self.tag
        with dpg.group(horizontal=True):
            first = self._kept.value(f"{tag}_head", HEADS[0], HEADS)
            dpg.add_combo([*HEADS], default_value=first, width=width, tag=f"{tag}_head")
            self._desk.skin.tip(f"{tag}_head", "What of a Gaussian the field changes")
            dpg.add_text("s")
            dpg.add_input_int(tag=f"{tag}_pose", width=-1, min_value=0, min_clamped=True, max_clamped=True)
            self._desk.skin.tip(f"{tag}_pose", "Which generated camera the distortion is for")

    def opened(self, poses: int) -> None:
        """Another scene, with so many generated cameras."""
        last = max(0, poses - 1)
        dpg.configure_item(f"{self.tag}_pose", max_value=last)
        dpg.set_value(f"{self.tag}_pose", min(self._desk.stage.display.pose, last))
        set_items(self.tag, [*self._before, *self._desk.stage.modes])

    def refresh(self) -> None:
        """Show what the mode needs to know."""
        name = self.value
        show_only(
            {
                f"{self.tag}_more": name in (DISTORTION, RAYS),
                f"{self.tag}_distortion": name == DISTORTION,
                f"{self.tag}_rays": name == RAYS,
            }
        )

    @property
    def value(self) -> str:
        """What is chosen: one of ``before``, or a mode."""
        return str(dpg.get_value(self.tag))

    @property
    def display(self) -> Display:
        """The mode, with the blend of the viewport."""
        tag, name = self.tag, self.value
        return Display(
            mode=name if name in MODES else COLOR,
            head=dpg.get_value(f"{tag}_head"),
            pose=dpg.get_value(f"{tag}_pose"),
            ray_map=dpg.get_value(f"{tag}_map"),
            blend=self._desk.stage.display.blend,
        )
