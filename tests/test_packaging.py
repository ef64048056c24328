"""What the wheel holds, and that the pinned versions fit."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "renderer", "training", "shaders", "assets")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel of the tracked files, built without the network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def tracked() -> list[str]:
    """Files of the packages and what setuptools needs."""
    result = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)
    if result.returncode:
        pytest.skip("not a git checkout")
    wanted = (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")
    return [f for f in result.stdout.splitlines() if f.split("/")[0] in wanted and (ROOT / f).exists()]


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: list[str]) -> None:
    inside = {name for name in wheel if ".dist-info/" not in name}
    assert inside == {name for name in tracked() if name.split("/")[0] in PACKAGES}


def test_the_wheel_brings_both_commands(wheel: list[str]) -> None:
    assert any(name.endswith("entry_points.txt") for name in wheel)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"dynview": "app.cli:main"}
    assert project["gui-scripts"] == {"dynview-gui": "app.gui.main:main"}


def test_the_pinned_versions_satisfy_what_the_project_asks_for() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {r.name.lower().replace("_", "-"): r for r in map(Requirement, (x for x in lines if x and x[0] != "#"))}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        asked = Requirement(text)
        pin = pins[asked.name.lower().replace("_", "-")]
        (version,) = (s.version for s in pin.specifier)
        assert asked.specifier.contains(version), text


def test_what_compiles_the_kernels_comes_along_on_windows_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for system, extras in (("Linux", [set()]), ("Windows", [{"ctk"}]), ("Darwin", [])):
        asked = [r for r in map(Requirement, project["dependencies"]) if r.name == "cupy-cuda13x"]
        assert [r.extras for r in asked if r.marker and r.marker.evaluate({"platform_system": system})] == extras
