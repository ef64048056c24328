"""Runs and checkpoints on disk: safetensors and JSON, no pickle, never half-written.

    RUN/run.json                         what was trained on what, with which values
    RUN/metrics.jsonl                    one line per report, per evaluation and per change of settings
    RUN/checkpoints/step-002000/         scene.safetensors   the scene: all that rendering needs
                                         training.safetensors  Adam's moments, densification statistics
                                         distortion.safetensors  the field that training throws away at its end
                                         cameras.safetensors   learned poses
                                         state.json          step and settings

A checkpoint is a folder that is written under a temporary name and renamed. Only what a run has is written; nothing but
scene.safetensors and state.json is needed to draw the scene.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from renderer.errors import InputError
from renderer.field.model import RadianceField
from renderer.field.space import Space
from renderer.gaussians import PARAMETERS, SETTINGS, Gaussians, ScaleActivation
from renderer.harmonics import MAX_LEVEL
from renderer.scene import Scene

FORMAT = 1
PARTS = ("training", "distortion", "cameras")
"""Files of a checkpoint beside the scene, by the field of Checkpoint that they hold."""
LARGEST_AXIS, PROPOSAL_CHANNELS = 1 << 16, 8
"""Nodes of a field's axis at most; channels of its proposals' planes."""
STEP_NAME = re.compile(r"step-(\d{6,})$")


@dataclass(frozen=True)
class Checkpoint:
    """A scene at a step, with what training needs to go on: the optimiser's ``training``, and where the method has them
    the ``distortion`` field and the learned ``cameras``, each empty where it is missing."""

    step: int
    scene: Scene
    training: Mapping[str, Tensor]
    state: Mapping[str, Any]
    distortion: Mapping[str, Tensor] = field(default_factory=dict)
    cameras: Mapping[str, Tensor] = field(default_factory=dict)


def write_json(path: Path, value: Any) -> None:
    """Write under a temporary name, then rename."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """The value, or an InputError that names the file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the folder of a run made by dynview train") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{path}: not readable as JSON ({problem}); restore it or train again") from None


def save_checkpoint(run: Path, checkpoint: Checkpoint, keep: int = 2) -> Path:
    """Write a checkpoint; older ones than the last ``keep`` are removed, none where that is 0. Returns its folder."""
    folder = checkpoint_folder(run, checkpoint.step)
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    parts = {name: getattr(checkpoint, name) for name in PARTS}
    tensors_of_scene, settings = _parts_of(checkpoint.scene)
    for name, tensors in {"scene": tensors_of_scene, **parts}.items():
        if tensors:
            detached = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
            save_file(detached, temporary / f"{name}.safetensors")
    state = {"format": FORMAT, "step": checkpoint.step, "scene": settings, **checkpoint.state}
    write_json(temporary / "state.json", state)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
    for old in checkpoint_folders(run)[:-keep] if keep else ():
        shutil.rmtree(old, ignore_errors=True)
    return folder


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step is, if there is one."""
    return run / "checkpoints" / f"step-{step:06d}"


def checkpoint_folders(run: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    folders = [p for p in (run / "checkpoints").glob("step-*") if STEP_NAME.search(p.name)]
    return sorted(folders, key=lambda p: int(p.name.removeprefix("step-")))


def checkpoint_steps(run: Path) -> list[int]:
    """Steps of the complete checkpoints of a run, oldest first."""
    return [int(folder.name.removeprefix("step-")) for folder in checkpoint_folders(run)]


def is_run(path: Path) -> bool:
    """Whether a folder was written by training."""
    return (path / "run.json").is_file()


def load_checkpoint(run: Path, with_training: bool = True, step: int | None = None) -> Checkpoint:
    """The newest checkpoint of a run, or that of a ``step``; InputError when there is none or it cannot be read."""
    folder = existing_checkpoint(run, step)
    state, step, scene = _load(folder)
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in PARTS}
    for name in PARTS if with_training else ():
        path = folder / f"{name}.safetensors"
        if path.is_file() or name == "training":
            parts[name] = _load_tensors(path)
    return Checkpoint(step, scene, state=state, **parts)


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds what is needed to draw a scene, wherever it lies."""
    return (folder / "state.json").is_file() and (folder / "scene.safetensors").is_file()


def load_scene(folder: Path) -> tuple[int, Scene]:
    """Step and scene of the folder of a checkpoint; InputError when it cannot be read."""
    return _load(folder)[1:]


def _load(folder: Path) -> tuple[dict[str, Any], int, Scene]:
    state = read_json(folder / "state.json")
    tensors = _load_tensors(folder / "scene.safetensors")
    try:
        if state["format"] != FORMAT:
            raise InputError(f"{folder}: written by another version of dynview; train again with this one")
        scene = _scene_of(folder, tensors, state["scene"])
        return state, int(state["step"]), scene
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
        raise InputError(f"{folder}: the checkpoint is incomplete ({problem!r:.200}); delete this folder") from None


