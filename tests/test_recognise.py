"""What a dropped folder or file is recognised as."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.errors import InputError
from tests.test_colmap import write_model
from tests.test_layout_blender import write_blender
from tests.test_layout_iphone import write_iphone
from tests.test_layout_nerfies import write_nerfies
from tests.test_layout_nerfstudio import write_nerfstudio
from tests.test_loading import BROKEN, FULL, WRITERS, Break, write_images, write_llff, write_videos
from tests.tiny import camera_at
from training.config import PRESETS
from training.data.layouts import MODULES, Recognised, layout_of, layouts
from training.data.loading import DataOptions, open_dataset
from training.data.looks import HARDLY
from training.data.recognise import recognise


def write_colmap(folder: Path, poses: int = 6, pictures: int = 6, binary: bool = True) -> Path:
    (folder / "images").mkdir(parents=True)
    for k in range(pictures):
        Image.fromarray(np.full((48, 80, 3), 20 * k, np.uint8)).save(folder / "images" / f"{k:04d}.png")
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 3))
    write_model(
        folder / "sparse" / "0", points, [camera_at(0.02 * k).world_to_camera for k in range(poses)], binary
    )  # fmt: skip
    return folder / "sparse" / "0"


def write_run(folder: Path, source: str, steps: tuple[int, ...] = (500, 2000)) -> Path:
    folder.mkdir()
    description = {"format": 1, "source": source, "method": "ddr", "changes": {}, "dataset": {"name": "hand-books"}}
    (folder / "run.json").write_text(json.dumps(description))
    for step in steps:
        (folder / "checkpoints" / f"step-{step:06d}").mkdir(parents=True)
        (folder / "checkpoints" / f"step-{step:06d}" / "scene.safetensors").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file with the cameras of a clip that nobody changes; encoding videos takes a while."""
    return cache(lambda layout: WRITERS[layout](tmp_path_factory.mktemp(layout)))


def assert_sentences(found: Recognised) -> None:
    for text in found.missing:
        assert text and "\n" not in text
    assert found.method in PRESETS or (found.method == "" and not found.opens)
    assert bool(found.method) == bool(found.reason)


@pytest.mark.parametrize(
    ("layout", "kind", "what"),
    [("videos", "calibrated videos", "4 synchronised videos with cameras.json, 9 frames, 0.3 s"),
     ("llff", "LLFF", "9 pictures of one moving camera with poses_bounds.npy (LLFF)"),
     ("frames", "posed frames", "9 pictures of one moving camera with precomputed.json")],
)  # fmt: skip
def test_a_clip_with_cameras_opens_as_it_was_recognised(tmp_path: Path, layout: str, kind: str, what: str) -> None:
    WRITERS[layout](tmp_path)
    found = recognise(tmp_path)
    assert (found.kind, found.opens, found.what, found.missing) == (kind, True, what, ())
    assert found.path == tmp_path and (told := layout_of(tmp_path)) is not None and told.name == kind
    open_dataset(found.path, DataOptions(megapixels=1.0, poses=found.poses))
    assert_sentences(found)


@pytest.mark.parametrize("binary", [True, False])
def test_colmaps_model_is_counted_and_its_lens_looked_at(tmp_path: Path, binary: bool) -> None:
    model = write_colmap(tmp_path, binary=binary)
    found = recognise(tmp_path)
    assert (found.kind, found.opens) == ("COLMAP", True)
    assert found.what == "6 pictures of one moving camera with COLMAP's sparse/0, 6 poses"
    open_dataset(tmp_path, FULL)
    poses = [camera_at(0.0).world_to_camera] * 6
    write_model(model, np.zeros((20, 3)), poses, binary, (2, "SIMPLE_RADIAL", (90.0, 40.0, 24.0, 0.2)))
    found = recognise(tmp_path)
    assert not found.opens and "undistort" in found.missing[0]


def test_pictures_that_colmap_gave_no_pose_are_counted(tmp_path: Path) -> None:
    write_colmap(tmp_path, poses=4)
    found = recognise(tmp_path)
    assert not found.opens and "no pose of 2 of 6 pictures" in found.missing[0]
    with pytest.raises(InputError):
        open_dataset(tmp_path, FULL)


