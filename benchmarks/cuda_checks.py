"""Whether the CUDA engine is right on this device: by plain torch in float64, by its tests, and by a memory checker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.cuda_kernels import COMMON, ennea
from benchmarks.cuda_measure import Row
from benchmarks.cuda_scene import TIME, Sight, camera_of, learned, random_scene
from benchmarks.cuda_step import draw
from benchmarks.cuda_table import WAYS
from renderer.cuda import planes
from renderer.cuda.adam import FusedAdam
from renderer.cuda.blend import Backward
from renderer.cuda.sort import sort
from renderer.gaussians import Gaussians
from renderer.planes import Planes
from renderer.slicing import slice_at
from renderer.splat import splat

ROOT = Path(__file__).parent.parent
BOUND = 1e-3
"""Relative L2 distance; single contributions are near the threshold below which they are left out."""
ADAM_STEPS = 3
SANITIZER_ERROR = 86
Results = dict[str, Tensor]


def checks(device: torch.device, count: int, size: tuple[int, int]) -> Iterator[Row]:
    """Pictures and gradients of a random scene, a sort, Adam, and planes; each with its distance."""
    expected = by_reference(count, size)
    for way in WAYS:
        found = by_engine(count, size, device, way)
        for name, value in expected.items():
            yield compared(f"{name}, {way}", found[name], value)
    yield from sorted_like_torch(device, 20 * count)
    yield from updated_like_torch(device, count)
    yield from read_like_torch(device, count)


def compared(name: str, found: Tensor, expected: Tensor, bound: float = BOUND) -> Row:
    """Relative L2 distance of two tensors."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    apart = float((found - expected).norm() / expected.norm().clamp(min=1e-12))
    return Row(name, {"relative distance": apart, "bound": bound}, ok=apart <= bound)


def by_reference(count: int, size: tuple[int, int]) -> Results:
    """By slicing and splatting in plain torch, float64, on the CPU."""
    camera = camera_of(*size)
    cpu = torch.device("cpu")
    scene = random_scene(count, camera, cpu)
    scene = learned(scene.with_parameters({k: v.double() for k, v in scene.parameters.items()}))
    pose = torch.tensor(camera.world_to_camera, requires_grad=True)
    center = torch.tensor(camera.center.copy())
    splats = slice_at(scene, TIME, center, backend="reference").splats
    image = splat(splats, camera, pose=pose, backend="reference")
    return _results(scene, pose, image.color, image.depth, image.opacity)


def by_engine(count: int, size: tuple[int, int], device: torch.device, way: Backward) -> Results:
    """By the kernels."""
    camera = camera_of(*size)
    scene, sight = learned(random_scene(count, camera, device)), Sight.of(camera, device)
    sight.pose.requires_grad_()
    image = draw(scene, sight, TIME, way)
    return _results(scene, sight.pose, image.color, image.depth, image.opacity)


def _results(scene: Gaussians, pose: Tensor, *images: Tensor) -> Results:
    """The pictures and the gradients of a random sum of them."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(image.shape, generator=generator).to(image) for image in images]
    total = torch.stack([(image * w).sum() for image, w in zip(images, weights, strict=True)]).sum()
    leaves = {**scene.parameters, "pose": pose}
    gradients = torch.autograd.grad(total, list(leaves.values()))
    pictures = dict(zip(("color", "depth", "opacity"), images, strict=True))
    return pictures | {f"v_{name}": v for name, v in zip(leaves, gradients, strict=True)}


def sorted_like_torch(device: torch.device, count: int) -> Iterator[Row]:
    """Rows of equal keys, of which there are many, keep their order."""
    generator = torch.Generator().manual_seed(0)
    keys = torch.randint(0, 1 << 31, (count,), generator=generator, dtype=torch.int32)
    keys[::3] = keys[0]
    rows = sort(keys.to(device), bit_range=(0, 31)).rows
    yield compared("sort", rows, torch.sort(keys, stable=True).indices, bound=0.0)


def updated_like_torch(device: torch.device, count: int) -> Iterator[Row]:
    """Some steps of Adam, in float64 beside it."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(count, 7, generator=generator)
    mine, theirs = first.to(device, copy=True).requires_grad_(), first.double().requires_grad_()
    adams = FusedAdam([mine], lr=0.01), torch.optim.Adam([theirs], lr=0.01, eps=1e-15)
    for _ in range(ADAM_STEPS):
        gradient = torch.randn(count, 7, generator=generator)
        mine.grad, theirs.grad = gradient.to(device), gradient.double()
        for adam in adams:
            adam.step()
    yield compared("Adam", mine, theirs, bound=1e-6)


def read_like_torch(device: torch.device, count: int) -> Iterator[Row]:
    """Features of points and both gradients."""
    layout = ennea(6)
    made = Planes(layout, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        made.values.add_(0.3 * torch.rand(made.values.shape, generator=torch.Generator().manual_seed(1)))
    points = 2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 1
    at = points.requires_grad_()
    near, values = (x.detach().float().to(device).requires_grad_() for x in (points, made.values))
    expected = made.lookup_reference(at, COMMON)
    found = planes.lookup(values, near, layout, COMMON)
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view(expected.shape)
    v_expected = torch.autograd.grad(expected, (made.values, at), weights)
    v_found = torch.autograd.grad(found, (values, near), weights.to(found))
    yield compared("planes", found, expected, 1e-5)
    for name, v, right in zip(("v_planes", "v_points"), v_found, v_expected, strict=True):
        yield compared(name, v, right, 1e-4)


def run_tests(seconds: float) -> Iterator[Row]:
    """The project's tests that need a GPU, in another process."""
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-q", "-p", "no:cacheprovider", "tests"]
    command += ["--continue-on-collection-errors"]  # a file that cannot be imported here leaves the others
    row = _run("python -m pytest -m cuda -q", command, seconds, {})
    yield replace(row, ok=row.ok and " passed" in str(row))  # where all are skipped nothing is shown


def sanitize(seconds: float) -> Iterator[Row]:
    """The checks again under NVIDIA's memory checker, with every tensor in an allocation of its own."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        yield Row("compute-sanitizer is not in PATH: memory is not checked")
        return
    command = [tool, "--tool", "memcheck", "--error-exitcode", str(SANITIZER_ERROR)]
    command += [sys.executable, "-m", "benchmarks.cuda", "--quick", "--only", "checks"]
    yield _run("compute-sanitizer memcheck", command, seconds, {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"})


def _run(name: str, command: list[str], seconds: float, more: dict[str, str]) -> Row:
    """The last line of what a command says, and the lines before it where it fails."""
    seconds = max(1.0, seconds)
    run = partial(subprocess.run, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True)
    try:
        done = run(command, timeout=seconds)
    except subprocess.TimeoutExpired as problem:
        said = problem.stdout.decode() if isinstance(problem.stdout, bytes) else problem.stdout or ""
        return Row(name, {"": f"did not end within {seconds:.0f} s\n{_tail(said, 5)}"}, ok=False)
    if done.returncode:
        return Row(name, {"": _tail(f"{done.stdout}\n{done.stderr}", 40)}, ok=False)
    return Row(name, {"": _tail(done.stdout, 1)})


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
