"""Learning from generated views: the losses, the schedule, what is drawn, and what is left when it is over."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from renderer.errors import InputError
from renderer.render import render_gaussians as render
from renderer.view import View
from tests.tiny import camera_at, random_gaussians, tiny_dataset
from training import run as run_module
from training.config import PRESETS, TrainConfig, changes, resolved, with_changes
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.facts import LOSS, Tally
from training.gaussian_trainer import GaussianTrainer
from training.losses import photometric_loss
from training.perceptual import STAND_IN
from training.run import Run

SHIFT = np.array([0.1, 0.2, -0.3])
SMALL = {"steps": 60, "scene.points": 40, "distortion.space_nodes": 6, "distortion.width": 8, "distortion.channels": 4,
         "densify.max_gaussians": 60, "sh_interval": 3000, "generated.network": "stand-in"}  # fmt: skip


def tiny_generated(poses: int = 3, frames: int = 4) -> GeneratedViews:
    """Pictures of the tiny clip's scene at cameras between its own, each shifted by a pixel to another side."""
    truth = random_gaussians(40, seed=7)
    cameras = [camera_at(a) for a in np.linspace(-0.2, 0.2, poses)]
    grid = [GeneratedFrame(s, k / (frames - 1), k) for s in range(poses) for k in range(frames)]
    images = []
    for n, f in enumerate(grid):
        color = render(truth, View(cameras[f.pose], f.time), backend="reference").color
        images.append(np.roll((np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8), (-1) ** n, axis=1))
    return GeneratedViews("tiny", cameras, grid, lambda i: images[i])


def clip() -> Dataset:
    return replace(tiny_dataset(), generated=tiny_generated())


