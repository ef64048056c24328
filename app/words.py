"""Numbers and choices as people say them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def amount(count: float) -> str:
    """Bytes."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"


def either(choices: Sequence[str]) -> str:
    """One of some, of which there is one at least: "a, b or c"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def duration(seconds: float) -> str:
    """A time span; "?" for what is none."""
    if not math.isfinite(seconds) or not 0 <= seconds < 1e7:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
