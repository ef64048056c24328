"""From CUDA sources to a library of this machine."""

from __future__ import annotations

import ctypes
import getpass
import hashlib
import os
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from renderer.cuda.program import Parameter, Program

HEADERS = tuple(Path(__file__).parent / name for name in ("fibers.h", "cuda.h"))
COMPILER = (
    "g++", "-std=gnu++17", "-O2", "-shared", "-fPIC", "-w", "-fwrapv", "-fno-strict-aliasing", "-fno-ipa-reference",
    "-fno-ipa-ra", "-ffp-contract=off", "-fno-exceptions", "-pthread", "-fstack-clash-protection",
)  # fmt: skip
"""The last: a frame larger than the page without access below each stack must not step over it."""

_BOUNDS = re.compile(r"__launch_bounds__\s*\(([^),]+)[^)]*\)\s*(\w+)\s*\(")


class CompilerError(RuntimeError):
    """g++ refuses a source; the text is what it says."""


class Launched(ctypes.Structure):
    """As fibers.h's Launch."""

    _fields_ = (
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("grid", ctypes.POINTER(ctypes.c_int)),
        ("threads", ctypes.c_int),
        ("order", ctypes.c_int),
        ("seed", ctypes.c_uint),
        ("stacks", ctypes.c_void_p),
    )


@cache
def library(program: Program) -> ctypes.CDLL:
    """A function ``emulated_<kernel>(launched)`` per kernel, which gives an error or null."""
    text = _text(program)
    name = hashlib.sha256("\0".join((*COMPILER, text)).encode()).hexdigest()[:32]
    path = _folder() / f"{name}.so"
    if not path.exists():
        _compile(text, path)
    loaded = ctypes.CDLL(str(path))
    loaded.emulator_stacks.restype = ctypes.c_void_p
    for kernel in program.kernels():
        function = getattr(loaded, f"emulated_{kernel}")
        function.argtypes, function.restype = (ctypes.POINTER(Launched),), ctypes.c_char_p
    return loaded


@cache
def stacks() -> int:
    """Memory for the stacks of a block's threads, for all libraries of the process."""
    made = library(Program(())).emulator_stacks()
    if made is None:
        raise MemoryError("no room for the threads' stacks")
    return int(made)


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"dynview-emulator-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _compile(text: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source, result = Path(folder, "program.cpp"), Path(folder, "program.so")
        source.write_text(text)
        done = subprocess.run([*COMPILER, str(source), "-o", str(result)], capture_output=True, text=True)
        if done.returncode:
            raise CompilerError(done.stderr)
        os.replace(result, path)  # at once, whoever else compiles the same


def _text(program: Program) -> str:
    text = program.text()
    bounds = {name: bound for bound, name in _BOUNDS.findall(text)}
    wrappers = "\n".join(_wrapper(name, p, bounds.get(name, "1024")) for name, p in program.kernels().items())
    headers = "".join(f'#line 1 "{path.name}"\n{path.read_text()}\n' for path in HEADERS)
    return f'{headers}{text}\n}}  // namespace\n#line 1 "wrappers"\n{wrappers}\n}}  // namespace kernels\n'


def _wrapper(name: str, parameters: tuple[Parameter, ...], most_threads: str) -> str:
    values = ", ".join(
        f"*static_cast<{p.type}*>(a[{k}])" if p.dtype is None else f"static_cast<{p.type}*>(a[{k}])"
        for k, p in enumerate(parameters)
    )
    return (
        f"static void call_{name}(void** a) {{ {name}({values}); }}\n"
        f'extern "C" const char* emulated_{name}(const emulator::Launch* launch) '
        f"{{ return emulator::run(call_{name}, {most_threads}, *launch); }}"
    )
