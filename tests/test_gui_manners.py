"""Closing, minimising, keys, preferences and the log, in the real window with real events and a window manager."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.gui.help_sheet import divided
from tests.gui_driver import App, Display, missing_tools
from training.checkpoint import load_checkpoint

MISSING = [*missing_tools(), *(tool for tool in ("openbox", "wmctrl") if shutil.which(tool) is None)]
pytestmark = [pytest.mark.gui, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]
SMALL = ("demo", "--data.megapixels", "0.02", "--data.frame-step", "4", "--scene.points", "2000", "--steps", "5000")

PLAIN = """<openbox_config xmlns="http://openbox.org/3.4/rc"><applications><application class="*"><decor>no</decor>
</application></applications></openbox_config>"""
"""Windows without a frame: xdotool counts it twice when it says where a window is."""


@pytest.fixture(scope="module")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    """A screen with a window manager."""
    display = Display()
    file = tmp_path_factory.mktemp("openbox") / "rc.xml"
    file.write_text(PLAIN)
    environment = {**os.environ, "DISPLAY": display.name}
    manager = subprocess.Popen(["openbox", "--config-file", file], env=environment, stderr=subprocess.DEVNULL)
    yield display
    manager.terminate()
    manager.wait()
    display.close()


@pytest.fixture
def app(display: Display, tmp_path: Path) -> Iterator[App]:
    """A window with a small scene."""
    keep(tmp_path, window=[10, 30, 1300, 800])
    app = App(display, tmp_path, *SMALL, "--out", str(tmp_path / "run"), "--splatting", "engine")
    app.until(lambda s: s["settled"])
    yield app
    app.close()


@pytest.fixture
def bare(display: Display, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Opens a window without a scene, with what it is to remember."""
    apps = []

    def opened(**settings: object) -> App:
        keep(tmp_path, window=[10, 30, 1300, 800], **settings)
        apps.append(App(display, tmp_path, "--splatting", "engine"))
        apps[-1].until(lambda s: s["start"]["shown"])
        return apps[-1]

    yield opened
    for app in apps:
        app.close()


def keep(folder: Path, **settings: object) -> None:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "settings.json").write_text(json.dumps(settings))


