"""Settings that change while a run goes on: nothing keeps an old value, and a resumed run goes on with the new."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from app.forms import Field, fields_of
from renderer.errors import InputError
from tests.test_generated_term import config as gaussian_config
from tests.test_generated_term import tiny_generated
from tests.tiny import camera_at, tiny_dataset
from training import run as run_module
from training.camera_learning import LearnedCameras
from training.config import PRESETS, CameraConfig, TrainConfig, check_values, flattened, resolved, with_changes
from training.data.dataset import Dataset
from training.ddr_config import FieldConfig
from training.live import FIXED, LIVE
from training.run import Run, described
from training.trainer import Trainer
from training.trainers import make_trainer

SMALL_FIELD = FieldConfig(
    nodes=8, levels=(1, 2), channels=4, width=16, rays=64, moving_rays=16, proposals=12, samples=12, views=False
)
DEPTHS: dict[str, object] = {
    "depth.source": "points", "depth.standardised": 0.5, "depth.rays": 32, "ddr.weight": 0.1, "ddr.empty": 1e-4,
}  # fmt: skip
CONFIGS = {
    "gaussians": gaussian_config(**DEPTHS, **{"loss.rigid": 0.1, "cameras.start": 2000}),
    "field": resolved(
        with_changes(replace(PRESETS["ddr"], steps=60, field=SMALL_FIELD), {**DEPTHS, "cameras.focal": True}), "cpu"
    ),
}
MODELS = pytest.mark.parametrize("model", sorted(CONFIGS))


def clip() -> Dataset:
    return replace(tiny_dataset(frames=6), generated=tiny_generated(frames=6))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs open the tiny clip with its generated views whatever they are asked for."""
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: clip())
    monkeypatch.setattr(run_module, "with_generated", lambda dataset, options, report: dataset)


def another(field: Field, value: object) -> object:
    """A value that a setting does not have."""
    if field.kind == "choice":
        return next(c for c in field.choices if c != value)
    if field.kind == "bool":
        return not value
    if value is None:
        return 0.01
    assert isinstance(value, int | float), field
    return max(value + 1, round(1.5 * value)) if field.kind == "int" else 1.5 * value + 0.001


def all_changed(config: TrainConfig) -> TrainConfig:
    """Every live setting has another value, but for the run's length."""
    kept = {"steps"} if config.generated.batch else {"steps", "generated.batch"}
    fields = [f for f in fields_of(config) if f.live and f.path not in kept]
    changed = with_changes(config, {f.path: another(f, flattened(config)[f.path]) for f in fields})
    check_values(changed)
    return changed


def values_in(thing: Any, path: str = "", stack: tuple[int, ...] = ()) -> dict[str, object]:
    """Every number, word and flag that an object of this project holds, however deep, by where it is."""
    if thing is None or isinstance(thing, bool | int | float | str):
        return {path: thing}
    if id(thing) in stack or isinstance(thing, torch.Tensor | np.ndarray | torch.optim.Optimizer | Dataset):
        return {}
    if isinstance(thing, dict):
        parts = thing.items()
    elif isinstance(thing, list | tuple):
        parts = enumerate(thing)  # type: ignore[assignment]
    elif type(thing).__module__.startswith(("training.", "renderer.")):
        parts = vars(thing).items()  # type: ignore[assignment]
    else:
        return {}
    values: dict[str, object] = {}
    for name, part in parts:
        values |= values_in(part, f"{path}.{name}", (*stack, id(thing)))
    return values


def stale(trainer: Trainer, fresh: Trainer) -> set[str]:
    """Where a trainer holds another value than one that was made with the same settings."""
    old, new = values_in(trainer), values_in(fresh)
    assert len(new) > 200
    return {path for path in old.keys() | new.keys() if old.get(path, "nothing") != new.get(path, "nothing")}


