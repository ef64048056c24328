"""Scenes in a real window for tests/test_native.py, each in a process of its own.

``python -m tests.native_window NAME``. What a scene returns is printed as JSON; an assertion that fails ends the
process badly.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.gui.key_names import chord_of, is_down, key_name
from app.gui.native import Native
from app.gui.widgets.file_dialog import FileDialogs
from app.gui.widgets.texture import BINDING, STORE, UNPACK_BUFFER_BINDING, Texture

Pixels = NDArray[np.uint8]
DIALOG = (112, 75)
"""Where the file dialog lies in a window of 900x600."""


def opened(width: int = 420, height: int = 320, **options: Any) -> None:
    """A window at the screen's corner, as the application's own."""
    dpg.create_context()
    dpg.configure_app(manual_callback_management=True)
    dpg.create_viewport(title="native", width=width, height=height, x_pos=0, y_pos=0, vsync=False, **options)
    dpg.setup_dearpygui()
    dpg.show_viewport()


def frames(count: int = 4) -> None:
    """Draw so many, with the callbacks that are due, as the loop does."""
    for _ in range(count):
        for job in dpg.get_callback_queue() or ():
            dpg.run_callbacks([job])
        dpg.render_dearpygui_frame()


def screen() -> Pixels:
    """What is on the screen (H, W, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "screen.png"
        subprocess.run(["import", "-window", "root", "-silent", str(path)], check=True)
        return np.asarray(Image.open(path).convert("RGB"))


def xdotool(*arguments: object) -> None:
    """Frames go on meanwhile, as for a person at the keyboard."""
    process = subprocess.Popen(["xdotool", *map(str, arguments)])
    while process.poll() is None:
        frames(1)
    assert process.returncode == 0
    frames(6)


def shown_in_image(texture: Texture, width: int, height: int) -> Pixels:
    """A texture in an image of so many pixels, as the screen has it."""
    frames()
    dpg.configure_item("image", texture_tag=texture.tag, uv_max=texture.uv_max, width=width, height=height)
    frames()
    x, y = (round(v) for v in dpg.get_item_rect_min("image"))
    return screen()[y : y + height, x : x + width]


def with_image(texture: Texture) -> None:
    dpg.add_window(tag="main", pos=(0, 0), width=420, height=320, no_title_bar=True)
    dpg.add_image(texture.tag, tag="image", parent="main", width=8, height=8)


def random_pixels(height: int, width: int, seed: int = 0) -> Pixels:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    return pixels


def written(texture: Texture, pixels: Pixels) -> int:
    """Write as the loop does; the number of frames it took."""
    for k in range(20):
        if texture.write(pixels):
            return k
        frames(1)
    raise AssertionError("never taken")


# -------------------------------------------------------------------------------------------- scenes


def window() -> Any:
    """Scale, drop, minimised, before and after the window is there and from another thread."""
    native = Native()
    before = [native.available, native.content_scale(), native.on_drop(print), native.iconified(),
              native.post_empty_event(), native.make_current(), native.focused()]  # fmt: skip
    opened()
    dropped: list[list[str]] = []
    taken = native.on_drop(dropped.append)
    frames()
    library = ctypes.CDLL(dpg.internal_dpg.__file__)
    library.glfwGetCurrentContext.restype = ctypes.c_void_p
    library.glfwSetDropCallback.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.glfwSetDropCallback.restype = ctypes.c_void_p
    handle = library.glfwGetCurrentContext()
    registered = library.glfwSetDropCallback(handle, None)
    paths = ["/a clip/ü.mp4", "/b"]
    texts = (ctypes.c_char_p * 2)(*(p.encode() for p in paths))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p))(registered)
    call(handle, 2, texts)
    other: list[object] = []
    thread = threading.Thread(target=lambda: other.extend([native.available, native.content_scale()]))
    thread.start()
    thread.join()
    result = {
        "before": before, "after": [native.available, native.iconified()], "scale": native.content_scale(),
        "taken": taken, "dropped": dropped, "paths": paths, "other": other,
    }  # fmt: skip
    dpg.destroy_context()
    return result


