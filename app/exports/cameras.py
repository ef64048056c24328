"""A clip's cameras where they are now, learned ones too, as files for other programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from app.exports.plans import CameraExport
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.cameras import NamedCamera
from renderer.files.colmap_cameras import may_be_replaced, write_colmap
from renderer.files.complete import CompleteFolder, not_written
from renderer.files.transforms import write_transforms
from renderer.gaussians import Gaussians
from renderer.harmonics import SH_C0
from renderer.scene import Scene
from training.data.dataset import Dataset
from training.run import Run

MOST_POINTS = 50_000
"""Points that go with the cameras."""
SOLID = 0.5
"""Opacity from which on a Gaussian is taken for a point of a surface."""
MOST_BEGINNINGS = 10
"""Cameras in a .splatv: viewers choose them with the keys 0 to 9."""

ELSEWHERE = "choose a new or an empty folder for the cameras"

Points = tuple[NDArray[np.floating], NDArray[np.floating]]


def named_cameras(clip: Dataset) -> list[NamedCamera]:
    """One per shot, with the name that its picture has beside the file, "00001.png" of a clip of one camera and
    "left_00001.png" of several. ``clip``: with its cameras where they are now (:meth:`Trainer.clip`)."""
    names = clip.camera_names
    plain = [re.sub(r"[^\w.-]", "_", name) for name in names]
    if len(set(plain)) < len(plain):
        plain = [f"camera{k + 1}" for k in range(len(names))]
    before = dict(zip(names, ([""] if len(names) == 1 else [f"{name}_" for name in plain]), strict=True))
    return [
        NamedCamera(s.camera_name, s.camera, s.time, f"{before[s.camera_name]}{s.frame + 1:05d}.png")
        for s in clip.shots
    ]


def first_cameras(clip: Dataset) -> list[NamedCamera]:
    """Where a viewer of the scene may begin: cameras of the clip, the one in their middle first."""
    cameras = named_cameras(clip)
    distinct = list({named.camera: named for named in (cameras[i] for i in clip.indices("train"))}.values())
    middle = middle_of([named.camera for named in distinct])
    rest = distinct[:middle] + distinct[middle + 1 :]
    spread = np.linspace(0, len(rest) - 1, min(len(rest), MOST_BEGINNINGS - 1)).round().astype(int)
    return [distinct[middle], *(rest[k] for k in spread)]


def home_camera(clip: Dataset) -> Camera:
    """The training camera nearest to the middle of them all."""
    cameras = [clip.shots[i].camera for i in clip.indices("train")]
    return cameras[middle_of(cameras)]


def middle_of(cameras: Sequence[Camera]) -> int:
    """Which of the cameras stands nearest to the middle of them all."""
    centers = np.stack([camera.center for camera in cameras])
    return int(np.linalg.norm(centers - np.median(centers, axis=0), axis=1).argmin())


def check_cameras(job: CameraExport) -> None:
    """InputError for a name that does not fit the kind."""
    if job.kind == "transforms" and job.path.suffix != ".json":
        raise InputError(f"{job.path}: is to be a .json file; end its name in .json, such as transforms.json")
    if job.kind == "colmap" and job.path.is_file():
        raise InputError(f"{job.path}: is a file, where a folder is to be made; choose another name")


def check_stood(run: Run) -> None:
    """InputError for a scene file that says nothing of cameras."""
    if not run.has_cameras:
        raise InputError(f"{run.source}: says nothing of cameras; cameras are exported of a run, or of a .splatv")


def write_cameras(
    clip: Dataset, scene: Scene, job: CameraExport, pictures: bool = False, agreed: bool = False
) -> Iterator[tuple[int, int, Path]]:
    """Write the cameras, and with ``pictures`` the clip's pictures into ``images/`` beside them, at the size that they
    are learned from: how much is done, of how much, and the newest file. The cameras come last; closing the
    iterator leaves nothing.

    ``agreed``: whether a person has agreed to replace what is there in ``images/`` and ``sparse/0``, which nobody has
    named. InputError where not, unless an export has written it: pictures that are the same, a model of
    :func:`write_colmap`; and when it cannot be written.
    """
    check_cameras(job)
    if job.kind == "colmap" and not (agreed or may_be_replaced(job.path)):
        raise InputError(f"{job.path / 'sparse' / '0'}: holds a model that dynview has not written; {ELSEWHERE}")
    cameras = named_cameras(clip)
    folder = job.path if job.kind == "colmap" else job.path.parent
    total = 1 + (len(cameras) if pictures else 0)
    if pictures:
        for done, path in _pictures(clip, cameras, folder / "images", agreed):
            yield done, total, path
    if job.kind == "colmap":
        write_colmap(job.path, cameras, *scene_points(scene, clip))
    else:
        write_transforms(job.path, [NamedCamera(c.name, c.camera, c.time, f"images/{c.picture}") for c in cameras])
    yield total, total, job.path


def _pictures(clip: Dataset, cameras: list[NamedCamera], folder: Path, agreed: bool) -> Iterator[tuple[int, Path]]:
    images = CompleteFolder(folder, re.compile("|".join(re.escape(named.picture) for named in cameras)))
    partial = images.begin()
    try:
        for index, named in enumerate(cameras):
            made, data = cv2.imencode(".png", np.ascontiguousarray(clip.read(index)[..., ::-1]))
            assert made, "a picture of bytes can be a PNG"
            path, new = folder / named.picture, data.tobytes()
            if not agreed and path.exists() and path.read_bytes() != new:
                raise InputError(f"{folder}: holds another {named.picture}; {ELSEWHERE}")
            (partial / named.picture).write_bytes(new)
            yield index + 1, path
        images.finish()
    except OSError as problem:
        raise not_written(folder, problem) from None
    finally:
        images.discard()


def scene_points(scene: Scene, clip: Dataset) -> Points | tuple[()]:
    """Points (N, 3), scene units, and colours (N, 3) in [0, 1] where the scene is: solid Gaussians, else the points
    that came with the clip, else none."""
    if isinstance(scene, Gaussians):
        with torch.no_grad():
            solid = torch.nonzero(torch.sigmoid(scene.opacities[:, 0]) > SOLID).squeeze(1)
            ids = solid[:: max(1, -(-len(solid) // MOST_POINTS))]
            colors = (0.5 + SH_C0 * scene.sh_dc[ids, 0]).clamp(0, 1)
            return scene.positions[ids].cpu().numpy(), colors.cpu().numpy()
    if clip.points is not None:
        every = max(1, -(-len(clip.points.points) // MOST_POINTS))
        return clip.points.points[::every], clip.points.colors[::every]
    return ()
