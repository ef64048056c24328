"""Depths to hold a scene to: alignment, sources, a network, COLMAP's points."""

import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from renderer.errors import InputError
from training.clip_targets import ClipTargets, chosen_source
from training.config import PRESETS, resolved
from training.data.dataset import Dataset, PointCloud
from training.data.procedural import procedural_dataset
from training.ddr_config import DepthConfig
from training.priors.depth_alignment import align_disparity, aligned_depth, visible_points
from training.priors.depth_targets import Network, depth_targets
from training.priors.simulated import midas_like


@pytest.fixture(scope="module")
def clip() -> Dataset:
    return procedural_dataset("small-motion", width=80, height=48, frames=8)


def relative(found: np.ndarray, true: np.ndarray) -> float:
    known = found > 0
    return float(np.median(np.abs(found - true)[known] / true[known]))


def test_scale_and_shift_are_found_in_spite_of_outliers() -> None:
    rng = np.random.default_rng(0)
    inverse = rng.uniform(0.1, 1, 200)
    disparity = (inverse - 0.07) / 0.4
    inverse[:30] = rng.uniform(0.1, 1, 30)
    found = align_disparity(disparity, 1 / inverse)
    assert found is not None and found.points == 200
    assert found.scale == pytest.approx(0.4, rel=0.01) and found.shift == pytest.approx(0.07, abs=0.005)


@pytest.mark.parametrize("case", ["few", "constant", "inverted"])
def test_what_cannot_be_aligned_is_not(case: str) -> None:
    depths = np.linspace(1, 5, 50)
    disparity = {"few": 1 / depths[:9], "constant": np.ones(50), "inverted": depths}[case]
    assert align_disparity(disparity, depths[: len(disparity)]) is None


def test_aligned_depths_stay_in_bounds() -> None:
    from training.priors.depth_alignment import Alignment

    disparity = np.array([[0.5, -3.0, 50.0, np.nan]])
    np.testing.assert_allclose(aligned_depth(disparity, Alignment(1, 0, 20), 0.5, 10), [[2, 10, 0.5, 0]])


def test_points_behind_others_are_hidden() -> None:
    clip = procedural_dataset("small-motion", width=80, height=48, frames=8)
    camera = clip.shots[0].camera
    pixels = np.array([[40.5, 24.5], [40.7, 24.6], [10.5, 10.5]])
    points = camera.unproject(pixels, np.array([2.0, 5.0, 4.0])).astype(np.float32)
    times = np.array([0, 0, 0.9], np.float32)
    seen, depths = visible_points(replace(clip, points=PointCloud(points, points * 0)), 0)
    assert sorted(depths.round(3).tolist()) == [2.0, 4.0]
    assert {tuple(p) for p in seen.tolist()} == {(40, 24), (10, 10)}
    _, at_start = visible_points(replace(clip, points=PointCloud(points, points * 0, times)), 0)
    assert at_start.round(3).tolist() == [2.0]


@pytest.mark.parametrize("with_points", [True, False])
def test_a_networks_disparity_becomes_depth(clip: Dataset, with_points: bool) -> None:
    if not with_points:  # flow needs pictures that are not so small
        clip = replace(procedural_dataset("small-motion", width=160, height=96, frames=24), points=None)
    targets = depth_targets(clip, "midas-like", seed=3)
    true = clip.depth(4)  # type: ignore[misc]
    assert relative(targets.read(4), true) < 0.06
    assert targets.disparity is not None
    np.testing.assert_array_equal(targets.disparity(4), midas_like(true, 3, 4))


def test_every_frames_simulated_disparity_has_its_own_scale_and_its_seed(clip: Dataset) -> None:
    true = clip.depth(0)  # type: ignore[misc]
    np.testing.assert_array_equal(midas_like(true, 1, 0), midas_like(true, 1, 0))
    assert np.abs(midas_like(true, 1, 0) - midas_like(true, 1, 1)).max() > 0.02
    assert np.corrcoef(midas_like(true, 1, 0).ravel(), (1 / true).ravel())[0, 1] > 0.97


def test_a_batch_needs_no_points(clip: Dataset) -> None:
    targets = depth_targets(replace(clip, points=None, posed=False), "midas-like", alignment="batch")
    depth = targets.read(2)
    assert (depth > 0).all()
    order = np.argsort(targets.disparity(2).ravel())  # type: ignore[misc]
    assert (np.diff(depth.ravel()[order]) <= 1e-6).all()


def test_a_frame_of_which_nothing_is_known_cannot_be_aligned(clip: Dataset) -> None:
    alone = replace(clip, points=None, shots=clip.shots[2:3])
    with pytest.raises(InputError, match=r"frame 2 cannot be brought to the scene's scale"):
        depth_targets(alone, "midas-like").read(0)


