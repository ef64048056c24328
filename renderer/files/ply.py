"""PLY files of Gaussians: those of 3D Gaussian Splatting, which every viewer reads, and the native ones of 4DGS.

Binary, little-endian, one element ``vertex`` of float properties, raw values as in training (logarithms of scales,
logits of opacities, quaternions wxyz). ``f_rest`` holds all of red, then green, then blue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.errors import InputError
from renderer.files.complete import write_whole
from renderer.files.ply_elements import Ply, read_ply
from renderer.files.still import StillGaussians
from renderer.gaussians import Gaussians
from renderer.harmonics import COEFFICIENTS, MAX_LEVEL, active_coefficients

Table = dict[str, NDArray[np.float32]]

POSITION, NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
DC, REST = tuple(f"f_dc_{k}" for k in range(3)), tuple(f"f_rest_{k}" for k in range(45))
SCALES, ROTATION = tuple(f"scale_{k}" for k in range(3)), tuple(f"rot_{k}" for k in range(4))
RIGHT = tuple(f"rot_r_{k}" for k in range(4))
SPAN, LEVEL = "dynview time_span", "dynview sh_level"
"""How the comments of a native file begin."""
USUAL_SPANS = ((0.0, 1.0), (-0.5, 0.5), (0.0, 10.0))
"""Begin and end of the time axis in files of the 4DGS code, by its configurations."""
LONGEST_SPAN = 1e6


def write_still_ply(path: Path, still: StillGaussians) -> None:
    """A scene at one instant, for viewers of 3D Gaussian Splatting; InputError when it cannot be written."""
    zero = np.zeros(len(still), np.float32)
    rest = still.sh[:, 1:].transpose(0, 2, 1).reshape(len(still), 45)
    write_table(
        path,
        _columns(POSITION, still.means)
        | dict.fromkeys(NORMAL, zero)
        | _columns(DC, still.sh[:, 0])
        | _columns(REST, rest)
        | {"opacity": still.opacities}
        | _columns(SCALES, still.scales)
        | _columns(ROTATION, still.rotations),
    )


def read_still_ply(path: Path) -> StillGaussians:
    """A file of 3D Gaussian Splatting, with or without normals and of any degree of harmonics; InputError otherwise."""
    return still_of_table(path, read_table(path))


def still_of_table(path: Path, table: Table) -> StillGaussians:
    """The same of columns that were read, without those whose rotation is zero; InputError that names the file for a
    column that is missing."""
    _check_columns(path, table, (*POSITION, *DC, "opacity", *SCALES, *ROTATION))
    sh = np.zeros((len(table["x"]), 16, 3), np.float32)
    sh[:, 0] = _stacked(table, DC)
    count = sum(name in table for name in REST)
    if count not in (0, 9, 24, 45):
        raise InputError(f"{path}: has {count} properties f_rest, expected 0, 9, 24 or 45")
    if count:
        _check_columns(path, table, REST[:count])
        rest = _stacked(table, REST[:count]).reshape(-1, 3, count // 3)
        sh[:, 1 : 1 + count // 3] = rest.transpose(0, 2, 1)
    rotations = _stacked(table, ROTATION)
    lengths = np.linalg.norm(rotations.astype(np.float64), axis=1, keepdims=True)
    unit = (rotations / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    still = StillGaussians(_stacked(table, POSITION), _stacked(table, SCALES), unit, table["opacity"], sh)
    turned = lengths[:, 0] != 0
    return still if turned.all() else StillGaussians(**{name: value[turned] for name, value in vars(still).items()})


def write_native_ply(path: Path, gaussians: Gaussians) -> None:
    """The whole 4D scene in the layout of the 4DGS code that SparseCam4D builds on: the properties of 3DGS with the
    left quaternion and all 47 further coefficients, then ``t``, ``scale_t_0`` and the right quaternion ``rot_r``.

    Comments, which other readers skip, say what the layout does not: how long the clip is and which harmonics count.
    """
    g = {name: value.detach().cpu().float().numpy() for name, value in gaussians.parameters.items()}
    N = len(gaussians)
    rest = g["sh_rest"].transpose(0, 2, 1).reshape(N, -1)
    write_table(
        path,
        _columns(POSITION, g["positions"])
        | dict.fromkeys(NORMAL, np.zeros(N, np.float32))
        | _columns(DC, g["sh_dc"][:, 0])
        | _columns(tuple(f"f_rest_{k}" for k in range(rest.shape[1])), rest)
        | {"opacity": g["opacities"][:, 0]}
        | _columns(SCALES, _logarithms(gaussians, gaussians.scales))
        | _columns(ROTATION, g["left"])
        | {"t": g["times"][:, 0], "scale_t_0": _logarithms(gaussians, gaussians.time_scales)[:, 0]}
        | _columns(RIGHT, g["right"]),
        (f"{SPAN} {gaussians.time_span!r}", f"{LEVEL} {gaussians.sh_level}"),
    )


def _logarithms(gaussians: Gaussians, raw: Tensor) -> NDArray[np.float32]:
    """Natural logarithms of the deviations that raw scales stand for."""
    if gaussians.scale_activation == "exp":
        return raw.detach().cpu().float().numpy()
    return np.log(gaussians.activate_scales(raw.detach()).cpu().float().numpy())


def is_native(ply: Ply) -> bool:
    """Whether a file holds a 4D scene."""
    vertices = ply.elements.get("vertex")
    return vertices is not None and {"t", *RIGHT} <= set(vertices.dtype.names or ())


def native_of_table(path: Path, table: Table, comments: Sequence[str] = ()) -> Gaussians:
    """The inverse of :func:`write_native_ply`, of any number of coefficients that are a level of
    :mod:`renderer.harmonics`; the scales are of the activation exp.

    Where no comment says how long the clip is, it is what the Gaussians' times fill of the spans that the layout is
    used with, 0 to 1, -0.5 to 0.5 and 0 to 10, or else all that they fill. InputError for a column that is missing.
    """
    _check_columns(path, table, (*POSITION, *DC, "opacity", *SCALES, *ROTATION, "t", "scale_t_0", *RIGHT))
    N = len(table["x"])
    names = tuple(f"f_rest_{k}" for k in range(sum(name.startswith("f_rest_") for name in table)))
    levels = {3 * (active_coefficients(level) - 1): level for level in range(MAX_LEVEL + 1)}
    if len(names) not in levels:
        raise InputError(f"{path}: has {len(names)} properties f_rest, expected one of {', '.join(map(str, levels))}")
    _check_columns(path, table, names)
    sh_rest = np.zeros((N, COEFFICIENTS - 1, 3), np.float32)
    if names:
        sh_rest[:, : len(names) // 3] = _stacked(table, names).reshape(N, 3, -1).transpose(0, 2, 1)
    begin, end = _time_range(table["t"])
    stated = dict(comment.rsplit(" ", 1) for comment in comments if comment.startswith((SPAN, LEVEL)))
    level = levels[len(names)]
    try:
        if SPAN in stated:
            begin, end = 0.0, float(stated[SPAN])
        level = min(level, int(stated.get(LEVEL, level)))
    except ValueError:
        end = math.nan
    if not (0 < end - begin < LONGEST_SPAN and level >= 0):
        raise InputError(f"{path}: its comments state what cannot be; restore it")
    columns = {
        "positions": _stacked(table, POSITION),
        "times": table["t"][:, None] - np.float32(begin),
        "scales": _stacked(table, SCALES),
        "time_scales": table["scale_t_0"][:, None],
        "left": _stacked(table, ROTATION),
        "right": _stacked(table, RIGHT),
        "opacities": table["opacity"][:, None],
        "sh_dc": _stacked(table, DC)[:, None, :],
        "sh_rest": sh_rest,
    }
    tensors: dict[str, Any] = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in columns.items()}
    return Gaussians(**tensors, time_span=end - begin, sh_level=level)


def _time_range(times: NDArray[np.float32]) -> tuple[float, float]:
    """Where a clip begins and ends on the axis of its Gaussians' times (N,)."""
    finite = times[np.isfinite(times)]
    if not len(finite):
        return 0.0, 1.0
    low, high = (float(t) for t in np.quantile(finite, (0.005, 0.995)))
    for begin, end in USUAL_SPANS:
        margin = 0.05 * (end - begin)
        if begin - margin <= low and high <= end + margin and high - low > 0.5 * (end - begin):
            return begin, end
    return (low, high) if high - low > 1e-3 else (low - 0.5, low + 0.5)


