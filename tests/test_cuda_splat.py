"""The whole splatter on the GPU against the reference in float64: pictures, gradients, histograms and single rays."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from renderer.camera import Camera, look_at
from renderer.cuda import splat as cuda
from renderer.cuda.blend import Backward
from renderer.gaussians import PARAMETERS, Gaussians
from renderer.slicing import slice_at
from renderer.splat import SplatImage, Splats, depth_histogram, splat
from renderer.splat.backends import chosen
from renderer.splat.rays import splat_rays
from renderer.splat.reference import pack_symmetric
from tests.cuda_fixtures import needs_emulator

FIELDS = ("means", "covariances", "opacities", "colors")
BACKGROUND = (0.2, 0.3, 0.4)
WAYS: tuple[Backward, ...] = ("splats", "pixels")
TIME = 0.4


@pytest.fixture(autouse=True)
def unknown_sizes() -> Iterator[None]:
    """What is remembered of pictures does not reach the next test."""
    cuda.forget_rooms()
    yield
    cuda.forget_rooms()


def camera(width: int = 37, height: int = 23) -> Camera:
    """Turned, with its principal point off the centre and sides that no tile divides."""
    pose = look_at(np.array([0.4, -0.2, -0.2]), np.array([0.1, 0.1, 2.0]), np.array([0.1, -1.0, 0.0]))
    return Camera(pose, 24, 27, 0.45 * width, 0.6 * height, width, height)


def random_splats(
    count: int, seed: int, size: float = 0.15, opacity: tuple[float, float] = (0, 1), offset: float = 0
) -> Splats:
    rng = np.random.default_rng(seed)
    A = size * rng.normal(size=(count, 3, 3))
    means = rng.normal([offset, 0, 2 - 1.3 * offset], 1, (count, 3))
    colors = torch.tensor(rng.uniform(0, 1, (count, 3)))
    covariances = pack_symmetric(torch.tensor(A @ A.transpose(0, 2, 1)))
    return Splats(torch.tensor(means), covariances, torch.tensor(rng.uniform(*opacity, count)), colors)


def walls() -> Splats:
    """Twelve sheets that hide what is behind them, in front of many splats."""
    behind = random_splats(300, 9, opacity=(0.3, 1))
    depths = torch.linspace(0.6, 0.9, 12)[:, None].double()
    means = torch.cat([torch.zeros(12, 2), depths], dim=1) + torch.tensor([-0.25, 0.0, 0.0])
    sheets = torch.tensor([[0.01, 0, 0, 9, 0, 1e-4]]).repeat(12, 1).double()
    fields = (means, sheets, torch.full((12,), 0.95).double(), torch.rand(12, 3).double())
    return Splats(*(torch.cat([getattr(behind, n), f]) for n, f in zip(FIELDS, fields, strict=True)))


SCENES = {
    "many": random_splats(300, 1),
    "one": random_splats(1, 2),
    "none": random_splats(0, 3),
    "behind the camera and off the screen": random_splats(200, 4, offset=1.5),
    "nearly transparent": random_splats(200, 5, opacity=(0, 0.02)),
    "nearly opaque": random_splats(200, 6, opacity=(0.98, 1.0)),
    "one pixel wide": random_splats(300, 7, size=1e-4),
    "larger than the image": random_splats(30, 8, size=3.0),
    "walls": walls(),
    "more than a batch in a tile": random_splats(800, 10, size=0.3, opacity=(0.005, 0.05)),
}


def depth_target(cam: Camera) -> Tensor:
    """(H, W) depths among those of the scenes, not known at a third of the pixels."""
    rng = np.random.default_rng(0)
    depths = rng.uniform(1.5, 3.5, (cam.height, cam.width))
    return torch.tensor(np.where(rng.uniform(size=depths.shape) < 1 / 3, -1.0, depths))


def outputs_of(image: SplatImage) -> dict[str, Tensor]:
    named = {"color": image.color, "depth": image.depth, "opacity": image.opacity, "error": image.depth_error}
    return {name: value for name, value in named.items() if value is not None}


def weighted(image: SplatImage) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(o.shape, generator=generator, dtype=torch.float64) for o in outputs_of(image).values()]
    return torch.stack([(o * w.to(o)).sum() for o, w in zip(outputs_of(image).values(), weights, strict=True)]).sum()


def gradients_of(image: SplatImage, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(weighted(image), list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(v) if g is None else g for (n, v), g in zip(leaves.items(), found, strict=True)}


def leaf(value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    return value.detach().to(device, dtype, copy=True).requires_grad_()


def run(
    splats: Splats, cam: Camera, device: torch.device, dtype: torch.dtype, target: Tensor | None, way: Backward | None
) -> tuple[SplatImage, dict[str, Tensor]]:
    """A picture, and the gradients of a random weighting of its outputs; by the reference where no way is given."""
    leaves = {name: leaf(getattr(splats, name), device, dtype) for name in FIELDS}
    leaves["pose"] = leaf(torch.tensor(cam.world_to_camera), device, dtype)
    leaves["offsets"] = leaf(
        0.3 * torch.randn(len(splats), 2, generator=torch.Generator().manual_seed(4)), device, dtype
    )
    given = Splats(*(leaves[name] for name in FIELDS))
    background = torch.tensor(BACKGROUND).to(device, dtype)
    target = None if target is None else target.to(device, dtype)
    if way is None:
        image = splat(
            given, cam, pose=leaves["pose"], background=background, screen_offsets=leaves["offsets"],
            depth_target=target, backend="reference",
        )  # fmt: skip
    else:
        image = cuda.splat(given, cam, leaves["pose"], background, leaves["offsets"], target, backward=way)
    return image, gradients_of(image, leaves)


def assert_close(found: Tensor, expected: Tensor, name: str, bound: float = 3e-4) -> None:
    """Nearly equal as vectors, in length and direction."""
    a, b = found.detach().cpu().double().ravel(), expected.detach().cpu().double().ravel()
    assert bool(torch.isfinite(a).all()), name
    if float(b.norm()) < 1e-8:
        assert float(a.norm()) < 1e-6, name
        return
    assert float((a - b).norm() / b.norm()) <= bound, f"{name}: {float((a - b).norm() / b.norm()):.1e}"
    assert float(a @ b / (a.norm() * b.norm())) >= 0.9999, name


def assert_alike(
    found: tuple[SplatImage, dict[str, Tensor]], expected: tuple[SplatImage, dict[str, Tensor]], atol: float = 1e-4
) -> None:
    for name, value in outputs_of(expected[0]).items():
        image = outputs_of(found[0])[name].detach().cpu().double()
        assert float((image - value.detach()).abs().max()) <= atol, name
    assert int((found[0].radii.cpu() - expected[0].radii).abs().max() if len(expected[0].radii) else 0) <= 1
    for name, value in expected[1].items():
        assert_close(found[1][name], value, name)


@pytest.mark.parametrize("targeted", [False, True], ids=["no target", "target"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SCENES)
def test_it_draws_what_the_reference_draws(name: str, way: Backward, targeted: bool, kernels_on: torch.device) -> None:
    cam = camera()
    target = depth_target(cam) if targeted else None
    expected = run(SCENES[name], cam, torch.device("cpu"), torch.float64, target, None)
    assert_alike(run(SCENES[name], cam, kernels_on, torch.float32, target, way), expected)


@needs_emulator
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", ["reversed", 7])
def test_the_order_of_threads_changes_nothing(order: str | int, way: Backward) -> None:
    from tests.cuda_emulator import emulated

    cam, cpu = camera(), torch.device("cpu")
    expected = run(SCENES["walls"], cam, cpu, torch.float64, depth_target(cam), None)
    with emulated(order):  # type: ignore[arg-type]
        assert_alike(run(SCENES["walls"], cam, cpu, torch.float32, depth_target(cam), way), expected)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (5, 40), (33, 17)])
def test_pictures_may_have_any_size(width: int, height: int, kernels_on: torch.device) -> None:
    cam = camera(width, height)
    expected = run(SCENES["many"], cam, torch.device("cpu"), torch.float64, depth_target(cam), None)
    assert_alike(run(SCENES["many"], cam, kernels_on, torch.float32, depth_target(cam), "splats"), expected)


def test_walls_hide_what_is_behind_them() -> None:
    """As the scene is meant: most rays end early, some go on."""
    opaque = splat(SCENES["walls"], camera(), backend="reference").opacity > 1 - 3e-4
    assert 0.2 < float(opaque.double().mean()) < 0.95


def gaussians(count: int, level: int = 4) -> Gaussians:
    """Float64, a clip of length 3; about half are alive at an instant."""
    rng = np.random.default_rng(12)

    def normal(*shape: int, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
        return torch.tensor(rng.normal(mean, deviation, (count, *shape)))

    return Gaussians(
        normal(3) + torch.tensor([0.0, 0, 2]), normal(1, mean=1.2, deviation=1.0), normal(3, mean=-2.0, deviation=0.6),
        normal(1, mean=-0.7, deviation=0.5), normal(4), normal(4), normal(1, mean=0.5), normal(1, 3, deviation=1.0),
        normal(47, 3, deviation=0.1), time_span=3.0, scale_activation="softplus", sh_level=level,
    )  # fmt: skip


def run_scene(
    scene: Gaussians, cam: Camera, device: torch.device, dtype: torch.dtype, target: Tensor | None, way: Backward | None
) -> tuple[SplatImage, dict[str, Tensor]]:
    """As :func:`run`, of a 4D scene."""
    leaves = {name: leaf(value, device, dtype) for name, value in scene.parameters.items()}
    leaves["pose"] = leaf(torch.tensor(cam.world_to_camera), device, dtype)
    leaves["center"] = leaf(torch.tensor(cam.center), device, dtype)
    leaves["offsets"] = leaf(torch.zeros(len(scene), 2), device, dtype)
    given = scene.with_parameters({name: leaves[name] for name in PARAMETERS})
    background = torch.tensor(BACKGROUND).to(device, dtype)
    target = None if target is None else target.to(device, dtype)
    if way is not None:
        image = cuda.splat_gaussians(
            given, TIME, cam, leaves["pose"], leaves["center"], background, leaves["offsets"], target, backward=way
        )
        return image, gradients_of(image, leaves)
    instant = slice_at(given, TIME, leaves["center"], backend="reference")
    image = splat(
        instant.splats, cam, pose=leaves["pose"], background=background, screen_offsets=leaves["offsets"][instant.ids],
        depth_target=target, backend="reference",
    )  # fmt: skip
    radii = torch.zeros(len(scene), dtype=torch.int32).index_put((instant.ids,), image.radii)
    return replace(image, radii=radii), gradients_of(image, leaves)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_a_scene_is_sliced_and_drawn_as_by_the_reference(count: int, way: Backward, kernels_on: torch.device) -> None:
    cam, scene = camera(), gaussians(count)
    expected = run_scene(scene, cam, torch.device("cpu"), torch.float64, depth_target(cam), None)
    assert count < 300 or 60 < int((expected[0].radii > 0).sum()) < 240
    assert_alike(run_scene(scene, cam, kernels_on, torch.float32, depth_target(cam), way), expected)


def test_only_what_is_asked_for_gets_a_gradient(kernels_on: torch.device) -> None:
    """A scene with a fixed camera, and a camera in a fixed scene."""
    cam, scene = camera(), gaussians(100).with_parameters({})
    numbers = {name: value.to(kernels_on, torch.float32) for name, value in scene.parameters.items()}
    pose, center = (torch.tensor(v, dtype=torch.float32, device=kernels_on) for v in (cam.world_to_camera, cam.center))
    black = torch.zeros(3, device=kernels_on)
    for learned in ("colors", "pose"):
        given = scene.with_parameters(numbers)
        if learned == "colors":
            given.sh_dc.requires_grad_()
        else:
            pose.requires_grad_()
        weighted(cuda.splat_gaussians(given, TIME, cam, pose, center, black, None, None)).backward()
        assert (given.sh_dc.grad is not None) == (learned == "colors")
        assert (pose.grad is not None) == (learned == "pose")
        given.sh_dc.requires_grad_(False).grad = None


def cast(splats: Splats, device: torch.device) -> Splats:
    return Splats(*(getattr(splats, name).to(device, torch.float32) for name in FIELDS))


EDGES = torch.tensor([1.0, 1.4, 1.7, 2.0, 2.2, 2.9, 3.5])


@pytest.mark.parametrize("name", SCENES)
def test_histograms_are_those_of_the_reference(name: str, kernels_on: torch.device) -> None:
    expected = depth_histogram(SCENES[name], camera(), EDGES, backend="reference")
    found = depth_histogram(cast(SCENES[name], kernels_on), camera(), EDGES.to(kernels_on), backend="cuda")
    torch.testing.assert_close(found.cpu().double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SCENES)
def test_rays_are_those_of_the_picture(name: str, kernels_on: torch.device) -> None:
    cam, splats = camera(), cast(SCENES[name], kernels_on)
    y, x = torch.meshgrid(torch.arange(cam.height), torch.arange(cam.width), indexing="ij")
    pixels = torch.stack([x, y], dim=2).reshape(-1, 2).to(kernels_on)
    rays, image = splat_rays(splats, cam, pixels, backend="cuda"), splat(splats, cam, backend="cuda")
    torch.testing.assert_close(rays.weights.sum(1), image.opacity.flatten(), rtol=0, atol=1e-4)
    torch.testing.assert_close((rays.weights * rays.depths).sum(1), image.depth.flatten(), rtol=0, atol=3e-4)
    expected = splat_rays(SCENES[name], cam, pixels.cpu(), backend="reference").ids
    assert rays.ids.shape == expected.shape
    assert float((rays.ids.cpu() != expected).double().mean() if len(splats) else 0) < 1e-3


@pytest.mark.parametrize("learns", [False, True])
def test_a_picture_for_which_there_was_no_room_is_drawn_again(
    learns: bool, kernels_on: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of its size in any case."""
    monkeypatch.setattr(cuda, "FIRST_PAIRS", 10)
    cam, splats = camera(), cast(SCENES["many"], kernels_on)
    splats.means.requires_grad_(learns)
    expected = splat(SCENES["many"], cam, backend="reference")
    image = splat(splats, cam, backend="cuda")
    torch.testing.assert_close(image.color.detach().cpu().double(), expected.color, rtol=0, atol=1e-4)


