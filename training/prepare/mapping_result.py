"""What mapping leaves in its folder: ``images`` without their lens, COLMAP's ``sparse/0``, and ``mapped.npz``."""

from __future__ import annotations

import copy
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from renderer.camera import Camera
from renderer.errors import InputError
from training.data.images import Image, read_image
from training.data.layouts import Report
from training.prepare.mapping_types import Array, MappedCameras, Model, Picture, loaded_pycolmap, quiet

NEGLIGIBLE_SHIFT = 0.05
"""Pixels by which a lens may move a corner before it is undone."""
JPEG_QUALITY = 97
HALF_PIXEL = 0.5
"""OpenCV counts from the centre of the first pixel, COLMAP as we do from its corner."""


def finished(folder: Path) -> MappedCameras | None:
    """What was mapped there before, None where nothing is or a part of it is gone."""
    try:
        with np.load(folder / "mapped.npz", allow_pickle=False) as data:
            values = {key: data[key] for key in data.files}
        names, missing = (tuple(str(n) for n in values[key]) for key in ("names", "missing"))
        cameras = {}
        for name, pose, (fx, fy, cx, cy, width, height) in zip(names, values["poses"], values["pinholes"], strict=True):
            cameras[name] = Camera(pose, fx, fy, cx, cy, int(width), int(height))
        starts = np.cumsum(values["track_lengths"])[:-1]
        tracks = tuple(tuple(int(i) for i in t) for t in np.split(values["tracks"], starts)) if len(starts) else ()
        focal_error = float(values["focal_error"])
        result = MappedCameras(
            names, missing, cameras, dict(zip(names, values["distortion"], strict=True)), folder / "images",
            values["points"], values["colors"], tracks, float(values["error"]),
            None if np.isnan(focal_error) else focal_error,
        )  # fmt: skip
        whole = all((folder / "images" / file).is_file() for file in values["files"])
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
        return None
    return result if whole else None


def write_result(model: Model, pictures: Sequence[Picture], folder: Path, report: Report, still: bool) -> MappedCameras:
    """Undistort the pictures, write everything, ``mapped.npz`` last, and read it back.

    ``still``: keep the intrinsics and sizes; else pictures are cropped to what is not blank.
    """
    reconstruction, images = model.reconstruction, folder / "images"
    registered = set(reconstruction.reg_image_ids())
    placed = [k for k, p in enumerate(pictures) if p.name and k + 1 in registered]
    points, seen_by = _points(reconstruction, placed)
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir()
    straight: dict[int, Straight] = {}
    for n, k in enumerate(placed):
        report(f"Undistorting picture {n + 1} of {len(placed)}")
        lens = reconstruction.cameras[reconstruction.images[k + 1].camera_id]
        picture = read_image(pictures[k].path)
        _paint(points, seen_by, k + 1, reconstruction.images[k + 1], picture)
        found = straight.setdefault(lens.camera_id, _straightened(lens, still))
        file = images / _file_name(pictures[k], still)
        if found.bends:
            _write_picture(file, found.undistorted(picture))
        elif file.suffix == pictures[k].path.suffix:
            shutil.copyfile(pictures[k].path, file)
        else:
            _write_picture(file, picture)
    lenses = [straight[reconstruction.images[k + 1].camera_id] for k in placed]
    _write_model(reconstruction, {k + 1: _file_name(pictures[k], still) for k in placed}, straight, folder / "sparse")
    place_of = {k + 1: n for n, k in enumerate(placed)}
    tracks = [sorted({place_of[e.image_id] for e in elements}) for elements in seen_by]
    partial = folder / ".mapped.partial.npz"
    np.savez(
        partial,
        names=np.array([pictures[k].name for k in placed], np.str_),
        missing=np.array([p.name for k, p in enumerate(pictures) if p.name and k not in placed], np.str_),
        files=np.array([_file_name(pictures[k], still) for k in placed], np.str_),
        poses=np.stack([_pose(reconstruction.images[k + 1]) for k in placed]),
        pinholes=np.stack([lens.pinhole for lens in lenses]),
        distortion=np.stack([lens.distortion for lens in lenses]),
        points=np.stack([p.xyz for p in points]),
        colors=np.stack([p.color for p in points]) / np.float32(255),
        tracks=np.array([i for track in tracks for i in track], np.int64),
        track_lengths=np.array([len(track) for track in tracks], np.int64),
        error=reconstruction.compute_mean_reprojection_error(),
        focal_error=np.nan if model.focal_error is None else model.focal_error,
    )
    os.replace(partial, folder / "mapped.npz")
    result = finished(folder)
    if result is None:
        raise InputError(f"{folder}: does not hold what was written; is the disk full?")
    report(f"{len(result.names)} of {len(result.names) + len(result.missing)} pictures placed, {len(result.points)} "
           f"points, {result.error:.2f} pixels of error")  # fmt: skip
    return result


