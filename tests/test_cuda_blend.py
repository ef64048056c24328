"""Blending of listed splats against dense torch in float64: pictures, gradients, histograms and single rays."""

import math
import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from renderer.cuda.blend import TILE, Backward, Blended, Picture, blend, contributions, depth_histogram
from renderer.cuda.launch import launch
from renderer.cuda.program import Program
from renderer.cuda.tiles import TileLists
from renderer.splat.reference import raw_alphas, weights_from_alphas
from renderer.splat.types import ALPHA_MIN
from tests.cuda_fixtures import needs_emulator

W, H = 37, 23
BACKGROUND = (0.2, 0.3, 0.4)
WAYS: tuple[Backward, ...] = ("splats", "pixels")


def splats_on_screen(
    count: int, seed: int, size: tuple[float, float] = (1, 6), opacity: tuple[float, float] = (0.05, 1), width: int = W
) -> Tensor:
    """(N, 12) float32 records of random ellipses whose centres lie on the picture or a little off it."""
    generator = torch.Generator().manual_seed(seed)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)

    angle, a, b = between(0, math.pi), between(*size), between(*size)
    x, y = torch.cos(angle), torch.sin(angle)
    A, B, C = x**2 / a**2 + y**2 / b**2, x * y * (1 / a**2 - 1 / b**2), y**2 / a**2 + x**2 / b**2
    o = between(*opacity)
    columns = [between(-4, width + 4), between(-4, H + 4), A, B, C, o, between(1, 4)]
    columns += [between(0, 1), between(0, 1), between(0, 1), 2 * torch.log(o / ALPHA_MIN), torch.zeros(count)]
    return torch.stack(columns, dim=1).float()


