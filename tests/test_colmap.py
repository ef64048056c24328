"""COLMAP's models, written by hand in both forms: as sparse points beside a clip, and as the clip's own cameras."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from renderer.errors import InputError
from training.data.colmap_model import read_model
from training.data.dataset import Dataset
from training.data.loading import DataOptions, open_dataset
from training.data.procedural import procedural_dataset
from training.priors.colmap_points import points_beside


@pytest.fixture(scope="module")
def clip() -> Dataset:
    """The training pictures of a hand-held camera."""
    whole = procedural_dataset("small-motion", width=80, height=48, frames=8)
    train = whole.indices("train")
    return replace(whole, shots=[whole.shots[i] for i in train], read=lambda k: whole.read(train[k]))


def elsewhere(clip: Dataset) -> tuple[np.ndarray, list[np.ndarray]]:
    """The clip's points and poses in another world: x -> R^T (x - shift) / scale."""
    rng, scale = np.random.default_rng(0), 2.5
    R, shift = Rotation.random(random_state=1).as_matrix(), rng.normal(size=3)
    points = (clip.points.points.astype(np.float64)[::20] - shift) @ R / scale  # type: ignore[union-attr]
    poses = []
    for shot in clip.shots:
        pose, own = np.eye(4), shot.camera.world_to_camera
        pose[:3, :3] = own[:3, :3] @ R
        pose[:3, 3] = (own[:3, :3] @ shift + own[:3, 3]) / scale
        poses.append(pose)
    return points, poses


def numbers(pose: np.ndarray) -> list[float]:
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return [w, x, y, z, *pose[:3, 3]]


PINHOLE = (1, "PINHOLE", (90.0, 91.0, 40.5, 24.25))


def write_model(folder: Path, points: np.ndarray, poses: list[np.ndarray], binary: bool, camera=PINHOLE) -> None:  # type: ignore[no-untyped-def]
    """Of pictures 0000.png, 0001.png ..., 80x48."""
    folder.mkdir(parents=True, exist_ok=True)
    model, name, parameters = camera
    if not binary:
        values = " ".join(str(p) for p in parameters)
        (folder / "cameras.txt").write_text(f"# cameras\n7 {name} 80 48 {values}\n")
        lines = ["# images"]
        for k, pose in enumerate(poses):
            lines += [f"{k + 1} {' '.join(f'{v:.15g}' for v in numbers(pose))} 7 {k:04d}.png", "1.0 2.0 -1"]
        (folder / "images.txt").write_text("\n".join(lines) + "\n")
        rows = [f"{k} {p[0]:.15g} {p[1]:.15g} {p[2]:.15g} 255 128 0 0.4 1 0 2 0 3 0" for k, p in enumerate(points)]
        (folder / "points3D.txt").write_text("\n".join(["# points", *rows]) + "\n")
        return
    data = struct.pack("<Q", 1) + struct.pack(f"<iiQQ{len(parameters)}d", 7, model, 80, 48, *parameters)
    (folder / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(poses))
    for k, pose in enumerate(poses):
        data += struct.pack("<i7di", k + 1, *numbers(pose), 7) + f"{k:04d}.png".encode() + b"\0"
        data += struct.pack("<Q", 2) + struct.pack("<ddq", 1.0, 2.0, -1) * 2
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(points))
    for k, p in enumerate(points):
        data += struct.pack("<Q3d3Bd", k, *p, 255, 128, 0, 0.4) + struct.pack("<Q", 3) + struct.pack("<ii", 1, 0) * 3
    (folder / "points3D.bin").write_bytes(data)


def write_pictures(folder: Path, clip: Dataset) -> None:
    (folder / "images").mkdir(parents=True)
    for k in range(len(clip.shots)):
        Image.fromarray(clip.read(k)).save(folder / "images" / f"{k:04d}.png")


def opened(folder: Path) -> Dataset:
    return open_dataset(str(folder), DataOptions(), lambda text: None)


