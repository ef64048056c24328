"""What the trainers of all kinds of scenes have in common: steps, the order of pictures, cameras, checkpoints.

The same trainer runs under the command line and, in the engine's thread, under the window. Nothing random depends on
how often it was stopped: every draw is seeded by the run's seed and the step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.field.draw import shrunk
from renderer.rays import RayDistribution
from renderer.scene import Scene, ray_distribution, render
from renderer.view import Frame, View
from renderer.weights import RAY_MAPS, Edges, Quantity, RayMap, depth_edges, ray_map, row_slices
from training import gumbel
from training.checkpoint import Checkpoint
from training.clip_cameras import ClipCameras
from training.clip_targets import ClipTargets
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.data.generated import GeneratedViews
from training.depth_term import depth_term, depth_wanted
from training.generated_term import GeneratedTerm

MOST_INSTANTS = 48
"""Instants of a ray through time."""
Slices = dict[Quantity, NDArray[np.float64]]


@dataclass(frozen=True)
class StepReport:
    """``step``: how many are done. ``psnr``: dB of the step's own real pictures or rays, before the update. ``size``:
    of the scene, in the trainer's ``unit``."""

    step: int
    loss: float
    psnr: float
    size: int


@dataclass(frozen=True)
class RayThroughTime:
    """The weights along one pixel's ray over the clip. ``times``: (T,) in [0, 1]. ``edges``: (B + 1,) depths, scene
    units, evenly in disparity. ``weights``: (T, B) per bin. ``step``: of training, when it began to be read."""

    view: View
    pixel: tuple[int, int]
    times: NDArray[np.float64]
    edges: Edges
    weights: NDArray[np.float64]
    step: int


