"""The cameras of a clip while a scene is learned from it: as stated, or learned with the scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from renderer.camera import Camera
from training.alignment import similarity_between
from training.camera_learning import LearnedCameras
from training.config import TrainConfig
from training.data.dataset import Dataset, Shot
from training.data.generated import GeneratedViews
from training.device import CPU, there


class ClipCameras:
    """Poses of the training shots and of virtual cameras, at any step of a run.

    A camera that stands still has one pose, a hand-held one a pose per shot. All lie on ``device``. ``learned``: what
    moves them, or None: the real cameras first, then the virtual ones.
    """

    def __init__(
        self, dataset: Dataset, config: TrainConfig, virtual: GeneratedViews | None, device: torch.device = CPU
    ) -> None:
        self._dataset, self._virtual, self._device = dataset, virtual, device
        self._stated: dict[int, Tensor] = {}
        self._places = _places(dataset)
        cameras = {place: dataset.shots[index].camera for index, place in self._places.items()}
        self._real = [cameras[k] for k in range(len(cameras))]
        self.learned: LearnedCameras | None = None
        if config.cameras.enabled:
            everyone = [*self._real, *(virtual.cameras if virtual else [])]
            self.learned = LearnedCameras(everyone, config.cameras, *_schedule(config), device=device)

    def reconfigure(self, config: TrainConfig) -> None:
        """Go on with other rates and steps, and another anchor."""
        if self.learned is not None:
            self.learned.reconfigure(config.cameras, *_schedule(config))

    def moved(self) -> tuple[float, float] | None:
        """How far learned cameras, virtual ones among them, are from where they started: mean rotation in degrees, mean
        distance in scene units. None where they are not learned."""
        return None if self.learned is None else self.learned.moved()

    def pose(self, index: int, step: int) -> Tensor:
        """(4, 4) world-to-camera of a training shot; it requires a gradient while the cameras are learned."""
        place = self._places[index]
        return self._learned_pose(place, step) if self.learned is not None else self._stated_pose(place)

    def virtual_pose(self, pose: int, step: int) -> Tensor:
        """The same of a virtual camera."""
        assert self._virtual is not None
        place = len(self._real) + pose
        return self._learned_pose(place, step) if self.learned is not None else self._stated_pose(place)

    def zoom(self, step: int) -> Tensor | None:
        """() factor of all focal lengths, where it is learned."""
        return None if self.learned is None else self.learned.zoom(step)

    def anchor(self, index: int, step: int) -> Tensor | float:
        """The weighted distance of a shot's camera from where it started."""
        return self._anchor(self._places[index], step)

    def virtual_anchor(self, pose: int, step: int) -> Tensor | float:
        """The same of a virtual camera."""
        return self._anchor(len(self._real) + pose, step)

    def step(self, step: int) -> None:
        """One update, while they are learned."""
        if self.learned is not None and self.learned.moving(step):
            self.learned.step(step)

    def release(self) -> None:
        """Let go of gradients."""
        if self.learned is not None:
            self.learned.release()

    def clip(self) -> Dataset:
        """The clip with its cameras where they are now: trained ones as learned, held-out ones moved by the similarity
        that took the trained ones from where they started, and with the same zoom. Without stated poses a held-out shot
        is where the trained one is that is nearest in time."""
        if self.learned is None:
            return self._dataset
        count, places = len(self._real), self._places
        now, before = self.learned.cameras(), self.learned.initial()
        moved, zoomed = similarity_between(before[:count], now[:count]), self.learned.zoomed

        def held_out(shot: Shot) -> Camera:
            if self._dataset.posed:
                return zoomed(moved.camera(shot.camera))
            nearest = min(places, key=lambda i: abs(self._dataset.shots[i].time - shot.time))
            return now[places[nearest]]

        shots = [
            replace(s, camera=now[places[i]] if i in places else held_out(s)) for i, s in enumerate(self._dataset.shots)
        ]
        generated = self._dataset.generated
        if generated is not None and self._virtual is not None:
            generated = replace(generated, cameras=now[count:])
        return replace(self._dataset, shots=shots, generated=generated)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps; empty where nothing is learned."""
        return {} if self.learned is None else self.learned.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state`; ValueError when it is of other cameras."""
        if self.learned is not None and state:
            self.learned.load(state)

    def _learned_pose(self, place: int, step: int) -> Tensor:
        assert self.learned is not None
        pose = self.learned.pose(place)
        return pose if self.learned.moving(step) else pose.detach()

    def _stated_pose(self, place: int) -> Tensor:
        """Kept, because a GPU waits for what is copied to it."""
        if place not in self._stated:
            virtual = place - len(self._real)
            camera = self._real[place] if virtual < 0 or self._virtual is None else self._virtual.cameras[virtual]
            self._stated[place] = there(torch.from_numpy(camera.world_to_camera.astype(np.float32)), self._device)
        return self._stated[place]

    def _anchor(self, place: int, step: int) -> Tensor | float:
        return self.learned.anchor(place) if self.learned is not None and self.learned.moving(step) else 0.0


def _schedule(config: TrainConfig) -> tuple[int, int, float]:
    """Steps of the run between which cameras move, and how much longer they are than published."""
    return config.scaled(config.cameras.start), config.scaled(config.cameras.stop), config.haste


def _places(dataset: Dataset) -> dict[int, int]:
    """Number of the camera of each training shot: one for a camera that stands still, else one per shot."""
    if not dataset.posed:
        return {index: k for k, index in enumerate(dataset.indices("train"))}
    numbers: dict[tuple[str, Camera], int] = {}
    shots = {index: dataset.shots[index] for index in dataset.indices("train")}
    return {index: numbers.setdefault((s.camera_name, s.camera), len(numbers)) for index, s in shots.items()}
