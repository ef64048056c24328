"""The ablation study, at a size that says nothing about quality and all about its parts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app import cli
from renderer.errors import InputError
from training.config import PRESETS, flattened, with_changes
from training.data.generated_sources import demo_views
from training.data.procedural import procedural_dataset
from training.gaussian_trainer import GaussianTrainer
from training.studies import sparsecam4d as study_module
from training.studies.sparsecam4d import VARIANTS, distortion_correlation, run_variant, study

ROW = ("variant", "seed", "psnr", "perceptual", "ssim", "distortion_correlation", "pose_error_ratio", "seconds")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WIDTH", 48), ("HEIGHT", 32), ("FRAMES", 3), ("MEASURED_WARPS", 4)):
        monkeypatch.setattr(study_module, name, value)
    monkeypatch.setattr(study_module, "COMMON", {"scene.points": 300, "densify.max_gaussians": 400})


def test_the_variants_are_the_papers_and_differ_from_it_in_what_they_are_called() -> None:
    assert list(VARIANTS) == ["real-only", "no-field", "no-time-axis", "no-pose-axis", "no-pose-optimisation", "full"]
    preset = flattened(PRESETS["sparsecam4d"])
    for name, changes in VARIANTS.items():
        values = flattened(with_changes(PRESETS["sparsecam4d"], changes))
        differing = {key for key in values if values[key] != preset[key]}
        assert differing == set(changes), name
    assert VARIANTS["full"] == {}


def test_a_row_has_what_scripts_rely_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.json"
    cli.parse(["bench", "sparsecam4d", "--steps", "40", "--seeds", "3", "--json", str(file)])()
    rows = json.loads(file.read_text())["rows"]
    assert [row["variant"] for row in rows] == list(VARIANTS)
    for row in rows:
        assert set(ROW) <= set(row)
        assert row["seed"] == 3 and row["seconds"] > 0 and 5 < row["psnr"] < 40
        assert (row["distortion_correlation"] is None) == (row["variant"] in ("real-only", "no-field"))
        assert (row["pose_error_ratio"] is None) == (row["variant"] in ("real-only", "no-pose-optimisation"))
        assert "lpips" not in row["perceptual_name"].lower()
    started = next(row["pose_error"] for row in rows if row["variant"] == "full")
    assert started["degrees"][0] == pytest.approx(1.0, rel=0.2)  # what no similarity takes away
    assert started["share_of_depth"][0] == pytest.approx(0.01, rel=0.3)


def test_quick_is_one_seed_and_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(study_module, "study", lambda *a: asked.append(a[:3]) or [])
    cli.parse(["bench", "sparsecam4d", "--quick"])()
    cli.parse(["bench", "sparsecam4d"])()
    assert asked == [(list(VARIANTS), [0], 2400), (list(VARIANTS), [0, 1, 2], 6000)]
    for wrong in (["--seeds", "x"], ["--variants", "nope"], ["--steps", "0"]):
        with pytest.raises(InputError):
            cli.parse(["bench", "sparsecam4d", *wrong])()


def test_a_field_that_knows_the_truth_correlates_and_one_that_does_not_does_not() -> None:
    clip = procedural_dataset("sparse", width=48, height=32, frames=3)
    wrong = demo_views(clip, seed=0, push=0.0)
    changes = {"steps": 10, "scene.points": 300, "distortion.width": 8, "cameras.enabled": False}
    config = with_changes(PRESETS["sparsecam4d"], changes)
    from training.config import resolved

    trainer = GaussianTrainer(replace(clip, generated=wrong.views), resolved(config, "cpu"))
    term = trainer.generated
    assert term is not None and term.field is not None
    with torch.no_grad():
        for p in term.field.parameters():
            p += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    chance = distortion_correlation(trainer, wrong)
    assert chance is not None and abs(chance) < 0.5

    def knowing(positions: torch.Tensor, time: float, s: float) -> dict[str, torch.Tensor]:
        pose = round(s * (len(wrong.cameras) - 1))
        camera, index = wrong.cameras[pose], pose * 3 + round(time * 2)
        uv, z = camera.project(positions.double().numpy())
        moved = wrong.displacement(index)
        x, y = (np.clip(uv[:, k].astype(int), 0, n - 1) for k, n in ((0, 48), (1, 32)))
        new = camera.unproject(uv + moved[y, x], z)
        return {"positions": torch.from_numpy(new).float() - positions}

    term.field.forward = knowing  # type: ignore[method-assign, assignment]
    found = distortion_correlation(trainer, wrong)
    assert found is not None and found > 0.8


def test_a_study_goes_variant_by_variant_and_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(study_module, "run_variant", lambda c, t, w, variant, seed, steps: seen.append((seed, variant)))
    list(study(["full", "no-field"], [0, 1], 5))
    assert seen == [(0, "full"), (0, "no-field"), (1, "full"), (1, "no-field")]
    assert run_variant is not study_module.run_variant
