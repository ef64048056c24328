import json
from pathlib import Path

import pytest
import torch

from renderer.errors import InputError
from tests.tiny import random_gaussians
from training.checkpoint import Checkpoint, checkpoint_folders, load_checkpoint, save_checkpoint
from training.config import PRESETS, DensifyConfig, TrainConfig, changes, with_changes


def write(run: Path, step: int = 20) -> Path:
    return save_checkpoint(run, Checkpoint(step, random_gaussians(6, seed=step), {"a.b": torch.ones(2)}, {"steps": 30}))


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path)
    loaded = load_checkpoint(tmp_path)
    expected = random_gaussians(6, seed=20)
    for name, value in expected.parameters.items():
        assert torch.equal(loaded.scene.parameters[name], value)
    assert loaded.scene.time_span == expected.time_span
    assert loaded.step == 20
    assert loaded.state["steps"] == 30
    assert torch.equal(loaded.training["a.b"], torch.ones(2))


def test_only_the_newest_checkpoints_are_kept_and_the_newest_is_loaded(tmp_path: Path) -> None:
    for step in (10, 20, 1_000_000):
        write(tmp_path, step)
    assert [p.name for p in checkpoint_folders(tmp_path)] == ["step-000020", "step-1000000"]
    assert load_checkpoint(tmp_path).step == 1_000_000


def test_a_half_written_checkpoint_is_not_seen(tmp_path: Path) -> None:
    write(tmp_path, 10)
    unfinished = tmp_path / "checkpoints" / "step-000020.tmp"
    unfinished.mkdir()
    (unfinished / "scene.safetensors").write_bytes(b"half")
    assert load_checkpoint(tmp_path).step == 10


def damage_missing(folder: Path) -> None:
    (folder / "scene.safetensors").unlink()


def damage_truncated(folder: Path) -> None:
    path = folder / "scene.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def damage_json(folder: Path) -> None:
    (folder / "state.json").write_text("{")


def damage_keys(folder: Path) -> None:
    (folder / "state.json").write_text("{}")


def damage_format(folder: Path) -> None:
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "format": 999}))


@pytest.mark.parametrize("damage", [damage_missing, damage_truncated, damage_json, damage_keys, damage_format])
def test_a_damaged_checkpoint_gives_one_sentence_that_names_it(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    damage(write(tmp_path))
    with pytest.raises(InputError, match="step-000020") as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_without_checkpoints_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path)


def test_a_run_saves_what_differs_from_its_preset_and_gets_it_back() -> None:
    config = TrainConfig(steps=77, densify=DensifyConfig(gradient=1e-3))
    saved = json.loads(json.dumps(changes(config)))
    assert saved == {"steps": 77, "densify.gradient": 1e-3}
    assert with_changes(PRESETS["4dgs"], saved) == config


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(KeyError, match="densify\\.nonsense"):
        with_changes(TrainConfig(), {"densify.nonsense": 1})
