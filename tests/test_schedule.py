"""Milestones come about exactly when the trainers' own conditions change."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.test_generated_term import config as gaussian_config
from tests.test_live_settings import CONFIGS, clip
from training import gaussian_trainer
from training.config import PRESETS, TrainConfig, resolved, with_changes
from training.densify import RESET_OPACITY
from training.field_terms import decay
from training.field_trainer import FieldTrainer
from training.gaussian_depth import GaussianDepth
from training.gaussian_trainer import GaussianTrainer
from training.schedule import Milestone, milestones

GAUSSIANS, FIELD = CONFIGS["gaussians"], CONFIGS["field"]
PUBLISHED = {name: resolved(replace(preset, steps=30_000), "cpu") for name, preset in PRESETS.items()}


def steps_of(config: TrainConfig, text: str, generated: bool = True) -> list[int]:
    """When something comes about, all repetitions included."""
    found = [m for m in milestones(config, generated) if m.text.startswith(text)]
    return [step for step in range(config.steps or 0) if any(m.is_at(step) for m in found)]


def turns(condition: Callable[[int], object], steps: int) -> list[int]:
    """Steps at which a condition is another one than for the step before."""
    return [step for step in range(1, steps) if condition(step) != condition(step - 1)]


@pytest.mark.parametrize("steps", [60, 77, 300])
@pytest.mark.parametrize(("start", "stop"), [(0, 15_000), (3000, 7000), (1, 40_000), (9000, 9000)])
def test_cameras_move_from_where_it_says_to_where_it_says(steps: int, start: int, stop: int) -> None:
    config = with_changes(GAUSSIANS, {"steps": steps, "cameras.start": start, "cameras.stop": stop})
    learned = GaussianTrainer(clip(), config).cameras.learned
    assert learned is not None
    assert [*steps_of(config, "Cameras begin"), *steps_of(config, "Camera poses freeze")] == turns(
        learned.moving, steps
    )


@pytest.mark.parametrize("steps", [60, 77, 300])
@pytest.mark.parametrize(("start", "stop"), [(3000, 30_000), (1000, 15_000), (0, 1), (9000, 3000)])
def test_the_distortion_field_is_on_and_learns_when_it_says(steps: int, start: int, stop: int) -> None:
    config = with_changes(GAUSSIANS, {"steps": steps, "distortion.start": start, "distortion.stop": stop})
    term = GaussianTrainer(clip(), config).generated
    assert term is not None
    assert steps_of(config, "The distortion field is switched on") == turns(term.is_on, steps)
    freezes = [step for step in turns(term._learns, steps) if not term._learns(step)]
    assert steps_of(config, "The distortion field freezes") == freezes
    assert steps_of(config, "The distortion", generated=False) == []


@pytest.mark.parametrize(
    ("steps", "start", "stop", "interval", "reset"),
    [
        (60, 3000, 25_000, 4, 12), (60, 3000, 24_000, 6, 0), (50, 0, 30_000, 10, 25), (60, 500, 900, 7, 3),
        (40, 0, 60_000, 9, 20),
    ],
)  # fmt: skip
def test_densification_and_lowered_opacities_are_announced_when_they_happen(
    monkeypatch: pytest.MonkeyPatch, steps: int, start: int, stop: int, interval: int, reset: int
) -> None:
    config = gaussian_config(
        **{"steps": steps, "densify.start": start, "densify.stop": stop, "densify.interval": interval,
           "densify.opacity_reset": reset}
    )  # fmt: skip
    trainer = GaussianTrainer(clip(), config)
    rounds, resets, pruned = [], [], []

    def densify(
        optimizer: object, statistics: object, c: object, extent: float, large: bool, generator: object
    ) -> None:
        rounds.append(trainer.done)
        pruned.extend([trainer.done] if large else [])

    monkeypatch.setattr(gaussian_trainer, "densify", densify)
    monkeypatch.setattr(gaussian_trainer, "reset_opacities", lambda optimizer: resets.append(trainer.done))
    for done in range(1, steps):
        trainer.done = done
        trainer._control_density()
    assert steps_of(config, "Densification begins") == rounds[:1]
    assert steps_of(config, f"Opacities are lowered to {RESET_OPACITY}") == resets
    assert steps_of(config, "Large Gaussians") == pruned[:1]
    ends = steps_of(config, "Densification ends")
    assert ends == ([config.scaled(stop)] if rounds and stop < 30_000 else [])
    assert all(rounds[-1] < end <= rounds[-1] + interval for end in ends)


@pytest.mark.parametrize(("steps", "interval"), [(60, 1000), (60, 7000), (31, 1000), (300, 2500)])
def test_harmonics_rise_when_it_says(steps: int, interval: int) -> None:
    config = gaussian_config(steps=steps, sh_interval=interval)
    trainer = GaussianTrainer(clip(), config)

    def level(step: int) -> int:
        trainer.done = step
        trainer._raise_sh_level()
        return trainer.scene.sh_level

    changed = turns(level, steps)
    assert steps_of(config, "Harmonics rise") == changed
    for step in changed:
        assert steps_of(config, f"Harmonics rise to level {level(step)}") == [step]


@pytest.mark.parametrize("steps", [60, 77, 450, 1000])
def test_a_fields_schedule_is_that_of_its_trainer(steps: int) -> None:
    config = with_changes(FIELD, {"steps": steps, "depth.decay": 2500, "terms.decay": 4000})
    trainer = FieldTrainer(clip(), config)
    adam = trainer.optimizer._adam

    def warming(step: int) -> bool:
        trainer.optimizer.step(step / steps)
        cosine = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps))
        return adam.param_groups[0]["lr"] < config.field.plane_rate * cosine * (1 - 1e-9)

    assert steps_of(config, "The step sizes are warmed up") == turns(warming, steps)

    def rays(step: int) -> int:
        trainer.done = step
        index = next(i for i in trainer._train if trainer.targets.moving(i).any())
        return len(trainer._pixels(index, torch.Generator().manual_seed(0)))

    assert steps_of(config, "No more additional rays") == turns(rays, steps)
    assert steps_of(config, "The weights of depth fall") == turns(trainer._depth.weight, steps)
    flow = turns(lambda step: decay(step, trainer._terms._steps_per_decay), steps)
    assert steps_of(config, "The weight of the optical flow") == flow


def test_the_published_schedules_in_words() -> None:
    words = [(m.step, m.text) for m in milestones(PUBLISHED["sparsecam4d"], True)]
    assert words == [
        (600, "Densification begins"),
        (1000, "Harmonics rise to level 1"),
        (2000, "Harmonics rise to level 2"),
        (3000, "Cameras begin to move"),
        (3000, "Harmonics rise to level 3"),
        (3000, "The distortion field is switched on"),
        (4000, "Harmonics rise to level 4"),
        (5000, "Harmonics rise to level 5"),
        (7000, "Camera poses freeze"),
        (15_000, "Densification ends"),
    ]
    released = {m.text: m for m in milestones(PUBLISHED["sparsecam4d-released"], True)}
    assert released["The distortion field freezes"].step == 15_000
    assert released["Depths begin to be compared"].step == 500
    without_depths = milestones(PUBLISHED["sparsecam4d-released"], True, depths=False)
    assert {m.text for m in without_depths} == released.keys() - {"Depths begin to be compared"}
    base = {m.text: m for m in milestones(PUBLISHED["4dgs"], False)}
    assert base["Opacities are lowered to 0.01"] == Milestone(3000, "Opacities are lowered to 0.01", 3000, 12_000)
    assert base["Large Gaussians are removed from here on"].step == 3100
    assert "Cameras begin to move" not in base
    ddr = {m.text: m for m in milestones(PUBLISHED["ddr-released"], False)}
    assert not {text for text in ddr if "Gaussians" in text or "Harmonics" in text or "Densif" in text}
    falls = ddr["The weights of depth fall to a tenth"]
    assert (falls.step, falls.every, falls.last) == (2500, 2500, 27_500)


def test_depths_of_gaussians_begin_to_be_compared_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_changes(GAUSSIANS, {"ddr.weight": 0.0, "ddr.empty": 0.0, "steps": 120})
    monkeypatch.setattr(GaussianDepth, "_standardised", lambda self, image, index: image.color.mean())
    trainer = GaussianTrainer(clip(), config)
    with_depth = ["depth" in trainer.step().parts for _ in range(5)]
    (step,) = steps_of(config, "Depths begin to be compared")
    assert with_depth == [k >= step for k in range(5)] and step == 2
