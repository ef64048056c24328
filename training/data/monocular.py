"""Clips that one moving camera filmed, with a table of its poses. Where they are cut from a rig, frame t is of camera
t, and pictures of the other cameras at the same instants may lie beside it to be measured, never learned from."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from renderer.errors import InputError
from training.data import poses
from training.data.dataset import Dataset, Shot
from training.data.images import FileFrames, fitted_size
from training.data.layouts import DataOptions, Recognised
from training.data.llff_table import LlffTable
from training.data.looks import counted, moving, names_in, pictures_in
from training.data.masks import MaskFolder, mask_reader
from training.data.one_camera import clock
from training.data.rig import check_shape, in_number_order, picture_size, same_size

FPS = 15.0
"""The layouts say nothing of time; this is what such clips are shown at."""
INSTANT = re.compile(r"\d+")
VIEW = re.compile(r"cam_?(\d+)")
MASKS = "motion_masks"
RIG = 12
"""Cameras of the data set's rig: frame t is of camera t modulo this."""


@dataclass(frozen=True)
class OtherView:
    """What another camera saw. ``row``: its own in the table of poses. ``frame``: of the clip, from 0. ``masks``: the
    folder where a mask of what moves in it may lie."""

    row: int
    frame: int
    path: Path
    masks: Path | None = None

    @property
    def name(self) -> str:
        """The camera's, counted from 1 as the data set does."""
        return f"cam{self.row + 1:02d}"


@dataclass(frozen=True)
class Pictures:
    """Of the clip, in its order. ``files``: as they are read, maybe shrunk. ``size``: (width, height) of the originals,
    which the poses are for."""

    files: Sequence[Path]
    size: tuple[int, int]


def table_clip(table: LlffTable, options: DataOptions, fps: float) -> Dataset:
    """The clip of the pictures of ``images``, by name, a row of the table each; every eighth frame is held out.
    InputError as for :func:`monocular_clip`."""
    files = poses.image_files(table.path.parent / "images")
    _check_count(table, files)
    return monocular_clip(table, Pictures(files, picture_size(files[0])), (), options, fps)


def monocular_clip(
    table: LlffTable, pictures: Pictures, others: Sequence[OtherView], options: DataOptions, fps: float = FPS
) -> Dataset:
    """The clip of pictures, a row of the table each; held out are ``others``, or where there are none every eighth
    frame.

    What moves is known where ``motion_masks`` beside the table has masks of the clip, and ``others`` theirs.
    With ``options.train_frames`` the others are measured at ``test_frames``, by default at the frames trained on.
    InputError that names the table or a picture for whatever does not fit.
    """
    files, size = pictures.files, pictures.size
    same_size(files)
    fitted = fitted_size(*size, options.megapixels)
    step, near = options.frame_step, table.depths()[0]
    used = clock(range(len(files)), step, fps)
    stated = [table.camera(i, path.name) for i, path in enumerate(files)]
    for camera, path in zip(stated, files, strict=True):
        check_shape(size, (camera.width, camera.height), path, table.path)
    cameras = [camera.resized(*fitted) for camera in stated]
    shots = used.shots(lambda i: cameras[i])
    paths = {("camera", s.frame): files[i] for s, i in zip(shots, used.pictures, strict=True)}
    folder = table.path.parent
    of_clip = MaskFolder(folder / MASKS, options.motion_masks)
    masks = {place: of_clip.of(path) for place, path in paths.items()}
    beside = []
    for other in others:
        if other.frame % step == 0:
            check_shape(picture_size(other.path), size, other.path, files[0])
            frame = other.frame // step
            beside.append(Shot(other.name, cameras[other.row], used.time(frame), frame, "test"))
            paths[other.name, frame] = other.path
            if other.masks is not None:
                masks[other.name, frame] = MaskFolder(other.masks).of(other.path)
    chosen = poses.with_near(_split(shots, beside, options), near)
    frames = FileFrames([paths[s.camera_name, s.frame] for s in chosen], fitted, options.cache_bytes)
    return Dataset(
        name=(folder.resolve().parent if folder.name == "dense" else folder.resolve()).name,
        source=folder,
        shots=chosen,
        read=lambda i: frames[i],
        duration=used.seconds,
        near=near,
        far=table.depths()[1],
        up=poses.mean_up([s.camera for s in chosen]),
        moving=mask_reader([masks.get((s.camera_name, s.frame)) for s in chosen], chosen, options.cache_bytes),
        pictures=[path.stem for path in files],
    )


