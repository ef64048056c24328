"""Every layout with true folders written here, broken twins of them, and the real clips where they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imageio.v3 as iio
import numpy as np
import pytest

from renderer.camera import OPENGL_TO_OPENCV, Camera
from renderer.errors import InputError
from tests.field_folders import change_json
from tests.tiny import camera_at
from training.data.dataset import Dataset
from training.data.generated_layouts import video_frames
from training.data.images import FileFrames
from training.data.initial_points import initial_points
from training.data.loading import DataOptions, open_dataset
from training.data.rig import frame_count, in_number_order

WIDTH, HEIGHT, FRAMES = 64, 48, 9
FULL = DataOptions(megapixels=1.0)
ANGLES = (-0.4, -0.1, 0.2, 0.6)
POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (count, 6, 8, 3), dtype=np.uint8)
    return [cv2.resize(c, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) for c in coarse]


def write_images(folder: Path, count: int) -> None:
    (folder / "images").mkdir(parents=True)
    for k, image in enumerate(pictures(count)):
        iio.imwrite(folder / "images" / f"{k:03d}.png", image)


def write_videos(folder: Path) -> Path:
    entries: list[dict[str, Any]] = []
    for n, angle in enumerate(ANGLES):
        camera = camera_at(angle, WIDTH, HEIGHT)
        K = [[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]]
        name = f"cam{n}"
        iio.imwrite(folder / f"{name}.mp4", np.stack(pictures(FRAMES, n)), fps=30, macro_block_size=2)
        entries.append(
            {"name": name, "video": f"{name}.mp4", "width": WIDTH, "height": HEIGHT, "frames": FRAMES, "fps": 30.0,
             "K": K, "distortion_k1k2p1p2": [0, 0, 0, 0], "world_to_camera": camera.world_to_camera.tolist()}
        )  # fmt: skip
    (folder / "cameras.json").write_text(json.dumps({"cameras": entries}))
    return folder / "cameras.json"


def write_llff(folder: Path) -> Path:
    write_images(folder, FRAMES)
    rows = []
    for k in range(FRAMES):
        camera = camera_at(0.02 * k, WIDTH, HEIGHT)
        right, down, forward, center = camera.camera_to_world[:3].T
        matrix = np.stack([down, right, -forward, center, [HEIGHT, WIDTH, camera.fy]], axis=1)
        rows.append([*matrix.ravel(), 1.5, 6.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder / "poses_bounds.npy"


def write_posed_frames(folder: Path) -> Path:
    write_images(folder, FRAMES)
    poses = []
    for k in range(FRAMES):
        camera = camera_at(0.02 * k, WIDTH, HEIGHT)
        c2w = (camera.camera_to_world @ OPENGL_TO_OPENCV)[:3]
        poses.append(np.concatenate([c2w, [[HEIGHT], [WIDTH], [camera.fy]]], axis=1).tolist())
    (folder / "precomputed.json").write_text(json.dumps({"poses": poses, "bds": [[1.5, 6.0]] * FRAMES}))
    return folder / "precomputed.json"


WRITERS = {"videos": write_videos, "llff": write_llff, "frames": write_posed_frames}


def assert_projects_like(dataset: Dataset, index: int, angle: float) -> None:
    found, z = dataset.shots[index].camera.project(POINTS)
    expected, depth = camera_at(angle, WIDTH, HEIGHT).project(POINTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(z, depth, atol=1e-6)


def test_calibrated_videos_keep_their_cameras_frames_and_times(tmp_path: Path) -> None:
    write_videos(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    assert len(dataset.shots) == 4 * FRAMES
    for n, angle in enumerate(ANGLES):
        assert_projects_like(dataset, n * FRAMES, angle)
    assert {s.camera_name for s in dataset.shots if s.split == "test"} == {"cam2"}  # the nearest to their middle
    assert [dataset.shots[0].time, dataset.shots[FRAMES - 1].time] == [0, 1]
    for k in (0, 4, 8):  # the second camera's frames, as well as a video keeps them
        assert np.abs(dataset.read(FRAMES + k).astype(int) - pictures(FRAMES, 1)[k]).mean() < 8
    assert dataset.fps == pytest.approx(30)


@pytest.mark.parametrize("layout", ["llff", "frames"])
def test_posed_pictures_keep_their_cameras(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    assert len(dataset.shots) == FRAMES
    for k in (0, 5):
        assert_projects_like(dataset, k, 0.02 * k)
    np.testing.assert_array_equal(dataset.read(3), pictures(FRAMES)[3])
    assert [s.frame for s in dataset.shots if s.split == "test"] == [7]
    assert (dataset.near, dataset.far) == (1.5, 6.0)


def test_pictures_shrink_with_their_cameras(tmp_path: Path) -> None:
    write_llff(tmp_path)
    dataset = open_dataset(tmp_path, DataOptions(megapixels=WIDTH * HEIGHT / 4e6))
    assert dataset.read(0).shape == (HEIGHT // 2, WIDTH // 2, 3)
    full, _ = camera_at(0.0, WIDTH, HEIGHT).project(POINTS)
    np.testing.assert_allclose(dataset.shots[0].camera.project(POINTS)[0], full / 2, atol=1e-6)


def test_a_distorted_video_is_straightened(tmp_path: Path) -> None:
    path = write_videos(tmp_path)
    data = json.loads(path.read_text())
    straight = open_dataset(tmp_path, FULL).read(0).astype(int)
    data["cameras"][0]["distortion_k1k2p1p2"] = [-0.3, 0, 0, 0]
    path.write_text(json.dumps(data))
    assert np.abs(open_dataset(tmp_path, FULL).read(0).astype(int) - straight).mean() > 3


def test_a_straightened_video_shows_nothing_from_beyond_its_edge(tmp_path: Path) -> None:
    """A lens that bulges inwards leaves no black border, and its camera projects to where the picture shows it."""
    path = write_videos(tmp_path)
    video, k1 = tmp_path / "cam0.mp4", 0.1
    dots = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    cv2.circle(dots, (52, 38), 2, (0, 0, 0), -1)
    iio.imwrite(video, np.stack([dots] * FRAMES), fps=30, macro_block_size=2)
    edit_json(lambda d: d["cameras"][0].update(distortion_k1k2p1p2=[k1, 0, 0, 0]))(path)
    K = np.array(json.loads(path.read_text())["cameras"][0]["K"])
    dataset = open_dataset(tmp_path, FULL)
    picture, camera = dataset.read(0).astype(int), dataset.shots[0].camera
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge.min() > 150
    x, y = cv2.undistortPoints(np.array([[[52.0, 38.0]]]), K, np.array([k1, 0, 0, 0]))[0, 0]
    dark = np.argwhere(picture.mean(2) < 100).mean(0)[::-1] + 0.5
    np.testing.assert_allclose(dark, [camera.fx * x + camera.cx, camera.fy * y + camera.cy], atol=0.7)


def test_a_video_is_read_from_a_folder_with_a_colon_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which ffmpeg would take for a protocol."""
    (tmp_path / "take:2").mkdir()
    write_videos(tmp_path / "take:2")
    monkeypatch.chdir(tmp_path)
    video = Path("take:2") / "cam0.mp4"
    assert open_dataset("take:2", FULL).read(0).shape == (HEIGHT, WIDTH, 3)
    assert frame_count(video) == FRAMES and video_frames(video) == (FRAMES, WIDTH, HEIGHT)


