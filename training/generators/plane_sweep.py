"""Depth from a clip's own pictures, without a learned model: a plane sweep (Collins 1996) between cameras.

For planes of constant depth, uniform in inverse depth, the neighbours' pictures are brought to the reference picture by
a homography each; where a plane has the right depth they look alike. The likeness is correlation over small windows,
made smooth by semi-global matching (Hirschmueller 2008); the best plane wins, and what another camera does not confirm
is filled from behind or from around.
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
from training.data.dataset import Dataset
from training.data.images import fitted_size, shrunk
from training.generators.sweep_kernels import semi_global

Array = NDArray[np.float32]

PLANES = 80
MEGAPIXELS = 0.03
"""Depth is found in pictures of this size and brought to the clip's."""
NEIGHBOURS = 2
WINDOW = 2
"""Radius of the correlation, pixels."""
STEP, JUMP, SHARPNESS = 0.05, 1.0, 20.0
"""Of semi-global matching: costs of a change by one plane and by more, and how much less an edge of the picture makes
the latter."""
TRUNCATION = 0.6
"""Largest cost of one neighbour: one that sees something else must not decide."""
CONFIRMED = 0.03
"""A depth is confirmed where another camera's differs by less than this share."""
SPECKLE_SHARE, SPECKLE_LEVELS, SPECKLE_STEP = 0.008, 4000, 60
"""Islands of less than this share of the picture go; within one, neighbours differ by at most so many of the levels."""
COLOR_SPREAD = 0.05
"""Standard deviation of colours that are alike, when depth is brought to the clip's size."""
NARROW = 0.12
"""Share of the width up to which a gap counts as hidden by what is beside it."""
SAME_SURFACE = 0.05
"""Neighbouring pixels are on one surface where their inverse depths differ by less than this share."""
LEAST_BASELINE = 1e-4
"""Neighbours that stand nearer than this share of the typical depth show nothing of it."""
KEPT = 200
"""Depth maps that are remembered."""


def plane_sweep_depth(dataset: Dataset, report: Callable[[str], None] = lambda text: None) -> Callable[[int], Array]:
    """Reads the depth (H, W) of a training shot along +z, scene units; found when first asked for, from any thread.

    Cameras of the same instant are the neighbours, or for a single moving camera the instants around. InputError for a
    clip whose camera stands still, or that has no training shots.
    """
    if not dataset.indices("train"):
        raise InputError(f"{dataset.source}: has no pictures to train on; hold out fewer")
    sweeper = _Sweeper(dataset)
    if not sweeper.neighbours(dataset.indices("train")[0]):
        raise InputError(
            f"{dataset.source}: depth cannot be found from one camera that stands still; train a run first and give it "
            "with --run"
        )
    report("Depth by a plane sweep between the cameras")
    return sweeper.read


class _Sweeper:
    """Depth maps of a clip, raw ones small and finished ones at the clip's size."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._instants: dict[int, list[int]] = {}
        for index in dataset.indices("train"):
            self._instants.setdefault(dataset.shots[index].frame, []).append(index)
        self._raw: OrderedDict[int, Array] = OrderedDict()
        self._kept: OrderedDict[int, Array] = OrderedDict()
        self._lock = Lock()

    def read(self, index: int) -> Array:
        return self._remembered(self._kept, index, self._finished)

    def neighbours(self, index: int) -> list[int]:
        """The shots to compare with: of other cameras at the same instant, else of the same camera around it."""
        shots, own = self._dataset.shots, self._dataset.shots[index]
        others = [i for i in self._instants[own.frame] if i != index]
        if not others:
            around = sorted(self._instants, key=lambda k: (abs(k - own.frame), k))
            others = [i for k in around for i in self._instants[k] if i != index][: 4 * NEIGHBOURS]
        least = LEAST_BASELINE * 2 / (1 / self._dataset.near + 1 / self._dataset.far)
        apart = {i: float(np.linalg.norm(shots[i].camera.center - own.camera.center)) for i in others}
        same_time = all(shots[i].frame == own.frame for i in others)
        ranked = sorted((i for i in others if apart[i] > least), key=lambda i: apart[i] if same_time else -apart[i])
        return ranked[:NEIGHBOURS]

    def _remembered(self, store: OrderedDict[int, Array], index: int, make: Callable[[int], Array]) -> Array:
        with self._lock:
            if index in store:
                return store[index]
        made = make(index)
        with self._lock:
            store[index] = made
            while len(store) > KEPT:
                store.popitem(last=False)
        return made

    def _small(self, index: int) -> tuple[Array, Camera]:
        camera = self._dataset.shots[index].camera
        size = fitted_size(camera.width, camera.height, MEGAPIXELS)
        image: Array = shrunk(self._dataset.read(index), size).astype(np.float32) * np.float32(1 / 255)
        return image, camera.resized(*size)

    def _sweep(self, index: int) -> Array:
        image, camera = self._small(index)
        others = [self._small(i) for i in self.neighbours(index)]
        return swept(image, camera, others, self._dataset.near, self._dataset.far)

    def _finished(self, index: int) -> Array:
        """The raw depth, checked against a neighbour's and filled, at the size of the clip."""
        image, camera = self._small(index)
        raw = self._remembered(self._raw, index, self._sweep)
        agreed = np.zeros(raw.shape, bool)
        for other in self.neighbours(index):
            _, seen_by = self._small(other)
            agreed |= confirmed(raw, camera, self._remembered(self._raw, other, self._sweep), seen_by)
        agreed &= ~speckles(raw)
        picture = self._dataset.read(index).astype(np.float32) * np.float32(1 / 255)
        depth = cv2.medianBlur(from_behind(raw, agreed), 3)
        return enlarged(np.asarray(depth, np.float32), image, picture)


