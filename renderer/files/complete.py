"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from renderer.errors import InputError


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """The place to write a file to, which then gets its name; removed when anything fails. InputError when the disk
    does not take it."""
    partial = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as problem:
        raise not_written(path, problem) from None
    finally:
        with suppress(OSError):  # where a part of its path is a file, even to look for it fails
            partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """The hidden name beside a file under which it is written."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def not_written(path: Path, problem: OSError) -> InputError:
    """The sentence for a file that the disk does not take."""
    return InputError(f"{path}: cannot be written ({problem.strerror}); choose another place")


class CompleteFolder:
    """A folder that is written under another name and then takes its place.

    A folder that is there already is replaced when all that it holds are files whose names match ``own``; one that
    holds anything else is left alone, with an InputError before anything is written.
    """

    def __init__(self, path: Path, own: re.Pattern[str]) -> None:
        self.path, self._own = path, own
        self.partial = path.with_name(f".{path.name}.partial")

    def begin(self) -> Path:
        """Make the folder to write into."""
        self._refuse_what_is_not_ours()
        try:
            shutil.rmtree(self.partial, ignore_errors=True)
            self.partial.mkdir(parents=True)
        except OSError as problem:
            raise not_written(self.path, problem) from None
        return self.partial

    def finish(self) -> None:
        """Give the folder its name."""
        self._refuse_what_is_not_ours()
        old = self.path.with_name(f".{self.path.name}.replaced")
        try:
            shutil.rmtree(old, ignore_errors=True)
            if self.path.exists():
                os.replace(self.path, old)
            os.replace(self.partial, self.path)
        except OSError as problem:
            if old.exists() and not self.path.exists():
                os.replace(old, self.path)
            raise not_written(self.path, problem) from None
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove what is not finished."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def _refuse_what_is_not_ours(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise InputError(f"{self.path}: is a file, where a folder is to be made; choose another name")
        others = sorted(p.name for p in self.path.iterdir() if not (p.is_file() and self._own.fullmatch(p.name)))
        if others:
            raise InputError(f"{self.path}: holds other files ({others[0]}); choose a new or an empty folder")


def write_whole(path: Path, data: bytes | str, check: Callable[[Path], bool] | None = None) -> None:
    """Write a file at once; with ``check`` it gets its name only when that is true of it."""
    with complete_file(path) as partial:
        partial.write_bytes(data if isinstance(data, bytes) else data.encode())
        if check is not None and not check(partial):
            raise InputError(f"{path}: does not hold what was written; is the disk full?")
