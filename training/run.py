"""A run: a folder that holds what was trained on what, the checkpoints and the metrics."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from renderer.cuda.splat import forget_rooms
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.scene import size_of
from training.checkpoint import (
    FORMAT,
    Checkpoint,
    checkpoint_folder,
    checkpoint_folders,
    existing_checkpoint,
    is_run,
    load_checkpoint,
    read_json,
    save_checkpoint,
    write_json,
)
from training.clip_targets import knows_nothing_of_depth
from training.config import PRESETS, TrainConfig, changes, check_values, flattened, resolved, with_changes
from training.data.dataset import Dataset
from training.data.generated_sources import with_generated
from training.data.layouts import is_demo
from training.data.loading import open_dataset
from training.depth_term import depth_wanted, without_depth
from training.device import OUT_OF_MEMORY, DeviceName, shortage
from training.facts import StepReport
from training.live import differing, option
from training.perceptual import fetch_command
from training.prepare.scene_folder import recorded_inputs
from training.trainer import Trainer
from training.trainers import make_trainer

Report = Callable[[str], None]

LOG_EVERY = 10
"""Steps between two lines of metrics.jsonl."""
UPKEEP = frozenset(("save_every", "keep", "evaluate_every"))
"""Settings that no number of the training depends on."""


def silent(text: str) -> None:
    """A report that nobody reads."""


class Run:
    """One training run on disk, with its data set and its trainer.

    ``folder``: where it lives. ``config``: resolved. ``trainer``: at the newest checkpoint, or at step 0. ``begun``:
    whether the folder is written. ``device``: where the scene is learned; a run may go on on another.
    """

    has_clip = True
    """Whether the pictures are there that the scene is learned from."""
    has_cameras = True
    """Whether cameras stood where those of the data set do."""

    def __init__(
        self, folder: Path, source: str, config: TrainConfig, dataset: Dataset, trainer: Trainer, device: DeviceName
    ) -> None:
        self.folder, self.source, self.config, self.dataset = folder, source, config, dataset
        self.trainer, self.device = trainer, device
        self.begun = False

    @staticmethod
    def create(
        source: str,
        config: TrainConfig,
        folder: Path,
        *,
        overwrite: bool = False,
        report: Report = silent,
        device: DeviceName = "cpu",
    ) -> Run:
        """Prepare a run on the clip at ``source``; :meth:`begin` writes the first file. Of a clip whose depths nobody
        can know, none are asked for.

        InputError when the clip cannot be opened, or when ``folder`` holds a run already (unless ``overwrite``) or
        other files.
        """
        if is_run(folder) and not overwrite:
            raise InputError(f"{folder}: holds a run already; add --resume to go on, --overwrite, or another --out")
        if folder.exists() and not is_run(folder) and any(folder.iterdir() if folder.is_dir() else [folder]):
            raise InputError(f"{folder}: exists and is not a run; choose another --out")
        check_values(config)
        config = resolved(config, device)
        dataset = _open(source, config, report)
        if depth_wanted(config) and knows_nothing_of_depth(dataset, config.depth):
            report(
                f"{source}: no depth is known, and without poses none can be found: training goes without; a depth "
                "network's files in disp/, or --depth.source model, would help"
            )
            config = without_depth(config)
        report("Making the first scene")
        return Run(folder, source, config, dataset, _trainer(dataset, config, None, report, device), device)

    @staticmethod
    def open(folder: Path, *, steps: int | None = None, report: Report = silent, device: DeviceName = "cpu") -> Run:
        """Go back to a run at its newest checkpoint; ``steps`` replaces its length."""
        source, config = described(folder)
        if steps is not None:
            config = replace(config, steps=steps)
        checkpoint = load_checkpoint(folder) if checkpoint_folders(folder) else None
        dataset = _open(source, config, report)
        run = Run(folder, source, config, dataset, _trainer(dataset, config, checkpoint, report, device), device)
        run.begun = True
        run._forget_after(run.trainer.done)
        return run

    def begin(self) -> None:
        """Make the folder and write run.json, the source, the preset and what differs from it; an older run in the
        folder is removed. Nothing happens where the run has begun already."""
        if self.begun:
            return
        try:
            if is_run(self.folder):
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise InputError(f"{self.folder}: cannot be written ({problem.strerror}); choose another --out") from None
        description = {
            "format": FORMAT,
            "source": self.source if is_demo(self.source) else str(Path(self.source).resolve()),
            "prepared": recorded_inputs(Path(self.source)),
            "method": self.config.method,
            "changes": changes(self.config),
            "dataset": {
                "name": self.dataset.name,
                "train": len(self.dataset.indices("train")),
                "test": len(self.dataset.indices("test")),
                "cameras": self.dataset.camera_names,
            },
        }
        generated = self.trainer.generated
        if generated is not None:
            description["generated"] = {
                "source": generated.views.source,
                "cameras": len(generated.views.cameras),
                "pictures": len(generated.views.frames),
                "perceptual": generated.perceptual.key,
                "perceptual_name": generated.perceptual.name,
            }
        write_json(self.folder / "run.json", description)
        self.begun = True

    def reconfigure(self, values: Mapping[str, object]) -> TrainConfig:
        """Go on with other values of settings, by dotted name, that may change while a run goes on
        (:data:`training.live.LIVE`); run.json and metrics.jsonl say so. Returns the settings from now on.

        InputError, and nothing changes, for a name that does not exist or a value that cannot be.
        """
        try:
            config = resolved(with_changes(self.config, dict(values)), self.device)
        except KeyError as unknown:
            raise InputError(f"{option(str(unknown.args[0]))}: no such setting") from None
        before, changed = flattened(self.config), differing(self.config, config)
        self.trainer.reconfigure(config)
        self.config = config
        if changed and self.begun:
            description = read_json(self.folder / "run.json")
            was = {name: before[name] for name in changed}
            history = [*description.get("history", []), {"step": self.trainer.done, "from": was, "to": changed}]
            write_json(self.folder / "run.json", {**description, "changes": changes(config), "history": history})
            self.log(step=self.trainer.done, changed=changed)
        return config

    def step(self) -> StepReport:
        """One training step, with a line in metrics.jsonl every ten steps."""
        report = self.trainer.step()
        if report.step % LOG_EVERY == 0 or self.trainer.finished:
            self.log(**report.values())
        return report

    def economise(self) -> str:
        """After memory was short in a step: keep what was learned, and go on without adding to the scene. What was
        done, in words; InputError where nothing is left to do without."""
        trainer, c = self.trainer, self.config.densify
        trainer.abandon()
        forget_rooms()
        gc.collect()  # what the failed step has made may hold itself, in circles
        if trainer.device.type == "cuda":
            torch.cuda.empty_cache()
        count = size_of(trainer.scene)
        if not isinstance(trainer.scene, Gaussians):
            advice = "begin a run of fewer --field.rays or --field.samples"
            raise InputError(f"out of memory at step {trainer.done}; {self._kept()}; {advice}")
        short = f"memory is full at step {trainer.done} with {count:,} Gaussians; {self._kept()}"
        if c.stop == 0 or trainer.done >= self.config.scaled(c.stop):
            raise InputError(f"{short}; begin a run of fewer --data.megapixels or --densify.max-gaussians")
        self.reconfigure({"densify.stop": 0, "densify.max_gaussians": max(1, count)})
        return f"{short}; from here on none are added"

    def _kept(self) -> str:
        """Write a checkpoint, if memory and disk allow, and say so."""
        try:
            return f"saved as {self.save().name}"
        except (*OUT_OF_MEMORY, OSError):
            steps = checkpoint_folders(self.folder)
            return f"the last checkpoint is {steps[-1].name}" if steps else "no checkpoint could be written"

    def is_due(self, interval: int) -> bool:
        """Whether something that happens every ``interval`` steps, and at the end, should happen now."""
        return self.trainer.done % interval == 0 or self.trainer.finished

    def log(self, **values: Any) -> None:
        """Append a line to metrics.jsonl."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(values) + "\n")

    def save(self) -> Path:
        """Write a checkpoint of the present step."""
        return save_checkpoint(self.folder, self.trainer.checkpoint(), self.config.keep)

    def _forget_after(self, step: int) -> None:
        """Drop what a continued run will write again. Settings that were changed later count from now on."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            _write_lines(path, [line for line in _lines(path) if _step_of(line) <= step])
        description = read_json(self.folder / "run.json")
        late = [entry for entry in description.get("history", []) if entry["step"] > step]
        if late:
            history = [{**entry, "step": min(step, entry["step"])} for entry in description["history"]]
            write_json(self.folder / "run.json", {**description, "history": history})
            for entry in late:
                self.log(step=step, changed=entry["to"])


def branch(folder: Path, step: int, to: Path | None = None) -> Path:
    """Make a run that goes on from an older checkpoint of another run, which stays as it is. Returns its folder.

    It begins with that checkpoint, what was measured until then, and the settings of that time; how often it is saved
    and measured stays as it is now. ``to``: by default a free folder NAME-from-STEP beside the other one. InputError
    when the checkpoint is not there, when ``to`` is, or when it cannot be written.
    """
    checkpoint, (_, config) = existing_checkpoint(folder, step), described(folder)
    to = to or free_folder(folder.resolve().with_name(f"{folder.resolve().name}-from-{step}"))
    if to.exists():
        raise InputError(f"{to}: exists already; choose another folder")
    description = read_json(folder / "run.json")
    history = description.get("history", [])
    for entry in reversed([e for e in history if e["step"] > step]):
        config = with_changes(config, {k: v for k, v in entry["from"].items() if k not in UPKEEP})
    description |= {
        "changes": changes(config),
        "history": [e for e in history if e["step"] <= step],
        "branched": {"from": str(folder.resolve()), "step": step},
    }
    temporary = to.with_name(to.name + ".tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(checkpoint, checkpoint_folder(temporary, step), copy_function=_linked)
        metrics = folder / "metrics.jsonl"
        lines = [line for line in _lines(metrics) if _step_of(line) <= step] if metrics.exists() else []
        _write_lines(temporary / "metrics.jsonl", lines)
        write_json(temporary / "run.json", description)
        os.replace(temporary, to)
    except OSError as problem:
        shutil.rmtree(temporary, ignore_errors=True)
        raise InputError(f"{to}: cannot be written ({problem.strerror}); choose another folder") from None
    return to


def free_folder(folder: Path) -> Path:
    """``folder``, or the first of folder-2, folder-3, ... that does not exist."""
    candidate, k = folder, 2
    while candidate.exists():
        candidate, k = folder.with_name(f"{folder.name}-{k}"), k + 1
    return candidate


def _linked(source: str, to: str) -> None:
    """A second name for a file of tensors, which nobody changes once it is written; a copy of any other, and where the
    disk has no second names."""
    if source.endswith(".safetensors"):
        try:
            os.link(source, to)
            return
        except OSError:
            pass
    shutil.copy2(source, to)


def prepared_of(folder: Path) -> str:
    """Of which preparation of its clip a run is, by the key of its inputs; empty where that was not prepared."""
    return str(read_json(folder / "run.json").get("prepared", ""))


def described(folder: Path) -> tuple[str, TrainConfig]:
    """The source and the settings, resolved, of a run; InputError where its run.json is not understood."""
    description = read_json(folder / "run.json")
    try:
        if description["format"] != FORMAT:
            raise InputError(f"{folder}: written by another version of dynview; train again with this one")
        config = with_changes(PRESETS[description["method"]], description["changes"])
        return str(description["source"]), resolved(config, "cpu")
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InputError(f"{folder / 'run.json'}: not understood ({problem!r:.200}); train again") from None


def _open(source: str, config: TrainConfig, report: Report) -> Dataset:
    """The clip, with generated views where the configuration learns from some."""
    dataset = open_dataset(source, config.data, report)
    return with_generated(dataset, config.data, report) if config.generated.batch else dataset


def _trainer(
    dataset: Dataset, config: TrainConfig, checkpoint: Checkpoint | None, report: Report, device: DeviceName
) -> Trainer:
    """The trainer, at a checkpoint where there is one; what it lacks is said."""
    trainer = make_trainer(dataset, config, checkpoint, torch.device(device))
    scene, generated = trainer.scene, trainer.generated
    if isinstance(scene, Gaussians) and config.densify.max_gaussians:
        short = shortage(trainer.device, scene, config.densify.max_gaussians)
        if short:
            report(short)
    if generated is not None and generated.forgotten:
        report("The distortion field is not in this checkpoint; the scene does not need it, training begins a new one")
    if generated is not None and generated.perceptual.key != "lpips":
        report(
            f"LPIPS' weights are not on this machine; {generated.perceptual.name} stands in for it. "
            f"To get them: {fetch_command()}"
        )
    return trainer


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _write_lines(path: Path, lines: list[str]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(line + "\n" for line in lines))
    os.replace(temporary, path)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
