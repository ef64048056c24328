"""A scene folder is made step by step, opens as a clip, and is not made again; nothing that is there is lost."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Event
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tyro

from app import preparing
from app.prepare import Prepare, in_place
from app.preparing import scene_beside
from renderer.camera import Camera
from renderer.errors import InputError
from tests.film import film
from tests.test_prepare_synchronise import seen
from training.checkpoint import checkpoint_folders
from training.config import PRESETS, with_changes
from training.data.dataset import Dataset
from training.data.lens import Lens, straightening
from training.data.loading import DataOptions, open_dataset
from training.data.one_camera import recorded_rate
from training.data.recognise import recognise
from training.prepare import pipeline
from training.prepare.decode import StoppedError
from training.prepare.mapping import MappedCameras, MappingFailed
from training.prepare.pipeline import prepare
from training.prepare.planning import PrepareOptions, planned
from training.prepare.scene_folder import SceneFolder, taken
from training.prepare.sources import Source
from training.run import Run, described

FULL = DataOptions(megapixels=1.0, holdout=("none",))
POINTS = np.random.default_rng(3).uniform([-1, -1, 4], [1, 1, 6], (60, 3))


def mapped(names: Sequence[str], pictures: Path, sizes: Mapping[str, tuple[int, int]]) -> MappedCameras:
    """Cameras on a line, as a mapping might find them."""
    cameras = {}
    for k, name in enumerate(names):
        pose = np.eye(4)
        pose[:3, 3] = -0.1 * k, 0.02 * k, 0
        width, height = sizes[name]
        cameras[name] = Camera(pose, 80.5, 80.5, width / 2 + 0.25, height / 2, width, height)
    return MappedCameras(
        tuple(names), (), cameras, {name: np.array([0.01, 0.0, 0.0, 0.0]) for name in names}, pictures, POINTS,
        np.full((60, 3), 0.5, np.float32), ((0, 1),) * 60, 0.4, None,
    )  # fmt: skip


def write_sparse(folder: Path, found: MappedCameras) -> None:
    """The same in COLMAP's text files."""
    folder.mkdir(parents=True)
    c = found.cameras[found.names[0]]
    (folder / "cameras.txt").write_text(f"1 PINHOLE {c.width} {c.height} {c.fx} {c.fy} {c.cx} {c.cy}\n")
    poses = [" ".join(map(str, found.cameras[name].world_to_camera[:3, 3])) for name in found.names]
    lines = [
        f"{k} 1 0 0 0 {pose} 1 {name}\n\n" for k, (pose, name) in enumerate(zip(poses, found.names, strict=True), 1)
    ]
    (folder / "images.txt").write_text("".join(lines))
    points = [f"{k} {x} {y} {z} 99 99 99 0.4 1 0 2 0 3 0\n" for k, (x, y, z) in enumerate(found.points, 1)]
    (folder / "points3D.txt").write_text("".join(points))


class Mapper:
    """Stands in for COLMAP, which has tests of its own: says what it was asked, and finds cameras or does not."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.problem = ""

    def moving(self, images: Sequence[Path], masks: Sequence[Path | None], work: Path, options: object,
               report: object) -> MappedCameras:  # fmt: skip
        self.asked.append({"images": images, "masks": masks, "work": work})
        if self.problem:
            raise MappingFailed(self.problem)
        size = cv2.imread(str(images[0])).shape[1::-1]
        found = mapped([p.name for p in images], work / "images", {p.name: size for p in images})
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(images[0].parent, work / "images")
        write_sparse(work / "sparse" / "0", found)
        return found

    def static(self, first_frames: Mapping[str, Path], extra: Sequence[Path], work: Path, options: object,
               report: object) -> MappedCameras:  # fmt: skip
        self.asked.append({"images": list(first_frames.values()), "extra": extra, "work": work})
        if self.problem:
            raise MappingFailed(self.problem)
        sizes = {name: cv2.imread(str(path)).shape[1::-1] for name, path in first_frames.items()}
        return mapped(list(first_frames), work, sizes)


@pytest.fixture
def mapper(monkeypatch: pytest.MonkeyPatch) -> Mapper:
    found = Mapper()
    monkeypatch.setattr(pipeline, "map_moving", found.moving)
    monkeypatch.setattr(pipeline, "map_static", found.static)
    return found


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clips of one thing; the second begins 1.3 s later."""
    folder = tmp_path_factory.mktemp("clips")
    left = film(folder / "left.mp4", seen(0, 7, 30, (96, 64), False))
    return left, film(folder / "right.mp4", seen(1.3, 8.5, 30, (64, 80), True))


