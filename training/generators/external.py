"""Generated views from another program: ViewCrafter, ReCamMaster, or any that writes a layout which is understood.

Such programs are large, have their own environments, and are not part of this one: they run as a command.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.generated_layouts import Clip
from training.data.generated_loading import open_generated
from training.data.generated_viewcrafter import has_output, open_step
from training.data.loading import DataOptions, Report
from training.generators import external_inputs

Layout = Literal["viewcrafter", "recammaster", "plain", "sparsecam4d"]
FINAL, UNFINISHED = "generated", "generated.unfinished"
LAST_BYTES = 4000
"""So much of a failed program's error output is searched for its last line."""


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

        ``folder`` may hold other things, such as the clip: nothing of it is touched but ``generated`` and the working
        folder ``generated.unfinished``. What is there already and fits is not made again; after a failure the finished
        instants stay in the working folder for the next run. InputError, one sentence, when the program is missing,
        fails, or leaves something that does not fit.
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
        final, work = folder / FINAL, folder / UNFINISHED
        running, source = work / "running", work / "input"
        if final.exists():
            self._open(final, dataset)
            report(f"{final} is complete already")
            return final
        report("Writing what the generator reads")
        _emptied(source)
        if self.layout == "recammaster":
            external_inputs.write_videos(source, dataset)
        elif self.layout == "sparsecam4d":
            external_inputs.write_named_pictures(source, dataset, self.frame_step)
        else:
            external_inputs.write_plain(source, dataset, self.frame_step)
        report(f"Running {Path(self.command[0]).name}")
        try:
            self._execute(source, _emptied(running), 0)
            with self._blamed():
                self._open(running, dataset)
            running.rename(final)
        finally:
            shutil.rmtree(running, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
        return final

    def _run_per_instant(self, dataset: Dataset, folder: Path, report: Report) -> Path:
        final, work = folder / FINAL, folder / UNFINISHED
        done, source = work / "instants", work / "input"
        steps = {frame: f"time_{frame * self.frame_step:04d}" for frame in range(dataset.frame_count)}
        if len(self._clip(dataset).training_cameras()) < 2:
            raise InputError(f"{dataset.name}: has one training camera, between which and no other no view can lie")
        if final.exists():
            fits = [self._fits(final / name, dataset) for name in steps.values()]
            if all(fits):
                report(f"{final} is complete already")
                return final
            if done.exists() or not any(fits):
                raise InputError(f"{final}: holds other generated views; move it away or give another folder")
            work.mkdir(exist_ok=True)
            final.rename(done)
        done.mkdir(parents=True, exist_ok=True)
        for count, (frame, name) in enumerate(steps.items(), 1):
            if self._fits(done / name, dataset):
                continue
            report(f"Generating instant {count} of {len(steps)}")
            external_inputs.write_instant(_emptied(source / name), dataset, frame)
            self._run_instant(source / name, done / name, frame * self.frame_step, dataset)
        self._open(done, dataset)
        done.rename(final)
        shutil.rmtree(work, ignore_errors=True)
        return final

    def _run_instant(self, source: Path, target: Path, instant: int, dataset: Dataset) -> None:
        """Make one instant; ``target`` appears when it fits."""
        running = target.parent.with_name("running")
        try:
            self._execute(source, _emptied(running), instant)
            below = sorted(p for p in running.iterdir() if p.is_dir() and has_output(p))
            made = running if has_output(running) or not below else below[0]  # stock puts it into a folder of its own
            if not has_output(made):
                raise InputError(f"{self.command[0]}: left no diffusion.mp4 of instant {instant}; correct the command")
            with self._blamed():
                self._open_step(made, dataset)
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
        finally:
            shutil.rmtree(running, ignore_errors=True)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """An InputError within is said to be the program's, whose output will be gone."""
        try:
            yield
        except InputError as problem:
            raise InputError(f"{self.command[0]}: its output does not fit ({problem})") from None

    def _fits(self, step: Path, dataset: Dataset) -> bool:
        """Whether a finished instant is there and has the right number of pictures."""
        try:
            if has_output(step):
                self._open_step(step, dataset)
                return True
        except InputError:
            pass
        return False

    def _open_step(self, step: Path, dataset: Dataset) -> None:
        clip = self._clip(dataset)
        open_step(step, clip, len(clip.training_cameras()))

    def _open(self, folder: Path, dataset: Dataset) -> None:
        clip = self._clip(dataset)
        open_generated(folder, dataset, clip.options, clip.report)

    def _clip(self, dataset: Dataset) -> Clip:
        return Clip(dataset, DataOptions(megapixels=100, frame_step=self.frame_step), lambda text: None)

    def _execute(self, source: Path, output: Path, instant: int) -> None:
        """Run the command; InputError with the last line of its error output where it fails."""
        values = {"{input}": str(source), "{output}": str(output), "{time}": str(instant)}
        command = [re.sub(r"\{(input|output|time)\}", lambda found: values[found[0]], part) for part in self.command]
        with tempfile.TemporaryFile() as said:
            try:
                code = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, check=False
                ).returncode
            except (OSError, ValueError) as problem:
                raise InputError(f"{command[0]}: cannot be run ({problem}); correct the generator's command") from None
            if code == 0:
                return
            said.seek(max(0, said.seek(0, 2) - LAST_BYTES))
            lines = said.read().decode(errors="replace").split("\n")
        last = next((text for line in reversed(lines) if (text := line.strip().split("\r")[-1])), "it said nothing")
        raise InputError(f"{command[0]}: failed with exit code {code} ({last:.300}); correct this and run again")


def _emptied(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder
