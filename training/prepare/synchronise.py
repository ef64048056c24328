"""When each of several clips began, found from their sound or, where one has none, from how much moves when.

Both compare a signal of one clip with that of another at every offset by their normalised correlation over the time
that they would share, in standard deviations of what chance makes of it there. The confidence in an offset is how far
its peak stands above the highest one elsewhere.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate, stft

from renderer.errors import InputError
from training.data.layouts import Report
from training.prepare.decode import StoppedError, raw_frames, undecodable
from training.prepare.sources import Source, ffmpeg, read_frame

Array = NDArray[np.float64]
Signal = tuple[Array, float]
"""Values at a constant rate from the clip's beginning on, and how many a second."""

SOUND_RATE = 16_000
"""Samples a second."""
HOP = 80
"""Samples from one value of the onsets to the next: 5 ms."""
WINDOW = 512
"""Samples under each."""
FLOOR = 1e-3
"""Of a sound's magnitudes, as a share of the loudest: what is softer counts as silence."""
MOTION_RATE = 240.0
"""Values a second of the motion, interpolated between frames."""
MOTION_WIDTH = 96
"""Pixels across of the pictures in which motion is measured."""
TREND = 0.4
"""Seconds: slower changes of a signal say nothing about the offset."""
LEAST_SHARED = 0.4
"""Share of the shorter clip that both must have filmed."""
LEAST_CONFIDENCE = 0.15
"""Of an offset that is believed."""
LEAST_DEVIATIONS = 4.5
"""Of chance, by which the signals have to agree: among some hundred independent offsets chance alone reaches 3."""
SUPPORT = 0.5
"""A peak reaches as far as the correlation stays above this share of it."""


@dataclass(frozen=True)
class Offset:
    """``seconds``: how much later the second clip began than the first. ``confidence``: 0 to 1. ``by``: what told."""

    seconds: float
    confidence: float
    by: Literal["given", "sound", "motion", "first"]


def find_offsets(
    sources: Sequence[Source], report: Report, should_stop: Callable[[], bool] = lambda: False
) -> list[Offset]:
    """How much later than the first each clip began.

    From the sound where all have some and it tells, else from motion. With three or more, clips are joined along the
    pairs that are surest. InputError that names a clip of which it cannot be told.
    """
    best: list[Offset] = []
    weakest = -1
    for by in ("sound", "motion") if all(s.audio for s in sources) else ("motion",):
        report(f"Comparing the {by} of {len(sources)} clips")
        listen = _onsets if by == "sound" else _motion
        signals = []
        for source in sources:
            if should_stop():
                raise StoppedError("stopped; the same command goes on where it was")
            signals.append(listen(source))
        found = _joined(signals, by)  # type: ignore[arg-type]
        weakest = int(np.argmin([o.confidence for o in found]))
        if not best or found[weakest].confidence > min(o.confidence for o in best):
            best = found
        if found[weakest].confidence >= LEAST_CONFIDENCE:
            return found
    weakest = int(np.argmin([o.confidence for o in best]))
    others = " ".join("SECONDS" if k else "0" for k in range(len(sources)))
    raise InputError(
        f"{sources[weakest].path}: neither sound nor motion tells when it began (confidence "
        f"{best[weakest].confidence:.2f}, {LEAST_CONFIDENCE} is needed); give --offsets {others}"
    )


def offset_between(a: Signal, b: Signal) -> tuple[float, float]:
    """(seconds, confidence): how much later ``b`` began than ``a``, of two signals at the same rate.

    At the peak, refined between samples by a parabola. The confidence is 1 minus the highest value outside the peak
    divided by the peak; 0 where the agreement may be chance. Of correlations over n values chance makes a deviation of
    sqrt(sum of the product of both autocorrelations / n) (Bartlett 1946).
    """
    (x, rate), (y, other) = a, b
    if rate != other:
        raise ValueError(f"the signals have {rate} and {other} values a second")
    x, y = x - x.mean(), y - y.mean()
    if not x.any() or not y.any():
        return 0.0, 0.0
    together = correlate(x, y, method="fft")  # at lag k: sum of x[n + k] y[n]
    lags = np.arange(1 - len(y), len(x))
    first, last = np.maximum(lags, 0), np.minimum(lags + len(y), len(x))  # of x, where both are
    sums = [np.concatenate([[0], np.cumsum(s * s)]) for s in (x, y)]
    energy = (sums[0][last] - sums[0][first]) * (sums[1][last - lags] - sums[1][first - lags])
    allowed = (last - first >= LEAST_SHARED * min(len(x), len(y))) & (energy > 1e-12 * sums[0][-1] * sums[1][-1])
    correlation = together / np.sqrt(np.where(allowed, energy, np.inf))
    score = correlation * np.sqrt((last - first) / _memory(x, y))
    peak = int(score.argmax())
    if score[peak] < LEAST_DEVIATIONS:
        return 0.0, 0.0
    below = score < SUPPORT * score[peak]
    left = peak - int(below[:peak][::-1].argmax()) if below[:peak].any() else 0
    right = peak + int(below[peak:].argmax()) if below[peak:].any() else len(score)
    outside = max(float(score[:left].max(initial=0)), float(score[right:].max(initial=0)))
    shift = 0.0
    if 0 < peak < len(score) - 1:
        before, middle, after = score[peak - 1 : peak + 2]
        bend = before - 2 * middle + after
        shift = float(0.5 * (before - after) / bend) if bend < 0 else 0.0
    return (float(lags[peak]) + shift) / rate, float(1 - outside / score[peak])


