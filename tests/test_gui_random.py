"""Thousands of random events: the window lives on, nothing is logged that should not be, and nothing is left over."""

import os
import random
from pathlib import Path

import pytest

from tests.gui_driver import App, Display, missing_tools

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
EVENTS = int(os.environ.get("DYNVIEW_RANDOM_EVENTS", "300"))
"""`make random` sends 5,000, which takes a quarter of an hour."""
BATCH = 100
FIRST_NEEDED = (*(f"mode.{k}" for k in range(1, 10)), "mode.1", "view.truth", "view.truth", "view.split", "view.split",
                "view.frusta")  # fmt: skip
"""Actions after which every object of OpenGL is there that is made when it is needed first."""
KEYS = (
    "space", "Left", "Right", "comma", "period", "Home", "End", "bracketleft", "bracketright", "braceleft",
    "braceright",
    "h", "f", "w", "a", "s", "d", "q", "e", "1", "2", "3", "4", "5", "6", "7", "8", "9", "g", "v", "c", "p", "r", "t",
    "k", "Return", "Delete", "ctrl+z", "ctrl+y", "ctrl+shift+z", "Tab", "F1", "question", "l", "x", "Escape", "ctrl+c",
    "ctrl+v", "ctrl+s", "shift+t", "shift+space", "ctrl+e",
)  # fmt: skip
SMALL = ("demo", "--data.megapixels", "0.01", "--data.frame-step", "6", "--scene.points", "1500", "--steps", "100000",
         "--densify.max-gaussians", "3000")  # fmt: skip


def events(rng: random.Random, width: int, height: int) -> list[str]:
    """Arguments of xdotool for one batch, with how many events they are a list of."""
    commands: list[str] = []
    for _ in range(BATCH):
        x, y = rng.randrange(width), rng.randrange(30, height - 4)
        kind = rng.random()
        if kind < 0.35:
            commands += ["key", rng.choice(KEYS)]
        elif kind < 0.6:
            commands += ["mousemove", str(x), str(y), "click", "1"]
        elif kind < 0.75:
            commands += ["mousemove", str(x), str(y), "mousedown", str(rng.choice((1, 2, 3)))]
            commands += ["mousemove", str(rng.randrange(width)), str(rng.randrange(30, height - 4))]
            commands += ["mouseup", "1", "mouseup", "2", "mouseup", "3"]
        elif kind < 0.85:
            commands += ["mousemove", str(x), str(y), "click", str(rng.choice((4, 5)))]
        elif kind < 0.92:
            commands += ["mousemove", str(x), str(y), "click", "1", "type", str(rng.randrange(-9, 99999))]
        else:
            commands += ["mousemove", str(x), str(y)]
    return commands


def test_random_events_leave_the_window_alive_and_nothing_behind(tmp_path: Path) -> None:
    rng = random.Random(7)
    display = Display()
    app = opened(display, tmp_path)
    try:
        width, height = app.geometry()
        for name in FIRST_NEEDED:
            app.ask("action", name=name)
            app.until(lambda s: s["settled"])
        app.until(lambda s: s["events"].get("CamerasShown"))
        app.frames(10)
        before, sent = app.ask("left"), 0
        while sent < EVENTS:
            for command in batches(events(rng, width, height)):
                app.xdotool(*command)
            sent += BATCH
            if app.process.poll() == 0:  # File, Quit was clicked
                app.close()
                app = opened(display, tmp_path)
            state = app.state()  # it answers, so the loop goes round
            if not state["open"] and not state["opening"]:  # File, Close was clicked
                app.ask("open", name=str(tmp_path / "run"))
            assert [text for text in state["complaints"] if "This did not work" in text or "OpenGL" in text] == []
        after = app.ask("left")
        assert len(after["threads"]) <= len(before["threads"]) + 2, (before, after)
        assert all(count <= before["gl"][kind] + 1 for kind, count in after["gl"].items()), (before, after)
        assert "Traceback" not in app.log()
    finally:
        app.close()
        display.close()


def opened(display: Display, folder: Path) -> App:
    """A window that trains."""
    (folder / "control").unlink(missing_ok=True)
    run = folder / "run"
    source = (str(run),) if (run / "run.json").is_file() else (*SMALL, "--out", str(run))
    app = App(display, folder, *source, "--train")
    app.until(lambda s: s.get("settled") and s["step"] > 3, timeout=180)
    return app


def batches(commands: list[str]) -> list[list[str]]:
    """The commands in pieces that the command line takes; pieces begin with a command."""
    starts = [k for k, word in enumerate(commands) if word in ("mousemove", "key")]
    return [commands[a:b] for a, b in zip(starts[::40], [*starts[40::40], len(commands)], strict=True)]