def test_every_layout_is_listed_once_and_claims_nothing_that_it_is_not_told_by(tmp_path: Path) -> None:
    known = list(layouts())
    assert len(known) == len(MODULES) == len({layout.name for layout in known})
    assert not [layout.name for layout in known if layout.claims(tmp_path) or layout.claims(tmp_path / "gone")]
    write_images(tmp_path, 2)
    assert not [layout.name for layout in known if layout.claims(tmp_path)]


def test_what_is_told_by_more_files_comes_first(tmp_path: Path) -> None:
    def told(folder: Path) -> tuple[str, list[str]]:
        layout = layout_of(folder)
        assert layout is not None and recognise(folder).kind == layout.name
        return layout.name, [each.name for each in layouts() if each.claims(folder)]

    assert told(write_nerfies(tmp_path / "n")) == ("Nerfies", ["Nerfies"])
    assert told(write_iphone(tmp_path / "i")) == ("DyCheck iPhone", ["DyCheck iPhone", "Nerfies"])
    write_colmap(tmp_path / "s")
    shutil.copytree(tmp_path / "s" / "sparse", write_nerfstudio(tmp_path / "t") / "sparse")
    assert told(tmp_path / "t") == ("nerfstudio", ["nerfstudio", "COLMAP"])
    write_llff(tmp_path / "l")
    for path in write_blender(tmp_path / "b").glob("*.json"):
        shutil.copy(path, tmp_path / "l")
    assert told(tmp_path / "b") == ("Blender", ["Blender"])
    assert told(tmp_path / "l")[0] == "LLFF"  # DynamicNeRF's tools leave such a file beside


@pytest.mark.parametrize(("layout", "name", "damage", "named"), BROKEN, ids=[f"{b[0]}: {b[1]}" for b in BROKEN])
def test_what_is_said_not_to_open_does_not(
    tmp_path: Path, whole: Callable[[str], Path], layout: str, name: str, damage: Break, named: str
) -> None:
    clip = whole(layout)
    shutil.copytree(clip.parent, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / clip.name)
    found = recognise(tmp_path)
    assert_sentences(found)
    assert found.opens or (found.missing and found.method in ("", "4dgs", "ddr"))
    if not found.opens:
        with pytest.raises(InputError):
            open_dataset(tmp_path, FULL)
    if name in ("no list", "no K", "not JSON", "no video", "pickle", "too few poses", "truncated", "no images", "list"):
        assert not found.opens and any(named in text for text in found.missing)


def test_a_camera_that_hardly_moves_is_for_ddr(tmp_path: Path) -> None:
    path = write_llff(tmp_path)  # a circle of radius 3 around things that are between 1.5 and 6 away
    moving = recognise(tmp_path)
    assert moving.method == "ddr" and "8 %" in moving.reason  # 2 * 3 * sin(0.08), of 6
    table = np.load(path)
    matrices = table[:, :15].reshape(-1, 3, 5)
    matrices[:, :, 3] *= 1.1 * HARDLY / (2 * 3 * np.sin(0.08) / 6)
    np.save(path, table)
    assert recognise(tmp_path).method == "4dgs"
    matrices[:, :, 3] *= 3
    table[:, 16] = 1e6  # the sky is far, and the rest is not
    np.save(path, table)
    assert recognise(tmp_path).method == "4dgs"


@pytest.mark.parametrize("layout", ["videos", "llff"])
def test_generated_views_beside_a_clip_are_for_sparsecam4d(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](tmp_path)
    (tmp_path / "generated").mkdir()
    found = recognise(tmp_path)
    assert found.method == "sparsecam4d" and "generated" in found.reason
    assert recognise(tmp_path / "generated").path == tmp_path


def test_a_run_says_its_method_its_step_and_its_clip(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "demo:small-motion")
    found = recognise(run)
    assert (found.kind, found.opens, found.method) == ("run", True, "ddr")
    assert found.what == "a run of ddr at step 2,000, trained on hand-books"
    for inside in ("checkpoints", "checkpoints/step-002000", "checkpoints/step-002000/scene.safetensors", "run.json"):
        assert recognise(run / inside) == found


