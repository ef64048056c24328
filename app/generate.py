"""``dynview generate``: views of a clip that no camera filmed, for a method that learns from them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from tqdm import tqdm

from app.console import JsonFile, open_run, say
from renderer.camera import Camera
from renderer.errors import InputError
from training.checkpoint import write_json
from training.data.dataset import Dataset
from training.data.generated import GeneratedViews
from training.data.generated_loading import save_generated
from training.data.generated_sources import demo_views
from training.data.loading import DataOptions, open_dataset
from training.generators.external import ExternalGenerator, Layout
from training.generators.trajectory import trajectory, virtual_cameras

TOO_FAR_APART = 40.0
"""Degrees between neighbouring cameras above which hardly a surface is seen by both: measured, 17 work and 60 do
not."""


@dataclass(frozen=True)
class Generate:
    """Make views between a clip's cameras and write them as a folder of pictures with a camera path.

    warp moves the pixels of the nearest cameras by their depth and fills the holes. inconsistent draws the demo scene
    and spoils it. viewcrafter and recammaster run a program that you have, given with --command, in which {input},
    {output} and {time} stand for folders and the instant.
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """Folder of the clip, or demo."""
    out: Path | None = None
    """Folder to write; by default DATA/generated, where training finds it."""
    by: Literal["warp", "inconsistent", "viewcrafter", "recammaster"] = "warp"
    """What makes them."""
    run: Path | None = None
    """warp: take the depth from this trained run; by default it is found in the pictures; the demo's is known."""
    keep_every: int = 2
    """One virtual camera for every N of the 23 places between two real ones."""
    command: str | None = None
    """The program of viewcrafter or recammaster with its arguments."""
    data: DataOptions = field(default_factory=DataOptions)
    report_to: JsonFile = None
    """Write a summary to this file."""

    def __call__(self) -> None:
        dataset = open_dataset(self.source, self.data, say)
        if self.out is None and str(dataset.source).startswith("demo:"):
            raise InputError("--out: say where to write the demo's generated views")
        folder = self.out or dataset.source / "generated"
        if not 1 <= self.keep_every <= 12:
            raise InputError(f"--keep-every {self.keep_every}: give a number from 1 to 12")
        if self.by in ("viewcrafter", "recammaster"):
            self._external(dataset, folder, self.by)
        else:
            views = self._warped(dataset) if self.by == "warp" else self._inconsistent(dataset)
            with tqdm(total=len(views.frames), unit="view", dynamic_ncols=True) as bar:
                save_generated(folder, counted(views, bar), dataset.fps, say, self.data.frame_step)
            say(f"{folder}: {len(views.frames)} pictures of {len(views.cameras)} virtual cameras")
        if self.report_to:
            write_json(self.report_to, {"folder": str(folder), "by": self.by})

    def _cameras(self, dataset: Dataset) -> list[Camera]:
        depth = 2 / (1 / dataset.near + 1 / dataset.far)
        real = static_cameras(dataset)
        if real:
            return virtual_cameras(real, depth, self.keep_every)
        shots = [dataset.shots[i] for i in dataset.indices("train")]
        step = max(1, len(shots) // 8)
        return trajectory([s.camera for s in shots[::step]], depth, steps=2)[1::2]

    def _warped(self, dataset: Dataset) -> GeneratedViews:
        from training.generators.plane_sweep import plane_sweep_depth
        from training.generators.warp import exact_depth, scene_depth, warp_views

        apart = widest_gap(static_cameras(dataset))
        if apart > TOO_FAR_APART:
            say(
                f"The cameras look {apart:.0f} degrees apart: warping works up to about {TOO_FAR_APART:.0f} and leaves "
                "shreds beyond. A generator that knows what the world looks like (--by viewcrafter) can still help"
            )
        if self.run is not None:
            run = open_run(self.run)
            depth = scene_depth(run.trainer.scene, dataset)
        elif dataset.depth is not None:
            depth = exact_depth(dataset)
        else:
            depth = plane_sweep_depth(dataset, say)
        return warp_views(dataset, self._cameras(dataset), depth, say)

    def _inconsistent(self, dataset: Dataset) -> GeneratedViews:
        if not str(dataset.source).startswith("demo:"):
            raise InputError("--by inconsistent: only the demo scene can be drawn wrong on purpose; use --by warp")
        return demo_views(dataset).views

    def _external(self, dataset: Dataset, folder: Path, layout: Layout) -> None:
        if not self.command:
            example = "'python run.py {input} {output}'"
            raise InputError(f"--by {layout}: give the program with --command, for example {example}")
        generator = ExternalGenerator(tuple(shlex.split(self.command)), layout, self.data.frame_step)
        result = generator.run(dataset, folder.parent if folder.name == "generated" else folder, say)
        say(f"{result}: checked; train with --data.generated {result}")


def static_cameras(dataset: Dataset) -> list[Camera]:
    """The training cameras in their order, when each stands still and there are two or more; else none."""
    cameras: dict[str, set[Camera]] = {}
    for index in dataset.indices("train"):
        shot = dataset.shots[index]
        cameras.setdefault(shot.camera_name, set()).add(shot.camera)
    still: Sequence[set[Camera]] = list(cameras.values())
    return [next(iter(c)) for c in still] if len(still) > 1 and all(len(c) == 1 for c in still) else []


def widest_gap(cameras: Sequence[Camera]) -> float:
    """Degrees between the directions of view of the camera that is loneliest and of the one next to it; 0 for fewer
    than two."""
    if len(cameras) < 2:
        return 0.0
    forward = np.stack([c.world_to_camera[2, :3] for c in cameras])
    cosines = forward @ forward.T - 4 * np.eye(len(cameras))
    return float(np.degrees(np.arccos(np.clip(cosines.max(1), -1, 1))).max())


def counted(views: GeneratedViews, bar: tqdm) -> GeneratedViews:  # type: ignore[type-arg]
    """The same views, which move a progress bar when they are read."""

    def read(index: int):  # type: ignore[no-untyped-def]
        bar.update()
        return views.read(index)

    return GeneratedViews(views.source, views.cameras, views.frames, read)
