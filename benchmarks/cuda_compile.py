"""Compile every kernel for every kind of GPU, without one: registers, spills and shared memory of each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.cuda_limits import LIMITS
from renderer.cuda import catalogue
from renderer.cuda.device import Usage, compiled
from renderer.cuda.program import Program

ARCHS = ("75", "80", "86", "89", "90", "120")
SPILL_BOUND = 0  # bytes per thread, stored and loaded


@dataclass(frozen=True)
class Compiled:
    """One kernel of one program for one kind of GPU."""

    program: Program
    kernel: str
    arch: str
    usage: Usage

    @property
    def spills(self) -> bool:
        """Whether more does not fit into registers than may."""
        return self.usage.spilled > SPILL_BOUND

    def __str__(self) -> str:
        use = self.usage
        return (
            f"sm_{self.arch:>3}  {use.registers:3} registers {use.spilled:5} spilled {use.stack:5} stack "
            f"{use.shared:6} shared  {self.kernel:32} {named(self.program)}"
        )


def programs() -> tuple[Program, ...]:
    """Those of the engine, and that of its benchmark."""
    return *catalogue.programs(), LIMITS


def named(program: Program) -> str:
    """A program in a few words."""
    return " ".join([Path(program.sources[-1]).name, *(f"{name}={value}" for name, value in program.defines)])


def compile_all(archs: tuple[str, ...]) -> list[Compiled]:
    """Every kernel of every program for each of the kinds.

    Raises CompileError for a program that does not compile.
    """
    return [
        Compiled(program, kernel, arch, usage)
        for program in programs()
        for arch in archs
        for kernel, usage in compiled(program, arch)[1].items()
    ]


def record(found: list[Compiled]) -> list[dict[str, object]]:
    """As JSON holds it."""
    return [{"program": named(c.program), "kernel": c.kernel, "arch": c.arch, **asdict(c.usage)} for c in found]
