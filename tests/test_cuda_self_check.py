"""Kernels that a GPU treats otherwise than they are written are found before a scene is learned with them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from renderer.cuda.catalogue import programs
from renderer.cuda.launch import Argument, Grid, launched_by
from renderer.cuda.program import Program
from renderer.splat import SplatImage
from tests.cuda_fixtures import needs_emulator
from training import self_check

KERNELS = {name: parameters for program in programs() for name, parameters in program.kernels().items()}
UNUSED = {"blend_backward_pixels", "tile_pairs", "tile_starts"}
"""The way back that no run takes, and the lists of pictures of more than 4096 x 4096."""
MEASURING = {n for n, p in KERNELS.items() if any(q.written and q.dtype == torch.float32 for q in p)} - UNUSED
"""Kernels whose results are no mere places."""
Check = Callable[[torch.device, torch.dtype], dict[str, Tensor]]


def test_right_kernels_have_no_problem(kernels_on: torch.device) -> None:
    assert self_check.problem.__wrapped__(kernels_on) == ""


@contextmanager
def watched(before: Callable[..., Sequence[Argument]], after: Callable[..., None]) -> Iterator[None]:
    """Kernels run on the CPU; ``before`` gives their arguments, ``after`` sees what they have made of them."""
    from tests.cuda_emulator.launcher import Emulator

    class Watching:
        def launch(self, program: Program, kernel: str, grid: Grid, threads: int, given: Sequence[Argument]) -> None:
            given = before(kernel, given)
            Emulator().launch(program, kernel, grid, threads, given)
            after(kernel, given)

    with launched_by(Watching()):
        yield


@pytest.fixture(scope="module")
def tried() -> dict[str, Check]:
    """Which check runs each kernel; the last one that does."""
    found: dict[str, Check] = {}
    for check in self_check.CHECKS:
        with watched(lambda kernel, given: given, lambda kernel, given, c=check: found.update({kernel: c})):
            check(torch.device("cpu"), torch.float32)
    return found


@needs_emulator
def test_every_kernel_that_a_run_needs_is_tried(tried: dict[str, Check]) -> None:
    assert KERNELS.keys() - tried.keys() == UNUSED


@needs_emulator
@pytest.mark.parametrize("wrong", sorted(MEASURING | {"adam_step", "ray_contributions"}))
def test_a_wrong_kernel_is_a_problem(wrong: str, tried: dict[str, Check], monkeypatch: pytest.MonkeyPatch) -> None:
    """All numbers that it writes are 1 % too large, and all places those of the neighbour; Adam, which gets addresses,
    takes as much too much of each gradient."""
    names = [p.name for p in KERNELS[wrong]]

    def before(kernel: str, given: Sequence[Argument]) -> Sequence[Argument]:
        if kernel != wrong or "new_first" not in names:
            return given
        return [1.01 * a if name == "new_first" else a for name, a in zip(names, given, strict=True)]  # type: ignore[operator]

    def after(kernel: str, given: Sequence[Argument]) -> None:
        for parameter, a in zip(KERNELS[kernel], given, strict=True):
            if kernel == wrong and parameter.written and isinstance(a, Tensor):
                a.copy_(1.01 * a if a.dtype == torch.float32 else a.roll(1))

    monkeypatch.setattr(self_check, "CHECKS", (tried[wrong],))
    with watched(before, after):
        assert self_check.problem.__wrapped__(torch.device("cpu"))


@pytest.mark.parametrize(("share", "is_found"), [(1.01, True), (1.0001, False)])
def test_a_wrong_picture_is_a_problem(
    share: float, is_found: bool, monkeypatch: pytest.MonkeyPatch, emulate: None
) -> None:
    right = self_check.splat_gaussians

    def wrong(*arguments: Any) -> SplatImage:
        image = right(*arguments)
        return replace(image, color=share * image.color)

    monkeypatch.setattr(self_check, "splat_gaussians", wrong)
    said = self_check.problem.__wrapped__(torch.device("cpu"))
    assert ("differs from plain torch by" in said) == is_found == bool(said)


def test_what_cannot_be_run_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> SplatImage:
        raise RuntimeError("an illegal instruction was encountered\nand more")

    monkeypatch.setattr(self_check, "splat_gaussians", broken)
    said = self_check.problem.__wrapped__(torch.device("cpu"))
    assert said == "they cannot be run (RuntimeError: an illegal instruction was encountered)"


def test_a_gpu_whose_kernels_are_wrong_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from renderer.errors import InputError  # what needs more than torch and CuPy is loaded where it is needed
    from training import device as devices

    monkeypatch.setattr(devices, "_missing", lambda: "")
    monkeypatch.setattr(devices, "_wrong", lambda: "the colour differs from plain torch by 1 %")
    assert devices.pick_device("auto") == "cpu"
    assert "the colour differs" in caplog.text and "--device cpu" not in caplog.text
    with pytest.raises(InputError, match=r"--device cuda: .*the colour differs.*use --device cpu"):
        devices.pick_device("cuda")
    monkeypatch.setattr(devices, "_wrong", lambda: "")
    assert devices.pick_device("auto") == devices.pick_device("cuda") == "cuda"
