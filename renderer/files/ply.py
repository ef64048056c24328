"""PLY files of Gaussians: those of 3D Gaussian Splatting, which every viewer reads, and the native ones of 4DGS.

Binary, little-endian, one element ``vertex`` of float properties, raw values as in training (logarithms of scales,
logits of opacities, quaternions wxyz). ``f_rest`` holds all of red, then green, then blue.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.still import StillGaussians
from renderer.gaussians import Gaussians

Table = dict[str, NDArray[np.float32]]

POSITION, NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
DC, REST = tuple(f"f_dc_{k}" for k in range(3)), tuple(f"f_rest_{k}" for k in range(45))
SCALES, ROTATION = tuple(f"scale_{k}" for k in range(3)), tuple(f"rot_{k}" for k in range(4))
RIGHT = tuple(f"rot_r_{k}" for k in range(4))
LONGEST_HEADER = 1 << 16


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
    table = read_table(path)
    missing = [n for n in (*POSITION, *DC, "opacity", *SCALES, *ROTATION) if n not in table]
    if missing:
        raise InputError(f"{path}: has no property {missing[0]}; give a .ply of 3D Gaussian Splatting")
    sh = np.zeros((len(table["x"]), 16, 3), np.float32)
    sh[:, 0] = _stacked(table, DC)
    count = sum(name in table for name in REST)
    if count not in (0, 9, 24, 45):
        raise InputError(f"{path}: has {count} properties f_rest, expected 0, 9, 24 or 45")
    if count:
        rest = _stacked(table, REST[:count]).reshape(-1, 3, count // 3)
        sh[:, 1 : 1 + count // 3] = rest.transpose(0, 2, 1)
    rotations = _stacked(table, ROTATION)
    lengths = np.linalg.norm(rotations, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise InputError(f"{path}: a rotation is zero; write the file again")
    return StillGaussians(_stacked(table, POSITION), _stacked(table, SCALES), rotations / lengths, table["opacity"], sh)


def write_native_ply(path: Path, gaussians: Gaussians) -> None:
    """The whole 4D scene in the layout of the 4DGS code that SparseCam4D builds on: the properties of 3DGS with the
    left quaternion and all 47 further coefficients, then ``t``, ``scale_t_0`` and the right quaternion ``rot_r``."""
    g = {name: value.detach().cpu().float().numpy() for name, value in gaussians.parameters.items()}
    N = len(gaussians)
    rest = g["sh_rest"].transpose(0, 2, 1).reshape(N, -1)
    scales = g["scales"] if gaussians.scale_activation == "exp" else np.log(
        gaussians.activate_scales(gaussians.scales.detach()).cpu().float().numpy()
    )  # fmt: skip
    write_table(
        path,
        _columns(POSITION, g["positions"])
        | dict.fromkeys(NORMAL, np.zeros(N, np.float32))
        | _columns(DC, g["sh_dc"][:, 0])
        | _columns(tuple(f"f_rest_{k}" for k in range(rest.shape[1])), rest)
        | {"opacity": g["opacities"][:, 0]}
        | _columns(SCALES, scales)
        | _columns(ROTATION, g["left"])
        | {"t": g["times"][:, 0], "scale_t_0": g["time_scales"][:, 0]}
        | _columns(RIGHT, g["right"]),
    )


def write_table(path: Path, columns: Table) -> None:
    """Columns (N,) as the float properties of N vertices."""
    names = list(columns)
    count = len(columns[names[0]])
    rows = np.empty((count, len(names)), "<f4")
    for k, name in enumerate(names):
        rows[:, k] = columns[name]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header += [f"property float {name}" for name in names] + ["end_header"]
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes("\n".join(header).encode() + b"\n" + rows.tobytes())
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({problem.strerror}); choose another file") from None


def read_table(path: Path) -> Table:
    """The float properties of a file's vertices by name; InputError for another kind of PLY and a damaged one."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); give a .ply file") from None
    end = re.search(rb"\nend_header\r?\n", data[:LONGEST_HEADER])
    if not data.startswith(b"ply") or end is None:
        raise InputError(f"{path}: is not a PLY file; give a .ply of Gaussians")
    lines = data[: end.start()].decode("ascii", "replace").split("\n")
    words = [line.split() for line in lines[1:] if line.strip() and not line.startswith(("comment", "obj_info"))]
    if words[:1] != [["format", "binary_little_endian", "1.0"]]:
        raise InputError(f"{path}: is not a binary little-endian PLY; write it again as one")
    elements = [w for w in words if w[0] == "element"]
    properties = [w for w in words if w[0] == "property"]
    if len(elements) != 1 or elements[0][1:2] != ["vertex"] or not re.fullmatch(r"\d{1,10}", elements[0][-1]):
        raise InputError(f"{path}: has other elements than vertices; give a .ply of Gaussians")
    if not properties or any(len(w) != 3 or w[1] not in ("float", "float32") for w in properties):
        raise InputError(f"{path}: has properties that are not floats; give a .ply of Gaussians")
    count, names = int(elements[0][2]), [w[2] for w in properties]
    body = data[end.end() :]
    if len(body) != 4 * count * len(names):
        raise InputError(f"{path}: holds {len(body)} bytes for {count} vertices of {len(names)} floats; restore it")
    rows = np.frombuffer(body, "<f4").reshape(count, len(names))
    return {name: np.ascontiguousarray(rows[:, k], np.float32) for k, name in enumerate(names)}


def _columns(names: tuple[str, ...], values: NDArray[np.float32]) -> Table:
    return {name: values[:, k] for k, name in enumerate(names)}


def _stacked(table: Table, names: tuple[str, ...]) -> NDArray[np.float32]:
    return np.stack([table[name] for name in names], axis=1)
