"""What Dear PyGui cannot say, asked of the GLFW that is built into it.

Its Linux library happens to export GLFW's functions; nothing promises it. Each one is looked for, and where it is
missing the answer is None or False, so that the window works without: no scale from the screen, no dropped files, and
a loop that rests while the window is minimised. Everything here is for the main thread, but for
:meth:`Native.post_empty_event`.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Any

import dearpygui._dearpygui as _library

POINTER, INT, FLOAT = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
ICONIFIED, FOCUSED = 0x00020002, 0x00020001
"""GLFW_ICONIFIED, GLFW_FOCUSED."""
DROP = ctypes.CFUNCTYPE(None, POINTER, INT, ctypes.POINTER(ctypes.c_char_p))
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "glfwGetCurrentContext": (POINTER, ()),
    "glfwMakeContextCurrent": (None, (POINTER,)),
    "glfwGetWindowContentScale": (None, (POINTER, ctypes.POINTER(FLOAT), ctypes.POINTER(FLOAT))),
    "glfwGetWindowAttrib": (INT, (POINTER, INT)),
    "glfwSetDropCallback": (POINTER, (POINTER, DROP)),
    "glfwWaitEventsTimeout": (None, (ctypes.c_double,)),
    "glfwPostEmptyEvent": (None, ()),
    "glfwRequestWindowAttention": (None, (POINTER,)),
    "_ZN5ImGui15IsAnyItemActiveEv": (ctypes.c_bool, ()),
    "glfwGetProcAddress": (POINTER, (ctypes.c_char_p,)),
}


class Native:
    """Dear PyGui's own window and OpenGL context; of use once ``show_viewport`` has made them.

    ``library``: file to look for the functions in, by default Dear PyGui's.
    """

    def __init__(self, library: str | None = None) -> None:
        self._functions = _found(library or _library.__file__)
        self._dropped: Any = None  # GLFW keeps the address only
        self._was_shown = False

    @property
    def available(self) -> bool:
        """Whether the window can be reached now."""
        return self._window() is not None

    def content_scale(self) -> float | None:
        """How large the screen wants text and widgets, 1 for the usual; None where that is not known."""
        window, scale_of = self._window(), self._functions.get("glfwGetWindowContentScale")
        if window is None or scale_of is None:
            return None
        x, y = FLOAT(), FLOAT()
        scale_of(window, ctypes.byref(x), ctypes.byref(y))
        scale = max(x.value, y.value)
        return scale if 0.25 <= scale <= 16 else None

    def on_drop(self, callback: Callable[[list[str]], None]) -> bool:
        """Call back with the paths of what is dropped on the window; whether that can be done.

        It is called while a frame is drawn and Dear PyGui's lock is held: it may put the paths aside and no more.
        """
        window, set_drop = self._window(), self._functions.get("glfwSetDropCallback")
        if window is None or set_drop is None:
            return False

        def dropped(_: int, count: int, paths: Any) -> None:
            callback([os.fsdecode(paths[k]) for k in range(count)])

        kept = DROP(dropped)
        set_drop(window, kept)
        self._dropped = kept
        return True

    def iconified(self) -> bool:
        """Whether the window is minimised, when drawing it would block until it is not."""
        return self._attribute(ICONIFIED) == 1

    def focused(self) -> bool | None:
        """Whether the window has the keyboard; None where that is not known."""
        value = self._attribute(FOCUSED)
        return None if value is None else value == 1

    def wait_events(self, seconds: float) -> None:
        """Rest until something happens to the window, at most so long. The whole time where that is not known."""
        window, wait = self._window(), self._functions.get("glfwWaitEventsTimeout")
        if seconds <= 0:
            return
        if window is None or wait is None:
            time.sleep(seconds)
        else:
            wait(seconds)

    def post_empty_event(self) -> bool:
        """End :meth:`wait_events` at once; from any thread. Whether that can be done."""
        post = self._functions.get("glfwPostEmptyEvent")
        if post is None or not self._was_shown:
            return False
        post()
        return True

    def ask_for_attention(self) -> bool:
        """Let the desktop mark the window, as when something long has ended. Whether that can be done."""
        window, ask = self._window(), self._functions.get("glfwRequestWindowAttention")
        if window is None or ask is None:
            return False
        ask(window)
        return True

    def make_current(self) -> bool:
        """Make Dear PyGui's OpenGL context current again, in case another library took it away."""
        window, make = self._window(), self._functions.get("glfwMakeContextCurrent")
        if window is None or make is None:
            return False
        make(window)
        return True

    def gl_function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any] | None:
        """A function of Dear PyGui's OpenGL context with its ctypes; None where there is none."""
        find = self._functions.get("glfwGetProcAddress")
        address = find(name.encode()) if self.available and find else None
        return ctypes.CFUNCTYPE(result, *arguments)(address) if address else None

    def item_active(self) -> bool | None:
        """Whether any widget is being used, a text field among them; None where that is not known."""
        active = self._functions.get("_ZN5ImGui15IsAnyItemActiveEv")
        return None if active is None or not self._was_shown else bool(active())

    def _attribute(self, which: int) -> int | None:
        window, attribute = self._window(), self._functions.get("glfwGetWindowAttrib")
        return None if window is None or attribute is None else int(attribute(window, which))

    def _window(self) -> int | None:
        """The window's handle; None before it is shown, and on any thread but its own."""
        current = self._functions.get("glfwGetCurrentContext")
        window: int | None = current() if current else None
        self._was_shown = self._was_shown or window is not None
        return window


def _found(library: str) -> dict[str, Any]:
    """The functions of ``SIGNATURES`` that a library has."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        return {}
    functions = {}
    for name, (result, arguments) in SIGNATURES.items():
        if hasattr(loaded, name):
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
            functions[name] = function
    return functions
