"""Which splats each tile gets: against every pixel in float64, in order of depth, and when there is too little room."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program
from renderer.cuda.sort import CULLED
from renderer.cuda.tiles import RECENT, Capacity, TileLists, tile_lists
from tests.cuda_fixtures import needs_emulator

COUNT = Program(("common.cu", "tiles_common.cu", str(Path(__file__).parent / "count_tiles.cu")))
TILE = 16
COLUMNS, ROWS = 7, 5
ORDERS = ("forward", "reversed", 1)
Array = np.ndarray


@dataclass(frozen=True)
class Scene:
    """Splats on a picture of (columns, rows) tiles, as the projection gives them."""

    screen: Tensor
    keys: Tensor
    boxes: Tensor
    counts: Tensor
    columns: int
    rows: int

    def lists(self, capacity: int | None = None) -> TileLists:
        room = int(self.counts.sum()) + 5 if capacity is None else capacity
        return tile_lists(self.screen, self.keys, self.boxes, self.counts, self.columns, self.rows, room)


def scene(
    device: torch.device, N: int, sigmas: tuple[float, float] = (0.3, 30.0), columns: int = COLUMNS, rows: int = ROWS,
    culled: float = 0.2,
) -> Scene:  # fmt: skip
    """``sigmas``: of the longer axes, pixels, from the least to the greatest; the others are up to 3."""
    rng = np.random.default_rng(N)
    size = np.array([columns, rows]) * TILE
    long = np.exp(rng.uniform(*np.log(sigmas), N))
    short = np.minimum(rng.uniform(0.0, 3.0, N), long)
    angle = rng.uniform(0, math.pi, N)
    axis = np.stack([np.cos(angle), np.sin(angle)], 1)
    across = np.stack([-axis[:, 1], axis[:, 0]], 1)
    means = rng.uniform(-20, size + 20, (N, 2)) + axis * (long * rng.uniform(-2, 2, N))[:, None]
    covariance = (long**2)[:, None, None] * axis[:, :, None] * axis[:, None] + 0.3 * np.eye(2)
    covariance += (short**2)[:, None, None] * across[:, :, None] * across[:, None]
    conic = np.linalg.inv(covariance)
    opacity = rng.uniform(0.004, 1.0, N)
    q_max = 2 * np.log(255 * opacity)
    depth = 1 + rng.integers(0, 20, N) / 7  # many are equal
    reach = np.sqrt(q_max[:, None] * np.stack([covariance[:, 0, 0], covariance[:, 1, 1]], 1))
    low = np.clip(np.floor((means - reach) / TILE), 0, [columns, rows])
    high = np.clip(np.floor((means + reach) / TILE) + 1, 0, [columns, rows])
    gone = (rng.uniform(size=N) < culled) | (low >= high).any(1)

    screen = np.zeros((N, 12), np.float32)
    screen[:, 0:2], screen[:, 2], screen[:, 3], screen[:, 4] = means, conic[:, 0, 0], conic[:, 0, 1], conic[:, 1, 1]
    screen[:, 5], screen[:, 6], screen[:, 7:10], screen[:, 10] = opacity, depth, 0.5, q_max
    screen[gone] = 0
    keys = np.where(gone, CULLED, depth.astype(np.float32).view(np.int32)).astype(np.int32)
    boxes = np.where(gone[:, None], 0, np.concatenate([low, high], 1)).astype(np.int16)
    moved = [torch.from_numpy(a).to(device) for a in (screen, keys, boxes)]
    counts = torch.empty(N, dtype=torch.int32, device=device)
    launch(COUNT, "count_tiles", blocks(N, 256), 256, moved[0], moved[2], N, counts)
    return Scene(*moved, counts, columns, rows)


def rows_of(lists: TileLists) -> list[list[int]]:
    """The rows of each tile."""
    starts, rows = lists.starts.tolist(), lists.rows.tolist()
    return [rows[a:b] for a, b in pairwise(starts)]


def powers(s: Array, x: Array, y: Array) -> Array:
    """q of splats (N, 12) at places (P,): (N, P)."""
    dx, dy = x - s[:, 0:1], y - s[:, 1:2]
    return s[:, 2:3] * dx * dx + 2 * s[:, 3:4] * dx * dy + s[:, 4:5] * dy * dy


def reached(one: Scene, dtype: type) -> Array:
    """(T, N) whether a splat has a pixel in a tile where alpha reaches the threshold, computed in ``dtype``."""
    s = one.screen.cpu().numpy().astype(dtype)
    y, x = np.mgrid[: one.rows * TILE, : one.columns * TILE].astype(dtype) + dtype(0.5)
    alpha = s[:, 5:6] * np.exp(np.minimum(dtype(-0.5) * powers(s, x.ravel(), y.ravel()), dtype(0)))
    there = (alpha >= dtype(1 / 255)).reshape(len(s), one.rows, TILE, one.columns, TILE)
    return there.any((2, 4)).reshape(len(s), -1).T


def least_on_tiles(one: Scene) -> Array:
    """(T, N) the least q of each splat on a tile's rectangle of pixel centres: on its edges, or 0 at a splat inside."""
    s = one.screen.cpu().numpy().astype(np.float64)
    step = np.arange(0, TILE - 0.9375, 0.0625)
    least = []
    for tile in range(one.rows * one.columns):
        x0, y0 = tile % one.columns * TILE + 0.5, tile // one.columns * TILE + 0.5
        x1, y1 = x0 + TILE - 1, y0 + TILE - 1
        x = np.concatenate([x0 + step, x0 + step, np.full_like(step, x0), np.full_like(step, x1)])
        y = np.concatenate([np.full_like(step, y0), np.full_like(step, y1), y0 + step, y0 + step])
        inside = (s[:, 0] >= x0) & (s[:, 0] <= x1) & (s[:, 1] >= y0) & (s[:, 1] <= y1)
        least.append(np.where(inside, 0.0, powers(s, x, y).min(1)))
    return np.stack(least)


