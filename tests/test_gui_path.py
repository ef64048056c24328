"""The camera path panel in the real window, with real mouse and keyboard events."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from renderer.tracks import load_track
from tests.gui_driver import SMALL, App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]


@pytest.fixture(scope="module")
def window(display: Display, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One window for all tests here."""
    folder = tmp_path_factory.mktemp("window")
    app = App(display, folder, *SMALL, "--out", str(folder / "run"))
    app.until(lambda s: s["settled"], timeout=120)
    app.tab("Path")
    yield app
    app.close()


@pytest.fixture
def app(window: App) -> Iterator[App]:
    """Without keyframes, at home, at the beginning of the clip."""
    while (path := window.state()["path"])["keyframes"]:
        if path["selected"] < 0:
            window.click("path_select_0")
        window.ask("action", name="path.remove")
        window.frames(2)
    window.ask("action", name="time.first")
    window.ask("action", name="camera.home")
    window.mouse("mousemove", *window.place("picture"))
    window.until(lambda s: s["settled"])
    yield window
    assert window.state()["path"]["playing"] is False


def add_three(app: App) -> list[list[float]]:
    """Keyframes at three views and times, by mouse and keyboard; where the eye was at each."""
    eyes = []
    for move, at in ((None, 0.0), ((160, 40), 0.5), ((120, -40), 1.0)):
        if move is not None:
            app.drag("picture", move)
            app.click("time", at * 0.97)
        eyes.append(app.until(lambda s: s["settled"])["frame"]["eye"])
        app.key("k")
    app.until(lambda s: s["path"]["keyframes"] == 3)
    return eyes


def typed(app: App, tag: str, text: str, end: str = "Return") -> None:
    """Replace what is in a field."""
    app.enter(tag, text, end)


def test_k_adds_the_view_on_the_screen_at_its_time(app: App) -> None:
    assert app.ask("value", tag="path_first").startswith("No keyframes")
    eyes = add_three(app)
    path = app.state()["path"]
    assert path["selected"] == 2
    assert path["times"][0] == 0 < path["times"][1] < path["times"][2]
    app.click("path_select_1")
    app.click("path_go")
    shown = app.until(lambda s: s["settled"])
    np.testing.assert_allclose(shown["frame"]["eye"], eyes[1], atol=1e-9)
    assert shown["time"] == path["times"][1]
    app.drag("picture", (60, 0))
    app.key("k")  # after the selected one
    path = app.until(lambda s: s["path"]["keyframes"] == 4)["path"]
    assert path["selected"] == 2
    assert path["times"][2] == path["times"][1]


def test_playing_moves_camera_and_time_along_the_path_to_its_end(app: App) -> None:
    eyes = add_three(app)
    typed(app, "path_total", "1.5")
    app.click("path_play")
    middle = app.until(lambda s: 0.2 < s["path"]["at"] < 1.4)
    assert middle["path"]["playing"]
    assert not middle["path"]["shown"]  # nothing covers the eye
    assert 0 < middle["time"] < 1
    end = app.until(lambda s: not s["path"]["playing"] and s["settled"])
    assert end["path"]["at"] == pytest.approx(1.5)
    assert end["time"] == end["path"]["times"][2]
    np.testing.assert_allclose(end["frame"]["eye"], eyes[2], atol=1e-9)


def test_whoever_moves_the_camera_stops_the_path_and_a_closed_one_goes_round(app: App) -> None:
    add_three(app)
    typed(app, "path_total", "1")
    app.click("path_closed")
    app.key("shift+space")
    app.until(lambda s: s["path"]["at"] > 0.6)
    app.until(lambda s: s["path"]["playing"] and s["path"]["at"] < 0.5)
    app.key("h")
    state = app.until(lambda s: not s["path"]["playing"] and s["settled"])
    assert state["path"]["shown"]
    app.click("path_scrub", 0.5)
    scrubbed = app.until(lambda s: s["settled"] and s["path"]["at"] > 0.3)
    assert scrubbed["frame"]["eye"] != state["frame"]["eye"]
    assert not scrubbed["path"]["playing"]


def test_a_preset_replaces_the_path_and_undo_brings_it_back(app: App) -> None:
    add_three(app)
    before = app.state()["path"]
    app.click("path_preset_use")
    app.until(lambda s: s["path"]["keyframes"] == 9 and s["path"]["seconds"] == pytest.approx(6))
    app.key("ctrl+z")
    back = app.until(lambda s: s["path"]["keyframes"] == 3)["path"]
    assert back["times"] == before["times"]
    app.key("ctrl+y")
    app.until(lambda s: s["path"]["keyframes"] == 9)


def test_seconds_times_and_names_are_typed_into_the_table(app: App) -> None:
    add_three(app)
    typed(app, "path_seconds_1", "3")
    state = app.state()["path"]
    assert state["keyframes"] == 3  # Enter ends typing and is no key of the path
    assert state["seconds"] == 5
    assert state["selected"] == 1
    typed(app, "path_time_1", "0.25", "Tab")
    assert app.state()["path"]["times"][1] == 0.25
    typed(app, "path_total", "10")
    assert app.state()["path"]["seconds"] == pytest.approx(10)
    assert app.ask("value", tag="path_seconds_1") == pytest.approx(6)
    known = len(app.state()["complaints"])
    typed(app, "path_time_1", "7")
    assert "Time: 7" in app.until(lambda s: len(s["complaints"]) > known)["complaints"][-1]
    app.frames(3)
    assert app.ask("value", tag="path_time_1") == 0.25
    for _ in range(3):
        app.key("ctrl+z")
    app.until(lambda s: s["path"]["seconds"] == 4 and s["path"]["times"][1] != 0.25)


