"""Files for other viewers hold the scene, and damaged ones are refused."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app import cli
from app.exports import gaussians as gaussian_export
from app.exports.gaussians import write_gaussians
from app.exports.plans import GaussianExport
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files import splatv
from renderer.files.cameras import NamedCamera
from renderer.files.ply import read_still_ply, read_table, write_native_ply, write_still_ply, write_table
from renderer.files.read_scene import open_scene
from renderer.files.spacetime import SpacetimeGaussians, spacetime_of
from renderer.files.splat_file import read_splat_file, write_splat_file
from renderer.files.splatv import read_splatv, write_splatv
from renderer.files.still import still_at
from renderer.gaussians import Gaussians
from renderer.render import render_gaussians
from renderer.splat import splat
from renderer.view import View
from tests.tiny import camera_at, planted_floater, random_gaussians
from training.data.colmap_model import read_model


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
    assert not list(path.parent.glob("*.partial*"))


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
    with pytest.raises(InputError, match="no Gaussians that can be drawn"):
        open_scene(path)


CAMERAS = [NamedCamera("middle", camera_at(0.0)), NamedCamera("right", camera_at(0.5))]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(np.clip(a, 0, 1) - np.clip(b, 0, 1)).mean()))


@pytest.mark.parametrize("span", [1.0, 8.0])
def test_a_splatv_is_drawn_as_the_scene_is_at_any_time(tmp_path: Path, span: float) -> None:
    """With colours that do not depend on the direction of view; at the clip's ends too."""
    gaussians = replace(random_gaussians(400, seed=4, time_span=span), sh_level=0)
    write_splatv(tmp_path / "a.splatv", spacetime_of(gaussians), CAMERAS)
    back, _ = read_splatv(tmp_path / "a.splatv")
    camera = camera_at(0.2, 96, 72)
    pictures = []
    for time in (0.0, 0.31, 0.77, 1.0):
        pictures.append(render_gaussians(gaussians, View(camera, time)).color)
        assert psnr(splat(back.splats_at(time), camera).color.numpy(), pictures[-1]) > 35
    assert psnr(pictures[0], pictures[-1]) < 30  # it does move


def test_a_splatv_keeps_what_moves_exactly_where_it_is_seen_best(tmp_path: Path) -> None:
    """Half floats of times and velocities alone would put it elsewhere by 0.0003."""
    generator = torch.Generator().manual_seed(0)
    g = replace(random_gaussians(200, seed=8), sh_level=0)
    turned = g.right + 0.8 * torch.randn(200, 4, generator=generator)
    exact = spacetime_of(g.with_parameters({"time_scales": torch.full((200, 1), -3.0), "right": turned}))
    write_splatv(tmp_path / "a.splatv", exact, CAMERAS)
    back = read_splatv(tmp_path / "a.splatv")[0]
    best = np.clip(exact.centers, 0, 1).astype(float)
    places = [m.means + m.motion[:, 0] * (best - m.centers)[:, None] for m in (exact, back)]
    assert np.linalg.norm(exact.motion[:, 0], axis=1).max() > 2
    np.testing.assert_allclose(places[1], places[0], atol=1e-6)
    np.testing.assert_allclose(back.motion, exact.motion, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(back.scales, exact.scales, rtol=1e-3)
    np.testing.assert_allclose(back.lifes, exact.lifes, rtol=1e-3)


def test_a_splatv_has_the_layout_that_viewers_read(tmp_path: Path) -> None:
    """Word by word, as the vertex shader of splaTV unpacks a Gaussian: 16 little-endian uint32 of it."""
    values = SpacetimeGaussians(
        means=np.array([[1.5, -2.0, 3.25]], np.float32),
        motion=np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3),
        rotations=np.array([[0.5, 0.5, -0.5, 0.5]], np.float32),
        turns=np.array([[0.25, 0.5, 0.75, 1.0]], np.float32),
        scales=np.array([[0.125, 0.25, 0.5]], np.float32),
        centers=np.array([0.5], np.float32),
        lifes=np.array([2.0], np.float32),
        opacities=np.array([0.8], np.float32),
        colors=np.array([[1.0, 0.2, 0.0]], np.float32),
    )
    write_splatv(tmp_path / "a.splatv", values, CAMERAS)
    data = (tmp_path / "a.splatv").read_bytes()
    magic, length = struct.unpack_from("<II", data)
    (chunk,) = json.loads(data[8 : 8 + length])
    assert magic == 0x674B and chunk["type"] == "splat"
    assert (chunk["texwidth"], chunk["texheight"]) == (4096, 1)
    assert len(data) == 8 + length + chunk["size"] == 8 + length + 4096 * 1 * 16
    words = np.frombuffer(data, "<u4", 16, 8 + length)

    def halves(word: int) -> tuple[float, float]:
        return tuple(np.array([word & 0xFFFF, word >> 16], np.uint16).view(np.float16).astype(float))

    assert words[:3].view("<f4").tolist() == [1.5, -2.0, 3.25]
    assert (*halves(words[3]), *halves(words[4])) == (0.5, 0.5, -0.5, 0.5)
    assert (*halves(words[5]), halves(words[6])[0]) == (0.125, 0.25, 0.5)
    assert [int(words[7]) >> shift & 255 for shift in (0, 8, 16, 24)] == [255, 51, 0, 204]
    motion = [value for word in words[8:13] for value in halves(word)]
    assert motion[:9] == list(range(1, 10))  # linear, quadratic, cubic: x, y, z of each
    assert (*halves(words[13]), *halves(words[14])) == (0.25, 0.5, 0.75, 1.0)
    assert halves(words[15]) == (0.5, 2.0)
    camera = chunk["cameras"][1]
    np.testing.assert_allclose(camera["position"], CAMERAS[1].camera.center)
    np.testing.assert_allclose(np.array(camera["rotation"]).T, CAMERAS[1].camera.world_to_camera[:3, :3])