def test_numbers_in_names_that_are_no_digits_are_letters() -> None:
    assert [p.name for p in in_number_order(map(Path, ("\u00b23.png", "10.png", "9.png")))] == [
        "9.png", "10.png", "\u00b23.png"
    ]  # fmt: skip


def test_cameras_and_frames_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    write_videos(tmp_path / "v")
    chosen = open_dataset(tmp_path / "v", DataOptions(cameras=("cam0", "cam1"), holdout=("cam3",), frame_step=2))
    assert {s.camera_name: s.split for s in chosen.shots} == {"cam0": "train", "cam1": "train", "cam3": "test"}
    assert len(chosen.shots) == 3 * 5
    assert np.abs(chosen.read(11).astype(int) - open_dataset(tmp_path / "v", FULL).read(3 * FRAMES + 2)).mean() < 30
    (tmp_path / "f").mkdir()
    write_llff(tmp_path / "f")
    ranges = open_dataset(tmp_path / "f", DataOptions(train_frames=(1, 4), test_frames=(5, 6)))
    assert [s.frame for s in ranges.shots if s.split == "train"] == [1, 2, 3, 4]
    assert [s.frame for s in ranges.shots if s.split == "test"] == [5, 6]
    assert len(open_dataset(tmp_path / "f", DataOptions(holdout=("none",))).indices("test")) == 0


