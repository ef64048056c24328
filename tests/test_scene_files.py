"""Scene files of other programs become the scene that they hold, and are drawn as they should be."""

import gzip
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from app import cli
from app.exports.jobs import exported
from app.exports.plans import Shade, VideoExport
from app.painter import Painter
from app.protocol import ExportProgress
from app.scene_files import SceneRun, is_scene, open_subject, scene_extent
from renderer.camera import Camera
from renderer.errors import InputError
from renderer.files.as_gaussians import gaussians_of_spacetime, gaussians_of_still
from renderer.files.cameras import NamedCamera
from renderer.files.ply import write_native_ply, write_still_ply, write_table
from renderer.files.read_scene import open_scene
from renderer.files.spacetime import spacetime_of
from renderer.files.splat_file import write_splat_file
from renderer.files.splatv import write_splatv
from renderer.files.still import StillGaussians, still_at
from renderer.gaussians import Gaussians
from renderer.picture import Mode
from renderer.render import render_gaussians
from renderer.scene import Scene, render
from renderer.slicing import slice_at
from renderer.splat import splat
from renderer.splat.reference import unpack_symmetric
from renderer.view import View
from tests.scene_bytes import small_field
from tests.tiny import camera_at, random_gaussians
from training.checkpoint import Checkpoint, load_scene, save_checkpoint

QUARTER = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
"""A quarter turn about +z as wxyz: the x axis of a Gaussian goes to y of the world."""
DEVIATIONS = np.array([0.3, 0.2, 0.1])


def gaussians_in(path: Path) -> Gaussians:
    scene = open_scene(path)
    assert isinstance(scene, Gaussians)
    return scene


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(np.clip(a, 0, 1) - np.clip(b, 0, 1)).mean() + 1e-20))


def drawn(scene: Scene, camera: Camera, time: float = 0.5) -> np.ndarray:
    return render(scene, View(camera, time)).color


def still_scene(level: int = 3) -> StillGaussians:
    return still_at(replace(random_gaussians(150, seed=4), sh_level=level), 0.4)


def check_one(path: Path, mean: tuple[float, float, float], opacity: float, color: tuple[float, float, float]) -> None:
    """The file's first Gaussian, turned a quarter about z, has its longest axis along y, at any time."""
    g = gaussians_in(path)
    for time in (0.0, 0.9):
        splats = slice_at(g, time, torch.zeros(3)).splats
        np.testing.assert_allclose(splats.means[0], mean, atol=1e-3)
        covariance = unpack_symmetric(splats.covariances)[0].numpy()
        np.testing.assert_allclose(covariance, np.diag(DEVIATIONS[[1, 0, 2]] ** 2), rtol=0.07, atol=2e-4)
        np.testing.assert_allclose(splats.opacities[0], opacity, atol=0.003)
        np.testing.assert_allclose(splats.colors[0], color, atol=0.006)


# ------------------------------------------------------------------------------------ bytes made by hand


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_ply_of_any_degree_is_read_with_its_extras(tmp_path: Path, degree: int) -> None:
    """As other trainers write it: colours as bytes beside, a double, faces behind, the rest by channels."""
    rest = 3 * ((degree + 1) ** 2 - 1)
    names = [*"xyz", *(f"f_dc_{k}" for k in range(3)), *(f"f_rest_{k}" for k in range(rest))]
    names += ["opacity", *(f"scale_{k}" for k in range(3)), *(f"rot_{k}" for k in range(4))]
    head = "ply\nformat binary_little_endian 1.0\ncomment made by hand\nelement vertex 1\nproperty double x\n"
    head += "".join(f"property float {name}\n" for name in names[1:])
    head += "property uchar red\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    values = {name: 0.0 for name in names} | {"x": 1.0, "y": 2.0, "z": 3.0, "opacity": np.log(0.8 / 0.2)}
    values |= {f"scale_{k}": np.log(DEVIATIONS[k]) for k in range(3)}
    values |= {f"rot_{k}": 3 * QUARTER[k] for k in range(4)}
    values |= {"f_dc_0": 0.5 / 0.28209479} | ({f"f_rest_{rest // 3 + 1}": 0.7} if rest else {})
    body = struct.pack(f"<d{len(names) - 1}fB", *values.values(), 255) + struct.pack("<B3i", 3, 0, 0, 0)
    (tmp_path / "a.ply").write_bytes(head.encode() + body)
    g = gaussians_in(tmp_path / "a.ply")
    assert g.sh_level == (degree if degree < 2 else 1)  # the coefficient that is set is of the first degree
    if rest:
        assert g.sh_rest[0].nonzero().tolist() == [[1, 1]]  # green of Y_1^0: it grows with z
        green = [drawn(g, camera)[24, 32, 1] for camera in (looking(z) for z in (-9.0, 15.0))]
        assert green[0] > green[1] + 0.3
    else:
        check_one(tmp_path / "a.ply", (1, 2, 3), 0.8, (1, 0.5, 0.5))