def missing() -> Any:
    """A library without the functions, and none at all: everything has a plain answer."""
    opened()
    began = time.monotonic()
    answers = []
    for library in (ctypes.util.find_library("m") or "libm.so.6", "/nothing.so"):
        native = Native(library)
        native.wait_events(0.02)
        answers.append([native.available, native.content_scale(), native.on_drop(print), native.iconified(),
                        native.post_empty_event(), native.make_current(), native.focused(),
                        native.ask_for_attention(), native.gl_function("glIsTexture", ctypes.c_int)])  # fmt: skip
    waited = time.monotonic() - began
    texture = Texture(Native("/nothing.so"))
    with_image(texture)
    pixels = random_pixels(40, 60)
    late = written(texture, pixels)
    same = shown_in_image(texture, 60, 40)
    result = {
        "answers": answers, "waited": waited, "late": late, "fast": texture.fast,
        "error": int(np.abs(same.astype(int) - pixels[..., :3]).max()),
    }  # fmt: skip
    dpg.destroy_context()
    return result


def scaled() -> Any:
    """What the desktop says of text size reaches us; the root window's resource is where it says so."""
    x11 = ctypes.CDLL("libX11.so.6")
    pointer, number = ctypes.c_void_p, ctypes.c_ulong
    x11.XOpenDisplay.restype, x11.XOpenDisplay.argtypes = pointer, [ctypes.c_char_p]
    x11.XDefaultRootWindow.restype, x11.XDefaultRootWindow.argtypes = number, [pointer]
    x11.XInternAtom.restype, x11.XInternAtom.argtypes = number, [pointer, ctypes.c_char_p, ctypes.c_int]
    x11.XChangeProperty.argtypes = [pointer, number, number, number, ctypes.c_int, ctypes.c_int, ctypes.c_char_p,
                                    ctypes.c_int]  # fmt: skip
    x11.XDeleteProperty.argtypes = [pointer, number, number]
    x11.XSync.argtypes = [pointer, ctypes.c_int]
    display = x11.XOpenDisplay(None)
    root, atom = x11.XDefaultRootWindow(display), x11.XInternAtom(display, b"RESOURCE_MANAGER", 0)
    text, string_type, replace = b"Xft.dpi:\t144\n", 31, 0
    x11.XChangeProperty(display, root, atom, string_type, 8, replace, text, len(text))
    x11.XSync(display, 0)
    opened()
    scale = Native().content_scale()
    dpg.destroy_context()
    x11.XDeleteProperty(display, root, atom)
    x11.XSync(display, 0)
    return scale


def waiting() -> Any:
    """A wait ends when it is told to, from another thread, and at its end else."""
    native = Native()
    opened()
    frames()
    while_waiting = []
    for seconds, told in ((0.15, False), (5.0, True)):
        for _ in range(50):  # events that are on their way
            native.wait_events(0.001)
        if told:
            threading.Timer(0.05, native.post_empty_event).start()
        began = time.monotonic()
        native.wait_events(seconds)
        while_waiting.append(time.monotonic() - began)
    dpg.destroy_context()
    return while_waiting


def minimised() -> Any:
    """Needs a window manager."""
    native = Native()
    opened()
    frames(20)
    states = [native.iconified()]
    subprocess.run(["xdotool", "search", "--name", "^native$", "windowminimize"], check=True)
    end = time.monotonic() + 5
    while not native.iconified() and time.monotonic() < end:
        native.wait_events(0.05)
    states.append(native.iconified())
    began = time.monotonic()
    for _ in range(3):
        native.wait_events(0.05)
    waited = time.monotonic() - began
    subprocess.run(["wmctrl", "-a", "native"], check=True)
    end = time.monotonic() + 5
    while native.iconified() and time.monotonic() < end:
        native.wait_events(0.05)
    states.append(native.iconified())
    frames()
    dpg.destroy_context()
    return {"states": states, "waited": waited}


def colours() -> Any:
    """Bytes come out as they went in, the right way up, at every size; nothing of OpenGL's state is left changed."""
    native = Native()
    opened()
    texture = Texture(native)
    with_image(texture)
    late = written(texture, random_pixels(3, 5))
    assert texture.fast
    gl = texture._gl
    assert gl is not None
    state = [BINDING, UNPACK_BUFFER_BINDING, *STORE]
    set_store = native.gl_function("glPixelStorei", None, ctypes.c_uint, ctypes.c_int)
    assert set_store is not None
    set_store(0x0CF2, 17)  # what somebody else left behind must neither be used nor lost
    set_store(0x0CF5, 8)
    before = [gl._integer(which) for which in state]
    errors, kept = [], []
    for k, (height, width) in enumerate([(40, 61), (200, 300), (33, 7), (33, 7), (1, 1)]):
        pixels = random_pixels(height, width, k)
        sent = pixels.copy()
        assert texture.write(sent)
        sent[:] = 0  # the array is ours again
        kept.append([gl._integer(which) for which in state] == before)
        set_store(0x0CF2, 0)  # Dear PyGui's own uploads need it
        errors.append(int(np.abs(shown_in_image(texture, width, height).astype(int) - pixels[..., :3]).max()))
        set_store(0x0CF2, 17)
    set_store(0x0CF2, 0)
    part = random_pixels(64, 64, 9)[10:30, 5:45]  # a part of a larger array
    assert texture.write(part)
    errors.append(int(np.abs(shown_in_image(texture, 40, 20).astype(int) - part[..., :3]).max()))
    get_error = native.gl_function("glGetError", ctypes.c_uint)
    assert get_error is not None
    result = {"late": late, "errors": errors, "kept": kept, "uv": texture.uv_max, "gl": get_error()}
    dpg.destroy_context()
    return result


