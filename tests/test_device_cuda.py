"""What tests/test_device.py holds of a graphics card that is not there, of one that is."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from tests.cuda_fixtures import need

CARD = torch.device("cuda")
PACKAGES = (
    "cv2", "imageio", "imageio_ffmpeg", "matplotlib", "PIL", "psutil", "safetensors", "scipy", "tqdm", "tyro"
)  # fmt: skip
"""Beside those of docs/cuda.md, what training and the command line import."""
CASES = ["4dgs", "4dgs with depth", "sparsecam4d", "sparsecam4d-released", "ddr", "ddr-released"]


@pytest.fixture
def pretended() -> ModuleType:
    """The other file; a machine that only computes may lack packages that it needs."""
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    need(*PACKAGES)
    from tests import test_device

    return test_device


@pytest.mark.cuda
@pytest.mark.parametrize("name", CASES)
def test_a_step_waits_for_nothing(pretended: ModuleType, name: str) -> None:
    data, config = pretended.case(name)
    config = pretended.with_changes(config, {"densify.interval": 1000})
    trainer = pretended.make_trainer(data, config, device=CARD)
    for _ in range(3):
        trainer.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        reports = [trainer.step() for _ in range(5)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(report.loss == report.loss for report in reports)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["4dgs", "4dgs with depth", "sparsecam4d"])
def test_learning_there_gives_the_numbers_of_learning_here(pretended: ModuleType, name: str) -> None:
    data, config = pretended.case(name)
    there, here = pretended.make_trainer(data, config, device=CARD), pretended.make_trainer(data, config)
    assert pretended.steps(there, 5) == pytest.approx(pretended.steps(here, 5), rel=2e-3)
    assert abs(len(there.scene) - len(here.scene)) <= 2


@pytest.mark.cuda
def test_a_picture_of_a_run_is_what_the_cpu_shows(pretended: ModuleType) -> None:
    data, config = pretended.case("sparsecam4d")
    kept = pretended.make_trainer(data, config).checkpoint()
    here, there = (pretended.make_trainer(data, config, kept, device) for device in (torch.device("cpu"), CARD))
    view = pretended.View(data.shots[0].camera, data.shots[0].time)
    color = [torch.tensor(trainer.draw(view).color) for trainer in (here, there)]
    torch.testing.assert_close(*color, atol=1e-4, rtol=1e-3)
