"""Files of picked rays: whole or not at all, and what they say is what was picked."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.exports.rays import write_rays, write_slice, write_through_time
from app.protocol import LinePicked, PickLine
from app.ray_report import RayReport
from renderer.errors import InputError
from renderer.rays import RayDistribution
from renderer.view import View
from renderer.weights import QUANTITIES, depth_edges
from tests.tiny import camera_at
from training.trainer import RayThroughTime

VIEW = View(camera_at(0.0), 0.25)
EDGES = depth_edges(1.0, 6.0, 8)


def report(name: str, depths: list[float], weights: list[float]) -> RayReport:
    z, w = np.array(depths), np.array(weights)
    light = 1 - np.concatenate([[0.0], np.cumsum(w)[:-1]])
    ray = RayDistribution(VIEW, (7, 9), z, w, light, np.ones((len(z), 3)), np.arange(len(z)), w.sum() * np.ones(3))
    return RayReport(name, ray, 1.0, 6.0)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_rays_are_written_as_a_table_under_their_names(tmp_path: Path) -> None:
    write_rays([report("a", [2.0, 3.0], [0.5, 0.25]), report("b", [4.0], [1.0])], tmp_path / "rays.csv")
    rows = rows_of(tmp_path / "rays.csv")
    assert [(r["ray"], float(r["depth"]), float(r["weight"])) for r in rows] == [
        ("a", 2.0, 0.5), ("a", 3.0, 0.25), ("b", 4.0, 1.0),
    ]  # fmt: skip


def test_a_single_ray_is_the_table_of_the_command_line(tmp_path: Path) -> None:
    ray = report("a", [2.0, 3.0], [0.5, 0.25])
    write_rays([ray], tmp_path / "ray.csv")
    assert (tmp_path / "ray.csv").read_text() == ray.table()


def test_an_empty_ray_is_written_as_json_without_nan(tmp_path: Path) -> None:
    write_rays([report("empty", [], [])], tmp_path / "ray.json")
    text = (tmp_path / "ray.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)[0]["expected_depth"] is None


def test_pictures_are_written_and_a_name_without_an_ending_is_one(tmp_path: Path) -> None:
    path = write_rays([report("a", [2.0, 3.0], [0.5, 0.25])], tmp_path / "sub" / "ray")
    assert path == tmp_path / "sub" / "ray.png"
    assert np.asarray(Image.open(path)).std() > 5
    assert [p.name for p in path.parent.iterdir()] == ["ray.png"]


def test_a_slice_names_the_places_along_its_line(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((4, 8))
    line = PickLine(VIEW, (10.0, 20.0), (14.0, 12.0))
    picked = LinePicked(line, EDGES, dict.fromkeys(QUANTITIES, values), 30)
    rows = rows_of(write_slice(picked, "blended", tmp_path / "slice.csv"))
    assert [(float(r["x"]), float(r["y"])) for r in rows] == [(10.5, 19.0), (11.5, 17.0), (12.5, 15.0), (13.5, 13.0)]
    found = np.array([[float(v) for v in list(r.values())[2:]] for r in rows])
    np.testing.assert_allclose(found, values, rtol=1e-8)
    told = json.loads(write_slice(picked, "transmittance", tmp_path / "slice.json").read_text())
    assert told["quantity"] == "transmittance" and told["step"] == 30
    assert np.asarray(Image.open(write_slice(picked, "blended", tmp_path / "slice.png"))).std() > 5


def test_a_ray_through_time_has_a_row_for_each_instant(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).random((3, 8))
    history = RayThroughTime(VIEW, (7, 9), np.array([0.0, 0.5, 1.0]), EDGES, weights, 12)
    rows = rows_of(write_through_time(history, "a ray", tmp_path / "time.csv"))
    assert [float(r["time"]) for r in rows] == [0.0, 0.5, 1.0]
    assert [float(name) for name in list(rows[0])[1:]] == pytest.approx(EDGES[:-1].tolist())
    assert float(rows[1][f"{EDGES[3]:.9g}"]) == pytest.approx(weights[1, 3])
    assert np.asarray(Image.open(write_through_time(history, "a ray", tmp_path / "time.png"))).std() > 5


def test_what_cannot_be_written_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ray = report("a", [2.0], [0.5])
    with pytest.raises(InputError, match=r"ray.txt: a name that ends with"):
        write_rays([ray], tmp_path / "ray.txt")
    (tmp_path / "ray.csv").mkdir()
    with pytest.raises(InputError, match=r"ray.csv: cannot be written .*choose another"):
        write_rays([ray], tmp_path / "ray.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["ray.csv"]
