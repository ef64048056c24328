"""``dynview prepare``: from videos or folders of frames to a scene folder, and to a trained scene."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from app.console import JsonFile, finite, say
from renderer.errors import InputError
from renderer.scene import describe
from training.checkpoint import is_run, write_json
from training.config import PRESETS
from training.data.layouts import is_demo
from training.data.recognise import recognise
from training.device import DeviceName, pick_device
from training.prepare.scene_folder import recorded_inputs
from training.run import Run, described, prepared_of

TRAIN_VIEWS = 30
"""Input pictures that are measured at most."""


@dataclass(frozen=True)
class Prepare:
    """Make the folder of a clip, with its cameras, from what was filmed.

    Give one hand-held video, or two and more videos that were filmed at once by cameras that stand still, or folders of
    frames in their place. When it is interrupted, the same command goes on where it was.
    """

    sources: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="SOURCE...")]
    """A video, several synchronised ones, or folders of frames; a folder stands for the clips in it."""
    out: Path
    """Folder to make."""
    fps: float | None = None
    """Frames per second; by default as filmed, at most 30. Of a folder of frames: how fast they were filmed, 30 by
    default."""
    start: float = 0.0
    """Second at which to begin, of the first clip."""
    end: float | None = None
    """Second at which to end, of the first clip."""
    megapixels: float = 1.0
    """Pictures are shrunk to at most so many million pixels."""
    longest: int | None = None
    """Pictures are shrunk to at most so many pixels along their longer side."""
    offsets: tuple[float, ...] = ()
    """For every clip, how many seconds after the first one it began; by default found from sound or motion."""
    cameras: Literal["auto", "mapped", "identity"] = "auto"
    """mapped finds the cameras from the pictures. identity leaves them to be learned with the scene, for one camera
    that hardly moves. auto maps, and says so where that fails for one camera."""
    between: Path | None = None
    """A video or folder of pictures of the same place that connect cameras which stand far apart."""
    overwrite: bool = False
    """Replace the scene in --out, and with --train its run; what is still of use for the cameras is kept."""
    train: bool = False
    """Then train it with the method that its cameras suggest, into runs/NAME, and state its scores."""
    device: str = "auto"
    """auto, cpu or cuda; for --train."""
    report_to: JsonFile = None
    """Write a summary to this file."""

    def __call__(self) -> None:
        from training.prepare.pipeline import PrepareOptions, prepare

        device = pick_device(self.device) if self.train else "cpu"
        if self.train:
            self._check_run()
        options = PrepareOptions(
            self.fps, self.start, self.end, self.megapixels, self.longest, self.offsets, self.cameras, self.between
        )
        with tqdm(total=0, bar_format="{desc}", leave=False, disable=None) as line:
            try:
                made = prepare(self.sources, self.out, options, overwrite=self.overwrite, report=in_place(line))
            except KeyboardInterrupt:
                raise InputError(f"{self.out}: stopped; the same command goes on where it was") from None
        found = recognise(self.out.absolute())
        say(f"{self.out}: {found.what}, {made.fps:.4g} frames per second")
        summary: dict[str, object] = {**asdict(made), "folder": str(made.folder), "kind": found.kind}
        poses = "" if made.poses == "stated" else " --data.poses identity"
        if made.poses == "identity" and self.cameras == "auto":
            say("Its cameras are not known; they can be learned with the scene, which works where it hardly moved:")
        if not self.train:
            clip = self.out.absolute() if is_demo(self.out) else self.out
            say(f"  dynview train {quote(str(clip))} --method {found.method}{poses}")
        elif made.poses == "identity" and self.cameras != "identity":
            raise InputError(
                f"{self.out}: not trained, as its cameras are not known; add --cameras identity to learn them with the "
                "scene"
            )
        else:
            summary |= self._trained(found.method, made.poses, device)
        if self.report_to:
            write_json(self.report_to, finite(summary))

    @property
    def _run(self) -> Path:
        return Path("runs") / self.out.resolve().name

    def _check_run(self) -> None:
        """InputError where the run's folder holds one of another clip."""
        if is_run(self._run) and Path(other := described(self._run)[0]) != self.out.resolve():
            raise InputError(
                f"{self._run}: holds a run of {other}, not of {self.out}; move it away, or give --out another name"
            )

    def _trained(self, method: str, poses: Literal["stated", "identity"], device: DeviceName) -> dict[str, object]:
        """Train, or go on with what was begun of the same preparation, and state the scores."""
        from app.cli import show_scores, train  # which has this command in its list

        folder = self._run
        if is_run(folder) and self._is_current(poses):
            run = Run.open(folder, report=say, device=device)
        elif is_run(folder) and not self.overwrite:
            raise InputError(
                f"{folder}: holds a run of {self.out} as it was prepared before; add --overwrite to replace it"
            )
        else:
            preset = PRESETS[method]
            config = replace(preset, data=replace(preset.data, poses=poses))
            run = Run.create(str(self.out.resolve()), config, folder, overwrite=True, report=say, device=device)
        summary = train(run, "the same command goes on")
        say(f"{folder}: step {run.trainer.done}, {describe(run.trainer.scene)}")
        report = show_scores(run, TRAIN_VIEWS)
        if report["mean_of"] == "train":
            say("No view is held out: the scores are of pictures that it was trained on")
        say(f"  dynview-gui {quote(str(folder))}")
        return {**summary, **{name: report[name] for name in ("mean", "mean_of", "train")}}

    def _is_current(self, poses: Literal["stated", "identity"]) -> bool:
        """Whether the run was begun with the scene as it is now."""
        return (prepared_of(self._run), described(self._run)[1].data.poses) == (recorded_inputs(self.out), poses)


def in_place(line: tqdm) -> Callable[[str], None]:  # type: ignore[type-arg]
    """A report that says what it is told, but for what differs from the text before in its numbers only: that is how
    far something is, and is shown in a line of its own that comes and goes."""
    before = ""

    def report(text: str) -> None:
        nonlocal before
        words = re.sub(r"[\d.,]+", "", text)
        if words == before:
            line.set_description_str(text)
        else:
            line.set_description_str("")
            say(text)
        before = words

    return report
