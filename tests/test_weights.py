"""Weights of whole pictures and rows, of Gaussians and of fields."""

import numpy as np
import pytest
import torch

from renderer.field.model import FieldShape, RadianceField
from renderer.motion import moving, ways
from renderer.scene import Scene, ray_distribution, render
from renderer.view import View
from renderer.weights import QUANTITIES, RAY_MAPS, depth_edges, ray_map, row_slices, weight_histogram
from tests.tiny import camera_at, planted_floater, random_gaussians, tiny_dataset
from training.config import PRESETS, resolved, with_changes
from training.field_scene import scene_space

EDGES = depth_edges(1.0, 8.0, 48)


def field() -> RadianceField:
    shape = FieldShape(nodes=(8, 8, 8), time_nodes=4, levels=(1,), channels=4, width=16, proposal_nodes=8, views=False)
    config = resolved(with_changes(PRESETS["ddr"], {"steps": 10}), "cpu")
    made = RadianceField(shape, scene_space(tiny_dataset(), config.field), 4, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))
    return made


@pytest.fixture(scope="module", params=["gaussians", "field"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return random_gaussians(150, seed=2) if request.param == "gaussians" else field()


VIEW = View(camera_at(0.1), 0.4)


def test_a_pixels_histogram_is_that_of_its_ray(scene: Scene) -> None:
    histogram = weight_histogram(scene, VIEW, EDGES)
    assert histogram.shape == (30, 40, 48)
    np.testing.assert_allclose(histogram.sum(2), render(scene, VIEW).opacity, atol=1e-4)
    for x, y in ((20, 15), (12, 9), (31, 20)):
        np.testing.assert_allclose(histogram[y, x], ray_distribution(scene, VIEW, (x, y)).histogram(EDGES), atol=2e-3)


def test_a_row_from_above_holds_the_weights_of_its_rays(scene: Scene) -> None:
    slices = row_slices(scene, VIEW, 15, EDGES)
    assert set(slices) == set(QUANTITIES)
    assert all(v.shape == (40, 48) and np.isfinite(v).all() for v in slices.values())
    np.testing.assert_allclose(slices["blended"], weight_histogram(scene, VIEW, EDGES)[15], atol=1e-4)
    np.testing.assert_allclose(slices["blended"], slices["static-of-blend"] + slices["dynamic-of-blend"], atol=1e-6)
    T = slices["transmittance"]
    assert T.min() >= -1e-6 and T.max() <= 1 + 1e-6
    for x in (5, 20, 33):
        parts = ray_distribution(scene, VIEW, (x, 15)).parts
        assert parts is not None
        assert slices["dynamic-alone"][x].sum() == pytest.approx(parts.dynamic.sum(), abs=2e-3)


def test_a_row_outside_of_the_picture_is_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="row 30 lies outside the 40x30 image"):
        row_slices(scene, VIEW, 30, EDGES)


@pytest.mark.parametrize("kind", RAY_MAPS)
def test_a_map_says_its_unit_and_whether_the_depth_is_known(scene: Scene, kind: str) -> None:
    values, unit = ray_map(scene, VIEW, kind, 1.0, 8.0)  # type: ignore[arg-type]
    assert values.shape == (30, 40) and values.dtype == np.float32
    target = np.full((30, 40), 3.0, np.float32)
    target[:5] = np.nan
    known, known_unit = ray_map(scene, VIEW, kind, 1.0, 8.0, target)  # type: ignore[arg-type]
    if kind in ("expected-error", "error-gap"):
        assert "median" in unit and known_unit == "scene units"
        assert np.isnan(known[:5]).all()
    else:
        assert unit == known_unit
        np.testing.assert_array_equal(values, known)


def test_parts_of_gaussians_are_those_that_move_and_those_that_do_not() -> None:
    gaussians, still = random_gaussians(150, seed=2), torch.arange(150) < 70
    changed = {name: value.clone() for name, value in gaussians.parameters.items()}
    for name in ("left", "right"):
        changed[name][still] = torch.tensor([1.0, 0, 0, 0])
    gaussians = gaussians.with_parameters(changed)
    dynamic = moving(gaussians)
    assert not dynamic[still].any() and int(dynamic.sum()) > 0
    alone = weight_histogram(gaussians, VIEW, EDGES, "static")
    without = gaussians.with_parameters({k: v[~dynamic] for k, v in gaussians.parameters.items()})
    np.testing.assert_allclose(alone, weight_histogram(without, VIEW, EDGES), atol=1e-5)


def test_the_way_of_a_gaussian_is_measured_in_its_own_deviations() -> None:
    """Against float64 numpy: the Mahalanobis length of sigma_t v in the covariance given t."""
    gaussians = random_gaussians(20, seed=5)
    for cov, way in zip(gaussians.covariances().double().numpy(), ways(gaussians).numpy(), strict=True):
        velocity = cov[:3, 3] / cov[3, 3]
        instant = cov[:3, :3] - np.outer(cov[:3, 3], cov[:3, 3]) / cov[3, 3]
        length = np.sqrt(cov[3, 3] * velocity @ np.linalg.solve(instant, velocity))
        assert way == pytest.approx(length, rel=0.02)


def test_a_planted_floater_does_not_show_in_the_depth_map_and_is_flagged_by_the_weights() -> None:
    """Half of the weight in front of a wall and half behind it: the expected depth is right, the geometry is not."""
    gaussians, view, square = planted_floater()
    target = np.full(square.shape, 4.0, np.float32)
    depth = render(gaussians, view).expected_depth()
    inside, outside = square.copy(), ~square
    border = np.zeros_like(square)
    ys, xs = np.nonzero(square)
    border[ys.min() - 3 : ys.max() + 4, xs.min() - 3 : xs.max() + 4] = True
    inside[: ys.min() + 3], inside[ys.max() - 2 :], inside[:, : xs.min() + 3], inside[:, xs.max() - 2 :] = 4 * [False]
    outside &= ~border
    assert np.abs(depth - 4)[inside].max() < 0.06  # 1.5 % of the depth: nothing to see
    maps = {kind: ray_map(gaussians, view, kind, 2.0, 8.0, target)[0] for kind in RAY_MAPS}
    assert maps["error-gap"][inside].min() > 0.7 and maps["error-gap"][outside].max() < 0.1
    assert maps["expected-error"][inside].min() > 0.7 and maps["expected-error"][outside].max() < 0.15
    assert (maps["modes"][inside] == 2).all() and (maps["modes"][outside] == 1).all()
    assert maps["entropy"][inside].min() > maps["entropy"][outside].max() + 0.3


def test_edges_are_even_in_disparity_and_wrong_ones_are_refused() -> None:
    np.testing.assert_allclose(np.diff(1 / depth_edges(0.5, 4, 7)), np.diff(1 / depth_edges(0.5, 4, 7))[0])
    for near, far, bins in ((0, 1, 4), (2, 1, 4), (1, 2, 0)):
        with pytest.raises(ValueError, match="ascend"):
            depth_edges(near, far, bins)
