"""``dynview-gui [DATA|RUN]``: open a clip or a run in the window."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from app.command_line import parsed, preset_asked_for
from app.memory import keep_freed_memory
from renderer.errors import InputError
from training.config import TrainConfig
from training.device import pick_device

SWITCH_SECONDS = 0.001
"""After which a thread that computes in Python lets another one go on: the window must not wait for training."""


@dataclass(frozen=True)
class Gui:
    """Open a clip or a run in the window, look at it, train it."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA|RUN")] = ""
    """Folder of a clip or of a run; demo, demo:sparse, demo:small-motion. Without one: what was open last, and the demo
    scene, to choose from."""
    demo: bool = False
    """Open the demo scene and begin training, without a question."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    train: bool = False
    """Begin training at once."""
    device: str = "auto"
    """auto, cpu or cuda: where scenes are learned and drawn."""
    out: Path | None = None
    """Folder of a new run; by default runs/NAME."""
    splatting: Literal["auto", "opengl", "engine"] = "auto"
    """Who draws Gaussians: OpenGL, on which views never wait for training, or the engine; auto takes OpenGL unless it
    is a software renderer."""
    screenshots: Path | None = None
    """Make a PNG of each panel and mode of the demo scene in both themes in this folder, and end."""
    size: tuple[int, int] | None = None
    """Width and height of the window, pixels; by default as it was last."""
    control: Path | None = None
    """Listen on this socket for requests; for tests."""


def check_display() -> None:
    """InputError where no X server answers: Dear PyGui would end the process without a word."""
    name = os.environ.get("DISPLAY")
    if not name:
        raise InputError("no display: set DISPLAY, or use dynview train, render and inspect, which need none")
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        raise InputError("libX11 is missing; run: sudo apt-get install libx11-6 libgl1") from None
    x11.XOpenDisplay.restype = ctypes.c_void_p
    connection = x11.XOpenDisplay(None)
    if not connection:
        raise InputError(f"no X server answers at DISPLAY={name}; start one, or use dynview train and render")
    x11.XCloseDisplay(ctypes.c_void_p(connection))


def load_triton() -> None:
    """Torch's optimisers load Triton, where it is, and its LLVM must come before that of Mesa's software renderer: the
    other way round the process crashes."""
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton._C.libtriton")


def main() -> None:
    """Entry point of ``dynview-gui``."""
    keep_freed_memory()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        preset = Gui(config=preset_asked_for(sys.argv[1:]))
        gui = parsed(lambda: tyro.cli(Gui, prog="dynview-gui", args=sys.argv[1:], default=preset), "dynview-gui")
        check_display()
        pick_device(gui.device)
        sys.setswitchinterval(SWITCH_SECONDS)
        # Mesa's software renderer leaves the other half of the processor to training
        os.environ.setdefault("LP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
        load_triton()
        from app.gui.desk import Source
        from app.gui.window import Options, Window

        name = gui.source or ("demo" if gui.demo else "")
        source = Source(name, gui.config, gui.out, gui.train or gui.demo) if name else None
        control = str(gui.control) if gui.control else None
        window = Window(source, Options(control, gui.splatting, gui.size, gui.screenshots, gui.device))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: window.end_soon())
        window.run()
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    # everything is saved and every thread has ended: taking two seconds to free modules one by one helps nobody
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
