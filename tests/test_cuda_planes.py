"""The kernels of feature planes and of their penalties against torch in float64."""

import pytest
import torch

from renderer.cuda import planes as cuda_planes
from renderer.cuda.plane_penalties import plane_penalties
from renderer.planes import ENNEA_PLANES, HEX_PLANES, K_PLANES, PlaneLayout, Planes
from tests.cuda_emulator import emulated, needs_emulator
from training.plane_penalties import Form, Term, penalties, penalty_weights

LAYOUTS = {
    "ennea": PlaneLayout(ENNEA_PLANES, (5, 6, 4, 3, 7), levels=(1, 2), channels=16),
    "k": PlaneLayout(K_PLANES, (5, 6, 4, 3), levels=(1, 2, 4), channels=8),
    "hex": PlaneLayout(HEX_PLANES, (5, 6, 4, 3), levels=(1,), channels=32),
    "static": PlaneLayout((("xy", "xz", "yz"),), (5, 6, 4), levels=(1, 2), channels=20),
    "one pose, three channels": PlaneLayout(ENNEA_PLANES, (5, 6, 4, 3, 1), levels=(1,), channels=3),
    "one channel": PlaneLayout((("xy",), ("xz", "yt")), (4, 3, 5, 2), levels=(1, 3), channels=1),
    "more channels than lanes": PlaneLayout(K_PLANES, (3, 2, 4, 3), levels=(1,), channels=132),
    "more than lanes, one by one": PlaneLayout((("xy", "zt"),), (3, 2, 4, 3), levels=(1,), channels=35),
}
COMMON = ((), (0.3,), (-0.31, 1.4))
CASES = [(n, c) for n in LAYOUTS for c in COMMON if len(c) <= len(LAYOUTS[n].nodes) - 3 and not (c and n == "static")]
TERMS: tuple[tuple[Form, float, tuple[str, ...]], ...] = (
    ("variation", 0.3, ("xy", "xz", "yz")), ("curvature", 0.7, ("xt", "yt", "yz")),
    ("pose", 0.2, ("xs", "ys", "zs")), ("to one", 0.05, ("xt", "zt", "xs")),
)  # fmt: skip


def made(name: str) -> Planes:
    planes = Planes(LAYOUTS[name], torch.Generator().manual_seed(1))
    with torch.no_grad():
        planes.values += 0.5 * torch.rand(planes.values.shape, generator=torch.Generator().manual_seed(2))
    return planes


def points(count: int, axes: int) -> torch.Tensor:
    """Some of them outside, some on nodes and borders."""
    inside = 2.4 * torch.rand(count, axes, generator=torch.Generator().manual_seed(0)) - 1.2
    inside[::7] = inside[::7].round()
    return inside


def apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.cpu().double() - expected).norm() / expected.norm().clamp(min=1e-12))


def results(planes: Planes, at: torch.Tensor, common: tuple[float, ...], device: torch.device) -> list[torch.Tensor]:
    """Features and both gradients, by the kernels."""
    values = planes.values.detach().to(device).requires_grad_()
    c = at.detach().clone().to(device).requires_grad_()
    out = cuda_planes.lookup(values, c, planes.layout, common)
    (out * weights(out)).sum().backward()
    assert values.grad is not None and c.grad is not None
    return [out.detach(), values.grad, c.grad]


def weights(out: torch.Tensor) -> torch.Tensor:
    return torch.linspace(-1, 1, max(out.numel(), 1)).to(out)[: out.numel()].view(out.shape)


def references(planes: Planes, at: torch.Tensor, common: tuple[float, ...]) -> list[torch.Tensor]:
    twin = Planes(planes.layout).double()
    twin.values.data = planes.values.detach().double()
    c = at.detach().double().requires_grad_()
    out = twin.lookup_reference(c, common)
    (out * weights(out)).sum().backward()
    assert twin.values.grad is not None and c.grad is not None
    return [out.detach(), twin.values.grad, c.grad]


@pytest.mark.parametrize(("name", "common"), CASES)
def test_features_and_gradients_are_those_of_torch(
    name: str, common: tuple[float, ...], kernels_on: torch.device
) -> None:
    planes = made(name)
    at = points(70, len(planes.layout.nodes) - len(common)) * 0.999  # whether a border is inside is a matter of taste
    for found, expected in zip(results(planes, at, common, kernels_on), references(planes, at, common), strict=True):
        assert apart(found, expected) < 2e-6


def test_borders_and_nodes_are_read_as_on_the_cpu(kernels_on: torch.device) -> None:
    planes, at = made("k"), points(70, 4)
    c = at.clone().requires_grad_()
    out = planes(c)
    (out * weights(out)).sum().backward()
    assert planes.values.grad is not None and c.grad is not None
    for found, expected in zip(
        results(planes, at, (), kernels_on), [out.detach(), planes.values.grad, c.grad], strict=True
    ):
        assert apart(found, expected.double()) < 2e-6


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_points_are_looked_up(count: int, kernels_on: torch.device) -> None:
    planes, at = made("ennea"), 0.7 * points(9, 5)[2 : 2 + count]
    for found, expected in zip(results(planes, at, (), kernels_on), references(planes, at, ()), strict=True):
        assert found.shape == expected.shape
        assert apart(found, expected) < 2e-6


def test_a_plane_that_is_zero_at_a_point_still_gets_its_gradient(kernels_on: torch.device) -> None:
    planes, at = made("k"), 0.9 * points(20, 4)
    first = planes.layout.nodes[0] * planes.layout.nodes[1]
    with torch.no_grad():
        planes.values[:first] = 0
    for found, expected in zip(results(planes, at, (), kernels_on), references(planes, at, ()), strict=True):
        assert apart(found, expected) < 2e-6


