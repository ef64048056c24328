"""Which values lie at the two ends of a colour map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.gui.picture.value_ranges import ValueRanges
from app.looks import COLOR, DEPTH, MOVING, RAYS, SPEED, Display
from renderer.view import Frame, View
from tests.tiny import camera_at


def frame(height: int, width: int, overlay: str = "") -> Frame:
    """A slope from depth 1 above to 3 below that is half there at the left and not at all in the last columns."""
    opacity = np.ones((height, width), np.float32)
    opacity[:, : width // 2], opacity[:, -width // 4 :] = 0.6, 0.1
    depth = np.linspace(1, 3, height, dtype=np.float32)[:, None] * np.ones((height, width), np.float32)
    depth[:, -width // 4 :] = 99
    values = None if not overlay else np.linspace(0, 5, height * width, dtype=np.float32).reshape(height, width)
    view = View(camera_at(0.0, width, height), 0.0, overlay)
    color = np.zeros((height, width, 3), np.float32)
    return Frame(view=view, color=color, depth=depth * opacity, opacity=opacity, version=0, overlay=values)


@pytest.mark.parametrize("size", [(30, 40), (500, 800)])
def test_depths_of_what_is_seen_give_the_ends(size: tuple[int, int]) -> None:
    ranges, shown = ValueRanges(), frame(*size)
    ranges.learn("left", Display(mode=DEPTH), shown)
    wanted = np.percentile(np.repeat(np.linspace(1, 3, size[0]), 9), (2, 98))
    np.testing.assert_allclose(ranges.of("left", Display(mode=DEPTH)), wanted, atol=0.02)
    assert ranges.of("right", Display(mode=DEPTH)) == ranges.of("left", Display(mode=DEPTH)), (
        "both sides are compared by one scale"
    )


@pytest.mark.parametrize("size", [(30, 40), (500, 800)])
def test_an_overlay_begins_at_nothing_and_ends_near_its_largest_value(size: tuple[int, int]) -> None:
    ranges, display = ValueRanges(), Display(mode=RAYS)
    shown = frame(*size, display.overlay)
    assert shown.overlay is not None
    shown.overlay[0, :4] = np.nan, np.inf, -np.inf, 5
    ranges.learn("left", display, shown)
    low, high = ranges.of("left", display)
    assert low == 0 and high == pytest.approx(np.percentile(np.linspace(0, 5, 10_000), 99.5), abs=0.03)
    ranges.learn("left", Display(mode=MOVING), frame(*size, "dynamic"))
    assert ranges.of("left", Display(mode=MOVING)) == (0.0, 1.0), "a share has the ends that it can have"


def test_what_is_held_stays_and_what_is_not_known_changes_nothing() -> None:
    ranges, shown = ValueRanges(), frame(30, 40)
    ranges.learn("left", Display(mode=DEPTH), replace(shown, opacity=np.zeros_like(shown.opacity)))
    ranges.learn("left", Display(mode=COLOR), shown)
    ranges.learn("left", Display(mode=RAYS), frame(30, 40, "error"))
    assert ranges.of("left", Display(mode=DEPTH)) == ranges.of("left", Display(mode=RAYS)) == (0.0, 1.0)
    ranges.learn("left", Display(mode=DEPTH), shown)
    before, ranges.held = ranges.of("left", Display(mode=DEPTH)), True
    ranges.learn("left", Display(mode=DEPTH), replace(shown, depth=2 * shown.depth))
    assert ranges.of("left", Display(mode=DEPTH)) == before
    ranges.held = False
    ranges.learn("left", Display(mode=DEPTH), replace(shown, depth=2 * shown.depth))
    assert ranges.of("left", Display(mode=DEPTH))[1] == pytest.approx(2 * before[1])


def test_the_right_side_has_the_range_of_the_left_only_where_both_show_the_same() -> None:
    ranges = ValueRanges()
    rays, speed, depth = (Display(mode=mode) for mode in (RAYS, SPEED, DEPTH))
    large, small = frame(30, 40, rays.overlay), frame(30, 40, speed.overlay)
    assert small.overlay is not None
    small = replace(small, overlay=small.overlay / 10)
    ranges.learn("left", rays, large)
    ranges.learn("right", speed, small)
    assert ranges.of("right", speed)[1] == pytest.approx(ranges.of("left", rays)[1] / 10)
    ranges.learn("left", speed, replace(small, overlay=2 * small.overlay))
    assert ranges.of("right", speed) == ranges.of("left", speed)
    ranges.learn("left", depth, large)
    ranges.learn("right", speed, small)
    assert ranges.of("right", speed)[1] == pytest.approx(ranges.of("left", speed)[1] / 2), "that is shown no more"
