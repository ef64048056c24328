"""A run with a distortion field from the command line: training it, looking into it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from app import cli
from renderer.errors import InputError
from training.config import PRESETS


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with a distortion field."""
    folder = tmp_path_factory.mktemp("bent") / "run"
    small = ["--data.megapixels", "0.002", "--data.frame-step", "8", "--scene.points", "300", "--steps", "60"]
    cli.parse(["train", "demo", "--method", "sparsecam4d", "--out", str(folder), *small])()
    return folder


def test_the_distortion_is_inspected_from_the_command_line(bent: Path, tmp_path: Path) -> None:
    out = {name: tmp_path / f"{name}.png" for name in ("distortion", "matrix", "rows")}
    files = [part for name, path in out.items() for part in (f"--{name}", str(path))]
    arguments = ["inspect", str(bent), *files, "--head", "scales", "--pose", "3", "--json", str(tmp_path / "f.json")]
    cli.parse(arguments)()
    for path in out.values():
        assert iio.imread(path).std() > 5
    report = json.loads((tmp_path / "f.json").read_text())
    assert report["head"] == "scales" and report["unit"] == "of the raw scales" and report["pose"] == 3
    assert len(report["matrix"]) == 22 and len(report["matrix"][0]) == 3
    assert 0 < report["distortion"]["mean"] < report["distortion"]["max"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--distortion", "a.png", "--pose", "22"], "virtual cameras 0 to 21"),
        (["--time", "2", "--distortion", "a.png"], "between 0 and 1"),
        ([], "nothing to look at"),
        (["--pixel", "1,1"], "--camera"),
        (["--camera", "0", "--pixel", "1;1"], "--pixel 1;1: give column and row"),
        (["--camera", "0", "--pixel", "999,1"], "lies outside"),
        (["--camera", "0", "--row", "999"], "row 999 lies outside"),
        (["--camera", "0", "--row", "1", "--map", "modes", "--plot", "a.png"], "draws one thing"),
        (["--camera", "0", "--row", "1", "--csv", "a.csv"], "the table is a ray's"),
        (["--camera", "0", "--row", "1", "--through-time", "a.png"], "follows a ray"),
        (["--distortion", "a.png", "--against-time", "0"], "compares rays"),
        (["--camera", "0", "--row", "1", "--against-time", "3"], "--against-time 3: give a time"),
    ],
)
def test_an_inspection_that_makes_no_sense_gets_a_sentence(bent: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        cli.parse(["inspect", str(bent), *arguments])()


def looked(run: Path, out: Path, *arguments: str) -> dict:
    """The JSON of an inspection of the middle of the first camera."""
    cli.parse(["inspect", str(run), "--camera", "0", "--time", "0", *arguments, "--json", str(out / "f.json")])()
    return json.loads((out / "f.json").read_text())


def test_a_ray_gives_the_quantities_of_ddr_a_table_and_a_picture(bent: Path, tmp_path: Path) -> None:
    ray = looked(
        bent, tmp_path, "--pixel", "20,15", "--csv", str(tmp_path / "r.csv"), "--plot", str(tmp_path / "r.png")
    )
    w, z, D = (np.array(ray[name]) for name in ("weights", "depths", "target_depth"))
    assert ray["error_to"] == "target"
    assert ray["expected_error"] == pytest.approx(w @ abs(z - D) / w.sum())
    assert ray["error_of_expectation"] == pytest.approx(abs(w @ z / w.sum() - D))
    assert ray["error_gap"] == pytest.approx(ray["expected_error"] - ray["error_of_expectation"], abs=1e-9)
    assert ray["floater_mass"] == pytest.approx(w[z < 0.95 * D].sum() / w.sum())
    assert ray["modes"] >= 1 and ray["entropy"] >= 0 and len(ray["gumbel_samples"]) == 30
    np.testing.assert_allclose(w, np.add(ray["static_weights"], ray["dynamic_weights"]), atol=1e-9)
    table = list(csv.DictReader((tmp_path / "r.csv").open()))
    np.testing.assert_allclose([float(row["weight"]) for row in table], w, rtol=1e-6)
    assert iio.imread(tmp_path / "r.png").std() > 5


def test_a_ray_is_compared_with_itself_at_another_time_and_in_another_run(bent: Path, tmp_path: Path) -> None:
    picture = str(tmp_path / "r.png")
    both = looked(bent, tmp_path, "--pixel", "20,15", "--against-time", "1", "--plot", picture)
    assert both["ray"]["expected_depth"] != both["against"]["expected_depth"]
    one = looked(bent, tmp_path, "--pixel", "20,15", "--plot", str(tmp_path / "one.png"))
    assert one["expected_depth"] == both["ray"]["expected_depth"]
    assert iio.imread(picture).shape[0] == 2 * iio.imread(tmp_path / "one.png").shape[0]
    same = looked(bent, tmp_path, "--pixel", "20,15", "--against", str(bent))
    assert same["ray"] == same["against"]


def test_a_ray_is_followed_through_time(bent: Path, tmp_path: Path) -> None:
    ray = looked(bent, tmp_path, "--pixel", "20,15", "--through-time", str(tmp_path / "t.png"))
    history = ray["through_time"]
    weights = np.array(history["weights"])
    assert weights.shape == (len(history["times"]), len(history["edges"]) - 1)
    assert history["times"][0] == 0 and history["times"][-1] == 1
    assert weights[0].sum() == pytest.approx(ray["opacity"], abs=1e-3)  # the ray that was picked is the first
    assert iio.imread(tmp_path / "t.png").std() > 5


def test_a_row_is_seen_from_above(bent: Path, tmp_path: Path) -> None:
    row = looked(bent, tmp_path, "--row", "12", "--plot", str(tmp_path / "r.png"))["row"]
    blended = np.array(row["blended"])
    assert blended.shape[1] == len(row["edges"]) - 1
    np.testing.assert_allclose(blended, np.add(row["static-of-blend"], row["dynamic-of-blend"]), atol=1e-4)
    assert len(row["target_depth"]) == len(blended)
    one = looked(bent, tmp_path, "--row", "12", "--quantity", "transmittance", "--against-time", "1")
    assert set(one["ray"]["row"]) == {"y", "edges", "target_depth", "transmittance"}
    assert one["against"]["row"]["transmittance"] != one["ray"]["row"]["transmittance"]
    assert iio.imread(tmp_path / "r.png").std() > 5


@pytest.mark.parametrize("kind", ["expected-error", "error-gap", "entropy", "modes"])
def test_a_map_is_drawn_over_the_picture(bent: Path, tmp_path: Path, kind: str) -> None:
    found = looked(bent, tmp_path, "--map", kind, "--plot", str(tmp_path / "m.png"))["map"]
    assert found["kind"] == kind and found["unit"] and 0 < found["mean"] <= found["max"]
    assert iio.imread(tmp_path / "m.png").std() > 5


def test_an_older_step_is_looked_at_while_its_checkpoint_is_there(bent: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bent, copy)
    cli.parse(["train", "demo", "--out", str(copy), "--resume", "--steps", "70"])()
    both = looked(copy, tmp_path, "--pixel", "20,15", "--step", "60", "--against-step", "70")
    assert both["ray"]["weights"] != both["against"]["weights"]
    with pytest.raises(InputError, match="no checkpoint of step 65; give one of 60, 70"):
        looked(copy, tmp_path, "--pixel", "20,15", "--step", "65")


def test_a_run_without_a_field_says_so(bent: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bent, copy)
    next(copy.glob("checkpoints/*/distortion.safetensors")).unlink()
    with pytest.raises(InputError, match="lost its distortion"):
        cli.parse(["inspect", str(copy), "--distortion", str(tmp_path / "a.png")])()
    next(copy.glob("checkpoints/*/cameras.safetensors")).write_bytes(b"broken")
    with pytest.raises(InputError, match="damaged"):
        cli.parse(["inspect", str(copy), "--distortion", str(tmp_path / "a.png")])()


def test_a_method_sets_the_defaults_of_all_other_options() -> None:
    command = cli.parse(["train", "demo", "--cameras.anchor", "0.5", "--method", "sparsecam4d-released"])
    assert isinstance(command, cli.Train)
    assert command.config == replace(
        PRESETS["sparsecam4d-released"], cameras=replace(PRESETS["sparsecam4d-released"].cameras, anchor=0.5)
    )
    plain = cli.parse(["train", "demo"])
    assert isinstance(plain, cli.Train) and plain.config == PRESETS["4dgs"]
    with pytest.raises(InputError, match="nope"):
        cli.parse(["train", "demo", "--method", "nope"])
