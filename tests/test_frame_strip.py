"""What the strip of the timeline draws, and who moves time; without a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app import protocol as p
from app.gui.desk import Desk
from app.gui.theme import Skin
from app.gui.timeline.panel import Timeline
from app.gui.timeline.strip import frames_of, grouped, runs
from app.settings import Settings
from tests.tiny import tiny_dataset
from training.config import TrainConfig
from training.data.dataset import Shot


def test_neighbouring_frames_are_drawn_as_the_strongest_of_them() -> None:
    values = np.array([np.nan, 1, 5, 2, np.nan, np.nan, 3, 4])
    assert grouped(values, 4) == [(0.5, 1.0), (2.5, 5.0), (6.5, 4.0)]
    assert grouped(values, 99) == [(1, 1.0), (2, 5.0), (3, 2.0), (6, 3.0), (7, 4.0)]


def test_rows_of_marked_frames_are_found() -> None:
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 1), (3, 3), (6, 6)]
    assert runs(np.zeros(3, bool)) == []


def test_the_worst_frame_is_the_one_with_the_largest_error_that_was_measured() -> None:
    shots = [Shot("a", None, k / 3, k, split) for k, split in ((0, "train"), (1, "test"), (3, "train"))]  # type: ignore[arg-type]
    frames = frames_of(shots, 4)
    assert frames.worst is None
    np.testing.assert_array_equal([frames.learned, frames.held_out], [[1, 0, 0, 1], [0, 1, 0, 0]])
    frames.errors[[0, 3]] = 0.2, 0.3
    assert frames.worst == 3


@pytest.fixture
def timeline() -> Iterator[Timeline]:
    """Of a clip that is open, without widgets."""
    desk = Desk(Skin(), Settings(), lambda settings: None)
    clip = tiny_dataset(5)
    opened = p.Opened(
        "tiny", "tiny", tuple(clip.shots), clip.shots[0].camera, (0, 0, 0), clip.up, (1, 5), np.zeros((2, 3)), clip.fps,
        clip.frame_count, 0, 10, Path(), TrainConfig(), "gaussians",
    )  # fmt: skip
    asked: list[p.Command] = []
    desk.send = asked.append
    desk.stage.open(opened)
    timeline = Timeline(desk)
    timeline.handle(opened)
    assert asked == [p.WatchFrames()]
    yield timeline
    desk.worker.close(5.0)


def test_play_stops_a_camera_path_and_so_does_scrubbing(timeline: Timeline) -> None:
    stage = timeline.desk.stage
    stage.flown_by = "path"
    timeline.toggle()
    assert (stage.flown_by, timeline.playing) == ("", False)
    timeline.toggle()
    assert timeline.playing
    stage.flown_by = "path"
    timeline.go(0.4)
    assert (stage.flown_by, stage.time) == ("", 0.4)


def test_where_somebody_else_moved_time_the_next_frame_is_counted_from_there(timeline: Timeline) -> None:
    timeline.step(1)
    assert timeline.time == 0.25
    timeline.desk.stage.set_time(0.6)
    timeline.step(1)
    assert timeline.time == 0.75


def test_errors_that_come_from_the_engine_say_which_frame_is_worst(timeline: Timeline) -> None:
    timeline.go_to_worst()
    assert "yet" in timeline.desk.log[-1].text
    timeline.handle(p.FrameErrors(np.array([0.1, np.nan, 0.02, 0.3, 0.2]), 70))
    timeline.handle(p.FrameEnergies(np.array([np.nan, 0.1, 0.1, 0.1, 0.1])))
    timeline.go_to_worst()
    assert timeline.time == 0.75
    assert timeline.desk.log[-1].text == "Frame 4 of 5 has the largest error: 30.00 % of full intensity at step 70"
    assert (timeline.state()["errors"], timeline.state()["energies"]) == (4, 4)
    timeline.closed()
    assert (timeline.state()["errors"], timeline.state()["worst"]) == (0, None)
