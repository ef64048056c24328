"""Frames of a clip at a constant rate: upright, of one size, as sRGB values, whatever the video's own rate and colours.

The frame of an instant is the one whose time is nearest. Values are passed on as they were filmed: the matrix and the
range of the stored colours are undone, and only what is brighter than sRGB (HLG, PQ) is mapped into it.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.images import shrunk
from training.data.layouts import Report
from training.prepare.sources import Colours, Source, ffmpeg, read_frame

Image = NDArray[np.uint8]

RUN_UP = 1.0
"""Seconds before the first frame from which a video is decoded, for the frames around the beginning."""
DIFFUSE_WHITE = 203
"""Nits that become sRGB's white when a brighter video is mapped (ITU-R BT.2408)."""
PNG_EFFORT = 2
"""How hard zlib tries, 0 to 9; the picture is the same."""
LOSSLESS_ENOUGH = 6
"""Constant rate factor of the videos that are written: errors of about a level."""
REPORT_EVERY = 5.0
"""Seconds between two words on how far it is."""


class StoppedError(InputError):
    """Somebody stopped the work; what is finished is kept."""


@dataclass(frozen=True)
class Instants:
    """``count`` instants from ``start``, seconds on the clip's own clock, ``fps`` of them a second."""

    start: float
    fps: float
    count: int


def even_size(size: tuple[int, int], megapixels: float | None, longest: int | None) -> tuple[int, int]:
    """The even (width, height) nearest to the shape of ``size`` with at most so many million pixels and so many along
    the longer side, not larger than given."""
    width, height = size
    shrink = 1.0
    if megapixels is not None:
        shrink = min(shrink, math.sqrt(megapixels * 1e6 / (width * height)))
    if longest is not None:
        shrink = min(shrink, longest / max(width, height))
    return max(16, 2 * round(width * shrink / 2 - 0.01)), max(16, 2 * round(height * shrink / 2 - 0.01))


