"""The camera path: keyframes from the viewport, their timing, a preview in the scene, and playing along it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel
from app.gui.path.editor import PathEditor
from app.gui.path.files import PathFiles
from app.gui.path.lines import at_eye, path_lines
from app.gui.path.player import PathPlayer
from app.gui.path.presets import PathPresets
from app.gui.path.table import PathTable
from app.gui.scenery import FRUSTUM_SHARE, typical_depth
from app.track_edits import lasting, with_fps
from renderer.tracks import Keyframe

DRAWN = "path"
"""Its lines among :attr:`app.gui.stage.Stage.drawn`."""
FIRST = "No keyframes yet. K adds the view on the screen, at its time, as a keyframe; or choose a preset."
SELECT = "Select a keyframe first: click its number in the table"
PICK = "Click a pixel in the picture first; keyframes can then look at its point"


class PathPanel(Panel):
    """Edits, shows and plays the stage's track."""

    title = "Path"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._editor = PathEditor(desk.stage, desk.history)
        self._player = PathPlayer(desk.stage)
        self._table = PathTable(desk.skin, self._toggle_selected, self._editor.select, self._edit)
        self._presets = PathPresets(desk, self._editor, self._rewind)
        self._files = PathFiles(desk, self._editor)
        self._path_shown = True
        self._aimed: object = None
        self._mirrored: object = None
        self._looked: object = None  # on what it depends how the path is drawn
        self._drawn: object = None

    # ------------------------------------------------------------------------------------------- widgets

    def build(self) -> None:
        """The panel, in the current container."""
        self.desk.skin.text(FIRST, tag="path_first", wrap=0)
        self._build_buttons()
        with dpg.group(tag="path_some", show=False):
            self._table.build()
            self._build_player()
            self._build_whole()
        dpg.add_separator()
        self._presets.build()
        dpg.add_separator()
        self._files.build()

    def _build_buttons(self) -> None:
        def button(name: str, label: str, tip: str, callback: Callable[[], object], **options: Any) -> None:
            dpg.add_button(label=label, tag=f"path_{name}", callback=lambda: callback(), **options)
            self.desk.skin.tip(f"path_{name}", tip)

        editor = self._editor
        with dpg.group(horizontal=True):
            button("add", "Add view", "The view on the screen, at its time, as a keyframe after the selected one, else "
                   "at the end (K)", self.add)  # fmt: skip
            self.desk.skin.primary("path_add")
            with dpg.group(horizontal=True, tag="path_view_buttons"):
                button("go", "Go to", "Show the selected keyframe", self._go)
                button("update", "Update", "The view on the screen, at its time, in the place of the selected keyframe",
                       lambda: self._needs_selection(editor.update))  # fmt: skip
        with dpg.group(horizontal=True, tag="path_order_buttons"):
            button("duplicate", "Duplicate", "The selected keyframe once more",
                   lambda: self._needs_selection(editor.duplicate))  # fmt: skip
            button("remove", "Remove", "Take the selected keyframe away (Delete)", self.remove)
            button("up", "", "Earlier on the path", lambda: self._needs_selection(lambda: editor.move(-1)),
                   arrow=True, direction=dpg.mvDir_Up)  # fmt: skip
            button("down", "", "Later on the path", lambda: self._needs_selection(lambda: editor.move(1)),
                   arrow=True, direction=dpg.mvDir_Down)  # fmt: skip
        with dpg.group(horizontal=True, tag="path_aim_row"):
            dpg.add_checkbox(label="look at picked point", tag="path_follow",
                             callback=lambda s, on: self._set_follow(on))  # fmt: skip
            self.desk.skin.tip("path_follow", "All keyframes look at the point that was picked last, and so do those "
                               "that are added. They stay where they are")  # fmt: skip
            button("aim", "Aim", "Turn the selected keyframe, or all where none is selected, to the picked point",
                   self._aim)  # fmt: skip

    def _build_player(self) -> None:
        px = self.desk.skin.px
        with dpg.group(horizontal=True):
            dpg.add_button(label="Play", width=px(58), tag="path_play", callback=lambda: self.toggle())
            self.desk.skin.tip("path_play", "Fly along the path, while time goes as its keyframes say (Shift+Space)")
            dpg.add_slider_float(tag="path_scrub", width=-1, max_value=1, format="%.2f s", clamped=True,
                                 callback=lambda s, seconds: self._player.seek(seconds))  # fmt: skip

    def _build_whole(self) -> None:
        px, skin = self.desk.skin.px, self.desk.skin
        with dpg.group(horizontal=True):
            dpg.add_input_double(label="seconds", width=px(64), step=0, format="%.2f", tag="path_total")
            skin.tip("path_total", "Of the whole path; transitions become longer or shorter alike")
            dpg.add_input_double(label="fps", width=px(56), step=0, format="%.4g", tag="path_fps")
            skin.tip("path_fps", "Frames per second of a video along the path")
        with dpg.group(horizontal=True):
            dpg.add_slider_float(label="smoothness", width=px(130), max_value=1, format="%.2f", tag="path_smoothness",
                                 clamped=True, callback=lambda s, value: self._set(smoothness=value))  # fmt: skip
            skin.tip("path_smoothness", "1: the camera runs along a curve; 0: straight, with a rest at each keyframe")
        with dpg.group(horizontal=True):
            dpg.add_checkbox(label="closed", tag="path_closed", callback=lambda s, on: self._set(closed=on))
            skin.tip("path_closed", "After the last keyframe comes the first one again, and it is played in a loop")
            dpg.add_checkbox(label="show path", tag="path_show", default_value=True,
                             callback=lambda s, on: self._show_path(on))  # fmt: skip
            skin.tip("path_show", "Draw the way and its keyframes into the picture, but not while you fly along it")
        skin.text("", tag="path_frames")
        with dpg.item_handler_registry(tag="path_whole_handlers"):
            dpg.add_item_deactivated_after_edit_handler(callback=lambda s, item: self._set_whole(item))
        for tag in ("path_total", "path_fps"):
            dpg.bind_item_handler_registry(tag, "path_whole_handlers")

    # --------------------------------------------------------------------------------------------- edits

    def add(self) -> None:
        """The present view as a keyframe."""
        if self._editor.add():
            self.desk.say(f"Keyframe {self._editor.selected + 1} of {len(self._editor.track.keyframes)} is added")

    def remove(self) -> None:
        """Take the selected keyframe away."""
        if not self._editor.remove():
            self.desk.say(SELECT)

    def _rewind(self) -> None:
        """Stop, and begin at the beginning next time."""
        self._player.stop()
        self._player.seconds = 0.0

    def _toggle_selected(self, i: int) -> None:
        """Select a keyframe; its number clicked once more, none."""
        self._editor.select(-1 if i == self._editor.selected else i)

    def _edit(self, i: int, change: Callable[[Keyframe], Keyframe], what: str) -> None:
        self._mirrored = None
        self._editor.edit(i, change, what)

    def _set(self, **values: object) -> None:
        """Change the whole track."""
        self._editor.apply(replace(self._editor.track, **values), f"{next(iter(values))} of the path")  # type: ignore[arg-type]

    def _set_whole(self, item: str) -> None:
        self._mirrored = None  # a value that is refused gives way to the one that holds
        value, track = dpg.get_value(item), self._editor.track
        if item == "path_total":
            self._editor.apply(lasting(track, value), "seconds of the path")
        else:
            self._editor.apply(with_fps(track, value), "frames per second of the path")

    def _set_follow(self, on: bool) -> None:
        if on and self._editor.point is None:
            dpg.set_value("path_follow", False)
            self.desk.say(PICK)
            return
        self._editor.follow, self._aimed = on, None

    def _aim(self) -> None:
        if not self._editor.aim():
            self.desk.say(PICK)

    def _needs_selection(self, job: Callable[[], object]) -> None:
        if self._editor.selected < 0:
            self.desk.say(SELECT)
        else:
            job()

    # -------------------------------------------------------------------------------------- seeing it

    def toggle(self) -> None:
        """Play or stop."""
        if self._player.playing:
            self._player.stop()
        elif not self._player.play(time.monotonic()):
            self.desk.say("A path is played from two keyframes on; K adds the view on the screen")

    def _go(self) -> None:
        keyframe = self._editor.keyframe
        if keyframe is None:
            self.desk.say(SELECT)
            return
        self._player.visit(self._editor.selected)

    def _show_path(self, on: bool) -> None:
        self._path_shown = on

    # ------------------------------------------------------------------------------------ once per frame

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        if isinstance(event, p.Opened):
            self._files.opened(event)

    def closed(self) -> None:
        """The scene was closed: forget it."""
        self._editor.forget()
        self._player.forget()
        self._files.closed()
        self._aimed = self._looked = self._drawn = None
        dpg.set_value("path_follow", False)

    def tick(self, now: float) -> None:
        """Fly on, aim at what was picked anew, and show what has changed."""
        self._player.tick(now)
        self._follow()
        self._mirror()
        self._draw()

    def _follow(self) -> None:
        if not self._editor.follow:
            return
        point = self._editor.point
        place = None if point is None else tuple(point)
        if place is not None and place != self._aimed:
            self._aimed = place
            self._editor.aim_all()

    def _mirror(self) -> None:
        """Widgets follow the state; they are only touched where it has changed."""
        editor, player, track = self._editor, self._player, self._editor.track
        now = (editor.version, player.playing, player.seconds, self.desk.skin.theme)
        if now == self._mirrored:
            return
        if self._mirrored is None or now[0] != self._mirrored[0] or now[3] != self._mirrored[3]:  # type: ignore[index]
            self._show_track()
        ready = self._table.show(track, editor.selected)
        dpg.set_item_label("path_play", "Stop" if player.playing else "Play")
        dpg.set_value("path_scrub", player.seconds)
        self._mirrored = now if ready else None

    def _show_track(self) -> None:
        track = self._editor.track
        some = bool(track.keyframes)
        for tag in ("path_some", "path_view_buttons", "path_order_buttons", "path_aim_row"):
            dpg.configure_item(tag, show=some)
        dpg.configure_item("path_first", show=not some)
        self._player.seconds = min(self._player.seconds, track.seconds)
        dpg.configure_item("path_scrub", max_value=max(track.seconds, 1e-3))
        for tag, value in (
            ("path_total", track.seconds), ("path_fps", track.fps), ("path_smoothness", track.smoothness),
            ("path_closed", track.closed),
        ):  # fmt: skip
            dpg.set_value(tag, value)
        count = len(track.keyframes)
        dpg.set_value("path_frames", f"{count} keyframe{'s' * (count != 1)}, {track.frame_count:,} frames of a video")

    def _draw(self) -> None:
        """The path among the lines in the scene."""
        stage, editor = self.desk.stage, self._editor
        o, view, track = stage.opened, stage.viewpoint, editor.track
        there = self._path_shown and bool(track.keyframes) and not self._player.riding
        looked = (there, editor.version, view)
        if looked == self._looked:
            return
        self._looked = looked
        wanted: object = None
        if o is not None and view is not None and there:
            size = FRUSTUM_SHARE * typical_depth(o)
            hidden = at_eye(track, editor.selected, size, view.camera.center)
            wanted = (editor.version, size, hidden)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        if wanted is None:
            stage.drawn.pop(DRAWN, None)
        else:
            stage.drawn[DRAWN] = path_lines(track, editor.selected, size, hidden)
        stage.version += 1

    # -------------------------------------------------------------------------------------------- actions

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"path.add": self.add, "path.remove": self.remove, "path.play": self.toggle}

    def catches(self, chord: str) -> bool:
        """While it is asked whether a file may be replaced, keys are for that."""
        return self._files.question.catches(chord)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        track = self._editor.track
        return {
            "path": {
                "keyframes": len(track.keyframes),
                "selected": self._editor.selected,
                "seconds": track.seconds,
                "playing": self._player.playing,
                "at": self._player.seconds,
                "times": [k.time for k in track.keyframes],
                "cameras": [
                    {"eye": k.camera.center.tolist(), "axis": k.camera.world_to_camera[2, :3].tolist()}
                    for k in track.keyframes
                ],
                "shown": DRAWN in self.desk.stage.drawn,
                "asking": self._files.question.open,
            }
        }
