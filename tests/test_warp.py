"""Views made by moving pixels: against planes whose motion is known by hand, and against the exact procedural scene."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app import cli
from renderer.camera import Camera
from renderer.errors import InputError
from training.data.generated_loading import open_generated
from training.data.loading import DataOptions, open_dataset
from training.data.procedural import ProceduralScene, procedural_dataset
from training.generators.plane_sweep import (
    confirmed,
    enlarged,
    from_around,
    from_behind,
    homography,
    plane_sweep_depth,
    speckles,
    swept,
)
from training.generators.sweep_kernels import semi_global
from training.generators.trajectory import virtual_cameras
from training.generators.warp import blended, exact_depth, filled, scene_depth, warp_views, warped

WIDTH, HEIGHT, FOCAL = 96, 64, 80.0
STILL = Camera(np.eye(4), FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)


def beside(x: float) -> Camera:
    """A camera that stands ``x`` to the right of the first one."""
    pose = np.eye(4)
    pose[0, 3] = -x
    return STILL.moved(pose)


def texture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0.1, 0.9, (height // 4, width // 4, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-12)))


def test_a_picture_warped_to_its_own_place_is_itself() -> None:
    image = texture()
    depth = np.random.default_rng(1).uniform(2.0, 2.02, (HEIGHT, WIDTH)).astype(np.float32)
    out, found = warped(image, depth, STILL, STILL)
    inside = (slice(1, -1), slice(1, -1))
    assert psnr(out[inside], image[inside]) > 50
    np.testing.assert_allclose(found[inside], depth[inside], rtol=1e-4)


def test_a_plane_moves_by_focal_length_times_baseline_over_depth() -> None:
    image, z = texture(), 4.0
    out, found = warped(image, np.full((HEIGHT, WIDTH), z, np.float32), STILL, beside(0.2))
    shift = FOCAL * 0.2 / z  # 4 pixels to the left
    assert shift == 4
    np.testing.assert_allclose(out[2:-2, 2:-6], image[2:-2, 6:-2], atol=1e-4)
    assert np.isinf(found[2:-2, -3:]).all() and np.isfinite(found[2:-2, 2:-6]).all()


def test_a_picture_that_grows_has_no_cracks() -> None:
    pose = np.eye(4)
    pose[2, 3] = -1.3  # nearer: everything is half as large again
    _, found = warped(texture(), np.full((HEIGHT, WIDTH), 4.0, np.float32), STILL, STILL.moved(pose))
    assert np.isfinite(found).all()


def test_what_is_near_hides_what_is_far_and_no_sheet_hangs_between() -> None:
    depth = np.full((HEIGHT, WIDTH), 8.0, np.float32)
    depth[:, 40:60] = 2.0
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    image[..., 0], image[:, 40:60] = 1.0, [0, 1, 0]
    out, found = warped(image, depth, STILL, beside(0.4))  # far moves by 4, near by 16 pixels
    row = out[32]
    assert (row[26:42] == [0, 1, 0]).all() and (row[4:23] == [1, 0, 0]).all()
    assert np.isinf(found[32, 46:54]).all()  # came into view: nothing is known of it
    near_to_far = found[32][np.isfinite(found[32])]
    assert set(np.round(near_to_far, 3)) == {2.0, 8.0}


def test_holes_are_filled_from_behind_and_never_black() -> None:
    color, depth = np.zeros((40, 60, 3), np.float32), np.full((40, 60), np.inf, np.float32)
    color[:, :25], depth[:, :25] = [0.9, 0.1, 0.1], 2.0  # near and red
    color[:, 31:], depth[:, 31:] = [0.1, 0.1, 0.9], 8.0  # far and blue
    result = filled(color, depth)
    hole = result[:, 25:31]
    assert hole[..., 2].mean() > 0.75 and hole[..., 0].mean() < 0.25
    np.testing.assert_array_equal(result[:, :25], color[:, :25])
    lonely = np.full((40, 60), np.inf, np.float32)
    lonely[5, 5] = 3.0
    grey = np.full((40, 60, 3), 0.5, np.float32) * np.isfinite(lonely)[..., None]
    assert filled(grey, lonely).min() > 0.4


def test_a_crack_takes_the_colours_beside_it_whatever_lies_behind_close_by() -> None:
    color, depth = np.zeros((40, 60, 3), np.float32), np.full((40, 60), 2.0, np.float32)
    color[:], color[:, 30:], depth[:, 30:] = [0.9, 0.1, 0.1], [0.1, 0.1, 0.9], 8.0
    color[:, 28:33], depth[:, 28:33] = 0, np.inf  # a hole whose far side is blue
    color[20, 22], depth[20, 22] = 0, np.inf  # one pixel of the near side
    result = filled(color, depth)
    np.testing.assert_allclose(result[20, 22], [0.9, 0.1, 0.1], atol=1e-5)
    np.testing.assert_allclose(result[20, 30], [0.1, 0.1, 0.9], atol=0.05)


def test_a_view_into_which_nothing_falls_has_the_clips_mean_colour() -> None:
    clip = procedural_dataset("sparse", width=32, height=24, frames=2)
    index = clip.indices("train")[0]
    unknown = np.full((24, 32), np.nan, np.float32)
    picture = warp_views(clip, [clip.shots[index].camera], lambda i: unknown).read(0)
    np.testing.assert_allclose(picture - clip.read(index).mean((0, 1)), 0, atol=1)


def test_pictures_are_blended_where_they_agree_and_the_nearer_wins_where_not() -> None:
    a, b = np.full((2, 2, 3), 0.2, np.float32), np.full((2, 2, 3), 0.8, np.float32)
    da = np.array([[2.0, 2.0], [np.inf, np.inf]], np.float32)
    db = np.array([[2.02, 5.0], [4.0, np.inf]], np.float32)
    color, depth = blended([(a, da), (b, db)], [3.0, 1.0])
    np.testing.assert_allclose(color[..., 0], [[0.35, 0.2], [0.8, 0.0]], atol=1e-6)
    np.testing.assert_array_equal(depth, [[2.0, 2.0], [4.0, np.inf]])


def test_views_between_the_cameras_come_close_to_the_exact_ones() -> None:
    clip = procedural_dataset("sparse", width=160, height=96, frames=3)
    real = [clip.shots[i].camera for i in clip.indices("train") if clip.shots[i].frame == 1]
    cameras, scene = virtual_cameras(real, 4.0, keep_every=12), ProceduralScene.from_recipe()
    least = {"exact": 32.0, "swept": 29.0}  # measured: 33.4 and 30.7 at the worst
    for name, depth in (("exact", exact_depth(clip)), ("swept", plane_sweep_depth(clip))):
        views = warp_views(clip, cameras, depth)
        assert len(views.frames) == 2 * 3
        for index in (1, 4):  # the middles between neighbours
            frame = views.frames[index]
            exact = scene.render(cameras[frame.pose], frame.time).color
            assert psnr(views.read(index) / 255, exact) > least[name], name
            assert views.read(index).min() > 0 or exact.min() < 0.02


def test_reading_is_the_same_from_every_thread() -> None:
    clip = procedural_dataset("sparse", width=64, height=40, frames=2)
    real = [clip.shots[i].camera for i in clip.indices("train") if clip.shots[i].frame == 0]
    cameras = virtual_cameras(real, 4.0, keep_every=8)
    alone, shared = (warp_views(clip, cameras, plane_sweep_depth(clip)) for _ in range(2))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(shared.read, list(range(len(shared.frames))) * 2))
    for index, picture in enumerate(together):
        np.testing.assert_array_equal(picture, alone.read(index % len(alone.frames)))


def test_a_trained_scene_lends_its_depth() -> None:
    from tests.tiny import random_gaussians, tiny_dataset

    depth = scene_depth(random_gaussians(40, seed=7), tiny_dataset())(0)
    assert depth.shape == (30, 40) and np.isnan(depth).any() and 2 < np.nanmedian(depth) < 4


def test_a_homography_takes_pixels_of_a_plane_to_where_the_other_camera_sees_them() -> None:
    other = beside(0.3).moved(np.array([[0.98, 0, 0.199, -0.3], [0, 1, 0, 0.1], [-0.199, 0, 0.98, 0.05], [0, 0, 0, 1]]))
    point = np.array([[0.4, -0.2, 3.0]])
    (uv, _), (uv1, _) = STILL.project(point), other.project(point)
    q = homography(STILL, other, 3.0) @ [*(uv[0] - 0.5), 1]
    np.testing.assert_allclose(q[:2] / q[2] + 0.5, uv1[0], atol=1e-6)


def test_a_slanted_plane_is_found() -> None:
    """z = 3 + x: a wall with a texture, rendered by hand into three cameras."""
    wall = texture(3, 400, 600)
    cameras = [STILL, beside(0.25), beside(-0.25)]
    images, depths = [], []
    for camera in cameras:
        ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
        direction = np.stack([(xs - camera.cx) / FOCAL, (ys - camera.cy) / FOCAL, np.ones_like(xs)], axis=2)
        z = (3 + camera.center[0]) / (1 - direction[..., 0])
        at = camera.center + z[..., None] * direction
        u, v = ((300 + 60 * at[..., 0]).astype(np.float32), (200 + 60 * at[..., 1]).astype(np.float32))
        images.append(cv2.remap(wall, u, v, cv2.INTER_LINEAR))
        depths.append(z)
    found = swept(images[0], cameras[0], list(zip(images[1:], cameras[1:], strict=True)), 1.5, 9.0)
    inside = (slice(6, -6), slice(12, -24))
    error = np.abs(found - depths[0])[inside] / depths[0][inside]
    assert np.median(error) < 0.01 and np.mean(error > 0.05) < 0.05
    first, second = (d.astype(np.float32) for d in depths[:2])
    assert confirmed(first, cameras[0], second, cameras[1])[inside].mean() > 0.9
    assert not confirmed(1.2 * first, cameras[0], second, cameras[1]).any()


def test_a_small_island_of_another_depth_is_a_false_match() -> None:
    depth = np.full((60, 90), 5.0, np.float32)
    depth[20:23, 30:33], depth[40:, 50:] = 2.0, 3.0
    expected = np.zeros((60, 90), bool)
    expected[20:23, 30:33] = True
    np.testing.assert_array_equal(speckles(depth), expected)


def test_what_no_other_camera_confirms_lies_behind() -> None:
    depth = np.full((20, 30), 2.0, np.float32)
    depth[:, 18:] = 6.0
    known = np.ones((20, 30), bool)
    known[:, 16:18], known[:, :4] = False, False
    guess = np.where(known, depth, np.float32(99))
    np.testing.assert_array_equal(from_behind(guess, known)[:, 16:18], 6.0)
    np.testing.assert_allclose(from_behind(guess, known)[:, :4], 2.0, rtol=1e-4)
    known[5:12] = False  # too wide to be hidden by something: what is around it
    filled_in = from_behind(guess, known)
    assert filled_in.min() > 1.99 and filled_in.max() < 6.01
    np.testing.assert_allclose(filled_in[8, :8], 2.0, rtol=0.1)
    known[:], known[3, 20] = False, True
    np.testing.assert_allclose(from_around(guess, known), 6.0, rtol=1e-4)


def test_depth_is_enlarged_along_the_edges_of_the_picture() -> None:
    picture, depth = np.full((40, 60, 3), 0.2, np.float32), np.full((20, 30), 4.0, np.float32)
    picture[:, 31:], depth[:, 16:] = 0.8, 2.0  # the edge lies within a small pixel: column 15 is of both
    image = cv2.resize(picture, (30, 20), interpolation=cv2.INTER_AREA)
    large = enlarged(depth, image, picture)
    assert large.shape == (40, 60)
    np.testing.assert_allclose(large[:, :30], 4.0, rtol=1e-5)
    np.testing.assert_allclose(large[:, 32:], 2.0, rtol=1e-5)
    assert set(np.unique(large.round(3))) == {2.0, 4.0}  # nothing between the surfaces
    assert enlarged(depth, image, image) is depth


def test_semi_global_matching_overrules_a_lonely_pixel_but_not_an_object() -> None:
    cost = np.full((12, 16, 9), 0.5, np.float32)
    cost[..., 2] = 0.1
    cost[6, 4, 2], cost[6, 4, 7] = 0.5, 0.4
    cost[2:10, 10:15, 2], cost[2:10, 10:15, 7] = 0.5, 0.1
    best = semi_global(cost, np.zeros((12, 16), np.float32), 0.05, 1.0, 20.0).argmin(2)
    assert best[6, 4] == 2 and (best[3:9, 11:14] == 7).all() and (best[:, :4] == 2).all()
    free = semi_global(cost, np.zeros((12, 16), np.float32), 0.0, 0.0, 20.0).argmin(2)
    np.testing.assert_array_equal(free, cost.argmin(2))


def test_a_camera_that_stands_still_shows_no_depth(tmp_path: Path) -> None:
    clip = procedural_dataset("sparse", width=32, height=24, frames=2)
    alone = [s for s in clip.shots if s.camera_name == "cam0"]
    with pytest.raises(InputError, match="stands still"):
        plane_sweep_depth(replace(clip, shots=alone))
    with pytest.raises(InputError, match="knows no depth"):
        exact_depth(replace(clip, depth=None))
    with pytest.raises(InputError, match="two cameras"):
        warp_views(clip, [], exact_depth(clip))
    unseen = replace(clip, shots=[replace(s, split="test") for s in clip.shots])
    for make in (plane_sweep_depth, lambda c: warp_views(c, [STILL], exact_depth(c))):
        with pytest.raises(InputError, match="no pictures to train on"):
            make(unseen)


def test_views_are_generated_from_the_command_line_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "views"
    small = ["--data.megapixels", "0.002", "--data.frame-step", "12"]
    cli.parse(["generate", "demo", "--out", str(folder), "--keep-every", "8", *small])()
    options = DataOptions(megapixels=0.002, frame_step=12)
    dataset = open_dataset("demo", options)
    views = open_generated(folder, dataset, options, lambda text: None)
    assert len(views.cameras) == 4 and len(views.frames) == 4 * dataset.frame_count
    with pytest.raises(InputError):  # what is there is not overwritten
        cli.parse(["generate", "demo", "--out", str(folder), *small])()
    for wrong in (["--keep-every", "0"], ["--by", "viewcrafter"], ["--by", "inconsistent", "--data.megapixels", "0"]):
        with pytest.raises(InputError):
            cli.parse(["generate", "demo", "--out", str(tmp_path / "x"), *wrong])()


def test_a_real_moving_camera_gets_views(real_clip: Callable[[str], Path]) -> None:
    clip = open_dataset(real_clip("nvidia-balloon1"), DataOptions(megapixels=0.01))
    cameras = [clip.shots[i].camera for i in clip.indices("train")]
    depth = plane_sweep_depth(clip)
    index = clip.indices("train")[3]
    found = depth(index)
    assert np.isfinite(found).all() and clip.near * 0.9 < np.median(found) < clip.far * 1.1
    views = warp_views(clip, cameras[2:3], depth)
    picture = views.read(2)  # its own camera at its own time
    assert psnr(picture / 255, clip.read(clip.indices("train")[2]) / 255) > 24
