"""Videos and numbered pictures hold the frames that were added, and nothing is left of those that were not finished."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from app.exports.jobs import exported
from app.exports.plans import Shade, VideoExport
from app.exports.video import FORMATS, QUALITIES, open_writer
from app.painter import Painter
from renderer.errors import InputError
from renderer.scene import render
from renderer.shading import to_bytes
from renderer.view import View
from tests import test_field_trainer
from training import trainer
from training.run import Run

NAMES = ["v.mp4", "v.webm", "v.gif", "shots", "shots/view.png"]


def frames(count: int = 6, height: int = 48, width: int = 64) -> np.ndarray:
    """(count, height, width, 3): two plain colours side by side, that change over time."""
    images = np.empty((count, height, width, 3), np.uint8)
    for k in range(count):
        images[k, :, : width // 2] = (200, 60 + 10 * (k % 8), 40)
        images[k, :, width // 2 :] = (30, 90, 220 - 10 * (k % 8))
    return images


def written(path: Path, images: np.ndarray, quality: str = "good", fps: float = 10) -> Path:
    with open_writer(path, fps, quality) as writer:  # type: ignore[arg-type]
        for image in images:
            writer.add(image)
    return path


def read(path: Path) -> np.ndarray:
    """(frames, H, W, 3) of a file or a folder, by other code than wrote it."""
    if path.name == "view.png":
        path = path.parent
    if path.is_dir():
        return np.stack([iio.imread(p) for p in sorted(path.iterdir())])
    if path.suffix == ".gif":
        return np.asarray(iio.imread(path, plugin="pillow", index=None))[..., :3]
    return np.asarray(iio.imread(path, plugin="FFMPEG"))


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_video_holds_the_frames_in_their_colours(tmp_path: Path, name: str, quality: str) -> None:
    images = frames()
    back = read(written(tmp_path / name, images, quality))
    assert back.shape == images.shape
    inside = np.r_[4:28, 36:60]  # 4:2:0 mixes the colours at the seam
    difference = np.abs(back.astype(int) - images)[:, 4:-4, inside]
    assert difference.max() <= (0 if "shots" in name else 12), difference.max()
    assert len(list(tmp_path.iterdir())) == 1


def test_the_rate_is_the_one_asked_for(tmp_path: Path) -> None:
    for name in ("v.mp4", "v.webm"):
        details = imageio_ffmpeg.read_frames(str(written(tmp_path / name, frames(), fps=12.5)))
        assert next(details)["fps"] == 12.5
    assert iio.immeta(written(tmp_path / "v.gif", frames(), fps=20), plugin="pillow")["duration"] == 50


def test_players_are_told_how_the_colours_were_made(tmp_path: Path) -> None:
    """A video that does not say so is taken for another one when it is large, and its greens turn."""
    for name in ("v.mp4", "v.webm"):
        path = written(tmp_path / name, frames())
        told = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True).stderr
        assert re.search(r"yuv420p\((tv, )?bt709", told), told


def test_a_gif_goes_round_and_round(tmp_path: Path) -> None:
    assert iio.immeta(written(tmp_path / "v.gif", frames()), plugin="pillow")["loop"] == 0


def test_odd_edges_are_cut_off_where_the_format_needs_it(tmp_path: Path) -> None:
    images = frames(2, 31, 45)
    shapes = {name: read(written(tmp_path / name, images)).shape[1:3] for name in ("v.mp4", "v.webm", "v.gif", "p")}
    assert shapes == {"v.mp4": (30, 44), "v.webm": (30, 44), "v.gif": (31, 45), "p": (31, 45)}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_of_a_video_that_was_cancelled(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuntimeError), open_writer(tmp_path / name, 10) as writer:
        writer.add(frames()[0])
        raise RuntimeError("cancelled")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_older_video_is_replaced_only_by_a_complete_one(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, frames(5))
    with pytest.raises(RuntimeError), open_writer(path, 10) as writer:
        writer.add(255 - frames()[0])
        raise RuntimeError("cancelled")
    assert len(read(path)) == 5 and read(path)[0, 20, 10, 0] > 180
    written(path, frames(3))
    assert len(read(path)) == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_of_no_frames_no_file_is_made(tmp_path: Path) -> None:
    for name in NAMES:
        written(tmp_path / name, frames(0))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("name", ["shots", "shots/frame.png"])
def test_pictures_never_go_into_a_folder_that_holds_something_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "frame0001.png").write_bytes(b"older")
    (tmp_path / "shots" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(notes\.txt\)"):
        written(tmp_path / name, frames())
    assert sorted(p.name for p in (tmp_path / "shots").iterdir()) == ["frame0001.png", "notes.txt"]
    assert (tmp_path / "shots" / "frame0001.png").read_bytes() == b"older"


def test_pictures_are_numbered_from_one_by_the_name_that_was_given(tmp_path: Path) -> None:
    written(tmp_path / "a", frames(2))
    written(tmp_path / "b" / "view.png", frames(2))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["frame0001.png", "frame0002.png"]
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["view0001.png", "view0002.png"]


@pytest.mark.parametrize("name", ["v.mp4", "v.webm", "v.gif"])
def test_a_full_disk_gets_a_sentence(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 96, 3)).astype(np.uint8)
    path = tmp_path / name
    with pytest.raises(InputError, match="the disk is full") as caught, open_writer(path, 10) as writer:
        (tmp_path / f".v.partial{path.suffix}").unlink()
        (tmp_path / f".v.partial{path.suffix}").symlink_to("/dev/full")
        for image in noise:
            writer.add(image)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_is_missing_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tmp_path / "ffmpeg"
    encoder.write_text("#!/bin/sh\necho \"[out#0] Unknown encoder 'libvpx-vp9'\" >&2\nexit 1\n")
    encoder.chmod(encoder.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(encoder))
    with pytest.raises(InputError, match=r"v\.webm: the encoder failed \(Unknown encoder 'libvpx-vp9'\)"):
        written(tmp_path / "v.webm", frames(40, 300, 400))
    assert list(tmp_path.iterdir()) == [encoder]


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs a place nobody writes to")
def test_a_place_where_nothing_can_be_written_gets_a_sentence() -> None:
    for name in NAMES:
        with pytest.raises(InputError, match="cannot be written"):
            written(Path("/proc/self") / name, frames(1))


@pytest.mark.parametrize(
    ("name", "fps", "sentence"),
    [("v.avi", 10, "ends in .mp4, .webm or .gif"), ("v.gif", 60, "50 frames per second at most"),
     ("v.mp4", 0, "above zero"), ("v.mp4", float("nan"), "above zero")],
)  # fmt: skip
def test_what_no_format_has_gets_a_sentence(tmp_path: Path, name: str, fps: float, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        open_writer(tmp_path / name, fps)


def test_better_quality_is_nearer_to_the_frames(tmp_path: Path) -> None:
    """Noise that was smoothed a little: hard to compress, as leaves are."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0, 1, (4, 66, 98, 3))
    smooth = (noise[:, :-2, :-2] + noise[:, 2:, 2:] + noise[:, 1:-1, 1:-1]) / 3
    images = to_bytes(smooth.astype(np.float32))
    for name in ("v.mp4", "v.webm", "v.gif"):
        errors = {q: np.abs(read(written(tmp_path / name, images, q)).astype(int) - images).mean() for q in QUALITIES}
        assert errors["draft"] > errors["good"]
        if name != "v.gif":  # there the best dithers more finely, which is farther from each frame and looks nearer
            assert errors["good"] > errors["best"]


