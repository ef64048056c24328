"""Cameras for other programs: what they read is where the cameras are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from app.exports.cameras import first_cameras, named_cameras, scene_points, write_cameras
from app.exports.plans import CameraExport
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files import colmap_cameras, complete
from renderer.files.cameras import NamedCamera
from renderer.files.colmap_cameras import write_colmap
from renderer.files.transforms import write_transforms
from tests.tiny import camera_at, random_gaussians, tiny_dataset
from training.data.colmap_model import read_model
from training.data.dataset import Shot


def cameras(count: int = 5) -> list[NamedCamera]:
    """Off-centre lenses of two kinds, one after another."""
    lens = {0: (52.0, 47.0, 19.25, 16.5), 1: (61.0, 61.0, 20.0, 15.0)}
    return [
        NamedCamera(f"c{k}", Camera(camera_at(0.3 * k - 2).world_to_camera, *lens[k % 2], 40, 30), k / (count - 1),
                    f"c{k}.png")
        for k in range(count)
    ]  # fmt: skip


def test_colmap_reads_the_cameras_where_they_are(tmp_path: Path) -> None:
    """Through the reader of clips, which knows nothing of the writer."""
    written = cameras()
    write_colmap(tmp_path / "model", written)
    model = read_model(tmp_path / "model" / "sparse" / "0")
    assert model.names == [c.picture for c in written]
    assert len(model.cameras) == 2
    for k, named in enumerate(written):
        np.testing.assert_allclose(model.world_to_camera[k], named.camera.world_to_camera, atol=1e-12)
        lens = model.cameras[model.camera_ids[k]]
        assert (lens.model, lens.distortion) == ("PINHOLE", 0)
        assert (lens.fx, lens.fy, lens.cx, lens.cy) == tuple(getattr(named.camera, n) for n in ("fx", "fy", "cx", "cy"))
        assert (lens.width, lens.height) == (40, 30)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert [p.name for p in (tmp_path / "model" / "sparse").iterdir()] == ["0"]


def test_colmap_points_keep_place_and_colour(tmp_path: Path) -> None:
    points, colors = np.array([[1.5, -2.25, 3], [1e-3, 0, 7]]), np.array([[1, 0.5, 0], [0.2, 0.4, 2.0]])
    write_colmap(tmp_path, cameras(), points, colors)
    lines = (tmp_path / "sparse" / "0" / "points3D.txt").read_text().splitlines()[1:]
    rows = np.array([[float(v) for v in line.split()] for line in lines])
    np.testing.assert_allclose(rows[:, 1:4], points)
    np.testing.assert_array_equal(rows[:, 4:7], [[255, 128, 0], [51, 102, 255]])
    assert rows[:, 0].tolist() == [1, 2]


def test_transforms_are_camera_to_world_with_opengl_axes(tmp_path: Path) -> None:
    """By hand: x right, y up, and looking along -z."""
    written = cameras()
    write_transforms(tmp_path / "new" / "transforms.json", written)
    told = json.loads((tmp_path / "new" / "transforms.json").read_text())
    assert told["camera_model"] == "OPENCV"
    for frame, named in zip(told["frames"], written, strict=True):
        c, pose = named.camera, np.array(frame["transform_matrix"])
        np.testing.assert_allclose(pose[:3, 3], c.center)
        right, up, back = pose[:3, :3].T
        ahead = c.unproject(np.array([[c.cx, c.cy]]), np.array([1.0]))[0] - c.center
        np.testing.assert_allclose(-back, ahead, atol=1e-12)
        pixel, _ = c.project((c.center + ahead + 0.1 * right + 0.2 * up)[None])
        np.testing.assert_allclose(pixel[0], [c.cx + 0.1 * c.fx, c.cy - 0.2 * c.fy])
        assert (frame["w"], frame["h"], frame["time"], frame["file_path"]) == (40, 30, named.time, named.picture)
        assert (frame["fl_x"], frame["fl_y"], frame["cx"], frame["cy"]) == (c.fx, c.fy, c.cx, c.cy)


def test_another_model_is_never_written_over(tmp_path: Path) -> None:
    write_colmap(tmp_path, cameras(3))
    write_colmap(tmp_path, cameras(4))
    sparse = tmp_path / "sparse" / "0"
    assert len(read_model(sparse).names) == 4
    (sparse / "images.bin").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds other files \(images\.bin\)"):
        write_colmap(tmp_path, cameras(5))
    assert len((sparse / "images.txt").read_text().splitlines()) == 1 + 2 * 4


@pytest.mark.parametrize("kind", ["colmap", "transforms"])
def test_nothing_is_left_when_what_is_on_the_disk_is_something_else(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "colmap":
        monkeypatch.setattr(colmap_cameras, "_holds", lambda folder, named: False)
    else:
        put = Path.write_bytes
        monkeypatch.setattr(
            Path, "write_bytes", lambda path, data: put(path, data.replace(b'"frames"', b'"frames":[],"x"'))
        )
    path = tmp_path / ("m" if kind == "colmap" else "t.json")
    with pytest.raises(InputError, match="does not hold what was written"):
        (write_colmap if kind == "colmap" else write_transforms)(path, cameras())
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_the_check_sees_a_turned_camera_and_a_missing_one(tmp_path: Path) -> None:
    written = cameras()
    write_colmap(tmp_path, written)
    folder = tmp_path / "sparse" / "0"
    assert colmap_cameras._holds(folder, written)
    assert not colmap_cameras._holds(folder, written[:-1])
    turned = replace(written[2], camera=written[2].camera.moved(camera_at(1.401).world_to_camera))
    assert not colmap_cameras._holds(folder, [*written[:2], turned, *written[3:]])


def test_every_shot_has_a_picture_of_its_own_name(tmp_path: Path) -> None:
    clip = tiny_dataset()
    assert [c.picture for c in named_cameras(clip)][3:5] == ["left_00004.png", "middle_00001.png"]
    one = replace(clip, shots=clip.shots[:4])
    assert [c.picture for c in named_cameras(one)] == [f"0000{k}.png" for k in (1, 2, 3, 4)]
    alike = [Shot(name, clip.shots[0].camera, 0.0, 0) for name in ("a b", "a_b")]
    assert len({c.picture for c in named_cameras(replace(clip, shots=alike))}) == 2


def test_viewers_begin_in_the_middle_of_the_cameras() -> None:
    clip = tiny_dataset()
    shots = [replace(s, camera=camera_at(0.01), split="train") if s.camera_name == "middle" else s for s in clip.shots]
    first = first_cameras(replace(clip, shots=shots))
    assert [c.name for c in first] == ["middle", "left", "right"]
    many = [Shot("hand", camera_at(0.01 * k), k / 39, k) for k in range(40)]
    assert len(first_cameras(replace(clip, shots=many))) == 10


@pytest.mark.parametrize("kind", ["colmap", "transforms"])
def test_pictures_lie_where_the_cameras_say(tmp_path: Path, kind: str) -> None:
    clip, scene = tiny_dataset(), random_gaussians(30)
    job = CameraExport(tmp_path / ("m" if kind == "colmap" else "m/t.json"), kind)  # type: ignore[arg-type]
    steps = list(write_cameras(clip, scene, job, pictures=True))
    assert [done for done, _, _ in steps] == list(range(1, 14)) and {total for _, total, _ in steps} == {13}
    if kind == "colmap":
        model = read_model(tmp_path / "m" / "sparse" / "0")
        files = {name: tmp_path / "m" / "images" / name for name in model.names}
        poses = dict(zip(model.names, model.world_to_camera, strict=True))
        index = 5
        path = files[named_cameras(clip)[index].picture]
        np.testing.assert_allclose(poses[path.name], clip.shots[index].camera.world_to_camera, atol=1e-12)
    else:
        frames = json.loads((tmp_path / "m" / "t.json").read_text())["frames"]
        index = 6
        path = tmp_path / "m" / frames[index]["file_path"]
        assert frames[index]["time"] == clip.shots[index].time
    np.testing.assert_array_equal(iio.imread(path), clip.read(index))


def own_file(path: Path, text: bytes = b"mine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("agreed", [False, True])
def test_pictures_of_other_names_are_never_removed(tmp_path: Path, agreed: bool) -> None:
    mine = own_file(tmp_path / "images" / "frame_00001.png")
    job = CameraExport(tmp_path / "transforms.json", "transforms")
    with pytest.raises(InputError, match=r"images: holds other files \(frame_00001\.png\)"):
        list(write_cameras(tiny_dataset(), random_gaussians(30), job, pictures=True, agreed=agreed))
    assert mine.read_bytes() == b"mine" and not job.path.exists()


@pytest.mark.parametrize("kind", ["colmap", "transforms"])
def test_other_pictures_are_replaced_only_where_somebody_agreed(tmp_path: Path, kind: str) -> None:
    clip, scene = tiny_dataset(), random_gaussians(30)
    job = CameraExport(tmp_path if kind == "colmap" else tmp_path / "t.json", kind)  # type: ignore[arg-type]
    mine = own_file(tmp_path / "images" / "middle_00002.png")
    with pytest.raises(InputError, match=r"images: holds another middle_00002\.png; choose a new"):
        list(write_cameras(clip, scene, job, pictures=True))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine] and mine.read_bytes() == b"mine"
    list(write_cameras(clip, scene, job, pictures=True, agreed=True))
    np.testing.assert_array_equal(iio.imread(mine), clip.read(5))
    list(write_cameras(clip, scene, job, pictures=True))  # again: nothing is lost by that


@pytest.mark.parametrize("name", ["cameras.txt", "points3D.txt"])
def test_a_model_of_another_program_is_replaced_only_where_somebody_agreed(tmp_path: Path, name: str) -> None:
    mine = own_file(tmp_path / "sparse" / "0" / name, b"# Camera list with one line of data per camera:\n")
    job = CameraExport(tmp_path)
    with pytest.raises(InputError, match="0: holds a model that dynview has not written; choose a new"):
        list(write_cameras(tiny_dataset(), random_gaussians(30), job))
    assert mine.read_bytes().startswith(b"# Camera list")
    list(write_cameras(tiny_dataset(), random_gaussians(30), job, agreed=True))
    list(write_cameras(tiny_dataset(), random_gaussians(30), job))
    assert len(read_model(mine.parent).names) == 12


def test_a_cancelled_export_of_cameras_leaves_nothing(tmp_path: Path) -> None:
    job = write_cameras(tiny_dataset(), random_gaussians(30), CameraExport(tmp_path / "m"), pictures=True)
    next(job)
    next(job)
    job.close()  # type: ignore[attr-defined]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_solid_gaussians_are_the_points_of_the_scene() -> None:
    scene = random_gaussians(30)
    points, colors = scene_points(scene, tiny_dataset())
    solid = scene.opacities[:, 0] > 0
    np.testing.assert_array_equal(points, scene.positions[solid].numpy())
    assert colors.min() >= 0 and colors.max() <= 1 and len(colors) == int(solid.sum())


@pytest.mark.parametrize(("kind", "name"), [("transforms", "t.txt"), ("colmap", "file")])
def test_a_name_that_does_not_fit_gets_a_sentence(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    job = CameraExport(tmp_path / name, kind)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"end its name in \.json|where a folder is to be made"):
        next(write_cameras(tiny_dataset(), random_gaussians(3), job))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_swapped_keeps_what_it_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_colmap(tmp_path, cameras(3))
    replace_ = complete.os.replace

    def failing(source: Path, target: Path) -> None:
        if str(source).endswith(".partial"):
            raise OSError(28, "No space left on device")
        replace_(source, target)

    monkeypatch.setattr(complete.os, "replace", failing)
    with pytest.raises(InputError, match="No space left"):
        write_colmap(tmp_path, cameras(5))
    assert len(read_model(tmp_path / "sparse" / "0").names) == 3
    assert [p.name for p in (tmp_path / "sparse").iterdir()] == ["0"]
