"""Writing videos and numbered pictures, one frame at a time; they appear under their name only when they are complete.

The name chooses the format: ``.mp4`` (H.264), ``.webm`` (VP9), ``.gif``, or for pictures a folder, or
``FOLDER/NAME.png`` for FOLDER/NAME0001.png and so on.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from app.exports.plans import Quality
from renderer.errors import InputError
from renderer.files.complete import CompleteFolder, not_written, partial_of

QUALITIES: tuple[Quality, ...] = ("draft", "good", "best")

FORMATS = {"mp4 (H.264)": ".mp4", "webm (VP9)": ".webm", "gif": ".gif", "png pictures": ""}
"""What a person chooses from, and how the name of such a file ends; pictures go into a folder."""

H264: dict[Quality, tuple[str, str]] = {"draft": ("28", "veryfast"), "good": ("17", "medium"), "best": ("12", "slow")}
"""Constant rate factor (lower is better, 17 is hard to tell from the original) and preset of libx264."""
VP9: dict[Quality, tuple[str, str, str]] = {
    "draft": ("42", "realtime", "8"),
    "good": ("26", "good", "4"),
    "best": ("18", "good", "2"),
}
"""Constant quality (0 to 63, lower is better), deadline and cpu-used (lower is slower and smaller) of libvpx-vp9."""
GIF: dict[Quality, tuple[int, str]] = {
    "draft": (64, "none"),
    "good": (256, "bayer:bayer_scale=3"),
    "best": (256, "sierra2_4a"),
}
"""Colours of each frame's own palette, and how what lies between them is dithered. A palette for all frames would keep
them all in memory until the last one, and gains nothing."""
PNG: dict[Quality, int] = {"draft": 1, "good": 5, "best": 9}
"""How hard zlib tries; the picture is the same."""
FASTEST_GIF = 50.0
"""Frames per second; browsers take a delay below 2 hundredths of a second for a tenth."""
COLOURS = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int",
    "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
)  # fmt: skip
"""The filter and the tags with which players show the colours that were drawn."""


class FrameWriter(ABC):
    """Takes pictures one by one. Use as a context manager: leaving it by an exception removes what is unfinished."""

    @abstractmethod
    def __enter__(self) -> Self:
        """Look whether it can be written; InputError where not."""

    @abstractmethod
    def add(self, image: NDArray[np.uint8]) -> None:
        """Append a picture (H, W, 3) uint8; all have the size of the first. InputError when it cannot be written."""

    @abstractmethod
    def finish(self) -> None:
        """Complete what was written and give it its name; of no pictures nothing is left."""

    @abstractmethod
    def discard(self) -> None:
        """Stop and remove what is unfinished; nothing happens after :meth:`finish`."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.discard()


def open_writer(path: Path, fps: float, quality: Quality = "good") -> FrameWriter:
    """What writes ``path``, by its ending; InputError for a name or a rate that no format has."""
    if picture_folder(path) is not None:
        return PictureWriter(path, quality)
    return VideoWriter(path, fps, quality)


def picture_folder(path: Path) -> Path | None:
    """The folder into which pictures go; None where ``path`` is to be one file."""
    if path.is_dir() or not path.suffix:
        return path
    return path.absolute().parent if path.suffix.lower() == ".png" else None


