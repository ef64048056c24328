"""Sorting and summing on the GPU: against torch's own, in every order of the threads."""

import pytest
import torch
from torch import Tensor

from renderer.cuda.sort import CULLED, exclusive_sums, sort
from tests.cuda_fixtures import needs_emulator

SIZES = (0, 1, 255, 256, 257, 5000)
BLOCKS_AND_A_BIT = 9001
"""More than two blocks of the sort and four of the sums."""
ORDERS = ("forward", "reversed", 1, 2)
LARGEST = 2**31 - 1


def random_keys(N: int, dtype: torch.dtype = torch.int32) -> Tensor:
    info = torch.iinfo(dtype)
    return torch.randint(info.min, info.max + 1, (N,), generator=torch.Generator().manual_seed(N)).to(dtype)


def expected_rows(keys: Tensor, bits: tuple[int, int]) -> Tensor:
    """Rows in the order of their keys' bits, as torch sorts them."""
    unsigned = keys.cpu().long() & (2**32 - 1)
    digits = (unsigned >> bits[0]) & ((1 << bits[1] - bits[0]) - 1)
    return torch.sort(digits, stable=True).indices.int()


def ramp(N: int) -> Tensor:
    return torch.arange(N, dtype=torch.int32)


class TestSort:
    @pytest.mark.parametrize("N", SIZES)
    def test_sorts_all_bits(self, kernels_on: torch.device, N: int) -> None:
        keys = random_keys(N)
        done = sort(keys.to(kernels_on))
        order = expected_rows(keys, (0, 32))
        assert done.count is None and done.keys is not None
        assert torch.equal(done.rows.cpu(), order)
        assert torch.equal(done.keys.cpu(), keys[order.long()])

    @pytest.mark.parametrize(
        "keys", [ramp(5000), ramp(5000).flip(0), torch.full((5000,), 7, dtype=torch.int32), ramp(5000) % 3 - 1]
    )
    def test_keeps_the_order_of_equal_keys(self, kernels_on: torch.device, keys: Tensor) -> None:
        assert torch.equal(sort(keys.to(kernels_on)).rows.cpu(), expected_rows(keys, (0, 32)))

    @pytest.mark.parametrize("bits", [(0, 0), (0, 1), (0, 13), (5, 12), (16, 32), (31, 32)])
    def test_sorts_by_a_range_of_bits(self, kernels_on: torch.device, bits: tuple[int, int]) -> None:
        keys = random_keys(BLOCKS_AND_A_BIT)
        done = sort(keys.to(kernels_on), bit_range=bits, keep_keys=False)
        assert done.keys is None
        assert torch.equal(done.rows.cpu(), expected_rows(keys, bits))

    @pytest.mark.parametrize("bits", [None, (0, 13)])
    def test_sorts_short_keys(self, kernels_on: torch.device, bits: tuple[int, int] | None) -> None:
        keys, rows = random_keys(5000, torch.int16), random_keys(5000)
        done = sort(keys.to(kernels_on), rows.to(kernels_on), bit_range=bits)
        order = expected_rows(keys.int() & 0xFFFF, bits or (0, 16)).long()
        assert done.keys is not None
        assert torch.equal(done.keys.cpu(), keys[order])
        assert torch.equal(done.rows.cpu(), rows[order])

    @pytest.mark.parametrize("there", [0, 1, 4095, 4096, 5000, 9999])
    def test_sorts_as_many_as_the_device_says(self, kernels_on: torch.device, there: int) -> None:
        keys, rows = random_keys(BLOCKS_AND_A_BIT), ramp(BLOCKS_AND_A_BIT) + 3
        count = torch.tensor([there], dtype=torch.int32, device=kernels_on)
        done = sort(keys.to(kernels_on), rows.to(kernels_on), count)
        assert done.count is count
        order = expected_rows(keys[:there], (0, 32)).long()
        assert torch.equal(done.rows[:there].cpu(), rows[order])

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("N", [0, 1, 257, BLOCKS_AND_A_BIT])
    def test_leaves_out_what_is_culled(self, kernels_on: torch.device, N: int, share: float) -> None:
        keys = random_keys(N) & LARGEST
        culled = torch.rand(N, generator=torch.Generator().manual_seed(0)) < share
        keys[culled] = CULLED
        done = sort(keys.to(kernels_on), bit_range=(0, 31), cull=True, keep_keys=False)
        assert done.count is not None and done.count.tolist() == [int((~culled).sum())]
        order = expected_rows(keys, (0, 31))[: int(done.count)]
        assert torch.equal(done.rows[: len(order)].cpu(), order)

    def test_leaves_its_input_alone(self, kernels_on: torch.device) -> None:
        keys, rows = random_keys(500).to(kernels_on), ramp(500).to(kernels_on)
        before = keys.clone(), rows.clone()
        sort(keys, rows)
        assert torch.equal(keys, before[0]) and torch.equal(rows, before[1])

    @needs_emulator
    @pytest.mark.parametrize("order", ORDERS)
    def test_does_not_depend_on_the_order_of_threads(self, order: str | int) -> None:
        from tests.cuda_emulator import emulated

        keys = random_keys(BLOCKS_AND_A_BIT) & 0xFF0F
        with emulated(order):
            done = sort(keys, bit_range=(0, 16))
        assert torch.equal(done.rows, expected_rows(keys, (0, 16)))


class TestExclusiveSums:
    @pytest.mark.parametrize("N", [*SIZES, BLOCKS_AND_A_BIT])
    def test_sums_what_is_before(self, kernels_on: torch.device, N: int) -> None:
        values = random_keys(N) & 1023
        sums, total = exclusive_sums(values.to(kernels_on))
        through = values.cumsum(0)
        assert torch.equal(sums.cpu().long(), through - values)
        assert total.tolist() == [int(values.sum())]

    def test_sums_more_parts_than_a_block_has_threads(self, kernels_on: torch.device) -> None:
        values = random_keys(600_000) & 7
        sums, total = exclusive_sums(values.to(kernels_on))
        assert torch.equal(sums.cpu().long(), values.cumsum(0) - values)
        assert total.tolist() == [int(values.sum())]

    @pytest.mark.parametrize("there", [0, 1, 2048, 3000, 9999])
    def test_sums_in_an_order_as_many_as_the_device_says(self, kernels_on: torch.device, there: int) -> None:
        values = random_keys(6000) & 1023
        order = torch.randperm(6000, generator=torch.Generator().manual_seed(0)).int()[:5000]
        count = torch.tensor([there], dtype=torch.int32, device=kernels_on)
        sums, total = exclusive_sums(values.to(kernels_on), order.to(kernels_on), count)
        read = values[order.long()][:there]
        assert torch.equal(sums[: len(read)].cpu().long(), read.cumsum(0) - read)
        assert total.tolist() == [int(read.sum())]

    def test_stays_at_the_largest_number(self, kernels_on: torch.device) -> None:
        values = torch.full((5000,), 2**20 + 1, dtype=torch.int32)
        sums, total = exclusive_sums(values.to(kernels_on))
        through = values.cumsum(0)
        assert torch.equal(sums.cpu().long(), (through - values).clamp(max=LARGEST))
        assert total.tolist() == [LARGEST]

    @needs_emulator
    @pytest.mark.parametrize("order", ORDERS)
    def test_does_not_depend_on_the_order_of_threads(self, order: str | int) -> None:
        from tests.cuda_emulator import emulated

        values = random_keys(5000) & 1023
        with emulated(order):
            sums, _ = exclusive_sums(values)
        assert torch.equal(sums.long(), values.cumsum(0) - values)
