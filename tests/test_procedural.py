import numpy as np
import pytest

from renderer.camera import Camera
from training.data.loading import DataOptions, open_dataset
from training.data.procedural import ProceduralScene, load_recipe, procedural_dataset

SCENE = ProceduralScene.from_recipe()


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    dataset = procedural_dataset("sparse", width=80, height=60, frames=2)
    return [dataset.shots[2 * n].camera for n in range(3)]


def pixel_centers(camera: Camera) -> np.ndarray:
    ys, xs = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    return np.stack([xs.ravel(), ys.ravel()], axis=1)


def test_depths_lie_on_the_objects(cameras: list[Camera]) -> None:
    camera, time = cameras[0], 0.3
    truth = SCENE.render(camera, time)
    points = camera.unproject(pixel_centers(camera), truth.depth.ravel().astype(float))
    on_some = np.zeros(len(points), bool)
    for k, o in enumerate(SCENE.objects):
        R, radii, center = SCENE._pose(k, time)
        local = np.abs((points - center) @ R / radii)
        surface = np.linalg.norm(local, axis=1) if o["shape"] == "ball" else local.max(1)
        on_some |= np.abs(surface - 1) < 1e-4 / radii.min()
    assert on_some.all()


def test_a_point_has_its_colour_in_every_camera_that_sees_it(cameras: list[Camera]) -> None:
    a, b = cameras[0], cameras[1]
    big = [c.resized(320, 240) for c in (a, b)]
    first, second = (SCENE.render(c, 0.5) for c in big)
    points = big[0].unproject(pixel_centers(big[0]), first.depth.ravel().astype(float))
    uv, z = big[1].project(points)
    column, row = np.floor(uv).astype(int).T
    inside = (column >= 0) & (column < 320) & (row >= 0) & (row < 240)
    column, row = column.clip(0, 319), row.clip(0, 239)
    seen = inside & (np.abs(second.depth[row, column] - z) < 0.02)
    assert seen.mean() > 0.4
    difference = np.abs(first.color.reshape(-1, 3) - second.color[row, column]).mean(1)
    assert np.median(difference[seen]) < 0.02


def test_flow_takes_points_along(cameras: list[Camera]) -> None:
    camera = cameras[1]
    flow, seen = SCENE.flow(camera, 0.40, 0.41)
    truth = SCENE.render(camera, 0.40)
    assert np.abs(flow[~truth.moving]).max() < 1e-4  # what stands still stays in a still camera
    assert np.abs(flow[truth.moving]).max() > 0.3
    assert seen.mean() > 0.9
    other, _ = SCENE.flow(camera, 0.40, 0.40, cameras[2])
    points = camera.unproject(pixel_centers(camera), truth.depth.ravel().astype(float))
    expected = cameras[2].project(points)[0] - pixel_centers(camera)
    np.testing.assert_allclose(other.reshape(-1, 2), expected, atol=2e-3)


def test_flow_over_a_short_time_adds_up_to_that_over_a_long_one(cameras: list[Camera]) -> None:
    camera = cameras[1]
    whole, _ = SCENE.flow(camera, 0.4, 0.44)
    half, _ = SCENE.flow(camera, 0.4, 0.42)
    moving = SCENE.render(camera, 0.4).moving
    assert np.abs(whole[moving] - 2 * half[moving]).max() < 0.25 * np.abs(whole[moving]).max()


def test_the_mask_covers_what_changes_place(cameras: list[Camera]) -> None:
    masks = [SCENE.render(cameras[1], t).moving for t in (0.0, 0.5)]
    assert 0.02 < masks[0].mean() < 0.3
    assert (masks[0] != masks[1]).mean() > 0.01
    movers = [o for o in load_recipe()["objects"] if "motion" in o]
    kinds = [set(o["motion"]) for o in movers]
    assert any("path" in k for k in kinds)
    assert {"spin"} in kinds
    assert any("pulse" in k for k in kinds)


def test_a_seed_gives_the_same_clip_again_and_another_a_different_one() -> None:
    a, b, c = (procedural_dataset("sparse", width=40, height=30, frames=2, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.read(1), b.read(1))
    assert (a.read(1) != c.read(1)).any()
    assert a.points is not None
    assert b.points is not None
    np.testing.assert_array_equal(a.points.points, b.points.points)


def test_sparse_holds_out_cameras_and_stands_still() -> None:
    dataset = procedural_dataset("sparse", width=40, height=30, frames=3)
    assert len({s.camera_name for s in dataset.shots if s.split == "train"}) == 3
    assert {s.camera_name for s in dataset.shots if s.split == "test"} == {"test0", "test1", "test2"}
    assert dataset.shots[0].camera == dataset.shots[2].camera


def test_small_motion_moves_by_a_few_per_cent_of_the_depth() -> None:
    dataset = procedural_dataset("small-motion", width=40, height=30, frames=12)
    centers = np.stack([s.camera.center for s in dataset.shots if s.split == "train"])
    assert dataset.depth is not None
    share = np.linalg.norm(centers - centers[0], axis=1).max() / float(np.median(dataset.depth(0)))
    assert 0.01 < share < 0.06
    assert dataset.indices("test")


def test_sparse_points_lie_near_surfaces_that_were_seen() -> None:
    dataset = procedural_dataset("sparse", width=80, height=60, frames=4)
    assert dataset.points is not None
    assert dataset.points.times is not None
    camera = dataset.shots[0].camera
    uv, z = camera.project(dataset.points.points.astype(float))
    inside = (z > 0) & (uv >= 0).all(1) & (uv < [80, 60]).all(1)
    assert inside.mean() > 0.5
    column, row = uv[inside].astype(int).T
    assert dataset.depth is not None
    behind = z[inside] / dataset.depth(0)[row, column]
    assert 0.3 < np.mean(np.abs(behind - 1) < 0.03) <= 1  # the rest is hidden here or has moved
    assert dataset.points.times.min() >= 0
    assert dataset.points.times.max() <= 1


def test_the_demo_opens_by_name() -> None:
    dataset = open_dataset("demo:small-motion", DataOptions(megapixels=0.001, frame_step=6))
    assert dataset.name == "demo-small-motion"
    assert dataset.read(0).shape[0] * dataset.read(0).shape[1] <= 1000
