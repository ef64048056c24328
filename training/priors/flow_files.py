"""Optical flow from files beside a clip, as RAFT's scripts and NSFF's preprocessing write it.

``flow_i1/`` or ``flow/`` holds, for picture k of the clip, ``kkkkk_fwd`` (DynamicNeRF: ``kkk_fwd``) to the one after
and ``kkkkk_bwd`` to the one before, as ``.npz`` (``flow`` (h, w, 2) and, where there is one, ``mask`` (h, w)),
``.npy`` or Middlebury's ``.flo``.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from renderer.files.arrays import read_arrays
from training.data.dataset import Dataset, Shot
from training.priors.file_order import clock_frames

Flow = NDArray[np.float32]
Mask = NDArray[np.bool_]

FOLDERS = ("flow_i1", "flow")
SUFFIXES = (".npz", ".npy", ".flo")
DIGITS = (5, 3)
"""Of a frame's number in NSFF's and in DynamicNeRF's names."""
FORWARD = re.compile(r"(\d{1,9})_fwd")
MAGIC = 202021.25
"""First number of a .flo file."""
LARGEST = 1 << 28


def flow_from_files(dataset: Dataset, i: int, j: int) -> tuple[Flow, Mask | None] | None:
    """Flow (H, W, 2) in pixels of shot ``i``'s picture to shot ``j``, and (H, W) where its file says that it can be
    trusted, None where it does not say. None for pictures that are not neighbours of the one camera that is learned
    from, as they are not where only every n-th frame is used, and without a file.

    InputError for a file that cannot be read.
    """
    a, b = dataset.shots[i], dataset.shots[j]
    learned = {dataset.shots[k].camera_name for k in dataset.indices("train")} or set(dataset.camera_names)
    if {a.camera_name, b.camera_name} != learned:
        return None
    here, there = _number(a), _number(b)
    way = "fwd" if there > here else "bwd"
    names = [f"{here:0{digits}d}_{way}{s}" for digits in DIGITS for s in SUFFIXES]
    path = next((p for f in FOLDERS for name in names if (p := dataset.source / f / name).is_file()), None)
    if path is None or abs(here - there) != 1 or (a.picture is None and _of_more_frames(path.parent, dataset)):
        return None
    flow, mask = read_flow(path)
    return resized(flow, mask, a.camera.width, a.camera.height)


def _number(shot: Shot) -> int:
    return shot.frame if shot.picture is None else shot.picture


def _of_more_frames(folder: Path, dataset: Dataset) -> bool:
    """Whether a folder holds flow between more frames than the clip's clock has, because only every n-th is used."""
    numbers = [int(m[1]) for path in folder.iterdir() if (m := FORWARD.fullmatch(path.stem))]
    return max(numbers, default=0) + 2 > clock_frames(dataset)


def read_flow(path: Path) -> tuple[Flow, Mask | None]:
    """(h, w, 2) pixels and (h, w), as in the file."""
    mask = None
    if path.suffix == ".flo":
        flow = _read_flo(path)
    else:
        found = read_arrays(path, ("flow", "mask"), "optical flow")
        if "flow" not in found or any(values.dtype.kind not in "fiub" for values in found.values()):
            raise InputError(f"{path}: holds no flow of numbers, expected flow and mask; write it again")
        flow = found["flow"].astype(np.float32)
        mask = found["mask"] > 0.5 if "mask" in found else None
    if flow.ndim == 3 and flow.shape[0] == 2 and flow.shape[2] != 2:
        flow = np.ascontiguousarray(flow.transpose(1, 2, 0))  # as torch has it
    if flow.ndim != 3 or flow.shape[2] != 2 or min(flow.shape) < 1:
        raise InputError(f"{path}: holds flow of shape {flow.shape}, expected (height, width, 2)")
    if mask is not None and mask.shape != flow.shape[:2]:
        raise InputError(f"{path}: its mask has shape {mask.shape} and its flow {flow.shape}; write it again")
    return flow, mask


def resized(flow: Flow, mask: Mask | None, width: int, height: int) -> tuple[Flow, Mask | None]:
    """The same for a picture of another size: vectors grow with it."""
    h, w = flow.shape[:2]
    if (h, w) == (height, width):
        return flow, mask
    mode = cv2.INTER_AREA if h > height else cv2.INTER_LINEAR
    scaled = cv2.resize(flow, (width, height), interpolation=mode) * np.array([width / w, height / h], np.float32)
    if mask is not None:
        mask = cv2.resize(mask.astype(np.float32), (width, height), interpolation=mode) > 0.99
    return np.asarray(scaled, np.float32), mask


def _read_flo(path: Path) -> Flow:
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data[:4], "<f4")[0] != np.float32(MAGIC):
        raise InputError(f"{path}: is not a Middlebury .flo file; write it again")
    width, height = (int(v) for v in np.frombuffer(data[4:12], "<i4"))
    if not (width > 0 and height > 0 and width * height < LARGEST and len(data) == 12 + 8 * width * height):
        raise InputError(f"{path}: holds {len(data)} bytes for {width}x{height} vectors; write it again")
    return np.frombuffer(data[12:], "<f4").reshape(height, width, 2).astype(np.float32)
