"""Learning 4D Gaussians from a clip, and from generated views of it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from renderer.gaussians import Gaussians
from renderer.harmonics import MAX_LEVEL
from renderer.instant import splat_scene
from renderer.view import Frame, View
from training.camera_learning import camera_center, magnified
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.densify import DensityStatistics, densify, reset_opacities
from training.device import CPU
from training.facts import ERROR, LOSS, StepReport, Tally
from training.field_scene import scene_space
from training.gaussian_depth import GaussianDepth
from training.generated_term import GeneratedTerm, first_box
from training.initialise import initial_gaussians, scene_extent
from training.losses import motion_loss, photometric_loss, rigid_loss
from training.optimizer import GaussianOptimizer
from training.overlay import UNITS, distortion_overlay
from training.trainer import Overlay, Trainer, other_data


class GaussianTrainer(Trainer):
    """Learns 4D Gaussians (4DGS, SparseCam4D)."""

    unit = "Gaussians"
    map_pixels = 1 << 20

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        checkpoint: Checkpoint | None = None,
        device: torch.device = CPU,
    ) -> None:
        virtual = dataset.generated if config.generated.batch else None
        super().__init__(dataset, config, virtual, checkpoint.step if checkpoint else 0, device)
        self.extent = scene_extent(dataset)
        gaussians = initial_gaussians(dataset, config.scene, config.seed) if checkpoint is None else checkpoint.scene
        if not isinstance(gaussians, Gaussians):
            raise other_data(self.done)
        gaussians = gaussians.to(device)
        self.optimizer = GaussianOptimizer(gaussians, config.rates, self.extent)
        self._statistics = DensityStatistics.empty(len(gaussians), device)
        self._depth = self._depth_terms()
        if virtual is not None:
            self.generated = GeneratedTerm(virtual, config, first_box(gaussians), dataset.frame_count, self.extent)
        if checkpoint:
            self._restore(checkpoint)

    @property
    def scene(self) -> Gaussians:
        """The Gaussians as they are now; later steps change their tensors in place."""
        return self.optimizer.gaussians

    def step(self) -> StepReport:
        """One update of the scene, and while they are learned of the cameras and the distortion field."""
        self._raise_sh_level()
        tally = Tally()
        self._learn_from_real(tally)
        if self.scene.times.grad is not None:
            self._statistics.observe_time(self.scene.times.grad)
        if self.generated is not None:
            self.generated.learn(self.scene, self.cameras, self.done, tally)
        self._regularise(tally)

        self.optimizer.step(self.done / self.steps)
        if self.generated is not None:
            self.generated.update(self.done)
        self.cameras.step(self.done)
        self.done += 1
        self._control_density()
        return self._reported(len(self.scene), tally)

    def abandon(self) -> None:
        """As :meth:`Trainer.abandon`."""
        self.optimizer.restore()
        if len(self._statistics.seen) != len(self.scene):
            self._statistics = DensityStatistics.empty(len(self.scene), self.device)
        self.cameras.release()
        if self.generated is not None:
            self.generated.release()

    def reconfigure(self, config: TrainConfig) -> None:
        """As :meth:`Trainer.reconfigure`."""
        super().reconfigure(config)
        self.optimizer.rates = config.rates
        self._depth = self._depth_terms()

    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""
        statistics = {f"statistics.{k}": v for k, v in vars(self._statistics).items()}
        moments = {f"adam.{k}": v for k, v in self.optimizer.moments().items()}
        return Checkpoint(
            self.done,
            self.scene,
            {**statistics, **moments},
            {"steps": self.steps},
            distortion=self.generated.state() if self.generated is not None else {},
            cameras=self.cameras.state(),
        )

    def _overlay(self, view: View, frame: Frame) -> Overlay | None:
        """Besides what every trainer knows: "distortion/HEAD" is where the generated views of virtual camera
        ``view.pose`` disagree with the scene, and None before the field is on."""
        kind, _, head = view.overlay.partition("/")
        if kind != "distortion":
            return super()._overlay(view, frame)
        term = self.generated
        if term is None or term.field is None or not term.shows(self.done):
            return None
        s = term.views.pose_coordinate(view.pose)
        overlay = distortion_overlay(self.scene, term.field, view.camera, view.time, s, head)  # type: ignore[arg-type]
        return overlay, UNITS[head]  # type: ignore[index]

    # -------------------------------------------------------------------------------------------- details

    def _depth_terms(self) -> GaussianDepth:
        return GaussianDepth(self.targets, scene_space(self.dataset, self.config.field), self.config, self.device)

    def _learn_from_real(self, tally: Tally) -> None:
        """Add the gradients of the real pictures' loss, which alone drive densification."""
        for index in self._next_shots():
            shot = self.dataset.shots[index]
            target = self._real.target(index, self.dataset.read)  # (H, W, 3)
            pose = self.cameras.pose(index, self.done)
            seen = magnified(pose, self.cameras.zoom(self.done))
            instant = splat_scene(
                self.scene, shot.time, shot.camera, pose=seen, center=camera_center(pose),
                learn_screen=True, depth_target=self._depth.channel(index),
            )  # fmt: skip
            image, offsets = instant.image, instant.offsets

            photometric = photometric_loss(image.color, target, self.config.loss.dssim)
            anchor = self.cameras.anchor(index, self.done)
            depth = self._depth.loss(instant, shot.camera, seen, index, self.done)
            loss = photometric + anchor + depth
            (loss / self.batch).backward()
            for name, value in (("photometric", photometric), ("cameras", anchor), ("depth", depth)):
                tally.add_part(name, value, 1 / self.batch)

            if offsets is not None and offsets.grad is not None:  # a picture pulls as much in a batch as alone
                self._statistics.observe(instant.ids, self.batch * offsets.grad, image.radii, shot.camera)
            tally.add(LOSS, loss, 1 / self.batch)
            tally.add(ERROR, (image.color.detach().clamp(0, 1) - target).square().mean(), 1 / self.batch)

    def _regularise(self, tally: Tally) -> None:
        """Add the gradients of what is asked of the scene itself."""
        weights, total = self.config.loss, self.scene.positions.new_zeros(())
        if weights.rigid:
            total = total + weights.rigid * rigid_loss(self.scene)
        if weights.motion:
            total = total + weights.motion * motion_loss(self.scene)
        if total.requires_grad:
            total.backward()
            tally.add_part("regularisers", total)
            tally.add(LOSS, total)

    def _raise_sh_level(self) -> None:
        level = min(MAX_LEVEL, self.done // self.config.scaled(self.config.sh_interval))
        if level != self.scene.sh_level:
            self.optimizer.set_sh_level(level)

    def _control_density(self) -> None:
        c, scaled = self.config.densify, self.config.scaled
        if scaled(c.start) < self.done < scaled(c.stop) and self.done % c.interval == 0:
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.done)
            prune_large = bool(c.opacity_reset) and self.done > c.opacity_reset
            densify(self.optimizer, self._statistics, c, self.extent, prune_large, generator)
            self._statistics = DensityStatistics.empty(len(self.scene), self.device)
        if c.opacity_reset and self.done < scaled(c.stop) and self.done % c.opacity_reset == 0:
            reset_opacities(self.optimizer)

    def _restore(self, checkpoint: Checkpoint) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in checkpoint.training.items() if k.startswith(prefix)}

        self.optimizer.load_moments(part("adam."))
        saved = part("statistics.")
        if saved.keys() == vars(self._statistics).keys():
            self._statistics = replace(self._statistics, **{k: v.to(self.device, copy=True) for k, v in saved.items()})
        try:
            if self.generated is not None:
                self.generated.load(checkpoint.distortion, checkpoint.step)
            self.cameras.load(dict(checkpoint.cameras))
        except (RuntimeError, ValueError, KeyError):
            raise other_data(checkpoint.step) from None
