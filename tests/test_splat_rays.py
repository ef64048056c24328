"""Contributions along single rays: the picture's weights one by one, with the picture's gradients."""

import numpy as np
import pytest
import torch

from renderer.camera import Camera
from renderer.splat import Splats, splat
from renderer.splat.rays import splat_rays
from renderer.splat.reference import alphas_at, project, weights_from_alphas
from tests.test_splat import FIELDS, SCENES, camera, random_splats

DTYPES = {"cpu": torch.float32, "reference": torch.float64}
"""The dtype of which a backend draws and walks rays of its own accord."""


def cast(splats: Splats, dtype: torch.dtype) -> Splats:
    return Splats(*(getattr(splats, name).to(dtype) for name in FIELDS))


def all_pixels(cam: Camera) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(cam.height), torch.arange(cam.width), indexing="ij")
    return torch.stack([x, y], dim=2).reshape(-1, 2)


def some_pixels(count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, [camera().width, camera().height], (count, 2)))


@pytest.mark.parametrize("backend", DTYPES)
@pytest.mark.parametrize("name", SCENES)
def test_the_weights_are_those_of_the_picture(name: str, backend: str) -> None:
    """At every pixel: opacity, depth and colour are sums over the ray."""
    splats = cast(SCENES[name], DTYPES[backend])
    image, rays = splat(splats, camera(), backend=backend), splat_rays(splats, camera(), all_pixels(camera()))
    colors = torch.cat([splats.colors, splats.colors.new_zeros(1, 3)])[rays.ids]
    exact = {"rtol": 1e-5, "atol": 1e-5} if backend == "cpu" else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(rays.weights.sum(1), image.opacity.flatten(), **exact)
    torch.testing.assert_close((rays.weights * rays.depths).sum(1), image.depth.flatten(), **exact)
    torch.testing.assert_close((rays.weights[..., None] * colors).sum(1), image.color.reshape(-1, 3), **exact)


def test_each_contribution_is_that_of_the_reference() -> None:
    """Scattered to the rows of the splats: the dense weights, transmittances, alphas and depths."""
    splats, cam, pixels = SCENES["many"], camera(), some_pixels(200)
    rays = splat_rays(splats, cam, pixels)
    projection = project(splats, cam, torch.tensor(cam.world_to_camera.copy()))
    alphas = alphas_at(projection, splats.opacities[projection.ids], pixels + 0.5)
    weights, in_front = weights_from_alphas(alphas)
    for r in range(len(pixels)):
        there = torch.nonzero(weights[r] > 0).squeeze(1)
        n = len(there)
        assert torch.equal(rays.ids[r, :n], projection.ids[there])
        assert (rays.ids[r, n:] == -1).all()
        torch.testing.assert_close(rays.depths[r, :n], projection.depths[there], rtol=0, atol=1e-12)
        torch.testing.assert_close(rays.alphas[r, :n], alphas[r, there], rtol=0, atol=1e-12)
        torch.testing.assert_close(rays.weights[r, :n], weights[r, there], rtol=0, atol=1e-12)
        torch.testing.assert_close(rays.transmittances[r, :n], in_front[r, there], rtol=0, atol=1e-12)


def test_single_and_double_precision_find_the_same_contributions() -> None:
    pixels = some_pixels(200)
    double = splat_rays(SCENES["many"], camera(), pixels)
    single = splat_rays(cast(SCENES["many"], torch.float32), camera(), pixels)
    assert torch.equal(single.ids, double.ids)
    assert single.weights.dtype == torch.float32
    for name in ("depths", "alphas", "weights", "transmittances"):
        torch.testing.assert_close(getattr(single, name).double(), getattr(double, name), rtol=1e-4, atol=1e-5)


