"""Exports from the real window, with real mouse and keyboard events, while training goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from renderer.files.ply import read_still_ply, read_table
from tests.gui_driver import SMALL, App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
PATIENCE = 240
"""Seconds, for a machine that does much else."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


def opened(display: Display, folder: Path, run: Path, *arguments: str) -> App:
    """A window with the export panel in front. In its path is a program that notes what it was asked to open."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "bin").mkdir(exist_ok=True)
    opener = folder / "bin" / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/opened\n')
    opener.chmod(0o755)
    before, os.environ["PATH"] = os.environ["PATH"], f"{folder / 'bin'}:{os.environ['PATH']}"
    try:
        app = App(display, folder, *SMALL[:-1], "100000", *arguments, "--out", str(run))
    finally:
        os.environ["PATH"] = before
    app.until(lambda s: s["settled"], timeout=PATIENCE)
    app.ask("tab", title="Export")
    app.until(lambda s: s["tab"] == "Export")
    app.frames(5)
    return app


@pytest.fixture(scope="module")
def shared(display: Display, folder: Path) -> Iterator[App]:
    """A window that trains, for all tests but one."""
    app = opened(display, folder, folder / "run", "--train")
    yield app
    app.close()


@pytest.fixture
def app(shared: App) -> Iterator[App]:
    """With the choices of the first start, while it trains."""
    for tag, value in (
        ("export_path", "Orbit"), ("export_shown", "As in the viewport"), ("export_beside", "Nothing"),
        ("export_size", "1x"), ("export_fps", 30.0), ("export_frames", 6), ("export_format", "mp4 (H.264)"),
    ):  # fmt: skip
        shared.ask("set", tag=tag, value=value)
    yield shared
    assert not shared.state()["exporting"]
    assert shared.state()["running"]


def until(app: App, accept: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    return app.until(accept, timeout=PATIENCE)


def settle(app: App) -> None:
    """Wait until the panel has looked at what is chosen."""
    time.sleep(0.2)
    app.frames(3)


def write(app: App, button: str, file: str, path: Path) -> dict[str, Any]:
    """Export to a path by a click, and wait for the end."""
    settle(app)
    app.ask("set", tag=file, value=str(path))
    app.click(button)
    return until(app, lambda s: s["export"]["finished"] == str(path))


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_video_is_written_while_training_and_its_folder_opens(app: App, tmp_path: Path, folder: Path) -> None:
    step = app.state()["step"]
    write(app, "export", "export_file", tmp_path / "out.mp4")
    assert app.state()["step"] > step
    video = iio.imread(tmp_path / "out.mp4", plugin="FFMPEG")
    assert len(video) == 6
    assert video.std() > 5
    assert np.abs(video[0].astype(int) - video[3]).mean() > 1  # the camera moves
    until(app, lambda s: "B" in s["export"]["said"].rsplit(" ", 1)[-1])
    assert str(tmp_path / "out.mp4") in app.state()["export"]["said"]
    app.click("export_open")
    until(app, lambda s: (folder / "opened").is_file() and (folder / "opened").read_text() == str(tmp_path))
    assert left_behind(tmp_path) == ["out.mp4"]


def test_the_viewport_s_own_mode_and_split_are_in_the_video(app: App, tmp_path: Path) -> None:
    app.ask("set", tag="export_path", value="Fixed Camera")
    app.ask("action", name="mode.2")
    app.ask("action", name="view.truth")
    until(app, lambda s: s["settled"] and s["mode"] == "Depth" and s["split"] == "input")
    write(app, "export", "export_file", tmp_path / "split.mp4")
    app.ask("action", name="view.truth")
    write(app, "export", "export_file", tmp_path / "whole.mp4")
    app.ask("action", name="mode.1")
    split, whole = (iio.imread(tmp_path / f"{name}.mp4", plugin="FFMPEG")[0].astype(int) for name in ("split", "whole"))
    assert split.shape == whole.shape
    half = split.shape[1] // 2 - 8
    assert np.abs(split[:, :half] - whole[:, :half]).mean() < 12
    assert np.abs(split[:, -half:] - whole[:, -half:]).mean() > 20


def test_side_by_side_with_the_clip_s_own_picture(app: App, tmp_path: Path) -> None:
    app.ask("set", tag="export_shown", value="Opacity")
    app.ask("set", tag="export_beside", value="The clip's own picture")
    app.ask("set", tag="export_size", value="other")
    app.ask("set", tag="export_width", value=121)
    app.ask("set", tag="export_height", value=90)
    write(app, "export", "export_file", tmp_path / "two.mp4")
    video = iio.imread(tmp_path / "two.mp4", plugin="FFMPEG")
    assert video.shape == (6, 90, 2 * 120 + 4, 3)
    assert half_difference(video[0]) > 20


def test_another_time_and_a_checkpoint_stand_beside_the_scene(app: App, tmp_path: Path) -> None:
    complaints = app.state()["complaints"]
    app.ask("set", tag="export_path", value="Fixed Camera")
    app.ask("set", tag="export_frames", value=2)
    app.ask("set", tag="export_shown", value="Colour")
    app.ask("set", tag="export_beside", value="Another time")
    app.ask("set", tag="export_time", value=0.0)
    write(app, "export", "export_file", tmp_path / "time.mp4")
    first, last = (half_difference(frame) for frame in iio.imread(tmp_path / "time.mp4", plugin="FFMPEG"))
    assert first < 4 and last > 2 * first, (first, last)  # the left side moves on from the instant of the right one
    saved = app.state()["events"].get("Saved", 0)
    app.ask("action", name="file.save")
    until(app, lambda s: s["events"].get("Saved", 0) > saved)
    app.ask("set", tag="export_beside", value="A checkpoint")
    settle(app)
    step = app.ask("value", tag="export_step")
    assert step.replace(",", "").isdigit()
    write(app, "export", "export_file", tmp_path / "checkpoint.mp4")
    assert iio.imread(tmp_path / "checkpoint.mp4", plugin="FFMPEG").std() > 5
    assert app.state()["complaints"] == complaints


def half_difference(frame: np.ndarray) -> float:
    """Mean difference of the left to the right half, the gap between them left out."""
    width = (frame.shape[1] - 4) // 2
    return float(np.abs(frame[:, :width].astype(int) - frame[:, -width:]).mean())


def test_cancelling_leaves_nothing_and_the_panel_goes_on(app: App, tmp_path: Path) -> None:
    app.ask("set", tag="export_frames", value=5000)
    settle(app)
    app.ask("set", tag="export_file", value=str(tmp_path / "long.mp4"))
    app.click("export")
    until(app, lambda s: s["export"]["done"] >= 2)
    assert app.ask("label", tag="export") == "Cancel"
    app.click("export")
    until(app, lambda s: not s["exporting"])
    assert left_behind(tmp_path) == []
    app.ask("set", tag="export_frames", value=2)
    write(app, "export", "export_file", tmp_path / "short.mp4")
    assert left_behind(tmp_path) == ["short.mp4"]


def test_a_file_is_replaced_only_after_a_word(app: App, tmp_path: Path) -> None:
    settle(app)
    (tmp_path / "out.mp4").write_text("mine")
    app.ask("set", tag="export_file", value=str(tmp_path / "out.mp4"))
    app.click("export")
    until(app, lambda s: s["replacing"])
    app.key("Escape")
    until(app, lambda s: not s["replacing"])
    assert (tmp_path / "out.mp4").read_text() == "mine"
    app.click("export")
    until(app, lambda s: s["replacing"])
    app.click("replace_yes")
    until(app, lambda s: s["export"]["finished"] == str(tmp_path / "out.mp4"))
    assert len(iio.imread(tmp_path / "out.mp4", plugin="FFMPEG")) == 6


def test_pictures_go_into_a_folder_and_the_name_follows_the_format(app: App, tmp_path: Path) -> None:
    settle(app)
    app.ask("set", tag="export_file", value=str(tmp_path / "video.mp4"))
    settle(app)
    app.ask("set", tag="export_format", value="png pictures")
    settle(app)
    assert app.ask("value", tag="export_file") == str(tmp_path / "video")
    app.click("export")
    until(app, lambda s: s["export"]["finished"] == str(tmp_path / "video"))
    assert left_behind(tmp_path / "video") == [f"frame{k:04d}.png" for k in range(1, 7)]
    width, height = Image.open(tmp_path / "video" / "frame0001.png").size
    assert f"6 frames of {width} x {height}" in app.ask("value", tag="export_estimate")


def test_frames_seconds_and_rate_are_kept_in_step(app: App) -> None:
    settle(app)
    app.ask("set", tag="export_seconds", value=2.0)
    settle(app)
    assert app.ask("value", tag="export_frames") == 60
    app.ask("set", tag="export_fps", value=25.0)
    settle(app)
    assert app.ask("value", tag="export_frames") == 50
    app.ask("set", tag="export_frames", value=100)
    settle(app)
    assert app.ask("value", tag="export_seconds") == 4.0


def test_gaussians_are_written_in_every_kind(app: App, tmp_path: Path) -> None:
    for kind, name in (
        ("3DGS .ply at this time", "a.ply"), (".splat at this time", "a.splat"), ("4D .ply, all times", "all.ply"),
        (".splatv, all times", "a.splatv"),
    ):  # fmt: skip
        app.ask("set", tag="gaussians_kind", value=kind)
        write(app, "gaussians_export", "gaussians_file", tmp_path / name)
    app.ask("set", tag="gaussians_kind", value="Numbered 3DGS .ply")
    app.ask("set", tag="gaussians_frames", value=3)
    write(app, "gaussians_export", "gaussians_file", tmp_path / "n.ply")
    app.ask("set", tag="gaussians_kind", value="3DGS .ply at this time")
    assert left_behind(tmp_path) == ["a.ply", "a.splat", "a.splatv", "all.ply", *(f"n000{k}.ply" for k in (1, 2, 3))]
    assert len(read_still_ply(tmp_path / "a.ply")) > 100
    assert "t" in read_table(tmp_path / "all.ply")


def scroll_down(app: App) -> None:
    app.mouse("mousemove", *app.place("gaussians_kind", 0.1))
    app.mouse("click", "--repeat", 30, 5)
    app.frames(5)


def test_cameras_are_written_for_both_programs(app: App, tmp_path: Path) -> None:
    scroll_down(app)
    app.ask("set", tag="cameras_pictures", value=True)
    write(app, "cameras_export", "cameras_file", tmp_path / "colmap")
    pictures = len(list((tmp_path / "colmap" / "images").glob("*.png")))
    assert pictures > 0
    app.ask("set", tag="cameras_kind", value="transforms.json")
    app.ask("set", tag="cameras_pictures", value=False)
    write(app, "cameras_export", "cameras_file", tmp_path / "t" / "transforms.json")
    app.ask("set", tag="cameras_kind", value="COLMAP folder")
    assert len(json.loads((tmp_path / "t" / "transforms.json").read_text())["frames"]) == pictures
    assert left_behind(tmp_path / "t") == ["transforms.json"]
    app.mouse("click", "--repeat", 30, 4)


def test_a_name_that_cannot_be_is_told(app: App, tmp_path: Path) -> None:
    settle(app)
    before = len(app.state()["complaints"])
    app.ask("set", tag="export_file", value=str(tmp_path / "out.avi"))
    app.click("export")
    assert "out.avi" in until(app, lambda s: len(s["complaints"]) > before)["complaints"][-1]
    (tmp_path / "taken").write_text("a file")
    app.ask("set", tag="export_file", value=str(tmp_path / "taken" / "out.mp4"))
    app.click("export")
    said = until(app, lambda s: len(s["complaints"]) > before + 1 and not s["exporting"])["complaints"][-1]
    assert "cannot be written" in said


def test_a_screenshot_is_the_picture_and_choices_outlive_the_window(display: Display, tmp_path: Path) -> None:
    app = opened(display, tmp_path, tmp_path / "run")
    app.mouse("mousemove", *app.place("status_row", 0.9, 0.5))
    for _ in range(2):
        before = app.state()["screenshot"]
        app.ask("action", name="screenshot")
        until(app, lambda s, b=before: s["screenshot"] != b)
    files = sorted((tmp_path / "run" / "pictures").iterdir())
    assert [path.name[-9:] for path in files] == ["-0001.png", "-0002.png"]
    taken = np.asarray(Image.open(files[0]))
    np.testing.assert_array_equal(app.picture(tmp_path / "window.png"), taken)
    for tag, value in (("export_quality", "best"), ("export_fps", 24.0), ("export_shown", "Depth")):
        app.ask("set", tag=tag, value=value)
    time.sleep(1.5)
    app.frames(5)
    app.close()
    (tmp_path / "control").unlink()
    app = opened(display, tmp_path, tmp_path / "run2")
    chosen = [app.ask("value", tag=f"export_{name}") for name in ("quality", "fps", "shown")]
    app.close()
    assert chosen == ["best", 24.0, "Depth"]
