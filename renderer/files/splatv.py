"""``.splatv``: Gaussians that move, as web viewers of dynamic scenes (splaTV, gsplat.js) read them.

A little-endian uint32 0x674b and the length of the JSON that follows, a list of one chunk with the size of the data,
the shape of the texture that it is and cameras to begin at; then the texture, 64 bytes per Gaussian in rows of 1,024.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.cameras import NamedCamera
from renderer.files.complete import write_whole
from renderer.files.spacetime import SpacetimeGaussians

MAGIC = 0x674B
PER_ROW = 1024
"""Gaussians in a row of the texture."""
TEXELS = 4
"""Texels of four uint32 for one Gaussian."""
LAYOUT = np.dtype(
    [
        ("mean", "<f4", 3),
        ("rotation", "<f2", 4),
        ("scale", "<f2", 4),
        ("rgba", "u1", 4),
        ("motion", "<f2", 10),
        ("turn", "<f2", 4),
        ("center", "<f2"),
        ("life", "<f2"),
    ]
)
"""Of ``scale`` and ``motion`` the last is not used."""
LARGEST_HALF, LEAST_LIFE = 65504.0, 2.0**-14


def write_splatv(path: Path, gaussians: SpacetimeGaussians, cameras: Sequence[NamedCamera]) -> None:
    """Write those that a viewer can see. ``cameras``: one at least; viewers begin at the first. InputError when the
    file cannot be written."""
    if not cameras:
        raise ValueError("a .splatv needs a camera to begin at")
    rows = encoded(gaussians)
    height = max(1, -(-len(rows) // PER_ROW))
    texture = np.zeros(height * PER_ROW, LAYOUT)
    texture["center"], texture["life"] = -1000, 1  # the rest of the last row: never there
    texture["rotation"][:, 0] = 1
    texture[: len(rows)] = rows
    chunk = {
        "type": "splat",
        "size": texture.nbytes,
        "texwidth": PER_ROW * TEXELS,
        "texheight": height,
        "cameras": [_described(k, c) for k, c in enumerate(cameras)],
    }
    text = json.dumps([chunk]).encode()
    text += b" " * (-len(text) % 4)
    write_whole(path, struct.pack("<II", MAGIC, len(text)) + text + texture.tobytes())


def read_splatv(path: Path) -> tuple[SpacetimeGaussians, list[NamedCamera]]:
    """What can be seen in a file, to the precision of its half floats, without those that are not of numbers, and its
    cameras; InputError for another kind of file and a damaged one."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror}); give a .splatv file") from None
    if len(data) < 8 or struct.unpack_from("<I", data)[0] != MAGIC:
        raise InputError(f"{path}: is not a .splatv file; give one")
    begin = 8 + struct.unpack_from("<I", data, 4)[0]
    try:
        chunk = json.loads(data[8:begin])[0]
        size = int(chunk["size"])
        cameras = [_camera(c) for c in chunk["cameras"]]
        if chunk["type"] != "splat" or int(chunk["texwidth"]) != PER_ROW * TEXELS:
            raise ValueError("another kind of data")
    except (ValueError, KeyError, TypeError, IndexError) as problem:
        raise InputError(f"{path}: its head is damaged ({problem}); write it again") from None
    if size % LAYOUT.itemsize or len(data) != begin + size:
        raise InputError(f"{path}: holds {len(data) - begin} bytes where {size} are stated; write it again")
    rows = np.frombuffer(data, LAYOUT, offset=begin)
    keep = rows["rgba"][:, 3] > 0
    for name in set(LAYOUT.names or ()) - {"rgba"}:
        keep &= np.isfinite(rows[name]).all(tuple(range(1, rows[name].ndim)))
    return _decoded(rows[keep]), cameras


def encoded(gaussians: SpacetimeGaussians) -> NDArray[np.void]:
    """Rows of :data:`LAYOUT`, of those whose opacity is not nothing.

    A half float tells times apart by 1/2048 of the clip and velocities by as much of themselves. So that nothing fast
    is misplaced by that, the means, which are whole floats, make up for it at the time when a Gaussian is seen best.
    """
    alpha = _bytes(gaussians.opacities)
    keep = alpha > 0
    rows = np.zeros(np.count_nonzero(keep), LAYOUT)
    rows["rotation"] = gaussians.rotations[keep]
    rows["scale"][:, :3] = _half(gaussians.scales[keep])
    rows["rgba"][:, :3] = _bytes(gaussians.colors[keep])
    rows["rgba"][:, 3] = alpha[keep]
    rows["motion"][:, :9] = _half(gaussians.motion[keep].reshape(-1, 9))
    rows["turn"] = _half(gaussians.turns[keep])
    centers = gaussians.centers[keep].astype(np.float64)
    rows["center"] = _half(centers)
    rows["life"] = np.clip(gaussians.lifes[keep], LEAST_LIFE, LARGEST_HALF)
    best = np.clip(centers, 0, 1)
    exact = _way(gaussians.motion[keep], best - centers)
    rounded = _way(rows["motion"][:, :9].reshape(-1, 3, 3), best - rows["center"].astype(np.float64))
    rows["mean"] = gaussians.means[keep] + exact - rounded
    return rows


def same(path: Path, gaussians: SpacetimeGaussians) -> bool:
    """Whether a file holds exactly what :func:`write_splatv` makes of the Gaussians."""
    back, expected = read_splatv(path)[0], _decoded(encoded(gaussians))
    return all(np.array_equal(getattr(back, name), value) for name, value in vars(expected).items())


def _decoded(rows: NDArray[np.void]) -> SpacetimeGaussians:
    def floats(name: str) -> NDArray[np.float32]:
        return rows[name].astype(np.float32)

    return SpacetimeGaussians(
        floats("mean"),
        floats("motion")[:, :9].reshape(-1, 3, 3),
        floats("rotation"),
        floats("turn"),
        floats("scale")[:, :3],
        floats("center"),
        floats("life"),
        floats("rgba")[:, 3] / np.float32(255),
        floats("rgba")[:, :3] / np.float32(255),
    )


def _way(motion: NDArray[np.floating], dt: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) how far polynomials (N, 3, 3) lead in dt (N,)."""
    powers = np.stack([dt, dt**2, dt**3], axis=1)
    return np.asarray((motion.astype(np.float64) * powers[:, :, None]).sum(1))


def _described(number: int, named: NamedCamera) -> dict[str, Any]:
    """As viewers of Gaussians describe cameras: centre, and rotation from the camera to the world."""
    camera = named.camera
    return {
        "id": number,
        "img_name": named.name,
        "width": camera.width,
        "height": camera.height,
        "position": camera.center.tolist(),
        "rotation": camera.camera_to_world[:3, :3].tolist(),
        "fx": camera.fx,
        "fy": camera.fy,
    }


def _camera(described: dict[str, Any]) -> NamedCamera:
    pose = np.eye(4)
    pose[:3, :3] = np.array(described["rotation"], float).T
    pose[:3, 3] = -pose[:3, :3] @ np.array(described["position"], float)
    width, height = int(described["width"]), int(described["height"])
    camera = Camera(pose, described["fx"], described["fy"], width / 2, height / 2, width, height)
    return NamedCamera(str(described["img_name"]), camera)


def _half(values: NDArray[np.floating]) -> NDArray[np.float16]:
    return np.clip(values, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)


def _bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.round(255 * values), 0, 255).astype(np.uint8)
