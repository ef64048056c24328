"""Writing an mp4, one frame at a time; the file appears under its name only when it is complete."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError


def to_uint8(color: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) in [0, 1] to bytes, rounded."""
    return (np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8)


class VideoWriter:
    """H.264 in an mp4, playable everywhere (4:2:0; an odd row or column at the edge is cut off).

    Use as a context manager; leaving it by an exception removes the unfinished file.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: videos are written as .mp4; choose a name that ends in .mp4")
        self._path, self._fps = path, fps
        self._partial = path.with_name(f".{path.stem}.partial.mp4")
        self._encoder: Any = None

    def __enter__(self) -> VideoWriter:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._partial.touch()
        except OSError as problem:
            raise InputError(f"{self._path}: cannot be written ({problem.strerror}); choose another place") from None
        return self

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append a picture (H, W, 3) uint8; all have the size of the first."""
        even = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
        if self._encoder is None:
            self._encoder = imageio_ffmpeg.write_frames(
                str(self._partial),
                (even.shape[1], even.shape[0]),
                fps=self._fps,
                codec="libx264",
                pix_fmt_out="yuv420p",
                macro_block_size=2,
                output_params=["-crf", "17", "-preset", "medium", "-movflags", "+faststart"],
            )
            self._encoder.send(None)
        self._encoder.send(even)

    def finish(self) -> None:
        """Complete the file and give it its name."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
            os.replace(self._partial, self._path)

    def discard(self) -> None:
        """Stop and remove the unfinished file."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
        self._partial.unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        self.discard()