def looking(z: float) -> Camera:
    """A camera on the axis through (1, 2, 3), that looks along +z, or back along -z from behind."""
    pose = np.eye(4) if z < 3 else np.diag([-1.0, 1.0, -1.0, 1.0])
    pose[:3, 3] = -pose[:3, :3] @ np.array([1.0, 2.0, z])
    return Camera.from_fov(pose, 0.5, 64, 48)


def test_a_splat_file_made_by_hand(tmp_path: Path) -> None:
    rotation = [round(128 + 127.99 * v) for v in QUARTER]
    data = struct.pack("<6f8B", 1, 2, 3, *DEVIATIONS, 255, 128, 0, 204, *rotation)
    (tmp_path / "a.splat").write_bytes(2 * data)
    assert len(gaussians_in(tmp_path / "a.splat")) == 2
    check_one(tmp_path / "a.splat", (1, 2, 3), 0.8, (1, 0.502, 0))


@pytest.mark.parametrize("version", [2, 3])
def test_an_spz_made_by_hand_is_turned_to_the_axes_of_a_ply(tmp_path: Path, version: int) -> None:
    """+y is up in the file, so that a Gaussian at (1, -2, -3) there is at (1, 2, 3); a turn about z goes backwards."""
    N = 1
    head = struct.pack("<IIIBBBB", 0x5053474E, version, N, 1, 12, 0, 0)
    places = b"".join(struct.pack("<i", round(v * 4096))[:3] for v in (1, -2, -3))
    colors = bytes(round(255 * (0.5 + 0.15 * dc)) for dc in (0.5 / 0.28209479, 0.0, -0.5 / 0.28209479))
    scales = bytes(round(16 * (np.log(v) + 10)) for v in DEVIATIONS)
    if version == 2:
        turn = bytes([128, 128, round(127.5 * (1 - QUARTER[3]))])  # x, y, z; w is the rest
    else:  # the largest is w, number 3; of z the sign and the length over sqrt(1/2) in nine bits
        turn = struct.pack("<I", 3 << 30 | (1 << 9 | 510))
    harmonics = bytes([128] * 3 + [128, 192, 128] + [128] * 3)
    (tmp_path / "a.spz").write_bytes(
        gzip.compress(head + places + bytes([204]) + colors + scales + turn + harmonics, mtime=0)
    )
    g = gaussians_in(tmp_path / "a.spz")
    assert g.sh_rest[0].nonzero().tolist() == [[1, 1]] and float(g.sh_rest[0, 1, 1]) == -0.5  # z has changed its sign
    g = replace(g, sh_level=0)
    splats = slice_at(g, 0.5, torch.zeros(3)).splats
    np.testing.assert_allclose(splats.means[0], [1, 2, 3], atol=1e-3)
    covariance = unpack_symmetric(splats.covariances)[0].numpy()
    np.testing.assert_allclose(covariance, np.diag(DEVIATIONS[[1, 0, 2]] ** 2), rtol=0.07, atol=1e-3)
    np.testing.assert_allclose(splats.colors[0], [1, 0.5, 0], atol=0.01)
    np.testing.assert_allclose(splats.opacities[0], 0.8, atol=0.003)


