"""Asking for files: the desktop's programs as they are called and answer; Dear PyGui's dialog is tried in
tests/test_native.py."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.gui.widgets.file_dialog import FileDialogs, Question, command


def program(folder: Path, script: str, name: str = "zenity") -> str:
    """A program that writes down how it was called and then does what a script says."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/called"\n{script}\n')
    path.chmod(0o755)
    return str(path)


def polled(dialogs: FileDialogs, seconds: float = 5.0) -> float:
    """Poll until the question is closed; the longest that a poll took."""
    end, longest = time.monotonic() + seconds, 0.0
    while dialogs.open:
        assert time.monotonic() < end, "never answered"
        began = time.monotonic()
        dialogs.poll()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.002)
    return longest


def test_an_answer_arrives_without_holding_the_loop_up(tmp_path: Path) -> None:
    got: list[Path] = []
    target = tmp_path / "a clip, ü"
    target.mkdir()
    dialogs = FileDialogs(program(tmp_path, f'sleep 0.2; echo "{target}"'))
    assert dialogs.ask_folder("Open", tmp_path / "gone" / "deeper", got.append)
    assert not dialogs.ask_open("Another", tmp_path, got.append)
    assert polled(dialogs) < 0.1
    assert got == [target]
    called = (tmp_path / "called").read_text().splitlines()
    assert called == ["--file-selection", "--directory", "--title=Open", f"--filename={tmp_path}/"]


@pytest.mark.parametrize("script", ["exit 1", "exit 0"])
def test_cancelling_calls_nothing(tmp_path: Path, script: str) -> None:
    dialogs = FileDialogs(program(tmp_path, script))
    dialogs.ask_save("Save", tmp_path / "x.ply", pytest.fail, [".ply"])
    polled(dialogs)
    assert dialogs.ask_folder("Again", tmp_path, pytest.fail)
    polled(dialogs)


def test_a_name_without_its_ending_gets_it(tmp_path: Path) -> None:
    got: list[Path] = []
    dialogs = FileDialogs(program(tmp_path, f"echo {tmp_path}/scene.v2"))
    dialogs.ask_save("Save", tmp_path / "x.ply", got.append, [".ply", ".splat"])
    polled(dialogs)
    assert got == [tmp_path / "scene.v2.ply"]


def test_a_file_that_was_agreed_to_be_replaced_is_not_asked_about_twice(tmp_path: Path) -> None:
    got: list[Path] = []
    (tmp_path / "scene.PLY").touch()
    dialogs = FileDialogs(program(tmp_path, f"echo {tmp_path}/scene.PLY"))
    dialogs.ask_save("Save", tmp_path / "x.ply", got.append, [".ply"])
    polled(dialogs)
    assert got == [tmp_path / "scene.PLY"]


def test_closing_ends_the_program(tmp_path: Path) -> None:
    dialogs = FileDialogs(program(tmp_path, "exec sleep 60"))
    dialogs.ask_open("Open", tmp_path, pytest.fail)
    began = time.monotonic()
    dialogs.close()
    assert time.monotonic() - began < 5 and not dialogs.open


def test_each_program_is_called_in_its_own_way(tmp_path: Path) -> None:
    save = Question("save", "Save it", tmp_path / "a.ply", (".ply",), pytest.fail)
    assert command("/usr/bin/zenity", save) == [
        "/usr/bin/zenity", "--file-selection", "--save", "--confirm-overwrite", "--title=Save it",
        f"--filename={tmp_path}/a.ply", "--file-filter=*.ply *.PLY",
    ]  # fmt: skip
    assert command("/usr/bin/kdialog", save) == [
        "/usr/bin/kdialog", "--title", "Save it", "--getsavefilename", f"{tmp_path}/a.ply", "*.ply *.PLY",
    ]  # fmt: skip
    folder = Question("folder", "Open", tmp_path, (), pytest.fail)
    assert command("kdialog", folder)[-2:] == ["--getexistingdirectory", f"{tmp_path}/"]
    opened = Question("open", "Open", tmp_path, (), pytest.fail)
    assert command("zenity", opened) == ["zenity", "--file-selection", "--title=Open", f"--filename={tmp_path}/"]
