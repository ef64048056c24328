"""What a binary PLY file holds, element by element, before anybody asks what it means.

Little-endian, scalar properties of any type. Elements behind the first one with a list, such as the faces of a mesh,
are left unread: where they begin says only their own data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip
WHOLE_WORDS = {"float", "float32", "double", "float64", "uint", "uint32"}
"""Types of which Gaussians and points have at least one."""
LONGEST_HEADER = 1 << 16
COUNT = re.compile(r"\d{1,10}")


@dataclass(frozen=True)
class Ply:
    """``elements``: rows with the properties as fields, by name, in the order of the file. ``skipped``: names of the
    elements that are not read. ``comments``: lines without the word."""

    elements: dict[str, NDArray[np.void]]
    skipped: tuple[str, ...]
    comments: tuple[str, ...]


def read_ply(path: Path, wanted: str = "a .ply of Gaussians", ends: bool = True) -> Ply:
    """All of a file; the arrays are read-only. ``wanted``: what to ask for instead of another kind of file. ``ends``:
    whether the file has to end where its header says. InputError for another kind of file and a damaged one."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); give {wanted}") from None
    end = re.search(rb"\nend_header\r?\n", data[:LONGEST_HEADER])
    if not data.startswith(b"ply") or end is None:
        raise InputError(f"{path}: is not a PLY file; give {wanted}")
    lines = [line.split() for line in data[: end.start()].decode("ascii", "replace").splitlines()[1:] if line.strip()]
    stated = [words for words in lines if words[0] not in ("comment", "obj_info")]
    if stated[:1] != [["format", "binary_little_endian", "1.0"]]:
        raise InputError(f"{path}: is not a binary little-endian PLY; write it again as one")
    comments = tuple(" ".join(words[1:]) for words in lines if words[0] == "comment")
    elements: dict[str, NDArray[np.void]] = {}
    skipped: list[str] = []
    at = end.end()
    for name, count, properties in _declared(stated[1:], path, wanted):
        if skipped or any(words[1:2] == ["list"] for words in properties):
            skipped.append(name)
            continue
        layout = _layout(properties, name, path)
        size = count * layout.itemsize
        if size > len(data) - at:
            what = f"{count} rows of {layout.itemsize} bytes of the element {name}"
            raise InputError(f"{path}: holds {len(data) - at} bytes for {what}; restore it")
        elements[name] = np.frombuffer(data, layout, count, at)
        at += size
    if ends and not skipped and at != len(data):
        raise InputError(f"{path}: holds {len(data) - at} bytes more than its header states; restore it")
    return Ply(elements, tuple(skipped), comments)


def _declared(lines: list[list[str]], path: Path, wanted: str) -> list[tuple[str, int, list[list[str]]]]:
    """Name, number of rows and lines of the properties of each element."""
    elements: list[tuple[str, int, list[list[str]]]] = []
    for words in lines:
        if words[0] == "element" and len(words) == 3 and COUNT.fullmatch(words[2]):
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and len(words) >= 3 and elements:
            elements[-1][2].append(words)
        else:
            raise InputError(f"{path}: its header says {' '.join(words)[:60]!r}, which is not understood; restore it")
    names = [name for name, *_ in elements]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: its header names an element twice; restore it")
    if "vertex" not in names:
        raise InputError(f"{path}: has other elements than vertices; give {wanted}")
    if not {words[1] for words in elements[names.index("vertex")][2]} & WHOLE_WORDS:
        raise InputError(f"{path}: has properties that are not floats; give {wanted}")
    return elements


def _layout(properties: list[list[str]], element: str, path: Path) -> np.dtype[np.void]:
    fields = [(words[2], TYPES.get(words[1], "")) for words in properties]
    names = [name for name, _ in fields]
    if not fields or len(set(names)) < len(names) or any(len(words) != 3 for words in properties):
        raise InputError(f"{path}: the properties of its element {element} are none or not told apart; restore it")
    unknown = next((words[1] for words in properties if words[1] not in TYPES), None)
    if unknown is not None:
        raise InputError(f"{path}: has a property of the type {unknown[:40]!r}, which PLY does not know; restore it")
    return np.dtype(fields)