def test_keyframes_are_removed_moved_and_repeated(app: App) -> None:
    add_three(app)
    first, second, third = app.state()["path"]["times"]
    app.click("path_up")
    app.until(lambda s: s["path"]["times"] == [first, third, second] and s["path"]["selected"] == 1)
    app.click("path_duplicate")
    app.until(lambda s: s["path"]["times"] == [first, third, third, second] and s["path"]["selected"] == 2)
    app.click("path_select_0")
    app.mouse("mousemove", *app.place("picture"))
    app.key("Delete")
    app.until(lambda s: s["path"]["times"] == [third, third, second] and s["path"]["selected"] == 0)
    for _ in range(3):
        app.key("ctrl+z")
    app.until(lambda s: s["path"]["times"] == [first, second, third])


def test_a_path_is_written_and_read_again(app: App, tmp_path: Path) -> None:
    add_three(app)
    typed(app, "path_name_1", "turn", "Tab")
    typed(app, "path_fps", "12")
    file = tmp_path / "camera_path.json"
    app.ask("set", tag="path_file", value=str(file))
    app.click("path_save")
    app.until(lambda s: f"to {file}" in s["log"][-1])
    data = json.loads(file.read_text())
    assert (data["fps"], len(data["camera_path"]), len(data["keyframes"])) == (12, 48, 3)
    before = app.state()["path"]
    saved = load_track(file, 0.01)
    app.key("Delete")
    app.until(lambda s: s["path"]["keyframes"] == 2)
    app.click("path_load")
    path = app.until(lambda s: s["path"]["keyframes"] == 3)["path"]
    assert (path["times"], path["seconds"]) == (before["times"], before["seconds"])
    assert app.ask("value", tag="path_name_1") == "turn"
    again = tmp_path / "again.json"
    app.ask("set", tag="path_file", value=str(again))
    app.click("path_save")
    app.until(lambda s: f"to {again}" in s["log"][-1])
    for one, other in zip(load_track(again, 0.01).keyframes, saved.keyframes, strict=True):
        np.testing.assert_allclose(one.camera.world_to_camera, other.camera.world_to_camera, atol=1e-9)
        assert (one.time, one.seconds, one.name) == (other.time, other.seconds, other.name)


def test_a_file_of_something_else_is_replaced_after_a_word(app: App, tmp_path: Path) -> None:
    add_three(app)
    file = tmp_path / "mine.json"
    file.write_text("mine")
    app.ask("set", tag="path_file", value=str(file))
    for answer in ("path_replace_no", "path_replace_yes"):
        app.click("path_save")
        app.until(lambda s: s["path"]["asking"])
        app.frames(3)
        assert file.read_text() == "mine"
        app.click(answer)
        app.until(lambda s: not s["path"]["asking"])
    app.until(lambda s: f"to {file}" in s["log"][-1])
    assert len(load_track(file, 0.01).keyframes) == 3


def test_a_file_that_is_none_is_named(app: App, tmp_path: Path) -> None:
    known = len(app.state()["complaints"])
    app.ask("set", tag="path_file", value=str(tmp_path / "nothing.json"))
    app.click("path_load")
    assert "nothing.json" in app.until(lambda s: len(s["complaints"]) > known)["complaints"][-1]


def test_the_path_is_drawn_into_the_picture(app: App, tmp_path: Path) -> None:
    app.click("path_preset_use")
    app.until(lambda s: s["path"]["keyframes"] == 9)
    for _ in range(6):  # from farther away
        app.mouse("mousemove", *app.place("picture"))
        app.mouse("click", 5)
    app.until(lambda s: s["settled"])
    without_selected = app.picture(tmp_path / "with.png").astype(int)
    app.click("path_show")
    app.until(lambda s: not s["path"]["shown"])
    without = app.picture(tmp_path / "without.png").astype(int)
    app.click("path_show")
    changed = np.abs(without_selected - without).max(axis=2) > 40
    assert changed.sum() > 300
    app.click("path_select_4")
    selected = app.picture(tmp_path / "selected.png").astype(int)
    assert (np.abs(selected - without_selected).max(axis=2) > 40).sum() > 20


def test_keyframes_look_at_the_picked_point(app: App) -> None:
    app.click("path_preset_use")
    app.until(lambda s: s["path"]["keyframes"] == 9)
    app.click("picture", 0.4, 0.5)
    app.until(lambda s: s["events"].get("Picked"))
    app.tab("Path")  # a click in the picture brings the rays to the front
    before = app.state()["path"]["cameras"]
    app.click("path_follow")
    after = app.until(lambda s: s["path"]["cameras"] != before)["path"]["cameras"]
    eyes, axes = (np.array([camera[part] for camera in after]) for part in ("eye", "axis"))
    np.testing.assert_allclose(eyes, [camera["eye"] for camera in before], atol=1e-9)
    # all axes meet in one point: solve for it and look how far it is from each
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    point = np.linalg.solve(across.sum(0), (across @ eyes[:, :, None]).sum(0)[:, 0])
    assert np.linalg.norm(across @ (point - eyes)[:, :, None], axis=1).max() < 1e-6
    app.click("path_follow")
    app.key("ctrl+z")
    app.until(lambda s: s["path"]["cameras"] == before)
