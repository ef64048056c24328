"""A textured room with things that move, ray-traced exactly: the truth for tests, benchmarks and the demo.

Every object is a unit box or ball under an affine motion, local -> R(t) diag(radii(t)) local + center(t): a ball on a
path, a cube that spins, an ellipsoid that squashes. So the hit point, its depth and where that point goes are closed
forms. Colours are smooth patterns in local coordinates, and four rays per pixel soften the edges.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from renderer.camera import Camera, look_at
from training.data.dataset import Dataset, PointCloud, Shot

Array = NDArray[np.float64]
Preset = Literal["sparse", "small-motion"]

UP = (0.0, -1.0, 0.0)
SUBSAMPLES = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
POINT_NOISE = 0.005
"""Relative depth noise of the sparse points: one part in two hundred, as of structure from motion."""
POINTS = 8000


@dataclass(frozen=True)
class GroundTruth:
    """``color`` (H, W, 3) float32 sRGB in [0, 1]; ``depth`` (H, W) float32 along +z at pixel centres, metres;
    ``moving`` (H, W) bool, pixels whose centre shows something that moves."""

    color: NDArray[np.float32]
    depth: NDArray[np.float32]
    moving: NDArray[np.bool_]


@dataclass(frozen=True)
class Hits:
    """What N rays meet: ``distance`` (N,) in units of the direction, ``object`` (N,) index, ``local`` (N, 3)."""

    distance: Array
    object: NDArray[np.int64]
    local: Array


class ProceduralScene:
    """The room of a recipe (``assets/procedural.json``); ``seed`` turns the movers to other phases."""

    def __init__(self, recipe: dict[str, Any], seed: int = 0) -> None:
        self.recipe = recipe
        self.objects: list[dict[str, Any]] = recipe["objects"]
        self._light = np.array(recipe["light"], float)
        phases = np.random.default_rng(seed).uniform(0, 1, len(self.objects))
        self._phases = phases if seed else np.zeros(len(self.objects))

    @staticmethod
    def from_recipe(recipe: dict[str, Any] | None = None, seed: int = 0) -> ProceduralScene:
        """The scene of a recipe, of the project's own when none is given."""
        return ProceduralScene(recipe or load_recipe(), seed)

    def render(self, camera: Camera, time: float) -> GroundTruth:
        """The exact picture of a camera at a time in [0, 1]."""
        shape = (camera.height, camera.width)
        hits, _, _ = self._trace(camera, time, (0.5, 0.5))
        color = np.zeros((camera.height * camera.width, 3))
        for offset in SUBSAMPLES:
            sample, origin, rays = self._trace(camera, time, offset)
            color += self._shade(sample, origin + sample.distance[:, None] * rays, time)
        color /= len(SUBSAMPLES)
        moving = np.array(["motion" in o for o in self.objects])[hits.object]
        return GroundTruth(
            color.reshape(*shape, 3).astype(np.float32),
            hits.distance.reshape(shape).astype(np.float32),  # directions have a camera z of 1
            moving.reshape(shape),
        )

    def flow(
        self, camera: Camera, t0: float, t1: float, camera1: Camera | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Where each pixel of ``camera`` at ``t0`` goes in ``camera1`` (the same by default) at ``t1``.

        Returns the displacement (H, W, 2) in pixels and (H, W) whether the point is seen there.
        """
        camera1 = camera1 or camera
        hits, _, _ = self._trace(camera, t0, (0.5, 0.5))
        moved = np.empty_like(hits.local)
        for k in range(len(self.objects)):
            on = hits.object == k
            R, radii, center = self._pose(k, t1)
            moved[on] = (hits.local[on] * radii) @ R.T + center
        uv, z = camera1.project(moved)
        ys, xs = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
        flow = (uv - np.stack([xs.ravel(), ys.ravel()], axis=1)).reshape(camera.height, camera.width, 2)
        seen = self._intersect(camera1.center, moved - camera1.center, t1).distance > 1 - 1e-3
        inside = (z > 0) & (uv >= 0).all(1) & (uv < [camera1.width, camera1.height]).all(1)
        return flow.astype(np.float32), (seen & inside).reshape(camera.height, camera.width)

    # -------------------------------------------------------------------------------------- geometry

    def _pose(self, k: int, time: float) -> tuple[Array, Array, Array]:
        """Rotation (3, 3), radii (3,) and centre (3,) of an object at a time."""
        o = self.objects[k]
        radii, center, R = np.array(o["radii"], float), np.array(o["center"], float), np.eye(3)
        motion, turn = o.get("motion", {}), time + self._phases[k]
        if "path" in motion:
            p = motion["path"]
            angle = 2 * np.pi * (p["turns"] * turn + p["phase"])
            center = center + np.array(p["radii"]) * [np.cos(angle), 0, np.sin(angle)]
            center[1] -= p["hop"] * abs(np.sin(2 * np.pi * turn))
        if "spin" in motion:
            axis = np.array(motion["spin"]["axis"], float)
            R = Rotation.from_rotvec(
                2 * np.pi * motion["spin"]["turns"] * turn * axis / np.linalg.norm(axis)
            ).as_matrix()
        if "pulse" in motion:
            p = motion["pulse"]
            radii = radii * (1 + np.array(p["amplitude"]) * np.sin(2 * np.pi * p["turns"] * turn))
        return R, radii, center

    def _trace(self, camera: Camera, time: float, offset: tuple[float, float]) -> tuple[Hits, Array, Array]:
        """Rays through one place of every pixel; directions (N, 3) have length 1 along the camera's axis."""
        ys, xs = np.mgrid[0 : camera.height, 0 : camera.width]
        u, v = (xs.ravel() + offset[0] - camera.cx) / camera.fx, (ys.ravel() + offset[1] - camera.cy) / camera.fy
        directions = np.stack([u, v, np.ones_like(u)], axis=1) @ camera.camera_to_world[:3, :3].T
        return self._intersect(camera.center, directions, time, camera), camera.center, directions

    def _intersect(self, origin: Array, directions: Array, time: float, camera: Camera | None = None) -> Hits:
        """What rays from one place meet; with ``camera`` they are one per pixel, row by row, and each object is tried
        only where it can be seen."""
        N = len(directions)
        distance, index, local = np.full(N, np.inf), np.zeros(N, np.int64), np.zeros((N, 3))
        everywhere = np.arange(N)
        for k, o in enumerate(self.objects):
            R, radii, center = self._pose(k, time)
            rays = everywhere if camera is None else _pixels_of_box(camera, R, radii, center, everywhere)
            start, step = (origin - center) @ R / radii, directions[rays] @ R / radii
            t = _hit_ball(start, step) if o["shape"] == "ball" else _hit_box(start, step, o["shape"] == "room")
            closer = t < distance[rays]
            met = rays[closer]
            distance[met], index[met] = t[closer], k
            local[met] = start + t[closer, None] * step[closer]
        return Hits(distance, index, local)

    # --------------------------------------------------------------------------------------- colours

    def _shade(self, hits: Hits, points: Array, time: float) -> Array:
        """Diffuse light from one lamp, a soft ambient part, and soft dark patches under things on the floor."""
        color = np.zeros_like(points)
        normals = np.zeros_like(points)
        for k, o in enumerate(self.objects):
            on = hits.object == k
            if not on.any():
                continue
            R, radii, _ = self._pose(k, time)
            local = hits.local[on]
            color[on] = PATTERNS[o["pattern"]](local, *(np.array(c) for c in o["colors"]))
            n = local if o["shape"] == "ball" else _box_normal(local, o["shape"] == "room")
            n = (n / radii) @ R.T
            normals[on] = n / np.linalg.norm(n, axis=1, keepdims=True)
        to_light = self._light - points
        to_light /= np.linalg.norm(to_light, axis=1, keepdims=True)
        facing = np.clip((normals * to_light).sum(1), 0, 1)
        ambient = 0.62 - 0.1 * normals[:, 1]
        light = (ambient + 0.46 * facing) * self._contact(hits, points, normals, time)
        return np.clip(color * light[:, None], 0, 1)

    def _contact(self, hits: Hits, points: Array, normals: Array, time: float) -> Array:
        """(N,) share of light that is left near the feet of objects: only what faces up loses some."""
        left = np.ones(len(points))
        lit = np.flatnonzero(normals[:, 1] < -0.01)
        points, upward, owner = points[lit], -normals[lit, 1], hits.object[lit]
        shade = np.ones(len(lit))
        for k, o in enumerate(self.objects):
            if o["name"] in ("room", "rug", "picture"):
                continue
            _, radii, center = self._pose(k, time)
            size = float(max(radii[0], radii[2])) * 1.15
            across = ((points[:, [0, 2]] - center[[0, 2]]) ** 2).sum(1) / size**2
            height = np.clip((1.2 - (center[1] + radii[1])) / 1.5, 0, 1)
            shade -= 0.45 * (1 - height) * np.exp(-across) * upward * (owner != k)
        left[lit] = np.clip(shade, 0.35, 1)
        return left


def _pixels_of_box(
    camera: Camera, R: Array, radii: Array, center: Array, everywhere: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Indices, row by row, of the pixels that a turned box may touch; all where it reaches behind the camera."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    uv, z = camera.project((corners * radii) @ R.T + center)
    if z.min() < 1e-3:
        return everywhere
    (x0, y0), (x1, y1) = np.floor(uv.min(0)).astype(int) - 1, np.ceil(uv.max(0)).astype(int) + 1
    grid = everywhere.reshape(camera.height, camera.width)
    return grid[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)].ravel()


def load_recipe() -> dict[str, Any]:
    """The recipe that the project ships."""
    return json.loads(files("assets").joinpath("procedural.json").read_text())


def _hit_ball(start: Array, step: Array) -> Array:
    """Distance to the unit ball, infinite where it is missed or behind."""
    a, b, c = (step * step).sum(1), (step * start).sum(1), float(start @ start) - 1
    disc = b * b - a * c
    t = (-b - np.sqrt(np.maximum(disc, 0))) / a
    return np.where((disc > 0) & (t > 1e-9), t, np.inf)


def _hit_box(start: Array, step: Array, inside: bool) -> Array:
    """Distance to the unit box: where a ray enters it, or, from inside, where it leaves."""
    with np.errstate(divide="ignore"):
        inverse = 1 / np.where(np.abs(step) < 1e-12, 1e-12, step)
    t0, t1 = (-1 - start) * inverse, (1 - start) * inverse
    enter, leave = np.minimum(t0, t1).max(1), np.maximum(t0, t1).min(1)
    t = leave if inside else enter
    return np.where((enter <= leave) & (t > 1e-9), t, np.inf)


def _box_normal(local: Array, inside: bool) -> Array:
    axis = np.abs(local).argmax(1)
    normal = np.zeros_like(local)
    rows = np.arange(len(local))
    normal[rows, axis] = np.sign(local[rows, axis]) * (-1 if inside else 1)
    return normal


def _mix(weight: Array, a: Array, b: Array) -> Array:
    return a + weight[:, None] * (b - a)


def _soft(x: Array, sharpness: float = 2.5) -> Array:
    """A wave in [0, 1] with flat tops and soft edges."""
    return 0.5 + 0.5 * np.tanh(sharpness * x) / np.tanh(sharpness)


def _checker(local: Array, a: Array, b: Array) -> Array:
    x, y, z = (np.sin(2.5 * np.pi * local[:, k] + 0.4) for k in range(3))
    return _mix(_soft(2.2 * x * y + 1.2 * z * x + 0.8 * y * z), a, b)


def _stripes(local: Array, a: Array, b: Array) -> Array:
    angle = np.arctan2(local[:, 2], local[:, 0])
    return _mix(_soft(np.sin(6 * angle + 3 * local[:, 1])), a, b)


def _planks(local: Array, a: Array, b: Array) -> Array:
    grain = np.sin(9 * local[:, 1] + 2 * np.sin(3 * local[:, 0]) + 2 * local[:, 2])
    seam = np.exp(-((np.sin(1.5 * np.pi * local[:, 0] + 0.8) / 0.18) ** 2))
    return _mix(0.5 + 0.5 * grain, a, b) * (1 - 0.45 * seam[:, None])


def _waves(local: Array, a: Array, b: Array) -> Array:
    x, y = local[:, 0], local[:, 1]
    frame = (np.abs(x) > 0.9) | (np.abs(y) > 0.84)
    inner = _mix(_soft(np.sin(5 * y + 1.6 * np.sin(3.2 * x)), 1.5), a, b)
    return np.where(frame[:, None], np.array([0.30, 0.22, 0.16]), inner)


def _rug(local: Array, a: Array, b: Array) -> Array:
    x, z = 1.75 * local[:, 0], 1.25 * local[:, 2]
    diamonds = _soft(1.5 * np.cos(4.2 * x) * np.cos(4.2 * z) + 0.3 * np.cos(8.4 * x))
    border = _soft(np.maximum(np.abs(x) - 1.5, np.abs(z) - 1.0) / 0.06)
    return _mix(border, _mix(diamonds, a, b), 0.55 * a + 0.1)


def _room(local: Array, a: Array, b: Array) -> Array:
    x, y, z = 3.0 * local[:, 0], local[:, 1], 4.3 * local[:, 2]
    board = np.sin(2 * np.pi * x / 0.62)
    grain = 0.5 + 0.5 * np.sin(3.1 * z + 1.5 * np.sin(1.1 * x * 3) + 4 * np.floor(x / 0.31))
    floor = _mix(grain, np.array([0.56, 0.41, 0.27]), np.array([0.68, 0.52, 0.36]))
    floor = floor * (1 - 0.22 * np.exp(-((board / 0.2) ** 2)))[:, None]
    along = np.where(np.abs(local[:, 0]) > np.abs(local[:, 2]), z, x)
    wall = _mix(_soft(np.sin(2 * np.pi * along / 0.9), 1.2), a, b)
    panel = _soft((y - 0.25) / 0.02)[:, None]
    wall = wall * (1 - panel) + panel * _mix(_soft(np.sin(2 * np.pi * along / 0.45), 1.0), 0.62 * b, 0.72 * b)
    axis = np.abs(local).argmax(1)
    ceiling = np.broadcast_to(np.array([0.88, 0.87, 0.84]), wall.shape)
    return np.where((axis == 1)[:, None], np.where((y > 0)[:, None], floor, ceiling), wall)


PATTERNS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "checker": _checker,
    "stripes": _stripes,
    "planks": _planks,
    "waves": _waves,
    "rug": _rug,
    "room": _room,
}

