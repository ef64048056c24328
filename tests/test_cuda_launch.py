"""Launching kernels: what is refused before anything runs, and what stands in for a GPU in tests."""

import ctypes
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from renderer.cuda.launch import blocks, launch, launched_by, stood_in
from renderer.cuda.program import Parameter, Program
from tests.cuda_emulator import EmulatorError, NullLauncher, emulated, needs_emulator
from tests.cuda_emulator.library import stacks

SAMPLES = Program((str(Path(__file__).parent / "cuda_emulator" / "samples.cu"),))
ORDERS = ("forward", "reversed", 7)
ROOT = Path(__file__).parent.parent


def test_parameters_are_read_from_the_source() -> None:
    x, a, out, n = SAMPLES.kernels()["add"]
    assert x == Parameter("x", "float", torch.float32, written=False)
    assert a == Parameter("a", "float", None, written=False)
    assert out == Parameter("out", "float", torch.float32, written=True)
    assert n == Parameter("n", "int", None, written=False)


@pytest.mark.parametrize(
    "parameter", ["float4* x", "unsigned n", "double t", "Sizes s", "float** x", "float&x", "volatile float* x"]
)
def test_a_parameter_that_no_tensor_fits_is_refused(parameter: str, tmp_path: Path) -> None:
    path = tmp_path / "kernel.cu"
    path.write_text(f'extern "C" __global__ void kernel(int n, {parameter}) {{}}')
    with pytest.raises(ValueError, match=re.escape(parameter)):
        Program((str(path),)).kernels()