@dataclass(frozen=True)
class Straight:
    """``K``: (3, 3) of the lens, ``distortion``: (4,) k1 k2 p1 p2. ``pinhole``: (6,) fx, fy, cx, cy, width and height
    after undistortion. ``bends``: whether that makes a difference."""

    K: Array
    distortion: Array
    pinhole: Array
    bends: bool

    def undistorted(self, image: Image) -> Image:
        """A picture (H, W, 3) as the pinhole sees it."""
        fx, fy, cx, cy, width, height = self.pinhole
        shift = np.array([[0, 0, HALF_PIXEL], [0, 0, HALF_PIXEL], [0, 0, 0]])
        target = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        maps = cv2.initUndistortRectifyMap(
            self.K - shift, self.distortion, np.eye(3), target - shift, (int(width), int(height)), cv2.CV_32FC1
        )
        return np.asarray(cv2.remap(image, *maps, cv2.INTER_CUBIC), np.uint8)


def _straightened(lens: Any, still: bool) -> Straight:
    """What undistortion makes of a camera of COLMAP's: its own intrinsics where it is ``still``, else COLMAP's choice
    without blank pixels."""
    pycolmap = loaded_pycolmap()
    extra = [float(lens.params[i]) for i in lens.extra_params_idxs()]
    distortion = np.array((extra + [0.0] * 4)[:4])
    K = np.array(lens.calibration_matrix())
    corners = np.array([[x, y] for x in (0, lens.width) for y in (0, lens.height)], float)
    ideal = np.concatenate([corners - K[:2, 2], np.ones((4, 1))], axis=1) / [K[0, 0], K[1, 1], 1]
    bent = np.array(lens.img_from_cam(ideal))
    bends = bool(np.linalg.norm(bent - corners, axis=1).max() > NEGLIGIBLE_SHIFT)
    if bends and not still:
        lens = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), lens)
        new = np.array(lens.calibration_matrix())
    else:
        new = K
    pinhole = np.array([new[0, 0], new[1, 1], new[0, 2], new[1, 2], lens.width, lens.height], float)
    return Straight(K, distortion, pinhole, bends)


def _points(reconstruction: Any, placed: Sequence[int]) -> tuple[list[Any], list[list[Any]]]:
    """Points that are seen by pictures that come back, and who of those sees each."""
    numbers = {k + 1 for k in placed}
    points, seen_by = [], []
    for _, point in sorted(reconstruction.points3D.items()):
        elements = [e for e in point.track.elements if e.image_id in numbers]
        if elements:
            points.append(point)
            seen_by.append(elements)
    return points, seen_by


def _paint(points: Sequence[Any], seen_by: Sequence[Sequence[Any]], number: int, shown: Any, picture: Image) -> None:
    """Colour the points of which picture ``number`` is the first that sees them."""
    height, width = picture.shape[:2]
    for point, elements in zip(points, seen_by, strict=True):
        if elements[0].image_id == number:
            x, y = shown.points2D[elements[0].point2D_idx].xy
            point.color = picture[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)]


def _file_name(picture: Picture, still: bool) -> str:
    return picture.name + (".png" if still else "")


def _write_picture(path: Path, image: Image) -> None:
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    if not cv2.imwrite(str(path), image[..., ::-1], settings):
        raise InputError(f"{path}: cannot be written; is the disk full?")


def _pose(image: Any) -> Array:
    return np.concatenate([image.cam_from_world().matrix(), [[0, 0, 0, 1]]])


def _write_model(reconstruction: Any, names: dict[int, str], straight: dict[int, Straight], folder: Path) -> None:
    """``0`` in a folder: the pictures with a name, their pinholes, the points and who sees them where."""
    pycolmap = loaded_pycolmap()
    model = copy.deepcopy(reconstruction)
    for number in list(model.reg_image_ids()):
        image = model.images[number]
        if number not in names:
            model.deregister_frame(image.frame_id)
            continue
        image.name = names[number]
        lens, (fx, fy, cx, cy, *_) = model.cameras[image.camera_id], straight[image.camera_id].pinhole
        for point in image.points2D:
            point.xy = np.array([cx, cy]) + [fx, fy] * lens.cam_from_img(point.xy)
    for camera_id, found in straight.items():
        fx, fy, cx, cy, width, height = found.pinhole
        camera = model.cameras[camera_id]
        camera.model, camera.params = pycolmap.CameraModelId.PINHOLE, [fx, fy, cx, cy]
        camera.width, camera.height = int(width), int(height)
    (folder / "0").mkdir(parents=True, exist_ok=True)
    with quiet():
        model.write_binary(folder / "0")
