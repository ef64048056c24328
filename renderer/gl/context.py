"""An OpenGL 3.3 core context without a window, through EGL; a hidden GLFW window where EGL cannot.

A context belongs to one thread at a time. An EGL context may be made on any thread; a GLFW one must be made on the
main thread, before Dear PyGui's window, and be taken over by the thread that draws.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Protocol

os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
os.environ.setdefault("PYGLFW_LIBRARY_VARIANT", "x11")

PLATFORM_DEVICE, PLATFORM_SURFACELESS = 0x313F, 0x31DD
OPENGL_API, NONE = 0x30A2, 0x3038
SURFACE_TYPE, PBUFFER_BIT, RENDERABLE_TYPE, OPENGL_BIT = 0x3033, 0x0001, 0x3040, 0x0008
MAJOR, MINOR, PROFILE, CORE = 0x3098, 0x30FB, 0x30FD, 0x0001
MAX_DEVICES = 16


class ContextError(Exception):
    """No OpenGL 3.3 context could be made; the message says what was tried."""


class GlContext(Protocol):
    """Something that a thread can make current."""

    def make_current(self) -> None: ...

    def release(self) -> None: ...


class EglContext:
    """A surfaceless context on the first EGL device that gives one: a graphics card, else Mesa's software renderer."""

    def __init__(self) -> None:
        try:
            self._egl = ctypes.CDLL("libEGL.so.1")
        except OSError as problem:
            raise ContextError(f"EGL is not installed ({problem}); install libegl1 and libegl-mesa0") from None
        self._egl.eglGetProcAddress.restype = ctypes.c_void_p
        for name in ("eglGetDisplay", "eglCreateContext"):
            getattr(self._egl, name).restype = ctypes.c_void_p
        for display in self._displays():
            context = self._context_on(display)
            if context:
                self._display, self._context = display, context
                return
        raise ContextError("EGL gives no OpenGL 3.3 context here; install libegl-mesa0 and libgl1-mesa-dri")

    def _displays(self) -> list[int]:
        """Handles to try, best first."""
        pointer, found = ctypes.c_void_p, []
        address = self._egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
        if address:
            platform = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)(address)
            query = self._egl.eglGetProcAddress(b"eglQueryDevicesEXT")
            if query:
                devices, count = (pointer * MAX_DEVICES)(), ctypes.c_int32()
                ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int32, pointer, pointer)(query)(
                    MAX_DEVICES, ctypes.cast(devices, pointer), ctypes.cast(ctypes.byref(count), pointer)
                )
                found += [platform(PLATFORM_DEVICE, devices[k], None) for k in range(count.value)]
            found.append(platform(PLATFORM_SURFACELESS, None, None))
        found.append(self._egl.eglGetDisplay(None))
        return [display for display in found if display]

    def _context_on(self, display: int) -> int | None:
        pointer = ctypes.c_void_p
        handle = pointer(display)
        if not self._egl.eglInitialize(handle, None, None) or not self._egl.eglBindAPI(OPENGL_API):
            return None
        config, count = pointer(), ctypes.c_int32()
        wanted = _attributes(SURFACE_TYPE, PBUFFER_BIT, RENDERABLE_TYPE, OPENGL_BIT)
        if (
            not self._egl.eglChooseConfig(handle, wanted, ctypes.byref(config), 1, ctypes.byref(count))
            or not count.value
        ):
            return None
        context = self._egl.eglCreateContext(handle, config, None, _attributes(MAJOR, 3, MINOR, 3, PROFILE, CORE))
        if context and not self._egl.eglMakeCurrent(handle, None, None, pointer(context)):
            return None
        self._egl.eglMakeCurrent(handle, None, None, None)
        return context

    def make_current(self) -> None:
        """For the calling thread."""
        pointer = ctypes.c_void_p
        if not self._egl.eglMakeCurrent(pointer(self._display), None, None, pointer(self._context)):
            raise ContextError("the EGL context is in use on another thread")

    def release(self) -> None:
        """From the calling thread, and destroy it."""
        pointer = ctypes.c_void_p
        self._egl.eglMakeCurrent(pointer(self._display), None, None, None)
        self._egl.eglDestroyContext(pointer(self._display), pointer(self._context))


class GlfwContext:
    """The context of a hidden window; to be made on the main thread."""

    def __init__(self) -> None:
        import glfw

        self._glfw: Any = glfw
        if not glfw.init():
            raise ContextError("GLFW cannot start; is there a display?")
        for hint, value in (
            (glfw.VISIBLE, False),
            (glfw.CONTEXT_VERSION_MAJOR, 3),
            (glfw.CONTEXT_VERSION_MINOR, 3),
            (glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE),
        ):
            glfw.window_hint(hint, value)
        self._window = glfw.create_window(16, 16, "dynview", None, None)
        if not self._window:
            raise ContextError("GLFW gives no OpenGL 3.3 context; update the graphics driver")

    def make_current(self) -> None:
        """For the calling thread."""
        self._glfw.make_context_current(self._window)

    def release(self) -> None:
        """From the calling thread; the window goes with the process."""
        self._glfw.make_context_current(None)


def best_context() -> GlContext:
    """EGL, else GLFW; ContextError when neither works."""
    try:
        return EglContext()
    except ContextError as problem:
        try:
            return GlfwContext()
        except (ContextError, ImportError) as second:
            raise ContextError(f"{problem}; {second}") from None


def count_objects(most: int = 1024) -> dict[str, int]:
    """Objects of the current context, by kind, among the names 1 to ``most``: what a test of leaks compares."""
    from OpenGL import GL

    kinds = {
        "textures": GL.glIsTexture,
        "buffers": GL.glIsBuffer,
        "framebuffers": GL.glIsFramebuffer,
        "vertex arrays": GL.glIsVertexArray,
        "programs": GL.glIsProgram,
    }
    return {kind: sum(bool(there(name)) for name in range(1, most + 1)) for kind, there in kinds.items()}


def draws_in_software() -> bool:
    """Whether the current context is one of Mesa's or Google's software renderers."""
    name = description()[0].lower()
    return any(software in name for software in ("llvmpipe", "softpipe", "swiftshader", "software"))


def description() -> tuple[str, str]:
    """Renderer and version of the current context, in the driver's words."""
    from OpenGL import GL

    renderer, version = (GL.glGetString(name) or b"" for name in (GL.GL_RENDERER, GL.GL_VERSION))
    return renderer.decode(errors="replace"), version.decode(errors="replace")


def _attributes(*values: int) -> ctypes.Array[ctypes.c_int32]:
    return (ctypes.c_int32 * (len(values) + 1))(*values, NONE)
