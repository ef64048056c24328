"""The two rows above the picture: what is shown and how, what is beside it, what is drawn into it, how fast it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.gui.desk import Desk
from app.gui.picture.value_ranges import ValueRanges
from app.looks import COLOR, DISTORTION, ERROR, MODES, RAYS, SPLITS, Display
from renderer.picture import Mode, palette_table
from renderer.view import Frame
from renderer.weights import RAY_MAPS
from training.config import HEADS

ROW = 30
BAR_WIDTH = 90
STATS_EVERY = 0.25
"""Seconds between two changes of the frame rate that is shown."""


class ViewportBar:
    """``ranges``: of the colour maps. ``height``: of both rows, pixels."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self._stage = desk, desk.stage
        self.ranges = ValueRanges()
        self._mirrored: object = None
        self._stats_at = 0.0
        self._palette = ""

    @property
    def height(self) -> int:
        """Of both rows."""
        return 2 * self.desk.skin.px(ROW + 4)

    def build(self) -> None:
        """The rows, in the current container."""
        px = self.desk.skin.px
        for tag, fill in (("mode_row", self._build_modes), ("split_row", self._build_split)):
            # a row that is too long is cut off rather than push the panels beside the picture out of the window
            with dpg.child_window(tag=tag, height=px(ROW), border=False, no_scrollbar=True, no_scroll_with_mouse=True):
                self.desk.skin.flush(tag)
                with dpg.group(horizontal=True):
                    fill()

    def resize(self, width: int) -> None:
        """The width of the rows, pixels."""
        for tag in ("mode_row", "split_row"):
            dpg.configure_item(tag, width=width)

    # ------------------------------------------------------------------------------------------ widgets

    def _build_modes(self) -> None:
        skin, stage = self.desk.skin, self._stage
        dpg.add_combo(list(MODES), default_value=COLOR, width=skin.px(158), tag="mode",
                      callback=lambda s, name: stage.set_display(mode=name))  # fmt: skip
        with dpg.tooltip("mode", delay=0.4):
            dpg.add_text("", tag="mode_about", wrap=skin.px(380))
        with dpg.group(horizontal=True, tag="distortion_row", show=False):
            dpg.add_combo(list(HEADS), default_value=HEADS[0], width=skin.px(96), tag="head",
                          callback=lambda s, name: stage.set_display(head=name))  # fmt: skip
            skin.tip("head", "What of a Gaussian the field changes")
            dpg.add_slider_int(label="s", width=skin.px(96), tag="pose", clamped=True,
                               callback=lambda s, k: stage.set_display(pose=k))  # fmt: skip
            skin.tip("pose", "Which generated camera the distortion is for")
        dpg.add_combo(list(RAY_MAPS), default_value=RAY_MAPS[0], width=skin.px(150), tag="ray_map", show=False,
                      callback=lambda s, name: stage.set_display(ray_map=name))  # fmt: skip
        dpg.add_slider_float(width=skin.px(64), tag="blend", max_value=1.0, format="%.2f", clamped=True,
                             show=False, callback=lambda s, v: stage.set_display(blend=v))  # fmt: skip
        skin.tip("blend", "How much of the picture the colours cover")
        with dpg.group(horizontal=True, tag="color_bar", show=False):
            skin.text("", tag="range_low")
            with dpg.texture_registry():
                dpg.add_dynamic_texture(256, 1, self._bar_pixels("viridis"), tag="bar_texture")
            with dpg.group():
                dpg.add_spacer(height=skin.px(1))
                dpg.add_image("bar_texture", width=skin.px(BAR_WIDTH), height=skin.px(14))
            skin.text("", tag="range_high")
            dpg.add_checkbox(tag="hold_range", callback=lambda s, on: setattr(self.ranges, "held", on))
            skin.tip("hold_range", "Hold the values at the ends of the colours, to compare pictures by them")

    def _build_split(self) -> None:
        skin, stage = self.desk.skin, self._stage
        dpg.add_combo(list(SPLITS.values()), default_value=SPLITS["off"], width=skin.px(196), tag="split",
                      callback=lambda s, words: self._choose_split(words))  # fmt: skip
        skin.tip("split", "What is shown to the right of a divider that can be dragged. G: the clip's own picture")
        dpg.add_combo(list(MODES), width=skin.px(150), tag="split_mode", show=False,
                      callback=lambda s, name: stage.set_split(mode=name))  # fmt: skip
        dpg.add_slider_float(label="time", width=skin.px(110), tag="split_time", max_value=1.0, clamped=True,
                             format="%.3f", show=False, callback=lambda s, v: stage.set_split(time=v))  # fmt: skip
        dpg.add_combo([], width=skin.px(110), tag="split_step", show=False,
                      callback=lambda s, step: stage.set_split(step=int(step.replace(",", ""))))  # fmt: skip
        for tag, label, name, tip in (
            ("show_cameras", "Cameras", "cameras_shown", "Where the clip's cameras stand: blue to learn from, amber "
             "held out, violet generated (C)"),
            ("show_box", "Box", "box_shown", "Where the scene mostly is"),
            ("show_axes", "Axes", "axes_shown", "x red, y green, z blue, at what the camera turns around first"),
        ):  # fmt: skip
            dpg.add_checkbox(label=label, tag=tag, user_data=name, callback=lambda s, on, n: self._set_shown(n, on))
            skin.tip(tag, tip)
        dpg.add_slider_float(width=skin.px(90), tag="fov", min_value=10, max_value=120,
                             format="%.0f°", clamped=True,
                             callback=lambda s, degrees: stage.set_fov(math.radians(degrees)))  # fmt: skip
        skin.tip("fov", "Vertical field of view")

    def opened(self, event: p.Opened) -> None:
        """Another scene."""
        dpg.configure_item("mode", items=self._stage.modes)
        dpg.configure_item("split_mode", items=self._stage.modes)
        dpg.configure_item("pose", min_value=0, max_value=max(0, len(event.virtual_cameras) - 1))
        dpg.configure_item("split", items=[SPLITS[kind] for kind in self._stage.splits])
        self.saved(event.checkpoints)
        self.ranges.clear()
        if self._stage.cameras_shown:
            self.desk.send(p.ShowCameras())

    def saved(self, checkpoints: tuple[int, ...]) -> None:
        """These checkpoints are on disk."""
        dpg.configure_item("split_step", items=[f"{step:,}" for step in checkpoints])
        if checkpoints and self._stage.split.step not in checkpoints:
            self._stage.set_split(step=checkpoints[-1])

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, frame: Frame | None, latency: float, rate: float) -> None:
        """Show what the stage has, whoever changed it."""
        stage = self._stage
        fov = 0 if stage.viewpoint is None else round(math.degrees(stage.viewpoint.camera.fov_y), 1)
        shown = (stage.cameras_shown, stage.box_shown, stage.axes_shown)
        known = (
            self.ranges.of("left", stage.display),
            frame and (frame.view.overlay, frame.overlay is None),
        )
        mirrored = (stage.display, stage.split, shown, fov, known, None if frame is None else frame.overlay_unit)
        if mirrored != self._mirrored:
            self._mirrored = mirrored
            self._mirror(stage.display, fov)
            self._label_range(frame)
        self._stats(frame, latency, rate)

    def _mirror(self, display: Display, fov: float) -> None:
        stage, split = self._stage, self._stage.split
        overlay = display.shown.mode == Mode.OVERLAY
        for tag, value in (
            ("mode", display.mode), ("head", display.head), ("pose", display.pose), ("ray_map", display.ray_map),
            ("blend", display.blend), ("split", SPLITS[split.kind]), ("split_mode", split.mode),
            ("split_time", split.time), ("split_step", f"{split.step:,}"), ("show_cameras", stage.cameras_shown),
            ("show_box", stage.box_shown), ("show_axes", stage.axes_shown), ("mode_about", display.shown.about),
        ):  # fmt: skip
            dpg.set_value(tag, value)
        if fov:
            dpg.set_value("fov", fov)
        for tag, show in (
            ("distortion_row", display.mode == DISTORTION), ("ray_map", display.mode == RAYS), ("blend", overlay),
            ("color_bar", display.shown.mode not in (Mode.COLOR, Mode.NORMALS)), ("split_mode", split.kind == "mode"),
            ("split_time", split.kind == "time"), ("split_step", split.kind == "checkpoint"),
        ):  # fmt: skip
            dpg.configure_item(tag, show=show)
        if display.shown.palette != self._palette:
            self._palette = display.shown.palette
            dpg.set_value("bar_texture", self._bar_pixels(self._palette))

    def _label_range(self, frame: Frame | None) -> None:
        display = self._stage.display
        low, high = self.ranges.of("left", display)
        unit = " scene units" if display.shown.mode == Mode.DEPTH else ""
        if display.shown.mode == Mode.OVERLAY and frame is not None and frame.view.overlay == display.overlay:
            unit = f" {frame.overlay_unit}" if frame.overlay is not None else f" ({_missing(display)})"
        dpg.set_value("range_low", f"{low:.3g}")
        dpg.set_value("range_high", f"{high:.3g}{unit}")

    def _stats(self, frame: Frame | None, latency: float, rate: float) -> None:
        if frame is None or time.monotonic() - self._stats_at < STATS_EVERY:
            return
        self._stats_at = time.monotonic()
        camera = frame.view.camera
        self._stage.rates = f"{camera.width} x {camera.height}   {rate:.0f} fps   {1e3 * latency:.0f} ms"

    def _bar_pixels(self, palette: str) -> list[float]:
        pixels = np.ones((1, 256, 4), np.float32)
        pixels[..., :3] = palette_table(palette)
        return pixels.ravel().tolist()

    # -------------------------------------------------------------------------------------------- actions

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        stage, names = self._stage, list(MODES)

        def toggle(kind: str) -> None:
            if kind not in stage.splits:
                self.desk.say("There are no pictures of a clip to compare with")
            stage.set_split(kind="off" if stage.split.kind == kind else kind)

        def shows(name: str) -> Callable[[], object]:
            return lambda: stage.set_display(mode=name)

        return {
            **{f"mode.{k + 1}": shows(name) for k, name in enumerate(names)},
            "view.truth": lambda: toggle("input"),
            "view.split": lambda: toggle("mode"),
            "view.frusta": lambda: self._set_shown("cameras_shown", not stage.cameras_shown),
        }

    def _choose_split(self, words: str) -> None:
        kind = next(k for k, w in SPLITS.items() if w == words)
        if kind == "checkpoint" and not (dpg.get_item_configuration("split_step")["items"]):
            self.desk.say("No checkpoint is there yet; save one with Ctrl+S")
            kind = "off"
        self._stage.set_split(kind=kind)
        self._mirrored = None

    def _set_shown(self, name: str, on: bool) -> None:
        setattr(self._stage, name, on)
        self._stage.version += 1
        if name == "cameras_shown" and on and not self._stage.thumbnails:
            self.desk.send(p.ShowCameras())


def _missing(display: Display) -> str:
    """Why an overlay is not there."""
    if display.mode == DISTORTION:
        return "no distortion field yet"
    return "go to a camera with [ or ]" if display.mode == ERROR else "not known here"