def listed(one: Scene, lists: TileLists) -> Array:
    """(T, N) whether a splat is in a tile's list."""
    result = np.zeros((one.columns * one.rows, len(one.keys)), bool)
    for tile, rows in enumerate(rows_of(lists)):
        result[tile, rows] = True
    return result


@pytest.mark.parametrize("sigmas", [(0.3, 4.0), (0.3, 30.0), (300.0, 3000.0), (3000.0, 30000.0)])
def test_no_pixel_loses_a_splat(kernels_on: torch.device, sigmas: tuple[float, float]) -> None:
    one = scene(kernels_on, 300, sigmas)
    there = listed(one, one.lists())
    for dtype in (np.float64, np.float32):
        needed = reached(one, dtype)
        assert needed.sum() > 200
        assert not (needed & ~there).any()


def test_no_tile_gets_a_splat_that_misses_it(kernels_on: torch.device) -> None:
    one = scene(kernels_on, 300)
    there, least = listed(one, one.lists()), least_on_tiles(one)
    q_max = one.screen.cpu().numpy()[:, 10]
    assert (least[there] <= np.broadcast_to(q_max, there.shape)[there] + 0.01).all()
    boxes = one.boxes.cpu().numpy().astype(int)
    boxed = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum()
    assert there.sum() < 0.8 * boxed  # the boxes alone would have told less


def test_lists_run_from_near_to_far(kernels_on: torch.device) -> None:
    one = scene(kernels_on, 700)
    lists, keys = one.lists(), one.keys.tolist()
    assert int(lists.total) == int(one.counts.sum()) == int(lists.starts[-1])
    ties = 0
    for rows in rows_of(lists):
        assert rows == sorted(rows, key=lambda row: (keys[row], row))
        assert len(rows) == len(set(rows))
        ties += sum(keys[a] == keys[b] for a, b in pairwise(rows))
    assert ties > 20


@pytest.mark.parametrize("N", [0, 1, 255, 256, 257, 5000])
def test_lists_as_many_as_are_counted(kernels_on: torch.device, N: int) -> None:
    one = scene(kernels_on, N, (0.3, 3.0), culled=0.0)
    lists = one.lists()
    assert int(lists.total) == int(one.counts.sum()) == int(lists.starts[-1])
    assert (
        np.bincount(np.concatenate([[], *rows_of(lists)]).astype(int), minlength=N) == one.counts.cpu().numpy()
    ).all()


def test_what_is_culled_is_in_no_list(kernels_on: torch.device) -> None:
    one = scene(kernels_on, 300, culled=1.0)
    lists = one.lists()
    assert lists.total.tolist() == [0]
    assert lists.starts.tolist() == [0] * (COLUMNS * ROWS + 1)


