"""The timeline of the real window, with real mouse and keyboard events, while training goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.gui_driver import SMALL, App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("timeline")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[App]:
    """A window that trains, for all tests here."""
    display = Display()
    try:
        app = App(display, folder, *SMALL[:-1], "100000", "--train", "--out", str(folder / "run"))
        app.until(lambda s: s["settled"] and s["step"] > 0, timeout=120)
        yield app
        app.close()
    finally:
        display.close()


@pytest.fixture
def app(shared: App) -> Iterator[App]:
    """At the first frame, paused, in a loop, as fast as filmed; training must have gone on in the meantime."""
    app = shared
    app.mouse("mousemove", *app.place("picture"))
    app.key("Home")
    while app.state()["loop_mode"] != "loop":
        app.key("l")
    before = app.until(lambda s: s["time"] == 0 and not s["playing"])["step"]
    yield app
    app.until(lambda s: s["running"] and s["step"] > before)
    assert app.state()["complaints"] == []


def choose_speed(app: App, row: int) -> None:
    """From the list that a click opens above the button, counted from below."""
    x, y = app.place("speed", 0.4, 0.0)
    app.click("speed")
    app.mouse("mousemove", x, y - 8 - 22 * row)
    app.mouse("click", 1)


def strip(app: App, path: Path) -> NDArray[np.int64]:
    """What the strip looks like, without the mouse over it."""
    app.mouse("mousemove", *app.place("picture", 0.5, 0.1))
    x, y = app.place("time", 0, 0)
    _, (w, h) = app.ask("rect", tag="time")
    return app.screenshot(path)[y : y + int(h), x : x + int(w)].astype(np.int64)


def columns(picture: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns of pixels that are the bright line of the present moment from top to bottom."""
    return np.flatnonzero(picture[4:-4].min(axis=(0, 2)) > 190)


def test_dragging_scrubs_to_between_frames_and_the_line_follows(app: App, tmp_path: Path) -> None:
    last = app.state()["frames"] - 1
    app.mouse("mousemove", *app.place("time", 0.2))
    app.mouse("mousedown", 1)
    seen = [app.until(lambda s: s["time"] > 0.1)["time"]]
    for share in (0.37, 0.53, 0.71):
        app.mouse("mousemove", *app.place("time", share))
        seen.append(app.until(lambda s, t=seen[-1]: s["time"] > t + 0.05)["time"])
    np.testing.assert_allclose(seen, [0.2, 0.37, 0.53, 0.71], atol=0.02)
    app.mouse("mouseup", 1)
    assert abs(seen[-1] * last - round(seen[-1] * last)) > 0.1  # between two frames
    app.mouse("mousemove", *app.place("picture"))
    assert app.state()["time"] == seen[-1]
    (_, _), (width, _) = app.ask("rect", tag="time")
    found = columns(strip(app, tmp_path / "a.png"))
    assert abs(found.mean() - 0.71 * width) < 3
    app.until(lambda s: s["frame"]["time"] == seen[-1])


def test_keys_step_by_frames_and_go_to_both_ends(app: App) -> None:
    count = app.state()["frames"]
    for key, frame in (("Right", 1), ("period", 2), ("Left", 1), ("comma", 0), ("Left", count - 1), ("Right", 0),
                       ("End", count - 1), ("Home", 0)):  # fmt: skip
        app.key(key)
        state = app.until(lambda s, f=frame: s["frame_number"] == f)
        assert state["time"] == pytest.approx(frame / (count - 1))
    assert "frame 1 of" in app.ask("value", tag="time_text")


def test_playing_follows_the_clock_on_the_wall_around_a_loop(app: App) -> None:
    app.click("play")
    first, at = app.until(lambda s: s["playing"] and s["time"] > 0), time.monotonic()
    assert app.ask("label", tag="play") == "Pause"
    values = [first["time"]]
    while time.monotonic() < at + 2.0:
        values.append(app.state()["time"])
        app.frames(1)
    count = first["frames"]
    lap = count / 12  # seconds: the demo is filmed at 12 frames per second
    laps = sum(later < earlier for earlier, later in pairwise(values))
    assert laps == pytest.approx(2.0 / lap, abs=1.5)
    app.key("space")
    app.until(lambda s: not s["playing"])


