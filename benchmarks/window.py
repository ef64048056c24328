"""What the window costs while a scene is learned on the processor: frame times, from the mouse to the picture, steps
per second with the window and without it.

    python -m benchmarks.window [--seconds 15] [--gaussians 20000] [--json rows.json]

Needs Xvfb and xdotool; the virtual display draws with Mesa's software renderer. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.gui_driver import ROOT, App, Display

PICTURE = (640, 480)
"""Of the viewport, pixels."""
WARM = 700
"""Steps before anything is measured: by then the scene has as many Gaussians as it may."""
Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    parser.add_argument("--gaussians", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = measured(Path(name), asked.seconds, asked.gaussians)
    for row in rows:
        print(json.dumps(row))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


def measured(folder: Path, seconds: float, gaussians: int) -> list[Row]:
    """All rows: dragging, scrubbing, flying, untouched, and without a window, all with the same run."""
    run = folder / "run"
    options = ("--steps", "30000", "--densify.max-gaussians", str(gaussians), "--save-every", "100000",
               "--evaluate-every", "100000")  # fmt: skip
    display = Display()
    app = App(display, folder, "demo", *options, "--train", "--out", str(run), "--size", "1120", "760", anew=True)
    try:
        app.until(lambda s: s["step"] >= WARM, timeout=600)
        resize(app)
        app.until(lambda s: s["settled"], timeout=60)
        rows = [
            in_use(app, "dragging the camera", seconds, dragged),
            in_use(app, "scrubbing time", seconds, scrubbed),
            in_use(app, "playing time", seconds, played),
            untouched(app, seconds),
        ]
    finally:
        app.close()
        display.close()
    alone = without_window(run, seconds)
    for row in rows:
        row["share_of_steps_lost"] = round(1 - row["steps_per_second"] / alone["steps_per_second"], 3)
    return [*rows, alone]


def resize(app: App) -> None:
    """Give the window the size at which the picture has its own."""
    _, (width, height) = app.ask("rect", tag="picture")
    geometry = app.geometry()
    wanted = (geometry[0] + PICTURE[0] - round(width), geometry[1] + PICTURE[1] - round(height))
    app.resize(*wanted)
    app.frames(5)


def in_use(app: App, what: str, seconds: float, use: Any) -> Row:
    """A row while a person does something; what comes before, and wakes the window, is left out."""
    use(app)
    app.ask("times", forget=True)
    began, step = time.monotonic(), app.state()["step"]
    while time.monotonic() - began < seconds:
        use(app)
    return row_of(app, what, time.monotonic() - began, step)


def untouched(app: App, seconds: float) -> Row:
    """A row while nobody does anything."""
    app.ask("action", name="time.play")  # ends what played
    app.mouse("mousemove", 2, 2)
    time.sleep(1)
    app.ask("times", forget=True)
    began, step = time.monotonic(), app.state()["step"]
    time.sleep(seconds)
    return row_of(app, "untouched", time.monotonic() - began, step)


def row_of(app: App, what: str, passed: float, step: int) -> Row:
    """What the window says of itself."""
    state, times = app.state(), app.ask("times", forget=True)
    _, size = app.ask("rect", tag="picture")
    return {
        "what": what,
        "picture": [round(v) for v in size],
        "steps_per_second": round((state["step"] - step) / passed, 2),
        "frames_per_second": round(times["frames"] / passed, 1),
        **{
            f"{name}_ms": {key: round(value, 1) for key, value in times[name].items()}
            for name in ("frame", "turn", "draw", "latency")
        },
        "said_to_cost": state["training"]["cost"],
    }


def dragged(app: App) -> None:
    """One orbit, a few pixels at a time, as a hand would."""
    commands = ["mousemove", *map(str, app.place("picture")), "mousedown", "1"]
    for by in (6, -6):
        for _ in range(25):
            commands += ["mousemove_relative", "--", str(by), "1" if by > 0 else "-1", "sleep", "0.02"]
    app.xdotool(*commands, "mouseup", "1")


def scrubbed(app: App) -> None:
    """There and back over the timeline."""
    (x, y), (right, _) = app.place("time", 0.1, 0.4), app.place("time", 0.9, 0.4)
    commands = ["mousemove", str(x), str(y), "mousedown", "1"]
    places = [*range(x, right, 12), *range(right, x, -12)]
    for place in places:
        commands += ["mousemove", str(place), str(y), "sleep", "0.02"]
    app.xdotool(*commands, "mouseup", "1")


def played(app: App) -> None:
    """The clip plays by itself."""
    if not app.state()["playing"]:
        app.ask("action", name="time.play")
    time.sleep(0.5)


def without_window(run: Path, seconds: float) -> Row:
    """Steps per second of the same run in a process of its own, without a window."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from app.memory import keep_freed_memory\n"
        "from training.run import Run\n"
        "keep_freed_memory()\n"
        "run = Run.open(Path(sys.argv[1]))\n"
        "for k in run.dataset.indices('train'): run.dataset.read(k)\n"
        "for _ in range(100): run.step()\n"
        "began, done = time.monotonic(), 0\n"
        "while time.monotonic() - began < float(sys.argv[2]):\n"
        "    run.step(); done += 1\n"
        "print(done / (time.monotonic() - began))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(run), str(seconds)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {"what": "without a window", "steps_per_second": round(float(result.stdout.split()[-1]), 2)}


def machine() -> Row:
    """Where it was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    return {"processor": model, "cores": os.cpu_count(), "opengl": "Mesa llvmpipe"}


if __name__ == "__main__":
    main()
