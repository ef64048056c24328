"""Where held-out cameras stand in a world whose cameras were learned (SparseCam4D, section 4.1, after InstantSplat).

Their poses are known in the world of the data set, not in that of the learned cameras: between the two lie a similarity
and what was wrong with the stated poses. So the scene is frozen and the pose of each held-out camera is fitted to its
first picture; the scores of all its pictures are taken from there.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from renderer.camera import Camera
from renderer.field.draw import all_pixels
from renderer.field.march import march, rays_through
from renderer.field.model import RadianceField
from renderer.instant import splat_scene
from renderer.scene import Scene
from training.camera_learning import LearnedCameras, camera_center
from training.config import CameraConfig
from training.data.dataset import Dataset
from training.data.images import as_target

COARSE = CameraConfig(enabled=True, rotation=3e-3, translation=3e-3, anchor=0.0)
FINE = CameraConfig(enabled=True, rotation=3e-4, translation=3e-4, anchor=0.0)
"""Step sizes; the translation's are shares of the typical depth."""
STEPS = 120
"""Of each of the two."""
RAYS, PROPOSALS, SAMPLES = 512, 32, 24
"""Of a field, per step."""


def aligned(scene: Scene, dataset: Dataset) -> Dataset:
    """The clip with every held-out camera at the pose from which the scene looks most like its first picture (L1), and
    every held-out shot at one of its own where the clip came without poses."""
    depth = 2 / (1 / dataset.near + 1 / dataset.far)
    if isinstance(scene, RadianceField):
        scene = copy.deepcopy(scene).requires_grad_(False)
    found: dict[object, Camera] = {}
    shots = list(dataset.shots)
    for index in dataset.indices("test"):
        shot = shots[index]
        key = (shot.camera_name, shot.camera) if dataset.posed else index
        if key not in found:
            found[key] = fitted(scene, shot.camera, shot.time, as_target(dataset.read(index)).to(scene.device), depth)
        shots[index] = replace(shot, camera=found[key])
    return replace(dataset, shots=shots)


def fitted(scene: Scene, camera: Camera, time: float, target: Tensor, depth: float) -> Camera:
    """The camera near ``camera`` from which ``scene`` at ``time`` looks most like ``target`` (H, W, 3).

    ``depth``: typical distance of the scene, scene units.
    """
    best, least = camera, float("inf")
    for config in (COARSE, FINE):
        config = replace(config, translation=config.translation * depth)
        learned = LearnedCameras([best], config, 0, STEPS, device=scene.device)
        for step in range(STEPS):
            pose = learned.pose(0)
            loss = _difference(scene, camera, time, target, pose, step)
            if loss.item() < least:
                best, least = learned.camera(0), loss.item()
            loss.backward()
            learned.step(step)
    return best


def _difference(
    scene: Scene, camera: Camera, time: float, target: torch.Tensor, pose: torch.Tensor, seed: int
) -> Tensor:
    """L1 of the picture from a pose: all of it for Gaussians, random rays of it for a field."""
    if isinstance(scene, RadianceField):
        generator = torch.Generator().manual_seed(seed)
        pixels = all_pixels(camera)[torch.randint(camera.width * camera.height, (RAYS,), generator=generator)]
        pixels = pixels.to(pose.device)
        seen = march(scene, rays_through(camera, pixels, time, pose), PROPOSALS, SAMPLES).color()
        return (seen - target[pixels[:, 1], pixels[:, 0]]).abs().mean()
    image = splat_scene(scene.detached(), time, camera, pose=pose, center=camera_center(pose)).image
    return (image.color - target).abs().mean()
