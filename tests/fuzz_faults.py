"""Readers that do what no reader may: what tests.fuzz has to find."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

from renderer.errors import InputError
from tests.fuzz import Target


def write(folder: Path) -> None:
    (folder / "a.txt").write_text("1 2 3\n")


def is_good(folder: Path) -> bool:
    return (folder / "a.txt").read_bytes() == b"1 2 3\n"


def hang(folder: Path) -> object:
    return is_good(folder) or time.sleep(60)


def crash(folder: Path) -> object:
    return is_good(folder) or ctypes.string_at(0)


def take_memory(folder: Path) -> object:
    return is_good(folder) or len(bytearray(2 << 30))


def fail(folder: Path) -> object:
    if not is_good(folder):
        raise ZeroDivisionError("a traceback")
    return None


def name_nothing(folder: Path) -> object:
    if not is_good(folder):
        raise InputError("something is wrong; mend it")
    return None


def refuse(folder: Path) -> object:
    if not is_good(folder):
        raise InputError(f"{folder / 'a.txt'}: is damaged; mend it")
    return None


TARGETS = tuple(
    Target(read.__name__, write, read) for read in (hang, crash, take_memory, fail, name_nothing, refuse, is_good)
)
