"""The training loop's one step, and what surrounds it: resuming, saving, measuring.

The same Trainer runs under the command line and, in the engine's thread, under the window. Nothing random depends
on how often it was stopped: every draw is seeded by the run's seed and the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.gaussians import Gaussians
from renderer.harmonics import MAX_LEVEL
from renderer.render import render
from renderer.slicing import slice_at
from renderer.splat import splat
from renderer.view import Frame, View
from training.alignment import similarity_between
from training.camera_learning import LearnedCameras, camera_center
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.data.images import as_target
from training.densify import DensityStatistics, densify, reset_opacities
from training.generated_term import GeneratedTerm, first_box
from training.initialise import initial_gaussians, scene_extent
from training.losses import motion_loss, photometric_loss, rigid_loss
from training.optimizer import GaussianOptimizer
from training.overlay import UNITS, distortion_overlay


@dataclass(frozen=True)
class StepReport:
    """``step``: how many are done. ``psnr``: dB of the step's own real pictures, before the update."""

    step: int
    loss: float
    psnr: float
    gaussians: int


class Trainer:
    """Learns 4D Gaussians from a clip. ``config`` must be resolved (:func:`training.config.resolved`).

    ``generated``: what learns from generated views, where the clip comes with some and the method wants them.
    ``cameras``: the cameras, where they are learned: the real ones first, then the virtual ones.
    """

    def __init__(self, dataset: Dataset, config: TrainConfig, checkpoint: Checkpoint | None = None) -> None:
        assert config.steps is not None and config.batch is not None, "resolve the configuration first"
        self.dataset, self.config = dataset, config
        self.steps, self.batch = config.steps, config.batch
        self.extent = scene_extent(dataset)
        self._train = dataset.indices("train")
        self.done = checkpoint.step if checkpoint else 0
        gaussians = checkpoint.gaussians if checkpoint else initial_gaussians(dataset, config.scene, config.seed)
        self.optimizer = GaussianOptimizer(gaussians, config.rates, self.extent)
        self._statistics = DensityStatistics.empty(len(gaussians), gaussians.positions.device)
        self.generated: GeneratedTerm | None = None
        if dataset.generated is not None and config.generated.batch:
            box, frames = first_box(gaussians), dataset.frame_count
            self.generated = GeneratedTerm(dataset.generated, config, box, frames, self.extent)
        self._places = _camera_places(dataset)
        self._real = _cameras_by_place(dataset, self._places)
        self.cameras = self._learned_cameras() if config.cameras.enabled else None
        if checkpoint:
            self._restore(checkpoint)

    @property
    def gaussians(self) -> Gaussians:
        """The scene as it is now; later steps change its tensors in place."""
        return self.optimizer.gaussians

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.steps

    def step(self) -> StepReport:
        """One update of the scene, and while they are learned of the cameras and the distortion field."""
        self._raise_sh_level()
        loss, error = self._learn_from_real()
        if self.gaussians.times.grad is not None:
            self._statistics.observe_time(self.gaussians.times.grad)
        if self.generated is not None:
            loss += self.generated.learn(self.gaussians, self._virtual_pose, self._virtual_anchor, self.done)
        loss += self._regularise()

        self.optimizer.step(self.done / self.steps)
        if self.generated is not None:
            self.generated.update(self.done)
        if self.cameras is not None and self.cameras.moving(self.done):
            self.cameras.step(self.done)
        self.done += 1
        self._control_density()
        return StepReport(self.done, loss, _to_db(error), len(self.gaussians))

    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""
        statistics = {f"statistics.{k}": v for k, v in vars(self._statistics).items()}
        moments = {f"adam.{k}": v for k, v in self.optimizer.moments().items()}
        return Checkpoint(
            self.done,
            self.gaussians,
            {**statistics, **moments},
            {"steps": self.steps},
            distortion=self.generated.state() if self.generated is not None else {},
            cameras=self.cameras.state() if self.cameras is not None else {},
        )

    def clip(self) -> Dataset:
        """The clip with its cameras where they are now: trained ones as learned, held-out ones moved by the similarity
        that took the trained ones from where they started."""
        if self.cameras is None:
            return self.dataset
        count = len(self._real)
        now, before = self.cameras.cameras(), self.cameras.initial()
        moved = similarity_between(before[:count], now[:count])
        shots = [
            replace(shot, camera=now[self._places[i]] if i in self._places else moved.camera(shot.camera))
            for i, shot in enumerate(self.dataset.shots)
        ]
        generated = self.dataset.generated
        if generated is not None and self.generated is not None:
            generated = replace(generated, cameras=now[count:])
        return replace(self.dataset, shots=shots, generated=generated)

    def draw(self, view: View) -> Frame:
        """The view of the scene as it is now, with the overlay that it asks for: "distortion/HEAD" is where the
        generated views of virtual camera ``view.pose`` disagree with the scene, and None before the field is on."""
        frame = render(self.gaussians, view, version=self.done)
        kind, _, head = view.overlay.partition("/")
        term = self.generated
        if kind != "distortion" or term is None or term.field is None or not term.shows(self.done):
            return frame
        s = term.views.pose_coordinate(view.pose)
        overlay = distortion_overlay(self.gaussians, term.field, view.camera, view.time, s, head)  # type: ignore[arg-type]
        return replace(frame, overlay=overlay, overlay_unit=UNITS[head])  # type: ignore[index]

    # -------------------------------------------------------------------------------------------- details

    def _learn_from_real(self) -> tuple[float, float]:
        """Add the gradients of the real pictures' loss, which alone drive densification; loss and squared error."""
        total, error = 0.0, 0.0
        for index in self._next_shots():
            shot = self.dataset.shots[index]
            target = as_target(self.dataset.read(index))  # (H, W, 3)
            pose = self._real_pose(index)
            instant = slice_at(self.gaussians, shot.time, camera_center(pose))
            offsets = torch.zeros(len(instant.ids), 2, requires_grad=True)
            image = splat(instant.splats, shot.camera, pose=pose, screen_offsets=offsets)

            loss = photometric_loss(image.color, target, self.config.loss.dssim)
            loss = loss + self._anchor(self._places[index])
            (loss / self.batch).backward()

            if offsets.grad is not None:  # a picture pulls as much in a batch as alone
                self._statistics.observe(instant.ids, self.batch * offsets.grad, image.radii, shot.camera)
            total += loss.item() / self.batch
            error += (image.color.detach().clamp(0, 1) - target).square().mean().item() / self.batch
        return total, error

    def _regularise(self) -> float:
        """Add the gradients of what is asked of the scene itself."""
        weights, total = self.config.loss, torch.zeros(())
        if weights.rigid:
            total = total + weights.rigid * rigid_loss(self.gaussians)
        if weights.motion:
            total = total + weights.motion * motion_loss(self.gaussians)
        if total.requires_grad:
            total.backward()
        return total.item()

    def _learned_cameras(self) -> LearnedCameras:
        virtual = list(self.dataset.generated.cameras) if self.dataset.generated and self.generated else []
        c = self.config.cameras
        first, last = self.config.scaled(c.start), self.config.scaled(c.stop)
        return LearnedCameras([*self._real, *virtual], c, first, last, self.config.haste)

    def _pose(self, place: int) -> Tensor:
        assert self.cameras is not None
        pose = self.cameras.pose(place)
        return pose if self.cameras.moving(self.done) else pose.detach()

    def _real_pose(self, index: int) -> Tensor:
        if self.cameras is not None:
            return self._pose(self._places[index])
        return torch.from_numpy(self.dataset.shots[index].camera.world_to_camera.astype(np.float32))

    def _virtual_pose(self, pose: int) -> Tensor:
        assert self.generated is not None
        if self.cameras is not None:
            return self._pose(len(self._real) + pose)
        return torch.from_numpy(self.generated.views.cameras[pose].world_to_camera.astype(np.float32))

    def _anchor(self, place: int) -> Tensor | float:
        return self.cameras.anchor(place) if self.cameras is not None and self.cameras.moving(self.done) else 0.0

    def _virtual_anchor(self, pose: int) -> Tensor | float:
        return self._anchor(len(self._real) + pose)

    def _next_shots(self) -> list[int]:
        """The shots of this step: every training shot once per epoch, in an order that the seed and epoch give."""
        chosen = []
        for k in range(self.done * self.batch, (self.done + 1) * self.batch):
            epoch, place = divmod(k, len(self._train))
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self._train))
            chosen.append(self._train[order[place]])
        return chosen

    def _raise_sh_level(self) -> None:
        level = min(MAX_LEVEL, self.done // self.config.scaled(self.config.sh_interval))
        if level != self.gaussians.sh_level:
            self.optimizer.set_sh_level(level)

    def _control_density(self) -> None:
        c, scaled = self.config.densify, self.config.scaled
        if scaled(c.start) < self.done < scaled(c.stop) and self.done % c.interval == 0:
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.done)
            prune_large = bool(c.opacity_reset) and self.done > c.opacity_reset
            densify(self.optimizer, self._statistics, c, self.extent, prune_large, generator)
            self._statistics = DensityStatistics.empty(len(self.gaussians), self.gaussians.positions.device)
        if c.opacity_reset and self.done < scaled(c.stop) and self.done % c.opacity_reset == 0:
            reset_opacities(self.optimizer)

    def _restore(self, checkpoint: Checkpoint) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in checkpoint.training.items() if k.startswith(prefix)}

        self.optimizer.load_moments(part("adam."))
        saved = part("statistics.")
        if saved.keys() == vars(self._statistics).keys():
            self._statistics = replace(self._statistics, **{k: v.clone() for k, v in saved.items()})
        try:
            if self.generated is not None:
                self.generated.load(checkpoint.distortion, checkpoint.step)
            if self.cameras is not None and checkpoint.cameras:
                self.cameras.load(dict(checkpoint.cameras))
        except (RuntimeError, ValueError, KeyError):
            raise InputError(
                f"step {checkpoint.step} of this run was made with other cameras or generated views than are there "
                "now; restore the data it was trained on"
            ) from None


def _camera_places(dataset: Dataset) -> dict[int, int]:
    """Number of the camera of each training shot: one for a camera that stands still, else one per shot."""
    numbers: dict[tuple[str, Camera], int] = {}
    shots = {index: dataset.shots[index] for index in dataset.indices("train")}
    return {index: numbers.setdefault((s.camera_name, s.camera), len(numbers)) for index, s in shots.items()}


def _cameras_by_place(dataset: Dataset, places: dict[int, int]) -> list[Camera]:
    cameras = {place: dataset.shots[index].camera for index, place in places.items()}
    return [cameras[k] for k in range(len(cameras))]


def _to_db(mean_squared_error: float) -> float:
    return -10 * math.log10(max(mean_squared_error, 1e-10))
