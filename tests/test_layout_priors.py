"""Depths and flow that packagers leave beside a clip of which other cameras' pictures are measured."""

from pathlib import Path

import numpy as np

from tests import test_layout_dynamicnerf, test_layout_nsff, test_layout_sparsecam4d_scene
from tests.field_folders import FRAMES, FULL, HEIGHT, WIDTH, shot_index
from training.data.dataset import Dataset
from training.data.loading import open_dataset
from training.priors.depth_files import depth_files
from training.priors.depth_targets import depth_targets
from training.priors.flow_files import flow_from_files


def assert_flow_is_found(dataset: Dataset, folder: Path, name: str) -> None:
    folder.mkdir()
    flow = np.full((HEIGHT, WIDTH, 2), 2.0, np.float32)
    np.savez(folder / name, flow=flow, mask=np.ones((HEIGHT, WIDTH), bool))
    a, b = shot_index(dataset, "camera", 1), shot_index(dataset, "camera", 2)
    found = flow_from_files(dataset, a, b)
    assert found is not None and (found[0] == 2).all() and found[1] is not None
    assert flow_from_files(dataset, b, a) is None  # there is no file of it
    measured = [i for i, s in enumerate(dataset.shots) if s.camera_name == "cam01"][:2]
    assert flow_from_files(dataset, *measured) is None


def test_disparity_is_of_the_clip_and_unknown_of_the_measured_cameras(tmp_path: Path) -> None:
    test_layout_nsff.write_clip(tmp_path)
    (tmp_path / "disp").mkdir()
    for t in range(FRAMES):
        np.save(tmp_path / "disp" / f"{t:05d}.npy", np.full((HEIGHT, WIDTH), 1.0 + t, np.float32))
    dataset = open_dataset(tmp_path, FULL)
    read = depth_files(tmp_path / "disp", dataset)
    for t in range(FRAMES):
        np.testing.assert_allclose(read(shot_index(dataset, "camera", t)), 1.0 + t)
    assert np.isnan(read(shot_index(dataset, "cam03", 1))).all()
    targets = depth_targets(dataset, "files", tmp_path / "disp", "batch")
    assert np.isnan(targets.read(shot_index(dataset, "cam03", 1))).all()


def test_flow_is_found_in_both_packagings(tmp_path: Path) -> None:
    nsff = test_layout_nsff.write_clip(tmp_path / "a")
    assert_flow_is_found(open_dataset(nsff, FULL), nsff / "flow_i1", "00001_fwd.npz")
    dynamicnerf = test_layout_dynamicnerf.write_truth(test_layout_dynamicnerf.write_clip(tmp_path / "b"))
    assert_flow_is_found(open_dataset(dynamicnerf, FULL), dynamicnerf / "flow", "001_fwd.npz")


def test_depths_of_the_cameras_that_are_learned_from_are_enough(tmp_path: Path) -> None:
    test_layout_sparsecam4d_scene.write_packaged(tmp_path)
    for name in test_layout_sparsecam4d_scene.LEARNED:
        (tmp_path / "depth" / name).mkdir(parents=True)
        for t in range(FRAMES):
            depth = np.full((HEIGHT, WIDTH), 2.0 + t, np.float32)
            np.save(tmp_path / "depth" / name / f"{name}_{t:04d}_depth.npy", depth)
    dataset = open_dataset(tmp_path, FULL)
    read = depth_files(tmp_path / "depth", dataset)
    np.testing.assert_allclose(read(shot_index(dataset, "cam06", 3)), 5.0)
    assert np.isnan(read(shot_index(dataset, "cam05", 3))).all()
