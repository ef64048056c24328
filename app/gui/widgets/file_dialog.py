"""Choosing a folder or file: the desktop's own dialog in a process beside, else the one of Dear PyGui.

Neither holds the window up: the answer comes in :meth:`FileDialogs.poll`, once per frame.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import dearpygui.dearpygui as dpg

What = Literal["folder", "open", "save"]
Then = Callable[[Path], None]
CHOSEN, CANCELLED = 0, 1
"""How the programs end; otherwise they could not show anything."""
FRAMES_TO_CLOSE = 2
"""Until a modal window that was deleted is gone and another can open."""
SHARE = 0.75
"""Of the window that Dear PyGui's dialog takes."""


@dataclass(frozen=True)
class Question:
    """``start``: a folder, and for a file to save its name. ``suffixes``: of the files that are meant, such as
    ``.ply``; the first is given to a name without one. ``then``: gets the answer."""

    what: What
    title: str
    start: Path
    suffixes: tuple[str, ...]
    then: Then


class FileDialogs:
    """Asks one question at a time. ``program``: path of zenity or kdialog, by default what is installed, the one of
    the desktop first; empty for Dear PyGui's dialog."""

    def __init__(self, program: str | None = None) -> None:
        self._program = _installed(os.environ) if program is None else program
        self._question: Question | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._item: int | str = 0
        self._next: Callable[[], None] | None = None
        self._wait = 0

    def ask_folder(self, title: str, start: Path, then: Then) -> bool:
        """Ask for a folder that exists; False where another question is still open."""
        return self._ask(Question("folder", title, start, (), then))

    def ask_open(self, title: str, start: Path, then: Then, suffixes: Sequence[str] = ()) -> bool:
        """Ask for a file that exists; as above."""
        return self._ask(Question("open", title, start, tuple(suffixes), then))

    def ask_save(self, title: str, start: Path, then: Then, suffixes: Sequence[str] = ()) -> bool:
        """Ask where to write a file; the person has agreed to replace one that is there. As above."""
        return self._ask(Question("save", title, start, tuple(suffixes), then))

    @property
    def open(self) -> bool:
        """Whether a question is open."""
        return self._question is not None

    def poll(self) -> None:
        """Hand an answer over, once per frame; a question that was cancelled is forgotten."""
        self._wait -= 1
        if self._next is not None and self._wait <= 0:
            show, self._next = self._next, None
            show()
        if self._process is None or self._question is None or self._output is None:
            return
        code = self._process.poll()
        if code is None:
            return
        question, output = self._question, self._output
        self._process = self._output = None
        output.seek(0)
        text = os.fsdecode(output.read()).removesuffix("\n")
        output.close()
        if code == CHOSEN and text:
            self._settle(Path(text), agreed=True)
        elif code in (CHOSEN, CANCELLED):
            self._question = None
        else:  # no such display, a library that is missing: it will not do better next time
            self._program = ""
            self._build(question)

    def close(self) -> None:
        """Take the dialog away without an answer."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._output is not None:
            self._output.close()
        self._process = self._output = None
        self._end()

    def _ask(self, question: Question) -> bool:
        if self.open:
            return False
        self._question = question
        self._begin(question)
        return True

    def _begin(self, question: Question) -> None:
        if not self._program:
            self._build(question)
            return
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the program has ended)
        quiet = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                command(self._program, question), stdin=quiet, stdout=self._output, stderr=quiet
            )
        except OSError:
            self._output.close()
            self._output, self._program = None, ""
            self._build(question)

    def _settle(self, path: Path, agreed: bool) -> None:
        """The person chose a path. ``agreed``: to replace it, where it is there already."""
        question = self._question
        assert question is not None
        full = path
        if question.what == "save" and question.suffixes and path.suffix.lower() not in question.suffixes:
            full = path.with_name(path.name + question.suffixes[0])
        fits = {"folder": full.is_dir(), "open": full.is_file(), "save": full.parent.is_dir() and not full.is_dir()}
        if not fits[question.what]:
            self._show(lambda: self._begin(question))  # a name that was mistyped: ask again
        elif question.what == "save" and full.exists() and not (agreed and full == path):
            self._show(lambda: self._confirm(full))
        else:
            self._end()
            question.then(full)

    def _end(self) -> None:
        self._question = self._next = None
        self._clear()

    def _clear(self) -> None:
        if self._item and dpg.does_item_exist(self._item):
            dpg.delete_item(self._item)
        self._item = 0

    def _show(self, build: Callable[[], None]) -> None:
        """Put another modal window in the place of the one that is there, once that has closed."""
        self._clear()
        self._next, self._wait = build, FRAMES_TO_CLOSE

    # ------------------------------------------------------------------------------- Dear PyGui's dialog

    def _build(self, question: Question) -> None:
        folder, name = _start(question)
        width, height = (int(SHARE * v) for v in (dpg.get_viewport_client_width(), dpg.get_viewport_client_height()))
        with dpg.file_dialog(
            label=question.title, modal=True, show=True, width=width, height=height, default_path=str(folder),
            default_filename=name or ".", directory_selector=question.what == "folder",
            callback=self._chosen, cancel_callback=lambda sender: self._end(),
        ) as self._item:  # fmt: skip
            if question.what != "folder":
                several = f"{', '.join(question.suffixes)}{{{','.join(_both_cases(question))}}}"
                dpg.add_file_extension(several if question.suffixes else ".*")

    def _chosen(self, sender: int | str, data: Mapping[str, Any]) -> None:
        if self._question is not None:
            self._settle(chosen(self._question.what, data), agreed=False)

    def _confirm(self, path: Path) -> None:
        place = [int(0.35 * v) for v in (dpg.get_viewport_client_width(), dpg.get_viewport_client_height())]
        with dpg.window(
            label="Replace?", modal=True, no_resize=True, autosize=True, pos=place, on_close=lambda: self._end()
        ) as self._item:
            dpg.add_text(f"{path.name} is there already.")
            with dpg.group(horizontal=True):
                dpg.add_button(label="Replace", callback=lambda: self._settle(path, agreed=True))
                dpg.add_button(label="Cancel", callback=lambda: self._end())


def command(program: str, question: Question) -> list[str]:
    """The command line of zenity or kdialog for a question."""
    folder, name = _start(question)
    start = str(folder / name) if name else f"{folder}{os.sep}"
    patterns = " ".join(f"*{suffix}" for suffix in _both_cases(question))
    if Path(program).name == "kdialog":
        kind = {"folder": "--getexistingdirectory", "open": "--getopenfilename", "save": "--getsavefilename"}
        filters = [patterns] if patterns and question.what != "folder" else []
        return [program, "--title", question.title, kind[question.what], start, *filters]
    options = {"folder": ["--directory"], "open": [], "save": ["--save", "--confirm-overwrite"]}[question.what]
    filters = [f"--file-filter={patterns}"] if patterns and question.what != "folder" else []
    return [program, "--file-selection", *options, f"--title={question.title}", f"--filename={start}", *filters]


def chosen(what: What, data: Mapping[str, Any]) -> Path:
    """The path in what Dear PyGui's dialog hands over; of a folder its "selections" name a folder inside itself."""
    selections = list((data.get("selections") or {}).values())
    if what == "open" and selections:
        return Path(selections[0])
    return Path(str(data.get("file_path_name") or data.get("current_path") or "."))


def _both_cases(question: Question) -> list[str]:
    return [*question.suffixes, *(s.upper() for s in question.suffixes)]


def _start(question: Question) -> tuple[Path, str]:
    """The nearest folder that exists, and the name of the file to save."""
    place = question.start.expanduser().absolute()
    name = ""
    if question.what == "save" and not place.is_dir():
        place, name = place.parent, place.name
    while not place.is_dir():
        place = place.parent
    return place, name


def _installed(environment: Mapping[str, str]) -> str:
    """The program that fits the desktop; empty where none is installed."""
    kde = "KDE" in environment.get("XDG_CURRENT_DESKTOP", "")
    names = ("kdialog", "zenity") if kde else ("zenity", "kdialog")
    return next((found for name in names if (found := shutil.which(name))), "")