# --------------------------------------------------------------------------------------------- clips


def procedural_dataset(
    preset: Preset = "sparse", *, width: int = 288, height: int = 216, frames: int = 24, seed: int = 0
) -> Dataset:
    """A clip of the room. ``sparse``: three static cameras, three more held out. ``small-motion``: one hand-held
    camera that drifts by a few per cent of the depth, three static ones beside it held out."""
    recipe = load_recipe()
    scene = ProceduralScene.from_recipe(recipe, seed)
    make = _sparse_shots if preset == "sparse" else _small_motion_shots
    shots = make(recipe, width, height, frames, seed)
    truths = _Truths(scene, shots)
    distance = recipe["presets"][preset]["distance"]
    dataset = Dataset(
        name=f"demo-{preset}",
        source=Path(f"demo:{preset}"),
        shots=shots,
        read=lambda i: (truths[i].color * 255 + 0.5).astype(np.uint8),
        duration=(frames - 1) / 12,
        near=0.4 * distance,
        far=2.2 * distance,
        up=UP,
        depth=lambda i: truths[i].depth,
    )
    return replace(dataset, points=_sparse_points(dataset, truths, seed))


class _Truths:
    """Pictures rendered when first asked for, by any thread, and kept."""

    def __init__(self, scene: ProceduralScene, shots: list[Shot]) -> None:
        self._scene, self._shots, self._lock = scene, shots, Lock()
        self._kept: OrderedDict[int, GroundTruth] = OrderedDict()

    def __getitem__(self, index: int) -> GroundTruth:
        with self._lock:
            if index in self._kept:
                return self._kept[index]
        truth = self._scene.render(self._shots[index].camera, self._shots[index].time)
        with self._lock:
            self._kept[index] = truth
        return truth


