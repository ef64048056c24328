"""Scene files from anywhere, as a scene."""

from __future__ import annotations

from pathlib import Path

from renderer.errors import InputError
from renderer.files.as_gaussians import finite_gaussians, gaussians_of_spacetime, gaussians_of_still
from renderer.files.cameras import NamedCamera
from renderer.files.packed_ply import is_packed, still_of_packed
from renderer.files.ply import is_native, native_of_table, still_of_table, table_of
from renderer.files.ply_elements import read_ply
from renderer.files.splat_file import read_splat_file
from renderer.files.splatv import read_splatv
from renderer.files.spz import read_spz
from renderer.gaussians import Gaussians
from renderer.scene import Scene

SUFFIXES = (".ply", ".splat", ".splatv", ".spz")
"""Of the files that are read."""
UNREAD = {".ksplat": "GaussianSplats3D's", ".sog": "SuperSplat's"}
"""Of scene files that are not read, and whose they are."""


def open_scene(path: Path) -> Scene:
    """The scene of a file of 3D Gaussian Splatting (.ply, SuperSplat's compressed one too, .splat, .spz), or of a
    moving one (.ply of the 4DGS code, .splatv).

    Axes and unit are the file's, but for .spz, which is turned to those of a .ply: +y down. Gaussians whose numbers no
    Gaussian has are left out. InputError for another kind of file, a damaged one, and one that holds nothing.
    """
    return read_scene_file(path)[0]


def read_scene_file(path: Path) -> tuple[Gaussians, list[NamedCamera]]:
    """The scene, and the cameras that the file names, of which only a .splatv has some."""
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        raise InputError(f"{path}: is of {UNREAD[suffix]} own kind, which is not read; convert it to .ply or .spz")
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: is no scene file; give one ending in {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a scene file")
    cameras: list[NamedCamera] = []
    if suffix == ".splatv":
        moving, cameras = read_splatv(path)
        gaussians = gaussians_of_spacetime(moving)
    elif suffix == ".ply":
        gaussians = _of_ply(path)
    else:
        gaussians = gaussians_of_still(read_splat_file(path) if suffix == ".splat" else read_spz(path))
    gaussians = finite_gaussians(gaussians)
    if not len(gaussians):
        raise InputError(f"{path}: holds no Gaussians that can be drawn; write it again")
    return gaussians, cameras


def _of_ply(path: Path) -> Gaussians:
    ply = read_ply(path)
    if is_packed(ply):
        return gaussians_of_still(still_of_packed(path, ply))
    table = table_of(path, ply)
    return (
        native_of_table(path, table, ply.comments)
        if is_native(ply)
        else gaussians_of_still(still_of_table(path, table))
    )
