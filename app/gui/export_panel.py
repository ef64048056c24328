"""Exporting a video: which way, how long, how large, where to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.tours import novel_path, through_inputs
from renderer.view import View

PATHS = ("Novel sway", "Through the inputs", "Still camera")
INPUTS = ("export_frames", "export_file")


class ExportPanel:
    """``send``: to the engine. ``present``: the view on the screen."""

    def __init__(self, send: Callable[[p.Command], None], present: Callable[[], View | None]) -> None:
        self._send, self._present = send, present
        self._opened: p.Opened | None = None
        self.running = False

    def build(self) -> None:
        """The section, in the current container."""
        dpg.add_combo(PATHS, default_value=PATHS[0], label="path", width=230, tag="export_path")
        dpg.add_input_int(label="frames", default_value=120, min_value=1, min_clamped=True, max_value=10_000,
                          max_clamped=True, width=230, tag="export_frames")  # fmt: skip
        dpg.add_combo(["1x", "1.5x", "2x"], default_value="1x", label="size", width=230, tag="export_scale")
        with dpg.tooltip("export_scale"):
            dpg.add_text("Relative to the training pictures")
        dpg.add_input_text(label="file", default_value="video.mp4", width=230, tag="export_file")
        with dpg.group(horizontal=True):
            dpg.add_button(label="Export video", width=150, tag="export", callback=lambda: self.toggle())
            dpg.add_progress_bar(tag="export_progress", width=-1, overlay="", show=False)

    def opened(self, event: p.Opened) -> None:
        """A scene is there."""
        self._opened = event
        dpg.set_value("export_file", str(event.run / "video.mp4"))

    def typing(self) -> bool:
        """Whether keys belong to a text field."""
        return any(dpg.is_item_active(tag) or dpg.is_item_focused(tag) for tag in INPUTS)

    def toggle(self) -> None:
        """Begin, or cancel what runs."""
        if self.running:
            self._send(p.CancelExport())
            return
        views = self._views()
        if views:
            self._send(p.Export(views, Path(dpg.get_value("export_file")), 30.0))
            self._set_running(True)

    def handle(self, event: p.Event) -> str | None:
        """Show how far it is; a sentence once it is over."""
        if isinstance(event, p.Failed):
            self._set_running(False)
        if not isinstance(event, p.ExportProgress):
            return None
        dpg.set_value("export_progress", event.done / max(1, event.total))
        dpg.configure_item("export_progress", overlay=f"{event.done} of {event.total}")
        if event.finished or event.cancelled:
            self._set_running(False)
            return f"Wrote {event.path}" if event.finished else "Export cancelled; nothing was left behind"
        return None

    def _set_running(self, running: bool) -> None:
        self.running = running
        dpg.set_item_label("export", "Cancel" if running else "Export video")
        dpg.configure_item("export_progress", show=running)

    def _views(self) -> tuple[View, ...]:
        if self._opened is None:
            return ()
        o, frames = self._opened, int(dpg.get_value("export_frames"))
        path = dpg.get_value("export_path")
        if path == PATHS[0]:
            views = novel_path(o.shots, o.home, o.center, o.up, frames)
        elif path == PATHS[1]:
            views = through_inputs(o.shots, frames)
        else:
            present = self._present()
            camera = o.home if present is None else present.camera.resized(o.home.width, o.home.height)
            views = tuple(View(camera, k / max(1, frames - 1)) for k in range(frames))
        scale = float(dpg.get_value("export_scale")[:-1])
        return tuple(
            replace(v, camera=v.camera.resized(round(v.camera.width * scale), round(v.camera.height * scale)))
            for v in views
        )
