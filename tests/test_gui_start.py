"""The start panel and the card that says what a folder is, in the real window with real events."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from app.gui.start.panel import shortened
from renderer.files.ply import write_native_ply, write_still_ply
from renderer.files.still import still_at
from tests.gui_driver import App, Display, missing_tools
from tests.test_loading import write_llff
from tests.tiny import random_gaussians
from tests.xdnd import drop
from training.data.recognise import recognise

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]


@pytest.fixture
def start(display: Display, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Opens the window without a scene; ``recent``: the scenes that it remembers."""
    apps = []

    def opened(*recent: str) -> App:
        (tmp_path / "config").mkdir(exist_ok=True)
        settings = {"window": [0, 0, 1280, 800], "recent": recent}
        (tmp_path / "config" / "settings.json").write_text(json.dumps(settings))
        apps.append(App(display, tmp_path, "--splatting", "engine"))
        apps[-1].until(lambda s: s["start"]["shown"])
        return apps[-1]

    yield opened
    for app in apps:
        app.close()


def typed(app: App, tag: str, text: str) -> None:
    """Replace what is in a field, and press Enter."""
    app.enter(tag, text)


def clip(folder: Path) -> Path:
    """A clip that opens: one moving camera with its poses."""
    folder.mkdir()
    write_llff(folder)
    return folder


def test_a_folder_is_recognised_before_it_is_opened(start: Callable[..., App], tmp_path: Path) -> None:
    folder = clip(tmp_path / "garden")
    app = start()
    typed(app, "start_path", str(folder))
    said = app.until(lambda s: s["start"]["card"] and s["start"]["recognised"])["start"]
    found = recognise(folder)
    assert said["opens"] and said["recognised"] == found.what and found.what in said["said"]
    assert app.ask("value", tag="card_method") == found.method
    assert found.reason in app.ask("value", tag="card_reason")
    app.ask("set", tag="card_method", value="4dgs")
    app.click("card_open")
    opened = app.until(lambda s: s["open"])
    assert not opened["start"]["card"] and not opened["start"]["shown"] and not opened["running"]
    kept = json.loads((tmp_path / "config" / "settings.json").read_text())
    assert kept["recent"] == [str(folder)]