@pytest.mark.parametrize("binary", [True, False])
def test_points_are_brought_to_the_world_of_a_clip_with_poses_of_its_own(
    clip: Dataset, tmp_path: Path, binary: bool
) -> None:
    points, poses = elsewhere(clip)
    write_model(tmp_path / "sparse" / "0", points, poses, binary)
    found = points_beside(replace(clip, points=None, source=tmp_path))
    assert found is not None
    np.testing.assert_allclose(found.points, clip.points.points[::20], atol=2e-3)  # type: ignore[union-attr]
    np.testing.assert_allclose(found.colors[0], [1, 128 / 255, 0], atol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_a_clip_takes_its_cameras_from_the_model(clip: Dataset, tmp_path: Path, binary: bool) -> None:
    """Against a projection by hand: u = fx x / z + cx."""
    points, poses = elsewhere(clip)
    write_model(tmp_path / "sparse", points, poses, binary)
    write_pictures(tmp_path, clip)
    found = opened(tmp_path)
    assert [s.split for s in found.shots] == ["train"] * 7 + ["test"]
    np.testing.assert_array_equal(found.read(3), clip.read(3))
    camera, x = found.shots[3].camera, points[5]
    local = poses[3][:3, :3] @ x + poses[3][:3, 3]
    pixel, depth = camera.project(x[None])
    np.testing.assert_allclose(pixel[0], [90 * local[0] / local[2] + 40.5, 91 * local[1] / local[2] + 24.25], atol=1e-6)
    assert depth[0] == pytest.approx(local[2])
    assert found.near < local[2] < found.far
    assert found.points is not None and len(found.points.points) == len(points)


def test_a_lens_a_missing_picture_and_a_model_without_points_are_refused(clip: Dataset, tmp_path: Path) -> None:
    points, poses = elsewhere(clip)
    write_pictures(tmp_path, clip)
    sparse = tmp_path / "sparse"
    write_model(sparse, points, poses, True, (2, "SIMPLE_RADIAL", (90.0, 40.0, 24.0, 0.1)))
    with pytest.raises(InputError, match="lens of SIMPLE_RADIAL bends straight lines; undistort"):
        opened(tmp_path)
    write_model(sparse, points, poses, True, (2, "SIMPLE_RADIAL", (90.0, 40.0, 24.0, 0.0)))
    assert opened(tmp_path).shots[0].camera.fy == 90
    write_model(sparse, points, poses[:-2], True)
    with pytest.raises(InputError, match=r"no pose of 2 of 8 pictures, 0006\.png the first"):
        opened(tmp_path)
    write_model(sparse, points[:3], poses, True)
    with pytest.raises(InputError, match="holds 3 good points"):
        opened(tmp_path)


def test_a_model_of_other_cameras_is_refused(clip: Dataset, tmp_path: Path) -> None:
    points, poses = elsewhere(clip)
    rng = np.random.default_rng(2)
    for pose in poses:
        pose[:3, 3] += rng.normal(size=3)
    write_model(tmp_path / "sparse", points, poses, True)
    with pytest.raises(InputError, match="its cameras are not those of the clip"):
        points_beside(replace(clip, points=None, source=tmp_path))


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_damaged_files_get_a_sentence_with_their_name(clip: Dataset, tmp_path: Path, name: str) -> None:
    points, poses = elsewhere(clip)
    write_model(tmp_path, points, poses, True)
    path = tmp_path / f"{name}.bin"
    whole = path.read_bytes()
    for cut in (3, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=rf"{name}\.bin: is damaged"):
            read_model(tmp_path)
    path.write_bytes(struct.pack("<Q", 1 << 60) + whole[8:])
    with pytest.raises(InputError, match=rf"{name}\.bin: is damaged"):
        read_model(tmp_path)
    write_model(tmp_path / "text", points, poses, False)
    (tmp_path / "text" / f"{name}.txt").write_text("1 nonsense\n\n")
    with pytest.raises(InputError, match=rf"{name}\.txt: is damaged"):
        read_model(tmp_path / "text")


def test_an_unknown_camera_model_is_named(clip: Dataset, tmp_path: Path) -> None:
    points, poses = elsewhere(clip)
    write_model(tmp_path, points, poses, False, (5, "FISHEYE", (90.0,)))
    with pytest.raises(InputError, match="the camera model FISHEYE is not understood"):
        read_model(tmp_path)
