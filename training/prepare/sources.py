"""What was filmed: a video file or a folder of frames, and what its head says of size, colours, rotation and time."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from renderer.errors import InputError
from training.data.images import image_size
from training.data.layouts import IMAGE_SUFFIXES, VIDEO_SUFFIXES

FRAMES_RATE = 30.0
"""Frames per second of a folder of frames of which nothing is known."""
MOST_SOURCES = 16
"""Cameras that are prepared together."""
STANDARD_DEFINITION = (1279, 576)
"""Pixels across and down up to which a video that does not say so is taken to be in BT.601 colours, not BT.709."""
MATRICES = {"bt709": "bt709", "bt470bg": "bt601", "smpte170m": "bt601", "fcc": "fcc", "smpte240m": "smpte240m",
            "bt2020nc": "bt2020", "bt2020c": "bt2020"}  # fmt: skip
"""ffmpeg's names of tagged matrices, and those of its scaler."""
HIGH_RANGE = ("arib-std-b67", "smpte2084")
"""Transfer functions of videos that are brighter than sRGB: HLG and PQ."""
UNEVEN = 0.25
"""Share of the mean time between frames by which one may differ while the rate still counts as constant."""
VIDEO_LINE = re.compile(r"^\s*Stream #0:\d+\S*: Video: (.*)$", re.MULTILINE)
AUDIO_LINE = re.compile(r"^\s*Stream #0:\d+\S*: Audio: ", re.MULTILINE)
ROTATION = re.compile(r"rotation of (-?\d+(?:\.\d+)?) degrees")
PIXEL_FORMAT = re.compile(r", (?P<format>[a-z0-9]+)(?:\((?P<colours>[^)]*)\))?, (?P<width>\d+)x(?P<height>\d+)")
SAMPLE_ASPECT = re.compile(r"\[SAR (\d+):(\d+) ")


@dataclass(frozen=True)
class Colours:
    """``matrix``: the scaler's name of what makes RGB of the stored values. ``full``: black is at 0, not at 16.
    ``high_range``: the transfer function where it is HLG or PQ, else empty. ``rgb``: stored as RGB, nothing to undo."""

    matrix: str
    full: bool
    high_range: str = ""
    rgb: bool = False


@dataclass(frozen=True)
class Source:
    """A clip of one camera.

    ``size``: (width, height) as it is shown, upright and with square pixels. ``times``: (F,) seconds of the frames
    from the clip's beginning, ascending. ``frames``: the pictures of a folder, in the order of their numbers.
    ``interlaced``: two half pictures in each.
    """

    path: Path
    name: str
    kind: Literal["video", "frames"]
    size: tuple[int, int]
    times: NDArray[np.float64]
    audio: bool = False
    colours: Colours = Colours("bt709", True)
    interlaced: bool = False
    frames: tuple[Path, ...] = ()

    @property
    def period(self) -> float:
        """Seconds from one frame to the next, typically."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1 / FRAMES_RATE

    @property
    def rate(self) -> float:
        """Frames per second, typically."""
        return 1 / self.period

    @property
    def duration(self) -> float:
        """Seconds until the last frame ends."""
        return float(self.times[-1] + self.period)

    @property
    def uneven(self) -> bool:
        """Whether the time between frames varies."""
        steps = np.diff(self.times)
        return len(steps) > 1 and bool(np.abs(steps - steps.mean()).max() > UNEVEN * steps.mean())


def ffmpeg(arguments: Sequence[str]) -> list[str]:
    """A command of the ffmpeg that comes with imageio-ffmpeg (or is named by IMAGEIO_FFMPEG_EXE). Files have to be
    absolute: of a name with a colon it takes what is before it for a protocol."""
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *arguments]


def find_sources(paths: Sequence[Path]) -> list[Path]:
    """The videos and folders of frames that were meant: a folder stands for the videos, or for the folders of frames,
    in it. InputError that says what is missing."""
    found: list[Path] = []
    for path in paths:
        with readable(path):
            found += _meant(path.expanduser())
    if not found:
        raise InputError("give a video, two or three synchronised videos, or folders of frames")
    if len(found) > MOST_SOURCES:
        raise InputError(f"{paths[0]}: {len(found)} clips are given, at most {MOST_SOURCES} are prepared together")
    twice = next((p for p in found if [q.resolve() for q in found].count(p.resolve()) > 1), None)
    if twice is not None:
        raise InputError(f"{twice}: is given twice; give every camera's clip once")
    return found


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """InputError that names what the disk does not give, ``path`` where it does not say."""
    try:
        yield
    except OSError as problem:
        raise InputError(
            f"{problem.filename or path}: cannot be read ({problem.strerror or problem}); restore it, or leave it out"
        ) from None


def open_sources(paths: Sequence[Path], frames_rate: float = FRAMES_RATE) -> list[Source]:
    """What the heads of the clips say; ``frames_rate``: frames per second of folders. InputError that names a file."""
    names = camera_names(paths)
    return [
        _frames(path, name, frames_rate) if path.is_dir() else _video(path, name)
        for path, name in zip(paths, names, strict=True)
    ]


def camera_names(paths: Sequence[Path]) -> list[str]:
    """A name for each clip, after its file or folder; all differ."""
    names: list[str] = []
    for path in paths:
        resolved = path.resolve()
        if resolved.is_dir():
            plain = resolved.parent.name if resolved.name == "images" else resolved.name
        else:
            plain = resolved.stem
        base = re.sub(r"[^\w.-]+", "-", plain).strip("-.") or "camera"
        name, k = base, 2
        while name.lower() in [n.lower() for n in names]:  # some disks do not tell A from a
            name, k = f"{base}-{k}", k + 1
        names.append(name)
    return names


def identity(path: Path) -> list[object]:
    """What changes when a file, or a picture in a folder, is replaced: names, sizes and times of writing. InputError
    that names what is not there."""
    found: list[object] = [str(path.resolve())]
    with readable(path):
        for file in _pictures(path) if path.is_dir() else [path]:
            stat = file.stat()
            found.append([file.name, stat.st_size, stat.st_mtime_ns])
    return found


def _meant(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a video or a folder of frames")
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise InputError(f"{path}: a single picture; give a video, or the folder with all frames of a clip")
        return [path]
    if _pictures(path):
        return [path]
    if _pictures(path / "images"):
        return [path / "images"]
    videos = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
    folders = sorted(p for p in path.iterdir() if p.is_dir() and _pictures(p))
    if not videos and not folders:
        raise InputError(f"{path}: holds no videos and no frames; give a video or a folder of frames")
    return videos or folders


def _pictures(folder: Path) -> list[Path]:
    """Pictures of a folder by the numbers in their names: frame2 before frame10."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=_by_number)


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def _frames(folder: Path, name: str, rate: float) -> Source:
    files = _pictures(folder)
    if len(files) < 2:
        raise InputError(f"{folder}: holds {len(files)} picture; give the folder with all frames of the clip")
    return Source(folder, name, "frames", image_size(files[0]), np.arange(len(files)) / rate, frames=tuple(files))


