"""Rays that are kept: what is asked for them, and that every change can be undone."""

from dataclasses import replace

import numpy as np
import pytest

from app import protocol as p
from app.history import History
from app.pins import COLORS, PinBoard, Reading, added, changed, found, without
from app.ray_report import RayReport
from renderer.rays import RayDistribution
from renderer.view import View
from tests.tiny import camera_at

VIEW = View(camera_at(0.0), 0.25, "rays/modes", 3)
PICK = p.Pick(VIEW, (7, 9))


def reading(step: int, depth: float = 2.0) -> Reading:
    one = np.ones(1)
    ray = RayDistribution(VIEW, (7, 9), depth * one, 0.5 * one, one, np.ones((1, 3)), np.zeros(1, int), one)
    return Reading(RayReport("", ray, 1.0, 6.0), step)


@pytest.fixture
def sent() -> list[p.Command]:
    return []


@pytest.fixture
def board(sent: list[p.Command]) -> PinBoard:
    return PinBoard(sent.append)


def test_a_pinned_ray_is_followed_until_it_is_unpinned(board: PinBoard, sent: list[p.Command]) -> None:
    board.set(added((), PICK))
    key = board.pins[0].key
    assert sent == [p.Pick(replace(VIEW, overlay="", pose=0), (7, 9), key)]
    board.set(changed(board.pins, key, name="wall"))
    assert len(sent) == 1  # a name is nothing to ask for
    board.set(without(board.pins, key))
    assert sent[1:] == [p.Unpick(key)]


def test_a_hidden_or_frozen_ray_is_not_followed(board: PinBoard, sent: list[p.Command]) -> None:
    board.set(added(added((), PICK), replace(PICK, step=40)))
    first, second = (pin.key for pin in board.pins)
    assert sent[1] == p.Pick(replace(VIEW, overlay="", pose=0), (7, 9), second, 40)
    board.answered(first, reading(5))
    board.set(changed(board.pins, first, frozen=board.reading(board.pins[0])))
    board.set(changed(board.pins, second, shown=False))
    assert sent[2:] == [p.Unpick(first), p.Unpick(second)]
    board.answered(first, reading(50))  # was on its way
    known = board.reading(board.pins[0])
    assert known is not None and known.step == 5 and known.report.name == "Ray 1 · step 5"
    assert [pin.key for pin, _ in board.compared] == [first]


def test_every_change_of_the_pins_can_be_undone_and_done_again(board: PinBoard, sent: list[p.Command]) -> None:
    history = History()
    history.track("pins", lambda: board.pins, board.set)
    for pins, label in ((added((), PICK), "pin"), (added(added((), PICK), PICK), "pin again"), ((), "unpin all")):
        before = board.pins
        board.set(pins)
        history.changed("pins", before, label)
    history.undo()
    assert [pin.name for pin in board.pins] == ["Ray 1", "Ray 2"]
    assert [type(command) for command in sent[-2:]] == [p.Pick, p.Pick]  # both are followed again
    history.undo()
    assert [pin.name for pin in board.pins] == ["Ray 1"]
    assert sent[-1] == p.Unpick("pin 2")
    history.redo()
    assert len(board.pins) == 2


def test_frozen_rays_can_be_told_apart_by_undo(board: PinBoard) -> None:
    history = History()
    history.track("pins", lambda: board.pins, board.set)
    board.set(added((), PICK))
    for step in (1, 2):
        before = board.pins
        board.set(changed(before, "pin 1", frozen=reading(step)))
        history.changed("pins", before, f"freeze {step}")
    history.undo()
    assert board.pins[0].frozen is not None and board.pins[0].frozen.step == 1


def test_pins_have_names_and_colours_of_their_own() -> None:
    pins = ()
    for _ in range(len(COLORS) + 1):
        pins = added(pins, PICK)
    assert len({pin.key for pin in pins}) == len(pins)
    assert {pin.color for pin in pins[:-1]} == set(COLORS)
    again = added(without(pins, pins[2].key), PICK)
    assert again[-1].color == pins[2].color  # a colour that was given back is given again
    assert again[-1].key not in {pin.key for pin in pins}


def test_a_ray_is_found_among_the_pins_whatever_the_view_shows_over_it() -> None:
    pins = added((), PICK)
    assert found(pins, replace(PICK, view=replace(VIEW, overlay="", pose=0))) is pins[0]
    assert found(pins, replace(PICK, step=3)) is None
    assert found(pins, replace(PICK, pixel=(8, 9))) is None
