"""The offset between clips is found from their sound or from what moves in them, and refused where neither tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from renderer.errors import InputError
from tests.film import film, write_sound
from training.prepare import synchronise
from training.prepare.sources import Source, open_sources
from training.prepare.synchronise import LEAST_CONFIDENCE, find_offsets, offset_between

SECONDS = 9.0
RATE = 44_100


def clicks(seed: int = 0) -> np.ndarray:
    """Sound of ``SECONDS``: claps at random instants."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round(SECONDS * RATE))
    for at in rng.uniform(0.2, SECONDS - 0.2, 14):
        k, n = round(at * RATE), 2000
        samples[k : k + n] += rng.normal(size=n) * np.exp(-np.arange(n) / 300) * rng.uniform(0.2, 0.6)
    return samples


def heard(samples: np.ndarray, path: Path, start: float, end: float, noise: int) -> Path:
    """What one camera heard of it between two instants, with a noise of its own."""
    part = samples[round(start * RATE) : round(end * RATE)]
    part = part + 0.02 * np.random.default_rng(noise).normal(size=len(part))
    return write_sound(path, part)


def place(time: float, seed: int = 0) -> np.ndarray:
    """(x, y) in [0, 1] of something that moves by fits and starts."""
    rng = np.random.default_rng(seed)
    knots = np.sort(rng.uniform(-1, SECONDS + 1, 24))
    return np.array([np.interp(time, knots, rng.uniform(0.15, 0.85, 24)) for _ in range(2)])


def seen(start: float, end: float, fps: float, size: tuple[int, int], mirrored: bool, seed: int = 0) -> np.ndarray:
    """(F, H, W, 3) of a square in front of a background, filmed between two instants."""
    width, height = size
    rng = np.random.default_rng(5 + mirrored)
    background = cv2.GaussianBlur(rng.integers(0, 255, (height, width, 3), np.uint8), (0, 0), 2)
    frames = []
    for k in range(round((end - start) * fps)):
        x, y = place(start + k / fps, seed)
        image = background.copy()
        corner = (int(16 * x * width), int(16 * y * height))
        cv2.rectangle(image, corner, (corner[0] + 16 * 14, corner[1] + 16 * 14), (230, 40, 90), -1, cv2.LINE_AA, 4)
        image = image[:, ::-1] if mirrored else image
        frames.append(np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
    return np.stack(frames)


@pytest.mark.parametrize("begin", [0.0, 0.537, 2.214])
def test_sound_tells_the_offset_to_a_fraction_of_a_frame(tmp_path: Path, begin: float) -> None:
    said, samples = [], clicks()
    still = np.zeros((2, 64, 96, 3), np.uint8)
    paths = []
    for k, (start, end) in enumerate(((0, 7.5), (begin, SECONDS))):
        sound = heard(samples, tmp_path / f"{k}.wav", start, end, noise=k)
        paths.append(film(tmp_path / f"{k}.mp4", np.repeat(still, 60, axis=0), sound=sound))
    found = find_offsets(open_sources(paths), said.append)
    assert abs(found[1].seconds - begin) < 0.003
    assert found[0].seconds == 0 and found[1].by == "sound" and found[1].confidence > 2 * LEAST_CONFIDENCE
    assert said == ["Comparing the sound of 2 clips"]


@pytest.mark.parametrize(("begin", "fps"), [(0.0, 30), (0.5, 30), (1.215, 30), (0.73, 25)])
def test_motion_tells_the_offset_to_half_a_frame(tmp_path: Path, begin: float, fps: float) -> None:
    """Cameras on two sides of it, with frames between the other's frames."""
    paths = [
        film(tmp_path / "a.mp4", seen(0, 8, 30, (96, 64), False)),
        film(tmp_path / "b.mp4", seen(begin, SECONDS, fps, (64, 80), True), fps),
    ]
    found = find_offsets(open_sources(paths), lambda text: None)[1]
    assert abs(found.seconds - begin) < 0.5 / 30 and found.by == "motion"


def test_three_clips_are_joined_along_the_surest_pairs(tmp_path: Path) -> None:
    """The last begins before the first, and motion takes over where the sound of one is of something else."""
    begins = (0.8, 1.6, 0.0)
    paths = []
    for k, begin in enumerate(begins):
        sound = heard(clicks(k), tmp_path / f"{k}.wav", begin, SECONDS, noise=k)
        paths.append(film(tmp_path / f"{k}.mp4", seen(begin, SECONDS, 30, (96, 64), k == 1), sound=sound))
    said: list[str] = []
    found = find_offsets(open_sources(paths), said.append)
    assert len(said) == 2 and {o.by for o in found} == {"first", "motion"}
    for offset, begin in zip(found, begins, strict=True):
        assert abs(offset.seconds - (begin - begins[0])) < 0.5 / 30


def test_clips_of_different_things_are_refused(tmp_path: Path) -> None:
    paths = [
        film(tmp_path / f"{name}.mp4", seen(0, 8, 30, (96, 64), False, seed)) for seed, name in enumerate("ab")
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"b.mp4: neither sound nor motion .* give --offsets 0 SECONDS"):
        find_offsets(open_sources(paths), lambda text: None)


def test_clips_in_which_nothing_moves_are_refused(tmp_path: Path) -> None:
    paths = [film(tmp_path / f"{name}.mp4", np.zeros((60, 64, 96, 3), np.uint8)) for name in "ab"]
    with pytest.raises(InputError, match="neither sound nor motion"):
        find_offsets(open_sources(paths), lambda text: None)


@pytest.mark.parametrize("frames", [0, 1])
def test_a_clip_that_cannot_be_decoded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:  # fmt: skip
    sources = open_sources([film(tmp_path / f"{name}.mp4", seen(0, 2, 30, (96, 64), False)) for name in "ab"])

    def small(source: Source, complaints: list[str]) -> Iterator[np.ndarray]:
        complaints.append("Invalid data")
        return iter(np.zeros((frames if source.name == "b" else 60, 64, 96), np.uint8))

    monkeypatch.setattr(synchronise, "_small", small)
    with pytest.raises(InputError, match=r"b.mp4: cannot be decoded \(Invalid data\); give another copy of it"):
        find_offsets(sources, lambda text: None)


def test_a_signal_that_repeats_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    once = np.repeat(rng.normal(size=20), 5)
    again = np.tile(once, 12)
    a, b = (again + 0.1 * rng.normal(size=len(again)) for _ in range(2))
    assert offset_between((a, 100.0), (b[130:], 100.0))[1] < LEAST_CONFIDENCE


def test_noise_is_never_believed() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        a, b = (np.convolve(rng.normal(size=n), np.ones(9), "same") for n in (900, 1100))
        assert offset_between((a, 100.0), (b, 100.0))[1] < LEAST_CONFIDENCE


def test_the_offset_changes_its_sign_with_the_order() -> None:
    rng = np.random.default_rng(2)
    signal = np.convolve(rng.normal(size=2000), np.ones(6), "same")
    a, b = (signal[:1500], 100.0), (signal[260:], 100.0)
    assert offset_between(a, b)[0] == pytest.approx(2.6, abs=0.005)
    assert offset_between(b, a)[0] == pytest.approx(-2.6, abs=0.005)
    assert offset_between(a, b)[1] == pytest.approx(offset_between(b, a)[1], abs=1e-6)
