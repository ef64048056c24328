"""Launching kernels: what is refused before anything runs, and what stands in for a GPU in tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from renderer.cuda.launch import blocks, launch
from renderer.cuda.program import Program
from tests.cuda_emulator import emulated, needs_emulator

Compile = Callable[[str], Program]
ORDERS = ("forward", "reversed", 7)


@pytest.fixture
def program(tmp_path: Path) -> Compile:
    def write(text: str) -> Program:
        path = tmp_path / f"test{len(list(tmp_path.iterdir()))}.cu"
        path.write_text(text)
        return Program((str(path),))

    return write


def kernel(body: str, parameters: str = "float* out, int n") -> str:
    return f'extern "C" __global__ void __launch_bounds__(1024) test({parameters}) {{\n{body}\n}}\n'


ADD = kernel(
    "int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) out[i] = a * x[i] + out[i];",
    "const float* __restrict__ x, float a, float* __restrict__ out, int n",
)


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
def test_a_kernel_runs_on_every_thread_of_every_block(program: Compile, order: str) -> None:
    x, out = torch.randn(1000), torch.ones(1000)
    with emulated(order):
        launch(program(ADD), "test", blocks(1000, 96), 96, x, 2.5, out, 1000)
    torch.testing.assert_close(out, 2.5 * x + 1)


BLOCK_SUM = kernel(
    """
    __shared__ float part[256];
    part[threadIdx.x] = x[blockIdx.x * 256 + threadIdx.x];
    __syncthreads();
    for (int half = 128; half; half >>= 1) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) atomicAdd(out, part[0]);
    """,
    "const float* x, float* out",
)


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
def test_threads_wait_for_each_other(program: Compile, order: str) -> None:
    x, out = torch.arange(768.0), torch.zeros(1)
    with emulated(order):
        launch(program(BLOCK_SUM), "test", 3, 256, x, out)
    assert out.item() == 768 * 767 / 2


WARP = kernel(
    """
    int t = threadIdx.x, lane = t & 31;
    float v = t;
    for (int k = 16; k; k >>= 1) v += __shfl_xor_sync(0xffffffffu, v, k);
    sums[t] = v;
    unsigned odd = __ballot_sync(0xffffffffu, t & 1);
    votes[t] = (int)odd;
    float first = 0.0f;
    if (lane & 1) first = __shfl_sync(odd, v + t, 1); else first = __shfl_sync(~odd, v + t, 0);
    firsts[t] = first;
    above[t] = __shfl_up_sync(0xffffffffu, t, 3);
    below[t] = __shfl_down_sync(0xffffffffu, t, 3, 8);
    same[t] = (int)__match_any_sync(0xffffffffu, t % 3);
    counts[t] = __syncthreads_count(t % 5 == 0) + 1000 * __syncthreads_or(t == 70) + 2000 * __syncthreads_and(t >= 0);
    """,
    "float* sums, int* votes, float* firsts, int* above, int* below, int* same, int* counts",
)


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
def test_warps_exchange_values(program: Compile, order: str) -> None:
    sums, firsts = torch.empty(2, 96)
    votes, above, below, same, counts = torch.empty(5, 96, dtype=torch.int32)
    with emulated(order):
        launch(program(WARP), "test", 1, 96, sums, votes, firsts, above, below, same, counts)
    t = torch.arange(96)
    lane, base = t % 32, t // 32 * 32
    total = torch.arange(96.0).view(3, 32).sum(1).repeat_interleave(32)
    assert torch.equal(sums, total)
    assert torch.equal(votes, torch.full((96,), 0xAAAAAAAA - 2**32))
    assert torch.equal(firsts, total + base + lane % 2)
    assert torch.equal(above, torch.where(lane < 3, t, t - 3))
    assert torch.equal(below, torch.where(lane % 8 + 3 > 7, t, t + 3))
    members = [
        sum(1 << k for k in range(32) if (b + k) % 3 == v % 3) for v, b in zip(t.tolist(), base.tolist(), strict=True)
    ]
    assert [m % 2**32 for m in same.tolist()] == members
    assert torch.equal(counts, torch.full((96,), 20 + 1000 + 2000))
