"""Kernels along rays of a field against plain torch in float64: values, gradients, and whole marches."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from renderer.camera import Camera, look_at
from renderer.cuda import field as kernels
from renderer.cuda.field import Composited
from renderer.field import march as marching
from renderer.field.march import BEHIND, UNIFORM_SHARE, Marched, Rays, march, rays_through
from renderer.field.model import DynamicValues, FieldShape, RadianceField, StaticValues
from renderer.field.space import Space
from tests.cuda_emulator import emulated, needs_emulator

POSE = look_at(np.array([0.3, -0.2, -3.0]), np.array([0.0, 0.1, 1.0]), np.array([0.0, -1.0, 0.0]))
CAMERA = Camera.from_fov(POSE, math.radians(50), 24, 16)
TURNED = look_at(np.array([-0.1, 0.4, -2.0]), np.array([0.3, 0.0, 1.0]), np.array([0.1, -1.0, 0.0]))
SPACES = {
    "ndc": Space.around("ndc", TURNED, np.array([0.9, 0.6, 1.0]), 1.0, 12.0),
    "contraction": Space.around("contraction", TURNED, np.full(3, 1.5), 1.0, 12.0),
}
SHAPES = ((0, 5), (1, 1), (3, 7), (5, 32), (9, 33), (2, 96))
"""Rays and samples: none, one, and more than fit into a block and into a warp."""
Function = Callable[..., dict[str, Tensor]]


def random(seed: int, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)).float()


def assert_near(found: Tensor, expected: Tensor, least: float, name: str) -> None:
    """Relative L2 distance, which a few outliers cannot hide in."""
    assert found.shape == expected.shape, name
    found, expected = found.detach().cpu().double(), expected.detach()
    assert torch.isfinite(found).all(), name
    distance = torch.linalg.vector_norm(found - expected)
    assert distance <= least * torch.linalg.vector_norm(expected) + 1e-12, f"{name}: {distance:.3g}"


def check(
    ours: Function, plain: Function, inputs: dict[str, Tensor], device: torch.device, values: float, slopes: float
) -> None:
    """The same outputs, one by one, and gradients of a random sum of them; of floating inputs that have some."""
    near = {n: x.detach().to(device).requires_grad_(x.requires_grad) for n, x in inputs.items()}
    exact = {n: x.detach().double().requires_grad_(x.requires_grad) for n, x in inputs.items()}
    found, expected = ours(**near), plain(**exact)
    assert found.keys() == expected.keys()
    total, right = torch.zeros((), device=device), torch.zeros((), dtype=torch.float64)
    for k, name in enumerate(expected):
        assert_near(found[name], expected[name], values, name)
        if expected[name].requires_grad:
            factors = random(100 + k, *expected[name].shape, low=-1)
            total = total + (found[name] * factors.to(device)).sum()
            right = right + (expected[name] * factors.double()).sum()
    if right.requires_grad:
        total.backward()
        right.backward()
        for name, x in exact.items():
            if x.grad is not None:
                v = near[name].grad
                assert v is not None, name
                assert_near(v, x.grad, slopes, f"v_{name}")


# ------------------------------------------------------------------------------------------------ weights


def samples_of(R: int, S: int, seed: int = 0) -> dict[str, Tensor]:
    """Raw densities from nearly empty to opaque, and a last interval without end."""
    deltas = random(seed, R, S, high=0.3)
    deltas[:, -1:] = BEHIND
    raw = {name: random(seed + k, R * S, low=-3, high=3) for k, name in enumerate(("raw_static", "raw_dynamic"), 1)}
    values = raw | {"blend": random(seed + 3, R * S)}
    values |= {f"color_{part}": random(seed + k, R * S, 3) for k, part in enumerate(("static", "dynamic"), 4)}
    return {name: x.requires_grad_() for name, x in values.items()} | {"deltas": deltas}


def blended(
    raw_static: Tensor, raw_dynamic: Tensor, blend: Tensor, color_static: Tensor, color_dynamic: Tensor, deltas: Tensor
) -> dict[str, Tensor]:
    """The project's own way, with colours as :class:`Marched` composites them."""
    nowhere = torch.zeros_like(deltas)
    static = StaticValues(raw_static, color_static, blend)
    dynamic = DynamicValues(raw_dynamic, color_dynamic, nowhere, nowhere)
    samples = marching.Samples(nowhere, nowhere, nowhere, nowhere, deltas)
    w = marching.blend(static, dynamic, deltas)
    m = Marched(samples, static, dynamic, w, (nowhere, nowhere))
    colors = {"color": m.color(), "color_static": m.color_alone("static"), "color_dynamic": m.color_alone("dynamic")}
    return {name: getattr(w, name) for name in Composited._fields[:6]} | colors


