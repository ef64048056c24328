"""Which values lie at the two ends of a colour map. Pure."""

from __future__ import annotations

import numpy as np

from app import protocol as p
from app.looks import Display
from renderer.picture import Mode
from renderer.view import Frame

Range = tuple[float, float]
MOST = 16_000
"""Pixels that are looked at, about; they lie on a grid."""
SEEN = 0.5
"""Least opacity of a pixel whose depth counts."""


class ValueRanges:
    """The range of each side, mode and overlay, from the last frame that had such values. ``held``: frames change it no
    more, so that two pictures can be compared by their colours."""

    def __init__(self) -> None:
        self.held = False
        self._ranges: dict[tuple[p.Side, Mode, str], Range] = {}
        self._left: tuple[Mode, str] | None = None  # what is shown there

    def clear(self) -> None:
        """Forget all of them."""
        self._ranges.clear()

    def of(self, side: p.Side, display: Display) -> Range:
        """Values at the two ends; both sides of a split have that of the left where it shows the same."""
        shown = (display.shown.mode, display.overlay)
        shared = self._ranges.get(("left", *shown)) if shown == self._left else None
        return shared or self._ranges.get((side, *shown)) or (0.0, 1.0)

    def learn(self, side: p.Side, display: Display, frame: Frame) -> None:
        """Take the range from a frame."""
        mode = display.shown.mode
        key = (side, mode, display.overlay)
        if side == "left":
            self._left = key[1:]
        if self.held and key in self._ranges:
            return
        if mode == Mode.DEPTH:
            opacity = _some(frame.opacity)
            seen = opacity > SEEN
            depth = _some(frame.depth)[seen] / opacity[seen]
            if depth.size > 16:
                low, high = np.percentile(depth, (2, 98))
                self._ranges[key] = (float(low), float(max(high, low + 1e-6)))
        elif mode == Mode.OVERLAY and frame.overlay is not None and frame.view.overlay == display.overlay:
            overlay = _some(frame.overlay)
            known = overlay[np.isfinite(overlay)]
            top = max(float(np.percentile(known, 99.5)), 1e-6) if known.size else 1.0
            self._ranges[key] = (0.0, 1.0 if display.overlay == "dynamic" else top)


def _some(values: np.ndarray) -> np.ndarray:
    """Of (H, W), those of a grid."""
    every = max(1, int((values.size / MOST) ** 0.5))
    return values[::every, ::every]