def config(method: str = "sparsecam4d", **more: object) -> TrainConfig:
    return resolved(with_changes(PRESETS[method], {**SMALL, **more}), "cpu")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs open the tiny clip with its generated views whatever they are asked for."""
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    monkeypatch.setattr(run_module, "with_generated", lambda dataset, options, report: clip())


def test_the_presets_hold_both_columns_of_values() -> None:
    paper, released = PRESETS["sparsecam4d"], PRESETS["sparsecam4d-released"]
    assert (paper.batch or 1, paper.generated.batch, paper.generated.l1, paper.generated.perceptual) == (
        1,
        1,
        0.02,
        0.2,
    )
    assert (released.batch, released.generated.batch) == (2, 2)
    assert (released.generated.l1, released.generated.perceptual) == (0.016, 0.1)
    assert (paper.distortion.start, paper.cameras.start, paper.cameras.stop) == (3000, 3000, 7000)
    assert (released.distortion.start, released.distortion.stop, released.cameras.stop) == (1000, 15_000, 7000)
    assert (paper.cameras.anchor, released.cameras.anchor) == (0.1, 1.0)
    assert paper.distortion.heads == ("positions", "left", "right", "scales")
    assert released.distortion.heads == ("positions", "scales")
    assert (paper.distortion.film, released.distortion.film) == (False, True)
    assert (paper.distortion.frames_per_field, released.distortion.frames_per_field) == (0, 50)
    assert (released.distortion.to_one, released.distortion.to_zero) == (1e-4, 1.0)
    for preset in (paper, released):
        assert preset.scene.scale_activation == "softplus"
        assert (preset.distortion.variation, preset.distortion.smoothness) == (2e-4, 1e-4)
        assert preset.densify.opacity_reset == 0
        gpu = resolved(preset, "cuda")
        assert (gpu.steps, gpu.distortion.space_nodes, gpu.distortion.width) == (30_000, 128, 128)
        assert with_changes(preset, json.loads(json.dumps(changes(config(preset.method))))) == config(preset.method)


def test_a_real_view_never_meets_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = GaussianTrainer(clip(), config())
    trainer.done = 30  # the field is on
    assert trainer.generated is not None and trainer.generated.field is not None
    calls = []
    forward = trainer.generated.field.forward
    monkeypatch.setattr(trainer.generated.field, "forward", lambda *a: calls.append(a) or forward(*a))
    trainer._learn_from_real(Tally())
    assert calls == []
    trainer.step()
    assert len(calls) == 1


def test_the_schedule_is_that_of_the_paper_in_proportion() -> None:
    trainer = GaussianTrainer(clip(), config())  # 60 steps: warm-up until 6, cameras until 14
    assert trainer.generated is not None and trainer.generated.field is not None and trainer.cameras.learned is not None
    field_moves, camera_moves = [], []
    for _ in range(60):
        field = torch.cat([p.detach().clone().view(-1) for p in trainer.generated.field.parameters()])
        q = trainer.cameras.learned.parameters["q"].detach().clone()
        trainer.step()
        after = torch.cat([p.detach().view(-1) for p in trainer.generated.field.parameters()])
        field_moves.append(not torch.equal(field, after))
        camera_moves.append(not torch.equal(q, trainer.cameras.learned.parameters["q"]))
    assert field_moves == [False] * 6 + [True] * 54
    assert camera_moves == [False] * 6 + [True] * 8 + [False] * 46


def test_the_field_of_the_released_code_stands_still_in_the_end_and_stays_applied() -> None:
    trainer = GaussianTrainer(clip(), config("sparsecam4d-released"))  # on from 2, frozen from 30
    term = trainer.generated
    assert term is not None and term.field is not None
    trainer.done = 31
    before = [p.detach().clone() for p in term.field.parameters()]
    trainer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, term.field.parameters(), strict=True))
    assert term.is_on(31)


def test_the_loss_of_a_generated_view_is_equation_7_of_the_distorted_scene() -> None:
    trainer = GaussianTrainer(clip(), config(**{"distortion.variation": 0.0, "distortion.smoothness": 0.0}))
    term = trainer.generated
    assert term is not None and term.field is not None and trainer.cameras.learned is not None
    with torch.no_grad():
        for p in term.field.parameters():  # as if learned: other in every place, at every time and pose
            p += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(len(p)))
    poses = [term.views.frames[term._next(step)[0]].pose for step in (30, 31, 32, 33)]
    assert max(poses) > 0
    for step, field_on in ((3, False), (30, True), (31, True), (32, True), (33, True)):
        trainer.done = step
        got = term.learn(trainer.scene, trainer.cameras, step).read()[LOSS]
        (index,) = term._next(step)
        frame = term.views.frames[index]
        scene = trainer.scene.detached()
        if field_on:
            deltas = term.field(scene.positions, frame.time, frame.pose / 2)
            scene = scene.with_parameters({n: getattr(scene, n) + d.detach() for n, d in deltas.items()})
        image = torch.from_numpy(render(scene, View(term.views.cameras[frame.pose], frame.time)).color)
        target = torch.from_numpy(term.views.read(index)).float() / 255
        expected = 0.02 * (image - target).abs().mean() + 0.2 * STAND_IN.loss(image, target)
        assert got == pytest.approx(float(expected), rel=1e-4)


def test_the_loss_of_a_real_view_is_equation_6_of_the_scene_itself() -> None:
    trainer = GaussianTrainer(clip(), config())
    trainer.done = 30
    (index,) = trainer._next_shots()
    shot = trainer.dataset.shots[index]
    image = torch.from_numpy(render(trainer.scene.detached(), View(shot.camera, shot.time)).color)
    target = torch.from_numpy(trainer.dataset.read(index)).float() / 255
    tally = Tally()
    trainer._learn_from_real(tally)
    assert tally.read()[LOSS] == pytest.approx(float(photometric_loss(image, target, 0.2)), rel=1e-4)


def test_only_real_views_drive_densification() -> None:
    statistics = []
    for more in ({}, {"generated.batch": 0}):
        trainer = GaussianTrainer(clip(), config(**{"distortion.start": 30_000, "cameras.enabled": False, **more}))
        trainer.step()
        statistics.append(trainer._statistics)
    for name in ("screen", "time", "seen"):
        assert torch.equal(getattr(statistics[0], name), getattr(statistics[1], name)), name
    assert statistics[0].screen.max() > 0


def test_a_batch_pulls_as_much_on_each_gaussian_as_single_pictures() -> None:
    trainers = [
        GaussianTrainer(clip(), config(batch=n, **{"generated.batch": 0, "cameras.enabled": False})) for n in (1, 2)
    ]
    for trainer in trainers:
        trainer._learn_from_real(Tally())
    first = trainers[0]._next_shots()
    assert trainers[1]._next_shots()[0] == first[0]
    trainers[0]._next_shots = lambda: trainers[1]._next_shots()[1:]  # type: ignore[method-assign]
    trainers[0]._learn_from_real(Tally())
    torch.testing.assert_close(trainers[0]._statistics.screen, trainers[1]._statistics.screen)


def test_every_generated_picture_is_used_once_per_epoch() -> None:
    term = GaussianTrainer(clip(), config(**{"generated.batch": 2})).generated
    assert term is not None
    seen = [i for step in range(6) for i in term._next(step)]
    assert sorted(seen) == list(range(12))


def test_an_exported_scene_has_no_trace_of_the_field(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", config(), tmp_path / "run")
    run.begin()
    while not run.trainer.finished:
        run.step()
    folder = run.save()
    view = View(camera_at(0.1), 0.4)
    before = render(run.trainer.scene, view).color
    (folder / "distortion.safetensors").unlink()
    (folder / "cameras.safetensors").unlink()
    reopened = Run.open(tmp_path / "run")
    np.testing.assert_array_equal(render(reopened.trainer.scene, view).color, before)
    assert reopened.trainer.generated is not None and reopened.trainer.generated.forgotten


def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(tiny: None, tmp_path: Path) -> None:
    whole = Run.create("tiny", config(), tmp_path / "whole")
    whole.begin()
    expected = [whole.step() for _ in range(40)]
    part = Run.create("tiny", config(), tmp_path / "part")
    part.begin()
    for _ in range(10):  # in the middle of the learning of the cameras
        part.step()
    part.save()
    resumed = Run.open(tmp_path / "part")
    assert [resumed.step() for _ in range(30)] == expected[10:]
    a, b = whole.trainer, resumed.trainer
    assert a.cameras is not None and b.cameras is not None and a.generated and b.generated
    assert torch.equal(a.cameras.learned.parameters["T"], b.cameras.learned.parameters["T"])
    x, y = a.generated.state(), b.generated.state()
    assert x.keys() == y.keys()
    assert [name for name in x if not torch.equal(x[name], y[name])] == []


def test_a_run_says_what_compared_its_pictures_and_with_what(tiny: None, tmp_path: Path) -> None:
    said: list[str] = []
    run = Run.create("tiny", config(), tmp_path / "run", report=said.append)
    run.begin()
    told = json.loads((tmp_path / "run" / "run.json").read_text())["generated"]
    assert told["perceptual"] == "perceptual" and "lpips" not in told["perceptual_name"].lower()
    assert told["source"] == "tiny" and told["pictures"] == 12
    assert sum("LPIPS" in text for text in said) == 1


def test_other_generated_views_than_were_trained_on_are_refused(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create("tiny", config(), tmp_path / "run")
    run.begin()
    run.save()
    other: Callable[..., Dataset] = lambda d, o, r: replace(d, generated=tiny_generated(poses=5))  # noqa: E731
    monkeypatch.setattr(run_module, "with_generated", other)
    with pytest.raises(InputError, match="other cameras or generated views"):
        Run.open(tmp_path / "run")


def test_held_out_cameras_follow_the_trained_ones() -> None:
    trainer = GaussianTrainer(clip(), config())
    assert trainer.cameras.learned is not None
    still = trainer.clip()
    with torch.no_grad():  # all cameras moved by one shift of the world
        for k, camera in enumerate(trainer.cameras.learned.initial()):
            pose = camera.world_to_camera.copy()
            pose[:3, 3] -= pose[:3, :3] @ SHIFT
            trainer.cameras.learned.parameters["T"][k] = torch.from_numpy(pose[:3, 3])
    moved = trainer.clip()
    for before, after in zip(still.shots, moved.shots, strict=True):
        np.testing.assert_allclose(after.camera.center, before.camera.center + SHIFT, atol=1e-9)
    assert moved.generated is not None
    np.testing.assert_allclose(moved.generated.cameras[0].center, tiny_generated().cameras[0].center + SHIFT, atol=1e-9)