@pytest.mark.parametrize("learned", ["planes", "points", "nothing"])
def test_what_is_not_learned_gets_no_gradient(learned: str, kernels_on: torch.device) -> None:
    planes, at = made("k"), 0.9 * points(20, 3)
    values = planes.values.detach().to(kernels_on).requires_grad_(learned == "planes")
    c = at.detach().clone().to(kernels_on).requires_grad_(learned == "points")
    out = cuda_planes.lookup(values, c, planes.layout, (0.2,))
    expected = references(planes, at, (0.2,))
    assert apart(out.detach(), expected[0]) < 2e-6
    if learned == "nothing":
        assert not out.requires_grad
        return
    (out * weights(out)).sum().backward()
    found, other, wanted = (values, c, expected[1]) if learned == "planes" else (c, values, expected[2])
    assert other.grad is None and found.grad is not None
    assert apart(found.grad, wanted) < 2e-6


def test_tensors_that_lie_anywhere_are_read(kernels_on: torch.device) -> None:
    """Gradients in columns, and values that do not start at a multiple of 16 bytes."""
    planes, at = made("k"), 0.9 * points(20, 4)
    room = torch.zeros(planes.values.numel() + 1, device=kernels_on)
    values = room[1:].view(planes.values.shape)
    values.copy_(planes.values.detach())
    values.requires_grad_()
    out = cuda_planes.lookup(values, at.to(kernels_on).T.contiguous().T, planes.layout)
    (out.T.contiguous().T * weights(out)).sum().backward()
    assert values.grad is not None
    assert apart(values.grad, references(planes, at, ())[1]) < 2e-6


@needs_emulator
def test_the_order_of_threads_does_not_matter() -> None:
    planes, at = made("ennea"), 0.9 * points(20, 3)
    expected = references(planes, at, (0.3, -0.2))
    for order in ("reversed", 5):
        with emulated(order):
            for found, plain in zip(results(planes, at, (0.3, -0.2), torch.device("cpu")), expected, strict=True):
                assert apart(found, plain) < 2e-6


def test_a_plane_of_two_common_axes_is_refused() -> None:
    planes = made("k")
    with pytest.raises(ValueError, match="two common axes"):
        cuda_planes.lookup(planes.values, torch.zeros(3, 2), planes.layout, (0.0, 0.0))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_planes_on_the_gpu_use_the_kernels() -> None:
    planes, at = made("ennea").cuda(), 0.9 * points(40, 3)
    out = planes(at.cuda(), (0.1, 0.2))
    assert type(out.grad_fn).__qualname__ == "_LookupBackward"
    assert apart(out.detach(), references(made("ennea"), at, (0.1, 0.2))[0]) < 2e-6
    terms = [Term(*term) for term in TERMS]
    assert float(penalties(planes, terms)) == pytest.approx(float(penalties(planes.cpu(), terms)), rel=1e-5)


def of_penalties(planes: Planes, terms: list[Term], device: torch.device) -> list[torch.Tensor]:
    values = planes.values.detach().to(device).requires_grad_()
    total = plane_penalties(values, planes.layout, penalty_weights(planes.layout, terms))
    (2.5 * total).backward()
    assert values.grad is not None
    return [total.detach(), values.grad]


def plain_penalties(planes: Planes, terms: list[Term]) -> list[torch.Tensor]:
    twin = Planes(planes.layout).double()
    twin.values.data = planes.values.detach().double()
    total = penalties(twin, terms)
    (2.5 * total).backward()
    assert twin.values.grad is not None
    return [total.detach(), twin.values.grad]


@pytest.mark.parametrize("name", ["ennea", "k", "one pose, three channels", "one channel"])
@pytest.mark.parametrize("chosen", [(0,), (1,), (2,), (3,), (0, 1, 2, 3)], ids=str)
def test_penalties_and_their_gradients_are_those_of_torch(
    name: str, chosen: tuple[int, ...], kernels_on: torch.device
) -> None:
    planes, terms = made(name), [Term(*TERMS[k]) for k in chosen]
    found, gradient = of_penalties(planes, terms, kernels_on)
    longest = {n: N_j for n, _, _, _, N_j in planes.layout.planes()}
    if not any(longest.get(n, 0) > 2 for term in terms for n in term.names):  # nothing to bend
        assert float(found) == 0 and not gradient.any()
        return
    expected, plain = plain_penalties(planes, terms)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    assert apart(gradient, plain) < 1e-5


def test_values_of_one_are_left_alone_and_short_axes_cost_nothing(kernels_on: torch.device) -> None:
    planes = Planes(PlaneLayout((("xy", "xt"),), (2, 1, 3, 2), (1,), 4))
    with torch.no_grad():
        planes.values.fill_(1.0)
    terms = [Term(form, 1.0, ("xy", "xt")) for form in ("variation", "curvature", "pose", "to one")]
    found, gradient = of_penalties(planes, terms, kernels_on)
    assert float(found) == 0 and not gradient.any()


@needs_emulator
def test_penalties_are_equal_in_every_order() -> None:
    planes, terms, found = made("ennea"), [Term(*term) for term in TERMS], []
    for order in ("forward", "reversed", 3):
        with emulated(order):
            found.append(of_penalties(planes, terms, torch.device("cpu")))
    for other in found[1:]:
        assert torch.equal(other[0], found[0][0]) and torch.equal(other[1], found[0][1])
