"""Camera paths as files: nerfstudio's camera_path.json, by a dialog or by a path that is typed."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.path.editor import PathEditor
from app.gui.widgets.replace_question import ReplaceQuestion
from renderer.errors import InputError
from renderer.tracks import Track, load_track, save_track

NAME = "camera_path.json"
SUFFIXES = (".json",)


class PathFiles:
    """Loads and saves the editor's track, beside the loop. ``question``: asked before a file is replaced that was
    neither read nor written since the scene was opened."""

    def __init__(self, desk: Desk, editor: PathEditor) -> None:
        self.desk, self._editor = desk, editor
        self.question = ReplaceQuestion(desk.skin, "path_replace")
        self._own: set[Path] = set()  # files that were read or written

    def build(self) -> None:
        """A field for the path and buttons, in the current container."""
        desk, tip = self.desk, self.desk.skin.tip
        desk.skin.text("File (nerfstudio's camera_path.json)")
        dpg.add_input_text(tag="path_file", width=-1)
        tip("path_file", "Where Load reads from and Save writes to")
        with dpg.group(horizontal=True):
            dpg.add_button(label="Load", tag="path_load", callback=lambda: self.load(self._named()))
            tip("path_load", "Replace the path by the one in this file; Ctrl+Z brings it back")
            dpg.add_button(label="Save", tag="path_save", callback=lambda: self._save_named())
            tip("path_save", "Write keyframes and all frames into this file")
            dpg.add_button(label="Open...", tag="path_open", callback=lambda: self._ask_open())
            tip("path_open", "Choose a file to load")
            dpg.add_button(label="Save as...", tag="path_save_as", callback=lambda: self._ask_save())
            tip("path_save_as", "Choose a file to write")
        self.question.build()

    def opened(self, event: p.Opened) -> None:
        """Another scene: its path goes beside its run."""
        self.closed()
        dpg.set_value("path_file", str(event.run / NAME))

    def closed(self) -> None:
        """The scene was closed: forget what was read and written."""
        self._own.clear()
        self.question.cancel()

    def load(self, file: Path) -> None:
        """Replace the track by that of a file."""
        opened = self.desk.stage.opened
        if opened is None:
            return
        near = opened.home.near

        def loaded(track: Track) -> None:
            now = self.desk.stage.opened
            if now is None or now.run != opened.run:
                return  # another scene was opened meanwhile
            self._own.add(file.absolute())
            dpg.set_value("path_file", str(file))
            self._editor.apply(track, f"load {file.name}", selected=-1)
            self.desk.say(f"Read {len(track.keyframes)} keyframes, {track.seconds:.2f} s, from {file}")

        self.desk.beside(lambda: load_track(file, near), loaded)

    def save(self, file: Path) -> None:
        """Write the track, for pictures of its first keyframe's size."""
        track = self._editor.track
        if not track.keyframes:
            raise InputError(f"{file}: there is nothing to save; add a keyframe first")
        width, height = track.keyframes[0].camera.width, track.keyframes[0].camera.height

        def saved(_: None) -> None:
            self._own.add(file.absolute())
            dpg.set_value("path_file", str(file))
            self.desk.say(f"Wrote {len(track.keyframes)} keyframes and {track.frame_count:,} frames "
                          f"({width} x {height}) to {file}")  # fmt: skip

        self.desk.beside(lambda: save_track(file, track, width, height), saved)

    def _save_named(self) -> None:
        file = self._named()
        if file.exists() and file.absolute() not in self._own:
            self.question.ask([file], lambda: self.save(file))
        else:
            self.save(file)

    def _named(self) -> Path:
        text = str(dpg.get_value("path_file")).strip()
        if not text:
            raise InputError("File: name one, such as camera_path.json")
        return Path(text).expanduser()

    def _start(self) -> Path:
        return Path(str(dpg.get_value("path_file")).strip() or NAME).expanduser()

    def _ask_open(self) -> None:
        self.desk.dialogs.ask_open("Load a camera path", self._start().parent, self.load, SUFFIXES)

    def _ask_save(self) -> None:
        self.desk.dialogs.ask_save("Save the camera path", self._start(), self.save, SUFFIXES)
