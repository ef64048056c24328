"""Which pixels of a picture show something that moves: those whose optical flow the camera's motion cannot explain."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.priors.flow import Flow, FlowOf, Mask, consistent_flow
from training.priors.texture import texture_root
from training.priors.triangulation import fit_inverse_depths
from training.priors.two_view import Array, epipolar_miss, pixel_centres, segment_miss

STEPS = (-4, -2, -1, 1, 2, 4)
"""Neighbours of a frame that it is compared with, in frames: far ones tell slow motion, near ones have better flow."""
THRESHOLD = 0.5
"""Pixels by which a flow may miss what the camera's motion allows, in pictures 160 pixels wide or smaller."""
REFERENCE_WIDTH = 160
WIDTH_POWER = 0.5
"""The threshold grows with the width to this power: errors of flow grow with the size of pictures, but slower."""
OPENING = 3
"""Pixels across of the smallest speck that is kept, at the reference width."""
CLOSING = 7
"""The same of the smallest hole."""
MARGIN = 3
"""Diameter in pixels by which a mask is grown in the end: flow is smooth across borders."""
BEYOND = 1.2
"""What stands still lies between near / 1.2 and far * 1.2; what moves along with the camera seems to lie elsewhere."""
SAMPLES = 3000
"""Matches from which the camera's motion is found where no poses are known."""
LEAST_MATCHES = 50
INLIER = 0.75
"""Pixels up to which a match obeys a homography or a fundamental matrix."""
PLANAR_SHARE = 0.95
"""A homography with at least this share of the fundamental matrix's inliers is taken instead: it has no direction in
which it is blind, and with hardly any baseline the fundamental matrix is arbitrary."""


def moving_pixels(dataset: Dataset, index: int, flow: FlowOf | None = None) -> Mask:
    """(H, W) bool of a shot: pixels that show something that moves; all False where a camera has one frame only.

    Per neighbouring frame, as far as the picture's texture can tell, the distance in pixels of the flow to what poses
    allow (without poses, to a homography or fundamental matrix found by RANSAC); over neighbours, its median where the
    flow can be trusted. With poses also the residual of the one depth that would explain all flows together. What
    moves as the camera does at some depth within the clip's range cannot be told. ``flow``: where flows come from,
    when they are kept (``cached_flow``).
    """
    camera = dataset.shots[index].camera
    find = flow or (lambda i, j: consistent_flow(dataset, i, j))
    others = neighbours(dataset, index)
    if not others:
        return np.zeros((camera.height, camera.width), np.bool_)
    flows = [find(index, other) for other in others]
    if dataset.posed:
        distance = _distance_to_poses(dataset, index, others, flows)
    else:
        texture = texture_root(dataset.read(index))
        missed = [_length(texture, unposed_miss(f, seen)) for f, seen in flows]
        distance = _median(missed, [seen for _, seen in flows])
    return cleaned(distance > threshold(camera.width))


def neighbours(dataset: Dataset, index: int, steps: Sequence[int] = STEPS) -> list[int]:
    """Shots of the same camera and split that are ``steps`` frames away, as far as there are any."""
    shot = dataset.shots[index]
    same = {
        s.frame: i
        for i, s in enumerate(dataset.shots)
        if s.camera_name == shot.camera_name and s.split == shot.split and i != index
    }
    return [same[shot.frame + step] for step in steps if shot.frame + step in same]


def threshold(width: int) -> float:
    """Pixels from which a pixel of a picture of this width is taken to move."""
    return THRESHOLD * max(1.0, width / REFERENCE_WIDTH) ** WIDTH_POWER


def cleaned(mask: Mask) -> Mask:
    """A mask (H, W) without specks and small holes, grown a little."""
    scale = max(1.0, mask.shape[1] / REFERENCE_WIDTH)
    result = mask.astype(np.uint8)
    for operation, size in ((cv2.MORPH_OPEN, OPENING), (cv2.MORPH_CLOSE, CLOSING), (cv2.MORPH_DILATE, MARGIN)):
        odd = 2 * round((size * scale - 1) / 2) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd, odd))
        result = np.asarray(cv2.morphologyEx(result, operation, kernel), np.uint8)
    return result > 0


def unposed_miss(flow: Flow, seen: Mask) -> Array:
    """(H, W, 2) pixels by which a flow misses the dominant motion of the picture; zero where too little is trusted.

    The motion is a homography, or a fundamental matrix where that explains clearly more of the trusted matches.
    """
    a = pixel_centres(*seen.shape)
    b = a + flow
    candidates = np.flatnonzero(seen & np.isfinite(flow).all(-1))
    if len(candidates) < LEAST_MATCHES:
        return np.zeros(a.shape)
    chosen = candidates[:: max(1, len(candidates) // SAMPLES)]
    from_, to = a.reshape(-1, 2)[chosen], b.reshape(-1, 2)[chosen]
    H, planar = cv2.findHomography(from_, to, cv2.USAC_MAGSAC, INLIER, confidence=0.999, maxIters=5000)
    try:
        F, epipolar = cv2.findFundamentalMat(from_, to, cv2.USAC_MAGSAC, INLIER, 0.999, 5000)
    except cv2.error:  # of matches that fit no pair of cameras at all
        F, epipolar = None, None  # type: ignore[assignment]
    inliers = [0 if found is None else int(np.count_nonzero(found)) for found in (planar, epipolar)]
    if H is not None and inliers[0] >= PLANAR_SHARE * inliers[1]:
        place = cv2.perspectiveTransform(a, np.asarray(H, np.float64))
        return b - place
    if F is None or F.shape != (3, 3):
        return np.zeros(a.shape)
    return epipolar_miss(np.asarray(F, np.float64), a, b)


def _distance_to_poses(
    dataset: Dataset, index: int, others: Sequence[int], flows: Sequence[tuple[Flow, Mask]]
) -> Array:
    """(H, W) pixels: the larger of the median distance to the places that some depth allows in each neighbour, and
    of the root mean square distance to those of one depth for all."""
    camera = dataset.shots[index].camera
    cameras = [dataset.shots[other].camera for other in others]
    pixels = pixel_centres(camera.height, camera.width)
    texture, near, far = texture_root(dataset.read(index)), dataset.near / BEYOND, dataset.far * BEYOND
    apart = [
        _length(texture, segment_miss(camera, other, pixels, pixels + flow, near, far))
        for other, (flow, _) in zip(cameras, flows, strict=True)
    ]
    together = fit_inverse_depths(camera, cameras, flows, (1 / far, 1 / near), texture)
    residual = np.where(together.count > 1, together.residual, 0)
    return np.maximum(_median(apart, [seen for _, seen in flows]), residual)


def _length(texture: Array, miss: Array) -> Array:
    """(H, W) length of an error of flow (H, W, 2), as far as the picture speaks against it."""
    with np.errstate(invalid="ignore"):
        return np.linalg.norm((texture @ miss[..., None])[..., 0], axis=-1)


def _median(distances: Sequence[Array], seen: Sequence[Mask]) -> NDArray[np.float64]:
    """(H, W) median of the distances that are trusted, zero where none is."""
    known = np.where(np.stack(seen), np.stack(distances), np.nan)
    none = np.isnan(known).all(0)
    return np.where(none, 0, np.nanmedian(np.where(none, 0, known), axis=0))
