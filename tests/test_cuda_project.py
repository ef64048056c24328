"""The kernels from scenes to screen records and back, against the float64 reference and finite differences."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from renderer import gaussians as scene_module
from renderer import slicing_kernels
from renderer.camera import Camera, look_at
from renderer.cuda.blend import TILE
from renderer.cuda.project import (
    CameraGradients,
    Pinhole,
    Projected,
    project_gaussians,
    project_gaussians_backward,
    project_splats,
    project_splats_backward,
)
from renderer.gaussians import PARAMETERS, Gaussians
from renderer.slicing import slice_at
from renderer.splat import Splats, cpu_project, reference, types
from shaders import source
from tests.cuda_emulator import emulated, needs_emulator

CULLED = 0x7FFFFFFF
GROUPS = {"position": (0, 2), "conic": (2, 5), "opacity": (5, 6), "depth": (6, 7), "colour": (7, 10)}
"""Columns of a record whose gradients are compared on their own, so that large ones do not hide small ones."""


def camera(width: int = 203, height: int = 149) -> Camera:
    """Turned, with its principal point off the centre, sides that no tile divides, and 13 by 10 tiles."""
    pose = look_at(np.array([0.3, -0.2, -2.5]), np.array([0.1, 0.1, 0.5]), np.array([0.1, -1.0, 0.0]))
    return Camera(pose, 130, 150, 0.45 * width, 0.6 * height, width, height, near=0.1)


def scene(N: int, *, level: int = 5, activation: scene_module.ScaleActivation = "exp", seed: int = 0) -> Gaussians:
    """Float64, over a clip of length 7.3: of all sizes, some outlive the clip and some move fast; some lie behind the
    camera and beside the picture, some are nearly transparent, and a third of the colours is clamped."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
        return torch.tensor(rng.normal(mean, deviation, (N, *shape)))

    left, right = normal(4), normal(4)
    right[::3] = left[::3] + 0.02 * right[::3]  # equal quaternions leave time alone
    lifespans = torch.tensor(rng.choice([-1.0, 0.5, 2.5], (N, 1)))
    return Gaussians(
        normal(3, deviation=1.3), normal(1, mean=2.9, deviation=1.5), normal(3, mean=-2.0, deviation=0.8),
        lifespans + normal(1, deviation=0.3), left * torch.tensor(rng.uniform(0.3, 3, (N, 1))), right,
        normal(1, mean=0.5, deviation=2.0), normal(1, 3, deviation=2.0), normal(47, 3, deviation=0.15),
        time_span=7.3, scale_activation=activation, sh_level=level,
    )  # fmt: skip


TIME = 0.41


def on(device: torch.device, tensor: Tensor) -> Tensor:
    return tensor.detach().to(device=device, dtype=torch.float32).contiguous()


def scene_on(device: torch.device, gaussians: Gaussians) -> Gaussians:
    return gaussians.with_parameters({name: on(device, value) for name, value in gaussians.parameters.items()})


def inputs(gaussians: Gaussians, view: Camera) -> dict[str, Tensor]:
    """Float64 leaves of everything that can be learned."""
    rng = np.random.default_rng(9)
    leaves = {name: value.clone() for name, value in gaussians.parameters.items()}
    leaves["pose"] = torch.tensor(view.world_to_camera.copy())
    leaves["pose"][0] *= 1.1  # as a learned zoom does, so that R is no rotation
    leaves["center"] = torch.tensor(view.center.copy())
    leaves["intrinsics"] = torch.tensor([view.fx, view.fy, view.cx, view.cy], dtype=torch.float64)
    leaves["offsets"] = torch.tensor(rng.normal(0, 2, (len(gaussians), 2)))
    return {name: value.requires_grad_() for name, value in leaves.items()}


