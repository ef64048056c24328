"""Files of what a panel shows: asks where, writes beside the loop, and says where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from app.gui.desk import Desk
from app.words import either


def ask_and_write(desk: Desk, what: str, name: str, endings: Sequence[str], write: Callable[[Path], Path]) -> None:
    """Offer a file in the run's folder, and write it where the person says; nothing where no scene is open.

    ``what``: at the beginning of a sentence. ``name``: that is offered, with the first of the ``endings``. ``write``:
    writes the file and returns its path; it touches nothing of the window.
    """
    opened = desk.stage.opened
    if opened is None:
        return

    def chosen(path: Path) -> None:
        desk.beside(lambda: write(path), lambda done: desk.say(f"{what} is in {done}"))

    desk.dialogs.ask_save(f"{what} as {either(endings)}", opened.run / f"{name}{endings[0]}", chosen, endings)
