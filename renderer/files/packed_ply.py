"""The compressed PLY of SuperSplat: 16 bytes per Gaussian, in chunks of 256 with their ranges.

Three numbers of 11, 10 and 11 bits between the chunk's least and largest for the mean and the logarithms of the scales;
colour and opacity a byte each, the colour within the chunk's range where one is stated; the index of the quaternion's
largest component (w, x, y, z) in two bits and the others in ten bits each, between -sqrt(1/2) and sqrt(1/2). Harmonics,
where there are some, are bytes of an element of their own, in steps of 1/32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.ply_elements import Ply
from renderer.files.still import StillGaussians, byte_logits, largest_left_out
from renderer.harmonics import SH_C0

CHUNK = 256
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
RANGES = tuple(f"{end}_{axis}" for end in ("min", "max") for axis in "xyz")
SCALE_RANGES = tuple(f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz")
COLOR_RANGES = tuple(f"{end}_{channel}" for end in ("min", "max") for channel in "rgb")


def is_packed(ply: Ply) -> bool:
    """Whether a file is one of these."""
    vertices = ply.elements.get("vertex")
    return vertices is not None and "chunk" in ply.elements and PACKED[0] in (vertices.dtype.names or ())


def still_of_packed(path: Path, ply: Ply) -> StillGaussians:
    """The Gaussians of a file that was read; InputError that names the file when something is missing."""
    vertices, chunks = ply.elements["vertex"], ply.elements["chunk"]
    packed = _columns(path, vertices, PACKED, "<u4")
    N = len(vertices)
    if len(chunks) != -(-N // CHUNK):
        raise InputError(f"{path}: has {len(chunks)} chunks for {N} Gaussians; write it again")
    which = np.arange(N) // CHUNK
    position, rotation, scale, color = packed.T
    bounds = _columns(path, chunks, (*RANGES, *SCALE_RANGES), "<f4")[which]
    rgba = _shares(color, ((24, 8), (16, 8), (8, 8), (0, 8)))
    rgb = rgba[:, :3]
    if COLOR_RANGES[0] in (chunks.dtype.names or ()):
        rgb = _between(_columns(path, chunks, COLOR_RANGES, "<f4")[which], rgb)
    sh = np.zeros((N, 16, 3), np.float32)
    sh[:, 0] = (rgb - 0.5) / SH_C0
    rest = _rest(path, ply, N)
    sh[:, 1 : 1 + rest.shape[1]] = rest
    others = (_shares(rotation, ((20, 10), (10, 10), (0, 10))) - 0.5) * np.sqrt(2)
    return StillGaussians(
        _between(bounds[:, :6], _shares(position, ((21, 11), (11, 10), (0, 11)))),
        _between(bounds[:, 6:], _shares(scale, ((21, 11), (11, 10), (0, 11)))),
        largest_left_out(rotation >> 30, others),
        byte_logits(color & 255),
        sh,
    )


def _rest(path: Path, ply: Ply, count: int) -> NDArray[np.float32]:
    """(N, C, 3) coefficients above the constant one: none, 3, 8 or 15 of a channel."""
    rows = ply.elements.get("sh")
    if rows is None:
        return np.zeros((count, 0, 3), np.float32)
    names = tuple(f"f_rest_{k}" for k in range(len(rows.dtype.names or ())))
    if len(rows) != count or len(names) not in (9, 24, 45):
        raise InputError(f"{path}: has {len(rows)} rows of {len(names)} harmonics; write it again")
    values = (_columns(path, rows, names, "u1") - np.float32(127.5)) / np.float32(32)
    return np.ascontiguousarray(values.reshape(count, 3, -1).transpose(0, 2, 1))


def _columns(path: Path, rows: NDArray[np.void], names: tuple[str, ...], kind: str) -> NDArray[Any]:
    """(N, names) of a type; InputError for a property that is missing or of another one."""
    for name in names:
        if name not in (rows.dtype.names or ()) or rows.dtype[name] != np.dtype(kind):
            raise InputError(f"{path}: has no property {name} of the type of a compressed .ply; write it again")
    return np.stack([rows[name] for name in names], axis=1)


def _shares(words: NDArray[Any], parts: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """(N, parts) in [0, 1]: what stands so many bits up in words (N,) uint32, as a share of the most that fits."""
    return np.stack([((words >> shift) & (2**bits - 1)) / (2**bits - 1) for shift, bits in parts], 1).astype(np.float32)


def _between(bounds: NDArray[Any], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3) between the two halves of ``bounds`` (N, 6)."""
    low, high = bounds[:, :3].astype(np.float32), bounds[:, 3:].astype(np.float32)
    return low * (1 - shares) + high * shares
