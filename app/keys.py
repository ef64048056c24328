"""The keys: what each one does, what a person has changed, and the sheet that lists them.

A chord is a text such as ``Ctrl+Shift+Z``, ``Space`` or ``[``. A character that needs Shift is written with it or as
itself: ``?`` is ``Shift+/`` on the keyboard that the names are taken from (US).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MODIFIERS = ("Ctrl", "Shift", "Alt")
NAMED = (
    "Space", "Tab", "Enter", "Escape", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown",
    "Left", "Right", "Up", "Down",
)  # fmt: skip
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789[],./\\-=;'`"
KEYS = (*NAMED, *CHARACTERS, *(f"F{k}" for k in range(1, 25)))
"""Every key that may be bound."""
SHIFTED = {
    "{": "[",
    "}": "]",
    "?": "/",
    "<": ",",
    ">": ".",
    "|": "\\",
    "_": "-",
    "+": "=",
    ":": ";",
    '"': "'",
    "~": "`",
}
"""Characters by the key that gives them with Shift."""
OTHER_NAMES = {
    "control": "ctrl", "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "spacebar": "space",
    "page up": "pageup", "page down": "pagedown", "plus": "+", "minus": "-", "comma": ",", "period": ".",
}  # fmt: skip
_BY_LOWER = {name.lower(): name for name in (*KEYS, *MODIFIERS)}


@dataclass(frozen=True)
class Action:
    """Something that keys do. ``default``: its chords. ``repeats``: whether holding the key does it again and again.
    ``held``: it goes on for as long as the key is down, with Shift or Alt or without."""

    name: str
    label: str
    default: tuple[str, ...]
    group: str
    repeats: bool = False
    held: bool = False


MODES = 9
ACTIONS: tuple[Action, ...] = (
    Action("time.play", "play, pause time", ("Space",), "Time"),
    Action("time.next", "next frame", ("Right", "."), "Time", repeats=True),
    Action("time.previous", "previous frame", ("Left", ","), "Time", repeats=True),
    Action("time.first", "first frame", ("Home",), "Time"),
    Action("time.last", "last frame", ("End",), "Time"),
    Action("time.loop", "once, loop, ping-pong", ("L",), "Time"),
    Action("time.worst", "the frame with the largest error", ("X",), "Time"),
    Action("camera.next", "next training camera", ("]",), "Camera", repeats=True),
    Action("camera.previous", "previous training camera", ("[",), "Camera", repeats=True),
    Action("camera.generated_next", "next generated camera", ("Shift+]",), "Camera", repeats=True),
    Action("camera.generated_previous", "previous generated camera", ("Shift+[",), "Camera", repeats=True),
    Action("camera.home", "home", ("H",), "Camera"),
    Action("camera.focus", "turn around the picked point", ("F",), "Camera"),
    Action("camera.copy", "copy the camera as text", ("Ctrl+C",), "Camera"),
    Action("camera.paste", "go to the camera in the clipboard", ("Ctrl+V",), "Camera"),
    Action("fly.forward", "fly forward; Shift for fast, Alt for slow", ("W",), "Fly", held=True),
    Action("fly.back", "fly back", ("S",), "Fly", held=True),
    Action("fly.left", "fly left", ("A",), "Fly", held=True),
    Action("fly.right", "fly right", ("D",), "Fly", held=True),
    Action("fly.up", "fly up", ("E",), "Fly", held=True),
    Action("fly.down", "fly down", ("Q",), "Fly", held=True),
    *(Action(f"mode.{k}", f"picture mode {k}", (str(k),), "Picture") for k in range(1, MODES + 1)),
    Action("view.truth", "compare with the input picture", ("G",), "Picture"),
    Action("view.split", "split the picture", ("V",), "Picture"),
    Action("view.frusta", "cameras in the picture", ("C",), "Picture"),
    Action("rays.pin", "pin the ray", ("P",), "Rays"),
    Action("rays.row", "draw a row of rays", ("R",), "Rays"),
    Action("train.toggle", "start, pause training", ("T",), "Training"),
    Action("train.step", "train a single step", ("Shift+T",), "Training", repeats=True),
    Action("path.add", "add a keyframe", ("K", "Enter"), "Camera path"),
    Action("path.remove", "remove the keyframe", ("Delete",), "Camera path"),
    Action("path.play", "play, stop the path", ("Shift+Space",), "Camera path"),
    Action("edit.undo", "undo", ("Ctrl+Z",), "Edit", repeats=True),
    Action("edit.redo", "redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Edit", repeats=True),
    Action("edit.cancel", "leave what is going on", ("Escape",), "Edit"),
    Action("file.open", "open a clip or a run", ("Ctrl+O",), "File"),
    Action("file.save", "write a checkpoint", ("Ctrl+S",), "File"),
    Action("file.export", "export", ("Ctrl+E",), "File"),
    Action("screenshot", "screenshot", ("Ctrl+P", "F12"), "File"),
    Action("app.quit", "close the window", ("Ctrl+Q",), "File"),
    Action("view.hide", "hide, show the panels", ("Tab",), "Window"),
    Action("view.full", "full screen", ("F11",), "Window"),
    Action("view.larger", "larger text", ("Ctrl+=", "Ctrl+Shift+="), "Window", repeats=True),
    Action("view.smaller", "smaller text", ("Ctrl+-",), "Window", repeats=True),
    Action("help", "this sheet", ("F1", "Shift+/"), "Window"),
)
BY_NAME: Mapping[str, Action] = {action.name: action for action in ACTIONS}


def normalised(text: str) -> str | None:
    """A chord as it is written here, from how a person may write it; None for what is none.

    ``ctrl + shift+z`` is ``Ctrl+Shift+Z``, ``?`` is ``Shift+/``, ``Ctrl++`` is ``Ctrl+Shift+=``.
    """
    text = text.strip().lower()
    if text == "+" or text.endswith("++"):
        text = text[:-1] + "plus"
    parts = [part.strip() for part in text.split("+")]
    *before, key = (OTHER_NAMES.get(part, part) for part in parts)
    modifiers = {_BY_LOWER.get(part, "") for part in before}
    if key in SHIFTED:
        key = SHIFTED[key]
        modifiers.add("Shift")
    name = _BY_LOWER.get(key, "")
    if name not in KEYS or not modifiers <= set(MODIFIERS):
        return None
    return "+".join([*(m for m in MODIFIERS if m in modifiers), name])


def chord(key: str, ctrl: bool = False, shift: bool = False, alt: bool = False) -> str:
    """The chord of a key of ``KEYS`` with the modifiers that are down."""
    return "+".join([*(m for m, down in zip(MODIFIERS, (ctrl, shift, alt), strict=True) if down), key])


def shown(chord: str) -> str:
    """A chord for people: the character that the key gives, where it gives one."""
    for character, key in SHIFTED.items():
        if chord == f"Shift+{key}":
            return character
    return chord


@dataclass(frozen=True)
class Row:
    """One line of the help sheet. ``keys``: for people, empty where there is none. ``changed``: not the default."""

    group: str
    name: str
    label: str
    keys: str
    changed: bool


class KeyMap:
    """What the keys do, with a person's changes.

    ``overrides``: name of an action to its chords, separated by spaces; an empty text for none. ``fly_swapped``: the
    keys of flying up and down the other way round. Names and chords that are not known are passed over and reported in
    ``complaints``, a sentence each, like two actions with one chord: then it belongs to the one that was changed, else
    to the first.
    """

    def __init__(self, overrides: Mapping[str, str] | None = None, fly_swapped: bool = False) -> None:
        self._overrides = dict(overrides or {})
        self._complaints: list[str] = []
        self._keys: dict[str, tuple[str, ...]] = {a.name: a.default for a in ACTIONS}
        if fly_swapped:
            self._keys["fly.up"], self._keys["fly.down"] = self._keys["fly.down"], self._keys["fly.up"]
        self._defaults = self._keys.copy()
        for name, text in self._overrides.items():
            if name in self._keys:
                self._keys[name] = tuple(self._understood(name, text))
            else:
                self._complaints.append(f"{name}: no action of this name; take it out of the keys in the settings.")
        self._by_chord = self._assigned()

    def action_for(self, chord: str) -> Action | None:
        """The action of a chord, however it is written; None where there is none."""
        return self._by_chord.get(normalised(chord) or "")

    def keys_of(self, name: str) -> tuple[str, ...]:
        """The chords of an action that reach it, the first one first. KeyError for a name that does not exist."""
        return tuple(c for c in self._keys[name] if self._by_chord[c].name == name)

    @property
    def complaints(self) -> tuple[str, ...]:
        """What of the overrides is not understood, and which chords two actions claim."""
        return tuple(self._complaints)

    def taken_by(self, name: str, chord: str) -> Action | None:
        """The other action that would lose a chord if it were given to ``name``; None when it is free."""
        new = normalised(chord)
        for claimed in _occupied(BY_NAME[name], new) if new else ():
            if (owner := self._by_chord.get(claimed)) and owner.name != name:
                return owner
        return None

    def rebound(self, name: str, chord: str) -> dict[str, str]:
        """New overrides in which an action has a chord and nothing else; whoever had it before loses it.

        An empty chord takes all its keys away. KeyError for an unknown action, ValueError for what is no chord.
        """
        new = normalised(chord)
        if chord and new is None:
            raise ValueError(f"{chord}: not a key")
        return self._given(name, (new,) if new else ())

    def reset(self, name: str) -> dict[str, str]:
        """New overrides in which an action has its default keys; whoever has them now loses them."""
        return self._given(name, self._defaults[name])

    def table(self) -> tuple[Row, ...]:
        """The help sheet, by group, in the order of ``ACTIONS``."""
        return tuple(
            Row(a.group, a.name, a.label, "  ".join(map(shown, self.keys_of(a.name))), a.name in self._overrides)
            for a in ACTIONS
        )

    def _given(self, name: str, chords: tuple[str, ...]) -> dict[str, str]:
        claimed = {c for key in chords for c in _occupied(BY_NAME[name], key)}
        result = {**self._overrides, name: " ".join(chords)}
        for other in ACTIONS:
            present = self.keys_of(other.name)
            kept = [key for key in present if not claimed & set(_occupied(other, key))]
            if other.name != name and len(kept) < len(present):
                result[other.name] = " ".join(kept)
        return {n: text for n, text in result.items() if text != " ".join(self._defaults.get(n, ("unknown",)))}

    def _understood(self, name: str, text: str) -> Iterator[str]:
        for part in text.split():
            found = normalised(part)
            if found is None:
                self._complaints.append(f"{name}: {part} is not a key; correct it in the settings.")
            else:
                yield found

    def _assigned(self) -> dict[str, Action]:
        result: dict[str, Action] = {}
        for action in sorted(ACTIONS, key=lambda a: a.name not in self._overrides):  # those that were changed first
            for key in self._keys[action.name]:
                for claimed in _occupied(action, key):
                    owner = result.setdefault(claimed, action)
                    if owner is not action and claimed == key:
                        self._complaints.append(f"{shown(key)}: is for {owner.label} and not for {action.label} now.")
        return result


def _occupied(action: Action, chord: str) -> list[str]:
    """The chords that an action takes up with one of its own: held keys also with Shift and Alt, which say how fast."""
    if not action.held or "+" in chord:
        return [chord]
    return [chord, f"Shift+{chord}", f"Alt+{chord}"]
