"""A scene without its clip, to look at: a file of another program, or a checkpoint by itself.

Nothing says where its cameras stood, unless the file does; one is made that sees the scene from the side on which a
reconstruction's first camera usually is, and a path may go as far around it as a path of a clip may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from renderer.camera import Camera, Matrix, look_at
from renderer.errors import InputError
from renderer.field.model import RadianceField
from renderer.files.as_gaussians import ALWAYS
from renderer.files.cameras import NamedCamera
from renderer.files.read_scene import SUFFIXES, UNREAD, read_scene_file
from renderer.gaussians import Gaussians
from renderer.paths import circled
from renderer.scene import Scene
from training.checkpoint import is_checkpoint, is_run, load_scene
from training.data.dataset import Dataset, Shot
from training.data.recognise import recognise
from training.device import DeviceName
from training.finished_scene import FinishedScene
from training.run import Report, Run

WIDTH, HEIGHT, FOV = 960, 540, np.radians(50.0)
"""Of the camera that is made: pixels, and the vertical field of view."""
UP = (0.0, -1.0, 0.0)
FORWARD = np.array([0.0, 0.0, 1.0])
"""The first camera of a reconstruction, whose axes the files have, looks along +z with +y down."""
SHARES = (0.05, 0.95)
"""Of all opacity, along each axis, what lies below and above the box: strays are no part of what to look at."""
LEAST_RADIUS = 1e-6
NEAR_SHARE = 0.02
"""The nearest that is drawn, of the camera's distance."""
REACH = 0.6
"""Radians to both sides of home at which a camera might have stood, for paths that stay between the cameras."""
LARGEST_SIDE = 1920
"""Pixels: cameras of a file that are larger are made smaller."""
SECONDS, FPS = 4.0, 30
"""How long a scene lasts about which nothing says so, and how many frames per second it is taken to have."""


@dataclass(frozen=True)
class SceneSubject:
    """A ``scene`` of the file or folder ``path``, at a ``step`` of training, 0 where that is not known. ``shots``: the
    cameras of the file, or places where some might have stood, ``home`` in their middle; of a scene that moves at its
    first and at its last frame. ``stated``: whether they are the file's. ``center``: (3,) what to look at. ``depths``:
    between which the scene is, seen from home."""

    path: Path
    scene: Scene
    step: int
    home: Camera
    shots: tuple[Shot, ...]
    stated: bool
    center: tuple[float, float, float]
    depths: tuple[float, float]

    @property
    def dataset(self) -> Dataset:
        """The cameras as those of a clip without pictures, for all that makes paths out of a clip's cameras."""

        def unread(index: int) -> NDArray[np.uint8]:
            raise InputError(f"{self.path}: is a scene without its clip, which has no pictures; give a run")

        near, far = self.depths
        return Dataset(self.path.name, self.path, self.shots, unread, SECONDS, near, far, up=UP)


def is_scene(path: Path) -> bool:
    """Whether a path is for :func:`open_subject` and not a run: by its ending, or as the folder of a checkpoint."""
    return path.suffix.lower() in (*SUFFIXES, *UNREAD) or is_checkpoint(path) or is_checkpoint(path.parent)


def open_subject(path: Path) -> SceneSubject:
    """The scene of a file (:func:`renderer.files.read_scene.open_scene`), of the folder of a checkpoint or of a file in
    it. InputError where there is none, or it cannot be read."""
    cameras: Sequence[NamedCamera] = ()
    step = 0
    scene: Scene
    folder = path if is_checkpoint(path) else path.parent
    if is_checkpoint(folder):
        step, scene = load_scene(folder)
    else:
        scene, cameras = read_scene_file(path)
    if isinstance(scene, RadianceField):
        home, center, depths = _home_of_field(scene)
    else:
        home, center, depths = _home_of_gaussians(path, scene)
    stated = [fitted(c.camera) for c in cameras if _sees(c.camera, center)]
    if stated:
        home = stated[0]
    places = stated or [circled(home, center, np.array(UP), (angle, 0.0)) for angle in (-REACH, 0.0, REACH)]
    near = NEAR_SHARE * depths[0] if stated else home.near
    shots = tuple(
        Shot(f"camera {k}", replace(c, near=near), time, round(time * SECONDS * FPS))
        for time in ((0.0, 1.0) if moves(scene) else (0.0,))
        for k, c in enumerate(places)
    )
    return SceneSubject(path, scene, step, home, shots, bool(stated), _triple(center), depths)


