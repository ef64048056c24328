import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.cli import score_table
from renderer.errors import InputError
from renderer.scene import render
from renderer.view import View
from tests.tiny import tiny_dataset
from training import run as run_module
from training.config import DensifyConfig, SceneConfig, TrainConfig, resolved
from training.device import pick_device
from training.evaluation import evaluation_report, spread
from training.gaussian_trainer import GaussianTrainer
from training.initialise import farthest_points, initial_gaussians, neighbour_spacing, scene_extent
from training.perceptual import Perceptual
from training.run import Run, described

CONFIG = TrainConfig(
    steps=40,
    scene=SceneConfig(points=40),
    densify=DensifyConfig(start=100, stop=29_000, interval=10, opacity_reset=0, gradient=1e-5, max_gaussians=60),
)


def test_training_brings_the_pictures_closer() -> None:
    trainer = GaussianTrainer(tiny_dataset(), resolved(replace(CONFIG, steps=150), "cpu"))
    reports = [trainer.step() for _ in range(150)]
    first, last = (np.mean([r.psnr for r in part]) for part in (reports[:10], reports[-10:]))
    assert last > first + 2.5
    assert trainer.finished
    assert np.mean([r.loss for r in reports[-10:]]) < np.mean([r.loss for r in reports[:10]])


def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(tiny: None, tmp_path: Path) -> None:
    whole = Run.create("tiny", CONFIG, tmp_path / "whole")
    whole.begin()
    expected = [whole.step() for _ in range(40)]

    part = Run.create("tiny", CONFIG, tmp_path / "part")
    part.begin()
    for _ in range(17):
        part.step()
    part.save()
    for _ in range(5):
        part.step()  # lost: the process ends before the next checkpoint
    resumed = Run.open(tmp_path / "part")
    assert resumed.trainer.done == 17
    assert [resumed.step() for _ in range(23)] == expected[17:]
    for name, value in whole.trainer.scene.parameters.items():
        assert torch.equal(value, resumed.trainer.scene.parameters[name]), name
    assert len(whole.trainer.scene) > 40  # the test means little without densification
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == (tmp_path / "part" / "metrics.jsonl").read_text()


def test_every_training_picture_is_used_once_per_epoch() -> None:
    trainer = GaussianTrainer(tiny_dataset(), resolved(CONFIG, "cpu"))
    seen = []
    for _ in range(8):
        seen += trainer._next_shots()
        trainer.done += 1
    assert sorted(seen) == trainer.dataset.indices("train")


def test_harmonics_come_on_one_level_at_a_time() -> None:
    trainer = GaussianTrainer(tiny_dataset(), resolved(replace(CONFIG, steps=30, sh_interval=3000), "cpu"))
    levels = []
    for _ in range(20):
        trainer.step()
        levels.append(trainer.scene.sh_level)
    assert levels[:10] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert max(levels) == 5


def test_the_first_gaussians_are_those_of_the_paper() -> None:
    dataset = tiny_dataset()
    g = initial_gaussians(dataset, SceneConfig(points=40, time_span=10.0), seed=0)
    assert torch.sigmoid(g.opacities).mean().item() == pytest.approx(0.1)
    assert torch.exp(g.time_scales).mean().item() == pytest.approx(2**0.5)  # sqrt(T / 5)
    assert -1 <= g.times.min() < 0 and 10 < g.times.max() <= 11  # a tenth of the clip before and after it
    assert g.velocities().abs().max() == 0
    spacing = neighbour_spacing(dataset.points.points)  # type: ignore[union-attr]
    torch.testing.assert_close(torch.exp(g.scales[:, 0]), torch.from_numpy(spacing))


def test_spacing_is_the_root_mean_square_of_three_neighbours() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [50, 0, 0]], np.float32)
    assert neighbour_spacing(points)[0] == pytest.approx(((1 + 4 + 9) / 3) ** 0.5)


def test_farthest_points_cover_a_cloud() -> None:
    points = np.stack([np.linspace(0, 1, 101), np.zeros(101), np.zeros(101)], axis=1).astype(np.float32)
    assert sorted(farthest_points(points, 5, first=0)) == [0, 25, 50, 75, 100]


def test_the_extent_of_a_still_camera_follows_the_depth() -> None:
    dataset = tiny_dataset()
    moving = scene_extent(dataset)
    still = replace(dataset, shots=[replace(s, camera=dataset.shots[0].camera) for s in dataset.shots])
    centers = np.stack([dataset.shots[i].camera.center for i in dataset.indices("train")])
    assert moving == pytest.approx(1.1 * np.linalg.norm(centers - centers.mean(0), axis=1).max())
    assert scene_extent(still) == pytest.approx(0.1 * 2 / (1 / 1.0 + 1 / 6.0))


