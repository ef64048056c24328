"""The real window under a virtual display, with real mouse and keyboard events."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from renderer.weights import RAY_MAPS
from tests.gui_driver import ROOT, App, Display, missing_tools
from training.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
SCREENSHOTS = Path(__file__).parent / "screenshots"
SMALL = ("demo", "--data.megapixels", "0.02", "--data.frame-step", "4", "--scene.points", "3000", "--steps", "5000")


@pytest.fixture(scope="module")
def display() -> Iterator[Display]:
    display = Display()
    yield display
    display.close()


@pytest.fixture
def app(display: Display, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[App]:
    """A window, with further arguments where a test gives some."""
    app = App(display, tmp_path, *SMALL, "--out", str(tmp_path / "run"), *getattr(request, "param", ()))
    app.until(lambda s: s["settled"])
    yield app
    app.close()


def train(app: App, steps: int) -> None:
    """By the button, until so many steps are done, and pause."""
    app.click("train")
    app.until(lambda s: s["step"] >= steps)
    app.click("train")
    app.until(lambda s: not s["running"] and s["settled"])


def test_training_sharpens_the_picture_and_fills_the_plots(app: App, tmp_path: Path) -> None:
    before = app.picture(tmp_path / "a.png").astype(int)
    train(app, 20)
    after = app.picture(tmp_path / "b.png").astype(int)
    assert np.abs(after - before).mean() > 2
    x, y = app.ask("value", tag="psnr_series")[:2]
    assert len(x) == len(y) >= 2
    assert app.state()["frame"]["version"] == app.state()["step"]


def test_dragging_orbits_and_the_wheel_comes_nearer(app: App, tmp_path: Path) -> None:
    start = app.state()["frame"]["eye"]
    before = app.picture(tmp_path / "a.png").astype(int)
    app.drag("picture", (120, 40))
    turned = app.until(lambda s: s["settled"] and s["frame"]["eye"] != start)["frame"]["eye"]
    assert np.abs(app.picture(tmp_path / "b.png").astype(int) - before).mean() > 2
    app.mouse("click", 4)
    app.until(lambda s: s["settled"] and s["frame"]["eye"] != turned)
    app.key("h")
    home = app.until(lambda s: s["settled"] and np.allclose(s["frame"]["eye"], start))
    assert "ray" not in home  # a drag is not a click


def test_scrubbing_and_playing_show_other_moments(app: App, tmp_path: Path) -> None:
    before = app.picture(tmp_path / "a.png").astype(int)
    app.click("time", 0.6)
    scrubbed = app.until(lambda s: s["settled"] and s["frame"]["time"] > 0.3)["frame"]["time"]
    assert np.abs(app.picture(tmp_path / "b.png").astype(int) - before).mean() > 0.5
    app.key("Right")
    app.until(lambda s: s["settled"] and s["frame"]["time"] > scrubbed)
    app.key("space")
    assert app.until(lambda s: s["playing"])
    first = app.state()["time"]
    app.until(lambda s: s["time"] != first)


def test_a_click_shows_the_ray_of_the_pixel_under_the_mouse(app: App, tmp_path: Path) -> None:
    train(app, 20)
    x, y = app.click("picture", 0.42, 0.55)
    ray = app.until(lambda s: "ray" in s)["ray"]
    app.mouse("mousemove", *app.place("train"))
    screen = app.screenshot(tmp_path / "a.png")
    # the mark's ring is around the pixel; its middle shows the picture itself
    np.testing.assert_allclose(screen[y, x] / 255, np.clip(ray["composite"], 0, 1), atol=6 / 255)
    column, row = ray["pixel"]
    width, height = app.state()["frame"]["size"]
    _, (panel_width, panel_height) = app.ask("rect", tag="picture")
    scale = min(panel_width / width, panel_height / height)
    assert abs((column + 0.5) * scale + (panel_width - width * scale) / 2 - 0.42 * panel_width) <= scale + 1
    assert abs((row + 0.5) * scale + (panel_height - height * scale) / 2 - 0.55 * panel_height) <= scale + 1
    stems = [len(app.ask("value", tag=f"{part}_series")[0]) for part in ("static", "dynamic")]
    assert sum(stems) == min(ray["weights"], 400)


def test_a_ray_from_a_training_camera_is_compared_with_the_known_depth(app: App) -> None:
    app.key("bracketright")
    app.until(lambda s: s["settled"])
    app.click("picture", 0.5, 0.5)
    app.until(lambda s: "ray" in s and s["ray"]["target"] is not None)
    assert "E|t-D|" in app.ask("value", tag="ray_numbers")
    app.until(lambda s: s["events"].get("PickedThroughTime"))
    assert max(app.ask("value", tag="time_series")[0]) == 1


def test_a_map_shows_how_the_weights_along_rays_spread(app: App, tmp_path: Path) -> None:
    before = app.picture(tmp_path / "a.png").astype(int)
    for kind in RAY_MAPS:
        app.ask("set", tag="ray_map", value=kind)
        app.key("5")  # asks anew
        app.until(lambda s, k=kind: s["settled"] and s["frame"]["asked"][0] == f"rays/{k}" and s["frame"]["overlay"])
    assert np.abs(app.picture(tmp_path / "b.png").astype(int) - before).mean() > 2
    assert app.ask("value", tag="range_high").endswith("modes")


@pytest.mark.parametrize("app", [("--splatting", "opengl")], indirect=True)
def test_opengl_draws_the_scene_itself_and_follows_training(app: App, tmp_path: Path) -> None:
    published = app.until(lambda s: s["events"].get("Published"))
    drawn = published["events"].get("Drawn", 0)
    start = app.until(lambda s: s["settled"])["frame"]["eye"]
    before = app.picture(tmp_path / "a.png").astype(int)
    app.drag("picture", (120, 40))
    app.until(lambda s: s["settled"] and s["frame"]["eye"] != start)
    assert np.abs(app.picture(tmp_path / "b.png").astype(int) - before).mean() > 2
    app.click("train")
    app.until(lambda s: s["frame"]["version"] > 10 and s["running"])
    assert app.state()["events"].get("Drawn", 0) <= drawn + 1  # none of it was drawn by the engine
    app.key("5")
    app.until(lambda s: s["settled"] and s["frame"]["overlay"])
    app.key("1")
    app.until(lambda s: s["settled"] and not s["frame"]["asked"][0])
    assert app.state()["complaints"] == []


def test_a_video_is_exported_while_training(app: App, tmp_path: Path) -> None:
    app.click("train")
    app.ask("set", tag="export_frames", value=10)
    app.ask("set", tag="export_file", value=str(tmp_path / "out.mp4"))
    app.click("export")
    app.until(lambda s: not s["exporting"] and s["events"].get("ExportProgress", 0) >= 10)
    video = iio.imread(tmp_path / "out.mp4", plugin="FFMPEG")
    assert len(video) == 10
    assert video.std() > 5
    assert app.state()["complaints"] == []


def test_what_goes_wrong_is_said_and_the_window_lives_on(app: App, tmp_path: Path) -> None:
    app.ask("set", tag="export_file", value=str(tmp_path / "out.avi"))
    app.click("export")
    complaint = app.until(lambda s: s["complaints"])["complaints"][0]
    assert "out.avi" in complaint
    assert app.ask("value", tag="complaint") == complaint
    app.key("3")
    assert app.ask("value", tag="mode") == "Opacity"


def test_closing_while_training_saves(app: App, tmp_path: Path) -> None:
    app.key("t")
    app.until(lambda s: s["step"] >= 5)
    app.close()
    assert load_checkpoint(tmp_path / "run").step >= 5


def test_the_window_looks_as_it_did(display: Display, tmp_path: Path) -> None:
    """Layout and viewport against the stored picture; run with DYNVIEW_UPDATE_SCREENSHOTS=1 to store it anew."""
    app = App(display, tmp_path, *SMALL[:-1], "300", "--train", "--out", str(tmp_path / "run"))
    app.until(lambda s: s["step"] == 300 and not s["running"] and s["settled"] and s["frame"]["version"] == 300)
    app.click("picture", 0.4, 0.5)
    app.until(lambda s: "ray" in s)
    app.mouse("mousemove", *app.place("status_row", 0.9, 0.5))
    app.frames(5)
    now = app.screenshot(tmp_path / "now.png")
    app.close()
    stored = SCREENSHOTS / "window.png"
    if os.environ.get("DYNVIEW_UPDATE_SCREENSHOTS"):
        SCREENSHOTS.mkdir(exist_ok=True)
        Image.fromarray(now).save(stored, optimize=True)
    then = np.asarray(Image.open(stored).convert("RGB"))
    difference = np.abs(now.astype(int) - then.astype(int)).mean(axis=2)
    assert difference.mean() < 4, f"see {tmp_path / 'now.png'}"
    assert (difference > 60).mean() < 0.02, f"see {tmp_path / 'now.png'}"


def test_without_a_display_one_sentence_says_so(tmp_path: Path) -> None:
    for name in ("", ":4242"):
        environment = {**os.environ, "DISPLAY": name, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            [sys.executable, "-m", "app.gui.main", "demo"], env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 2
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error:")


def test_the_distortion_is_heat_over_the_picture(display: Display, tmp_path: Path) -> None:
    method = ("--method", "sparsecam4d", "--steps", "600", "--out", str(tmp_path / "run"))
    app = App(display, tmp_path, *SMALL[:-2], *method)
    try:
        app.until(lambda s: s["settled"])
        app.key("4")
        state = app.until(lambda s: s["frame"]["asked"][0] == "distortion/positions")
        assert state["frame"]["overlay"] is None  # the field is switched on at step 60
        app.click("train")
        app.until(lambda s: s["step"] >= 90, timeout=120)
        app.click("train")
        state = app.until(lambda s: not s["running"] and s["settled"])
        assert state["frame"]["overlay"] > 0
        heat = app.picture(tmp_path / "heat.png").astype(int)
        app.click("pose", dx=0.8)
        other = app.until(lambda s: s["frame"]["asked"][1] >= 15)
        assert other["frame"]["overlay"] != state["frame"]["overlay"]
        app.screenshot(tmp_path / "window.png")
        app.key("1")
        app.until(lambda s: s["frame"]["asked"][0] == "" and s["settled"])
        assert np.abs(app.picture(tmp_path / "color.png").astype(int) - heat).mean() > 5
    finally:
        app.close()
