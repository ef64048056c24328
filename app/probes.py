"""One look at one thing of the machine: ``python -m app.probes NAME [ARGUMENT ...]`` writes what it found as JSON.

Each look is a process of its own, because a driver may crash, and a disk or a display may never answer. So nothing is
imported before a look needs it, torch not at all: that takes longer than all looks together.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ENCODERS = {"libx264": ".mp4", "libvpx-vp9": ".webm", "gif": ".gif"}
"""What an ffmpeg needs, and for which files."""
LITTLE_DISK, LITTLE_MEMORY = 5e9, 4e9
"""Bytes below which something is likely to fail."""
HALF_LOADED = 1_000_000
"""Bytes below which a file of weights is no whole one."""
Answer = tuple[str, str]
"""One of "there", "missing", "low"; and what was found, in words."""


def main() -> None:
    """Entry point of the process."""
    name, *arguments = sys.argv[1:]
    state, found = PROBES[name](*arguments)
    sys.stdout.write(json.dumps({"state": state, "found": found}) + "\n")


def gpu() -> Answer:
    """By the driver itself, which every NVIDIA installation has."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return "missing", "no NVIDIA driver"
    count, cuda = ctypes.c_int(), ctypes.c_int()
    code = driver.cuInit(0)
    if code or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "missing", f"an NVIDIA driver without a GPU that it can use (CUDA error {code})"
    driver.cuDriverGetVersion(ctypes.byref(cuda))
    words = []
    for number in range(count.value):
        device, text, size = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetName(text, len(text), device)
        driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
        words.append(f"{text.value.decode(errors='replace')}, {size.value / 2**30:.0f} GiB")
    return "there", f"{'; '.join(words)}; driver for CUDA {cuda.value // 1000}.{cuda.value % 1000 // 10}{_driver()}"


def _driver() -> str:
    """The driver's own version, where nvidia-smi says it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False).stdout.split()
    return f" ({told[0]})" if told else ""


def kernels() -> Answer:
    """What a GPU's kernels are compiled and run with."""
    cupy, spec = _package("cupy-cuda13x") or _package("cupy"), find_spec("torch")
    said = Path(spec.origin or "").with_name("version.py").read_text() if spec else ""
    built = re.search(r"^cuda\b.*=\s*'([\d.]+)'", said, re.M)
    torch = f"torch {_package('torch') or 'is missing'}" + (f" for CUDA {built[1]}" if built else " without CUDA")
    return "there" if cupy and built else "missing", f"{torch}, CuPy {cupy or 'is missing'}"


def opengl() -> Answer:
    """A context without a window, as the viewport's."""
    from renderer.gl.context import ContextError, best_context, description

    try:
        context = best_context()
        context.make_current()
    except ContextError as problem:
        return "missing", str(problem)
    renderer, number = description()
    context.release()
    return "there", f"{renderer}, OpenGL {number}"


def display() -> Answer:
    """A screen that answers."""
    if sys.platform in ("win32", "darwin"):
        return "there", "the system's own"
    name = os.environ.get("DISPLAY", "")
    if not name:
        return "missing", "DISPLAY is not set"
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return "missing", f"DISPLAY is {name}, but libX11 is not installed"
    x11.XOpenDisplay.restype = ctypes.c_void_p
    if not x11.XOpenDisplay(name.encode()):
        return "missing", f"DISPLAY is {name}, which does not answer"
    return "there", name


def packages(*names: str) -> Answer:
    """Installed packages and their versions."""
    versions = {name: _package(name) for name in names}
    words = ", ".join(f"{name} {found or 'is missing'}" for name, found in versions.items())
    return "there" if all(versions.values()) else "missing", words


def encoders() -> Answer:
    """Of the ffmpeg that videos are read and written with."""
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    told = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False).stdout
    known = {words[1] for words in map(str.split, told.splitlines()) if len(words) > 1}
    lacking = [f"{name} for {suffix}" for name, suffix in ENCODERS.items() if name not in known]
    number = imageio_ffmpeg.get_ffmpeg_version()
    if lacking:
        return "missing", f"ffmpeg {number} without {', '.join(lacking)}"
    return "there", f"ffmpeg {number} with {', '.join(ENCODERS)}"


def weights(file: str) -> Answer:
    """A file of a network's weights."""
    path = Path(file)
    if path.is_file() and path.stat().st_size > HALF_LOADED:
        return "there", f"{path}, {path.stat().st_size / 1e6:.0f} MB"
    return "missing", f"no {path.name} in {path.parent}"


def depth(model: str) -> Answer:
    """The package and a snapshot of a model of the Hugging Face hub, or a folder of one."""
    transformers = _package("transformers")
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    snapshots = hub / f"models--{model.replace('/', '--')}" / "snapshots"
    found = Path(model).is_dir() or any(snapshots.glob("*/*.safetensors")) or any(snapshots.glob("*/*.bin"))
    words = f"transformers {transformers or 'is missing'}, {model} {'is there' if found else f'is not in {hub}'}"
    return "there" if transformers and found else "missing", words


def disk(*folders: str) -> Answer:
    """Room where runs and temporary files go: of each folder, or of the first one above it that exists."""
    words, least = [], float("inf")
    for folder in folders:
        path = Path(folder).absolute()
        path = next(p for p in (path, *path.parents) if p.exists())
        free = shutil.disk_usage(path).free
        least = min(least, free)
        words.append(f"{free / 1e9:.1f} GB free in {path}")
    return "low" if least < LITTLE_DISK else "there", ", ".join(words)


def memory() -> Answer:
    """What is free for this process, within the limit of a container."""
    import psutil

    state = psutil.virtual_memory()
    free, total = state.available, state.total
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        free, total = min(free, max(0, limit - used)), min(total, limit)
    words = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return "low" if free < LITTLE_MEMORY else "there", words


def threads() -> Answer:
    """Cores that this process may use, and what limits the threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS") if name in os.environ}
    words = f"{cores} of {os.cpu_count()} cores" + "".join(f", {name}={value}" for name, value in limits.items())
    return "low" if cores < 2 or "1" in limits.values() else "there", words


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


PROBES: dict[str, Callable[..., Answer]] = {
    probe.__name__: probe
    for probe in (gpu, kernels, opengl, display, packages, encoders, weights, depth, disk, memory, threads)
}

if __name__ == "__main__":
    main()
