"""Opening generated views: what layout a folder has is seen from what is in it."""

from __future__ import annotations

from pathlib import Path

from renderer.errors import InputError
from training.data.dataset import Dataset
from training.data.generated import GeneratedViews
from training.data.generated_layouts import Clip
from training.data.generated_plain import PATH_FILE, open_plain, save_generated
from training.data.generated_recammaster import is_recammaster, open_recammaster
from training.data.generated_sparsecam4d import LIST_FILE, open_sparsecam4d
from training.data.generated_viewcrafter import is_viewcrafter, open_viewcrafter
from training.data.loading import DataOptions, Report

__all__ = ["open_generated", "save_generated"]


def open_generated(source: str | Path, dataset: Dataset, options: DataOptions, report: Report) -> GeneratedViews:
    """The generated views in a folder, with cameras in the world of ``dataset`` (OpenCV axes, world-to-camera).

    The layouts are those of :func:`training.data.generated_plain.open_plain`,
    :func:`training.data.generated_sparsecam4d.open_sparsecam4d`,
    :func:`training.data.generated_viewcrafter.open_viewcrafter` and
    :func:`training.data.generated_recammaster.open_recammaster`.

    ``options``: as ``dataset`` was opened with: pictures are shrunk to its megapixels, and of the instants, counted as
    filmed, every ``frame_step``-th is used. Times are in [0, 1] on the clock of ``dataset``. Sizes are checked here,
    pictures are read when asked for. Raises InputError, one sentence, for a folder that is not understood, is damaged,
    or does not fit the clip.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the generated views")
    clip = Clip(dataset, options, report)
    try:
        views = _opened(folder, clip)
    except OSError as problem:
        raise InputError(f"{folder}: not readable ({problem.strerror or problem}); restore it") from None
    report(f"{len(views.frames)} generated pictures from {len(views.cameras)} virtual cameras")
    return views


def _opened(folder: Path, clip: Clip) -> GeneratedViews:
    if (folder / LIST_FILE).is_file():
        return open_sparsecam4d(folder, clip)
    if (folder / PATH_FILE).is_file():
        return open_plain(folder, clip)
    if is_recammaster(folder):
        return open_recammaster(folder, clip)
    if is_viewcrafter(folder):
        return open_viewcrafter(folder, clip)
    if (folder / "preprocess").is_dir() and is_viewcrafter(folder / "preprocess"):
        return open_viewcrafter(folder / "preprocess", clip)
    raise InputError(
        f"{folder}: no generated views found; expected camera_path.json with a video or picture folder per camera, "
        "sfm_transforms_extend.json (SparseCam4D), a folder per instant with diffusion.mp4 or diffusion (ViewCrafter), "
        "or results/cam_type<k>/video<i>.mp4 with cameras/camera_extrinsics.json (ReCamMaster)"
    )