def test_a_run_whose_clip_is_gone_says_which(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(tmp_path / "clip"), steps=())
    found = recognise(run)
    assert not found.opens and any(str(tmp_path / "clip") in text for text in found.missing)
    assert "without a checkpoint" in found.what
    (tmp_path / "clip").mkdir()
    assert recognise(run).opens


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 99}', '{"format": 1}', '{"format": 1, "dataset": 3}'])
def test_a_damaged_run_is_a_run_that_does_not_open(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    found = recognise(tmp_path)
    assert (found.kind, found.opens) == ("run", False) and found.missing


def test_pictures_alone_open_with_learned_poses(tmp_path: Path) -> None:
    write_images(tmp_path, 5)
    for place in (tmp_path, tmp_path / "images", tmp_path / "images" / "003.png"):
        found = recognise(place)
        assert (found.kind, found.opens, found.method) == ("pictures without cameras", True, "ddr")
        assert found.what == "5 pictures without cameras" and "hardly moved" in found.missing[0]
        open_dataset(found.path, DataOptions(poses=found.poses))
    (tmp_path / "intri.yml").write_text("")
    assert "EasyVolcap" in recognise(tmp_path).missing[0]


def test_videos_alone_say_what_to_add(tmp_path: Path) -> None:
    write_videos(tmp_path)
    (tmp_path / "cameras.json").unlink()
    found = recognise(tmp_path)
    assert (found.kind, found.opens) == ("videos without cameras", False)
    assert found.what == "4 videos without a calibration" and "cameras.json" in found.missing[0]
    alone = recognise(tmp_path / "cam0.mp4")
    assert "dynview prepare" in alone.missing[-1] and "cam0.mp4" in alone.missing[-1]
    shutil.copytree(tmp_path, spaced := tmp_path / "my videos")
    assert f"dynview prepare '{spaced}' --out SCENE" in recognise(spaced).missing[-1]
    with pytest.raises(InputError, match=rf"dynview prepare '{spaced}' --out SCENE, or add cameras.json"):
        open_dataset(spaced, FULL)


@pytest.mark.parametrize("layout", list(WRITERS))
def test_a_file_stands_for_the_clip_it_is_in(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](tmp_path)
    inside = [p for p in tmp_path.rglob("*") if p.is_file() or p.name == "images"]
    assert inside and {recognise(p).path for p in inside} == {tmp_path}
    assert all(recognise(p).opens for p in inside)


def test_what_cannot_be_opened_says_what_can(tmp_path: Path) -> None:
    assert recognise(tmp_path / "gone").what == "not there"
    found = recognise(tmp_path)
    assert (
        found.kind == "nothing"
        and found.missing[0].startswith("Expected cameras.json")
        and "COLMAP" in found.missing[0]
    )
    (tmp_path / "notes.txt").write_bytes(b"")
    assert "notes.txt" in recognise(tmp_path / "notes.txt").what
    (tmp_path / "one" / "images").mkdir(parents=True)
    (tmp_path / "one" / "images" / "0.png").write_bytes(b"")
    assert not recognise(tmp_path / "one").opens
    for strange in ("", "\0", "~nobody-here/x", "x" * 5000):
        assert_sentences(recognise(strange))


def test_a_folder_of_clips_names_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_llff(tmp_path / name)
    write_run(tmp_path / "c", "demo")
    found = recognise(tmp_path)
    assert found.what == "a folder with 3 clips or runs" and found.missing == ("Open one of them: a, b, c.",)


def test_the_demo_scenes_are_known() -> None:
    assert recognise("demo") == Recognised(
        Path("demo"), "demo", True, "the procedural demo scene", (), "4dgs", recognise("demo:sparse").reason
    )
    assert recognise("demo:small-motion").method == "ddr"
    assert not recognise("demo:nothing").opens


def test_a_look_is_quick(real_clip: Callable[[str], Path]) -> None:
    for name in ("hand-books", "lab-balance", "lady-running", "nvidia-balloon1"):
        clip, times = real_clip(name), []
        for _ in range(5):  # the first one imports, and other programs run meanwhile
            began = time.perf_counter()
            assert recognise(clip).opens
            times.append(time.perf_counter() - began)
        assert min(times) < 0.05
