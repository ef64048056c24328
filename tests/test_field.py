"""The radiance field: folding space, marching, and the ray of a pixel, against plain float64 numpy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from renderer.camera import Camera, look_at
from renderer.field.draw import all_pixels, coarse_field, field_frames, field_histogram, spread_over_bins
from renderer.field.march import BEHIND, Rays, blend, march, place_samples, rays_through, resampled, weights_of
from renderer.field.model import DynamicValues, FieldShape, RadianceField, StaticValues, density
from renderer.field.space import Space
from renderer.scene import ray_distribution, render
from renderer.view import View

POSE = look_at(np.array([0.3, -0.2, -3.0]), np.array([0.0, 0.1, 1.0]), np.array([0.0, -1.0, 0.0]))
CAMERA = Camera.from_fov(POSE, math.radians(50), 24, 16)
SPACES = {
    "ndc": Space.around("ndc", POSE, np.array([0.9, 0.6, 1.0]), 1.0, 12.0),
    "contraction": Space.around("contraction", np.eye(4), np.full(3, 1.5), 1.0, 12.0),
}
SHAPE = FieldShape((6, 5, 7), 3, (1, 2), 4, 8, 4, True)


def field_of(kind: str = "ndc", seed: int = 3) -> RadianceField:
    """A field with random values everywhere."""
    field = RadianceField(SHAPE, SPACES[kind], frames=4, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in field.parameters():
            p += 0.4 * torch.randn(p.shape, generator=generator)
    return field


@pytest.mark.parametrize("kind", SPACES)
def test_unfolding_undoes_folding(kind: str) -> None:
    space = SPACES[kind]
    depths = torch.linspace(0.6, 22.0, 50, dtype=torch.float64)
    rays = rays_through(CAMERA, torch.tensor([[3, 4]] * 50), 0.0, torch.tensor(POSE))
    points = rays.origins + depths[:, None] * rays.directions
    places = space.fold(points)
    assert torch.allclose(space.unfold(places), points, rtol=1e-9)
    if kind == "contraction":
        assert places.abs().max() < 1


@pytest.mark.parametrize("kind", SPACES)
def test_folding_has_the_gradient_of_its_finite_differences(kind: str) -> None:
    points = torch.tensor([[0.1, 0.2, 0.3], [2.0, -1.0, 4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SPACES[kind].fold, points)
    assert torch.autograd.gradcheck(SPACES[kind].unfold, SPACES[kind].fold(points).detach().requires_grad_())


def test_equal_steps_along_a_ray_are_equal_steps_of_disparity_and_of_ndc() -> None:
    space = SPACES["ndc"]
    s = torch.linspace(0, 1, 9, dtype=torch.float64)
    depths = space.depth(s)
    assert torch.allclose((1 / depths).diff(), (1 / depths).diff()[:1].expand(8))
    assert torch.allclose(space.place(depths), s)
    rays = rays_through(CAMERA, torch.tensor([[5, 9]] * 9), 0.0, torch.tensor(POSE))
    places = space.fold(rays.origins + depths[:, None] * rays.directions)
    assert torch.allclose(places[:, 2], 2 * s - 1)


def test_rays_meet_what_the_camera_projects_and_zoom_acts_as_a_focal_length() -> None:
    pixels = torch.tensor([[0, 0], [23, 15], [7, 11]])
    for zoom in (None, torch.tensor(1.3, dtype=torch.float64)):
        rays = rays_through(CAMERA, pixels, 0.0, torch.tensor(POSE), zoom)
        factor = 1.0 if zoom is None else float(zoom)
        camera = replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor)
        uv, z = camera.project((rays.origins + 2.5 * rays.directions).numpy())
        assert np.allclose(uv, pixels.numpy() + 0.5) and np.allclose(z, 2.5)


def test_the_blend_is_that_of_the_equations() -> None:
    rng = np.random.default_rng(0)
    S = 7
    raw_st, raw_dy, v = rng.normal(size=S), rng.normal(size=S), rng.uniform(size=S)
    deltas = rng.uniform(0.1, 0.6, S)
    alone_st, alone_dy = (1 - np.exp(-np.exp(r - 1) * deltas) for r in (raw_st, raw_dy))
    a_st, a_dy, T, expected = alone_st * (1 - v), alone_dy * v, 1.0, []
    for i in range(S):
        expected.append((T * a_st[i], T * a_dy[i], T))
        T *= (1 - a_st[i]) * (1 - a_dy[i])
    of_static, of_dynamic, light = np.array(expected).T

    def tensor(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(x)

    static = StaticValues(tensor(raw_st), torch.zeros(S, 3), tensor(v))
    dynamic = DynamicValues(tensor(raw_dy), torch.zeros(S, 3), torch.zeros(S, 2, 3), torch.zeros(S, 2))
    w = blend(static, dynamic, tensor(deltas)[None])
    assert np.allclose(w.of_static[0], of_static) and np.allclose(w.of_dynamic[0], of_dynamic)
    assert np.allclose(w.transmittances[0], light) and np.allclose(w.blended[0], of_static + of_dynamic)
    alone = alone_st * np.concatenate([[1], np.cumprod(1 - alone_st)[:-1]])
    assert np.allclose(w.static[0], alone)


def test_the_density_has_the_gradient_of_its_finite_differences() -> None:
    raw = torch.tensor([-3.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(density, raw)


def test_samples_go_where_the_proposals_weigh() -> None:
    edges = torch.linspace(0, 1, 11)[None]
    weights = torch.zeros(1, 10)
    weights[0, 6] = 1.0
    chosen = resampled(edges, weights, 40, None)
    assert chosen[0, 0] == 0 and chosen[0, -1] == 1 and (chosen.diff() >= 0).all()
    inside = ((chosen > 0.6 - 1e-6) & (chosen < 0.7 + 1e-6)).sum()
    assert inside >= 0.85 * 40


@pytest.mark.parametrize("kind", SPACES)
def test_the_ray_of_a_pixel_composites_to_the_pictures_colour(kind: str) -> None:
    field, view = field_of(kind), View(CAMERA, 0.4)
    frame = render(field, view)
    for x, y in ((0, 0), (13, 7), (23, 15)):
        ray = ray_distribution(field, view, (x, y))
        assert np.allclose(ray.composite, frame.color[y, x], atol=1e-5)
        assert np.allclose(ray.weights @ ray.colors, ray.composite, atol=1e-5)
        assert np.isclose(ray.weights @ ray.depths, frame.depth[y, x], rtol=1e-4)
        assert ray.parts is not None and np.allclose(ray.parts.of_static + ray.parts.of_dynamic, ray.weights)
    with pytest.raises(ValueError, match="outside"):
        ray_distribution(field, view, (24, 0))


def test_pieces_make_the_same_picture_and_a_coarse_one_is_close() -> None:
    field, view = field_of(), View(CAMERA.resized(96, 64), 0.4)
    whole = render(field, view)
    *pieces, last = field_frames(field, view)
    assert all(piece is None for piece in pieces) and last is not None
    assert np.array_equal(last.color, whole.color)
    coarse = coarse_field(field, view, 96 * 64 // 4)
    assert coarse.color.shape == whole.color.shape and np.abs(coarse.color - whole.color).mean() < 0.05


def test_training_goes_on_between_the_pieces_of_a_picture() -> None:
    """Whoever draws does something else in between: a step of training needs its gradients there."""
    pieces = field_frames(field_of(), View(CAMERA, 0.3))
    next(pieces)
    assert torch.is_grad_enabled()


def test_the_histogram_holds_all_of_the_rays_weight_where_it_lies() -> None:
    field, view = field_of(), View(CAMERA, 0.4)
    edges = np.linspace(1.0, 12.0, 20)
    histogram, frame = field_histogram(field, view, edges), render(field, view)
    assert histogram.shape == (16, 24, 19)
    assert np.allclose(histogram.sum(2), frame.opacity, atol=1e-5)
    ray = ray_distribution(field, view, (5, 6))
    assert ray.edges is not None
    bounds = np.concatenate([[0.0], np.cumsum(ray.weights)])
    expected = np.diff(np.interp(edges[1:-1], ray.edges, bounds), prepend=0, append=ray.opacity)
    assert np.allclose(histogram[6, 5], expected, atol=1e-4)


def test_spreading_over_bins_keeps_a_weight_within_its_interval() -> None:
    weights = torch.tensor([[0.5, 0.0, 0.5]])
    edges = torch.tensor([[0.0, 1.0, 3.0, 4.0]])
    bins = torch.tensor([0.0, 0.5, 2.0, 3.5, 4.0])
    assert torch.allclose(spread_over_bins(weights, edges, bins), torch.tensor([[0.25, 0.25, 0.25, 0.25]]))


def test_gradients_reach_the_camera_and_every_part_of_the_field() -> None:
    field = field_of()
    pose = torch.tensor(POSE, dtype=torch.float32, requires_grad=True)
    zoom = torch.tensor(1.0, requires_grad=True)
    rays = rays_through(CAMERA, all_pixels(CAMERA)[::7], 0.4, pose, zoom)
    m = march(field, rays, 16, 8, torch.Generator().manual_seed(0))
    loss = (m.color() ** 2).sum() + m.dynamic.flow.sum() + m.dynamic.hidden.sum() + (m.proposals[1] ** 2).sum()
    loss.backward()
    for name, p in [*field.named_parameters(), ("pose", pose), ("zoom", zoom)]:
        assert p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0, name


def test_the_camera_gets_the_gradient_of_finite_differences() -> None:
    field = field_of().double()
    pixels = torch.tensor([[4, 4], [12, 9], [20, 3]])
    edges = torch.linspace(0, 1, 9, dtype=torch.float64).expand(3, -1)

    def color(shift: torch.Tensor, zoom: torch.Tensor) -> torch.Tensor:
        pose = torch.tensor(POSE).clone()
        pose = torch.cat([torch.cat([pose[:3, :3], (pose[:3, 3] + shift)[:, None]], 1), pose[3:]])
        rays = rays_through(CAMERA, pixels, 0.4, pose, zoom)
        samples = place_samples(field.space, rays, edges)
        deltas = torch.full_like(samples.deltas, 0.2)  # lengths of intervals get no gradient
        static = field.static_at(samples.places, rays.unit_directions(8))
        weights = weights_of(1 - torch.exp(-density(static.raw).view(3, 8) * deltas))[0]
        return (weights[..., None] * static.color.view(3, 8, 3)).sum(1)

    start = (
        torch.zeros(3, dtype=torch.float64, requires_grad=True),
        torch.ones((), dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(color, start, eps=1e-6, atol=1e-5)


def test_the_last_interval_ends_every_ray() -> None:
    field = field_of()
    rays = Rays(torch.zeros(2, 3), torch.tensor([[0.0, 0, 1], [0.1, 0, 1]]), 0.0)
    m = march(field, rays, 8, 6)
    assert (m.samples.deltas[:, -1] == BEHIND).all()
    assert torch.allclose(m.weights.static.sum(1), torch.ones(2), atol=1e-4)


def test_a_field_is_made_again_from_its_settings_and_tensors() -> None:
    field = field_of("contraction")
    again = RadianceField.from_settings(field.settings())
    again.load_state_dict(field.state_dict())
    view = View(CAMERA, 0.7)
    assert np.array_equal(render(field, view).color, render(again, view).color)
    with pytest.raises(ValueError, match="not a space"):
        RadianceField.from_settings({**field.settings(), "space": {**field.space.as_json(), "kind": "elsewhere"}})
