"""Stable sorting and exclusive sums of integers, whose number only the device may know.

The sort is Satish, Harris and Garland's (2009), "Designing efficient sorting algorithms for manycore GPUs": passes from
the least significant digit on, each of which counts, sums up and moves. Nothing depends on the order in which threads
run, and nothing waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program

PROGRAM = Program(("common.cu", "scan.cu", "sort.cu"))
PROGRAMS = (PROGRAM,)
THREADS = 256
WARPS = THREADS // 32
SORT_BLOCK = 4096
"""Keys per block, as in sort.cu."""
SCAN_BLOCK = 2048
"""Numbers per block, as in scan.cu."""
DIGIT_BITS = 8
CULLED = 0x7FFFFFFF
"""The key that a sort can leave out."""


@dataclass(frozen=True)
class Sorted:
    """``keys`` (N,), None where they were not asked for, and ``rows`` (N,) int32 in order. ``count``: (1,) int32 how
    many of them there are, None for all; what lies behind is undefined."""

    keys: Tensor | None
    rows: Tensor
    count: Tensor | None


def sort(
    keys: Tensor,
    rows: Tensor | None = None,
    count: Tensor | None = None,
    bit_range: tuple[int, int] | None = None,
    *,
    cull: bool = False,
    keep_keys: bool = True,
) -> Sorted:
    """Sort rows by the bits of their keys from the first of ``bit_range`` to before its last; those that are equal in
    them keep their order.

    ``keys``: (N,) int32 or int16, bits of numbers without a sign. ``rows``: (N,) int32 what is sorted, None for 0 to
    N - 1. ``count``: (1,) int32 how many of the N there are, None for all. ``bit_range``: None for all bits; it may be
    empty. ``cull``: leave out rows whose key is ``CULLED``.
    """
    wide = keys.dtype == torch.int32
    begin, end = bit_range or (0, 32 if wide else 16)
    suffix = "" if wide else "_short"
    N, grid = len(keys), blocks(len(keys), SORT_BLOCK)
    kept = keys.new_zeros(1, dtype=torch.int32) if cull else None
    passes = max(1, blocks(end - begin, DIGIT_BITS))
    edges = [begin + (end - begin) * n // passes for n in range(passes + 1)]
    spare_keys = [torch.empty_like(keys) for _ in range(min(2, passes if keep_keys else passes - 1))]
    spare_rows = [torch.empty(N, dtype=torch.int32, device=keys.device) for _ in range(min(2, passes))]
    table = torch.empty(grid << DIGIT_BITS, dtype=torch.int32, device=keys.device)
    totals = torch.empty(1 << DIGIT_BITS, dtype=torch.int32, device=keys.device)
    sorted_keys: Tensor | None = None
    for n, (first, last) in enumerate(pairwise(edges)):
        bits, culls = last - first, cull and n == 0
        sorted_keys = spare_keys[n % 2] if keep_keys or n < passes - 1 else None
        launch(PROGRAM, f"sort_count{suffix}", grid, THREADS, keys, count, N, int(culls), first, bits, table)
        launch(PROGRAM, "sort_places", blocks(1 << bits, WARPS), THREADS, count, N, bits, grid, table, totals)
        launch(
            PROGRAM, f"sort_move{suffix}", grid, THREADS, keys, rows, count, N, int(culls), first, bits, table,
            totals, sorted_keys, spare_rows[n % 2], kept if culls else None,
        )  # fmt: skip
        rows = spare_rows[n % 2]
        keys = keys if sorted_keys is None else sorted_keys
        count = kept if culls else count
    assert rows is not None
    return Sorted(sorted_keys, rows, count)


def exclusive_sums(values: Tensor, order: Tensor | None = None, count: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The sum before each of the numbers, (N,) int32, and (1,) int32 the sum of all; a sum above 2^31 - 1 stays there.

    ``values``: (M,) int32, not negative. ``order``: (N,) int32 rows of ``values`` to read one after another, None for
    all as they are. ``count``: (1,) int32 how many of the N there are, None for all; sums behind them are undefined.
    """
    N = len(values if order is None else order)
    grid = blocks(N, SCAN_BLOCK)
    sums, parts, total = (torch.empty(n, dtype=torch.int32, device=values.device) for n in (N, grid, 1))
    launch(PROGRAM, "scan_parts", grid, THREADS, values, order, count, N, parts)
    launch(PROGRAM, "scan_whole", 1, THREADS, count, N, parts, total)
    launch(PROGRAM, "scan_sums", grid, THREADS, values, order, count, N, parts, sums)
    return sums, total
