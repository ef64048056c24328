"""Damaged files for every reader: ``python -m tests.fuzz --count 10000``.

A reader may load what it is given or refuse it with an InputError of one line that names a file. Everything else is a
finding: another exception, a crash, no answer within ten seconds, or more memory than a gibibyte beyond what the
process needs for good files (a limit on its address space). Every case is made from its number alone, so that one can
be looked at again: ``python -m tests.fuzz --target splatv --case 123``.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean
from typing import Any

MEMORY = 1 << 30
"""Bytes beyond what good files take."""
PATIENCE = 10.0
"""Seconds for one case."""
PICTURES = (".png", ".jpg", ".mp4")
LONGEST_SENTENCE = 700
"""Characters of an InputError, but for the names of long folders."""
START = 300.0
"""Seconds for a process to load everything, on a machine that is busy with other things."""


@dataclass(frozen=True)
class Target:
    """A reader. ``write``: good files into a folder that is there. ``read``: what is asked of that folder; raises
    InputError, or returns anything. ``files``: which of them are damaged; all but pictures where none is named.
    ``share``: of cases that it gets, where others get 1: slow readers get less."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    files: tuple[str, ...] = ()
    share: float = 1.0

    def damaged(self, folder: Path) -> list[Path]:
        """The files of a folder that are damaged, relative to it."""
        if self.files:
            return [Path(name) for name in self.files]
        found = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in PICTURES)
        return [p.relative_to(folder) for p in found]


@dataclass(frozen=True)
class Outcome:
    """What became of a case. ``kind``: loaded, refused, or what went wrong. ``where``: of that, the innermost line of
    ours. ``said``: the exception."""

    kind: str
    where: str = ""
    said: str = ""
    seconds: float = 0.0

    @property
    def is_fine(self) -> bool:
        """Whether it is one of the two that are allowed."""
        return self.kind in ("loaded", "refused")


