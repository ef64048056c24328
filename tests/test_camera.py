import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from renderer.camera import Camera, look_at


def random_camera(seed: int) -> Camera:
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    pose[:3, 3] = rng.normal(size=3)
    return Camera(pose, 50.0, 60.0, 31.0, 22.0, 64, 48)


@pytest.mark.parametrize("seed", range(5))
def test_camera_to_world_inverts_world_to_camera(seed: int) -> None:
    camera = random_camera(seed)
    np.testing.assert_allclose(camera.camera_to_world @ camera.world_to_camera, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_unproject_inverts_project(seed: int) -> None:
    camera = random_camera(seed)
    rng = np.random.default_rng(seed)
    pixels, depths = rng.uniform(0, 48, (20, 2)), rng.uniform(0.5, 5, 20)
    uv, z = camera.project(camera.unproject(pixels, depths))
    np.testing.assert_allclose(uv, pixels, atol=1e-9)
    np.testing.assert_allclose(z, depths, atol=1e-9)


def test_projection_follows_opencv_axes() -> None:
    camera = Camera(np.eye(4), 100.0, 100.0, 50.0, 40.0, 100, 80)
    uv, z = camera.project(np.array([[0.1, 0.2, 2.0]]))  # right of and below the axis
    np.testing.assert_allclose(uv, [[55.0, 50.0]])
    np.testing.assert_allclose(z, [2.0])


def test_look_at_puts_the_target_on_the_axis_and_up_on_top() -> None:
    eye, target, up = np.array([1.0, -2.0, 3.0]), np.array([0.5, 0.0, -1.0]), np.array([0.0, -1.0, 0.0])
    camera = Camera.from_fov(look_at(eye, target, up), 1.0, 64, 48)
    uv, z = camera.project(np.stack([target, target + 0.1 * up]))
    np.testing.assert_allclose(uv[0], [32, 24], atol=1e-9)
    assert z[0] == pytest.approx(np.linalg.norm(target - eye))
    assert uv[1, 1] < uv[0, 1]  # rows count downwards
    assert np.linalg.det(camera.world_to_camera[:3, :3]) == pytest.approx(1)


def test_resizing_keeps_the_field_of_view() -> None:
    camera = random_camera(1)
    point = camera.unproject(np.array([[10.0, 20.0]]), np.array([2.0]))
    uv, _ = camera.resized(128, 24).project(point)
    np.testing.assert_allclose(uv, [[20.0, 10.0]], atol=1e-9)


def test_equal_cameras_are_equal_and_hash_alike() -> None:
    assert random_camera(1) == random_camera(1)
    assert hash(random_camera(1)) == hash(random_camera(1))
    assert random_camera(1) != random_camera(2)
    assert random_camera(1).resized(10, 10) != random_camera(1)


def test_a_camera_cannot_be_changed_through_its_matrix() -> None:
    pose = np.eye(4)
    camera = Camera(pose, 1.0, 1.0, 0.0, 0.0, 2, 2)
    pose[0, 3] = 5
    assert camera.world_to_camera[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        camera.world_to_camera[0, 3] = 1
