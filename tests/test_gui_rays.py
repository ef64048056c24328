"""The panel of rays in the real window: pick, follow, pin, compare, a row, files."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.gui.rays.numbers import COMPARED
from tests.gui_driver import SMALL, App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file whose content the desktop's dialog answers with: a program that stands in for it says so."""
    answer, program = tmp_path / "answer", tmp_path / "programs" / "zenity"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncat "{answer}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    return answer


@pytest.fixture
def app(display: Display, tmp_path: Path, chosen: Path) -> Iterator[App]:
    app = App(display, tmp_path, *SMALL, "--out", str(tmp_path / "run"))
    app.until(lambda s: s["settled"], timeout=120)
    app.ask("tab", title="Rays")
    app.frames(5)
    yield app
    app.close()


def train(app: App, steps: int) -> None:
    app.ask("action", name="train.toggle")
    app.until(lambda s: s["step"] >= steps, timeout=120)
    app.ask("action", name="train.toggle")
    app.until(lambda s: not s["running"] and s["settled"], timeout=120)


def pick(app: App, dx: float, dy: float) -> dict:
    """Click into the picture; the ray that is shown then."""
    app.click("picture", dx, dy)
    return app.until(lambda s: "ray" in s)["ray"]


def section(app: App, *closed: str) -> None:
    """Close sections, so that the ones below them are in sight."""
    for name in closed:
        app.click(f"section {name}", dy=0.5)
    app.frames(5)


def number(app: App, name: str) -> str:
    return app.ask("value", tag=f"ray {name}")


def saved(app: App, button: str, path: Path, chosen: Path) -> Path:
    """Export by a button into a file."""
    chosen.write_text(str(path))
    app.click(button)
    app.until(lambda s: any(str(path) in line for line in s["log"]))
    return path


def test_a_click_shows_the_ray_of_the_pixel_and_it_is_followed_while_training(app: App, tmp_path: Path) -> None:
    assert "Click a pixel" in app.ask("value", tag="ray_hint")
    app.key("p")
    app.until(lambda s: any("Click a pixel first" in line for line in s["log"]))
    assert app.state()["pins"] == []
    train(app, 10)
    app.drag("picture", (40, 0))
    app.until(lambda s: s["settled"])
    x, y = app.place("picture", 0.42, 0.55)
    ray = pick(app, 0.42, 0.55)
    app.mouse("mousemove", *app.place("tab Train"))
    screen = app.screenshot(tmp_path / "a.png")
    np.testing.assert_allclose(screen[y, x] / 255, np.clip(ray["composite"], 0, 1), atol=6 / 255)
    app.until(lambda s: number(app, "opacity") != "")
    assert number(app, "D") == "own median"  # nothing is known of this place
    assert number(app, "target depth") == "-"
    assert "at temperature" in number(app, "Gumbel samples")
    total = app.ask("value", tag="blended_bins")[1]
    assert sum(total[::2]) == pytest.approx(float(number(app, "opacity")), abs=2e-3)
    static, dynamic = (app.ask("value", tag=f"{part}_bins") for part in ("static", "dynamic"))
    np.testing.assert_allclose(dynamic[1], total)  # the dynamic part on top of the static one
    np.testing.assert_allclose(dynamic[2], static[1])
    app.ask("action", name="train.toggle")
    later = app.until(lambda s: s["ray"]["step"] > ray["step"] + 5, timeout=120)["ray"]
    assert later["pixel"] == ray["pixel"]
    assert later["composite"] != ray["composite"]
    assert app.state()["running"]
    assert app.state()["complaints"] == []


