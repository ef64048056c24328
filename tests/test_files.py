"""Files for other viewers hold the scene, and damaged ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app import cli
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.ply import read_still_ply, read_table, write_native_ply, write_still_ply, write_table
from renderer.files.splat_file import read_splat_file, write_splat_file
from renderer.files.still import still_at
from renderer.gaussians import Gaussians
from renderer.render import render_gaussians
from renderer.splat import splat
from renderer.view import View
from tests.tiny import camera_at, random_gaussians


def scene(level: int = 5) -> Gaussians:
    return replace(random_gaussians(200, seed=4), sh_level=level)


@pytest.mark.parametrize("level", [0, 2, 3, 5])
@pytest.mark.parametrize("time", [0.0, 0.6])
def test_an_instant_as_3d_gaussians_is_drawn_as_the_4d_scene_is(level: int, time: float) -> None:
    """Opacity and depth alike; colours where they do not depend on the direction of view."""
    gaussians, camera = scene(level), camera_at(0.2, 64, 48)
    drawn = splat(still_at(gaussians, time).splats(camera.center), camera)
    expected = render_gaussians(gaussians, View(camera, time))
    np.testing.assert_allclose(drawn.opacity.numpy(), expected.opacity, atol=2e-4)
    np.testing.assert_allclose(drawn.depth.numpy(), expected.depth, atol=1e-3)
    tolerance = 2e-4 if level == 0 else 0.05  # seen along the way to where it is now, and not to its 4D mean
    np.testing.assert_allclose(drawn.color.numpy(), expected.color, atol=tolerance)


def test_a_ply_holds_what_was_written_in_the_order_that_viewers_expect(tmp_path: Path) -> None:
    still, path = still_at(scene(), 0.3), tmp_path / "new" / "a.ply"
    write_still_ply(path, still)
    back = read_still_ply(path)
    for name in vars(still):
        np.testing.assert_allclose(getattr(back, name), getattr(still, name), atol=1e-6)
    table = read_table(path)
    assert list(table)[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert list(table)[54:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    np.testing.assert_array_equal(table["f_rest_0"], still.sh[:, 1, 0])
    np.testing.assert_array_equal(table["f_rest_15"], still.sh[:, 1, 1])  # all of red, then all of green
    assert not list(path.parent.glob("*.part"))


def test_the_native_ply_holds_all_parameters(tmp_path: Path) -> None:
    gaussians = scene()
    write_native_ply(tmp_path / "a.ply", gaussians)
    table = read_table(tmp_path / "a.ply")
    np.testing.assert_array_equal(table["t"], gaussians.times[:, 0].numpy())
    np.testing.assert_array_equal(table["rot_r_2"], gaussians.right[:, 2].numpy())
    np.testing.assert_array_equal(table["f_rest_47"], gaussians.sh_rest[:, 0, 1].numpy())
    assert len([name for name in table if name.startswith("f_rest")]) == 141


def test_a_splat_file_keeps_a_byte_per_colour_and_the_most_visible_first(tmp_path: Path) -> None:
    still = still_at(scene(0), 0.5)
    write_splat_file(tmp_path / "a.splat", still)
    back = read_splat_file(tmp_path / "a.splat")
    assert len(back) == len(still)
    visible = 1 / (1 + np.exp(-back.opacities)) * np.exp(back.scales.sum(1))
    assert (np.diff(np.log(visible)) < 0.1).all()
    camera = camera_at(0.0, 48, 36)
    a, b = (splat(s.splats(camera.center), camera).color.numpy() for s in (still, back))
    assert np.abs(np.clip(a, 0, 1) - b).max() < 0.06


def test_files_of_other_writers_are_read(tmp_path: Path) -> None:
    """Without normals, of the first degree, with rotations that are not of length one."""
    columns = {n: np.full(3, 0.5, np.float32) for n in ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity")}
    columns |= {f"f_rest_{k}": np.full(3, k, np.float32) for k in range(9)}
    columns |= {f"scale_{k}": np.zeros(3, np.float32) for k in range(3)}
    columns |= {f"rot_{k}": np.full(3, 2.0 * (k == 0), np.float32) for k in range(4)}
    write_table(tmp_path / "a.ply", columns)
    still = read_still_ply(tmp_path / "a.ply")
    np.testing.assert_array_equal(still.rotations[0], [1, 0, 0, 0])
    np.testing.assert_array_equal(still.sh[0, 1:4], [[0, 3, 6], [1, 4, 7], [2, 5, 8]])
    assert not still.sh[:, 4:].any()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a PLY file"),
        (b"ply\nformat ascii 1.0\nend_header\n", "not a binary little-endian PLY"),
        (b"ply\nformat binary_little_endian 1.0\nelement face 1\nend_header\n", "other elements than vertices"),
        (b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty uchar x\nend_header\n", "not floats"),
        (b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty float x\nend_header\nab", "2 bytes for 9"),
        (b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nproperty float x\nend_header\n", "no property y"),
    ],
)
def test_another_or_a_damaged_ply_gets_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_still_ply(path)
    assert str(path) in str(caught.value)


def test_damaged_splat_files_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.splat"
    path.write_bytes(bytes(33))
    with pytest.raises(InputError, match="33 bytes"):
        read_splat_file(path)
    path.write_bytes(bytes(64))
    with pytest.raises(InputError, match="no Gaussian has"):
        read_splat_file(path)


def test_runs_are_exported_from_the_command_line(tmp_path: Path) -> None:
    run, small = tmp_path / "run", ["--data.megapixels", "0.002", "--data.frame-step", "8", "--scene.points", "200"]
    cli.parse(["train", "demo", "--out", str(run), "--steps", "3", *small])()
    cli.parse(["export", str(run), "--time", "0.5", "--out", str(tmp_path / "a.ply")])()
    cli.parse(["export", str(run), "--native", "--out", str(tmp_path / "b.ply")])()
    report = tmp_path / "r.json"
    cli.parse(["export", str(run), "--frames", "3", "--out", str(tmp_path / "c.splat"), "--json", str(report)])()
    assert sorted(p.name for p in tmp_path.glob("c*.splat")) == ["c0001.splat", "c0002.splat", "c0003.splat"]
    assert len(json.loads(report.read_text())["files"]) == 3
    assert len(read_still_ply(tmp_path / "a.ply")) > 10
    for wrong, sentence in (
        (["--out", "a.obj"], "ending in .ply or .splat"),
        (["--out", "a.ply", "--time", "2"], "between 0 and 1"),
        (["--out", "a.splat", "--native"], "one .ply of all times"),
        (["--out", "a.ply", "--frames", "0"], "from 1 to 9999"),
    ):
        with pytest.raises(InputError, match=sentence):
            cli.parse(["export", str(run), *wrong])()


def test_nothing_is_there_and_a_file_of_it_is_read_back(tmp_path: Path) -> None:
    short = scene().with_parameters({**scene().parameters, "times": torch.full((200, 1), 50.0)})
    still = still_at(short, 0.123)
    assert len(still) == 0
    write_still_ply(tmp_path / "a.ply", still)
    assert len(read_still_ply(tmp_path / "a.ply")) == 0
    camera: Camera = camera_at(0.0)
    assert not splat(still.splats(camera.center), camera).opacity.any()