def decoded(source: Source, size: tuple[int, int], instants: Instants) -> Iterator[Image]:
    """The frames (H, W, 3) RGB at the instants, ``size`` (width, height); InputError when the clip ends too early."""
    if source.kind == "frames":
        for k in range(instants.count):
            index = int(np.abs(source.times - (instants.start + k / instants.fps)).argmin())
            yield shrunk(read_frame(source.frames[index], source.size), size)
        return
    seek = max(0.0, instants.start - RUN_UP)
    command = ffmpeg(
        ["-loglevel", "error", *(["-ss", f"{seek:.6f}"] if seek else []), "-i", str(source.path), "-map", "0:V:0",
         "-vf", ",".join(_filters(source, size, instants, instants.start - seek)), "-frames:v", str(instants.count),
         "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    )  # fmt: skip
    found = 0
    for image in raw_frames(command, (size[1], size[0], 3)):
        found += 1
        yield image
    if found < instants.count:
        at = instants.start + found / instants.fps
        raise InputError(f"{source.path}: cannot be decoded from {at:.2f} s on; give --end {max(0.0, at - 0.1):.1f}")


def raw_frames(command: list[str], shape: tuple[int, ...]) -> Iterator[Image]:
    """Arrays of ``shape`` that a program writes, as long as they are whole. It ends when nobody asks for more."""
    count = math.prod(shape)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            while len(data := process.stdout.read(count)) == count:
                yield np.frombuffer(data, np.uint8).reshape(shape)
        finally:
            process.kill()


def _filters(source: Source, size: tuple[int, int], instants: Instants, lead: float) -> list[str]:
    """From decoded frames, ``lead`` seconds of which come before the first instant, to RGB."""
    rate = Fraction(instants.fps).limit_denominator(100_000)
    found = ["bwdif=mode=send_frame:deint=interlaced"] if source.interlaced else []
    # the last frame that is not later than half a frame after the instant is the nearest one
    found += ["settb=1/1000000", f"setpts=PTS-{lead + source.period / 2:.6f}/TB"]
    found += [f"fps=fps={rate.numerator}/{rate.denominator}:round=up:start_time=0"]
    if source.colours.high_range:
        return [*found, *_mapped(source.colours, size)]
    smaller = size[0] < source.size[0]
    flags = f"{'area' if smaller else 'bicubic'}+accurate_rnd+full_chroma_int+full_chroma_inp"
    scale = f"scale={size[0]}:{size[1]}:flags={flags}"
    if not source.colours.rgb:
        inside = "full" if source.colours.full else "limited"
        scale += f":in_color_matrix={source.colours.matrix}:in_range={inside}:out_range=full"
    return [*found, scale, "setsar=1", "format=rgb24"]


def _mapped(colours: Colours, size: tuple[int, int]) -> list[str]:
    """HLG or PQ in BT.2020 to sRGB: linear light, BT.709's primaries, highlights bent into what is left above white."""
    inside = "full" if colours.full else "limited"
    return [
        f"zscale=w={size[0]}:h={size[1]}:rangein={inside}:matrixin=2020_ncl:primariesin=2020:"
        f"transferin={colours.high_range}:transfer=linear:npl={DIFFUSE_WHITE}",
        "format=gbrpf32le",
        "zscale=primaries=709",
        "tonemap=tonemap=mobius:desat=0",
        "zscale=transfer=iec61966-2-1:range=full",
        "format=gbrp",
        "setsar=1",
        "format=rgb24",
    ]


def write_pictures(
    frames: Iterator[Image], folder: Path, count: int, name: str, report: Report, should_stop: Callable[[], bool]
) -> None:
    """Write 00000.png and so on; the folder appears when all are there. StoppedError, or InputError of the disk."""
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for k, image in enumerate(watched(frames, count, name, report, should_stop)):
            write_png(partial / f"{k:05d}.png", image)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except OSError as problem:
        raise InputError(f"{folder}: cannot be written ({problem.strerror}); choose another --out") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_clip(
    frames: Iterator[Image], path: Path, size: tuple[int, int], fps: float, count: int, report: Report,
    should_stop: Callable[[], bool],
) -> tuple[Image, Image]:  # fmt: skip
    """Write a video of RGB values that can hardly be told from the frames, and the first frame beside it as a PNG;
    both appear when they are whole. Returns the first frame and the last. StoppedError, or InputError of the disk."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    picture = path.with_suffix(".png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = imageio_ffmpeg.write_frames(
            str(partial), size, fps=fps, pix_fmt_in="rgb24", pix_fmt_out="rgb24", codec="libx264rgb", quality=None,
            macro_block_size=1, output_params=["-crf", str(LOSSLESS_ENOUGH), "-preset", "veryfast"],
        )  # fmt: skip
        writer.send(None)
        try:
            for k, image in enumerate(watched(frames, count, path.stem, report, should_stop)):
                if k == 0:
                    write_png(picture, image)
                    first = image
                last = image
                writer.send(np.ascontiguousarray(image))
        finally:
            writer.close()
        os.replace(partial, path)
        return first, last
    except OSError as problem:
        raise InputError(f"{path}: cannot be written ({problem.strerror or problem}); choose another --out") from None
    finally:
        partial.unlink(missing_ok=True)


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) RGB or (H, W); OSError when the disk does not take it."""
    stored = image[..., ::-1] if image.ndim == 3 else image
    if not cv2.imwrite(str(path), np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT]):
        raise OSError(0, "the picture is not taken", str(path))


def watched(
    frames: Iterator[Image], count: int, name: str, report: Report, should_stop: Callable[[], bool]
) -> Iterator[Image]:
    """The frames, with a word now and then on how many there are; StoppedError when somebody wants that."""
    told = time.monotonic()
    for k, image in enumerate(frames):
        if should_stop():
            raise StoppedError(f"{name}: stopped; the same command goes on where it was")
        if time.monotonic() - told > REPORT_EVERY:
            told = time.monotonic()
            report(f"{name}: {k} of {count} frames")
        yield image
