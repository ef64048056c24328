"""The first radiance field of a clip: where it lives, how large it is, and Adam over it."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.camera import Camera
from renderer.field.model import FieldShape, RadianceField
from renderer.field.space import Space
from renderer.paths import focus_point
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.ddr_config import FieldConfig

SAME_WAY = math.cos(math.radians(30))
"""Cosine of the angle to the mean direction of view within which all cameras look the same way."""
SIDE_MARGIN = 1.25
"""Half angles of view of the folded world over those of the training cameras: views from beside see more."""
NEAR_MARGIN, FAR_MARGIN = 0.8, 1.3
"""Nearest and farthest sample over the clip's near and far depth."""
LEAST_RATE = 0.05
"""Share of the first learning rates that is left at the end (cosine)."""
WARM_UP = 0.01
"""Share of the run over which the rates rise."""
WARM_UP_AT_ZERO = 1e-4
"""Share of the run at which they seem to be before the first step: a rate of zero would teach nothing."""
HARD_SHARE = 1 / 12
"""Share of the run in which what moves gets more rays, as released (25,000 of 300,000)."""


def first_field(dataset: Dataset, config: TrainConfig) -> RadianceField:
    """A field for a clip. ``config`` must be resolved."""
    c = config.field
    assert c.nodes is not None and c.channels is not None, "resolve the configuration first"
    shape = FieldShape(
        nodes=(c.nodes, c.nodes, c.nodes),
        time_nodes=max(2, math.ceil(dataset.frame_count / c.frames_per_node)),
        levels=c.levels,
        channels=c.channels,
        width=c.width,
        proposal_nodes=c.nodes,
        views=c.views,
    )
    return RadianceField(shape, scene_space(dataset, c), dataset.frame_count, config.seed)


def scene_space(dataset: Dataset, config: FieldConfig) -> Space:
    """What the world of a clip is folded into."""
    cameras = list(dict.fromkeys(dataset.shots[i].camera for i in dataset.indices("train")))
    near, far = NEAR_MARGIN * dataset.near, FAR_MARGIN * dataset.far
    forward = np.stack([c.world_to_camera[2, :3] for c in cameras])
    mean = forward.mean(0) / max(float(np.linalg.norm(forward.mean(0))), 1e-9)
    same_way = bool((forward @ mean).min() > SAME_WAY)
    if config.space == "ndc" or (config.space == "auto" and same_way):
        centers = np.stack([c.center for c in cameras])
        reference = cameras[int(np.linalg.norm(centers - np.median(centers, axis=0), axis=1).argmin())]
        half = SIDE_MARGIN * _half_angles(cameras, reference, near, far)
        return Space.around("ndc", reference.world_to_camera, half, near, far)
    center = focus_point(cameras, dataset.near, dataset.far)
    pose = np.eye(4)
    pose[:3, 3] = -center
    radius = max(float(np.linalg.norm(c.center - center)) for c in cameras)
    return Space.around("contraction", pose, np.full(3, radius), near, far)


def _half_angles(cameras: list[Camera], reference: Camera, near: float, far: float) -> NDArray[np.float64]:
    """(3,) tangents of the half angles of ``reference`` that hold what all cameras see between two depths."""
    most = np.full(3, 1e-3)
    for camera in cameras:
        W, H = camera.width, camera.height
        corners = np.array([[0, 0], [W, 0], [0, H], [W, H]], float)
        for depth in (near, far):
            points = camera.unproject(corners, np.full(4, depth))
            local = points @ reference.world_to_camera[:3, :3].T + reference.world_to_camera[:3, 3]
            ahead = local[local[:, 2] > 0.5 * near]
            if len(ahead):
                most[:2] = np.maximum(most[:2], np.abs(ahead[:, :2] / ahead[:, 2:]).max(0))
    return most


class RadianceOptimizer:
    """Adam over a radiance field, with rates that rise for a hundredth of the run and then fall along a cosine."""

    def __init__(self, field: RadianceField, config: FieldConfig) -> None:
        self.reconfigure(config)
        self.names = {name: p for name, p in field.named_parameters()}
        groups = [{"params": field.plane_parameters()}, {"params": field.layer_parameters()}]
        self._adam = torch.optim.Adam(groups, lr=0.0, eps=1e-15, fused=True)

    def reconfigure(self, config: FieldConfig) -> None:
        """Go on with other rates."""
        self._rates = (config.plane_rate, config.layer_rate)

    def step(self, progress: float) -> None:
        """One update and fresh gradients; ``progress`` in [0, 1] is the share of the run that is done."""
        fall = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
        for group, rate in zip(self._adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * fall * min(1.0, (progress + WARM_UP_AT_ZERO) / WARM_UP)
        self._adam.step()
        self.release()

    def release(self) -> None:
        """Let go of gradients."""
        self._adam.zero_grad(set_to_none=True)

    def moments(self) -> dict[str, Tensor]:
        """Adam's state by "parameter/moment", for a checkpoint."""
        return {f"{n}/{key}": value for n, p in self.names.items() for key, value in self._adam.state[p].items()}

    def load_moments(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`moments`."""
        for name, p in self.names.items():
            kept = {
                k.removeprefix(name + "/"): v.to(p.device, copy=True)
                for k, v in state.items()
                if k.startswith(name + "/")
            }
            if kept:
                self._adam.state[p] = kept
