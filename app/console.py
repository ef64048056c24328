"""What the commands share: opening a run, finding its cameras, saying something."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from tqdm import tqdm

from app.scene_files import is_scene, opened_run
from renderer.camera import Camera
from renderer.errors import InputError
from training.checkpoint import is_run
from training.data.dataset import Dataset
from training.device import pick_device
from training.run import Run

JsonFile = Annotated[Path | None, tyro.conf.arg(name="json", metavar="F")]


def say(text: str) -> None:
    """A line for the person, beside the progress bars."""
    tqdm.write(text, file=sys.stderr)


def open_run(path: Path) -> Run:
    """A run with at least one checkpoint; a scene file, a checkpoint by itself, or the newest one of a run whose clip
    is gone, as one."""
    if not is_run(path) and not is_scene(path):
        raise InputError(f"{path}: not the folder of a run; train one with dynview train DATA --out {path}")
    run = opened_run(path, say, pick_device("auto"))
    if run.trainer.done == 0 and run.has_clip:
        raise InputError(f"{path}: no checkpoint in this run yet; go on with dynview train DATA --out {path} --resume")
    return run


def find_camera(dataset: Dataset, name: str, time: float) -> Camera:
    """The camera of that name or number, where it stood at the shot nearest in time."""
    names = dataset.camera_names
    if name not in names and name.isdigit() and int(name) < len(names):
        name = names[int(name)]
    shots = [shot for shot in dataset.shots if shot.camera_name == name]
    if not shots:
        raise InputError(f"--camera {name}: the clip has {', '.join(names[:12])}")
    return min(shots, key=lambda shot: abs(shot.time - time)).camera


def finite(value: object) -> object:
    """The value with null in place of numbers that JSON does not have."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