def refused() -> Any:
    """What is no picture is refused before OpenGL reads beyond it."""
    opened()
    texture = Texture(Native())
    with_image(texture)
    written(texture, random_pixels(3, 5))
    said = []
    for wrong in (np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4, 4), np.uint8),
                  np.zeros((2, 40_000, 4), np.uint8)):  # fmt: skip
        try:
            texture.write(wrong)  # type: ignore[arg-type]
        except ValueError as problem:
            said.append(str(problem))
    dpg.destroy_context()
    return said


def edges() -> Any:
    """Enlarged, a picture has nothing of what lies beyond its edge; pixels are squares where that is asked for."""
    opened()
    seen = {}
    for name, native in (("bytes", Native()), ("floats", None)):
        texture = Texture(native)
        if dpg.does_item_exist("main"):
            dpg.delete_item("main")
        with_image(texture)
        white = np.full((50, 50, 4), 255, np.uint8)
        half = np.zeros((8, 8, 4), np.uint8)
        half[..., 3] = 255
        half[4:, 4:, :3] = 255
        written(texture, white)
        frames(2)
        written(texture, half)
        large = shown_in_image(texture, 160, 160)
        seen[name] = [
            int(large[:, 0].max()),
            int(large[0].max()),
            int(large[100:, -1].min()),
            int(large[-1, 100:].min()),
        ]
        if name == "bytes":
            checks = np.zeros((8, 8, 4), np.uint8)
            checks[..., 3] = 255
            checks[:, ::2, :3] = 255
            written(texture, checks)
            seen["smooth"] = len(np.unique(shown_in_image(texture, 160, 160)))
            texture.set_sharp(True)
            seen["sharp"] = len(np.unique(shown_in_image(texture, 160, 160)))
    dpg.destroy_context()
    return seen


def many() -> Any:
    """Two textures do not take each other's place."""
    native = Native()
    opened()
    a, b = Texture(native), Texture(native)
    with_image(a)
    dpg.add_image(b.tag, tag="second", parent="main", width=8, height=8)
    pictures = random_pixels(20, 30, 1), random_pixels(20, 30, 2)
    written(a, pictures[0])
    written(b, pictures[1])
    error = int(np.abs(shown_in_image(a, 30, 20).astype(int) - pictures[0][..., :3]).max())
    is_texture = native.gl_function("glIsTexture", ctypes.c_ubyte, ctypes.c_uint)
    assert is_texture is not None
    result = {"error": error, "names": [a._name, b._name], "alive": [is_texture(a._name), is_texture(b._name)]}
    dpg.destroy_context()
    return result


def keys() -> Any:
    """What the window says of keys that are really pressed, with their modifiers, and of the mouse."""
    opened()
    heard: list[str | None] = []
    down: set[int] = set()

    def press(sender: int, number: int) -> None:
        heard.append(chord_of(number, down))
        down.add(number)

    with dpg.handler_registry():
        dpg.add_key_press_handler(callback=press)
        dpg.add_key_release_handler(callback=lambda sender, number: down.discard(number))
    frames()
    pressed = {}

    def hear() -> list[str]:
        found = [text for text in heard if text is not None]
        heard.clear()
        return found

    for name in ("space", "bracketleft", "bracketright", "comma", "period", "slash", "backslash", "minus", "equal",
                 "semicolon", "apostrophe", "grave", "Page_Up", "Page_Down", "Return", "BackSpace", "Escape", "Home",
                 "Left", "a", "7", "F1", "F12", "KP_Enter", "ctrl+shift+z", "shift+t", "alt+w", "question",
                 "ctrl+plus"):  # fmt: skip
        xdotool("key", name)
        pressed[name] = hear()
    for button in (1, 3, 4):
        xdotool("mousemove", 100, 100, "click", button)
    xdotool("key", "Shift_L")
    nothing = hear()
    xdotool("keydown", "w")
    held = [is_down("W"), is_down("S")]
    xdotool("keyup", "w")
    result = {"pressed": pressed, "nothing": nothing, "held": [*held, is_down("W")], "none": key_name(663)}
    dpg.destroy_context()
    return result