def wall(count: int = 300) -> Tensor:
    """Nine splats that hide everything but the picture's right end, and many more behind them."""
    front, behind = splats_on_screen(9, 1, (40, 60), (0.9, 1.0)), splats_on_screen(count, 2)
    front[:, 0], front[:, 1], front[:, 6] = 2.0, 11.0, torch.linspace(0.5, 0.9, 9)
    front[:, 2:5] = torch.tensor([1 / 9**2, 0.0, 1 / 60**2])
    return torch.cat([behind[: count // 2], front, behind[count // 2 :]])


SCENES = {
    "many": splats_on_screen(150, 3),
    "one": splats_on_screen(1, 4),
    "none": splats_on_screen(0, 5),
    "rays that end at a wall": wall(),
    "more than two batches in a tile": splats_on_screen(700, 6, (4, 12), (0.005, 0.03)),
    "thin": splats_on_screen(60, 7, (0.55, 30)),
    "clamped": splats_on_screen(60, 8, (2, 6), (0.99, 1.0)),
}
COLUMNS = ("x", "y", "A", "B", "C", "opacity", "z", "red", "green", "blue")


def pixel_centers(width: int = W, height: int = H) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], dim=2).reshape(-1, 2).double() + 0.5


def order_of(screen: Tensor) -> Tensor:
    return torch.argsort(screen[:, 6].detach(), stable=True)


def weights_at(screen: Tensor, pixels: Tensor) -> Tensor:
    """(P, N) float64 weights of the splats in ``screen``, nearest first."""
    d = pixels[:, None] - screen[None, :, :2]
    alphas = raw_alphas(d, screen[:, 2:5], screen[:, 5])
    return weights_from_alphas(torch.where(alphas >= ALPHA_MIN, alphas, 0.0))[0]


def expected_of(screen: Tensor, target: Tensor | None) -> list[Tensor]:
    """Colour, depth, opacity, and with a target the error, as plain sums over all splats."""
    near = screen[order_of(screen)]
    weights = weights_at(near, pixel_centers().to(screen.device))
    opacity = weights.sum(1)
    color = weights @ near[:, 7:10] + (1 - opacity)[:, None] * torch.tensor(BACKGROUND).to(screen)
    found = [color.reshape(H, W, 3), (weights @ near[:, 6]).reshape(H, W), opacity.reshape(H, W)]
    if target is not None:
        off = (weights * (near[:, 6] - target.reshape(-1, 1)).abs()).sum(1)
        found.append(torch.where(target > 0, off.reshape(H, W), 0.0))
    return found


def listed(screen: Tensor, room: int = 50) -> TileLists:
    """Brute force: a tile's list has the splats that reach one of its pixels, and every seventh besides."""
    near, columns, rows = order_of(screen), -(-W // TILE), -(-H // TILE)
    centers = pixel_centers(columns * TILE, rows * TILE)
    exact = screen.double()
    d = centers[:, None] - exact[None, :, :2]
    reached = raw_alphas(d, exact[:, 2:5], exact[:, 5]) >= ALPHA_MIN  # (P, N)
    tiles = (centers[:, 1] // TILE * columns + centers[:, 0] // TILE).long()
    lists = []
    for tile in range(columns * rows):
        there = reached[tiles == tile].any(0) | (torch.arange(len(screen)) % 7 == 0)
        lists.append(near[there[near]])
    starts = torch.tensor([0, *(len(part) for part in lists)]).cumsum(0).int()
    given = torch.cat([*lists, torch.full((room,), 2**30)]).int()  # what lies behind the last is not to be read
    return TileLists(starts, given, starts[-1:].clone())


def depth_target() -> Tensor:
    """(H, W) depths among those of the splats, not known at a third of the pixels."""
    generator = torch.Generator().manual_seed(0)
    depths = 1.5 + 2 * torch.rand(H, W, generator=generator)
    return torch.where(torch.rand(H, W, generator=generator) < 1 / 3, -1.0, depths)


def picture_of(screen: Tensor, device: torch.device, target: Tensor | None = None) -> Picture:
    lists = listed(screen)
    there = TileLists(lists.starts.to(device), lists.rows.to(device), lists.total.to(device))
    return Picture(W, H, there, torch.tensor(BACKGROUND).to(device), None if target is None else target.to(device))


def outputs_of(found: Blended) -> list[Tensor]:
    images = [found.color, found.depth, found.opacity]
    return images if found.depth_error is None else [*images, found.depth_error]


def weighted(images: list[Tensor]) -> Tensor:
    """Their sum with random weights."""
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(image.shape, generator=generator, dtype=torch.float64) for image in images]
    return torch.stack([(i * w.to(i)).sum() for i, w in zip(images, weights, strict=True)]).sum()


def check(name: str, device: torch.device, way: Backward, target: Tensor | None) -> None:
    exact = SCENES[name].double().requires_grad_()
    expected = expected_of(exact, None if target is None else target.double())
    weighted(expected).backward()
    screen = SCENES[name].to(device, copy=True).requires_grad_()
    found = outputs_of(blend(screen, picture_of(SCENES[name], device, target), way))
    for image, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(image.detach().cpu().double(), truth.detach(), rtol=0, atol=1e-5)
    weighted(found).backward()
    assert screen.grad is not None and exact.grad is not None
    assert not screen.grad[:, 10:].any()
    for column, label in enumerate(COLUMNS):
        a, b = screen.grad[:, column].cpu().double(), exact.grad[:, column]
        assert float((a - b).norm()) <= 2e-4 * float(b.norm()) + 1e-6, label


@pytest.mark.parametrize("target", [None, depth_target()], ids=["no target", "target"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SCENES)
def test_blending_is_a_sum_over_all_splats(
    name: str, way: Backward, target: Tensor | None, kernels_on: torch.device
) -> None:
    check(name, kernels_on, way, target)


@needs_emulator
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", ["reversed", 5])
def test_the_order_of_threads_changes_nothing(order: str | int, way: Backward) -> None:
    from tests.cuda_emulator import emulated

    with emulated(order):  # type: ignore[arg-type]
        check("rays that end at a wall", torch.device("cpu"), way, depth_target())


def test_the_scenes_are_what_their_names_say() -> None:
    """A wall at which most rays end with splats behind it, more than 512 splats in a tile, and clamped ones."""
    counts = {name: listed(screen).starts.diff() for name, screen in SCENES.items()}
    assert int(counts["more than two batches in a tile"].max()) > 512
    opaque = expected_of(SCENES["rays that end at a wall"].double(), None)[2] > 1 - 3e-4
    assert 0.4 < float(opaque.double().mean()) < 0.95
    assert int((SCENES["clamped"][:, 5] > 0.99).sum()) > 20


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("used", range(4))
def test_each_output_has_its_own_gradient(used: int, way: Backward, kernels_on: torch.device) -> None:
    """Outputs that the loss does not look at count as zeros."""
    exact = SCENES["many"].double().requires_grad_()
    weighted(expected_of(exact, depth_target().double())[used : used + 1]).backward()
    screen = SCENES["many"].to(kernels_on, copy=True).requires_grad_()
    picture = picture_of(SCENES["many"], kernels_on, depth_target())
    weighted(outputs_of(blend(screen, picture, way))[used : used + 1]).backward()
    assert screen.grad is not None and exact.grad is not None
    a, b = screen.grad.cpu().double(), exact.grad
    assert float((a - b).norm()) <= 2e-4 * float(b.norm())


def test_without_gradients_the_picture_is_the_same(kernels_on: torch.device) -> None:
    screen, picture = SCENES["many"].to(kernels_on), picture_of(SCENES["many"], kernels_on)
    plain, learning = blend(screen, picture), blend(screen.clone().requires_grad_(), picture)
    assert torch.equal(plain.color, learning.color) and torch.equal(plain.opacity, learning.opacity)
    assert not plain.color.requires_grad


@pytest.mark.parametrize("way", WAYS)
def test_what_the_way_back_needs_is_freed_with_it(
    way: Backward, kernels_on: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only with the loss, whose name may be bound until the next picture's."""
    made: list[weakref.ref[Tensor]] = []

    def noted(program: Program, kernel: str, grid: object, threads: int, *arguments: object) -> None:
        if kernel == "blend":
            made.extend(weakref.ref(a) for a in arguments[-3:] if isinstance(a, Tensor))
        launch(program, kernel, grid, threads, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("renderer.cuda.blend.launch", noted)
    screen = SCENES["many"].to(kernels_on, copy=True).requires_grad_()
    loss = blend(screen, picture_of(SCENES["many"], kernels_on), way).color.sum()
    assert len(made) == (3 if way == "splats" else 1) and all(part() is not None for part in made)
    loss.backward()
    assert not [part for part in made if part() is not None] and loss.grad_fn is not None


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_fit_is_left_out(way: Backward, kernels_on: torch.device) -> None:
    """Lists cut short by their capacity: the picture of what is left, and nothing else is read or written."""
    screen, whole = SCENES["many"], picture_of(SCENES["many"], kernels_on)
    room = int(whole.lists.starts[-1]) * 2 // 3
    cut = TileLists(whole.lists.starts, whole.lists.rows[:room].clone(), whole.lists.total)
    ended = TileLists(whole.lists.starts.clamp(max=room), whole.lists.rows, whole.lists.total)
    results = []
    for lists in (cut, ended):
        leaf = screen.to(kernels_on, copy=True).requires_grad_()
        images = outputs_of(blend(leaf, replace(whole, lists=lists), way))
        weighted(images).backward()
        assert leaf.grad is not None
        results.append((images, leaf.grad))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        assert torch.equal(a, b)
    torch.testing.assert_close(results[0][1], results[1][1])


EDGES = torch.tensor([1.2, 1.4, 1.7, 2.0, 2.2, 2.9, 3.5])


@pytest.mark.parametrize("name", SCENES)
def test_a_bin_holds_the_weights_of_its_depths(name: str, kernels_on: torch.device) -> None:
    near = SCENES[name][order_of(SCENES[name])].double()
    bins = torch.bucketize(near[:, 6].contiguous(), EDGES[1:-1].double(), right=True)
    expected = torch.zeros(W * H, 6, dtype=torch.float64).index_add_(1, bins, weights_at(near, pixel_centers()))
    picture = picture_of(SCENES[name], kernels_on)
    found = depth_histogram(SCENES[name].to(kernels_on), picture, EDGES.to(kernels_on))
    torch.testing.assert_close(found.cpu().double(), expected.reshape(H, W, 6), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SCENES)
def test_a_ray_names_what_weighs_on_it(name: str, kernels_on: torch.device) -> None:
    near = order_of(SCENES[name])
    pixels = torch.randint(0, 10**6, (45, 2), generator=torch.Generator().manual_seed(2)) % torch.tensor([W, H])
    there = weights_at(SCENES[name][near].double(), pixels + 0.5) > 0
    picture = picture_of(SCENES[name], kernels_on)
    counts, rows = contributions(SCENES[name].to(kernels_on), picture, pixels.to(kernels_on))
    assert counts.dtype == rows.dtype == torch.int64
    assert torch.equal(counts.cpu(), there.sum(1))
    assert torch.equal(rows.cpu(), near[torch.nonzero(there)[:, 1]])


def test_no_rays_meet_nothing(kernels_on: torch.device) -> None:
    none = torch.zeros(0, 2, dtype=torch.int64, device=kernels_on)
    picture = picture_of(SCENES["many"], kernels_on)
    counts, rows = contributions(SCENES["many"].to(kernels_on), picture, none)
    assert counts.shape == rows.shape == (0,)
