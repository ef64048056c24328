"""What the device is, what it does at most, and what each stage of the engine has to do at least.

Bytes are those that a stage reads and writes of its inputs and outputs, each once; of a radix sort with digits of eight
bits, in each of its passes. Arithmetic is counted from the equations, to two digits. What a way of computing something
keeps for itself is not counted: it is part of what is measured.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from benchmarks.cuda_measure import Clock, Cost, Fact, Limits, Row
from renderer.cuda.launch import launch
from renderer.cuda.program import Program

LIMITS = Program((str(Path(__file__).parent / "limits.cu"),))
THREADS = 256
CHAIN_FLOPS = 2 * 16 * 8
"""Of one thread and round, as in limits.cu."""

ALL_HARMONICS = 4 * 3 * 48
SHAPE = 4 * 17
"""Bytes of a Gaussian's parameters besides the harmonics."""
VALUES = 17 + 3 * 48
RECORD = 4 * 12
PROJECTED = RECORD + 4 + 4 + 8 + 4
TEMPORAL_WEIGHT, SLICED, COLORED, ON_SCREEN = 100, 250, 400, 200
"""Flops of a Gaussian: whether it is alive; its mean and covariance; its colour; its ellipse, record and tiles."""
BACKWARD_SHARE = 2.5
"""Of a projection's way back, which does the way there again."""
BLENDED, BLENDED_BACKWARD = 35, 80
"""Flops of a contribution to a pixel."""
ADAM_BYTES, ADAM_FLOPS = 28, 12
SSIM_FLOPS, SSIM_BACKWARD_FLOPS = 3 * (5 * 22 * 2 + 50), 3 * (3 * 22 * 2 + 15)


def measured(device: torch.device, clock: Clock, quads: int, blocks: int, rounds: int) -> Limits:
    """Those of a copy of ``quads`` float4 and of ``blocks`` blocks that multiply and add 8 x ``rounds`` times."""
    source, target = (torch.zeros(4 * quads, device=device) for _ in range(2))
    out = torch.empty(blocks * THREADS, device=device)

    def copy() -> None:
        launch(LIMITS, "copy_values", blocks, THREADS, source, target, quads)

    def multiply() -> None:
        launch(LIMITS, "multiply_add", blocks, THREADS, out, rounds, 0.5, 1.0)

    seconds = [1e-3 * clock.time(job).device for job in (copy, multiply)]
    return Limits(2 * source.nbytes / seconds[0], CHAIN_FLOPS * rounds * len(out) / seconds[1])


def limits(device: torch.device, clock: Clock) -> Limits:
    """Those of a GPU: of copying a GiB, in blocks for every multiprocessor 32 times over."""
    blocks = 32 * torch.cuda.get_device_properties(device).multi_processor_count
    return measured(device, clock, 1 << 26, blocks, 4096)


def limits_rows(found: Limits) -> Iterator[Row]:
    """As lines."""
    yield Row("copied", {"GB per second": found.bandwidth / 1e9})
    yield Row("multiplied and added, float32", {"Tflop per second": found.rate / 1e12})


def facts(device: torch.device) -> dict[str, Fact]:
    """The card and the versions of everything that a time depends on."""
    found: dict[str, Fact] = {"python": platform.python_version(), "torch": torch.__version__}
    found |= {"cuda of torch": str(torch.version.cuda), "cupy": _version("cupy")}
    if device.type != "cuda":
        return {"card": "none"} | found
    card = torch.cuda.get_device_properties(device)
    return {
        "card": card.name,
        "capability": f"{card.major}.{card.minor}",
        "multiprocessors": card.multi_processor_count,
        "memory GiB": round(card.total_memory / 2**30, 1),
        **_driver(),
        **found,
    }


def _version(name: str) -> str:
    """Of an installed package, whatever CUDA its distribution is named after."""
    names = metadata.packages_distributions().get(name, [])
    return metadata.version(names[0]) if names else "none"


