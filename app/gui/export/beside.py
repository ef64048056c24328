"""Choosing what a video shows beside the scene, and how the two lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.exports.choices import shade_of_display
from app.exports.plans import Against, Shade, VideoExport
from app.gui.desk import Desk
from app.gui.export.kept import Kept, set_items, show_only
from app.gui.export.mode import ModeChoice
from app.looks import SPLITS, Display
from renderer.errors import InputError

KINDS: tuple[Against, ...] = ("input", "mode", "time", "checkpoint", "generated")
BESIDE: dict[str, Against] = {"Nothing": "nothing", **{SPLITS[kind]: kind for kind in KINDS}}
"""What may be shown beside the scene, in words."""
LAYOUTS = ("side by side", "divided")
NO_CHECKPOINT = "A checkpoint: there is none yet; save one with Ctrl+S"


class BesideChoice:
    """Rows of the export panel."""

    def __init__(self, desk: Desk, kept: Kept) -> None:
        self._desk, self._kept = desk, kept
        self._other = ModeChoice(desk, kept, "export_other")

    def build(self) -> None:
        """The rows, in the current container."""
        kept = self._kept
        with dpg.group(tag="export_besides"):
            kept.combo("Beside it", "export_beside", [*BESIDE], "What else every frame shows")
            with dpg.group(tag="export_other_row", show=False):
                self._other.build("", "What the other side shows")
            kept.row("", lambda: dpg.add_slider_float(
                default_value=kept.value("export_time", 0.0), max_value=1.0, clamped=True, format="time %.3f",
                width=-1, tag="export_time"), "export_time_row", show=False)  # fmt: skip
            kept.row("", lambda: dpg.add_combo([], width=-1, tag="export_step"), "export_step_row", show=False)
            layout = kept.value("export_layout", LAYOUTS[0], LAYOUTS)
            kept.row("Layout", lambda: dpg.add_combo(
                LAYOUTS, default_value=layout, width=-1, tag="export_layout"), "export_layout_row",
                show=False)  # fmt: skip
            kept.row("", lambda: dpg.add_slider_float(
                default_value=kept.value("export_divider", 0.5), max_value=1.0, clamped=True, width=-1,
                format="at %.2f of the width", tag="export_divider"), "export_divider_row", show=False)  # fmt: skip

    def opened(self, event: p.Opened) -> None:
        """Another scene."""
        self._other.opened(len(event.virtual_cameras))
        splits = self._desk.stage.splits
        set_items("export_beside", [words for words, kind in BESIDE.items() if kind == "nothing" or kind in splits])
        self.saved(event.checkpoints)

    def saved(self, checkpoints: Sequence[int]) -> None:
        """These checkpoints are on disk."""
        set_items("export_step", [f"{step:,}" for step in checkpoints])

    def refresh(self, show: bool) -> None:
        """Show what is needed. ``show``: any of it."""
        against = self._against
        self._other.refresh()
        show_only(
            {
                "export_besides": show,
                "export_other_row": against == "mode",
                "export_time_row": against == "time",
                "export_step_row": against == "checkpoint",
                "export_layout_row": against != "nothing",
                "export_divider_row": against != "nothing" and self._divided,
            }
        )

    # ------------------------------------------------------------------------------------------ the plan

    @property
    def _against(self) -> Against:
        return BESIDE[dpg.get_value("export_beside")]

    @property
    def _divided(self) -> bool:
        return bool(dpg.get_value("export_layout") == LAYOUTS[1])

    def added(self, plan: VideoExport) -> VideoExport:
        """The plan with what is chosen here. InputError where that cannot be."""
        against, step = self._against, str(dpg.get_value("export_step") or "").replace(",", "")
        if against == "checkpoint" and not step:
            raise InputError(NO_CHECKPOINT)
        return replace(
            plan,
            against=against,
            other=self._other_shade(against, self._other.display),
            other_time=float(dpg.get_value("export_time")),
            other_step=int(step or 0),
            layout="split" if self._divided else "beside",
            divider=float(dpg.get_value("export_divider")),
        )

    def as_viewport(self, plan: VideoExport) -> VideoExport:
        """The plan with both sides and the divider of the viewport."""
        stage, split = self._desk.stage, self._desk.stage.split
        against = BESIDE.get(SPLITS[split.kind], "nothing")
        return replace(
            plan,
            shade=self._shade(stage.display),
            against=against,
            other=self._other_shade(against, stage.right_display),
            other_time=split.time,
            other_step=split.step,
            layout="split",
            divider=split.divider,
        )

    def _other_shade(self, against: Against, display: Display) -> Shade:
        return Shade(pose=self._desk.stage.display.pose) if against == "generated" else self._shade(display)

    def _shade(self, display: Display) -> Shade:
        shown = self._desk.stage.shown
        return shade_of_display(display, None if shown is None else shown.picture)