def _memory(x: Array, y: Array) -> float:
    """Values of the two that count as an independent one, at least 1."""
    reach = min(len(x), len(y)) // 2
    parts = []
    for signal in (x, y):
        lagged = correlate(signal, signal, method="fft")
        middle = len(signal) - 1
        parts.append(lagged[middle - reach : middle + reach + 1] / lagged[middle])
    return max(1.0, float((parts[0] * parts[1]).sum()))


def _joined(signals: Sequence[Signal], by: Literal["sound", "motion"]) -> list[Offset]:
    """Each clip's offset to the first, along the tree of the surest pairs; its confidence is that of the weakest pair
    on its way."""
    pairs = {
        (i, j): offset_between(signals[i], signals[j]) for i in range(len(signals)) for j in range(i + 1, len(signals))
    }
    found = {0: Offset(0.0, 1.0, "first")}
    while len(found) < len(signals):
        i, j = max(
            ((i, j) for i in found for j in range(len(signals)) if j not in found),
            key=lambda ij: pairs[min(ij), max(ij)][1],
        )
        seconds, confidence = pairs[min(i, j), max(i, j)]
        seconds = seconds if i < j else -seconds
        found[j] = Offset(found[i].seconds + seconds, min(found[i].confidence, confidence), by)
    return [found[k] for k in range(len(signals))]


def _onsets(source: Source) -> Signal:
    """How much louder each band of the sound becomes, summed over the bands."""
    done = subprocess.run(
        ffmpeg(["-loglevel", "error", "-i", str(source.path.absolute()), "-map", "0:a:0", "-af",
                "aresample=async=1:first_pts=0", "-ac", "1", "-ar", str(SOUND_RATE), "-f", "f32le", "-"]),
        capture_output=True, check=False,
    )  # fmt: skip
    samples = np.frombuffer(done.stdout[: len(done.stdout) // 4 * 4], np.float32)
    rate = SOUND_RATE / HOP
    if len(samples) < 4 * WINDOW:
        return np.zeros(max(2, round(source.duration * rate))), rate
    _, _, bands = stft(samples, SOUND_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)
    magnitudes = np.abs(bands)
    loudness = np.log(magnitudes + FLOOR * max(float(magnitudes.max()), 1e-9))
    rises = np.maximum(np.diff(loudness, axis=1, prepend=loudness[:, :1]), 0).sum(0)
    return _without_trend(rises.astype(np.float64), rate), rate


def _motion(source: Source) -> Signal:
    """The mean change from frame to frame, per second, between which it is interpolated."""
    complaints: list[str] = []
    small = list(_small(source, complaints))
    if len(small) < 2:
        raise undecodable(source, complaints)
    times = source.times[: len(small)]
    pictures = np.stack(small[: len(times)]).astype(np.float32)
    changes = np.abs(np.diff(pictures, axis=0)).mean((1, 2)) / np.diff(times)
    middles = (times[1:] + times[:-1]) / 2
    grid = np.arange(0, source.duration, 1 / MOTION_RATE)
    return _without_trend(np.interp(grid, middles, np.sqrt(changes)), MOTION_RATE), MOTION_RATE


def _small(source: Source, complaints: list[str]) -> Iterator[NDArray[np.uint8]]:
    """Every frame as (H, W) grey, small; ``complaints`` as of :func:`raw_frames`."""
    width = MOTION_WIDTH
    height = max(8, round(width * source.size[1] / source.size[0]))
    if source.kind == "frames":
        for path in source.frames:
            grey = cv2.cvtColor(read_frame(path, source.size), cv2.COLOR_RGB2GRAY)
            yield cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[misc]
        return
    yield from raw_frames(
        ffmpeg(["-loglevel", "error", "-i", str(source.path.absolute()), "-map", "0:V:0", "-fps_mode", "passthrough",
                "-vf", f"scale={width}:{height}:flags=area", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]),
        (height, width),
        complaints,
    )  # fmt: skip


def _without_trend(signal: Array, rate: float) -> Array:
    return signal - gaussian_filter1d(signal, TREND * rate)