def test_every_format_in_the_list_can_be_written(tmp_path: Path) -> None:
    for ending in FORMATS.values():
        written(tmp_path / f"new{ending}", frames(1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "new.gif", "new.mp4", "new.webm"]


@pytest.mark.parametrize("overlay", ["", "rays/entropy"])
def test_a_video_of_a_field_is_as_fine_as_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlay: str
) -> None:
    """On the screen a field is drawn coarsely at first, so that nobody waits."""
    monkeypatch.setattr(trainer, "FIELD_PIXELS", 100)
    learned = test_field_trainer.trainer()
    torch.manual_seed(0)
    with torch.no_grad():  # detail that a coarse picture does not have
        for values in learned.scene.parameters():
            values.add_(0.5 * torch.randn_like(values))
    run = cast(Run, SimpleNamespace(trainer=learned))
    view = View(learned.dataset.shots[0].camera, 0.0)
    shade = Shade(overlay=overlay)
    list(exported(run, Painter(run), VideoExport(tmp_path / "shots", (view,), shade=shade)))
    coarse, fine = (to_bytes(f.color) for f in (learned.draw(view), render(learned.scene, view)))
    assert np.abs(coarse.astype(int) - fine).max() > 10
    np.testing.assert_allclose(read(tmp_path / "shots")[0].astype(int), fine, atol=1)


def test_a_frame_of_another_size_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in a video of"), open_writer(tmp_path / "v.mp4", 10) as writer:
        writer.add(frames()[0])
        writer.add(frames(1, 20, 20)[0])
    assert list(tmp_path.iterdir()) == []
