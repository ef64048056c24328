"""A clip of one moving camera with COLMAP's reconstruction beside it: ``sparse/0`` (or ``sparse``) and ``images``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError
from training.data import poses
from training.data.colmap_model import (
    ColmapCamera,
    ColmapModel,
    cameras_file,
    model_beside,
    pose_count,
    read_cameras,
    read_model,
)
from training.data.dataset import Dataset, PointCloud
from training.data.images import FileFrames, fitted_size
from training.data.layouts import DataOptions, Layout, Recognised
from training.data.looks import counted, pictures_in
from training.data.one_camera import clock, filmed_at, paths_of, recorded_rate
from training.data.rig import LEAST_POINTS, check_shape, depths_seen, in_number_order, same_size

FPS = 30.0
"""Of a clip that does not say so."""
STRAIGHT = 1e-3
"""Largest coefficient of a lens that is taken for none."""


def open_colmap(folder: Path, options: DataOptions) -> Dataset:
    """The clip, with the points as its sparse points; near and far are those of the points that the cameras see.

    Pictures are read as they are stored, as COLMAP does. InputError for pictures without a pose or of another shape
    than their camera, a lens that is not straight, and a model without points.
    """
    model_folder = _model(folder)
    model = read_model(model_folder)
    files = in_number_order(poses.image_files(folder / "images" if (folder / "images").is_dir() else folder))
    places = {name: k for k, name in enumerate(model.names)}
    missing = [f.name for f in files if f.name not in places]
    if missing:
        raise InputError(
            f"{model_folder}: has no pose of {len(missing)} of {len(files)} pictures, {missing[0]} the first; remove "
            "them, or learn all poses with --method ddr --data.poses identity"
        )
    size = same_size(files)
    fitted = fitted_size(*size, options.megapixels)

    def camera(i: int) -> Camera:
        stated = _camera(model, places[files[i].name], model_folder)
        check_shape(size, (stated.width, stated.height), files[i], cameras_file(model_folder))
        return stated.resized(*fitted)

    used = clock(filmed_at(folder, files), options.frame_step, recorded_rate(folder, FPS))
    shots = used.shots(camera)
    near, far = _depths(model, [s.camera for s in shots], model_folder)
    chosen = poses.split_frames(poses.with_near(shots, near), options)
    frames = FileFrames(paths_of(chosen, files), fitted, options.cache_bytes)
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        shots=chosen,
        read=lambda i: frames[i],
        duration=used.seconds,
        near=near,
        far=far,
        up=poses.mean_up([s.camera for s in chosen]),
        points=PointCloud(model.points.astype(np.float32), model.colors),
        pictures=[file.stem for file in files],
    )


def _camera(model: ColmapModel, place: int, folder: Path) -> Camera:
    number = model.camera_ids[place]
    c: ColmapCamera | None = model.cameras.get(number)
    if c is None:
        raise InputError(f"{folder}: {model.names[place]} is of camera {number}, which is not there; restore the model")
    check_straight(c, folder)
    return Camera(model.world_to_camera[place], c.fx, c.fy, c.cx, c.cy, c.width, c.height)


def check_straight(camera: ColmapCamera, folder: Path) -> None:
    """InputError for a lens that bends straight lines, of the model in ``folder``."""
    if camera.distortion > STRAIGHT:
        raise InputError(
            f"{folder}: the lens of {camera.model} bends straight lines; undistort the pictures first: "
            "colmap image_undistorter"
        )


def _depths(model: ColmapModel, cameras: list[Camera], folder: Path) -> tuple[float, float]:
    if len(model.points) < LEAST_POINTS:
        raise InputError(f"{folder}: holds {len(model.points)} good points; run the reconstruction again")
    found = depths_seen(model.points, cameras)
    if found is None:
        raise InputError(f"{folder}: its cameras hardly see any of its points; run the reconstruction again")
    return found


def _model(folder: Path) -> Path:
    model = model_beside(folder)
    if model is None:
        raise InputError(f"{folder}: has no reconstruction any more; restore sparse/0")
    return model


def _look(folder: Path) -> Recognised:
    model = _model(folder)
    for camera in read_cameras(model).values():
        check_straight(camera, model)
    pictures = len(pictures_in(folder / "images") if (folder / "images").is_dir() else pictures_in(folder))
    poses = pose_count(model)
    inside = model.relative_to(folder).as_posix()
    what = f"{counted(pictures, 'picture')} of one moving camera with COLMAP's {inside}, {counted(poses, 'pose')}"
    missing = []
    if not pictures:
        missing.append(f"{folder / 'images'}: no pictures in this folder; put the clip's frames there.")
    elif poses < pictures:
        missing.append(
            f"{model}: has no pose of {pictures - poses} of {pictures} pictures; remove them, or learn all poses "
            "with --method ddr --data.poses identity."
        )
    reason = "COLMAP found its cameras, so they moved enough."
    return Recognised(folder, "COLMAP", not missing, what, tuple(missing), "4dgs", reason)


LAYOUT = Layout(
    name="COLMAP",
    claims=lambda folder: model_beside(folder) is not None,
    open=lambda folder, options, report: open_colmap(folder, options),
    look=_look,
    inside=("images", "sparse", "0", "colmap"),
)
