"""Generated views from another program: ViewCrafter, ReCamMaster, or any that writes a layout which is understood.

Such programs are large, have their own environments, and are not part of this one: they run as a command.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import imageio_ffmpeg
import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.data.generated_layouts import Clip
from training.data.generated_loading import open_generated, save_generated
from training.data.generated_viewcrafter import is_viewcrafter, open_step
from training.data.images import Image
from training.data.loading import DataOptions, Report

Layout = Literal["viewcrafter", "recammaster", "plain", "sparsecam4d"]
VIDEO_FRAMES, VIDEO_SIZE, VIDEO_FPS = 81, (832, 480), 30
"""Of the videos that ReCamMaster reads: frames, (width, height), frames per second."""
PROMPT = "A video of a dynamic scene."
"""ReCamMaster wants a description of every video."""


@dataclass(frozen=True)
class ExternalGenerator:
    """A program that makes views of a clip.

    ``command``: the program and its arguments, in which {input}, {output} and {time} stand for the absolute folder of
    what it reads, the absolute folder that it writes into, and the instant as filmed (0 where it runs once). A program
    that must start in its own folder is called by a shell: ``("sh", "-c", "cd ViewCrafter && python inference.py
    --mode sparse_view_interp --image_dir '{input}' --out_dir '{output}'")``. ``layout``: what it writes, as
    :func:`training.data.generated_loading.open_generated` reads it. ``frame_step``: with which the clip was opened.

    What it reads: for ``viewcrafter`` the training cameras' pictures of an instant in order (00.png, 01.png, ...), a
    run per instant; for ``recammaster`` metadata.csv and videos/video<i>.mp4 of the i-th training camera, the whole
    clip in 81 frames, stretched to 832x480; its command must also put cameras/camera_extrinsics.json into {output};
    for ``sparsecam4d`` images/<camera>_<tttt>.png; for ``plain`` the plain layout of the training cameras.
    """

    command: tuple[str, ...]
    layout: Layout
    frame_step: int = 1

    def run(self, dataset: Dataset, folder: Path, report: Report) -> Path:
        """Make the views in ``folder / "generated"``, which appears when they are complete and fit, and return it.

        What is there already and fits is not made again; after a failure the finished instants stay in
        ``folder / "instants"`` for the next run. InputError, one sentence, when the program is missing, fails, or
        leaves something that does not fit.
        """
        self._check()
        folder = folder.absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.layout == "viewcrafter":
                return self._run_per_instant(dataset, folder, report)
            return self._run_once(dataset, folder, report)
        except OSError as problem:
            raise InputError(f"{folder}: not usable ({problem.strerror or problem}); give another folder") from None

    def _check(self) -> None:
        program = self.command[0] if self.command else ""
        if not program or (shutil.which(program) is None and not Path(program).is_file()):
            raise InputError(
                f"{program or 'generator'}: no such program; set the generator's command to one that is installed"
            )
        if not any("{output}" in part for part in self.command):
            raise InputError(f"{program}: the generator's command has no {{output}}; add it where it takes its folder")

    def _run_once(self, dataset: Dataset, folder: Path, report: Report) -> Path:
        final, running, source = folder / "generated", folder / "running", folder / "input"
        if final.exists():
            self._open(final, dataset)
            report(f"{final.name} is complete already")
            return final
        _emptied(source)
        report("Writing what the generator reads")
        if self.layout == "recammaster":
            _write_videos(source, dataset)
        elif self.layout == "sparsecam4d":
            _write_named_pictures(source, dataset, self.frame_step)
        else:
            shutil.rmtree(source)
            save_generated(source, _training_views(dataset), dataset.fps, lambda text: None, self.frame_step)
        report(f"Running {Path(self.command[0]).name}")
        try:
            self._execute(source, _emptied(running), 0)
            self._open(running, dataset)
            running.rename(final)
        finally:
            shutil.rmtree(running, ignore_errors=True)
        shutil.rmtree(source, ignore_errors=True)
        return final

    def _run_per_instant(self, dataset: Dataset, folder: Path, report: Report) -> Path:
        final, done, source = folder / "generated", folder / "instants", folder / "input"
        steps = {frame: f"time_{frame * self.frame_step:04d}" for frame in range(dataset.frame_count)}
        if final.exists():
            if all(self._fits(final / name, dataset) for name in steps.values()):
                report(f"{final.name} is complete already")
                return final
            if done.exists():
                raise InputError(f"{final}: is not of the whole clip, and {done} exists as well; delete one of them")
            final.rename(done)
        done.mkdir(exist_ok=True)
        for count, (frame, name) in enumerate(steps.items(), 1):
            if self._fits(done / name, dataset):
                continue
            report(f"Generating instant {count} of {len(steps)}")
            _write_instant(_emptied(source / name), dataset, frame)
            self._run_instant(source / name, done / name, frame * self.frame_step, dataset)
        self._open(done, dataset)
        done.rename(final)
        shutil.rmtree(source, ignore_errors=True)
        return final

    def _run_instant(self, source: Path, target: Path, instant: int, dataset: Dataset) -> None:
        """Make one instant; ``target`` appears when it fits."""
        running = target.parent.with_name("running")
        try:
            self._execute(source, _emptied(running), instant)
            within = [running, *sorted(p for p in running.iterdir() if p.is_dir())]  # stock puts it into a subfolder
            made = next((p for p in within if is_viewcrafter(p.parent) and self._has(p)), running)
            try:
                open_step(made, self._clip(dataset), _camera_count(dataset))
            except InputError as problem:
                raise InputError(f"{self.command[0]}: left nothing usable for instant {instant} ({problem})") from None
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
        finally:
            shutil.rmtree(running, ignore_errors=True)

    def _execute(self, source: Path, output: Path, instant: int) -> None:
        values = {"{input}": str(source), "{output}": str(output), "{time}": str(instant)}
        command = [_filled(part, values) for part in self.command]
        with tempfile.TemporaryFile() as said:
            try:
                code = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, check=False
                ).returncode
            except (OSError, ValueError) as problem:
                raise InputError(
                    f"{self.command[0]}: cannot be run ({problem}); correct the generator's command"
                ) from None
            if code == 0:
                return
            said.seek(max(0, said.seek(0, 2) - 4000))
            lines = said.read().decode(errors="replace").split("\n")
        last = next((text for line in reversed(lines) if (text := line.split("\r")[-1].strip())), "it said nothing")
        raise InputError(f"{self.command[0]}: failed with exit code {code} ({last:.300}); correct it and run again")

    def _options(self) -> DataOptions:
        return DataOptions(megapixels=100, frame_step=self.frame_step)
