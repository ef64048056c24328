"""Learning a radiance field with a static and a dynamic part from a clip (DDR, TVCG 2025, on NSFF's terms)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.field.march import Marched, march, rays_through
from renderer.field.model import RadianceField, density
from renderer.view import View
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.depth_term import SeenRays, depth_term, with_known
from training.device import CPU, there
from training.facts import ERROR, LOSS, StepReport, Tally
from training.field_scene import HARD_SHARE, RadianceOptimizer, first_field
from training.field_terms import Neighbour, RayTargets, scene_terms
from training.plane_penalties import Term, penalties
from training.trainer import FIELD_PIXELS, Trainer, other_data


class FieldTrainer(Trainer):
    """Learns a :class:`renderer.field.model.RadianceField` from random rays of one picture per step."""

    unit = "values"
    map_pixels = FIELD_PIXELS

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        checkpoint: Checkpoint | None = None,
        device: torch.device = CPU,
    ) -> None:
        super().__init__(dataset, config, None, checkpoint.step if checkpoint else 0, device)
        field = first_field(dataset, config) if checkpoint is None else checkpoint.scene
        if not isinstance(field, RadianceField):
            raise other_data(self.done)
        self._field = field.to(device)
        self.optimizer = RadianceOptimizer(field, config.field)
        self._terms, self._depth = scene_terms(config), depth_term(config)
        self._by_frame = {(dataset.shots[i].camera_name, dataset.shots[i].frame): i for i in self._train}
        if checkpoint:
            try:
                self.optimizer.load_moments(dict(checkpoint.training))
                self.cameras.load(dict(checkpoint.cameras))
            except (RuntimeError, ValueError, KeyError):
                raise other_data(self.done) from None

    @property
    def scene(self) -> RadianceField:
        """The field as it is now; later steps change its tensors in place."""
        return self._field

    def step(self) -> StepReport:
        """One update of the field, and while they are learned of the cameras."""
        tally = Tally()
        for index in self._next_shots():
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.done * self.batch + index)
            pixels = self._pixels(index, generator)
            m = self._marched(index, pixels, generator)
            targets = self._targets_at(index, pixels)
            terms: dict[str, Tensor | float] = {
                "photometric": self._terms.photometric(m, targets),
                "depth": self._depths(index, pixels, m, targets),
                "motion": self._motion(index, pixels, m, targets, generator),
                "regularisers": self._terms.parts(m) + self._planes(),
                "cameras": self.cameras.anchor(index, self.done),
            }
            total = m.weights.blended.new_zeros(())
            for value in terms.values():
                total = total + value
            (total / self.batch).backward()
            for name, value in terms.items():
                tally.add_part(name, value, 1 / self.batch)
            tally.add(LOSS, total, 1 / self.batch)
            tally.add(ERROR, (m.color().detach() - targets.color).square().mean(), 1 / self.batch)
        self.optimizer.step(self.done / self.steps)
        self.cameras.step(self.done)
        self.done += 1
        return self._reported(self._field.size, tally)

    def abandon(self) -> None:
        """As :meth:`Trainer.abandon`."""
        self.optimizer.release()
        self.cameras.release()

    def reconfigure(self, config: TrainConfig) -> None:
        """As :meth:`Trainer.reconfigure`."""
        super().reconfigure(config)
        self.optimizer.reconfigure(config.field)
        self._terms, self._depth = scene_terms(config), depth_term(config)

    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""
        moments = self.optimizer.moments()
        return Checkpoint(self.done, self._field, moments, {"steps": self.steps}, cameras=self.cameras.state())

    def _speed(self, view: View) -> NDArray[np.float32] | None:
        """None as well where no scene flow is learned."""
        terms = self.config.terms
        learned = self._field.frames > 1 and (terms.warped > 0 or terms.flow > 0)
        return super()._speed(view) if learned else None

    # -------------------------------------------------------------------------------------------- details

    def _pixels(self, index: int, generator: torch.Generator) -> Tensor:
        """(R, 2) random pixels of a shot; at first more of those that move."""
        c, camera = self.config.field, self.dataset.shots[index].camera
        assert c.rays is not None and c.moving_rays is not None
        columns = torch.randint(camera.width, (c.rays,), generator=generator)
        pixels = torch.stack([columns, torch.randint(camera.height, (c.rays,), generator=generator)], dim=1)
        if c.moving_rays and self.done < HARD_SHARE * self.steps:
            moving = torch.nonzero(self.targets.moving(index))  # (M, 2) row, column
            if len(moving):
                chosen = torch.randint(len(moving), (c.moving_rays,), generator=generator)
                pixels = torch.cat([pixels, moving[chosen].flip(1)])
        if self._depth.needs_depth:
            pixels = with_known(pixels, self.targets.depth(index)[0], generator)
        return pixels

    def _marched(self, index: int, pixels: Tensor, generator: torch.Generator) -> Marched:
        c, shot = self.config.field, self.dataset.shots[index]
        assert c.proposals is not None and c.samples is not None
        pose, zoom = self.cameras.pose(index, self.done), self.cameras.zoom(self.done)
        rays = rays_through(shot.camera, self._there(pixels), shot.time, pose, zoom)
        if self._field.device.type != "cpu":  # to draw so many numbers and send them there takes longer than to march
            generator = torch.Generator(self._field.device).manual_seed(generator.initial_seed())
        return march(self._field, rays, c.proposals, c.samples, generator)

    def _targets_at(self, index: int, pixels: Tensor) -> RayTargets:
        x, y = pixels.unbind(1)
        color, moving = self.targets.picture(index)[y, x], self.targets.moving(index)[y, x]
        return RayTargets(self._there(color), self._there(moving), self._there(pixels))

    def _there(self, x: Tensor) -> Tensor:
        """What is known of the clip, which lies on the CPU, where the field is; nothing waits for it."""
        return there(x, self._field.device)

    def _depths(self, index: int, pixels: Tensor, m: Marched, targets: RayTargets) -> Tensor:
        """DDR, its relatives, and empty space."""
        if not self._depth.is_on:
            return m.samples.s.new_zeros(())
        x, y = pixels.unbind(1)
        depth, disparity = (None, None) if not self._depth.needs_depth else self.targets.depth(index)
        unknown = torch.full((len(pixels),), float("nan"))
        w = m.weights
        seen = SeenRays(
            m.samples.s,
            {"total": w.blended, "dynamic": w.dynamic, "static": w.static},
            unknown if depth is None else self._field.space.place(depth[y, x]),
            unknown if disparity is None else disparity[y, x],
            m.samples.edges,
        )
        sigma = {p: density(getattr(m, p).raw).view_as(m.samples.s) for p in ("dynamic", "static")}
        return self._depth(seen, self.done) + self._depth.empty_space(sigma, seen, targets.moving, self.done)

    def _motion(
        self, index: int, pixels: Tensor, m: Marched, targets: RayTargets, generator: torch.Generator
    ) -> Tensor | float:
        """What is asked together with a neighbouring frame, where there is one."""
        neighbour = self._neighbour(index, pixels, generator)
        return 0.0 if neighbour is None else self._terms.motion(self._field, m, targets, neighbour, self.done)

    def _neighbour(self, index: int, pixels: Tensor, generator: torch.Generator) -> Neighbour | None:
        """The frame before or after, by chance; None where the clip has neither."""
        shot = self.dataset.shots[index]
        there = [self._by_frame.get((shot.camera_name, shot.frame + step)) for step in (-1, 1)]
        sides = [side for side, other in enumerate(there) if other is not None]
        if not sides:
            return None
        side = sides[int(torch.randint(len(sides), (), generator=generator))]
        other = there[side]
        assert other is not None
        flow, seen = self.targets.flow(index, other)
        x, y = pixels.unbind(1)
        pose, zoom = self.cameras.pose(other, self.done), self.cameras.zoom(self.done)
        shot = self.dataset.shots[other]
        return Neighbour(side, shot.time, shot.camera, pose, zoom, self._there(flow[y, x]), self._there(seen[y, x]))

    def _planes(self) -> Tensor:
        """What keeps the planes smooth."""
        c, times = self.config.field, ("xt", "yt", "zt")
        terms = (
            Term("variation", c.variation, ("xy", "xz", "yz")),
            Term("curvature", c.time_smoothness, times),
            Term("to one", c.to_one, times),
        )
        fields = (self._field.static_planes, self._field.dynamic_planes, self._field.proposal_planes)
        return torch.stack([penalties(planes, terms) for planes in fields]).sum()
