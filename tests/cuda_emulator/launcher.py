"""What stands in for a GPU: one that runs kernels on the CPU, and one that only writes down what it is asked."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

import torch
from torch import Tensor

from renderer.cuda.launch import Argument, Grid, launched_by
from renderer.cuda.program import Parameter, Program
from tests.cuda_emulator.library import Launched, library, stacks

Order = Literal["forward", "reversed"] | int
Value = ctypes.c_void_p | ctypes.c_int | ctypes.c_float
GUARD = 4096  # bytes
_POISON = torch.tensor([0xFFF5A5C3 - 2**32], dtype=torch.int32)  # as fibers.h's: NaN for floats, far off as an index
_LOCK = Lock()


class EmulatorError(RuntimeError):
    """A kernel does what the hardware leaves undefined; the text says what, and in which block and thread."""


@contextmanager
def emulated(order: Order = "forward") -> Iterator[None]:
    """Run the kernels of this block on the CPU, on tensors that lie there. ``order`` of blocks and threads: "forward",
    "reversed", or the seed of one drawn by chance, in which threads also take turns at atomics. A kernel without races
    gives the same in every order, up to how sums of floats are rounded. What torch.empty gives holds NaN.

    Raises EmulatorError from ``launch`` for a deadlock, a divergent barrier, a warp intrinsic with lanes that are not
    there, writing where no argument is or where one is const, and a memory fault.
    """
    with launched_by(Emulator(order)), _nothing_left_over():
        yield


@contextmanager
def _nothing_left_over() -> Iterator[None]:
    """torch.empty would give what an earlier, perhaps right, result was."""
    filled = torch.utils.deterministic.fill_uninitialized_memory
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@dataclass(frozen=True)
class Emulator:
    """A :class:`renderer.cuda.launch.Launcher`."""

    order: Order = "forward"

    def launch(self, program: Program, kernel: str, grid: Grid, threads: int, arguments: Sequence[Argument]) -> None:
        """Run a kernel between guards."""
        check_size(kernel, grid, threads)
        parameters = program.kernels()[kernel]
        guarded = _Guarded(kernel, parameters, arguments)
        values = [_value(p, a, guarded) for p, a in zip(parameters, arguments, strict=True)]
        function = getattr(library(program), f"emulated_{kernel}")
        order, seed = (self.order, 0) if isinstance(self.order, str) else ("drawn", self.order)
        launched = Launched(
            (ctypes.c_void_p * len(values))(*[_passed(p, v) for p, v in zip(parameters, values, strict=True)]),
            (ctypes.c_int * 3)(*grid), threads, ("forward", "reversed", "drawn").index(order), seed, stacks(),
        )  # fmt: skip
        with _LOCK:
            error = function(launched)
        if error:
            raise EmulatorError(f"{kernel}: {error.decode()}")
        guarded.check()
        guarded.write_back()


def check_size(kernel: str, grid: Grid, threads: int) -> None:
    """Raise EmulatorError for a size that a GPU does not take, or that the kernels are not written for."""
    if threads % 32 or not 32 <= threads <= 1024:
        raise EmulatorError(f"{kernel}: blocks of {threads} threads")
    if any(not 0 < size <= limit for size, limit in zip(grid, (2**31 - 1, 65535, 65535), strict=True)):
        raise EmulatorError(f"{kernel}: a grid of {grid} blocks")


@dataclass(frozen=True)
class Launch:
    """One that was asked for."""

    program: Program
    kernel: str
    grid: Grid
    threads: int
    arguments: tuple[Argument, ...]


@dataclass
class NullLauncher:
    """Writes down what is launched, checks its size, and runs nothing."""

    launches: list[Launch] = field(default_factory=list)

    def launch(self, program: Program, kernel: str, grid: Grid, threads: int, arguments: Sequence[Argument]) -> None:
        """As :class:`renderer.cuda.launch.Launcher`."""
        check_size(kernel, grid, threads)
        self.launches.append(Launch(program, kernel, grid, threads, tuple(arguments)))


@dataclass
class _Part:
    """Memory that arguments name, and its copy between guards. Arguments that overlap share one."""

    start: int
    stop: int
    names: list[str]
    written: bool
    copy: Tensor = field(default_factory=lambda: torch.empty(0))
    before: Tensor | None = None

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def lead(self) -> int:
        """Bytes before it in the copy: a guard, and what gives it the alignment that it has."""
        return GUARD + (self.start - self.copy.data_ptr()) % 64


class _Guarded:
    def __init__(self, kernel: str, parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> None:
        self._kernel = kernel
        self._parts: list[_Part] = []
        found = [
            _Part(a.data_ptr(), a.data_ptr() + a.nbytes, [p.name], p.written)
            for p, a in zip(parameters, arguments, strict=True)
            if isinstance(a, Tensor) and a.numel()
        ]
        if any(isinstance(a, Tensor) and a.device.type != "cpu" for a in arguments):
            raise EmulatorError(f"{kernel}: the emulator takes tensors on the CPU")
        for part in sorted(found, key=lambda p: p.start):
            last = self._parts[-1] if self._parts else None
            if last is not None and part.start < last.stop:
                last.stop = max(last.stop, part.stop)
                last.names += part.names
                last.written |= part.written
            else:
                self._parts.append(part)
        for part in self._parts:
            part.copy = _poisoned(part.size + 2 * GUARD + 64)
            ctypes.memmove(part.copy.data_ptr() + part.lead, part.start, part.size)
            if not part.written:
                part.before = _inside(part).clone()

    def address(self, tensor: Tensor) -> int:
        """Of the copy of a tensor's first value; null where it has none."""
        if not tensor.numel():
            return 0
        (part,) = (p for p in self._parts if p.start <= tensor.data_ptr() < p.stop)
        return part.copy.data_ptr() + part.lead + tensor.data_ptr() - part.start

    def check(self) -> None:
        for part in self._parts:
            names = ", ".join(part.names)
            fresh = _poisoned(part.copy.numel())
            if not torch.equal(part.copy[: part.lead], fresh[: part.lead]):
                raise EmulatorError(f"{self._kernel}: writes before the start of {names}")
            if not torch.equal(part.copy[part.lead + part.size :], fresh[part.lead + part.size :]):
                raise EmulatorError(f"{self._kernel}: writes after the end of {names}")
            if part.before is not None and not torch.equal(part.before, _inside(part)):
                raise EmulatorError(f"{self._kernel}: writes to {names}, which is const")

    def write_back(self) -> None:
        for part in self._parts:
            if part.written:
                ctypes.memmove(part.start, part.copy.data_ptr() + part.lead, part.size)


def _inside(part: _Part) -> Tensor:
    return part.copy[part.lead : part.lead + part.size]


def _poisoned(size: int) -> Tensor:
    return _POISON.repeat(-(-size // 4)).view(torch.uint8)[:size]


def _value(parameter: Parameter, argument: Argument, guarded: _Guarded) -> Value:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(guarded.address(argument))
    if argument is None:
        return ctypes.c_void_p(0)
    return ctypes.c_int(int(argument)) if parameter.type == "int" else ctypes.c_float(argument)


def _passed(parameter: Parameter, value: Value) -> int | None:
    return value.value if parameter.dtype is not None else ctypes.addressof(value)  # type: ignore[return-value]
