"""A scene without its clip in the engine: looked at, its rays read, exported; never trained, and nothing written."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app import cli
from app import protocol as p
from app.engine import Engine
from app.exports.plans import GaussianExport, VideoExport
from app.scene_files import SceneRun, moves, open_subject, opened_run
from renderer.errors import InputError
from renderer.files.ply import write_native_ply, write_still_ply
from renderer.files.read_scene import open_scene
from renderer.files.still import still_at
from renderer.gaussians import Gaussians
from renderer.scene import render
from renderer.view import View
from tests.listening import Listener, opened
from tests.scene_bytes import small_field
from tests.tiny import random_gaussians
from training.checkpoint import Checkpoint, save_checkpoint, write_json
from training.data.recognise import recognise

SMALL = 48, 27
"""Pixels of the pictures here."""


def moving_scene() -> Gaussians:
    return replace(random_gaussians(150, seed=4), sh_level=0)


def still_file(folder: Path) -> Path:
    write_still_ply(folder / "garden.ply", still_at(moving_scene(), 0.4))
    return folder / "garden.ply"


def native_file(folder: Path) -> Path:
    write_native_ply(folder / "garden.ply", moving_scene())
    return folder / "garden.ply"


def gone_run(folder: Path) -> Path:
    """A run whose clip is not there any more."""
    checkpoint = save_checkpoint(folder / "run", Checkpoint(7, moving_scene(), {"x": torch.zeros(1)}, {}))
    described = {"source": str(folder / "gone"), "dataset": {"name": "gone"}, "changes": {}}
    write_json(folder / "run" / "run.json", {"format": 1, "method": "4dgs", **described})
    return checkpoint


@pytest.fixture
def look() -> Iterator[Callable[[Path], Listener]]:
    engines = []

    def at(path: Path) -> Listener:
        engines.append(Engine(path))
        engines[-1].start()
        return Listener(engines[-1])

    yield at
    assert all(engine.close() for engine in engines)


@pytest.mark.parametrize(("write", "frames"), [(still_file, 1), (native_file, 121), (gone_run, 121)])
def test_it_is_looked_at_and_nothing_is_written(
    look: Callable[[Path], Listener], tmp_path: Path, write: Callable[[Path], Path], frames: int
) -> None:
    path = write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    listener = look(path)
    event = opened(listener)
    assert not event.has_clip and event.frame_count == frames and event.source == str(path)
    assert event.fps == 30 and not event.has_cameras
    assert event.step == (7 if write is gone_run else 0)
    assert event.checkpoints == ((7,) if write is gone_run else ())
    view = View(event.home.resized(*SMALL), 0.4)
    listener.engine.send(p.Draw(p.Look(view)))
    drawn = listener.until(p.Drawn)
    assert isinstance(drawn, p.Drawn)
    np.testing.assert_array_equal(drawn.frame.color, render(open_subject(path).scene, view).color)
    assert drawn.frame.opacity.max() > 0.5
    y, x = np.unravel_index(drawn.frame.opacity.argmax(), drawn.frame.opacity.shape)
    listener.engine.send(p.Pick(view, (int(x), int(y))))
    picked = listener.until(p.Picked)
    assert isinstance(picked, p.Picked) and len(picked.samples)
    np.testing.assert_allclose(picked.ray.composite, drawn.frame.color[y, x], atol=1e-4)
    assert listener.engine.close()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", [p.Train(), p.Save(), p.Evaluate()])
def test_what_needs_a_clip_is_refused_in_a_sentence(
    look: Callable[[Path], Listener], tmp_path: Path, command: p.Command
) -> None:
    path = still_file(tmp_path)
    listener = look(path)
    opened(listener)
    listener.engine.send(p.WatchFrames())
    listener.engine.send(p.ShowCameras())
    listener.engine.send(command)
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed) and not failed.closed and not failed.detail
    assert failed.message.startswith(f"{path}: is a scene without its clip")
    listener.engine.send(p.Draw(p.Look(View(open_subject(path).home.resized(*SMALL), 0.4))))
    listener.until(p.Drawn)  # it goes on
    assert len([e for e in listener.events if isinstance(e, p.Failed)]) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["garden.ply"]


def test_it_is_exported_into_a_folder_beside_it(look: Callable[[Path], Listener], tmp_path: Path) -> None:
    listener = look(native_file(tmp_path))
    event = opened(listener)
    assert event.run == tmp_path / "garden"
    listener.engine.send(p.Export(GaussianExport(event.run / "at.ply", "ply", 0.4)))
    listener.until(p.ExportProgress, lambda e: e.finished)
    expected = render(moving_scene(), View(event.home.resized(*SMALL), 0.4)).color
    written = render(open_scene(event.run / "at.ply"), View(event.home.resized(*SMALL), 0.9)).color
    assert np.abs(written - expected).max() < 2e-3
    views = tuple(View(event.home.resized(*SMALL), time) for time in (0.0, 1.0))
    listener.engine.send(p.Export(VideoExport(event.run / "video.mp4", views)))
    listener.until(p.ExportProgress, lambda e: e.finished)
    assert (event.run / "video.mp4").stat().st_size > 500


def test_a_field_by_itself_is_drawn_coarsely_then_finely(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, Checkpoint(7, small_field("ndc"), {"x": torch.zeros(1)}, {}))
    run = SceneRun(open_subject(folder))
    view = View(run.dataset.shots[0].camera.resized(200, 120), 0.5)
    pieces = run.trainer.drawn_finely(view)
    assert pieces is not None
    *_, fine = pieces
    assert fine is not None
    np.testing.assert_array_equal(fine.color, render(run.trainer.scene, view).color)
    assert not np.array_equal(run.trainer.draw(view).color, fine.color)
    assert run.trainer.draw(replace(view, overlay="velocity")).overlay is None
    assert run.trainer.draw(replace(view, overlay="rays/entropy")).overlay is not None


def test_what_moves_is_told_from_what_stands_still(tmp_path: Path) -> None:
    assert moves(open_scene(native_file(tmp_path))) and not moves(open_scene(still_file(tmp_path)))
    assert moves(small_field("ndc")) == (small_field("ndc").frames > 1)


def test_a_scene_is_recognised_by_what_it_holds(tmp_path: Path) -> None:
    path = still_file(tmp_path)
    for place in (path, tmp_path):
        found = recognise(place)
        assert (found.path, found.kind, found.opens, found.trains) == (path, "scene", True, False)
    (tmp_path / "points.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n")
    assert recognise(tmp_path / "points.ply").kind == "nothing"
    (tmp_path / "other.splat").write_bytes(b"")
    assert "garden.ply, other.splat" in recognise(tmp_path).missing[0]
    (tmp_path / "a.ksplat").write_bytes(b"")
    refused = recognise(tmp_path / "a.ksplat")
    assert not refused.opens and "convert it" in refused.missing[0]


def test_an_exported_scene_in_a_run_is_itself_and_not_the_run(tmp_path: Path) -> None:
    checkpoint = gone_run(tmp_path)
    write_native_ply(tmp_path / "run" / "scene.ply", moving_scene())
    assert recognise(tmp_path / "run" / "scene.ply").path == tmp_path / "run" / "scene.ply"
    found = recognise(tmp_path / "run")
    assert (found.path, found.kind, found.opens) == (checkpoint, "scene", True)
    assert "put it back" in found.missing[0] and "looked at" in found.missing[-1]
    said: list[str] = []
    assert opened_run(tmp_path / "run", said.append, "cpu").trainer.done == 7 and "put it back" in said[-1]
    with pytest.raises(InputError, match=r"run\.json: no such file"):
        opened_run(tmp_path, said.append, "cpu")
    alone = tmp_path / "alone"
    checkpoint.rename(alone)
    assert recognise(alone).kind == recognise(alone / "state.json").kind == "scene"


def test_the_commands_take_it_as_they_take_a_run(tmp_path: Path) -> None:
    path, out = native_file(tmp_path), tmp_path / "out"
    cli.parse(["export", str(path), "--out", str(out / "a.splat"), "--time", "0.4"])()
    home = open_subject(path).home.resized(*SMALL)
    converted = render(open_scene(out / "a.splat"), View(home, 0.0)).color
    assert np.abs(converted - render(moving_scene(), View(home, 0.4)).color).max() < 0.03  # of bytes
    cli.parse(["inspect", str(path), "--camera", "1", "--pixel", "480,270", "--csv", str(out / "ray.csv")])()
    assert (out / "ray.csv").read_text().count("\n") > 3
    for kind, name in (("colmap", "model"), ("transforms", "transforms.json")):
        with pytest.raises(InputError, match="says nothing of cameras"):
            cli.parse(["export", str(path), "--cameras", kind, "--out", str(out / name)])()
        assert not (out / name).exists()
    with pytest.raises(InputError, match="without its clip"):
        cli.parse(["evaluate", str(path)])()
