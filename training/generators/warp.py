"""Views between real cameras for people without a video diffusion model: pixels moved by their depth, holes filled.

Each virtual view is made from the two real pictures of its instant that were taken nearest to it. As every picture is
made alone, from another pair and from a depth that is never quite right, the views disagree with each other: they need
the distortion field as those of a diffusion model do, for the same reason if not to the same degree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.camera import Camera
from renderer.errors import InputError
from renderer.scene import Scene, render
from renderer.view import View
from training.data.dataset import Dataset
from training.data.generated import GeneratedFrame, GeneratedViews
from training.generators.warp_kernels import warp

Array = NDArray[np.float32]
Depth = Callable[[int], Array]
"""Index of a training shot to its depth (H, W) along +z, scene units, NaN where it is not known."""

SOURCES = 2
"""Real pictures that make one virtual one."""
BREAK = 0.05
"""Neighbouring pixels whose depths differ by more than this share lie on two surfaces."""
AGREEMENT = 0.03
"""Two warped pictures show the same surface where their depths differ by less than this share."""
FAR_SIDE = 0.8
"""Share of the depth of a hole's far side from which pixels may fill it."""
TRUST_POWER = 2
"""How steeply the trust in a coarse pixel falls with what is known of it."""
KEPT_BYTES = 500_000_000


def exact_depth(dataset: Dataset) -> Depth:
    """The depth that a clip knows of itself; InputError when it does not."""
    if dataset.depth is None:
        raise InputError(f"{dataset.source}: knows no depth of its own; give --run RUN or let it be found")
    return dataset.depth


def scene_depth(scene: Scene, dataset: Dataset) -> Depth:
    """The expected depth of a trained scene at the clip's shots; NaN where its opacity is below a half."""

    def read(index: int) -> Array:
        shot = dataset.shots[index]
        frame = render(scene, View(shot.camera, shot.time))
        return np.where(frame.opacity > 0.5, frame.expected_depth(), np.float32(np.nan)).astype(np.float32)

    return read


def warp_views(
    dataset: Dataset, cameras: Sequence[Camera], depth: Depth, report: Callable[[str], None] = lambda text: None
) -> GeneratedViews:
    """A view of each virtual camera at each instant of the training shots, made when it is read.

    ``cameras``: in the clip's world. ``depth``: of the clip's training shots. InputError where there are no cameras or
    no training shots.
    """
    if not cameras:
        raise InputError(f"{dataset.source}: no place for a virtual camera; give a clip with two cameras or more")
    if not dataset.indices("train"):
        raise InputError(f"{dataset.source}: has no pictures to train on; hold out fewer")
    maker = _Warper(dataset, cameras, depth)
    report(f"{len(cameras)} virtual cameras at {len(maker.instants)} instants")
    frames = [
        GeneratedFrame(pose, dataset.shots[shots[0]].time, frame)
        for pose in range(len(cameras))
        for frame, shots in maker.instants.items()
    ]
    return GeneratedViews("warp", list(cameras), frames, lambda i: maker.read(frames[i].pose, frames[i].frame))


class _Warper:
    """Makes pictures and keeps the newest ones."""

    def __init__(self, dataset: Dataset, cameras: Sequence[Camera], depth: Depth) -> None:
        self._dataset, self._cameras, self._depth = dataset, cameras, depth
        self.instants: dict[int, list[int]] = {}
        for index in dataset.indices("train"):
            self.instants.setdefault(dataset.shots[index].frame, []).append(index)
        self._kept: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def read(self, pose: int, frame: int) -> NDArray[np.uint8]:
        with self._lock:
            if (pose, frame) in self._kept:
                return self._kept[pose, frame]
        picture = self._make(self._cameras[pose], frame)
        with self._lock:
            self._kept[pose, frame] = picture
            while len(self._kept) * picture.nbytes > KEPT_BYTES:
                self._kept.popitem(last=False)
        return picture

    def _make(self, camera: Camera, frame: int) -> NDArray[np.uint8]:
        sources = self._nearest(camera, frame)
        parts = [self._warped(index, camera) for index in sources]
        far = [float(np.linalg.norm(self._dataset.shots[i].camera.center - camera.center)) for i in sources]
        color, depth = blended(parts, [1 / max(d, 1e-6) for d in far])
        if not np.isfinite(depth).any():  # nothing falls into the view
            color[:] = self._dataset.read(sources[0]).mean((0, 1)) / 255
        return (np.clip(filled(color, depth), 0, 1) * 255 + 0.5).astype(np.uint8)

    def _nearest(self, camera: Camera, frame: int) -> list[int]:
        """Shots of an instant by distance; a single moving camera lends those of the instants around it."""
        candidates = self.instants[frame]
        if len(candidates) < SOURCES and len(self.instants) > 1:
            around = sorted(self.instants, key=lambda k: abs(k - frame))[: SOURCES + 1]
            candidates = [i for k in around for i in self.instants[k]]
        centers = {i: self._dataset.shots[i].camera.center for i in candidates}
        return sorted(candidates, key=lambda i: float(np.linalg.norm(centers[i] - camera.center)))[:SOURCES]

    def _warped(self, index: int, camera: Camera) -> tuple[Array, Array]:
        image: Array = self._dataset.read(index).astype(np.float32) * np.float32(1 / 255)
        return warped(image, self._depth(index), self._dataset.shots[index].camera, camera)


