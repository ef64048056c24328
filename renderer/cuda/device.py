"""The only module that imports CuPy: compiles programs with NVRTC, and runs them on torch's current stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cupy
import numpy as np
import torch
from cupy.cuda import nvrtc
from torch import Tensor

from renderer.cuda.launch import Argument, Grid
from renderer.cuda.program import OPTIONS, Parameter, Program


@dataclass(frozen=True)
class Usage:
    """What a kernel takes: ``registers`` per thread; ``spilled`` bytes per thread that do not fit into them, written
    and read; ``stack`` bytes per thread; ``shared`` bytes per block."""

    registers: int
    spilled: int
    stack: int
    shared: int


class CompileError(RuntimeError):
    """NVRTC refuses a source; the text is its log."""


def compiled(program: Program, arch: str) -> tuple[bytes, dict[str, Usage]]:
    """The binary of a program for ``arch``, such as "90", and what its kernels take. Needs no GPU and no driver."""
    handle = nvrtc.createProgram(program.text(), f"{program.sources[-1]}", (), ())
    try:
        nvrtc.compileProgram(handle, (*OPTIONS, f"-arch=sm_{arch}", "--ptxas-options=-v"))
        return nvrtc.getCUBIN(handle), _usages(nvrtc.getProgramLog(handle))
    except nvrtc.NVRTCError as problem:
        raise CompileError(f"sm_{arch}: {nvrtc.getProgramLog(handle)}") from problem
    finally:
        nvrtc.destroyProgram(handle)


def _usages(log: str) -> dict[str, Usage]:
    """From what the assembler says of each kernel and of the functions that it calls."""
    found = {}
    for name, text in re.findall(r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry|\Z)", log, re.S):
        registers, spilled, stack, shared = (
            sum(map(int, re.findall(pattern, text)))
            for pattern in (r"Used (\d+) registers", r"(\d+) bytes spill", r"(\d+) bytes stack", r"(\d+) bytes smem")
        )
        found[name] = Usage(registers, spilled, stack, shared)
    return found


class Device:
    """Runs kernels on one GPU. CuPy keeps on the disk what it has compiled."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._kernels: dict[tuple[Program, str], Any] = {}
        self._streams: dict[int, cupy.cuda.Stream] = {}

    @staticmethod
    def current() -> Device:
        """That of torch's current device."""
        return _device(torch.cuda.current_device())

    def launch(self, program: Program, kernel: str, grid: Grid, threads: int, arguments: Sequence[Argument]) -> None:
        """As :class:`renderer.cuda.launch.Launcher`.

        Raises ValueError for a tensor that is not on this GPU, whose memory a kernel cannot reach, and
        torch.OutOfMemoryError where the GPU has no room for the kernel.
        """
        for argument in arguments:
            if isinstance(argument, Tensor) and (not argument.is_cuda or argument.get_device() != self._index):
                raise ValueError(f"{kernel}: a tensor is on {argument.device}, expected cuda:{self._index}")
        with cupy.cuda.Device(self._index), self._stream():
            values = tuple(map(_value, program.kernels()[kernel], arguments))
            _with_room(lambda: self._kernel(program, kernel)(grid, (threads,), values))

    def _kernel(self, program: Program, kernel: str) -> Any:
        found = self._kernels.get((program, kernel))
        if found is None:
            module = cupy.RawModule(code=program.text(), options=OPTIONS, backend="nvrtc")
            for name in program.kernels():
                self._kernels[program, name] = module.get_function(name)
            found = self._kernels[program, kernel]
        return found

    def _stream(self) -> cupy.cuda.Stream:
        stream = torch.cuda.current_stream(self._index)
        if stream.cuda_stream not in self._streams:
            self._streams[stream.cuda_stream] = cupy.cuda.Stream.from_external(stream)
        return self._streams[stream.cuda_stream]


@cache
def _device(index: int) -> Device:
    return Device(index)


def _with_room(job: Callable[[], None]) -> None:
    """Load and start a kernel; where the driver finds no memory, once more without what torch has freed but keeps."""
    for may_try_again in (True, False):
        try:
            return job()
        except cupy.cuda.driver.CUDADriverError as problem:
            if "OUT_OF_MEMORY" not in str(problem):
                raise
            if not may_try_again:
                raise torch.OutOfMemoryError(f"the GPU has no room for a kernel ({problem})") from None
        torch.cuda.empty_cache()


def _value(parameter: Parameter, argument: Argument) -> Any:
    """As CuPy passes it: a Python integer as a pointer, a NumPy number as itself."""
    if isinstance(argument, Tensor):
        return argument.data_ptr()
    if argument is None:
        return 0
    return np.int32(argument) if parameter.type == "int" else np.float32(argument)
