"""Optical flow between pictures of a clip: from files beside it, else by DIS, which needs no weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.priors.flow_files import flow_from_files

Flow = NDArray[np.float32]
Mask = NDArray[np.bool_]
FlowOf = Callable[[int, int], tuple[Flow, Mask]]

TOLERANCE = 0.7
"""Pixels by which a flow there and back may miss its start, besides a tenth of its length."""
RELATIVE_TOLERANCE = 0.1


def dis_flow(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Flow:
    """(H, W, 2) displacement in pixels of each pixel of ``a`` (H, W, 3) RGB to ``b`` of the same size.

    Dense inverse search (Kroeger et al. 2016) in OpenCV's medium preset, refined at the full resolution.
    """
    if a.shape != b.shape:
        raise ValueError(f"the pictures have shapes {a.shape} and {b.shape}, expected equal ones")
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # not safe to share between threads
    search.setFinestScale(0)
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (a, b))
    return np.asarray(search.calc(first, second, None), np.float32)  # type: ignore[call-overload]


def sampled(field: NDArray[np.float32], flow: Flow) -> NDArray[np.float32]:
    """A field (H, W, C) fetched bilinearly where the flow (H, W, 2) leads; NaN outside the picture."""
    ys, xs = np.mgrid[0 : flow.shape[0], 0 : flow.shape[1]].astype(np.float32)
    x, y = xs + flow[..., 0], ys + flow[..., 1]
    fetched = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    height, width = field.shape[:2]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return np.where(inside[..., None], fetched, np.float32(np.nan)).astype(np.float32)


def consistent(forward: Flow, backward: Flow, tolerance: float = TOLERANCE) -> Mask:
    """(H, W) where the way back leads to the start: |f + b|^2 < tolerance^2 + 0.1^2 (|f|^2 + |b|^2), both in pixels.

    Sundaram et al. 2010, eq. 5. False where the flow leaves the picture or is not finite.
    """
    back = sampled(backward, forward)
    miss = ((forward + back) ** 2).sum(-1)
    lengths = (forward**2).sum(-1) + (back**2).sum(-1)
    return miss < tolerance**2 + RELATIVE_TOLERANCE**2 * lengths  # NaN compares as false


def consistent_flow(dataset: Dataset, i: int, j: int) -> tuple[Flow, Mask]:
    """Flow (H, W, 2) in pixels from shot ``i`` to shot ``j`` of equal size, and (H, W) where it can be trusted.

    From the files beside the clip where they hold this pair (see flow_files), else by DIS there and back.
    """
    stored = flow_from_files(dataset, i, j)
    if stored is not None and stored[1] is not None:
        return stored[0], stored[1]
    a, b = dataset.read(i), dataset.read(j)
    forward = dis_flow(a, b) if stored is None else stored[0]
    back = flow_from_files(dataset, j, i)
    return forward, consistent(forward, dis_flow(b, a) if back is None else back[0])


def cached_flow(dataset: Dataset, pairs: int = 256) -> FlowOf:
    """``consistent_flow`` of a clip that keeps the pairs used last; safe to call from any thread."""

    @lru_cache(maxsize=pairs)
    def flow(i: int, j: int) -> tuple[Flow, Mask]:
        found = consistent_flow(dataset, i, j)
        for array in found:
            array.setflags(write=False)
        return found

    return flow
