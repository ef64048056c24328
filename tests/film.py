"""Small videos that tests of preparing encode, with the tags, times and sounds that they ask for."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 96, 64
LOSSLESS = ("-c:v", "libx264rgb", "-qp", "0", "-preset", "ultrafast")


def ffmpeg(*arguments: str, data: bytes | None = None) -> None:
    """Run ffmpeg; its words are the message when it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def film(
    path: Path, frames: NDArray[np.uint8], fps: float = 30, filters: str = "format=rgb24",
    output: tuple[str, ...] = LOSSLESS, sound: Path | None = None,
) -> Path:  # fmt: skip
    """Encode frames (F, H, W, 3) RGB."""
    height, width = frames.shape[1:3]
    audio = ["-i", str(sound), "-c:a", "aac", "-b:a", "96k"] if sound else []
    ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps}", "-i", "pipe:0", *audio,
           "-vf", filters, *output, str(path), data=frames.tobytes())  # fmt: skip
    return path


def numbered(count: int, step: int = 2) -> NDArray[np.uint8]:
    """(count, H, W, 3): frame k is grey of level ``step`` k."""
    frames = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    frames[:] = (step * np.arange(count, dtype=np.uint8))[:, None, None, None]
    return frames


def numbers(frames: Sequence[NDArray[np.uint8]], step: int = 2) -> list[int]:
    """Which of the numbered frames those are."""
    return [round(float(f.mean()) / step) for f in frames]


def write_sound(path: Path, samples: NDArray[np.float64], rate: int = 44_100) -> Path:
    """A mono WAV of samples in [-1, 1]."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path
