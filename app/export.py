"""``dynview export``: a run's Gaussians as files that other viewers read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from app.console import JsonFile, open_run, say
from renderer.errors import InputError
from renderer.files.ply import read_still_ply, read_table, write_native_ply, write_still_ply
from renderer.files.splat_file import read_splat_file, write_splat_file
from renderer.files.still import StillGaussians, still_at
from renderer.gaussians import Gaussians
from training.checkpoint import write_json


@dataclass(frozen=True)
class Export:
    """Write a run's Gaussians for other viewers, and read every file back to see that it holds what was written.

    One instant as .ply of 3D Gaussian Splatting or .splat; with --frames a numbered sequence of them; with --native the
    whole 4D scene as one .ply in the layout of the 4DGS code.
    """

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path
    """The file, ending in .ply or .splat; of a sequence the file whose name is numbered, frame.ply: frame0001.ply."""
    time: float = 0.0
    """Time in [0, 1] of the one instant."""
    frames: int | None = None
    """Write so many instants, evenly from the clip's beginning to its end."""
    native: bool = False
    """Write the 4D scene itself."""
    report_to: JsonFile = None
    """Write what was written to this file."""

    def __call__(self) -> None:
        self._check()
        scene = open_run(self.run).trainer.scene
        if not isinstance(scene, Gaussians):
            raise InputError(f"{self.run}: holds a radiance field, which has no Gaussians to export")
        if self.native:
            counts = {self.out: self._native(scene)}
        elif self.frames is None:
            counts = {self.out: self._instant(scene, self.time, self.out)}
        else:
            counts = {}
            for k in tqdm(range(self.frames), unit="file", dynamic_ncols=True):
                path = self.out.with_name(f"{self.out.stem}{k + 1:04d}{self.out.suffix}")
                counts[path] = self._instant(scene, k / max(1, self.frames - 1), path)
        size = sum(path.stat().st_size for path in counts) / 1e6
        say(f"{self.out}: {len(counts)} files, {max(counts.values()):,} Gaussians at most, {size:.1f} MB, read back")
        if self.report_to:
            write_json(self.report_to, {"files": {str(path): count for path, count in counts.items()}})

    def _check(self) -> None:
        if self.out.suffix not in (".ply", ".splat"):
            raise InputError(f"--out {self.out}: give a file ending in .ply or .splat")
        if self.native and (self.out.suffix != ".ply" or self.frames is not None):
            raise InputError("--native: is one .ply of all times; leave --frames out and end --out in .ply")
        if not 0 <= self.time <= 1:
            raise InputError(f"--time {self.time:g}: give a time between 0 and 1")
        if self.frames is not None and not 1 <= self.frames <= 9999:
            raise InputError(f"--frames {self.frames}: give a number from 1 to 9999")

    def _native(self, scene: Gaussians) -> int:
        write_native_ply(self.out, scene)
        back = read_table(self.out)
        same = np.array_equal(back["t"], scene.times[:, 0].detach().cpu().float().numpy())
        return _verified(self.out, same and len(back["x"]) == len(scene), len(scene))

    def _instant(self, scene: Gaussians, time: float, path: Path) -> int:
        still = still_at(scene, time)
        if path.suffix == ".splat":
            write_splat_file(path, still)
            return _verified(path, len(read_splat_file(path)) == len(still), len(still))
        write_still_ply(path, still)
        return _verified(path, _same(still, read_still_ply(path)), len(still))


def _same(a: StillGaussians, b: StillGaussians) -> bool:
    return len(a) == len(b) and all(
        np.allclose(getattr(a, name), getattr(b, name), rtol=0, atol=1e-6) for name in vars(a)
    )


def _verified(path: Path, same: bool, count: int) -> int:
    if not same:
        raise InputError(f"{path}: does not hold what was written; is the disk full?")
    return count