def test_motion_turning_and_fading_of_a_splatv_are_its_own_equations() -> None:
    """One Gaussian by hand: x + m0 dt + m1 dt^2 + m2 dt^3, q + w dt, o exp(-(dt / s)^2)."""
    one = SpacetimeGaussians(
        np.zeros((1, 3), np.float32),
        np.array([[[1, 0, 0], [0, 2, 0], [0, 0, 4]]], np.float32),
        np.array([[1, 0, 0, 0]], np.float32),
        np.array([[0, 0, 0, 2]], np.float32),
        np.array([[0.1, 0.2, 0.3]], np.float32),
        np.array([0.25], np.float32),
        np.array([1.0], np.float32),
        np.array([0.5], np.float32),
        np.full((1, 3), 0.5, np.float32),
    )
    seen = one.splats_at(0.75)
    np.testing.assert_allclose(seen.means[0], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(seen.opacities[0], 0.5 * np.exp(-0.25), rtol=1e-6)
    # 1 + k is a quarter turn about z: x and y change places
    np.testing.assert_allclose(seen.covariances[0], [0.04, 0, 0, 0.01, 0, 0.09], atol=1e-7)
    assert len(one.splats_at(2.5)) == 0


def test_a_splatv_of_more_than_a_row_and_of_nothing_is_read_back(tmp_path: Path) -> None:
    wall, view, _ = planted_floater()
    moving = spacetime_of(wall)
    assert len(moving) > 1024
    write_splatv(tmp_path / "a.splatv", moving, CAMERAS)
    back, cameras = read_splatv(tmp_path / "a.splatv")
    assert len(back) == len(moving) and (tmp_path / "a.splatv").stat().st_size % 65536 < 2048
    assert [c.name for c in cameras] == ["middle", "right"]
    np.testing.assert_allclose(cameras[1].camera.world_to_camera, CAMERAS[1].camera.world_to_camera, atol=1e-12)
    expected = render_gaussians(wall, view).color
    assert psnr(splat(back.splats_at(view.time), view.camera).color.numpy(), expected) > 35
    never = scene().with_parameters({**scene().parameters, "times": torch.full((200, 1), 50.0)})
    write_splatv(tmp_path / "b.splatv", spacetime_of(never), CAMERAS)
    assert len(read_splatv(tmp_path / "b.splatv")[0]) == 0
    assert len(read_splatv(tmp_path / "b.splatv")[0].splats_at(0.5)) == 0


def test_the_colour_of_a_splatv_is_the_one_at_each_gaussians_own_time() -> None:
    g = scene(5)
    moving = spacetime_of(g)
    first = int(np.argmin(np.linalg.norm(g.positions.numpy() - moving.means[0], axis=1)))
    dc = (g.sh_dc[first, 0] + g.sh_rest[first, 15] + g.sh_rest[first, 31]).numpy()
    np.testing.assert_allclose(moving.colors[0], np.clip(0.5 + 0.28209479 * dc, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: b"", "not a .splatv"),
        (lambda d: b"ply\nformat", "not a .splatv"),
        (lambda d: d[:-64], "bytes where 65536 are stated"),
        (lambda d: d[:8] + d[8:].replace(b"size", b"Size", 1), "head is damaged"),
        (lambda d: d[:4] + b"\xff\xff\xff\x7f" + d[8:], "head is damaged"),
    ],
)
def test_damaged_splatv_files_get_a_sentence(tmp_path: Path, change: Callable[[bytes], bytes], sentence: str) -> None:
    path = tmp_path / "a.splatv"
    write_splatv(path, spacetime_of(scene()), CAMERAS)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=sentence) as caught:
        read_splatv(path)
    assert str(path) in str(caught.value)


