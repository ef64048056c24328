"""Depths of a clip's pixels to hold a scene to, from wherever they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.priors.colmap_points import points_beside
from training.priors.depth_alignment import (
    LEAST_POINTS,
    align_disparity,
    aligned_depth,
    self_alignment,
    visible_points,
)
from training.priors.depth_files import depth_files
from training.priors.depth_model import depth_model
from training.priors.flow import FlowOf, cached_flow
from training.priors.simulated import midas_like
from training.priors.triangulation import triangulated_depth

Depth = NDArray[np.float32]
Read = Callable[[int], Depth]
Source = Literal["truth", "midas-like", "points", "flow", "files", "model"]
Scale = Literal["frame", "batch"]
Kind = Literal["auto", "disparity", "depth"]

MODEL = "depth-anything/Depth-Anything-V2-Small-hf"
BEYOND = 1.5
"""Aligned depths lie between near / 1.5 and far * 1.5."""


@dataclass(frozen=True)
class DepthTargets:
    """``read``: index of a shot to its depth (H, W) along +z, scene units, not above zero where none is known.
    ``disparity``: the same before it was aligned, of any unit and larger where nearer, where it comes from a network.
    ``source``: in words. Both are made when they are first asked for, and kept; any thread may call them.
    """

    read: Read
    disparity: Read | None
    source: str


@dataclass(frozen=True)
class Network:
    """A depth network by its ``model``'s name, and what it says: disparity (larger is nearer) or depth."""

    model: str = MODEL
    kind: Kind = "auto"


def depth_targets(
    dataset: Dataset,
    source: Source,
    folder: Path | None = None,
    alignment: Scale = "frame",
    seed: int = 0,
    network: Network | None = None,
) -> DepthTargets:
    """The depths of a clip. ``folder``: of the files. ``alignment``: "batch" leaves scale and shift to whoever
    compares, and needs no points. ``seed``: of a simulated network. ``network``: which one, for "model", and what it
    says, for "files" too.

    InputError where the clip does not have the source, and from ``read`` where a frame cannot be aligned.
    """
    network = network or Network()
    if dataset.points is None and source not in ("truth", "flow"):
        dataset = replace(dataset, points=points_beside(dataset))
    if source == "files":
        if folder is None:
            raise InputError(f"{dataset.source}: has no folder disp or depth; give --depth.folder")
        read = _kept(depth_files(folder, dataset))
        return _of_network(dataset, read, network.kind, alignment, f"depth files of {folder.name}")
    if source == "model":
        read = _kept(depth_model(network.model, dataset))
        return _of_network(dataset, read, network.kind, alignment, network.model)
    if source in ("truth", "midas-like"):
        if dataset.depth is None:
            raise InputError(
                f"{dataset.source}: --depth.source {source} is for a clip whose depth was measured, and the demo scene"
            )
        truth = dataset.depth
        if source == "truth":
            return DepthTargets(_kept(truth), None, "the scene's true depth")
        disparity = _kept(lambda i: midas_like(truth(i), seed, i))
        return DepthTargets(_aligned(dataset, disparity, alignment), disparity, "a simulated depth network")
    if source == "points":
        if dataset.points is None:
            raise InputError(
                f"{dataset.source}: has no sparse points and no COLMAP model in sparse/; use --depth.source flow, "
                "or give depth files"
            )
        return DepthTargets(_kept(lambda i: _point_depth(dataset, i)), None, "sparse points")
    if not dataset.posed:
        raise InputError(f"{dataset.source}: --depth.source flow needs known poses; give depth files")
    flow = cached_flow(dataset)
    return DepthTargets(_kept(lambda i: triangulated_depth(dataset, i, flow=flow)[0]), None, "triangulated flow")


def _of_network(dataset: Dataset, read: Read, kind: Kind, alignment: Scale, source: str) -> DepthTargets:
    """Targets from what a network said of each picture. ``kind`` "auto": whichever of the two agrees with what is known
    of the first picture, a disparity where nothing is."""
    if kind == "auto":
        first = dataset.indices("train")[0]
        raw, flow = read(first), cached_flow(dataset)
        kind = "disparity"
        if dataset.posed:
            values, depths = _references(dataset, first, raw, flow)
            fits = align_disparity(values, depths), align_disparity(1 / values, depths)
            kind = "depth" if fits[0] is None and fits[1] is not None else kind
    disparity = read if kind == "disparity" else _kept(lambda i: np.float32(1) / read(i))
    return DepthTargets(_aligned(dataset, disparity, alignment), disparity, source)


def _aligned(dataset: Dataset, disparity: Read, alignment: Scale) -> Read:
    """Depths from disparities: by points that the frame sees, else by triangulated flow. Without poses nothing has a
    scale yet, and the disparities give it one."""
    near, far = dataset.near / BEYOND, BEYOND * dataset.far
    flow = cached_flow(dataset)

    def read(index: int) -> Depth:
        raw = disparity(index)
        if not np.isfinite(raw).any():  # of a camera that is only measured, without a file
            return raw
        if alignment == "batch":  # any monotonous depth: only whether there is one counts
            low, high = np.nanmin(raw), np.nanmax(raw)
            share = (raw - low) / max(float(high - low), 1e-12)
            return np.asarray(1 / (1 / far + share * (1 / near - 1 / far)), np.float32)
        if not dataset.posed:
            return aligned_depth(raw, self_alignment(raw, near, far), near, far)
        found = align_disparity(*_references(dataset, index, raw, flow))
        if found is None:
            shot = dataset.shots[index]
            raise InputError(
                f"{dataset.source}: the depth of {shot.camera_name}, frame {shot.frame} cannot be brought to the "
                "scene's scale, too little is known of it; use --depth.alignment batch, or give sparse points"
            )
        return aligned_depth(raw, found, near, far)

    return _kept(read)


def _references(dataset: Dataset, index: int, raw: Depth, flow: FlowOf) -> tuple[Depth, Depth]:
    """(N,) disparities and (N,) depths at places of a shot where the depth is known."""
    pixels, depths = visible_points(dataset, index)
    if len(pixels) >= LEAST_POINTS:
        return raw[pixels[:, 1], pixels[:, 0]], depths.astype(np.float32)
    depth, known = triangulated_depth(dataset, index, flow=flow)
    return raw[known], depth[known]


def _point_depth(dataset: Dataset, index: int) -> Depth:
    camera = dataset.shots[index].camera
    depth = np.zeros((camera.height, camera.width), np.float32)
    pixels, depths = visible_points(dataset, index)
    order = np.argsort(-depths)  # the nearest last, so that it stays
    depth[pixels[order, 1], pixels[order, 0]] = depths[order]
    return depth


def _kept(read: Read, pictures: int = 512) -> Read:
    """The same, read once per picture and then read-only."""

    @lru_cache(maxsize=pictures)
    def kept(index: int) -> Depth:
        found = np.array(read(index), np.float32)
        found.setflags(write=False)
        return found

    return kept
