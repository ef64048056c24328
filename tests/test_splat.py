"""Both splatters against each other, against plain arithmetic, and against finite differences."""

import math
import threading

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from renderer.camera import Camera
from renderer.splat import SplatImage, Splats, splat
from renderer.splat.reference import pack_symmetric, unpack_symmetric

FIELDS = ("means", "covariances", "opacities", "colors")


def camera(width: int = 61, height: int = 45) -> Camera:
    """Turned, with its principal point off the centre and sides that no tile divides."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0.1, 0.2, -0.1]).as_matrix()
    pose[:3, 3] = [0.1, -0.1, 0.3]
    return Camera(pose, 40, 45, 0.45 * width, 0.6 * height, width, height)


def random_splats(count: int, seed: int, size: float = 0.15, opacity: tuple[float, float] = (0, 1)) -> Splats:
    rng = np.random.default_rng(seed)
    means = rng.normal([0, 0, 2], 1, (count, 3))
    A = size * rng.normal(size=(count, 3, 3))
    covariances = pack_symmetric(torch.tensor(A @ A.transpose(0, 2, 1)))
    opacities = torch.tensor(rng.uniform(*opacity, count))
    return Splats(torch.tensor(means), covariances, opacities, torch.tensor(rng.uniform(0, 1, (count, 3))))


def moved(splats: Splats, offset: tuple[float, float, float]) -> Splats:
    return Splats(splats.means + torch.tensor(offset), splats.covariances, splats.opacities, splats.colors)


SCENES = {
    "many": random_splats(400, 1),
    "one": random_splats(1, 2),
    "none": random_splats(0, 3),
    "behind the camera and off the screen": moved(random_splats(300, 4), (1.5, 0, -2.0)),
    "nearly transparent": random_splats(300, 5, opacity=(0, 0.02)),
    "nearly opaque": random_splats(300, 6, opacity=(0.98, 1.0)),
    "one pixel wide": random_splats(400, 7, size=1e-4),
    "larger than the image": random_splats(30, 8, size=3.0),
}


def run(splats: Splats, backend: str) -> tuple[SplatImage, dict[str, torch.Tensor]]:
    """A picture, and the gradients of a random weighting of all its outputs."""
    dtype = torch.float64 if backend == "reference" else torch.float32
    leaves = {name: getattr(splats, name).to(dtype).clone().requires_grad_() for name in FIELDS}
    leaves["pose"] = torch.tensor(camera().world_to_camera, dtype=dtype, requires_grad=True)
    leaves["offsets"] = torch.zeros(len(splats), 2, dtype=dtype, requires_grad=True)
    image = splat(
        Splats(*(leaves[name] for name in FIELDS)), camera(), pose=leaves["pose"], screen_offsets=leaves["offsets"],
        background=torch.tensor([0.2, 0.3, 0.4], dtype=dtype), backend=backend,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros((), dtype=dtype)
    for output in (image.color, image.depth, image.opacity):
        total = total + (output * torch.randn(output.shape, generator=generator, dtype=torch.float64).to(dtype)).sum()
    total.backward()
    zero = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    return image, {name: leaf.grad if leaf.grad is not None else zero[name] for name, leaf in leaves.items()}


def assert_close(found: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    a, b = found.detach().double().ravel(), expected.detach().double().ravel()
    assert torch.isfinite(a).all(), name
    if b.norm() < 1e-8:
        assert a.norm() < 1e-6, name
        return
    assert float((a - b).norm() / b.norm()) <= 1e-4, name
    assert float(a @ b / (a.norm() * b.norm())) >= 0.9999, name


@pytest.mark.parametrize("name", SCENES)
def test_the_cpu_draws_what_the_reference_draws(name: str) -> None:
    expected, expected_gradients = run(SCENES[name], "reference")
    found, gradients = run(SCENES[name], "cpu")
    for field in ("color", "depth", "opacity"):
        assert_close(getattr(found, field), getattr(expected, field), field)
    assert (found.radii - expected.radii).abs().max().item() <= 1 if len(SCENES[name]) else True
    for leaf, gradient in expected_gradients.items():
        assert_close(gradients[leaf], gradient, leaf)


def test_the_reference_is_plain_arithmetic() -> None:
    """One pixel after the other, one splat after the other, in float64."""
    splats, cam = random_splats(25, 11), camera(17, 13)
    image = splat(splats, cam, backend="reference")
    R, T = cam.world_to_camera[:3, :3], cam.world_to_camera[:3, 3]
    ellipses = []
    for mean, cov, o, c in zip(
        splats.means.numpy(), unpack_symmetric(splats.covariances).numpy(), splats.opacities, splats.colors, strict=True
    ):
        x, y, z = R @ mean + T
        if z <= cam.near:
            continue
        margin = (0.15 * cam.width / cam.fx, 0.15 * cam.height / cam.fy)
        u = min(max(x / z, -cam.cx / cam.fx - margin[0]), (cam.width - cam.cx) / cam.fx + margin[0])
        v = min(max(y / z, -cam.cy / cam.fy - margin[1]), (cam.height - cam.cy) / cam.fy + margin[1])
        J = np.array([[cam.fx / z, 0, -cam.fx * u / z], [0, cam.fy / z, -cam.fy * v / z]])
        screen = J @ R @ cov @ R.T @ J.T + 0.3 * np.eye(2)
        center = np.array([cam.fx * x / z + cam.cx, cam.fy * y / z + cam.cy])
        ellipses.append((z, center, np.linalg.inv(screen), float(o), c.numpy()))
    ellipses.sort(key=lambda e: e[0])
    for row in range(cam.height):
        for column in range(cam.width):
            light, color, depth = 1.0, np.zeros(3), 0.0
            for z, center, conic, o, c in ellipses:
                d = np.array([column + 0.5, row + 0.5]) - center
                alpha = min(0.99, o * math.exp(-0.5 * d @ conic @ d))
                if alpha < 1 / 255:
                    continue
                if light * (1 - alpha) < 1e-4:
                    break
                color, depth = color + light * alpha * c, depth + light * alpha * z
                light *= 1 - alpha
            np.testing.assert_allclose(image.color[row, column], color, atol=1e-10)
            assert float(image.depth[row, column]) == pytest.approx(depth, abs=1e-10)
            assert float(image.opacity[row, column]) == pytest.approx(1 - light, abs=1e-10)


def test_the_gradients_of_the_reference_are_those_of_finite_differences() -> None:
    splats, cam = random_splats(4, 12, size=0.4, opacity=(0.2, 0.8)), camera(9, 7)
    weights = torch.randn(7, 9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def value(*leaves: torch.Tensor) -> torch.Tensor:
        image = splat(Splats(*leaves[:4]), cam, pose=leaves[4], screen_offsets=leaves[5], backend="reference")
        outputs = torch.cat([image.color, image.depth[..., None], image.opacity[..., None]], dim=2)
        return (outputs * weights).sum()

    leaves = [getattr(splats, name).clone() for name in FIELDS]
    leaves += [torch.tensor(cam.world_to_camera.copy()), torch.zeros(4, 2, dtype=torch.float64)]
    inputs = tuple(leaf.requires_grad_() for leaf in leaves)
    # alpha's threshold makes tiny jumps; so the tolerance is absolute and the step small
    assert torch.autograd.gradcheck(value, inputs, eps=1e-7, atol=1e-4, rtol=1e-3)


def test_equal_input_gives_equal_bits() -> None:
    first, second = run(SCENES["many"], "cpu"), run(SCENES["many"], "cpu")
    assert torch.equal(first[0].color, second[0].color)
    for name, gradient in first[1].items():
        assert torch.equal(gradient, second[1][name]), name


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_background_shows_where_nothing_is(backend: str) -> None:
    empty = Splats(*(getattr(SCENES["none"], name).float() for name in FIELDS))
    image = splat(empty, camera(), background=torch.tensor([0.1, 0.5, 0.9]), backend=backend)
    np.testing.assert_allclose(image.color, np.broadcast_to(np.float32([0.1, 0.5, 0.9]), (45, 61, 3)), atol=1e-6)
    assert image.opacity.abs().max() == 0


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_nearer_splats_hide_farther_ones(backend: str) -> None:
    means = torch.tensor([[0.0, 0, 3], [0, 0, 2]])
    covariances = torch.tensor([[0.5, 0, 0, 0.5, 0, 0.5]]).repeat(2, 1)
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    cam = Camera(np.eye(4), 20, 20, 8, 8, 16, 16)
    image = splat(Splats(means, covariances, torch.tensor([0.9, 0.9]), colors), cam, backend=backend)
    red, green, _ = image.color[8, 8].tolist()
    assert green == pytest.approx(0.9, abs=0.01)
    assert red == pytest.approx(0.09, abs=0.01)


def test_two_threads_may_draw_at_once() -> None:
    expected = run(SCENES["many"], "cpu")[0].color
    results: list[torch.Tensor] = []

    def work() -> None:
        for _ in range(5):
            results.append(run(SCENES["many"], "cpu")[0].color)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 10
    assert all(torch.equal(result, expected) for result in results)
