"""What the engine does beside training: looks, long jobs, settings, exports."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from app import protocol as p
from app.exports.jobs import exported
from app.exports.plans import CameraExport, GaussianExport, Shade, VideoExport
from app.exports.video import VideoWriter
from app.opened import opened_event, planned
from app.painter import Painter
from renderer.files.ply import read_still_ply
from renderer.picture import Mode
from renderer.view import Frame, View
from tests.listening import CONFIG, Listener, listening, opened, train
from tests.tiny import tiny_dataset
from training import run as run_module
from training.checkpoint import load_checkpoint
from training.config import PRESETS, resolved
from training.run import Run
from training.schedule import milestones


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Listener]:
    yield from listening(monkeypatch, tmp_path / "run")


def drawn(listener: Listener, look: p.Look, side: p.Side = "left") -> p.Drawn:
    listener.engine.send(p.Draw(look, side))
    event = listener.until(p.Drawn, lambda e: e.look == look and e.side == side)
    assert isinstance(event, p.Drawn)
    return event


def test_both_sides_are_drawn_and_the_one_that_training_changes_is_drawn_again(listener: Listener) -> None:
    event = opened(listener)
    view = View(event.shots[0].camera, event.shots[0].time)
    picture = drawn(listener, p.Look(view, "input"), "right").frame
    np.testing.assert_allclose(picture.color, tiny_dataset().read(0) / 255, atol=1e-6)
    drawn(listener, p.Look(view))
    train(listener, 30)
    again = [e for e in listener.events if isinstance(e, p.Drawn)]
    assert any(e.side == "left" and e.frame.version == 30 for e in again)
    assert sum(e.side == "right" for e in again) == 1


def test_a_checkpoint_is_shown_as_it_was(listener: Listener) -> None:
    view = View(opened(listener).home, 0.5)
    train(listener, 10)
    then = drawn(listener, p.Look(view)).frame.color
    listener.engine.send(p.Save())
    saved = listener.until(p.Saved)
    assert isinstance(saved, p.Saved) and saved.checkpoints == (10,)
    train(listener, 60)
    now = drawn(listener, p.Look(replace(view, time=0.5))).frame.color
    old = drawn(listener, p.Look(view, step=10)).frame
    assert old.version == 10
    np.testing.assert_allclose(old.color, then, atol=1e-5)
    assert np.abs(now - then).mean() > 1e-3
    listener.engine.send(p.Draw(p.Look(view, step=11)))
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed) and "11" in failed.message


def test_stopping_writes_a_checkpoint(listener: Listener, tmp_path: Path) -> None:
    opened(listener)
    listener.engine.send(p.Train())
    listener.until(p.Progress, lambda e: e.step >= 5)
    listener.engine.send(p.Stop())
    paused = listener.until(p.Paused)
    assert isinstance(paused, p.Paused)
    listener.until(p.Saved)
    assert load_checkpoint(tmp_path / "run").step == paused.step


def test_a_setting_changes_while_training_and_the_run_remembers_it(listener: Listener, tmp_path: Path) -> None:
    opened(listener)
    listener.engine.send(p.Train())
    listener.until(p.Progress)
    listener.engine.send(p.Configure({"loss.dssim": 0.5}))
    event = listener.until(p.Configured)
    assert isinstance(event, p.Configured) and event.config.loss.dssim == 0.5 and event.planned
    listener.engine.send(p.Configure({"scene.model": "field"}))
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed) and "scene.model" in failed.message
    listener.engine.send(p.Stop())
    listener.until(p.Saved)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["changes"]["loss.dssim"] == 0.5


def test_the_window_is_told_the_device_and_what_the_schedule_holds(painter: Painter) -> None:
    run = painter._run
    run.device = "cuda"
    assert opened_event(run).device == "cuda"
    run.config = resolved(PRESETS["ddr-released"], "cpu")
    with_depths, without = (milestones(run.config, False, depths) for depths in (True, False))
    assert opened_event(run).planned == tuple(without) != tuple(with_depths), "that clip has none"


def test_frames_are_measured_beside_training(listener: Listener) -> None:
    count = opened(listener).frame_count
    listener.engine.send(p.WatchFrames())
    first = listener.until(p.FrameErrors, lambda e: np.isfinite(e.values).all())
    listener.until(p.FrameEnergies, lambda e: len(e.values) == count and np.isfinite(e.values[1:]).all())
    listener.engine.send(p.Train())
    later = listener.until(p.FrameErrors, lambda e: e.step > 20 and np.isfinite(e.values).all())
    assert isinstance(first, p.FrameErrors) and isinstance(later, p.FrameErrors)
    assert later.values.mean() < first.values.mean()


def test_each_camera_shows_what_it_saw(listener: Listener) -> None:
    event = opened(listener)
    listener.engine.send(p.ShowCameras())
    shown = listener.until(p.CamerasShown)
    assert isinstance(shown, p.CamerasShown)
    assert {event.shots[k].camera_name for k in shown.thumbnails} == {"left", "middle", "right"}
    picture = tiny_dataset().read(0).mean((0, 1))
    np.testing.assert_allclose(shown.thumbnails[0].mean((0, 1)), picture, atol=4)


def test_progress_says_what_goes_into_the_window(listener: Listener) -> None:
    home = opened(listener).home
    listener.engine.send(p.Draw(p.Look(View(home, 0.5))))
    listener.engine.send(p.Train(until=60))
    listener.until(p.Paused)
    progress = [e for e in listener.events if isinstance(e, p.Progress)][-1]
    assert 0 < progress.served < 0.5
    assert progress.memory > 50e6
    assert sum(progress.parts.values()) == pytest.approx(progress.loss, rel=1e-3)


def test_a_milestone_is_told_when_it_comes(listener: Listener, tmp_path: Path) -> None:
    schedule = planned(Run.create("tiny", CONFIG, tmp_path / "another"))
    opened(listener)
    train(listener, 60)
    told = [(e.step, e.text) for e in listener.events if isinstance(e, p.Milestone)]
    assert told == [(step, m.text) for step in range(1, 61) for m in schedule if m.is_at(step)]
    assert len(told) == 4  # levels of the harmonics


def test_gaussians_and_cameras_are_exported_while_training(listener: Listener, tmp_path: Path) -> None:
    opened(listener)
    listener.engine.send(p.Train())
    listener.engine.send(p.Export(GaussianExport(tmp_path / "a.ply", "ply", 0.5)))
    listener.until(p.ExportProgress, lambda e: e.finished)
    assert len(read_still_ply(tmp_path / "a.ply")) > 0
    listener.engine.send(p.Export(CameraExport(tmp_path / "colmap")))
    listener.until(p.ExportProgress, lambda e: e.finished)
    assert (tmp_path / "colmap" / "sparse" / "0" / "images.txt").is_file()


def test_a_video_shows_a_mode_beside_the_input_with_the_same_colours_all_along(
    listener: Listener, tmp_path: Path
) -> None:
    event = opened(listener)
    shots = [s for s in event.shots if s.camera_name == "left"]
    views = tuple(View(s.camera, s.time) for s in shots)
    plan = VideoExport(
        tmp_path / "a.mp4", views, 10, shade=Shade(Mode.OVERLAY, "error", palette="inferno"), against="input"
    )
    listener.engine.send(p.Export(plan))
    listener.until(p.ExportProgress, lambda e: e.finished)
    video = iio.imread(tmp_path / "a.mp4", plugin="FFMPEG")
    assert len(video) == len(views)
    assert video.shape[2] == 2 * 40 + 4
    inputs = np.stack([tiny_dataset().read(k) for k, s in enumerate(event.shots) if s.camera_name == "left"])
    assert np.abs(video[:, :, 44:].astype(int) - inputs).mean() < 12


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("until", [4, 400])
def test_training_ends_where_it_should_although_the_disk_is_full(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    opened(listener)
    monkeypatch.setattr(Run, "save", full_disk)
    monkeypatch.setattr(Run, "is_due", lambda run, interval: run.trainer.done in (4, 400))
    if until == 400:
        train(listener, 396)
    listener.engine.send(p.Train(until))
    failed = listener.until(p.Failed)
    ended = listener.until(p.Paused if until == 4 else p.Finished, lambda e: e.step >= until)
    assert isinstance(failed, p.Failed) and "The checkpoint could not be written" in failed.message
    assert isinstance(ended, p.Paused | p.Finished) and ended.step == until


def test_training_ends_where_it_should_although_its_last_step_could_not_be_told(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(listener)
    log = Run.log
    monkeypatch.setattr(Run, "log", lambda run, **values: full_disk() if values["step"] == 10 else log(run, **values))
    listener.engine.send(p.Train(10))
    paused = listener.until(p.Paused)
    assert isinstance(paused, p.Paused) and paused.step == 10


def test_closing_saves_although_an_export_cannot_be_tidied_up(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = opened(listener)
    train(listener, 6)
    listener.engine.send(p.Export(VideoExport(tmp_path / "a.mp4", (View(event.home, 0.5),) * 5000, 24)))
    listener.until(p.ExportProgress)
    discard = VideoWriter.discard

    def failing(writer: VideoWriter) -> None:
        discard(writer)
        full_disk()

    monkeypatch.setattr(VideoWriter, "discard", failing)
    assert listener.engine.close()
    assert load_checkpoint(tmp_path / "run").step == 6
    listener.until(p.ExportProgress, lambda e: e.cancelled)
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed) and "No space left" in failed.message


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Painter:
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    return Painter(Run.create("tiny", CONFIG, tmp_path / "run"))


def test_a_video_of_what_is_drawn_in_pieces_leaves_time_between_them(painter: Painter, tmp_path: Path) -> None:
    run, views = painter._run, [View(tiny_dataset().shots[0].camera, time) for time in (0.0, 1.0)]

    def finer(look: p.Look) -> Iterator[Frame | None]:
        yield from (None, None, replace(Painter.draw(painter, look), version=7))

    painter.finer = finer  # type: ignore[method-assign]
    plan = VideoExport(tmp_path / "a.mp4", tuple(views), against="time")
    events = list(exported(run, painter, plan))
    assert events.count(None) >= len(views) * 2 * 3
    drawing = painter.whole(p.Look(replace(views[0], overlay="dynamic")))
    with pytest.raises(StopIteration) as end:
        while True:
            next(drawing)
    assert end.value.value.version == 0 and end.value.value.overlay is not None  # the values are of the coarse frame


def test_what_a_video_does_not_show_is_said_before_its_end(listener: Listener, tmp_path: Path) -> None:
    home = opened(listener).home
    elsewhere = View(home.zoomed(0.5), 0.4)
    plan = VideoExport(tmp_path / "a.mp4", (elsewhere,), shade=Shade(Mode.OVERLAY, "error", palette="inferno"))
    listener.engine.send(p.Export(plan))
    warned = listener.until(p.Warned)
    assert isinstance(warned, p.Warned) and "1 of 1 frames show the picture itself" in warned.message
    listener.until(p.ExportProgress, lambda e: e.finished)
