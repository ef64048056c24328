"""Damage to files, from a seed: what disks, interrupted copies, other programs and people make of them."""

from __future__ import annotations

import gzip
import io
import json
import math
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

Bytes = Callable[[bytes, random.Random], bytes]
NUMBERS = (
    "0", "-1", "1", "2", "1e309", "-1e309", "1e38", "1e-320", "NaN", "Infinity", "-Infinity", "2147483648",
    "4294967295", "18446744073709551616", "9" * 400, "1e9", "100000", "0x10", "1_000", "true", "null", '"x"', "", "[]",
)  # fmt: skip
WORDS = (0, 1, 2, 255, 256, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)
FLOATS = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e38, -1e38, 1e-40, 1e308, 1.0, -1.0)
DEEP = 100_000
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 1e308, math.nan, math.inf, -math.inf, 1 << 31, 1 << 64, 10**30, "", "x", "0",
    "../../etc", "/", "a\nb", "\0", "é" * 50, "x" * 5000, [], {}, [[]], [None], [1, 2, 3], [[1, 2], [3]], {"x": 1},
)  # fmt: skip


def mutated(data: bytes, name: str, rng: random.Random) -> bytes:
    """A file's bytes with one to three things wrong, in the way of its kind, which its ``name`` tells."""
    suffix = "." + name.rsplit(".", 1)[-1].lower()
    own = OF_KIND.get(suffix)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = own if own is not None and rng.random() < 0.75 else of_bytes
        data = change(data, rng)
    return data