def existing_checkpoint(run: Path, step: int | None = None) -> Path:
    """The folder of the newest checkpoint, or of that of a step; InputError when it is not there."""
    steps = checkpoint_steps(run)
    if not steps:
        raise InputError(f"{run}: no checkpoint in this run; train it with dynview train DATA --out {run}")
    if step is not None and step not in steps:
        raise InputError(f"{run}: no checkpoint of step {step}; give one of {', '.join(map(str, steps))}")
    return checkpoint_folder(run, steps[-1] if step is None else step)


def _parts_of(scene: Scene) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
    """A scene's tensors, and the settings that make it again with them."""
    if isinstance(scene, RadianceField):
        return scene.state_dict(), {"model": "field", **scene.settings()}
    return scene.parameters, {"model": "gaussians", **{name: getattr(scene, name) for name in SETTINGS}}


def _scene_of(folder: Path, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Scene:
    """The inverse of :func:`_parts_of`; KeyError, TypeError or ValueError when something is missing."""
    if settings.get("model") == "field":
        _check_field(tensors, settings["shape"])
        field = RadianceField.from_settings(settings)
        _check_space(field.space)
        try:
            field.load_state_dict(tensors)
        except RuntimeError:
            raise InputError(f"{folder}: the scene's tensors have the wrong shapes; delete this folder") from None
        return field
    values = {name: settings[name] for name in SETTINGS}
    level, span = values["sh_level"], values["time_span"]
    if not (isinstance(level, int) and 0 <= level <= MAX_LEVEL and isinstance(span, int | float) and 0 < span < 1e9):
        raise ValueError(f"sh_level {level!r}, time_span {span!r}")
    if values["scale_activation"] not in get_args(ScaleActivation):
        raise ValueError(f"scale_activation {values['scale_activation']!r}")
    gaussians = Gaussians(**{**{name: tensors[name] for name in PARAMETERS}, **values})
    _check_shapes(folder, gaussians)
    return gaussians


def _check_field(tensors: dict[str, Tensor], shape: dict[str, Any]) -> None:
    """ValueError where a field of a shape would not have the planes that are there: before memory is taken for it."""
    if not all(1 <= int(n) <= LARGEST_AXIS for n in (*shape["nodes"], *shape["levels"], shape["time_nodes"])):
        raise ValueError("a field's shape cannot be")
    x, y, z = (int(n) for n in shape["nodes"])
    t, small, channels = (int(shape[name]) for name in ("time_nodes", "proposal_nodes", "channels"))
    levels = [int(n) for n in shape["levels"]]
    still = sum(n * n * (x * y + x * z + y * z) for n in levels)
    planes = {
        "static_planes.values": (still, channels),
        "dynamic_planes.values": (still + sum(n * t * (x + y + z) for n in levels), channels),
        "proposal_planes.values": (3 * small * small + 3 * small * t, PROPOSAL_CHANNELS),
    }
    same = all(tuple(tensors[name].shape) == expected for name, expected in planes.items())
    if not same or tensors["static_layers.0.weight"].shape[:1] != (int(shape["width"]),):
        raise ValueError("a field's shape is not that of its tensors")


def _check_space(space: Space) -> None:
    numbers = [x for row in space.world_to_local for x in row] + list(space.half)
    square = len(numbers) == 16 + 3 and all(len(row) == 4 for row in space.world_to_local)
    if not (
        square
        and all(map(math.isfinite, numbers))
        and min(space.half[:2]) > 0
        and 0 < space.near < space.far < math.inf
    ):
        raise ValueError("a field's space cannot be")


def _check_shapes(folder: Path, g: Gaussians) -> None:
    N = len(g)
    expected = {
        "positions": (N, 3), "times": (N, 1), "scales": (N, 3), "time_scales": (N, 1), "left": (N, 4),
        "right": (N, 4), "opacities": (N, 1), "sh_dc": (N, 1, 3), "sh_rest": (N, 47, 3),
    }  # fmt: skip
    for name, shape in expected.items():
        value = g.parameters[name]
        if not value.is_floating_point():
            raise InputError(f"{folder}: the scene's {name} are not numbers with fractions; delete this folder")
        if tuple(value.shape) != shape:
            raise InputError(f"{folder}: the scene's {name} have the wrong shape; delete this folder")


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing from the checkpoint; delete its folder to use the one before") from None
    except (SafetensorError, OSError, ValueError) as problem:
        raise InputError(f"{path}: damaged ({problem}); delete its folder to use the one before") from None
