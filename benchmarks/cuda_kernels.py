"""Single kernels of the CUDA engine, each beside its limits, and beside others that do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks import cuda_limits as limits
from benchmarks.cuda_measure import Bench, Cost, Deadline, Row
from benchmarks.cuda_scene import TIME, Sight, camera_of, learned, random_scene
from benchmarks.cuda_step import DSSIM, Prepared, prepared
from renderer.cuda import blend, field, planes, project, tiles
from renderer.cuda.adam import FusedAdam
from renderer.cuda.images import photometric_loss
from renderer.cuda.sort import sort
from renderer.gaussians import Gaussians
from renderer.planes import ENNEA_PLANES, PlaneLayout, Planes

SPACE_NODES, LEVELS, CHANNELS = 128, (1, 2), 16
"""Of the distortion field's planes, as training.config has them on a GPU."""
FRAMES, POSES = 50, 25
COMMON = (0.2, -0.4)
"""Time and pose, which all points of a lookup share."""
COMPOSITE_FLOPS, COMPOSITE_BACKWARD_FLOPS = 60, 150
"""Of a sample."""


@dataclass(frozen=True)
class Sizes:
    """``gaussians`` in a picture of ``size``; ``points`` that are looked up in planes of ``nodes`` nodes; ``rays`` of a
    field and their ``samples``."""

    gaussians: int = 1_000_000
    size: tuple[int, int] = (960, 540)
    points: int = 131_072
    nodes: int = SPACE_NODES
    rays: int = 1024
    samples: int = 128


def kernels(bench: Bench, sizes: Sizes, deadline: Deadline) -> Iterator[Row]:
    """The rows of every kernel, as far as the time allows."""
    for part in (splatting, sorting, updating, comparing, looking_up, compositing):
        if not deadline.left:
            yield Row(f"{part.__name__}: left out, no time", ok=False)
            continue
        yield from part(bench, sizes)