def test_the_gradients_are_those_of_finite_differences() -> None:
    splats, cam = random_splats(6, 12, size=0.6, opacity=(0.2, 0.8)), camera(9, 7)
    pixels = torch.tensor([[4, 3], [5, 3], [4, 4], [2, 2], [8, 6]])
    pose = torch.tensor(cam.world_to_camera.copy())
    assert int((splat_rays(splats, cam, pixels).ids >= 0).sum(1).max()) >= 3, "rays that meet too little prove nothing"

    def value(*leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rays = splat_rays(Splats(*leaves[:3], splats.colors), cam, pixels, pose=leaves[3])
        return rays.depths, rays.alphas, rays.weights, rays.transmittances

    inputs = (splats.means, splats.covariances, splats.opacities, pose)
    assert torch.autograd.gradcheck(value, tuple(leaf.clone().requires_grad_() for leaf in inputs), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("backend", DTYPES)
@pytest.mark.parametrize("name", ["many", "nearly opaque", "one pixel wide"])
def test_the_gradients_are_those_of_the_picture(name: str, backend: str) -> None:
    """Every field and the pose: a picture looked at in some pixels, drawn whole or ray by ray."""
    pixels = some_pixels(300)
    x, y = pixels.unbind(1)

    def gradients(by_ray: bool) -> list[torch.Tensor]:
        leaves = [getattr(SCENES[name], field).to(DTYPES[backend]).clone().requires_grad_() for field in FIELDS]
        pose = torch.tensor(camera().world_to_camera, dtype=DTYPES[backend], requires_grad=True)
        splats = Splats(*leaves)
        if by_ray:
            rays = splat_rays(splats, camera(), pixels, pose=pose)
            depth = (rays.weights * rays.depths).sum(1)
            color = (rays.weights[..., None] * splats.colors[rays.ids.clamp(min=0)]).sum(1)
        else:
            image = splat(splats, camera(), pose=pose, backend=backend)
            depth, color = image.depth[y, x], image.color[y, x]
        return list(torch.autograd.grad((depth * x).sum() + (color * y[:, None]).sum(), [*leaves, pose]))

    for field, found, expected in zip([*FIELDS, "pose"], gradients(True), gradients(False), strict=True):
        assert expected.norm() > 0, field
        assert float((found - expected).norm() / expected.norm()) < (1e-3 if backend == "cpu" else 1e-10), field


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_padding_weighs_nothing_and_repeats_the_last_depth(dtype: torch.dtype) -> None:
    """The upper left pixel meets nothing, the next one splat, the last both."""
    cam = Camera(np.eye(4), 20, 20, 8, 8, 16, 16)
    means = torch.tensor([[0.0, 0, 4], [0, 0, 2]])
    covariances = torch.tensor([[0.2, 0, 0, 0.2, 0, 0.2], [1e-4, 0, 0, 1e-4, 0, 1e-4]])
    splats = cast(Splats(means, covariances, torch.tensor([0.8, 0.5]), torch.ones(2, 3)), dtype)
    rays = splat_rays(splats, cam, torch.tensor([[0, 0], [11, 8], [8, 8]]))
    assert rays.ids.tolist() == [[-1, -1], [0, -1], [1, 0]]
    torch.testing.assert_close(rays.depths, torch.tensor([[0.0, 0], [4, 4], [2, 4]], dtype=dtype))
    padding = rays.ids < 0
    assert (rays.alphas[padding] == 0).all() and (rays.weights[padding] == 0).all()
    assert (rays.alphas[~padding] > 0).all()
    assert rays.transmittances[0].tolist() == [1, 1]
    torch.testing.assert_close(rays.transmittances[1, 1], 1 - rays.alphas[1, 0])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("scene", ["none", "many"])
@pytest.mark.parametrize("count", [0, 5])
def test_rays_that_meet_nothing_are_one_step_of_padding(count: int, scene: str, dtype: torch.dtype) -> None:
    """No splats, splats behind the camera, or no rays: gradients are zeros then, not absent."""
    away = torch.tensor([0.0, 0, -50])
    means = (SCENES[scene].means + away).to(dtype).requires_grad_()
    splats = Splats(means, *(getattr(SCENES[scene], name).to(dtype) for name in FIELDS[1:]))
    rays = splat_rays(splats, camera(), some_pixels(count))
    for name in ("depths", "alphas", "weights", "transmittances", "ids"):
        assert getattr(rays, name).shape == (count, 1), name
    assert (rays.ids == -1).all() and (rays.weights == 0).all()
    (rays.weights.sum() + rays.depths.sum()).backward()
    assert means.grad is not None and not means.grad.any()


def test_a_ray_ends_behind_what_hides_the_rest() -> None:
    cam = Camera(np.eye(4), 20, 20, 8, 8, 16, 16)
    means = torch.tensor([[0.0, 0, 2 + k] for k in range(6)])
    covariances = torch.tensor([[9.0, 0, 0, 9, 0, 0.01]]).repeat(6, 1)
    splats = Splats(means, covariances, torch.full((6,), 0.95), torch.ones(6, 3))
    for dtype in DTYPES.values():
        rays = splat_rays(cast(splats, dtype), cam, torch.tensor([[8, 8]]))
        assert rays.ids.tolist() == [[0, 1, 2]]  # 0.05 to the power of 3 is left, and of 4 is too little


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_a_pose_stands_in_for_the_camera_s(dtype: torch.dtype) -> None:
    cam, splats, pixels = camera(), cast(SCENES["many"], dtype), some_pixels(20)
    pose = torch.tensor(cam.world_to_camera, dtype=dtype)
    elsewhere = Camera(np.eye(4), cam.fx, cam.fy, cam.cx, cam.cy, cam.width, cam.height)
    assert torch.equal(
        splat_rays(splats, elsewhere, pixels, pose=pose).weights, splat_rays(splats, cam, pixels).weights
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_pixels_may_be_any_integers(dtype: torch.dtype) -> None:
    """Also those that do not reach the picture's width."""
    cam = Camera(np.eye(4), 20, 20, 150, 8, 300, 16)
    expected = splat_rays(SCENES["many"], cam, torch.tensor([[150, 8]]))
    found = splat_rays(SCENES["many"], cam, torch.tensor([[150, 8]], dtype=dtype))
    assert found.ids.shape[1] > 1
    torch.testing.assert_close(found.weights, expected.weights)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.tensor([[61, 0]]), "a pixel lies outside the 61x45 image"),
        (torch.tensor([[0, 45]]), "a pixel lies outside the 61x45 image"),
        (torch.tensor([[3, 3], [-1, 0]]), "a pixel lies outside the 61x45 image"),
        (torch.tensor([[0.5, 0.5]]), r"pixels have shape \(1, 2\) and are torch.float32, expected \(P, 2\) integers"),
        (torch.tensor([[True, False]]), r"torch.bool, expected \(P, 2\) integers"),
        (torch.tensor([0, 0]), r"pixels have shape \(2,\)"),
    ],
)
def test_pixels_outside_the_picture_are_refused(pixels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        splat_rays(SCENES["many"], camera(), pixels)