def _driver() -> dict[str, Fact]:
    """From the driver's own tool, where it is."""
    fields = {"driver": "driver_version", "clock MHz, most": "clocks.max.sm", "power limit W": "power.limit"}
    command = ["nvidia-smi", f"--query-gpu={','.join(fields.values())}", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {"driver": "unknown"}
    return dict(zip(fields, (value.strip() for value in text.splitlines()[0].split(",")), strict=False))


@dataclass(frozen=True)
class Work:
    """What there is to do for a picture: ``gaussians``, of which ``drawn`` reach it, ``pairs`` of a tile and a splat,
    ``contributions`` to pixels before their rays end, ``pixels`` and ``tiles``."""

    gaussians: int
    drawn: int
    pairs: int
    contributions: float
    pixels: int
    tiles: int

    def facts(self) -> dict[str, Fact]:
        """For a line."""
        return {"drawn": self.drawn, "pairs": self.pairs, "contributions per pixel": self.contributions / self.pixels}


def sorting(count: int, bits: int, key: int, first_rows: bool = False, keys_kept: bool = True) -> Cost:
    """Of a sort of rows by keys of so many bytes, whether rows come in and keys go out or not."""
    passes = max(1, -(-bits // 8))
    moved = passes * (3 * key + 8) - (0 if first_rows else 4) - (0 if keys_kept else key)
    return Cost(count * moved)


def projecting(work: Work) -> Cost:
    """Slice, colour and project."""
    alive = SLICED + COLORED + ON_SCREEN
    return Cost(
        work.gaussians * (SHAPE + PROJECTED) + work.drawn * ALL_HARMONICS,
        work.gaussians * TEMPORAL_WEIGHT + work.drawn * alive,
    )


def projecting_backward(work: Work) -> Cost:
    """Gradients of all parameters are written, those of what is not drawn too."""
    read = SHAPE + ALL_HARMONICS + 2 * RECORD
    flops = BACKWARD_SHARE * (TEMPORAL_WEIGHT + SLICED + COLORED + ON_SCREEN)
    return Cost(work.gaussians * (4 + 4 * VALUES) + work.drawn * read, work.drawn * flops)


def listing(work: Work) -> Cost:
    """Sort by depth, sum up, write the pairs, and sort them by tile."""
    by_depth = sorting(work.drawn, 31, 4, keys_kept=False) + Cost(8 * work.gaussians)
    sums = Cost(20 * work.drawn)
    pairs = Cost(work.drawn * (RECORD + 8 + 4 + 4 + 4) + 6 * work.pairs)
    return by_depth + sums + pairs + sorting(work.pairs, (work.tiles - 1).bit_length(), 2, first_rows=True)


def blending(work: Work) -> Cost:
    """To colour, depth, opacity and the rays' ends."""
    return Cost(4 * work.pairs + RECORD * work.drawn + 24 * work.pixels, BLENDED * work.contributions)


def blending_backward(work: Work) -> Cost:
    """From the gradient of a colour to that of every record."""
    read = 4 * work.pairs + RECORD * work.drawn + (24 + 12) * work.pixels
    return Cost(read + RECORD * (work.gaussians + work.drawn), BLENDED_BACKWARD * work.contributions)


def comparing(pixels: int) -> Cost:
    """L1 and structural similarity, and what the way back needs."""
    return Cost(pixels * (24 + 36), pixels * SSIM_FLOPS)


def comparing_backward(pixels: int) -> Cost:
    """To the gradient of a picture."""
    return Cost(pixels * (24 + 36 + 12), pixels * SSIM_BACKWARD_FLOPS)


def updating(values: int) -> Cost:
    """Adam."""
    return Cost(ADAM_BYTES * values, ADAM_FLOPS * values)


def drawing(work: Work) -> Cost:
    """A picture."""
    return projecting(work) + listing(work) + blending(work)


def drawing_backward(work: Work) -> Cost:
    """From the gradient of its colour to those of all parameters."""
    return blending_backward(work) + projecting_backward(work)


def learning(work: Work) -> Cost:
    """A whole step."""
    compared = comparing(work.pixels) + comparing_backward(work.pixels)
    return drawing(work) + compared + drawing_backward(work) + updating(work.gaussians * VALUES)