def test_a_clip_without_poses_gets_its_scale_from_the_disparities(clip: Dataset) -> None:
    """Every frame the same, whatever the network's scale and shift were."""
    unposed = replace(clip, points=None, posed=False, near=1.0, far=20.0)
    targets = depth_targets(unposed, "midas-like", seed=1)
    depths = [targets.read(i) for i in (0, 3, 6)]
    for depth in depths:
        assert depth.min() > 0.6 and depth.max() < 31
        assert np.median(1 / depth) == pytest.approx(0.5 * (1.5 + 1 / 30), rel=0.05)
        true = clip.depth(0)  # type: ignore[misc]
        assert np.corrcoef((1 / depth).ravel(), (1 / true).ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("kind", "inverted"), [("auto", False), ("auto", True), ("depth", True)])
def test_files_hold_disparity_or_depth(clip: Dataset, tmp_path: Path, kind: str, inverted: bool) -> None:
    first = clip.indices("train")
    for index in first:
        disparity = 0.3 / clip.depth(index) + 0.02  # type: ignore[misc]
        np.save(tmp_path / f"{clip.shots[index].frame:03d}.npy", 1 / disparity if inverted else disparity)
    train = replace(clip, shots=[clip.shots[i] for i in first], depth=None)
    targets = depth_targets(train, "files", tmp_path, network=Network(kind=kind))  # type: ignore[arg-type]
    assert relative(targets.read(3), clip.depth(first[3])) < 0.02  # type: ignore[misc]


def test_sources_that_are_not_there_get_a_sentence(clip: Dataset) -> None:
    bare = replace(clip, points=None, depth=None)
    for source, sentence in (
        ("truth", "and the demo scene"),
        ("points", "has no sparse points"),
        ("files", "give --depth.folder"),
    ):
        with pytest.raises(InputError, match=sentence):
            depth_targets(bare, source)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs known poses"):
        depth_targets(replace(bare, posed=False), "flow")


def test_the_first_source_that_there_is_is_taken(clip: Dataset, tmp_path: Path) -> None:
    auto = DepthConfig(source="auto")
    assert chosen_source(clip, auto)[0] == "midas-like"
    bare = replace(clip, depth=None, source=tmp_path)
    assert chosen_source(bare, auto)[0] == "points"
    assert chosen_source(replace(bare, points=None), auto)[0] == "flow"
    (tmp_path / "disp").mkdir()
    assert chosen_source(bare, auto) == ("files", tmp_path / "disp")
    with pytest.raises(InputError, match=r"no depth is known, and without poses none can be found"):
        chosen_source(replace(clip, depth=None, points=None, posed=False, source=tmp_path / "away"), auto)
    with pytest.raises(InputError, match=r"--depth\.source none"):
        chosen_source(clip, DepthConfig())


def test_known_depth_is_the_target_or_else_the_clips_own(clip: Dataset) -> None:
    config = resolved(replace(PRESETS["ddr"], steps=10), "cpu")
    asked = ClipTargets(clip, config, depths=True)
    np.testing.assert_array_equal(asked.known_depth(2, 80, 48), asked.source.read(2))  # type: ignore[union-attr]
    own = ClipTargets(clip, config, depths=False).known_depth(2, 40, 24)
    assert own is not None and own.shape == (24, 40)
    assert ClipTargets(replace(clip, depth=None), config, depths=False).known_depth(2, 80, 48) is None


# ------------------------------------------------------------------------------------------------- network


def test_a_model_runs_through_transformers_where_it_is_cached(clip: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        @staticmethod
        def from_pretrained(name: str, local_files_only: bool) -> "Fake":
            assert local_files_only
            if name != "there":
                raise OSError("not in the cache\nmore")
            return Fake()

        def eval(self) -> "Fake":
            return self

        def __call__(self, images: np.ndarray | None = None, **values: torch.Tensor) -> object:
            if images is not None:
                return {"pixel_values": torch.from_numpy(images).float().mean(2)[None]}
            grey = values["pixel_values"][:, ::2, ::2]
            return types.SimpleNamespace(predicted_depth=0.5 + grey / 255)

    module = types.SimpleNamespace(AutoImageProcessor=Fake, AutoModelForDepthEstimation=Fake)
    monkeypatch.setitem(sys.modules, "transformers", module)  # type: ignore[arg-type]
    targets = depth_targets(clip, "model", alignment="batch", network=Network("there", "disparity"))
    assert targets.disparity is not None and targets.disparity(1).shape == (48, 80)
    grey = clip.read(1).astype(np.float32).mean(2)
    assert np.corrcoef(targets.disparity(1).ravel(), grey.ravel())[0, 1] > 0.8
    with pytest.raises(InputError, match=r"away: its weights are not on this machine \(not in the cache\)"):
        depth_targets(clip, "model", network=Network("away"))
    monkeypatch.setitem(sys.modules, "transformers", None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"pip install 'dynview\[depth\]'"):
        depth_targets(clip, "model")
