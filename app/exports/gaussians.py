"""A scene's Gaussians as files for other viewers, each read back before it gets its name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from app.exports.plans import GaussianExport
from renderer.errors import InputError
from renderer.files.cameras import NamedCamera
from renderer.files.complete import not_written
from renderer.files.ply import read_still_ply, read_table, write_native_ply, write_still_ply
from renderer.files.spacetime import spacetime_of
from renderer.files.splat_file import read_splat_file, write_splat_file
from renderer.files.splatv import same as same_splatv
from renderer.files.splatv import write_splatv
from renderer.files.still import StillGaussians, still_at
from renderer.gaussians import Gaussians
from renderer.scene import Scene

ENDINGS = {"ply": ".ply", "splat": ".splat", "native": ".ply", "splatv": ".splatv"}
"""How the name of each kind of file ends."""
MOST_FILES = 9999
"""Of a numbered sequence."""
ALL_TIMES = ("native", "splatv")
"""Kinds that hold the whole clip."""


def check_gaussians(scene: Scene, job: GaussianExport) -> Gaussians:
    """The scene, when the job can be done; InputError before anything is written when not."""
    if job.path.suffix != ENDINGS[job.kind]:
        wanted = "one .ply of all times" if job.kind == "native" else f"a {ENDINGS[job.kind]} file"
        raise InputError(f"{job.path}: is to be {wanted}; end its name in {ENDINGS[job.kind]}")
    if job.kind in ALL_TIMES and job.frames is not None:
        raise InputError(f"{job.path}: one file holds all times; do not ask for a number of frames")
    if not 0 <= job.time <= 1:
        raise InputError(f"{job.path}: time {job.time:g}: give a time between 0 and 1")
    if job.frames is not None and not 1 <= job.frames <= MOST_FILES:
        raise InputError(f"{job.path}: {job.frames} frames: give a number from 1 to {MOST_FILES}")
    if not isinstance(scene, Gaussians):
        raise InputError(f"{job.path}: the scene is a radiance field, which has no Gaussians to export")
    return scene


def write_gaussians(
    scene: Scene, job: GaussianExport, cameras: Sequence[NamedCamera] = ()
) -> Iterator[tuple[int, int, Path]]:
    """Write the files: how many are done, of how many, and the newest. ``cameras``: where a viewer of a .splatv begins,
    one at least; the other kinds need none.

    They lie in a folder of their own until all are there and have been read back; closing the iterator leaves nothing.
    InputError when the job cannot be done, or a file does not hold what was written.
    """
    gaussians = check_gaussians(scene, job)
    last = max(1, (job.frames or 1) - 1)
    times = {path: job.time if job.frames is None else k / last for k, path in enumerate(gaussian_files(job))}
    unfinished = job.path.with_name(f".{job.path.name}.partial")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for done, (path, time) in enumerate(times.items(), start=1):
            if not _written(gaussians, job.kind, time, unfinished / path.name, cameras):
                raise InputError(f"{path}: does not hold what was written; is the disk full?")
            if done < len(times):
                yield done, len(times), path
        for path in times:
            (unfinished / path.name).replace(path)
    except OSError as problem:
        raise not_written(job.path, problem) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    yield len(times), len(times), path


def gaussian_files(job: GaussianExport) -> list[Path]:
    """The files of a job, in the order in which they are written."""
    if job.frames is None:
        return [job.path]
    return [job.path.with_name(f"{job.path.stem}{k + 1:04d}{job.path.suffix}") for k in range(job.frames)]


def _written(scene: Gaussians, kind: str, time: float, path: Path, cameras: Sequence[NamedCamera]) -> bool:
    """Whether the file holds what was written."""
    if kind == "native":
        write_native_ply(path, scene)
        back = read_table(path)
        moments = scene.times[:, 0].detach().cpu().float().numpy()
        return len(back["x"]) == len(scene) and np.array_equal(back["t"], moments)
    if kind == "splatv":
        moving = spacetime_of(scene)
        write_splatv(path, moving, cameras)
        return same_splatv(path, moving)
    still = still_at(scene, time)
    if kind == "splat":
        write_splat_file(path, still)
        return len(read_splat_file(path)) == len(still)
    write_still_ply(path, still)
    return _same(still, read_still_ply(path))


def _same(a: StillGaussians, b: StillGaussians) -> bool:
    return len(a) == len(b) and all(
        np.allclose(getattr(a, name), getattr(b, name), rtol=0, atol=1e-6) for name in vars(a)
    )