class SceneRun(Run):
    """A subject as a run that is at its end: the engine shows and exports it as any other, and nothing is written."""

    has_clip = False

    def __init__(self, subject: SceneSubject, device: DeviceName = "cpu") -> None:
        trainer = FinishedScene(subject.dataset, subject.scene, subject.step, torch.device(device))
        folder = _folder_beside(subject.path)
        super().__init__(folder, str(subject.path), trainer.config, subject.dataset, trainer, device)
        self.has_cameras = subject.stated

    def begin(self) -> None:
        """InputError: there is nothing to learn from."""
        raise InputError(f"{self.source}: is a scene without its clip and cannot be trained; open the clip")


def opened_run(path: Path, report: Report, device: DeviceName, steps: int | None = None) -> Run:
    """The run in a folder (:meth:`training.run.Run.open`); a scene of :func:`is_scene`, or where a run's clip is gone
    its newest checkpoint, as one. InputError where there is none of these."""
    if is_scene(path):
        report(f"Reading {path.name}")
        return SceneRun(open_subject(path), device)
    try:
        return Run.open(path, steps=steps, report=report, device=device)
    except InputError:
        found = recognise(path)
        if found.kind != "scene":
            raise
        report(found.missing[0])
        return SceneRun(open_subject(found.path), device)


def moves(scene: Scene) -> bool:
    """Whether a scene looks different at different times."""
    if isinstance(scene, RadianceField):
        return scene.frames > 1
    return bool((scene.time_scales.detach() < math.log(ALWAYS) - 1e-3).any())


def scene_extent(gaussians: Gaussians) -> tuple[Matrix, Matrix]:
    """Lower and upper corner (3,) of the box that holds nine tenths of all opacity along each axis, scene units."""
    positions = gaussians.positions.detach().double().cpu().numpy()
    weights = torch.sigmoid(gaussians.opacities.detach()[:, 0]).double().cpu().numpy()
    corners = np.zeros((2, 3))
    for axis in range(3):
        order = np.argsort(positions[:, axis], kind="stable")
        passed = np.cumsum(weights[order]) / weights.sum()
        rows = np.searchsorted(passed, SHARES).clip(max=len(order) - 1)
        corners[:, axis] = positions[order[rows], axis]
    return corners[0], corners[1]


def fitted(camera: Camera) -> Camera:
    """The camera with no side above 1920 pixels."""
    shrink = min(1.0, LARGEST_SIDE / max(camera.width, camera.height))
    size = (max(2, round(camera.width * shrink)), max(2, round(camera.height * shrink)))
    return camera if size == (camera.width, camera.height) else camera.resized(*size)


def _home_of_gaussians(path: Path, gaussians: Gaussians) -> tuple[Camera, Matrix, tuple[float, float]]:
    """Camera, centre and depths of Gaussians; InputError where there are none."""
    if not len(gaussians):
        raise InputError(f"{path}: holds no Gaussians; give another scene")
    low, high = scene_extent(gaussians)
    center = 0.5 * (low + high)
    radius = max(0.5 * float(np.linalg.norm(high - low)), LEAST_RADIUS * max(1.0, float(np.abs(center).max())))
    return (*_home(center, radius / np.sin(0.5 * FOV)), (radius, radius * (2 / np.sin(0.5 * FOV) - 1)))


def _home_of_field(field: RadianceField) -> tuple[Camera, Matrix, tuple[float, float]]:
    """Camera, centre and depths of a radiance field: of the reference camera that its space knows, or of the ball."""
    space = field.space
    depths = (space.near, space.far)
    pose = np.array(space.world_to_local)
    if space.kind == "contraction":
        center = -pose[:3, :3].T @ pose[:3, 3]
        return (*_home(center, max(space.half[0], LEAST_RADIUS)), depths)
    focal = 0.5 * HEIGHT / space.half[1]
    home = Camera(pose, focal, focal, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT, NEAR_SHARE * space.near)
    typical = 2 / (1 / space.near + 1 / space.far)
    return home, home.center + typical * pose[2, :3], depths


def _home(center: Matrix, distance: float) -> tuple[Camera, Matrix]:
    pose = look_at(center - distance * FORWARD, center, np.array(UP))
    return Camera.from_fov(pose, FOV, WIDTH, HEIGHT, NEAR_SHARE * distance), center


def _sees(camera: Camera, point: Matrix) -> bool:
    """Whether a point (3,) is in front of a camera and in its picture."""
    pixels, depths = camera.project(point[None])
    return bool(depths[0] > 0 and (pixels[0] >= 0).all() and (pixels[0] <= [camera.width, camera.height]).all())


def _folder_beside(path: Path) -> Path:
    """Where what is made of a scene goes: the run of a checkpoint, else a folder with the file's name beside it."""
    folder = path if path.is_dir() else path.parent
    if not is_checkpoint(folder):
        return path.with_suffix("")
    return folder.parent.parent if is_run(folder.parent.parent) else folder.parent


def _triple(point: Matrix) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
