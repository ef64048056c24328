"""A folder of pictures without poses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.errors import InputError
from training.data.loading import DataOptions, open_dataset

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
