"""A picture in the window whose pixels are written as bytes.

Dear PyGui takes floats and sends them to the graphics card in every frame, changed or not. Where its OpenGL context can
be reached, bytes are written straight into one of its textures instead, once for each picture: a texture that is made
tiny, found again by its pixels, and given its true size. Else its raw textures are used.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app.gui.native import Native

Pixels = NDArray[np.uint8]

TEXTURE_2D, BINDING, RGBA, RGBA8, BYTES = 0x0DE1, 0x8069, 0x1908, 0x8058, 0x1401
WIDTH, HEIGHT, MAX_SIZE = 0x1000, 0x1001, 0x0D33
MAG_FILTER, WRAP_S, WRAP_T = 0x2800, 0x2802, 0x2803
NEAREST, LINEAR, CLAMP_TO_EDGE = 0x2600, 0x2601, 0x812F
UNPACK_BUFFER, UNPACK_BUFFER_BINDING, PACK_BUFFER, PACK_BUFFER_BINDING = 0x88EC, 0x88EF, 0x88EB, 0x88ED
STORE = {0x0CF2: 0, 0x0CF3: 0, 0x0CF4: 0, 0x0CF5: 4, 0x0D02: 0, 0x0D03: 0, 0x0D04: 0, 0x0D05: 4}
"""How pixels lie in memory, unpacking and packing: row length, skipped rows and pixels, alignment."""
UINT, INT, POINTER = ctypes.c_uint, ctypes.c_int, ctypes.c_void_p
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "glGetIntegerv": (None, (UINT, POINTER)),
    "glIsTexture": (ctypes.c_ubyte, (UINT,)),
    "glBindTexture": (None, (UINT, UINT)),
    "glGetTexLevelParameteriv": (None, (UINT, INT, UINT, POINTER)),
    "glGetTexImage": (None, (UINT, INT, UINT, UINT, POINTER)),
    "glTexParameteri": (None, (UINT, UINT, INT)),
    "glTexImage2D": (None, (UINT, INT, INT, INT, INT, INT, UINT, UINT, POINTER)),
    "glTexSubImage2D": (None, (UINT, INT, INT, INT, INT, INT, UINT, UINT, POINTER)),
    "glPixelStorei": (None, (UINT, INT)),
    "glBindBuffer": (None, (UINT, UINT)),
}
MARK = (3, 5)
"""Height and width of the texture as it is made, whose random pixels tell it from all others."""
SEARCHED = 4096
"""OpenGL numbers textures from 1 on; nobody has as many."""
PATIENCE = 5
"""Frames within which Dear PyGui has made a texture."""
STEP = 256
"""Raw textures grow by so many pixels: the memory of a smaller one is lost."""


class Texture:
    """A picture in the window; for the main thread.

    ``native``: the way to Dear PyGui's OpenGL, None to go without. ``tag``, ``uv_max``: what ``add_image`` needs; both
    may change with :meth:`write` and are to be set again after it. ``fast``: whether bytes are written directly, None
    while that is not known.
    """

    def __init__(self, native: Native | None) -> None:
        self.fast: bool | None = None if native is not None else False
        self.uv_max = (1.0, 1.0)
        self._gl = _Gl(native) if native is not None else None
        self._mark = np.frombuffer(secrets.token_bytes(4 * MARK[0] * MARK[1]), np.uint8).reshape(*MARK, 4)
        self._name, self._size = 0, (0, 0)
        self._buffer: NDArray[np.float32] | None = None
        self._made_at = dpg.get_frame_count()
        values = (self._mark / 255).astype(np.float32).ravel().tolist()
        self._registry = dpg.add_texture_registry()
        self.tag: int | str = dpg.add_static_texture(MARK[1], MARK[0], values, parent=self._registry)

    def write(self, pixels: Pixels) -> bool:
        """Show a picture (H, W, 4) of bytes, row 0 on top. False where it is to be written again after the next frame.

        The array may be changed afterwards. ValueError for anything else, and for a picture that is too large.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4 or not pixels.size:
            raise ValueError(f"a picture of bytes (H, W, 4) is needed, not {pixels.dtype} {pixels.shape}")
        if self.fast is None and not self._decide():
            return False
        if self.fast and self._gl is not None and self._gl.write(self._name, self._size, np.ascontiguousarray(pixels)):
            self._size = (pixels.shape[1], pixels.shape[0])
        else:
            self.fast = False
            self._write_floats(pixels)
        return True

    def set_sharp(self, sharp: bool) -> None:
        """Show pixels as squares where the picture is enlarged, or smoothly; smoothly where OpenGL is out of reach."""
        if self.fast and self._gl is not None:
            self._gl.filter(self._name, NEAREST if sharp else LINEAR)

    def _decide(self) -> bool:
        """Find the texture in OpenGL; whether it is known now which way to go."""
        assert self._gl is not None
        self._name = self._gl.find(self._mark) if self._gl.ready() else 0
        if self._name:
            self.fast = True
        elif dpg.get_frame_count() - self._made_at > PATIENCE:
            self.fast = False
        return self.fast is not None

    def _write_floats(self, pixels: Pixels) -> None:
        h, w = pixels.shape[:2]
        if self._buffer is None or h + 2 > self._buffer.shape[0] or w + 2 > self._buffer.shape[1]:
            old = self._buffer.shape if self._buffer is not None else (0, 0)
            H, W = (-(-max(n + 2, o) // STEP) * STEP for n, o in ((h, old[0]), (w, old[1])))
            self._buffer = np.zeros((H, W, 4), np.float32)
            self.tag = dpg.add_raw_texture(
                W,
                H,
                self._buffer,  # type: ignore[arg-type]
                format=dpg.mvFormat_Float_rgba,
                parent=self._registry,
            )
        np.multiply(pixels, np.float32(1 / 255), out=self._buffer[:h, :w])
        for beyond, edge in ((h, h - 1), (-1, 0)):  # what lies around the picture is mixed into its edge
            self._buffer[beyond, :w] = self._buffer[edge, :w]
        for beyond, edge in ((w, w - 1), (-1, 0)):
            self._buffer[:, beyond] = self._buffer[:, edge]
        self.uv_max = (w / self._buffer.shape[1], h / self._buffer.shape[0])


class _Gl:
    """The few calls of OpenGL that this takes, in Dear PyGui's context; each leaves the state as it was."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._call: dict[str, Callable[..., Any]] = {}
        self._largest = 0

    def ready(self) -> bool:
        """Look the functions up where that was not done; whether all are there."""
        if not self._call and self._native.make_current():
            found = {name: self._native.gl_function(name, *_flat(types)) for name, types in FUNCTIONS.items()}
            self._call = {name: f for name, f in found.items() if f is not None}
            if len(self._call) == len(FUNCTIONS):
                self._largest = self._integer(MAX_SIZE)
        return self._largest > 0

    def find(self, mark: Pixels) -> int:
        """The texture that has just these pixels; 0 where there is none."""
        h, w = mark.shape[:2]
        pixels = np.empty_like(mark)
        with _Kept(self):
            for name in range(1, SEARCHED):
                if not self._call["glIsTexture"](name):
                    continue
                self._call["glBindTexture"](TEXTURE_2D, name)
                if (self._level(WIDTH), self._level(HEIGHT)) != (w, h):
                    continue
                self._call["glGetTexImage"](TEXTURE_2D, 0, RGBA, BYTES, pixels.ctypes.data)
                if (pixels == mark).all():
                    for parameter in (WRAP_S, WRAP_T):
                        self._call["glTexParameteri"](TEXTURE_2D, parameter, CLAMP_TO_EDGE)
                    return name
        return 0

    def write(self, name: int, size: tuple[int, int], pixels: Pixels) -> bool:
        """Replace the pixels of a texture of (width, height) ``size``; whether the texture could be reached."""
        h, w = pixels.shape[:2]
        if max(h, w) > self._largest:
            raise ValueError(f"a picture of {w}x{h} is larger than {self._largest}, the most that OpenGL takes here")
        if not self._call["glIsTexture"](name):  # no, also where the context is not current
            self._native.make_current()
            if not self._call["glIsTexture"](name):
                return False
        with _Kept(self):
            self._call["glBindTexture"](TEXTURE_2D, name)
            if (w, h) == size:
                self._call["glTexSubImage2D"](TEXTURE_2D, 0, 0, 0, w, h, RGBA, BYTES, pixels.ctypes.data)
            else:  # the same texture with other memory, of which OpenGL frees the old
                self._call["glTexImage2D"](TEXTURE_2D, 0, RGBA8, w, h, 0, RGBA, BYTES, pixels.ctypes.data)
        return True

    def filter(self, name: int, filtering: int) -> None:
        """How a texture is enlarged; shrunk it is always smoothed."""
        with _Kept(self):
            self._call["glBindTexture"](TEXTURE_2D, name)
            self._call["glTexParameteri"](TEXTURE_2D, MAG_FILTER, filtering)

    def _integer(self, which: int) -> int:
        value = INT()
        self._call["glGetIntegerv"](which, ctypes.byref(value))
        return value.value

    def _level(self, which: int) -> int:
        value = INT()
        self._call["glGetTexLevelParameteriv"](TEXTURE_2D, 0, which, ctypes.byref(value))
        return value.value


class _Kept:
    """Sets how pixels are passed, and puts that and the bound texture back as they were."""

    def __init__(self, gl: _Gl) -> None:
        self._gl, self._call = gl, gl._call

    def __enter__(self) -> None:
        integer = self._gl._integer
        self._texture, self._store = integer(BINDING), {which: integer(which) for which in STORE}
        self._buffers = {UNPACK_BUFFER: integer(UNPACK_BUFFER_BINDING), PACK_BUFFER: integer(PACK_BUFFER_BINDING)}
        self._set(STORE, dict.fromkeys(self._buffers, 0))

    def __exit__(self, *exception: object) -> None:
        self._call["glBindTexture"](TEXTURE_2D, self._texture)
        self._set(self._store, self._buffers)

    def _set(self, store: dict[int, int], buffers: dict[int, int]) -> None:
        for which, value in store.items():
            self._call["glPixelStorei"](which, value)
        for which, value in buffers.items():
            self._call["glBindBuffer"](which, value)


def _flat(types: tuple[Any, tuple[Any, ...]]) -> tuple[Any, ...]:
    result, arguments = types
    return (result, *arguments)
