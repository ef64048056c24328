"""A frame as textures: each part goes into one when it is first asked for, and once; within the GPU's memory where the
frame was drawn there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from renderer.gl.objects import Program, Texture
from renderer.gl.uploads import Packing, Uploads, packed_color, packed_overlay, packed_surface
from renderer.picture import FAINT
from renderer.view import Frame


class NormalsPass:
    """Computes normals from depths, at the pixels of a frame."""

    def __init__(self) -> None:
        self._array = int(GL.glGenVertexArrays(1))
        self._program = Program("fullscreen.vert", "normals.frag", defines={"FAINT": FAINT})
        self._framebuffer = int(GL.glGenFramebuffers(1))

    def run(self, frame: Frame, surface: Texture, result: Texture) -> None:
        """From ``surface``, as FrameTextures has it, to rgb 0.5 + 0.5 n and a 1; all 0 where n is unknown."""
        height, width = frame.shape
        camera = frame.view.camera.resized(width, height)
        result.allocate(width, height, GL.GL_RGBA8, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, result.name, 0)
        GL.glViewport(0, 0, width, height)
        self._program.use({"surface": surface.name})
        GL.glUniform4f(self._program["lens"], camera.fx, camera.fy, camera.cx, camera.cy)
        GL.glBindVertexArray(self._array)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)
        GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, 0, 0)

    def close(self) -> None:
        """Free everything."""
        self._program.close()
        GL.glDeleteVertexArrays(1, [self._array])
        GL.glDeleteFramebuffers(1, [self._framebuffer])


class FrameTextures:
    """The textures of one frame at a time. ``uploads``: of the same context."""

    def __init__(self, uploads: Uploads) -> None:
        self.frame: Frame | None = None
        self._uploads = uploads
        self._textures = {name: Texture() for name in ("color", "surface", "overlay", "normals")}
        self._ready: set[str] = set()

    def show(self, frame: Frame) -> None:
        """Be about this frame from now on."""
        if frame is not self.frame:
            self.frame = frame
            self._ready.clear()

    def color(self) -> int:
        """Rgb in [0, 1]; bytes, which software renderers sample several times as fast as floats."""
        texture = self._textures["color"]
        if self._is_new("color") and not self._comes_from_device(texture, packed_color):
            bytes_ = cv2.convertScaleAbs(np.maximum(self._frame.color, 0), alpha=255)
            texture.put(cv2.cvtColor(bytes_, cv2.COLOR_RGB2RGBA), GL.GL_RGBA8, GL.GL_RGBA)
        return texture.name

    def surface(self) -> int:
        """r: depth times opacity, scene units; g: opacity. Between pixels their quotient is the depth of what is seen
        there, which a mean of depths is not at the rim of a hole."""
        texture = self._textures["surface"]
        if self._is_new("surface") and not self._comes_from_device(texture, packed_surface):
            depth = np.nan_to_num(self._frame.depth)
            texture.put(_pair(depth, self._frame.opacity), GL.GL_RG32F, GL.GL_RG)
        return texture.name

    def overlay(self) -> int:
        """r: the overlay where it is known, else 0; g: whether it is known."""
        texture = self._textures["overlay"]
        if self._is_new("overlay") and not self._comes_from_device(texture, packed_overlay):
            values = self._frame.overlay
            values = np.full((1, 1), np.nan, np.float32) if values is None else values
            there = np.isfinite(values)
            texture.put(_pair(np.where(there, values, 0), there), GL.GL_RG32F, GL.GL_RG)
        return texture.name

    def normals(self, normals: NormalsPass) -> int:
        """As NormalsPass makes them; binds another framebuffer where they are new."""
        surface = self._textures["surface"]
        self.surface()
        if self._is_new("normals"):
            normals.run(self._frame, surface, self._textures["normals"])
        return self._textures["normals"].name

    def close(self) -> None:
        """Free everything."""
        for texture in self._textures.values():
            texture.close()

    @property
    def _frame(self) -> Frame:
        assert self.frame is not None, "show comes first"
        return self.frame

    def _comes_from_device(self, texture: Texture, packing: Packing) -> bool:
        planes = self._frame.planes
        return planes is not None and self._uploads.put(texture, planes, packing)

    def _is_new(self, part: str) -> bool:
        new = part not in self._ready
        self._ready.add(part)
        return new


def _pair(first: NDArray[np.generic], second: NDArray[np.generic]) -> NDArray[np.float32]:
    """Two (H, W) arrays as (H, W, 2) float32."""
    return np.asarray(cv2.merge([np.ascontiguousarray(a, np.float32) for a in (first, second)]))