def of_bytes(data: bytes, rng: random.Random) -> bytes:
    """What may happen to any file."""
    return rng.choice(ANYTHING)(data, rng)


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 16)) if changed else 0):
        changed[place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(data: bytes, rng: random.Random) -> bytes:
    at, size = place(data, rng), rng.choice((1, 2, 4, 8, 64))
    return data[:at] + bytes(rng.choice((0, 255, 10, 32, rng.randrange(256))) for _ in range(size)) + data[at + size :]


def set_number(data: bytes, rng: random.Random) -> bytes:
    """A number where one may be: counts and sizes stand at the beginning, at multiples of their size."""
    form = rng.choice(("<B", "<H", "<I", "<Q", "<f", "<d", "<e", ">I"))
    size = struct.calcsize(form)
    at = place(data, rng) // size * size
    if form[1] in "fde":
        value: float = rng.choice([v for v in FLOATS if form != "<e" or not 65504 < abs(v) < math.inf])
        number = struct.pack(form, value) if form != "<f" or abs(value) < 1e39 or not math.isfinite(value) else b""
    else:
        number = struct.pack(form, rng.choice(WORDS) & ((1 << 8 * size) - 1))
    return data[:at] + number + data[at + len(number) :]


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((0, 1, len(data) // 2, max(0, len(data) - 1), place(data, rng)))]


def append(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((b"\0", b"\n", b"junk", rng.randbytes(rng.choice((1, 100, 5000))), data[:1000], data))


def repeat_chunk(data: bytes, rng: random.Random) -> bytes:
    at, size = place(data, rng), rng.choice((1, 4, 16, 100, 4000))
    return data[:at] + data[at : at + size] * rng.choice((2, 2, 5)) + data[at + size :]


def drop_chunk(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 100, 4000)) :]


def swap_chunks(data: bytes, rng: random.Random) -> bytes:
    a, b = sorted((place(data, rng), place(data, rng)))
    size = min(rng.choice((1, 4, 16, 200)), b - a)
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def replace_all(data: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\0" * 100, rng.randbytes(200), b"{}", b"[]", b"null", b"\xff\xfe", b"\n" * 50, b"PK\3\4"))


ANYTHING: tuple[Bytes, ...] = (
    flip_bits, flip_bits, set_bytes, set_number, set_number, set_number, truncate, append, repeat_chunk, drop_chunk,
    swap_chunks, replace_all,
)  # fmt: skip


def place(data: bytes, rng: random.Random) -> int:
    """Somewhere in a file, often near its beginning."""
    if not data:
        return 0
    return rng.randrange(min(len(data), 64)) if rng.random() < 0.4 else rng.randrange(len(data))


def of_text(data: bytes, rng: random.Random) -> bytes:
    """Lines, words and numbers of a text."""
    lines = data.split(b"\n")
    k = rng.randrange(len(lines))
    match rng.randrange(9):
        case 0:
            lines.insert(k, lines[rng.randrange(len(lines))])
        case 1:
            del lines[k]
        case 2:
            lines[k] = b" ".join(w for w in lines[k].split() if rng.random() < 0.8)
        case 3:
            words = lines[k].split()
            rng.shuffle(words)
            lines[k] = b" ".join(words)
        case 4:
            lines[k] = rng.choice((b"\xff\xfe", b"\0", "é".encode(), b"#", b"x" * 10000, b"\t", b"\r")) + lines[k]
        case _:
            return changed_number(data, rng)
    return b"\n".join(lines)


def changed_number(data: bytes, rng: random.Random) -> bytes:
    """One number of a text as another one, or as none."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?", data[: 1 << 16]))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS).encode() + data[one.end() :]


def of_json(data: bytes, rng: random.Random) -> bytes:
    """One value of a JSON file as one of another type or size, missing, twice, or buried deep."""
    if rng.random() < 0.25:
        return of_text(data, rng)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, rng)
    if rng.random() < 0.04:
        return b"[" * DEEP if rng.random() < 0.5 else b'{"a":' * DEEP
    holder, key = _somewhere(value, rng)
    if holder is None:
        return json.dumps(rng.choice(ODD)).encode()
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case 1:
            holder[key + "_"] = holder.pop(key)
        case 2 if isinstance(holder[key], list) and holder[key]:
            holder[key] = holder[key][: rng.randrange(len(holder[key]))]
        case 3:
            holder[key] = [holder[key]]
        case 4:
            marked = "\u0001deep"
            holder[key] = marked
            return json.dumps(value).replace(json.dumps(marked), "[" * DEEP + "]" * DEEP).encode()
        case _:
            holder[key] = rng.choice(ODD)
    return json.dumps(value).encode()


def _somewhere(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """A list or an object in a value, and the place of one of its values."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        if holder is not None and rng.random() < 0.2:
            break
        holder = value
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = value[key]
    return holder, key


def of_gzip(data: bytes, rng: random.Random) -> bytes:
    """What is in a gzip stream, packed again."""
    try:
        stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        inside = stream.decompress(data, 1 << 22)
    except zlib.error:
        return of_bytes(data, rng)
    if rng.random() < 0.05:
        return bomb(inside[:16])
    return gzip.compress(of_bytes(inside, rng), 1, mtime=0)


def bomb(head: bytes) -> bytes:
    """A gzip stream of two megabytes that begins with a head and goes on for two gigabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + first + 2000 * zeros + packer.flush() + bytes(8)


def of_safetensors(data: bytes, rng: random.Random) -> bytes:
    """The head, which is JSON with its length in front, or the numbers."""
    if len(data) < 8:
        return of_bytes(data, rng)
    end = 8 + struct.unpack_from("<Q", data)[0]
    if end > len(data) or rng.random() < 0.4:
        return data[:end] + of_bytes(data[end:], rng)
    head = of_json(data[8:end], rng)
    return struct.pack("<Q", len(head)) + head + data[end:]


def of_npy(data: bytes, rng: random.Random) -> bytes:
    """The head, which is Python text with its length in front, or the numbers."""
    if not data.startswith(b"\x93NUMPY\x01") or len(data) < 10 or rng.random() < 0.3:
        return of_bytes(data, rng)
    end = 10 + struct.unpack_from("<H", data, 8)[0]
    if rng.random() < 0.4:
        return data[:end] + of_bytes(data[end:], rng)
    kinds = (b"'|O'", b"'<f2'", b"'<c16'", b"'<U5'", b"'|V8'", b"'<M8[s]'", b"'|b1'", b"[('a', '<f4'), ('b', 'O')]")
    head = data[10:end]
    if rng.random() < 0.5:
        head = re.sub(rb"'[<|=>]\w+'", lambda _: rng.choice(kinds), head, count=1)
    else:
        head = changed_number(head, rng)
    return data[:8] + struct.pack("<H", min(65535, len(head))) + head[:65535] + data[end:]


def of_zip(data: bytes, rng: random.Random) -> bytes:
    """One file of an archive, packed again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # of any kind, for the archive may be damaged already
        return of_bytes(data, rng)
    name = rng.choice(list(members)) if members else ""
    if members and rng.random() < 0.7:
        members[name] = of_npy(members[name], rng)
    elif members:
        members[rng.choice(("x.npy", "x", "../x.npy"))] = members.pop(name)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return packed.getvalue()


def of_headed(data: bytes, rng: random.Random) -> bytes:
    """The head of a PLY or portable map, which is text, or what follows it."""
    match = re.search(rb"end_header\r?\n", data) or re.match(rb"(\S+\s+){4}", data)
    if match is None or rng.random() < 0.4:
        return of_bytes(data, rng)
    return of_text(data[: match.end()], rng) + data[match.end() :]


OF_KIND: dict[str, Bytes] = {
    ".json": of_json, ".jsonl": of_text, ".txt": of_text, ".csv": of_text, ".log": of_text, ".spz": of_gzip,
    ".safetensors": of_safetensors, ".npy": of_npy, ".npz": of_zip, ".ply": of_headed, ".pfm": of_headed,
    ".yml": of_text, ".yaml": of_text,
}  # fmt: skip