def test_speed_slows_time_down(app: App) -> None:
    choose_speed(app, 8)
    app.until(lambda s: s["speed"] == 0.1)
    app.key("space")
    first, at = app.until(lambda s: s["playing"] and s["time"] > 0)["time"], time.monotonic()
    app.frames(8)
    last, seconds = app.state()["time"], time.monotonic() - at
    app.key("space")
    choose_speed(app, 4)
    app.until(lambda s: s["speed"] == 1.0)
    assert last - first == pytest.approx(0.1 * seconds / (5 / 12), rel=0.3, abs=0.06)


def test_ping_pong_comes_back_and_once_stops(app: App, folder: Path) -> None:
    app.key("l")
    app.until(lambda s: s["loop_mode"] == "ping-pong")
    app.key("space")
    values: list[float] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        values.append(app.state()["time"])
        app.frames(1)
        falls = [a - b for a, b in pairwise(values)]
        if sum(fall > 0 for fall in falls) > 3 and values[-1] > values[-2]:
            break
    assert max(falls) < 0.7  # it never jumps back to the beginning
    assert sum(fall > 0 for fall in falls) > 3
    app.click("loop")
    app.until(lambda s: s["loop_mode"] == "once")
    state = app.until(lambda s: not s["playing"])
    assert state["time"] == 1.0
    assert app.ask("label", tag="play") == "Play"
    deadline = time.monotonic() + 10
    while json.loads((folder / "config" / "settings.json").read_text())["loop_mode"] != "once":
        assert time.monotonic() < deadline
        app.frames(1)


def test_marks_motion_and_error_are_drawn_and_worst_goes_to_the_largest_error(app: App, tmp_path: Path) -> None:
    state = app.until(lambda s: s["energies"] == s["frames"] - 1 and s["errors"] == s["frames"], timeout=120)
    app.frames(20)
    picture = strip(app, tmp_path / "a.png")
    orange, blue = picture[..., 0] - picture[..., 2] > 60, picture[..., 2] - picture[..., 0] > 60
    assert orange[6:-6].any(axis=0).mean() > 0.9  # a line from end to end
    assert blue[-6:].any(axis=0).sum() >= state["frames"]
    app.click("worst")
    app.mouse("mousemove", *app.place("picture", 0.5, 0.1))
    said = app.until(lambda s: "largest error" in s["log"][-1])
    frame = int(said["log"][-1].split()[1]) - 1
    assert said["frame_number"] == frame
    assert said["time"] == pytest.approx(frame / (said["frames"] - 1))
    assert "% of full intensity" in said["log"][-1]
    picture = strip(app, tmp_path / "b.png")
    line = columns(picture).mean()
    # the round mark of the largest error is where the line of the present moment is, unless the next error came already
    if app.state()["worst"] == frame:
        (_, _), (width, _) = app.ask("rect", tag="time")
        assert abs(line - (9 + frame / (said["frames"] - 1) * (width - 18))) < 3


def test_snapping_stays_on_frames(app: App) -> None:
    app.click("snap", dx=0.2)
    app.click("time", 0.33)
    last = app.state()["frames"] - 1
    state = app.until(lambda s: s["time"] > 0)
    assert state["time"] == pytest.approx(round(0.33 * last) / last)
    app.click("snap", dx=0.2)
    app.click("time", 0.33)
    app.until(lambda s: s["time"] == pytest.approx(0.33, abs=0.02))


def test_the_mouse_over_the_strip_tells_of_the_frame(app: App) -> None:
    app.until(lambda s: s["errors"] == s["frames"], timeout=120)
    app.mouse("mousemove", *app.place("time", 0.99))
    app.frames(4)
    count = app.state()["frames"]
    assert app.ask("value", tag="tip_frame").startswith(f"Frame {count} of {count}, ")
    assert "% of full intensity" in app.ask("value", tag="tip_energy")
    assert "% of full intensity, step" in app.ask("value", tag="tip_error")
    assert app.state()["time"] == 0
