"""``.splat``: 32 bytes per Gaussian, without view-dependent colours, as web viewers read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderer.errors import InputError
from renderer.files.complete import write_whole
from renderer.files.still import StillGaussians, byte_logits
from renderer.harmonics import SH_C0

LAYOUT = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])

NO_TURN = 128
"""The byte of a quaternion that stands for zero."""


def write_splat_file(path: Path, still: StillGaussians) -> None:
    """The most visible Gaussians first, as viewers load them one after another; InputError when it cannot be
    written."""
    opacity = 1 / (1 + np.exp(-still.opacities.astype(np.float64)))
    order = np.argsort(-opacity * np.exp(still.scales.sum(1)), kind="stable")
    rows = np.zeros(len(still), LAYOUT)
    rows["mean"], rows["scale"] = still.means[order], np.exp(still.scales[order])
    rows["rgba"][:, :3] = _bytes(255 * (0.5 + SH_C0 * still.sh[order, 0]))
    rows["rgba"][:, 3] = _bytes(255 * opacity[order])
    rows["rotation"] = _bytes(128 + 128 * still.rotations[order])
    write_whole(path, rows.tobytes())


def read_splat_file(path: Path) -> StillGaussians:
    """The inverse, to a byte's precision, without those whose numbers no Gaussian has; InputError for a file of another
    length."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); give a .splat file") from None
    if len(data) % LAYOUT.itemsize:
        raise InputError(f"{path}: holds {len(data)} bytes, which are no whole Gaussians of 32; restore it")
    rows = np.frombuffer(data, LAYOUT)
    keep = np.isfinite(rows["mean"]).all(1) & np.isfinite(rows["scale"]).all(1) & (rows["scale"] > 0).all(1)
    rows = rows[keep & (rows["rotation"] != NO_TURN).any(1)]
    rotations = (rows["rotation"].astype(np.float32) - NO_TURN) / 128
    lengths = np.linalg.norm(rotations, axis=1, keepdims=True)
    sh = np.zeros((len(rows), 16, 3), np.float32)
    sh[:, 0] = (rows["rgba"][:, :3] / 255.0 - 0.5) / SH_C0
    logits = byte_logits(rows["rgba"][:, 3])
    return StillGaussians(rows["mean"].copy(), np.log(rows["scale"]), rotations / lengths, logits, sh)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
