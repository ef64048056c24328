"""Playing a clip, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from app.clock import SPEEDS, Clock
from app.settings import Loop


def playing(loop: Loop, frame_count: int = 11, fps: float = 10.0) -> Clock:
    clock = Clock(loop)
    clock.open(frame_count, fps)
    clock.play()
    clock.tick(100.0)
    return clock


def times(clock: Clock, at: Sequence[float]) -> list[float]:
    found = []
    for seconds in at:
        clock.tick(100.0 + seconds)
        found.append(clock.time)
    return found


def test_a_loop_holds_the_last_frame_and_begins_again() -> None:
    found = times(playing("loop"), [0.0, 0.25, 1.0, 1.05, 1.11, 1.35, 22.25])
    np.testing.assert_allclose(found, [0, 0.25, 1, 1, 0.01, 0.25, 0.25], atol=1e-9)  # 11 frames take 1.1 s


def test_ping_pong_comes_back_and_goes_again() -> None:
    found = times(playing("ping-pong"), [0.5, 1.0, 1.3, 2.0, 2.2, 3.3, 43.3])
    np.testing.assert_allclose(found, [0.5, 1, 0.7, 0, 0.2, 0.7, 0.7], atol=1e-9)


def test_once_stops_at_the_end_and_begins_anew_when_it_is_played_again() -> None:
    clock = playing("once")
    assert times(clock, [0.9, 7.0]) == pytest.approx([0.9, 1.0])
    assert not clock.playing
    clock.play()
    assert times(clock, [20.0, 20.3]) == pytest.approx([0.0, 0.3])


def test_dropped_frames_of_the_window_do_not_slow_time_down() -> None:
    often, seldom = playing("ping-pong"), playing("ping-pong")
    assert times(often, list(np.arange(1, 1501) / 100))[-1] == pytest.approx(times(seldom, [7.7, 15.0])[-1])


@pytest.mark.parametrize("speed", SPEEDS)
def test_speed_is_a_factor_on_the_clock_on_the_wall(speed: float) -> None:
    clock = playing("loop", frame_count=101)
    clock.speed = speed
    assert times(clock, [1.0, 2.0]) == pytest.approx([0.1 * speed, 0.2 * speed])


def test_time_that_passed_while_it_was_paused_does_not_count() -> None:
    clock = playing("loop")
    times(clock, [0.2])
    clock.pause()
    assert times(clock, [5.0]) == pytest.approx([0.2])
    clock.play()
    assert times(clock, [9.0, 9.1]) == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize(("loop", "order"), [("loop", [0, 1, 2, 3, 4]), ("ping-pong", [0, 1, 2, 3, 4, 3, 2, 1])])
def test_snapped_every_frame_is_shown_for_equally_long(loop: Loop, order: list[int]) -> None:
    clock = playing(loop, frame_count=5)
    clock.snap = True
    for part in (0.1, 0.9):
        found = times(clock, [(k + part) / 10 for k in range(len(order))])
        assert [4 * time for time in found] == order
        clock = playing(loop, frame_count=5)
        clock.snap = True


def test_steps_go_to_the_frame_beside_and_around_only_in_a_loop() -> None:
    clock = Clock("once")
    clock.open(5, 10.0)
    clock.seek(0.3)  # between frames 1 and 2
    clock.step(1)
    assert clock.time == 0.5
    clock.seek(0.3)
    clock.step(-1)
    assert clock.time == 0.25
    for _ in range(9):
        clock.step(1)
    assert clock.time == 1.0
    clock.next_loop()
    assert clock.loop == "loop"
    clock.step(1)
    assert clock.time == 0.0
    clock.step(-1)
    assert clock.time == 1.0


def test_many_steps_through_a_time_in_0_to_1_miss_no_frame() -> None:
    clock, found = Clock("loop"), []
    clock.open(157, 24.0)
    for _ in range(157):
        clock.seek(clock.time)  # as the window does: time makes the way through [0, 1]
        clock.step(1)
        found.append(clock.frame_at(clock.time))
    assert found == [*range(1, 157), 0]


def test_a_clip_of_a_single_frame_can_be_played() -> None:
    for loop in ("once", "loop", "ping-pong"):
        clock = playing(loop, frame_count=1)  # type: ignore[arg-type]
        assert all(0 <= time <= 1 for time in times(clock, [0.01, 0.05, 3.0]))
        assert clock.frame_at(clock.time) == 0
        clock.step(1)
        clock.step(-1)


def test_a_speed_that_is_not_offered_is_brought_into_the_range() -> None:
    assert (Clock(speed=0.01).speed, Clock(speed=100.0).speed) == (0.1, 4.0)