def _split(shots: list[Shot], others: list[Shot], options: DataOptions) -> list[Shot]:
    names = sorted({s.camera_name for s in others})
    unknown = [name for name in options.holdout if name not in ("none", *names)]
    if unknown:
        advice = f"give some of {', '.join(names)}" if names else "there are none of other cameras, so leave it out"
        raise InputError(f"camera {unknown[0]}: has no pictures in this clip to hold out; {advice}")
    if not others or "none" in options.holdout:
        return poses.split_frames(shots, options)
    first, end = options.train_frames or (0, math.inf)
    a, b = options.test_frames or (first, end)
    measured = [
        s for s in others if a <= s.frame <= b and (not options.holdout or s.camera_name in options.holdout)
    ]  # fmt: skip
    return poses.enough([s for s in shots if first <= s.frame <= end] + measured)


def other_views(folder: Path, table: LlffTable, masks: Path | None = None) -> list[OtherView]:
    """The pictures ``<frame>/cam<NN>`` in a folder such as ``mv_images``, but for those of the clip itself; camera NN,
    from 1, stands where frame NN - 1 was filmed from. None where there is no such folder. ``masks``: a folder with a
    mask of what moves for some of them, by the same names.

    InputError for a frame or a camera that the table does not have.
    """
    found: list[tuple[int, int, Path]] = []
    for instant in names_in(folder):
        if not INSTANT.fullmatch(instant):
            continue
        if int(instant) >= len(table):
            raise InputError(f"{folder / instant}: is of frame {int(instant)}, but {table.path.name} has only "
                             f"{len(table)} poses; restore it or take the folder out")  # fmt: skip
        for name in pictures_in(folder / instant):
            view = VIEW.fullmatch(Path(name).stem)
            if view:
                found.append((int(view[1]) - 1, int(instant), folder / instant / name))
    for row, _, path in found:
        if not 0 <= row < len(table):
            raise InputError(f"{path}: is of camera {row + 1}, but {table.path.name} has only {len(table)} poses; "
                             "restore it or take the picture out")  # fmt: skip
    return of_others(
        [OtherView(row, t, path, masks / path.parent.name if masks else None) for row, t, path in found]
    )  # fmt: skip


def of_others(views: Sequence[OtherView]) -> list[OtherView]:
    """Those that are not of the camera that filmed the clip at the time, by camera and frame."""
    return sorted((v for v in views if v.frame % RIG != v.row), key=lambda view: (view.row, view.frame))


def pictures_of(table: LlffTable, smaller: re.Pattern[str], options: DataOptions) -> Pictures:
    """The pictures of ``images``, from the smallest folder named by ``smaller`` that has all of them no smaller than
    they are loaded; where there is no ``images``, the largest such folder's.

    InputError where there are none, and where they are not as many as the table's rows.
    """
    folder = table.path.parent
    original = _pictures(folder / "images")
    others = [files for name in names_in(folder) if smaller.fullmatch(name) and (files := _pictures(folder / name))]
    others.sort(key=lambda files: picture_size(files[0]))
    if not original and not others:
        raise InputError(f"{folder / 'images'}: no pictures in this folder; put the clip's frames there")
    original = original or others[-1]
    _check_count(table, original)
    size = picture_size(original[0])
    width, height = fitted_size(*size, options.megapixels)
    stems = [path.stem for path in original]
    for files in others:
        found = picture_size(files[0])
        if found[0] >= width and found[1] >= height and [path.stem for path in files] == stems:
            return Pictures(files, size)
    return Pictures(original, size)


def monocular_look(name: str, table: LlffTable, smaller: re.Pattern[str], others: int) -> Recognised:
    """What such a clip is: of the layout ``name``, with so many pictures of other cameras."""
    folder = table.path.parent
    places = ["images", *(n for n in names_in(folder) if smaller.fullmatch(n))]
    place = next((folder / n for n in places if pictures_in(folder / n)), folder / "images")
    count = len(pictures_in(place))
    what = f"{counted(count, 'picture')} of one moving camera with {table.path.name} ({name})"
    if others:
        what += f" and {counted(others, 'picture')} of other cameras to measure"
    missing = []
    if not count:
        missing.append(f"{place}: no pictures in this folder; put the clip's frames there.")
    elif count != len(table):
        missing.append(f"{table.path}: has {len(table)} poses for {counted(count, 'picture')}; make them match.")
    return moving(folder, name, what, missing, table.camera_to_world[:, :, 3], table.depths())


def _check_count(table: LlffTable, files: Sequence[Path]) -> None:
    if len(files) != len(table):
        raise InputError(f"{table.path}: has {len(table)} poses for {len(files)} pictures; make them match")


def _pictures(folder: Path) -> list[Path]:
    return in_number_order(folder / name for name in pictures_in(folder))
