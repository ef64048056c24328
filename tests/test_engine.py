import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from app import protocol as p
from app.engine import Engine
from app.exports.plans import VideoExport
from app.painter import Painter
from renderer.paths import orbit_path
from renderer.view import Frame, View
from tests.listening import Listener, listening, opened
from tests.tiny import tiny_dataset
from training import run as run_module
from training.checkpoint import checkpoint_folders, load_checkpoint
from training.config import PRESETS, TrainConfig
from training.ddr_config import DepthConfig, FieldConfig
from training.gaussian_trainer import GaussianTrainer


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Listener]:
    yield from listening(monkeypatch, tmp_path / "run")


def test_a_view_is_drawn_before_anything_is_trained(listener: Listener) -> None:
    view = View(opened(listener).home, 0.5)
    listener.engine.send(p.Draw(p.Look(view)))
    drawn = listener.until(p.Drawn)
    assert isinstance(drawn, p.Drawn)
    assert drawn.frame.view == view
    assert drawn.frame.color.shape == (30, 40, 3)
    assert drawn.frame.version == 0


def test_a_hundred_views_cost_few_renders_and_the_last_one_is_drawn(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, drawn = Painter.draw, []

    def counted(painter: Painter, look: p.Look) -> Frame:
        drawn.append(look)
        return draw(painter, look)

    monkeypatch.setattr(Painter, "draw", counted)
    views = orbit_path(opened(listener).home, np.zeros(3), np.array([0, -1.0, 0]), 100, (0.3, 0.1))
    for view in views:
        listener.engine.send(p.Draw(p.Look(view)))
    listener.until(p.Drawn, lambda e: e.frame.view == views[-1])
    assert 0 < len(drawn) < 50


def test_training_reports_sharpens_the_view_and_stops_where_asked(listener: Listener, tmp_path: Path) -> None:
    home = opened(listener).home
    listener.engine.send(p.Draw(p.Look(View(home, 0.5))))
    before = listener.until(p.Drawn)
    listener.engine.send(p.Train(until=60))
    listener.until(p.Paused, lambda e: e.step == 60)
    steps = [e.step for e in listener.events if isinstance(e, p.Progress)]
    assert steps[-1] == 60
    assert steps == sorted(steps)
    after = [e for e in listener.events if isinstance(e, p.Drawn)][-1]
    assert isinstance(before, p.Drawn)
    assert after.frame.version == 60  # the unchanged view was drawn again as the scene changed
    assert np.abs(after.frame.color - before.frame.color).mean() > 0.01


def test_a_pick_gives_the_ray_of_the_pixel_that_was_drawn(listener: Listener) -> None:
    view = View(opened(listener).home, 0.5)
    listener.engine.send(p.Draw(p.Look(view)))
    drawn = listener.until(p.Drawn)
    listener.engine.send(p.Pick(view, (20, 15)))
    picked, history = listener.until(p.Picked), listener.until(p.PickedThroughTime)
    assert isinstance(history, p.PickedThroughTime) and history.history.pixel == (20, 15)
    assert history.history.weights.shape == (4, 64)
    assert isinstance(drawn, p.Drawn)
    assert isinstance(picked, p.Picked)
    np.testing.assert_allclose(picked.ray.composite, drawn.frame.color[15, 20], atol=1e-4)


def test_a_picked_ray_is_followed_while_training(listener: Listener) -> None:
    view = View(opened(listener).home, 0.0)
    listener.engine.send(p.Draw(p.Look(view)))
    listener.engine.send(p.Pick(view, (20, 15)))
    first = listener.until(p.Picked)
    listener.engine.send(p.Train())
    later = listener.until(p.Picked, lambda event: event.step > 5)
    assert isinstance(first, p.Picked) and isinstance(later, p.Picked)
    assert first.step == 0 and first.ray.pixel == later.ray.pixel
    assert first.ray.weights.tolist() != later.ray.weights.tolist()
    assert len(later.samples) == TrainConfig().ddr.samples


def test_the_scene_itself_is_handed_over_and_stays_as_it_was(listener: Listener) -> None:
    view = View(opened(listener).home, 0.5)
    listener.engine.send(p.Draw(p.Look(view)))
    listener.until(p.Drawn)
    listener.engine.send(p.Publish())
    listener.engine.send(p.Draw(None))  # nobody asks the engine for pictures any more
    first = listener.until(p.Published)
    assert isinstance(first, p.Published) and first.step == 0
    kept = first.scene.positions.clone()
    seen = len([e for e in listener.events if isinstance(e, p.Drawn)])
    listener.engine.send(p.Train())
    later = listener.until(p.Published, lambda event: event.step > 0)
    assert isinstance(later, p.Published)
    np.testing.assert_array_equal(first.scene.positions.numpy(), kept.numpy())
    assert not np.array_equal(later.scene.positions.numpy(), kept.numpy())
    assert len([e for e in listener.events if isinstance(e, p.Drawn)]) == seen


def test_a_row_of_rays_is_seen_from_above(listener: Listener) -> None:
    view = View(opened(listener).home, 0.0)
    listener.engine.send(p.PickLine(view, (0, 12.5), (40, 12.5)))
    line = listener.until(p.LinePicked)
    assert isinstance(line, p.LinePicked)
    assert line.slices["blended"].shape == (40, len(line.edges) - 1)
    for column in (3, 20, 31):
        listener.engine.send(p.Pick(view, (column, 12)))
        picked = listener.until(p.Picked, lambda event, c=column: event.ray.pixel == (c, 12))
        assert isinstance(picked, p.Picked)
        np.testing.assert_allclose(line.slices["blended"][column], picked.ray.histogram(line.edges), atol=1e-4)
    listener.engine.send(p.PickLine(view, (5, 5), (5, 5)))
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed) and "two places" in failed.message


