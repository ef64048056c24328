"""OpenGL programs, textures and buffers in the shape in which the drawers want them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL
from OpenGL.GL import shaders as gl_shaders

import shaders


class Program:
    """A linked program and the places of its uniforms.

    ``common``: a file whose text goes before that of the fragment shader. ``defines``: macros of the fragment shader.
    """

    def __init__(
        self, vertex: str, fragment: str, common: str | None = None, defines: Mapping[str, object] | None = None
    ) -> None:
        version, _, body = shaders.source(fragment).partition("\n")
        macros = [f"#define {name} {value}" for name, value in (defines or {}).items()]
        text = "\n".join([version, *macros, shaders.source(common) if common else "", body])
        # validation is about the state at the time of drawing: it fails while no textures are bound
        self._program = gl_shaders.compileProgram(
            gl_shaders.compileShader(shaders.source(vertex), GL.GL_VERTEX_SHADER),
            gl_shaders.compileShader(text, GL.GL_FRAGMENT_SHADER),
            validate=False,
        )
        self._places: dict[str, int] = {}

    def use(self, textures: Mapping[str, int], arrays: Mapping[str, int] | None = None) -> None:
        """Draw with it from now on, with these textures and array textures."""
        GL.glUseProgram(self._program)
        bound = [(GL.GL_TEXTURE_2D, *item) for item in textures.items()]
        bound += [(GL.GL_TEXTURE_2D_ARRAY, *item) for item in (arrays or {}).items()]
        for unit, (target, name, texture) in enumerate(bound):
            GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
            GL.glBindTexture(target, texture)
            GL.glUniform1i(self[name], unit)

    def __getitem__(self, name: str) -> int:
        """A uniform's place; -1, which OpenGL ignores, where the program has no use for it."""
        if name not in self._places:
            self._places[name] = int(GL.glGetUniformLocation(self._program, name))
        return self._places[name]

    def close(self) -> None:
        """Free it."""
        GL.glDeleteProgram(self._program)


class Texture:
    """A two-dimensional texture that takes its size from what is put into it, sampled between pixels."""

    def __init__(self) -> None:
        self.name = int(GL.glGenTextures(1))
        self._layout: tuple[object, ...] = ()

    def put(self, array: NDArray[np.generic], stored: int, layout: int) -> None:
        """A (H, W, C) array of float32 or uint8. ``stored``, ``layout``: such as GL_RG32F and GL_RG."""
        array = np.ascontiguousarray(array)
        kind = GL.GL_UNSIGNED_BYTE if array.dtype == np.uint8 else GL.GL_FLOAT
        self._put(array.shape[1], array.shape[0], stored, layout, kind, array)

    def put_bound(self, width: int, height: int, stored: int, layout: int, kind: int) -> None:
        """As :meth:`put`, from the beginning of the pixel buffer that is bound."""
        self._put(width, height, stored, layout, kind, ctypes.c_void_p(0))

    def _put(self, width: int, height: int, stored: int, layout: int, kind: int, pixels: object) -> None:
        self.allocate(width, height, stored, layout, kind)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        GL.glTexSubImage2D(GL.GL_TEXTURE_2D, 0, 0, 0, width, height, layout, kind, pixels)

    def allocate(self, width: int, height: int, stored: int, layout: int, kind: int) -> None:
        """Room for pixels, whose values are anything."""
        GL.glBindTexture(GL.GL_TEXTURE_2D, self.name)
        if self._layout == (width, height, stored):
            return
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, stored, width, height, 0, layout, kind, None)
        for name, value in (
            (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE),
            (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE),
        ):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)
        self._layout = (width, height, stored)

    def close(self) -> None:
        """Free it."""
        GL.glDeleteTextures([self.name])


class Vertices:
    """A buffer of float32 rows and how programs read it. ``widths``: components of each attribute, in order.
    ``divisor``: 1 when a row is an instance rather than a vertex."""

    def __init__(self, widths: tuple[int, ...], divisor: int = 0) -> None:
        self._array, self._buffer = int(GL.glGenVertexArrays(1)), int(GL.glGenBuffers(1))
        self.bind()
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._buffer)
        offset = 0
        for place, width in enumerate(widths):
            GL.glEnableVertexAttribArray(place)
            GL.glVertexAttribPointer(
                place, width, GL.GL_FLOAT, GL.GL_FALSE, 4 * sum(widths), ctypes.c_void_p(4 * offset)
            )
            GL.glVertexAttribDivisor(place, divisor)
            offset += width

    def put(self, rows: NDArray[np.float32]) -> None:
        """(N, sum of widths)."""
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._buffer)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, rows.nbytes, np.ascontiguousarray(rows, np.float32), GL.GL_STATIC_DRAW)

    def bind(self) -> None:
        """Draw from it from now on."""
        GL.glBindVertexArray(self._array)

    def close(self) -> None:
        """Free both."""
        GL.glDeleteVertexArrays(1, [self._array])
        GL.glDeleteBuffers(1, [self._buffer])