def _video(path: Path, name: str) -> Source:
    head = subprocess.run(
        ffmpeg(["-i", str(path.absolute())]), capture_output=True, text=True, errors="replace", check=False
    ).stderr  # fmt: skip
    line = next((m for m in VIDEO_LINE.finditer(head) if "(attached pic)" not in m[1]), None)
    found = PIXEL_FORMAT.search(line[1]) if line else None
    if line is None or found is None:
        raise InputError(f"{path}: not readable as a video; give another copy of it, or re-encode it")
    width, height = int(found["width"]), int(found["height"])
    after = head[line.end() :].split("Stream #", 1)[0]  # what follows belongs to this stream
    sample = SAMPLE_ASPECT.search(line[1])
    if sample and int(sample[1]) and int(sample[2]):
        width = max(1, round(width * int(sample[1]) / int(sample[2])))
    turned = ROTATION.search(after)
    if turned and round(float(turned[1]) / 90) % 2:
        width, height = height, width
    tags = [tag.strip() for tag in (found["colours"] or "").split(",")]
    return Source(
        path,
        name,
        "video",
        (width, height),
        _times(path),
        audio=AUDIO_LINE.search(head) is not None,
        colours=_colours(found["format"], tags, (int(found["width"]), int(found["height"]))),
        interlaced=any(tag in ("top first", "bottom first", "top coded first", "bottom coded first") or
                       "interlaced" in tag for tag in tags),
    )  # fmt: skip


def _colours(pixel_format: str, tags: Sequence[str], stored: tuple[int, int]) -> Colours:
    """What the tags say, and by players' custom where they are silent: full range for JPEG's formats only, BT.709 for
    what is larger than television was."""
    rgb = pixel_format.startswith(("gbr", "rgb", "bgr", "argb", "abgr", "pal"))
    full = "pc" in tags or ("tv" not in tags and (pixel_format.startswith("yuvj") or rgb))
    stated = next((tag for tag in tags if "/" in tag or tag in MATRICES), "")
    space, _, others = stated.partition("/")
    large = stored[0] > STANDARD_DEFINITION[0] or stored[1] > STANDARD_DEFINITION[1]
    transfer = others.rpartition("/")[2]
    return Colours(
        MATRICES.get(space, "bt709" if large else "bt601"), full, transfer if transfer in HIGH_RANGE else "", rgb
    )


def frame_times(path: Path) -> NDArray[np.float64]:
    """(F,) seconds, ascending, of a video's frames, read without decoding; none where they have no times."""
    done = subprocess.run(
        ffmpeg(["-loglevel", "error", "-i", str(path.absolute()), "-map", "0:V:0", "-c", "copy",
                "-f", "framecrc", "-"]),
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    base = re.search(r"^#tb 0: (\d+)/(\d+)", done.stdout, re.MULTILINE)
    stamps = [line.split(",")[2] for line in done.stdout.splitlines() if line.startswith("0,")]
    if base is None or not all(re.fullmatch(r"\s*-?\d+", s) for s in stamps):
        return np.zeros(0)
    return np.unique(np.array(stamps, np.int64)).astype(np.float64) * int(base[1]) / int(base[2])


def _times(path: Path) -> NDArray[np.float64]:
    """(F,) seconds from the file's beginning."""
    times = frame_times(path)
    if not len(times):
        raise InputError(f"{path}: its frames have no times; re-encode it")
    times = times[times >= 0]  # what an edit list cuts off comes before the beginning
    if len(times) < 2:
        raise InputError(f"{path}: holds {len(times)} frame; give a video that moves")
    return times


def read_frame(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a frame in a folder; InputError that names it where it is not of ``size``."""
    try:
        data = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    except (cv2.error, MemoryError):  # of a size that is not believed
        data = None
    if data is None:
        raise InputError(f"{path}: not readable as a picture; restore it")
    if (data.shape[1], data.shape[0]) != size:
        raise InputError(
            f"{path}: is {data.shape[1]}x{data.shape[0]} while the others are {size[0]}x{size[1]}; resize it to match"
        )
    return data  # type: ignore[return-value]
