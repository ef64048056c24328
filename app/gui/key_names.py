"""Dear PyGui's key numbers and the names that :mod:`app.keys` has for them.

Its key handlers also report mouse buttons, the wheel and the modifiers themselves as keys; those have no name.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import dearpygui.dearpygui as dpg

from app.keys import KEYS, chord

PAGE_UP, PAGE_DOWN, APOSTROPHE, SEMICOLON, EQUAL, GRAVE = 517, 518, 596, 601, 602, 606
"""Numbers that handlers report, of keys for which Dear PyGui's constants are those of other libraries."""
_OTHERS: Mapping[str, tuple[int, ...]] = {
    "Space": (dpg.mvKey_Spacebar,),
    "Enter": (dpg.mvKey_Return, dpg.mvKey_NumPadEnter),
    "Backspace": (dpg.mvKey_Back,),
    "PageUp": (PAGE_UP,),
    "PageDown": (PAGE_DOWN,),
    "[": (dpg.mvKey_Open_Brace,),
    "]": (dpg.mvKey_Close_Brace,),
    ",": (dpg.mvKey_Comma,),
    ".": (dpg.mvKey_Period, dpg.mvKey_Decimal),
    "/": (dpg.mvKey_Slash, dpg.mvKey_Divide),
    "\\": (dpg.mvKey_Backslash,),
    "-": (dpg.mvKey_Minus, dpg.mvKey_Subtract),
    "=": (EQUAL, dpg.mvKey_Add, dpg.mvKey_NumPadEqual),
    ";": (SEMICOLON,),
    "'": (APOSTROPHE,),
    "`": (GRAVE,),
}


def _numbers(name: str) -> tuple[int, ...]:
    if name in _OTHERS:
        return _OTHERS[name]
    own = getattr(dpg, f"mvKey_{name}")
    return (own, getattr(dpg, f"mvKey_NumPad{name}")) if name.isdigit() else (own,)


NUMBERS: Mapping[str, tuple[int, ...]] = {name: _numbers(name) for name in KEYS}
"""By name, the numbers of the keys that count as it; the number block counts as the keys with the same characters."""
NAMES: Mapping[int, str] = {number: name for name, numbers in NUMBERS.items() for number in numbers}


def key_name(number: int) -> str | None:
    """The name of a key; None for a modifier, a mouse button, the wheel, or a key that cannot be bound."""
    return NAMES.get(number)


def chord_of(number: int, down: Container[int]) -> str | None:
    """The chord of a key that went down while the keys ``down`` were; None where the key has no name.

    By the time a handler is called all of them may be up again.
    """
    name = key_name(number)
    return None if name is None else chord(name, *(any(n in down for n in pair) for pair in MODIFIER_NUMBERS))


def is_down(name: str) -> bool:
    """Whether a key is held, whatever modifiers are."""
    return any(map(dpg.is_key_down, NUMBERS[name]))


def held() -> tuple[bool, bool, bool]:
    """Whether Ctrl, Shift and Alt are down."""
    ctrl, shift, alt = (any(map(dpg.is_key_down, pair)) for pair in MODIFIER_NUMBERS)
    return ctrl, shift, alt


MODIFIER_NUMBERS = (
    (dpg.mvKey_LControl, dpg.mvKey_RControl),
    (dpg.mvKey_LShift, dpg.mvKey_RShift),
    (dpg.mvKey_LAlt, dpg.mvKey_RAlt),
)
"""In the order of :data:`app.keys.MODIFIERS`."""
