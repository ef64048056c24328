"""Draws 4D Gaussians with OpenGL 3.3 alone, so that a view needs no training step and no CUDA.

One pass slices, projects and colours every Gaussian in a vertex shader and captures the result; the order by depth is
found on the processor meanwhile; a second pass blends squares around the ellipses front to back.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from OpenGL import GL
from OpenGL.GL import shaders as gl_shaders

import shaders
from renderer.gaussians import P_MIN, Gaussians
from renderer.harmonics import active_coefficients
from renderer.streams import beside, marked, on_host
from renderer.view import Frame, View

ROW = 4096
"""Texels per row of the textures; the shader's."""
CAPTURED = 12
"""Numbers that the first pass leaves of each Gaussian."""


class SplatDrawer:
    """Owns the OpenGL objects; every call must come from the thread whose context is current."""

    def __init__(self) -> None:
        self._slicer = _captured_program("slice_splat.vert", ("place", "shape", "paint"))
        self._blender = gl_shaders.compileProgram(
            gl_shaders.compileShader(shaders.source("splat.vert"), GL.GL_VERTEX_SHADER),
            gl_shaders.compileShader(shaders.source("splat.frag"), GL.GL_FRAGMENT_SHADER),
            validate=False,
        )
        self._body, self._harmonics, self._captured_texture, self._color, self._depth = (
            int(t) for t in GL.glGenTextures(5)
        )
        self._captured, self._order = (int(b) for b in GL.glGenBuffers(2))
        self._empty, self._instances = (int(a) for a in GL.glGenVertexArrays(2))
        self._framebuffer = int(GL.glGenFramebuffers(1))
        self._size = (0, 0)
        self._gaussians: dict[str, Any] = {"count": 0}
        GL.glBindVertexArray(self._instances)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._order)
        GL.glEnableVertexAttribArray(0)
        GL.glVertexAttribIPointer(0, 1, GL.GL_UNSIGNED_INT, 0, None)
        GL.glVertexAttribDivisor(0, 1)

    def load(self, gaussians: Gaussians) -> None:
        """Take a scene over; later changes of its tensors do not show.

        From a GPU it is copied beside the training that is queued there: the scene is complete once all is done that
        was queued on the default stream before this call.
        """
        device = gaussians.positions.device
        with torch.no_grad(), beside(device, marked(gaussians.positions)):
            g = gaussians.detached()
            cov = g.covariances()  # (N, 4, 4)
            velocities = cov[:, :3, 3] / cov[:, 3:, 3]
            instant = cov[:, :3, :3] - velocities[:, :, None] * cov[:, None, 3, :3]
            variance = cov[:, 3, 3]
            xx, xy, xz, yy, yz, zz = (instant[:, i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)))
            opacities = torch.sigmoid(g.opacities[:, 0])
            rows = [*g.positions.T, g.times[:, 0], *velocities.T, 0.5 / variance, xx, xy, xz, yy, yz, zz, opacities]
            used = active_coefficients(g.sh_level)
            coefficients = torch.cat([g.sh_dc, g.sh_rest], dim=1)[:, :used].flatten(1)
            packed = torch.stack([*rows, torch.zeros_like(xx)], dim=1)  # (N, 16)
            body, colors = on_host([packed.float(), coefficients.float()])
        stride = math.ceil(colors.shape[1] / 4)
        colors = np.pad(colors, ((0, 0), (0, 4 * stride - colors.shape[1])))
        _upload(self._body, body)
        _upload(self._harmonics, colors)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._captured)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, max(1, len(body)) * CAPTURED * 4, None, GL.GL_STREAM_COPY)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._captured_texture)
        GL.glTexBuffer(GL.GL_TEXTURE_BUFFER, GL.GL_RGBA32F, self._captured)
        self._gaussians = {
            "count": len(body), "stride": stride, "level": g.sh_level, "span": float(g.time_span),
            "means": body[:, :3], "times": body[:, 3], "velocities": body[:, 4:7], "rates": body[:, 7],
        }  # fmt: skip

    def draw(self, view: View, version: int = 0) -> Frame:
        """The loaded scene in a view, with black behind it."""
        camera = view.camera
        self._resize(camera.width, camera.height)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glViewport(0, 0, camera.width, camera.height)
        GL.glClearColor(0, 0, 0, 0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT)
        order = self._sorted(view)
        if len(order):
            self._slice(view)
            self._blend(order, camera.width, camera.height)
        color, depth = (self._read(k, camera.width, camera.height) for k in (0, 1))
        rgb, opacity = np.ascontiguousarray(color[..., :3]), np.ascontiguousarray(color[..., 3])
        return Frame(view, rgb, np.ascontiguousarray(depth[..., 0]), opacity, version)

    def close(self) -> None:
        """Free everything."""
        GL.glDeleteTextures(5, [self._body, self._harmonics, self._captured_texture, self._color, self._depth])
        GL.glDeleteBuffers(2, [self._captured, self._order])
        GL.glDeleteVertexArrays(2, [self._empty, self._instances])
        GL.glDeleteFramebuffers(1, [self._framebuffer])
        GL.glDeleteProgram(self._slicer)
        GL.glDeleteProgram(self._blender)

    def _sorted(self, view: View) -> NDArray[np.uint32]:
        """Rows of the Gaussians that are there and in front of the camera, nearest first."""
        g, camera = self._gaussians, view.camera
        if not g["count"]:
            return np.zeros(0, np.uint32)
        dt = np.float32(view.time * g["span"]) - g["times"]
        there = np.flatnonzero(dt * dt * g["rates"] < -math.log(P_MIN))
        row = camera.world_to_camera[2].astype(np.float32)
        z = g["means"][there] @ row[:3] + dt[there] * (g["velocities"][there] @ row[:3]) + row[3]
        ahead = z > camera.near
        return there[ahead][np.argsort(z[ahead], kind="stable")].astype(np.uint32)

    def _slice(self, view: View) -> None:
        """Capture the ellipse and the colour of every Gaussian."""
        g, camera, program = self._gaussians, view.camera, self._slicer
        GL.glUseProgram(program)
        for unit, (name, texture) in enumerate((("body", self._body), ("harmonics", self._harmonics))):
            GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
            GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
            GL.glUniform1i(GL.glGetUniformLocation(program, name), unit)

        def place(name: str) -> int:
            return int(GL.glGetUniformLocation(program, name))

        GL.glUniform1i(place("stride"), g["stride"])
        GL.glUniform1i(place("level"), g["level"])
        GL.glUniform1f(place("time"), view.time * g["span"])
        GL.glUniform1f(place("time_span"), g["span"])
        GL.glUniformMatrix4fv(place("pose"), 1, GL.GL_TRUE, camera.world_to_camera.astype(np.float32))
        GL.glUniform3f(place("eye"), *camera.center)
        GL.glUniform4f(place("lens"), camera.fx, camera.fy, camera.cx, camera.cy)
        GL.glUniform3f(place("size"), camera.width, camera.height, camera.near)
        GL.glBindVertexArray(self._empty)
        GL.glEnable(GL.GL_RASTERIZER_DISCARD)
        GL.glBindBufferBase(GL.GL_TRANSFORM_FEEDBACK_BUFFER, 0, self._captured)
        GL.glBeginTransformFeedback(GL.GL_POINTS)
        GL.glDrawArrays(GL.GL_POINTS, 0, g["count"])
        GL.glEndTransformFeedback()
        GL.glBindBufferBase(GL.GL_TRANSFORM_FEEDBACK_BUFFER, 0, 0)
        GL.glDisable(GL.GL_RASTERIZER_DISCARD)

    def _blend(self, order: NDArray[np.uint32], width: int, height: int) -> None:
        """Squares around the ellipses, each under what is there already."""
        program = self._blender
        GL.glUseProgram(program)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._captured_texture)
        GL.glUniform1i(GL.glGetUniformLocation(program, "captured"), 0)
        GL.glUniform2f(GL.glGetUniformLocation(program, "size"), width, height)
        GL.glBindVertexArray(self._instances)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._order)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, order.nbytes, order, GL.GL_STREAM_DRAW)
        GL.glEnable(GL.GL_BLEND)
        GL.glBlendFunc(GL.GL_ONE_MINUS_DST_ALPHA, GL.GL_ONE)
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, len(order))
        GL.glDisable(GL.GL_BLEND)

    def _read(self, attachment: int, width: int, height: int) -> NDArray[np.float32]:
        GL.glReadBuffer(GL.GL_COLOR_ATTACHMENT0 + attachment)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        data = GL.glReadPixels(0, 0, width, height, GL.GL_RGBA, GL.GL_FLOAT)
        return np.frombuffer(data, np.float32).reshape(height, width, 4)

    def _resize(self, width: int, height: int) -> None:
        if (width, height) == self._size:
            return
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        for k, texture in enumerate((self._color, self._depth)):
            GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
            GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA32F, width, height, 0, GL.GL_RGBA, GL.GL_FLOAT, None)
            GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_NEAREST)
            GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0 + k, GL.GL_TEXTURE_2D, texture, 0)
        GL.glDrawBuffers(2, [GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1])
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"the graphics driver refuses a picture of {width}x{height}")
        self._size = (width, height)


