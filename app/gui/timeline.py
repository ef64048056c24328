"""The timeline: scrub, play, loop, step by frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel


class Timeline(Panel):
    """``playing``: whether time goes by itself. ``height``: pixels."""

    title = "Timeline"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.playing = False
        self._at = 0.0
        self._frames, self._duration = 2, 1.0

    def build(self) -> None:
        """One row, in the current container."""
        with dpg.group(horizontal=True, tag="timeline"):
            dpg.add_button(label="Play", width=70, tag="play", callback=lambda: self.toggle())
            with dpg.tooltip("play"):
                dpg.add_text("Play or pause time (Space); Left and Right step by a frame")
            dpg.add_slider_float(
                tag="time", max_value=1.0, format="", width=300, callback=lambda s, value: self.go(value)
            )
            self.desk.skin.text("", tag="time_text")
            dpg.add_checkbox(label="Loop", tag="loop", default_value=True)
            dpg.add_combo(["0.25x", "0.5x", "1x", "2x"], default_value="1x", width=76, tag="speed")
        self._label()

    @property
    def height(self) -> int:
        """Of all rows, pixels."""
        return self.desk.skin.px(34)

    @property
    def time(self) -> float:
        """What is shown."""
        return self.desk.stage.time

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        if not isinstance(event, p.Opened):
            return
        self._frames = max(2, event.frame_count)
        self._duration = (self._frames - 1) / event.fps
        self._label()

    def resize(self, width: int) -> None:
        """The row's width in pixels."""
        dpg.configure_item("time", width=max(80, width - 400))

    def toggle(self) -> None:
        """Play or pause."""
        self.playing = not self.playing
        if self.playing and self.time >= 1:
            self.go(0.0)
        dpg.set_item_label("play", "Pause" if self.playing else "Play")

    def step(self, by: int) -> None:
        """To the next or previous frame of the clip."""
        last = self._frames - 1
        self.go((round(self.time * last) + by) % self._frames / last)

    def go(self, time: float) -> None:
        """To a time in [0, 1]."""
        self.desk.stage.set_time(time)
        dpg.set_value("time", self.time)
        self._label()

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"time.play": self.toggle, "time.next": lambda: self.step(1), "time.previous": lambda: self.step(-1)}

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"time": self.time, "playing": self.playing}

    def tick(self, now: float) -> None:
        """Once per frame of the window."""
        seconds, self._at = now - self._at, now
        if not self.playing:
            return
        time = self.time + seconds * float(dpg.get_value("speed")[:-1]) / self._duration
        if time > 1:
            if dpg.get_value("loop"):
                time %= 1.0
            else:
                time = 1.0
                self.toggle()
        self.go(time)

    def _label(self) -> None:
        frame = round(self.time * (self._frames - 1)) + 1
        dpg.set_value("time_text", f"{self.time * self._duration:5.2f} s   {frame:>3} / {self._frames}")
