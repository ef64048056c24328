"""What is known about the pixels of a clip besides their colours: depths, what moves, and where it goes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderer.errors import InputError
from training.config import TrainConfig
from training.data.dataset import Dataset
from training.data.images import as_target
from training.data.layouts import is_demo
from training.ddr_config import DepthConfig
from training.priors.colmap_points import points_beside
from training.priors.depth_targets import DepthTargets, Network, Source, depth_targets
from training.priors.flow import consistent_flow
from training.priors.motion_masks import moving_pixels

DEPTH_FOLDERS = ("disp", "depth")
"""Where files of depths or disparities lie beside a clip."""


class ClipTargets:
    """Everything as tensors, made when it is first asked for and kept. ``depths``: whether depths are wanted.

    InputError when they are and the clip has no source of depths.
    """

    def __init__(self, dataset: Dataset, config: TrainConfig, depths: bool) -> None:
        self._dataset = dataset
        self._pictures: dict[int, Tensor] = {}
        self._moving: dict[int, Tensor] = {}
        self._flows: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._depths: dict[int, tuple[Tensor, Tensor]] = {}
        self.source: DepthTargets | None = None
        self._in_batches = config.depth.alignment == "batch"
        if depths:
            source, folder = chosen_source(dataset, config.depth)
            if source is not None:
                network = Network(config.depth.model, config.depth.kind)
                self.source = depth_targets(dataset, source, folder, config.depth.alignment, config.seed, network)

    def picture(self, index: int) -> Tensor:
        """(H, W, 3) of a shot."""
        if index not in self._pictures:
            self._pictures[index] = as_target(self._dataset.read(index))
        return self._pictures[index]

    def depth(self, index: int) -> tuple[Tensor, Tensor]:
        """(H, W) depth along +z of a shot, scene units, NaN where none is known, and a disparity of any unit."""
        assert self.source is not None
        if index not in self._depths:
            depth = torch.from_numpy(np.array(self.source.read(index), np.float32))
            depth = torch.where(depth > 0, depth, torch.nan)
            raw = self.source.disparity
            disparity = 1 / depth if raw is None else torch.from_numpy(np.array(raw(index), np.float32))
            self._depths[index] = depth, disparity
        return self._depths[index]

    def known_depth(self, index: int, width: int, height: int) -> NDArray[np.float32] | None:
        """(height, width) of a shot, scene units, NaN where none is known: what the scene is held to, or where that has
        no units (batches) or is nothing the clip's own depth; None where it has none."""
        if self.source is not None and not self._in_batches:
            depth = self.depth(index)[0].numpy()
        elif self._dataset.depth is not None:
            depth = self._dataset.depth(index)
        else:
            return None
        return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)

    def flow(self, index: int, other: int) -> tuple[Tensor, Tensor]:
        """(H, W, 2) optical flow in pixels from one shot to another, and (H, W) bool, where it can be trusted."""
        if (index, other) not in self._flows:
            flow, seen = consistent_flow(self._dataset, index, other)
            self._flows[index, other] = torch.from_numpy(flow), torch.from_numpy(seen)
        return self._flows[index, other]

    def moving(self, index: int) -> Tensor:
        """(H, W) bool, the pixels of a training shot that show something that moves: as the clip's own mask says, where
        it has one, else as optical flow does."""
        if index not in self._moving:
            known = None if self._dataset.moving is None else self._dataset.moving(index)
            self._moving[index] = torch.from_numpy(moving_pixels(self._dataset, index) if known is None else known)
        return self._moving[index]


def knows_nothing_of_depth(dataset: Dataset, config: DepthConfig) -> bool:
    """Whether the source auto finds none: no files lie beside a clip of unknown poses, of which depths cannot be
    triangulated."""
    if config.source != "auto" or dataset.posed or dataset.depth is not None or dataset.points is not None:
        return False
    return _depth_folder(dataset, config) is None and points_beside(dataset) is None


def _depth_folder(dataset: Dataset, config: DepthConfig) -> Path | None:
    """Where files of depths lie: as asked for, else beside the clip."""
    if config.folder:
        return Path(config.folder)
    return next((dataset.source / name for name in DEPTH_FOLDERS if (dataset.source / name).is_dir()), None)


def chosen_source(dataset: Dataset, config: DepthConfig) -> tuple[Source | None, Path | None]:
    """Where depths come from, None where nowhere is allowed, and the folder of the files; InputError for "none"."""
    folder = _depth_folder(dataset, config)
    if config.source == "none":
        raise InputError("--depth.source none: the method needs depths; give another source, or set its weights to 0")
    if config.source == "found":
        return ("files" if folder is not None else None), folder
    if config.source != "auto":
        return config.source, folder
    if dataset.depth is not None and not config.folder and not is_demo(dataset.source):
        return "truth", None  # it was measured while the clip was filmed
    if folder is not None:
        return "files", folder
    if dataset.depth is not None:
        return "midas-like", None
    if dataset.points is not None or points_beside(dataset) is not None:
        return "points", None
    if not dataset.posed:
        raise InputError(
            f"{dataset.source}: no depth is known, and without poses none can be found; put a depth network's files in "
            "disp/, or add --depth.source model, or train without depth: --ddr.weight 0 --ddr.empty 0"
        )
    return "flow", None