def test_a_field_is_trained_drawn_coarsely_and_then_finely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    small = FieldConfig(
        nodes=6, levels=(1,), channels=4, width=16, rays=48, moving_rays=16, proposals=12, samples=12, views=False
    )
    config = replace(PRESETS["ddr"], steps=100_000, field=small, depth=DepthConfig(source="points"))
    engine = Engine("tiny", config, tmp_path / "run")
    engine.start()
    listener = Listener(engine)
    try:
        view = View(opened(listener).home.resized(160, 120), 0.5)
        engine.send(p.Draw(p.Look(view)))
        coarse, fine = listener.until(p.Drawn), listener.until(p.Drawn)
        assert isinstance(coarse, p.Drawn) and isinstance(fine, p.Drawn)
        assert 0 < np.abs(fine.frame.color - coarse.frame.color).mean() < 0.05
        engine.send(p.Train())
        progress = listener.until(p.Progress)
        assert isinstance(progress, p.Progress) and progress.unit == "values"
        engine.send(p.Draw(p.Look(View(view.camera, 0.5, "rays/entropy"))))
        mapped = listener.until(p.Drawn, lambda event: event.frame.overlay is not None)
        assert isinstance(mapped, p.Drawn) and mapped.frame.overlay_unit == "nats"
        engine.send(p.Pick(view, (80, 60)))
        picked = listener.until(p.Picked)
        assert isinstance(picked, p.Picked) and picked.ray.parts is not None
        assert picked.ray.parts.static_density is not None
    finally:
        assert engine.close()


def test_views_and_picks_are_served_while_training(listener: Listener) -> None:
    home = opened(listener).home
    listener.engine.send(p.Train())
    listener.until(p.Progress)
    listener.engine.send(p.Draw(p.Look(View(home, 0.25))))
    listener.until(p.Drawn, lambda e: e.frame.view.time == 0.25)
    listener.engine.send(p.Pick(View(home, 0.25), (20, 15)))
    listener.until(p.Picked)
    listener.until(p.Progress)


def test_pausing_stands_still_and_training_goes_on_afterwards(listener: Listener) -> None:
    opened(listener)
    listener.engine.send(p.Train())
    listener.until(p.Progress)
    listener.engine.send(p.Pause())
    paused = listener.until(p.Paused)
    time.sleep(0.2)  # many steps long
    listener.engine.send(p.Train())
    started = listener.until(p.Started)
    assert isinstance(paused, p.Paused) and isinstance(started, p.Started)
    assert started.step == paused.step
    listener.until(p.Progress, lambda e: e.step > paused.step)


def test_a_video_is_written_while_training(listener: Listener, tmp_path: Path) -> None:
    home = opened(listener).home
    listener.engine.send(p.Train())
    views = orbit_path(home, np.zeros(3), np.array([0, -1.0, 0]), 12, (0.3, 0.1))
    listener.engine.send(p.Export(VideoExport(tmp_path / "a.mp4", views, 24)))
    listener.until(p.ExportProgress, lambda e: e.finished)
    frames = iio.imread(tmp_path / "a.mp4", plugin="FFMPEG")
    assert frames.shape == (12, 30, 40, 3)
    assert [path.name for path in tmp_path.glob("*.mp4")] == ["a.mp4"]