@MODELS
def test_nothing_in_a_trainer_keeps_an_old_value(model: str) -> None:
    after = all_changed(CONFIGS[model])
    trainer, fresh = make_trainer(clip(), CONFIGS[model]), make_trainer(clip(), after)
    before = stale(trainer, fresh)
    assert {".config.loss.dssim", ".cameras.learned.config.anchor", ".cameras.learned._last"} <= before
    keepers = {
        "gaussians": {
            ".optimizer.rates.position", ".generated._optimizer._rates.0", ".generated.field.config.variation",
            ".generated._config.generated.l1", ".batch", "._depth._ddr.weight",
        },
        "field": {".optimizer._rates.1", "._terms._config.flow", "._depth._depth.expected"},
    }  # fmt: skip
    assert keepers[model] <= before
    trainer.reconfigure(after)
    assert stale(trainer, fresh) == set()


@MODELS
def test_going_on_with_other_settings_is_like_resuming_with_them(model: str) -> None:
    config, after = CONFIGS[model], all_changed(CONFIGS[model])
    trainer = make_trainer(clip(), config)
    for _ in range(12):
        trainer.step()
    trainer.reconfigure(after)
    resumed = make_trainer(clip(), after, deepcopy(trainer.checkpoint()))
    same = make_trainer(clip(), config, deepcopy(trainer.checkpoint()))
    losses = [(t.step().loss, t.step().loss) for t in (trainer, resumed, same)]
    assert losses[0] == losses[1] != losses[2]
    for a, b in zip(tensors(trainer), tensors(resumed), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["rates.position", "loss.dssim", "distortion.plane_rate", "cameras.translation",
                                  "generated.l1", "ddr.weight", "cameras.anchor"])  # fmt: skip
def test_a_changed_setting_changes_what_is_learned(name: str) -> None:
    config = CONFIGS["gaussians"]
    trainer = make_trainer(clip(), config)
    for _ in range(8):
        trainer.step()
    other = make_trainer(clip(), config, trainer.checkpoint())
    other.reconfigure(with_changes(config, {name: 5 * float(flattened(config)[name])}))  # type: ignore[arg-type]
    for t in (trainer, other):
        t.step()
        t.step()
    assert not all(torch.equal(a, b) for a, b in zip(tensors(trainer), tensors(other), strict=True))


def tensors(trainer: Trainer) -> list[torch.Tensor]:
    checkpoint = trainer.checkpoint()
    scene = trainer.scene
    own = scene.parameters.values() if hasattr(scene, "sh_level") else scene.state_dict().values()  # type: ignore
    return [*own, *checkpoint.training.values(), *checkpoint.distortion.values(), *checkpoint.cameras.values()]


def test_every_setting_is_either_live_or_fixed() -> None:
    assert set(flattened(TrainConfig())) == LIVE | FIXED
    assert not LIVE & FIXED
    assert {"loss.dssim", "densify.max_gaussians", "save_every", "keep", "steps", "cameras.stop"} <= LIVE


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_a_run_is_made_of_takes_a_new_run(name: str) -> None:
    config = CONFIGS["gaussians"]
    field = next(f for f in fields_of(config) if f.path == name)
    value = flattened(config)[name]
    new: object = "elsewhere" if field.kind == "text" else (7, 8) if isinstance(value, tuple) else another(field, value)
    trainer = shared_trainer()
    with pytest.raises(InputError, match="new run") as problem:
        trainer.reconfigure(with_changes(config, {name: new}))
    assert str(problem.value).startswith("--" + name.replace("_", "-") + ":")
    assert trainer.config == config


TRAINERS: dict[str, Trainer] = {}


def shared_trainer() -> Trainer:
    """One that is only ever refused something."""
    return TRAINERS.setdefault("gaussians", make_trainer(clip(), CONFIGS["gaussians"]))


def test_generated_views_do_not_come_or_go() -> None:
    with pytest.raises(InputError, match=r"--generated\.batch.*new run"):
        shared_trainer().reconfigure(with_changes(CONFIGS["gaussians"], {"generated.batch": 0}))


def test_a_value_that_cannot_be_changes_nothing() -> None:
    trainer = shared_trainer()
    with pytest.raises(InputError, match="interval"):
        trainer.reconfigure(with_changes(CONFIGS["gaussians"], {"densify.interval": 0, "loss.dssim": 0.9}))
    assert trainer.config == CONFIGS["gaussians"] and not stale(trainer, make_trainer(clip(), CONFIGS["gaussians"]))


