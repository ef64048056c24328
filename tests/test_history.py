"""Undo and redo."""

from __future__ import annotations

import pytest

from app.history import History


class Document:
    """A value that is replaced whole, edited through a history."""

    def __init__(self, history: History, name: str = "path") -> None:
        self.value: tuple[int, ...] = ()
        self.history, self.name = history, name
        history.track(name, lambda: self.value, self.set)

    def set(self, value: tuple[int, ...]) -> None:
        self.value = value

    def edit(self, value: tuple[int, ...], label: str) -> None:
        before, self.value = self.value, value
        self.history.changed(self.name, before, label)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_steps_are_taken_back_and_done_again_in_order() -> None:
    history = History()
    path, pins = Document(history, "path"), Document(history, "pins")
    path.edit((1,), "add a keyframe")
    pins.edit((7,), "pin a ray")
    path.edit((1, 2), "add another")
    assert (history.undo(), path.value, pins.value) == ("add another", (1,), (7,))
    assert (history.undo(), path.value, pins.value) == ("pin a ray", (1,), ())
    assert (history.redo(), path.value, pins.value) == ("pin a ray", (1,), (7,))
    assert [history.undo(), history.undo(), history.undo()] == ["pin a ray", "add a keyframe", None]
    assert (path.value, pins.value) == ((), ())
    assert [history.redo(), history.redo(), history.redo()] == ["add a keyframe", "pin a ray", "add another"]
    assert (history.redo(), path.value, pins.value) == (None, (1, 2), (7,))


def test_a_new_change_ends_what_could_be_done_again() -> None:
    history = History()
    path = Document(history)
    path.edit((1,), "a")
    history.undo()
    path.edit((2,), "b")
    assert history.redo() is None
    assert (history.undo(), path.value) == ("b", ())


def test_dragging_is_one_step_and_a_pause_begins_another() -> None:
    clock = Clock()
    history = History(clock=clock)
    path = Document(history)
    for k in range(20):
        clock.now = 0.4 * k
        path.edit((k,), "drag")
    clock.now += 0.6
    path.edit((99,), "drag")
    assert (history.undo(), path.value) == ("drag", (19,))
    assert (history.undo(), path.value, history.undo()) == ("drag", (), None)
    assert (history.redo(), path.value) == ("drag", (19,))


def test_changes_of_other_things_are_not_joined() -> None:
    history = History(clock=Clock())
    path, pins = Document(history, "path"), Document(history, "pins")
    path.edit((1,), "move")
    pins.edit((1,), "move")
    pins.edit((2,), "name")
    assert [history.undo() for _ in range(4)] == ["name", "move", "move", None]


def test_a_change_after_undo_does_not_join_the_step_before_it() -> None:
    history = History(clock=Clock())
    path = Document(history)
    path.edit((1,), "move")
    path.edit((2,), "turn")
    history.undo()
    path.edit((3,), "move")
    assert (history.undo(), path.value) == ("move", (1,))


def test_what_undoing_causes_is_not_recorded() -> None:
    history = History()
    path = Document(history)

    def set_and_tell(value: tuple[int, ...]) -> None:  # as a widget's callback does
        path.edit(value, "widget")
        assert history.undo() is None

    history.track("path", lambda: path.value, set_and_tell)
    path.edit((1,), "a")
    assert history.undo() == "a"
    assert (history.undo(), history.redo(), path.value) == (None, "a", (1,))


def test_nothing_changed_is_no_step_and_the_oldest_are_dropped() -> None:
    history = History(limit=200)
    path = Document(history)
    path.edit((), "nothing")
    assert history.undo() is None
    for k in range(250):
        path.edit((k,), f"step {k}")
    undone = []
    while label := history.undo():
        undone.append(label)
    assert len(undone) == 200 and path.value == (49,)


def test_a_step_that_fails_can_be_tried_again() -> None:
    history = History()
    path = Document(history)
    path.edit((1,), "a")

    def refuse(value: object) -> None:
        raise ValueError

    history.track("path", lambda: path.value, refuse)
    with pytest.raises(ValueError):
        history.undo()
    history.track("path", lambda: path.value, path.set)
    assert (history.undo(), path.value) == ("a", ())


def test_another_scene_begins_without_the_old_steps() -> None:
    history = History()
    path, keys = Document(history, "path"), Document(history, "keys")
    path.edit((1,), "a")
    keys.edit((2,), "b")
    history.forget("path")
    assert (history.undo(), history.undo(), path.value) == ("b", None, (1,))
    history.forget()
    assert history.redo() is None
