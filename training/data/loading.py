"""Opening a clip, whatever layout it has."""

from __future__ import annotations

from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.layouts import DataOptions, Report, is_demo, layout_of
from training.data.recognise import not_understood

__all__ = ["DataOptions", "Report", "check_options", "open_dataset"]


def open_dataset(source: str | Path, options: DataOptions, report: Report = lambda text: None) -> Dataset:
    """The clip in a folder, or the procedural one for ``demo``, ``demo:sparse``, ``demo:small-motion``.

    Raises InputError, one sentence, for a folder that is not understood or is damaged.
    """
    check_options(options)
    if is_demo(source):
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
    if layout is None:
        raise InputError(not_understood(folder))
    try:
        return layout.open(folder, options, report)
    except OSError as problem:  # of names, for example, that no file can have
        raise InputError(f"{folder}: cannot be read ({problem.strerror or problem}); restore it") from None


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
