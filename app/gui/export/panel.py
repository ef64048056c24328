"""Export: videos, Gaussians, cameras and pictures, while training goes on."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.exports.choices import Plan, files_of, folder_of
from app.exports.plans import GaussianExport, VideoExport
from app.gui.desk import Desk
from app.gui.export.files import NO_GAUSSIANS, CameraSection, GaussianSection
from app.gui.export.kept import Kept, show_only
from app.gui.export.screenshot import ScreenshotSection
from app.gui.export.video import VideoSection
from app.gui.panel import Panel
from app.gui.widgets.replace_question import ReplaceQuestion
from app.words import amount, duration
from renderer.view import View

FOOTER = 96
"""Height of the place for progress and results, pixels."""
REFRESH, KEEP = 0.1, 1.0
"""Seconds between two looks at what is chosen, and until it is kept."""
BUTTONS = {"export": "Export video", "gaussians_export": "Export Gaussians", "cameras_export": "Export cameras"}
NOTHING_YET = "What is exported, and where it is, is told here. Training goes on meanwhile."
Route = Callable[[], tuple[View, ...]]
Section = VideoSection | GaussianSection | CameraSection


@dataclass(frozen=True)
class Running:
    """An export that goes on. ``button``: tag of the one that began it. ``began``: seconds of
    :func:`time.monotonic`."""

    button: str
    plan: Plan
    began: float
    done: int = 0
    total: int = 0
    cancelling: bool = False

    @property
    def what(self) -> str:
        """In words."""
        if isinstance(self.plan, VideoExport):
            return "A video is being written"
        return f"{'Gaussians' if isinstance(self.plan, GaussianExport) else 'Cameras'} are being written"

    @property
    def pieces(self) -> str:
        """How much is done."""
        unit = "frames" if isinstance(self.plan, VideoExport) else "files"
        return f"{self.done:,} of {self.total:,} {unit}" if self.total else "beginning"

    def left(self, now: float) -> str:
        """How long it will take at the rate so far, in words; empty where that is not known yet."""
        if not self.done or self.done >= self.total:
            return ""
        return f", {duration((now - self.began) / self.done * (self.total - self.done))} left"


class ExportPanel(Panel):
    """One export at a time; its button cancels it."""

    title = "Export"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._kept = Kept(desk)
        self._video = VideoSection(desk, self._kept)
        self._gaussians = GaussianSection(desk, self._kept)
        self._cameras = CameraSection(desk, self._kept)
        self._screenshot = ScreenshotSection(desk, self._kept)
        self._question = ReplaceQuestion(desk.skin)
        self._running: Running | None = None
        self._finished: Plan | None = None
        self._told: object = None
        self._refreshed, self._kept_at = 0.0, 0.0
        self._opener: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------------------------------ widgets

    def build(self) -> None:
        """The panel, in the current container."""
        skin = self.desk.skin
        with (
            dpg.child_window(tag="export_sections", border=False, height=skin.px(-FOOTER)),
            dpg.group(tag="export_panel"),
        ):
            skin.flush("export_sections")
            with dpg.collapsing_header(label="Video", default_open=True, tag="section video"):
                self._video.build()
                self._button("export", self._export_video)
            with dpg.collapsing_header(label="Gaussians", default_open=True, tag="section gaussians"):
                skin.text(NO_GAUSSIANS, tag="gaussians_none", wrap=0, show=False)
                with dpg.group(tag="gaussians_body"):
                    self._gaussians.build()
                    self._button("gaussians_export", lambda: self._ask("gaussians_export", self._gaussians))
            with dpg.collapsing_header(label="Cameras", default_open=True, tag="section cameras"):
                self._cameras.build()
                self._button("cameras_export", lambda: self._ask("cameras_export", self._cameras))
            with dpg.collapsing_header(label="Picture and report", default_open=True, tag="section pictures"):
                self._screenshot.build()
        dpg.add_separator()
        dpg.add_progress_bar(tag="export_progress", width=-1, show=False)
        skin.text(NOTHING_YET, tag="export_line", wrap=0)
        dpg.add_button(label="Open folder", tag="export_open", show=False, callback=lambda: self._open_folder())
        self._question.build()

    def _button(self, tag: str, begin: Callable[[], None]) -> None:
        def pressed() -> None:
            if self._running is None:
                begin()
            elif self._running.button == tag:
                self.cancel()
            else:
                self.desk.say(f"{self._running.what}; wait for its end, or cancel it")

        dpg.add_button(label=BUTTONS[tag], tag=tag, width=self.desk.skin.px(160), callback=pressed)
        if tag == "export":
            self.desk.skin.primary(tag)

    # ------------------------------------------------------------------------------------- what is done

    def _export_video(self) -> None:
        self._ask("export", self._video, self._video.route())

    def _ask(self, button: str, section: Section, route: Route | None = None) -> None:
        """Begin, once it is clear that nothing is replaced without a word."""
        plan = section.plan()
        agreed, section.agreed = section.agreed, ""
        there = [path for path in files_of(plan) if str(path) != agreed]
        self._kept.save()
        if there:
            self._question.ask(there, lambda: self._begin(button, plan, route))
        else:
            self._begin(button, plan, route)

    def _begin(self, button: str, plan: Plan, route: Route | None) -> None:
        began = time.monotonic()
        self._running, self._finished = Running(button, plan, began), None
        if route is None or not isinstance(plan, VideoExport):
            self.desk.send(p.Export(plan))
        else:
            self.desk.beside(
                lambda: replace(plan, views=route()),
                lambda complete: self._send(complete, began),
                lambda: self._without_route(began),
            )

    def _without_route(self, began: float) -> None:
        if self._running is not None and self._running.began == began:
            self._end("Nothing was written.")

    def _send(self, plan: VideoExport, began: float) -> None:
        if self._running is None or self._running.began != began:
            return  # it was cancelled, or the scene was closed, meanwhile
        if not self._running.cancelling:
            self._running = replace(self._running, plan=plan, began=time.monotonic())
            self.desk.send(p.Export(plan))
        else:
            self._end("Cancelled; nothing of it is left.")

    def cancel(self) -> None:
        """Stop what is being exported; nothing of it is left."""
        if self._running is not None and not self._running.cancelling:
            self._running = replace(self._running, cancelling=True)
            self.desk.send(p.CancelExport())

    def _open_folder(self) -> None:
        if self._finished is None:
            return
        folder, program = folder_of(self._finished), shutil.which("xdg-open")
        if program is None:
            dpg.set_clipboard_text(str(folder))
            self.desk.say(f"{folder} is in the clipboard; no program is there that opens folders")
            return
        quiet = subprocess.DEVNULL
        self._opener = subprocess.Popen([program, str(folder)], stdin=quiet, stdout=quiet, stderr=quiet)

    # -------------------------------------------------------------------------------------- what happens

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        match event:
            case p.Opened():
                self._opened(event)
            case p.Saved():
                self._video.saved(event.checkpoints)
            case p.ExportProgress() if self._running is not None:
                self._progress(self._running, event)

    def _opened(self, event: p.Opened) -> None:
        for section in (self._video, self._gaussians, self._cameras):
            section.opened(event)
        self._running = self._finished = None
        show_only({"gaussians_none": event.model == "field", "gaussians_body": event.model == "gaussians"})
        self._told = None
        self._tell_line(NOTHING_YET)

    def _progress(self, running: Running, event: p.ExportProgress) -> None:
        if event.cancelled:
            self._end(
                "Cancelled; nothing of it is left." if running.cancelling else "It ended early; see what was said."
            )
        elif event.finished:
            self._end("Written.")
            self._finished = running.plan
            self.desk.beside(lambda: _bytes(running.plan), lambda found: self._written(running.plan, *found))
        else:
            self._running = replace(running, done=event.done, total=event.total)

    def _written(self, plan: Plan, count: int, size: int) -> None:
        many = "" if count == 1 else f"{count:,} files, "
        checked = ", read back and compared" if isinstance(plan, GaussianExport) else ""
        text = f"{plan.path}: {many}{amount(size)}{checked}"
        self.desk.say(text)
        if self._finished is plan:
            self._tell_line(text)
        if isinstance(plan, VideoExport):
            self._video.learn(plan, size)

    def _end(self, text: str) -> None:
        self._running = None
        self._tell_line(text)

    def _tell_line(self, text: str) -> None:
        dpg.set_value("export_line", text)

    def closed(self) -> None:
        """The scene was closed: forget it."""
        self._running = self._finished = None
        self._question.cancel()
        self._tell_line(NOTHING_YET)

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """Show how far it is, and what is chosen."""
        if self._opener is not None and self._opener.poll() is not None:
            self._opener = None
        self._tell(now)
        if now - self._refreshed < REFRESH or self.desk.stage.opened is None:
            return
        self._refreshed = now
        if dpg.is_item_visible("export_panel"):
            self._video.refresh()
            self._gaussians.refresh()
            self._cameras.refresh()
            if now - self._kept_at > KEEP:
                self._kept_at = now
                self._kept.save()

    def _tell(self, now: float) -> None:
        running = self._running
        told = (running, self._finished)
        if told == self._told:
            return
        self._told = told
        if running is None:
            self.desk.busy.pop("export", None)
        else:
            self.desk.busy["export"] = (
                f"{running.what} ({running.pieces}); closing ends it and removes what is unfinished."
            )
            dpg.set_value("export_progress", running.done / max(1, running.total))
            dpg.configure_item("export_progress", overlay=f"{running.pieces}{running.left(now)}")
            self._tell_line(f"{running.what}: {running.plan.path}")
        show_only(
            {"export_progress": running is not None, "export_open": running is None and self._finished is not None}
        )
        for tag, label in BUTTONS.items():
            own = running is not None and running.button == tag
            stop = "Cancelling" if running is not None and running.cancelling else "Cancel"
            dpg.set_item_label(tag, stop if own else label)

    # -------------------------------------------------------------------------------------------- actions

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"screenshot": self._screenshot.take}

    def catches(self, chord: str) -> bool:
        """While the question is there, keys are for it; Escape leaves everything as it is."""
        return self._question.catches(chord)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        running, finished = self._running, self._finished
        return {
            "exporting": running is not None,
            "replacing": self._question.open,
            "screenshot": self._screenshot.last,
            "export": {
                "done": 0 if running is None else running.done,
                "total": 0 if running is None else running.total,
                "finished": "" if finished is None else str(finished.path),
                "said": dpg.get_value("export_line"),
            },
        }


def _bytes(plan: Plan) -> tuple[int, int]:
    """How many files a plan wrote, and their bytes."""
    files = files_of(plan)
    return len(files), sum(path.stat().st_size for path in files)
