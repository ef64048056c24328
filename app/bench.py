"""``dynview bench``: the studies that say whether a method does what its paper says."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Literal

import tyro
from tqdm import tqdm

from app.console import JsonFile, finite, say
from renderer.errors import InputError
from training.checkpoint import write_json
from training.study import VARIANTS, Row, as_json, as_table, study

STEPS, QUICK_STEPS = 6000, 2400


@dataclass(frozen=True)
class Bench:
    """Train the variants of a method on the procedural scene and compare them.

    The file of --json is written anew after every run, so that a study that is stopped leaves what it has.
    """

    name: tyro.conf.Positional[Literal["sparsecam4d"]]
    """Which study."""
    quick: bool = False
    """2,400 steps and one seed unless others are given: under 25 minutes on two cores."""
    seeds: str | None = None
    """Seeds, separated by commas; 0,1,2 by default, 0 with --quick."""
    variants: str | None = None
    """Variants, separated by commas; all by default."""
    steps: int | None = None
    """Training steps of every variant: 6,000 by default."""
    report_to: JsonFile = None
    """Write the rows to this file."""

    def __call__(self) -> None:
        seeds = self.seeds or ("0" if self.quick else "0,1,2")
        if not re.fullmatch(r"\d+(,\d+)*", seeds):
            raise InputError(f"--seeds {seeds}: give whole numbers separated by commas, for example 0,1,2")
        variants = self.variants.split(",") if self.variants else list(VARIANTS)
        unknown = [v for v in variants if v not in VARIANTS]
        if unknown:
            raise InputError(f"--variants {unknown[0]}: the variants are {', '.join(VARIANTS)}")
        steps = self.steps if self.steps is not None else (QUICK_STEPS if self.quick else STEPS)
        if steps < 1:
            raise InputError(f"--steps {steps}: give 1 or more")
        numbers = [int(n) for n in seeds.split(",")]
        rows: list[Row] = []
        began = time.monotonic()
        with tqdm(total=len(numbers) * len(variants), unit="run", dynamic_ncols=True) as bar:
            for row in study(variants, numbers, steps, lambda text: bar.set_description(text)):
                rows.append(row)
                bar.update()
                if self.report_to:
                    write_json(self.report_to, finite(as_json(rows)))
        tqdm.write(as_table(rows))
        say(f"{len(rows)} runs of {steps} steps in {(time.monotonic() - began) / 60:.1f} minutes")
