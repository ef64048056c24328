"""What can be asked about a view besides its colours, and which of the clip's pictures belong to it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from renderer.camera import Camera
from renderer.field.model import FieldShape, RadianceField
from renderer.field.space import Space
from renderer.gaussians import Gaussians
from renderer.motion import moving
from renderer.scene import ray_distribution
from renderer.slicing import slice_at
from renderer.view import View
from tests.test_field_trainer import CONFIG as FIELD
from tests.test_generated_term import clip as clip_with_generated
from tests.tiny import camera_at, random_gaussians, tiny_dataset
from training import clip_pictures
from training.clip_pictures import nearest_shot, shot_of
from training.config import CameraConfig, TrainConfig, resolved
from training.data.dataset import Dataset
from training.ddr_config import TermsConfig
from training.field_trainer import FieldTrainer
from training.gaussian_trainer import GaussianTrainer
from training.ray_means import mean_speed, moving_share
from training.trainer import FIELD_PIXELS

CONFIG = resolved(TrainConfig(steps=40), "cpu")
PIXELS = [(20, 15), (14, 11), (27, 18), (22, 8)]


def trainer(dataset: Dataset | None = None, scene: Gaussians | None = None) -> GaussianTrainer:
    made = GaussianTrainer(dataset or tiny_dataset(), CONFIG)
    made.optimizer.gaussians = random_gaussians(60, seed=5, time_span=10.0) if scene is None else scene
    return made


# ------------------------------------------------------------------------------------------------ motion


def test_velocity_is_the_finite_difference_of_where_things_are() -> None:
    """In scene units per second of the clip, though the scene has a time axis of its own."""
    t = trainer(replace(tiny_dataset(), duration=2.5))
    view, step = View(camera_at(0.1), 0.45, "velocity"), 1e-3
    frame = t.draw(view)
    assert frame.overlay is not None and frame.overlay_unit == "scene units / s"
    scene = t.scene.with_parameters({k: v.double() for k, v in t.scene.parameters.items()})
    where = []
    for time in (view.time - step, view.time + step):
        instant = slice_at(scene, time, torch.zeros(3, dtype=torch.float64), backend="reference")
        means = np.full((len(scene), 3), np.nan)
        means[instant.ids] = instant.splats.means
        where.append(means)
    speeds = np.linalg.norm(where[1] - where[0], axis=1) / (2 * step * 2.5)
    assert np.nanmax(speeds) > 0.1
    for x, y in PIXELS:
        ray = ray_distribution(t.scene, view, (x, y))
        assert frame.overlay[y, x] == pytest.approx(ray.weights @ speeds[ray.ids] / ray.weights.sum(), rel=2e-3)


def test_dynamic_is_the_share_of_the_weight_on_what_moves() -> None:
    g = random_gaussians(60, seed=5, time_span=10.0)
    t = trainer(scene=g.with_parameters({"right": torch.cat([g.left[:30], g.right[30:]])}))  # the first 30 stand still
    assert 0.3 < moving(t.scene).float().mean() < 0.7
    view = View(camera_at(0.1), 0.45, "dynamic")
    frame = t.draw(view)
    assert frame.overlay is not None and frame.overlay_unit == "of the weight"
    for x, y in PIXELS:
        ray = ray_distribution(t.scene, view, (x, y))
        assert ray.parts is not None
        expected = ray.parts.of_dynamic.sum() / ray.weights.sum()
        assert frame.overlay[y, x] == pytest.approx(expected, abs=2e-3)
    assert frame.overlay.min() >= 0 and frame.overlay.max() <= 1
    assert (frame.overlay[frame.opacity < 1e-3] == 0).all()


def field_that_flows(flow: list[float], frames: int = 5) -> RadianceField:
    """A field whose dynamic part flows alike everywhere: by ``flow`` (3,) from one frame to the next, world units. What
    is seen lies within the ball in which space is as it is."""
    space = Space.around("contraction", np.eye(4), np.full(3, 20.0), 1.0, 6.0)
    field = RadianceField(FieldShape((6, 5, 7), 3, (1,), 4, 8, 4, False), space, frames, seed=3)
    in_cube = torch.tensor(flow) / (2 * 20.0)
    raw = torch.atanh(torch.cat([-in_cube, in_cube]) / 0.2)
    with torch.no_grad():
        field.dynamic_layers[-1].weight[1:7] = 0
        field.dynamic_layers[-1].bias[1:7] = raw
    return field


@pytest.mark.parametrize("time", [0.0, 0.5, 1.0])
def test_the_velocity_of_a_field_is_its_scene_flow(time: float) -> None:
    field = field_that_flows([0.03, -0.04, 0.0])
    if time != 0.5:  # at an end of the clip the flow to the neighbour that is missing is not looked at
        with torch.no_grad():
            side = slice(1, 4) if time == 0 else slice(4, 7)
            field.dynamic_layers[-1].bias[side] = 1.0
    view = View(camera_at(0.1), time)
    speed, share = mean_speed(field, view, seconds=2.0), moving_share(field, view)
    assert 0.05 < share.mean() < 0.95
    np.testing.assert_allclose(speed, share * 0.05 / (2.0 / 4), rtol=1e-3)  # 0.05 per frame, a frame is 0.5 s


def test_the_dynamic_share_of_a_field_is_that_of_its_rays() -> None:
    field, view = field_that_flows([0.0, 0.0, 0.0]), View(camera_at(0.1), 0.3)
    with torch.no_grad():
        for p in field.parameters():
            p += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    share = moving_share(field, view)
    for x, y in PIXELS:
        ray = ray_distribution(field, view, (x, y))
        assert ray.parts is not None
        assert share[y, x] == pytest.approx(ray.parts.of_dynamic.sum() / ray.weights.sum(), rel=1e-3)


def test_a_field_has_a_velocity_where_a_flow_is_learned() -> None:
    view = View(camera_at(0.1, 200, 150), 0.4, "velocity")  # more pixels than are drawn between two steps
    assert FIELD_PIXELS < 200 * 150
    learns = FieldTrainer(tiny_dataset(), resolved(FIELD, "cpu")).draw(view)
    assert learns.overlay is not None and learns.overlay.shape == (150, 200) and learns.overlay.max() > 0
    none = replace(FIELD, terms=TermsConfig(warped=0.0, flow=0.0))
    assert FieldTrainer(tiny_dataset(), resolved(none, "cpu")).draw(view).overlay is None


def test_a_clip_without_a_duration_has_no_velocity() -> None:
    assert trainer(replace(tiny_dataset(), duration=0.0)).draw(View(camera_at(0.1), 0.5, "velocity")).overlay is None


# ------------------------------------------------------------------------------------------------ error


def test_the_error_is_the_difference_to_the_clips_own_picture() -> None:
    t = trainer()
    index = 5
    shot = t.dataset.shots[index]
    frame = t.draw(View(shot.camera, shot.time, "error"))
    assert frame.overlay is not None and frame.overlay_unit == "of full intensity"
    expected = np.abs(np.clip(frame.color, 0, 1) - t.dataset.read(index) / 255.0).mean(2)
    np.testing.assert_allclose(frame.overlay, expected, atol=1e-6)


def test_the_true_scene_has_hardly_an_error_at_any_size() -> None:
    t = trainer(scene=random_gaussians(40, seed=7))
    shot = t.dataset.shots[1]
    for size in ((40, 30), (20, 15), (133, 100)):
        frame = t.draw(View(shot.camera.resized(*size), shot.time, "error"))
        assert frame.overlay is not None and frame.overlay.shape == size[::-1]
        assert frame.overlay.mean() < (0.003 if size[0] >= 40 else 0.02)


def test_the_error_is_known_within_half_a_frame_of_a_shot_and_from_its_camera() -> None:
    t = trainer()
    shot = t.dataset.shots[1]  # frame 1 of 4

    def error(camera: Camera, time: float) -> np.ndarray | None:
        return t.draw(View(camera, time, "error")).overlay

    assert error(shot.camera, shot.time + 0.16) is not None
    assert error(camera_at(-0.29), shot.time) is None
    sparse = trainer(replace(t.dataset, shots=[s for s in t.dataset.shots if s.frame != 2]))
    assert error(shot.camera, 2 / 3) is not None
    assert sparse.draw(View(shot.camera, 2 / 3, "error")).overlay is None  # nobody filmed then


def test_an_overlay_that_nobody_knows_is_none() -> None:
    assert trainer().draw(View(camera_at(0.1), 0.5, "distortion/positions")).overlay is None
    assert trainer().draw(View(camera_at(0.1), 0.5, "rays/nonsense")).overlay is None
    assert trainer().draw(View(camera_at(0.1), 0.5, "entropy")).overlay is None


# ------------------------------------------------------------------------------------------------ pictures


def test_the_shot_of_a_view_has_its_camera_and_the_nearest_time() -> None:
    clip = tiny_dataset()
    middle = clip.shots[5].camera
    assert clip.shots[5].camera_name == "middle"
    assert shot_of(clip, View(middle, 0.4)) == 5
    assert shot_of(clip, View(middle.resized(77, 31).resized(640, 480), 1.0)) == 7
    assert shot_of(clip, View(replace(middle, fx=1.001 * middle.fx), 0.4)) is None
    assert shot_of(clip, View(camera_at(0.001), 0.4)) is None


def test_a_learned_camera_is_where_it_is_now() -> None:
    config = replace(TrainConfig(steps=40), cameras=CameraConfig(enabled=True, start=0, stop=30_000))
    t = GaussianTrainer(tiny_dataset(), resolved(config, "cpu"))
    assert t.cameras.learned is not None
    with torch.no_grad():
        for p in t.cameras.learned.parameters.values():
            p += 0.01
    stated, learned = t.dataset.shots[2], t.clip().shots[2]
    assert t.shot_of(View(learned.camera, stated.time)) == 2
    assert t.shot_of(View(stated.camera, stated.time)) is None


def test_the_nearest_shot_is_of_the_nearest_camera_and_then_of_the_nearest_time() -> None:
    clip = tiny_dataset()
    for angle, time, expected in ((-0.25, 0.3, ("left", 1)), (0.04, 0.9, ("middle", 3)), (0.9, 0.0, ("right", 0))):
        shot = clip.shots[nearest_shot(clip, View(camera_at(angle, distance=2.5), time))]
        assert (shot.camera_name, shot.frame) == expected


def test_a_hand_held_camera_is_where_it_was_at_the_time() -> None:
    clip = tiny_dataset()
    shots = [replace(s, camera_name="hand", frame=k, time=k / 11) for k, s in enumerate(clip.shots)]
    hand = replace(clip, shots=shots)
    assert nearest_shot(hand, View(camera_at(-0.3), 1.0)) == 11  # though it stood there in the beginning


def test_pictures_of_the_clip_come_in_the_size_that_is_asked_for() -> None:
    t = trainer()
    same, half = t.input_picture(3, 40, 30), t.input_picture(3, 20, 15)
    np.testing.assert_allclose(same, t.dataset.read(3) / 255.0, atol=1e-6)
    np.testing.assert_allclose(half, same.reshape(15, 2, 20, 2, 3).mean((1, 3)), atol=1e-5)
    large = t.input_picture(3, 80, 60)
    assert large.dtype == np.float32 and large.shape == (60, 80, 3)
    np.testing.assert_allclose(cv2.resize(large, (40, 30), interpolation=cv2.INTER_AREA), same, atol=0.12)
    assert t.input_picture(3, 20, 15) is half


def test_the_pictures_that_are_kept_stay_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    t = trainer()
    one = 4 * 3 * 40 * 30
    monkeypatch.setattr(clip_pictures, "MOST_BYTES", 3 * one)
    first = t.input_picture(0, 40, 30)
    for index in (1, 2):
        t.input_picture(index, 40, 30)
    assert t.input_picture(0, 40, 30) is first  # and so the newest
    t.input_picture(3, 40, 30)
    assert t.input_picture(0, 40, 30) is first
    assert len(t.pictures._kept) == 3
    t.input_picture(0, 400, 300)  # larger than all that may be kept, and yet it comes
    assert len(t.pictures._kept) == 1


def test_the_generated_picture_is_that_of_the_nearest_instant() -> None:
    t = trainer(clip_with_generated())
    views = t.dataset.generated
    assert views is not None
    found = t.generated_picture(2, 0.4, 40, 30)
    index = next(i for i, f in enumerate(views.frames) if (f.pose, f.frame) == (2, 1))
    assert found is not None
    np.testing.assert_allclose(found, views.read(index) / 255.0, atol=1e-6)
    assert t.generated_picture(3, 0.4, 40, 30) is None
    assert trainer().generated_picture(0, 0.4, 40, 30) is None