def composited(**inputs: Tensor) -> dict[str, Tensor]:
    return kernels.composite(**inputs)._asdict()


@pytest.mark.parametrize(("R", "S"), SHAPES)
def test_samples_weigh_and_composite_as_the_equations_say(R: int, S: int, kernels_on: torch.device) -> None:
    check(composited, blended, samples_of(R, S), kernels_on, 1e-6, 1e-5)


def test_densities_beyond_the_clamp_stay_there_and_keep_a_slope(kernels_on: torch.device) -> None:
    inputs = {n: x.detach() for n, x in samples_of(3, 20).items()}
    raw = {n: random(k, 60, low=10, high=14) for k, n in enumerate(("raw_static", "raw_dynamic"))}
    inputs |= raw | {"deltas": random(4, 3, 20, high=1e-5)}
    leaves = {n: x.clone().requires_grad_(n != "deltas") for n, x in inputs.items()}
    check(composited, blended, leaves, kernels_on, 1e-6, 1e-5)


@pytest.mark.parametrize("name", Composited._fields)
def test_each_output_alone_has_its_gradient(name: str, kernels_on: torch.device) -> None:
    def only(function: Function) -> Function:
        return lambda **inputs: {name: function(**inputs)[name]}

    check(only(composited), only(blended), samples_of(4, 37, seed=9), kernels_on, 1e-6, 1e-5)


def test_rays_behind_a_wall_have_finite_gradients(kernels_on: torch.device) -> None:
    inputs = {n: x.detach() for n, x in samples_of(2, 64).items()}
    inputs["raw_static"] = torch.full_like(inputs["raw_static"], 14.0)  # the light underflows after some samples
    inputs["raw_dynamic"] = torch.full_like(inputs["raw_dynamic"], 14.0)
    inputs["deltas"] = torch.full_like(inputs["deltas"], 1.0)
    leaves = {n: x.to(kernels_on).requires_grad_(n != "deltas") for n, x in inputs.items()}
    out = kernels.composite(**leaves)
    torch.stack([x.square().sum() for x in out]).sum().backward()
    assert torch.allclose(out.dynamic.sum(1).cpu(), torch.ones(2))
    for name, x in leaves.items():
        assert name == "deltas" or (x.grad is not None and torch.isfinite(x.grad).all()), name


def test_strided_values_and_gradients_are_read_as_they_are(kernels_on: torch.device) -> None:
    inputs = samples_of(3, 10)
    whole = torch.stack([inputs["raw_static"], inputs["raw_dynamic"]], dim=1).detach().to(kernels_on).requires_grad_()
    rest = {n: x.detach().to(kernels_on) for n, x in inputs.items() if not n.startswith("raw")}
    out = kernels.composite(whole[:, 0], whole[:, 1], **rest)
    out.blended.sum(1)[:2].sum().backward()  # a gradient that is spread out, and zero on one ray

    exact = {n: x.detach().double() for n, x in inputs.items()}
    leaves = [exact.pop(n).requires_grad_() for n in ("raw_static", "raw_dynamic")]
    blended(*leaves, **exact)["blended"].sum(1)[:2].sum().backward()
    expected = torch.stack([x.grad for x in leaves if x.grad is not None], dim=1)
    assert whole.grad is not None
    assert_near(whole.grad, expected, 1e-5, "v_raw")


@pytest.mark.parametrize(("R", "S"), SHAPES)
def test_a_density_weighs_as_the_equations_say(R: int, S: int, kernels_on: torch.device) -> None:
    deltas = samples_of(R, S)["deltas"]
    sigma = random(8, R, S, high=6).requires_grad_()
    check(
        lambda sigma, deltas: {"weights": kernels.density_weights(sigma, deltas)},
        lambda sigma, deltas: {"weights": marching.density_weights(sigma, deltas)},
        {"sigma": sigma, "deltas": deltas}, kernels_on, 1e-6, 1e-5,
    )  # fmt: skip


def test_without_gradients_nothing_is_kept_for_them(kernels_on: torch.device) -> None:
    inputs = {n: x.detach().to(kernels_on) for n, x in samples_of(3, 40).items()}
    assert not any(x.requires_grad for x in kernels.composite(**inputs))
    with torch.no_grad():
        leaves = {n: x.requires_grad_(n != "deltas") for n, x in inputs.items()}
        assert not any(x.requires_grad for x in kernels.composite(**leaves))


