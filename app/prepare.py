"""``dynview prepare``: from videos or folders of frames to a scene folder, and to a trained scene."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from app.console import JsonFile, say
from renderer.errors import InputError
from renderer.scene import describe
from training.checkpoint import is_run, write_json
from training.config import PRESETS
from training.data.recognise import recognise
from training.run import Run, described


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
    """Then train it with the method that its cameras suggest, into runs/NAME."""
    report_to: JsonFile = None
    """Write a summary to this file."""

    def __call__(self) -> None:
        from training.prepare.pipeline import PrepareOptions, prepare

        options = PrepareOptions(
            self.fps, self.start, self.end, self.megapixels, self.longest, self.offsets, self.cameras, self.between
        )
        with tqdm(total=0, bar_format="{desc}", leave=False, disable=None) as line:
            try:
                made = prepare(self.sources, self.out, options, overwrite=self.overwrite, report=in_place(line))
            except KeyboardInterrupt:
                raise InputError(f"{self.out}: stopped; the same command goes on where it was") from None
        found = recognise(self.out)
        say(f"{self.out}: {found.what}, {made.fps:.4g} frames per second")
        summary: dict[str, object] = {**asdict(made), "folder": str(made.folder), "kind": found.kind}
        poses = "" if made.poses == "stated" else " --data.poses identity"
        if made.poses == "identity" and self.cameras == "auto":
            say("Its cameras are not known; they can be learned with the scene, which works where it hardly moved:")
        if not self.train:
            say(f"  dynview train {self.out} --method {found.method}{poses}")
        elif made.poses == "identity" and self.cameras != "identity":
            raise InputError(
                f"{self.out}: not trained, as its cameras are not known; add --cameras identity to learn them with the "
                "scene"
            )
        else:
            summary |= self._trained(found.method, made.poses)
        if self.report_to:
            write_json(self.report_to, summary)

    def _trained(self, method: str, poses: Literal["stated", "identity"]) -> dict[str, object]:
        from app.cli import train  # which has this command in its list

        folder = Path("runs") / self.out.resolve().name
        if not self.overwrite and is_run(folder) and Path(described(folder)[0]) == self.out.resolve():
            run = Run.open(folder, report=say)
        else:
            preset = PRESETS[method]
            config = replace(preset, data=replace(preset.data, poses=poses))
            run = Run.create(str(self.out), config, folder, overwrite=self.overwrite, report=say)
        summary = train(run)
        say(f"{folder}: step {run.trainer.done}, {describe(run.trainer.scene)}")
        return summary


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