def swept(
    image: Array, camera: Camera, others: Sequence[tuple[Array, Camera]], near: float, far: float, planes: int = PLANES
) -> Array:
    """The depth (H, W) of a picture (H, W, 3) in [0, 1] at which it looks most like the others, scene units."""
    inverse = np.linspace(1 / far, 1 / near, planes)
    luminance = image.mean(2)
    cost = np.stack([_plane_cost(luminance, camera, others, 1 / w) for w in inverse], axis=2)
    cost = np.moveaxis(semi_global(cost, luminance, STEP, JUMP, SHARPNESS), 2, 0)
    best = cost.argmin(0)
    middle = np.clip(best, 1, planes - 2)
    rows, columns = np.mgrid[0 : best.shape[0], 0 : best.shape[1]]
    before, at, after = (cost[middle + k, rows, columns] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend > 1e-9, 0.5 * (before - after) / np.maximum(bend, 1e-9), 0)
    place = np.where(best == middle, middle + np.clip(shift, -0.5, 0.5), best)
    return (1 / np.interp(place, np.arange(planes), inverse)).astype(np.float32)


def _plane_cost(luminance: Array, camera: Camera, others: Sequence[tuple[Array, Camera]], depth: float) -> Array:
    """1 - correlation and a little of the plain difference, averaged over the neighbours that see the plane."""
    total, count = np.zeros_like(luminance), np.zeros_like(luminance)
    for image, seen_by in others:
        H = homography(camera, seen_by, depth)
        size, how = (camera.width, camera.height), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        there = cv2.warpPerspective(image.mean(2), H, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.warpPerspective(np.ones_like(image[..., 0]), H, size, flags=how)
        unlike = 1 - _correlation(luminance, np.asarray(there)) + 2 * np.abs(luminance - there)
        weight = (np.asarray(inside) > 0.99).astype(np.float32)
        total += weight * np.minimum(unlike, TRUNCATION)
        count += weight
    return np.where(count > 0, total / np.maximum(count, 1), TRUNCATION).astype(np.float32)


def homography(camera: Camera, other: Camera, depth: float) -> NDArray[np.float64]:
    """(3, 3): pixel indices of ``camera`` to those of ``other`` by the plane of constant ``depth``, scene units."""
    relative = other.world_to_camera @ camera.camera_to_world
    K, K1 = (
        np.array([[c.fx, 0, c.cx - 0.5], [0, c.fy, c.cy - 0.5], [0, 0, 1]], float) for c in (camera, other)
    )  # OpenCV counts from the centre of the first pixel
    plane = relative[:3, :3] + np.outer(relative[:3, 3], [0, 0, 1]) / depth
    return K1 @ plane @ np.linalg.inv(K)


def confirmed(depth: Array, camera: Camera, other_depth: Array, other: Camera) -> NDArray[np.bool_]:
    """(H, W) whether the other camera found the same surface where this one's points lie in its picture."""
    ys, xs = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    points = camera.unproject(np.stack([xs.ravel(), ys.ravel()], axis=1), depth.ravel().astype(np.float64))
    uv, z = other.project(points)
    columns, rows = np.floor(uv[:, 0]), np.floor(uv[:, 1])
    inside = (z > 0) & (columns >= 0) & (columns < other.width) & (rows >= 0) & (rows < other.height)
    found = np.zeros(len(z))
    found[inside] = other_depth[rows[inside].astype(int), columns[inside].astype(int)]
    return (inside & (np.abs(found - z) < CONFIRMED * z)).reshape(depth.shape)


def speckles(depth: Array) -> NDArray[np.bool_]:
    """(H, W) whether a pixel belongs to a small island of another depth than its surroundings: a false match."""
    levels = (SPECKLE_LEVELS * depth.min() / depth).astype(np.int16) + 1  # in inverse depth
    cleaned = levels.copy()
    cv2.filterSpeckles(cleaned, 0, round(SPECKLE_SHARE * depth.size), SPECKLE_STEP)
    return cleaned == 0


def from_behind(depth: Array, known: NDArray[np.bool_]) -> Array:
    """The depth (H, W) where it is known. In gaps of a row no wider than ``NARROW`` the farther of what is known to the
    left and right: what one camera sees and another does not lies behind something. Elsewhere see
    :func:`from_around`."""
    if not known.any():
        return depth
    width = depth.shape[1]
    rows, columns = np.mgrid[0 : depth.shape[0], 0:width]
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    narrow = (left >= 0) & (right < width) & (right - left <= NARROW * width)
    farther = np.maximum(depth[rows, np.maximum(left, 0)], depth[rows, np.minimum(right, width - 1)])
    behind = np.where(narrow, farther, from_around(depth, known)).astype(np.float32)
    return np.where(known, depth, cv2.medianBlur(behind, 5)).astype(np.float32)


def from_around(depth: Array, known: NDArray[np.bool_]) -> Array:
    """The depth (H, W) where it is known, and elsewhere the mean, in inverse depth, of what is known in the smallest
    window around that has some; at least one pixel must be known."""
    inverse, weight = np.where(known, 1 / depth, 0).astype(np.float32), known.astype(np.float32)
    result, missing = inverse.copy(), ~known
    radius = 2
    while missing.any():
        size = (2 * radius + 1, 2 * radius + 1)
        sums, counts = (cv2.blur(a, size, borderType=cv2.BORDER_CONSTANT) for a in (inverse, weight))
        enough = 0.02 if radius < max(depth.shape) else 1e-9
        now = missing & (np.asarray(counts) > enough)
        result[now] = sums[now] / counts[now]
        missing &= ~now
        radius *= 2
    return (1 / result).astype(np.float32)


def enlarged(depth: Array, image: Array, picture: Array) -> Array:
    """The depth (h, w) of a small ``image`` (h, w, 3) at the size of the ``picture`` (H, W, 3) that it was made from.

    Of the four pixels around, those count that look like the picture there (Kopf et al. 2007), in inverse depth. The
    one that counts most says which surface it is; where another is on a different one it does not take part.
    """
    if depth.shape == picture.shape[:2]:
        return depth
    (h, w), (H, W) = depth.shape, picture.shape[:2]
    y, x = np.clip((np.arange(H) + 0.5) * h / H - 0.5, 0, h - 1), np.clip((np.arange(W) + 0.5) * w / W - 0.5, 0, w - 1)
    top, left = np.minimum(y.astype(int), h - 2), np.minimum(x.astype(int), w - 2)
    v, u = (y - top)[:, None], (x - left)[None]
    weights, inverses = [], []
    for i, j, near in ((0, 0, (1 - v) * (1 - u)), (0, 1, (1 - v) * u), (1, 0, v * (1 - u)), (1, 1, v * u)):
        at = np.ix_(top + i, left + j)
        unlike = ((image[at] - picture) ** 2).sum(2)
        weights.append((near + 1e-3) * np.exp(-0.5 * unlike / COLOR_SPREAD**2) + 1e-9 * near)
        inverses.append(1 / depth[at])
    weight, inverse = np.stack(weights), np.stack(inverses)
    chosen = np.take_along_axis(inverse, weight.argmax(0)[None], axis=0)
    weight *= np.abs(inverse - chosen) < SAME_SURFACE * chosen
    return (weight.sum(0) / (weight * inverse).sum(0)).astype(np.float32)


def _correlation(a: Array, b: Array) -> Array:
    """(H, W) of two pictures over small windows, in [-1, 1]; 0 where one has no texture."""
    size = (2 * WINDOW + 1, 2 * WINDOW + 1)

    def mean(x: Array) -> Array:
        return cv2.blur(x, size)  # type: ignore[return-value]

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    return cov / np.sqrt(np.maximum(va, 1e-5) * np.maximum(vb, 1e-5))