def test_a_cancelled_video_leaves_nothing_behind(listener: Listener, tmp_path: Path) -> None:
    views = orbit_path(opened(listener).home, np.zeros(3), np.array([0, -1.0, 0]), 5000, (0.3, 0.1))
    listener.engine.send(p.Export(VideoExport(tmp_path / "a.mp4", views, 24)))
    listener.until(p.ExportProgress)
    listener.engine.send(p.CancelExport())
    listener.until(p.ExportProgress, lambda e: e.cancelled)
    assert list(tmp_path.glob("*a.*")) == []


def test_a_video_that_cannot_be_written_says_why_and_the_engine_lives_on(listener: Listener, tmp_path: Path) -> None:
    home = opened(listener).home
    listener.engine.send(p.Export(VideoExport(tmp_path / "a.avi", (View(home, 0.5),))))
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed)
    assert "a.avi" in failed.message
    listener.engine.send(p.Draw(p.Look(View(home, 0.5))))
    listener.until(p.Drawn)


def test_an_error_in_training_becomes_an_event_and_the_view_still_works(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = opened(listener).home

    def broken(trainer: GaussianTrainer) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(GaussianTrainer, "step", broken)
    listener.engine.send(p.Train())
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed)
    assert "the sky fell" in failed.message
    assert "Traceback" in failed.detail
    listener.until(p.Paused)
    listener.engine.send(p.Draw(p.Look(View(home, 0.5))))
    listener.until(p.Drawn)


def test_evaluation_measures_the_held_out_camera(listener: Listener) -> None:
    opened(listener)
    listener.engine.send(p.Evaluate())
    evaluated = listener.until(p.Evaluated)
    assert isinstance(evaluated, p.Evaluated)
    assert evaluated.split == "test"
    assert 3 < evaluated.psnr < 60


def test_closing_while_training_saves(listener: Listener, tmp_path: Path) -> None:
    opened(listener)
    listener.engine.send(p.Train())
    listener.until(p.Progress, lambda e: e.step >= 5)
    assert listener.engine.close()
    assert load_checkpoint(tmp_path / "run").step >= 5
    assert "engine" not in [t.name for t in threading.enumerate()]


def test_closing_without_training_writes_nothing(listener: Listener, tmp_path: Path) -> None:
    opened(listener)
    assert listener.engine.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_opens_at_its_newest_checkpoint(listener: Listener, tmp_path: Path) -> None:
    opened(listener)
    listener.engine.send(p.Train(until=7))
    listener.until(p.Paused)
    listener.engine.send(p.Save())
    listener.until(p.Saved)
    again = Engine(tmp_path / "run")
    again.start()
    event = opened(Listener(again))
    assert (event.step, event.steps) == (7, 400)
    assert again.close()
    assert len(checkpoint_folders(tmp_path / "run")) == 1


def test_a_source_that_does_not_exist_becomes_a_sentence(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "nowhere")
    engine.start()
    failed = Listener(engine).until(p.Failed)
    assert isinstance(failed, p.Failed)
    assert "nowhere" in failed.message
    assert engine.close()


def test_a_view_gets_the_distortion_that_it_asks_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.test_generated_term import clip, config

    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    monkeypatch.setattr(run_module, "with_generated", lambda dataset, options, report: clip())
    engine = Engine("tiny", config(), tmp_path / "run")
    engine.start()
    listener = Listener(engine)
    try:
        event = opened(listener)
        assert event.has_distortion and len(event.virtual_cameras) == 3
        view = View(event.home, 0.5, "distortion/scales", pose=1)
        engine.send(p.Draw(p.Look(view)))
        before = listener.until(p.Drawn)
        assert isinstance(before, p.Drawn) and before.frame.overlay is None
        engine.send(p.Train(until=20))
        listener.until(p.Paused)
        engine.send(p.Draw(p.Look(view)))
        after = listener.until(p.Drawn, lambda e: e.frame.version == 20)
        assert isinstance(after, p.Drawn) and after.frame.overlay is not None
        assert after.frame.overlay.max() > 0 and after.frame.overlay_unit == "of the raw scales"
    finally:
        assert engine.close()
