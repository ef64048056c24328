"""The picture in the real window: the mouse in it, modes, split views, cameras, and the keys that move about."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.looks import MODES
from tests.gui_driver import SMALL, App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
TRAINED = 40


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One window for all of these, with a scene that was trained a little and stands still."""
    folder = tmp_path_factory.mktemp("viewport")
    display = Display()
    app = App(display, folder, *SMALL, "--out", str(folder / "run"))
    app.until(lambda s: s.get("settled"), timeout=120)
    app.ask("action", name="train.toggle")
    app.until(lambda s: s["step"] >= TRAINED, timeout=120)
    app.ask("action", name="train.toggle")
    app.until(lambda s: not s["running"] and s["settled"])
    yield app
    app.close()
    display.close()


@pytest.fixture(autouse=True)
def as_at_first(app: App) -> None:
    """Home, in colour, undivided."""
    for name in ("mode.1", "camera.home", "time.first"):
        app.ask("action", name=name)
    if app.state()["split"] != "off":
        app.ask("action", name={"input": "view.truth"}.get(app.state()["split"], "view.split"))
    app.until(lambda s: s["settled"] and s["split"] == "off" and s["mode"] == "Colour")


def picture(app: App, folder: Path, name: str = "a.png") -> np.ndarray:
    return app.picture(folder / name).astype(int)


def test_dragging_orbits_the_wheel_comes_nearer_and_a_key_goes_home(app: App, tmp_path: Path) -> None:
    start = app.state()["frame"]["eye"]
    before = picture(app, tmp_path)
    app.drag("picture", (120, 40))
    turned = app.until(lambda s: s["settled"] and s["frame"]["eye"] != start)["frame"]["eye"]
    assert np.abs(picture(app, tmp_path) - before).mean() > 2
    app.mouse("click", 4)
    app.until(lambda s: s["settled"] and s["frame"]["eye"] != turned)
    app.key("h")
    home = app.until(lambda s: s["settled"] and np.allclose(s["frame"]["eye"], start))
    assert "ray" not in home  # a drag is not a click


def test_panning_moves_the_eye_with_the_picture(app: App) -> None:
    start = app.state()["frame"]["eye"]
    app.drag("picture", (80, 0), button=3)
    panned = app.until(lambda s: s["settled"] and s["frame"]["eye"] != start)["frame"]["eye"]
    assert panned[0] < start[0]  # the scene follows the mouse to the right


def test_flying_goes_where_the_keys_say_and_shift_makes_it_faster(app: App) -> None:
    def way(*keys: str) -> float:
        app.key("h")
        start = np.array(app.until(lambda s: s["settled"])["frame"]["eye"])
        app.mouse("mousemove", *app.place("picture"))
        for key in keys:
            app.mouse("keydown", key)
        app.frames(12)
        for key in keys:
            app.mouse("keyup", key)
        return float(np.linalg.norm(np.array(app.until(lambda s: s["settled"])["frame"]["eye"]) - start))

    slow, fast = way("w"), way("shift", "w")
    assert 0 < slow < fast
    assert way("e") > 0


def test_the_field_of_view_is_set_by_a_slider(app: App) -> None:
    before = app.state()["frame"]["fov"]
    app.click("fov", 0.9, 0.5)
    wide = app.until(lambda s: s["settled"] and s["frame"]["fov"] > before + 10)["frame"]["fov"]
    assert 90 < wide <= 120


def test_cameras_of_the_clip_are_gone_to_in_turn(app: App) -> None:
    seen = []
    for _ in range(4):
        app.key("bracketright")
        app.until(lambda s: s["settled"])
        seen.append(tuple(np.round(app.state()["frame"]["eye"], 6)))
    assert len(set(seen)) == 3 and seen[3] == seen[0]
    app.key("bracketleft")
    assert tuple(np.round(app.until(lambda s: s["settled"])["frame"]["eye"], 6)) == seen[2]


def test_every_mode_shows_something_else(app: App, tmp_path: Path) -> None:
    app.key("bracketright")  # at a camera of the clip everything is known
    app.until(lambda s: s["settled"])
    pictures = {}
    for number, name in enumerate(MODES, start=1):
        if name.startswith("Distortion"):  # this scene has no such field
            continue
        app.key(str(number))
        app.until(lambda s, n=name: s["mode"] == n and s["settled"])
        pictures[name] = picture(app, tmp_path)
    names = list(pictures)
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 1, (a, b)
    app.key("6")
    state = app.until(lambda s: s["mode"] == "Error" and s["settled"] and s["frame"]["overlay"] is not None)
    assert 0 < state["frame"]["overlay"] < 0.5
    assert app.ask("value", tag="range_high").endswith("of full intensity")


def test_the_error_says_where_it_is_known(app: App) -> None:
    app.drag("picture", (60, 0))
    app.key("6")
    app.until(lambda s: s["mode"] == "Error" and s["settled"])
    app.frames(4)
    assert "go to a camera" in app.ask("value", tag="range_high")


def test_blending_an_overlay_lets_the_picture_through(app: App, tmp_path: Path) -> None:
    color = picture(app, tmp_path)
    app.key("5")
    app.until(lambda s: s["settled"] and s["frame"]["overlay"] is not None)
    heat = picture(app, tmp_path)
    app.click("blend", 0.02, 0.5)
    app.frames(6)
    through = picture(app, tmp_path)
    assert np.abs(through - color).mean() < 0.3 * np.abs(heat - color).mean()
    app.click("blend", 0.8, 0.5)