def contents(folder: Path) -> dict[str, int]:
    """When each file of a folder was written."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_one_moving_camera_becomes_pictures_with_colmaps_cameras(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out = tmp_path / "scene"
    made = prepare([clips[0]], out, PrepareOptions(fps=10, start=1.0, end=2.2))
    assert (made.folder, made.poses, made.frames, made.fps, made.error) == (out, "stated", 12, 10, 0.4)
    assert [p.name for p in mapper.asked[0]["images"]] == [f"{k:05d}.png" for k in range(12)]
    found = recognise(out)
    assert (found.kind, found.opens, found.missing) == ("COLMAP", True, ())
    clip = open_dataset(out, FULL)
    assert len(clip.shots) == 12 and clip.points is not None and len(clip.points.points) == 60
    expected = mapped(["a", "b", "c"], out, dict.fromkeys("abc", (96, 64))).cameras["c"]
    assert np.allclose(clip.shots[2].camera.world_to_camera, expected.world_to_camera, atol=1e-9)
    for name in ("fx", "cx", "cy", "width"):
        assert getattr(clip.shots[2].camera, name) == pytest.approx(getattr(expected, name))
    film = seen(0, 7, 30, (96, 64), False)
    assert np.abs(clip.read(4).astype(int) - film[30 + 4 * 3]).max() <= 1
    assert recorded_rate(out, 30) == 10 and recorded_rate(tmp_path, 30) == 30


def test_masks_are_black_where_something_moves(tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper) -> None:
    prepare([clips[0]], tmp_path / "scene", PrepareOptions(fps=15, start=1.0, end=2.0))
    masks = mapper.asked[0]["masks"]
    assert len(masks) == 15 and all(mask is not None for mask in masks)
    film = seen(1.0, 2.1, 15, (96, 64), False)
    inside, outside = [], []
    for k in range(4, 11):
        image = cv2.imread(str(masks[k]), cv2.IMREAD_UNCHANGED)
        assert image.shape == (64, 96) and set(np.unique(image)) <= {0, 255}
        square = (film[k, :, :, 0] > 200) & (film[k, :, :, 1] < 80)
        inside.append((image[square] == 0).mean())
        outside.append((image[~cv2.dilate(square.astype(np.uint8), np.ones((25, 25))).astype(bool)] == 0).mean())
    assert max(inside) > 0.5 and np.mean(outside) < 0.1 < np.mean(inside)


def test_several_cameras_become_synchronised_videos(tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper) -> None:
    out = tmp_path / "scene"
    made = prepare(clips, out, PrepareOptions())
    assert made.fps == pytest.approx(30) and abs(made.frames - round((7 - 1.3) * 30)) <= 1
    found = recognise(out)
    assert (found.kind, found.opens, found.missing) == ("calibrated videos", True, ())
    clip = open_dataset(out, DataOptions(megapixels=1.0))
    assert clip.camera_names == ["left", "right"] and clip.frame_count == made.frames
    middle = np.s_[28:44, 26:54]  # where the lens bends nothing
    left, right = clip.read(30), clip.read(made.frames + 30)
    assert np.abs(left.astype(int) - seen(0, 7, 30, (96, 64), False)[39 + 30])[middle].max() <= 12
    assert np.abs(right.astype(int) - seen(1.3, 8.5, 30, (64, 80), True)[30])[middle].max() <= 12
    cameras = json.loads((out / "cameras.json").read_text())["cameras"]
    assert [c["distortion_k1k2p1p2"] for c in cameras] == [[0.01, 0, 0, 0]] * 2
    assert [c["K"][0][2] for c in cameras] == [47.75, 31.75]
    camera = clip.shots[made.frames].camera
    straight = straightening(Camera(np.eye(4), 80.5, 80.5, 32.25, 40, 64, 80), Lens(np.array([0.01, 0, 0, 0])))
    assert straight is not None
    assert (camera.width, camera.height, camera.cx) == (64, 80, pytest.approx(straight.camera.cx))
    record = json.loads((out / "prepare.json").read_text())
    assert [s["offset_by"] for s in record["sources"]] == ["first", "motion"]
    assert record["sources"][1]["offset"] == pytest.approx(1.3, abs=1 / 60)


def test_given_offsets_win_and_the_range_is_on_the_first_clips_clock(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out = tmp_path / "scene"
    prepare(clips, out, PrepareOptions(offsets=(0, 0.5), start=2.0, end=3.0))
    record = json.loads((out / "prepare.json").read_text())
    assert [s["start"] for s in record["sources"]] == [2.0, 1.5] and record["frames"] == 30
    assert "synchronise" not in record["steps"]


def test_a_second_run_does_nothing(tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper) -> None:
    out, options = tmp_path / "scene", PrepareOptions(fps=5, end=1.0)
    first = prepare([clips[0]], out, options)
    before, said = contents(out), []
    assert prepare([clips[0]], out, options, report=said.append) == first
    assert contents(out) == before and len(mapper.asked) == 1
    assert len(said) == 1 and "prepared already" in said[0]


def test_other_inputs_do_not_replace_a_finished_scene_unasked(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out = tmp_path / "scene"
    prepare([clips[0]], out, PrepareOptions(fps=5, end=1.0))
    (out / "generated").mkdir()
    before = contents(out)
    with pytest.raises(InputError, match="add --overwrite, or another --out"):
        prepare([clips[0]], out, PrepareOptions(fps=4, end=1.0))
    assert contents(out) == before
    prepare([clips[0]], out, PrepareOptions(fps=4, end=1.0), overwrite=True)
    assert len(list((out / "images").iterdir())) == 4 and (out / "generated").is_dir()
    prepare(clips, out, PrepareOptions(fps=4, offsets=(0, 1.3)), overwrite=True)
    assert not (out / "images").exists() and (out / "cameras.json").is_file()
    assert recognise(out).kind == "calibrated videos"


def test_a_replaced_source_is_read_again(tmp_path: Path, mapper: Mapper) -> None:
    clip = film(tmp_path / "a.mp4", seen(0, 1, 10, (96, 64), False), 10)
    out, options = tmp_path / "scene", PrepareOptions()
    prepare([clip], out, options)
    film(tmp_path / "a.mp4", seen(2, 3, 10, (96, 64), False), 10)
    with pytest.raises(InputError, match="add --overwrite"):
        prepare([clip], out, options)
    prepare([clip], out, options, overwrite=True)
    image = cv2.imread(str(out / "images" / "00003.png"), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(image, seen(2, 3, 10, (96, 64), False)[3])


@pytest.mark.parametrize("after", [0, 2, 6, 8])
def test_an_interrupted_run_goes_on_at_the_unfinished_step(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Stopped while the 5 frames are decoded or while masks are made."""
    out, options = tmp_path / "scene", PrepareOptions(fps=5, end=1.0)
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    with pytest.raises(StoppedError, match="the same command goes on"):
        prepare([clips[0]], out, options, should_stop=should_stop)
    assert not mapper.asked and not (out / "images").exists()
    assert not [p for p in out.rglob("*") if "partial" in p.name]
    decodings = []
    real = pipeline.decoded
    monkeypatch.setattr(pipeline, "decoded", lambda *a: decodings.append(1) or real(*a))
    prepare([clips[0]], out, options)
    assert len(decodings) == (after < 5) and len(mapper.asked) == 1
    assert len(open_dataset(out, FULL).shots) == 5


