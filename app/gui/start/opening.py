"""Opening a scene: the card that says what a path is and how it would be opened, and the note while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk, Source
from app.gui.widgets.placing import in_the_middle
from app.gui.widgets.updates import set_text
from app.preparing import Preparing, scene_beside
from training.config import PRESETS
from training.data.layouts import Recognised, is_demo
from training.data.recognise import recognise

METHODS: Mapping[str, str] = {
    "4dgs": "4D Gaussian splatting: for cameras that filmed at once, or one that moved.",
    "sparsecam4d": "SparseCam4D: two or three cameras, helped by generated views that need not agree.",
    "sparsecam4d-released": "SparseCam4D with the values of its authors' released code.",
    "ddr": "DDR: depth from one camera that hardly moves; cameras are refined, or learned.",
    "ddr-released": "DDR with the values of its authors' released code.",
}
"""What each preset is for."""
WIDTH, NOTE_WIDTH = 560, 420
FRAMES_TO_SHOW = 3
"""Until another modal window that was closed is gone."""
RAW = ("videos without cameras", "pictures without cameras")
"""Kinds of what was filmed whose cameras can be looked for."""
LOOKING = "Cameras are being looked for; closing ends that, and what is finished counts the next time."


def source_of(found: Recognised, method: str, train: bool = False) -> Source:
    """What to open, from what was recognised; a run keeps its own method, and a scene by itself has none."""
    if found.kind in ("run", "scene"):
        return Source(str(found.path), train=train)
    config = PRESETS[method]
    return Source(str(found.path), replace(config, data=replace(config.data, poses=found.poses)), train=train)


class OpeningCard:
    """A modal window over whatever is there. It belongs to the start panel, which passes on what happens."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._path = ""  # what was asked about last
        self._found: Recognised | None = None
        self._shown = False
        self._show_at: int | None = None
        self._asked = 0
        self._detail = ""
        self._busy = ""
        self._sources: list[Path] = []  # what was filmed and has no cameras
        self._preparing: Preparing | None = None

    # --------------------------------------------------------------------------------------------- widgets

    def build(self) -> None:
        """The window, hidden."""
        skin, px = self.desk.skin, self.desk.skin.px
        with dpg.window(label="Open", tag="card", modal=True, show=False, no_resize=True, autosize=True,
                        no_saved_settings=True, on_close=lambda: self.hide()):  # fmt: skip
            dpg.add_spacer(width=px(WIDTH), height=1)
            with dpg.group(horizontal=True):
                dpg.add_input_text(tag="card_path", hint="path of a clip or a run", width=px(WIDTH - 196),
                                   on_enter=True, callback=lambda: self._look_again())  # fmt: skip
                dpg.add_button(label="Look", width=px(60), tag="card_look", callback=lambda: self._look_again())
                dpg.add_button(label="Choose ...", width=px(120), tag="card_choose", callback=lambda: self._choose())
            dpg.add_text("", tag="card_what", wrap=px(WIDTH))
            skin.text("", color="amber", tag="card_missing", wrap=px(WIDTH))
            self._build_method()
            skin.text("", tag="card_prepared", wrap=px(WIDTH), show=False)
            skin.text("", tag="card_scene", wrap=px(WIDTH))
            dpg.add_spacer(height=px(4))
            self._build_buttons()
        skin.card("card")

    def _build_method(self) -> None:
        skin, px = self.desk.skin, self.desk.skin.px
        with dpg.group(tag="card_method_row"):
            with dpg.group(horizontal=True):
                dpg.add_text("Method")
                dpg.add_combo(list(PRESETS), tag="card_method", width=px(230), callback=lambda: self._say_method())
            skin.text("", tag="card_reason", wrap=px(WIDTH))

    def _build_buttons(self) -> None:
        px = self.desk.skin.px
        with dpg.group(horizontal=True):
            dpg.add_button(label="Open and train", tag="card_train", width=px(150), callback=lambda: self._open(True))
            self.desk.skin.primary("card_train")
            dpg.add_button(label="Open", tag="card_open", width=px(100), callback=lambda: self._open(False))
            dpg.add_button(label="Find cameras", tag="card_prepare", width=px(130), show=False,
                           callback=lambda: self._prepare())  # fmt: skip
            dpg.add_button(label="Copy details", tag="card_details", width=px(130), show=False,
                           callback=lambda: dpg.set_clipboard_text(self._detail))  # fmt: skip
            dpg.add_button(label="Cancel", tag="card_cancel", width=px(100), callback=lambda: self._cancel())

    # ---------------------------------------------------------------------------------------------- content

    def ask(self) -> None:
        """Show the card with nothing chosen yet."""
        self._forget("")
        self._fill("Choose a folder, type its path, or drop it on the window.")

    def offer(self, path: str, *others: str) -> None:
        """Show what a path is, once that is known, with a way to open it. ``others``: what was filmed at once."""
        if self._preparing is not None:
            self.desk.say("Cameras are being looked for; wait for that, or cancel it")
            self._show_soon()
            return
        self._forget(path)
        number = self._asked
        if others:
            self._sources = [Path(name) for name in (path, *others)]
            self._fill(f"{len(self._sources)} clips, taken as filmed at once by cameras that stand still.")
            return
        self._fill("Looking at it ...")
        self.desk.beside(lambda: recognise(path), lambda found: self._recognised(found, number))

    def failed(self, event: p.Failed, path: str) -> None:
        """What was to be opened could not be."""
        self._forget(path)
        self._fill("This could not be opened.", event.message, event.detail)

    def _forget(self, path: str) -> None:
        """Begin anew, with another path."""
        self._path, self._found, self._sources = path, None, []
        self._asked += 1

    def _recognised(self, found: Recognised, number: int) -> None:
        if number != self._asked:
            return
        self._found = found
        self._path = str(found.path)
        self._sources = [found.path] if found.kind in RAW else []
        known = found.kind != "nothing"
        what = f"Recognised as {found.what}." if known else f"{found.what[:1].upper()}{found.what[1:]}."
        self._fill(what, "\n".join(found.missing))

    def _fill(self, what: str, missing: str = "", detail: str = "") -> None:
        found, self._detail = self._found, detail
        opens, trains = found is not None and found.opens, found is not None and found.trains
        dpg.set_value("card_path", self._path)
        dpg.set_value("card_what", what)
        dpg.set_value("card_missing", missing)
        self.desk.skin.recolor("card_missing", "text" if opens else "amber")
        dpg.configure_item("card_missing", show=bool(missing))
        dpg.configure_item("card_method_row", show=trains and found is not None and found.kind != "run")
        dpg.configure_item("card_open", show=opens)
        dpg.configure_item("card_train", show=trains)
        dpg.configure_item("card_details", show=bool(detail))
        dpg.configure_item("card_prepare", show=bool(self._sources) and self._preparing is None)
        dpg.configure_item("card_prepared", show=bool(self._sources) and self._preparing is None)
        if self._sources:
            made = scene_beside(self._sources)
            dpg.set_value("card_prepared", f"Their cameras can be looked for, which makes {made}.")
        dpg.set_item_label("card_cancel", "Cancel" if opens or self._preparing is not None else "Close")
        if found is not None and opens:
            dpg.set_value("card_method", found.method)
            self._say_method()
            dpg.set_item_label("card_train", "Open and go on" if found.kind == "run" else "Open and train")
        self._show_soon()

    def _show_soon(self) -> None:
        if not self._shown and self._show_at is None:
            self._show_at = dpg.get_frame_count() + FRAMES_TO_SHOW

    def _say_method(self) -> None:
        found, method = self._found, dpg.get_value("card_method")
        if found is None:
            return
        advice = (
            f"Suggested: {found.reason}" if method == found.method else f"Suggested is {found.method}: {found.reason}"
        )
        dpg.set_value("card_reason", f"{METHODS.get(method, '')}\n{advice}")

    def _say_scene(self) -> None:
        """What becomes of the scene that is open."""
        lines = []
        if self.desk.stage.opened is not None:
            lines = ["The scene that is open is saved first.", *self.desk.busy.values()]
        if self._found is not None and self._found.trains and self._found.kind != "run":
            lines.append(f"What is learned goes to a new folder in {Path('runs').absolute()}.")
        text = "\n".join(lines)
        if text != self._busy:
            self._busy = text
            dpg.set_value("card_scene", text)
        dpg.configure_item("card_scene", show=bool(text))

    # -------------------------------------------------------------------------------------- finding cameras

    def _prepare(self) -> None:
        """Make a scene folder of what was filmed."""
        if self._preparing is None and self._sources:
            self._preparing = Preparing(self._sources, scene_beside(self._sources))
            self._found = None
            self._fill("Looking for the cameras ...")

    def _follow(self, preparing: Preparing) -> None:
        """Say how far it is, and at its end offer what came of it."""
        if preparing.poll():
            self.desk.busy["prepare"] = LOOKING
            set_text("card_what", "Stopping ..." if preparing.stopping else f"{preparing.said} ...")
            return
        self._preparing = None
        self.desk.busy.pop("prepare", None)
        if not preparing.failure:
            self.offer(str(preparing.out))
        elif preparing.stopping:
            self.offer(*map(str, preparing.sources))
        else:
            self._fill("The cameras were not found.", f"{preparing.failure}.", preparing.detail)

    def _cancel(self) -> None:
        if self._preparing is not None:
            self._preparing.stop()
        else:
            self.hide()

    def close(self) -> None:
        """End what goes on."""
        if self._preparing is not None:
            self._preparing.close()

    # -------------------------------------------------------------------------------------------- what it does

    def _open(self, train: bool) -> None:
        found = self._found
        if found is None or not found.opens:
            return
        self.hide()
        self.desk.open_scene(source_of(found, dpg.get_value("card_method"), train))

    def _look_again(self) -> None:
        path = dpg.get_value("card_path").strip()
        if path and self._preparing is None:
            self.offer(path)

    def _choose(self) -> None:
        if self._preparing is not None:
            return
        self.hide()
        place = Path(self._path).expanduser() if self._path and not is_demo(self._path) else Path.cwd()
        self.desk.dialogs.ask_folder("Open the folder of a clip or a run", place, lambda path: self.offer(str(path)))

    def hide(self) -> None:
        """Take it away."""
        self._asked += 1
        self._shown, self._show_at = False, None
        dpg.configure_item("card", show=False)

    def tick(self) -> None:
        """Show it, once nothing else is in the way."""
        if self._preparing is not None:
            self._follow(self._preparing)
        if self._show_at is not None and dpg.get_frame_count() >= self._show_at and not self.desk.dialogs.open:
            self._shown, self._show_at = True, None
            dpg.configure_item("card", show=True, pos=in_the_middle(self.desk.skin.px(WIDTH + 20), 0.25))
        if self._shown:
            self._say_scene()

    def catches(self, chord: str) -> bool:
        """Escape takes it away; no other key does anything while it is there."""
        if self._shown and chord == "Escape":
            self._cancel()
            return True
        return self._shown and chord != "Ctrl+Q"

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        found = self._found
        return {
            "card": self._shown,
            "recognised": found.what if found else "",
            "opens": bool(found and found.opens),
            "preparing": self._preparing is not None,
            "missing": dpg.get_value("card_missing") if self._shown else "",
            "said": dpg.get_value("card_what") if self._shown else "",
        }


