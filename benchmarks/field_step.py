"""What a step of DDR on a radiance field costs: ``python -m benchmarks.field_step [--json F] [--steps N]``.

The procedural small-motion clip at 160x96, the preset ddr with depths of a simulated network. First the trainer alone,
with its parts, medians in milliseconds; then the same under the engine with a live view of 640x384 that the window asks
for, and what that view costs the training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from app import protocol as p
from app.engine import Engine
from app.memory import keep_freed_memory
from benchmarks.splat_cpu import median_ms
from renderer.field.march import march, rays_through
from renderer.view import View
from training.config import PRESETS, TrainConfig, resolved, with_changes
from training.data.procedural import procedural_dataset
from training.facts import to_db
from training.field_trainer import FieldTrainer

WIDTH, HEIGHT, FRAMES, STEPS = 160, 96, 24, 2000
WARM_UP = 30
VIEW_SIZE = (640, 384)


def configuration(steps: int) -> TrainConfig:
    """The preset, on depths of a simulated network."""
    return with_changes(PRESETS["ddr"], {"steps": steps, "depth.source": "midas-like"})


def parts(trainer: FieldTrainer) -> dict[str, Callable[[], None]]:
    """Work of one step on fixed rays."""
    c, index = trainer.config.field, trainer._next_shots()[0]
    assert c.proposals is not None and c.samples is not None
    generator, shot = torch.Generator().manual_seed(0), trainer.dataset.shots[index]
    pixels = trainer._pixels(index, generator)
    targets = trainer._targets_at(index, pixels)

    def marched():  # type: ignore[no-untyped-def]
        rays = rays_through(shot.camera, pixels, shot.time, trainer.cameras.pose(index, trainer.done))
        return march(trainer.scene, rays, c.proposals, c.samples, generator)

    def forward() -> None:
        with torch.no_grad():
            marched()

    def pictures() -> None:
        m = marched()
        trainer._terms.photometric(m, targets).backward()

    def depth() -> None:
        m = marched()
        trainer._depths(index, pixels, m, targets).backward()

    def planes() -> None:
        trainer._planes().backward()

    return {"marching": forward, "marching, colours and back": pictures, "marching, DDR and back": depth,
            "planes' regularisers": planes}  # fmt: skip


def alone(steps: int) -> dict[str, float]:
    """Milliseconds of a step and of its parts, and rays per second."""
    clip = procedural_dataset("small-motion", width=WIDTH, height=HEIGHT, frames=FRAMES)
    trainer = FieldTrainer(clip, resolved(configuration(steps), "cpu"))
    for _ in range(WARM_UP):
        trainer.step()
    whole = median_ms(trainer.step, 40)
    rays = len(trainer._pixels(trainer._next_shots()[0], torch.Generator().manual_seed(0)))
    found = {"step": whole, "rays": rays, "rays per second": 1e3 * rays / whole}
    return found | {name: median_ms(work, 10) for name, work in parts(trainer).items()}


def with_view(steps: int) -> dict[str, float]:
    """Seconds of a whole run under the engine, with a view that is drawn again and again."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine("demo:small-motion", configuration(steps), Path(folder) / "run")
        engine.start()
        drawn, began, squared, seen = 0, 0.0, 0.0, 0
        while True:
            for event in engine.drain():
                match event:
                    case p.Opened():
                        engine.send(p.Draw(View(event.home.resized(*VIEW_SIZE), 0.5)))
                        engine.send(p.Train())
                    case p.Started():
                        began = time.monotonic()
                    case p.Drawn():
                        drawn += began > 0
                    case p.Progress():
                        squared, seen = squared + 10 ** (-event.psnr / 10), seen + 1
                    case p.Failed():
                        raise RuntimeError(event.message)
                    case p.Finished():
                        seconds = time.monotonic() - began
                        engine.close()
                        return {"seconds": seconds, "pictures": drawn, "psnr": to_db(squared / max(1, seen))}
            time.sleep(0.02)


def main() -> None:
    """Print both; with --json write them too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    keep_freed_memory()
    bare = alone(arguments.steps)
    print(f"a step on {bare['rays']:.0f} rays, {torch.get_num_threads()} threads: {bare['step']:.0f} ms, "
          f"{bare['rays per second']:,.0f} rays per second")  # fmt: skip
    for name, ms in list(bare.items())[3:]:
        print(f"  {name:<30}{ms:7.1f} ms")
    live = with_view(arguments.steps)
    share = 1 - bare["step"] * arguments.steps / 1e3 / live["seconds"]
    print(f"{arguments.steps} steps with a live view: {live['seconds']:.0f} s, {live['pictures']:.0f} pictures drawn, "
          f"{100 * share:.0f} % of the time")  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps({"alone": bare, "with_view": live}, indent=1) + "\n")


if __name__ == "__main__":
    main()
