"""A pane's colours with numpy, against formulas written out here."""

from dataclasses import replace

import numpy as np
import pytest

from renderer.camera import Camera
from renderer.picture import Lines, Mark, Mode, Pane, Picture, joined, palette_table
from renderer.shading import beside, composed, normals, shade
from renderer.view import Frame, View

WIDTH, HEIGHT = 40, 30
BACKDROP = (0.1, 0.2, 0.3)


def camera() -> Camera:
    """Off centre, so that a mistake with the principal point shows."""
    return Camera(np.eye(4), 35.0, 38.0, 17.0, 16.0, WIDTH, HEIGHT)


def frame() -> Frame:
    """Colours and depths that differ at every pixel, opaque but for the upper left corner."""
    rng = np.random.default_rng(0)
    opacity = np.ones((HEIGHT, WIDTH), np.float32)
    opacity[:10, :10] = 0
    depth = rng.uniform(2, 4, (HEIGHT, WIDTH)).astype(np.float32)
    color = rng.uniform(-0.2, 1.2, (HEIGHT, WIDTH, 3)).astype(np.float32)
    return Frame(View(camera(), 0.5), color, depth * opacity, opacity, 0, depth - 2)


def plane(normal: np.ndarray, distance: float) -> Frame:
    """A frame that sees the points with normal . point == distance."""
    x = (np.arange(WIDTH) + 0.5 - 17.0) / 35.0
    y = (np.arange(HEIGHT) + 0.5 - 16.0) / 38.0
    depth = distance / (normal[0] * x + normal[1] * y[:, None] + normal[2])
    opacity = np.full((HEIGHT, WIDTH), 0.8, np.float32)
    return Frame(View(camera(), 0.5), np.zeros((HEIGHT, WIDTH, 3), np.float32), (0.8 * depth).astype("f4"), opacity)


def bytes_of(color: np.ndarray) -> np.ndarray:
    return (np.clip(color, 0, 1) * 255).round().astype(int)


def test_colour_is_clipped_and_unchanged_at_its_own_size() -> None:
    for mode in (Mode.COLOR, Mode.PICTURE):
        np.testing.assert_array_equal(shade(Pane(frame(), mode), WIDTH, HEIGHT), bytes_of(frame().color))


def test_colour_runs_linearly_between_the_middles_of_pixels() -> None:
    color = np.zeros((1, 2, 3), np.float32)
    color[0, 1] = 1
    two = Frame(View(camera().resized(2, 1), 0.5), color, np.ones((1, 2), "f4"), np.ones((1, 2), "f4"))
    shown = shade(Pane(two, Mode.COLOR), 8, 1)[0, :, 0]
    np.testing.assert_allclose(shown, 255 * np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1), atol=0.51)


def test_depth_runs_through_the_palette_and_gives_way_to_the_backdrop() -> None:
    shown = shade(Pane(frame(), Mode.DEPTH, (2.0, 4.0), "inferno"), WIDTH, HEIGHT, BACKDROP)
    t = np.clip((frame().expected_depth() - 2) / 2, 0, 1)
    expected = palette_table("inferno")[(np.nan_to_num(t) * 255 + 0.5).astype(int)]
    expected[:10, :10] = BACKDROP
    np.testing.assert_allclose(shown, bytes_of(expected), atol=1)


def test_opacity_uses_its_range() -> None:
    shown = shade(Pane(frame(), Mode.OPACITY, (0.0, 2.0), "cividis"), WIDTH, HEIGHT)
    table = bytes_of(palette_table("cividis"))
    np.testing.assert_allclose(shown[20, 20], table[128], atol=1)
    np.testing.assert_allclose(shown[0, 0], table[0], atol=1)


@pytest.mark.parametrize("mode", [Mode.DEPTH, Mode.OPACITY, Mode.OVERLAY, Mode.NORMALS])
def test_without_blend_only_the_colour_is_seen(mode: Mode) -> None:
    shown = shade(Pane(frame(), mode, (0.0, 2.0), blend=0.0), WIDTH, HEIGHT)
    np.testing.assert_array_equal(shown, bytes_of(frame().color))


def test_half_a_blend_is_the_mean_of_colour_and_mode() -> None:
    whole = shade(Pane(frame(), Mode.DEPTH, (2.0, 4.0)), WIDTH, HEIGHT).astype(float)
    half = shade(Pane(frame(), Mode.DEPTH, (2.0, 4.0), blend=0.5), WIDTH, HEIGHT)
    np.testing.assert_allclose(half, (whole + bytes_of(frame().color)) / 2, atol=1)


def test_an_overlay_is_heat_over_a_grey_picture_and_nothing_where_it_is_unknown() -> None:
    overlay = frame().overlay
    assert overlay is not None
    overlay[5, 30:] = np.nan
    pane = Pane(replace(frame(), overlay=overlay), Mode.OVERLAY, (0.0, 2.0), blend=0.6)
    grey = (np.clip(frame().color, 0, 1) @ [0.299, 0.587, 0.114])[..., None]
    heat = palette_table("viridis")[(np.nan_to_num(overlay) / 2 * 255 + 0.5).astype(int)]
    share = np.where(np.isnan(overlay), 0, 0.6)[..., None]
    np.testing.assert_allclose(shade(pane, WIDTH, HEIGHT), bytes_of(grey + share * (heat - grey)), atol=1)