def _around(recipe: dict[str, Any], preset: str, angles: tuple[float, float], width: int, height: int) -> Camera:
    """A camera at (sideways, upward) degrees around the focus."""
    side, up = np.radians(angles)
    arm = np.array([np.sin(side) * np.cos(up), -np.sin(up), -np.cos(side) * np.cos(up)])
    focus = np.array(recipe["focus"])
    pose = look_at(focus + recipe["presets"][preset]["distance"] * arm, focus, np.array(UP))
    return Camera.from_fov(pose, np.radians(recipe["fov_degrees"]), width, height)


def _sparse_shots(recipe: dict[str, Any], width: int, height: int, frames: int, seed: int) -> list[Shot]:
    settings = recipe["presets"]["sparse"]
    cameras = [(f"cam{k}", a, "train") for k, a in enumerate(settings["train_angles"])]
    cameras += [(f"test{k}", a, "test") for k, a in enumerate(settings["test_angles"])]
    return [
        Shot(name, _around(recipe, "sparse", angles, width, height), k / max(1, frames - 1), k, split)  # type: ignore[arg-type]
        for name, angles, split in cameras
        for k in range(frames)
    ]


def _small_motion_shots(recipe: dict[str, Any], width: int, height: int, frames: int, seed: int) -> list[Shot]:
    settings = recipe["presets"]["small-motion"]
    still = _around(recipe, "small-motion", settings["angle"], width, height)
    rng = np.random.default_rng([seed, 1])
    phase = rng.uniform(0, 2 * np.pi, 6)
    shots = []
    for k in range(frames):
        time = k / max(1, frames - 1)
        sway = np.array([np.sin(2 * np.pi * (0.5 + 0.3 * n) * time + phase[n]) for n in range(6)])
        offset = np.array([time - 0.5, 0, 0]) * settings["baseline"] + sway[:3] * settings["baseline"] * [
            0.1,
            0.15,
            0.1,
        ]
        shots.append(Shot("hand", _shifted(still, offset, 0.004 * sway[3:]), time, k))
    for n, offset in enumerate(settings["test_offsets"]):
        camera = _shifted(still, np.array(offset), np.zeros(3))
        shots += [Shot(f"test{n}", camera, k / max(1, frames - 1), k, "test") for k in range(frames)]
    return shots


