"""Draws a Picture of a panel's size: one frame, or two with a divider, each in its mode, with marks, lines and
thumbnails."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from renderer.gl.frame_textures import FrameTextures, NormalsPass
from renderer.gl.lines_drawer import LinesDrawer, ThumbnailsDrawer
from renderer.gl.objects import Program, Texture
from renderer.gl.uploads import Uploads
from renderer.picture import (
    FAINT,
    GREY_BLEND,
    GREY_WEIGHTS,
    PALETTES,
    RGB,
    SOLID,
    Mark,
    Mode,
    Pane,
    Picture,
    Rectangle,
    clipped,
    divider_shapes,
    palette_table,
    placed,
    split_column,
)


class Closable(Protocol):
    """Owner of OpenGL objects."""

    def close(self) -> None: ...


class FrameDrawer:
    """Owns the OpenGL objects; every call must come from the thread whose context is current.

    ``uploads``: how frames come from a GPU; the drawer's from now on.
    """

    def __init__(self, uploads: Uploads | None = None) -> None:
        self._array = int(GL.glGenVertexArrays(1))
        self._programs: dict[tuple[Mode, bool], Program] = {}
        self._mark = Program("mark.vert", "mark.frag")
        self._lines, self._thumbnails = LinesDrawer(), ThumbnailsDrawer()
        self._normals = NormalsPass()
        self.uploads = uploads or Uploads()
        self._frames = (FrameTextures(self.uploads), FrameTextures(self.uploads))
        self._palettes = Texture()
        tables = np.stack([palette_table(name) for name in PALETTES])
        self._palettes.put((255 * tables + 0.5).astype(np.uint8), GL.GL_RGB8, GL.GL_RGB)
        self._framebuffer, self._target = int(GL.glGenFramebuffers(1)), int(GL.glGenRenderbuffers(1))
        self._size = (0, 0)

    def draw(self, picture: Picture) -> NDArray[np.uint8]:
        """The panel as (height, width, 4) RGBA bytes, row 0 on top."""
        self._resize(picture.width, picture.height)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glClearColor(*picture.backdrop, 1.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT)
        split = split_column(picture)
        self._draw_side(picture, picture.left, picture.marks, (0, split))
        if picture.right is not None:
            self._draw_side(picture, picture.right, picture.right_marks, (split, picture.width))
            self._fill(divider_shapes(picture))
        result = np.empty((picture.height, picture.width, 4), np.uint8)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        GL.glReadPixels(0, 0, picture.width, picture.height, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, result)
        return result

    def close(self) -> None:
        """Free everything."""
        GL.glUseProgram(0)  # one in use would stay
        owners: list[Closable] = [
            self._mark, self._lines, self._thumbnails, self._normals, self._palettes, self.uploads,
        ]  # fmt: skip
        for owner in (*owners, *self._programs.values(), *self._frames):
            owner.close()
        GL.glDeleteVertexArrays(1, [self._array])
        GL.glDeleteFramebuffers(1, [self._framebuffer])
        GL.glDeleteRenderbuffers(1, [self._target])

    def _draw_side(self, picture: Picture, pane: Pane, marks: tuple[Mark, ...], columns: tuple[int, int]) -> None:
        """One pane and what lies over it, in the panel's columns from the first up to the second."""
        place = placed(pane, picture)
        shown = clipped(place, *columns, picture.height)
        if not (shown[2] and shown[3]):
            return
        frame = self._textures(pane, picture)
        textures = self._needed(pane, frame)  # may draw elsewhere
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glViewport(*place)
        GL.glScissor(*shown)
        GL.glEnable(GL.GL_SCISSOR_TEST)
        self._draw_pane(pane, textures, place, picture.backdrop)
        # the result stays opaque: its alpha is kept
        GL.glEnable(GL.GL_BLEND)
        GL.glBlendFuncSeparate(GL.GL_SRC_ALPHA, GL.GL_ONE_MINUS_SRC_ALPHA, GL.GL_ZERO, GL.GL_ONE)
        camera = pane.frame.view.camera
        if picture.thumbnails:
            self._thumbnails.draw(picture.thumbnails, camera, place, frame.surface())
        if picture.lines is not None:
            self._lines.draw(picture.lines, camera, place, frame.surface())
        self._draw_marks(marks, place)
        GL.glDisable(GL.GL_BLEND)
        GL.glDisable(GL.GL_SCISSOR_TEST)

    def _textures(self, pane: Pane, picture: Picture) -> FrameTextures:
        """Those of the pane's frame: one side's of the last picture where they are about it, else ones that neither
        side of this picture needs."""
        for textures in self._frames:
            if textures.frame is pane.frame:
                return textures
        wanted = [p.frame for p in (picture.left, picture.right) if p is not None]
        free = next(t for t in self._frames if not any(t.frame is frame for frame in wanted))
        free.show(pane.frame)
        return free

    def _needed(self, pane: Pane, frame: FrameTextures) -> dict[str, int]:
        """The textures that a pane's mode reads, under their names in the shader."""
        textures = {"palettes": self._palettes.name}
        if pane.mode in (Mode.COLOR, Mode.PICTURE, Mode.OVERLAY) or pane.cover < 1:
            textures["color"] = frame.color()
        if pane.mode in (Mode.DEPTH, Mode.OPACITY, Mode.NORMALS):
            textures["surface"] = frame.surface()
        if pane.mode == Mode.OVERLAY:
            textures["overlay"] = frame.overlay()
        if pane.mode == Mode.NORMALS:
            textures["normals"] = frame.normals(self._normals)
        return textures

    def _draw_pane(self, pane: Pane, textures: dict[str, int], place: Rectangle, backdrop: RGB) -> None:
        program = self._program(pane)
        program.use(textures)
        GL.glUniform4f(program["place"], *place)
        GL.glUniform2f(program["range"], *pane.value_range)
        GL.glUniform1i(program["palette"], PALETTES.index(pane.palette))
        GL.glUniform1f(program["blend"], pane.cover)
        GL.glUniform3f(program["backdrop"], *backdrop)
        GL.glBindVertexArray(self._array)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)

    def _program(self, pane: Pane) -> Program:
        """The one for a pane's mode, made when it is first needed."""
        mode = Mode.COLOR if pane.mode == Mode.PICTURE else pane.mode
        blended = mode in (Mode.DEPTH, Mode.OPACITY, Mode.NORMALS) and pane.cover < 1
        if (mode, blended) not in self._programs:
            defines = {
                "MODE": int(mode), "BLENDED": int(blended), "FAINT": FAINT, "SOLID": SOLID,
                "GREY": ", ".join(str(weight) for weight in GREY_WEIGHTS), "GREY_BLEND": GREY_BLEND,
            }  # fmt: skip
            self._programs[mode, blended] = Program("fullscreen.vert", "frame.frag", defines=defines)
        return self._programs[mode, blended]

    def _draw_marks(self, marks: tuple[Mark, ...], place: Rectangle) -> None:
        if not marks:
            return
        x, y, width, height = place
        self._mark.use({})
        GL.glUniform4f(self._mark["place"], *place)
        GL.glBindVertexArray(self._array)
        for mark in marks:
            GL.glUniform3f(self._mark["circle"], x + mark.place[0] * width, y + mark.place[1] * height, mark.radius)
            GL.glUniform3f(self._mark["tint"], *mark.color)
            GL.glDrawArrays(GL.GL_TRIANGLE_STRIP, 0, 4)

    def _fill(self, shapes: list[tuple[Rectangle, RGB]]) -> None:
        GL.glEnable(GL.GL_SCISSOR_TEST)
        for rectangle, color in shapes:
            GL.glScissor(*rectangle)
            GL.glClearColor(*color, 1.0)
            GL.glClear(GL.GL_COLOR_BUFFER_BIT)
        GL.glDisable(GL.GL_SCISSOR_TEST)

    def _resize(self, width: int, height: int) -> None:
        if (width, height) == self._size:
            return
        GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, self._target)
        GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, GL.GL_RGBA8, width, height)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_RENDERBUFFER, self._target)
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"the graphics driver refuses a picture of {width}x{height}")
        self._size = (width, height)
