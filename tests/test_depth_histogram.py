"""The weights of a picture by depth: both backends against single rays, and the rules at the edges."""

import numpy as np
import pytest
import torch

from renderer.camera import Camera
from renderer.splat import Splats, depth_histogram, splat
from renderer.splat.rays import splat_rays
from tests.test_splat import SCENES, camera
from tests.test_splat_rays import DTYPES, all_pixels, cast

EDGES = torch.tensor([1.0, 1.4, 1.7, 2.0, 2.2, 2.9, 3.5])
"""Uneven, with splats in front of the first and behind the last."""


@pytest.mark.parametrize("backend", DTYPES)
@pytest.mark.parametrize("name", SCENES)
def test_the_bins_add_up_to_the_opacity(name: str, backend: str) -> None:
    splats = cast(SCENES[name], DTYPES[backend])
    found = depth_histogram(splats, camera(), EDGES, backend=backend)
    assert found.shape == (45, 61, 6) and found.dtype == DTYPES[backend]
    torch.testing.assert_close(found.sum(2), splat(splats, camera(), backend=backend).opacity, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", DTYPES)
@pytest.mark.parametrize("name", SCENES)
def test_a_bin_holds_the_weights_of_its_depths(name: str, backend: str) -> None:
    """Ray by ray, in float64, with numpy's bins."""
    rays = splat_rays(SCENES[name], camera(), all_pixels(camera()))
    bins = np.digitize(rays.depths.numpy(), EDGES[1:-1].double().numpy())  # right-open, the outer bins unbounded
    expected = np.zeros((45 * 61, 6))
    np.add.at(expected, (np.arange(len(bins))[:, None], bins), rays.weights.numpy())
    found = depth_histogram(cast(SCENES[name], DTYPES[backend]), camera(), EDGES, backend=backend)
    np.testing.assert_allclose(found.reshape(-1, 6), expected, rtol=0, atol=2e-5 if backend == "cpu" else 1e-12)


@pytest.mark.parametrize("backend", DTYPES)
@pytest.mark.parametrize(
    ("z", "place"), [(0.5, 0), (1.0, 0), (1.5, 0), (2.0, 1), (2.5, 1), (4.0, 2), (8.0, 2), (50.0, 2)]
)
def test_an_edge_belongs_to_the_bin_behind_it(z: float, place: int, backend: str) -> None:
    """Also: what lies outside the outer edges counts in the outer bins."""
    cam = Camera(np.eye(4), 20, 20, 8, 8, 16, 16)
    wide = torch.tensor([[4 * z * z, 0, 0, 4 * z * z, 0, 0.01]])
    one = cast(Splats(torch.tensor([[0.0, 0, z]]), wide, torch.tensor([0.9]), torch.ones(1, 3)), DTYPES[backend])
    found = depth_histogram(one, cam, torch.tensor([1.0, 2, 4, 8]), backend=backend)[8, 8]
    assert float(found[place]) == pytest.approx(0.9, abs=0.01)
    assert float(found.sum()) == float(found[place])


@pytest.mark.parametrize("backend", DTYPES)
def test_many_splats_behind_one_that_hides_them_are_left_out(backend: str) -> None:
    """The tile stops early; what it had gathered until then is kept, and what comes after adds nothing."""
    cam = Camera(np.eye(4), 20, 20, 8, 8, 16, 16)
    count = 40
    means = torch.tensor([[0.0, 0, 1 + 0.1 * k] for k in range(count)])
    covariances = torch.tensor([[400.0, 0, 0, 400, 0, 0.01]]).repeat(count, 1)
    splats = cast(Splats(means, covariances, torch.full((count,), 0.95), torch.ones(count, 3)), DTYPES[backend])
    found = depth_histogram(splats, cam, torch.tensor([0.95, 1.05, 1.15, 1.25, 9.0]), backend=backend)
    expected = torch.tensor([0.95, 0.95 * 0.05, 0.95 * 0.0025, 0.0])
    torch.testing.assert_close(found[8, 8].float(), expected, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("backend", DTYPES)
def test_one_bin_is_the_opacity(backend: str) -> None:
    splats = cast(SCENES["many"], DTYPES[backend])
    found = depth_histogram(splats, camera(), torch.tensor([2.0, 2.1]), backend=backend)
    torch.testing.assert_close(found[..., 0], splat(splats, camera(), backend=backend).opacity, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", DTYPES)
def test_it_takes_no_gradients(backend: str) -> None:
    splats = cast(SCENES["many"], DTYPES[backend])
    splats.means.requires_grad_()
    try:
        assert not depth_histogram(splats, camera(), EDGES, backend=backend).requires_grad
    finally:
        splats.means.requires_grad_(False)  # in float64 these are the scene's own


def test_equal_input_gives_equal_bits() -> None:
    splats = cast(SCENES["many"], torch.float32)
    assert torch.equal(depth_histogram(splats, camera(), EDGES), depth_histogram(splats, camera(), EDGES))


@pytest.mark.parametrize(
    "edges", [[2.0], [], [2.0, 2.0], [1.0, 3.0, 2.0], [1.0, float("nan"), 3.0], [[1.0, 2.0]]], ids=str
)
def test_edges_that_do_not_ascend_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="are not two or more ascending depths"):
        depth_histogram(SCENES["one"], camera(), torch.tensor(edges))