def test_while_learning_a_picture_may_lack_its_farthest_splats_once(
    kernels_on: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for how many pairs there are; the next picture has room."""
    monkeypatch.setattr(cuda, "FIRST_PAIRS", 10)
    monkeypatch.setattr("renderer.cuda.tiles.ROOM_STEP", 1)
    cam, splats = camera(), cast(SCENES["many"], kernels_on)
    splat(Splats(*(f[:3].clone().requires_grad_() for f in vars(splats).values())), cam, backend="cuda")
    splats.means.requires_grad_()
    expected = splat(SCENES["many"], cam, backend="reference").color
    first = splat(splats, cam, backend="cuda").color.detach().cpu().double()
    if kernels_on.type == "cuda":
        torch.cuda.synchronize()
    second = splat(splats, cam, backend="cuda").color.detach().cpu().double()
    assert float((first - expected).abs().max()) > 0.1
    torch.testing.assert_close(second, expected, rtol=0, atol=1e-4)


def test_the_splats_tensors_choose_the_backend() -> None:
    splats = SCENES["one"]
    assert chosen("auto", splats) == "reference"
    assert chosen("auto", Splats(*(f.float() for f in vars(splats).values()))) == "cpu"
    assert chosen("cuda", splats) == "cuda"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_tensors_on_a_gpu_are_drawn_there() -> None:
    pytest.importorskip("cupy")
    splats = cast(SCENES["many"], torch.device("cuda"))
    assert chosen("auto", splats) == "cuda"
    expected = splat(SCENES["many"], camera(), backend="reference").color
    torch.testing.assert_close(splat(splats, camera()).color.cpu().double(), expected, rtol=0, atol=1e-4)


def test_tensors_that_lie_elsewhere_are_refused() -> None:
    with pytest.raises(ValueError, match="the splats lie on cpu, expected a GPU"):
        splat(cast(SCENES["one"], torch.device("cpu")), camera(), backend="cuda")