def test_the_known_depth_single_contributions_and_files_of_a_ray(app: App, tmp_path: Path, chosen: Path) -> None:
    app.key("bracketright")
    app.until(lambda s: s["settled"])
    ray = pick(app, 0.5, 0.5)
    assert ray["target"] is not None
    app.until(lambda s: number(app, "D") == "target")
    assert float(number(app, "target depth")) == pytest.approx(ray["target"], rel=1e-3)
    error, of_mean, gap = (float(number(app, name)) for name in ("E|t - D|", "|E[t] - D|", "gap"))
    assert gap == pytest.approx(error - of_mean, abs=2e-3)
    x, y = app.click("ray_style")
    app.mouse("mousemove", x, y + 42)  # the second of the list
    app.mouse("mousedown", 1)
    app.mouse("mouseup", 1)
    app.until(lambda s: app.ask("value", tag="ray_style") == "contributions")
    stems = [len(app.ask("value", tag=f"{part}_series")[0]) for part in ("static", "dynamic")]
    assert sum(stems) == min(ray["weights"], 400)
    assert app.ask("value", tag="blended_bins")[0] == []
    path = saved(app, "ray_export", tmp_path / "ray.png", chosen)
    assert np.asarray(Image.open(path)).std() > 5
    rows = list(csv.DictReader(saved(app, "ray_export", tmp_path / "ray.csv", chosen).open()))
    assert sum(float(row["weight"]) > 0 for row in rows) == ray["weights"]


def test_a_click_on_the_ray_through_time_sets_the_time(app: App, tmp_path: Path, chosen: Path) -> None:
    pick(app, 0.5, 0.5)
    app.until(lambda s: s["events"].get("PickedThroughTime"))
    assert max(app.ask("value", tag="time_series")[0]) == 1
    section(app, "ray")
    app.click("time_plot", 0.75, 0.4)
    time = app.until(lambda s: s["time"] > 0.5)["time"]
    app.until(lambda s: app.ask("value", tag="now_series") == [[time]])
    app.drag("time_plot", (-60, 0))
    app.until(lambda s: s["time"] < 0.5)
    rows = list(csv.reader(saved(app, "time_export", tmp_path / "time.csv", chosen).open()))
    assert len(rows) == 1 + app.state()["frames"]


def test_pinned_rays_are_compared_and_unpinning_is_undone(app: App, tmp_path: Path, chosen: Path) -> None:
    train(app, 10)
    first = pick(app, 0.5, 0.5)
    app.key("p")
    app.until(lambda s: len(s["pins"]) == 1 and s["pins"][0]["step"])
    app.mouse("keydown", "shift")
    app.click("picture", 0.35, 0.4)
    app.mouse("keyup", "shift")
    pins = app.until(lambda s: len(s["pins"]) == 2 and all(pin["step"] for pin in s["pins"]))["pins"]
    assert pins[0]["pixel"] == first["pixel"] != pins[1]["pixel"]
    section(app, "ray", "time")
    app.until(lambda s: app.ask("value", tag="pin 2 opacity"))
    for name in (n.name for n in COMPARED if n.beside):
        assert app.ask("value", tag=f"pin 2 {name}") == number(app, name)  # the second one is shown above
    assert max(app.ask("value", tag="series pin 1")[1]) > 0
    app.click("go pin 1")
    app.until(lambda s: s.get("ray", {}).get("pixel") == first["pixel"])
    rows = list(csv.DictReader(saved(app, "pins_export", tmp_path / "pins.csv", chosen).open()))
    assert {row["ray"] for row in rows} == {"Ray 1", "Ray 2"}
    app.click("more pin 1")
    app.click("pin_remove")
    app.until(lambda s: [pin["name"] for pin in s["pins"]] == ["Ray 2"])
    app.key("ctrl+z")
    app.until(lambda s: [pin["name"] for pin in s["pins"]] == ["Ray 1", "Ray 2"] and s["pins"][0]["step"])
    app.key("ctrl+shift+z")
    app.until(lambda s: [pin["name"] for pin in s["pins"]] == ["Ray 2"])
    assert app.state()["complaints"] == []


