"""The video that a person wants: its path, what it shows, how large, how long, how good, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.exports.choices import (
    OWN_PATH,
    SIZES,
    Size,
    check_path,
    picture_size,
    shade_of_display,
    views_of,
    with_ending,
    written_size,
)
from app.exports.plans import VideoExport
from app.exports.video import FORMATS, QUALITIES, open_writer
from app.gui.desk import Desk
from app.gui.export.beside import BesideChoice
from app.gui.export.kept import Kept, path_in, set_items, show_only
from app.gui.export.mode import ModeChoice
from app.looks import SPLITS
from app.tours import PRESETS, Stage
from app.words import amount
from renderer.errors import InputError
from renderer.tracks import Track
from renderer.view import View

VIEWPORT = "As in the viewport"
OTHER_SIZE = "other"
LAST_SIZES = "bytes per pixel"
"""What is kept of the last videos, by format and quality: how many bytes each pixel took on the disk."""


class VideoSection:
    """Tags of what tests use: ``export_path``, ``export_shown``, ``export_frames``, ``export_file``."""

    def __init__(self, desk: Desk, kept: Kept) -> None:
        self._desk, self._kept = desk, kept
        self._shown = ModeChoice(desk, kept, "export_shown", (VIEWPORT,))
        self._beside = BesideChoice(desk, kept)
        self._lengths = (0, 0.0, 0.0)
        self._format = ""
        self._track: Track | None = None
        self._told: object = None
        self._fine: object = None  # what could be written when it was looked at last
        self.agreed = ""
        """A path that the person has agreed to replace."""

    # ------------------------------------------------------------------------------------------ widgets

    def build(self) -> None:
        """The rows, in the current container."""
        kept, skin = self._kept, self._desk.skin
        kept.combo("Path", "export_path", [*PRESETS],
                   "How the camera moves: along your own camera path where it has keyframes, or along a preset. Fixed "
                   "Camera is the view on the screen while time passes.")  # fmt: skip
        self._shown.build("Show", "What every frame shows: the same as the viewport, divided as there, or a mode")
        skin.text("", tag="export_viewport", wrap=0)
        self._beside.build()
        kept.combo("Size", "export_size", [*SIZES, OTHER_SIZE], "Of one picture, in sizes of the training pictures")
        kept.row("", self._build_typed, "export_typed", show=False)
        kept.row("Frames", self._build_length)
        kept.row("Rate", lambda: dpg.add_input_float(
            default_value=kept.value("export_fps", 30.0), width=-1, step=0, format="%.6g frames/s",
            tag="export_fps"))  # fmt: skip
        kept.combo("Format", "export_format", [*FORMATS], "Pictures go into a folder of their own")
        kept.combo("Quality", "export_quality", QUALITIES, "Better takes longer, and a larger file", "good")
        kept.file("export_file", "Where to: a file, or a folder for pictures", self._browse)
        skin.text("", tag="export_estimate", wrap=0)

    def _build_typed(self) -> None:
        px = self._desk.skin.px
        with dpg.group(horizontal=True):
            for tag, default in (("export_width", 640), ("export_height", 360)):
                dpg.add_input_int(default_value=self._kept.value(tag, default), step=0, width=px(72), tag=tag)
                self._desk.skin.tip(tag, "Width x height, pixels, even")

    def _build_length(self) -> None:
        px = self._desk.skin.px
        with dpg.group(horizontal=True):
            dpg.add_input_int(default_value=self._kept.value("export_frames", 120), step=0, width=px(72),
                              tag="export_frames")  # fmt: skip
            dpg.add_input_float(step=0, format="%.6g s", width=-1, tag="export_seconds")
            self._desk.skin.tip("export_seconds", "How long it lasts; frames, seconds and rate are kept in step")

    # -------------------------------------------------------------------------------------- what happens

    def opened(self, event: p.Opened) -> None:
        """Another scene: its own names, sizes and modes."""
        home = event.home
        self._shown.opened(len(event.virtual_cameras))
        self._beside.opened(event)
        dpg.set_value("export_file", str(event.run.absolute() / f"video{self.ending}"))
        for tag, side in (("export_width", home.width), ("export_height", home.height)):
            if dpg.get_value("export_size") != OTHER_SIZE:
                dpg.set_value(tag, side // 2 * 2)
        self._told = None

    def saved(self, checkpoints: Sequence[int]) -> None:
        """These checkpoints are on disk."""
        self._beside.saved(checkpoints)

    def refresh(self) -> None:
        """Keep what belongs together in step, and show what is needed."""
        self._follow_track()
        self._follow_lengths()
        self._follow_ending()
        self._shown.refresh()
        self._beside.refresh(not self._from_viewport)
        show_only(
            {
                "export_viewport": self._from_viewport,
                "export_typed": dpg.get_value("export_size") == OTHER_SIZE,
            }
        )
        self._tell()

    def _follow_track(self) -> None:
        """Offer the person's own path once it has keyframes, with its own length."""
        track = self._desk.stage.track
        if track is self._track:
            return
        before, self._track = self._track, track
        set_items("export_path", [*([OWN_PATH] if track.keyframes else []), *PRESETS])
        if track.keyframes and not (before is not None and before.keyframes):
            dpg.set_value("export_path", OWN_PATH)
        if dpg.get_value("export_path") == OWN_PATH and track.seconds > 0:
            dpg.set_value("export_fps", track.fps)
            dpg.set_value("export_frames", track.frame_count)

    def _follow_lengths(self) -> None:
        frames, seconds, fps = (dpg.get_value(f"export_{name}") for name in ("frames", "seconds", "fps"))
        if (frames, seconds, fps) == self._lengths or fps <= 0:
            return
        if frames != self._lengths[0]:
            dpg.set_value("export_seconds", frames / fps)
        else:
            dpg.set_value("export_frames", max(1, round(seconds * fps)))
        self._lengths = tuple(dpg.get_value(f"export_{name}") for name in ("frames", "seconds", "fps"))

    def _follow_ending(self) -> None:
        """The name ends as the format wants it, or the format follows a name that was typed."""
        if dpg.is_item_active("export_file"):
            return
        name, chosen = dpg.get_value("export_file"), dpg.get_value("export_format")
        endings = {**{ending: words for words, ending in FORMATS.items()}, ".png": next(reversed(FORMATS))}
        if chosen != self._format:
            wanted = (
                name if endings.get(Path(name).suffix.lower()) == chosen else with_ending(name, self.ending, endings)
            )
            dpg.set_value("export_file", wanted)
        elif endings.get(Path(name).suffix.lower(), chosen) != chosen:
            dpg.set_value("export_format", endings[Path(name).suffix.lower()])
        self._format = dpg.get_value("export_format")

    def _tell(self) -> None:
        """What comes out, in words, where it has changed."""
        stage = self._desk.stage
        try:
            text = self._estimate(self._checked(self._chosen()))
        except InputError as problem:
            text = str(problem)
        told = (text, stage.display, stage.split)
        if told != self._told:
            self._told = told
            dpg.set_value("export_estimate", text)
            beside = "" if stage.split.kind == "off" else f", {SPLITS[stage.split.kind].lower()} to the right"
            dpg.set_value("export_viewport", f"Now: {stage.display.mode}{beside}")

    def _estimate(self, plan: VideoExport) -> str:
        (width, height), frames = written_size(plan, self._size), self._frames
        text = f"{frames:,} frames of {width} x {height}, {frames / plan.fps:.3g} s"
        rate = self._rates.get(kind_of(plan))
        return f"{text}, about {amount(rate * width * height * frames)}" if isinstance(rate, float) else text

    # ------------------------------------------------------------------------------------------ the plan

    @property
    def ending(self) -> str:
        """Of files of the chosen format."""
        return FORMATS[dpg.get_value("export_format")]

    @property
    def _from_viewport(self) -> bool:
        return self._shown.value == VIEWPORT

    @property
    def _frames(self) -> int:
        return int(dpg.get_value("export_frames"))

    @property
    def _size(self) -> Size:
        opened = self._desk.stage.opened
        if opened is None:
            raise InputError("Nothing is open; open a clip or a run first")
        typed = dpg.get_value("export_width"), dpg.get_value("export_height")
        return picture_size(opened.home, dpg.get_value("export_size"), typed)

    def plan(self) -> VideoExport:
        """What is chosen, without its views. InputError where that cannot be."""
        plan = self._chosen()
        open_writer(plan.path, plan.fps, plan.quality)  # says what is wrong with the name or the rate
        return plan

    def _checked(self, plan: VideoExport) -> VideoExport:
        """The plan, after a look at the disk where its file is another one."""
        file = plan.path, plan.fps, plan.quality
        if file != self._fine:
            open_writer(*file)
            self._fine = file
        return plan

    def _chosen(self) -> VideoExport:
        stage = self._desk.stage
        check_path(dpg.get_value("export_path"), stage.track, self._frames)
        plan = VideoExport(
            path=path_in("export_file"),
            views=(),
            fps=float(dpg.get_value("export_fps")),
            quality=dpg.get_value("export_quality"),
        )
        if self._from_viewport:
            return self._beside.as_viewport(plan)
        picture = None if stage.shown is None else stage.shown.picture
        return self._beside.added(replace(plan, shade=shade_of_display(self._shown.display, picture)))

    def route(self) -> Callable[[], tuple[View, ...]]:
        """What finds the views; it may take a while, and touches nothing of the window. InputError as above."""
        path, track, size, frames = dpg.get_value("export_path"), self._desk.stage.track, self._size, self._frames
        opened, viewpoint = self._desk.stage.opened, self._desk.stage.viewpoint
        assert opened is not None and viewpoint is not None, "the size is known"
        present = View(viewpoint.camera, self._desk.stage.time)
        stage = Stage(opened.shots, opened.home, opened.center, opened.up, present)
        return lambda: views_of(path, track, stage, size, frames)

    def _browse(self) -> None:
        start = path_in("export_file")
        if not self.ending:
            self._desk.dialogs.ask_folder(
                "A folder for the folder of pictures", start,
                lambda folder: dpg.set_value("export_file", str(folder / start.name)),
            )  # fmt: skip
            return

        def chosen(path: Path) -> None:
            self.agreed = str(path)
            dpg.set_value("export_file", str(path))

        self._desk.dialogs.ask_save("Write the video to", start, chosen, (self.ending,))

    # ------------------------------------------------------------------------------ what was measured

    @property
    def _rates(self) -> dict[str, object]:
        rates = self._desk.settings.export.get(LAST_SIZES)
        return dict(rates) if isinstance(rates, dict) else {}

    def learn(self, plan: VideoExport, size: int) -> None:
        """A video took ``size`` bytes: the next one of its kind can be judged by it."""
        camera = plan.views[0].camera
        width, height = written_size(plan, (camera.width, camera.height))
        rates = {**self._rates, kind_of(plan): size / (width * height * len(plan.views))}
        self._desk.remember(export={**self._desk.settings.export, LAST_SIZES: rates})
        self._told = None


def kind_of(plan: VideoExport) -> str:
    """Of videos that take about as many bytes."""
    return f"{plan.path.suffix.lower() or '.png'} {plan.quality}"
