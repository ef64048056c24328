"""The CUDA engine, every check and every measurement of it: ``python -m benchmarks.cuda [--tests] [--sanitize]``.

On a machine with an NVIDIA GPU, torch, CuPy, NumPy and numba: what the card does at most; with --tests the tests that
need a GPU; pictures and gradients against plain torch; with --sanitize the same under compute-sanitizer; pictures,
gradients and steps of 0.1 to 3 million random 4D Gaussians (:mod:`benchmarks.cuda_scene`), and the same 3D Gaussians
beside gsplat where that is installed; single kernels; and steps per second of learning from three cameras. A part that
fails says so and the next one goes on. After 500 seconds nothing more is begun.

``ms`` is the device's time, the median of many runs between CUDA's events while its queue is never empty; ``whole`` is
what a run takes by the clock, the host's work included; ``bytes`` and ``arithmetic`` are the milliseconds that its
bytes and its arithmetic take at the card's measured bandwidth and float32 rate (:mod:`benchmarks.cuda_limits`).

``--compile-only`` compiles all kernels for all kinds of GPU and needs none.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

import torch

from benchmarks import cuda_checks, cuda_gsplat, cuda_kernels, cuda_limits, cuda_table, cuda_train
from benchmarks.cuda_measure import Bench, Deadline, EventClock, Fact, Limits, Row

RESULTS = Path(__file__).parent / "results"
WHOLE = 500.0
"""Seconds after which no part begins anything new."""
BUDGETS = {
    "tests": 170.0, "checks": 30.0, "sanitize": 80.0, "table": 140.0, "gsplat": 60.0, "kernels": 40.0, "train": 30.0
}  # fmt: skip
"""Of the parts, seconds, in their order."""
TIMED = {"table", "gsplat", "kernels"}
"""Parts whose times are held against what the card does at most."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. ``counts`` of Gaussians and sizes of ``pictures`` of the table and beside gsplat; ``check``
    and ``train``: Gaussians and size. ``runs`` and ``seconds`` of whatever is timed; ``steps_for``: seconds of
    training."""

    counts: tuple[int, ...] = (100_000, 500_000, 1_000_000, 3_000_000)
    pictures: tuple[tuple[int, int], ...] = ((960, 540), (1352, 1014))
    beside_gsplat: tuple[int, ...] = (100_000, 1_000_000)
    kernels: cuda_kernels.Sizes = field(default_factory=cuda_kernels.Sizes)
    check: tuple[int, tuple[int, int]] = (400, (64, 48))
    train: tuple[int, tuple[int, int]] = (300_000, (960, 540))
    runs: int = 40
    seconds: float = 1.5
    steps_for: float = 15.0


SMALL = (320, 180)
QUICK = Sizes(
    (20_000,), (SMALL,), (20_000,), cuda_kernels.Sizes(20_000, SMALL, 8192, 32, 128, 64), (300, (48, 32)),
    (20_000, SMALL), runs=8, seconds=0.2, steps_for=2.0,
)  # fmt: skip


def main() -> int:
    """0 where everything is right and measured, 1 where something is not, 2 without a GPU."""
    options = _options()
    if options.compile_only:
        return _compile_only(options.json)
    if not torch.cuda.is_available():
        print("This measures on an NVIDIA GPU, and torch finds none here; --compile-only needs none.")
        return 2
    sizes = QUICK if options.quick else Sizes()
    if options.train is not None:
        sizes = replace(sizes, steps_for=options.train)
    wanted = set(options.only) if options.only else BUDGETS.keys() - {"tests", "sanitize"}
    wanted |= {name for name in ("tests", "sanitize") if getattr(options, name)}
    return measure(torch.device("cuda"), sizes, [name for name in BUDGETS if name in wanted], options.json)


def measure(device: torch.device, sizes: Sizes, wanted: list[str], path: Path | None) -> int:
    """Print the parts, write them to a file, and 1 where a row is not right."""
    deadline = Deadline(WHOLE)
    clock = EventClock(sizes.runs, sizes.seconds)
    facts = cuda_limits.facts(device)
    if path is not None and path.is_dir():
        path /= f"cuda-{re.sub('[^a-z0-9]+', '-', str(facts['card']).lower())}.json"
    print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    limits = Limits(math.inf, math.inf)
    found: dict[str, list[Row]] = {}

    def limits_first() -> Iterator[Row]:
        nonlocal limits
        limits = cuda_limits.limits(device, clock)
        yield from cuda_limits.limits_rows(limits)

    if TIMED & set(wanted):
        found["limits"] = part("limits", limits_first)
    bench = Bench(device, clock, limits)
    for name in wanted:
        rows = PARTS[name]
        found[name] = part(name, partial(rows, bench, sizes, deadline.within(BUDGETS[name])))
        if path is not None:
            write(path, facts, found)
    wrong = [row.name for rows in found.values() for row in rows if not row.ok]
    print(f"\n{WHOLE - deadline.left:.0f} s; {len(wrong)} rows are not right", *wrong, sep="\n")
    return 1 if wrong else 0


def part(name: str, rows: Callable[[], Iterable[Row]]) -> list[Row]:
    """Print rows as they come; what stops them becomes the last one."""
    print(f"\n{name}", flush=True)
    found = []
    try:
        for row in rows():
            print(row, flush=True)
            found.append(row)
    except Exception as problem:  # whatever it is, the other parts are worth measuring
        found.append(Row(f"{name} stopped: {type(problem).__name__}: {problem}", ok=False))
        print(found[-1], flush=True)
    return found


def beside_gsplat(bench: Bench, sizes: Sizes, deadline: Deadline) -> Iterator[Row]:
    """A line where gsplat is not there."""
    reason = cuda_gsplat.trouble(0.75 * deadline.left)
    if reason is not None:
        yield Row(reason)
        return
    from gsplat import rasterization

    yield from cuda_gsplat.compare(bench, sizes.beside_gsplat, sizes.pictures, rasterization, deadline)


def training(bench: Bench, sizes: Sizes, deadline: Deadline) -> Iterator[Row]:
    """Nothing where no time is asked for."""
    seconds = min(sizes.steps_for, deadline.left)
    if seconds:
        yield from cuda_train.train(bench, *sizes.train, seconds)


PARTS: dict[str, Callable[[Bench, Sizes, Deadline], Iterator[Row]]] = {
    "tests": lambda bench, sizes, deadline: cuda_checks.run_tests(deadline.left),
    "checks": lambda bench, sizes, deadline: cuda_checks.checks(bench.device, *sizes.check),
    "sanitize": lambda bench, sizes, deadline: cuda_checks.sanitize(deadline.left),
    "table": lambda bench, sizes, deadline: cuda_table.table(bench, sizes.counts, sizes.pictures, deadline),
    "gsplat": beside_gsplat,
    "kernels": lambda bench, sizes, deadline: cuda_kernels.kernels(bench, sizes.kernels, deadline),
    "train": training,
}


def write(path: Path, facts: dict[str, Fact], found: dict[str, list[Row]]) -> None:
    """The card and its versions, the day, and all rows so far."""
    rows = {name: [{"name": r.name, "ok": r.ok, **r.facts} for r in part] for name, part in found.items()}
    path.write_text(json.dumps({"date": f"{date.today()}", "device": facts, "parts": rows}, indent=1) + "\n")


def _compile_only(path: Path | None) -> int:
    from benchmarks import cuda_compile  # which imports CuPy

    found = cuda_compile.compile_all(cuda_compile.ARCHS)
    print(*found, sep="\n")
    if path is not None:
        path.write_text(json.dumps(cuda_compile.record(found), indent=1) + "\n")
    spilling = [c for c in found if c.spills]
    print(f"{len(found)} kernels compiled; {len(spilling)} spill", *spilling, sep="\n")
    return 1 if spilling else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile-only", action="store_true", help="compile every kernel, run none")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs, to see that everything works")
    parser.add_argument("--tests", action="store_true", help="first run the tests that need a GPU")
    parser.add_argument("--sanitize", action="store_true", help="check memory with compute-sanitizer")
    parser.add_argument("--train", type=float, metavar="SECONDS", help="how long to learn a scene; 0 for not at all")
    parser.add_argument("--only", nargs="+", choices=list(BUDGETS), help="parts, instead of all")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=RESULTS, metavar="FILE",
        help="file to write the same to, or a folder for cuda-CARD.json; by default benchmarks/results",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