def test_rows_that_no_gaussian_has_are_left_out_and_those_beside_them_kept(tmp_path: Path) -> None:
    """Quaternions that are zero, and numbers of nothing but set bits."""
    still, moving = still_at(scene(), 0.3), spacetime_of(scene())
    turned = np.arange(len(still)) != 3
    write_still_ply(tmp_path / "a.ply", replace(still, rotations=still.rotations * turned[:, None]))
    back = read_still_ply(tmp_path / "a.ply")
    np.testing.assert_allclose(back.means, still.means[turned], atol=1e-6)
    assert np.isfinite(back.rotations).all()
    write_splat_file(tmp_path / "a.splat", still)
    whole, data = read_splat_file(tmp_path / "a.splat"), bytearray((tmp_path / "a.splat").read_bytes())
    data[3 * 32 + 28 : 4 * 32] = bytes([128] * 4)
    data[5 * 32 : 5 * 32 + 24] = b"\xff" * 24
    (tmp_path / "a.splat").write_bytes(data)
    np.testing.assert_array_equal(read_splat_file(tmp_path / "a.splat").means, np.delete(whole.means, (3, 5), 0))
    write_splatv(tmp_path / "a.splatv", moving, CAMERAS)
    seen, data = read_splatv(tmp_path / "a.splatv")[0], bytearray((tmp_path / "a.splatv").read_bytes())
    data[-65536 : -65536 + 64] = b"\xff" * 64
    (tmp_path / "a.splatv").write_bytes(data)
    np.testing.assert_array_equal(read_splatv(tmp_path / "a.splatv")[0].means, seen.means[1:])
    for suffix in (".ply", ".splat", ".splatv"):
        open_scene(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("kind", "name", "frames"),
    [("ply", "a.ply", None), ("splat", "a.splat", 3), ("native", "a.ply", None), ("splatv", "a.splatv", None)],
)
def test_gaussians_are_written_piece_by_piece(tmp_path: Path, kind: str, name: str, frames: int | None) -> None:
    job = GaussianExport(tmp_path / "new" / name, kind, 0.5, frames)  # type: ignore[arg-type]
    steps = list(write_gaussians(scene(), job, CAMERAS))
    assert [(done, total) for done, total, _ in steps] == [(k + 1, frames or 1) for k in range(frames or 1)]
    assert sorted(p for _, _, p in steps) == sorted((tmp_path / "new").iterdir())


