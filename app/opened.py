"""What the window is told of a run when it is opened, and of its schedule."""

from __future__ import annotations

from app import protocol as p
from app.exports.cameras import home_camera
from renderer.gaussians import Gaussians
from renderer.paths import focus_point
from training.checkpoint import checkpoint_steps
from training.initialise import scene_box
from training.run import Run
from training.schedule import Milestone, milestones


def planned(run: Run) -> tuple[Milestone, ...]:
    """What the schedule of a run holds."""
    trainer = run.trainer
    return tuple(milestones(run.config, trainer.generated is not None, trainer.targets.source is not None))


def opened_event(run: Run) -> p.Opened:
    """What the window is told of a run that was opened."""
    trainer, scene = run.trainer, run.trainer.scene
    dataset = trainer.clip()
    cameras = [dataset.shots[i].camera for i in dataset.indices("train")]
    center = focus_point(cameras, dataset.near, dataset.far)
    generated = dataset.generated if trainer.generated is not None else None
    return p.Opened(
        name=dataset.name,
        source=run.source,
        shots=tuple(dataset.shots),
        home=home_camera(dataset),
        center=tuple(float(x) for x in center),  # type: ignore[arg-type]
        up=dataset.up,
        depths=(dataset.near, dataset.far),
        box=scene_box(dataset, scene if isinstance(scene, Gaussians) else None),
        fps=dataset.fps,
        frame_count=dataset.frame_count,
        step=trainer.done,
        steps=trainer.steps,
        run=run.folder,
        config=run.config,
        model="gaussians" if isinstance(scene, Gaussians) else "field",
        checkpoints=tuple(checkpoint_steps(run.folder)),
        virtual_cameras=tuple(generated.cameras) if generated else (),
        has_distortion=trainer.generated is not None and trainer.generated.field is not None,
        has_clip=run.has_clip,
        has_cameras=run.has_cameras,
        device=run.device,
        planned=planned(run),
    )
