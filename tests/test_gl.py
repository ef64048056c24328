from collections.abc import Iterator

import numpy as np
import pytest

from renderer.gl.context import ContextError, EglContext
from renderer.view import Frame, View
from tests.tiny import camera_at

pytestmark = pytest.mark.gl
BACKDROP = (0.1, 0.2, 0.3)
RAMP = np.linspace(0, 1, 256, dtype=np.float32)[:, None].repeat(3, axis=1) * np.float32([1, 0.5, 0.25])


@pytest.fixture(scope="module")
def drawer() -> Iterator:  # type: ignore[type-arg]
    try:
        context = EglContext()
    except ContextError as problem:
        pytest.skip(str(problem))
    context.make_current()
    from renderer.gl.frame_drawer import FrameDrawer

    drawer = FrameDrawer(RAMP, BACKDROP)
    yield drawer
    drawer.close()
    context.release()


def frame(width: int = 40, height: int = 30) -> Frame:
    """Colours, depths and opacities that differ at every pixel."""
    rng = np.random.default_rng(0)
    color = rng.uniform(0, 1, (height, width, 3)).astype(np.float32)
    opacity = np.linspace(0.3, 1, width * height, dtype=np.float32).reshape(height, width)
    depth = rng.uniform(2, 4, (height, width)).astype(np.float32)
    return Frame(View(camera_at(0, width, height), 0.5), color, depth * opacity, opacity)


def picture(**changes):  # type: ignore[no-untyped-def]
    from renderer.gl.frame_drawer import Mode, Picture

    values = {"frame": frame(), "mode": Mode.COLOR, "width": 40, "height": 30} | changes
    return Picture(**values)


def test_a_picture_of_the_same_size_shows_every_pixel_the_right_way_up(drawer) -> None:  # type: ignore[no-untyped-def]
    shown = drawer.draw(picture())
    np.testing.assert_allclose(shown[..., :3] / 255, frame().color, atol=0.51 / 255)
    assert (shown[..., 3] == 255).all()


def test_a_picture_keeps_its_shape_inside_a_wider_panel(drawer) -> None:  # type: ignore[no-untyped-def]
    shown = drawer.draw(picture(width=100))
    np.testing.assert_allclose(shown[:, 30:70, :3] / 255, frame().color, atol=0.51 / 255)
    around = np.concatenate([shown[:, :30], shown[:, 70:]], axis=1)[..., :3] / 255
    np.testing.assert_allclose(around, np.broadcast_to(BACKDROP, around.shape), atol=0.51 / 255)


def test_depth_runs_through_the_colour_map(drawer) -> None:  # type: ignore[no-untyped-def]
    from renderer.gl.frame_drawer import Mode

    shown = drawer.draw(picture(mode=Mode.DEPTH, value_range=(2.0, 4.0)))
    expected = (frame().expected_depth() - 2) / 2
    np.testing.assert_allclose(shown[..., 0] / 255, expected, atol=2.5 / 255)


def test_opacity_runs_through_the_colour_map(drawer) -> None:  # type: ignore[no-untyped-def]
    from renderer.gl.frame_drawer import Mode

    shown = drawer.draw(picture(mode=Mode.OPACITY))
    np.testing.assert_allclose(shown[..., 0] / 255, frame().opacity, atol=2.5 / 255)


def test_the_mark_is_a_ring_around_the_picked_place(drawer) -> None:  # type: ignore[no-untyped-def]
    plain = drawer.draw(picture(width=400, height=300)).astype(int)
    marked = drawer.draw(picture(width=400, height=300, mark=(0.5, 0.25))).astype(int)
    ys, xs = np.nonzero(np.abs(marked - plain).sum(2) > 0)
    assert abs(xs.mean() - 200) < 1
    assert abs(ys.mean() - 75) < 1
    distance = np.hypot(xs + 0.5 - 200, ys + 0.5 - 75)
    assert distance.min() > 4
    assert distance.max() < 12


def test_a_frame_of_another_size_replaces_the_last(drawer) -> None:  # type: ignore[no-untyped-def]
    drawer.draw(picture())
    small = frame(20, 15)
    shown = drawer.draw(picture(frame=small, width=20, height=15))
    np.testing.assert_allclose(shown[..., :3] / 255, small.color, atol=0.51 / 255)
