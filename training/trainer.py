"""What the trainers of all kinds of scenes have in common: steps, the order of pictures, cameras, checkpoints.

The same trainer runs under the command line and, in the engine's thread, under the window. Nothing random depends on
how often it was stopped: every draw is seeded by the run's seed and the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.field.draw import coarse_field, field_frames, shrunk
from renderer.field.model import RadianceField
from renderer.rays import RayDistribution
from renderer.scene import Scene, ray_distribution, render
from renderer.view import Frame, View
from renderer.weights import RAY_MAPS, Edges, Quantity, depth_edges, ray_map, row_slices
from training import gumbel
from training.checkpoint import Checkpoint
from training.clip_cameras import ClipCameras
from training.clip_pictures import ClipPictures, half_frame, nearest_shot, shot_of
from training.clip_targets import ClipTargets
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.data.generated import GeneratedViews
from training.depth_term import depth_term, depth_wanted
from training.device import CPU, TargetPictures
from training.facts import StepReport, Tally, TrainingFacts, memory_taken
from training.generated_term import GeneratedTerm
from training.live import check_live
from training.ray_means import mean_speed, moving_share

MOST_INSTANTS = 48
"""Instants of a ray through time."""
FIELD_PIXELS = 12_000
"""Pixels of a radiance field that are drawn at once; a larger view is drawn coarsely first."""
Slices = dict[Quantity, NDArray[np.float64]]
Overlay = tuple[NDArray[np.float32], str]
"""(H, W) and the unit."""


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
    its colours. ``pictures``: its pictures at any size. ``generated``: what learns from generated views, where the clip
    comes with some and the method wants them. ``unit``: what a scene's size is counted in. ``map_pixels``: most pixels
    of a map of the rays' weights. ``device``: where everything that is learned lies.
    """

    unit: str
    map_pixels: int
    generated: GeneratedTerm | None = None

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        virtual: GeneratedViews | None,
        done: int,
        device: torch.device = CPU,
    ) -> None:
        assert config.steps is not None and config.batch is not None, "resolve the configuration first"
        self.dataset, self.config = dataset, config
        self.steps, self.batch = config.steps, config.batch
        self.done, self.device = done, device
        self._train = dataset.indices("train")
        self.cameras = ClipCameras(dataset, config, virtual, device)
        self.targets = _clip_targets(dataset, config)
        self.pictures = ClipPictures(dataset)
        self._real = TargetPictures(device)
        self._tally = Tally()

    @property
    @abstractmethod
    def scene(self) -> Scene:
        """The scene as it is now; later steps change its tensors in place."""

    @abstractmethod
    def step(self) -> StepReport:
        """One update of everything that is learned."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of a step that failed half-way: of its gradients, and of edits of the scene that were not finished."""

    @abstractmethod
    def checkpoint(self) -> Checkpoint:
        """What is needed to go on as if nothing had happened."""

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.steps

    def reconfigure(self, config: TrainConfig) -> None:
        """Go on with other settings, as a trainer would that had been made with them at this step.

        ``config`` must be resolved and may differ in :data:`training.live.LIVE` alone. InputError where it cannot be;
        then nothing has changed.
        """
        assert config.steps is not None and config.batch is not None, "resolve the configuration first"
        check_live(self.config, config, self.done)
        if self.targets.source is None and depth_wanted(config):
            self.targets = _clip_targets(self.dataset, config)
        self.config, self.steps, self.batch = config, config.steps, config.batch
        self.cameras.reconfigure(config)
        if self.generated is not None:
            self.generated.reconfigure(config)

    def facts(self) -> TrainingFacts:
        """How training stands; takes well under a millisecond."""
        turned, shifted = self.cameras.moved() or (None, None)
        return TrainingFacts(self.done, StepReport(self.done, 0, self._tally).parts, turned, shifted, *memory_taken())

    def clip(self) -> Dataset:
        """The clip with its cameras where they are now (:meth:`ClipCameras.clip`)."""
        return self.cameras.clip()

    def draw(self, view: View) -> Frame:
        """The view of the scene as it is now, with the overlay that it asks for, where there is such a thing.

        "rays/KIND" is one of :data:`renderer.weights.RAY_MAPS`, of the depth that is known of the view or else of each
        ray's own median depth. "velocity" is the mean speed along each ray and "dynamic" the share of its weight that
        is of what moves (:mod:`training.ray_means`). "error" is the mean absolute difference to the clip's own picture,
        where the view is that of one of its shots, within half a frame of its time.
        """
        frame = self._drawn(view)
        found = self._overlay(view, frame)
        return frame if found is None else frame.with_overlay(*found)

    def known_depth(self, view: View) -> NDArray[np.float32] | None:
        """(H, W) depth along +z that is known where a view is that of one of the clip's shots at any size, scene units,
        NaN where none is known; None elsewhere."""
        index = self.shot_of(view)
        if index is None or self.dataset.shots[index].time != view.time:
            return None
        return self.targets.known_depth(index, view.camera.width, view.camera.height)

    def shot_of(self, view: View) -> int | None:
        """The shot whose camera, where it is now, the view has, at its nearest instant
        (:func:`training.clip_pictures.shot_of`)."""
        return shot_of(self.clip(), view)

    def nearest_shot(self, view: View) -> int:
        """The shot that shows most nearly what a view shows (:func:`training.clip_pictures.nearest_shot`)."""
        return nearest_shot(self.clip(), view)

    def input_picture(self, index: int, width: int, height: int) -> NDArray[np.float32]:
        """(height, width, 3) in [0, 1], read-only: the clip's own picture of a shot."""
        return self.pictures.real(index, width, height)

    def generated_picture(self, pose: int, time: float, width: int, height: int) -> NDArray[np.float32] | None:
        """The same of the generated picture of a virtual camera at the nearest instant; None where there is none."""
        return self.pictures.generated(pose, time, width, height)

    def drawn_finely(self, view: View) -> Iterator[Frame | None] | None:
        """Pieces of a finer picture than :meth:`draw` takes the time for: None after each, at last the picture. None
        where there is nothing finer; a map of the rays' weights stays as coarse as it is."""
        field = self.scene
        if not isinstance(field, RadianceField) or view.overlay:
            return None
        return field_frames(field, view, self.done) if view.camera.width * view.camera.height > FIELD_PIXELS else None

    def ray(self, view: View, pixel: tuple[int, int], scene: Scene | None = None) -> RayDistribution:
        """What the ray of a pixel meets now, or in another ``scene``, with the depth that it is held to where one is
        known; ValueError when the pixel lies outside the image."""
        ray = ray_distribution(self.scene if scene is None else scene, view, pixel)
        known = self.known_depth(view)
        if known is None or not np.isfinite(target := float(known[pixel[1], pixel[0]])):
            return ray
        return replace(ray, target_depth=target)

    def ray_through_time(
        self, view: View, pixel: tuple[int, int], bins: int = 64, scene: Scene | None = None
    ) -> Iterator[RayThroughTime | None]:
        """How the weights along a pixel's ray change over the clip, now or in another ``scene``, for a camera that
        stays where it is: None after each instant, at last the whole. ValueError when the pixel lies outside the
        image."""
        edges = depth_edges(self.dataset.near, self.dataset.far, bins)
        times = np.linspace(0, 1, min(MOST_INSTANTS, max(2, self.dataset.frame_count)))
        step, rows = self.done, []
        for time in times:
            instant = replace(view, time=float(time))
            rows.append(ray_distribution(self.scene if scene is None else scene, instant, pixel).histogram(edges))
            yield None
        yield RayThroughTime(view, pixel, times, edges, np.stack(rows), step)

    def sampled_depths(self, ray: RayDistribution, step: int | None = None) -> NDArray[np.float64]:
        """(K,) depths drawn from a ray by Gumbel softmax with the run's number of samples and the temperature of a
        ``step``, the present one where none is given, scene units: what DDR's estimator compares with the target. None
        of an empty ray."""
        if not ray.opacity > 0:
            return np.zeros(0)
        weights, t = (torch.from_numpy(np.array(values))[None] for values in (ray.weights, ray.depths))
        temperature = depth_term(self.config).temperature(self.done if step is None else step)
        generator = torch.Generator().manual_seed(self.config.seed)
        drawn = gumbel.gumbel_samples(weights, self.config.ddr.samples, temperature, generator)
        return gumbel.samples_along(t, drawn)[0].numpy()

    def rows(self, view: View, row: int, bins: int = 128) -> tuple[Edges, Slices]:
        """Edges (bins + 1,) of depths and the x-depth slices (W, bins) of a row of pixels, by the names of
        :data:`renderer.weights.QUANTITIES`; ValueError when the row lies outside the image."""
        edges = depth_edges(self.dataset.near, self.dataset.far, bins)
        return edges, row_slices(self.scene, view, row, edges)

    def _drawn(self, view: View) -> Frame:
        """The view of the scene as it is now; a field that is large coarsely, so that nobody has to wait."""
        if isinstance(self.scene, RadianceField):
            return coarse_field(self.scene, view, FIELD_PIXELS, self.done)
        return render(self.scene, view, version=self.done)

    def _overlay(self, view: View, frame: Frame) -> Overlay | None:
        """What the view asks for besides the ``frame`` that shows it; None where there is no such thing."""
        small = replace(shrunk(view, self.map_pixels), overlay="")
        ray_kind = view.overlay.removeprefix("rays/")
        if ray_kind != view.overlay and ray_kind in RAY_MAPS:
            near, far = self.dataset.near, self.dataset.far
            values, unit = ray_map(self.scene, small, ray_kind, near, far, self.known_depth(small))
            return _spread(values, view), unit
        if view.overlay == "velocity":
            speed = self._speed(small)
            return None if speed is None else (_spread(speed, view), "scene units / s")
        if view.overlay == "dynamic":
            return _spread(moving_share(self.scene, small), view), "of the weight"
        return self._error(view, frame) if view.overlay == "error" else None

    def _speed(self, view: View) -> NDArray[np.float32] | None:
        """(H, W) :func:`training.ray_means.mean_speed`; None of a clip without a duration."""
        return mean_speed(self.scene, view, self.dataset.duration) if self.dataset.duration > 0 else None

    def _error(self, view: View, frame: Frame) -> Overlay | None:
        """Difference of a view that is ``frame`` to the clip's picture, compared at no more pixels than that has."""
        index = self.shot_of(view)
        if index is None or abs(self.dataset.shots[index].time - view.time) > half_frame(self.dataset) + 1e-9:
            return None
        filmed = self.dataset.shots[index].camera
        small = replace(shrunk(view, min(self.map_pixels, filmed.width * filmed.height)), overlay="")
        color = (frame if small.camera == view.camera else self._drawn(small)).color
        target = self.input_picture(index, small.camera.width, small.camera.height)
        return _spread(np.abs(np.clip(color, 0, 1) - target).mean(2), view), "of full intensity"

    def _reported(self, size: int, tally: Tally) -> StepReport:
        """Of the step that was just done."""
        self._tally = tally
        return StepReport(self.done, size, tally)

    def _next_shots(self) -> list[int]:
        """The shots of this step: every training shot once per epoch, in an order that the seed and epoch give."""
        chosen = []
        for k in range(self.done * self.batch, (self.done + 1) * self.batch):
            epoch, place = divmod(k, len(self._train))
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self._train))
            chosen.append(self._train[order[place]])
        return chosen


def _clip_targets(dataset: Dataset, config: TrainConfig) -> ClipTargets:
    """What is known of a clip; InputError where depths are needed and it has none."""
    targets = ClipTargets(dataset, config, depths=depth_wanted(config))
    if targets.source is None and depth_term(config).needs_depth:
        raise InputError(
            f"--depth.source {config.depth.source}: no depth files lie beside {dataset.name}; give another source, or "
            "set the weights of the depth terms to 0"
        )
    return targets


def _spread(values: NDArray[np.floating], view: View) -> NDArray[np.float32]:
    """Values per pixel at the size of a view."""
    size = (view.camera.width, view.camera.height)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST), np.float32)


def other_data(step: int) -> InputError:
    """For a checkpoint that does not fit the data."""
    return InputError(
        f"step {step} of this run was made with other cameras or generated views than are there now; restore the data "
        "it was trained on"
    )
