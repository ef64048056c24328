"""How CuPy is asked to run kernels, where there is no GPU and something stands in for the driver."""

from contextlib import nullcontext

import pytest
import torch

pytest.importorskip("cupy")

import cupy

from renderer.cuda.device import Device
from renderer.cuda.launch import launch
from renderer.cuda.sort import PROGRAMS

PROGRAM = PROGRAMS[0]
KERNEL = next(iter(PROGRAM.kernels()))
ARGUMENTS = [1 if p.dtype is None else None for p in PROGRAM.kernels()[KERNEL]]


class DriverError(RuntimeError):
    """As CuPy's, which asks the driver for its text."""


class Driver:
    """Fails so many times with ``text``; ``calls`` is what happened."""

    def __init__(self, fails: int, text: str) -> None:
        self.fails, self.text = fails, text
        self.calls: list[str] = []

    def get_function(self, name: str) -> object:
        if self.fails:
            self.fails -= 1
            raise DriverError(self.text)
        return lambda *sizes_and_values: self.calls.append(name)


def start(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(0)
    monkeypatch.setattr(cupy, "RawModule", lambda **how: driver)
    monkeypatch.setattr(cupy.cuda, "Device", lambda index: nullcontext())
    monkeypatch.setattr(cupy.cuda.driver, "CUDADriverError", DriverError)
    monkeypatch.setattr(device, "_stream", nullcontext)
    monkeypatch.setattr(Device, "current", lambda: device)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: driver.calls.append("empty_cache"))
    launch(PROGRAM, KERNEL, 1, 32, *ARGUMENTS)


class TorchStream:
    """What a torch.cuda.Stream says of itself."""

    cuda_stream = 77

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.cuda_stream


@pytest.mark.filterwarnings("error")
def test_kernels_run_on_torchs_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """And CuPy does not say that the way in which it is told so will be gone."""
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: TorchStream())
    device = Device(0)
    assert device._stream().ptr == 77
    assert device._stream() is device._stream()


@pytest.mark.parametrize("fails", [0, 1])
def test_a_kernel_that_found_no_memory_is_loaded_without_what_torch_keeps(
    fails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(fails, "CUDA_ERROR_OUT_OF_MEMORY: out of memory")
    start(driver, monkeypatch)
    assert driver.calls == ["empty_cache"] * fails + [KERNEL]


def test_a_gpu_without_room_for_a_kernel_is_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(2, "CUDA_ERROR_OUT_OF_MEMORY: out of memory")
    with pytest.raises(torch.OutOfMemoryError, match=r"no room for a kernel .*CUDA_ERROR_OUT_OF_MEMORY"):
        start(driver, monkeypatch)
    assert driver.calls == ["empty_cache"]


def test_another_failure_of_the_driver_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(1, "CUDA_ERROR_NO_BINARY_FOR_GPU")
    with pytest.raises(DriverError, match="NO_BINARY"):
        start(driver, monkeypatch)
    assert driver.calls == []
