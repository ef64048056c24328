"""The distortion panel in a real window: from a field that is not on yet to a click into the matrix."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.gui_driver import App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
SMALL = ("demo", "--data.megapixels", "0.02", "--data.frame-step", "4", "--scene.points", "3000")
SLOW = 240
"""Seconds for kernels that may have to be compiled first."""


def test_without_generated_views_the_panel_says_what_is_needed(display: Display, tmp_path: Path) -> None:
    app = App(display, tmp_path, *SMALL, "--steps", "100", "--out", str(tmp_path / "run"))
    try:
        app.until(lambda s: s["settled"], SLOW)
        app.tab("Distortion")
        app.until(lambda s: "dynview generate" in s["distortion"]["hint"])
        assert app.ask("rect", tag="matrix_plot")[1] == [0, 0]  # nothing that is empty is shown
    finally:
        app.close()


def test_distortion_is_measured_and_a_click_goes_to_the_frame(display: Display, tmp_path: Path) -> None:
    method = ("--method", "sparsecam4d", "--steps", "600", "--out", str(tmp_path / "run"))
    app = App(display, tmp_path, *SMALL, *method)
    try:
        app.until(lambda s: s["settled"], SLOW)
        app.tab("Distortion")
        app.until(lambda s: "switched on at step 60 of 600" in s["distortion"]["hint"])
        _train_until(app, 90)
        app.until(lambda s: s["distortion"]["measured"], SLOW)  # by itself, while the panel is in front
        app.until(lambda s: s["distortion"]["hint"] == "" and not s["running"])
        _measure(app)
        _click_a_cell(app, tmp_path)
        _worst(app)
        _slice(app)
    finally:
        app.close()


def _train_until(app: App, step: int) -> None:
    app.key("t")
    app.until(lambda s: s["step"] >= step, SLOW)
    app.key("t")
    app.until(lambda s: not s["running"] and s["settled"], SLOW)


def _measure(app: App) -> None:
    """Every generated frame of the scene as it is now."""
    app.click("distortion_ask")
    state = app.until(lambda s: s["distortion"]["complete"] and s["distortion"]["step"] == s["step"], SLOW)
    poses, instants = state["distortion"]["shape"]
    assert state["distortion"]["measured"] == poses * instants > 20
    assert state["distortion"]["max"] > 0


def _click_a_cell(app: App, folder: Path) -> None:
    before = app.picture(folder / "before.png").astype(int)
    app.mouse("mousemove", *app.place("matrix_plot", 0.6, 0.35))
    told = re.match(r"s = (\d+), t = ([\d.]+) s: [\d.e-]+ scene units", app.ask("value", tag="matrix_place"))
    assert told is not None
    eye = app.state()["frame"]["eye"]
    app.click("matrix_plot", 0.6, 0.35)
    pose = int(told[1])
    state = app.until(lambda s: s["split"] == "generated" and s["sides"] == ["left", "right"] and s["settled"], SLOW)
    assert state["distortion"]["pose"] == pose
    assert state["mode"] == "Colour"
    assert (state["time"] == 0) == (float(told[2]) == 0)
    assert not np.allclose(state["frame"]["eye"], eye)
    beside = app.picture(folder / "beside.png").astype(int)
    app.click("pose_next")
    app.until(lambda s: s["distortion"]["pose"] == pose + 1 and s["settled"], SLOW)
    after = app.picture(folder / "after.png").astype(int)
    half = before.shape[1] // 2
    for a, b in ((before, beside), (beside, after)):
        assert np.abs(a[:, half:] - b[:, half:]).mean() > 1


def _worst(app: App) -> None:
    """The largest value is the mean of the heat that the picture then shows."""
    app.click("distortion_worst")
    app.click("jump_mode", 0.9, 0.5)
    state = app.until(lambda s: s["frame"]["asked"][0] == "distortion/positions" and s["settled"], SLOW)
    state = app.until(lambda s: s["frame"]["overlay"] and s["frame"]["asked"][1] == s["distortion"]["pose"], SLOW)
    assert state["frame"]["overlay"] == pytest.approx(state["distortion"]["max"], rel=0.1)


def _slice(app: App) -> None:
    """It comes by the button, and follows the generated camera."""
    pose = app.state()["distortion"]["pose"]
    app.click("slice_ask")
    app.until(lambda s: s["distortion"]["slice"], SLOW)
    assert f"generated camera s = {pose}," in app.ask("value", tag="slice_label")
    app.click("pose_previous")
    other = app.until(lambda s: s["distortion"]["pose"] != pose)["distortion"]["pose"]
    app.until(lambda s: f"generated camera s = {other}," in app.ask("value", tag="slice_label"), SLOW)
