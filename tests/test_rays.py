import numpy as np
import pytest
import torch

from renderer.gaussians import empty_gaussians
from renderer.rays import RayDistribution
from renderer.render import render_gaussians as render
from renderer.scene import ray_distribution
from renderer.view import View
from tests.tiny import camera_at, random_gaussians


def distribution(depths: list[float], weights: list[float]) -> RayDistribution:
    d, w = np.array(depths), np.array(weights)
    transmittances = 1 - np.concatenate([[0], np.cumsum(w)[:-1]])
    colors = np.ones((len(d), 3))
    return RayDistribution(View(camera_at(0), 0), (3, 4), d, w, transmittances, colors, np.arange(len(d)), w @ colors)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("time", [0.0, 0.4, 1.0])
def test_a_rays_composite_is_the_pixel_that_a_render_shows(backend: str, time: float) -> None:
    gaussians = random_gaussians(200, seed=3)
    view = View(camera_at(0.2), time)
    frame = render(gaussians, view, backend=backend)  # type: ignore[arg-type]
    for pixel in [(0, 0), (20, 15), (13, 22), (39, 29)]:
        ray = ray_distribution(gaussians, view, pixel)
        x, y = pixel
        np.testing.assert_allclose(ray.composite, frame.color[y, x], atol=1e-4)
        assert ray.opacity == pytest.approx(frame.opacity[y, x], abs=1e-4)
        if ray.opacity > 0.01:
            assert ray.expected_depth == pytest.approx(frame.expected_depth()[y, x], rel=1e-3)


def test_contributions_come_nearest_first_and_lose_light_on_the_way() -> None:
    ray = ray_distribution(random_gaussians(300, seed=1), View(camera_at(0), 0.5), (20, 15))
    assert len(ray.depths) > 5
    assert (np.diff(ray.depths) >= 0).all()
    assert (np.diff(ray.transmittances) <= 0).all()
    assert ray.transmittances[0] == 1
    np.testing.assert_allclose(np.cumsum(ray.weights)[:-1], 1 - ray.transmittances[1:], atol=1e-9)


def test_ids_name_the_gaussians_that_contribute() -> None:
    gaussians = random_gaussians(200, seed=3)
    view = View(camera_at(0.2), 0.5)
    ray = ray_distribution(gaussians, view, (20, 15))
    strongest = int(ray.ids[ray.weights.argmax()])
    dimmed = gaussians.opacities.clone()
    dimmed[strongest] = -20
    without = ray_distribution(gaussians.with_parameters({"opacities": dimmed}), view, (20, 15))
    assert set(ray.ids) - set(without.ids) == {strongest}


def test_the_world_point_projects_back_to_the_pixel() -> None:
    ray = ray_distribution(random_gaussians(200, seed=3), View(camera_at(0.2), 0.5), (17, 9))
    uv, z = ray.view.camera.project(ray.world_point()[None])
    np.testing.assert_allclose(uv, [[17.5, 9.5]], atol=1e-9)
    assert z[0] == pytest.approx(ray.median_depth)


def test_an_empty_ray_has_no_depth_and_no_opacity() -> None:
    ray = ray_distribution(empty_gaussians(), View(camera_at(0), 0.5), (0, 0))
    assert ray.opacity == 0
    assert np.isnan(ray.expected_depth)
    assert np.isnan(ray.median_depth)
    np.testing.assert_array_equal(ray.composite, np.zeros(3))


def test_two_modes_show_in_the_expected_error_but_not_in_the_error_of_the_expectation() -> None:
    ray = distribution([1.0, 3.0], [0.4, 0.4])
    assert ray.expected_depth == pytest.approx(2)
    assert abs(ray.expected_depth - 2) == pytest.approx(0)
    assert ray.expected_error(2.0) == pytest.approx(1)
    assert ray.median_depth == 1


def test_a_pixel_outside_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the 40x30"):
        ray_distribution(random_gaussians(3), View(camera_at(0), 0.5), (40, 0))


def test_a_ray_cannot_be_changed() -> None:
    ray = ray_distribution(random_gaussians(50), View(camera_at(0), 0.5), (20, 15))
    with pytest.raises(ValueError, match="read-only"):
        ray.weights[:] = 0
    assert not torch.is_tensor(ray.weights)
