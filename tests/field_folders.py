"""What tests of the field's layouts write and break, and what has to be said of it: pictures, videos, cameras of a rig,
tables of poses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import imageio.v3 as iio
import numpy as np
import pytest

from renderer.camera import Camera
from renderer.errors import InputError
from tests.tiny import camera_at
from training.data.dataset import Dataset
from training.data.layouts import layout_of
from training.data.loading import DataOptions, open_dataset
from training.data.recognise import recognise

WIDTH, HEIGHT, FRAMES = 64, 48, 4
FULL = DataOptions(megapixels=1.0)
POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
Break = Callable[[Path], object]


def pictures(count: int, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    coarse = np.random.default_rng(seed).integers(0, 255, (count, 6, 8, 3), dtype=np.uint8)
    return [cv2.resize(c, (width, height), interpolation=cv2.INTER_LINEAR) for c in coarse]


def noise(width: int, height: int, seed: int) -> np.ndarray:
    """A picture (height, width, 3) uint8 like no other."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def write_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, picture)


def block(k: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A mask (height, width) with a block of even corners, farther right for a larger ``k``."""
    mask = np.zeros((height, width), bool)
    mask[height // 4 // 2 * 2 : height // 2 // 2 * 2, 4 + 6 * k : 16 + 6 * k] = True
    return mask


def write_mask(path: Path, white: np.ndarray) -> None:
    write_picture(path, np.where(white, 255, 0).astype(np.uint8))


def write_video(path: Path, frames: Sequence[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.stack(frames), fps=30, macro_block_size=2, output_params=["-crf", "1"])


def rig_camera(k: int, width: int = WIDTH, height: int = HEIGHT) -> Camera:
    """The k-th camera of a rig, a tenth of a radian beside the one before."""
    return camera_at(-0.2 + 0.1 * k, width, height)


def llff_rows(cameras: Sequence[Camera]) -> np.ndarray:
    """The table (N, 17), written out by its definition: columns down, right, back, centre, size; near and far."""
    rows = []
    for c in cameras:
        right, down, forward, center = c.camera_to_world[:3].T
        matrix = np.stack([down, right, -forward, center, [c.height, c.width, c.fy]], axis=1)
        rows.append([*matrix.ravel(), 1.5, 6.0])
    return np.array(rows)


def assert_sees(dataset: Dataset, camera_name: str, frame: int, expected: Camera) -> None:
    """Known points are where the camera of a shot should see them: pixels and depths by the pinhole's equations."""
    shot = next(s for s in dataset.shots if (s.camera_name, s.frame) == (camera_name, frame))
    local = POINTS @ expected.world_to_camera[:3, :3].T + expected.world_to_camera[:3, 3]
    pixels = np.stack(
        [expected.fx * local[:, 0] / local[:, 2] + expected.cx, expected.fy * local[:, 1] / local[:, 2] + expected.cy],
        1,
    )
    pixels *= np.array([shot.camera.width / expected.width, shot.camera.height / expected.height])
    found, z = shot.camera.project(POINTS)
    np.testing.assert_allclose(found, pixels, atol=1e-5)
    np.testing.assert_allclose(z, local[:, 2], atol=1e-5)


def assert_projects(camera: Camera, points: Any, pixels: Any) -> None:
    """World points (N, 3) are seen at these pixels (N, 2)."""
    found, z = camera.project(np.array(points, float))
    np.testing.assert_allclose(found, np.array(pixels, float), atol=1e-4)
    assert (z > 0).all()


def shot_index(dataset: Dataset, camera_name: str, frame: int) -> int:
    return next(i for i, s in enumerate(dataset.shots) if (s.camera_name, s.frame) == (camera_name, frame))


def splits(dataset: Dataset) -> dict[str, str]:
    return {s.camera_name: s.split for s in dataset.shots}


def refused(folder: Path, layout: str, options: DataOptions = FULL) -> str:
    """What opening a folder of a layout says against it, in one sentence; a picture of each camera is read."""
    found = layout_of(folder)
    assert found is not None and found.name == layout
    try:
        dataset = open_dataset(folder, options)
        for index in {s.camera_name: i for i, s in enumerate(dataset.shots)}.values():
            dataset.read(index)
    except InputError as problem:
        said = str(problem)
        assert "\n" not in said and said.count("; ") == 1 and not said.endswith(".")
        return said
    raise AssertionError("it opened")


def assert_said(folder: Path, named: str) -> None:
    """The clip does not open and one sentence says why; a look at it raises nothing and says whole sentences."""
    with pytest.raises(InputError) as caught:
        open_dataset(folder, FULL)
    assert named in str(caught.value) and "\n" not in str(caught.value)
    assert ";" in str(caught.value), "it has to say what to do"
    for text in recognise(folder).missing:
        assert text.endswith(".") and "\n" not in text


def assert_looked_at(folder: Path, layout: str, what: str) -> None:
    found = layout_of(folder)
    assert found is not None and found.name == layout
    look = found.look(folder)
    assert (look.kind, look.opens, look.missing) == (layout, True, ())
    assert look.what == what and look.method in ("4dgs", "ddr") and look.reason
    open_dataset(look.path, FULL)


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_json(name: str, change: Callable[[Any], object]) -> Break:
    return lambda folder: change_json(folder / name, change)


def edit_table(name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Break:
    def apply(folder: Path) -> None:
        table = np.load(folder / name)
        changed = change(table)
        np.save(folder / name, table if changed is None else changed)

    return apply


def put(row: int, column: int, value: float) -> Callable[[np.ndarray], None]:
    def change(table: np.ndarray) -> None:
        table[row, column] = value

    return change


def remove(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, content: bytes = b"nothing") -> Break:
    return lambda folder: (folder / name).write_bytes(content)


def resize(name: str, width: int = 20, height: int = 30) -> Break:
    return lambda folder: iio.imwrite(folder / name, np.zeros((height, width, 3), np.uint8))


def pickled(name: str) -> Break:
    return lambda folder: np.save(folder / name, np.array([{}], dtype=object), allow_pickle=True)


def broken_tables(name: str) -> list[tuple[str, Break, str]]:
    """Ways in which a table of poses of four rows is broken: a title, how, and what is said."""
    return [
        ("pickle", pickled(name), name),
        ("wrong shape", edit_table(name, lambda t: t[:, :15]), "17 numbers"),
        ("wrong dtype", edit_table(name, lambda t: t.astype(str)), "does not hold numbers"),
        ("not NumPy", overwrite(name), name),
        ("no rows", edit_table(name, lambda t: t[:0]), "no poses"),
        ("not finite", edit_table(name, put(2, 3, np.nan)), "not finite"),
        ("no rotation", edit_table(name, put(2, 0, 7.0)), "not a rotation"),
        ("zero focal length", edit_table(name, put(1, 14, 0.0)), "focal length is not above zero"),
        ("size that is none", edit_table(name, put(1, 4, np.inf)), "size or focal length"),
        ("depths in the wrong order", edit_table(name, put(0, 15, 99.0)), "near and far"),
        ("poses for other pictures", edit_table(name, lambda t: t[:-1]), "3 poses for 4"),
        ("poses for pictures of another shape", edit_table(name, put(3, 4, 640.0)), "64x48"),
    ]
