"""A run with a distortion field from the command line: training it, looking into it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
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
    ],
)
def test_an_inspection_that_makes_no_sense_gets_a_sentence(bent: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        cli.parse(["inspect", str(bent), *arguments])()


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
