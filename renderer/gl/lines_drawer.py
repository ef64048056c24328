"""Draws lines and thumbnails in the world over a picture of it."""

from __future__ import annotations

import cv2
import numpy as np
from OpenGL import GL

from renderer.camera import Camera
from renderer.gl.objects import Program, Vertices
from renderer.picture import Lines, Rectangle, Thumbnail

LINE_WIDTH = 1.5
"""Pixels."""
LARGEST_THUMBNAIL = 256
"""Pixels of a side that are kept."""
VERTICES_OF_A_BAR = 6


class LinesDrawer:
    """Owns the OpenGL objects for lines."""

    def __init__(self) -> None:
        self._program = Program("lines.vert", "lines.frag", common="behind.glsl")
        self._segments = Vertices((3, 3, 4), divisor=1)
        self._shown: Lines | None = None

    def draw(self, lines: Lines, camera: Camera, place: Rectangle, surface: int) -> None:
        """Into the current framebuffer, whose viewport is ``place``; ``surface``: texture of what may hide them."""
        if not len(lines.segments):
            return
        if lines is not self._shown:
            rows = np.concatenate([lines.segments.reshape(-1, 6), lines.colors], axis=1)
            self._segments.put(rows.astype(np.float32))
            self._shown = lines
        _look(self._program, camera, place, surface)
        GL.glUniform1f(self._program["half_width"], 0.5 * LINE_WIDTH)
        GL.glUniform1f(self._program["reach"], 0.5 * LINE_WIDTH + 0.5)
        self._segments.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLES, 0, VERTICES_OF_A_BAR, len(lines.segments))

    def close(self) -> None:
        """Free everything."""
        self._program.close()
        self._segments.close()


class ThumbnailsDrawer:
    """Owns the OpenGL objects for thumbnails."""

    def __init__(self) -> None:
        self._program = Program("thumbnails.vert", "thumbnails.frag", common="behind.glsl")
        self._corners = Vertices((3, 3))
        self._images = int(GL.glGenTextures(1))
        self._shown: tuple[Thumbnail, ...] = ()

    def draw(self, thumbnails: tuple[Thumbnail, ...], camera: Camera, place: Rectangle, surface: int) -> None:
        """Into the current framebuffer, whose viewport is ``place``, the farthest first; ``surface``: texture of what
        may hide them."""
        if not thumbnails:
            return
        if thumbnails != self._shown:
            self._upload(thumbnails)
            self._shown = thumbnails
        _look(self._program, camera, place, surface, self._images)
        self._corners.bind()
        _, depths = camera.project(np.array([t.corners.mean(0) for t in thumbnails], float))
        order = np.argsort(-depths, kind="stable").astype(np.int32)
        GL.glMultiDrawArrays(GL.GL_TRIANGLE_STRIP, 4 * order, np.full_like(order, 4), len(order))

    def close(self) -> None:
        """Free everything."""
        self._program.close()
        self._corners.close()
        GL.glDeleteTextures([self._images])

    def _upload(self, thumbnails: tuple[Thumbnail, ...]) -> None:
        """All as layers of one size: the corners say what shape an image has on the screen."""
        height, width = (min(LARGEST_THUMBNAIL, max(t.image.shape[axis] for t in thumbnails)) for axis in (0, 1))
        images = np.stack(
            [cv2.resize(t.image, (width, height), interpolation=cv2.INTER_AREA) for t in thumbnails]
        ).astype(np.uint8)
        rows = np.empty((len(thumbnails), 4, 6), np.float32)
        for k, t in enumerate(thumbnails):
            rows[k, :, :3] = np.asarray(t.corners)[[0, 1, 3, 2]]  # as a strip
            rows[k, :, 3:5] = [(0, 0), (1, 0), (0, 1), (1, 1)]
            rows[k, :, 5] = k
        self._corners.put(rows.reshape(-1, 6))
        target = GL.GL_TEXTURE_2D_ARRAY
        GL.glBindTexture(target, self._images)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        shape = (width, height, len(images))
        GL.glTexImage3D(target, 0, GL.GL_RGB8, *shape, 0, GL.GL_RGB, GL.GL_UNSIGNED_BYTE, images)
        GL.glGenerateMipmap(target)
        GL.glTexParameteri(target, GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR_MIPMAP_LINEAR)
        GL.glTexParameteri(target, GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR)
        GL.glTexParameteri(target, GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE)
        GL.glTexParameteri(target, GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE)


def _look(program: Program, camera: Camera, place: Rectangle, surface: int, images: int | None = None) -> None:
    """Use a program of things in the world, from a camera whose picture lies at a place in the panel."""
    seen = camera.resized(place[2], place[3])
    program.use({"surface": surface}, {} if images is None else {"images": images})
    GL.glUniformMatrix4fv(program["pose"], 1, GL.GL_TRUE, seen.world_to_camera.astype(np.float32))
    GL.glUniform4f(program["lens"], seen.fx, seen.fy, seen.cx, seen.cy)
    GL.glUniform3f(program["size"], seen.width, seen.height, seen.near)
    GL.glUniform4f(program["place"], *place)
