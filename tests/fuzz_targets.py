"""Every reader of files that people bring, with good files for it: what tests.fuzz damages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from PIL import Image

from app.scene_files import open_subject
from app.settings import load_settings
from app.training_record import read_record
from renderer.errors import InputError
from renderer.files.cameras import NamedCamera
from renderer.files.ply import write_native_ply, write_still_ply
from renderer.files.spacetime import spacetime_of
from renderer.files.splat_file import write_splat_file
from renderer.files.splatv import write_splatv
from renderer.files.still import still_at
from renderer.gaussians import Gaussians
from renderer.paths import load_path, orbit_path, save_path
from renderer.scene import Scene, render
from renderer.view import View
from tests import generated_folders as generated
from tests import scene_bytes
from tests import test_layout_blender as blender
from tests import test_layout_dynamicnerf as dynamicnerf
from tests import test_layout_iphone as iphone
from tests import test_layout_nerfies as nerfies
from tests import test_layout_nerfstudio as nerfstudio
from tests import test_layout_neural3dvideo as neural3dvideo
from tests import test_layout_nsff as nsff
from tests import test_layout_panoptic as panoptic
from tests import test_layout_sparsecam4d_scene as sparsecam4d
from tests import test_layout_technicolor as technicolor
from tests import test_loading as loading
from tests.fuzz import Target
from tests.test_colmap import write_model
from tests.tiny import camera_at, random_gaussians, tiny_dataset
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, write_json
from training.data.colmap_model import pose_count, read_model
from training.data.generated_loading import open_generated
from training.data.images import VideoFrames, fitted_size, read_image, video_info
from training.data.loading import DataOptions, open_dataset
from training.data.masks import MaskFile
from training.data.recognise import recognise
from training.priors.depth_files import fitted, read_values
from training.priors.flow_files import read_flow, resized
from training.run import described

FULL = DataOptions(megapixels=1.0)


# ------------------------------------------------------------------------------------------------ scenes


def small_scene() -> Gaussians:
    return replace(random_gaussians(300, seed=4), sh_level=3)


def seen(name: str, folder: Path) -> Scene:
    """The scene of a file, drawn once: what is loaded can be looked at."""
    subject = open_subject(folder / name)
    render(subject.scene, View(subject.home.resized(24, 16), 0.3))
    return subject.scene


def write_splatv_file(folder: Path) -> None:
    moving = spacetime_of(replace(small_scene(), sh_level=0))
    bent = replace(moving, turns=np.full_like(moving.turns, 0.5), motion=moving.motion + np.float32(0.5))
    write_splatv(folder / "a.splatv", bent, [NamedCamera("one", camera_at(0.1)), NamedCamera("two", camera_at(0.3))])


def write_checkpoint(scene: Callable[[], Scene], folder: Path) -> None:
    made = save_checkpoint(folder, Checkpoint(7, scene(), {"x/step": torch.ones(3)}, {}, {"a": torch.ones(2)}))
    made.rename(folder / "checkpoint")
    write_json(folder / "run.json", {"format": 1, "source": "demo", "method": "4dgs", "changes": {"steps": 60}})


def read_whole_checkpoint(folder: Path) -> object:
    run = folder / "run"
    (run / "checkpoints").mkdir(parents=True)
    (folder / "checkpoint").rename(run / "checkpoints" / "step-000007")
    try:
        return load_checkpoint(run)
    finally:
        (run / "checkpoints" / "step-000007").rename(folder / "checkpoint")
        (run / "checkpoints").rmdir()
        run.rmdir()


SCENES = (
    Target("3dgs ply", lambda f: write_still_ply(f / "a.ply", still_at(small_scene(), 0.3)), partial(seen, "a.ply")),
    Target("4d ply", lambda f: write_native_ply(f / "a.ply", small_scene()), partial(seen, "a.ply")),
    Target("compressed ply", lambda f: (f / "a.ply").write_bytes(scene_bytes.compressed_ply()), partial(seen, "a.ply")),
    Target("splat", lambda f: write_splat_file(f / "a.splat", still_at(small_scene(), 0.3)), partial(seen, "a.splat")),
    Target("splatv", write_splatv_file, partial(seen, "a.splatv")),
    Target("spz 2", lambda f: (f / "a.spz").write_bytes(scene_bytes.spz(2)), partial(seen, "a.spz")),
    Target("spz 3", lambda f: (f / "a.spz").write_bytes(scene_bytes.spz(3)), partial(seen, "a.spz")),
    Target(
        "checkpoint of gaussians", partial(write_checkpoint, small_scene), partial(seen, "checkpoint"),
        ("checkpoint/scene.safetensors", "checkpoint/state.json"),
    ),
    Target(
        "checkpoint of a field", partial(write_checkpoint, scene_bytes.small_field), partial(seen, "checkpoint"),
        ("checkpoint/scene.safetensors", "checkpoint/state.json"),
    ),
    Target(
        "checkpoint with training", partial(write_checkpoint, small_scene), read_whole_checkpoint,
        ("checkpoint/training.safetensors", "checkpoint/distortion.safetensors", "checkpoint/state.json"),
    ),
)  # fmt: skip


# --------------------------------------------------------------------------------- settings, runs and paths


def write_record(folder: Path) -> None:
    lines = [{"step": 10 * k, "loss": 0.1, "psnr": 20.0, "size": 40, "parts": {"l1": 0.1}} for k in range(20)]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"step": 200, "split": "test", "psnr": 21.0}])
    (folder / "metrics.jsonl").write_text(text)


def write_path(folder: Path) -> None:
    views = orbit_path(camera_at(0.0), np.zeros(3), np.array([0.0, -1.0, 0.0]), 6, (0.3, 0.1))
    save_path(folder / "camera_path.json", views, 24.0)
    document = json.loads((folder / "camera_path.json").read_text())
    keyframes = [
        {**entry, "matrix": entry["camera_to_world"], "properties": f'[["TIME", {k / 5}], ["NAME", "k{k}"]]'}
        for k, entry in enumerate(document["camera_path"])
    ]
    more = {"camera_path": [], "keyframes": keyframes, "seconds": 4, "smoothness_value": 0.5, "is_cycle": True}
    (folder / "keyframes.json").write_text(json.dumps(document | more))


def read_paths(folder: Path) -> object:
    return load_path(folder / "camera_path.json", 0.1), load_path(folder / "keyframes.json", 0.1)


def read_settings(folder: Path) -> object:
    os.environ["DYNVIEW_CONFIG"] = str(folder)
    return load_settings()


SETTINGS = {
    "theme": "light", "window": [1, 2, 900, 700], "side": 400, "keys": {"play": "Space"}, "recent": ["demo"],
    "export": {"fps": 30}, "speed": 2.0,
}  # fmt: skip
SMALL = (
    Target("camera path", write_path, read_paths),
    Target("run.json", partial(write_checkpoint, small_scene), described, ("run.json",)),
    Target("metrics.jsonl", write_record, lambda f: read_record(f / "metrics.jsonl", 1000)),
    Target("settings", lambda f: write_json(f / "settings.json", SETTINGS), read_settings),
)


# ------------------------------------------------------------------------------------------------- clips


def opened(folder: Path) -> object:
    """A clip as the window and the command line meet it: a look first, which raises nothing, then its first picture."""
    found = recognise(folder)
    assert all("\n" not in sentence for sentence in found.missing), found.missing
    dataset = open_dataset(folder, FULL)
    if dataset.depth is not None:
        dataset.depth(0)
    for masks in (dataset.moving, dataset.covisible):
        for index in range(len(dataset.shots) if masks is not None else 0):
            masks(index)
    return dataset.read(0)


def write_colmap(binary: bool, folder: Path) -> None:
    poses = [camera_at(0.05 * k, 80, 48).world_to_camera for k in range(8)]
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (60, 3))
    write_model(folder / "sparse" / "0", points, poses, binary)
    (folder / "images").mkdir()
    for k in range(8):
        iio.imwrite(folder / "images" / f"{k:04d}.png", np.full((48, 80, 3), 20 * k, np.uint8))


def read_colmap(folder: Path) -> object:
    with suppress(InputError):  # it is told of in opening as well
        pose_count(folder / "sparse" / "0")
    read_model(folder / "sparse" / "0")
    return opened(folder)


def write_generated(layout: str, folder: Path) -> None:
    generated.WRITERS[layout](folder)


def read_generated(folder: Path) -> object:
    views = open_generated(folder, tiny_dataset(generated.FRAMES), FULL, generated.say_nothing)
    return views.read(0)


CLIPS = (
    Target("colmap text", partial(write_colmap, False), read_colmap),
    Target("colmap binary", partial(write_colmap, True), read_colmap),
    Target("llff", loading.write_llff, opened),
    Target("posed frames", loading.write_posed_frames, opened),
    Target("calibrated videos", loading.write_videos, opened, share=0.1),
    Target("blender", blender.write_blender, opened),
    Target("dynamicnerf", dynamicnerf.write_clip, opened),
    Target("iphone", iphone.write_iphone, opened),
    Target("nerfies", nerfies.write_nerfies, opened),
    Target("nerfstudio", nerfstudio.write_nerfstudio, opened),
    Target("neural3dvideo", neural3dvideo.write_frames, opened),
    Target("nsff", nsff.write_clip, opened),
    Target("nsff masks", nsff.write_clip, opened, ("motion_masks/00001.png", "mv_masks/00001/cam01.png")),
    Target("iphone masks", iphone.write_iphone, opened, ("covisible/2x/val/1_00003.png",)),
    Target("panoptic", panoptic.write_clip, opened),
    Target("sparsecam4d scene", sparsecam4d.write_packaged, opened),
    Target("technicolor", technicolor.write_rig, opened),
    Target("generated plain", partial(write_generated, "plain"), read_generated, share=0.1),
    Target("generated sparsecam4d", partial(write_generated, "sparsecam4d"), read_generated, share=0.1),
    Target("generated recammaster", partial(write_generated, "recammaster"), read_generated, share=0.1),
)


# ---------------------------------------------------------------------------- pictures, depths and flows


PICTURE_FILES = ("a.png", "a.jpg", "a.bmp", "a.tif", "a.webp")
DEPTH_FILES = ("a.npy", "a.npz", "a.png", "a.pfm")
FLOW_FILES = ("a.npy", "a.npz", "a.flo")
MASK_FILES = ("a.png", "a.jpg.png", "b.png")
VIDEO_FILES = ("a.mp4", "a.mkv")


def write_picture_files(folder: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    for name in PICTURE_FILES:
        Image.fromarray(picture).save(folder / name)


def write_masks(folder: Path) -> None:
    mask = np.zeros((24, 32), np.uint8)
    mask[6:12, 8:20] = 255
    for name in MASK_FILES:
        Image.fromarray(mask).save(folder / name)


def write_depths(folder: Path) -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (24, 32)).astype(np.float32)
    np.save(folder / "a.npy", depth)
    np.savez(folder / "a.npz", depths=depth)
    Image.fromarray((1000 * depth).astype(np.uint16)).save(folder / "a.png")
    (folder / "a.pfm").write_bytes(b"Pf\n32 24\n-1.0\n" + depth.tobytes())


def write_flows(folder: Path) -> None:
    flow = np.random.default_rng(0).normal(0, 2, (24, 32, 2)).astype(np.float32)
    np.save(folder / "a.npy", flow)
    np.savez(folder / "a.npz", flow=flow, mask=np.ones((24, 32), np.uint8))
    head = np.float32(202021.25).tobytes() + np.array([32, 24], "<i4").tobytes()
    (folder / "a.flo").write_bytes(head + flow.tobytes())


def each(read: Callable[[Path], object], names: Sequence[str], folder: Path) -> None:
    """All files of a folder, one of which is damaged."""
    for name in names:
        read(folder / name)


def frame_of(path: Path) -> object:
    """Size of a video, and its second frame."""
    info = video_info(path)
    size = fitted_size(info.width, info.height, 0.01)
    return VideoFrames(path, [1], size, 1 << 20, lambda text: None)[0]


def write_video_files(folder: Path) -> None:
    for name in VIDEO_FILES:
        generated.write_video(folder / name, [10, 60, 110, 160])


FILES = (
    Target("pictures", write_picture_files, partial(each, read_image, PICTURE_FILES), PICTURE_FILES),
    Target("masks", write_masks, partial(each, lambda p: MaskFile(p).read(40, 30), MASK_FILES), MASK_FILES),
    Target(
        "depths", write_depths,
        partial(each, lambda p: fitted(read_values(p), 40, 30), DEPTH_FILES), DEPTH_FILES,
    ),
    Target("flows", write_flows, partial(each, lambda p: resized(*read_flow(p), 40, 30), FLOW_FILES), FLOW_FILES),
    Target("videos", write_video_files, partial(each, frame_of, VIDEO_FILES), VIDEO_FILES, share=0.1),
)  # fmt: skip

QUICK = ("colmap text", "colmap binary", "llff", "posed frames", "pictures", "depths", "flows")
TARGETS = tuple(
    replace(target, share=7.0) if target in (*SCENES, *SMALL) or target.name in QUICK else target
    for target in (*SCENES, *SMALL, *CLIPS, *FILES)
)