class Trainer(ABC):
    """Learns a scene from a clip, step by step. ``config`` must be resolved (:func:`training.config.resolved`).

    ``cameras``: those of the clip, which may be learned with the scene. ``targets``: what is known of the clip besides
    its colours. ``generated``: what learns from generated views, where the clip comes with some and the method wants
    them. ``unit``: what a scene's size is counted in. ``map_pixels``: most pixels of a map of the rays' weights.
    """

    unit: str
    map_pixels: int
    generated: GeneratedTerm | None = None

    def __init__(self, dataset: Dataset, config: TrainConfig, virtual: GeneratedViews | None, done: int) -> None:
        assert config.steps is not None and config.batch is not None, "resolve the configuration first"
        self.dataset, self.config = dataset, config
        self.steps, self.batch = config.steps, config.batch
        self.done = done
        self._train = dataset.indices("train")
        self.cameras = ClipCameras(dataset, config, virtual)
        self.targets = ClipTargets(dataset, config, depths=depth_wanted(config))

    @property
    @abstractmethod
    def scene(self) -> Scene:
        """The scene as it is now; later steps change its tensors in place."""

    @abstractmethod
    def step(self) -> StepReport:
        """One update of everything that is learned."""

    @abstractmethod
    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.steps

    def clip(self) -> Dataset:
        """The clip with its cameras where they are now (:meth:`ClipCameras.clip`)."""
        return self.cameras.clip()

    def draw(self, view: View) -> Frame:
        """The view of the scene as it is now, with the overlay that it asks for, where there is such a thing.

        "rays/KIND" is one of :data:`renderer.weights.RAY_MAPS`, of the depth that is known of the view or else of each
        ray's own median depth.
        """
        frame = self._drawn(view)
        kind = view.overlay.removeprefix("rays/")
        if kind == view.overlay or kind not in RAY_MAPS:
            return frame
        overlay, unit = self._ray_map(view, kind)
        return replace(frame, overlay=overlay, overlay_unit=unit)

    def known_depth(self, view: View) -> NDArray[np.float32] | None:
        """(H, W) depth along +z that is known where a view is that of one of the clip's shots at any size, scene units,
        NaN where none is known; None elsewhere."""
        for index, shot in enumerate(self.clip().shots):
            if shot.time == view.time and shot.camera.resized(view.camera.width, view.camera.height) == view.camera:
                return self.targets.known_depth(index, view.camera.width, view.camera.height)
        return None

    def drawn_finely(self, view: View) -> Iterator[Frame | None] | None:
        """Pieces of a finer picture than :meth:`draw` takes the time for: None after each, at last the picture. None
        where there is nothing finer."""
        return None

    def ray(self, view: View, pixel: tuple[int, int]) -> RayDistribution:
        """What the ray of a pixel meets now, with the depth that it is held to where one is known; ValueError when the
        pixel lies outside the image."""
        ray, known = ray_distribution(self.scene, view, pixel), self.known_depth(view)
        if known is None or not np.isfinite(target := float(known[pixel[1], pixel[0]])):
            return ray
        return replace(ray, target_depth=target)

    def ray_through_time(self, view: View, pixel: tuple[int, int], bins: int = 64) -> Iterator[RayThroughTime | None]:
        """How the weights along a pixel's ray change over the clip, for a camera that stays where it is: None after
        each instant, at last the whole. ValueError when the pixel lies outside the image."""
        edges = depth_edges(self.dataset.near, self.dataset.far, bins)
        times = np.linspace(0, 1, min(MOST_INSTANTS, max(2, self.dataset.frame_count)))
        step, rows = self.done, []
        for time in times:
            rows.append(ray_distribution(self.scene, replace(view, time=float(time)), pixel).histogram(edges))
            yield None
        yield RayThroughTime(view, pixel, times, edges, np.stack(rows), step)

    def sampled_depths(self, ray: RayDistribution) -> NDArray[np.float64]:
        """(K,) depths drawn from a ray by Gumbel softmax with the run's number of samples and present temperature,
        scene units: what DDR's estimator compares with the target. None of an empty ray."""
        if not ray.opacity > 0:
            return np.zeros(0)
        weights, t = (torch.from_numpy(np.array(values))[None] for values in (ray.weights, ray.depths))
        temperature = depth_term(self.config).temperature(self.done)
        generator = torch.Generator().manual_seed(self.config.seed)
        drawn = gumbel.gumbel_samples(weights, self.config.ddr.samples, temperature, generator)
        return gumbel.samples_along(t, drawn)[0].numpy()

    def rows(self, view: View, row: int, bins: int = 128) -> tuple[Edges, Slices]:
        """Edges (bins + 1,) of depths and the x-depth slices (W, bins) of a row of pixels, by the names of
        :data:`renderer.weights.QUANTITIES`; ValueError when the row lies outside the image."""
        edges = depth_edges(self.dataset.near, self.dataset.far, bins)
        return edges, row_slices(self.scene, view, row, edges)

    def _drawn(self, view: View) -> Frame:
        """The view of the scene as it is now, at a size that does not keep anybody waiting."""
        return render(self.scene, view, version=self.done)

    def _ray_map(self, view: View, kind: RayMap) -> tuple[NDArray[np.float32], str]:
        """(H, W) and the unit."""
        near, far, small = self.dataset.near, self.dataset.far, shrunk(view, self.map_pixels)
        values, unit = ray_map(self.scene, small, kind, near, far, self.known_depth(small))
        size = (view.camera.width, view.camera.height)
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST), np.float32), unit

    def _next_shots(self) -> list[int]:
        """The shots of this step: every training shot once per epoch, in an order that the seed and epoch give."""
        chosen = []
        for k in range(self.done * self.batch, (self.done + 1) * self.batch):
            epoch, place = divmod(k, len(self._train))
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self._train))
            chosen.append(self._train[order[place]])
        return chosen


def other_data(step: int) -> InputError:
    """For a checkpoint that does not fit the data."""
    return InputError(
        f"step {step} of this run was made with other cameras or generated views than are there now; restore the data "
        "it was trained on"
    )


def to_db(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio of pictures in [0, 1]."""
    return -10 * math.log10(max(mean_squared_error, 1e-10))
