"""``.splat``: 32 bytes per Gaussian, without view-dependent colours, as web viewers read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderer.errors import InputError
from renderer.files.still import StillGaussians, byte_logits
from renderer.harmonics import SH_C0

LAYOUT = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])


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
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(rows.tobytes())
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({problem.strerror}); choose another file") from None


def read_splat_file(path: Path) -> StillGaussians:
    """The inverse, to a byte's precision; InputError for a file of another length."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); give a .splat file") from None
    if len(data) % LAYOUT.itemsize:
        raise InputError(f"{path}: holds {len(data)} bytes, which are no whole Gaussians of 32; restore it")
    rows = np.frombuffer(data, LAYOUT)
    rotations = rows["rotation"].astype(np.float32) / 128 - 1
    lengths = np.linalg.norm(rotations, axis=1, keepdims=True)
    numbers = np.isfinite(rows["mean"]).all() and np.isfinite(rows["scale"]).all()
    if not (numbers and (rows["scale"] > 0).all() and (lengths > 0).all()):
        raise InputError(f"{path}: holds numbers that no Gaussian has; restore it")
    sh = np.zeros((len(rows), 16, 3), np.float32)
    sh[:, 0] = (rows["rgba"][:, :3] / 255.0 - 0.5) / SH_C0
    logits = byte_logits(rows["rgba"][:, 3])
    return StillGaussians(rows["mean"].copy(), np.log(rows["scale"]), rotations / lengths, logits, sh)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
