"""Statistics of weights by depth, against plain arithmetic."""

import numpy as np
import pytest

from renderer import ray_maps

EDGES = 1 / np.linspace(1, 1 / 9, 65)
MIDDLES = 0.5 * (EDGES[1:] + EDGES[:-1])


def spikes(*pairs: tuple[int, float]) -> np.ndarray:
    histogram = np.zeros(64)
    for k, weight in pairs:
        histogram[k] = weight
    return histogram


def lobe(center: float, deviation: float) -> np.ndarray:
    return np.exp(-0.5 * ((np.arange(64) - center) / deviation) ** 2)


def test_moments_are_those_of_the_normalised_weights() -> None:
    h = spikes((10, 0.2), (30, 0.3), (50, 0.1))
    p, z = np.array([1 / 3, 1 / 2, 1 / 6]), MIDDLES[[10, 30, 50]]
    assert ray_maps.expected_depth(h, EDGES) == pytest.approx(p @ z)
    assert ray_maps.median_depth(h, EDGES) == pytest.approx(z[1])
    assert ray_maps.spread(h, EDGES) == pytest.approx(p @ abs(z - p @ z))
    assert ray_maps.entropy(h) == pytest.approx(-(p @ np.log(p)))
    D = 4.0
    assert ray_maps.expected_error(h, EDGES, D) == pytest.approx(p @ abs(z - D))
    assert ray_maps.error_of_expectation(h, EDGES, D) == pytest.approx(abs(p @ z - D))
    assert ray_maps.error_gap(h, EDGES, D) == pytest.approx(p @ abs(z - D) - abs(p @ z - D))


def test_one_bin_has_no_entropy_and_all_alike_have_the_most() -> None:
    assert ray_maps.entropy(spikes((7, 0.4))) == 0
    assert ray_maps.entropy(np.full(64, 0.01)) == pytest.approx(np.log(64))


def test_the_gap_is_never_negative_and_nothing_when_all_weight_is_on_one_side() -> None:
    rng = np.random.default_rng(0)
    h = rng.dirichlet(np.full(64, 0.1), size=200)
    D = rng.uniform(1, 9, 200)
    assert (ray_maps.error_gap(h, EDGES, D) >= 0).all()
    np.testing.assert_allclose(ray_maps.error_gap(h, EDGES, np.full(200, 20.0)), 0, atol=1e-9)


def test_two_halves_on_both_sides_of_the_surface_average_to_it_and_do_not_deceive_the_gap() -> None:
    h = spikes((10, 0.5), (50, 0.5))
    D = ray_maps.expected_depth(h, EDGES)
    assert ray_maps.error_of_expectation(h, EDGES, D) == pytest.approx(0, abs=1e-12)
    assert ray_maps.error_gap(h, EDGES, D) == pytest.approx(0.5 * (MIDDLES[50] - MIDDLES[10]))


@pytest.mark.parametrize(
    ("histogram", "count"),
    [
        (spikes((20, 1.0)), 1),
        (spikes((20, 0.5), (21, 0.5)), 1),
        (spikes((20, 0.5), (40, 0.5)), 2),
        (spikes((5, 0.4), (30, 0.3), (60, 0.3)), 3),
        (spikes((20, 0.95), (40, 0.05)), 1),
        (np.full(64, 1 / 64), 1),
        (lobe(20, 3) + lobe(40, 3), 2),
        (lobe(28, 3) + lobe(32, 3), 1),
        (np.zeros(64), 0),
        (spikes((20, 0.0005)), 0),
        (spikes((0, 0.5), (63, 0.5)), 2),
    ],
    ids=["one", "two bins", "halves", "three", "speck", "even", "lobes", "near", "empty", "nothing", "ends"],
)
def test_modes_are_counted_as_one_would_by_eye(histogram: np.ndarray, count: int) -> None:
    assert ray_maps.modes(histogram) == count
    assert ray_maps.modes(0.2 * histogram) == (count if histogram.sum() > 0.01 else 0)


def test_an_empty_ray_has_no_depth_and_no_error() -> None:
    h = np.zeros((2, 3, 64))
    h[0, 0, 5] = 0.7
    for values in (
        ray_maps.expected_depth(h, EDGES),
        ray_maps.median_depth(h, EDGES),
        ray_maps.entropy(h),
        ray_maps.expected_error(h, EDGES, np.full((2, 3), 2.0)),
    ):
        assert values.shape == (2, 3)
        assert np.isfinite(values[0, 0]) and np.isnan(values).sum() == 5
