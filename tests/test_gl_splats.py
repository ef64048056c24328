"""Gaussians drawn by OpenGL are those of the reference."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from renderer.gaussians import Gaussians, empty_gaussians
from renderer.render import render_gaussians
from renderer.view import View
from tests.tiny import camera_at, random_gaussians

pytestmark = pytest.mark.gl


@pytest.fixture(scope="module")
def drawer(context: None) -> Iterator:  # type: ignore[type-arg]
    from renderer.gl.splat_drawer import SplatDrawer

    drawer = SplatDrawer()
    yield drawer
    drawer.close()


def scene(level: int, count: int = 400) -> Gaussians:
    from dataclasses import replace

    return replace(random_gaussians(count, seed=level), sh_level=level)


@pytest.mark.parametrize("level", [0, 1, 3, 4, 5])
@pytest.mark.parametrize("time", [0.0, 0.35, 1.0])
def test_a_picture_is_that_of_the_reference(drawer, level: int, time: float) -> None:  # type: ignore[no-untyped-def]
    gaussians, view = scene(level), View(camera_at(0.3, 96, 72), time)
    drawer.load(gaussians)
    drawn, expected = drawer.draw(view), render_gaussians(gaussians, view, backend="reference")
    for name in ("color", "opacity", "depth"):
        error = np.square(getattr(drawn, name) - getattr(expected, name)).mean()
        assert -10 * np.log10(error / max(1.0, float(getattr(expected, name).max())) ** 2) > 50, name


def test_a_gaussian_in_the_corner_of_the_view_has_the_same_place_and_shape(drawer) -> None:  # type: ignore[no-untyped-def]
    gaussians = scene(0, 1)
    camera = camera_at(0.0, 61, 47)
    corner = camera.unproject(np.array([[4.5, 40.5]]), np.array([2.0]))
    moved = {"positions": torch.tensor(corner, dtype=torch.float32), "scales": torch.tensor([[-3.0, -2.0, -1.5]]),
             "left": torch.tensor([[1.0, 0, 0, 0]]), "right": torch.tensor([[1.0, 0, 0, 0]]),
             "opacities": torch.tensor([[3.0]])}  # fmt: skip
    gaussians = gaussians.with_parameters({**gaussians.parameters, **moved})
    view = View(camera, float(gaussians.times[0, 0]))
    drawer.load(gaussians)
    drawn, expected = drawer.draw(view), render_gaussians(gaussians, view, backend="reference")
    assert expected.opacity.max() > 0.5
    np.testing.assert_allclose(drawn.opacity, expected.opacity, atol=2e-3)


def test_the_size_of_the_picture_and_the_scene_may_change(drawer) -> None:  # type: ignore[no-untyped-def]
    for count, width, height in ((50, 40, 30), (900, 111, 53), (5, 16, 16)):
        gaussians, view = scene(3, count), View(camera_at(-0.2, width, height), 0.6)
        drawer.load(gaussians)
        expected = render_gaussians(gaussians, view, backend="reference")
        np.testing.assert_allclose(drawer.draw(view).color, expected.color, atol=0.02)


def test_nothing_is_black(drawer) -> None:  # type: ignore[no-untyped-def]
    drawer.load(empty_gaussians())
    frame = drawer.draw(View(camera_at(0.0), 0.5))
    assert frame.color.shape == (30, 40, 3)
    assert not frame.color.any() and not frame.opacity.any()
