"""What tests of kernels share with pytest: where the kernels run. Loads torch only once a test asks."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

HAS_COMPILER = shutil.which("g++") is not None
needs_emulator = pytest.mark.skipif(not HAS_COMPILER, reason="the emulator needs g++")


def need(*packages: str) -> None:
    """Skip the test where one of these packages is not installed, as on a machine that only computes."""
    for package in packages:
        pytest.importorskip(package, exc_type=ImportError)


@pytest.fixture
def emulate(request: pytest.FixtureRequest) -> Iterator[None]:
    """Kernels run on the CPU, in an order of blocks and threads that the test's name decides: a kernel that needs a
    certain one fails in some test."""
    if not HAS_COMPILER:
        pytest.skip("the emulator needs g++")
    from tests.cuda_emulator.launcher import emulated

    drawn = zlib.crc32(request.node.name.encode())
    with emulated(("forward", "reversed", drawn)[drawn % 3]):
        yield


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.cuda)])
def kernels_on(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where tensors for kernels belong: the CPU, where an emulator runs them, and then a GPU."""
    import torch

    if request.param == "emulated":
        request.getfixturevalue("emulate")
    elif not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    yield torch.device("cpu" if request.param == "emulated" else "cuda")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, where only tests of a GPU are asked for, the files that have none: they may import what a machine
    that computes does not have."""
    if config.option.markexpr != "cuda" or not collection_path.match("test_*.py"):
        return None
    text = collection_path.read_text()
    return None if "kernels_on" in text or "mark.cuda" in text else True
