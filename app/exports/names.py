"""Names of files that say what kind of file is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.words import either
from renderer.errors import InputError


def named(path: Path, endings: Sequence[str]) -> Path:
    """The path, with the first of the endings where it has none. InputError for an ending that is none of them."""
    path = path if path.suffix else path.with_suffix(endings[0])
    if path.suffix.lower() not in endings:
        raise InputError(f"{path}: a name that ends with {either(endings)} is needed")
    return path
