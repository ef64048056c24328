import numpy as np
import pytest

from app.gui.navigation import POLE_MARGIN, Viewpoint
from tests.tiny import camera_at

UP = np.array([0.0, -1.0, 0.0])


def viewpoint() -> Viewpoint:
    return Viewpoint(camera_at(0.2), np.zeros(3), UP)


def test_orbiting_keeps_the_pivot_in_place_and_at_its_distance() -> None:
    before = viewpoint()
    after = before.orbited(0.3, -0.2)
    pixel_before, _ = before.camera.project(before.pivot[None])
    pixel_after, _ = after.camera.project(after.pivot[None])
    np.testing.assert_allclose(pixel_after, pixel_before, atol=1e-9)
    assert after.distance == pytest.approx(before.distance)


def test_dragging_right_turns_the_near_side_to_the_right() -> None:
    near_side = 0.5 * viewpoint().camera.center[None]
    before, _ = viewpoint().camera.project(near_side)
    after, _ = viewpoint().orbited(0.2, 0.0).camera.project(near_side)
    assert after[0, 0] > before[0, 0] + 1
    after, _ = viewpoint().orbited(0.0, 0.2).camera.project(near_side)
    assert after[0, 1] > before[0, 1] + 1


def test_orbiting_never_passes_over_the_pole_nor_rolls() -> None:
    v = viewpoint()
    for _ in range(50):
        v = v.orbited(0.37, 0.4)
        c2w = v.camera.camera_to_world
        assert abs(c2w[:3, 0] @ UP) < 1e-6  # the camera's right stays level
        assert np.arccos(abs(c2w[:3, 2] @ UP)) > POLE_MARGIN - 1e-6
    for _ in range(50):
        v = v.orbited(0.0, -0.4)
        assert np.arccos(abs(v.camera.camera_to_world[:3, 2] @ UP)) > POLE_MARGIN - 1e-6


def test_a_pan_moves_the_pivot_with_the_mouse() -> None:
    before = viewpoint()
    after = before.panned(7.0, -4.0)
    old_pivot, _ = after.camera.project(before.pivot[None])
    start, _ = before.camera.project(before.pivot[None])
    np.testing.assert_allclose(old_pivot - start, [[7.0, -4.0]], atol=1e-6)
    np.testing.assert_allclose(after.camera.project(after.pivot[None])[0], start, atol=1e-6)


def test_a_dolly_changes_the_distance_only() -> None:
    after = viewpoint().dollied(0.5)
    assert after.distance == pytest.approx(0.5 * viewpoint().distance)
    np.testing.assert_allclose(
        after.camera.world_to_camera[:3, :3], viewpoint().camera.world_to_camera[:3, :3], atol=1e-12
    )


def test_flying_goes_where_the_camera_looks() -> None:
    before = viewpoint()
    after = before.flown(0, 0, 0.5)
    np.testing.assert_allclose(
        after.camera.center - before.camera.center, 0.5 * before.camera.camera_to_world[:3, 2], atol=1e-12
    )
    assert after.distance == pytest.approx(before.distance)


def test_focusing_turns_around_the_new_point() -> None:
    point = np.array([0.3, 0.1, -0.2])
    v = viewpoint().focused(point)
    assert v.camera == viewpoint().camera
    before, _ = v.camera.project(point[None])
    after, _ = v.orbited(0.3, 0.1).camera.project(point[None])
    np.testing.assert_allclose(after, before, atol=1e-9)
