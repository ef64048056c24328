"""What panels keep, ask and hand over, without their widgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

pytest.importorskip("dearpygui.dearpygui")

from app import protocol as p
from app.forms import field_of
from app.gui import closing
from app.gui.closing import Closing
from app.gui.desk import Desk, Source
from app.gui.path import files
from app.gui.path.editor import PathEditor
from app.gui.path.files import PathFiles
from app.gui.start.panel import StartPanel
from app.gui.theme import Skin
from app.gui.training import checkpoint_list, panel, settings_form
from app.gui.training.checkpoint_list import CheckpointList
from app.gui.training.panel import TrainingPanel
from app.gui.training.settings_form import SettingsForm
from app.gui.widgets import replace_question
from app.settings import Settings
from renderer.tracks import Keyframe, Track
from tests.test_scenery import opened
from tests.tiny import camera_at
from training.config import TrainConfig, resolved
from training.schedule import Milestone


class Waiting(Desk):
    """``waiting``: what is to be done beside the loop, and who gets the result; ``opens``: scenes that are wanted."""

    def __init__(self) -> None:
        super().__init__(Skin(), Settings(), lambda settings: None)
        self.waiting: list[Callable[[], None]] = []
        self.opens: list[Source] = []
        self.open_scene = self.leave_for = self.opens.append

    def beside(self, job: Callable[[], Any], then: Callable[[Any], None], over: Callable[[], None] = print) -> None:
        self.waiting.append(lambda: then(job()))

    def do_it(self) -> None:
        """What waits, and hand the results over."""
        jobs, self.waiting = self.waiting, []
        for job in jobs:
            job()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    for module in (closing, files, replace_question, checkpoint_list, panel, settings_form):
        monkeypatch.setattr(module, "dpg", MagicMock())
    monkeypatch.setattr(closing, "in_the_middle", lambda width: (0, 0))
    monkeypatch.setattr(closing, "set_text", lambda tag, text: None)
    monkeypatch.setattr(replace_question, "in_the_middle", lambda width: (0, 0))
    desk = Waiting()
    desk.stage.open(replace(opened(), run=Path("a run")))
    yield desk
    desk.worker.close(5.0)


# ------------------------------------------------------------------------------------------ camera paths


@pytest.fixture
def paths(desk: Waiting, monkeypatch: pytest.MonkeyPatch) -> PathFiles:
    track = Track((Keyframe(camera_at(0.0), 0.0), Keyframe(camera_at(0.3), 1.0)))
    monkeypatch.setattr(files, "load_track", lambda file, near: track)
    return PathFiles(desk, PathEditor(desk.stage, desk.history))


def test_a_path_is_loaded_although_cameras_were_learned_meanwhile(paths: PathFiles, desk: Waiting) -> None:
    paths.load(Path("a.json"))
    o = opened()
    desk.stage.cameras_moved(p.CamerasMoved(o.shots, o.virtual_cameras))
    desk.do_it()
    assert len(desk.stage.track.keyframes) == 2
    desk.stage.track = Track()
    paths.load(Path("a.json"))
    desk.stage.open(replace(o, run=Path("other")))
    desk.do_it()
    assert not desk.stage.track.keyframes, "it was wanted for another scene"


def test_a_file_that_is_not_of_this_scene_is_replaced_only_after_a_word(
    paths: PathFiles, desk: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(files, "save_track", lambda file, *_: written.append(file))
    file = tmp_path / "camera_path.json"
    monkeypatch.setattr(paths, "_named", lambda: file)
    paths.load(tmp_path / "other.json")
    desk.do_it()

    def save() -> bool:
        """Whether it asks."""
        paths._save_named()
        desk.do_it()
        return paths.question.open

    file.touch()
    assert save() and written == []
    paths.question._agree()
    desk.do_it()
    assert written == [file] and not save() and len(written) == 2, "what was written here is one's own"
    paths.load(file := tmp_path / "other.json")
    file.touch()
    assert not save() and len(written) == 3, "and what was read"
    paths.opened(opened())
    assert save() and len(written) == 3
    paths.closed()
    assert not paths.question.open


# --------------------------------------------------------------------------------------------- opening


def test_what_could_not_be_opened_is_shown_under_its_own_path(desk: Waiting) -> None:
    start = StartPanel(desk)
    start._card._fill = lambda *_: None  # type: ignore[method-assign]
    start._card._path, desk.opening = "asked about last", "/clips/broken"
    start.handle(p.Failed("No pictures", closed=True))
    assert start._card._path == "/clips/broken"


def test_a_scene_is_left_for_another_only_after_a_word_where_an_export_goes_on(desk: Waiting) -> None:
    ask = Closing(desk, lambda: None)
    desk.busy["training"] = "Training goes on"
    ask.ask_to_open(Source("a"))
    assert desk.opens == [Source("a")], "what was learned is saved"
    desk.busy["export"] = "A video is being written"
    ask.ask_to_open(Source("b"))
    ask.ask_to_open(Source("c"))
    assert len(desk.opens) == 1 and ask.state()["asking"]
    ask._leave()
    assert desk.opens == [Source("a"), Source("b")]


@pytest.mark.parametrize("meanwhile", ["nothing", "another scene", "another is opened"])
def test_a_new_run_opens_over_the_run_that_it_goes_on_from_only(
    desk: Waiting, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    monkeypatch.setattr(checkpoint_list, "branch", lambda run, step: Path("new"))
    checkpoints = CheckpointList(desk)
    monkeypatch.setattr(checkpoints, "_chosen", lambda: 7)
    checkpoints._go_on()
    if meanwhile == "another scene":
        desk.stage.open(replace(opened(), run=Path("other")))
    desk.opening = "another" if meanwhile == "another is opened" else ""
    desk.do_it()
    assert desk.opens == ([Source("new")] if meanwhile == "nothing" else [])
    assert desk.log[-1].text == "A new run goes on from step 7 in new"


# --------------------------------------------------------------------------------------------- training


@pytest.fixture
def form(desk: Waiting, monkeypatch: pytest.MonkeyPatch) -> SettingsForm:
    """Of a run on a graphics card."""
    form = SettingsForm(desk)
    form._rows = MagicMock()
    form.opened(replace(opened(), config=resolved(TrainConfig(), "cuda"), device="cuda"))
    return form


def test_settings_are_those_of_the_device_that_learns(form: SettingsForm) -> None:
    form._reset()
    assert form.wanted == form._run and form.pending == []
    form._reset_one(field_of(form._known_fields(), "steps"))
    assert form.wanted == form._run


def test_settings_can_be_changed_again_after_a_failure(form: SettingsForm, desk: Waiting) -> None:
    sent: list[p.Command] = []
    desk.send = sent.append
    assert form.wanted is not None
    form._change(replace(form.wanted, save_every=7), "save every 7")
    form._send()
    form.handle(p.Failed("The command failed: OSError", "Traceback"))
    assert form.pending == ["save_every"] and not form._sent
    form._change(replace(form.wanted, save_every=8), "save every 8")
    form._send()
    assert sent == [p.Configure({"save_every": 7}), p.Configure({"save_every": 8})]


def test_a_new_run_is_a_question_of_leaving(form: SettingsForm, desk: Waiting) -> None:
    desk.open_scene = lambda source: pytest.fail("without a question")
    form._new_run()
    assert [source.config for source in desk.opens] == [form.wanted]


@pytest.fixture
def training(desk: Waiting) -> TrainingPanel:
    training = TrainingPanel(desk)
    for part in ("_facts", "_curves", "_settings", "_checkpoints"):
        setattr(training, part, MagicMock())
    return training


def test_the_time_left_is_not_that_of_another_scene(training: TrainingPanel) -> None:
    training.handle(p.Progress(5, 10, 1.0, 20.0, 3, "Gaussians", 1.0, 77.0))
    assert training._eta == 77.0
    training.closed()
    assert math.isnan(training._eta)
    training._eta = 77.0
    training.handle(p.Started(0, 10))
    assert math.isnan(training._eta)


def test_milestones_are_those_of_the_engine(training: TrainingPanel) -> None:
    first, second = (Milestone(step, "something happens") for step in (3, 4))
    training.handle(replace(opened(), planned=(first,)))
    assert training._schedule == (first,)
    training.handle(p.Configured(TrainConfig(), (), 0, (second,)))
    assert training._schedule == (second,)