class OpeningNote:
    """In the middle of the window while a scene is read, with a way out."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._name, self._stopping = "", False

    def build(self) -> None:
        """The window, hidden."""
        px = self.desk.skin.px
        with dpg.window(tag="opening", show=False, no_title_bar=True, no_resize=True, no_move=True, autosize=True,
                        no_saved_settings=True):  # fmt: skip
            dpg.add_spacer(width=px(NOTE_WIDTH), height=1)
            with dpg.group(horizontal=True):
                dpg.add_loading_indicator(style=1, radius=1.2 * self.desk.skin.scale)
                with dpg.group():
                    dpg.add_text("", tag="opening_name", wrap=px(NOTE_WIDTH - 50))
                    self.desk.skin.text(" ", tag="opening_status", wrap=px(NOTE_WIDTH - 50))
            dpg.add_button(label="Cancel", tag="opening_cancel", width=px(100), callback=lambda: self._cancel())
        self.desk.skin.card("opening")

    def _cancel(self) -> None:
        self._stopping = True
        dpg.set_value("opening_status", "Stopping ...")
        self.desk.close_scene()

    def handle(self, event: p.Event) -> None:
        """Show what takes so long."""
        if isinstance(event, p.Status) and self._name and not self._stopping:
            dpg.set_value("opening_status", event.text)

    def tick(self) -> None:
        """Come and go with what is opened."""
        name = self.desk.opening
        if name == self._name:
            return
        if name:
            dpg.set_value("opening_name", f"Opening {Path(name).name or name} ...")
            dpg.set_value("opening_status", "Saving what is open" if self.desk.stage.opened is not None else " ")
            dpg.configure_item("opening", show=True, pos=in_the_middle(self.desk.skin.px(NOTE_WIDTH + 20)))
            dpg.focus_item("opening")
        else:
            dpg.configure_item("opening", show=False)
        self._name, self._stopping = name, False

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"opening": self._name}