def test_defines_come_before_the_sources() -> None:
    assert Program(SAMPLES.sources, (("WIDTH", 3),)).text().startswith("#define WIDTH 3\n#line 1")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((torch.ones(4), 1.0, torch.ones(4)), "3 arguments, expected 4"),
        ((torch.ones(4, dtype=torch.float64), 1.0, torch.ones(4), 4), "x is a tensor .4,. of torch.float64"),
        ((torch.ones(4), 1.0, torch.ones(8)[::2], 4), "out is a tensor .* not contiguous"),
        ((torch.ones(4), torch.ones(()), torch.ones(4), 4), "a is a tensor"),
        ((torch.ones(4), 1.0, torch.ones(4), 4.0), "n is 4.0, expected a number .int."),
        ((torch.ones(4), 1.0, torch.ones(4), 2**31), "n is 2147483648"),
        ((1, 1.0, torch.ones(4), 4), "x is 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: tuple, complaint: str) -> None:
    with launched_by(NullLauncher()), pytest.raises(ValueError, match=complaint):
        launch(SAMPLES, "add", 1, 32, *arguments)


def test_a_launch_reaches_who_stands_in() -> None:
    null, out = NullLauncher(), torch.zeros(4)
    assert not stood_in()
    with launched_by(null):
        assert stood_in()
        launch(SAMPLES, "add", (2, 3), 64, None, 1.0, out, 4)
        launch(SAMPLES, "add", (2, 0), 64, None, 1.0, out, 4)  # nothing to do
    assert not stood_in()
    (found,) = null.launches
    assert (found.kernel, found.grid, found.threads) == ("add", (2, 3, 1), 64)
    assert found.arguments[0] is None and found.arguments[2] is out


@pytest.mark.parametrize(("grid", "threads"), [(1, 48), (1, 2048), (1, 0), ((1, 65536), 32), ((1, 1, 65536), 32)])
def test_sizes_that_a_gpu_does_not_take_are_refused(grid: int | tuple[int, ...], threads: int) -> None:
    with launched_by(NullLauncher()), pytest.raises(EmulatorError):
        launch(SAMPLES, "coordinates", grid, threads, None)


@pytest.mark.parametrize("order", ORDERS)
@needs_emulator
class TestEmulator:
    """In every order of blocks and threads."""

    def test_every_thread_of_every_block_runs(self, order: str | int) -> None:
        x, out = torch.randn(1000), torch.ones(1000)
        with emulated(order):
            launch(SAMPLES, "add", blocks(1000, 96), 96, x, 2.5, out, 1000)
        torch.testing.assert_close(out, 2.5 * x + 1)

    def test_blocks_lie_in_three_dimensions(self, order: str | int) -> None:
        out = torch.empty(4, 3, 2, 32, dtype=torch.int32)
        with emulated(order):
            launch(SAMPLES, "coordinates", (2, 3, 4), 32, out)
        z, y, x, t = torch.meshgrid(*map(torch.arange, out.shape), indexing="ij")
        assert torch.equal(out.long(), 10000 * z + 1000 * y + 100 * x + t)

    def test_threads_wait_for_each_other(self, order: str | int) -> None:
        x, out = torch.arange(768.0), torch.zeros(1)
        with emulated(order):
            launch(SAMPLES, "block_sum", 3, 256, x, out)
        assert out.item() == 768 * 767 / 2

    def test_threads_that_have_ended_count_as_arrived(self, order: str | int) -> None:
        out = torch.zeros(64, dtype=torch.int32)
        with emulated(order):
            launch(SAMPLES, "early_end", 1, 64, out, 40)
        assert out.tolist() == [*range(39, -1, -1), *[0] * 24]

    def test_warps_exchange_values(self, order: str | int) -> None:
        sums, halves = torch.empty(2, 96)
        votes, above, below, same, counts = torch.empty(5, 96, dtype=torch.int32)
        with emulated(order):
            launch(SAMPLES, "warp_exchange", 1, 96, sums, votes, halves, above, below, same, counts)
        t = torch.arange(96)
        lane, base = t % 32, t // 32 * 32
        total = torch.arange(96.0).view(3, 32).sum(1).repeat_interleave(32)
        assert torch.equal(sums, total)
        assert torch.equal(votes, torch.full((96,), 0xAAAAAAAA - 2**32))
        assert torch.equal(halves, total + base + lane % 2)
        assert torch.equal(above, torch.where(lane < 3, t, t - 3))
        assert torch.equal(below, torch.where(lane % 8 + 3 > 7, t, t + 3))
        alike = (t % 3)[:, None] == (base[:, None] + torch.arange(32)) % 3
        assert torch.equal(same.long() % 2**32, (alike * 2 ** torch.arange(32)).sum(1))
        assert torch.equal(counts, torch.full((96,), 20 + 1000 + 2000))

    def test_vectors_are_loaded_where_they_are_aligned(self, order: str | int) -> None:
        x, out = torch.randn(129), torch.empty(128)
        with emulated(order):
            launch(SAMPLES, "vectors", 1, 32, x, out)
            assert torch.equal(out.view(32, 4), x[:128].view(32, 4).flip(1))
            with pytest.raises(EmulatorError, match="unaligned"):
                launch(SAMPLES, "vectors", 1, 32, x[1:], out)

    def test_arguments_may_share_memory(self, order: str | int) -> None:
        whole = torch.arange(100.0)
        with emulated(order):
            launch(SAMPLES, "add", 1, 64, whole[10:60], 1.0, whole[50:], 10)
        assert torch.equal(whole[50:60], torch.arange(50.0, 60) + torch.arange(10.0, 20))
        assert torch.equal(whole[:50], torch.arange(50.0)) and torch.equal(whole[60:], torch.arange(60.0, 100))


MISTAKES = [
    ("divergent_barriers", (torch.ones(64),), "in __syncthreads at line"),
    (
        "deadlock",
        (torch.ones(64),),
        "deadlock; 1 threads wait in __syncthreads .* 0 waits in __syncwarp at line",
    ),
    ("ended_lane", (torch.ones(64),), "(have ended|ends while lane)"),
    ("outside_mask", (torch.ones(64),), "reads lane 20, outside the mask 0000ffff"),
    ("not_in_mask", (torch.ones(64),), "the mask 0000ffff lacks the own lane"),
    ("one_too_many", (torch.ones(4), torch.ones(64), 64), "writes after the end of out"),
    ("one_too_many", (torch.ones(4), torch.ones(64), -1), "writes before the start of out"),
    ("one_too_many", (torch.ones(4), torch.ones(80)[8:72], 64), "writes after the end of out"),
    ("one_too_many", (torch.ones(4), torch.ones(64), 2**30), "block .., 0, 0., thread 0: touches memory"),
    ("one_too_many", (torch.ones(0), torch.ones(64), 0), "touches memory"),
    ("write_const", (torch.ones(64) * 2,), "writes to x, which is const"),
    ("divide", (torch.ones(64, dtype=torch.int32), 0), "divides an integer by zero"),
    ("deep", (torch.ones(64, dtype=torch.int32), 0), "touches memory"),
]


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("kernel", "arguments", "complaint"), MISTAKES)
def test_a_mistake_is_told(kernel: str, arguments: tuple[Tensor | int, ...], complaint: str, order: str | int) -> None:
    copies = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
    with emulated(order):
        with pytest.raises(EmulatorError, match=f"{kernel}: .*{complaint}"):
            launch(SAMPLES, kernel, 2, 64, *arguments)
        out = torch.zeros(32)  # and the next one runs
        launch(SAMPLES, "add", 1, 32, torch.ones(32), 1.0, out, 32)
    assert torch.equal(out, torch.ones(32))
    for argument, copy in zip(arguments, copies, strict=True):
        assert not isinstance(argument, Tensor) or torch.equal(argument, copy)


