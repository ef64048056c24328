"""The training panel, by real mouse and keyboard events."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gui_driver import App, Display, missing_tools
from training.checkpoint import checkpoint_steps

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
SMALL = ("demo", "--data.megapixels", "0.01", "--data.frame-step", "6", "--scene.points", "1000", "--steps", "4000")


@pytest.fixture
def app(display: Display, tmp_path: Path) -> Iterator[App]:
    app = App(display, tmp_path, *SMALL, "--out", str(tmp_path / "run"))
    app.until(lambda s: s["settled"])
    app.tab("Train")
    yield app
    app.close()


def train(app: App, steps: int) -> int:
    """By the button, until so many steps are done, and pause; the step at which it stands."""
    app.click("train")
    app.until(lambda s: s["step"] >= steps)
    app.click("train")
    return int(app.until(lambda s: not s["running"])["step"])


def open_settings(app: App) -> None:
    """Curves closed, so that the settings are not below the window's edge."""
    app.click("curves_section", 0.3)
    app.click("settings", 0.3)
    app.until(lambda s: s["training"]["ready"])


def find(app: App, text: str) -> None:
    app.enter("settings_search", text)


def write(app: App, path: str, text: str) -> None:
    """Type a value into the widget of a setting."""
    find(app, path.rpartition(".")[2].replace("_", " "))
    app.enter(f"setting {path}", text)


def description(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "run.json").read_text()))


def test_start_pause_step_and_stop(app: App, tmp_path: Path) -> None:
    assert app.ask("label", tag="train") == "Start training"
    step = train(app, 10)
    assert app.ask("label", tag="train") == "Go on"
    for target in (step + 1, step + 2):
        app.click("train_step")
        app.until(lambda s: not s["running"] and s["step"] >= target)  # noqa: B023
        app.frames(10)
        assert app.state()["step"] == target
    assert app.ask("value", tag="fact size").endswith("Gaussians")
    app.click("train_stop")
    app.until(lambda s: s["events"].get("Saved"))
    assert checkpoint_steps(tmp_path / "run") == [step + 2]
    assert app.state()["training"]["curve_points"] >= 2


def test_the_cost_and_the_quality_are_measured(app: App) -> None:
    app.click("train")
    state = app.until(lambda s: s["training"]["cost"] is not None)
    assert 0 < state["training"]["cost"] < 1
    app.click("measure")
    psnr, step = app.until(lambda s: s["training"]["held_out"])["training"]["held_out"]
    assert f"{psnr:.2f} dB at step {step:,}" == app.ask("value", tag="fact held_out")
    app.frames(20)
    assert app.ask("value", tag="test_series")[:2] == [[step], [psnr]]


def test_a_search_shows_what_it_finds_and_hides_the_rest(app: App) -> None:
    open_settings(app)
    find(app, "ssim")
    assert app.ask("rect", tag="setting loss.dssim")[1][0] > 0
    assert app.ask("value", tag="settings_legend").endswith("found")
    assert app.ask("shown", tag="row setting loss.dssim")
    assert not app.ask("shown", tag="row setting seed")
    assert app.ask("value", tag="settings of Loss") is True


def test_a_setting_that_can_change_does_and_undo_takes_it_back(app: App, tmp_path: Path) -> None:
    train(app, 3)
    open_settings(app)
    write(app, "loss.dssim", "0.35")
    state = app.until(lambda s: s["events"].get("Configured") == 1)
    assert state["training"]["pending"] == []
    assert description(tmp_path / "run")["changes"]["loss.dssim"] == 0.35  # type: ignore[index]
    assert state["frame"]["asked"][0] == ""  # digits that were typed are no keys
    app.ask("action", name="edit.undo")
    app.until(lambda s: s["events"].get("Configured") == 2)
    assert "loss.dssim" not in description(tmp_path / "run")["changes"]  # type: ignore[operator]
    assert app.ask("value", tag="setting loss.dssim") == "0.2"


def test_a_bad_value_is_told_and_not_sent(app: App) -> None:
    open_settings(app)
    write(app, "loss.dssim", "much")
    errors = app.until(lambda s: s["training"]["errors"])["training"]["errors"]
    assert "--loss.dssim" in errors["loss.dssim"]
    assert app.ask("value", tag="note setting loss.dssim") == errors["loss.dssim"]
    write(app, "loss.dssim", "0.4")
    app.until(lambda s: s["events"].get("Configured") == 1 and not s["training"]["errors"])


def test_a_setting_that_waits_opens_a_new_run(app: App, tmp_path: Path) -> None:
    step = train(app, 5)
    open_settings(app)
    write(app, "scene.points", "700")
    app.until(lambda s: s["training"]["pending"] == ["scene.points"])
    app.click("settings_new_run")
    state = app.until(lambda s: s["events"].get("Opened") == 2 and s["settled"])
    assert state["step"] == 0
    assert state["training"]["pending"] == []
    assert state["training"]["curve_points"] == 0
    assert checkpoint_steps(tmp_path / "run") == [step]  # the old one is kept
    train(app, 2)
    assert description(tmp_path / "run-2")["changes"]["scene.points"] == 700  # type: ignore[index]


def test_a_branch_goes_on_from_an_older_checkpoint(app: App, tmp_path: Path) -> None:
    step = train(app, 12)
    app.click("save")
    app.until(lambda s: s["events"].get("Saved"))
    train(app, step + 10)
    app.click("curves_section", 0.3)
    app.click("checkpoints", 0.3)
    app.click("branch")
    state = app.until(lambda s: s["events"].get("Opened") == 2 and s["settled"])
    assert state["step"] == step
    assert (tmp_path / f"run-from-{step}").is_dir()
    assert max(checkpoint_steps(tmp_path / "run")) >= step + 10
    app.until(lambda s: s["training"]["curve_points"] >= 1)  # what was written down before