def _captured_program(vertex: str, names: tuple[str, ...]) -> int:
    """A program of a vertex shader alone, whose outputs are captured one after another."""
    program = GL.glCreateProgram()
    GL.glAttachShader(program, gl_shaders.compileShader(shaders.source(vertex), GL.GL_VERTEX_SHADER))
    listed = (ctypes.POINTER(ctypes.c_char) * len(names))(
        *(ctypes.cast(ctypes.create_string_buffer(name.encode()), ctypes.POINTER(ctypes.c_char)) for name in names)
    )
    GL.glTransformFeedbackVaryings(program, len(names), listed, GL.GL_INTERLEAVED_ATTRIBS)
    GL.glLinkProgram(program)
    if not GL.glGetProgramiv(program, GL.GL_LINK_STATUS):
        raise RuntimeError(f"the graphics driver refuses {vertex}: {GL.glGetProgramInfoLog(program)!r}")
    return int(program)


def _upload(texture: int, rows: NDArray[np.float32]) -> None:
    """(N, 4 k) numbers as texels, row after row."""
    texels = rows.reshape(-1, 4)
    height = max(1, math.ceil(len(texels) / ROW))
    padded = np.zeros((height * ROW, 4), np.float32)
    padded[: len(texels)] = texels
    GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
    GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA32F, ROW, height, 0, GL.GL_RGBA, GL.GL_FLOAT, padded)
    GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_NEAREST)
    GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MAG_FILTER, GL.GL_NEAREST)