def test_a_depth_term_that_comes_in_finds_the_clips_depths_and_says_where_there_are_none() -> None:
    plain = with_changes(CONFIGS["field"], {"ddr.weight": 0, "ddr.empty": 0, "depth.standardised": 0.0})
    trainer = make_trainer(clip(), plain)
    trainer.step()
    trainer.reconfigure(with_changes(plain, {"ddr.weight": 0.1}))
    resumed = make_trainer(clip(), with_changes(plain, {"ddr.weight": 0.1}), deepcopy(trainer.checkpoint()))
    report = trainer.step()
    assert report == resumed.step() and report.parts["depth"] > 0

    for source in ("none", "found"):
        without = with_changes(plain, {"depth.source": source})
        trainer = make_trainer(clip(), without)
        with pytest.raises(InputError, match=r"--depth\.source"):
            trainer.reconfigure(with_changes(without, {"ddr.weight": 0.1}))
        assert trainer.config == without
        assert "depth" not in trainer.step().parts


# ------------------------------------------------------------------------------------------------ the length


def test_a_run_may_become_longer_or_shorter_while_its_schedule_stands_where_it_stood() -> None:
    config = with_changes(CONFIGS["gaussians"], {"sh_interval": 1000})  # cameras move from step 4 to 14 of 60
    trainer = make_trainer(clip(), config)
    trainer.done = 40
    longer = with_changes(config, {"steps": 90})  # frozen from 21
    trainer.reconfigure(longer)
    assert trainer.steps == 90 and not trainer.finished
    assert stale(trainer, make_trainer(clip(), longer)) == {".done"}
    for steps, why in ((39, "40 are done"), (180, "cameras"), (300, "harmonics")):
        with pytest.raises(InputError, match=why) as problem:
            trainer.reconfigure(with_changes(config, {"steps": steps}))
        assert str(problem.value).startswith(f"--steps {steps}:")
    assert trainer.config == longer
    trainer.reconfigure(with_changes(config, {"steps": 40}))
    assert trainer.finished
    trainer.reconfigure(longer)  # what was learned to the end is learned on
    assert not trainer.finished


# ---------------------------------------------------------------------------------------------------- runs


@MODELS
def test_a_run_resumed_after_a_change_gives_the_numbers_of_one_that_went_on(
    tiny: None, tmp_path: Path, model: str
) -> None:
    change: dict[str, object] = {"loss.dssim": 0.5, "cameras.rotation": 1e-3, "ddr.weight": 0.3, "field.rays": 50,
                                 "densify.interval": 5, "keep": 0}  # fmt: skip
    whole, part = (Run.create("tiny", CONFIGS[model], tmp_path / name) for name in ("whole", "part"))
    for run in (whole, part):
        run.begin()
        for _ in range(11):
            run.step()
        assert run.reconfigure(change) == run.config == run.trainer.config
        for _ in range(4):
            run.step()
    expected = [whole.step() for _ in range(16)]
    part.save()
    part.step()  # lost
    resumed = Run.open(tmp_path / "part")
    assert resumed.config == whole.config
    assert resumed.trainer.done == 15
    assert [resumed.step() for _ in range(16)] == expected
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == (tmp_path / "part" / "metrics.jsonl").read_text()


def test_a_change_is_written_down_and_a_crash_does_not_lose_it(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", CONFIGS["gaussians"], tmp_path / "run")
    run.reconfigure({"loss.dssim": 0.3})  # before anything is written
    assert not (tmp_path / "run").exists()
    run.begin()
    for _ in range(10):
        run.step()
    run.save()
    for _ in range(10):
        run.step()
    run.reconfigure({"loss.dssim": 0.4, "seed": 0})  # the seed is what it was
    run.reconfigure({"loss.dssim": 0.4})  # nothing new
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line for line in lines if "changed" in line] == [{"step": 20, "changed": {"loss.dssim": 0.4}}]
    assert described(tmp_path / "run")[1].loss.dssim == 0.4
    assert list((tmp_path / "run").glob("*.tmp")) == []

    again = Run.open(tmp_path / "run")  # at step 10; the last word counts
    assert (again.trainer.done, again.config.loss.dssim) == (10, 0.4)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 10] and lines[1]["changed"] == {"loss.dssim": 0.4}
    history = json.loads((tmp_path / "run" / "run.json").read_text())["history"]
    assert history == [{"step": 10, "from": {"loss.dssim": 0.3}, "to": {"loss.dssim": 0.4}}]


