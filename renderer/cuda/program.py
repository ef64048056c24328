"""What is compiled together: CUDA sources of ``shaders/`` and the switches that they are compiled with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import torch

from shaders import source

OPTIONS = ("-std=c++17", "-ftz=true", "--extra-device-vectorization")
"""For every program; no headers, so that NVRTC alone is enough. Fast functions are named where they are wanted."""
POINTERS = {
    "float": torch.float32, "double": torch.float64, "int": torch.int32, "unsigned int": torch.int32,
    "long long": torch.int64, "unsigned long long": torch.int64, "short": torch.int16, "unsigned short": torch.int16,
    "unsigned char": torch.uint8,
}  # fmt: skip
"""The tensor's dtype behind each pointer; torch's signed integers stand for the unsigned ones of the same size."""
_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)', re.S
)
_PARAMETER = re.compile(r"(const )?([a-z ]+?) ?(\* ?(?:__restrict__ )?)?(\w+)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


@dataclass(frozen=True)
class Parameter:
    """One of a kernel's. ``type``: in C, without const and the star. ``dtype``: of the tensor behind a pointer; None
    for a number. ``written``: whether the kernel may change what is behind it."""

    name: str
    type: str
    dtype: torch.dtype | None
    written: bool


@dataclass(frozen=True)
class Program:
    """``sources``: names of files in ``shaders/``, read one after another. ``defines``: macros and their values, the
    compile-time switches."""

    sources: tuple[str, ...]
    defines: tuple[tuple[str, int], ...] = ()

    def text(self) -> str:
        """The whole source."""
        parts = [f"#define {name} {value}\n" for name, value in self.defines]
        parts += [f'#line 1 "{name}"\n{source(name)}\n' for name in self.sources]
        return "".join(parts)

    def kernels(self) -> dict[str, tuple[Parameter, ...]]:
        """Parameters of each kernel, in their order."""
        return _kernels(self.sources)


@cache
def _kernels(sources: tuple[str, ...]) -> dict[str, tuple[Parameter, ...]]:
    text = _COMMENT.sub(" ", "\n".join(source(name) for name in sources))
    return {
        name: tuple(_parameter(part) for part in parameters.split(",") if part.strip())
        for name, parameters in _KERNEL.findall(text)
    }


def _parameter(text: str) -> Parameter:
    found = _PARAMETER.fullmatch(" ".join(text.split()))
    const, kind, star, name = found.groups() if found else (None, "", None, "")
    kind = {"unsigned": "unsigned int"}.get(kind, kind)
    if kind not in (POINTERS if star else ("int", "float")):
        raise ValueError(f"a kernel's parameter of an unknown kind: {text.strip()}")
    return Parameter(name, kind, POINTERS[kind] if star else None, written=bool(star and not const))
