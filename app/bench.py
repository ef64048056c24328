"""``dynview bench``: the studies that say whether a method does what its paper says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tyro
from tqdm import tqdm

from app.console import JsonFile, finite, say
from renderer.errors import InputError
from training.checkpoint import write_json
from training.config import SceneModel
from training.ddr_config import DepthSource
from training.studies import ddr, sparsecam4d

Report = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """``variants``: all there are. ``steps``, ``quick_steps``: of a variant, by the scene's model. ``runs``: how many
    one seed and variant is. ``rows``: variants, seeds, steps by model and a report to rows one by one."""

    variants: tuple[str, ...]
    steps: dict[SceneModel, int]
    quick_steps: dict[SceneModel, int]
    runs: int
    rows: Callable[[Sequence[str], Sequence[int], dict[SceneModel, int], Report], Iterator[Any]]
    as_table: Callable[[Sequence[Any]], str]
    as_json: Callable[[Sequence[Any]], dict[str, object]]


@dataclass(frozen=True)
class Bench:
    """Train the variants of a method on the procedural scene and compare them.

    The file of --json is written anew after every run, so that a study that is stopped leaves what it has.
    """

    name: tyro.conf.Positional[Literal["sparsecam4d", "ddr"]]
    """Which study."""
    quick: bool = False
    """Fewer steps, and one seed unless others are given: under 25 minutes on two cores."""
    seeds: str | None = None
    """Seeds, separated by commas; 0,1,2 by default, 0 with --quick."""
    variants: str | None = None
    """Variants, separated by commas; all by default."""
    steps: int | None = None
    """Training steps of every variant."""
    models: str = "field,gaussians"
    """Of the study ddr: field, gaussians or both."""
    depth: DepthSource = "midas-like"
    """Of the study ddr: midas-like, or truth."""
    report_to: JsonFile = None
    """Write the rows to this file."""

    def __call__(self) -> None:
        study = self.study()
        seeds = self.seeds or ("0" if self.quick else "0,1,2")
        if not re.fullmatch(r"\d+(,\d+)*", seeds):
            raise InputError(f"--seeds {seeds}: give whole numbers separated by commas, for example 0,1,2")
        variants = _chosen("variants", self.variants, study.variants)
        steps = dict(study.quick_steps if self.quick else study.steps)
        if self.steps is not None:
            if self.steps < 1:
                raise InputError(f"--steps {self.steps}: give 1 or more")
            steps = dict.fromkeys(steps, self.steps)
        numbers = [int(n) for n in seeds.split(",")]
        rows: list[Any] = []
        began = time.monotonic()
        with tqdm(total=len(numbers) * len(variants) * study.runs, unit="run", dynamic_ncols=True) as bar:
            for row in study.rows(variants, numbers, steps, lambda text: bar.set_description(text)):
                rows.append(row)
                bar.update()
                if self.report_to:
                    write_json(self.report_to, finite(study.as_json(rows)))
        tqdm.write(study.as_table(rows))
        counts = ", ".join(str(n) for n in dict.fromkeys(row.steps for row in rows))
        say(f"{len(rows)} runs of {counts} steps in {(time.monotonic() - began) / 60:.1f} minutes")

    def study(self) -> Study:
        """The study that is asked for."""
        if self.name == "sparsecam4d":
            return Study(
                tuple(sparsecam4d.VARIANTS),
                {"gaussians": 6000},
                {"gaussians": 2400},
                1,
                lambda variants, seeds, steps, report: sparsecam4d.study(variants, seeds, steps["gaussians"], report),
                sparsecam4d.as_table,
                sparsecam4d.as_json,
            )
        models = _chosen("models", self.models, ddr.MODELS)
        return Study(
            tuple(ddr.VARIANTS),
            {"field": 2000, "gaussians": 3000},
            {"field": 450, "gaussians": 900},
            len(models),
            lambda variants, seeds, steps, report: ddr.study(
                variants, models, seeds, steps.__getitem__, self.depth, report
            ),
            ddr.as_table,
            ddr.as_json,
        )


def _chosen(option: str, asked: str | None, there: Sequence[Any]) -> list[Any]:
    """The names that were asked for, all by default; InputError for one that there is not."""
    names = list(there) if asked is None else asked.split(",")
    unknown = [name for name in names if name not in there]
    if unknown:
        raise InputError(f"--{option} {unknown[0]}: there are {', '.join(there)}")
    return names