def test_the_cache_stays_within_its_budget(tmp_path: Path) -> None:
    write_images(tmp_path, FRAMES)
    files = sorted((tmp_path / "images").iterdir())
    frames = FileFrames(files, (WIDTH, HEIGHT), budget=2 * 3 * WIDTH * HEIGHT)
    for k in (0, 1, 2, 3, 0):
        np.testing.assert_array_equal(frames[k], pictures(FRAMES)[k])
    assert len(frames._kept) == 2


def test_a_video_larger_than_the_budget_is_read_all_the_same(tmp_path: Path) -> None:
    write_videos(tmp_path)
    small = open_dataset(tmp_path, DataOptions(megapixels=1.0, cache_megabytes=0))
    np.testing.assert_array_equal(small.read(5), open_dataset(tmp_path, FULL).read(5))


Break = Callable[[Path], None]


def edit_json(change: Callable[[Any], object]) -> Break:
    return lambda path: change_json(path, change)


def edit_table(change: Callable[[np.ndarray], np.ndarray | None]) -> Break:
    def apply(path: Path) -> None:
        table = np.load(path)
        changed = change(table)
        np.save(path, table if changed is None else changed)

    return apply


def put(row: int, column: int, value: float) -> Callable[[np.ndarray], None]:
    def change(table: np.ndarray) -> None:
        table[row, column] = value

    return change


def camera_entry(key: str, value: Any) -> Break:
    return edit_json(lambda d: d["cameras"][1].update({key: value}))


