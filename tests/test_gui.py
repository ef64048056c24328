"""The real window as a whole, under a virtual display, with real mouse and keyboard events; each panel has a file of
its own beside this one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.gui_driver import ROOT, SMALL, App, Display, missing_tools
from training.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
SCREENSHOTS = Path(__file__).parent / "screenshots"


@pytest.fixture
def app(display: Display, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[App]:
    """A window, with further arguments where a test gives some."""
    app = App(display, tmp_path, *SMALL, "--out", str(tmp_path / "run"), *getattr(request, "param", ()))
    app.until(lambda s: s["settled"], timeout=120)
    yield app
    app.close()


def test_training_sharpens_the_picture_and_closing_saves(app: App, tmp_path: Path) -> None:
    before = app.picture(tmp_path / "a.png").astype(int)
    app.click("train")
    app.until(lambda s: s["step"] >= 20, timeout=120)
    app.click("train")
    app.until(lambda s: not s["running"] and s["settled"])
    after = app.picture(tmp_path / "b.png").astype(int)
    assert np.abs(after - before).mean() > 2
    x, y = app.ask("value", tag="psnr_series")[:2]
    assert len(x) == len(y) >= 2
    assert app.state()["frame"]["version"] == app.state()["step"]
    app.key("t")
    app.until(lambda s: s["running"] and s["step"] > 20)
    app.close()
    assert load_checkpoint(tmp_path / "run").step > 20


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
    app.until(lambda s: s["frame"]["version"] > 10 and s["running"], timeout=120)
    assert app.state()["events"].get("Drawn", 0) <= drawn + 1  # none of it was drawn by the engine
    app.key("5")
    app.until(lambda s: s["settled"] and s["frame"]["overlay"])
    app.key("1")
    app.until(lambda s: s["settled"] and not s["frame"]["asked"][0])
    assert app.state()["complaints"] == []


def test_the_window_looks_as_it_did(display: Display, tmp_path: Path) -> None:
    """Layout and picture against the stored one; run with DYNVIEW_UPDATE_SCREENSHOTS=1 to store it anew."""
    app = App(display, tmp_path, *SMALL[:-1], "300", "--train", "--out", str(tmp_path / "run"))
    app.until(lambda s: s["step"] == 300 and not s["running"] and s["settled"] and s["frame"]["version"] == 300, 180)
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


def test_demo_begins_training_without_a_question(display: Display, tmp_path: Path) -> None:
    """As a person starts it: in a process of its own, with nothing else said."""
    app = App(display, tmp_path, "--demo", anew=True)
    state = app.until(lambda s: s.get("step", 0) >= 2 and s["running"], timeout=240)
    assert state["open"] and not state["asking"] and not state["start"]["shown"]
    assert state["complaints"] == []
    app.close()
    assert load_checkpoint(tmp_path / "runs" / "demo").step >= 2
    assert "INFO Training" in app.log()


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