def test_a_refused_change_leaves_the_run_as_it_was(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", CONFIGS["gaussians"], tmp_path / "run")
    run.begin()
    before = (tmp_path / "run" / "run.json").read_text()
    for values, named in (({"loss.colour": 1}, "--loss.colour"), ({"seed": 3}, "--seed"), ({"keep": -1}, "--keep")):
        with pytest.raises(InputError, match=named):
            run.reconfigure(values)  # type: ignore[arg-type]
    assert (tmp_path / "run" / "run.json").read_text() == before and run.config == CONFIGS["gaussians"]
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


# -------------------------------------------------------------------------------------------------- facts


@MODELS
def test_the_parts_of_a_loss_add_up_to_it(model: str) -> None:
    trainer = make_trainer(clip(), with_changes(CONFIGS[model], {"batch": 2}))
    assert trainer.facts().parts == {}
    for _ in range(9):
        report = trainer.step()
    names = {"gaussians": {"photometric", "depth", "regularisers", "generated", "distortion", "cameras"},
             "field": {"photometric", "depth", "motion", "regularisers", "cameras"}}  # fmt: skip
    assert report.parts.keys() == names[model]
    assert sum(report.parts.values()) == pytest.approx(report.loss, rel=1e-5)
    assert all(value > 0 for value in report.parts.values())
    facts = trainer.facts()
    assert (facts.step, facts.parts) == (9, report.parts)


def test_parts_are_logged_as_plain_numbers(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", CONFIGS["field"], tmp_path / "run")
    run.begin()
    reports = [run.step() for _ in range(10)]
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())
    assert line == reports[-1].values()


@pytest.mark.parametrize("form", ["quaternion", "axis-angle"])
def test_how_far_cameras_moved_is_what_their_matrices_say(form: str) -> None:
    cameras = [camera_at(a) for a in (-0.4, 0.1, 0.5)]
    learned = LearnedCameras(cameras, CameraConfig(enabled=True, form=form), 0, 10)  # type: ignore[arg-type]
    assert learned.moved() == pytest.approx((0.0, 0.0), abs=1e-9)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in learned.parameters.values():
            value += 0.05 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
    angles, distances = [], []
    for before, now in zip(cameras, learned.cameras(), strict=True):
        turn = before.world_to_camera[:3, :3].T @ now.world_to_camera[:3, :3]
        angles.append(np.degrees(np.arccos((np.trace(turn) - 1) / 2)))
        distances.append(np.linalg.norm(now.center - before.center))
    assert np.mean(angles) > 1
    assert learned.moved() == pytest.approx((np.mean(angles), np.mean(distances)), rel=1e-6)


def test_facts_are_none_where_there_is_nothing_to_tell_and_cheap() -> None:
    still = make_trainer(clip(), with_changes(CONFIGS["gaussians"], {"cameras.enabled": False}))
    facts = still.facts()
    assert (facts.turned, facts.shifted, facts.gpu_memory) == (None, None, None)
    assert 0.5 < facts.memory / psutil.Process().memory_info().rss < 2
    trainer = make_trainer(clip(), CONFIGS["gaussians"])
    for _ in range(6):
        trainer.step()
    assert trainer.facts().turned and trainer.facts().shifted
    trainer.cameras.learned = LearnedCameras([camera_at(k / 300) for k in range(300)], CameraConfig(enabled=True), 0, 9)
    took = []
    for _ in range(30):
        began = time.perf_counter()
        trainer.facts()
        took.append(time.perf_counter() - began)
    assert min(took) < 1e-3
