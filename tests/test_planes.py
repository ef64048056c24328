"""Feature planes against a plain float64 numpy reading of the equations, and their gradients by finite differences."""

import numpy as np
import pytest
import torch

from renderer.planes import ENNEA_PLANES, HEX_PLANES, K_PLANES, PlaneLayout, Planes
from training.plane_penalties import curvature, distance_to_one, pose_smoothness, total_variation

LAYOUTS = {
    "ennea": PlaneLayout(ENNEA_PLANES, (5, 6, 4, 3, 7), levels=(1, 2), channels=3),
    "k": PlaneLayout(K_PLANES, (5, 6, 4, 3), levels=(1, 2, 4), channels=2),
    "hex": PlaneLayout(HEX_PLANES, (5, 6, 4, 3), levels=(1,), channels=4),
    "one pose": PlaneLayout(ENNEA_PLANES, (5, 6, 4, 3, 1), levels=(1,), channels=3),
}


def made(name: str, dtype: torch.dtype = torch.float32) -> Planes:
    planes = Planes(LAYOUTS[name], torch.Generator().manual_seed(1)).to(dtype)
    with torch.no_grad():
        planes.values += 0.5 * torch.rand(planes.values.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    return planes


def points(count: int, axes: int, seed: int = 0) -> torch.Tensor:
    return 2.4 * torch.rand(count, axes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1.2


def bilinear(plane: np.ndarray, u: float, v: float) -> np.ndarray:
    """The feature (C,) of a plane (N_j, N_i, C) at coordinates of its first and second axis."""
    x, y = ((np.clip(c, -1, 1) + 1) / 2 * (n - 1) for c, n in ((u, plane.shape[1]), (v, plane.shape[0])))
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    x1, y1 = min(x0 + 1, plane.shape[1] - 1), min(y0 + 1, plane.shape[0] - 1)
    top = (1 - (x - x0)) * plane[y0, x0] + (x - x0) * plane[y0, x1]
    bottom = (1 - (x - x0)) * plane[y1, x0] + (x - x0) * plane[y1, x1]
    return (1 - (y - y0)) * top + (y - y0) * bottom


def by_hand(planes: Planes, coordinates: np.ndarray) -> np.ndarray:
    """Section 3.2: product over a group's planes, groups and levels side by side."""
    rows = []
    values = [p.detach().double().numpy() for p in planes.planes()]
    for c in coordinates:
        features: dict[int, np.ndarray] = {}
        for plane, (name, _, slot, _, _) in zip(values, planes.layout.planes(), strict=True):
            f = bilinear(plane, *(c["xyzts".index(axis)] for axis in name))
            features[slot] = features.get(slot, 1.0) * f
        rows.append(np.concatenate([features[slot] for slot in sorted(features)]))
    return np.stack(rows)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_are_products_of_bilinear_readings(name: str, dtype: torch.dtype) -> None:
    planes = made(name, dtype)
    c = points(50, len(planes.layout.nodes))
    expected = by_hand(planes, c.numpy())
    assert expected.shape[1] == planes.layout.features
    np.testing.assert_allclose(planes(c.to(dtype)).detach().numpy(), expected, rtol=2e-5)


@pytest.mark.parametrize(
    ("name", "common"),
    [(n, c) for n in LAYOUTS for c in ((), (0.3,), (-0.31, 0.77)) if len(c) <= len(LAYOUTS[n].nodes) - 3],
)
def test_the_kernels_have_the_values_and_gradients_of_the_reference(name: str, common: tuple[float, ...]) -> None:
    planes = made(name)
    results = []
    for lookup in (planes.forward, planes.lookup_reference):
        c = points(300, len(planes.layout.nodes) - len(common)).float().requires_grad_()
        planes.zero_grad()
        out = lookup(c, common)
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        assert planes.values.grad is not None and c.grad is not None
        results.append((out.detach(), planes.values.grad.clone(), c.grad.clone()))
    for fast, plain in zip(*results, strict=True):
        assert float((fast - plain).norm() / plain.norm()) < 3e-6


def test_gradients_are_those_of_finite_differences() -> None:
    planes = made("ennea")
    c = points(6, 3, seed=3).float() * 0.8
    weights = torch.linspace(-1, 1, 6 * planes.layout.features).view(6, -1)

    def loss(values: torch.Tensor, at: torch.Tensor) -> float:
        twin = Planes(planes.layout).double()
        twin.values.data = values
        return float((twin(at, (0.21, -0.4)) * weights.double()).sum().detach())

    leaf = c.clone().requires_grad_()
    (planes(leaf, (0.21, -0.4)) * weights).sum().backward()
    values, at = planes.values.detach().double(), c.double()
    assert planes.values.grad is not None and leaf.grad is not None
    touched = planes.values.grad.abs().view(-1).argsort(descending=True)[:40]
    for gradient, variable, places in (
        (planes.values.grad.view(-1), values, touched),
        (leaf.grad.view(-1), at, range(18)),
    ):
        for k in places:
            moved = [variable.clone() for _ in range(2)]
            for sign, copy in zip((1, -1), moved, strict=True):
                copy.view(-1)[k] += sign * 1e-5
            args = [(m, at) if variable is values else (values, m) for m in moved]
            slope = (loss(*args[0]) - loss(*args[1])) / 2e-5
            assert float(gradient[k]) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_outside_the_box_a_plane_goes_on_as_at_its_border() -> None:
    planes = made("k")
    inside = torch.tensor([[1.0, -1.0, 0.2, 1.0]])
    outside = torch.tensor([[5.0, -3.0, 0.2, 1.5]], requires_grad=True)
    torch.testing.assert_close(planes(outside), planes(inside))
    planes(outside).sum().backward()
    assert outside.grad is not None
    assert outside.grad[0, [0, 1, 3]].abs().max() == 0


def test_only_space_grows_with_the_level_and_spatial_planes_start_uniform_others_at_one() -> None:
    planes = Planes(PlaneLayout(ENNEA_PLANES, (8, 9, 10, 5, 4), (1, 2), 16))
    shapes = {(name, level): (N_j, N_i) for name, level, _, N_i, N_j in planes.layout.planes()}
    assert shapes["xt", 2] == (5, 16)
    assert shapes["ys", 1] == (4, 9)
    assert shapes["yz", 2] == (20, 18)
    assert len(shapes) == 18 and ("ts", 1) not in shapes
    for name, values in planes.by_name().items():
        for plane in values:
            if set(name) <= set("xyz"):
                assert plane.min() >= 0.1 and plane.max() <= 0.5 and plane.std() > 0.05
            else:
                assert plane.min() == plane.max() == 1


@pytest.mark.parametrize(("groups", "nodes"), [((("xw",),), (2, 2)), ((("yx",),), (2, 2)), ((("xt",),), (2, 2, 2))])
def test_a_plane_needs_two_of_the_axes(groups: tuple[tuple[str, ...], ...], nodes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not two of the axes"):
        PlaneLayout(groups, nodes)


def test_regularisers_are_those_of_the_papers() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(5, 4, 3)), rng.normal(size=(6, 7, 3))]
    planes = [torch.from_numpy(a) for a in arrays]

    tv, bend, smooth, ones = 0.0, 0.0, 0.0, 0.0
    for a in arrays:
        H, W, C = a.shape
        vertical = sum((a[j + 1, i, c] - a[j, i, c]) ** 2 for j in range(H - 1) for i in range(W) for c in range(C))
        horizontal = sum((a[j, i + 1, c] - a[j, i, c]) ** 2 for j in range(H) for i in range(W - 1) for c in range(C))
        tv += 2 * (vertical / ((H - 1) * W * C) + horizontal / (H * (W - 1) * C))
        second = [(a[j - 1, i] - a[j, i]) - (a[j, i] - a[j + 1, i]) for j in range(1, H - 1) for i in range(W)]
        bend += float(np.mean(np.square(second)))
        smooth += sum(float(v @ v) for v in second) / (H * W) / len(arrays)
        ones += float(np.abs(1 - a).mean())
    assert float(total_variation(planes)) == pytest.approx(tv)
    assert float(curvature(planes)) == pytest.approx(bend)
    assert float(pose_smoothness(planes)) == pytest.approx(smooth)
    assert float(distance_to_one(planes)) == pytest.approx(ones)


def test_regularisers_of_short_axes_are_zero_not_undefined() -> None:
    short = [torch.ones(1, 4, 2)]
    assert float(curvature(short)) == float(pose_smoothness(short)) == float(total_variation(short)) == 0
