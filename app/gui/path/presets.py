"""Camera paths that are ready made from where the cameras of the clip were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app.gui.desk import Desk
from app.gui.path.editor import PathEditor
from app.tours import PRESETS, Stage
from renderer.errors import InputError
from renderer.view import View

SECONDS = 6.0
SHORTEST, LONGEST = 0.1, 3600.0


class PathPresets:
    """Replaces the editor's track. ``before``: called where one is about to."""

    def __init__(self, desk: Desk, editor: PathEditor, before: Callable[[], None]) -> None:
        self.desk, self._editor, self._before = desk, editor, before

    def build(self) -> None:
        """A choice, its seconds and a button, in the current container."""
        px, skin = self.desk.skin.px, self.desk.skin
        skin.text("Preset")
        with dpg.group(horizontal=True):
            dpg.add_combo(list(PRESETS), default_value=next(iter(PRESETS)), width=px(150), tag="path_preset")
            skin.tip("path_preset", "Paths made from where the cameras of the clip were")
            dpg.add_input_double(label="s", width=px(48), step=0, format="%.4g", default_value=SECONDS,
                                 tag="path_preset_seconds")  # fmt: skip
            skin.tip("path_preset_seconds", "How long the path takes")
            dpg.add_button(label="Use", tag="path_preset_use", callback=lambda: self.use())
            skin.tip("path_preset_use", "Replace the path; Ctrl+Z brings it back")

    def use(self) -> None:
        """Replace the track by the preset that is chosen."""
        stage, name, seconds = self.desk.stage, dpg.get_value("path_preset"), dpg.get_value("path_preset_seconds")
        o, viewpoint = stage.opened, stage.viewpoint
        if o is None or viewpoint is None:
            return
        if not SHORTEST <= seconds <= LONGEST:
            raise InputError(f"Preset: it cannot take {seconds:g} s; give {SHORTEST:g} to {LONGEST:g}")
        present = View(viewpoint.camera, stage.time)
        track = PRESETS[name](Stage(o.shots, o.home, o.center, o.up, present), seconds)
        self._before()
        self._editor.apply(replace(track, fps=self._editor.track.fps), f"path {name}", selected=-1)
        self.desk.say(f"Path: {name}, {len(track.keyframes)} keyframes, {track.seconds:.1f} s")