def _shifted(camera: Camera, offset: Array, turn: Array) -> Camera:
    """The camera moved by ``offset`` along its own axes and turned by the rotation vector ``turn``."""
    step = np.eye(4)
    step[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    step[:3, 3] = -step[:3, :3] @ offset
    return camera.moved(step @ camera.world_to_camera)


def _sparse_points(dataset: Dataset, truths: _Truths, seed: int) -> PointCloud:
    """Points as structure from motion would give: surfaces that training pictures show, with a little depth noise.

    What moves has the time of its picture, what stands still a uniform one.
    """
    rng = np.random.default_rng([seed, 2])
    train = dataset.indices("train")
    chosen = [train[round(k * (len(train) - 1) / 11)] for k in range(12)] if len(train) > 12 else train
    points, colors, times = [], [], []
    for index in chosen:
        shot, truth = dataset.shots[index], truths[index]
        n = POINTS // len(chosen)
        xs, ys = rng.integers(0, shot.camera.width, n), rng.integers(0, shot.camera.height, n)
        depths = np.asarray(truth.depth[ys, xs] * (1 + POINT_NOISE * rng.normal(size=n)), np.float64)
        pixels = np.stack([xs, ys], axis=1).astype(np.float64) + 0.5
        points.append(shot.camera.unproject(pixels, depths))
        colors.append(truth.color[ys, xs])
        times.append(np.where(truth.moving[ys, xs], shot.time, rng.uniform(0, 1, n)))
    return PointCloud(*(np.concatenate(part).astype(np.float32) for part in (points, colors, times)))
