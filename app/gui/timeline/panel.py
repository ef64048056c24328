"""The timeline: scrub, play, loop, step by frames; below it what moves and how wrong each frame is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np

from app import protocol as p
from app.clock import SPEEDS, Clock
from app.gui.desk import Desk
from app.gui.panel import Panel
from app.gui.stage import PATH, one_moving_camera
from app.gui.timeline.strip import HEIGHT, Frames, FrameStrip, frames_of
from app.gui.timeline.tip import FrameTip, share
from app.settings import Loop

ROW, GAP = 28, 4
"""Height of the row of buttons, and what is between it and the strip."""
WIDE, LEGEND, STEPS, SNAP, FOLLOW, BUTTON = 700, 820, 560, 420, 74, 58
"""Pixels from which on there is a place for words, what the colours mean, buttons that have a key, and snapping;
and the widths of what follows a camera and of a button."""
LOOP_WORDS: Mapping[Loop, tuple[str, str]] = {
    "once": ("⇥", "once"), "loop": ("↻", "loop"), "ping-pong": ("⇄", "ping-pong")
}  # fmt: skip


class Timeline(Panel):
    """``playing``: whether time goes by itself. ``height``: pixels. Jumping to a frame pauses, dragging does not."""

    title = "Timeline"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._clock = Clock(desk.settings.loop_mode, desk.settings.speed)
        self._strip, self._tip = FrameStrip(desk.skin), FrameTip(desk.skin)
        self._frames: Frames | None = None
        self._dragging = False
        self._width = 0
        self._followed = False  # whether there is a camera that can be
        self._given = 0.0
        self._mirrored: object = None

    # ------------------------------------------------------------------------------------------- widgets

    def build(self) -> None:
        """The strip and a row of buttons, in the current container."""
        skin = self.desk.skin
        with dpg.group(tag="timeline"):
            self._strip.build()
            # cut off where it is too long, rather than push the panels out of the window
            with dpg.child_window(tag="timeline_row", height=skin.px(ROW), border=False, no_scrollbar=True,
                                  no_scroll_with_mouse=True):  # fmt: skip
                skin.flush("timeline_row")
                with dpg.group(horizontal=True):
                    self._build_row()
        with dpg.item_handler_registry(tag="time_handlers"):
            dpg.add_item_clicked_handler(0, callback=lambda: self._press())
        dpg.bind_item_handler_registry("time", "time_handlers")
        self._tip.build()

    def _build_row(self) -> None:
        skin, px = self.desk.skin, self.desk.skin.px
        dpg.add_button(label="Play", width=px(BUTTON), tag="play", callback=lambda: self.toggle())
        skin.tip("play", "Play or pause time (Space)")
        with dpg.group(horizontal=True, tag="time_steps", horizontal_spacing=px(2)):
            dpg.add_button(arrow=True, direction=dpg.mvDir_Left, tag="time_previous", callback=lambda: self.step(-1))
            skin.tip("time_previous", "The frame before (Left)")
            dpg.add_button(arrow=True, direction=dpg.mvDir_Right, tag="time_next", callback=lambda: self.step(1))
            skin.tip("time_next", "The next frame (Right). Home and End: the first and the last one")
        dpg.add_button(tag="loop", callback=lambda: self.next_loop())
        with dpg.tooltip("loop", delay=0.4):
            dpg.add_text("", tag="loop_about", wrap=px(360))
        dpg.add_combo([f"{speed:g}x" for speed in SPEEDS], width=px(60), tag="speed", no_arrow_button=True,
                      height_mode=dpg.mvComboHeight_Large,
                      default_value=f"{self._clock.speed:g}x", callback=lambda s, v: self._set_speed(v))  # fmt: skip
        skin.tip("speed", "How fast time goes; 1x is as filmed, on the clock on the wall")
        with dpg.group(horizontal=True, tag="snap_part"):
            dpg.add_checkbox(label="snap", tag="snap", callback=lambda s, on: self._set_snap(on))
            skin.tip("snap", "Show only the moments of frames, not what is between two of them")
        with dpg.group(horizontal=True, tag="follow_part", show=False):
            dpg.add_checkbox(label="follow", tag="follow", callback=lambda s, on: self._set_follow(on))
            skin.tip("follow", "As time passes, the view goes along with the camera that filmed: it saw nothing from "
                     "elsewhere at that moment")  # fmt: skip
        dpg.add_button(label="Worst", width=px(BUTTON), tag="worst", callback=lambda: self.go_to_worst())
        skin.tip("worst", "To the frame with the largest error (X)")
        dpg.add_text("", tag="time_text")
        with dpg.group(horizontal=True, tag="time_legend", show=False):
            for words, color in (("▮ motion", "grey"), ("━ error", "orange")):
                skin.text(words, color)

    @property
    def height(self) -> int:
        """Of strip and row, pixels."""
        return self.desk.skin.px(HEIGHT + GAP + ROW)

    def resize(self, width: int) -> None:
        """The width of both, pixels."""
        self._width = width
        self._strip.resize(width)
        dpg.configure_item("timeline_row", width=width)
        dpg.configure_item("time_steps", show=width >= self.desk.skin.px(STEPS))
        dpg.configure_item("snap_part", show=width >= self.desk.skin.px(SNAP))
        self._mirrored = None

    # ------------------------------------------------------------------------------------ what happened

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        match event:
            case p.Opened():
                self._clock.open(event.frame_count, event.fps)
                self._followed = one_moving_camera(event)
                self._show(frames_of(event.shots if event.has_clip else (), event.frame_count))
                self.desk.send(p.WatchFrames())
            case p.FrameEnergies() if self._frames is not None:
                self._show(replace(self._frames, energies=event.values))
            case p.FrameErrors() if self._frames is not None:
                self._show(replace(self._frames, errors=event.values, step=event.step))

    def closed(self) -> None:
        """The scene was closed: forget it."""
        self._clock.open(1, 30.0)
        self._dragging = False
        self._show(None)

    def _show(self, frames: Frames | None) -> None:
        self._frames = frames
        self._strip.show(frames)

    # --------------------------------------------------------------------------------------------- time

    @property
    def playing(self) -> bool:
        """Whether time goes by itself."""
        return self._clock.playing

    @property
    def time(self) -> float:
        """What is shown."""
        return self.desk.stage.time

    def toggle(self) -> None:
        """Play or pause; where a camera path moves time, stop it."""
        stage = self.desk.stage
        if stage.flown_by == PATH:
            stage.flown_by = ""
        elif self.playing:
            self._clock.pause()
        elif self._frames is not None:
            self._clock.seek(self.time)
            self._clock.play()

    def step(self, by: int) -> None:
        """To the next or previous frame of the clip."""
        self._clock.seek(self.time)
        self._clock.step(by)
        self._jump(self._clock.time)

    def go_to_worst(self) -> None:
        """To the frame with the largest error, and say which one it is."""
        frames = self._frames
        if frames is None or frames.worst is None:
            self.desk.say("No frame has been compared with its picture yet")
            return
        worst, count = frames.worst, self._clock.frame_count
        self._jump(worst / self._clock.last)
        self.desk.say(f"Frame {worst + 1} of {count} has the largest error: {share(frames.errors[worst])} at step "
                      f"{frames.step:,}")  # fmt: skip

    def go(self, time: float) -> None:
        """To a time in [0, 1]; a camera path that is played stops."""
        stage = self.desk.stage
        if stage.flown_by == PATH:
            stage.flown_by = ""
        self._clock.seek(time)
        stage.set_time(self._clock.time)
        self._given = stage.time

    def _jump(self, time: float) -> None:
        self._clock.pause()
        self.go(time)

    def next_loop(self) -> None:
        """Once, in a loop, to and fro: the next one of them."""
        self._clock.next_loop()
        self.desk.remember(loop_mode=self._clock.loop)

    def _set_speed(self, words: str) -> None:
        self._clock.speed = float(words.removesuffix("x"))
        self.desk.remember(speed=self._clock.speed)

    def _set_follow(self, on: bool) -> None:
        self.desk.stage.follows = on

    def _set_snap(self, on: bool) -> None:
        self._clock.snap = on
        if on:
            self.go(self.time)

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """Follow the mouse and the clock, and show what has changed."""
        self._follow_mouse()
        self._play(now)
        self._mirror()
        self._strip.tick(now, self.time)
        self._tell()

    def _play(self, now: float) -> None:
        clock, stage = self._clock, self.desk.stage
        if stage.flown_by == PATH:
            clock.pause()
        if stage.time != self._given:  # somebody else went to another moment
            clock.seek(stage.time)
            self._given = stage.time
        played = clock.playing and not self._dragging
        clock.tick(now)
        if played:
            stage.set_time(clock.time)
            self._given = stage.time

    def _press(self) -> None:
        if self._frames is not None:
            self._dragging = True
            self.go(self._strip.time_at(self._mouse_x()))

    def _follow_mouse(self) -> None:
        self._dragging = self._dragging and dpg.is_mouse_button_down(dpg.mvMouseButton_Left)
        if self._dragging:
            self.go(self._strip.time_at(self._mouse_x()))

    def _mouse_x(self) -> float:
        return float(dpg.get_mouse_pos(local=False)[0] - dpg.get_item_rect_min("time")[0])

    def _mirror(self) -> None:
        """Words that follow the state; widgets are only touched where it has changed."""
        clock, stage = self._clock, self.desk.stage
        path, pictured = stage.flown_by == PATH, self._frames is None or self._frames.pictured
        now = (self.time, self.playing, clock.loop, clock.frame_count, path, pictured, self._followed, stage.follows)
        if now == self._mirrored:
            return
        self._mirrored = now
        room = self._width - self.desk.skin.px(FOLLOW * self._followed)
        wide = room >= self.desk.skin.px(WIDE)
        dpg.configure_item("follow_part", show=self._followed)
        dpg.set_value("follow", stage.follows)
        dpg.configure_item("worst", show=pictured)
        dpg.configure_item("time_legend", show=pictured and room >= self.desk.skin.px(LEGEND))
        dpg.set_item_label("play", "Stop" if path else "Pause" if self.playing else "Play")
        sign, words = LOOP_WORDS[clock.loop]
        dpg.configure_item("loop", label=f"{sign} {words}" if wide else sign,
                           width=self.desk.skin.px(104 if wide else 34))  # fmt: skip
        dpg.set_value("loop_about", f"Played {words}. A click: once, in a loop, to and fro (L)")
        frame, count = clock.frame_at(self.time) + 1, clock.frame_count
        seconds, whole = f"{self.time * clock.duration:.2f}", f"{clock.duration:.2f}"
        long, short = f"{seconds} of {whole} s   frame {frame} of {count}", f"{seconds} s  {frame}/{count}"
        dpg.set_value("time_text", long if wide else short)

    def _tell(self) -> None:
        """Of the frame under the mouse, or the one that it drags to."""
        frames = self._frames
        if frames is None or not (self._dragging or dpg.is_item_hovered("time")):
            self._tip.hide()
            return
        time = self._strip.time_at(self._mouse_x())
        self._tip.show(frames, self._clock, self._clock.frame_at(time), self._strip.x_of(time))

    # -------------------------------------------------------------------------------------------- actions

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {
            "time.play": self.toggle,
            "time.next": lambda: self.step(1),
            "time.previous": lambda: self.step(-1),
            "time.first": lambda: self._jump(0.0),
            "time.last": lambda: self._jump(1.0),
            "time.loop": self.next_loop,
            "time.worst": self.go_to_worst,
        }

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        frames, clock = self._frames, self._clock
        return {
            "time": self.time, "playing": self.playing, "frames": clock.frame_count,
            "frame_number": clock.frame_at(self.time), "loop_mode": clock.loop, "speed": clock.speed,
            "energies": 0 if frames is None else int(np.isfinite(frames.energies).sum()),
            "errors": 0 if frames is None else int(np.isfinite(frames.errors).sum()),
            "worst": None if frames is None else frames.worst,
        }  # fmt: skip
