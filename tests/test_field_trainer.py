"""Radiance fields are learned, interrupted and resumed as Gaussians are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from renderer.view import View
from tests.tiny import tiny_dataset
from training import run as run_module
from training.checkpoint import load_checkpoint
from training.config import PRESETS, CameraConfig, TrainConfig, resolved
from training.data.dataset import Dataset
from training.ddr_config import DdrConfig, DepthConfig, FieldConfig
from training.field_trainer import FieldTrainer
from training.priors.depth_targets import depth_targets
from training.run import Run

SMALL = FieldConfig(
    nodes=8, levels=(1, 2), channels=4, width=16, rays=64, moving_rays=16, proposals=12, samples=12, views=False
)
CONFIG = replace(
    PRESETS["ddr"], steps=60, field=SMALL, depth=DepthConfig(source="points"), ddr=DdrConfig(weight=0.1, empty=1e-4)
)


def clip() -> Dataset:
    return tiny_dataset(frames=6)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs open the tiny clip whatever they are asked for."""
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: clip())


def trainer(config: TrainConfig = CONFIG) -> FieldTrainer:
    return FieldTrainer(clip(), resolved(config, "cpu"))


def test_training_brings_the_pictures_closer() -> None:
    t = trainer(replace(CONFIG, steps=150))
    reports = [t.step() for _ in range(150)]
    first, last = (np.mean([r.psnr for r in part]) for part in (reports[:10], reports[-10:]))
    assert last > first + 4
    assert t.finished


def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(tiny: None, tmp_path: Path) -> None:
    whole = Run.create("tiny", CONFIG, tmp_path / "whole")
    whole.begin()
    expected = [whole.step() for _ in range(60)]

    part = Run.create("tiny", CONFIG, tmp_path / "part")
    part.begin()
    for _ in range(23):
        part.step()
    part.save()
    part.step()  # lost
    resumed = Run.open(tmp_path / "part")
    assert [resumed.step() for _ in range(37)] == expected[23:]
    for (name, a), b in zip(whole.trainer.scene.named_parameters(), resumed.trainer.scene.parameters(), strict=True):  # type: ignore[union-attr]
        assert torch.equal(a, b), name
    for a, b in zip(whole.trainer.clip().shots, resumed.trainer.clip().shots, strict=True):
        np.testing.assert_array_equal(a.camera.world_to_camera, b.camera.world_to_camera)


def test_a_checkpoint_draws_what_the_trainer_draws(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", CONFIG, tmp_path / "run")
    run.begin()
    for _ in range(5):
        run.step()
    run.save()
    view = View(run.dataset.shots[0].camera, 0.4)
    again = Run.open(tmp_path / "run")
    np.testing.assert_array_equal(again.trainer.draw(view).color, run.trainer.draw(view).color)
    assert load_checkpoint(tmp_path / "run").step == 5


def test_ddr_gathers_the_weights_at_the_known_depth() -> None:
    """Of points that are seen: the mean distance of their rays' weights to them, with and without."""

    def error(weight: float) -> float:
        t = trainer(replace(CONFIG, steps=250, ddr=DdrConfig(weight=weight)))
        while not t.finished:
            t.step()
        errors = []
        for index in t.dataset.indices("train"):
            shot, known = t.dataset.shots[index], depth_targets(t.dataset, "points").read(index)
            for y, x in zip(*np.nonzero(known > 0), strict=True):
                ray = t.ray(View(shot.camera, shot.time), (int(x), int(y)))
                errors.append(ray.expected_error(float(known[y, x])))
        return float(np.mean(errors))

    assert error(0.3) < 0.4 * error(0.0)


def test_cameras_that_are_all_stated_alike_find_apart() -> None:
    """From identity poses: what one camera sees shifted is explained by its pose."""
    posed = clip()
    train = [i for i in posed.indices("train") if posed.shots[i].camera_name == "left"]
    shots = [replace(posed.shots[i], camera=posed.shots[train[0]].camera, camera_name="camera") for i in train]
    for k, shot in enumerate(shots):
        assert shot.frame == k
    unposed = replace(posed, shots=shots, read=lambda i: posed.read(train[i]), posed=False)
    config = replace(CONFIG, steps=40, cameras=CameraConfig(enabled=True, form="axis-angle", start=0, stop=30_000))
    t = FieldTrainer(unposed, resolved(config, "cpu"))
    while not t.finished:
        t.step()
    centers = {tuple(s.camera.world_to_camera.ravel()) for s in t.clip().shots}
    assert len(centers) == len(shots)  # each has a pose of its own
    assert all(np.isfinite(c).all() for c in centers)


def test_rays_of_a_training_picture_know_the_depth_they_are_held_to() -> None:
    t = trainer()
    index = t.dataset.indices("train")[0]
    shot = t.dataset.shots[index]
    ys, xs = np.nonzero(np.isfinite(t.targets.depth(index)[0].numpy()))
    view = View(t.clip().shots[index].camera, shot.time)
    ray = t.ray(view, (int(xs[0]), int(ys[0])))
    assert ray.target_depth == pytest.approx(float(t.targets.depth(index)[0][ys[0], xs[0]]))
    assert len(t.sampled_depths(ray)) == CONFIG.ddr.samples
    assert t.ray(View(shot.camera, 0.123), (3, 3)).target_depth is None


@pytest.mark.parametrize("kind", ["expected-error", "error-gap", "entropy", "modes"])
def test_maps_of_the_rays_have_the_size_of_the_view(kind: str) -> None:
    t = trainer()
    camera = t.dataset.shots[0].camera.resized(200, 150)  # more pixels than are drawn between two steps
    frame = t.draw(View(camera, 0.3, f"rays/{kind}"))
    assert frame.overlay is not None and frame.overlay.shape == (150, 200)
    assert np.nanmax(frame.overlay) > 0
    assert frame.overlay_unit


def test_a_view_is_drawn_coarsely_first_and_then_finely() -> None:
    t = trainer()
    camera = t.dataset.shots[0].camera.resized(200, 150)
    pieces = list(t.drawn_finely(View(camera, 0.3)) or [])
    assert len(pieces) > 2 and all(piece is None for piece in pieces[:-1])
    fine, coarse = pieces[-1], t.draw(View(camera, 0.3))
    assert fine is not None and fine.color.shape == coarse.color.shape == (150, 200, 3)
    assert np.abs(fine.color - coarse.color).mean() < 0.05
    assert t.drawn_finely(View(t.dataset.shots[0].camera, 0.3)) is None