def splatting(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    """Projection, lists and blending, each alone."""
    scene, sight, ready = _picture(bench, sizes)
    p, picture, work = ready.projected, ready.picture, ready.work
    pinhole = project.Pinhole.of(sight.camera, sight.pose)
    yield Row(f"{work.gaussians:,} at {picture.width}x{picture.height}", work.facts())
    there = partial(project.project_gaussians, scene, TIME, sight.center, pinhole)
    yield bench.timed("project", there, limits.projecting(work))
    v_screen = torch.ones_like(p.screen)
    back = partial(project.project_gaussians_backward, scene, TIME, sight.center, pinhole, p, v_screen)
    for name, camera in (("project, backward", False), ("project, backward, with the camera", True)):
        yield bench.timed(name, partial(back, camera), limits.projecting_backward(work))
    lists = partial(
        tiles.tile_lists, p.screen, p.keys, p.boxes, p.counts, *picture.tiles, max(1, work.pairs)
    )  # fmt: skip
    yield bench.timed("list by tiles", lists, limits.listing(work))
    yield bench.timed("blend", partial(blend.blend, p.screen, picture), limits.blending(work))
    screen = p.screen.clone().requires_grad_()
    ways: tuple[blend.Backward, ...] = ("splats", "pixels")
    for way in ways:
        yield bench.timed(f"blend, for {way}", partial(blend.blend, screen, picture, way), limits.blending(work))
        color = blend.blend(screen, picture, way).color
        slopes = partial(torch.autograd.grad, color, screen, torch.ones_like(color), retain_graph=True)
        yield bench.timed(f"blend, backward by {way}", slopes, limits.blending_backward(work))


def sorting(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    """Depths of all Gaussians, and tiles of four times as many pairs, by the engine, torch and CuPy."""
    N, P = sizes.gaussians, 4 * sizes.gaussians
    generator = torch.Generator().manual_seed(0)
    depths = torch.randint(0, 1 << 31, (N,), generator=generator, dtype=torch.int32).to(bench.device)
    columns, rows = blend.tiles_of(*sizes.size)
    bits = (columns * rows - 1).bit_length()
    numbers = torch.randint(0, columns * rows, (P,), generator=generator, dtype=torch.int16).to(bench.device)
    order = torch.arange(P, dtype=torch.int32, device=bench.device)
    cost = limits.sorting(N, 31, 4, keys_kept=False)
    name = f"sort {N:,} depths"
    yield bench.timed(name, partial(sort, depths, bit_range=(0, 31), keep_keys=False), cost)
    yield from _rivals(bench, name, depths, cost)
    cost = limits.sorting(P, bits, 2, first_rows=True)
    name = f"sort {P:,} pairs"
    yield bench.timed(name, partial(sort, numbers, order, None, (0, bits)), cost)
    yield from _rivals(bench, name, numbers, cost)


def updating(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    """Adam over all parameters of a scene, over the rows that are drawn, and torch's."""
    scene, _, ready = _picture(bench, sizes)
    radii, work = ready.projected.radii, ready.work
    leaves = list(learned(scene).parameters.values())
    for leaf in leaves:
        leaf.grad = torch.full_like(leaf, 1e-3)
    values = sum(leaf.numel() for leaf in leaves)
    adam = FusedAdam(leaves)
    yield bench.timed("Adam", adam.step, limits.updating(values))
    drawn = limits.updating(work.drawn * values // max(1, work.gaussians)) + Cost(4 * len(leaves) * work.gaussians)
    yield bench.timed("Adam, of what is drawn", partial(adam.step, visible=radii), drawn)
    del adam
    theirs = torch.optim.Adam(leaves, eps=1e-15, fused=True)
    yield bench.timed("Adam, torch's fused one", theirs.step, limits.updating(values))


def comparing(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    """The loss of a picture."""
    width, height = sizes.size
    generator = torch.Generator().manual_seed(0)
    image, target = (torch.rand(height, width, 3, generator=generator).to(bench.device) for _ in range(2))
    image.requires_grad_()
    pixels = width * height
    there = partial(photometric_loss, image, target, DSSIM)
    yield bench.timed(f"L1 and SSIM at {width}x{height}", there, limits.comparing(pixels))
    back = partial(torch.autograd.grad, there(), image, retain_graph=True)
    yield bench.timed(f"L1 and SSIM at {width}x{height}, backward", back, limits.comparing_backward(pixels))


def ennea(nodes: int) -> PlaneLayout:
    """The planes of the distortion field."""
    return PlaneLayout(ENNEA_PLANES, (nodes, nodes, nodes, FRAMES, POSES), LEVELS, CHANNELS)


def looking_up(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    """Nine planes on two levels at points of one time and pose, as the distortion field reads them."""
    layout = ennea(sizes.nodes)
    values = Planes(layout, torch.Generator().manual_seed(0)).values.detach().to(bench.device).requires_grad_()
    generator = torch.Generator().manual_seed(1)
    points = (2 * torch.rand(sizes.points, 3, generator=generator) - 1).to(bench.device).requires_grad_()
    there = partial(planes.lookup, values, points, layout, COMMON)
    out = there()
    once = points.nbytes + out.nbytes
    space = sum(4 * CHANNELS * i * j for name, _, _, i, j in layout.planes() if set(name) <= set("xyz"))
    read = len(list(layout.planes())) * CHANNELS * sizes.points
    name = f"look {sizes.points:,} points up"
    yield bench.timed(name, there, Cost(once + space, 7 * read))
    back = partial(torch.autograd.grad, out, (values, points), torch.ones_like(out), retain_graph=True)
    yield bench.timed(f"{name}, backward", back, Cost(2 * once + space + values.nbytes, 25 * read))


def compositing(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    """Rays of a radiance field of two parts."""
    R, S = sizes.rays, sizes.samples
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).to(bench.device)

    inputs = [drawn(R * S) for _ in range(3)] + [drawn(R * S, 3) for _ in range(2)]
    for value in inputs:
        value.requires_grad_()
    raw_static, raw_dynamic, share, color_static, color_dynamic = inputs
    deltas = drawn(R, S) / S
    there = partial(field.composite, raw_static, raw_dynamic, share, color_static, color_dynamic, deltas)
    out = there()
    read, written = 40 * R * S, sum(x.nbytes for x in out)
    yield bench.timed(f"composite {R:,} rays of {S}", there, Cost(read + written, COMPOSITE_FLOPS * R * S))
    v_out = [torch.ones_like(x) for x in out]
    back = partial(torch.autograd.grad, list(out), inputs, v_out, retain_graph=True)
    cost = Cost(2 * read + written, COMPOSITE_BACKWARD_FLOPS * R * S)
    yield bench.timed(f"composite {R:,} rays of {S}, backward", back, cost)


def _picture(bench: Bench, sizes: Sizes) -> tuple[Gaussians, Sight, Prepared]:
    camera = camera_of(*sizes.size)
    scene, sight = random_scene(sizes.gaussians, camera, bench.device), Sight.of(camera, bench.device)
    return scene, sight, prepared(scene, sight)


def _rivals(bench: Bench, name: str, keys: Tensor, cost: Cost) -> Iterator[Row]:
    """Sorts of the same keys whose rows are int64."""
    yield bench.timed(f"{name}, torch.sort", partial(torch.sort, keys, stable=True), cost)
    theirs = _cupy_sort(keys)
    if theirs is not None:
        yield bench.timed(f"{name}, cupy.argsort", theirs, cost)


def _cupy_sort(keys: Tensor) -> Callable[[], object] | None:
    """CuPy's, on torch's current stream; None away from a GPU."""
    if not keys.is_cuda:
        return None
    import cupy

    shared = cupy.from_dlpack(keys)
    stream = cupy.cuda.Stream.from_external(torch.cuda.current_stream())

    def run() -> object:
        with stream:
            return cupy.argsort(shared)

    return run
