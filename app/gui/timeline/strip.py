"""The strip of the timeline: marks at the frames, how much moves in each, how wrong each is, and where time is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.theme import Skin
from training.data.dataset import Shot

HEIGHT, EDGE, MARK = 44, 9, 4
"""Of the strip; from its ends to the first and the last frame; of a mark. Pixels at 96 dpi."""
MOST_BARS = 160
"""More frames than that are drawn together, the strongest one of each group."""
APART = 5
"""Pixels between two frames from which on each has a mark of its own."""
EVERY = 0.2
"""Seconds between two changes of the curves."""
WAITING = ("What moves in each frame and how wrong it is will be drawn here", "Motion and error of each frame")
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """What is known of the frames of a clip. ``learned``, ``held_out``: (n,) bool, whether there are pictures to learn
    from and pictures that are held out; ``energies``, ``errors``: (n,) of full intensity, NaN where not measured.
    ``step``: of training, when the errors were measured."""

    learned: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    energies: Values
    errors: Values
    step: int = 0

    @property
    def pictured(self) -> bool:
        """Whether there are pictures that can be measured."""
        return bool((self.learned | self.held_out).any())

    @property
    def worst(self) -> int | None:
        """The frame with the largest error; None before any was measured."""
        return None if np.isnan(self.errors).all() else int(np.nanargmax(self.errors))


def frames_of(shots: Sequence[Shot], count: int) -> Frames:
    """Before anything is measured."""
    marks = np.zeros((2, count), bool)
    for shot in shots:
        marks[int(shot.split == "test"), shot.frame] = True
    return Frames(marks[0], marks[1], np.full(count, np.nan), np.full(count, np.nan))


def grouped(values: Values, most: int) -> list[tuple[float, float]]:
    """(middle, value) of at most so many groups of neighbouring frames, by the largest of each; NaN is left out."""
    found = []
    for frames in np.array_split(np.arange(len(values)), min(most, len(values))):
        known = values[frames]
        if not np.isnan(known).all():
            found.append((float(frames.mean()), float(np.nanmax(known))))
    return found


def runs(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of every row of neighbours that are marked."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(np.int8), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


class FrameStrip:
    """A list of drawings by the tag ``time``, drawn anew only where something has changed."""

    def __init__(self, skin: Skin) -> None:
        self._skin = skin
        self._frames: Frames | None = None
        self._width, self._changed_at = 300, 0.0
        self._ground: object = None
        self._curves: object = None
        self._cursor: object = None
        self._bars: list[int | str] = []

    def build(self) -> None:
        """Make it, in the current container."""
        with dpg.drawlist(self._width, self._skin.px(HEIGHT), tag="time"):
            for layer in ("ground", "bars", "line", "now"):
                dpg.add_draw_layer(tag=f"strip_{layer}")

    def resize(self, width: int) -> None:
        """Pixels."""
        self._width = width
        dpg.configure_item("time", width=width)

    def show(self, frames: Frames | None) -> None:
        """Other frames, or more that is known of them; None for no clip."""
        self._frames = frames

    def x_of(self, time: float) -> float:
        """Where a time in [0, 1] is, pixels from the left end."""
        edge = self._skin.px(EDGE)
        return edge + time * max(1, self._width - 2 * edge)

    def time_at(self, x: float) -> float:
        """The time in [0, 1] at so many pixels from the left end."""
        edge = self._skin.px(EDGE)
        return float(np.clip((x - edge) / max(1, self._width - 2 * edge), 0, 1))

    def tick(self, now: float, time: float) -> None:
        """Draw what has changed; ``time`` is shown."""
        look = self._skin.theme, self._width, self._skin.scale
        marks = (id(self._frames.learned), id(self._frames.held_out)) if self._frames else None
        if (look, marks) != self._ground:
            self._ground, self._curves, self._cursor = (look, marks), None, None
            self._draw_ground()
        if self._frames is not self._curves and (self._curves is None or now - self._changed_at > EVERY):
            self._curves, self._changed_at = self._frames, now
            self._draw_bars()
            self._draw_line()
        if time != self._cursor:
            self._cursor = time
            self._draw_cursor(time)

    # ---------------------------------------------------------------------------------------- what is drawn

    def _faded(self, color: str, alpha: int) -> tuple[int, int, int, int]:
        return (*self._skin.color(color)[:3], alpha)

    def _draw_ground(self) -> None:
        for layer in ("ground", "bars", "line", "now"):
            dpg.delete_item(f"strip_{layer}", children_only=True)
        self._bars = []
        skin, height = self._skin, self._skin.px(HEIGHT)
        dpg.draw_rectangle((0, 0), (self._width, height), color=skin.color("border"), fill=skin.color("plot"),
                           rounding=skin.px(4), parent="strip_ground")  # fmt: skip
        if self._frames is not None:
            self._draw_marks(self._frames.learned, "blue", height - skin.px(MARK + 1))
            self._draw_marks(self._frames.held_out, "amber", skin.px(1))

    def _draw_marks(self, marks: NDArray[np.bool_], color: str, top: float) -> None:
        """A tick at each frame, or a band over those that are too close to be told apart."""
        last, color_, half = max(1, len(marks) - 1), self._skin.color(color), self._skin.px(2) / 2
        spacing = self.x_of(1 / last) - self.x_of(0)
        apart = spacing >= self._skin.px(APART)
        spans = [(int(k), int(k)) for k in np.flatnonzero(marks)] if apart else runs(marks)
        for first, end in spans:
            dpg.draw_rectangle(
                (self.x_of(first / last) - half, top),
                (self.x_of(end / last) + half, top + self._skin.px(MARK)),
                color=(0, 0, 0, 0), fill=color_, thickness=0, parent="strip_ground",
            )  # fmt: skip

    def _span(self) -> tuple[float, float]:
        """Top and bottom of the curves."""
        skin = self._skin
        return skin.px(MARK + 3), skin.px(HEIGHT) - skin.px(MARK + 3)

    def _draw_bars(self) -> None:
        frames = self._frames
        groups = grouped(frames.energies, MOST_BARS) if frames else []
        waiting = frames is not None and frames.pictured and not groups and frames.worst is None
        if len(groups) != len(self._bars) or not groups:
            dpg.delete_item("strip_bars", children_only=True)
            self._bars = [dpg.draw_rectangle((0, 0), (0, 0), color=(0, 0, 0, 0), fill=self._faded("grey", 120),
                                             thickness=0, parent="strip_bars") for _ in groups]  # fmt: skip
        if waiting:
            self._draw_waiting()
        if frames is None or not groups:
            return
        top, bottom = self._span()
        last, most = max(1, len(frames.energies) - 1), max(max(value for _, value in groups), 1e-9)
        wide = (self.x_of(1) - self.x_of(0)) / last * max(1.0, len(frames.energies) / MOST_BARS)
        half = min(max(0.5, 0.4 * wide), float(self._skin.px(EDGE - 2)))
        for bar, (middle, value) in zip(self._bars, groups, strict=True):
            x, y = self.x_of(middle / last), bottom - (bottom - top) * value / most
            dpg.configure_item(bar, pmin=(x - half, y), pmax=(x + half, bottom))

    def _draw_line(self) -> None:
        dpg.delete_item("strip_line", children_only=True)
        frames = self._frames
        if frames is None or frames.worst is None:
            return
        top, bottom = self._span()
        last, most = max(1, len(frames.errors) - 1), max(float(np.nanmax(frames.errors)), 1e-9)
        points = [
            [self.x_of(k / last), bottom - (bottom - top) * value / most]
            for k, value in grouped(frames.errors, self._width)
        ]
        color, thickness = self._skin.color("orange"), 1.5 * self._skin.scale
        if len(points) > 1:
            dpg.draw_polyline(points, color=color, thickness=thickness, parent="strip_line")
        worst = self.x_of(frames.worst / last), top
        dpg.draw_circle(worst, self._skin.px(3), color=color, fill=color, parent="strip_line")

    def _draw_waiting(self) -> None:
        size = self._skin.px(13)
        text = WAITING[0] if self._width > size * 0.47 * len(WAITING[0]) else WAITING[1]
        x = (self._width - size * 0.47 * len(text)) / 2
        dpg.draw_text((max(x, size), (self._skin.px(HEIGHT) - size) / 2), text, size=size,
                      color=self._skin.color("muted"), parent="strip_bars")  # fmt: skip

    def _draw_cursor(self, time: float) -> None:
        skin, x = self._skin, self.x_of(time)
        color, height, head = skin.color("text"), skin.px(HEIGHT), skin.px(5)
        if not dpg.get_item_children("strip_now", 2):
            dpg.draw_line((x, 0), (x, height), color=color, thickness=skin.px(2), parent="strip_now", tag="now_line")
            dpg.draw_triangle((x, 0), (x, 0), (x, 0), color=color, fill=color, parent="strip_now", tag="now_head")
        dpg.configure_item("now_line", p1=(x, 0), p2=(x, height))
        dpg.configure_item("now_head", p1=(x - head, 0), p2=(x + head, 0), p3=(x, head + skin.px(1)))