def test_where_mapping_fails_one_camera_is_left_to_be_learned(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out, options = tmp_path / "scene", PrepareOptions(fps=5, end=1.0)
    mapper.problem = "the camera hardly moves"
    said: list[str] = []
    made = prepare([clips[0]], out, options, report=said.append)
    assert (made.poses, made.reason, made.error) == ("identity", "the camera hardly moves", None)
    assert "No cameras were found: the camera hardly moves" in said
    found = recognise(out)
    assert (found.opens, found.method, found.poses) == (True, "ddr", "identity")
    clip = open_dataset(out, DataOptions(megapixels=1.0, poses=made.poses, holdout=("none",)))
    assert len(clip.shots) == 5 and not clip.posed
    prepare([clips[0]], out, options)
    prepare([clips[0]], out, PrepareOptions(fps=5, end=1.0, cameras="identity"))
    with pytest.raises(MappingFailed, match="the camera hardly moves"):
        prepare([clips[0]], out, PrepareOptions(fps=5, end=1.0, cameras="mapped"))
    assert len(mapper.asked) == 1  # it was known already


def test_identity_poses_ask_for_no_mapping_until_it_is_wanted(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out = tmp_path / "scene"
    assert prepare([clips[0]], out, PrepareOptions(fps=5, end=1.0, cameras="identity")).poses == "identity"
    assert not mapper.asked and not (out / ".prepare" / "masks").exists()
    assert prepare([clips[0]], out, PrepareOptions(fps=5, end=1.0)).poses == "stated"
    assert len(mapper.asked) == 1 and recognise(out).kind == "COLMAP"


def test_pictures_between_the_cameras_go_to_the_mapping(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    walk = film(tmp_path / "walk.mp4", seen(0, 3, 10, (96, 64), False), 10)
    options = PrepareOptions(fps=5, offsets=(0, 1.3), between=walk)
    prepare(clips, tmp_path / "scene", options)
    assert [p.name for p in mapper.asked[0]["extra"]] == [f"{k:05d}.png" for k in range(6)]


def test_a_camera_that_moves_among_several_is_named(tmp_path: Path, mapper: Mapper) -> None:
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (64, 140, 3), np.uint8), (0, 0), 2)
    panned = np.stack([wide[:, k : k + 96] for k in range(12)])
    left = film(tmp_path / "left.mp4", np.repeat(wide[None, :, :96], 12, axis=0))
    right = film(tmp_path / "right.mp4", panned)
    said: list[str] = []
    prepare([left, right], tmp_path / "scene", PrepareOptions(offsets=(0, 0)), report=said.append)
    assert [text for text in said if "move" in text] == [
        "right: seems to move during the clip; cameras that film together have to stand still"
    ]


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"was not made by dynview prepare; choose another --out"):
        prepare([clips[0]], tmp_path, PrepareOptions())
    assert contents(tmp_path).keys() == {"notes.txt"}
    for damaged in ("{", "[]", '{"format": 1, "steps": {}, "written": ["../notes.txt"], "finished": true}'):
        scene = tmp_path / "scene"
        scene.mkdir(exist_ok=True)
        (scene / "prepare.json").write_text(damaged)
        with pytest.raises(InputError, match=r"prepare.json: not understood"):
            prepare([clips[0]], scene, PrepareOptions(), overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("count", "options", "sentence"),
    [(1, {"fps": 0.0}, "--fps 0"), (1, {"start": 3.0, "end": 3.0}, "the end after the start"),
     (1, {"megapixels": 0.0}, "--megapixels 0"), (1, {"longest": 8}, "--longest 8"),
     (2, {"offsets": (0.0,)}, "--offsets 0: give 2"), (2, {"offsets": (0.0, float("nan"))}, "--offsets"),
     (2, {"cameras": "identity"}, "is for one hand-held camera"), (1, {"between": Path(".")}, "--between"),
     (1, {"fps": 60.0}, "has 30 frames a second"), (1, {"start": 50.0}, r"the film is from 0.00 to 6.97 s"),
     (2, {"offsets": (0.0, 99.0)}, "0 frames of all clips")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, count: int, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as problem:
        prepare(clips[:count], tmp_path / "scene", PrepareOptions(**options))
    assert "\n" not in str(problem.value) and not (tmp_path / "scene" / "images").exists()


def test_the_plan_covers_what_all_clips_filmed() -> None:
    a = Source(Path("a"), "a", "video", (96, 64), np.arange(100) / 25)
    b = Source(Path("b"), "b", "video", (96, 64), 0.02 + np.arange(100) / 50)
    plan = planned([a, b], [0.0, 1.0], PrepareOptions())
    assert plan.fps == pytest.approx(25) and plan.instants["a"].start == pytest.approx(1.02)
    assert plan.instants["b"].start == pytest.approx(0.02) and plan.count == 50
    last = plan.instants["b"].start + (plan.count - 1) / plan.fps
    assert last <= b.times[-1] + 0.01
    fast = planned([b], [0.0], PrepareOptions())
    assert fast.fps == 30


def test_the_command_says_what_to_do_next(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, capsys: pytest.CaptureFixture[str]
) -> None:
    out, summary = tmp_path / "scene", tmp_path / "summary.json"
    Prepare((clips[0],), out, fps=5, end=1.0, report_to=summary)()
    assert f"dynview train {out} --method 4dgs" in capsys.readouterr().err
    assert json.loads(summary.read_text())["kind"] == "COLMAP"
    mapper.problem = "too little in common"
    with pytest.raises(InputError, match="add --cameras identity"):
        Prepare((clips[0],), tmp_path / "other", fps=5, end=1.0, train=True)()
    assert "--method ddr --data.poses identity" not in capsys.readouterr().err


def test_one_command_leads_to_a_trained_scene(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    few = {"4dgs": with_changes(PRESETS["4dgs"], {"steps": 2, "data.megapixels": 0.002})}
    monkeypatch.setattr("app.prepare.PRESETS", few)
    command = Prepare((clips[0],), tmp_path / "scene", fps=5, end=2.0, train=True, report_to=tmp_path / "done.json")
    command()
    summary = json.loads((tmp_path / "done.json").read_text())
    assert summary["step"] == 2 and summary["kind"] == "COLMAP"
    assert summary["mean_of"] == "test" and summary["mean"]["psnr"] > 0 and summary["train"]["psnr"] > 0
    told = capsys.readouterr()
    assert "held-out views" in told.out and "dynview-gui runs/scene" in told.err
    assert described(tmp_path / "runs" / "scene")[0] == str((tmp_path / "scene").resolve())
    saved = contents(tmp_path / "runs")
    command()  # nothing is left to do, and nothing is in the way
    replace(command, overwrite=True)()
    assert contents(tmp_path / "runs").keys() == saved.keys() and len(mapper.asked) == 1
    json.loads((tmp_path / "done.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_poses_that_are_to_be_learned_are_learned(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    changes = {"steps": 1, "data.megapixels": 0.001, "field.rays": 16, "data.holdout": ("none",)}
    monkeypatch.setattr("app.prepare.PRESETS", {"ddr": with_changes(PRESETS["ddr"], changes)})
    Prepare((clips[0],), tmp_path / "a scene", fps=3, end=1.0, cameras="identity", train=True)()
    folder = tmp_path / "runs" / "a scene"
    assert checkpoint_folders(folder) and described(folder)[1].ddr.weight == 0
    told = capsys.readouterr().err
    assert "no depth is known" in told and "No view is held out" in told and "dynview-gui 'runs/a scene'" in told
    Prepare((clips[0],), tmp_path / "a scene", fps=3, end=1.0, cameras="identity")()
    assert f"dynview train '{tmp_path / 'a scene'}' --method ddr --data.poses identity" in capsys.readouterr().err


class Trained:
    """Stands in for training: what it was asked to train, and where."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str]] = []
        self.stops = False
        monkeypatch.setattr("app.prepare.pick_device", lambda name: {"auto": "cuda"}.get(name, name))
        monkeypatch.setattr("app.cli.train", self.train)
        monkeypatch.setattr("app.cli.show_scores", lambda *_: {"mean": {}, "mean_of": "test", "train": {}})
        few = {"steps": 2, "data.megapixels": 0.002}
        monkeypatch.setattr("app.prepare.PRESETS", {k: with_changes(PRESETS[k], few) for k in ("4dgs", "ddr")})
        for how in ("create", "open"):
            monkeypatch.setattr(Run, how, self.watched(how, getattr(Run, how)))

    def watched(self, how: str, real: Callable[..., Run]) -> Callable[..., Run]:
        def made(*given: Any, device: str, **options: Any) -> Run:
            self.asked.append((how, device))
            return real(*given, device="cpu", **options)

        return made

    def train(self, run: Run, go_on: str) -> dict[str, object]:
        run.begin()
        run.save()
        if self.stops:
            raise InputError(f"stopped; {go_on}")
        return {}


def test_a_run_is_gone_on_with_while_it_is_of_the_same_preparation(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = Trained(monkeypatch)
    command = Prepare((clips[0],), tmp_path / "scene", fps=3, end=1.0, train=True, overwrite=True)
    trained.stops = True
    with pytest.raises(InputError, match="stopped; the same command goes on"):
        command()
    trained.stops = False
    command()
    replace(command, overwrite=False, device="cpu")()
    assert trained.asked == [("create", "cuda"), ("open", "cuda"), ("open", "cpu")]
    replace(command, fps=4, train=False)()
    Prepare((clips[0],), Path("demo"), fps=3, end=1.0, train=True)()  # the folder, not the demo scene
    assert described(tmp_path / "runs" / "demo")[0] == str(tmp_path / "demo")
    assert trained.asked[3:] == [("create", "cuda")]
    kept = contents(tmp_path / "runs")
    with pytest.raises(InputError, match=r"runs/scene: holds a run of .*scene as it was prepared before; add --over"):
        replace(command, fps=4, overwrite=False)()
    assert contents(tmp_path / "runs") == kept
    replace(command, fps=4)()
    assert trained.asked[4:] == [("create", "cuda")]


def test_a_run_of_poses_that_were_not_known_is_none_of_known_ones(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Trained(monkeypatch)
    Prepare((clips[0],), tmp_path / "scene", fps=3, end=1.0, train=True, cameras="identity")()
    command = Prepare((clips[0],), tmp_path / "scene", fps=3, end=1.0, train=True)
    with pytest.raises(InputError, match="as it was prepared before"):
        command()
    assert described(tmp_path / "runs" / "scene")[1].data.poses == "identity"


def test_a_run_of_another_clip_is_never_replaced(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = Trained(monkeypatch)
    Prepare((clips[0],), tmp_path / "a" / "scene", fps=3, end=1.0, train=True)()
    kept = contents(tmp_path / "runs")
    with pytest.raises(InputError, match=r"runs/scene: holds a run of .*/a/scene, not of .*/b/scene; move it away"):
        Prepare((clips[0],), tmp_path / "b" / "scene", fps=3, end=1.0, train=True, overwrite=True)()
    assert contents(tmp_path / "runs") == kept and not (tmp_path / "b").exists() and len(trained.asked) == 1


@pytest.mark.parametrize("several", [False, True])
def test_what_was_written_before_an_interruption_is_not_taken_for_something_else(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    """The process ends after new frames took the place of older ones and before anybody wrote that down."""
    out, given = tmp_path / "scene", clips if several else clips[:1]
    options = PrepareOptions(fps=5, end=2.4, offsets=(0, 1.3) if several else ())
    prepare(given, out, options)
    with monkeypatch.context() as context:
        context.setattr(SceneFolder, "keep", lambda *_: pytest.fail("the end"))
        with pytest.raises(pytest.fail.Exception):
            prepare(given, out, replace(options, start=1.4), overwrite=True)
    record = json.loads((out / "prepare.json").read_text())
    assert record["finished"] and record["sources"][0]["start"] == (1.3 if several else 0)
    prepare(given, out, replace(options, megapixels=0.9), overwrite=True)  # the same frames
    first = out / ".prepare" / ("clips/left.png" if several else "frames/00000.png")
    begin = round(1.3 * 30) if several else 0
    seen_first = seen(0, 7, 30, (96, 64), False)[begin]
    assert np.array_equal(cv2.imread(str(first), cv2.IMREAD_COLOR_RGB), seen_first)


def test_an_interrupted_replacement_leaves_the_scene_as_it_was(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out, options = tmp_path / "scene", PrepareOptions(fps=5, end=1.0)
    made = prepare([clips[0]], out, options)
    for stop in (2, 6):
        asked = iter(range(99))
        with pytest.raises(StoppedError):
            prepare(
                [clips[0]], out, PrepareOptions(fps=4, end=1.0), overwrite=True,
                should_stop=lambda asked=asked, stop=stop: next(asked) > stop,
            )  # fmt: skip
        assert recorded_rate(out, 30) == 5 and len(list((out / "images").iterdir())) == 5
        with pytest.raises(InputError, match="add --overwrite"):
            prepare([clips[0]], out, PrepareOptions(fps=4, end=1.0))
        assert prepare([clips[0]], out, options) == made


def test_a_scene_of_unknown_cameras_is_not_replaced_unasked(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    out, options = tmp_path / "scene", PrepareOptions(fps=3, end=1.0, cameras="identity")
    prepare([clips[0]], out, options)
    before = contents(out)
    with pytest.raises(InputError, match="add --overwrite, or another --out"):
        prepare([clips[1]], out, options)
    assert contents(out) == before


def test_two_at_once_do_not_make_one_scene(tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper) -> None:
    out, options = tmp_path / "scene", PrepareOptions(fps=3, end=1.0, cameras="identity")
    with taken(out), pytest.raises(InputError, match=r"scene: is being prepared by somebody else; wait for it"):
        prepare([clips[0]], out, options)
    assert not out.exists()
    prepare([clips[0]], out, options)


def test_the_folder_beside_what_was_filmed_is_of_nothing_else(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper
) -> None:
    left, right = (Path(shutil.copy(clip, tmp_path)) for clip in clips)
    assert scene_beside([left]) == scene_beside([left, right]) == tmp_path / "left-scene"
    prepare([left], tmp_path / "left-scene", PrepareOptions(fps=3, end=1.0))
    assert scene_beside([left]) == tmp_path / "left-scene-2"  # with other options
    prepare([left], tmp_path / "left-scene", PrepareOptions(), overwrite=True)
    assert scene_beside([left]) == tmp_path / "left-scene"
    (tmp_path / "left-scene-2").write_text("mine")
    assert scene_beside([left, right]) == tmp_path / "left-scene-3"
    assert scene_beside([tmp_path / "gone.mp4"]) == tmp_path / "gone-scene"


def test_preparing_ends_with_its_window(
    tmp_path: Path, clips: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    lines: Queue[tuple[str, str]] = Queue()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(is_alive=lambda: False))
    monkeypatch.setattr("os.nice", lambda by: by)
    preparing._prepare([clips[0]], tmp_path / "scene", lines, Event())
    assert lines.queue[-1] == ("failure", f"{tmp_path / 'scene'}: stopped; what is finished counts the next time")


def test_a_record_that_cannot_be_read_is_named(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options = tmp_path / "scene", PrepareOptions(fps=3, end=1.0, cameras="identity")
    prepare([clips[0]], out, options)
    record = json.loads((out / "prepare.json").read_text())
    del record["frames"]
    (out / "prepare.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"prepare.json: not understood \(incomplete\)"):
        prepare([clips[0]], out, options)

    def forbidden(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_text", forbidden)  # root may read all
    with pytest.raises(InputError, match=r"scene: cannot be read \(Permission denied\)"):
        prepare([clips[0]], out, options)


def test_what_is_said_again_with_other_numbers_is_shown_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    report = in_place(SimpleNamespace(set_description_str=shown.append))  # type: ignore[arg-type]
    for text in ("Matching", "Placed 2 of 9", "Placed 3 of 9", "Placed 1,000 of 9", "Done, 0.5 pixels"):
        report(text)
    assert capsys.readouterr().err.splitlines() == ["Matching", "Placed 2 of 9", "Done, 0.5 pixels"]
    assert [text for text in shown if text] == ["Placed 3 of 9", "Placed 1,000 of 9"] and shown[-1] == ""


def test_the_walk_between_cameras_is_one_clip(tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper) -> None:
    with pytest.raises(InputError, match="holds 2 clips; give --between one of them"):
        prepare(clips, tmp_path / "scene", PrepareOptions(between=clips[0].parent))
    assert not (tmp_path / "scene").exists()


def test_a_picture_in_which_motion_cannot_be_told_is_used_whole(
    tmp_path: Path, clips: tuple[Path, Path], mapper: Mapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_once(clip: Dataset, index: int, flow: object) -> np.ndarray:
        if index == 1:
            raise cv2.error("an empty model")
        return np.ones((clip.shots[0].camera.height, clip.shots[0].camera.width), np.bool_)

    monkeypatch.setattr(pipeline, "moving_pixels", fails_once)
    prepare([clips[0]], tmp_path / "scene", PrepareOptions(fps=3, end=1.0))
    first, second, third = mapper.asked[0]["masks"]
    assert first is None and third is None  # everything moves there: such a mask would leave nothing
    assert cv2.imread(str(second), cv2.IMREAD_UNCHANGED).min() == 255


def test_the_command_line_reads_sources_and_offsets() -> None:
    command = tyro.cli(
        Prepare, args=["a.mp4", "b.mp4", "--out", "scene", "--offsets", "0", "-1.3", "--cameras", "mapped"]
    )
    assert command.sources == (Path("a.mp4"), Path("b.mp4")) and command.out == Path("scene")
    assert command.offsets == (0.0, -1.3) and command.cameras == "mapped" and not command.train
