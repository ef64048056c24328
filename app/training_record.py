"""What training was like, for curves: values by step, also those that a run on disk has written down before."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.schedule import Milestone

MOST_POINTS = 1500
"""Points of a curve before every other one is dropped."""
SMOOTHING = 0.8
"""Share of a smoothed value that is kept from one point to the next."""
NAN = float("nan")


class Track:
    """Values by step, several columns over the same steps, never more than ``most`` points.

    ``steps``: growing. ``columns``: by name, as long as ``steps``, NaN where a step had no such value.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self.steps: list[float] = []
        self.columns: dict[str, list[float]] = {}
        self._most, self._every, self._skipped = most, 1, 0

    def add(self, step: float, values: Mapping[str, float]) -> None:
        """Append the values of a step, or leave them out where the track has thinned; a step that is not later than
        the last one is passed over."""
        if self.steps and step <= self.steps[-1]:
            return
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        for name in values.keys() - self.columns.keys():
            self.columns[name] = [NAN] * len(self.steps)
        self.steps.append(step)
        for name, column in self.columns.items():
            column.append(values.get(name, NAN))
        if len(self.steps) > self._most:
            self.steps, self._every = self.steps[::2], 2 * self._every
            self.columns = {name: column[::2] for name, column in self.columns.items()}

    def at(self, step: float) -> int | None:
        """The point nearest to a step; None where there are none."""
        if not self.steps:
            return None
        right = min(bisect_left(self.steps, step), len(self.steps) - 1)
        return right if right == 0 or self.steps[right] - step < step - self.steps[right - 1] else right - 1


class Smooth:
    """A running mean of each of several values."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def __call__(self, name: str, value: float) -> float:
        """The mean with another value; one that is not finite counts for nothing."""
        before = self._means.get(name, value)
        if math.isfinite(value):
            before = SMOOTHING * before + (1 - SMOOTHING) * value if math.isfinite(before) else value
            self._means[name] = before
        return before


@dataclass
class Record:
    """``track``: "psnr" (dB) and "loss", smoothed, "size", "turned" (degrees), "shifted" (scene units), and parts of
    the loss as "part NAME", smoothed. ``held_out``: PSNR of held-out views by step."""

    track: Track = field(default_factory=Track)
    held_out: dict[int, float] = field(default_factory=dict)
    smooth: Smooth = field(default_factory=Smooth)

    def step(self, step: int, values: Mapping[str, float | None], parts: Mapping[str, float]) -> None:
        """What a step was like; None for what it has no value of."""
        numbers = {name: float(value) for name, value in values.items() if value is not None}
        for name in ("psnr", "loss"):
            if name in numbers:
                numbers[name] = self.smooth(name, numbers[name])
        numbers |= {f"part {name}": self.smooth(f"part {name}", value) for name, value in parts.items()}
        self.track.add(float(step), numbers)

    def after(self, earlier: Record) -> Record:
        """One record of both, of which the earlier ends where this one begins."""
        first = self.track.steps[0] if self.track.steps else math.inf
        result = Record(smooth=self.smooth)
        for source, upto in ((earlier.track, first), (self.track, math.inf)):
            for k, step in enumerate(source.steps):
                if step < upto:
                    result.track.add(step, {name: column[k] for name, column in source.columns.items()})
        result.held_out = dict(sorted((earlier.held_out | self.held_out).items()))
        return result


def read_record(path: Path, upto: int) -> Record:
    """What metrics.jsonl of a run says of its steps up to ``upto``; lines that are not understood are passed over, and
    an empty record stands for a file that cannot be read."""
    record = Record()
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return record
    for line in lines:
        try:
            values = json.loads(line)
            step = int(values["step"])
            if step > upto:
                continue
            if "split" in values:
                if values["split"] == "test":
                    record.held_out[step] = float(values["psnr"])
            elif "loss" in values:
                numbers = {name: float(values[name]) for name in ("psnr", "loss", "size")}
                record.step(step, numbers, {str(k): float(v) for k, v in values.get("parts", {}).items()})
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return record


def passed(milestones: Sequence[Milestone], done: int) -> list[tuple[int, str]]:
    """Step and text of what has come about when ``done`` steps are done, with every repetition, in order."""
    marks = []
    for m in milestones:
        last = m.last if m.every else m.step
        marks += [(step, m.text) for step in range(m.step, min(last, done) + 1, m.every or 1)]
    return sorted(marks)


def coming(milestones: Sequence[Milestone], done: int, count: int = 3) -> list[tuple[int, str]]:
    """Step and text of the next ``count`` that come about after ``done`` steps, in order."""
    ahead = []
    for m in milestones:
        step = m.step
        if m.every and done >= step:
            step += ((done - m.step) // m.every + 1) * m.every
        if step > done and (not m.every or step <= m.last):
            ahead.append((step, m.text))
    return sorted(ahead)[:count]
