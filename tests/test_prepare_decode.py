"""Videos and folders of frames become frames at a constant rate, upright, with the colours that were filmed."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderer.errors import InputError
from tests.film import HEIGHT, LOSSLESS, WIDTH, ffmpeg, film, numbered, numbers, write_sound
from training.prepare import decode
from training.prepare.decode import Instants, StoppedError, decoded, even_size, write_clip, write_pictures
from training.prepare.planning import PrepareOptions, check, planned, repeats
from training.prepare.sources import Source, camera_names, find_sources, identity, open_sources
from training.prepare.synchronise import find_offsets

PATCHES = [(200, 60, 40), (30, 90, 220), (20, 180, 60), (0, 0, 0), (255, 255, 255), (128, 128, 128)]


def opened(path: Path) -> Source:
    return open_sources([path])[0]


def frames_of(source: Source, start: float, fps: float, count: int) -> list[np.ndarray]:
    return list(decoded(source, source.size, Instants(start, fps, count)))


def patches(height: int) -> np.ndarray:
    """(2, height, W, 3): a column of plain colour per patch."""
    columns = np.repeat(np.array(PATCHES, np.uint8), 16, axis=0)
    return np.broadcast_to(columns, (2, height, len(columns), 3)).copy()


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("spread", ["tv", "pc"])
@pytest.mark.parametrize(
    ("matrix", "tag", "height"),
    [("bt601", "smpte170m", 64), ("bt601", "bt470bg", 64), ("bt709", "bt709", 64), ("bt2020", "bt2020nc", 64),
     ("bt601", "unknown", 64), ("bt709", "unknown", 600)],
)  # fmt: skip
def test_colours_come_back_whatever_the_video_stores(
    tmp_path: Path, matrix: str, tag: str, height: int, spread: str, pixels: str
) -> None:
    """Without a tag, small pictures are television's BT.601 and large ones BT.709, as players take them."""
    filters = (
        f"scale=out_color_matrix={matrix}:out_range={spread}:flags=accurate_rnd+full_chroma_int,format={pixels},"
        f"setparams=colorspace={tag}:range={spread}"
    )
    output = ("-c:v", "libx264", "-qp", "0", "-preset", "ultrafast")
    source = opened(film(tmp_path / "a.mp4", patches(height), filters=filters, output=output))
    assert (source.colours.matrix, source.colours.full) == (matrix, spread == "pc")
    for image in frames_of(source, 0, 30, 2):
        middles = image[height // 2, 8::16]
        assert np.abs(middles.astype(int) - PATCHES).max() <= 2, middles


@pytest.mark.parametrize("transfer", ["arib-std-b67", "smpte2084"])
def test_a_high_range_video_is_mapped_into_srgb(tmp_path: Path, transfer: str) -> None:
    """An HLG or PQ signal of diffuse white becomes nearly white, greys stay grey and in order."""
    levels = np.linspace(0, 0.75 if transfer == "arib-std-b67" else 0.58, 6)
    columns = np.repeat((levels * 255).round().astype(np.uint8), 16)
    frames = np.broadcast_to(columns[None, None, :, None], (2, HEIGHT, WIDTH, 3)).copy()
    filters = (
        "scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le,"
        f"setparams=colorspace=bt2020nc:range=tv:color_trc={transfer}:color_primaries=bt2020"
    )
    tags = f"log-level=error:lossless=1:transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"
    source = opened(film(tmp_path / "a.mp4", frames, filters=filters, output=("-c:v", "libx265", "-x265-params", tags)))
    assert source.colours.high_range == transfer
    middles = frames_of(source, 0, 30, 1)[0][HEIGHT // 2, 8::16].astype(int)
    assert (np.ptp(middles, axis=1) <= 3).all(), middles
    assert middles[0].max() <= 6 and middles[-1].min() >= 200 and (np.diff(middles[:, 0]) > 5).all(), middles


@pytest.mark.parametrize(
    ("fps", "start", "rate", "count", "expected"),
    [(30, 0, 30, 90, list(range(90))), (60, 0, 30, 30, list(range(0, 60, 2))), (30, 2.0, 30, 5, [60, 61, 62, 63, 64]),
     (30, 1.51, 10, 4, [45, 48, 51, 54]), (30, 2.47, 30, 3, [74, 75, 76]), (25, 1.0, 12.5, 4, [25, 27, 29, 31]),
     (30000 / 1001, 1.001, 30000 / 1001, 60, list(range(30, 90)))],
)  # fmt: skip
def test_the_nearest_frame_is_taken(
    tmp_path: Path, fps: float, start: float, rate: float, count: int, expected: list[int]
) -> None:
    source = opened(film(tmp_path / "a.mp4", numbered(100), fps))
    assert source.rate == pytest.approx(fps, rel=1e-3) and not source.uneven
    assert numbers(frames_of(source, start, rate, count)) == expected


def test_a_variable_rate_is_resampled_by_the_times_of_the_frames(tmp_path: Path) -> None:
    times = np.array([k / 30 for k in range(20)] + [20 / 30 + k / 10 for k in range(20)])
    filters = "settb=1/15360,setpts='if(lt(N,20),N/30,2/3+(N-20)/10)/TB',format=rgb24"
    output = (*LOSSLESS, "-fps_mode", "vfr", "-enc_time_base", "1/15360")
    source = opened(film(tmp_path / "a.mp4", numbered(40, 5), filters=filters, output=output))
    assert source.uneven and np.abs(source.times - times).max() < 1e-3
    found = numbers(frames_of(source, 0.1, 15, 36), 5)
    wanted = 0.1 + np.arange(36) / 15
    error = np.abs(times[found] - wanted)
    assert (error <= np.where(wanted < 2 / 3, 1 / 60, 1 / 10) + 1e-3).all()
    assert found == sorted(found) and len(set(found)) > 25


def test_a_video_is_shown_upright(tmp_path: Path) -> None:
    frames = np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, :, : WIDTH // 2] = 255  # bright on the left
    film(tmp_path / "a.mp4", frames)
    ffmpeg("-display_rotation", "90", "-i", str(tmp_path / "a.mp4"), "-c", "copy", str(tmp_path / "b.mp4"))
    source = opened(tmp_path / "b.mp4")
    assert source.size == (HEIGHT, WIDTH)
    image = frames_of(source, 0, 30, 1)[0]
    assert image.shape == (WIDTH, HEIGHT, 3)
    assert image[WIDTH // 2 + 4 :].mean() > 250 and image[: WIDTH // 2 - 4].mean() < 5  # left went to the bottom


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    source = opened(film(tmp_path / "a.mp4", numbered(3), filters="setsar=4/3"))
    assert source.size == (round(WIDTH * 4 / 3), HEIGHT)
    assert frames_of(source, 0, 30, 1)[0].shape == (HEIGHT, round(WIDTH * 4 / 3), 3)


@pytest.mark.parametrize(
    ("size", "megapixels", "longest", "expected"),
    [((1920, 1080), None, None, (1920, 1080)), ((1920, 1080), 0.5, None, (942, 530)),
     ((1080, 1920), 5, 640, (360, 640)), ((855, 481), None, None, (854, 480)), ((100, 50), 4, 4000, (100, 50))],
)  # fmt: skip
def test_sizes_are_even_and_keep_the_shape(
    size: tuple[int, int], megapixels: float | None, longest: int | None, expected: tuple[int, int]
) -> None:
    assert even_size(size, megapixels, longest) == expected


def test_a_smaller_size_averages(tmp_path: Path) -> None:
    frames = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, :, ::2] = 200  # stripes a pixel wide
    source = opened(film(tmp_path / "a.mp4", frames))
    image = next(decoded(source, (WIDTH // 2, HEIGHT // 2), Instants(0, 30, 1)))
    assert np.abs(image.astype(int) - 100).max() <= 2


def test_frames_of_a_folder_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for k, image in enumerate(numbered(12, 10)):
        cv2.imwrite(str(tmp_path / f"frame{k}.png"), image)
    source = open_sources([tmp_path], 10)[0]
    assert source.rate == pytest.approx(10)
    assert numbers(frames_of(source, 0.2, 5, 5), 10) == [2, 4, 6, 8, 10]


def test_what_is_written_is_what_was_decoded(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), np.uint8)
    frames = np.stack([cv2.GaussianBlur(f, (0, 0), 3) for f in frames])
    write_pictures(iter(frames), tmp_path / "images", 5, "a", print, lambda: False)
    names = sorted(p.name for p in (tmp_path / "images").iterdir())
    assert names == [f"{k:05d}.png" for k in range(5)]
    read = [cv2.imread(str(tmp_path / "images" / name), cv2.IMREAD_COLOR_RGB) for name in names]
    assert np.array_equal(read, frames)
    write_clip(iter(frames), tmp_path / "a.mp4", (WIDTH, HEIGHT), 24, 5, print, lambda: False)
    source = opened(tmp_path / "a.mp4")
    assert source.rate == pytest.approx(24) and len(source.times) == 5
    found = np.stack(frames_of(source, 0, 24, 5)).astype(int)
    assert np.abs(found - frames).mean() < 1 and np.abs(found - frames).max() <= 8


@pytest.mark.parametrize("as_video", [False, True])
def test_stopping_leaves_nothing_half_written(tmp_path: Path, as_video: bool) -> None:
    asked = iter([False, False, True])
    with pytest.raises(StoppedError, match="stopped"):
        if as_video:
            write_clip(iter(numbered(9)), tmp_path / "a.mp4", (WIDTH, HEIGHT), 30, 9, print, lambda: next(asked))
        else:
            write_pictures(iter(numbered(9)), tmp_path / "images", 9, "a", print, lambda: next(asked))
    assert not list(tmp_path.iterdir())


def test_a_clip_that_is_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path, picture = tmp_path / "a.mp4", tmp_path / "a.png"
    write_clip(iter(numbered(3)), path, (WIDTH, HEIGHT), 30, 3, print, lambda: False)
    before = path.read_bytes(), picture.read_bytes()
    asked = iter([False, True])
    with pytest.raises(StoppedError):
        write_clip(iter(numbered(9)[::-1]), path, (WIDTH, HEIGHT), 30, 9, print, lambda: next(asked))
    assert (path.read_bytes(), picture.read_bytes()) == before and len(list(tmp_path.iterdir())) == 2
    write_clip(iter(numbered(9)[::-1]), path, (WIDTH, HEIGHT), 30, 9, print, lambda: False)
    assert cv2.imread(str(picture)).mean() == 16


@pytest.mark.parametrize("frames", [3, 200])
def test_a_disk_that_is_full_is_named_and_nothing_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], frames: int
) -> None:
    """It is noticed when the encoder ends, or while it is still given frames."""
    (tmp_path / "a.partial.mp4").symlink_to("/dev/full")
    noise = np.random.default_rng(0).integers(0, 256, (frames, HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(InputError, match="No space left on device") as problem:
        write_clip(iter(noise), tmp_path / "a.mp4", (WIDTH, HEIGHT), 30, frames, print, lambda: False)
    assert str(problem.value).startswith(f"{tmp_path / 'a.mp4'}: cannot be written (")
    assert len(str(problem.value)) < len(str(tmp_path)) + 150 and "\n" not in str(problem.value)
    assert not list(tmp_path.iterdir()) and capfd.readouterr().err == ""


def test_a_video_with_too_few_frames_is_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of an encoder that says nothing of its failure."""
    real = decode.ffmpeg
    monkeypatch.setattr(decode, "ffmpeg", lambda arguments: real([*arguments[:-1], "-frames:v", "6", arguments[-1]]))
    with pytest.raises(InputError, match=r"a.mp4: cannot be written \(not all frames were taken\)"):
        write_clip(iter(numbered(9)), tmp_path / "a.mp4", (WIDTH, HEIGHT), 30, 9, print, lambda: False)
    assert not list(tmp_path.iterdir())


def test_a_damaged_end_is_named_with_its_time(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(60), output=(*LOSSLESS, "-g", "10", "-movflags", "faststart"))
    data = bytearray(path.read_bytes())
    source = opened(path)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match=r"a.mp4: cannot be decoded from \d.\d\d s on; give --end \d.\d") as problem:
        frames_of(source, 0, 30, 60)
    end = float(str(problem.value).rpartition(" ")[2])
    with pytest.raises(InputError) as problem:
        list(decoded(source, source.size, Instants(0, 30, 60), 2.5))
    assert float(str(problem.value).rpartition(" ")[2]) == pytest.approx(2.5 + end)
    count = planned([source], [0.0], PrepareOptions(end=end)).count
    assert len(frames_of(source, 0, 30, count)) == count >= 20


def test_the_advised_end_leaves_two_frames_at_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(film(tmp_path / "a.mp4", numbered(60)))
    monkeypatch.setattr(decode, "raw_frames", lambda *_: iter(numbered(3)))
    with pytest.raises(InputError) as problem:
        frames_of(source, 1.01, 30, 20)
    end = float(str(problem.value).rpartition(" ")[2])
    options = PrepareOptions(start=1.01, end=end)
    check(options, 1)
    assert planned([source], [0.0], options).count == 2


def test_a_video_without_a_frame_is_named_with_ffmpegs_reason(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(60))
    source = opened(path)
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin : begin + 4000] = b"\xff" * 4000
    path.write_bytes(data[: begin + 4000] + data[data.index(b"moov") - 4 :])
    for offset in (0.0, None):
        with pytest.raises(InputError, match=r"a.mp4: cannot be decoded \([^@]+\); give another copy of it"):
            list(decoded(source, source.size, Instants(0, 30, 60), offset))


def test_a_name_with_a_colon_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "plain.mp4", numbered(12))
    os.rename("plain.mp4", "cam1:front.mp4")
    source = opened(Path("cam1:front.mp4"))
    assert numbers(frames_of(source, 0, 30, 12)) == list(range(12))
    write_clip(iter(numbered(4)), Path("q:1/b:c.mp4"), (WIDTH, HEIGHT), 30, 4, print, lambda: False)
    assert len(opened(Path("q:1/b:c.mp4")).times) == 4
    with pytest.raises(InputError, match="neither sound nor motion"):  # but both were read
        find_offsets(open_sources([Path("cam1:front.mp4"), Path("q:1/b:c.mp4")]), print)


def test_sources_are_found_or_said_to_be_missing(tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        for k, image in enumerate(numbered(2)):
            cv2.imwrite(str(tmp_path / name / f"{k}.png"), image)
    assert find_sources([tmp_path]) == [tmp_path / "left", tmp_path / "right"]
    (tmp_path / "take.1").mkdir()
    assert camera_names([tmp_path / "take.1", Path("take.2.mp4")]) == ["take.1", "take.2"]
    (tmp_path / "take.1").rmdir()
    assert camera_names([Path("x/a b.mp4"), Path("y/A-b.mov"), Path("z/..mp4")]) == ["a-b", "A-b-2", "camera"]
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for paths, sentence in (
        ([tmp_path / "none.mp4"], "no such file or folder"),
        ([tmp_path / "empty"], "holds no videos and no frames"),
        ([tmp_path / "left" / "0.png"], "a single picture"),
        ([tmp_path / "left", tmp_path / "left"], "is given twice"),
        ([], "give a video"),
    ):
        with pytest.raises(InputError, match=sentence):
            find_sources(paths)
    with pytest.raises(InputError, match=r"text.mp4: not readable as a video"):
        opened(tmp_path / "text.mp4")
    cv2.imwrite(str(tmp_path / "left" / "1.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"1.png: is 8x8 while the others are 96x64"):
        frames_of(opened(tmp_path / "left"), 0, 30, 2)


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("2.png", "10.png", "1\N{SUPERSCRIPT TWO}3.png"):
        cv2.imwrite(str(tmp_path / name), numbered(1)[0])
    assert len(opened(tmp_path).times) == 3
    (tmp_path / "4.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"4.png: cannot be read \(No such file or directory\); restore it"):
        identity(tmp_path)

    def forbidden(folder: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(Path, "iterdir", forbidden)  # root may read all
    with pytest.raises(InputError, match=rf"{tmp_path.name}: cannot be read \(Permission denied\)"):
        find_sources([tmp_path])


def test_repeated_frames_are_counted_at_every_rate() -> None:
    times = np.sort(np.random.default_rng(0).uniform(0, 10, 200))
    source = Source(Path("a"), "a", "video", (96, 64), times)
    for start, fps in ((0.0, 30), (2.5, 12.5), (-1.0, 100)):
        wanted = start + np.arange(150) / fps
        nearest = np.abs(times - wanted[:, None]).argmin(1)
        assert repeats(source, Instants(start, fps, 150)) == (np.diff(nearest) == 0).sum()
    tracemalloc.start()
    many = Source(Path("a"), "a", "video", (96, 64), np.arange(20_000) / 30)
    assert repeats(many, Instants(0, 30, 20_000)) == 0
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


@pytest.mark.parametrize(("kind", "first"), [("late.mkv", 0), ("cut.mp4", 15)])
def test_times_count_from_the_files_beginning(tmp_path: Path, kind: str, first: int) -> None:
    """Of a video that begins after its sound, and of one whose beginning was cut off without encoding it again."""
    path = film(tmp_path / "a.mp4", numbered(60), output=(*LOSSLESS, "-g", "30"))
    sound = write_sound(tmp_path / "a.wav", np.zeros(2 * 44_100))
    if kind == "late.mkv":
        ffmpeg("-itsoffset", "0.5", "-i", str(path), "-i", str(sound), "-map", "0:v", "-map", "1:a", "-c:v", "copy",
               str(tmp_path / kind))  # fmt: skip
    else:
        ffmpeg("-ss", "0.5", "-i", str(path), "-c", "copy", str(tmp_path / kind))
    source = opened(tmp_path / kind)
    assert source.times[0] == pytest.approx(0.5 if kind == "late.mkv" else 0.0)
    assert source.audio == (kind == "late.mkv") and len(source.times) == 60 - first
    start = float(source.times[0])
    assert numbers(frames_of(source, start, 30, 6)) == list(range(first, first + 6))
    assert numbers(frames_of(source, start + 0.7, 30, 6)) == list(range(first + 21, first + 27))