def test_the_held_out_camera_is_measured_and_the_input_beside_it(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", CONFIG, tmp_path / "run")
    report = evaluation_report(run.trainer.scene, run.dataset, Perceptual.load(), train_limit=2)
    views = report["views"]
    assert isinstance(views, list)
    assert [v["camera"] for v in views if v["split"] == "test"] == ["middle"] * 4
    assert len([v for v in views if v["split"] == "train"]) == 2
    assert report["mean_of"] == "test"
    mean = report["mean"]
    assert isinstance(mean, dict)
    assert mean["psnr"] == pytest.approx(np.mean([v["psnr"] for v in views if v["split"] == "test"]))


def test_masks_are_scored_where_a_shot_has_one(tiny: None, tmp_path: Path) -> None:
    run = Run.create("tiny", CONFIG, tmp_path / "run")
    clip, scene = run.dataset, run.trainer.scene
    held, (first, *_) = clip.indices("test"), clip.indices("train")
    shape = clip.shots[0].camera.height, clip.shots[0].camera.width
    seen, moves, nothing = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, bool)
    seen[:, :20], moves[5:15, 8:30] = True, True
    masked = replace(
        clip,
        covisible=lambda i: {held[0]: seen, held[1]: ~seen, held[2]: nothing}.get(i),
        moving=lambda i: {held[0]: moves, first: moves}.get(i),
    )
    report = evaluation_report(scene, masked, Perceptual.load(network="stand-in"), train_limit=2)
    views, mean, train = report["views"], report["mean"], report["train"]
    assert isinstance(views, list) and isinstance(mean, dict) and isinstance(train, dict)
    covered, dynamic = {"mpsnr", "mssim"}, {"dynamic_psnr", "dynamic_ssim"}  # the stand-in has no map of distances
    whole = set(views[3])
    assert [set(v) - whole for v in views] == [covered | dynamic, covered, set(), set(), dynamic, set()]
    image, target = render(scene, View(clip.shots[held[0]].camera, clip.shots[held[0]].time)), clip.read(held[0])
    squares = (np.clip(image.color, 0, 1).astype(float) - target / 255) ** 2
    assert views[0]["mpsnr"] == pytest.approx(-10 * np.log10(squares[seen].mean()), abs=1e-4)
    assert views[0]["dynamic_psnr"] == pytest.approx(-10 * np.log10(squares[moves].mean()), abs=1e-4)
    assert mean["mpsnr"] == pytest.approx((views[0]["mpsnr"] + views[1]["mpsnr"]) / 2)
    assert mean["dynamic_psnr"] == views[0]["dynamic_psnr"] and train["dynamic_psnr"] == views[4]["dynamic_psnr"]
    plain = evaluation_report(scene, clip, Perceptual.load(network="stand-in"), train_limit=2)
    assert plain["mean"] == {name: value for name, value in mean.items() if name in whole}
    head, *rows = score_table(report).splitlines()
    ends = {name: head.index(name) + len(name) for name in head.split()}
    assert ends.keys() == {"PSNR", "SSIM", "PERCEPTUAL", "MPSNR", "MSSIM", "DYNAMIC_PSNR", "DYNAMIC_SSIM"}
    assert rows[0][: ends["MPSNR"]].endswith(f" {mean['mpsnr']:.4f}")
    assert rows[1][: ends["DYNAMIC_PSNR"]].endswith(f" {train['dynamic_psnr']:.4f}")
    assert rows[1][ends["DYNAMIC_SSIM"] :].split() == [] and "nan" not in rows[1]


def test_spread_takes_both_ends() -> None:
    assert spread(range(10), 3) == [0, 4, 9]
    assert spread(range(2), 5) == [0, 1]


def test_nothing_is_written_before_a_run_begins(tiny: None, tmp_path: Path) -> None:
    Run.create("tiny", CONFIG, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten_unasked(tiny: None, tmp_path: Path) -> None:
    Run.create("tiny", CONFIG, tmp_path / "run").begin()
    with pytest.raises(InputError, match="--resume"):
        Run.create("tiny", CONFIG, tmp_path / "run")
    Run.create("tiny", CONFIG, tmp_path / "run", overwrite=True).begin()


def test_a_folder_with_other_files_is_left_alone(tiny: None, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a run"):
        Run.create("tiny", CONFIG, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


def test_a_run_description_that_is_broken_is_named(tiny: None, tmp_path: Path) -> None:
    Run.create("tiny", CONFIG, tmp_path / "run").begin()
    path = tmp_path / "run" / "run.json"
    whole = json.loads(path.read_text())
    for change, said in (
        ({"method": "magic"}, r"run\.json: not understood \(KeyError\('magic'\)\); train again"),
        ({"changes": {"nonsense": 1}}, r"run\.json: not understood \(KeyError\('nonsense'\)\); train again"),
        ({"format": 99}, "run: written by another version of dynview; train again"),
    ):
        path.write_text(json.dumps({**whole, **change}))
        with pytest.raises(InputError, match=said):
            Run.open(tmp_path / "run")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    for name in ("cuda", "tpu"):
        with pytest.raises(InputError, match="--device"):
            pick_device(name)


def test_a_run_of_the_demo_is_of_the_demo_whatever_its_folder_is_called(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_module, "open_dataset", lambda source, options, report: tiny_dataset())
    Run.create("demo", CONFIG, Path("demo")).begin()
    assert described(Path("demo"))[0] == "demo"
    (tmp_path / "clip").mkdir()
    Run.create("clip", CONFIG, Path("run")).begin()
    assert described(Path("run"))[0] == str(tmp_path / "clip")