def expected_records(splats: Splats, view: Camera, leaves: dict[str, Tensor], offsets: Tensor) -> tuple[Tensor, Tensor]:
    """(M, 12) records, zeros where culled, and (M,) radii, by the reference."""
    fx, fy, cx, cy = leaves["intrinsics"].unbind(0)
    eye = SimpleNamespace(fx=fx, fy=fy, cx=cx, cy=cy, width=view.width, height=view.height, near=view.near)
    found = reference.project(splats, eye, leaves["pose"], offsets)  # type: ignore[arg-type]
    drawn = found.radii > 0
    ids, o = found.ids[drawn], splats.opacities[found.ids[drawn]]
    columns = [found.means2d[drawn], found.conics[drawn], o[:, None], found.depths[drawn, None], splats.colors[ids]]
    columns += [2 * torch.log(o / types.ALPHA_MIN)[:, None], torch.zeros_like(o)[:, None]]
    records = torch.cat(columns, dim=1)
    rows = torch.zeros(len(splats), 12, dtype=records.dtype).index_put((ids,), records)
    return rows, torch.zeros(len(splats), dtype=torch.int32).index_put((ids,), found.radii[drawn])


def expected_scene_records(
    gaussians: Gaussians, view: Camera, leaves: dict[str, Tensor], time: float = TIME
) -> tuple[Tensor, Tensor]:
    """As :func:`expected_records`, for all N Gaussians of the scene."""
    g = gaussians.with_parameters({name: leaves[name] for name in PARAMETERS})
    instant = slice_at(g, time, leaves["center"], backend="reference")
    records, radii = expected_records(instant.splats, view, leaves, leaves["offsets"][instant.ids])
    N = len(gaussians)
    rows = torch.zeros(N, 12, dtype=records.dtype).index_put((instant.ids,), records)
    return rows, torch.zeros(N, dtype=torch.int32).index_put((instant.ids,), radii)


def pinhole_on(device: torch.device, view: Camera, leaves: dict[str, Tensor], learned: bool = True) -> Pinhole:
    return Pinhole.of(view, on(device, leaves["pose"]), on(device, leaves["intrinsics"]) if learned else None)


def on_device(
    device: torch.device, gaussians: Gaussians, view: Camera, leaves: dict[str, Tensor]
) -> tuple[Gaussians, Tensor, Pinhole, Tensor]:
    """Scene, camera centre, pinhole and screen offsets as the kernels take them."""
    pinhole = pinhole_on(device, view, leaves)
    return scene_on(device, gaussians), on(device, leaves["center"]), pinhole, on(device, leaves["offsets"])


def assert_near(found: Tensor, expected: Tensor, what: str, bound: float) -> None:
    """Relative L2 distance; where nothing is expected, nothing is found."""
    a, b = found.detach().cpu().double().ravel(), expected.detach().double().ravel()
    assert a.shape == b.shape, what
    assert bool(torch.isfinite(a).all()), what
    if float(b.norm()) == 0:
        assert float(a.abs().max() if len(a) else 0) == 0, what
        return
    error = float((a - b).norm() / b.norm())
    assert error < bound, f"{what}: relative L2 {error:.1e}"


def assert_records(projected: Projected, expected: Tensor, expected_radii: Tensor) -> Tensor:
    """All but what is culled by a hair agree; the rows (N,) that both draw."""
    screen, radii = projected.screen.cpu(), projected.radii.cpu()
    drawn = (radii > 0) & (expected_radii > 0)
    assert int(((radii > 0) != (expected_radii > 0)).sum()) <= len(radii) // 500
    assert int((radii[drawn] != expected_radii[drawn]).sum()) <= int(drawn.sum()) // 50
    assert int((radii[drawn] - expected_radii[drawn]).abs().max() if drawn.any() else 0) <= 1
    for name, (first, last) in {**GROUPS, "q_max": (10, 11)}.items():
        assert_near(screen[drawn, first:last], expected[drawn, first:last], name, 2e-5)
    culled = radii == 0
    assert not screen[culled].any()
    assert not projected.boxes.cpu()[culled].any()
    assert not projected.counts.cpu()[culled].any()
    keys = projected.keys.cpu()
    assert torch.equal(keys, torch.where(culled, torch.tensor(CULLED, dtype=torch.int32), keys))
    assert torch.equal(keys[~culled], screen[~culled, 6].view(torch.int32))
    return drawn


