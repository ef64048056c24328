"""``dynview``: train, evaluate, render and inspect without a window."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Union

import tyro
from tqdm import tqdm

from app.bench import Bench
from app.command_line import parsed, preset_asked_for
from app.console import JsonFile, open_run, say
from app.doctor import Doctor
from app.export import Export
from app.exports.cameras import home_camera
from app.exports.jobs import exported
from app.exports.plans import Quality, VideoExport
from app.exports.shades import check_shade, shade_of
from app.exports.video import open_writer
from app.generate import Generate
from app.inspection import Inspect
from app.memory import keep_freed_memory
from app.painter import Painter
from app.prepare import Prepare
from app.protocol import ExportProgress
from app.ray_plots import plot_rays
from app.subjects import ray_report, subject_of
from app.tours import PRESETS as TOURS
from app.tours import Stage, novel_path, through_inputs
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.paths import focus_point, load_path
from renderer.scene import describe, size_of
from renderer.view import View
from training.checkpoint import write_json
from training.config import PRESETS, TrainConfig
from training.data.dataset import Dataset
from training.device import OUT_OF_MEMORY, pick_device
from training.evaluation import evaluation_report
from training.facts import StepReport
from training.held_out import aligned
from training.perceptual import Perceptual
from training.run import LOG_EVERY, Run


@dataclass(frozen=True)
class Train:
    """Learn a scene from a clip."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """Folder of the clip, or demo, demo:sparse, demo:small-motion."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    device: str = "auto"
    """auto, cpu or cuda; a run may go on on another than it began on."""
    out: Path | None = None
    """Folder of the run; by default runs/NAME."""
    resume: bool = False
    """Go on with the run in --out; of the other options only --steps counts."""
    overwrite: bool = False
    """Replace the run in --out."""
    report_to: JsonFile = None
    """Write a summary to this file."""

    def __call__(self) -> None:
        device = pick_device(self.device)
        folder = self.out or Path("runs") / (Path(self.source).name.replace(":", "-") or "scene")
        if self.resume:
            run = Run.open(folder, steps=self.config.steps, report=say, device=device)
        else:
            run = Run.create(self.source, self.config, folder, overwrite=self.overwrite, report=say, device=device)
        summary = train(run)
        say(f"{folder}: step {run.trainer.done}, {describe(run.trainer.scene)}")
        if self.report_to:
            write_json(self.report_to, summary)


@dataclass(frozen=True)
class Evaluate:
    """Compare a run's renders with its held-out and its input pictures."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    train_views: int = 30
    """Input pictures to measure at most; all held-out ones are measured."""
    align: bool = False
    """Fit the pose of each held-out camera to the scene first, by its first picture: for clips whose poses are not
    exact."""
    report_to: JsonFile = None
    """Write the scores to this file."""

    def __call__(self) -> None:
        report = show_scores(open_run(self.run), self.train_views, self.align)
        if self.report_to:
            write_json(self.report_to, report)


PATHS = {
    "orbit": "",
    "input": "",
    "spiral": "Spiral",
    "dolly": "Dolly",
    "bullet": "Bullet Time",
    "fixed": "Fixed Camera",
}
"""What --path takes besides files, with the title of the preset where it is one."""


@dataclass(frozen=True)
class Render:
    """Write a video of a run, a checkpoint or a scene file along a camera path, from its beginning to its end."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|FILE")]
    """Folder of the run or of a checkpoint of it; or a scene file: .ply of 3DGS or 4DGS, .splat, .splatv, .spz."""
    path: str = "orbit"
    """orbit, input (through the training cameras), spiral, dolly, bullet (time stands still), fixed (the camera does),
    or a nerfstudio camera_path.json."""
    time: float = 0.5
    """Time of bullet, from 0 to 1."""
    out: Path = Path("video.mp4")
    """The file, ending in .mp4, .webm or .gif; or a folder for numbered pictures, or FOLDER/NAME.png."""
    quality: Quality = "good"
    """draft is quick and small, best is large."""
    mode: str = "colour"
    """colour, depth, opacity, normals, velocity, dynamic, error, distortion or rays; distortion/HEAD, rays/MAP say
    which."""
    pose: int = 0
    """Virtual camera whose distortion is shown."""
    frames: int | None = None
    """Number of frames; four seconds at the given rate by default, for a file all of its frames."""
    fps: float | None = None
    """Frames per second: 30, or what the file says."""
    scale: float = 1.0
    """Size of the video relative to the training pictures."""
    report_to: JsonFile = None
    """Write a summary to this file."""

    def __call__(self) -> None:
        shade = shade_of(self.mode, self.pose)
        run = open_run(self.run)
        views, fps = self.views(run.dataset)
        plan = VideoExport(self.out, views, fps, self.quality, shade)
        open_writer(self.out, fps)
        check_shade(run, plan, self.mode)
        write_video(run, plan)
        say(f"{self.out}: {len(views)} frames at {fps:g} frames per second")
        if self.report_to:
            write_json(self.report_to, {"file": str(self.out), "frames": len(views), "fps": fps})

    def views(self, dataset: Dataset) -> tuple[tuple[View, ...], float]:
        """The path's views and frames per second."""
        if self.path in PATHS:
            fps = self.fps or 30.0
            frames = self.frames if self.frames is not None else round(4 * fps)
            if frames < 1 or not self.scale > 0:
                raise InputError("--frames and --scale: give numbers above zero")
            if not 0 <= self.time <= 1:
                raise InputError(f"--time {self.time:g}: give the time of bullet as a number from 0 to 1")
            views = path_of(dataset, self.path, frames, self.time)
            return tuple(replace(v, camera=_scaled(v.camera, self.scale)) for v in views), fps
        if not Path(self.path).exists():
            raise InputError(f"--path {self.path}: no such file; give one or {', '.join(PATHS)}")
        views, fps = load_path(Path(self.path), dataset.shots[0].camera.near)
        if self.frames is not None:
            views = tuple(views[round(k * (len(views) - 1) / max(1, self.frames - 1))] for k in range(self.frames))
        return views, self.fps or fps


