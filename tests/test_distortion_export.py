"""Files of the matrix of distortion and of rows over time."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.exports.distortion import write_matrix, write_time_slice
from app.protocol import DistortionMeasured
from renderer.errors import InputError
from training.overlay import TimeSlice


def measured() -> DistortionMeasured:
    matrix = np.array([[0.25, np.nan, 0.5], [0.125, 0.75, 1.0]], np.float32)
    return DistortionMeasured("positions", matrix, (0.0, 0.5, 1.0), "scene units", 90, False)


def test_the_table_has_a_line_for_each_camera_and_nothing_where_nothing_was_measured(tmp_path: Path) -> None:
    path = write_matrix(measured(), tmp_path / "matrix.csv")
    head, *rows = csv.reader(path.read_text().splitlines())
    assert head == ["virtual camera (positions, scene units)", "0", "0.5", "1"]
    assert rows == [["0", "0.25", "", "0.5"], ["1", "0.125", "0.75", "1"]]


def test_a_name_without_an_ending_becomes_a_picture(tmp_path: Path) -> None:
    path = write_matrix(measured(), tmp_path / "matrix")
    assert path == tmp_path / "matrix.png"
    assert np.asarray(Image.open(path).convert("RGB")).std() > 10
    assert list(tmp_path.iterdir()) == [path]


def test_rows_over_time_become_a_picture(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 255, (4, 20, 3)).astype(np.uint8)
    path = write_time_slice(TimeSlice(1, 7, np.linspace(0, 1, 4), rows, rows), 90, tmp_path / "slice.png")
    assert np.asarray(Image.open(path).convert("RGB")).std() > 10


def test_another_ending_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends with \.png or \.csv"):
        write_matrix(measured(), tmp_path / "matrix.jpg")
    assert not list(tmp_path.iterdir())