def test_an_eighth_of_a_turn_in_an_spz_goes_the_other_way_in_ours(tmp_path: Path) -> None:
    """By +45 degrees about +z of the file, which is -z of ours: the long axis runs along x = -y."""
    head = struct.pack("<IIIBBBB", 0x5053474E, 3, 1, 0, 12, 0, 0)
    turn = struct.pack("<I", 3 << 30 | round(511 * np.sin(np.pi / 8) / np.sqrt(0.5)))
    scales = bytes(round(16 * (np.log(v) + 10)) for v in (0.3, 0.1, 0.1))
    (tmp_path / "a.spz").write_bytes(gzip.compress(head + bytes(9) + bytes([204]) + bytes(3) + scales + turn, mtime=0))
    splats = slice_at(gaussians_in(tmp_path / "a.spz"), 0.5, torch.zeros(3)).splats
    covariance = unpack_symmetric(splats.covariances)[0].numpy()
    assert covariance[0, 1] < -0.03 and abs(covariance[0, 0] - covariance[1, 1]) < 1e-3


@pytest.mark.parametrize("ranges", [True, False])
def test_a_compressed_ply_made_by_hand(tmp_path: Path, ranges: bool) -> None:
    """Between the chunk's ends, half way in x and y and three quarters in z; the largest of wxyz is left out."""
    chunk = [
        0,
        0,
        1,
        2.0,
        4,
        1 + 2 * 2047 / 1535,
        *np.log(DEVIATIONS),
        *np.log(2 * DEVIATIONS),
        *([0, 0, 0, 1, 1, 1] if ranges else []),
    ]
    names = [f"{end}_{axis}" for end in ("min", "max") for axis in "xyz"]
    names += [f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz"]
    names += [f"{end}_{channel}" for end in ("min", "max") for channel in "rgb"] if ranges else []
    others = [round(1023 * (0.5 + v / np.sqrt(2))) for v in (0, 0, QUARTER[3])]
    words = [1024 << 21 | 512 << 11 | 1535, 0 << 30 | others[0] << 20 | others[1] << 10 | others[2], 0]
    words.append(255 << 24 | 128 << 16 | 0 << 8 | 204)
    head = "ply\nformat binary_little_endian 1.0\nelement chunk 1\n" + "".join(f"property float {n}\n" for n in names)
    head += "element vertex 1\n" + "".join(
        f"property uint packed_{n}\n" for n in ("position", "rotation", "scale", "color")
    )
    head += "element sh 1\n" + "".join(f"property uchar f_rest_{k}\n" for k in range(9)) + "end_header\n"
    body = struct.pack(f"<{len(chunk)}f4I9B", *chunk, *words, *([128] * 4 + [160] + [128] * 4))
    (tmp_path / "a.compressed.ply").write_bytes(head.encode() + body)
    g = gaussians_in(tmp_path / "a.compressed.ply")
    np.testing.assert_allclose(g.sh_rest[0, 1, 1], (160 - 127.5) / 32)
    write_native_ply(tmp_path / "b.ply", replace(g, sh_level=0))
    check_one(tmp_path / "b.ply", (1.0005, 2.002, 3), 0.8, (1, 0.502, 0))


# -------------------------------------------------------------------------------- what we write, read back


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_still_scene_is_drawn_the_same_from_its_ply_at_any_time(tmp_path: Path, level: int) -> None:
    still, camera = still_scene(level), camera_at(0.2, 64, 48)
    write_still_ply(tmp_path / "a.ply", still)
    expected = splat(still.splats(camera.center), camera).color.numpy()
    for time in (0.0, 0.5, 1.0):
        assert psnr(drawn(open_scene(tmp_path / "a.ply"), camera, time), expected) > 90
    assert gaussians_in(tmp_path / "a.ply").sh_level == level


def test_a_still_scene_is_drawn_nearly_the_same_from_its_splat_file(tmp_path: Path) -> None:
    still, camera = still_scene(0), camera_at(0.2, 64, 48)
    write_splat_file(tmp_path / "a.splat", still)
    expected = splat(still.splats(camera.center), camera).color.numpy()
    assert psnr(drawn(open_scene(tmp_path / "a.splat"), camera), expected) > 40


@pytest.mark.parametrize("activation", ["exp", "softplus"])
@pytest.mark.parametrize("span", [1.0, 7.5])
def test_a_4d_scene_is_the_same_from_its_native_ply(tmp_path: Path, activation: str, span: float) -> None:
    g = replace(random_gaussians(150, seed=4, time_span=span), sh_level=4)
    if activation == "softplus":
        names = ("scales", "time_scales")
        raw = {name: torch.log(torch.expm1(torch.exp(getattr(g, name)))) for name in names}
        g = replace(g.with_parameters(raw), scale_activation="softplus")
    write_native_ply(tmp_path / "a.ply", g)
    back = gaussians_in(tmp_path / "a.ply")
    assert (back.time_span, back.sh_level, back.scale_activation) == (span, 4, "exp")
    for time in (0.0, 0.4, 1.0):
        camera = camera_at(0.2, 64, 48)
        assert psnr(drawn(back, camera, time), drawn(g, camera, time)) > 80


@pytest.mark.parametrize(
    ("begin", "end", "found"), [(0, 1, (0, 1)), (-0.5, 0.5, (-0.5, 1)), (0, 10, (0, 10)), (3, 60, None)]
)
def test_a_native_ply_of_another_writer_says_by_its_times_how_long_the_clip_is(
    tmp_path: Path, begin: float, end: float, found: tuple[float, float] | None
) -> None:
    times = np.linspace(begin, end, 500).astype(np.float32)
    columns = {name: np.zeros(500, np.float32) for name in ("x", "y", "z", "opacity", "scale_t_0")}
    columns |= {f"{name}_{k}": np.zeros(500, np.float32) for name in ("f_dc", "scale") for k in range(3)}
    columns |= {f"f_rest_{k}": np.zeros(500, np.float32) for k in range(45)} | {"t": times}
    columns |= {f"{name}_{k}": np.full(500, k == 0, np.float32) for name in ("rot", "rot_r") for k in range(4)}
    write_table(tmp_path / "a.ply", columns)
    g = gaussians_in(tmp_path / "a.ply")
    first, span = found or (np.quantile(times, 0.005), np.ptp(np.quantile(times, (0.005, 0.995))))
    np.testing.assert_allclose(g.times[:, 0], times - np.float32(first), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(g.time_span, span, rtol=1e-5)
    assert g.sh_level == 3


@pytest.mark.parametrize("span", [1.0, 8.0])
def test_a_splatv_of_ours_is_drawn_as_the_scene_is(tmp_path: Path, span: float) -> None:
    g = replace(random_gaussians(200, seed=4, time_span=span), sh_level=0)
    write_splatv(tmp_path / "a.splatv", spacetime_of(g), [NamedCamera("one", camera_at(0.0))])
    back, exact = gaussians_in(tmp_path / "a.splatv"), gaussians_of_spacetime(spacetime_of(g))
    for time in (0.0, 0.31, 1.0):
        camera = camera_at(0.2, 64, 48)
        assert psnr(drawn(back, camera, time), drawn(g, camera, time)) > 35  # half floats and bytes
        assert psnr(drawn(exact, camera, time), drawn(g, camera, time)) > 100


def test_gaussians_that_turn_and_move_along_curves_do_so_in_pieces() -> None:
    generator = np.random.default_rng(0)
    moving = spacetime_of(replace(random_gaussians(60, seed=4), sh_level=0))
    motion = generator.normal(0, np.array([1, 2, 2])[:, None], moving.motion.shape).astype(np.float32)
    bent = replace(moving, motion=motion, turns=generator.normal(0, 1.5, (len(moving), 4)).astype(np.float32))
    scene, camera = gaussians_of_spacetime(bent), camera_at(0.2, 64, 48)
    assert len(bent) < len(scene) <= 29 * len(bent)
    straight = gaussians_of_spacetime(replace(bent, motion=motion * np.array([1, 0, 0])[:, None], turns=0 * bent.turns))
    for time in (0.0, 0.31, 0.77, 1.0):
        expected = splat(bent.splats_at(time), camera).color.numpy()
        assert psnr(drawn(scene, camera, time), expected) > 31 > 27 > psnr(drawn(straight, camera, time), expected)


def test_gaussians_that_are_not_of_numbers_are_left_out(tmp_path: Path) -> None:
    still = still_scene(1)
    means, opacities, scales = still.means.copy(), still.opacities.copy(), still.scales.copy()
    means[0, 1], means[1, 2], opacities[2], scales[3, 0] = np.nan, np.inf, np.nan, np.nan
    opacities[4], scales[5] = np.inf, -np.inf  # opaque, and flat: as some trainers write them
    write_still_ply(tmp_path / "a.ply", replace(still, means=means, opacities=opacities, scales=scales))
    g = gaussians_in(tmp_path / "a.ply")
    assert len(g) == len(still) - 4 and all(torch.isfinite(value).all() for value in g.parameters.values())
    nothing = replace(still, means=np.full_like(means, np.nan))
    write_still_ply(tmp_path / "b.ply", nothing)
    with pytest.raises(InputError, match=r"b\.ply: holds no Gaussians that can be drawn"):
        open_scene(tmp_path / "b.ply")


# ------------------------------------------------------------------------------------- what is not read


def spz(version: int = 3, count: int = 1, degree: int = 0, flags: int = 0, extra: bytes = b"") -> bytes:
    head = struct.pack("<IIIBBBB", 0x5053474E, version, count, degree, 12, flags, 0)
    return gzip.compress(head + bytes(20) + extra, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.ksplat", b"", "GaussianSplats3D's own kind, which is not read; convert it to .ply"),
        ("a.sog", b"", "SuperSplat's own kind"),
        ("a.obj", b"", "is no scene file; give one ending in .ply, .splat, .splatv, .spz"),
        ("a.spz", b"", "ends after 0 of 16 bytes"),
        ("a.spz", b"ply", "not a gzip stream"),
        ("a.spz", gzip.compress(bytes(40), mtime=0), "is not a .spz file"),
        ("a.spz", b"NGSP" + bytes(40), "of version 4 of .spz or later"),
        ("a.spz", spz(version=1), "of version 1 of .spz, which is not read"),
        ("a.spz", spz(flags=2), "with extensions, which is not read"),
        ("a.spz", spz(degree=5), "states what cannot be"),
        ("a.spz", spz(count=2), "ends after 20 of 40 bytes"),
        ("a.spz", spz(count=4_000_000_000), "states 4000000000 Gaussians, which"),
        ("a.spz", spz(extra=b"x"), "holds more than its head states"),
        ("a.spz", spz()[:-1] + b"x", "not a gzip stream, or a damaged one"),
        ("a.spz", spz(count=0), "holds more than its head states"),
        ("a.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nend_header\n" + bytes(4),
         "has no property y"),
        ("a.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nproperty float x\nend_header\n" + bytes(4),
         "4 bytes more than its header states"),
        ("a.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nproperty float x\n"
         b"end_header\n" + bytes(8), "not told apart"),
    ],
)  # fmt: skip
def test_what_is_not_read_gets_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        open_scene(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_what_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    for suffix in (".ply", ".splat", ".splatv", ".spz"):
        with pytest.raises(InputError, match="No such file"):
            open_scene(tmp_path / f"a{suffix}")
    (tmp_path / "b.ply").mkdir()
    with pytest.raises(InputError, match="is a folder; give a scene file"):
        open_scene(tmp_path / "b.ply")


# ------------------------------------------------------------------------------------------ looking at one


def test_the_extent_of_a_scene_heeds_opacity_and_not_strays() -> None:
    still = still_scene(0)
    means = still.means.copy()
    means[:5] = 1e6  # as opaque as the others, but few
    means[5:40, 0] = 50.0  # many, but almost nothing of them is seen
    opacities = still.opacities.copy()
    opacities[5:40] = -9
    low, high = scene_extent(gaussians_of_still(replace(still, means=means, opacities=opacities)))
    assert (np.abs([low, high]) < 2).all() and (high - low > 0.5).all()


@pytest.mark.parametrize("suffix", [".ply", ".splat", ".splatv"])
def test_a_scene_file_is_seen_whole_from_home_and_on_every_path(tmp_path: Path, suffix: str) -> None:
    g = replace(random_gaussians(150, seed=4), sh_level=0)
    path = tmp_path / f"a{suffix}"
    if suffix == ".splatv":
        filed = camera_at(0.7, 6400, 4800, distance=5.0)
        write_splatv(path, spacetime_of(g), [NamedCamera("one", filed), NamedCamera("away", looking(3.0))])
    else:
        write = write_still_ply if suffix == ".ply" else write_splat_file
        write(path, still_at(g, 0.4))
    subject = open_subject(path)
    assert is_scene(path) and subject.step == 0 and subject.stated == (suffix == ".splatv")
    home = subject.home
    if suffix == ".splatv":  # where the file says, but not as large, and not where nothing is seen
        assert (home.width, home.height, subject.dataset.camera_names) == (1920, 1440, ["camera 0"])
        np.testing.assert_allclose(home.center, filed.center, atol=1e-9)
    pixels, depths = home.project(scene_corners(g))
    assert (depths > home.near).all() and (pixels > 0).all() and (pixels < [home.width, home.height]).all()
    near, far = subject.depths
    assert near <= depths.min() * 1.5 and depths.max() / 1.5 <= far
    for name in ("orbit", "input", "spiral", "dolly", "bullet", "fixed"):
        views = cli.path_of(subject.dataset, name, 8)
        assert len(views) == 8
        for view in views:
            small = replace(view, camera=view.camera.resized(48, 36))
            assert render(subject.scene, small).opacity.max() > 0.5
    if suffix != ".splatv":
        centers = np.stack([view.camera.center for view in cli.path_of(subject.dataset, "orbit", 8)])
        assert np.ptp(centers[:, 0]) > 0.5 * np.linalg.norm(home.center - np.array(subject.center))
    with pytest.raises(InputError, match="without its clip"):
        subject.dataset.read(0)


def scene_corners(g: Gaussians) -> np.ndarray:
    low, high = scene_extent(g)
    return np.array([[(low, high)[k >> axis & 1][axis] for axis in range(3)] for k in range(8)])


def frames_of(path: Path) -> list[np.ndarray]:
    return [cv2.imread(str(file))[..., ::-1] for file in sorted(path.iterdir())]


def render_of(subject_path: Path, out: Path, shade: Shade) -> list[np.ndarray]:
    """What ``dynview render FILE --path orbit --frames 3 --scale 0.1`` does."""
    subject = open_subject(subject_path)
    command = cli.Render(run=subject_path, frames=3, scale=0.1)
    views, fps = command.views(subject.dataset)
    run = SceneRun(subject)
    events = list(exported(run, Painter(run), VideoExport(out, views, fps, "draft", shade)))
    assert [e.done for e in events if isinstance(e, ExportProgress)] == [1, 2, 3]
    return frames_of(out)


def test_a_scene_file_becomes_pictures_along_a_path(tmp_path: Path) -> None:
    write_still_ply(tmp_path / "a.ply", still_scene(2))
    frames = render_of(tmp_path / "a.ply", tmp_path / "color", Shade())
    assert [f.shape for f in frames] == [(54, 96, 3)] * 3 and max(f.max() for f in frames) > 100
    assert not np.array_equal(frames[0], frames[1])
    subject = open_subject(tmp_path / "a.ply")
    expected = drawn(subject.scene, subject.home.resized(96, 54), 0.0)
    np.testing.assert_array_equal(frames[0], (np.clip(expected, 0, 1) * 255 + 0.5).astype(np.uint8))
    depth = render_of(tmp_path / "a.ply", tmp_path / "depth", Shade(Mode.DEPTH))
    assert len(np.unique(depth[0].reshape(-1, 3), axis=0)) > 50  # not all one colour: the range is the scene's
    with pytest.raises(InputError, match="is a scene without its clip, which has no pictures"):
        render_of(tmp_path / "a.ply", tmp_path / "error", Shade(Mode.OVERLAY, "error"))
    assert not (tmp_path / "error").exists()


def test_a_cancelled_video_of_a_scene_leaves_nothing(tmp_path: Path) -> None:
    write_still_ply(tmp_path / "a.ply", still_scene(0))
    subject = open_subject(tmp_path / "a.ply")
    views, fps = cli.Render(run=tmp_path, frames=4, scale=0.05).views(subject.dataset)
    run = SceneRun(subject)
    pieces = exported(run, Painter(run), VideoExport(tmp_path / "pictures", views, fps, "draft"))
    while not isinstance(next(pieces), ExportProgress):
        pass
    pieces.close()  # type: ignore[attr-defined]
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


@pytest.mark.parametrize("kind", ["gaussians", "ndc", "contraction"])
def test_a_checkpoint_alone_is_looked_at_where_it_lies(tmp_path: Path, kind: str) -> None:
    scene: Scene = random_gaussians(60, seed=4) if kind == "gaussians" else small_field(kind)  # type: ignore[arg-type]
    folder = save_checkpoint(tmp_path, Checkpoint(7, scene, {"x": torch.zeros(1)}, {}))
    moved = tmp_path / "anywhere"
    folder.rename(moved)
    for path in (moved, moved / "scene.safetensors", moved / "state.json"):
        subject = open_subject(path)
        assert is_scene(path) and subject.step == 7
    assert not is_scene(tmp_path)
    small = subject.home.resized(32, 18)
    frame = render(subject.scene, View(small, 0.5))
    np.testing.assert_array_equal(frame.color, render(load_scene(moved)[1], View(small, 0.5)).color)
    assert frame.opacity.max() > 0.3
    assert len(cli.path_of(subject.dataset, "orbit", 5)) == 5


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gaussians", lambda text: text.replace('"sh_level": 0', '"sh_level": "x"')),
        ("gaussians", lambda text: text.replace('"time_span": 1.0', '"time_span": -1.0')),
        ("gaussians", lambda text: text.replace('"exp"', '"relu"')),
        ("gaussians", lambda text: "[1]"),
        ("gaussians", lambda text: "[" * 100_000),
        ("ndc", lambda text: text.replace('"channels": 4', '"channels": 400000000')),
        ("ndc", lambda text: text.replace('"width": 16', '"width": 1600000000')),
        ("ndc", lambda text: text.replace('"near": 1.0', '"near": 0.0')),
        ("ndc", lambda text: re.sub(r'("world_to_local": \[\s*\[)\s*1.0,', r"\1", text)),
    ],
)
def test_a_checkpoint_that_states_what_cannot_be_gets_a_sentence(
    tmp_path: Path, name: str, change: Callable[[str], str]
) -> None:
    """Before memory is taken for it."""
    scene: Scene = random_gaussians(60, seed=4) if name == "gaussians" else small_field(name)  # type: ignore[arg-type]
    folder = save_checkpoint(tmp_path, Checkpoint(7, scene, {}, {}))
    state = folder / "state.json"
    changed = change(state.read_text())
    assert changed != state.read_text()
    state.write_text(changed)
    with pytest.raises(InputError, match="step-000007"):
        load_scene(folder)


def test_the_slice_of_what_stands_still_is_what_was_there() -> None:
    """Gaussian by Gaussian: places, shapes and opacities at the clip's ends."""
    still = still_scene(0)
    camera = camera_at(0.0)
    expected, scene = still.splats(camera.center), gaussians_of_still(still)
    for time in (0.0, 1.0):
        splats = slice_at(scene, time, torch.zeros(3)).splats
        np.testing.assert_allclose(splats.means, expected.means, atol=1e-6)
        np.testing.assert_allclose(splats.covariances, expected.covariances, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(splats.opacities, expected.opacities, atol=1e-6)
    assert render_gaussians(scene, View(camera, 0.5)).opacity.max() > 0.5
