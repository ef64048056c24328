"""Opening a clip, whatever layout it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.recognise import layout_of, not_understood

Report = Callable[[str], None]


@dataclass(frozen=True)
class DataOptions:
    """How a clip is read."""

    megapixels: float = 0.13
    """Pictures are shrunk to at most so many million pixels."""
    cameras: tuple[str, ...] = ()
    """Train on these cameras only (names); by default on all that are not held out."""
    holdout: tuple[str, ...] = ()
    """Cameras never trained on, measured instead; by default one of four or more, and every eighth frame of a single
    moving camera. The word none holds out nothing."""
    train_frames: tuple[int, ...] = ()
    """First and last frame (from 0) to train on, of a single moving camera; the frames outside are held out."""
    test_frames: tuple[int, ...] = ()
    """First and last frame (from 0) to measure, of a single moving camera; with train_frames."""
    poses: Literal["stated", "identity"] = "stated"
    """Camera poses as the clip states them; identity for a hand-held clip without any, to learn them."""
    fov: float = 60.0
    """Field of view along the longer side, degrees, of a clip without poses."""
    frame_step: int = 1
    """Use every N-th frame only."""
    generated: str = "auto"
    """Generated views, for a method that learns from some: a folder, or inconsistent for the demo scene; auto takes
    the folder generated in the clip's own."""
    cache_megabytes: int = 2000
    """Memory for pictures; more goes to a temporary file or is read again."""

    @property
    def cache_bytes(self) -> int:
        """The budget in bytes."""
        return self.cache_megabytes * 1_000_000


def open_dataset(source: str | Path, options: DataOptions, report: Report = lambda text: None) -> Dataset:
    """The clip in a folder, or the procedural one for ``demo``, ``demo:sparse``, ``demo:small-motion``.

    Raises InputError, one sentence, for a folder that is not understood or is damaged.
    """
    check_options(options)
    if str(source).split(":")[0] == "demo":
        return _demo(str(source), options, report)
    folder = Path(source)
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; give the folder of a clip, or demo")
    if not folder.is_dir():
        raise InputError(f"{folder}: a file; give the folder of a clip with its cameras")
    report(f"Opening {folder.name}")
    if options.poses == "identity":
        from training.data.unposed_frames import open_unposed

        return open_unposed(folder, options)
    layout = layout_of(folder)
    if layout == "calibrated videos":
        from training.data.calibrated_videos import open_calibrated_videos

        return open_calibrated_videos(folder, options, report)
    if layout == "LLFF":
        from training.data.llff import open_llff

        return open_llff(folder, options)
    if layout == "posed frames":
        from training.data.posed_frames import open_posed_frames

        return open_posed_frames(folder, options)
    if layout == "COLMAP":
        from training.data.colmap_clip import open_colmap
        from training.data.colmap_model import model_beside

        model = model_beside(folder)
        assert model is not None
        return open_colmap(folder, model, options)
    raise InputError(not_understood(folder))


def check_options(options: DataOptions) -> None:
    """InputError for values that cannot be."""
    if not 0.0001 <= options.megapixels <= 100:
        raise InputError(f"--data.megapixels {options.megapixels:g}: give a number between 0.0001 and 100")
    if not 1 <= options.fov <= 170:
        raise InputError(f"--data.fov {options.fov:g}: give an angle between 1 and 170 degrees")
    if options.frame_step < 1:
        raise InputError(f"--data.frame-step {options.frame_step}: give 1 or more")
    for name, span in (("train", options.train_frames), ("test", options.test_frames)):
        if span and (len(span) != 2 or not 0 <= span[0] <= span[1]):
            raise InputError(f"--data.{name}-frames {' '.join(map(str, span))}: give the first and the last frame")


def _demo(source: str, options: DataOptions, report: Report) -> Dataset:
    from training.data.images import fitted_size
    from training.data.procedural import procedural_dataset

    preset = source.partition(":")[2] or "sparse"
    if preset not in ("sparse", "small-motion"):
        raise InputError(f"{source}: the demo scenes are demo:sparse and demo:small-motion")
    report("Ray-tracing the demo scene")
    width, height = fitted_size(288, 216, options.megapixels)
    frames = max(2, 24 // options.frame_step)
    return procedural_dataset(preset, width=width, height=height, frames=frames)  # type: ignore[arg-type]