@dataclass
class Tally:
    """What was found: outcomes by kind, and of what went wrong the cases by target, kind and place."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[tuple[str, str, str], list[tuple[int, str]]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, target: str, case: int, outcome: Outcome) -> None:
        """Count a case."""
        self.counts[outcome.kind] += 1
        self.seconds.setdefault(target, []).append(outcome.seconds)
        if not outcome.is_fine:
            self.wrong.setdefault((target, outcome.kind, outcome.where), []).append((case, outcome.said))

    def times(self) -> list[str]:
        """How long readers take, for reading."""
        rows = sorted(self.seconds.items(), key=lambda row: -max(row[1]))
        return [f"{name:<26}{len(s):6} cases, mean {mean(s):.4f} s, most {max(s):.2f} s" for name, s in rows]

    def lines(self) -> list[str]:
        """What went wrong, for reading."""
        return [
            f"{target}: {kind} at {where}, {len(cases)} times, first case {cases[0][0]}: {cases[0][1]}"
            for (target, kind, where), cases in sorted(self.wrong.items())
        ]


class Reader:
    """A process that reads damaged files, one after another; it is replaced when it dies or does not answer."""

    def __init__(self, targets: str = "tests.fuzz_targets", patience: float = PATIENCE) -> None:
        self._targets, self._patience = targets, patience
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *problem: object) -> None:
        self._end()

    def outcome(self, target: str, case: int) -> Outcome:
        """Make a case and read it."""
        if self._process is None:
            self._start()
        assert self._pipe is not None
        self._pipe.send((target, case))
        try:
            if self._pipe.poll(self._patience):
                found = self._pipe.recv()
                assert isinstance(found, Outcome)
                return found
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._end()
            return Outcome("crash", said=f"the process ended with {code}")
        self._end()
        return Outcome("hang", said=f"no answer within {self._patience:g} seconds", seconds=self._patience)

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, self._targets), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(START):
            raise TimeoutError("the reading process does not start")
        said = self._pipe.recv()
        if said != "ready":
            raise RuntimeError(f"a good file is not read: {said}")

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(pipe: Connection, targets: str) -> None:
    """Read cases until nobody asks any more. ``targets``: the module whose TARGETS they are of."""
    TARGETS = importlib.import_module(targets).TARGETS
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # decoders complain there
    with tempfile.TemporaryDirectory() as name:
        folders: dict[str, Path] = {}
        for target in TARGETS:
            folders[target.name] = folder = Path(name) / target.name.replace(" ", "-") / "good"
            folder.mkdir(parents=True)
            try:
                target.write(folder)
                target.read(folder)
            except Exception:
                pipe.send(f"{target.name}: {traceback.format_exc()}")
                return
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        by_name = {target.name: target for target in TARGETS}
        pipe.send("ready")
        while True:
            try:
                target_name, case = pipe.recv()
            except EOFError:
                return
            pipe.send(read_case(by_name[target_name], folders[target_name], case))


def read_case(target: Any, good: Path, case: int) -> Outcome:
    """Damage a file of a folder of good ones, read the folder under another name, and mend it."""
    from renderer.errors import InputError
    from tests.mutations import mutated

    rng = random.Random(f"{target.name} {case}")
    relative = rng.choice(target.damaged(good))
    original = (good / relative).read_bytes()
    folder = good.with_name(f"case{case}")  # a name of its own, for readers that remember files by their names
    good.rename(folder)
    (folder / relative).write_bytes(mutated(original, relative.name, rng))
    began = time.monotonic()
    try:
        target.read(folder)
        outcome = Outcome("loaded", seconds=time.monotonic() - began)
    except InputError as problem:
        outcome = _judged(str(problem), folder, relative, time.monotonic() - began)
    except Exception as problem:
        said = f"{type(problem).__name__}: {problem!s:.300}"
        outcome = Outcome(type(problem).__name__, _place(problem), said, time.monotonic() - began)
    _mend(folder, relative, original, target)
    folder.rename(good)
    return outcome


def _judged(sentence: str, folder: Path, relative: Path, seconds: float) -> Outcome:
    """Whether what is said is one line that names a file: of the folder, or a place elsewhere that a list states."""
    if "\n" in sentence or len(sentence) > LONGEST_SENTENCE:
        return Outcome("long sentence", said=repr(sentence[:300]), seconds=seconds)
    if not any(name in sentence for name in (str(folder), relative.name)) and not sentence.startswith(os.sep):
        return Outcome("nameless sentence", said=repr(sentence), seconds=seconds)
    return Outcome("refused", seconds=seconds)


def _place(problem: BaseException) -> str:
    """The innermost line of ours."""
    root = Path(__file__).parent.parent
    frames = [f for f in traceback.extract_tb(problem.__traceback__) if root in Path(f.filename).parents]
    ours = [f for f in frames if "site-packages" not in f.filename]
    return f"{Path(ours[-1].filename).relative_to(root)}:{ours[-1].lineno}" if ours else "nowhere of ours"


def _mend(folder: Path, relative: Path, original: bytes, target: Any) -> None:
    """Bring the good files back; all of them where the reader has moved or made some."""
    (folder / relative).write_bytes(original) if (folder / relative).parent.is_dir() else None
    if target.name == "settings":  # what is no JSON is kept aside
        for path in folder.iterdir():
            if path.name != relative.name:
                path.unlink()


def cases(count: int, only: str | None = None) -> Iterator[tuple[str, int]]:
    """Targets and numbers of so many cases, in turns, each target by its share."""
    from tests.fuzz_targets import TARGETS

    chosen = [target for target in TARGETS if only in (None, target.name)]
    whole = sum(target.share for target in chosen)
    for target in chosen:
        for case in range(max(1, round(count * target.share / whole))):
            yield target.name, case


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--target", default=None)
    parser.add_argument("--case", type=int, default=None, help="one case, in this process, with its traceback")
    asked = parser.parse_args()
    if asked.case is not None:
        sys.stdout.write(one_case(asked.target, asked.case) + "\n")
        return
    tally, began = Tally(), time.monotonic()
    with Reader() as reader:
        for done, (target, case) in enumerate(cases(asked.count, asked.target), start=1):
            tally.add(target, case, reader.outcome(target, case))
            if done % 500 == 0:
                sys.stdout.write(f"{done}: {dict(tally.counts)}, {time.monotonic() - began:.0f} s\n")
                sys.stdout.flush()
    counts, total = dict(tally.counts), sum(tally.counts.values())
    seconds = time.monotonic() - began
    sys.stdout.write("\n".join([*tally.times(), *tally.lines(), f"{total} cases in {seconds:.0f} s: {counts}"]) + "\n")
    sys.stdout.write(f"memory within {MEMORY >> 20} MiB of that for good files\n")
    sys.exit(bool(tally.wrong))


def one_case(name: str, case: int) -> str:
    """What becomes of a case, with its traceback; its folder is left in the temporary one."""
    from tests.fuzz_targets import TARGETS
    from tests.mutations import mutated

    (target,) = (t for t in TARGETS if t.name == name)
    folder = Path(tempfile.mkdtemp()) / "case"
    folder.mkdir()
    target.write(folder)
    rng = random.Random(f"{target.name} {case}")
    relative = rng.choice(target.damaged(folder))
    shutil.copy(folder / relative, folder.parent / "good")
    (folder / relative).write_bytes(mutated((folder / relative).read_bytes(), relative.name, rng))
    try:
        return f"{folder / relative}: {target.read(folder)!r:.200}"
    except Exception:
        return f"{folder / relative}:\n{traceback.format_exc()}"


if __name__ == "__main__":
    main()