def test_the_input_picture_is_beside_the_scene_and_the_divider_is_dragged(app: App, tmp_path: Path) -> None:
    app.key("bracketright")
    app.until(lambda s: s["settled"])
    whole = picture(app, tmp_path)
    app.key("g")
    app.until(lambda s: s["split"] == "input" and s["settled"] and s["sides"] == ["left", "right"])
    split = picture(app, tmp_path)
    w = split.shape[1]
    left, right = slice(0, w // 2 - 20), slice(w // 2 + 20, w)
    assert np.abs(split[:, left] - whole[:, left]).mean() < 1
    assert np.abs(split[:, right] - whole[:, right]).mean() > 3  # 40 steps are far from the clip's own picture
    app.mouse("mousemove", *app.place("picture", 0.5, 0.3))
    app.mouse("mousedown", 1)
    app.mouse("mousemove", *app.place("picture", 0.7, 0.3))
    app.mouse("mousemove", *app.place("picture", 0.8, 0.3))
    app.mouse("mouseup", 1)
    app.frames(6)
    moved = picture(app, tmp_path)
    between = slice(w // 2 + 20, int(0.75 * w))
    assert np.abs(moved[:, between] - whole[:, between]).mean() < 1
    app.key("g")
    app.until(lambda s: s["split"] == "off")


def test_two_modes_and_two_times_are_seen_at_once(app: App, tmp_path: Path) -> None:
    whole = picture(app, tmp_path)
    app.key("v")
    app.until(lambda s: s["split"] == "mode" and s["settled"])
    depth = picture(app, tmp_path)
    third = slice(int(0.85 * depth.shape[1]), depth.shape[1])
    assert np.abs(depth[:, third] - whole[:, third]).mean() > 5
    app.key("v")
    app.until(lambda s: s["split"] == "off")


def test_a_checkpoint_is_compared_with_the_scene_as_it_is(app: App, tmp_path: Path) -> None:
    app.key("ctrl+s")
    app.until(lambda s: s["events"].get("Saved"))
    app.key("t")
    app.until(lambda s: s["step"] >= TRAINED + 60, timeout=120)
    app.key("t")
    app.until(lambda s: not s["running"])
    for below in range(90, 150, 10):  # the fifth of the list, however high its lines are
        x, y = app.click("split")
        app.frames(4)
        app.mouse("mousemove", x, y + below)
        app.mouse("click", 1)
        app.frames(4)
        if app.state()["split"] == "checkpoint":
            break
    app.until(lambda s: s["split"] == "checkpoint" and s["settled"])
    split = picture(app, tmp_path)
    app.ask("action", name="view.split")
    app.ask("action", name="view.split")
    app.until(lambda s: s["split"] == "off" and s["settled"])
    now = picture(app, tmp_path)
    half = now.shape[1] // 2
    assert np.abs(split[:, : half - 20] - now[:, : half - 20]).mean() < 1
    assert np.abs(split[:, half + 20 :] - now[:, half + 20 :]).mean() > 2  # it has learned since


def test_cameras_are_drawn_into_the_scene_with_what_they_saw(app: App, tmp_path: Path) -> None:
    app.mouse("mousemove", *app.place("picture"))
    for _ in range(5):
        app.mouse("click", 5)  # back, until they are in view
    app.drag("picture", (52, 20))
    app.until(lambda s: s["settled"])
    before = picture(app, tmp_path)
    app.key("c")
    app.until(lambda s: s["events"].get("CamerasShown"))
    app.frames(6)
    after = picture(app, tmp_path)
    changed = np.abs(after - before).max(2) > 40
    assert 50 < changed.sum() < 0.4 * changed.size
    app.key("c")
    app.frames(6)
    assert np.abs(picture(app, tmp_path) - before).mean() < 0.5


def test_a_camera_goes_through_the_clipboard(app: App) -> None:
    app.drag("picture", (90, 20))
    there = app.until(lambda s: s["settled"])["frame"]["eye"]
    app.key("ctrl+c")
    app.key("h")
    app.until(lambda s: s["settled"] and not np.allclose(s["frame"]["eye"], there))
    app.key("ctrl+v")
    app.until(lambda s: s["settled"] and np.allclose(s["frame"]["eye"], there))


def test_focus_turns_around_the_picked_point(app: App) -> None:
    app.click("picture", 0.3, 0.6)
    app.until(lambda s: "ray" in s)
    app.key("f")
    start = np.array(app.state()["frame"]["eye"])
    app.drag("picture", (140, 0))
    turned = np.array(app.until(lambda s: s["settled"])["frame"]["eye"])
    app.key("h")
    app.until(lambda s: s["settled"])
    app.drag("picture", (140, 0))
    around_home = np.array(app.until(lambda s: s["settled"])["frame"]["eye"])
    assert np.linalg.norm(turned - start) > 0
    assert np.linalg.norm(turned - around_home) > 0.01


def test_the_picture_follows_the_window_and_the_panels_hide(app: App) -> None:
    _, before = app.ask("rect", tag="picture")
    app.key("Tab")
    app.frames(6)
    _, wide = app.ask("rect", tag="picture")
    assert wide[0] > before[0] + 200
    app.key("Tab")
    app.frames(6)
    assert app.ask("rect", tag="picture")[1] == before
    width, height = app.geometry()
    app.resize(width - 200, height - 100)
    app.frames(6)
    _, small = app.ask("rect", tag="picture")
    assert (before[0] - small[0], before[1] - small[1]) == (200, 100)
    app.resize(width, height)
    app.until(lambda s: s["settled"])


def test_nothing_was_complained_about(app: App) -> None:
    assert app.state()["complaints"] == []
