"""A socket through which tests drive the window: JSON lines, answered between two frames of the main loop."""

from __future__ import annotations

import json
import queue
import socket
import threading
from pathlib import Path
from typing import Any, Protocol

import dearpygui.dearpygui as dpg

from app.gui.desk import Source

Answer = queue.SimpleQueue[Any]


class Driven(Protocol):
    """What tests may do with a window beside mouse and keys."""

    def state(self) -> dict[str, Any]: ...

    def times(self, forget: bool) -> dict[str, Any]: ...

    def left(self) -> dict[str, Any]: ...

    def open_scene(self, source: Source) -> None: ...

    def run_action(self, name: str) -> None: ...

    def show_tab(self, title: str) -> None: ...


class Control:
    """Listens on a Unix socket, for a window."""

    def __init__(self, path: str, window: Driven) -> None:
        self._window = window
        self._requests: queue.SimpleQueue[tuple[dict[str, Any], Answer]] = queue.SimpleQueue()
        self._waiting: list[tuple[int, Answer]] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen(1)
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def serve(self) -> None:
        """Answer what has come; on the main thread, once per frame."""
        frame = dpg.get_frame_count()
        while self._waiting and self._waiting[0][0] <= frame:
            self._waiting.pop(0)[1].put(frame)
        while not self._requests.empty():
            request, answer = self._requests.get()
            if request["op"] == "wait":
                self._waiting.append((frame + int(request["n"]), answer))
                self._waiting.sort(key=lambda entry: entry[0])
            else:
                try:
                    answer.put(self._answer(request))
                except Exception as problem:  # a wrong question ends no window
                    answer.put({"error": f"{type(problem).__name__}: {problem}"})

    def _answer(self, request: dict[str, Any]) -> Any:
        match request["op"]:
            case "rect":
                return [dpg.get_item_rect_min(request["tag"]), dpg.get_item_rect_size(request["tag"])]
            case "value":
                return dpg.get_value(request["tag"])
            case "label":
                return dpg.get_item_label(request["tag"])
            case "shown":
                return bool(dpg.is_item_shown(request["tag"]))
            case "active":
                return bool(dpg.is_item_active(request["tag"]))
            case "set":
                dpg.set_value(request["tag"], request["value"])
                return None
            case "action":
                self._window.run_action(request["name"])
                return None
            case "tab":
                self._window.show_tab(request["title"])
                return None
            case "times":
                return self._window.times(bool(request.get("forget")))
            case "left":
                return self._window.left()
            case "open":
                self._window.open_scene(Source(request["name"], out=Path(request["out"]) if "out" in request else None))
                return None
            case "state":
                return self._window.state()
            case "quit":
                dpg.stop_dearpygui()
                return None
        return {"error": f"unknown request {request['op']}"}

    def _listen(self) -> None:
        connection, _ = self._server.accept()
        stream = connection.makefile("rwb")
        for line in stream:
            answer: Answer = queue.SimpleQueue()
            self._requests.put((json.loads(line), answer))
            stream.write(json.dumps(answer.get()).encode() + b"\n")
            stream.flush()