BROKEN: list[tuple[str, str, Break, str]] = [
    ("videos", "no list", edit_json(lambda d: d.pop("cameras")), "cameras.json"),
    ("videos", "no K", edit_json(lambda d: d["cameras"][1].pop("K")), "K"),
    ("videos", "bad K", camera_entry("K", [[0, 0], [0, 0]]), "cam1"),
    ("videos", "not JSON", lambda p: p.write_text("{") and None, "cameras.json"),
    ("videos", "no video", lambda p: (p.parent / "cam2.mp4").unlink(), "cam2.mp4"),
    ("videos", "not a video", lambda p: (p.parent / "cam2.mp4").write_bytes(b"nothing") and None, "cam2.mp4"),
    ("videos", "other size", camera_entry("width", 999), "cam1.mp4"),
    ("videos", "not finite", camera_entry("world_to_camera", [[float("nan")] * 4] * 4), "cam1"),
    ("videos", "no rotation", camera_entry("world_to_camera", [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]), "cam1"),
    ("videos", "wrong shape", camera_entry("world_to_camera", [1, 2, 3]), "cam1"),
    ("videos", "same name", camera_entry("name", "cam0"), "same name"),
    ("videos", "no frames", camera_entry("frames", 0), "frames"),
    ("videos", "bad distortion", camera_entry("distortion_k1k2p1p2", [1]), "cam1"),
    ("llff", "pickle", lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True), "poses_bounds.npy"),
    ("llff", "wrong shape", edit_table(lambda t: t[:, :15]), "poses_bounds.npy"),
    ("llff", "too few poses", edit_table(lambda t: t[:-1]), "poses_bounds.npy"),
    ("llff", "not finite", edit_table(put(2, 3, np.nan)), "002.png"),
    ("llff", "no rotation", edit_table(put(2, 0, 7.0)), "002.png"),
    ("llff", "bad depths", edit_table(put(0, 15, -1.0)), "poses_bounds.npy"),
    ("llff", "bad focal", edit_table(put(0, 14, 0.0)), "poses_bounds.npy"),
    ("llff", "truncated", lambda p: p.write_bytes(p.read_bytes()[:150]) and None, "poses_bounds.npy"),
    ("llff", "no images", lambda p: [f.unlink() for f in (p.parent / "images").iterdir()] and None, "images"),
    ("llff", "not an image", lambda p: (p.parent / "images" / "004.png").write_bytes(b"x") and None, "004.png"),
    ("llff", "mixed sizes", lambda p: iio.imwrite(p.parent / "images" / "004.png", np.zeros((9, 9, 3), np.uint8)),
     "004.png"),
    ("frames", "no poses", edit_json(lambda d: d.pop("poses")), "precomputed.json"),
    ("frames", "ragged", edit_json(lambda d: d["poses"][0].pop()), "precomputed.json"),
    ("frames", "no bds", edit_json(lambda d: d.update(bds=[])), "precomputed.json"),
    ("frames", "list", lambda p: p.write_text("[]") and None, "precomputed.json"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "name", "damage", "named"), BROKEN, ids=[f"{b[0]}: {b[1]}" for b in BROKEN])
def test_a_broken_clip_is_named_in_one_sentence(
    tmp_path: Path, layout: str, name: str, damage: Break, named: str
) -> None:
    damage(WRITERS[layout](tmp_path))
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path, FULL)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_video_that_ends_early_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = write_videos(tmp_path)
    edit_json(lambda d: [c.update(frames=50) for c in d["cameras"]])(path)
    dataset = open_dataset(tmp_path, FULL)
    with pytest.raises(InputError, match=r"cam0\.mp4"):
        dataset.read(0)


@pytest.mark.parametrize(
    ("files", "said"), [((), "no clip"), (("a.jpg",), "without camera poses"), (("a.mp4",), "without a calibration")]
)
def test_a_folder_without_cameras_says_what_is_missing(tmp_path: Path, files: tuple[str, ...], said: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=said):
        open_dataset(tmp_path, FULL)


@pytest.mark.parametrize(
    "options",
    [DataOptions(megapixels=0), DataOptions(frame_step=0), DataOptions(train_frames=(4, 2)),
     DataOptions(cameras=("roof",)), DataOptions(holdout=("cam0", "cam1", "cam2", "cam3"))],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: DataOptions) -> None:
    write_videos(tmp_path)
    with pytest.raises(InputError):
        open_dataset(tmp_path, options)


def test_initial_points_lie_on_the_rays_of_pixels_with_their_colours(tmp_path: Path) -> None:
    write_llff(tmp_path)
    dataset = open_dataset(tmp_path, FULL)
    cloud = initial_points(dataset, 500, np.random.default_rng(0))
    assert len(cloud.points) == 500
    assert cloud.times is not None
    for point, color, time in zip(cloud.points[::50], cloud.colors[::50], cloud.times[::50], strict=True):
        shot = min(dataset.indices("train"), key=lambda i: abs(dataset.shots[i].time - time))
        uv, z = dataset.shots[shot].camera.project(point[None].astype(float))
        assert 1.5 - 1e-4 <= z[0] <= 6 + 1e-4
        column, row = uv[0].astype(int)
        np.testing.assert_allclose(dataset.read(shot)[row, column] / 255, color, atol=1e-5)


