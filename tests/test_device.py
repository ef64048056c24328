"""A scene is learned and looked at on a graphics card: nothing is on the wrong device, nobody waits for the card but
where that is meant, and where its memory is full the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app import protocol as p
from app.cli import train
from app.engine import Engine
from app.exports.gaussians import ENDINGS, write_gaussians
from app.exports.plans import GaussianExport
from renderer.cuda import splat
from renderer.errors import InputError
from renderer.files.cameras import NamedCamera
from renderer.gaussians import Gaussians
from renderer.view import View
from tests.cuda_emulator import needs_emulator
from tests.listening import Listener
from tests.pretended_gpu import PretendedGpu, pretended_gpu
from tests.test_generated_term import clip as generated_clip
from tests.test_generated_term import config as generated_config
from tests.tiny import random_gaussians, tiny_dataset
from training import device as device_module
from training import run as run_module
from training.checkpoint import checkpoint_steps, load_checkpoint
from training.config import PRESETS, TrainConfig, resolved, with_changes
from training.data.dataset import Dataset
from training.data.images import as_target
from training.device import TargetPictures, bytes_per_gaussian, pick_device, shortage
from training.facts import StepReport
from training.gaussian_trainer import GaussianTrainer
from training.optimizer import GaussianOptimizer
from training.run import Run
from training.trainer import Trainer
from training.trainers import make_trainer

CARD = torch.device("cuda")
SMALL: dict[str, object] = {
    "steps": 60, "scene.points": 40, "sh_interval": 3000, "depth.source": "points", "densify.start": 100,
    "densify.interval": 3, "densify.opacity_reset": 0, "densify.gradient": 1e-5, "densify.max_gaussians": 60,
}  # fmt: skip
FIELD: dict[str, object] = {
    "steps": 60, "depth.source": "points", "field.nodes": 8, "field.levels": (1, 2), "field.channels": 4,
    "field.width": 16, "field.rays": 64, "field.moving_rays": 16, "field.proposals": 12, "field.samples": 12,
    "cameras.focal": True,
}  # fmt: skip
LATER: dict[str, object] = {"distortion.start": 100, "cameras.start": 100, "cameras.stop": 20_000}


def case(name: str) -> tuple[Dataset, TrainConfig]:
    """A clip and a small run of a method that reaches all its parts within the first steps."""
    if name.startswith("sparsecam4d"):
        return generated_clip(), generated_config(name, **LATER, **{"depth.source": "points"})
    if name.startswith("ddr"):
        return tiny_dataset(frames=6), resolved(with_changes(PRESETS[name], FIELD), "cpu")
    changes = {**SMALL, "ddr.weight": 0.1 if name == "4dgs with depth" else 0.0}
    return tiny_dataset(), resolved(with_changes(PRESETS["4dgs"], changes), "cpu")


CASES = ["4dgs", "4dgs with depth", "sparsecam4d", "sparsecam4d-released", "ddr", "ddr-released"]


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    with pretended_gpu() as pretended:
        yield pretended


def steps(trainer: Trainer, count: int) -> list[float]:
    return [trainer.step().loss for _ in range(count)]


# ------------------------------------------------------------------------------------------------ steps


@pytest.mark.parametrize("name", CASES)
def test_a_step_waits_for_nothing(name: str) -> None:
    data, config = case(name)
    config = with_changes(config, {"densify.interval": 1000})
    with pretended_gpu(numbers=False) as gpu:
        trainer = make_trainer(data, config, device=CARD)
        assert trainer.step().size and trainer.step().size  # the first of a size looks how many pairs there are
        gpu.waits.clear()
        reports = [trainer.step() for _ in range(6)]
        assert gpu.waits == []
        assert reports[-1].parts and reports[-1].loss == reports[-1].loss
        assert len(gpu.waits) == 1  # all numbers of a report arrive together


@needs_emulator
@pytest.mark.parametrize("name", ["4dgs with depth", "sparsecam4d"])
def test_learning_there_gives_the_numbers_of_learning_here(gpu: PretendedGpu, name: str) -> None:
    data, config = case(name)
    there, here = make_trainer(data, config, device=CARD), make_trainer(data, config)
    assert steps(there, 5) == pytest.approx(steps(here, 5), rel=2e-3)
    assert isinstance(there.scene, Gaussians) and (there.scene.device.type, here.scene.device.type) == ("cuda", "cpu")
    if name.startswith("4dgs"):
        assert len(there.scene) > 40 and abs(len(there.scene) - len(here.scene)) <= 2  # grown alike
        assert there._statistics.seen.sum() > 0  # type: ignore[attr-defined]


@needs_emulator
@pytest.mark.parametrize("name", ["sparsecam4d", "ddr"])
def test_a_run_goes_on_on_another_device_than_it_began_on(
    gpu: PretendedGpu, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, config = case(name)
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: replace(data, generated=None))
    monkeypatch.setattr(run_module, "with_generated", lambda dataset, options, report: data)
    run = Run.create("tiny", config, tmp_path / "run", device="cuda")
    run.begin()
    for _ in range(3):
        run.step()
    run.save()
    on_cpu = Run.open(tmp_path / "run", device="cpu")
    moments = load_checkpoint(tmp_path / "run").training
    assert any(k.endswith("exp_avg") and float(v.abs().max()) > 0 for k, v in moments.items())
    for k, v in on_cpu.trainer.checkpoint().training.items():
        assert v.device.type == "cpu" and torch.equal(v, moments[k]), k
    if name != "ddr":  # whose places are drawn by chance, by each device itself
        assert on_cpu.trainer.step().loss == pytest.approx(run.step().loss, rel=2e-3)
    else:
        on_cpu.step()
    on_cpu.save()
    back = Run.open(tmp_path / "run", device="cuda")
    assert back.trainer.done == 4 and all(gpu.holds(v) for v in _parameters(back.trainer))
    back.step()


def _parameters(trainer: Trainer) -> list[torch.Tensor]:
    scene = trainer.scene
    return list(scene.parameters.values()) if isinstance(scene, Gaussians) else list(scene.parameters())


@needs_emulator
@pytest.mark.parametrize("name", ["sparsecam4d", "ddr"])
def test_what_is_looked_at_is_what_the_cpu_shows(gpu: PretendedGpu, name: str) -> None:
    data, config = case(name)
    kept = make_trainer(data, config).checkpoint()
    here, there = make_trainer(data, config, kept), make_trainer(data, config, kept, CARD)
    view = View(data.shots[0].camera.resized(20, 15), data.shots[0].time)
    for overlay in ("", "rays/expected-error", "dynamic"):
        a, b = (t.draw(replace(view, overlay=overlay)) for t in (here, there))
        np.testing.assert_allclose(a.color, b.color, atol=1e-5)
        np.testing.assert_allclose(a.depth, b.depth, atol=1e-4)
        if overlay:
            assert a.overlay is not None and b.overlay is not None
            np.testing.assert_allclose(a.overlay, b.overlay, atol=1e-4)
    np.testing.assert_allclose(here.ray(view, (9, 7)).weights, there.ray(view, (9, 7)).weights, atol=1e-5)
    rows = [t.rows(view, 7, 8)[1]["blended"] for t in (here, there)]
    np.testing.assert_allclose(*rows, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(ENDINGS))
def test_gaussians_are_exported_from_there(kind: str, gpu: PretendedGpu, tmp_path: Path) -> None:
    scene, camera = random_gaussians(30).to(CARD), tiny_dataset().shots[0].camera
    path = tmp_path / f"scene{ENDINGS[kind]}"
    plan = GaussianExport(path, kind, 0.5)  # type: ignore[arg-type]
    *_, (done, total, written) = write_gaussians(scene, plan, [NamedCamera("a", camera, 0.0, "a.png")])
    assert (done, total, written) == (1, 1, path) and path.stat().st_size > 30


def test_pictures_stay_there_within_a_budget(gpu: PretendedGpu) -> None:
    data, asked = tiny_dataset(), []

    def read(index: int) -> np.ndarray:
        asked.append(index)
        return data.read(index)

    pictures = TargetPictures(CARD, budget=2 * 40 * 30 * 3)
    for index in (0, 1, 2, 0, 1, 2):
        assert torch.equal(pictures.target(index, read).cpu(), as_target(data.read(index)))
    assert asked == [0, 1, 2, 2]
    gpu.waits.clear()
    pictures.target(2, read)
    assert gpu.waits == []


# ------------------------------------------------------------------------------------------------ choosing


@pytest.mark.parametrize(
    ("card", "cupy", "words"), [(False, True, "finds no CUDA device"), (True, False, "CuPy"), (True, True, "")]
)
def test_a_card_that_cannot_be_used_is_refused_with_what_to_do(
    card: bool, cupy: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    monkeypatch.setattr(device_module, "has_cupy", lambda: cupy)
    monkeypatch.setattr(device_module, "_wrong", lambda: "")  # no kernel can be tried here
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cpu" if words else "cuda")
    if words:
        with pytest.raises(InputError, match=f"--device cuda: .*{words}.*; install .*, or use --device cpu"):
            pick_device("cuda")
    else:
        assert pick_device("cuda") == "cuda"


def test_a_card_without_room_for_all_gaussians_is_told(gpu: PretendedGpu) -> None:
    scene = random_gaussians(10).to(CARD)
    assert shortage(CARD, scene, 80_000) == "" == shortage(torch.device("cpu"), scene, 10**9)
    assert "room for about" in shortage(CARD, scene, 4_000_000)


# ------------------------------------------------------------------------------------------------ memory


def peaks(count: int) -> tuple[int, int]:
    """Most bytes on the card in a step of learning so many Gaussians, and in a round of density control."""
    config = resolved(with_changes(PRESETS["4dgs"], {**SMALL, "densify.max_gaussians": 10**6}), "cpu")
    with pretended_gpu(numbers=False) as gpu:
        trainer = GaussianTrainer(tiny_dataset(frames=2), config, device=CARD)
        trainer.optimizer = GaussianOptimizer(random_gaussians(count).to(CARD), config.rates, 1.0)
        trainer._statistics = trainer._statistics.empty(count, CARD)
        steps(trainer, 4)  # with a round of density control, which finds nothing to do
        gpu.peak = 0
        trainer.step()
        of_step = gpu.peak
        trainer.step()
        assert trainer.done == 6 and len(trainer.scene) == count
        return of_step, gpu.peak


def test_a_gaussian_takes_as_many_bytes_as_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splat, "FIRST_PAIRS", 1024)  # what does not grow with the scene stays small
    monkeypatch.setattr(device_module, "PAIRS", 0)
    few, many = peaks(8192), peaks(16384)
    a_step, a_round = ((b - a) / 8192 for a, b in zip(few, many, strict=True))
    assert a_step < a_round
    assert bytes_per_gaussian(random_gaussians(1)) == pytest.approx(a_round, rel=0.02)


def test_a_pair_takes_as_many_bytes_as_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for room in (1 << 16, 1 << 17):
        monkeypatch.setattr(splat, "FIRST_PAIRS", room)
        found.append(peaks(100)[0])
    assert (found[1] - found[0]) / (1 << 16) == pytest.approx(device_module.PAIR_BYTES, rel=0.02)
    stated = []
    for pairs in (10, 20):
        monkeypatch.setattr(device_module, "PAIRS", pairs)
        stated.append(bytes_per_gaussian(random_gaussians(1)))
    assert stated[1] - stated[0] == 10 * 1.5 * device_module.PAIR_BYTES


class Full:
    """In place of a trainer's step: finds no memory in its first ``fails`` calls."""

    def __init__(self, trainer: Trainer, fails: int) -> None:
        self._step, self._left = trainer.step, fails

    def __call__(self) -> StepReport:
        if self._left:
            self._left -= 1
            raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB")
        return self._step()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A small run of Gaussians that grow, three steps old."""
    data, config = case("4dgs")
    config = with_changes(config, {"densify.max_gaussians": 300})
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: data)
    run = Run.create("tiny", config, tmp_path / "run")
    run.begin()
    for _ in range(3):
        run.step()
    return run


def test_a_run_without_memory_is_saved_and_goes_on_with_what_there_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(run.trainer.scene)  # type: ignore[arg-type]
    monkeypatch.setattr(run.trainer, "step", Full(run.trainer, 1))
    room = splat._room(CARD, 6, True)
    summary = train(run)
    assert splat._room(CARD, 6, True) is not room  # which a picture of many pairs may have made large
    assert summary["step"] == 60 and summary["size"] == count < 300
    assert run.config.densify.max_gaussians == count
    assert 3 in checkpoint_steps(run.folder)
    assert Run.open(run.folder).config.densify.stop == 0  # nor does it grow when it is resumed


def test_a_run_that_cannot_do_with_less_ends_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.trainer, "step", Full(run.trainer, 2))
    with pytest.raises(InputError, match=r"memory is full at step 3 .*saved as step-000003; begin a run of fewer"):
        train(run)
    assert checkpoint_steps(run.folder) == [3]


@pytest.mark.parametrize(
    ("fails", "kinds"), [(1, (p.Saved, p.Warned, p.Finished)), (2, (p.Warned, p.Failed, p.Paused))]
)
def test_the_engine_warns_and_goes_on_or_says_why_it_cannot(
    fails: int, kinds: tuple[type, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.save()
    opened = Run.open

    def with_little(folder: Path, **options: object) -> Run:
        found = opened(folder, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(found.trainer, "step", Full(found.trainer, fails))
        return found

    monkeypatch.setattr(Run, "open", with_little)
    engine = Engine(run.folder)
    engine.start()
    engine.send(p.Train())
    listener = Listener(engine)
    for kind in kinds:
        event = listener.until(kind)
        assert not isinstance(event, p.Saved) or event.step == 3
    assert engine.close()


def test_a_view_without_memory_leaves_no_room_made_for_it(tmp_path: Path) -> None:
    engine, room = Engine(tmp_path), splat._room(CARD, 6, False)

    def short() -> None:
        raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB")

    engine._guard(short, "The view could not be drawn")
    (failed,) = engine.drain()
    assert isinstance(failed, p.Failed) and "out of memory" in failed.message
    assert splat._room(CARD, 6, False) is not room


def test_an_edit_for_which_memory_is_short_leaves_the_scene_as_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = run.trainer
    assert isinstance(trainer, GaussianTrainer)
    before = {name: value.detach().clone() for name, value in trainer.scene.parameters.items()}
    cat, calls = torch.cat, []

    def short(tensors: list[torch.Tensor], *a: object, **k: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 8:
            raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB")
        return cat(tensors, *a, **k)  # type: ignore[call-overload]

    new = {name: value[:2].detach() for name, value in trainer.scene.parameters.items()}
    with monkeypatch.context() as patched:
        patched.setattr(torch, "cat", short)
        with pytest.raises(torch.OutOfMemoryError):
            trainer.optimizer.append(new)
    run.economise()
    for name, value in trainer.scene.parameters.items():
        assert torch.equal(value, before[name]) and value.grad is None, name
    losses = steps(trainer, 5)
    assert all(loss == loss for loss in losses) and len(trainer.scene) == len(before["positions"])
    assert not torch.equal(trainer.scene.sh_dc, before["sh_dc"])


# ------------------------------------------------------------------------------------------------ the GPU itself


def test_the_pretended_card_finds_what_is_on_the_wrong_device_and_who_waits(gpu: PretendedGpu) -> None:
    x = torch.ones(3, device=CARD)
    for wrong in (lambda: x + torch.ones(3), lambda: torch.stack([x[0], torch.ones(())]), lambda: x.numpy()):
        with pytest.raises((RuntimeError, TypeError), match="on cuda:0"):
            wrong()
    assert gpu.waits == [] and (2 * x + torch.ones(())).device.type == "cuda"
    for waits in (
        lambda: x.sum().item(),
        lambda: x[x > 0],
        lambda: bool(x[0]),
        lambda: x.cpu(),
        lambda: torch.ones(3).to(x),
    ):
        waits()
    assert len(gpu.waits) == 5
    x.requires_grad_()
    (x * x).sum().backward()
    assert x.grad is not None and x.grad.is_cuda