@pytest.mark.parametrize("sigmas", [(0.3, 30.0), (20.0, 60.0)])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_the_farthest_are_missing_where_there_is_no_room(
    kernels_on: torch.device, share: float, sigmas: tuple[float, float]
) -> None:
    one = scene(kernels_on, 300, sigmas)
    whole = one.lists()
    pairs = int(whole.total)
    capacity = int(share * pairs)
    lists = one.lists(capacity)
    assert lists.total.tolist() == [pairs]
    assert int(lists.starts[-1]) == len(lists.rows) == capacity
    kept, missing = [], []
    for some, all_of_them in zip(rows_of(lists), rows_of(whole), strict=True):
        assert some == all_of_them[: len(some)]
        kept += some
        missing += all_of_them[len(some) :]
    keys = one.keys.tolist()
    assert max((keys[row] for row in kept), default=0) <= min(keys[row] for row in missing)


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (1, 2), (256, 256), (300, 230)])
def test_pictures_of_any_size_have_lists(kernels_on: torch.device, columns: int, rows: int) -> None:
    one = scene(kernels_on, 40, (0.3, 30.0), columns, rows)
    lists = one.lists()
    assert int(lists.starts[-1]) == int(one.counts.sum()) > 0
    boxes, keys, found = one.boxes.tolist(), one.keys.tolist(), rows_of(lists)
    assert len(found) == columns * rows
    for tile, listed_rows in enumerate(found):
        assert listed_rows == sorted(listed_rows, key=lambda row: (keys[row], row))
        for x0, y0, x1, y1 in (boxes[row] for row in listed_rows):
            assert x0 <= tile % columns < x1 and y0 <= tile // columns < y1


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
def test_lists_do_not_depend_on_the_order_of_threads(order: str | int) -> None:
    from tests.cuda_emulator import emulated

    with emulated():
        one = scene(torch.device("cpu"), 600)
        expected = one.lists()
    with emulated(order):
        lists = one.lists()
    assert torch.equal(lists.starts, expected.starts)
    assert rows_of(lists) == rows_of(expected)


def seen(capacity: Capacity, total: int) -> None:
    capacity.learn(torch.tensor([total], dtype=torch.int32))


class TestCapacity:
    def test_grows_before_it_is_full_and_shrinks_when_that_was_long_ago(self) -> None:
        capacity = Capacity(10_000)
        rooms = []
        for total in (100, 7_900, 8_100, 200, 40_000, *[100] * (RECENT - 1)):
            seen(capacity, total)
            rooms.append(capacity.pairs)
        assert rooms[:2] == [10_000, 10_000]
        assert 8_100 * 1.5 <= rooms[2] == rooms[3] < 8_100 * 1.5 + 4_096
        assert 40_000 * 1.5 <= rooms[4] == rooms[-1] < 40_000 * 1.5 + 4_096
        assert capacity.settle() == 40_000
        seen(capacity, 30_000)  # nearly as many
        assert capacity.pairs == rooms[-1]
        for _ in range(RECENT):
            seen(capacity, 9_000)
        assert 9_000 * 1.5 <= capacity.pairs < 9_000 * 1.5 + 4_096 and capacity.settle() == 9_000
        for _ in range(RECENT):
            seen(capacity, 100)
        assert capacity.pairs == 10_000, "as at first"

    def test_has_no_more_room_than_places_can_be_counted(self) -> None:
        capacity = Capacity(10_000)
        seen(capacity, 2**31 - 5_000)
        assert 2**31 - 5_000 < capacity.pairs <= 2**31 - 4_096
        with pytest.raises(torch.OutOfMemoryError, match="2,147,483,647 pairs of tile and splat, more than"):
            seen(capacity, 2**31 - 1)

    def test_starts_from_nothing(self) -> None:
        capacity = Capacity(0)
        assert capacity.pairs == 0 == capacity.settle()
        seen(capacity, 1)
        assert capacity.pairs >= 1

    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
    def test_learns_from_a_gpu_without_waiting(self) -> None:
        capacity = Capacity(10)
        torch.cuda._sleep(200_000_000)  # cycles: a tenth of a second
        capacity.learn(torch.tensor([1000], dtype=torch.int32).to("cuda", non_blocking=True))
        assert capacity.pairs == 10
        assert capacity.settle() == 1000
        assert capacity.pairs >= 1500
