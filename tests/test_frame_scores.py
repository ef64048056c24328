"""What a timeline says about the frames of a clip: a frame made bad comes out worst, and what moves is counted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderer.render import render_gaussians
from renderer.view import View
from tests.test_field_trainer import CONFIG as FIELD
from tests.tiny import camera_at, random_gaussians, tiny_dataset
from training.config import TrainConfig, resolved
from training.data.dataset import Dataset, Shot
from training.field_trainer import FieldTrainer
from training.frame_scores import frame_errors, moving_energy
from training.gaussian_trainer import GaussianTrainer

CONFIG = resolved(TrainConfig(steps=40), "cpu")


def scores(pieces: Iterator[tuple[int, float] | None]) -> dict[int, float]:
    found = [piece for piece in pieces if piece is not None]
    assert len(dict(found)) == len(found)
    return dict(found)


def with_pictures(dataset: Dataset, change: dict[int, np.ndarray]) -> Dataset:
    """The clip with other pictures of some shots."""
    return replace(dataset, read=lambda i: change[i] if i in change else dataset.read(i))


def textured(width: int, height: int) -> np.ndarray:
    """(height, width, 3) soft noise that corners can be found in."""
    noise = np.random.default_rng(3).random((height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return ((soft - soft.min()) / (soft.max() - soft.min()) * 255).astype(np.uint8)


def panned(frames: int = 6, jump: int = 3) -> tuple[Dataset, int]:
    """One camera that pans over a texture by 3 pixels a frame, and in whose frame ``jump`` a thing appears."""
    width, height = 120, 90
    world, shots, images = textured(200, 140), [], []
    for k in range(frames):
        shots.append(Shot("hand", camera_at(0.02 * k, width, height), k / (frames - 1), k))
        image = world[10 + k : 10 + k + height, 3 * k : 3 * k + width].copy()
        if k == jump:
            image[20:50, 30:70] = 255 - image[20:50, 30:70]
        images.append(image)
    return Dataset("pan", Path("pan"), shots, lambda i: images[i], 1.0, 1.0, 6.0), jump


def test_energy_is_the_mean_difference_to_the_picture_before() -> None:
    clip = tiny_dataset(frames=5)
    found = scores(moving_energy(clip))
    assert sorted(found) == [1, 2, 3, 4]  # the first has no earlier one
    train = {(clip.shots[i].camera_name, clip.shots[i].frame): clip.read(i) / 255.0 for i in clip.indices("train")}
    for frame, energy in found.items():
        pairs = [(train[name, frame], train[name, frame - 1]) for name in ("left", "right")]
        assert energy == pytest.approx(np.mean([np.abs(a - b).mean() for a, b in pairs]), rel=1e-5)


def test_the_frame_in_which_something_jumps_has_the_most_energy() -> None:
    clip = tiny_dataset(frames=6)
    jump = next(i for i in clip.indices("train") if clip.shots[i].frame == 5)
    found = scores(moving_energy(with_pictures(clip, {jump: 255 - clip.read(jump)})))
    assert max(found, key=lambda k: found[k]) == 5


def test_the_motion_of_a_hand_held_camera_is_not_counted() -> None:
    clip, jump = panned()
    found = scores(moving_energy(clip))
    raw = np.abs(clip.read(1).astype(float) - clip.read(0)).mean() / 255
    assert raw > 0.05
    assert found[1] < 0.1 * raw and found[2] < 0.1 * raw and found[5] < 0.1 * raw
    appears = np.abs(255 - 2 * clip.read(jump)[20:50, 30:70].astype(float)).mean() / 255 * (30 * 40) / (120 * 90)
    assert found[jump] == pytest.approx(appears, rel=0.25)
    assert found[jump + 1] == pytest.approx(appears, rel=0.25)  # it disappears again


def test_energy_is_measured_on_small_pictures() -> None:
    clip = tiny_dataset(frames=3)
    large = replace(
        clip,
        shots=[replace(s, camera=s.camera.resized(640, 480)) for s in clip.shots],
        read=lambda i: cv2.resize(clip.read(i), (640, 480), interpolation=cv2.INTER_CUBIC),
    )
    small, found = scores(moving_energy(clip)), scores(moving_energy(large))
    for frame in small:
        assert found[frame] == pytest.approx(small[frame], rel=0.1)


def test_the_error_of_a_frame_is_that_of_a_render_to_its_picture() -> None:
    clip = tiny_dataset(frames=5)
    trainer = GaussianTrainer(clip, CONFIG)
    found = scores(frame_errors(trainer))
    assert sorted(found) == [0, 1, 2, 3, 4]
    for frame, error in found.items():
        name = ("left", "right")[frame % 2]  # in turns
        index = next(i for i, s in enumerate(clip.shots) if (s.camera_name, s.frame) == (name, frame))
        shot = clip.shots[index]
        color = render_gaussians(trainer.scene, View(shot.camera, shot.time), backend="reference").color
        assert error == pytest.approx(np.abs(np.clip(color, 0, 1) - clip.read(index) / 255.0).mean(), rel=1e-3)


def test_a_frame_that_does_not_fit_has_the_largest_error() -> None:
    """The scene is the truth, and every training picture of frame 2 is turned upside down."""
    clip = tiny_dataset(frames=6)
    bad = {i: clip.read(i)[::-1].copy() for i in clip.indices("train") if clip.shots[i].frame == 2}
    trainer = GaussianTrainer(with_pictures(clip, bad), CONFIG)
    trainer.optimizer.gaussians = random_gaussians(40, seed=7)
    found = scores(frame_errors(trainer))
    assert max(found, key=lambda k: found[k]) == 2
    assert found[2] > 10 * max(error for frame, error in found.items() if frame != 2)


def test_of_many_instants_some_are_measured_evenly_over_the_clip() -> None:
    trainer = GaussianTrainer(tiny_dataset(frames=9), CONFIG)
    assert sorted(scores(frame_errors(trainer, at_most=3))) == [0, 4, 8]


def test_a_field_is_compared_at_the_pixels_of_a_grid() -> None:
    trainer = FieldTrainer(tiny_dataset(frames=6), resolved(FIELD, "cpu"))
    found = scores(frame_errors(trainer))
    index = next(i for i in trainer.dataset.indices("train") if trainer.dataset.shots[i].frame == 0)
    shot = trainer.dataset.shots[index]
    camera = trainer.clip().shots[index].camera
    color = trainer.draw(View(camera, shot.time)).color
    error = np.abs(np.clip(color, 0, 1) - trainer.dataset.read(index) / 255.0).mean()
    assert found[0] == pytest.approx(error, rel=0.1)  # of 1,200 pixels 500
    assert len(found) == 6