def closing() -> Any:
    """Needs a window manager: the window's own button asks, and the loop goes on."""
    opened(disable_close=True)
    asked = []
    dpg.set_exit_callback(lambda: asked.append(True))
    frames(20)
    subprocess.run(["wmctrl", "-c", "native"], check=True)
    running = []
    end = time.monotonic() + 3
    while not asked and time.monotonic() < end:
        frames(1)
    running.append(dpg.is_dearpygui_running())
    dpg.destroy_context()
    return {"asked": len(asked), "running": running}


def dialogs() -> Any:
    """Dear PyGui's own file dialog, by the mouse: a folder, a file, a name that exists, and cancel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.ply").touch()
        opened(900, 600)
        ask = FileDialogs(program="")
        got: list[str] = []

        def answer(*clicks: tuple[int, int] | str) -> list[object]:
            """Click at places of the dialog and on buttons by their labels; what came of it."""
            for click in ("", *clicks):
                for _ in range(8):
                    frames(1)
                    ask.poll()
                if isinstance(click, tuple):
                    xdotool("mousemove", DIALOG[0] + click[0], DIALOG[1] + click[1], "click", 1)
                elif click:
                    group = dpg.get_item_children(ask._item, 1)[1]
                    button = next(b for b in dpg.get_item_children(group, 1) if dpg.get_item_label(b) == click)
                    x, y = dpg.get_item_rect_min(button)
                    xdotool("mousemove", round(x) + 5, round(y) + 5, "click", 1)
            for _ in range(8):
                frames(1)
                ask.poll()
            result = [*got, ask.open]
            got.clear()
            ask.close()
            frames(4)
            return result

        def then(path: Path) -> None:
            got.append(path.relative_to(folder).as_posix())

        ok, cancel = (18, 433), (58, 433)
        results = {}
        ask.ask_folder("Folder", folder, then)
        assert not ask.ask_folder("Another", folder, then)
        results["folder"] = answer(ok)
        for case, clicks in {"cancel": [cancel], "file": [(38, 98), ok], "no file": [ok]}.items():
            ask.ask_open("File", folder, then, [".ply", ".splat"])
            results[case] = answer(*clicks)
        for case, name, clicks in (
            ("new", "new.ply", [ok]), ("named", "new", [ok]), ("kept", "a.ply", [ok, "Cancel"]),
            ("replaced", "a.ply", [ok, "Replace"]),
        ):  # fmt: skip
            ask.ask_save("Save", folder / name, then, [".ply"])
            results[case] = answer(*clicks)
        dpg.destroy_context()
    return results


def programs() -> Any:
    """One that cannot be started, one that cannot show anything, and one that asked about another name than the one
    that would be replaced."""
    opened(900, 600)
    results: list[str | None] = []
    with tempfile.TemporaryDirectory() as name:
        failing = Path(name) / "zenity"
        failing.write_text("#!/bin/sh\nexit 255\n")
        failing.chmod(0o755)
        answering = Path(name) / "kdialog"
        answering.write_text(f"#!/bin/sh\necho {name}/there\n")
        answering.chmod(0o755)
        (Path(name) / "there.ply").touch()
        for program in ("/nothing/zenity", str(failing), str(answering)):
            ask = FileDialogs(program)
            if program == str(answering):
                ask.ask_save("Save", Path(name), lambda path: results.append("replaced"), [".ply"])
            else:
                ask.ask_folder("Folder", Path(name), lambda path: None)
            end = time.monotonic() + 5
            while not ask._item and time.monotonic() < end:
                frames(1)
                ask.poll()
            results.append(dpg.get_item_label(ask._item) if ask._item else None)
            ask.close()
            frames(4)
    dpg.destroy_context()
    return results


SCENES: tuple[Callable[[], Any], ...] = (
    window, missing, scaled, waiting, minimised, colours, refused, edges, many, keys, closing, dialogs, programs,
)  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(next(scene for scene in SCENES if scene.__name__ == sys.argv[1])()) + "\n")