def warped(image: Array, depth: Array, source: Camera, target: Camera) -> tuple[Array, Array]:
    """A picture (h, w, 3) with depth (h, w) seen from another camera: (H, W, 3) and its depth, infinite in holes.

    What crosses a jump in depth is not drawn.
    """
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > source.near)
    safe = np.where(known, depth, 1.0).astype(np.float64)
    relative = target.world_to_camera @ source.camera_to_world
    across = ((np.arange(source.width) + 0.5 - source.cx) / source.fx)[None]
    down = ((np.arange(source.height) + 0.5 - source.cy) / source.fy)[:, None]
    x, y, there = (safe * (r[0] * across + r[1] * down + r[2]) + r[3] for r in relative[:3])  # in the target's axes
    known &= there > target.near
    front = np.where(known, there, 1.0)
    place = np.stack([target.fx * x / front + target.cx, target.fy * y / front + target.cy], axis=2).astype(np.float32)
    corners = [(slice(a, a - 1 or None), slice(b, b - 1 or None)) for a in (0, 1) for b in (0, 1)]
    four = np.stack([np.where(known, safe, np.inf)[c] for c in corners])
    with np.errstate(invalid="ignore"):
        joined = np.isfinite(four).all(0) & (four.max(0) < (1 + BREAK) * four.min(0))
    return warp(np.ascontiguousarray(image), place, front.astype(np.float32), joined, target.height, target.width)


def blended(parts: Sequence[tuple[Array, Array]], weights: Sequence[float]) -> tuple[Array, Array]:
    """Pictures of one view with their depths in one: the nearest surface wins, those that agree with it are averaged by
    ``weights``. Depth is infinite where none has anything."""
    depths = np.stack([depth for _, depth in parts])
    nearest = depths.min(0)
    color, total = np.zeros_like(parts[0][0]), np.zeros_like(nearest)
    for (image, depth), weight in zip(parts, weights, strict=True):
        with np.errstate(invalid="ignore"):
            w = np.where(np.isfinite(depth) & (depth <= (1 + AGREEMENT) * nearest), np.float32(weight), np.float32(0))
        color += w[..., None] * image
        total += w
    return color / np.maximum(total, 1e-9)[..., None], nearest


def filled(color: Array, depth: Array) -> Array:
    """The picture with its holes, where ``depth`` is infinite, filled from their far sides: what comes into view beside
    something near is what lies behind it.

    Cracks take the colours right beside them. Into larger holes colours run from coarse to fine (pull and push, Gortler
    et al. 1996). What is nearer than the far side of a hole close by does not take part.
    """
    hole = ~np.isfinite(depth)
    if not hole.any() or hole.all():
        return color
    finite = np.where(hole, 0, depth).astype(np.float32)
    narrow = cv2.morphologyEx(finite, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8), borderValue=0)
    crack = hole & (np.asarray(narrow) > 0)
    weight = _far_weight(finite, crack, 5)
    count = cv2.blur(weight, (3, 3))
    beside = cv2.blur(color * weight[..., None], (3, 3)) / np.maximum(count, 1e-9)[..., None]
    crack &= np.asarray(count) > 0
    color = np.where(crack[..., None], beside, color).astype(np.float32)
    weight = _far_weight(finite, hole & ~crack, max(31, depth.shape[1] // 8) | 1)
    background, _ = _pulled(color * weight[..., None], weight)
    return np.where((hole & ~crack)[..., None], background, color)


def _far_weight(depth: Array, hole: NDArray[np.bool_], window: int) -> Array:
    """(H, W) 1 for pixels that may fill a hole no farther than half a window, 0 for nearer things and where ``depth``
    is 0."""
    rim = (cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & (depth > 0)
    far_side = cv2.dilate(np.where(rim, depth, 0).astype(np.float32), np.ones((window, window), np.uint8))
    return ((depth > 0) & (depth >= FAR_SIDE * far_side)).astype(np.float32)


def _pulled(sums: Array, cover: Array) -> tuple[Array, Array]:
    """Colours (H, W, 3) over the whole picture and how much they are to be trusted (H, W), from ``sums`` of colours and
    the share of each pixel that is known: where little is, the next coarser level has its say.

    A coarse pixel of which a sliver is known hardly counts beside one that is known whole.
    """
    H, W = cover.shape
    own = sums / np.maximum(cover, 1e-9)[..., None]
    if max(H, W) <= 2:
        mean = sums.sum((0, 1)) / max(float(cover.sum()), 1e-9)
        return np.where(cover[..., None] > 0, own, mean).astype(np.float32), np.maximum(cover, np.float32(1e-6))
    half = (max(1, (W + 1) // 2), max(1, (H + 1) // 2))
    smaller, less = (np.asarray(cv2.resize(a, half, interpolation=cv2.INTER_AREA), np.float32) for a in (sums, cover))
    below, trust = _pulled(smaller, less)
    trust = np.maximum(trust**TRUST_POWER, np.float32(1e-6))
    colors, trusts = (cv2.resize(a, (W, H), interpolation=cv2.INTER_LINEAR) for a in (below * trust[..., None], trust))
    coarse = colors / np.maximum(trusts, 1e-30)[..., None]
    left = 1 - np.minimum(cover, 1)
    color = (1 - left)[..., None] * own + left[..., None] * coarse
    return color.astype(np.float32), np.maximum(cover, left * np.asarray(trusts)).astype(np.float32)
