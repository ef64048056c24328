"""A folder of pictures without poses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import cli
from renderer.errors import InputError
from tests.test_loading import write_images
from training.checkpoint import checkpoint_folders
from training.data.loading import DataOptions, open_dataset
from training.run import described

OPTIONS = DataOptions(poses="identity", fov=60.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(6):
        Image.fromarray(np.full((30, 40, 3), 40 * k, np.uint8)).save(tmp_path / f"{k:03d}.png")
    return tmp_path


@pytest.mark.parametrize("place", [".", "images"])
def test_pictures_are_read_in_order_and_all_cameras_are_alike(folder: Path, place: str) -> None:
    if place != ".":
        (folder / place).mkdir()
        for file in sorted(folder.glob("*.png")):
            file.rename(folder / place / file.name)
    clip = open_dataset(str(folder), OPTIONS, lambda text: None)
    assert not clip.posed
    assert [int(clip.read(i).mean()) for i in range(6)] == [0, 40, 80, 120, 160, 200]
    assert [s.time for s in clip.shots] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    camera = clip.shots[0].camera
    assert all(s.camera == camera for s in clip.shots)
    np.testing.assert_array_equal(camera.world_to_camera, np.eye(4))
    assert 2 * np.degrees(np.arctan(20 / camera.fx)) == pytest.approx(60)


def test_pictures_of_two_sizes_are_refused_by_name(folder: Path) -> None:
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(folder / "003.png")
    with pytest.raises(InputError, match=r"003\.png"):
        open_dataset(str(folder), OPTIONS, lambda text: None)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        open_dataset(str(tmp_path), OPTIONS, lambda text: None)


@pytest.mark.parametrize("depths", [False, True])
def test_without_poses_and_depths_training_goes_without_depth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depths: bool
) -> None:
    write_images(tmp_path / "clip", 6)
    if depths:
        (tmp_path / "clip" / "disp").mkdir()
        for k in range(6):
            np.save(tmp_path / "clip" / "disp" / f"{k:03d}.npy", np.random.default_rng(k).uniform(1, 2, (24, 32)))
    command = ["train", str(tmp_path / "clip"), "--method", "ddr", "--data.poses", "identity", "--steps", "1",
               "--data.megapixels", "0.001", "--field.rays", "16", "--device", "cpu", "--out",
               str(tmp_path / "run")]  # fmt: skip
    cli.parse(command)()
    assert ("no depth is known, and without poses none can be found" in capsys.readouterr().err) != depths
    config = described(tmp_path / "run")[1]
    assert (config.ddr.weight > 0, config.ddr.empty > 0) == (depths, depths) and config.data.poses == "identity"
    cli.parse([*command, "--steps", "2", "--resume"])()
    assert [f.name for f in checkpoint_folders(tmp_path / "run")][-1] == "step-000002"