# ------------------------------------------------------------------------------------------ real clips


def test_the_laboratory_clip_satisfies_its_epipolar_geometry(real_clip: Callable[[str], Path]) -> None:
    """The cameras look from 60 degrees apart and few features match; far more than by chance lie on their lines."""
    folder = real_clip("lab-balance")
    dataset = open_dataset(folder, DataOptions(megapixels=2.1, cameras=("cam01", "cam02"), frame_step=99))
    shots = [next(s for s in dataset.shots if s.camera_name == name) for name in ("cam01", "cam02")]
    a, b = (dataset.read(list(dataset.shots).index(s)) for s in shots)
    pa, pb = matches(a, b)
    near = epipolar_distances(pa, pb, shots[0].camera, shots[1].camera) < 3
    by_chance = epipolar_distances(pa, np.roll(pb, 7, axis=0), shots[0].camera, shots[1].camera) < 3
    assert near.mean() > 2.5 * by_chance.mean()
    assert np.median(epipolar_distances(pa[near], pb[near], shots[0].camera, shots[1].camera)) < 1.5


def test_the_hand_held_clip_satisfies_its_epipolar_geometry(real_clip: Callable[[str], Path]) -> None:
    dataset = open_dataset(real_clip("hand-books"), DataOptions(megapixels=1.0))
    a, b = dataset.shots[0], dataset.shots[20]
    assert median_epipolar_distance(dataset.read(0), dataset.read(20), a.camera, b.camera) < 1.0


def test_the_balloon_clip_opens_with_its_twelve_cameras(real_clip: Callable[[str], Path]) -> None:
    dataset = open_dataset(real_clip("nvidia-balloon1"), DataOptions())
    assert len(dataset.shots) == 12
    assert dataset.read(0).shape == (270, 480, 3)
    assert median_epipolar_distance(
        dataset.read(0), dataset.read(3), dataset.shots[0].camera, dataset.shots[3].camera
    ) < 2.0  # fmt: skip


def test_the_clip_without_poses_says_so(real_clip: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match="without camera poses"):
        open_dataset(real_clip("lady-running"), DataOptions())


def matches(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel positions (N, 2) of features that two pictures share."""
    sift = cv2.SIFT_create(4000)
    (ka, da), (kb, db) = (sift.detectAndCompute(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), None) for i in (a, b))
    pairs = [m for m, n in cv2.BFMatcher().knnMatch(da, db, k=2) if m.distance < 0.8 * n.distance]
    return np.array([ka[m.queryIdx].pt for m in pairs]) + 0.5, np.array([kb[m.trainIdx].pt for m in pairs]) + 0.5


def epipolar_distances(pa: np.ndarray, pb: np.ndarray, first: Camera, second: Camera) -> np.ndarray:
    """(N,) pixels from each point of the second picture to the line that the cameras predict."""
    relative = second.world_to_camera @ first.camera_to_world
    t = relative[:3, 3]
    E = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]]) @ relative[:3, :3]
    K1, K2 = (np.array([[c.fx, 0, c.cx], [0, c.fy, c.cy], [0, 0, 1]]) for c in (first, second))
    ones = np.ones(len(pa))
    lines = np.c_[pa, ones] @ (np.linalg.inv(K2).T @ E @ np.linalg.inv(K1)).T
    return np.abs((lines * np.c_[pb, ones]).sum(1)) / np.linalg.norm(lines[:, :2], axis=1)


def median_epipolar_distance(a: np.ndarray, b: np.ndarray, first: Camera, second: Camera) -> float:
    """Over matches that satisfy some epipolar geometry, pixels."""
    pa, pb = matches(a, b)
    _, mask = cv2.findFundamentalMat(pa, pb, cv2.FM_RANSAC, 2.0, 0.999)
    inliers = mask.ravel().astype(bool)
    return float(np.median(epipolar_distances(pa[inliers], pb[inliers], first, second)))
