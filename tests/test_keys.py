"""What the keys do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.keys import ACTIONS, BY_NAME, KEYS, KeyMap, chord, normalised, shown


@pytest.mark.parametrize(
    ("written", "meant"),
    [("ctrl+shift+z", "Ctrl+Shift+Z"), ("Shift+Ctrl+Z", "Ctrl+Shift+Z"), (" control + Z ", "Ctrl+Z"), ("?", "Shift+/"),
     ("space", "Space"), ("}", "Shift+]"), ("Shift+}", "Shift+]"), ("Ctrl++", "Ctrl+Shift+="), ("+", "Shift+="),
     ("f11", "F11"), ("[", "["), ("Esc", "Escape"), ("pageup", "PageUp"), ("Ctrl+-", "Ctrl+-"), ("7", "7"),
     ("", None), ("Ctrl", None), ("Ctrl+", None), ("Hyper+Z", None), ("A+B", None), ("F99", None), ("ä", None)],
)  # fmt: skip
def test_chords_are_understood_as_people_write_them(written: str, meant: str | None) -> None:
    assert normalised(written) == meant


@pytest.mark.parametrize("key", KEYS)
def test_every_chord_is_its_own_normal_form_also_as_it_is_shown(key: str) -> None:
    for modifiers in range(8):
        text = chord(key, bool(modifiers & 1), bool(modifiers & 2), bool(modifiers & 4))
        assert normalised(text) == text == normalised(shown(text))


def test_the_defaults_are_the_keys_that_fingers_know() -> None:
    keys = KeyMap()
    for text, name in {
        "Space": "time.play", "Right": "time.next", ".": "time.next", "Left": "time.previous", ",": "time.previous",
        "Home": "time.first", "End": "time.last", "]": "camera.next", "[": "camera.previous",
        "}": "camera.generated_next", "{": "camera.generated_previous", "H": "camera.home", "F": "camera.focus",
        "W": "fly.forward", "E": "fly.up", "Q": "fly.down", "T": "train.toggle", "Shift+T": "train.step",
        "G": "view.truth", "V": "view.split", "Tab": "view.hide", "C": "view.frusta", "1": "mode.1", "9": "mode.9",
        "K": "path.add", "Enter": "path.add", "Ctrl+Z": "edit.undo", "Ctrl+Y": "edit.redo", "ctrl+shift+z": "edit.redo",
        "Ctrl+O": "file.open", "Ctrl+S": "file.save", "Ctrl+E": "file.export", "Ctrl+C": "camera.copy",
        "Ctrl+V": "camera.paste", "P": "rays.pin", "R": "rays.row", "F1": "help", "?": "help", "F11": "view.full",
        "F12": "screenshot", "Ctrl+P": "screenshot",
    }.items():  # fmt: skip
        action = keys.action_for(text)
        assert action is not None and action.name == name, text
    assert keys.action_for("Ctrl+Alt+Q") is None and keys.action_for("Ctrl+W") is None


def test_no_two_defaults_claim_one_key() -> None:
    keys = KeyMap()
    assert keys.complaints == () == KeyMap(fly_swapped=True).complaints
    for action in ACTIONS:
        assert keys.keys_of(action.name) == action.default == tuple(normalised(c) for c in action.default)
    assert len(BY_NAME) == len(ACTIONS)


def test_flying_goes_on_with_shift_and_alt() -> None:
    keys = KeyMap()
    for text in ("W", "Shift+W", "Alt+W"):
        action = keys.action_for(text)
        assert action is not None and action.name == "fly.forward"


def test_flying_up_and_down_can_be_swapped() -> None:
    keys = KeyMap(fly_swapped=True)
    assert (keys.keys_of("fly.up"), keys.keys_of("fly.down")) == (("Q",), ("E",))
    assert KeyMap({"fly.up": "U"}, fly_swapped=True).keys_of("fly.down") == ("E",)


def test_a_key_that_is_given_away_leaves_its_owner() -> None:
    keys = KeyMap()
    taken = keys.taken_by("time.play", "p")
    assert taken is not None and taken.name == "rays.pin"
    new = KeyMap(keys.rebound("time.play", "p"))
    assert new.complaints == ()
    assert new.keys_of("time.play") == ("P",) and new.keys_of("rays.pin") == ()
    assert new.action_for("Space") is None
    assert keys.keys_of("time.play") == ("Space",), "the map itself is a value"


def test_one_of_several_keys_can_be_given_away() -> None:
    new = KeyMap(KeyMap().rebound("rays.pin", "Enter"))
    assert new.keys_of("path.add") == ("K",) and new.keys_of("rays.pin") == ("Enter",)


def test_a_key_that_flies_is_not_given_away_by_halves() -> None:
    overrides = KeyMap().rebound("rays.pin", "Shift+W")
    assert KeyMap(overrides).keys_of("fly.forward") == () and KeyMap(overrides).complaints == ()
    taken = KeyMap().taken_by("fly.up", "T")
    assert taken is not None and taken.name == "train.toggle"
    lost = KeyMap(KeyMap().rebound("fly.up", "T"))
    assert (lost.keys_of("train.toggle"), lost.keys_of("train.step")) == ((), ())


def test_resetting_gives_the_default_back() -> None:
    overrides = KeyMap().rebound("time.play", "P")
    back = KeyMap(KeyMap(overrides).reset("time.play"))
    assert back.keys_of("time.play") == ("Space",) and back.keys_of("rays.pin") == ()
    assert KeyMap(overrides).rebound("time.play", "Space") == {"rays.pin": ""}
    assert KeyMap(back.reset("rays.pin")).rebound("rays.pin", "P") == {}


def test_a_key_may_be_taken_away() -> None:
    assert KeyMap(KeyMap().rebound("view.hide", "")).keys_of("view.hide") == ()
    with pytest.raises(ValueError):
        KeyMap().rebound("view.hide", "Nonsense")
    with pytest.raises(KeyError):
        KeyMap().rebound("view.nothing", "P")


def test_what_a_hand_wrote_wrong_is_said_and_the_rest_holds() -> None:
    keys = KeyMap({"time.play": "p", "nothing": "X", "view.split": "Bogus F2", "view.full": ""})
    assert keys.keys_of("time.play") == ("P",) and keys.keys_of("view.split") == ("F2",)
    said = " ".join(keys.complaints)
    assert len(keys.complaints) == 3 and "nothing" in said and "Bogus" in said and "pin the ray" in said
    assert keys.keys_of("rays.pin") == () and keys.keys_of("view.full") == ()


def test_the_sheet_lists_every_action_once_by_group() -> None:
    rows = KeyMap({"time.play": "P"}).table()
    assert [r.name for r in rows] == [a.name for a in ACTIONS]
    groups = [r.group for r in rows]
    assert len([1 for a, b in pairwise(groups) if a != b]) + 1 == len(set(groups))
    by_name = {r.name: r for r in rows}
    assert by_name["help"].keys == "F1  ?" and by_name["camera.generated_next"].keys == "}"
    assert by_name["time.play"].changed and by_name["time.play"].keys == "P" and not by_name["help"].changed


def test_key_numbers_and_names_translate_both_ways() -> None:
    dpg = pytest.importorskip("dearpygui.dearpygui")
    from app.gui.key_names import NAMES, NUMBERS, key_name

    assert NUMBERS.keys() == set(KEYS)
    assert sum(len(numbers) for numbers in NUMBERS.values()) == len(NAMES), "one number, two names"
    for name, numbers in NUMBERS.items():
        assert all(key_name(number) == name for number in numbers)
    named = range(512, 656)  # what handlers report of the keyboard
    assert all(number in named for number in NAMES)
    for number in (dpg.mvKey_LShift, dpg.mvKey_RControl, dpg.mvKey_LAlt, *range(656, 700)):
        assert key_name(number) is None
