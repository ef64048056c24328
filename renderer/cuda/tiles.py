"""Which splats touch each tile of a picture, nearest first, found without waiting for the device."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program
from renderer.cuda.sort import SORT_BLOCK, exclusive_sums, sort

PROGRAM = Program(("common.cu", "tiles_common.cu", "tiles.cu"))
PROGRAMS = (PROGRAM,)
THREADS = 256
SHORT_TILES = 1 << 16
"""Up to so many tiles, 16 bits hold the number of one."""
DEPTH_BITS = (0, 31)
"""Of a positive float, whose sign is 0."""
GROWTH = 1.5
FULL = 0.8
"""Share of a capacity from which on it grows."""
ROOM_STEP = 4096
RECENT = 64
"""Pictures after which the pairs of one are forgotten."""
MOST_PAIRS = 2**31 - SORT_BLOCK
"""For more, places do not fit into 32 bits."""


@dataclass(frozen=True)
class TileLists:
    """The splats of tile t are ``rows[starts[t]:starts[t + 1]]``, nearest first.

    ``starts``: (T + 1,) int32, tiles row by row. ``rows``: (capacity,) int32 rows of the splats; undefined from
    ``starts[T]`` on. ``total``: (1,) int32 how many pairs of a tile and a splat there are; where they are more than
    the capacity, those of the farthest splats are missing.
    """

    starts: Tensor
    rows: Tensor
    total: Tensor


def tile_lists(
    screen: Tensor, keys: Tensor, boxes: Tensor, counts: Tensor, columns: int, tile_rows: int, capacity: int
) -> TileLists:
    """List the splats that touch each tile of a picture of so many columns and rows of tiles.

    A splat touches a tile when q = A dx^2 + 2 B dx dy + C dy^2 <= q_max at a place within the rectangle of the tile's
    pixel centres. Two sorts take the place of one with wide keys: of the splats by depth, then of the pairs by tile,
    which keeps the first order.

    ``screen``: (N, 12) float32, in columns 0 to 4 x, y in pixels and A, B, C, and in column 10 q_max. ``keys``: (N,)
    int32 the bits of the depth, ``sort.CULLED`` where a splat is left out. ``boxes``: (N, 4) int16 tiles x0, y0, x1, y1
    among which are all that a splat touches, the ends exclusive. ``counts``: (N,) int32 how many it touches by the test
    of tiles_common.cu. ``capacity``: pairs for which there is room.
    """
    device, N, T = keys.device, len(keys), columns * tile_rows
    short = T <= SHORT_TILES
    suffix = "_short" if short else ""
    by_depth = sort(keys, bit_range=DEPTH_BITS, cull=True, keep_keys=False)
    offsets, total = exclusive_sums(counts, by_depth.rows, by_depth.count)
    tiles = torch.empty(capacity, dtype=torch.int16 if short else torch.int32, device=device)
    rows = torch.empty(capacity, dtype=torch.int32, device=device)
    launch(
        PROGRAM, f"tile_pairs{suffix}", blocks(N, THREADS), THREADS, screen, boxes, counts, by_depth.rows,
        by_depth.count, N, offsets, columns, capacity, tiles, rows,
    )  # fmt: skip
    by_tile = sort(tiles, rows, total, (0, max(0, T - 1).bit_length()))
    starts = torch.empty(T + 1, dtype=torch.int32, device=device)
    launch(PROGRAM, f"tile_starts{suffix}", blocks(T + 1, THREADS), THREADS, by_tile.keys, total, capacity, T, starts)
    return TileLists(starts, by_tile.rows, total)


class Capacity:
    """For how many pairs to make room, learnt from the pictures before without waiting for the device.

    When the most pairs of the last ``RECENT`` pictures fill four fifths of it, it grows to half as much again as they
    are; when it has room for half as much again as that, it shrinks to it, but not below the ``pairs`` of the start.
    Every method that hears of a picture raises torch.OutOfMemoryError for more than ``MOST_PAIRS``.
    """

    def __init__(self, pairs: int) -> None:
        self._pairs = self._first = pairs
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._coming: deque[tuple[Tensor, torch.cuda.Event]] = deque()

    @property
    def pairs(self) -> int:
        """Room for the next picture."""
        while self._coming and self._coming[0][1].query():
            self._see(self._coming.popleft()[0])
        return self._pairs

    def learn(self, total: Tensor) -> None:
        """Take the (1,) ``total`` of a picture's lists into account, once it has reached the host."""
        if not total.is_cuda:
            self._see(total)
            return
        copy = torch.empty(1, dtype=torch.int32, pin_memory=True)
        copy.copy_(total, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(total.device))
        self._coming.append((copy, arrived))

    def settle(self) -> int:
        """Wait for every total that is on its way. The most of the last pictures: whoever had less room may draw
        again."""
        while self._coming:
            copy, arrived = self._coming.popleft()
            arrived.synchronize()
            self._see(copy)
        return max(self._recent, default=0)

    def _see(self, total: Tensor) -> None:
        pairs = int(total)
        if pairs > MOST_PAIRS:
            raise torch.OutOfMemoryError(f"a picture has {pairs:,} pairs of tile and splat, more than {MOST_PAIRS:,}")
        self._recent.append(pairs)
        most = max(self._recent)
        wanted = max(self._first, min(MOST_PAIRS, blocks(int(GROWTH * most), ROOM_STEP) * ROOM_STEP))
        if most > FULL * self._pairs or wanted < self._pairs / GROWTH:
            self._pairs = wanted
