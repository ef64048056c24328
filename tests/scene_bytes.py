"""Scenes in formats that we read and do not write: made of random numbers, byte by byte."""

from __future__ import annotations

import gzip
import struct

import numpy as np

from renderer.field.model import FieldShape, RadianceField
from renderer.field.space import Space, SpaceKind

COUNT = 300


def spz(version: int = 3, count: int = COUNT, degree: int = 2) -> bytes:
    """Gaussians within a metre around the origin, of about a centimetre."""
    rng = np.random.default_rng(1)
    places = np.round(4096 * rng.uniform(-1, 1, (count, 3))).astype("<i4")
    parts = [
        places.view(np.uint8).reshape(count, 3, 4)[:, :, :3],
        rng.integers(100, 256, count, np.uint8),
        rng.integers(0, 256, (count, 3), np.uint8),
        rng.integers(60, 130, (count, 3), np.uint8),
        rng.integers(0, 256, (count, 4 if version == 3 else 3), np.uint8),
        rng.integers(100, 150, (count, (0, 9, 24, 45)[degree]), np.uint8),
    ]
    head = struct.pack("<IIIBBBB", 0x5053474E, version, count, degree, 12, 0, 0)
    return gzip.compress(head + b"".join(np.ascontiguousarray(part).tobytes() for part in parts), mtime=0)


def compressed_ply(count: int = COUNT) -> bytes:
    """The same as SuperSplat has it, with ranges of colour and harmonics of the first degree."""
    rng = np.random.default_rng(1)
    chunks = -(-count // 256)
    names = [f"{end}_{axis}" for end in ("min", "max") for axis in "xyz"]
    names += [f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz"]
    names += [f"{end}_{channel}" for end in ("min", "max") for channel in "rgb"]
    ranges = np.tile(
        np.array([-1.0] * 3 + [1.0] * 3 + [-6.0] * 3 + [-2.0] * 3 + [0.0] * 3 + [1.0] * 3, "<f4"), (chunks, 1)
    )
    words = rng.integers(0, 1 << 32, (count, 4), np.uint64).astype("<u4")
    head = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    head += [f"property float {name}" for name in names] + [f"element vertex {count}"]
    head += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    head += [f"element sh {count}", *(f"property uchar f_rest_{k}" for k in range(9)), "end_header", ""]
    rest = rng.integers(100, 150, (count, 9), np.uint8)
    return "\n".join(head).encode() + ranges.tobytes() + words.tobytes() + rest.tobytes()


def small_field(kind: SpaceKind = "ndc") -> RadianceField:
    """A radiance field that was never trained."""
    shape = FieldShape((8, 8, 8), 4, (1, 2), 4, 16, 8, True)
    pose = np.eye(4)
    pose[2, 3] = 3.0
    half = np.array([0.6, 0.4, 0.0]) if kind == "ndc" else np.full(3, 2.0)
    return RadianceField(shape, Space.around(kind, pose, half, 1.0, 8.0), 6, seed=1)