@needs_emulator
def test_a_stack_that_is_too_small_ends_before_that_of_another() -> None:
    """Its frame of 512 KiB reaches over the two stacks of 256 KiB below it."""
    size, page = 1 << 18, 4096
    below = stacks() + 30 * (size + page) + page
    before = ctypes.string_at(below, size // 2)
    ctypes.memset(below, 1, size // 2)
    with emulated("reversed"), pytest.raises(EmulatorError, match="thread 31: touches memory"):
        launch(SAMPLES, "deep", 1, 32, torch.ones(32, dtype=torch.int32), 0)
    assert ctypes.string_at(below, size // 2) == b"\1" * (size // 2)
    ctypes.memmove(below, before, size // 2)


@needs_emulator
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="knows how to do this on x86 alone")
def test_tiny_numbers_are_zero() -> None:
    tiny, out = torch.full((32,), 1e-40), torch.zeros(32)
    with emulated():
        launch(SAMPLES, "add", 1, 32, tiny, 1.0, out, 32)
    assert torch.equal(out.view(torch.int32), torch.zeros(32, dtype=torch.int32))
    assert (tiny * 1.0).view(torch.int32).all()  # and not for the rest of the process


@needs_emulator
def test_more_threads_than_a_kernel_is_compiled_for_are_refused() -> None:
    with emulated(), pytest.raises(EmulatorError, match="add: 288 threads, more than its __launch_bounds__ of 256"):
        launch(SAMPLES, "add", 1, 288, torch.ones(9), 1.0, torch.ones(9), 9)


@needs_emulator
def test_what_is_outside_an_argument_reads_as_nothing_useful() -> None:
    out = torch.empty(32)
    with emulated():
        launch(SAMPLES, "read_at", 1, 32, torch.ones(100)[:50], out, 50)
    assert out.isnan().all()


@needs_emulator
def test_memory_that_nobody_has_written_reads_as_nothing_useful() -> None:
    with emulated():
        assert torch.empty(1000).isnan().all()
        out = torch.zeros(64)
        launch(SAMPLES, "forgotten_barrier", 1, 64, out)
    assert out[:63].isnan().any()
    assert not torch.utils.deterministic.fill_uninitialized_memory or not torch.are_deterministic_algorithms_enabled()


@needs_emulator
def test_another_order_shows_a_race() -> None:
    found = []
    for order in ("forward", "reversed", 1, 2):
        out = torch.zeros(64, dtype=torch.int32)
        with emulated(order):
            launch(SAMPLES, "first_come", 1, 64, torch.zeros(1, dtype=torch.int32), out)
        assert out.sort().values.tolist() == list(range(64))
        found.append(tuple(out.tolist()))
    assert len(set(found)) == 4


@needs_emulator
def test_a_source_that_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.cu"
    path.write_text('\nextern "C" __global__ void wrong(int n) { nobody(n); }')
    with emulated(), pytest.raises(RuntimeError, match=r"wrong\.cu:2:.*nobody"):
        launch(Program((str(path),)), "wrong", 1, 32, 1)


WITHOUT = """
import sys, importlib.abc
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import pytest
sys.exit(pytest.main(["-q", "--collect-only", "-m", "cuda", "-p", "no:cacheprovider", "tests"]))
"""


def test_the_tests_for_a_gpu_need_torch_and_cupy_alone() -> None:
    names = {"dearpygui", "OpenGL", "glfw", "imageio", "cv2", "lpips", "matplotlib", "tyro", "scipy", "safetensors"}
    names |= {"tqdm", "platformdirs", "psutil", "torchvision", "transformers"}
    script = WITHOUT.format(names=names)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/test_cuda_" in done.stdout
