"""What generated views teach (SparseCam4D, sections 3.1 and 3.2): their loss, drawn through the distortion field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from renderer.gaussians import Gaussians
from renderer.instant import splat_scene
from renderer.splat import SplatImage
from training.camera_learning import camera_center, magnified
from training.clip_cameras import ClipCameras
from training.config import TrainConfig
from training.data.generated import GeneratedViews
from training.device import TargetPictures
from training.distortion import Deltas, DistortionField
from training.facts import LOSS, Tally
from training.optimizer import FieldOptimizer
from training.perceptual import Perceptual


class GeneratedTerm:
    """The generated views of a clip, the field that absorbs what is wrong with them, and what compares pictures.

    ``field``: None where the configuration has none. ``forgotten``: whether a checkpoint came without the field that
    it should have. ``perceptual``: LPIPS or its stand-in. ``box``: (2, 3) corners of the first points. ``frames``:
    instants of the clip. ``extent``: scene units. All lies where the box does.
    """

    def __init__(self, views: GeneratedViews, config: TrainConfig, box: Tensor, frames: int, extent: float) -> None:
        self.views, self._config = views, config
        self._pictures = TargetPictures(box.device)
        weights = Path(config.generated.weights) if config.generated.weights else None
        self.perceptual = Perceptual.load(weights, config.generated.network, box.device)
        self.forgotten = False
        self.field: DistortionField | None = None
        if config.distortion.enabled:
            self.field = DistortionField(config.distortion, box.cpu(), frames, len(views.cameras), config.seed)
            self.field.to(box.device)
            self._optimizer = FieldOptimizer(self.field, config.distortion, extent, config.haste)

    def learn(self, gaussians: Gaussians, cameras: ClipCameras, step: int, tally: Tally | None = None) -> Tally:
        """Add the gradients of a step's generated pictures (eq. 7), their cameras' anchors and the field's penalties;
        the ``tally`` to which the loss and its parts are added."""
        c, tally = self._config.generated, Tally() if tally is None else tally
        if self.field is not None:
            self.field.requires_grad_(self._learns(step))
        for index in self._next(step):
            frame, target = self.views.frames[index], self._pictures.target(index, self.views.read)
            scene, deltas = gaussians, Deltas()
            if self.field is not None and self.is_on(step):
                scene, deltas = self.field.distorted(gaussians, frame.time, self.views.pose_coordinate(frame.pose))
            image = self._draw(scene, index, cameras.virtual_pose(frame.pose, step), cameras.zoom(step))
            like = c.l1 * (image.color - target).abs().mean() + c.perceptual * self.perceptual.loss(image.color, target)
            anchor, penalties = cameras.virtual_anchor(frame.pose, step), target.new_zeros(())
            if self.field is not None and self._learns(step):
                penalties = self.field.regularisers(frame.time) + self.field.shrinkage(deltas)
            loss = like + anchor + penalties
            (loss / c.batch).backward()
            for name, value in (("generated", like), ("cameras", anchor), ("distortion", penalties)):
                tally.add_part(name, value, 1 / c.batch)
            tally.add(LOSS, loss, 1 / c.batch)
        return tally

    def _draw(self, scene: Gaussians, index: int, pose: Tensor, zoom: Tensor | None) -> SplatImage:
        frame = self.views.frames[index]
        camera, seen = self.views.cameras[frame.pose], magnified(pose, zoom)
        return splat_scene(scene, frame.time, camera, pose=seen, center=camera_center(pose)).image

    def reconfigure(self, config: TrainConfig) -> None:
        """Go on with other weights, rates and steps."""
        self._config = config
        if self.field is not None:
            self.field.config = config.distortion
            self._optimizer.reconfigure(config.distortion, config.haste)

    def release(self) -> None:
        """Let go of gradients."""
        if self.field is not None:
            self._optimizer.release()

    def update(self, step: int) -> None:
        """Adam's step of the field, while it learns."""
        if self.field is not None and self._learns(step):
            start = self._config.scaled(self._config.distortion.start)
            self._optimizer.step((step - start) / max(1, self._config.steps or 1))

    def is_on(self, step: int) -> bool:
        """Whether the field bends the scene at a step."""
        return self.field is not None and step >= self._config.scaled(self._config.distortion.start)

    def shows(self, step: int) -> bool:
        """Whether the field has something to show at a step."""
        return self.is_on(step) and not self.forgotten

    def _learns(self, step: int) -> bool:
        return self.is_on(step) and step < self._config.scaled(self._config.distortion.stop)

    def _next(self, step: int) -> list[int]:
        """The pictures of a step: every one once per epoch, in an order that the seed and the epoch give."""
        batch, count = self._config.generated.batch, len(self.views.frames)
        chosen = []
        for k in range(step * batch, (step + 1) * batch):
            epoch, place = divmod(k, count)
            chosen.append(int(np.random.default_rng([self._config.seed, 2, epoch]).permutation(count)[place]))
        return chosen

    def state(self) -> dict[str, Tensor]:
        """The field and its moments, for a checkpoint; empty without one."""
        if self.field is None:
            return {}
        moments = {f"adam.{k}": v for k, v in self._optimizer.moments().items()}
        return {**{f"field.{k}": v for k, v in self.field.state_dict().items()}, **moments}

    def load(self, state: Mapping[str, Tensor], step: int) -> None:
        """The inverse of :meth:`state` at a step; RuntimeError when it is of another field."""
        if self.field is None:
            return
        if not state:
            self.forgotten = self.is_on(step)
            return
        self.field.load_state_dict({k.removeprefix("field."): v for k, v in state.items() if k.startswith("field.")})
        self._optimizer.load_moments({k.removeprefix("adam."): v for k, v in state.items() if k.startswith("adam.")})


def first_box(gaussians: Gaussians) -> Tensor:
    """(2, 3) corners of the box of a scene's points, scene units."""
    positions = gaussians.positions.detach()
    return torch.stack([positions.amin(0), positions.amax(0)])