def test_a_ray_is_compared_with_what_it_was(app: App) -> None:
    train(app, 10)
    app.ask("action", name="file.save")
    app.until(lambda s: s["events"].get("Saved"))
    pick(app, 0.5, 0.5)
    app.ask("action", name="rays.pin")
    step = app.until(lambda s: s["pins"] and s["pins"][0]["step"])["pins"][0]["step"]
    section(app, "ray", "time")
    app.click("more pin 1")
    app.click("pin_freeze")
    app.until(lambda s: s["pins"][0]["frozen"])
    app.click("more pin 1")
    app.click(f"pin_step {step}")
    app.until(lambda s: len(s["pins"]) == 2)
    app.frames(6)  # until the menu is closed, which takes the first click
    app.click("time", 0.6)
    app.until(lambda s: s["time"] > 0.3 and s["settled"])
    app.click("more pin 1")
    app.click("pin_now")
    app.until(lambda s: len(s["pins"]) == 3)
    train(app, step + 15)
    frozen, checkpoint, now = app.until(lambda s: s["pins"][2]["step"] >= step + 15)["pins"]
    assert frozen["step"] == checkpoint["step"] == checkpoint["checkpoint"] == step
    np.testing.assert_allclose(frozen["composite"], checkpoint["composite"], atol=1e-6)
    assert now["time"] > 0.3 and frozen["time"] == 0
    app.enter("name pin 1", "wall")
    assert app.until(lambda s: s["pins"][0]["name"] == "wall")
    app.click("show pin 2")
    app.until(lambda s: not s["pins"][1]["shown"])


def test_a_line_across_the_picture_is_a_row_of_rays_seen_from_above(app: App, tmp_path: Path, chosen: Path) -> None:
    train(app, 10)
    before = app.picture(tmp_path / "a.png").astype(int)
    section(app, "ray", "time", "pins")
    app.click("row_draw")
    assert app.until(lambda s: s["row"])
    assert app.ask("label", tag="row_draw") == "Drag in the picture"
    app.drag("picture", (200, 40))
    slice_ = app.until(lambda s: "slice" in s)["slice"]
    assert not app.state()["row"]
    assert slice_["end"][0] > slice_["start"][0]
    app.until(lambda s: s["settled"])
    drawn = np.abs(app.picture(tmp_path / "b.png").astype(int) - before).max(2) > 40
    assert drawn.sum() > 100  # the line stays in the picture
    app.mouse("mousemove", *app.place("row_plot", 0.5, 0.4))
    app.until(lambda s: "depth" in app.ask("value", tag="row_place"))
    path = saved(app, "row_export", tmp_path / "slice.png", chosen)
    assert np.asarray(Image.open(path)).std() > 5
    app.ask("action", name="train.toggle")
    app.until(lambda s: s["slice"]["step"] > slice_["step"], timeout=120)
    app.ask("action", name="train.toggle")
    app.key("bracketright")  # elsewhere the line is not drawn
    app.until(lambda s: s["settled"] and not s["running"])
    app.click("row_clear")
    app.until(lambda s: "slice" not in s)


def test_a_picture_has_no_rays_and_that_is_said(app: App) -> None:
    app.key("bracketright")
    app.until(lambda s: s["settled"])
    app.ask("action", name="view.truth")
    app.until(lambda s: s["settled"] and s["sides"] == ["left", "right"])
    ray = pick(app, 0.8, 0.5)
    assert "Only the scene" in app.ask("value", tag="ray_note")
    width = app.state()["frame"]["size"][0]
    assert ray["pixel"][0] > 0.6 * width
    app.drag("picture", (-120, 0), button=3)
    app.until(lambda s: s["settled"])
    before = app.state()["events"]["Picked"]
    app.click("picture", 0.8, 0.5)
    app.until(lambda s: "Go to its camera" in app.ask("value", tag="ray_note"))
    assert app.state()["events"]["Picked"] == before


def test_a_radiance_field_shows_its_densities_along_the_ray(display: Display, tmp_path: Path) -> None:
    app = App(display, tmp_path, *SMALL, "--method", "ddr", "--out", str(tmp_path / "run"))
    try:
        app.until(lambda s: s["settled"], timeout=240)
        train(app, 3)
        app.ask("tab", title="Rays")
        app.frames(5)
        assert pick(app, 0.5, 0.5)["weights"] > 1
        app.until(lambda s: number(app, "opacity") != "")
        app.until(lambda s: app.ask("value", tag="ray_curve") == "transmittance")
        app.ask("set", tag="ray_curve", value="density")
        pick(app, 0.45, 0.5)
        for curve in ("static_density", "dynamic_density"):
            app.until(lambda s, c=curve: len(app.ask("value", tag=f"{c}_series")[0]) > 8)
        assert app.state()["complaints"] == []
    finally:
        app.close()
