"""The study of depth regularisation, at a size that says nothing about quality and all about its parts."""

import json
from pathlib import Path

import numpy as np
import pytest

from app import cli
from renderer.view import View
from tests.tiny import camera_at, random_gaussians
from training import held_out
from training.config import PRESETS, flattened, with_changes
from training.data.procedural import procedural_dataset
from training.studies import ddr
from training.studies.ddr import VARIANTS, mass_in_front, wrongly_stated

ROW = ("variant", "scene_model", "seed", "psnr", "depth_error", "floater_mass", "seconds")
SMALL = {"field.nodes": 6, "field.channels": 4, "field.width": 16, "field.rays": 48, "field.moving_rays": 16,
         "field.proposals": 12, "field.samples": 12, "field.levels": (1,)}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WIDTH", 48), ("HEIGHT", 32), ("FRAMES", 4), ("MEASURED", 2)):
        monkeypatch.setattr(ddr, name, value)
    monkeypatch.setattr(held_out, "STEPS", 2)
    monkeypatch.setattr(ddr, "OF_GAUSSIANS", {**ddr.OF_GAUSSIANS, "scene.points": 300})
    monkeypatch.setattr(ddr, "VARIANTS", {name: {**changes, **SMALL} for name, changes in VARIANTS.items()})


def test_the_variants_are_what_they_are_called() -> None:
    assert list(VARIANTS) == [
        "no-depth", "expected-depth", "ds-nerf-kl", "distortion", "ddr-released", "ddr-gumbel", "ddr-exact",
        "ddr-exact-no-empty", "ddr-exact-fixed-cameras",
    ]  # fmt: skip
    preset = flattened(PRESETS["ddr"])
    for name, changes in VARIANTS.items():
        values = flattened(with_changes(PRESETS["ddr"], changes))
        assert {key for key in values if values[key] != preset[key]} == set(changes), name
    assert VARIANTS["ddr-exact"] == {}


def test_a_row_has_what_scripts_rely_on(small: None, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    cli.parse(["bench", "ddr", "--steps", "3", "--seeds", "3", "--json", str(file)])()
    rows = json.loads(file.read_text())["rows"]
    assert {(row["variant"], row["scene_model"]) for row in rows} == {
        (v, m) for v in VARIANTS for m in ("field", "gaussians")
    }
    assert len(rows) == 2 * len(VARIANTS)
    for row in rows:
        assert set(ROW) <= set(row)
        assert row["seed"] == 3 and row["seconds"] > 0 and 3 < row["psnr"] < 40
        assert 0 < row["depth_error"] < 3 and 0 <= row["floater_mass"] <= 1


def test_weight_in_front_of_the_surface_is_counted() -> None:
    scene, view = random_gaussians(60, seed=2), View(camera_at(0.0), 0.5)
    behind = np.full((30, 40), 50.0, np.float32)
    before = np.full((30, 40), 0.6, np.float32)
    assert float(mass_in_front(scene, view, before).max()) == 0
    drawn = mass_in_front(scene, view, behind)
    assert drawn.max() == pytest.approx(1.0, abs=1e-4)


def test_poses_are_stated_wrongly_and_held_out_ones_are_not() -> None:
    clip = procedural_dataset("small-motion", width=48, height=32, frames=4)
    wrong = wrongly_stated(clip, 0)
    for index, (a, b) in enumerate(zip(clip.shots, wrong.shots, strict=True)):
        moved = not np.allclose(a.camera.world_to_camera, b.camera.world_to_camera)
        assert moved == (index in clip.indices("train"))
