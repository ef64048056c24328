"""The OpenGL drawer of the viewport's picture, against its twin in numpy and against projected points."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from renderer.camera import Camera, look_at
from renderer.picture import PALETTES, Lines, Mark, Mode, Pane, Picture, Thumbnail
from renderer.shading import composed
from renderer.view import Frame, View
from tests.tiny import camera_at

pytestmark = pytest.mark.gl
BACKDROP = (0.1, 0.2, 0.3)
YELLOW = (1.0, 0.76, 0.25)
KINDS = ("Texture", "Buffer", "Framebuffer", "Renderbuffer", "VertexArray", "Program", "Shader")


@pytest.fixture(scope="module")
def drawer(context: None) -> Iterator[Any]:
    from renderer.gl.frame_drawer import FrameDrawer

    drawer = FrameDrawer()
    yield drawer
    drawer.close()


def frame(width: int = 40, height: int = 30, seed: int = 0) -> Frame:
    """Colours, depths, opacities and overlays that differ at every pixel; nothing is known in the upper left corner."""
    rng = np.random.default_rng(seed)
    color = rng.uniform(-0.1, 1.1, (height, width, 3)).astype(np.float32)
    opacity = np.linspace(0.05, 1, width * height, dtype=np.float32).reshape(height, width)
    opacity[:5, :8] = 0
    rows, columns = np.mgrid[:height, :width]
    depth = (3 + np.sin(rows / 5) * np.cos(columns / 7)).astype(np.float32)
    overlay = rng.uniform(0, 2, (height, width)).astype(np.float32)
    overlay[:5, :8] = np.nan
    return Frame(View(camera_at(0, width, height), 0.5), color, depth * opacity, opacity, 0, overlay)


def wall(depth: float = 3.0, width: int = 200, height: int = 150, camera: Camera | None = None) -> Frame:
    """A grey, opaque wall across the view."""
    camera = camera or Camera.from_fov(np.eye(4), 0.8, width, height)
    shape = (camera.height, camera.width)
    color = np.full((*shape, 3), 0.2, np.float32)
    return Frame(View(camera, 0.5), color, np.full(shape, depth, np.float32), np.ones(shape, np.float32))


def picture(frame: Frame, width: int, height: int, **changes: Any) -> Picture:
    values: dict[str, Any] = {"left": Pane(frame, Mode.COLOR), "backdrop": BACKDROP}
    return Picture(width=width, height=height, **(values | changes))


def lines(*segments: Any, color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)) -> Lines:
    return Lines(np.array(segments, np.float32), np.tile(np.float32(color), (len(segments), 1)))


def assert_twins(drawer: Any, picture: Picture) -> None:
    shown = drawer.draw(picture)
    difference = np.abs(shown[..., :3].astype(int) - composed(picture)).max(axis=2)
    assert (difference <= 2).mean() > 0.99, f"{(difference > 2).mean():.1%} differ, up to {difference.max()}"
    assert (shown[..., 3] == 255).all()


def test_a_picture_of_the_same_size_shows_every_pixel_the_right_way_up(drawer: Any) -> None:
    shown = drawer.draw(picture(frame(), 40, 30))
    np.testing.assert_allclose(shown[..., :3] / 255, np.clip(frame().color, 0, 1), atol=0.51 / 255)
    assert (shown[..., 3] == 255).all()


def test_a_picture_keeps_its_shape_inside_a_wider_panel(drawer: Any) -> None:
    shown = drawer.draw(picture(frame(), 100, 30))
    np.testing.assert_allclose(shown[:, 30:70, :3] / 255, np.clip(frame().color, 0, 1), atol=0.51 / 255)
    around = np.concatenate([shown[:, :30], shown[:, 70:]], axis=1)[..., :3] / 255
    np.testing.assert_allclose(around, np.broadcast_to(BACKDROP, around.shape), atol=0.51 / 255)


@pytest.mark.parametrize("size", [(40, 30), (150, 90), (31, 50)])
@pytest.mark.parametrize("blend", [None, 0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("mode", list(Mode))
def test_each_mode_has_its_twin_in_numpy(drawer: Any, mode: Mode, blend: float | None, size: tuple[int, int]) -> None:
    ranges = {Mode.DEPTH: (2.2, 3.9), Mode.OVERLAY: (0.0, 1.8)}
    pane = Pane(frame(), mode, ranges.get(mode, (0.0, 1.0)), blend=blend)
    assert_twins(drawer, picture(frame(), *size, left=pane))


@pytest.mark.parametrize("palette", PALETTES)
def test_each_palette_has_its_twin_in_numpy(drawer: Any, palette: str) -> None:
    assert_twins(drawer, picture(frame(), 40, 30, left=Pane(frame(), Mode.OPACITY, palette=palette)))


def test_a_frame_without_an_overlay_has_its_twin_in_numpy(drawer: Any) -> None:
    assert_twins(drawer, picture(frame(), 40, 30, left=Pane(replace(frame(), overlay=None), Mode.OVERLAY)))


@pytest.mark.parametrize("divider", [0.0, 0.02, 0.3, 0.5, 0.98, 1.0])
def test_a_split_wipes_between_two_frames_of_any_shape(drawer: Any, divider: float) -> None:
    left, right = Pane(frame(), Mode.COLOR), Pane(frame(30, 50, seed=1), Mode.DEPTH, (2.0, 4.0), "inferno")
    assert_twins(drawer, picture(frame(), 160, 120, left=left, right=right, divider=divider))


@pytest.mark.parametrize("mode", [Mode.DEPTH, Mode.NORMALS])
def test_unknown_depths_in_what_is_opaque_have_their_twin_in_numpy(drawer: Any, mode: Mode) -> None:
    seen = wall(3.0, 40, 30)
    seen.depth[8:20:3, 5:30:2] = 0
    assert_twins(drawer, picture(seen, 40, 30, left=Pane(seen, mode, (2.0, 4.0))))
    assert_twins(drawer, picture(seen, 90, 60, left=Pane(seen, mode, (2.0, 4.0))))


def test_a_split_of_one_frame_shows_two_of_its_modes(drawer: Any) -> None:
    both = frame(seed=2)
    left, right = Pane(both, Mode.NORMALS), Pane(both, Mode.OVERLAY, (0.0, 2.0))
    assert_twins(drawer, picture(both, 160, 120, left=left, right=right))


def test_frames_that_change_sides_and_come_back_are_drawn_as_they_are(drawer: Any) -> None:
    panes = [Pane(frame(seed=k), Mode.COLOR) for k in range(3)]
    for left, right in ((0, 1), (1, 0), (2, 1), (0, 2), (0, 0), (1, 1)):
        assert_twins(drawer, picture(frame(), 80, 60, left=panes[left], right=panes[right]))


def test_the_drawer_follows_sizes_of_panels_and_frames(drawer: Any) -> None:
    for width, height, columns, rows in ((40, 30, 64, 64), (20, 15, 300, 20), (40, 30, 17, 91), (64, 48, 1, 1)):
        assert_twins(drawer, picture(frame(), columns, rows, left=Pane(frame(width, height), Mode.COLOR)))


def test_the_normals_of_a_tilted_plane_are_the_analytic_ones(drawer: Any) -> None:
    n = np.array([0.3, -0.5, 1.0]) / np.linalg.norm([0.3, -0.5, 1.0])
    seen = wall()
    camera = seen.view.camera
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    depth = (2.0 / (n[0] * x + n[1] * y[:, None] + n[2])).astype(np.float32)
    shown = drawer.draw(picture(seen, 200, 150, left=Pane(replace(seen, depth=depth), Mode.NORMALS)))
    np.testing.assert_allclose(shown[..., :3] / 255, np.broadcast_to(0.5 - 0.5 * n, (150, 200, 3)), atol=1.01 / 255)


def test_a_mark_is_a_ring_around_its_place(drawer: Any) -> None:
    plain = drawer.draw(picture(frame(), 400, 300)).astype(int)
    marked = drawer.draw(picture(frame(), 400, 300, marks=(Mark((0.5, 0.25), YELLOW, 20.0),))).astype(int)
    ys, xs = np.nonzero(np.abs(marked - plain).sum(2) > 0)
    assert abs(xs.mean() - 200) < 1
    assert abs(ys.mean() - 75) < 1
    distance = np.hypot(xs + 0.5 - 200, ys + 0.5 - 75)
    assert distance.min() > 16
    assert distance.max() < 24
    np.testing.assert_allclose(marked[75, 220, :3], np.multiply(YELLOW, 255), atol=30)


def test_marks_stay_on_their_side_of_the_divider(drawer: Any) -> None:
    whole = picture(frame(), 400, 300, right=Pane(frame(), Mode.DEPTH, (2.0, 4.0)), divider=0.5)
    plain = drawer.draw(whole).astype(int)
    left = drawer.draw(replace(whole, marks=(Mark((0.49, 0.2), YELLOW),))).astype(int)
    right = drawer.draw(replace(whole, right_marks=(Mark((0.75, 0.2), YELLOW),))).astype(int)
    assert np.nonzero((left != plain).any(2))[1].max() < 200
    assert np.nonzero((left != plain).any(2))[1].min() < 190
    assert abs(np.nonzero((right != plain).any(2))[1].mean() - 300) < 1


def test_a_line_passes_the_projected_pixels_of_its_points(drawer: Any) -> None:
    pose = look_at(np.array([0.3, -0.4, -3.0]), np.array([0.1, 0.0, 0.0]), np.array([0.0, -1.0, 0.0]))
    seen = wall(9.0, camera=Camera(pose, 210.0, 190.0, 93.0, 80.0, 200, 150))
    a, b = np.array([-0.8, -0.5, -0.4]), np.array([0.9, 0.6, 1.0])
    plain = drawer.draw(picture(seen, 450, 300))[..., 0].astype(int)
    shown = drawer.draw(picture(seen, 450, 300, lines=lines([a, b])))[..., 0].astype(int)
    points = a + np.linspace(0, 1, 400)[:, None] * (b - a)
    uv = 2 * seen.view.camera.project(points)[0] + [25, 0]  # shown twice as large, 25 columns from the left
    columns, rows = np.floor(uv[2:-2].T).astype(int)
    assert shown[rows, columns].min() > plain[0, 30] + 80
    ys, xs = np.nonzero(shown != plain)
    off = np.hypot(xs[:, None] + 0.5 - uv[:, 0], ys[:, None] + 0.5 - uv[:, 1]).min(1)
    assert off.max() < 2.5
    # of the width that it should have: the light that it adds, over its length
    light = (shown - plain).sum() / (255 - plain[0, 30])
    assert abs(light / np.linalg.norm(uv[-1] - uv[0]) - 1.5) < 0.1


def test_a_line_is_faint_behind_the_surface(drawer: Any) -> None:
    seen = wall(3.0)
    across = lines([[-0.5, 0.1, 2.0], [0.5, 0.1, 5.0]])
    plain = drawer.draw(picture(seen, 400, 300)).astype(int)[..., 0]
    light = (drawer.draw(picture(seen, 400, 300, lines=across)).astype(int)[..., 0] - plain).sum(0)
    xs = np.arange(400) + 0.5
    ((through, _),), _ = seen.view.camera.project(np.array([[-0.5 + 1 / 3, 0.1, 3.0]]))
    behind_from = 2 * seen.view.camera.project(np.array([[-0.5 + 1.1 / 3, 0.1, 3.1]]))[0][0, 0]
    ahead = light[(light > 20) & (xs < 2 * through)]
    behind = light[(light > 20) & (xs > behind_from)]
    assert len(ahead) > 10
    assert len(behind) > 10
    assert abs(np.median(behind) / np.median(ahead) - 0.25) < 0.03


def test_a_line_before_nothing_or_an_unknown_depth_is_whole(drawer: Any) -> None:
    seen = wall(3.0)
    far = lines([[-1, 0.1, 5.0], [1, 0.1, 5.0]])
    nothing = replace(seen, depth=0 * seen.depth, opacity=0 * seen.opacity)
    unknown = replace(seen, depth=0 * seen.depth)
    for other in (nothing, unknown):
        assert drawer.draw(picture(other, 400, 300, lines=far))[..., 0].max() > 190
    assert drawer.draw(picture(seen, 400, 300, lines=far))[..., 0].max() < 110


def test_a_line_from_behind_the_camera_ends_at_the_rim(drawer: Any) -> None:
    seen = wall(9.0)
    plain = drawer.draw(picture(seen, 400, 300)).astype(int)
    shown = drawer.draw(picture(seen, 400, 300, lines=lines([[0.4, 0, -2.0], [0, 0, 4.0]]))).astype(int)
    ys, xs = np.nonzero((shown != plain).any(2))
    assert set(ys) <= {148, 149, 150, 151}
    assert (xs.min(), xs.max()) == (200, 399)
    hidden = drawer.draw(picture(seen, 400, 300, lines=lines([[0.4, 0, -2.0], [0, 0, -1.0]])))
    np.testing.assert_array_equal(hidden, plain)


def test_lines_stay_inside_the_picture_and_run_on_both_sides(drawer: Any) -> None:
    left, right = wall(9.0), wall(9.0, camera=camera_at(0.4, 200, 150))
    level = lines([[-9, 0, 2.0], [9, 0, 2.0]])
    whole = picture(left, 500, 300, right=Pane(right, Mode.COLOR), lines=level)
    plain = drawer.draw(replace(whole, lines=None)).astype(int)
    changed = (drawer.draw(whole).astype(int) != plain).any(2)
    assert np.nonzero(changed)[1].min() == 50
    assert np.nonzero(changed)[1].max() == 449
    for columns, seen in ((range(60, 240), left), (range(260, 440), right)):
        points = np.linspace([-9, 0, 2.0], [9, 0, 2.0], 20000)
        uv, z = seen.view.camera.project(points)
        for column in columns:
            row = 2 * np.interp((column + 0.5 - 50) / 2, uv[z > 0, 0], uv[z > 0, 1])
            assert abs(np.nonzero(changed[:, column])[0].mean() + 0.5 - row) < 1.0


def test_a_thumbnail_lands_on_its_corners_the_right_way_round(drawer: Any) -> None:
    pose = look_at(np.array([0.5, -0.4, -3.0]), np.zeros(3), np.array([0.0, -1.0, 0.0]))
    seen = wall(9.0, camera=Camera.from_fov(pose, 0.8, 200, 150))
    colors = np.array([[[255, 0, 0], [0, 255, 0]], [[255, 255, 255], [0, 0, 255]]], np.uint8)
    image = colors.repeat(20, 0).repeat(30, 1)
    corners = np.array([[-0.6, -0.5, 0], [0.6, -0.5, 0.2], [0.6, 0.5, 0.2], [-0.6, 0.5, 0]], np.float32)
    plain = drawer.draw(picture(seen, 400, 300)).astype(int)
    shown = drawer.draw(picture(seen, 400, 300, thumbnails=(Thumbnail(corners, image),))).astype(int)
    middle = corners.mean(0)
    uv = 2 * seen.view.camera.project(middle + 0.8 * (corners - middle))[0]
    for (x, y), color in zip(uv, colors.reshape(4, 3)[[0, 1, 3, 2]], strict=True):
        np.testing.assert_allclose(shown[int(y), int(x), :3], color, atol=2)
    ys, xs = np.nonzero((shown != plain).any(2))
    rim = 2 * seen.view.camera.project(corners.astype(float))[0]
    np.testing.assert_allclose((xs.min(), xs.max() + 1), (rim[:, 0].min(), rim[:, 0].max()), atol=1)
    np.testing.assert_allclose((ys.min(), ys.max() + 1), (rim[:, 1].min(), rim[:, 1].max()), atol=1)


def test_the_nearer_of_two_thumbnails_covers_the_other_and_a_surface_covers_both(drawer: Any) -> None:
    def card(z: float, level: int) -> Thumbnail:
        corners = np.array([[-1, -1, z], [1, -1, z], [1, 1, z], [-1, 1, z]], np.float32)
        return Thumbnail(corners, np.full((8, 10 + level // 50, 3), level, np.uint8))

    for cards in ((card(3.0, 250), card(4.0, 100)), (card(4.0, 100), card(3.0, 250))):
        assert drawer.draw(picture(wall(9.0), 400, 300, thumbnails=cards))[150, 200, 0] == 250
    faint = drawer.draw(picture(wall(2.0), 400, 300, thumbnails=(card(3.0, 250),)))[150, 200, 0]
    assert abs(int(faint) - (51 + 0.25 * (250 - 51))) <= 1


def test_nothing_is_drawn_nearer_than_the_near_plane(drawer: Any) -> None:
    seen = wall(9.0, camera=Camera.from_fov(np.eye(4), 0.8, 200, 150, near=1.5))
    corners = np.array([[0, -0.5, 1], [0, 0.5, 1], [1, 0.5, 3], [1, -0.5, 3]], np.float32)
    card = Thumbnail(corners, np.full((8, 8, 3), 250, np.uint8))
    level = lines([[0, 0, 1.0], [-1, 0, 3.0]])
    plain = drawer.draw(picture(seen, 400, 300)).astype(int)
    shown = drawer.draw(picture(seen, 400, 300, thumbnails=(card,), lines=level)).astype(int)
    xs = np.nonzero((shown != plain).any(2)[145:155])[1]
    (right, left), _ = seen.view.camera.project(np.array([[0.25, 0, 1.5], [-0.25, 0, 1.5]]))
    assert abs(xs[xs > 200].min() - 2 * right[0]) < 1
    assert abs(xs[xs < 200].max() + 1 - 2 * left[0]) < 1


def test_a_frame_lines_and_thumbnails_are_uploaded_once(drawer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from OpenGL import GL

    card = Thumbnail(np.array([[0, 0, 3], [1, 0, 3], [1, 1, 3], [0, 1, 3]], np.float32), np.zeros((4, 4, 3), np.uint8))
    bars = lines([[0, 0, 2.0], [1, 0, 2.0]])
    left, right = Pane(frame(), Mode.NORMALS), Pane(frame(seed=1), Mode.OVERLAY)
    whole = picture(left.frame, 80, 60, left=left, right=right, lines=bars, thumbnails=(card,))
    first = drawer.draw(whole)
    for name in ("glTexImage2D", "glTexSubImage2D", "glTexImage3D", "glBufferData"):
        monkeypatch.setattr(GL, name, lambda *_, name=name: pytest.fail(f"{name} again"))
    np.testing.assert_array_equal(drawer.draw(replace(whole, thumbnails=(card,))), first)


def test_nothing_is_left_of_a_drawer_that_was_closed(context: None) -> None:
    from OpenGL import GL

    from renderer.gl.frame_drawer import FrameDrawer

    def alive() -> dict[str, list[int]]:
        return {kind: [k for k in range(1, 400) if getattr(GL, f"glIs{kind}")(k)] for kind in KINDS}

    before = alive()
    drawer = FrameDrawer()
    card = Thumbnail(np.array([[0, 0, 3], [1, 0, 3], [1, 1, 3], [0, 1, 3]], np.float32), np.zeros((4, 4, 3), np.uint8))
    for k, mode in enumerate(Mode):
        pane, other = Pane(frame(seed=k), mode, blend=0.5), Pane(frame(20 + k, 15), mode)
        drawer.draw(
            picture(
                pane.frame, 60 + k, 40, left=pane, right=other, lines=lines([[0, 0, 2.0], [1, 0, 2.0]]),
                thumbnails=(card,), marks=(Mark((0.5, 0.5), YELLOW),),
            )
        )  # fmt: skip
    assert all(len(there) > len(before[kind]) for kind, there in alive().items() if kind != "Shader")
    drawer.close()
    assert alive() == before