def kept(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((folder / "config" / "settings.json").read_text())
    return settings


def by_manager(display: Display, *arguments: str) -> None:
    """What the window manager is told to do with the window."""
    subprocess.run(arguments, env={**os.environ, "DISPLAY": display.name}, check=True)


def close_by_manager(display: Display) -> None:
    by_manager(display, "wmctrl", "-c", "dynview")


def assert_closed(app: App) -> None:
    assert app.process.wait(90) == 0, app.log()
    assert "Traceback" not in app.log()


# --------------------------------------------------------------------------------------------- closing


def test_closing_while_training_asks_once_and_saves(app: App, display: Display, tmp_path: Path) -> None:
    app.key("t")
    app.until(lambda s: s["step"] >= 3 and s["running"])
    close_by_manager(display)
    app.until(lambda s: s["asking"])
    assert "saved first" in app.ask("value", tag="closing_text")
    app.key("Escape")
    state = app.until(lambda s: not s["asking"])
    assert state["running"] and not state["leaving"]
    close_by_manager(display)
    app.until(lambda s: s["asking"])
    app.frames(3)
    before = app.state()["step"]
    x, y = app.place("close_yes")
    subprocess.run(["xdotool", "mousemove", str(x), str(y), "click", "1"], env={**os.environ, "DISPLAY": display.name})
    assert_closed(app)
    assert load_checkpoint(tmp_path / "run").step >= before


def test_closing_during_an_export_asks_and_leaves_no_half_of_it(app: App, display: Display, tmp_path: Path) -> None:
    app.tab("Export")
    app.ask("set", tag="export_frames", value=5000)
    app.frames(10)
    (tmp_path / "videos").mkdir()
    app.ask("set", tag="export_file", value=str(tmp_path / "videos" / "long.mp4"))
    app.click("export")
    app.until(lambda s: s["export"]["done"] >= 2)
    close_by_manager(display)
    app.until(lambda s: s["asking"])
    assert "removes what is unfinished" in app.ask("value", tag="closing_text")
    app.frames(3)
    x, y = app.place("close_yes")
    app.xdotool("mousemove", str(x), str(y), "click", "1")
    assert_closed(app)
    assert list((tmp_path / "videos").iterdir()) == []


def test_closing_twice_without_an_answer_closes_and_saves(app: App, display: Display, tmp_path: Path) -> None:
    app.key("t")
    app.until(lambda s: s["step"] >= 3 and s["running"])
    close_by_manager(display)
    app.until(lambda s: s["asking"])
    close_by_manager(display)
    assert_closed(app)
    assert load_checkpoint(tmp_path / "run").step >= 3


def test_nothing_is_asked_when_training_has_paused(app: App, display: Display, tmp_path: Path) -> None:
    app.key("t")
    app.until(lambda s: s["step"] >= 2 and s["running"])
    app.key("t")
    step = app.until(lambda s: not s["running"])["step"]
    close_by_manager(display)
    assert_closed(app)
    assert load_checkpoint(tmp_path / "run").step == step


def windows_called(display: Display, title: str) -> list[str]:
    """Numbers of the windows whose title matches."""
    return subprocess.run(
        ["xdotool", "search", "--onlyvisible", "--name", title],
        env={**os.environ, "DISPLAY": display.name}, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip


def test_closing_the_scene_while_training_asks_and_leads_back_to_the_start(
    app: App, display: Display, tmp_path: Path
) -> None:
    assert windows_called(display, " - dynview$")
    app.key("t")
    app.until(lambda s: s["step"] >= 2 and s["running"])
    app.ask("action", name="file.close")
    app.until(lambda s: s["asking"])
    app.frames(3)
    app.click("close_yes")
    state = app.until(lambda s: s["start"]["shown"] and len(s["start"]["recent"]) == 2)
    run = tmp_path / "run"
    assert [r["name"] for r in state["start"]["recent"]] == [str(run), "demo"]
    assert f"step {load_checkpoint(run).step}" in state["start"]["recent"][0]["what"]
    assert app.process.poll() is None and not state["asking"]
    assert windows_called(display, "^dynview$") and not state["opening"]


def test_training_goes_on_while_the_window_is_minimised(app: App, display: Display) -> None:
    app.key("t")
    app.until(lambda s: s["running"] and s["step"] >= 2)
    window = windows_called(display, "dynview")[0]
    by_manager(display, "xdotool", "windowminimize", "--sync", window)
    step = app.state()["step"]
    for _ in range(600):
        if app.state()["step"] >= step + 5:
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert app.state()["step"] >= step + 5
    by_manager(display, "xdotool", "windowmap", window)
    by_manager(display, "xdotool", "windowactivate", "--sync", window)
    app.frames(3)  # it is drawn again
    app.click("train")
    app.until(lambda s: not s["running"])


# ------------------------------------------------------------------------------------------------ keys


def test_keys_are_changed_on_their_sheet_and_kept(bare: Callable[..., App], tmp_path: Path) -> None:
    app = bare()
    app.key("F1")
    app.until(lambda s: s["help"])
    app.frames(3)
    app.click("help_key file.open")
    app.until(lambda s: s["waiting_for_key"] == "file.open")
    app.key("n")  # free
    app.until(lambda s: not s["waiting_for_key"])
    app.until(lambda s: not s["start"]["card"] and kept(tmp_path)["keys"] == {"file.open": "N"})
    app.frames(3)
    assert app.ask("label", tag="help_key file.open") == "N"
    app.key("F1")
    app.until(lambda s: not s["help"])
    app.key("ctrl+o")
    app.frames(3)
    assert not app.state()["start"]["card"]
    app.key("n")
    app.until(lambda s: s["start"]["card"])
    app.key("Escape")
    app.until(lambda s: not s["start"]["card"])
    app.key("ctrl+z")
    app.until(lambda s: kept(tmp_path)["keys"] == {})
    app.key("ctrl+o")
    app.until(lambda s: s["start"]["card"])


def test_a_key_of_something_else_is_only_taken_with_a_yes(bare: Callable[..., App], tmp_path: Path) -> None:
    app = bare(keys={"rays.pin": "U"})
    app.key("F1")
    app.until(lambda s: s["help"])
    app.frames(3)
    app.click("help_key rays.row")
    app.key("Escape")
    assert app.until(lambda s: not s["waiting_for_key"])["help"]
    app.click("help_key rays.row")
    app.key("u")
    app.frames(3)
    assert "pin the ray" in app.ask("value", tag="help_line")
    assert kept(tmp_path)["keys"] == {"rays.pin": "U"}
    app.click("help_yes")
    app.until(lambda s: kept(tmp_path)["keys"] == {"rays.row": "U", "rays.pin": ""})
    app.frames(4)
    assert app.ask("label", tag="help_key rays.pin") == "-"
    app.click("help_reset rays.pin")
    app.until(lambda s: kept(tmp_path)["keys"] == {"rays.row": "U"})
    app.click("help_key fly.up")
    app.key("ctrl+u")
    app.frames(3)
    assert "held" in app.ask("value", tag="help_line")
    app.click("help_reset")
    app.until(lambda s: kept(tmp_path)["keys"] == {} and not s["waiting_for_key"])


def test_groups_share_columns_evenly_and_in_order() -> None:
    heights = [8, 9, 8, 8, 7, 4, 4, 5, 5, 7, 7]
    for columns in (1, 2, 3):
        parts = divided(heights, columns)
        assert [k for begin, end in parts for k in range(begin, end)] == list(range(len(heights)))
        assert len(parts) <= columns
        assert max(sum(heights[b:e]) for b, e in parts) <= sum(heights) / columns + max(heights)


# ------------------------------------------------------------------------------------------ preferences


def test_preferences_change_the_theme_at_once_and_are_kept(bare: Callable[..., App], tmp_path: Path) -> None:
    app = bare(theme="dark")
    dark = app.screenshot(tmp_path / "dark.png").mean()
    app.ask("action", name="edit.preferences")  # a menu does not say where it is
    app.until(lambda s: s["preferences"])
    app.frames(3)
    app.click("prefer_theme", 0.7)  # light is the one to the right
    app.until(lambda s: kept(tmp_path)["theme"] == "light")
    app.frames(4)
    assert app.screenshot(tmp_path / "light.png").mean() > dark + 60
    app.click("prefer_fly", 0.1)
    app.until(lambda s: kept(tmp_path)["fly_swapped"])
    assert app.ask("value", tag="prefer_path") == str(tmp_path / "config" / "settings.json")
    app.click("prefer_scale")
    app.frames(4)
    app.key("Escape")
    app.until(lambda s: not s["preferences"])


# --------------------------------------------------------------------------------------------- the log


def test_what_nobody_expected_is_a_sentence_with_details_behind_a_click(app: App) -> None:
    app.tab("Export")
    kind = app.ask("value", tag="gaussians_kind")
    app.ask("set", tag="gaussians_kind", value="a kind that is none")  # no person can choose it
    app.until(lambda s: s["complaints"])
    app.ask("set", tag="gaussians_kind", value=kind)
    app.frames(10)
    app.tab("Log")
    button, text = app.state()["details"]
    assert "This did not work" in app.state()["complaints"][-1]
    assert not app.ask("shown", tag=text)
    app.click(button)
    assert app.ask("shown", tag=text)
    assert "Traceback" in app.ask("value", tag=text) and "KeyError" in app.ask("value", tag=text)
    app.click(button)
    assert not app.ask("shown", tag=text)


def test_the_log_counts_what_was_not_read_shows_details_and_is_copied(app: App, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way of the run's folder")
    app.key("ctrl+s")
    state = app.until(lambda s: s["complaints"])
    problem = state["complaints"][0]
    assert app.until(lambda s: s["unread"])["unread"] == 1
    assert app.state()["log_title"] == ["Log", "red"]
    app.drag("splitter", (-120, 0))
    assert app.until(lambda s: s["log_title"] != ["Log", "red"])["log_title"] == ["Log (1)", "red"]
    app.frames(3)
    app.tab("Log")
    assert app.until(lambda s: s["unread"] == 0)["listed"] == state["log"]
    assert app.state()["log_title"] == ["Log", "text"]
    app.ask("set", tag="log_filter", value="errors")
    app.click("log_copy")
    app.until(lambda s: "clipboard" in s["log"][-1])
    app.key("ctrl+o")
    app.until(lambda s: s["start"]["card"])
    app.frames(3)
    app.focus("card_path")
    app.key("ctrl+v")
    pasted = app.ask("value", tag="card_path")
    assert problem in pasted and re.search(r"torch: \d", pasted) and "OpenGL: llvmpipe" in pasted
    app.key("Escape")
    app.until(lambda s: not s["start"]["card"])
    app.click("log_clear")
    app.until(lambda s: s["listed"] == [])
