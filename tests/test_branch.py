"""Going back to an older checkpoint makes a run of its own; how many checkpoints there are to go back to."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from renderer.errors import InputError
from tests.test_trainer import CONFIG
from tests.tiny import random_gaussians, tiny_dataset
from training import run as run_module
from training.checkpoint import Checkpoint, checkpoint_steps, load_checkpoint, save_checkpoint
from training.config import TrainConfig, with_changes
from training.run import Run, branch, described


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Forty steps with a checkpoint every ten; the loss was changed after 10, 20 and 30."""
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    run = Run.create("tiny", with_changes(CONFIG, {"keep": 0, "save_every": 10}), tmp_path / "run")
    run.begin()
    for share in (0.3, 0.4, 0.5):
        for _ in range(10):
            run.step()
        run.save()
        run.reconfigure({"loss.dssim": share})
    for _ in range(10):
        run.step()
    run.save()
    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_branch_goes_on_from_its_step_and_leaves_the_run_alone(run: Run) -> None:
    before = contents(run.folder)
    folder = branch(run.folder, 20)
    assert folder == run.folder.with_name("run-from-20")
    assert checkpoint_steps(folder) == [20]
    assert branch(run.folder, 20) == run.folder.with_name("run-from-20-2")

    gone_on = Run.open(folder)
    assert gone_on.trainer.done == 20
    while not gone_on.trainer.finished:
        gone_on.step()
    gone_on.save()
    assert contents(run.folder) == before
    assert not list(run.folder.parent.glob("*.tmp"))


def test_a_branch_with_the_settings_of_the_run_gives_its_numbers(run: Run) -> None:
    gone_on = Run.open(branch(run.folder, 20))
    assert gone_on.config.loss.dssim == 0.4  # as of that step, with what was changed at it
    for _ in range(10):
        gone_on.step()
    gone_on.reconfigure({"loss.dssim": 0.5})
    for _ in range(10):
        gone_on.step()
    for name, value in run.trainer.scene.parameters.items():
        assert torch.equal(value, gone_on.trainer.scene.parameters[name]), name
    assert (gone_on.folder / "metrics.jsonl").read_text() == (run.folder / "metrics.jsonl").read_text()


def test_settings_are_those_of_the_step_but_for_how_often_it_is_saved(run: Run) -> None:
    run.reconfigure({"keep": 5, "save_every": 7})
    for step, share in ((10, 0.3), (20, 0.4), (30, 0.5)):
        _, config = described(branch(run.folder, step))
        assert (config.loss.dssim, config.keep, config.save_every) == (share, 5, 7)
    said = json.loads((run.folder.with_name("run-from-10") / "run.json").read_text())
    assert said["branched"] == {"from": str(run.folder), "step": 10}
    assert [entry["step"] for entry in said["history"]] == [10]
    again = branch(run.folder.with_name("run-from-10"), 10)
    assert described(again)[1].loss.dssim == 0.3


def test_what_was_measured_later_stays_with_the_run(run: Run) -> None:
    run.log(step=15, split="test", psnr=20.0)
    lines = (branch(run.folder, 20) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 10, 20, 20, 15]


def test_a_branch_outlives_the_run_and_takes_no_second_copy_of_its_tensors(run: Run) -> None:
    folder = branch(run.folder, 30, run.folder.with_name("other"))
    here, there = (f / "checkpoints" / "step-000030" / "scene.safetensors" for f in (run.folder, folder))
    assert os.path.samefile(here, there)
    shutil.rmtree(run.folder)
    assert Run.open(folder).trainer.done == 30


def test_where_the_disk_has_no_second_names_files_are_copied(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, to: str) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    folder = branch(run.folder, 30)
    here, there = (f / "checkpoints" / "step-000030" / "scene.safetensors" for f in (run.folder, folder))
    assert not os.path.samefile(here, there) and here.read_bytes() == there.read_bytes()


def test_what_cannot_be_branched_is_said_in_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no checkpoint of step 15; give one of 10, 20, 30, 40"):
        branch(run.folder, 15)
    with pytest.raises(InputError, match="no checkpoint in this run"):
        branch(tmp_path / "nowhere", 10)
    with pytest.raises(InputError, match="exists already"):
        branch(run.folder, 10, tmp_path)

    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module, "write_json", full)
    with pytest.raises(InputError, match="No space left"):
        branch(run.folder, 10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize(("keep", "steps"), [(0, [1, 2, 3, 4, 5]), (1, [5]), (3, [3, 4, 5])])
def test_as_many_checkpoints_are_kept_as_asked_for(tmp_path: Path, keep: int, steps: list[int]) -> None:
    for step in range(1, 6):
        save_checkpoint(tmp_path, Checkpoint(step, random_gaussians(3), {"a": torch.ones(1)}, {}), keep)
    assert checkpoint_steps(tmp_path) == steps
    assert load_checkpoint(tmp_path, step=steps[0]).step == steps[0]


def test_a_run_keeps_as_many_as_its_settings_say_now(run: Run) -> None:
    assert TrainConfig().keep == 2
    assert checkpoint_steps(run.folder) == [10, 20, 30, 40]
    run.reconfigure({"keep": 3})
    run.save()
    assert checkpoint_steps(run.folder) == [20, 30, 40]
