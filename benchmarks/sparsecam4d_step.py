"""What a step of SparseCam4D costs and where the time goes: ``python -m benchmarks.sparsecam4d_step [--json F]``.

One real and one generated view of the procedural scene at 160x96, 20,000 Gaussians, all harmonics, the field on,
cameras learned. Each part runs forward and backward on inputs of the step; medians over the rounds, in milliseconds.
Rendering with the field in memory is compared with rendering a scene that never had one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.splat_cpu import median_ms
from renderer.scene import render
from renderer.slicing import slice_at
from renderer.splat import Splats, splat
from renderer.view import View
from training.camera_learning import camera_center
from training.config import PRESETS, resolved, with_changes
from training.data.generated_sources import demo_views
from training.data.images import as_target
from training.data.procedural import procedural_dataset
from training.gaussian_trainer import GaussianTrainer
from training.losses import photometric_loss
from training.studies.sparsecam4d import COMMON, FRAMES, HEIGHT, WIDTH

STEPS, WARM_UP = 30_000, 250


def trainer_at_work() -> GaussianTrainer:
    """20,000 Gaussians that have begun to look like the scene, in the middle of the learning of everything."""
    clip = procedural_dataset("sparse", width=WIDTH, height=HEIGHT, frames=FRAMES)
    clip = replace(clip, generated=demo_views(clip).views)
    quick = {"densify.start": 0, "densify.gradient": 5e-5, "steps": STEPS}
    trainer = GaussianTrainer(clip, resolved(with_changes(PRESETS["sparsecam4d"], {**COMMON, **quick}), "cpu"))
    for _ in range(WARM_UP):
        trainer.step()
    trainer.done = 5500  # all harmonics, the field and the cameras; no round of densification in the next 99 steps
    for _ in range(3):
        trainer.step()
    return trainer


def parts(trainer: GaussianTrainer) -> dict[str, Callable[[], None]]:
    """Forward and backward of each part, on inputs of the present step."""
    term = trainer.generated
    assert term is not None and term.field is not None and trainer.cameras.learned is not None
    (index,), (shot_index,) = term._next(trainer.done), trainer._next_shots()
    frame, shot = term.views.frames[index], trainer.dataset.shots[shot_index]
    pose = trainer.cameras.virtual_pose(frame.pose, trainer.done).detach()
    part, scene = term.field._part(frame.time), trainer.scene
    with torch.no_grad():
        instant = slice_at(scene, frame.time, camera_center(pose))
        image = splat(instant.splats, shot.camera, pose=pose).color
    rows = instant.ids
    places = (2 * (scene.positions[rows] - term.field.box[0]) / (term.field.box[1] - term.field.box[0]) - 1).detach()
    ts = (2 * frame.time - 1, 2 * term.views.pose_coordinate(frame.pose) - 1)
    target = as_target(trainer.dataset.read(shot_index))
    features = part.planes(places, ts).detach()  # type: ignore[union-attr, operator]

    def rasterisation() -> None:
        fields = [t.detach().requires_grad_() for t in vars(instant.splats).values()]
        learned = pose.clone().requires_grad_()
        splat(Splats(*fields), shot.camera, pose=learned).color.sum().backward()

    def slicing() -> None:
        learned = camera_center(pose).requires_grad_()
        s = slice_at(scene, frame.time, learned).splats
        torch.autograd.backward([s.means.sum() + s.covariances.sum() + s.opacities.sum() + s.colors.sum()])

    def planes() -> None:
        part.planes(places.requires_grad_(), ts).sum().backward()  # type: ignore[union-attr, operator]

    def regularisers() -> None:
        term.field.regularisers(frame.time).backward()  # type: ignore[union-attr]

    def heads() -> None:
        h = torch.relu(part.trunk(features.requires_grad_()))  # type: ignore[union-attr, operator]
        outputs = [last(torch.relu(hidden(h))).sum() for hidden, last in zip(part.hidden, part.last, strict=True)]  # type: ignore
        torch.stack(outputs).sum().backward()

    def on_picture(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[[], None]:
        return lambda: loss(image.clone().requires_grad_(), target).backward()

    def update() -> None:
        for leaf in scene.parameters.values():
            leaf.grad = torch.zeros_like(leaf)
        trainer.optimizer.step(0.5)

    def update_field() -> None:
        for p in term.field.parameters():  # type: ignore[union-attr]
            p.grad = torch.zeros_like(p)
        term.update(trainer.done)

    return {
        "rasterisation (2 views)": twice(rasterisation),
        "slicing (2 views)": twice(slicing),
        "planes: lookup": planes,
        "planes: regularisers": regularisers,
        "planes: update": update_field,
        "heads of the field": heads,
        "perceptual loss": on_picture(term.perceptual.loss),
        "photometric loss": on_picture(photometric_loss),
        "update of the Gaussians": update,
    }


def twice(work: Callable[[], None]) -> Callable[[], None]:
    """The work done two times."""

    def both() -> None:
        work()
        work()

    return both


def main() -> None:
    """Print the table; with --json write it too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    trainer = trainer_at_work()
    whole = median_ms(trainer.step, arguments.rounds)
    split = {name: median_ms(work, arguments.rounds) for name, work in parts(trainer).items()}
    split["everything else"] = max(0.0, whole - sum(split.values()))
    print(f"a step with {len(trainer.scene):,} Gaussians, {torch.get_num_threads()} threads: {whole:.1f} ms")
    for name, ms in split.items():
        print(f"  {name:<26}{ms:7.1f} ms {100 * ms / whole:5.1f} %")
    view = View(trainer.dataset.shots[0].camera, 0.5)
    scenes = (trainer.scene, trainer.scene.cloned())
    with_field, without = (median_ms(partial(render, s, view), arguments.rounds) for s in scenes)
    print(f"a picture of the exported scene: {without:.2f} ms; while the field is in memory: {with_field:.2f} ms")
    if arguments.json:
        rows = {"step_ms": whole, "parts_ms": split, "render_ms": without, "render_with_field_ms": with_field}
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
