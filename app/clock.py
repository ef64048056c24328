"""Playing a clip: which moment is shown, by the clock on the wall. Pure: whoever plays says what time it is.

Between opening and closing the position is counted in frames, so that nothing depends on how often it is asked. In a
loop the last frame is held for as long as every other one: n frames take n / fps seconds.
"""

from __future__ import annotations

import math

from app.settings import LOOPS, Loop

SPEEDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
"""That are offered; 1 is as filmed."""
NEARLY = 1e-6
"""Frames by which a position may miss a frame and still count as on it."""


class Clock:
    """``speed``: 1 is as filmed. ``snap``: show only moments of frames. ``playing``: whether time goes by itself.
    ``frame_count``: at least 1, ``fps`` frames per second."""

    def __init__(self, loop: Loop = "loop", speed: float = 1.0) -> None:
        self.loop = loop
        self.speed = min(max(speed, SPEEDS[0]), SPEEDS[-1])
        self.snap, self.playing = False, False
        self.frame_count, self.fps = 1, 30.0
        self._position, self._forward = 0.0, True
        self._at: float | None = None

    def open(self, frame_count: int, fps: float) -> None:
        """Another clip, at its beginning."""
        self.frame_count, self.fps = frame_count, fps
        self.playing, self._position, self._forward = False, 0.0, True

    @property
    def last(self) -> int:
        """Intervals between the first frame and the last one; 1 for a single frame, which then lasts."""
        return max(1, self.frame_count - 1)

    @property
    def duration(self) -> float:
        """From the first frame to the last one, seconds."""
        return self.last / self.fps

    @property
    def time(self) -> float:
        """What is to be shown, in [0, 1]."""
        position = self._position
        if self.snap:
            # the frame that was reached last: each is shown for equally long
            position = math.floor(position + NEARLY) if self._forward else math.ceil(position - NEARLY)
        return min(position, self.last) / self.last

    def frame_at(self, time: float) -> int:
        """Number of the nearest frame, from 0."""
        return min(round(time * self.last), self.frame_count - 1)

    def seek(self, time: float) -> None:
        """Be at a moment in [0, 1], at the nearest frame if only those are shown."""
        position = min(max(time, 0.0), 1.0) * self.last
        self._position = float(round(position)) if self.snap else position

    def step(self, by: int) -> None:
        """By whole frames, from between two frames to the one beside; over the end only in a loop."""
        here = min(self._position, self.last)
        frame = (math.floor(here + NEARLY) if by > 0 else math.ceil(here - NEARLY)) + by
        self._position = float(frame % (self.last + 1) if self.loop == "loop" else min(max(frame, 0), self.last))

    def play(self) -> None:
        """Let time go by itself: from the beginning where it would end at once."""
        if self.loop == "once" and self._position >= self.last - NEARLY:
            self._position = 0.0
        self.playing, self._at = True, None

    def pause(self) -> None:
        """Keep time where it is."""
        self.playing = False

    def next_loop(self) -> None:
        """Once, in a loop, to and fro: the next one of them."""
        self.loop = LOOPS[(LOOPS.index(self.loop) + 1) % len(LOOPS)]

    def tick(self, now: float) -> None:
        """Go on to ``now``, seconds on any clock that does not stop; however much has passed since."""
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        if self.playing:
            self._advance(passed * self.speed * self.fps)

    def _advance(self, frames: float) -> None:
        last = self.last
        if self.loop == "ping-pong":
            way = self._position if self._forward else 2 * last - self._position
            way = (way + frames) % (2 * last)
            self._forward = way < last
            self._position = way if self._forward else 2 * last - way
            return
        self._forward = True
        if self.loop == "loop":
            self._position = (self._position + frames) % (last + 1)
        else:
            self._position = min(self._position + frames, float(last))
            self.playing = self._position < last
