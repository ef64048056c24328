"""Where virtual cameras stand, and views that are wrong in a way that is known."""

import cv2
import numpy as np
import pytest

from app.generate import TOO_FAR_APART, widest_gap
from renderer.errors import InputError
from tests.tiny import camera_at
from training.data.generated_sources import demo_views, with_generated
from training.data.loading import DataOptions, open_dataset
from training.data.procedural import ProceduralScene, procedural_dataset
from training.generators.inconsistent import Inconsistency, InconsistentViews, perturbed
from training.generators.trajectory import trajectory, virtual_cameras

CLIP = procedural_dataset("sparse", width=64, height=40, frames=3)
REAL = [CLIP.shots[i].camera for i in CLIP.indices("train") if CLIP.shots[i].frame == 0]


def wrong(**amounts: float) -> InconsistentViews:
    none = {"displacement": 0.0, "gain": 0.0, "flicker": 0.0, "blur": 0.0}
    scene = ProceduralScene.from_recipe()
    return InconsistentViews(scene, virtual_cameras(REAL, 4.0)[:6], [0.0, 0.5, 1.0], Inconsistency(**(none | amounts)))  # type: ignore


def test_a_path_has_24_steps_from_camera_to_camera_and_the_real_ones_at_their_ends() -> None:
    path = trajectory(REAL, 4.0)
    assert len(path) == 49
    for k, camera in enumerate(REAL):
        np.testing.assert_allclose(path[24 * k].world_to_camera, camera.world_to_camera, atol=1e-9)
    middle = path[12]
    np.testing.assert_allclose(middle.center, (REAL[0].center + REAL[1].center) / 2, atol=1e-9)
    target = (REAL[0].center + REAL[1].center) / 2 + 4 * (
        REAL[0].camera_to_world[:3, 2] + REAL[1].camera_to_world[:3, 2]
    ) / 2
    uv, z = middle.project(target[None])
    np.testing.assert_allclose(uv[0], [32, 20], atol=1e-6)
    assert z[0] > 0
    assert len(virtual_cameras(REAL, 4.0)) == 22
    assert len(virtual_cameras(REAL[:2], 4.0, keep_every=1)) == 23
    steps = np.linalg.norm(np.diff([c.center for c in path], axis=0), axis=1)
    assert steps.max() < 1.2 * steps.min()


def test_views_that_nothing_is_wrong_with_are_exact() -> None:
    views = wrong()
    for index in (0, 7, 17):
        expected = (views.exact(index) * 255 + 0.5).astype(np.uint8)
        assert np.abs(views.views.read(index).astype(int) - expected).max() <= 1
        assert np.abs(views.displacement(index)).max() == 0


def test_the_warp_has_the_stated_length_jumps_in_time_and_glides_along_the_poses() -> None:
    views = wrong(displacement=0.8)
    d = np.stack([views.warp(i) for i in range(18)]).reshape(6, 3, 40, 64, 2)
    assert np.sqrt((d**2).sum(-1).mean()) == pytest.approx(0.8, rel=1e-3)
    along_poses, in_time = np.diff(d, axis=0), np.diff(d, axis=1)
    assert np.sqrt((along_poses**2).mean()) < 0.5 * np.sqrt((in_time**2).mean())
    assert np.abs(np.diff(d, axis=3)).max() < 0.5  # and bends slowly over the picture


def test_the_stated_displacement_brings_the_exact_picture_to_the_wrong_one() -> None:
    views = wrong(displacement=2.0)
    for index in (1, 8):
        moved = views.displacement(index)
        ys, xs = np.mgrid[0:40, 0:64].astype(np.float32)
        picture = views.views.read(index).astype(np.float32) / 255
        back = cv2.remap(picture, xs + moved[..., 0], ys + moved[..., 1], cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)
        inside = (slice(6, -6), slice(6, -6))
        error, before = (np.abs(p - views.exact(index))[inside].mean() for p in (back, picture))
        assert error < 0.4 * before


def test_tint_and_blur_are_what_they_are_called() -> None:
    tinted = wrong(gain=0.1)
    assert tinted.gains.std(axis=(0, 1)).mean() == pytest.approx(0.1, rel=0.5)
    exact = tinted.exact(4)
    dim = exact.max(2) < 0.5  # nothing is clipped there
    ratio = (tinted.views.read(4) / 255.0)[dim].mean(0) / exact[dim].mean(0)
    np.testing.assert_allclose(ratio, tinted.gains[1, 1], rtol=0.02)

    def edges(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())

    blurred = wrong(blur=2.0)
    assert min(edges(blurred.views.read(i)) / edges(255 * blurred.exact(i)) for i in range(18)) < 0.8


def test_what_is_wrong_depends_on_the_seed_alone() -> None:
    a, b, c = (demo_views(CLIP, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.views.read(5), b.views.read(5))
    assert (a.views.read(5) != c.views.read(5)).any()
    assert a.views.cameras == b.views.cameras != c.views.cameras


def test_cameras_are_pushed_by_exactly_as_much_as_is_said() -> None:
    for before, after in zip(REAL, perturbed(REAL, 1.0, 0.04, 3), strict=True):
        turn = after.world_to_camera[:3, :3] @ before.world_to_camera[:3, :3].T
        assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(1.0, rel=1e-6)
        assert np.linalg.norm(after.center - before.center) == pytest.approx(0.04)


def test_the_demo_comes_with_its_own_generated_views() -> None:
    options = DataOptions(megapixels=0.002)
    said: list[str] = []
    dataset = with_generated(open_dataset("demo", options), options, said.append)
    assert dataset.generated is not None
    assert len(dataset.generated.cameras) == 22 and len(dataset.generated.frames) == 22 * 24
    camera = dataset.generated.cameras[3]
    assert dataset.generated.read(3 * 24).shape == (camera.height, camera.width, 3)
    assert [f.frame for f in (dataset.generated.frames[i] for i in dataset.generated.of_pose(3))] == list(range(24))
    assert dataset.generated.pose_coordinate(0) == 0 and dataset.generated.pose_coordinate(21) == 1


def test_a_clip_without_generated_views_is_told_how_to_get_some(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    plain = replace(CLIP, source=tmp_path)
    with pytest.raises(InputError, match="dynview generate"):
        with_generated(plain, DataOptions(), lambda text: None)
    with pytest.raises(InputError, match="only the demo scene"):
        with_generated(plain, DataOptions(generated="inconsistent"), lambda text: None)
    with pytest.raises(InputError, match="no such folder"):
        with_generated(plain, DataOptions(generated=str(tmp_path / "none")), lambda text: None)


def test_cameras_that_are_too_far_apart_for_warping_are_noticed() -> None:
    near, far = [camera_at(a) for a in (-0.2, 0.0, 0.2)], [camera_at(a) for a in (0.0, 0.2, 1.5)]
    assert widest_gap(near) == pytest.approx(np.degrees(0.2), rel=0.02)
    assert widest_gap(far) > TOO_FAR_APART
    assert widest_gap(near[:1]) == 0
