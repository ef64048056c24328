"""Forks windows from a process that has imported what they need: each opens some six seconds sooner.

Run as a program, it is that process; it reads requests as JSON lines, and answers each by one.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NEEDED = ("torch", "torch._dynamo", "app.gui.main", "app.gui.window")


class Child:
    """A forked window, with the part of :class:`subprocess.Popen` that tests use."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery, self.pid = nursery, pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit status once it has ended; the negative number of the signal that ended it."""
        if self._code is None:
            self._code = self._nursery.ask(pid=self.pid)
        return self._code

    def wait(self, timeout: float) -> int:
        """Its exit status, after at most so many seconds. TimeoutError where it goes on."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} goes on after {timeout} s")
            time.sleep(0.02)
        return code


class Nursery:
    """The process; ends with the one that made it."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gui_nursery"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT,
        )  # fmt: skip

    def window(self, arguments: list[str], environment: Mapping[str, str], folder: Path, log: Path) -> Child:
        """``dynview-gui`` in a folder; what it says is added to the log."""
        request = {"arguments": arguments, "environment": dict(environment), "folder": str(folder), "log": str(log)}
        return Child(self, self.ask(**request))

    def ask(self, **request: Any) -> Any:
        """One request."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def serve() -> None:
    """Answer until there are no more requests."""
    for name in NEEDED:
        importlib.import_module(name)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "pid" in request:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                become(**request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def become(arguments: list[str], environment: dict[str, str], folder: str, log: str) -> None:
    """Turn this process into a window; does not return."""
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        faulthandler.enable()
        sys.argv = ["dynview-gui", *arguments]
        importlib.import_module("app.gui.main").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
