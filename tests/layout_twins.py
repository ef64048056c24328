"""What the tests of the field's layouts share: damage to a folder, and what has to be said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from renderer.camera import Camera
from renderer.errors import InputError
from training.data.loading import DataOptions, open_dataset
from training.data.recognise import recognise

FULL = DataOptions(megapixels=1.0)
Damage = Callable[[Path], object]


def edited(name: str, change: Callable[[Any], object]) -> Damage:
    """A JSON file of a clip with a change made to what it says."""

    def damage(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        change(data)
        (folder / name).write_text(json.dumps(data))

    return damage


def replaced(name: str, data: bytes | None) -> Damage:
    """A file with other bytes, or without the file."""

    def damage(folder: Path) -> None:
        (folder / name).unlink() if data is None else (folder / name).write_bytes(data)

    return damage


def resized(name: str, width: int = 9, height: int = 9) -> Damage:
    """A picture of another size."""
    return lambda folder: Image.new("RGB", (width, height)).save(folder / name)


def assert_said(folder: Path, named: str) -> None:
    """The clip does not open and one sentence says why; a look at it raises nothing and says whole sentences."""
    with pytest.raises(InputError) as caught:
        open_dataset(folder, FULL)
    assert named in str(caught.value) and "\n" not in str(caught.value)
    assert ";" in str(caught.value), "it has to say what to do"
    for text in recognise(folder).missing:
        assert text.endswith(".") and "\n" not in text


def assert_projects(camera: Camera, points: Any, pixels: Any) -> None:
    """World points (N, 3) are seen at these pixels (N, 2)."""
    found, z = camera.project(np.array(points, float))
    np.testing.assert_allclose(found, np.array(pixels, float), atol=1e-4)
    assert (z > 0).all()


def noise(width: int, height: int, seed: int) -> np.ndarray:
    """A picture (height, width, 3) uint8 like no other."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
