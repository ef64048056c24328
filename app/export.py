"""``dynview export``: a run's Gaussians and cameras as files that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from app.console import JsonFile, open_run, say
from app.exports.cameras import check_cameras, check_stood, first_cameras, write_cameras
from app.exports.gaussians import check_gaussians, write_gaussians
from app.exports.plans import CameraExport, GaussianExport
from renderer.errors import InputError
from training.checkpoint import write_json
from training.run import Run

KINDS: dict[str, Literal["ply", "splat", "splatv"]] = {".ply": "ply", ".splat": "splat", ".splatv": "splatv"}


@dataclass(frozen=True)
class Export:
    """Write the Gaussians of a run or a scene file, or a run's cameras, for other programs, and read every file back to
    see that it holds what was written.

    One instant as .ply of 3D Gaussian Splatting or .splat; with --frames a numbered sequence of them; the whole clip as
    .splatv for web viewers of moving scenes, or with --native as one .ply in the layout of the 4DGS code. With
    --cameras the cameras where they are now, learned ones too.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|FILE")]
    """Folder of the run or of a checkpoint of it; or a scene file: .ply of 3DGS or 4DGS, .splat, .splatv, .spz."""
    out: Path
    """The file, ending in .ply, .splat or .splatv; of a sequence the file whose name is numbered, frame.ply:
    frame0001.ply. Of --cameras colmap a folder, of --cameras transforms a file ending in .json."""
    time: float = 0.0
    """Time in [0, 1] of the one instant."""
    frames: int | None = None
    """Write so many instants, evenly from the clip's beginning to its end."""
    native: bool = False
    """Write the 4D scene itself."""
    cameras: Literal["colmap", "transforms"] | None = None
    """Write cameras: sparse/0 of COLMAP, as text, or nerfstudio's transforms.json with the time of every picture."""
    pictures: bool = False
    """With --cameras: the clip's pictures too, into images/ beside them, where other pictures are never replaced."""
    report_to: JsonFile = None
    """Write which files of how many bytes were written to this file."""

    def __call__(self) -> None:
        if self.cameras is not None:
            self._cameras(CameraExport(self.out, self.cameras))
        else:
            self._gaussians()

    def _gaussians(self) -> None:
        if self.pictures:
            raise InputError("--pictures: pictures go with cameras; add --cameras colmap or --cameras transforms")
        if self.out.suffix not in KINDS:
            raise InputError(f"--out {self.out}: give a file ending in .ply, .splat or .splatv")
        job = GaussianExport(self.out, "native" if self.native else KINDS[self.out.suffix], self.time, self.frames)
        run = open_run(self.run)
        check_gaussians(run.trainer.scene, job)
        pieces = write_gaussians(run.trainer.scene, job, first_cameras(run.trainer.clip()))
        files = [path for _, _, path in tqdm(pieces, total=self.frames or 1, unit="file", dynamic_ncols=True)]
        size = sum(path.stat().st_size for path in files) / 1e6
        say(f"{self.out}: {len(files)} files, {size:.1f} MB, read back")
        self._report(files)

    def _cameras(self, job: CameraExport) -> None:
        if self.native or self.frames is not None:
            raise InputError("--cameras: are written without Gaussians; leave --native and --frames out")
        check_cameras(job)
        run = open_run(self.run)
        check_stood(run)
        clip = run.trainer.clip()
        pieces = write_cameras(clip, run.trainer.scene, job, self.pictures)
        total = 1 + len(clip.shots) * self.pictures
        files = [path for _, _, path in tqdm(pieces, total=total, unit="file", dynamic_ncols=True)]
        say(f"{self.out}: {len(clip.shots)} cameras, read back{_moved(run)}")
        self._report(files)

    def _report(self, files: list[Path]) -> None:
        if self.report_to:
            write_json(self.report_to, {"files": {str(path): path.stat().st_size for path in files if path.is_file()}})


def _moved(run: Run) -> str:
    return ", as they were learned" if run.trainer.cameras.learned is not None else ""
