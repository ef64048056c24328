"""Frames of a clip at a constant rate: upright, of one size, as sRGB values, whatever the video's own rate and colours.

The frame of an instant is the one whose time is nearest. Values are passed on as they were filmed: the matrix and the
range of the stored colours are undone, and only what is brighter than sRGB (HLG, PQ) is mapped into it.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.images import shrunk
from training.data.layouts import Report
from training.prepare.sources import Colours, Source, ffmpeg, frame_times, read_frame

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
SPEAKER = re.compile(r"^(\[[^]]* @ 0x[0-9a-f]+\] )+")
"""Before a line of ffmpeg's: which part of it says so."""
ENDED = ("Conversion failed", "Task finished", "Terminating thread", "Nothing was written")
"""Lines with which ffmpeg ends after it said why."""


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


def decoded(
    source: Source, size: tuple[int, int], instants: Instants, offset: float | None = 0.0
) -> Iterator[Image]:  # fmt: skip
    """The frames (H, W, 3) RGB at the instants, ``size`` (width, height); InputError when the clip ends too early.
    ``offset``: seconds that it began after the clip on whose clock --end is, None where that is of other clips."""
    if source.kind == "frames":
        for k in range(instants.count):
            index = int(np.abs(source.times - (instants.start + k / instants.fps)).argmin())
            yield shrunk(read_frame(source.frames[index], source.size), size)
        return
    seek = max(0.0, instants.start - RUN_UP)
    command = ffmpeg(
        ["-loglevel", "error", *(["-ss", f"{seek:.6f}"] if seek else []), "-i", str(source.path.absolute()),
         "-map", "0:V:0", "-vf", ",".join(_filters(source, size, instants, instants.start - seek)),
         "-frames:v", str(instants.count), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    )  # fmt: skip
    found, complaints = 0, list[str]()
    for image in raw_frames(command, (size[1], size[0], 3), complaints):
        found += 1
        yield image
    if found >= instants.count:
        return
    if found < 2 or offset is None:
        raise undecodable(source, complaints)
    at = instants.start + found / instants.fps
    end = max(at - 0.1, instants.start + 2 / instants.fps) + offset
    raise InputError(
        f"{source.path}: cannot be decoded from {at:.2f} s on; give --end {math.floor(end * 1000) / 1000:g}"
    )


def undecodable(source: Source, complaints: Sequence[str]) -> InputError:
    """What to say of a video of which hardly a frame can be had. ``complaints``: of :func:`raw_frames`."""
    why = f" ({complaints[-1]})" if complaints else ""
    return InputError(f"{source.path}: cannot be decoded{why}; give another copy of it, or re-encode it")


def raw_frames(command: list[str], shape: tuple[int, ...], complaints: list[str]) -> Iterator[Image]:
    """Arrays of ``shape`` that a program writes, as long as they are whole. It ends when nobody asks for more; when the
    program ends by itself, the last of what it complained of is added to ``complaints``."""
    count = math.prod(shape)
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL) as process,
    ):
        assert process.stdout is not None
        try:
            while len(data := process.stdout.read(count)) == count:
                yield np.frombuffer(data, np.uint8).reshape(shape)
            process.wait()
            complaints += _last_words(errors)
        finally:
            process.kill()


def _last_words(errors: IO[bytes]) -> list[str]:
    """The last line that ffmpeg wrote, but for those that say only that it ended, and without which part of it speaks;
    empty where it wrote none."""
    errors.seek(0)
    lines = [SPEAKER.sub("", line).strip(" .") for line in errors.read().decode(errors="replace").splitlines()]
    return [line for line in lines if line and not line.startswith(ENDED)][-1:]


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
    partial, picture = (path.with_name(f"{path.stem}.partial{suffix}") for suffix in (path.suffix, ".png"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with encoder(partial, size, fps, count) as write:
            for k, image in enumerate(watched(frames, count, path.stem, report, should_stop)):
                if k == 0:
                    write_png(picture, image)
                    first = image
                last = image
                write(image)
        os.replace(partial, path)
        os.replace(picture, path.with_suffix(".png"))
        return first, last
    except OSError as problem:
        raise InputError(f"{path}: cannot be written ({problem.strerror or problem}); choose another --out") from None
    finally:
        partial.unlink(missing_ok=True)
        picture.unlink(missing_ok=True)


@contextmanager
def encoder(path: Path, size: tuple[int, int], fps: float, count: int) -> Iterator[Callable[[Image], int]]:
    """What takes the ``count`` frames (H, W, 3) RGB of a video, which is whole when the block ends; OSError, with
    ffmpeg's reason, when it is not."""
    command = ffmpeg(
        ["-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r",
         str(Fraction(fps).limit_denominator()), "-i", "pipe:0", "-c:v", "libx264rgb", "-pix_fmt", "rgb24",
         "-crf", str(LOSSLESS_ENOUGH), "-preset", "veryfast", str(path.absolute())]
    )  # fmt: skip
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors) as process,
    ):
        stdin = process.stdin
        assert stdin is not None
        try:
            with suppress(BrokenPipeError):  # it gave up, and says why
                yield lambda image: stdin.write(np.ascontiguousarray(image).data)
                stdin.close()
            process.wait()
            if process.returncode or len(frame_times(path)) != count:
                raise OSError(0, "".join(_last_words(errors)) or "not all frames were taken", str(path))
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                stdin.close()


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
