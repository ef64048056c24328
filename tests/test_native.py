"""The way to Dear PyGui's own window and OpenGL, and the pictures written through it, in real windows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.gui_driver import ROOT, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"{', '.join(missing_tools())} missing: make test installs them"),
]
Scene = Callable[..., Any]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """What a scene of tests/native_window.py says, from a process of its own."""
    display = Display()
    environment = {**os.environ, "DISPLAY": display.name, "PYTHONFAULTHANDLER": "1"}
    environment.pop("WAYLAND_DISPLAY", None)

    def play(name: str, managed: bool = False) -> Any:
        command = [sys.executable, "-m", "tests.native_window", name]
        manager = None
        if managed:
            manager = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
            wait_for_manager(environment)
        try:
            done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
        finally:
            if manager is not None:
                manager.terminate()
                manager.wait()
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
        return json.loads(done.stdout)

    yield play
    display.close()


def wait_for_manager(environment: dict[str, str]) -> None:
    end = time.monotonic() + 10
    while subprocess.run(["wmctrl", "-m"], env=environment, capture_output=True).returncode:
        assert time.monotonic() < end, "no window manager"
        time.sleep(0.02)


needs_manager = pytest.mark.skipif(
    shutil.which("openbox") is None or shutil.which("wmctrl") is None, reason="openbox or wmctrl missing"
)


def test_the_window_is_reached_once_it_is_shown_and_on_its_thread_only(scene: Scene) -> None:
    said = scene("window")
    assert said["before"] == [False, None, False, False, False, False, None]
    assert said["after"] == [True, False]
    assert said["scale"] == 1.0
    assert said["taken"] and said["dropped"] == [said["paths"]]
    assert said["other"] == [False, None]


def test_without_the_functions_everything_has_a_plain_answer(scene: Scene) -> None:
    said = scene("missing")
    assert said["answers"] == [[False, None, False, False, False, False, None, False, None]] * 2
    assert said["waited"] >= 0.04
    assert (said["fast"], said["error"]) == (False, 0) and said["late"] <= 10


def test_the_screens_scale_is_read(scene: Scene) -> None:
    assert scene("scaled") == 1.5


def test_a_wait_ends_with_its_time_or_when_another_thread_says_so(scene: Scene) -> None:
    whole, told = scene("waiting")
    assert 0.14 <= whole < 1
    assert 0.03 <= told < 1


@needs_manager
def test_a_minimised_window_is_known_and_waiting_does_not_block(scene: Scene) -> None:
    said = scene("minimised", managed=True)
    assert said["states"] == [False, True, False]
    assert said["waited"] < 0.5


@needs_manager
def test_the_windows_close_button_can_ask_first(scene: Scene) -> None:
    assert scene("closing", managed=True) == {"asked": 1, "running": [True]}


def test_bytes_come_out_as_they_went_in_and_nothing_is_left_bound(scene: Scene) -> None:
    said = scene("colours")
    assert said["errors"] == [0] * 6
    assert said["kept"] == [True] * 5 and said["gl"] == 0
    assert said["late"] <= 2 and said["uv"] == [1, 1]


def test_what_is_no_picture_is_refused(scene: Scene) -> None:
    said = scene("refused")
    assert len(said) == 4 and "40000x2" in said[3]


def test_the_edge_of_an_enlarged_picture_is_its_own(scene: Scene) -> None:
    said = scene("edges")
    assert said["bytes"] == said["floats"] == [0, 0, 255, 255]
    assert said["smooth"] > 5 and said["sharp"] == 2


def test_pictures_keep_apart(scene: Scene) -> None:
    said = scene("many")
    assert said["error"] == 0
    assert said["names"][0] != said["names"][1]
    assert said["alive"] == [1, 1]


def test_keys_have_their_names_when_they_are_really_pressed(scene: Scene) -> None:
    said = scene("keys")
    expected = {
        "space": "Space", "bracketleft": "[", "bracketright": "]", "comma": ",", "period": ".", "slash": "/",
        "backslash": "\\", "minus": "-", "equal": "=", "semicolon": ";", "apostrophe": "'", "grave": "`",
        "Page_Up": "PageUp", "Page_Down": "PageDown", "Return": "Enter", "BackSpace": "Backspace", "Escape": "Escape",
        "Home": "Home", "Left": "Left", "a": "A", "7": "7", "F1": "F1", "F12": "F12", "KP_Enter": "Enter",
        "ctrl+shift+z": "Ctrl+Shift+Z", "shift+t": "Shift+T", "alt+w": "Alt+W", "question": "Shift+/",
        "ctrl+plus": "Ctrl+Shift+=",
    }  # fmt: skip
    assert said["pressed"] == {name: [text] for name, text in expected.items()}
    assert said["nothing"] == [] and said["none"] is None
    assert said["held"] == [True, False, False]


def test_the_built_in_file_dialog_answers_asks_and_cancels(scene: Scene) -> None:
    assert scene("dialogs") == {
        "folder": [".", False], "cancel": [False], "file": ["a.ply", False], "no file": [True],
        "new": ["new.ply", False], "named": ["new.ply", False], "kept": [False], "replaced": ["a.ply", False],
    }  # fmt: skip


def test_without_a_program_that_works_the_built_in_dialog_opens(scene: Scene) -> None:
    assert scene("programs") == ["Folder", "Folder", "Replace?"]
