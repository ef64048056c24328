"""Fitting held-out cameras to a frozen scene."""

from dataclasses import replace

import numpy as np

from renderer.camera import Camera
from tests.tiny import random_gaussians, tiny_dataset
from training.alignment import Similarity, pose_errors
from training.data.dataset import Dataset
from training.evaluation import score
from training.generators.inconsistent import perturbed
from training.held_out import aligned

STILL = Similarity(1.0, np.eye(3), np.zeros(3))


def pushed(dataset: Dataset, degrees: float = 1.0, distance: float = 0.04) -> Dataset:
    """The clip with its held-out cameras stated wrong, by an angle and a distance in scene units."""
    shots = [
        replace(s, camera=perturbed([s.camera], degrees, distance, 5)[0]) if s.split == "test" else s
        for s in dataset.shots
    ]
    return replace(dataset, shots=shots)


def test_a_held_out_camera_finds_its_place_and_trained_ones_stay() -> None:
    truth, scene = tiny_dataset(width=80, height=60), random_gaussians(40, seed=7)
    stated = pushed(truth)
    found = aligned(scene, stated)
    test = truth.indices("test")

    def camera(clip: Dataset) -> Camera:
        return clip.shots[test[0]].camera

    before, after = (pose_errors([camera(c)], [camera(truth)], STILL)[0] for c in (stated, found))
    assert (after < before / 4).all(), (before, after)
    for index in test:
        assert score(scene, found, index).psnr > score(scene, stated, index).psnr + 5
        assert found.shots[index].camera == camera(found)  # one pose for all of its pictures
    for index in truth.indices("train"):
        assert found.shots[index] == stated.shots[index]
