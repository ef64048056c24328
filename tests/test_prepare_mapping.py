"""Cameras by mapping: pictures of a room whose cameras and lens are known, and pictures that tell nothing."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderer.camera import Camera
from renderer.errors import InputError
from tests.textured_room import path_of_cameras, picture, write_picture
from training.alignment import pose_errors
from training.data.colmap_model import read_model
from training.data.images import read_image
from training.data.loading import DataOptions, open_dataset
from training.prepare import mapping_features
from training.prepare.mapping import MappedCameras, MappingFailed, MappingOptions, map_moving, map_static
from training.prepare.mapping_features import chosen_pairs
from training.prepare.mapping_types import Picture

pytest.importorskip("pycolmap")

OPTIONS = MappingOptions(max_features=800, threads=2)
FEW = MappingOptions(max_features=400, threads=2)


class CancelledError(Exception):
    """Raised by a report to stop the work."""


def written(folder: Path, cameras: list[Camera], radial: float = 0.0) -> list[Path]:
    folder.mkdir()
    return [write_picture(folder / f"{k:03d}.png", picture(c, radial)) for k, c in enumerate(cameras)]


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    return path_of_cameras(7, 0.9)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, cameras: list[Camera]) -> list[Path]:
    """The room through a straight lens."""
    return written(tmp_path_factory.mktemp("room") / "frames", cameras)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory, room: list[Path]) -> tuple[MappedCameras, Path, list[str]]:
    said: list[str] = []
    work = tmp_path_factory.mktemp("work")
    return map_moving(room, None, work, OPTIONS, said.append), work, said


def errors(found: MappedCameras, truth: list[Camera]) -> tuple[float, float]:
    """Largest turn in degrees, and largest distance as a share of the cameras' spread."""
    turn, miss = pose_errors([found.cameras[n] for n in found.names], truth).max(0)
    centers = np.stack([c.center for c in truth])
    return float(turn), float(miss / np.linalg.norm(centers - centers.mean(0), axis=1).mean())


def test_the_cameras_of_a_moving_clip_are_found(
    mapped: tuple[MappedCameras, Path, list[str]], cameras: list[Camera], room: list[Path]
) -> None:
    found, _, said = mapped
    assert found.names == tuple(p.name for p in room) and found.missing == ()
    turn, miss = errors(found, cameras)
    assert turn < 0.1 and miss < 0.01
    assert found.cameras["003.png"].fx == pytest.approx(300, rel=0.01)
    assert found.error < 0.2 and found.focal_error is not None and found.focal_error < 0.01
    assert (found.pictures / "003.png").read_bytes() == room[3].read_bytes()  # a straight lens leaves pictures alone
    assert said[0].startswith("Features of picture 1 of 7") and "7 of 7 pictures placed" in said[-1]


def test_points_lie_where_their_cameras_see_their_colours(
    mapped: tuple[MappedCameras, Path, list[str]], room: list[Path]
) -> None:
    found = mapped[0]
    assert len(found.points) == len(found.colors) == len(found.tracks) > 300
    seen_by_third = [n for n, track in enumerate(found.tracks) if 3 in track]
    pixels, depth = found.cameras["003.png"].project(found.points[seen_by_third])
    assert (depth > 0).all()
    shown = read_image(room[3])[pixels[:, 1].astype(int), pixels[:, 0].astype(int)] / 255
    assert np.median(np.abs(shown - found.colors[seen_by_third])) < 0.03


def test_the_result_opens_as_a_clip_with_colmap_cameras(mapped: tuple[MappedCameras, Path, list[str]]) -> None:
    found = mapped[0]
    model = read_model(found.pictures.parent / "sparse" / "0")
    assert model.names == list(found.names) and len(model.points) > 200
    np.testing.assert_allclose(model.world_to_camera[2], found.cameras["002.png"].world_to_camera, atol=1e-9)
    clip = open_dataset(found.pictures.parent, DataOptions(holdout=("none",)))
    assert clip.shots[2].camera.fx == pytest.approx(found.cameras["002.png"].fx)