def write_table(path: Path, columns: Table, comments: Sequence[str] = ()) -> None:
    """Columns (N,) as the float properties of N vertices; InputError when it cannot be written."""
    names = list(columns)
    count = len(columns[names[0]])
    rows = np.empty((count, len(names)), "<f4")
    for k, name in enumerate(names):
        rows[:, k] = columns[name]
    header = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    header += [f"element vertex {count}"]
    header += [f"property float {name}" for name in names] + ["end_header"]
    write_whole(path, "\n".join(header).encode() + b"\n" + rows.tobytes())


def read_table(path: Path) -> Table:
    """The float properties of a file's vertices by name; InputError for another kind of PLY and a damaged one."""
    return table_of(path, read_ply(path))


def table_of(path: Path, ply: Ply) -> Table:
    """The same of a file that was read; properties of other types are left out."""
    rows = ply.elements.get("vertex")
    if rows is None or len(ply.elements) > 1:
        raise InputError(f"{path}: has other elements than vertices; give a .ply of Gaussians")
    floats = [name for name in rows.dtype.names or () if rows.dtype[name].kind == "f"]
    if not floats:
        raise InputError(f"{path}: has properties that are not floats; give a .ply of Gaussians")
    with np.errstate(over="ignore"):  # of doubles: what is too large for a float is infinite, and seen to later
        return {name: np.array(rows[name], np.float32) for name in floats}


def _check_columns(path: Path, table: Table, names: Sequence[str]) -> None:
    missing = next((name for name in names if name not in table), None)
    if missing is not None:
        raise InputError(f"{path}: has no property {missing}; give a .ply of 3D Gaussian Splatting")


def _columns(names: tuple[str, ...], values: NDArray[np.float32]) -> Table:
    return {name: values[:, k] for k, name in enumerate(names)}


def _stacked(table: Table, names: tuple[str, ...]) -> NDArray[np.float32]:
    return np.stack([table[name] for name in names], axis=1)
