"""Broken folders of generated views: each way of breaking is named in one sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from renderer.errors import InputError
from tests.generated_folders import (
    FRAMES,
    FULL,
    WRITERS,
    Break,
    edit_json,
    flat,
    recam_text,
    say_nothing,
    write_pictures,
    write_video,
    write_viewcrafter_pictures,
)  # fmt: skip
from tests.tiny import tiny_dataset
from training.data.dataset import Dataset
from training.data.generated_loading import open_generated


@pytest.fixture(scope="module")
def clip() -> Dataset:
    return tiny_dataset(FRAMES)


def entry(**values: Any) -> Break:
    return edit_json(lambda d: d["camera_path"][1].update(values))


def listed(k: int, **values: Any) -> Break:
    return edit_json(lambda d: d[k].update(values))


def rename_cameras(data: list[dict[str, Any]]) -> None:
    for item in data:
        item["file_path"] = item["file_path"].replace("left_", "roof_")


def swap_cameras(data: list[dict[str, Any]]) -> None:
    for item in data:
        if item["is_true_image"]:
            item["file_path"] = f"images/{'right' if item['id'] == 0 else 'left'}_0000.png"


def more_instants(writer: Callable[[Path, list[int]], object], name: str, count: int) -> Break:
    return lambda p: [writer(p / name.format(k), [60] * 25) for k in range(FRAMES, FRAMES + count)]


NAN = float("nan")
TWICE = (2 * np.eye(4)).tolist()
PICTURE = "preprocess/time_0002/diffusion/frame_00001.png"
BROKEN: list[tuple[str, str, Break, str]] = [
    ("plain", "not JSON", lambda p: p.write_text("{"), "camera_path.json"),
    ("plain", "a list", lambda p: p.write_text("[1]"), "camera_path.json"),
    ("plain", "no size", edit_json(lambda d: d.pop("render_width")), "camera_path.json"),
    ("plain", "no width", edit_json(lambda d: d.update(render_width=0)), "render_width"),
    ("plain", "endless width", lambda p: p.write_text(p.read_text().replace(": 40", ": 1e999")), "camera_path.json"),
    ("plain", "not finite", entry(camera_to_world=[NAN] * 16), "camera_path.json"),
    ("plain", "wrong shape", entry(camera_to_world=[1.0] * 12), "camera_path.json"),
    ("plain", "no rotation", entry(camera_to_world=np.diag([2, 2, 2, 1]).ravel().tolist()), "camera 1"),
    ("plain", "no field of view", entry(fov=0.0), "camera 1"),
    ("plain", "field of view not finite", entry(fov=NAN), "camera 1"),
    ("plain", "half a pinhole", entry(fl_x=40.0), "fl_y"),
    ("plain", "bad pinhole", entry(fl_x=-4.0, fl_y=40, cx=20, cy=15, w=40, h=30), "fl_x"),
    ("plain", "other shape", entry(fl_x=40, fl_y=40, cx=20, cy=15, w=40, h=90), "b.mp4"),
    ("plain", "bad frames", entry(frames="all"), "frames"),
    ("plain", "other number of frames", entry(frames=[0, 1]), "b.mp4"),
    ("plain", "frame beyond", entry(frames=[0, 1, 2, 9]), "instant 9"),
    ("plain", "a camera too few", edit_json(lambda d: d["camera_path"].pop()), "2 cameras for 3"),
    ("plain", "a folder too few", lambda p: (p.parent / "b.mp4").unlink(), "3 cameras for 2"),
    ("plain", "empty folder", lambda p: [f.unlink() for f in (p.parent / "a").iterdir()], "no pictures"),
    ("plain", "missing frame", lambda p: (p.parent / "a" / "02.png").unlink(), "no picture 2"),
    ("plain", "missing last frame", lambda p: (p.parent / "c" / "03.png").unlink(), "has 3 pictures"),
    ("plain", "frames beyond", lambda p: write_video(p.parent / "b.mp4", [9] * 5), "b.mp4"),
    ("plain", "not a picture", lambda p: (p.parent / "a" / "02.png").write_bytes(b"x"), "02.png"),
    ("plain", "other size", lambda p: iio.imwrite(p.parent / "a" / "02.png", flat(1, 20)), "02.png"),
    ("plain", "not a video", lambda p: (p.parent / "b.mp4").write_bytes(b"nothing"), "b.mp4"),
    ("sparsecam4d", "not JSON", lambda p: p.write_text("{"), "sfm_transforms_extend.json"),
    ("sparsecam4d", "not a list", lambda p: p.write_text("{}"), "sfm_transforms_extend.json"),
    ("sparsecam4d", "list of numbers", lambda p: p.write_text("[1]"), "sfm_transforms_extend.json"),
    ("sparsecam4d", "no time", edit_json(lambda d: d[2].pop("time")), "has no time"),
    ("sparsecam4d", "time beyond", listed(2, time=1.5), "not in [0, 1]"),
    ("sparsecam4d", "time not finite", listed(2, time=NAN), "time of"),
    ("sparsecam4d", "place not finite", listed(2, time_pseudo=NAN), "time_pseudo"),
    ("sparsecam4d", "no focal length", listed(2, fx=0), "fx"),
    ("sparsecam4d", "words", listed(2, fy="long"), "fy"),
    ("sparsecam4d", "huge", listed(2, width=10**400), "width"),
    ("sparsecam4d", "bad matrix", listed(2, transform_matrix=[1, 2]), "shape"),
    ("sparsecam4d", "not finite", listed(2, transform_matrix=[[NAN] * 4] * 4), "not finite"),
    ("sparsecam4d", "no rotation", listed(2, transform_matrix=TWICE), "not a rotation"),
    ("sparsecam4d", "moving", listed(2, transform_matrix=np.eye(4).tolist()), "several poses"),
    ("sparsecam4d", "twice", edit_json(lambda d: d.append(d[2])), "two pictures"),
    ("sparsecam4d", "missing frame", lambda p: (p.parent / PICTURE).unlink(), PICTURE),
    ("sparsecam4d", "not a picture", lambda p: (p.parent / PICTURE).write_bytes(b"x"), PICTURE),
    ("sparsecam4d", "other size", lambda p: iio.imwrite(p.parent / PICTURE, flat(0, 20)), PICTURE),
    ("sparsecam4d", "other names", edit_json(rename_cameras), "roof"),
    ("sparsecam4d", "swapped names", edit_json(swap_cameras), "which name"),
    ("sparsecam4d", "only real", edit_json(lambda d: [e.update(is_true_image=1) for e in d]), "no generated"),
    ("sparsecam4d", "beyond the clip", listed(2, file_path="preprocess/time_0009/x.png"), "instant 9"),
    ("viewcrafter", "frames missing", lambda p: write_video(p / "2025_1" / "diffusion.mp4", [9] * 24), "24 frames"),
    ("viewcrafter", "not a video", lambda p: (p / "2025_1" / "diffusion.mp4").write_bytes(b"x"), "2025_1"),
    ("viewcrafter", "no output", lambda p: (p / "2025_1" / "diffusion.mp4").unlink(), "2025_1"),
    ("viewcrafter", "too many",
     more_instants(lambda f, v: write_video(f / "diffusion.mp4", v), "2025_{}", 1), "instant 4"),
    ("viewcrafter", "other size", lambda p: write_video(p / "2025_1" / "diffusion.mp4", [9] * 25, 20), "2025_1"),
    ("viewcrafter pictures", "missing", lambda p: (p / "time_0001/diffusion/frame_00003.png").unlink(), "no picture 3"),
    ("viewcrafter pictures", "last missing", lambda p: (p / "time_0001/diffusion/frame_00024.png").unlink(), "24"),
    ("viewcrafter pictures", "not a picture", lambda p: (p / "time_0001/diffusion/frame_00003.png").write_bytes(b""),
     "frame_00003.png"),
    ("viewcrafter pictures", "too many", more_instants(lambda f, v: write_pictures(f / "diffusion", v), "time_{:04d}",
     1), "instant 4"),
    ("viewcrafter pictures", "twice", lambda p: write_pictures(p / "time_1" / "diffusion", [1] * 25), "again"),
    ("recammaster", "no cameras", lambda p: p.unlink(), "camera_extrinsics.json"),
    ("recammaster", "not JSON", lambda p: p.write_text("{"), "camera_extrinsics.json"),
    ("recammaster", "a list", lambda p: p.write_text("[]"), "frame0 cam03"),
    ("recammaster", "missing pose", edit_json(lambda d: d.pop("frame4")), "frame4 cam03"),
    ("recammaster", "missing path", edit_json(lambda d: d["frame8"].pop("cam03")), "frame8 cam03"),
    ("recammaster", "words", edit_json(lambda d: d["frame4"].update(cam03="[a b]")), "frame4"),
    ("recammaster", "not text", edit_json(lambda d: d["frame4"].update(cam03=4)), "frame4"),
    ("recammaster", "wrong shape", edit_json(lambda d: d["frame4"].update(cam03="[1 2 3]")), "16"),
    ("recammaster", "not finite", edit_json(lambda d: d["frame4"].update(cam03="nan " * 16)), "16"),
    ("recammaster", "singular", edit_json(lambda d: d["frame0"].update(cam03="0 " * 16)), "frame0"),
    ("recammaster", "no rotation", edit_json(lambda d: d["frame4"].update(cam03=recam_text(2 * np.eye(4)))), "frame4"),
    ("recammaster", "no video", lambda p: [v.unlink() for v in p.parent.parent.glob("results/*/*.mp4")], "results"),
    ("recammaster", "not a video", lambda p: (p.parent.parent / "results/cam_type3/video1.mp4").write_bytes(b"x"),
     "video1.mp4"),
    ("recammaster", "too many", lambda p: write_video(p.parent.parent / "results/cam_type3/video2.mp4", [1] * 9),
     "video2.mp4"),
    ("recammaster", "one frame", lambda p: write_video(p.parent.parent / "results/cam_type3/video1.mp4", [1]),
     "single"),
    ("recammaster", "other name", lambda p: write_video(p.parent.parent / "results/cam_type3/a.mp4", [1] * 9), "a.mp4"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "name", "damage", "named"), BROKEN, ids=[f"{b[0]}: {b[1]}" for b in BROKEN])
def test_broken_views_are_named_in_one_sentence(
    tmp_path: Path, clip: Dataset, layout: str, name: str, damage: Break, named: str
) -> None:
    damage(WRITERS[layout](tmp_path))
    with pytest.raises(InputError) as caught:
        open_generated(tmp_path, clip, FULL, say_nothing)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_clip_with_one_training_camera_has_no_place_between_cameras(tmp_path: Path, clip: Dataset) -> None:
    write_viewcrafter_pictures(tmp_path)
    one = replace(clip, shots=[s for s in clip.shots if s.camera_name == "left"])
    with pytest.raises(InputError, match="only one"):
        open_generated(tmp_path, one, FULL, say_nothing)


def test_other_folders_say_what_was_expected(tmp_path: Path, clip: Dataset) -> None:
    for folder, said in ((tmp_path, "camera_path.json.*SparseCam4D.*ViewCrafter.*ReCamMaster"), (tmp_path / "x", "no")):
        with pytest.raises(InputError, match=said):
            open_generated(folder, clip, FULL, say_nothing)