# ------------------------------------------------------------------------------------------------ samples


@pytest.mark.parametrize(("R", "n"), [(1, 1), (5, 2), (7, 40)])
def test_noise_moves_inner_edges_by_up_to_half_an_interval(R: int, n: int, kernels_on: torch.device) -> None:
    noise = random(3, R, n + 1)
    edges = kernels.stratify(noise.to(kernels_on)).cpu()
    shift = (noise.double() - 0.5) / n
    shift[:, [0, -1]] = 0
    assert_near(edges, torch.linspace(0, 1, n + 1, dtype=torch.float64) + shift, 1e-6, "edges")
    assert (edges[:, 0] == 0).all() and (edges[:, -1] == 1).all()


@pytest.mark.parametrize(("P", "count"), [(1, 3), (5, 1), (33, 40), (128, 64), (1024, 3)])
@pytest.mark.parametrize("jittered", [False, True])
def test_samples_go_where_the_proposals_weigh(P: int, count: int, jittered: bool, kernels_on: torch.device) -> None:
    R = 6
    edges = marching.stratified(R, P, torch.zeros((), dtype=torch.float64), torch.Generator().manual_seed(1)).float()
    weights = random(2, R, P) ** 8
    weights[0] = 0.0  # a ray on which nothing weighs
    weights[1, 1:] = 0.0
    generators = [torch.Generator().manual_seed(3) if jittered else None for _ in range(2)]
    expected = marching.resampled(edges.double(), weights.double(), count, generators[0])
    noise = None if generators[1] is None else torch.rand(R, count + 1, generator=generators[1]).to(kernels_on)
    found = kernels.resample(edges.to(kernels_on), weights.to(kernels_on), noise, count, UNIFORM_SHARE).cpu()
    assert_near(found, expected, 1e-6 if P < 1000 else 1e-5, "edges")
    assert (found[:, 0] == 0).all() and (found[:, -1] == 1).all() and (found.diff(dim=1) >= 0).all()


def rays_of(R: int) -> tuple[Tensor, Tensor]:
    """Through the reference camera's picture, beside it, and along its plane."""
    origins = torch.tensor([0.2, 0.1, -2.5]) + random(4, R, 3, low=-1.5, high=1.5)
    return origins, torch.tensor([0.0, 0.0, 1.0]) + random(5, R, 3, low=-0.7, high=0.7)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize(("R", "S"), [(0, 3), (1, 1), (7, 31), (5, 70)])
def test_samples_lie_where_space_is_folded_to(kind: str, R: int, S: int, kernels_on: torch.device) -> None:
    origins, directions = rays_of(R)
    edges = torch.linspace(0, 1, S + 1).expand(R, -1)

    def ours(origins: Tensor, directions: Tensor, edges: Tensor) -> dict[str, Tensor]:
        return shown(kernels.place(SPACES[kind], origins, directions, edges, BEHIND))

    def plain(origins: Tensor, directions: Tensor, edges: Tensor) -> dict[str, Tensor]:
        return shown(marching.place_samples(SPACES[kind], Rays(origins, directions, 0.0), edges))

    def shown(x: kernels.Placed | marching.Samples) -> dict[str, Tensor]:
        assert (x.deltas[:, -1] == BEHIND).all()  # next to which the other lengths would be nothing
        return {"s": x.s, "depths": x.depths, "places": x.places, "deltas": x.deltas[:, :-1]}

    inputs = {"origins": origins.requires_grad_(), "directions": directions.requires_grad_(), "edges": edges}
    check(ours, plain, inputs, kernels_on, 1e-5, 1e-5)


@pytest.mark.parametrize("kind", SPACES)
def test_places_have_both_sides_of_each_fold(kind: str) -> None:
    """What the test above compares lies before and behind the plane, and within and outside of the ball."""
    origins, directions = rays_of(7)
    points = Rays(origins, directions, 0.0).points(SPACES[kind].depth(torch.linspace(0, 1, 31).expand(7, -1)))
    local = points @ torch.tensor(TURNED[:3, :3], dtype=torch.float32).T + torch.tensor(TURNED[:3, 3]).float()
    inside = local[:, 2] < 0.25 if kind == "ndc" else torch.linalg.vector_norm(local, dim=1) < 1.5
    assert 0 < int(inside.sum()) < len(inside)


