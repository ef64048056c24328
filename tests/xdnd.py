"""Drops files on a window as a file manager does: the source's side of the XDND protocol, version 5, by Xlib."""

from __future__ import annotations

import ctypes
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CLIENT_MESSAGE, SELECTION_REQUEST, SELECTION_NOTIFY = 33, 30, 31
ATOM, REPLACE, VERSION = 4, 0, 5
Pointer, Number, Int = ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int


class ClientMessage(ctypes.Structure):
    _fields_ = (
        ("type", Int), ("serial", Number), ("send_event", Int), ("display", Pointer), ("window", Number),
        ("message_type", Number), ("format", Int), ("data", ctypes.c_long * 5),
    )  # fmt: skip


class SelectionRequest(ctypes.Structure):
    _fields_ = (
        ("type", Int), ("serial", Number), ("send_event", Int), ("display", Pointer), ("owner", Number),
        ("requestor", Number), ("selection", Number), ("target", Number), ("property", Number), ("time", Number),
    )  # fmt: skip


class Selection(ctypes.Structure):
    _fields_ = (
        ("type", Int), ("serial", Number), ("send_event", Int), ("display", Pointer), ("requestor", Number),
        ("selection", Number), ("target", Number), ("property", Number), ("time", Number),
    )  # fmt: skip


class Event(ctypes.Union):
    _fields_ = (
        ("type", Int), ("message", ClientMessage), ("request", SelectionRequest), ("selection", Selection),
        ("pad", ctypes.c_long * 24),
    )  # fmt: skip


def drop(display_name: str, title: str, paths: Sequence[Path], drawn: Callable[[], object]) -> None:
    """Drop paths on the window with a title. ``drawn``: waits until the window has seen what was sent."""
    command = ["xdotool", "search", "--onlyvisible", "--name", title]
    found = subprocess.run(command, env={"DISPLAY": display_name}, check=True, capture_output=True, text=True).stdout
    source = _Source(display_name, int(found.split()[0]))
    try:
        source.drop(paths, drawn)
    finally:
        source.close()


class _Source:
    def __init__(self, display_name: str, target: int) -> None:
        self._x = _library()
        self._display = self._x.XOpenDisplay(display_name.encode())
        self._target = target
        root = self._x.XDefaultRootWindow(self._display)
        self._window = self._x.XCreateSimpleWindow(self._display, root, 0, 0, 1, 1, 0, 0, 0)

    def close(self) -> None:
        self._x.XCloseDisplay(self._display)

    def drop(self, paths: Sequence[Path], drawn: Callable[[], object]) -> None:
        uris = "".join(f"{path.absolute().as_uri()}\r\n" for path in paths).encode()
        self._x.XSetSelectionOwner(self._display, self._atom("XdndSelection"), self._window, 0)
        self._send("XdndEnter", VERSION << 24, self._atom("text/uri-list"), 0, 0)
        self._send("XdndPosition", 0, (200 << 16) | 200, 0, self._atom("XdndActionCopy"))
        drawn()
        self._send("XdndDrop", 0, 0, 0, 0)
        deadline = time.monotonic() + 20
        while not self._answered(uris):
            assert time.monotonic() < deadline, "nobody took what was dropped"
            drawn()
        drawn()

    def _answered(self, content: bytes) -> bool:
        """Hand the content over to whoever asks for it; whether somebody did."""
        event = Event()
        self._x.XSync(self._display, 0)
        while self._x.XPending(self._display):
            self._x.XNextEvent(self._display, ctypes.byref(event))
            if event.type != SELECTION_REQUEST:
                continue
            request = event.request
            self._x.XChangeProperty(self._display, request.requestor, request.property, request.target, 8, REPLACE,
                                    content, len(content))  # fmt: skip
            answer = Event()
            answer.selection = Selection(SELECTION_NOTIFY, 0, 1, self._display, request.requestor, request.selection,
                                         request.target, request.property, request.time)  # fmt: skip
            self._x.XSendEvent(self._display, request.requestor, 0, 0, ctypes.byref(answer))
            self._x.XSync(self._display, 0)
            return True
        return False

    def _send(self, kind: str, *data: int) -> None:
        event = Event()
        event.message = ClientMessage(CLIENT_MESSAGE, 0, 1, self._display, self._target, self._atom(kind), 32,
                                      (ctypes.c_long * 5)(self._window, *data))  # fmt: skip
        self._x.XSendEvent(self._display, self._target, 0, 0, ctypes.byref(event))
        self._x.XSync(self._display, 0)

    def _atom(self, name: str) -> int:
        return int(self._x.XInternAtom(self._display, name.encode(), 0))


def _library() -> Any:
    x = ctypes.CDLL("libX11.so.6")
    for name, result, arguments in (
        ("XOpenDisplay", Pointer, [ctypes.c_char_p]),
        ("XCloseDisplay", Int, [Pointer]),
        ("XDefaultRootWindow", Number, [Pointer]),
        ("XCreateSimpleWindow", Number, [Pointer, Number, Int, Int, Int, Int, Int, Number, Number]),
        ("XInternAtom", Number, [Pointer, ctypes.c_char_p, Int]),
        ("XSetSelectionOwner", Int, [Pointer, Number, Number, Number]),
        ("XSendEvent", Int, [Pointer, Number, Int, ctypes.c_long, Pointer]),
        ("XChangeProperty", Int, [Pointer, Number, Number, Number, Int, Int, ctypes.c_char_p, Int]),
        ("XPending", Int, [Pointer]),
        ("XNextEvent", Int, [Pointer, Pointer]),
        ("XSync", Int, [Pointer, Int]),
    ):
        function = getattr(x, name)
        function.restype, function.argtypes = result, arguments
    return x