def test_what_cannot_be_opened_is_said_with_what_to_do(start: Callable[..., App], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    app = start()
    typed(app, "start_path", str(tmp_path / "empty"))
    said = app.until(lambda s: s["start"]["recognised"] and s["start"]["card"])["start"]
    assert not said["opens"]
    assert "poses_bounds.npy" in app.ask("value", tag="card_missing")
    app.frames(3)
    assert app.ask("rect", tag="card_open")[1] == [0, 0]  # never drawn
    app.key("t")  # keys are for the card
    assert app.state()["events"] == {}
    app.key("Escape")
    app.until(lambda s: not s["start"]["card"] and s["start"]["shown"])


def test_a_folder_that_is_dropped_is_looked_at(start: Callable[..., App], tmp_path: Path, display: Display) -> None:
    folder = clip(tmp_path / "a garden")
    app = start()
    drop(display.name, "dynview", [folder, tmp_path], app.frames)
    said = app.until(lambda s: s["start"]["recognised"])["start"]
    assert said["opens"] and app.ask("value", tag="card_path") == str(folder)
    assert any("2 that were dropped" in text for text in app.state()["log"])


def test_recent_scenes_say_what_they_are_and_can_be_taken_off(start: Callable[..., App], tmp_path: Path) -> None:
    folder, gone = clip(tmp_path / "garden"), tmp_path / "gone"
    app = start(str(gone), str(folder), "demo")
    recent = app.until(lambda s: len(s["start"]["recent"]) == 3)["start"]["recent"]
    assert [r["what"] for r in recent] == ["not there", recognise(folder).what, recognise("demo").what]
    app.frames(3)
    app.click("recent 0")  # is not there: nothing happens
    app.frames(5)
    assert not app.state()["start"]["card"]
    app.click("recent_remove 0")
    app.until(lambda s: [r["name"] for r in s["start"]["recent"]] == [str(folder), "demo"])
    app.frames(3)
    assert app.ask("label", tag="recent 0") == "garden"
    app.click("recent 0")
    app.until(lambda s: s["start"]["card"] and s["start"]["recognised"] == recognise(folder).what)
    app.click("card_cancel")
    app.until(lambda s: not s["start"]["card"])


def test_what_fails_to_open_is_said_where_it_was_chosen(start: Callable[..., App], tmp_path: Path) -> None:
    folder = clip(tmp_path / "garden")
    for picture in (folder / "images").iterdir():
        picture.write_bytes(b"not a picture")
    app = start()
    typed(app, "start_path", str(folder))
    assert app.until(lambda s: s["start"]["recognised"])["start"]["opens"]
    app.frames(6)
    app.click("card_open")
    state = app.until(lambda s: s["events"].get("Failed") and s["start"]["card"])
    assert state["start"]["shown"] and not state["open"]
    assert app.ask("value", tag="card_missing") == state["complaints"][-1]


def test_another_scene_replaces_the_one_that_is_open(start: Callable[..., App], tmp_path: Path) -> None:
    first, second = clip(tmp_path / "first"), clip(tmp_path / "second")
    app = start()
    for folder in (first, second):
        app.key("ctrl+o")
        app.until(lambda s: s["start"]["card"])
        app.frames(3)
        typed(app, "card_path", str(folder))
        app.until(lambda s: s["start"]["recognised"])
        app.frames(3)
        over = "saved first" in app.ask("value", tag="card_scene")
        assert over == (folder == second)
        app.ask("set", tag="card_method", value="4dgs")
        app.click("card_open")
        app.until(lambda s, n=folder: s["open"] and f"{n.name}: " in " ".join(s["log"]) and not s["start"]["opening"])
    kept = json.loads((tmp_path / "config" / "settings.json").read_text())
    assert kept["recent"] == [str(second), str(first)]


def test_opening_can_be_cancelled(start: Callable[..., App]) -> None:
    app = start()
    app.click("start demo")
    assert app.until(lambda s: s["start"]["opening"])["start"]["opening"] == "demo"
    app.until(lambda s: s["events"].get("Status"))
    app.click("opening_cancel")
    state = app.until(lambda s: not s["opening"])
    assert not state["open"] and state["complaints"] == [] and not state["start"]["card"]
    app.until(lambda s: s["start"]["shown"] and not s["start"]["opening"])


def test_long_paths_keep_their_end() -> None:
    path = "/home/somebody/recordings/2026/take-7"
    assert shortened(path, 100) == path
    assert len(shortened(path, 20)) <= 20 and shortened(path, 20).endswith("/take-7")


def film(path: Path, frames: int = 6) -> Path:
    """A video of a pattern that stands still."""
    rng = np.random.default_rng(1)
    picture = np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    iio.imwrite(path, np.stack([picture] * frames), plugin="FFMPEG", fps=10)
    return path


def test_cameras_of_a_dropped_video_are_looked_for_and_the_scene_is_offered(
    start: Callable[..., App], tmp_path: Path
) -> None:
    """One that stands still has none that could be found; they can be learned."""
    app = start()
    typed(app, "start_path", str(film(tmp_path / "still.mp4")))
    app.until(lambda s: s["start"]["card"] and s["start"]["recognised"] == "a video without a calibration")
    assert not app.state()["start"]["opens"]
    assert str(tmp_path / "still-scene") in app.ask("value", tag="card_prepared")
    app.frames(5)
    app.click("card_prepare")
    app.until(lambda s: s["start"]["preparing"])
    assert app.ask("label", tag="card_cancel") == "Cancel"
    state = app.until(lambda s: not s["start"]["preparing"] and s["start"]["opens"], timeout=240)
    assert state["start"]["recognised"] == "6 pictures without cameras"
    assert app.ask("value", tag="card_path") == str(tmp_path / "still-scene")
    assert state["complaints"] == []


def test_looking_for_cameras_can_be_cancelled_and_says_why_it_fails(start: Callable[..., App], tmp_path: Path) -> None:
    app = start()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    typed(app, "start_path", str(tmp_path / "broken.mp4"))
    app.until(lambda s: s["start"]["card"] and s["start"]["recognised"])
    app.frames(5)
    app.click("card_prepare")
    state = app.until(lambda s: not s["start"]["preparing"] and "broken.mp4" in s["start"]["missing"], timeout=120)
    assert state["start"]["said"] == "The cameras were not found."
    assert not (tmp_path / "broken-scene").exists()
    app.key("Escape")
    typed(app, "start_path", str(film(tmp_path / "long.mp4", 400)))
    app.until(lambda s: s["start"]["card"] and s["start"]["recognised"])
    app.frames(5)
    app.click("card_prepare")
    app.until(lambda s: s["start"]["preparing"])
    app.click("card_cancel")
    state = app.until(lambda s: not s["start"]["preparing"] and s["start"]["recognised"], timeout=120)
    assert state["start"]["card"] and state["start"]["recognised"] == "a video without a calibration"


@pytest.mark.parametrize("moves", [True, False])
def test_a_scene_file_is_looked_at(start: Callable[..., App], tmp_path: Path, display: Display, moves: bool) -> None:
    path, scene = tmp_path / "a garden.ply", replace(random_gaussians(150, seed=4), sh_level=0)
    if moves:
        write_native_ply(path, scene)
    else:
        write_still_ply(path, still_at(scene, 0.4))
    app = start()
    drop(display.name, "dynview", [path], app.frames)
    said = app.until(lambda s: s["start"]["recognised"] and s["start"]["card"])["start"]
    assert said["opens"] and "cannot be trained" in said["missing"]
    app.frames(4)
    assert app.ask("rect", tag="card_train")[1] == [0, 0]  # never drawn
    app.click("card_open")
    state = app.until(lambda s: s["open"] and s["events"].get("Drawn"))
    assert not state["complaints"] and not state["running"]
    app.frames(10)
    assert app.picture(tmp_path / "picture.png").std() > 5
    app.key("6")  # the error, which nobody knows here
    app.frames(3)
    assert app.ask("value", tag="mode") == "Colour"
    app.tab("Train")
    app.frames(3)
    assert "nothing to learn from" in app.ask("value", tag="train_no_clip")
    assert not app.ask("shown", tag="train_sections")
    app.key("Right")
    app.until(lambda s: s["time"] > 0 or not moves)
    app.tab("Rays")
    app.click("picture")
    app.until(lambda s: s["events"].get("PickedThroughTime"))
    app.frames(10)
    assert not app.state()["complaints"]
    app.key("t")
    state = app.until(lambda s: s["complaints"])
    assert "is a scene without its clip and cannot be trained" in state["complaints"][-1]
    assert json.loads((tmp_path / "config" / "settings.json").read_text())["recent"] == [str(path)]
