"""Kernels that a GPU treats otherwise than they are written are found before a scene is learned with them."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from renderer.cuda import self_check
from renderer.splat import SplatImage


def test_right_kernels_have_no_problem(kernels_on: torch.device) -> None:
    assert self_check.problem.__wrapped__(kernels_on) == ""


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