@pytest.mark.parametrize(("S", "B"), [(1, 1), (9, 5), (32, 33), (64, 70)])
def test_weights_are_spread_over_bins(S: int, B: int, kernels_on: torch.device) -> None:
    R = 5
    edges = torch.cat([torch.ones(R, 1), 1 + random(6, R, S, high=0.4).cumsum(1)], dim=1)
    if S > 2:
        edges[:, 2] = edges[:, 1]  # an interval without width
    weights = random(7, R, S)
    bins = torch.linspace(0.5, float(edges.max()) + 1, B + 1, dtype=torch.float64)
    found = kernels.spread_over_bins(weights.to(kernels_on), edges.to(kernels_on), bins.to(kernels_on)).cpu()
    sums = np.concatenate([np.zeros((R, 1)), np.cumsum(weights.double().numpy(), axis=1)], axis=1)
    inner = np.stack([np.interp(bins[1:-1].float(), e.double(), c) for e, c in zip(edges, sums, strict=True)])
    expected = np.diff(np.concatenate([np.zeros((R, 1)), inner, sums[:, -1:]], axis=1), axis=1)
    assert_near(found, torch.from_numpy(expected), 1e-5, "weights")


@needs_emulator
@pytest.mark.parametrize("order", ["reversed", 7])
def test_what_a_warp_shares_is_there_in_every_order_of_its_lanes(order: Literal["reversed"] | int) -> None:
    edges, weights = torch.linspace(0, 1, 71).expand(6, -1), random(1, 6, 70)
    bins = torch.linspace(0.1, 0.9, 40)
    with emulated():
        expected = kernels.resample(edges, weights, None, 50, 0.1), kernels.spread_over_bins(weights, edges, bins)
    with emulated(order):
        found = kernels.resample(edges, weights, None, 50, 0.1), kernels.spread_over_bins(weights, edges, bins)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


# ------------------------------------------------------------------------------------------------ marches


@pytest.mark.parametrize("kind", SPACES)
def test_a_march_by_kernels_is_that_of_plain_torch(kind: str, kernels_on: torch.device) -> None:
    """Colours, weights and proposals, and the gradients of the field and the camera."""
    pixels = torch.tensor([[x, y] for x in range(1, 24, 6) for y in range(2, 16, 6)])
    found, expected = (
        marched(kind, dtype, device, pixels)
        for dtype, device in ((torch.float32, kernels_on), (torch.float64, torch.device("cpu")))
    )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_near(found[name], value, 1e-3 if name.startswith("v_") else 1e-4, name)


def marched(kind: str, dtype: torch.dtype, device: torch.device, pixels: Tensor) -> dict[str, Tensor]:
    """What a march gives, and the gradients of a sum of all of it."""
    field = RadianceField(FieldShape((6, 5, 7), 3, (1, 2), 4, 8, 4, True), SPACES[kind], frames=4, seed=3)
    pose, zoom = torch.tensor(POSE, dtype=dtype, requires_grad=True), torch.ones((), dtype=dtype, requires_grad=True)
    field = field.to(device=device, dtype=dtype)
    rays = rays_through(CAMERA, pixels, 0.4, pose, zoom)
    m = march(field, rays, 40, 33, torch.Generator().manual_seed(0))
    out = {"color": m.color(), "dynamic": m.color_alone("dynamic"), "static": m.color_alone("static")}
    out |= {"blended": m.weights.blended, "guess": m.proposals[1], "edges": m.samples.edges}
    loss = torch.zeros((), dtype=dtype, device=device)
    for k, value in enumerate(out.values()):
        loss = loss + (value * random(50 + k, *value.shape).to(value)).sum()
    loss.backward()
    grads = {n: p.grad for n, p in [*field.named_parameters(), ("pose", pose), ("zoom", zoom)]}
    return out | {f"v_{n}": v for n, v in grads.items() if v is not None}


def test_kernels_are_left_to_float32(kernels_on: torch.device) -> None:
    x = torch.zeros(2, 3, device=kernels_on)
    assert kernels.served(x) and not kernels.served(x, x.double())
    assert kernels.searched(x, x) and not kernels.searched(x, x.clone().requires_grad_())
    assert not kernels.searched(x, torch.zeros(2, kernels.MOST_INTERVALS + 1, device=kernels_on))


def test_tensors_on_the_cpu_take_the_plain_way() -> None:
    assert not kernels.served(torch.zeros(2, 3))
    values = {n: x.detach() for n, x in samples_of(2, 5).items()}
    static = StaticValues(values["raw_static"], values["color_static"], values["blend"])
    nothing = torch.zeros(10, 2)
    dynamic = DynamicValues(values["raw_dynamic"], values["color_dynamic"], nothing, nothing)
    weights, colors = marching.composited(static, replace(dynamic), values["deltas"])
    assert colors is None and weights.blended.shape == (2, 5)
