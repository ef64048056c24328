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


def depth_target(seed: int = 0) -> torch.Tensor:
    """(H, W) depths among those of the scenes, not known at a third of the pixels."""
    rng = np.random.default_rng(seed)
    depths = rng.uniform(1.5, 3.5, (camera().height, camera().width))
    return torch.tensor(np.where(rng.uniform(size=depths.shape) < 1 / 3, rng.choice([0.0, -1.0]), depths))


def run(splats: Splats, backend: str, target: torch.Tensor | None = None) -> tuple[SplatImage, dict[str, torch.Tensor]]:
    """A picture, and the gradients of a random weighting of all its outputs."""
    dtype = torch.float64 if backend == "reference" else torch.float32
    leaves = {name: getattr(splats, name).to(dtype).clone().requires_grad_() for name in FIELDS}
    leaves["pose"] = torch.tensor(camera().world_to_camera, dtype=dtype, requires_grad=True)
    leaves["offsets"] = torch.zeros(len(splats), 2, dtype=dtype, requires_grad=True)
    image = splat(
        Splats(*(leaves[name] for name in FIELDS)), camera(), pose=leaves["pose"], screen_offsets=leaves["offsets"],
        background=torch.tensor([0.2, 0.3, 0.4], dtype=dtype), backend=backend,
        depth_target=None if target is None else target.to(dtype),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros((), dtype=dtype)
    outputs = [image.color, image.depth, image.opacity]
    for output in outputs if image.depth_error is None else [*outputs, image.depth_error]:
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


@pytest.mark.parametrize("target", [None, depth_target()], ids=["no target", "target"])
@pytest.mark.parametrize("name", SCENES)
def test_the_cpu_draws_what_the_reference_draws(name: str, target: torch.Tensor | None) -> None:
    expected, expected_gradients = run(SCENES[name], "reference", target)
    found, gradients = run(SCENES[name], "cpu", target)
    for field in ("color", "depth", "opacity") if target is None else ("color", "depth", "opacity", "depth_error"):
        assert_close(getattr(found, field), getattr(expected, field), field)
    assert (found.radii - expected.radii).abs().max().item() <= 1 if len(SCENES[name]) else True
    for leaf, gradient in expected_gradients.items():
        assert_close(gradients[leaf], gradient, leaf)


def test_the_reference_is_plain_arithmetic() -> None:
    """One pixel after the other, one splat after the other, in float64."""
    splats, cam = random_splats(25, 11), camera(17, 13)
    target = depth_target()[:13, :17]
    image = splat(splats, cam, depth_target=target, backend="reference")
    assert image.depth_error is not None
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
            light, color, depth, error = 1.0, np.zeros(3), 0.0, 0.0
            for z, center, conic, o, c in ellipses:
                d = np.array([column + 0.5, row + 0.5]) - center
                alpha = min(0.99, o * math.exp(-0.5 * d @ conic @ d))
                if alpha < 1 / 255:
                    continue
                if light * (1 - alpha) < 1e-4:
                    break
                color, depth = color + light * alpha * c, depth + light * alpha * z
                if target[row, column] > 0:
                    error += light * alpha * abs(z - float(target[row, column]))
                light *= 1 - alpha
            np.testing.assert_allclose(image.color[row, column], color, atol=1e-10)
            assert float(image.depth[row, column]) == pytest.approx(depth, abs=1e-10)
            assert float(image.opacity[row, column]) == pytest.approx(1 - light, abs=1e-10)
            assert float(image.depth_error[row, column]) == pytest.approx(error, abs=1e-10)


def test_the_gradients_of_the_reference_are_those_of_finite_differences() -> None:
    splats, cam = random_splats(4, 12, size=0.4, opacity=(0.2, 0.8)), camera(9, 7)
    weights = torch.randn(7, 9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = depth_target()[:7, :9]

    def value(*leaves: torch.Tensor) -> torch.Tensor:
        image = splat(
            Splats(*leaves[:4]), cam, pose=leaves[4], screen_offsets=leaves[5], depth_target=target, backend="reference"
        )
        assert image.depth_error is not None
        maps = torch.stack([image.depth, image.opacity, image.depth_error], dim=2)
        outputs = torch.cat([image.color, maps], dim=2)
        return (outputs * weights).sum()

    leaves = [getattr(splats, name).clone() for name in FIELDS]
    leaves += [torch.tensor(cam.world_to_camera.copy()), torch.zeros(4, 2, dtype=torch.float64)]
    inputs = tuple(leaf.requires_grad_() for leaf in leaves)
    # alpha's threshold makes tiny jumps; so the tolerance is absolute and the step small
    assert torch.autograd.gradcheck(value, inputs, eps=1e-7, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_target_leaves_the_picture_as_it_is(backend: str) -> None:
    plain, compared = run(SCENES["many"], backend)[0], run(SCENES["many"], backend, depth_target())[0]
    assert plain.depth_error is None
    for field in ("color", "depth", "opacity"):
        torch.testing.assert_close(getattr(compared, field), getattr(plain, field), rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_depth_error_tells_two_surfaces_from_one_between_them(backend: str) -> None:
    """The error of the expected depth is 0 in both cases; the expectation of the error is not."""
    cam = Camera(np.eye(4), 20, 20, 8, 8, 16, 16)
    covariances = torch.tensor([[9.0, 0, 0, 9, 0, 1e-6]]).repeat(2, 1)
    both = Splats(torch.tensor([[0.0, 0, 2], [0, 0, 4]]), covariances, torch.tensor([0.5, 0.98]), torch.ones(2, 3))
    image = splat(both, cam, backend=backend)
    mean = (image.depth / image.opacity).detach()
    error = splat(both, cam, depth_target=mean, backend=backend).depth_error
    one = Splats(torch.tensor([[0.0, 0, float(mean[8, 8])]]), covariances[:1], torch.tensor([0.98]), torch.ones(1, 3))
    single = splat(one, cam, depth_target=torch.full((16, 16), float(mean[8, 8])), backend=backend).depth_error
    assert error is not None and single is not None
    assert float(error[8, 8] / image.opacity[8, 8]) == pytest.approx(1, abs=0.02)
    assert float(single[8, 8]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_target_gets_no_gradient(backend: str) -> None:
    dtype = torch.float64 if backend == "reference" else torch.float32
    splats = Splats(*(getattr(SCENES["one"], name).to(dtype).clone().requires_grad_() for name in FIELDS))
    target = depth_target().to(dtype).requires_grad_()
    error = splat(splats, camera(), depth_target=target, backend=backend).depth_error
    assert error is not None
    error.sum().backward()
    assert target.grad is None and splats.means.grad is not None


def test_a_target_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"depth_target has shape \(45, 60\)"):
        splat(SCENES["one"], camera(), depth_target=torch.ones(45, 60))


def test_equal_input_gives_equal_bits() -> None:
    first, second = (run(SCENES["many"], "cpu", depth_target()) for _ in range(2))
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
