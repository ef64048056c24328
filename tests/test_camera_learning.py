"""Learned cameras: conventions, gradients, the anchor, the gauge, and that they find their way back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from renderer.gaussians import Gaussians, rotations_4d
from renderer.slicing import slice_at
from renderer.splat import splat
from tests.tiny import camera_at, random_gaussians
from training.alignment import Similarity, pose_errors, similarity_between
from training.camera_learning import LearnedCameras, camera_center, magnified, rodrigues, rotation_matrix
from training.config import CameraConfig
from training.losses import photometric_loss

CONFIG = CameraConfig(enabled=True)
ANGLES = (-0.5, 0.1, 0.6)


def cameras_of(*angles: float, config: CameraConfig = CONFIG, last: int = 100) -> LearnedCameras:
    return LearnedCameras([camera_at(a) for a in angles], config, 0, last)


def test_a_camera_starts_where_it_is_told_and_any_length_of_quaternion_is_a_rotation() -> None:
    learned = cameras_of(*ANGLES)
    for k, angle in enumerate(ANGLES):
        camera = camera_at(angle)
        np.testing.assert_allclose(learned.pose(k).detach().numpy(), camera.world_to_camera, atol=1e-6)
        np.testing.assert_allclose(learned.camera(k).world_to_camera, camera.world_to_camera, atol=1e-12)
        np.testing.assert_allclose(camera_center(learned.pose(k)).detach().numpy(), camera.center, atol=1e-6)
    q = torch.tensor([0.3, -0.7, 0.2, 1.1], dtype=torch.float64)
    expected = Rotation.from_quat(q.numpy(), scalar_first=True).as_matrix()
    np.testing.assert_allclose(rotation_matrix(q).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(rotation_matrix(5 * q).numpy(), expected, atol=1e-12)


def test_gradients_through_the_splatter_are_those_of_finite_differences() -> None:
    scene, camera, learned = random_gaussians(30), camera_at(0.1), cameras_of(0.1)
    scene = scene.with_parameters({name: value.double() for name, value in scene.parameters.items()})
    scene = replace(scene, sh_level=2)  # the colours depend on where the camera is
    target = torch.rand(camera.height, camera.width, 3, generator=torch.Generator().manual_seed(3)).double()

    def loss(q: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
        R = rotation_matrix(q)
        pose = torch.cat([torch.cat([R.T, T[:, None]], dim=1), torch.tensor([[0, 0, 0, 1.0]]).double()])
        instant = slice_at(scene, 0.5, camera_center(pose))
        return (splat(instant.splats, camera, pose=pose).color - target).square().mean()

    q, T = (leaf.detach()[0].clone().requires_grad_() for leaf in (learned.parameters["q"], learned.parameters["T"]))
    loss(q, T).backward()
    for leaf in (q, T):
        assert leaf.grad is not None
        for k in range(len(leaf)):
            step = torch.zeros(len(leaf)).double()
            step[k] = 1e-6
            pairs = [(q + s * step, T) if leaf is q else (q, T + s * step) for s in (1, -1)]
            slope = float((loss(*pairs[0]) - loss(*pairs[1])).detach()) / 2e-6
            assert float(leaf.grad[k]) == pytest.approx(slope, rel=2e-3, abs=1e-7)


def test_the_anchor_is_the_distance_from_the_start() -> None:
    for form, expected in (("norm", 0.5 + 0.06), ("mean", (0.3 + 0.4) / 3 + 0.06 / 4)):
        learned = cameras_of(*ANGLES, config=replace(CONFIG, anchor=2.0, anchor_form=form))  # type: ignore[arg-type]
        assert float(learned.anchor(1).detach()) == 0
        learned.anchor(1).backward()  # and its slope there is defined
        assert learned.parameters["q"].grad is not None and torch.isfinite(learned.parameters["q"].grad).all()
        with torch.no_grad():
            learned.parameters["T"][1] += torch.tensor([0.3, 0.0, -0.4], dtype=torch.float64)
            learned.parameters["q"][1] += torch.tensor([0.0, 0.06, 0.0, 0.0], dtype=torch.float64)
        assert float(learned.anchor(1).detach()) == pytest.approx(2 * expected, rel=1e-6)
        assert float(learned.anchor(0).detach()) == 0


def test_no_loss_but_the_anchor_sees_a_similarity_of_scene_and_cameras() -> None:
    """The gauge: turning, moving and growing the world together with the cameras changes no picture."""
    move = Similarity(1.7, Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix(), np.array([0.4, -1.0, 2.0]))
    scene = random_gaussians(40)
    scene = scene.with_parameters({"right": scene.left})  # without motion a scale of space is a scale of the axes
    moved = similar_scene(scene, move)
    for angle in ANGLES:
        camera = camera_at(angle)
        pictures = []
        for world, seen_by in ((scene, camera), (moved, move.camera(camera))):
            center = torch.tensor(seen_by.center, dtype=torch.float32)
            pictures.append(splat(slice_at(world, 0.4, center).splats, seen_by).color)
        torch.testing.assert_close(pictures[0], pictures[1], atol=2e-4, rtol=0)
        target = torch.rand(*pictures[0].shape, generator=torch.Generator().manual_seed(1))
        losses = [float(photometric_loss(p, target)) for p in pictures]
        assert losses[0] == pytest.approx(losses[1], abs=2e-6)
    learned = cameras_of(*ANGLES)
    after = [move.camera(camera_at(angle)) for angle in ANGLES]
    with torch.no_grad():
        for k, camera in enumerate(after):
            R = camera.world_to_camera[:3, :3]
            learned.parameters["q"][k] = torch.from_numpy(Rotation.from_matrix(R.T).as_quat(scalar_first=True))
            learned.parameters["T"][k] = torch.from_numpy(camera.world_to_camera[:3, 3].copy())
    assert all(float(learned.anchor(k).detach()) > 0.01 for k in range(3))
    assert pose_errors(after, [camera_at(a) for a in ANGLES]).max() < 1e-9  # and errors are measured without it


def similar_scene(scene: Gaussians, move: Similarity) -> Gaussians:
    """A scene without motion after a similarity of space."""
    wanted = move.rotation @ rotations_4d(scene.left, scene.right)[:, :3, :3].double().numpy()
    backwards = wanted[:, ::-1, ::-1]  # the quaternions' own order of axes is t, z, y, x
    q = Rotation.from_matrix(backwards).as_quat(scalar_first=True)
    both = torch.from_numpy(q).float()
    np.testing.assert_allclose(rotations_4d(both, both)[:, :3, :3].numpy(), wanted, atol=1e-5)
    positions = torch.from_numpy(move.points(scene.positions.double().numpy())).float()
    scales = scene.scales + float(np.log(move.scale))
    return scene.with_parameters({"positions": positions, "scales": scales, "left": both, "right": both.clone()})


def test_a_camera_that_was_pushed_finds_back() -> None:
    scene, truth = random_gaussians(60), camera_at(0.1, 80, 60)
    with torch.no_grad():
        instant = slice_at(scene, 0.5, torch.tensor(truth.center, dtype=torch.float32))
        target = splat(instant.splats, truth).color
    push = np.eye(4)
    push[:3, :3] = Rotation.from_rotvec([0.01, -0.012, 0.008]).as_matrix()
    push[:3, 3] = [0.03, -0.02, 0.03]
    pushed = truth.moved(push @ truth.world_to_camera)
    learned = LearnedCameras([pushed], replace(CONFIG, rotation=1e-3, translation=1e-2, anchor=0.0), 0, 200)
    for step in range(200):
        pose = learned.pose(0)
        instant = slice_at(scene, 0.5, camera_center(pose))
        photometric_loss(splat(instant.splats, truth, pose=pose).color, target).backward()
        learned.step(step)
    still = Similarity(1.0, np.eye(3), np.zeros(3))
    before, after = pose_errors([pushed], [truth], still)[0], pose_errors(learned.cameras(), [truth], still)[0]
    assert (after < before / 10).all(), (before, after)


def test_cameras_move_only_in_their_time_and_ever_less() -> None:
    learned = LearnedCameras([camera_at(0.0)], CONFIG, 10, 30)
    assert [learned.moving(s) for s in (9, 10, 29, 30)] == [False, True, True, False]
    for falls_from, expected in (("start", 1e-4), ("zero", 1e-4 * 100 ** (-10 / 30))):
        learned = LearnedCameras([camera_at(0.0)], replace(CONFIG, falls_from=falls_from), 10, 30)  # type: ignore
        learned.parameters["q"].grad, learned.parameters["T"].grad = (
            torch.ones(1, 4).double(),
            torch.ones(1, 3).double(),
        )
        learned.step(10)
        moved = (learned._start["q"] - learned.parameters["q"].detach()).abs()
        torch.testing.assert_close(moved, torch.full((1, 4), expected).double(), rtol=1e-6, atol=0)
        learned.parameters["q"].grad, learned.parameters["T"].grad = (
            torch.ones(1, 4).double(),
            torch.ones(1, 3).double(),
        )
        learned.step(30)
        again = (learned._start["q"] - learned.parameters["q"].detach()).abs() - moved
        assert again.max() == pytest.approx(1e-6, rel=1e-3)


def test_saved_and_loaded_cameras_go_on_alike() -> None:
    a, b = cameras_of(*ANGLES), cameras_of(*ANGLES)

    def advance(learned: LearnedCameras, step: int) -> None:
        (learned.pose(1).sum() * (step + 1)).backward()
        learned.step(step)

    for step in range(3):
        advance(a, step)
    b.load({k: v.clone() for k, v in a.state().items()})
    for learned in (a, b):
        advance(learned, 3)
    assert all(torch.equal(a.parameters[n], b.parameters[n]) for n in ("q", "T"))
    with pytest.raises(ValueError, match="cameras are stored as"):
        cameras_of(0.0).load(a.state())


def test_the_similarity_between_poses_is_found() -> None:
    move = Similarity(0.6, Rotation.from_rotvec([1.0, 0.4, -0.2]).as_matrix(), np.array([1.0, 2.0, 3.0]))
    before = [camera_at(a) for a in ANGLES]
    found = similarity_between(before, [move.camera(c) for c in before])
    assert found.scale == pytest.approx(0.6)
    np.testing.assert_allclose(found.rotation, move.rotation, atol=1e-9)
    np.testing.assert_allclose(found.shift, move.shift, atol=1e-9)
    point = np.array([[0.2, -0.1, 0.3]])
    for camera in before:
        uv, z = camera.project(point)
        uv2, z2 = found.camera(camera).project(found.points(point))
        np.testing.assert_allclose(uv2, uv, atol=1e-9)
        assert z2[0] == pytest.approx(0.6 * z[0])
    alone = similarity_between(before[:1], [move.camera(before[0])])  # one camera: no scale to be seen
    assert alone.scale == 1.0


def test_axis_angles_turn_the_stated_pose_as_scipy_says() -> None:
    learned = cameras_of(*ANGLES, config=CameraConfig(enabled=True, form="axis-angle"))
    r, t = np.array([0.2, -0.1, 0.4]), np.array([0.3, 0.0, -0.2])
    assert np.allclose(learned.camera(1).world_to_camera, learned.initial()[1].world_to_camera)
    with torch.no_grad():
        learned.parameters["r"][1], learned.parameters["t"][1] = torch.from_numpy(r), torch.from_numpy(t)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = Rotation.from_rotvec(r).as_matrix(), t
    expected = np.linalg.inv(motion @ learned.initial()[1].camera_to_world)
    assert np.allclose(learned.camera(1).world_to_camera, expected)
    assert torch.allclose(learned.pose(1), torch.from_numpy(expected).float())


@pytest.mark.parametrize("length", [0.0, 1e-8, 0.7])
def test_the_rotation_of_an_axis_angle_has_a_gradient_also_at_zero(length: float) -> None:
    r = (length * torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(rodrigues, r)


def test_a_magnified_pose_draws_what_a_longer_focal_length_draws() -> None:
    scene, camera = random_gaussians(40, seed=2), cameras_of(*ANGLES).initial()[0]
    longer = replace(camera, fx=1.2 * camera.fx, fy=1.2 * camera.fy)
    pose = torch.from_numpy(camera.world_to_camera.astype(np.float32))
    instant = slice_at(scene, 0.5, camera_center(pose))
    zoomed = splat(instant.splats, camera, pose=magnified(pose, torch.tensor(1.2)))
    assert torch.allclose(zoomed.color, splat(instant.splats, longer).color, atol=1e-4)


def test_the_focal_length_is_learned_as_a_factor_of_all_cameras() -> None:
    learned = cameras_of(*ANGLES, config=CameraConfig(enabled=True, focal=True, focal_rate=0.1), last=10)
    zoom = learned.zoom(0)
    assert zoom is not None
    (2.0 * zoom).backward()
    learned.step(0)
    factor = float(np.exp(-0.1))
    assert [c.fx for c in learned.cameras()] == pytest.approx([factor * c.fx for c in learned.initial()])
    frozen = learned.zoom(10)
    assert frozen is not None and not frozen.requires_grad