def test_a_cancelled_sequence_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a0001.ply").write_text("older")
    job = write_gaussians(scene(), GaussianExport(tmp_path / "a.ply", "ply", frames=4))
    next(job)
    next(job)
    job.close()  # type: ignore[attr-defined]
    assert [p.name for p in tmp_path.iterdir()] == ["a0001.ply"]
    assert (tmp_path / "a0001.ply").read_text() == "older"


@pytest.mark.parametrize(("kind", "name"), [("ply", "a.ply"), ("splatv", "a.splatv"), ("native", "a.ply")])
def test_a_file_that_holds_something_else_gets_no_name(
    tmp_path: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = scene().with_parameters({k: v[:150] for k, v in scene().parameters.items()})
    if kind == "ply":
        monkeypatch.setattr(gaussian_export, "write_still_ply", lambda p, s: write_still_ply(p, still_at(other, 0.5)))
    elif kind == "native":
        monkeypatch.setattr(gaussian_export, "write_native_ply", lambda p, s: write_native_ply(p, other))
    else:
        wrong = spacetime_of(other)
        monkeypatch.setattr(gaussian_export, "write_splatv", lambda p, s, c: write_splatv(p, wrong, c))
    with pytest.raises(InputError, match=rf"{name}: does not hold what was written"):
        list(write_gaussians(scene(), GaussianExport(tmp_path / name, kind, 0.5), CAMERAS))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_check_of_a_splatv_sees_a_single_value(tmp_path: Path) -> None:
    moving = spacetime_of(scene())
    write_splatv(tmp_path / "a.splatv", moving, CAMERAS)
    assert splatv.same(tmp_path / "a.splatv", moving)
    scales = moving.scales.copy()
    scales[7, 1] *= 1.01
    assert not splatv.same(tmp_path / "a.splatv", replace(moving, scales=scales))


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
    cli.parse(["export", str(run), "--out", str(tmp_path / "d.splatv")])()
    moving, cameras = read_splatv(tmp_path / "d.splatv")
    assert len(moving) > 100 and len(cameras) == 3
    cli.parse(["export", str(run), "--cameras", "colmap", "--out", str(tmp_path / "colmap")])()
    names = read_model(tmp_path / "colmap" / "sparse" / "0").names
    transforms = tmp_path / "transforms.json"
    pictures = ["--cameras", "transforms", "--pictures"]
    cli.parse(["export", str(run), *pictures, "--out", str(transforms)])()
    frames = json.loads(transforms.read_text())["frames"]
    assert sorted(f["file_path"] for f in frames) == [f"images/{name}" for name in names]
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == names
    cli.parse(["export", str(run), *pictures, "--out", str(transforms)])()
    mine = tmp_path / "images" / names[1]
    mine.write_bytes(b"mine")
    for wrong, sentence in (
        (["--out", "a.obj"], "ending in .ply, .splat or .splatv"),
        (["--out", "a.splatv", "--frames", "3"], "one file holds all times"),
        (["--out", "a.txt", "--cameras", "transforms"], "end its name in .json"),
        (["--out", "a.json", "--cameras", "transforms", "--native"], "leave --native and --frames out"),
        (["--out", "a.ply", "--pictures"], "pictures go with cameras"),
        ([*pictures, "--out", str(transforms)], f"images: holds another {names[1]}; choose a new"),
        (["--out", "a.ply", "--time", "2"], "between 0 and 1"),
        (["--out", "a.splat", "--native"], "one .ply of all times"),
        (["--out", "a.ply", "--frames", "0"], "from 1 to 9999"),
    ):
        with pytest.raises(InputError, match=sentence):
            cli.parse(["export", str(run), *wrong])()
    assert mine.read_bytes() == b"mine"


def test_nothing_is_there_and_a_file_of_it_is_read_back(tmp_path: Path) -> None:
    short = scene().with_parameters({**scene().parameters, "times": torch.full((200, 1), 50.0)})
    still = still_at(short, 0.123)
    assert len(still) == 0
    write_still_ply(tmp_path / "a.ply", still)
    assert len(read_still_ply(tmp_path / "a.ply")) == 0
    camera: Camera = camera_at(0.0)
    assert not splat(still.splats(camera.center), camera).opacity.any()