@dataclass(frozen=True)
class Demo:
    """Train the demo scene and show it: in the window where there is a display, else as files."""

    out: Path = Path("out/demo")
    """Folder of the run and of what it leaves."""
    steps: int = 1800
    """Training steps."""
    headless: bool = False
    """Write files even where there is a display."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def __call__(self) -> None:
        device = pick_device(self.device)
        if os.environ.get("DISPLAY") and not self.headless:
            say("Opening the window; training begins by itself")
            gui = Path(sys.executable).with_name("dynview-gui")
            os.execv(gui, [str(gui), "demo", "--train", "--device", self.device])
        say("No display: training without the window" if not self.headless else "Training without the window")
        config = replace(PRESETS["4dgs"], steps=self.steps, save_every=self.steps, evaluate_every=self.steps)
        run = Run.create("demo", config, self.out, overwrite=True, report=say, device=device)
        train(run)
        report = evaluate(run, train_views=30)
        write_json(self.out / "metrics.json", report)
        (self.out / "metrics.txt").write_text(score_table(report) + "\n")
        write_video(run, VideoExport(self.out / "orbit.mp4", path_of(run.dataset, "orbit", 120)))
        view = View(home_camera(run.dataset), 0.5)
        pixel = (view.camera.width // 2, view.camera.height // 2)
        dataset = run.dataset
        ray = ray_report(subject_of(run, view, "home", None), pixel, (dataset.near, dataset.far))
        plot_rays([ray], self.out / "ray.png")
        print(score_table(report))
        say(f"{self.out}/ now holds")
        say("  checkpoints/  the scene; open it with: dynview-gui " + str(self.out))
        say("  orbit.mp4     a camera path that no camera filmed, through time")
        say("  ray.png       the weights along one ray")
        say("  metrics.json  and metrics.txt, the scores")


COMMANDS: dict[str, Callable[..., Any]] = {
    "prepare": Prepare,
    "train": Train,
    "evaluate": Evaluate,
    "render": Render,
    "inspect": Inspect,
    "export": Export,
    "generate": Generate,
    "demo": Demo,
    "bench": Bench,
    "doctor": Doctor,
}
Command = Prepare | Train | Evaluate | Render | Inspect | Generate | Demo | Bench | Doctor

# ------------------------------------------------------------------------------------------- the work


def train(run: Run, go_on: str = "") -> dict[str, object]:
    """All steps that are left, with a progress bar; Ctrl-C saves and stops. ``go_on``: how to go on then, by default by
    the command train."""
    trainer, config, device = run.trainer, run.config, run.device
    run.begin()
    psnr = float("nan")
    say("Training; the first step compiles the kernels, which takes some seconds once")
    with tqdm(total=trainer.steps, initial=trainer.done, unit="step", dynamic_ncols=True, mininterval=0.5) as bar:
        try:
            while not trainer.finished:
                report = _step(run)
                if report is None:
                    say(run.economise())
                    continue
                if device == "cpu" or report.step % LOG_EVERY == 0 or trainer.finished:  # a GPU is not waited for
                    psnr = report.psnr if psnr != psnr else 0.95 * psnr + 0.05 * report.psnr
                    bar.set_postfix(psnr=f"{psnr:.2f}", refresh=False)
                bar.update()
                if run.is_due(config.save_every):
                    run.save()
        except KeyboardInterrupt:
            run.save()
            go_on = go_on or f"go on with --out {quote(str(run.folder))} --resume"
            raise InputError(f"stopped at step {trainer.done} and saved; {go_on}") from None
    return {"run": str(run.folder), "step": trainer.done, "size": size_of(trainer.scene), "psnr": psnr}


def _step(run: Run) -> StepReport | None:
    """A training step; None where memory was short, when all that it has made is let go of."""
    try:
        return run.step()
    except OUT_OF_MEMORY:
        return None


def evaluate(run: Run, train_views: int, align: bool = False) -> dict[str, object]:
    """The evaluation report of a run, with a progress bar; ``align``: fit held-out cameras to the scene first."""
    perceptual = Perceptual.load(device=run.trainer.device)
    if perceptual.key != "lpips":
        say(f"LPIPS weights are not on this machine; {perceptual.name} stands in, reported as {perceptual.key}")
    head = {"run": str(run.folder), "step": run.trainer.done, "size": size_of(run.trainer.scene)}
    bar = lambda indices: tqdm(indices, unit="view", desc="Evaluating", dynamic_ncols=True)  # noqa: E731
    clip = run.trainer.clip()
    if align:
        say("Fitting the held-out cameras")
        clip, head = aligned(run.trainer.scene, clip), {**head, "aligned": True}
    return {**head, **evaluation_report(run.trainer.scene, clip, perceptual, train_views, bar)}


def show_scores(run: Run, train_views: int, align: bool = False) -> dict[str, object]:
    """Print the means of the evaluation report of a run, as :func:`evaluate` makes it. Returns it."""
    report = evaluate(run, train_views, align)
    print(score_table(report))
    return report


def write_video(run: Run, plan: VideoExport) -> None:
    """Render the views into a file, with a progress bar."""
    with tqdm(total=len(plan.views), unit="frame", desc="Rendering", dynamic_ncols=True) as bar:
        for event in exported(run, Painter(run), plan):
            if isinstance(event, ExportProgress) and not event.cancelled:
                bar.update(event.done - bar.n)


def path_of(dataset: Dataset, name: str, frames: int, time: float = 0.5) -> tuple[View, ...]:
    """The views of a path of ``PATHS``. ``time``: at which bullet stands still."""
    if name == "input":
        return through_inputs(dataset.shots, frames)
    cameras = [dataset.shots[i].camera for i in dataset.indices("train")]
    center = focus_point(cameras, dataset.near, dataset.far).tolist()
    home = home_camera(dataset)
    if name == "orbit":
        return novel_path(dataset.shots, home, center, dataset.up, frames)
    stage = Stage(dataset.shots, home, center, dataset.up, View(home, time))
    return TOURS[PATHS[name]](stage, 1.0).views(home.width, home.height, frames)


def score_table(report: dict[str, object]) -> str:
    """The means of an evaluation as text."""
    mean, inputs = report["mean"], report["train"]
    assert isinstance(mean, dict) and isinstance(inputs, dict)
    rows = [("held-out views", mean)] if report["mean_of"] == "test" else []
    rows.append(("input views", inputs))
    names = list(dict.fromkeys([*inputs, *mean]))
    columns = {name: max(12, len(name) + 2) for name in names}
    lines = [" " * 16 + "".join(f"{name.upper():>{width}}" for name, width in columns.items())]
    for label, row in rows:
        cells = (f"{row[name]:{width}.4f}" if name in row else " " * width for name, width in columns.items())
        lines.append(f"{label:<16}{''.join(cells).rstrip()}")
    return "\n".join(lines)


def _scaled(camera: Camera, scale: float) -> Camera:
    return camera.resized(max(2, round(camera.width * scale)), max(2, round(camera.height * scale)))


# ------------------------------------------------------------------------------------ the command line


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments ask for; InputError with one sentence for arguments that make no sense."""
    training = Train(source=tyro.MISSING, config=preset_asked_for(arguments))
    kinds = [
        Annotated[kind, tyro.conf.subcommand(name, default=training if kind is Train else tyro.MISSING_NONPROP)]
        for name, kind in COMMANDS.items()
    ]
    choice: Any = Union[tuple(kinds)]  # noqa: UP007 (made from a dict)
    return parsed(lambda: tyro.cli(choice, prog="dynview", args=list(arguments)), "dynview")


def main() -> None:
    """Entry point of ``dynview``."""
    keep_freed_memory()
    try:
        parse(sys.argv[1:])()
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
