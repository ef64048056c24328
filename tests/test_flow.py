"""Optical flow, from files and found, and what it says about motion and depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from renderer.errors import InputError
from tests.tiny import tiny_dataset
from training.data.dataset import Dataset
from training.data.procedural import ProceduralScene, procedural_dataset
from training.priors.flow import cached_flow, consistent, consistent_flow, dis_flow
from training.priors.flow_files import MAGIC, flow_from_files, read_flow, resized
from training.priors.motion_masks import moving_pixels
from training.priors.triangulation import triangulated_depth
from training.priors.two_view import epipolar_miss, fundamental_matrix, pixel_centres, rigid_flow, segment_miss


@pytest.fixture(scope="module")
def small_motion() -> Dataset:
    return procedural_dataset("small-motion", width=160, height=96, frames=24)


@pytest.fixture(scope="module")
def scene() -> ProceduralScene:
    return ProceduralScene.from_recipe()


def test_flow_of_a_shifted_picture_is_the_shift() -> None:
    rng = np.random.default_rng(0)
    import cv2

    wide = cv2.GaussianBlur(rng.uniform(0, 255, (60, 90, 3)).astype(np.float32), (0, 0), 2.0)
    wide = ((wide - wide.min()) / np.ptp(wide) * 255).astype(np.uint8)
    flow = dis_flow(wide[5:55, 5:75], wide[3:53, 8:78])  # the content moves by (-3, +2)
    np.testing.assert_allclose(np.median(flow.reshape(-1, 2), axis=0), [-3, 2], atol=0.1)


def test_only_flow_that_leads_back_is_trusted() -> None:
    there = np.zeros((20, 30, 2), np.float32)
    there[..., 0] = 4
    back = -there
    back[:, 15:] += 3
    trusted = consistent(there, back)
    assert trusted[:, :10].all() and not trusted[:, 12:].any()
    assert not consistent(np.full_like(there, np.nan), back).any()


def test_found_flow_is_near_the_true_one(small_motion: Dataset, scene: ProceduralScene) -> None:
    a, b = small_motion.shots[5], small_motion.shots[6]
    true, visible = scene.flow(a.camera, a.time, b.time, b.camera)
    flow, trusted = consistent_flow(small_motion, 5, 6)
    error = np.linalg.norm(flow - true, axis=2)[trusted & visible]
    assert trusted.mean() > 0.7
    assert np.median(error) < 0.3


def test_what_moves_is_found_and_what_stands_still_is_not(small_motion: Dataset, scene: ProceduralScene) -> None:
    """Intersection over union with the truth; measured 0.39 over frames 5, 12 and 18: flow smears small movers."""
    flow, overlaps, wrong = cached_flow(small_motion), [], []
    for index in (5, 12, 18):
        shot = small_motion.shots[index]
        true, found = scene.render(shot.camera, shot.time).moving, moving_pixels(small_motion, index, flow)
        overlaps.append((true & found).sum() / (true | found).sum())
        without_poses = moving_pixels(replace(small_motion, posed=False), index, flow)
        wrong += [(found & ~true).mean(), (without_poses & ~true).mean()]
    assert np.mean(overlaps) > 0.3
    assert max(wrong) < 0.1


def test_depth_of_what_stands_still_is_triangulated(small_motion: Dataset, scene: ProceduralScene) -> None:
    errors, wrong = [], []
    for index in (5, 12):
        depth, known = triangulated_depth(small_motion, index)
        true, shot = small_motion.depth(index), small_motion.shots[index]  # type: ignore[misc]
        assert known.mean() > 0.15
        assert ((depth > 0) == known).all()
        errors.append(np.median(np.abs(depth - true)[known] / true[known]))
        wrong.append((scene.render(shot.camera, shot.time).moving & known).sum() / known.sum())
    assert np.mean(errors) < 0.035
    assert np.mean(wrong) < 0.08  # what moves is left out


def test_the_geometry_of_two_views_agrees_with_projection(small_motion: Dataset) -> None:
    a, b = small_motion.shots[0].camera, small_motion.shots[20].camera
    depth = small_motion.depth(0)  # type: ignore[misc]
    pixels = pixel_centres(*depth.shape)
    flow = rigid_flow(a, b, depth)
    there, z = b.project(a.unproject(pixels.reshape(-1, 2), depth.reshape(-1).astype(float)))
    np.testing.assert_allclose((pixels + flow).reshape(-1, 2), there, atol=1e-6)
    assert (z > 0).all()
    F, bounds = fundamental_matrix(a, b), (small_motion.near / 1.2, small_motion.far * 1.2)
    assert np.abs(epipolar_miss(F, pixels, pixels + flow)).max() < 1e-6
    assert np.abs(segment_miss(a, b, pixels, pixels + flow, *bounds)).max() < 1e-6
    off = flow + np.array([0.0, 3.0])
    for miss in (epipolar_miss(F, pixels, pixels + off), segment_miss(a, b, pixels, pixels + off, *bounds)):
        assert np.median(np.linalg.norm(miss, axis=-1)) > 1


# ---------------------------------------------------------------------------------------------------- files


def one_camera(source: Path) -> Dataset:
    whole = tiny_dataset(frames=4, width=8, height=6)
    return replace(whole, shots=[s for s in whole.shots if s.camera_name == "left"], source=source)


def flo(flow: np.ndarray) -> bytes:
    h, w = flow.shape[:2]
    return np.float32(MAGIC).tobytes() + np.array([w, h], "<i4").tobytes() + flow.astype("<f4").tobytes()


@pytest.mark.parametrize("kind", ["npz", "npy", "flo"])
def test_files_as_raft_and_nsff_write_them(tmp_path: Path, kind: str) -> None:
    (tmp_path / "flow_i1").mkdir()
    rng = np.random.default_rng(0)
    flow, mask = rng.normal(size=(6, 8, 2)).astype(np.float32), rng.uniform(size=(6, 8)) > 0.5
    path = tmp_path / "flow_i1" / f"00001_fwd.{kind}"
    if kind == "npz":
        np.savez(path, flow=flow, mask=mask)
    elif kind == "npy":
        np.save(path, flow.transpose(2, 0, 1))
    else:
        path.write_bytes(flo(flow))
    dataset = one_camera(tmp_path)
    found = flow_from_files(dataset, 1, 2)
    assert found is not None
    np.testing.assert_allclose(found[0], flow)
    if kind == "npz":
        assert found[1] is not None
        np.testing.assert_array_equal(found[1], mask)
        np.testing.assert_array_equal(consistent_flow(dataset, 1, 2)[1], mask)
    else:
        assert found[1] is None
    assert flow_from_files(dataset, 2, 1) is None and flow_from_files(dataset, 1, 3) is None


def test_vectors_grow_with_the_picture() -> None:
    flow = np.ones((6, 8, 2), np.float32)
    large, mask = resized(flow, np.ones((6, 8), np.bool_), 16, 18)
    assert large.shape == (18, 16, 2)
    np.testing.assert_allclose(large, np.broadcast_to([2.0, 3.0], large.shape))
    assert mask is not None and mask.all()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.flo", b"PIEH" + bytes(20), "bytes for"),
        ("a.flo", b"abc", "not a Middlebury"),
        ("a.npz", b"PK", "cannot be read as optical flow"),
        ("a.npy", b"", "cannot be read as optical flow"),
    ],
)
def test_damaged_flow_gets_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_flow(tmp_path / name)
    assert name in str(caught.value)
