"""From a look to a frame: of the scene as it is, of a checkpoint, of the clip's or of a generated picture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np

from app import protocol as p
from renderer.errors import InputError
from renderer.scene import Scene, render
from renderer.view import Frame, View
from training.checkpoint import load_checkpoint
from training.run import Run

KEPT_SCENES = 2
"""Scenes of checkpoints that stay in memory."""


class Painter:
    """Draws looks of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._scenes: OrderedDict[int, Scene] = OrderedDict()

    def draw(self, look: p.Look) -> Frame:
        """The look at the size of its view. InputError for a checkpoint that is gone, or a picture that there is not.

        The frame's view has the camera of the picture where that is not the scene's.
        """
        if look.of == "input":
            return self._input(look.view)
        if look.of == "generated":
            return self._generated(look.view)
        if look.step is not None and look.step != self._run.trainer.done:
            return render(self.scene(look.step), look.view, version=look.step)
        return self._run.trainer.draw(look.view)

    def whole(self, look: p.Look) -> Generator[None, None, Frame]:
        """:meth:`draw` as finely as its view asks for, in pieces, however long that takes; returns the frame."""
        fine = None
        for piece in self.finer(replace(look, view=replace(look.view, overlay=""))) or ():
            fine = piece or fine
            yield
        if fine is None:
            return self.draw(look)
        if not look.view.overlay:
            return fine
        return replace(self.draw(look), color=fine.color, depth=fine.depth, opacity=fine.opacity)

    def finer(self, look: p.Look) -> Iterator[Frame | None] | None:
        """Pieces of a finer picture than :meth:`draw` takes the time for; None where there is nothing finer."""
        return self._run.trainer.drawn_finely(look.view) if look.live else None

    def forget(self) -> None:
        """Let go of scenes of checkpoints."""
        self._scenes.clear()

    def scene(self, step: int) -> Scene:
        """That of a checkpoint, where the run's own scene is; InputError where there is none of this step."""
        if step not in self._scenes:
            scene = load_checkpoint(self._run.folder, with_training=False, step=step).scene
            self._scenes[step] = scene.to(self._run.trainer.device)
            while len(self._scenes) > KEPT_SCENES:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(step)
        return self._scenes[step]

    def _input(self, view: View) -> Frame:
        trainer = self._run.trainer
        index = trainer.shot_of(view)
        if index is None:
            index = trainer.nearest_shot(view)
        shot = trainer.clip().shots[index]
        scale = min(view.camera.width / shot.camera.width, view.camera.height / shot.camera.height)
        width, height = max(1, round(shot.camera.width * scale)), max(1, round(shot.camera.height * scale))
        seen = replace(view, camera=shot.camera.resized(width, height), time=shot.time, overlay="")
        return _picture(seen, trainer.input_picture(index, width, height))

    def _generated(self, view: View) -> Frame:
        trainer = self._run.trainer
        picture = trainer.generated_picture(view.pose, view.time, view.camera.width, view.camera.height)
        generated = trainer.clip().generated
        if picture is None or generated is None:
            raise InputError("no generated picture is there to be shown; make some with dynview generate")
        camera = generated.cameras[view.pose].resized(view.camera.width, view.camera.height)
        return _picture(replace(view, camera=camera, overlay=""), picture)


def _picture(view: View, color: np.ndarray) -> Frame:
    """A picture as a frame: opaque, of no known depth."""
    nothing = np.full(color.shape[:2], np.nan, np.float32)
    return Frame(view, np.ascontiguousarray(color, np.float32), nothing, np.ones(color.shape[:2], np.float32))