def assert_counts(projected: Projected, view: Camera) -> None:
    """Each splat counts the tiles of the picture over whose pixel centres its quadratic falls to q_max."""
    columns, rows = -(-view.width // 16), -(-view.height // 16)
    drawn = torch.nonzero(projected.radii.cpu() > 0).squeeze(1)
    x, y, A, B, C, _, _, _, _, _, q_max, _ = projected.screen.cpu().double()[drawn, :, None].unbind(1)  # (K, 1) each
    tiles = torch.arange(columns * rows)
    x0, y0 = tiles % columns * 16 + 0.5 - x, tiles // columns * 16 + 0.5 - y  # (K, T) from the mean
    x1, y1 = x0 + 15, y0 + 15

    def power(dx: Tensor, dy: Tensor) -> Tensor:
        return A * dx**2 + 2 * B * dx * dy + C * dy**2

    edges = [power(e, torch.minimum(torch.maximum(-B / C * e, y0), y1)) for e in (x0, x1)]
    edges += [power(torch.minimum(torch.maximum(-B / A * e, x0), x1), e) for e in (y0, y1)]
    inside = (x0 <= 0) & (x1 >= 0) & (y0 <= 0) & (y1 >= 0)
    least = torch.where(inside, 0.0, torch.stack(edges).amin(0))
    counts = projected.counts.cpu()[drawn]
    assert bool(((least <= q_max * (1 - 1e-3)).sum(1) <= counts).all())
    assert bool((counts <= (least <= q_max * (1 + 1e-3) + 1e-3).sum(1)).all())
    box = projected.boxes.cpu()[drawn].int()
    assert bool(((box[:, 2:] <= torch.tensor([columns, rows])) & (box[:, :2] >= 0)).all())
    assert bool(((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) >= counts).all())


def v_screens(N: int, drawn: Tensor) -> dict[str, Tensor]:
    """Random gradients of records, one group of columns at a time, zero where a row is not drawn by both."""
    generator = torch.Generator().manual_seed(3)
    found = {}
    for name, (first, last) in GROUPS.items():
        v = torch.zeros(N, 12, dtype=torch.float64)
        v[:, first:last] = torch.randn(N, last - first, generator=generator, dtype=torch.float64)
        found[name] = v * drawn[:, None]
    return found


def named(gradients: dict[str, Tensor], of_camera: CameraGradients | None) -> dict[str, Tensor]:
    assert of_camera is not None
    return {**gradients, **vars(of_camera)}


def expected_gradients(records: Tensor, v: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad((records * v).sum(), list(leaves.values()), retain_graph=True, allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if g is None else g for (name, leaf), g in zip(leaves.items(), found, strict=True)
    }


def assert_scene_gradients(
    seen: tuple[Gaussians, Tensor, Pinhole], projected: Projected, v_screens: dict[str, Tensor], records: Tensor,
    leaves: dict[str, Tensor], bound: float,
) -> None:  # fmt: skip
    """Those of every parameter, pose, centre and intrinsics, for each of the gradients of the records."""
    g32, center, pinhole = seen
    for group, v in v_screens.items():
        expected = expected_gradients(records, v, leaves)
        v32 = on(center.device, v)
        found = named(*project_gaussians_backward(g32, TIME, center, pinhole, projected, v32, camera=True))
        for name in (*PARAMETERS, "pose", "center", "intrinsics"):
            assert_near(found[name], expected[name], f"{name} by {group}", bound)


@pytest.mark.parametrize("activation", ["exp", "softplus"])
@pytest.mark.parametrize("level", range(6))
def test_scene_matches_the_reference(
    level: int, activation: scene_module.ScaleActivation, kernels_on: torch.device
) -> None:
    g, view = scene(300, level=level, activation=activation), camera()
    leaves = inputs(g, view)
    records, radii = expected_scene_records(g, view, leaves)
    assert 60 < int((radii > 0).sum()) < 240
    g32, center, pinhole, offsets = on_device(kernels_on, g, view, leaves)
    projected = project_gaussians(g32, TIME, center, pinhole, offsets)
    drawn = assert_records(projected, records, radii)
    assert_counts(projected, view)
    assert 0.05 < float((projected.screen[drawn.to(kernels_on), 7:10] == 0).float().mean()) < 0.6
    assert_scene_gradients((g32, center, pinhole), projected, v_screens(len(g), drawn), records, leaves, 3e-4)


def test_single_precision_is_enough_for_gaussians_that_live_long_and_move(kernels_on: torch.device) -> None:
    g, view = scene(200), camera()
    g = replace(g, scales=g.scales - 1, time_scales=torch.full_like(g.time_scales, math.log(100.0)))
    leaves = inputs(g, view)
    records, radii = expected_scene_records(g, view, leaves)
    g32, center, pinhole, offsets = on_device(kernels_on, g, view, leaves)
    projected = project_gaussians(g32, TIME, center, pinhole, offsets)
    drawn = assert_records(projected, records, radii)
    assert_scene_gradients((g32, center, pinhole), projected, v_screens(len(g), drawn), records, leaves, 1e-3)


def random_splats(N: int, size: float = 0.15) -> Splats:
    rng = np.random.default_rng(5)
    A = torch.tensor(size * rng.normal(size=(N, 3, 3)))
    means, colors = torch.tensor(rng.normal(0, 1.3, (N, 3))), torch.tensor(rng.uniform(0, 1, (N, 3)))
    means[0] = 0.0  # in sight
    return Splats(means, reference.pack_symmetric(A @ A.mT), torch.tensor(rng.uniform(0.01, 1, N)), colors)


@pytest.mark.parametrize(("N", "size"), [(600, 0.15), (100, 2.0), (300, 1e-4), (1, 0.2)])
def test_splats_match_the_reference(N: int, size: float, kernels_on: torch.device) -> None:
    view, splats = camera(), random_splats(N, size)
    leaves = inputs(scene(N), view)
    fields = {name: value.requires_grad_() for name, value in vars(splats).items()}
    leaves = {**fields, **{name: leaves[name] for name in ("pose", "intrinsics", "offsets")}}
    records, radii = expected_records(splats, view, leaves, leaves["offsets"])
    splats32 = Splats(*(on(kernels_on, value) for value in fields.values()))
    pinhole = pinhole_on(kernels_on, view, leaves)
    projected = project_splats(splats32, pinhole, on(kernels_on, leaves["offsets"]))
    drawn = assert_records(projected, records, radii)
    assert bool(drawn.any())
    assert_counts(projected, view)
    for group, v in v_screens(N, drawn).items():
        expected = expected_gradients(records, v, leaves)
        gradients, of_camera = project_splats_backward(splats32, pinhole, projected, on(kernels_on, v), camera=True)
        found = named(vars(gradients), of_camera)
        for name in (*fields, "pose", "intrinsics"):
            assert_near(found[name], expected[name], f"{name} by {group}", 1e-3 if size > 1 else 3e-4)


def test_radii_and_boxes_are_those_of_the_cpu(kernels_on: torch.device) -> None:
    view = camera()
    splats = Splats(*(on(torch.device("cpu"), value) for value in vars(random_splats(600)).values()))
    intrinsics = np.array([view.near, view.fx, view.fy, view.cx, view.cy, view.width, view.height], np.float32)
    pose = torch.tensor(view.world_to_camera, dtype=torch.float32)
    arrays = [value.numpy() for value in (splats.means, splats.covariances, splats.opacities, pose)]
    screen, radii, boxes = cpu_project.project(*arrays, intrinsics, np.zeros((0, 2), np.float32), TILE)
    there = Splats(*(on(kernels_on, value) for value in vars(splats).values()))
    found = project_splats(there, Pinhole.of(view, pose.to(kernels_on)))
    assert (found.radii.cpu().numpy() != radii).sum() <= 3
    same = found.radii.cpu().numpy() == radii
    assert (found.boxes.cpu().numpy()[same][:, [0, 2, 1, 3]] != boxes[same]).any(1).sum() <= 3
    np.testing.assert_allclose(found.screen.cpu().numpy()[same][:, [0, 1, 2, 3, 4, 6]], screen[same], 2e-3, 1e-5)


@pytest.mark.parametrize("time", [0.0, 1.0])
def test_gradients_are_finite_differences(time: float, kernels_on: torch.device) -> None:
    """At both ends of the clip, for Gaussians whose temporal weight is just above the threshold, or that live so long
    that float32 loses what their covariance differs by."""
    g, view = scene(48, seed=2), camera()
    reach = math.sqrt(-2 * math.log(0.052))
    deviations = g.covariances()[:, 3, 3].sqrt()[:, None]
    g = replace(g, times=time * g.time_span + torch.where(torch.arange(48)[:, None] % 2 == 0, reach, 0.3) * deviations)
    g.time_scales[::5] = 6.0
    g.times[::5] = 3.0
    leaves = {name: value.detach() for name, value in inputs(g, view).items()}
    records, radii = expected_scene_records(g, view, leaves, time)
    g32, center, pinhole, offsets = on_device(kernels_on, g, view, leaves)
    projected = project_gaussians(g32, time, center, pinhole, offsets)
    drawn = assert_records(projected, records, radii)
    assert int(drawn.sum()) > 12
    v = sum(v_screens(len(g), drawn).values(), torch.zeros(1, dtype=torch.float64))
    v[:, 2:10] *= 20
    found = named(*project_gaussians_backward(g32, time, center, pinhole, projected, on(kernels_on, v), camera=True))

    def loss(name: str, place: tuple[int, ...], step: float) -> float:
        moved = leaves[name].clone()
        moved[place] += step
        return float((expected_scene_records(g, view, {**leaves, name: moved}, time)[0] * v).sum())

    for name in ("pose", "center", "intrinsics", "times", "time_scales"):
        places = [tuple(p) for p in np.argwhere(np.ones(leaves[name].shape)).tolist()]
        places = [p for p in places if name != "pose" or p[0] < 3]
        expected = torch.tensor([(loss(name, p, 1e-6) - loss(name, p, -1e-6)) / 2e-6 for p in places])
        assert_near(torch.stack([found[name][p] for p in places]), expected, name, 1e-3)


@pytest.mark.parametrize("N", [0, 1, 127, 129])
def test_any_number_of_gaussians(N: int, kernels_on: torch.device) -> None:
    """Every row of every output is written, whatever was there."""
    g, view = scene(200), camera()
    g = g.with_parameters({name: value[:N] for name, value in g.parameters.items()})
    leaves = inputs(g, view)
    records, radii = expected_scene_records(g, view, leaves)
    g32, center, pinhole, offsets = on_device(kernels_on, g, view, leaves)
    projected = project_gaussians(g32, TIME, center, pinhole, offsets)
    drawn = assert_records(projected, records, radii)
    v = sum(v_screens(N, drawn).values(), torch.zeros(1, dtype=torch.float64))
    found = named(*project_gaussians_backward(g32, TIME, center, pinhole, projected, on(kernels_on, v), camera=True))
    expected = expected_gradients(records, v, leaves)
    for name in (*PARAMETERS, "pose", "center", "intrinsics"):
        assert_near(found[name], expected[name], name, 1e-3)
    gone = (projected.radii == 0).cpu()
    assert all(not found[name].cpu()[gone].any() for name in PARAMETERS)


def test_nothing_alive_leaves_nothing(kernels_on: torch.device) -> None:
    g, view = scene(70), camera()
    g32 = scene_on(kernels_on, replace(g, times=g.times + 1000))
    pinhole = Pinhole.of(view, on(kernels_on, torch.tensor(view.world_to_camera)))
    center = torch.zeros(3, device=kernels_on)
    projected = project_gaussians(g32, TIME, center, pinhole)
    assert not projected.radii.any() and not projected.screen.any() and bool((projected.keys == CULLED).all())
    v = torch.ones_like(projected.screen)
    found = named(*project_gaussians_backward(g32, TIME, center, pinhole, projected, v, camera=True))
    assert not any(value.any() for value in found.values())


def test_not_asking_for_the_camera_changes_no_other_gradient(kernels_on: torch.device) -> None:
    """Nor do numbers in the place of a tensor of intrinsics, or quaternions that four floats do not align."""
    g, view = scene(150), camera()
    leaves = inputs(g, view)
    g32, center = scene_on(kernels_on, g), on(kernels_on, leaves["center"])
    pinhole = pinhole_on(kernels_on, view, leaves)
    projected = project_gaussians(g32, TIME, center, pinhole)
    v = torch.randn(150, 12, generator=torch.Generator().manual_seed(1)).to(kernels_on)
    first, _ = project_gaussians_backward(g32, TIME, center, pinhole, projected, v, camera=True)

    shifted = torch.empty(601, device=kernels_on)[1:].view(150, 4).copy_(g32.left)
    g32, pinhole = replace(g32, left=shifted), pinhole_on(kernels_on, view, leaves, learned=False)
    again = project_gaussians(g32, TIME, center, pinhole)
    assert all(torch.equal(a, b) for a, b in zip(vars(projected).values(), vars(again).values(), strict=True))
    second, nothing = project_gaussians_backward(g32, TIME, center, pinhole, again, v, camera=False)
    assert nothing is None
    for name in PARAMETERS:
        assert_near(second[name], first[name].cpu(), name, 1e-6)


@needs_emulator
def test_the_result_does_not_depend_on_the_order_of_threads() -> None:
    g, view = scene_on(torch.device("cpu"), scene(290)), camera()
    pose, center = torch.tensor(view.world_to_camera, dtype=torch.float32), torch.tensor(view.center).float()
    found = []
    for order in ("forward", "reversed", 7):
        with emulated(order):  # type: ignore[arg-type]
            projected = project_gaussians(g, TIME, center, Pinhole.of(view, pose))
            v = torch.randn(290, 12, generator=torch.Generator().manual_seed(1))
            gradients = project_gaussians_backward(g, TIME, center, Pinhole.of(view, pose), projected, v, camera=True)
            found.append([*vars(projected).values(), *named(*gradients).values()])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_the_kernels_and_the_host_agree_on_constants() -> None:
    text = source("common.cu") + source("slice.cu") + source("harmonics.cu")
    found = {
        name: eval(re.sub(r"(?<=[\d.])f", "", value))
        for name, value in re.findall(r"constexpr (?:float|int) (\w+) = ([\d.e+\-f /]+);", text)
    }
    for name in ("ALPHA_MIN", "ALPHA_MAX", "TRANSMITTANCE_MIN", "BLUR", "FRUSTUM_MARGIN"):
        assert found[name] == pytest.approx(getattr(types, name), rel=1e-7), name
    assert found["P_MIN"] == scene_module.P_MIN
    assert found["TILE"] == TILE
    for ours, theirs in (
        ("TIME_REACH", "REACH"),
        ("C0", "SH_C0"),
        *((c, c) for c in ["C1", "C20", "C22", "C33", "C32", "C31", "C30"]),
    ):
        assert found[ours] == pytest.approx(float(getattr(slicing_kernels, theirs)), rel=1e-7), ours