def test_a_second_call_reads_what_the_first_one_found_and_other_options_do_not(
    mapped: tuple[MappedCameras, Path, list[str]], room: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, work, _ = mapped
    said: list[str] = []
    again = map_moving(room, None, work, OPTIONS, said.append)
    assert said == [] and again.names == found.names and again.tracks == found.tracks
    assert again.cameras == found.cameras
    np.testing.assert_array_equal(again.points, found.points)

    def stop(text: str) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        map_moving(room, None, work, FEW, stop)
    assert map_moving(room, None, work, OPTIONS, said.append).names == found.names and said == []


def test_mapping_is_stopped_anywhere_and_goes_on_from_there(
    mapped: tuple[MappedCameras, Path, list[str]], room: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the second batch of features, at the matches and while pictures are placed."""
    monkeypatch.setattr(mapping_features, "BLOCK", 8)

    def stopped_at(start: str) -> list[str]:
        said: list[str] = []

        def report(text: str) -> None:
            said.append(text)
            if text.startswith(start):
                raise CancelledError

        with pytest.raises(CancelledError):
            map_moving(room, None, tmp_path, OPTIONS, report)
        return said

    assert stopped_at("Features of picture 5")[0] == "Features of picture 1 of 7"
    assert stopped_at("Matching pair 17")[0] == "Features of picture 5 of 7"
    assert stopped_at("Placed 4")[0] == "Matching pair 17 of 21"
    said: list[str] = []
    result = map_moving(room, None, tmp_path, OPTIONS, said.append)
    assert said[0].startswith("Looking for two pictures")
    difference = pose_errors(list(result.cameras.values()), list(mapped[0].cameras.values())).max(0)
    assert (difference < [0.02, 0.02]).all()
    (kept,) = tmp_path.iterdir()
    (kept / "mapped.npz").unlink()
    (kept / "database.db").write_bytes(b"half of a database")
    said.clear()
    assert map_moving(room, None, tmp_path, OPTIONS, said.append).names == result.names
    assert said[0] == "Features of picture 1 of 7"
    assert {p.name for p in result.pictures.parent.iterdir()} == {"database.db", "images", "mapped.npz", "sparse"}


def test_a_lens_that_bends_is_found_and_taken_out(cameras: list[Camera], tmp_path: Path) -> None:
    frames = written(tmp_path / "frames", cameras, radial=-0.2)
    found = map_moving(frames, None, tmp_path / "work", OPTIONS)
    assert found.distortion["000.png"][0] == pytest.approx(-0.2, abs=0.02)
    turn, miss = errors(found, cameras)
    assert turn < 0.1 and miss < 0.01
    camera = found.cameras["003.png"]
    assert camera.fx == pytest.approx(300, rel=0.01) and camera.width > 320
    undone = read_image(found.pictures / "003.png").astype(float)
    assert undone.shape == (camera.height, camera.width, 3)
    truth = picture(camera.moved(cameras[3].world_to_camera)).astype(float)
    inner = (slice(20, -20), slice(20, -20))
    assert (
        np.abs(undone - truth)[inner].mean()
        < 0.35 * np.abs(read_image(frames[3])[:240, :320] - truth[:240, :320]).mean()
    )


def test_small_motion_is_found_though_its_focal_length_is_hard_to_tell(tmp_path: Path) -> None:
    """The camera moves by two per cent of the depth to each side, and sees with noise."""
    path, rng, frames = path_of_cameras(7, 0.1), np.random.default_rng(0), []
    for k, camera in enumerate(path):
        noisy = np.clip(picture(camera) + rng.normal(0, 3, (240, 320, 3)), 0, 255).astype(np.uint8)
        frames.append(write_picture(tmp_path / f"{k}.png", noisy))
    found = map_moving(frames, None, tmp_path / "work", FEW)
    turn, miss = errors(found, path)
    assert turn < 0.2 and miss < 0.1
    assert found.cameras["3.png"].fx == pytest.approx(300, rel=0.04)
    assert found.focal_error is not None and 0.002 < found.focal_error < 0.05


def test_a_fisheye_is_refused(cameras: list[Camera], tmp_path: Path) -> None:
    frames = written(tmp_path / "frames", cameras, radial=-0.36)
    with pytest.raises(MappingFailed, match="frames: the lens bends straight lines more than its model can"):
        map_moving(frames, None, tmp_path / "work", OPTIONS)


def test_upright_and_wide_pictures_have_cameras_of_their_own(tmp_path: Path) -> None:
    wide = path_of_cameras(8, 0.9)
    mixed = [Camera(c.world_to_camera, 300, 300, 120, 160, 240, 320) if k % 3 == 2 else c for k, c in enumerate(wide)]
    found = map_moving(written(tmp_path / "frames", mixed), None, tmp_path / "work", OPTIONS)
    assert [(c.width, c.height) for c in found.cameras.values()] == [(c.width, c.height) for c in mixed]
    turn, miss = errors(found, mixed)
    assert turn < 0.3 and miss < 0.02


def moving_patch(frames: list[Path], folder: Path) -> list[Path]:
    """Paint a board that moves with the camera over most of every picture, and say so in masks."""
    rng = np.random.default_rng(5)
    patch = cv2.resize(rng.integers(0, 255, (60, 60, 3), np.uint8), (180, 180), interpolation=cv2.INTER_CUBIC)
    folder.mkdir()
    masks = []
    for k, frame in enumerate(frames):
        image, mask = read_image(frame).copy(), np.full((240, 320), 255, np.uint8)
        area = (slice(30, 210), slice(60 + 3 * k, 240 + 3 * k))
        image[area], mask[area] = patch, 0
        write_picture(frame, image)
        masks.append(write_picture(folder / frame.name, mask))
    return masks


def test_masked_pixels_are_not_used(cameras: list[Camera], tmp_path: Path) -> None:
    frames = written(tmp_path / "frames", cameras)
    masks = moving_patch(frames, tmp_path / "masks")
    found = map_moving(frames, masks, tmp_path / "work", OPTIONS)
    turn, miss = errors(found, cameras)
    assert turn < 0.3 and miss < 0.03
    for k, name in enumerate(found.names):
        seen = [n for n, track in enumerate(found.tracks) if k in track]
        pixels = found.cameras[name].project(found.points[seen])[0].astype(int).clip(0, [319, 239])
        assert (read_image(masks[k])[pixels[:, 1], pixels[:, 0], 0] > 0).mean() > 0.95


@pytest.mark.parametrize("moves", ["not at all", "by noise", "by turning"])
def test_a_camera_that_does_not_move_gets_a_sentence_with_what_to_try(
    moves: str, cameras: list[Camera], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    (tmp_path / "frames").mkdir()
    still, frames = picture(cameras[3]), []
    for k in range(6):
        image = still
        if moves == "by noise":
            image = np.clip(still + rng.normal(0, 3, still.shape), 0, 255).astype(np.uint8)
        elif moves == "by turning":
            turn, angle = np.eye(4), np.radians(2 * k - 5)
            turn[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
            image = picture(cameras[3].moved(turn @ cameras[3].world_to_camera))
        frames.append(write_picture(tmp_path / "frames" / f"{k}.png", image))
    with pytest.raises(MappingFailed, match=r"frames: the camera moves too little .*--cameras identity"):
        map_moving(frames, None, tmp_path / "work", FEW)


def test_pictures_without_texture_or_of_other_places_get_a_sentence(room: list[Path], tmp_path: Path) -> None:
    grey = [write_picture(tmp_path / f"{k}.png", np.full((240, 320, 3), 90 + k, np.uint8)) for k in range(4)]
    with pytest.raises(MappingFailed, match=r"too little that can be recognised \(0 features in the median one\)"):
        map_moving(grey, None, tmp_path / "work", FEW)
    rng = np.random.default_rng(3)
    other = []
    for k in range(5):
        image = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        other.append(write_picture(tmp_path / f"other{k}.png", np.asarray(image, np.uint8)))
    with pytest.raises(MappingFailed, match="hardly two of the pictures show the same things"):
        map_moving(other, None, tmp_path / "work", FEW)
    with pytest.raises(MappingFailed, match=r"a, b, c: could not be placed beside each other.*--between"):
        map_static(dict(zip("abc", other, strict=False)), [], tmp_path / "work", FEW)
    with pytest.raises(MappingFailed, match=r"only 5 of 10 pictures could be placed, not other0\.png"):
        map_moving(room[:5] + other, None, tmp_path / "work", FEW)


def test_files_that_cannot_be_read_are_named(room: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(room[0].read_bytes()[:200])
    with pytest.raises(InputError, match=r"broken\.png: not readable as a picture"):
        map_moving([*room[:3], broken], None, tmp_path / "work", OPTIONS)
    with pytest.raises(InputError, match=r"gone\.png: cannot be read"):
        map_moving([*room[:3], tmp_path / "gone.png"], None, tmp_path / "work", OPTIONS)
    small = write_picture(tmp_path / "mask.png", np.full((10, 10), 255, np.uint8))
    with pytest.raises(InputError, match=r"mask\.png: is 10x10, its picture 320x240"):
        map_moving(room[:3], [small] * 3, tmp_path / "work", OPTIONS)
    with pytest.raises(MappingFailed, match="2 pictures are too few"):
        map_moving(room[:2], None, tmp_path / "work", OPTIONS)


def test_cameras_that_stand_still_are_found_with_views_from_between(tmp_path: Path) -> None:
    """Every camera has a focal length of its own."""
    path = path_of_cameras(9, 1.4)
    fixed = {name: path[k] for name, k in (("left", 0), ("middle", 4), ("right", 8))}
    fixed["right"] = Camera(path[8].world_to_camera, 340, 340, 160, 120, 320, 240)
    frames = {}
    for name, camera in fixed.items():
        (tmp_path / name).mkdir()
        frames[name] = write_picture(tmp_path / name / "0.png", picture(camera, -0.1 if name == "right" else 0.0))
    between = written(tmp_path / "between", [path[k] for k in (1, 2, 3, 5, 6, 7)])
    found = map_static(frames, between, tmp_path / "work", OPTIONS)
    assert found.names == ("left", "middle", "right") and found.missing == ()
    turn, miss = errors(found, list(fixed.values()))
    assert turn < 0.5 and miss < 0.02
    assert found.cameras["left"].fx == pytest.approx(300, rel=0.02)
    right = found.cameras["right"]
    assert right.fx == pytest.approx(340, rel=0.02) and (right.width, right.height) == (320, 240)
    assert found.distortion["right"][0] == pytest.approx(-0.1, abs=0.03)
    assert read_image(found.pictures / "right.png").shape == (240, 320, 3)
    assert set(found.tracks) and max(max(t) for t in found.tracks) == 2


def test_neighbours_in_time_are_compared_in_long_clips_and_all_pairs_in_short_ones() -> None:
    def pairs(count: int, matching: str = "auto", fixed: int = 0) -> list[tuple[int, int]]:
        pictures = [Picture(str(k), Path(), None, f"camera{k}") for k in range(fixed)]
        pictures += [Picture(str(k), Path(), None, "moving") for k in range(count)]
        return chosen_pairs(pictures, MappingOptions(matching=matching))  # type: ignore[arg-type]

    assert len(pairs(20)) == 190 and len(pairs(100, "exhaustive")) == 4950
    long = pairs(400)
    assert (0, 5) in long and (0, 6) not in long and (0, 256) in long and len(long) < 5000
    assert len(pairs(20, "sequential")) < 190
    assert {(0, 50), (1, 99), (0, 1)} <= set(pairs(120, fixed=2)) and (50, 90) not in pairs(120, fixed=2)


def test_mapping_is_silent_and_leaves_no_thread_busy(
    room: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ticks, going = [0], True

    def tick() -> None:
        while going:
            ticks[0] += 1
            time.sleep(0.005)

    other = threading.Thread(target=tick)
    other.start()
    began = time.monotonic()
    map_moving(room[:4], None, tmp_path, OPTIONS)
    took = time.monotonic() - began
    going = False
    other.join()
    assert ticks[0] > 20 * took  # other threads of Python had their turn: 5 times less often than asked for, or more
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.1
    assert capfd.readouterr() == ("", "")


def test_the_small_motion_of_a_hand_held_camera_is_found(real_clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Against the poses that come with the clip: twelve pictures that move by a few per cent of the depth."""
    from training.data.posed_frames import read_poses

    folder = real_clip("hand-books")
    files = sorted((folder / "images").iterdir())[1:13]
    c2w, sizes, _ = read_poses(folder / "precomputed.json")
    truth = []
    for pose, (height, width, focal) in zip(c2w[1:13], sizes[1:13], strict=True):
        whole = np.concatenate([pose, [[0, 0, 0, 1]]])
        truth.append(Camera(np.linalg.inv(whole), focal, focal, width / 2, height / 2, int(width), int(height)))
    found = map_moving(files, None, tmp_path, MappingOptions(threads=2))
    assert not found.missing
    turn, miss = errors(found, truth)
    assert turn < 0.5 and miss < 0.1
    assert found.cameras[files[0].name].fx == pytest.approx(256.6, rel=0.05)
