"""Pictures of everything in the window, for documents and for whoever looks whether it still looks right.

A script that the main loop advances by a step per frame: it opens the demo scene, trains it a little, shows one thing
after another in both themes, and writes a PNG of the window for each.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk, Source
from app.gui.stage import Drawn, Pressed
from app.looks import COLOR, DEPTH, DISTORTION, MODES, RAYS
from app.settings import THEMES
from renderer.errors import InputError
from training.config import PRESETS, TrainConfig

STEPS, TRAINED = 2000, 700
PATIENCE = 600.0
"""Seconds that anything may take."""
FRAMES = 5
"""Frames until what was changed is in the picture that Dear PyGui gives out."""


class Toured(Protocol):
    """What the script needs of a window."""

    desk: Desk

    def state(self) -> dict[str, Any]: ...

    def show_tab(self, title: str) -> None: ...

    def open_scene(self, source: Source) -> None: ...

    def run_action(self, name: str) -> None: ...


def tour(window: Toured, folder: Path) -> Iterator[None]:
    """Write the pictures into ``folder``. TimeoutError where something does not come."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"{folder}: cannot be made ({problem.strerror}); choose another folder") from None
    yield from _rest(20)
    for theme in THEMES:
        yield from _themed(window, theme)
        yield from _shot(folder / f"{theme}-start.png")
    with tempfile.TemporaryDirectory() as place:
        window.open_scene(Source("demo", _config(), Path(place) / "run"))
        yield from _until(lambda: bool(window.state()["open"]))
        window.desk.send(p.Train(until=TRAINED))
        yield from _until(lambda: window.state()["step"] >= TRAINED and not window.state()["running"])
        window.desk.send(p.Save())
        window.desk.send(p.Evaluate())
        yield from _prepare(window)
        for theme in THEMES:
            yield from _themed(window, theme)
            yield from _modes(window, folder, theme)
            yield from _panels(window, folder, theme)
            yield from _sheets(window, folder, theme)
        window.desk.close_scene()
        yield from _until(lambda: not window.state()["open"])


def _config() -> TrainConfig:
    """A small run that has everything there is to show."""
    base = PRESETS["sparsecam4d"]
    data, scene = replace(base.data, megapixels=0.05, frame_step=2), replace(base.scene, points=9000)
    return replace(base, steps=STEPS, data=data, scene=scene)


def _prepare(window: Toured) -> Iterator[None]:
    """Rays, a row, a path and the distortion, so that no panel is empty."""
    desk, stage = window.desk, window.desk.stage
    stage.set_time(0.5)
    yield from _settled(window)
    for place, pinned in (((0.42, 0.45), True), ((0.62, 0.6), False)):
        _click(desk, place)
        yield from _until(lambda: "ray" in window.state())
        yield from _rest(60)
        if pinned:
            window.run_action("rays.pin")
    view = stage.frames["left"].view
    row, width = 0.55 * view.camera.height, view.camera.width
    stage.lines.append(Drawn(view, (4, row), (width - 4, row)))
    for turn in (-0.25, 0.0, 0.25):
        stage.go_home()
        if stage.viewpoint is not None:
            stage.move(stage.viewpoint.orbited(turn, 0.3 * abs(turn)))
        stage.set_time(0.5 + turn)
        window.run_action("path.add")
    stage.go_home()
    stage.set_time(0.5)
    window.show_tab("Distortion")
    yield from _rest(3)
    window.run_action("distortion.measure")
    window.run_action("distortion.slice")
    yield from _until(lambda: bool(window.state()["distortion"]["complete"]))
    yield from _until(lambda: bool(window.state()["distortion"]["slice"]))
    yield from _settled(window)


def _modes(window: Toured, folder: Path, theme: str) -> Iterator[None]:
    """Every mode, and two split views."""
    stage = window.desk.stage
    window.show_tab("Train")
    window.run_action("camera.next")  # at a camera of the clip the error is known
    for name in MODES:
        stage.set_display(mode=name)
        yield from _settled(window)
        yield from _shot(folder / f"{theme}-mode-{_plain(name)}.png")
    stage.set_display(mode=COLOR)
    stage.set_split(kind="input")
    yield from _settled(window)
    yield from _shot(folder / f"{theme}-split-input.png")
    stage.set_split(kind="mode", mode=DEPTH)
    window.run_action("view.frusta")
    window.run_action("camera.home")
    if stage.viewpoint is not None:
        stage.move(stage.viewpoint.dollied(1.5).orbited(0.4, 0.15))
    yield from _until(lambda: bool(stage.thumbnails))
    yield from _settled(window)
    yield from _shot(folder / f"{theme}-split-cameras.png")
    window.run_action("view.frusta")
    stage.set_split(kind="off")
    window.run_action("camera.home")


def _panels(window: Toured, folder: Path, theme: str) -> Iterator[None]:
    """Every panel, each with the mode that goes with it."""
    stage = window.desk.stage
    for title, mode in (
        ("Train", COLOR), ("Rays", RAYS), ("Distortion", DISTORTION), ("Path", COLOR), ("Export", COLOR),
        ("Log", COLOR),
    ):  # fmt: skip
        window.show_tab(title)
        stage.set_display(mode=mode)
        if title == "Path" and stage.viewpoint is not None:  # from beside, so that the path is seen
            stage.move(stage.viewpoint.dollied(1.7).orbited(0.5, 0.25))
        yield from _settled(window)
        yield from _rest(30)
        yield from _shot(folder / f"{theme}-panel-{_plain(title)}.png")
        stage.go_home()
    stage.set_display(mode=COLOR)


def _sheets(window: Toured, folder: Path, theme: str) -> Iterator[None]:
    """What comes up over everything."""
    for action, name in (("help", "keys"), ("edit.preferences", "preferences"), ("file.open", "open")):
        window.run_action(action)
        yield from _rest(10)
        yield from _shot(folder / f"{theme}-{name}.png")
        if action == "file.open":
            window.run_action("edit.cancel")
        else:
            window.run_action(action)
        yield from _rest(3)


# ------------------------------------------------------------------------------------------------ steps


def _click(desk: Desk, place: tuple[float, float]) -> None:
    view = desk.stage.frames["left"].view
    pixel = (int(place[0] * view.camera.width), int(place[1] * view.camera.height))
    desk.stage.clicks.append(Pressed(p.Look(view), pixel))


def _themed(window: Toured, theme: str) -> Iterator[None]:
    if window.desk.skin.theme != theme:
        window.run_action("view.theme")
    yield from _rest(FRAMES)


def _settled(window: Toured) -> Iterator[None]:
    yield from _rest(2)
    yield from _until(lambda: bool(window.state()["settled"]))
    yield from _rest(FRAMES)


def _shot(path: Path) -> Iterator[None]:
    """The window as it is; what was there under the name is replaced."""
    path.unlink(missing_ok=True)
    yield from _rest(FRAMES)
    dpg.output_frame_buffer(str(path))
    yield from _until(lambda: path.exists() and path.stat().st_size > 0)
    yield from _rest(2)


def _rest(frames: int) -> Iterator[None]:
    for _ in range(frames):
        yield


def _until(accept: Callable[[], bool]) -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE
    while not accept():
        if time.monotonic() > deadline:
            raise TimeoutError("the pictures could not be made: something did not come")
        yield


def _plain(name: str) -> str:
    """A name for a file: "Distortion (STDF)" is distortion-stdf."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
