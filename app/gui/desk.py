"""What all panels share: the stage, the engine's ear, what the window remembers, undo, and a way to say something."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from app import protocol as p
from app.gui.stage import Stage
from app.gui.theme import Skin
from app.gui.widgets.file_dialog import FileDialogs
from app.history import History
from app.keys import KeyMap
from app.settings import Settings
from app.worker import Worker
from renderer.errors import InputError
from training.config import TrainConfig

T = TypeVar("T")
MOST_ENTRIES = 2000
"""Of the log that are kept."""
AGAIN = 1.0
"""Seconds within which a sentence is not repeated: what goes wrong may go wrong in every frame."""


@dataclass(frozen=True)
class Entry:
    """One thing that was said. ``at``: seconds since 1970. ``detail``: for a bug report."""

    at: float
    level: Literal["info", "warning", "error"]
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Source:
    """What to open: a clip, a run or a demo scene. ``config``: for a new run, whose folder is ``out`` or one that is
    free. ``train``: begin at once."""

    name: str
    config: TrainConfig | None = None
    out: Path | None = None
    train: bool = False


class Desk:
    """``send``: hands a command to the engine; while no scene is open it is dropped. ``open_scene``,
    ``close_scene``: the window's; ``leave_for``: opens a scene after a question where an export would be cut short.
    ``run_action``: does what a key would, by the action's name. ``show_tab``: brings a panel to the front, by its
    title; ``tab_in_front``: the title of the one that is there. ``offer``: says what a path is and offers to open
    it. ``log``: what was said, the last ``MOST_ENTRIES``; ``said``: how many there were. ``opening``: what is being
    opened, empty for nothing."""

    def __init__(self, skin: Skin, settings: Settings, save: Callable[[Settings], str | None]) -> None:
        self.skin, self._settings, self._save = skin, settings, save
        self.stage = Stage()
        self.history = History()
        self.worker = Worker()
        self.dialogs = FileDialogs()
        self.keys = KeyMap(settings.keys, settings.fly_swapped)
        self.log: list[Entry] = []
        self.said = 0
        self.opening = ""
        self.send: Callable[[p.Command], None] = lambda command: None
        self.open_scene: Callable[[Source], None] = lambda source: None
        self.leave_for: Callable[[Source], None] = lambda source: None
        self.close_scene: Callable[[], None] = lambda: None
        self.offer: Callable[[str], None] = lambda path: None
        self.run_action: Callable[[str], None] = lambda name: None
        self.show_tab: Callable[[str], None] = lambda title: None
        self.tab_in_front: Callable[[], str] = lambda: ""
        self._keeping = False  # whether a job that writes the settings waits for its turn
        self.typing = False
        """Whether keys belong to a text field."""
        self.busy: dict[str, str] = {}
        """What would be lost or cut short by closing, in words, by who does it."""

    @property
    def settings(self) -> Settings:
        """What the window remembers."""
        return self._settings

    def remember(self, **values: object) -> None:
        """Change what the window remembers (:class:`app.settings.Settings`); written beside the loop, the newest of
        several that follow each other, as while something is dragged."""
        before, changed = self._settings, replace(self._settings, **values)  # type: ignore[arg-type]
        if changed == before:
            return
        self._settings = changed
        if (changed.keys, changed.fly_swapped) != (before.keys, before.fly_swapped):
            self.keys = KeyMap(changed.keys, changed.fly_swapped)
        if not self._keeping:
            self._keeping = True
            self.beside(self._keep, self._unsaved)

    def _keep(self) -> str | None:
        """Write the settings as they are by now; on the worker's thread."""
        self._keeping = False  # first: what is changed from here on is written by another job
        return self._save(self._settings)

    def beside(self, job: Callable[[], T], then: Callable[[T], None], over: Callable[[], None] = lambda: None) -> None:
        """Do something that takes long beside the loop; what goes wrong is said, after a call of ``over``."""

        def failed(problem: Exception) -> None:
            over()
            known = isinstance(problem, InputError)
            self.complain(str(problem) if known else f"This did not work: {type(problem).__name__}: {problem}")

        self.worker.submit(job, then, failed)

    def say(self, text: str) -> None:
        """Tell the person what has happened."""
        self._enter(Entry(time.time(), "info", text))

    def warn(self, text: str) -> None:
        """Tell the person something to know; work goes on."""
        self._enter(Entry(time.time(), "warning", text))

    def complain(self, text: str, detail: str = "") -> None:
        """Tell the person what did not work and what to do."""
        self._enter(Entry(time.time(), "error", text, detail))

    def news(self, since: int) -> Sequence[Entry]:
        """What was said after the first ``since`` entries, as far as it is kept."""
        return self.log[max(0, len(self.log) - (self.said - since)) :] if self.said > since else ()

    def _enter(self, entry: Entry) -> None:
        last = self.log[-1] if self.log else None
        if last and (last.level, last.text) == (entry.level, entry.text) and entry.at - last.at < AGAIN:
            return
        self.log.append(entry)
        self.said += 1
        del self.log[:-MOST_ENTRIES]

    def _unsaved(self, problem: str | None) -> None:
        if problem:
            self.warn(problem)
