""".spz: Gaussians in about a tenth of the bytes of a .ply (Niantic's format, versions 2 and 3).

A gzip stream of a head of 16 bytes and of one array after another: means as signed fixed-point numbers of 24 bits,
opacities, colours and logarithms of scales a byte each, quaternions xyzw without their largest component (version 2:
without w), harmonics a byte each with the colour channel fastest. Axes of the file are right, up, back; a .ply's are
right, down, forward, and so are ours.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.still import StillGaussians, byte_logits, largest_left_out
from renderer.harmonics import real_harmonics

MAGIC = 0x5053474E
HEAD = struct.Struct("<IIIBBBB")
COEFFICIENTS = (0, 3, 8, 15, 24)
"""Of a channel above the constant one, by degree; those of the fourth degree are not shown."""
COLOR_SCALE = 0.15
EXTENSIONS = 2
"""The bit of the flags that says that something unknown follows the head."""
DENSEST = 1032
"""No gzip stream grows by more than that."""
FLIP = np.array([1, -1, -1], np.float32)
"""From right, up, back to right, down, forward: half a turn about x."""


def read_spz(path: Path) -> StillGaussians:
    """The Gaussians of a file; InputError for another kind of file, another version and a damaged one."""
    try:
        packed = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); give a .spz file") from None
    if packed.startswith(b"NGSP"):
        raise InputError(f"{path}: is of version 4 of .spz or later; save it as version 3, or as a .ply")
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    head = _unpacked(stream, packed, HEAD.size, path)
    magic, version, N, degree, fraction, flags, _ = HEAD.unpack(head)
    if magic != MAGIC:
        raise InputError(f"{path}: is not a .spz file; give one")
    if version not in (2, 3) or flags & EXTENSIONS:
        what = "with extensions" if version in (2, 3) else f"of version {version} of .spz"
        raise InputError(f"{path}: is {what}, which is not read; save it plainly as version 3, or as a .ply")
    if degree >= len(COEFFICIENTS) or fraction > 24:
        raise InputError(f"{path}: its head states what cannot be; restore it")
    turn = 4 if version == 3 else 3
    sizes = [9 * N, N, 3 * N, 3 * N, turn * N, 3 * COEFFICIENTS[degree] * N]
    if sum(sizes) > DENSEST * len(packed):
        raise InputError(f"{path}: states {N} Gaussians, which {len(packed)} bytes cannot hold; restore it")
    data = _unpacked(stream, stream.unconsumed_tail, sum(sizes), path)
    if _goes_on(stream, path):
        raise InputError(f"{path}: holds more than its head states; restore it")
    bounds = np.cumsum([0, *sizes])
    parts = [np.frombuffer(data, np.uint8, size, at) for size, at in zip(sizes, bounds[:-1], strict=True)]
    means, alphas, colors, scales, turns, rest = (part.reshape(N, -1) for part in parts) if N else _nothing(parts)
    sh = np.zeros((N, 16, 3), np.float32)
    sh[:, 0] = (colors / np.float32(255) - 0.5) / COLOR_SCALE
    known = min(15, COEFFICIENTS[degree])
    sh[:, 1 : 1 + known] = ((rest - np.float32(128)) / 128).reshape(N, COEFFICIENTS[degree], 3)[:, :known]
    sh *= _flipped_harmonics()[:, None]
    return StillGaussians(
        (_fixed_point(means, fraction) * FLIP).astype(np.float32),
        (scales / np.float32(16) - 10).astype(np.float32),
        _quaternions(turns, version),
        byte_logits(alphas[:, 0]),
        sh,
    )


def _unpacked(stream: zlib._Decompress, data: bytes, size: int, path: Path) -> bytes:
    """The next bytes of a stream, never more than that many; InputError when there are fewer."""
    found = _inflated(stream, data, size, path) if size else b""
    if len(found) < size:
        raise InputError(f"{path}: ends after {len(found)} of {size} bytes; restore it")
    return found


def _goes_on(stream: zlib._Decompress, path: Path) -> bool:
    return not stream.eof and bool(_inflated(stream, stream.unconsumed_tail, 1, path))


def _inflated(stream: zlib._Decompress, data: bytes, most: int, path: Path) -> bytes:
    try:
        return stream.decompress(data, most)
    except zlib.error:
        raise InputError(f"{path}: is not a gzip stream, or a damaged one; give a .spz file") from None


def _nothing(parts: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    widths = (9, 1, 3, 3, 3, 0)
    return [part.reshape(0, width) for part, width in zip(parts, widths, strict=True)]


def _fixed_point(data: NDArray[np.uint8], fraction: int) -> NDArray[np.float32]:
    """(N, 3) from (N, 9) bytes of signed numbers with so many bits below the point."""
    low, middle, high = data.reshape(len(data), 3, 3).astype(np.int32).transpose(2, 0, 1)
    whole = low + (middle << 8) + (high << 16)
    return np.where(whole >= 1 << 23, whole - (1 << 24), whole).astype(np.float32) / np.float32(1 << fraction)


def _quaternions(data: NDArray[np.uint8], version: int) -> NDArray[np.float32]:
    """(N, 4) unit quaternions wxyz, in our axes."""
    if version == 2:
        xyz = data / np.float32(127.5) - 1
        xyzw = np.concatenate([xyz, np.sqrt(np.maximum(0, 1 - (xyz**2).sum(1, keepdims=True)))], axis=1)
    else:
        words = np.ascontiguousarray(data).view("<u4").reshape(len(data))
        tens = np.stack([(words >> shift) & 1023 for shift in (20, 10, 0)], axis=1).astype(np.int32)
        signs = 1 - 2 * (tens >> 9)
        others = (np.sqrt(0.5) / 511 * signs * (tens & 511)).astype(np.float32)
        xyzw = largest_left_out(words >> 30, others)
    xyzw[:, 1:3] *= -1
    wxyz = xyzw[:, [3, 0, 1, 2]]
    return (wxyz / np.maximum(np.linalg.norm(wxyz, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _flipped_harmonics() -> NDArray[np.float32]:
    """(16,) signs that the harmonics take when y and z change theirs."""
    direction = torch.nn.functional.normalize(torch.tensor([[0.3, 0.5, 0.7]], dtype=torch.float64), dim=1)
    before, after = real_harmonics(direction), real_harmonics(direction * torch.tensor([1.0, -1.0, -1.0]).double())
    return torch.sign(before * after)[0].float().numpy()
