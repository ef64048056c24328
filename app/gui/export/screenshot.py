"""Screenshots: the picture of the viewport as a file that never takes the place of another one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.desk import Desk
from app.gui.export.kept import Kept
from app.gui.gl_thread import Drawing
from renderer.errors import InputError
from renderer.files.complete import complete_file
from renderer.picture import Picture
from renderer.shading import composed

Pixels = NDArray[np.uint8]
NOTHING = "Screenshot: there is no picture yet; open a clip or a run first"


class ScreenshotSection:
    """``last``: the newest file, empty for none."""

    def __init__(self, desk: Desk, kept: Kept) -> None:
        self._desk, self._kept = desk, kept
        self.last = ""

    def build(self) -> None:
        """The rows, in the current container."""
        desk, skin = self._desk, self._desk.skin
        with dpg.group(horizontal=True):
            dpg.add_button(label="Screenshot", tag="screenshot", callback=lambda: self.take())
            skin.tip("screenshot", "The picture as it is in the window, into pictures/ of the run (Ctrl+P)")
            dpg.add_button(label="Ray report ...", tag="ray_report", callback=lambda: self._report())
            skin.tip("ray_report", "The picked ray as a picture and as numbers, in the Rays panel")
        dpg.add_checkbox(label="plain, as large as the training pictures", tag="screenshot_plain",
                         default_value=self._kept.value("screenshot_plain", False))  # fmt: skip
        skin.tip("screenshot_plain", "Without marks, cameras and lines")
        skin.text("", tag="screenshot_line", wrap=0)
        desk.skin.tip("screenshot_line", "Screenshots are numbered; none takes the place of another one")

    def take(self) -> None:
        """Write what the viewport shows."""
        opened, shown = self._desk.stage.opened, self._desk.stage.shown
        if opened is None or shown is None:
            raise InputError(NOTHING)
        make = self._whole(shown)
        if dpg.get_value("screenshot_plain"):
            make = plain(shown.picture, opened.home.width, opened.home.height)
        folder, name = opened.run.absolute() / "pictures", re.sub(r"[^\w.-]", "_", opened.name) or "scene"
        self._desk.beside(lambda: write_numbered(make(), folder, name), self._written)

    def _whole(self, shown: Drawing) -> Callable[[], Pixels]:
        return lambda: shown.rgba[..., :3]

    def _written(self, path: Path) -> None:
        self.last = str(path)
        dpg.set_value("screenshot_line", f"The last one is {path}")
        self._desk.say(f"Screenshot: {path}")

    def _report(self) -> None:
        self._desk.show_tab("Rays")
        self._desk.run_action("rays.export")


def plain(picture: Picture, width: int, height: int) -> Callable[[], Pixels]:
    """What draws the picture at another size, without marks, lines and thumbnails."""
    bare = replace(
        picture, width=width, height=height, marks=(), right_marks=(), lines=None, thumbnails=()
    )  # fmt: skip
    return lambda: composed(bare)


def write_numbered(image: Pixels, folder: Path, name: str) -> Path:
    """Write (h, w, 3) as the next PNG of its name, NAME-0001.png and so on; its path. InputError when the disk does
    not take it."""
    pattern = re.compile(re.escape(name) + r"-(\d+)\.png")
    there = [found for path in folder.glob("*.png") if (found := pattern.fullmatch(path.name))]
    number = 1 + max((int(found[1]) for found in there), default=0)
    target = folder / f"{name}-{number:04d}.png"
    made, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    assert made, "a picture of bytes can be a PNG"
    with complete_file(target) as partial:
        partial.write_bytes(data.tobytes())
    return target
