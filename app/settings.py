"""What the window remembers from one start to the next: theme, size, keys, recent scenes, last choices.

One JSON file in the folder that the platform keeps for it. It is the person's own file and may hold anything: what is
not understood is left at its default, and said; nothing in it can keep the window from opening.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import platformdirs

from training.data.layouts import is_demo

Theme = Literal["dark", "light"]
Loop = Literal["once", "loop", "ping-pong"]
THEMES: tuple[Theme, ...] = ("dark", "light")
LOOPS: tuple[Loop, ...] = ("once", "loop", "ping-pong")
RECENT = 12
"""Scenes that are remembered."""
SMALLEST_WINDOW = 200
"""Pixels; a window that was smaller when it closed was minimised."""
LARGEST = 100_000
"""Pixels; no screen is as large."""
FILE, DAMAGED = "settings.json", "settings.damaged.json"


@dataclass(frozen=True)
class Settings:
    """What is remembered. Lengths in pixels, as the window system counts them."""

    theme: Theme = "dark"
    scale: float = 0.0
    """Size of text and widgets; 0 as the screen says."""
    window: tuple[int, int, int, int] | None = None
    """x, y, width, height."""
    side: int = 420
    """Width of the column of panels."""
    side_shown: bool = True
    tab: str = ""
    """The panel that was in front; empty for the first."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys that differ from the defaults: name of an action to its chords (app.keys)."""
    fly_swapped: bool = False
    """Q up and E down, where other programs have it the other way."""
    recent: tuple[str, ...] = ()
    """Scenes, newest first: absolute paths, or demo names."""
    export: Mapping[str, object] = field(default_factory=dict)
    """The last choices of the export panel, by their names."""
    loop_mode: Loop = "loop"
    speed: float = 1.0
    """Of play-back; 1 is as filmed."""


def settings_path() -> Path:
    """The file. The environment variable DYNVIEW_CONFIG names another folder for it."""
    folder = os.environ.get("DYNVIEW_CONFIG") or platformdirs.user_config_dir("dynview", appauthor=False)
    return Path(folder) / FILE


def load_settings() -> tuple[Settings, tuple[str, ...]]:
    """What is remembered, and a sentence for each thing that was not understood. Never fails.

    Names that are not known are left out without a word: a newer version may have written them. A file that is not
    JSON is kept aside under another name.
    """
    path = settings_path()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("not a list of names and values")
    except FileNotFoundError:
        return Settings(), ()
    except OSError as problem:
        return Settings(), (f"{path}: cannot be read ({problem.strerror or problem}), so the defaults are used.",)
    except (ValueError, RecursionError):
        return Settings(), (_set_aside(path),)
    return _understood(data, path)


def save_settings(settings: Settings) -> str | None:
    """Write the file, whole or not at all. Returns a sentence where it could not be written, else None."""
    path = settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()  # a link into somebody's own folder stays a link
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    except (OSError, RuntimeError) as problem:  # RuntimeError: links in a circle
        reason = getattr(problem, "strerror", None) or problem
        return f"{path}: the settings cannot be kept ({reason}); make the folder writable, or set DYNVIEW_CONFIG."
    except (TypeError, ValueError) as problem:
        return f"{path}: the settings cannot be kept ({problem}); the file is left as it was."
    return None


def with_recent(settings: Settings, source: str | Path) -> Settings:
    """The settings with a scene at the head of the recent ones, once."""
    text = str(source)
    name = text if is_demo(text) else str(Path(text).expanduser().resolve())
    return replace(settings, recent=(name, *(other for other in settings.recent if other != name))[:RECENT])


def without_recent(settings: Settings, source: str) -> Settings:
    """The settings without a scene, as it stands in ``recent``."""
    return replace(settings, recent=tuple(other for other in settings.recent if other != source))


def _set_aside(path: Path) -> str:
    aside = path.with_name(DAMAGED)
    try:
        os.replace(path, aside)
    except OSError as problem:
        return f"{path}: is damaged and cannot be moved ({problem.strerror}), so the defaults are used; delete it."
    return f"{path}: is damaged; it is kept as {aside.name}, and the defaults are used."


def _understood(data: Mapping[str, object], path: Path) -> tuple[Settings, tuple[str, ...]]:
    values: dict[str, Any] = {}
    complaints = []
    for known in fields(Settings):
        if known.name not in data:
            continue
        try:
            values[known.name] = READERS[known.name](data[known.name])
        except ValueError as problem:
            complaints.append(f"{path}: {known.name} is not {problem}, so its default is used.")
    return Settings(**values), tuple(complaints)


# Each reader gives the value, or raises ValueError that says what it should have been.


def _one_of(choices: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    return read


def _number(low: float, high: float, or_zero: bool = False) -> Callable[[object], float]:
    def read(value: object) -> float:
        known = isinstance(value, int | float) and not isinstance(value, bool)
        number = float(value) if known and abs(value) < LARGEST else math.nan  # type: ignore[arg-type,operator]
        if not (low <= number <= high or (or_zero and number == 0)):
            raise ValueError(f"a number from {low:g} to {high:g}")
        return number

    return read


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _width(value: object) -> int:
    return int(_number(SMALLEST_WINDOW, LARGEST)(value))


def _window(value: object) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError("four numbers: x, y, width, height")
    x, y = (int(_number(-LARGEST, LARGEST)(v)) for v in value[:2])
    return x, y, _width(value[2]), _width(value[3])


def _texts_by_name(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError("a list of names and texts")
    return dict(value)


def _values_by_name(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("a list of names and values")
    return dict(value)


def _recent(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise ValueError("a list of texts")
    return tuple(dict.fromkeys(value))[:RECENT]


READERS: Mapping[str, Callable[[object], Any]] = {
    "theme": _one_of(THEMES),
    "scale": _number(0.5, 4.0, or_zero=True),
    "window": _window,
    "side": _width,
    "side_shown": _yes_or_no,
    "tab": _text,
    "keys": _texts_by_name,
    "fly_swapped": _yes_or_no,
    "recent": _recent,
    "export": _values_by_name,
    "loop_mode": _one_of(LOOPS),
    "speed": _number(0.01, 100.0),
}
"""By the name of what they read, as it comes from JSON."""
