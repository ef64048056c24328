"""From a GPU's memory into textures by way of a pixel buffer that OpenGL and CUDA share; the only module that imports
``cuda.bindings``, which comes with torch where torch is built for CUDA."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from OpenGL import GL
from OpenGL.error import GLError
from torch import Tensor

from renderer.gl.objects import Texture

MOST_DEVICES = 16


class InteropError(Exception):
    """OpenGL and CUDA do not share memory here; the text is why."""


def runtime() -> ModuleType:
    """CUDA's runtime library. InteropError where it is not installed."""
    try:
        from cuda.bindings import runtime
    except ImportError as problem:
        raise InteropError(f"CUDA's Python bindings are missing ({problem}); install cuda-bindings") from None
    return runtime


class CudaInterop:
    """One pixel buffer of the current context, registered with CUDA; it grows to the largest picture.

    ``device``: of the tensors that will come. ``runtime``: has the functions of ``cuda.bindings.runtime``. Every method
    raises InteropError where CUDA or OpenGL refuses something; then only :meth:`close` is left to be called.
    """

    def __init__(self, device: torch.device, runtime: Any) -> None:
        self._runtime = runtime
        index = device.index or 0
        count, found = self._call("cudaGLGetDevices", MOST_DEVICES, runtime.cudaGLDeviceList.cudaGLDeviceListAll)
        if index not in [int(other) for other in found[: int(count)]]:  # the rest are zeros
            raise InteropError(f"OpenGL draws on another device than cuda:{index}, on {_renderer()}")
        self._call("cudaSetDevice", index)
        self._buffer, self._room = 0, 0
        self._resource: Any = None

    def put(self, texture: Texture, pixels: Tensor, stored: int, layout: int, stream: int) -> None:
        """As ``Texture.put``, from (H, W, C) contiguous on the device. ``stream``: CUDA's handle of that on which the
        pixels come to be; what OpenGL draws from now on waits for it."""
        size = pixels.nbytes
        try:
            GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, self._reserved(size))
            self._call("cudaGraphicsMapResources", 1, self._resource, stream)
            try:
                self._copy(pixels.data_ptr(), size, stream)
            finally:
                self._call("cudaGraphicsUnmapResources", 1, self._resource, stream)
            height, width, _ = pixels.shape
            kind = GL.GL_UNSIGNED_BYTE if pixels.dtype == torch.uint8 else GL.GL_FLOAT
            texture.put_bound(width, height, stored, layout, kind)
        except GLError as problem:
            raise InteropError(f"OpenGL on {_renderer()} refuses a pixel buffer of {size} bytes ({problem})") from None
        finally:
            GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, 0)

    def close(self) -> None:
        """Free everything."""
        resource, self._resource = self._resource, None
        buffer, self._buffer, self._room = self._buffer, 0, 0
        try:
            if resource is not None:
                self._call("cudaGraphicsUnregisterResource", resource)
        finally:
            if buffer:
                GL.glDeleteBuffers(1, [buffer])

    def _reserved(self, size: int) -> int:
        """The pixel buffer, with room for so many bytes."""
        if size > self._room:
            self.close()
            self._buffer = int(GL.glGenBuffers(1))
            GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, self._buffer)
            GL.glBufferData(GL.GL_PIXEL_UNPACK_BUFFER, size, None, GL.GL_STREAM_DRAW)
            flags = self._runtime.cudaGraphicsRegisterFlags.cudaGraphicsRegisterFlagsWriteDiscard
            (self._resource,) = self._call("cudaGraphicsGLRegisterBuffer", self._buffer, flags)
            self._room = size
        return self._buffer

    def _copy(self, source: int, size: int, stream: int) -> None:
        """Into the buffer, which is mapped."""
        pointer, room = self._call("cudaGraphicsResourceGetMappedPointer", self._resource)
        if int(room) < size:
            raise InteropError(f"CUDA sees {int(room)} bytes of a pixel buffer of {self._room}")
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._call("cudaMemcpyAsync", int(pointer), source, size, kind, stream)

    def _call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """What a function of the runtime gives besides its error."""
        try:
            error, *values = getattr(self._runtime, name)(*arguments)
        except RuntimeError as problem:  # as where the driver's library has no such function
            raise InteropError(f"{name} failed: {problem}") from None
        if int(error):
            raise InteropError(f"{name} says {getattr(error, 'name', int(error))}, with OpenGL on {_renderer()}")
        return tuple(values)


def _renderer() -> str:
    return (GL.glGetString(GL.GL_RENDERER) or b"an unnamed device").decode(errors="replace")