def test_a_frame_without_an_overlay_shows_its_grey_picture() -> None:
    shown = shade(Pane(replace(frame(), overlay=None), Mode.OVERLAY), WIDTH, HEIGHT)
    grey = np.clip(frame().color, 0, 1) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(shown, bytes_of(grey[..., None].repeat(3, 2)), atol=1)


def test_the_usual_blend_covers_all_but_under_an_overlay() -> None:
    assert Pane(frame(), Mode.OVERLAY).cover == 0.8
    assert Pane(frame(), Mode.DEPTH).cover == 1.0
    assert Pane(frame(), Mode.DEPTH, blend=0.3).cover == 0.3


def test_the_normal_of_a_tilted_plane_is_the_analytic_one() -> None:
    n = np.array([0.3, -0.5, 1.0]) / np.linalg.norm([0.3, -0.5, 1.0])
    np.testing.assert_allclose(normals(plane(n, 2.0)), np.broadcast_to(-n, (HEIGHT, WIDTH, 3)), atol=2e-4)
    shown = shade(Pane(plane(n, 2.0), Mode.NORMALS), 2 * WIDTH, 2 * HEIGHT)
    np.testing.assert_allclose(shown, np.broadcast_to(bytes_of(0.5 - 0.5 * n), shown.shape), atol=1)


def test_normals_exist_only_where_a_depth_is_known() -> None:
    known = np.isfinite(normals(frame())).all(2)
    np.testing.assert_array_equal(known, frame().opacity > 0)
    unknown = replace(frame(), depth=np.zeros((HEIGHT, WIDTH), np.float32))
    shown = shade(Pane(unknown, Mode.NORMALS), WIDTH, HEIGHT, BACKDROP)
    np.testing.assert_allclose(shown, np.broadcast_to(bytes_of(np.array(BACKDROP)), shown.shape), atol=1)


def test_a_split_wipes_from_one_pane_to_the_other() -> None:
    left, right = Pane(frame(), Mode.COLOR), Pane(frame(), Mode.OPACITY)
    picture = Picture(left, 200, 120, right, 0.3, backdrop=BACKDROP)
    shown = composed(picture)
    assert shown.shape == (120, 200, 3)
    np.testing.assert_array_equal(shown[:40, 20:58], shade(left, 160, 120)[:40, :38])
    np.testing.assert_array_equal(shown[:40, 62:180], shade(right, 160, 120)[:40, 42:])
    around = np.broadcast_to(bytes_of(np.array(BACKDROP)), (120, 20, 3))
    np.testing.assert_allclose(shown[:, 180:], around, atol=1)
    assert (shown[0, 59:61] > 200).all()
    assert shown[60, 53:67].std() > 0
    np.testing.assert_array_equal(composed(replace(picture, right=None))[:, 20:180], shade(left, 160, 120))


@pytest.mark.parametrize("divider", [-1.0, 0.0, 0.001, 0.999, 1.0, 2.0])
def test_a_divider_at_the_rim_leaves_one_pane(divider: float) -> None:
    picture = Picture(Pane(frame(), Mode.COLOR), 80, 60, Pane(frame(), Mode.OPACITY), divider)
    alone = picture.left if divider > 0.5 else Pane(frame(), Mode.OPACITY)
    np.testing.assert_array_equal(composed(picture)[:, 10:70], shade(alone, 80, 60)[:, 10:70])


def test_pictures_of_one_height_stand_side_by_side() -> None:
    a, b = np.full((4, 6, 3), 10, np.uint8), np.full((4, 8, 3), 20, np.uint8)
    both = beside(a, b)
    np.testing.assert_array_equal(both[:, :6], a)
    np.testing.assert_array_equal(both[:, -8:], b)
    with pytest.raises(ValueError, match="rows"):
        beside(a, b[:2])


def test_lines_are_joined_and_of_matching_length() -> None:
    one = Lines(np.zeros((1, 2, 3), np.float32), np.ones((1, 4), np.float32))
    two = Lines(np.ones((2, 2, 3), np.float32), np.zeros((2, 4), np.float32))
    both = joined([one, two])
    np.testing.assert_array_equal(both.segments[:, 0, 0], [0, 1, 1])
    np.testing.assert_array_equal(both.colors[:, 0], [1, 0, 0])
    assert joined([]).segments.shape == (0, 2, 3)
    with pytest.raises(ValueError, match="segments"):
        Lines(one.segments, two.colors)


def test_panes_are_equal_when_they_show_the_same_frame_in_the_same_way() -> None:
    same = frame()
    assert Pane(same, Mode.COLOR) == Pane(same, Mode.COLOR)
    assert Pane(same, Mode.COLOR) != Pane(same, Mode.DEPTH)
    assert Pane(same, Mode.COLOR) != Pane(frame(), Mode.COLOR)
    assert Mark((0.5, 0.5), (1, 0, 0)) == Mark((0.5, 0.5), (1, 0, 0))