class VideoWriter(FrameWriter):
    """An .mp4, .webm or .gif. The first two are 4:2:0, playable everywhere: an odd row or column at the edge is cut
    off."""

    def __init__(self, path: Path, fps: float, quality: Quality = "good") -> None:
        if path.suffix.lower() not in (".mp4", ".webm", ".gif"):
            raise InputError(f"{path}: choose a name that ends in .mp4, .webm or .gif, or a folder for pictures")
        if not 0 < fps < 1000:
            raise InputError(f"{path}: {fps:g} frames per second cannot be played; give a number above zero")
        if path.suffix.lower() == ".gif" and fps > FASTEST_GIF:
            raise InputError(f"{path}: a .gif is shown at {FASTEST_GIF:g} frames per second at most; choose fewer")
        self._path, self._fps, self._quality = path, fps, quality
        self._partial = partial_of(path)
        self._size: tuple[int, ...] | None = None
        self._encoder: subprocess.Popen[bytes] | None = None
        self._complaints: IO[Any] | None = None

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_dir():
                raise InputError(f"{self._path}: is a folder; choose another name")
            self._partial.touch()
        except OSError as problem:
            raise not_written(self._path, problem) from None
        return self

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append a picture (H, W, 3) uint8; all have the size of the first."""
        if self._size is None:
            self._size = image.shape
        if image.shape != self._size:
            raise ValueError(f"a frame of shape {image.shape} in a video of {self._size}")
        if self._path.suffix.lower() != ".gif":
            image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        if self._encoder is None:
            self._start(image.shape[1], image.shape[0])
        assert self._encoder is not None and self._encoder.stdin is not None
        try:
            self._encoder.stdin.write(np.ascontiguousarray(image).tobytes())
        except OSError:
            raise self._failed() from None

    def finish(self) -> None:
        """Complete the file and give it its name."""
        if self._encoder is None:
            return
        assert self._encoder.stdin is not None
        try:
            self._encoder.stdin.close()
        except OSError:
            raise self._failed() from None
        if self._encoder.wait() != 0:
            raise self._failed()
        self._close()
        try:
            os.replace(self._partial, self._path)
        except OSError as problem:
            raise not_written(self._path, problem) from None

    def discard(self) -> None:
        """Stop and remove the unfinished file."""
        self._close()
        self._partial.unlink(missing_ok=True)

    def _start(self, width: int, height: int) -> None:
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{self._fps:g}", "-i", "-"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error", *source]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the encoder)
        self._encoder = subprocess.Popen(
            [*command, *encoding(self._path.suffix.lower(), self._quality), str(self._partial)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
        )

    def _failed(self) -> InputError:
        """What the encoder says about its end."""
        assert self._encoder is not None and self._complaints is not None
        self._encoder.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        reason = re.sub(r"\[[^]]*\] ?", "", said[0]).strip() if said else f"it ended with {self._encoder.returncode}"
        if any("No space left" in line for line in said):
            return InputError(f"{self._path}: the disk is full; make room or choose another place")
        return InputError(f"{self._path}: the encoder failed ({reason}); choose another format or place")

    def _close(self) -> None:
        if self._encoder is not None:
            if self._encoder.poll() is None:
                self._encoder.kill()
            assert self._encoder.stdin is not None
            with suppress(OSError):  # what it did not take is thrown away with the file
                self._encoder.stdin.close()
            self._encoder.wait()
            self._encoder = None
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None


def encoding(suffix: str, quality: Quality) -> list[str]:
    """ffmpeg's options for a kind of file."""
    if suffix == ".gif":
        colours, dither = GIF[quality]
        palette = f"split[a][b];[a]palettegen=max_colors={colours}:stats_mode=single[p]"
        return ["-filter_complex", f"{palette};[b][p]paletteuse=new=1:dither={dither}", "-loop", "0"]
    colours_709 = ["-vf", *COLOURS, "-pix_fmt", "yuv420p"]
    if suffix == ".webm":
        crf, deadline, speed = VP9[quality]
        speeds = ["-deadline", deadline, "-cpu-used", speed, "-row-mt", "1"]
        return [*colours_709, "-c:v", "libvpx-vp9", "-b:v", "0", "-crf", crf, *speeds]
    crf, preset = H264[quality]
    return [*colours_709, "-c:v", "libx264", "-crf", crf, "-preset", preset, "-movflags", "+faststart"]


class PictureWriter(FrameWriter):
    """Numbered PNG pictures in a folder of their own, written beside it until all are there."""

    def __init__(self, path: Path, quality: Quality = "good") -> None:
        folder = picture_folder(path) or path
        self._stem = "frame" if folder == path else path.stem
        self._folder = CompleteFolder(folder, re.compile(re.escape(self._stem) + r"\d{4,}\.png"))
        self._quality, self._count = quality, 0

    def __enter__(self) -> Self:
        self._folder.begin()
        return self

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append a picture (H, W, 3) uint8."""
        settings = [cv2.IMWRITE_PNG_COMPRESSION, PNG[self._quality]]
        done, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]), settings)
        assert done, "a picture of bytes can be a PNG"
        name = f"{self._stem}{self._count + 1:04d}.png"
        try:
            (self._folder.partial / name).write_bytes(data.tobytes())
        except OSError as problem:
            raise not_written(self._folder.path / name, problem) from None
        self._count += 1

    def finish(self) -> None:
        """Give the folder its name."""
        if self._count:
            self._folder.finish()
            self._count = 0

    def discard(self) -> None:
        """Remove the pictures of an unfinished sequence."""
        self._folder.discard()
