"""Drives the real window: a private X display, the mouse and keyboard of xdotool, and the window's control socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.gui_nursery import Child, Nursery

ROOT = Path(__file__).parent.parent
TOOLS = ("Xvfb", "xdotool", "import")
SMALL = ("demo", "--data.megapixels", "0.02", "--data.frame-step", "4", "--scene.points", "3000", "--steps", "5000")
"""Arguments for a demo that is soon trained; the last is the number of steps."""


def missing_tools() -> list[str]:
    """Programs that these tests need and this machine lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


class Display:
    """A virtual screen of 1400x900."""

    def __init__(self) -> None:
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp", "-noreset"]
        self._process = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
        os.close(write)
        number = b""
        while not number.endswith(b"\n"):  # the digits and the newline come apart
            part = os.read(read, 16)
            assert part, "Xvfb ended at once"
            number += part
        os.close(read)
        self.name = ":" + number.decode().strip()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@cache
def _nursery() -> Nursery:
    return Nursery()


class App:
    """A running ``dynview-gui``. ``anew``: as a new process, as a person starts it, instead of a fork of one that has
    imported everything."""

    def __init__(self, display: Display, folder: Path, *arguments: str, anew: bool = False) -> None:
        self._environment = {**os.environ, "DISPLAY": display.name, "PYTHONFAULTHANDLER": "1", "PYTHONPATH": str(ROOT)}
        self._environment.pop("WAYLAND_DISPLAY", None)
        self._environment.setdefault("DYNVIEW_CONFIG", str(folder / "config"))
        self._log = (folder / "window.log").open("w+")
        path = folder / "control"
        self.process: subprocess.Popen[bytes] | Child
        arguments = (*arguments, "--control", str(path))
        if anew:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.gui.main", *arguments],
                env=self._environment, stdout=self._log, stderr=self._log, cwd=folder,
            )  # fmt: skip
        else:
            self.process = _nursery().window([*arguments], self._environment, folder, Path(self._log.name))
        connection = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 60
        while True:
            try:
                connection.connect(str(path))
                break
            except OSError:
                assert self.process.poll() is None, f"the window ended: {self.log()}"
                assert time.monotonic() < deadline, "the window did not open"
                time.sleep(0.05)
        connection.settimeout(60)
        self._stream = connection.makefile("rwb")

    def ask(self, op: str, **values: Any) -> Any:
        """One request of the control socket."""
        self._stream.write(json.dumps({"op": op, **values}).encode() + b"\n")
        self._stream.flush()
        line = self._stream.readline()
        return json.loads(line) if line else None

    def state(self) -> dict[str, Any]:
        return self.ask("state")

    def frames(self, n: int = 3) -> None:
        """Wait until the window has been drawn so often."""
        self.ask("wait", n=n)

    def until(self, accept: Callable[[dict[str, Any]], Any], timeout: float = 120) -> dict[str, Any]:
        """The state once it satisfies a condition."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            state = self.state()
            if accept(state):
                return state
            self.frames(1)
        raise AssertionError(f"never came true; the state is {self.state()}; {self.log()}")

    def mouse(self, *arguments: object) -> None:
        """xdotool, then as many frames as it takes to be seen."""
        self.xdotool(*map(str, arguments))
        self.frames()

    def type(self, text: str) -> None:
        """Type into what has the focus; Dear PyGui takes one press or release per frame."""
        self.xdotool("type", text)
        self.frames(2 * len(text) + 3)

    def xdotool(self, *arguments: str) -> None:
        """xdotool, without waiting for the window."""
        subprocess.run(["xdotool", *arguments], env=self._environment, check=True, stdout=subprocess.DEVNULL)

    def place(self, tag: str, dx: float = 0.5, dy: float = 0.5) -> tuple[int, int]:
        """A place on the screen, by its share of a widget's width and height."""
        (x, y), (w, h) = self.ask("rect", tag=tag)
        origin_x, origin_y = self.window_origin()
        return round(origin_x + x + dx * w), round(origin_y + y + dy * h)

    def window_origin(self) -> tuple[int, int]:
        """Where the window's inside begins on the screen."""
        x, y, _, _ = self._geometry()
        return x, y

    def geometry(self) -> tuple[int, int]:
        """Width and height of the window's inside, pixels."""
        _, _, width, height = self._geometry()
        return width, height

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.mouse("search", "--onlyvisible", "--name", "dynview", "windowsize", width, height)

    def _geometry(self) -> tuple[int, int, int, int]:
        command = ["xdotool", "search", "--onlyvisible", "--name", "dynview", "getwindowgeometry", "--shell"]
        text = subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True).stdout
        values = dict(line.split("=") for line in text.split() if "=" in line)
        x, y, width, height = (int(values[name]) for name in ("X", "Y", "WIDTH", "HEIGHT"))
        return x, y, width, height

    def hover(self, tag: str, dx: float = 0.5, dy: float = 0.5) -> tuple[int, int]:
        """Move the mouse to a widget, and after it while the layout still moves."""
        place = None
        while place != (now := self.place(tag, dx, dy)):
            self.mouse("mousemove", *now)
            place = now
        return place

    def click(self, tag: str, dx: float = 0.5, dy: float = 0.5) -> tuple[int, int]:
        """Press and release the left button on a widget."""
        x, y = self.hover(tag, dx, dy)
        self.mouse("mousedown", 1)
        self.mouse("mouseup", 1)
        return x, y

    def drag(self, tag: str, by: tuple[int, int], button: int = 1) -> None:
        """Drag from the middle of a widget."""
        self.hover(tag)
        self.mouse("mousedown", button)
        for _ in range(4):
            self.mouse("mousemove_relative", "--", by[0] // 4, by[1] // 4)
        self.mouse("mouseup", button)

    def tab(self, title: str) -> None:
        """Bring a panel to the front, by a click on its tab."""
        self.click(f"tab {title}")
        self.until(lambda s: s["tab"] == title)

    def key(self, name: str) -> None:
        """Press and release a key, or a chord such as ctrl+a: as a person does, its modifiers a frame before and after
        the rest. Dear PyGui loses every other chord that comes and goes within a frame."""
        *modifiers, last = name.split("+")
        for modifier in modifiers:
            self.mouse("keydown", modifier)
        self.mouse("key", last)
        for modifier in reversed(modifiers):
            self.mouse("keyup", modifier)
        self.frames(2)

    def enter(self, tag: str, text: str, end: str = "Return") -> None:
        """Replace what is in a field, and end with a key."""
        self.focus(tag)
        self.key("ctrl+a")
        self.type(text)
        self.key(end)

    def focus(self, tag: str) -> None:
        """Click into a field, left of a label. A menu or a popup that is just closing or opening takes a click for
        itself."""
        for _ in range(3):
            self.click(tag, 0.2)
            if self.ask("active", tag=tag):
                return
        raise AssertionError(f"{tag} does not take the focus; {self.log()}")

    def screenshot(self, path: Path) -> NDArray[np.uint8]:
        """The whole screen, (900, 1400, 3)."""
        subprocess.run(["import", "-window", "root", "-silent", str(path)], env=self._environment, check=True)
        return np.asarray(Image.open(path).convert("RGB"))

    def picture(self, path: Path) -> NDArray[np.uint8]:
        """What the viewport shows."""
        self.frames(4)
        x, y = self.place("picture", 0, 0)
        _, (w, h) = self.ask("rect", tag="picture")
        return self.screenshot(path)[y : y + int(h), x : x + int(w)]

    def log(self) -> str:
        self._log.flush()
        return (Path(self._log.name)).read_text()[-3000:]

    def close(self) -> None:
        """As by the window's own button; the process must end well."""
        if self.process.poll() is None:
            self.ask("quit")
        code = self.process.wait(90)
        text = self.log()
        assert code == 0, text
        assert "Traceback" not in text, text
