"""Starting kernels on tensors, where the tensors are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor

from renderer.cuda.program import Parameter, Program

Argument = Tensor | int | float | None
"""A tensor stands for the pointer to its first value, None for a null pointer."""
Grid = tuple[int, int, int]


class Launcher(Protocol):
    """Who runs kernels."""

    def launch(self, program: Program, kernel: str, grid: Grid, threads: int, arguments: Sequence[Argument]) -> None:
        """Run ``kernel`` on ``grid`` blocks of ``threads`` threads. The arguments fit the kernel's parameters."""
        ...


_STAND_IN: ContextVar[Launcher | None] = ContextVar("stand_in", default=None)


@contextmanager
def launched_by(launcher: Launcher) -> Iterator[None]:
    """Let somebody else than the GPU run every kernel of this block, as tests do where there is none."""
    token = _STAND_IN.set(launcher)
    try:
        yield
    finally:
        _STAND_IN.reset(token)


def stood_in() -> bool:
    """Whether somebody else than the GPU runs the kernels now."""
    return _STAND_IN.get() is not None


def launch(program: Program, kernel: str, grid: int | tuple[int, ...], threads: int, *arguments: Argument) -> None:
    """Run a kernel on torch's current stream. ``grid``: blocks along x, or along x, y and z; nothing runs where one
    is 0. ``threads``: per block.

    Raises ValueError for arguments that do not fit the kernel's parameters, before anything runs.
    """
    x, y, z = (*((grid,) if isinstance(grid, int) else grid), 1, 1)[:3]
    check_arguments(kernel, program.kernels()[kernel], arguments)
    if min(x, y, z) == 0:
        return
    launcher = _STAND_IN.get()
    if launcher is None:
        from renderer.cuda.device import Device  # CuPy takes half a second, and most machines never need it

        launcher = Device.current()
    launcher.launch(program, kernel, (x, y, z), threads, arguments)


def check_arguments(kernel: str, parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> None:
    """Raise ValueError where the arguments do not fit."""
    if len(parameters) != len(arguments):
        raise ValueError(f"{kernel}: {len(arguments)} arguments, expected {len(parameters)}")
    for parameter, argument in zip(parameters, arguments, strict=True):
        if not _fits(parameter, argument):
            raise ValueError(f"{kernel}: {parameter.name} is {_described(argument)}, expected {_wanted(parameter)}")


def blocks(items: int, threads: int) -> int:
    """How many blocks of so many threads cover so many items."""
    return -(-items // threads)


def _fits(parameter: Parameter, argument: Argument) -> bool:
    if parameter.dtype is not None:
        return argument is None or (
            isinstance(argument, Tensor) and argument.dtype == parameter.dtype and argument.is_contiguous()
        )
    if parameter.type == "int":
        return isinstance(argument, int) and -(2**31) <= argument < 2**31
    return isinstance(argument, int | float)


def _wanted(parameter: Parameter) -> str:
    if parameter.dtype is None:
        return f"a number ({parameter.type})"
    return f"a contiguous tensor of {parameter.dtype}"


def _described(argument: Argument) -> str:
    if not isinstance(argument, Tensor):
        return f"{argument!r}"
    contiguous = "" if argument.is_contiguous() else ", not contiguous"
    return f"a tensor {tuple(argument.shape)} of {argument.dtype}{contiguous}"
