"""What the window remembers."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from app.settings import READERS, RECENT, Settings, load_settings, save_settings, with_recent, without_recent

FULL = Settings(
    theme="light", scale=1.5, window=(-5, 7, 1300, 800), side=431, side_shown=False, tab="Rays",
    keys={"time.play": "P"}, fly_swapped=True, recent=("demo", "/a b/ü"), export={"fps": 30, "mode": "color"},
    loop_mode="ping-pong", speed=0.5,
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNVIEW_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def written(folder: Path, value: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(value if isinstance(value, str) else json.dumps(value))


def test_everything_that_is_saved_comes_back(folder: Path) -> None:
    for name in (f.name for f in fields(Settings)):
        assert getattr(FULL, name) != getattr(Settings(), name), f"{name} is not tried"
    assert save_settings(FULL) is None
    assert load_settings() == (FULL, ())
    assert [p.name for p in folder.iterdir()] == ["settings.json"]
    assert READERS.keys() == {f.name for f in fields(Settings)}


def test_the_first_start_has_nothing_to_say() -> None:
    assert load_settings() == (Settings(), ())


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", '"text"', "\x00", "[" * 100_000])
def test_a_damaged_file_is_kept_aside_and_named(folder: Path, text: str) -> None:
    written(folder, text)
    settings, (said,) = load_settings()
    assert settings == Settings()
    assert "settings.damaged.json" in said
    assert (folder / "settings.damaged.json").read_text() == text
    assert save_settings(FULL) is None and load_settings() == (FULL, ())


def test_what_a_newer_version_wrote_is_passed_over(folder: Path) -> None:
    written(folder, {"theme": "light", "holograms": True})
    assert load_settings() == (Settings(theme="light"), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [("theme", "pink"), ("theme", []), ("scale", "big"), ("scale", 1000), ("scale", float("nan")), ("scale", True),
     ("scale", 10**400), ("window", [1, 2, 3]), ("window", [0, 0, 1, 1]), ("window", [0, 0, None, 900]),
     ("window", [float("inf"), 0, 900, 900]), ("side", -3), ("tab", 3), ("keys", {"a": 1}), ("keys", []),
     ("fly_swapped", 1), ("recent", "demo"), ("recent", [""]), ("recent", [3]), ("export", 3),
     ("loop_mode", "backwards"), ("speed", 0), ("side_shown", None)],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_leaves_the_others_alone(folder: Path, name: str, value: object) -> None:
    rest = {"theme": "light"} if name != "theme" else {"tab": "Log"}
    written(folder, {**rest, name: value})
    settings, (said,) = load_settings()
    assert settings == replace(Settings(), **rest)  # type: ignore[arg-type]
    assert name in said and said.endswith(".")


def test_a_folder_that_cannot_be_written_gives_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DYNVIEW_CONFIG", str(tmp_path / "file" / "config"))
    said = save_settings(FULL)
    assert said and "settings.json" in said and "DYNVIEW_CONFIG" in said
    settings, complaints = load_settings()
    assert settings == Settings() and len(complaints) == 1


def test_a_save_that_fails_leaves_the_old_file_whole(folder: Path) -> None:
    save_settings(FULL)
    assert save_settings(replace(FULL, export={"path": Path("x")}))  # a Path is no JSON
    assert load_settings() == (FULL, ())
    assert [p.name for p in folder.iterdir()] == ["settings.json"]


def test_a_link_to_the_file_stays_a_link(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "mine.json").write_text("{}")
    (folder / "settings.json").symlink_to(tmp_path / "mine.json")
    save_settings(FULL)
    assert (folder / "settings.json").is_symlink()
    assert json.loads((tmp_path / "mine.json").read_text())["tab"] == "Rays"


def test_recent_scenes_are_newest_first_once_and_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = with_recent(with_recent(with_recent(Settings(), "demo:sparse"), "clip"), tmp_path / "x" / ".." / "clip")
    assert settings.recent == (str(tmp_path / "clip"), "demo:sparse")
    assert with_recent(settings, "demo:sparse").recent == ("demo:sparse", str(tmp_path / "clip"))
    assert without_recent(settings, "demo:sparse").recent == (str(tmp_path / "clip"),)
    for k in range(RECENT + 3):
        settings = with_recent(settings, tmp_path / str(k))
    assert len(settings.recent) == RECENT == 12
    assert settings.recent[0] == str(tmp_path / str(RECENT + 2))
