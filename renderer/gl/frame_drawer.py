"""Draws a Frame into a picture of a panel's size: colour, depth, opacity or its overlay, with a mark on the picked
pixel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL
from OpenGL.GL import shaders as gl_shaders

import shaders
from renderer.view import Frame


class Mode(IntEnum):
    """What of a frame is shown; the values are the shader's."""

    COLOR = 0
    DEPTH = 1
    OPACITY = 2
    OVERLAY = 3


@dataclass(frozen=True)
class Picture:
    """What to draw. ``width``, ``height``: the panel, pixels. ``value_range``: depths or overlays at the colour map's
    ends. ``mark``: place in the picture in [0, 1], right and down."""

    frame: Frame
    mode: Mode
    width: int
    height: int
    value_range: tuple[float, float] = (0.0, 1.0)
    mark: tuple[float, float] | None = None


def fitted(width: int, height: int, panel_width: int, panel_height: int) -> tuple[int, int, int, int]:
    """x, y, width, height of a picture of a given shape, as large as fits, in the middle of a panel."""
    scale = min(panel_width / width, panel_height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return (panel_width - w) // 2, (panel_height - h) // 2, w, h


class FrameDrawer:
    """Owns the OpenGL objects; every call must come from the thread whose context is current.

    ``color_map``: (256, 3) float32 in [0, 1]. ``backdrop``: colour around the picture, in [0, 1].
    """

    def __init__(self, color_map: NDArray[np.float32], backdrop: tuple[float, float, float]) -> None:
        self._backdrop = backdrop
        self._array = GL.glGenVertexArrays(1)
        GL.glBindVertexArray(self._array)
        self._program = gl_shaders.compileProgram(
            gl_shaders.compileShader(shaders.source("fullscreen.vert"), GL.GL_VERTEX_SHADER),
            gl_shaders.compileShader(shaders.source("frame.frag"), GL.GL_FRAGMENT_SHADER),
        )
        self._places = {
            name: GL.glGetUniformLocation(self._program, name)
            for name in ("color_map", "frame_color", "frame_values", "mode", "place", "range", "mark", "backdrop")
        }
        self._map, self._color, self._values, self._target = (int(t) for t in GL.glGenTextures(4))
        self._upload(self._map, color_map[None], GL.GL_RGB32F, GL.GL_RGB, GL.GL_NEAREST)
        self._framebuffer = GL.glGenFramebuffers(1)
        self._size = (0, 0)
        self._shown: Frame | None = None

    def draw(self, picture: Picture) -> NDArray[np.uint8]:
        """The panel as (height, width, 4) RGBA bytes, row 0 on top."""
        self._resize(picture.width, picture.height)
        if picture.frame is not self._shown:
            frame = picture.frame
            overlay = np.zeros_like(frame.opacity) if frame.overlay is None else np.nan_to_num(frame.overlay)
            values = np.stack([np.nan_to_num(frame.expected_depth()), frame.opacity, overlay], axis=2)
            self._upload(self._color, frame.color, GL.GL_RGB32F, GL.GL_RGB, GL.GL_LINEAR)
            self._upload(self._values, values, GL.GL_RGB32F, GL.GL_RGB, GL.GL_LINEAR)
            self._shown = frame
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glViewport(0, 0, picture.width, picture.height)
        GL.glUseProgram(self._program)
        for unit, (name, texture) in enumerate(
            (("color_map", self._map), ("frame_color", self._color), ("frame_values", self._values))
        ):
            GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
            GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
            GL.glUniform1i(self._places[name], unit)
        camera = picture.frame.view.camera
        GL.glUniform1i(self._places["mode"], int(picture.mode))
        GL.glUniform4f(self._places["place"], *fitted(camera.width, camera.height, picture.width, picture.height))
        GL.glUniform2f(self._places["range"], *picture.value_range)
        GL.glUniform2f(self._places["mark"], *(picture.mark or (-1.0, -1.0)))
        GL.glUniform3f(self._places["backdrop"], *self._backdrop)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        data = GL.glReadPixels(0, 0, picture.width, picture.height, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE)
        return np.frombuffer(data, np.uint8).reshape(picture.height, picture.width, 4)

    def close(self) -> None:
        """Free everything."""
        GL.glDeleteTextures(4, [self._map, self._color, self._values, self._target])
        GL.glDeleteFramebuffers(1, [self._framebuffer])
        GL.glDeleteVertexArrays(1, [self._array])
        GL.glDeleteProgram(self._program)

    def _upload(self, texture: int, data: NDArray[np.float32], stored: int, layout: int, sampling: int) -> None:
        """A (H, W, C) array; the size of a texture follows its data."""
        array = np.ascontiguousarray(data, np.float32)
        GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, stored, array.shape[1], array.shape[0], 0, layout, GL.GL_FLOAT, array)
        for name, value in (
            (GL.GL_TEXTURE_MIN_FILTER, sampling),
            (GL.GL_TEXTURE_MAG_FILTER, sampling),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE),
            (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE),
        ):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)

    def _resize(self, width: int, height: int) -> None:
        if (width, height) == self._size:
            return
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._target)
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA8, width, height, 0, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, None)
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_NEAREST)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, self._target, 0)
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"the graphics driver refuses a picture of {width}x{height}")
        self._size = (width, height)
