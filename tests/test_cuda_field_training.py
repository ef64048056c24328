"""Whole steps of training a field by kernels, run on the CPU, against the same steps by plain torch."""

from collections import Counter
from dataclasses import replace
from typing import Any, Literal

import pytest

from renderer.cuda.program import Program
from tests.cuda_emulator import emulated, needs_emulator
from tests.cuda_emulator.launcher import Emulator
from tests.test_field_trainer import CONFIG, trainer
from training.ddr_config import DdrConfig

pytestmark = needs_emulator


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "released"])
def test_a_field_learns_the_same_by_kernels(
    estimator: Literal["exact", "gumbel", "released"], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: Counter[str] = Counter()
    launch = Emulator.launch

    def counted(self: Emulator, program: Program, kernel: str, *rest: Any) -> None:
        ran[kernel] += 1
        launch(self, program, kernel, *rest)

    monkeypatch.setattr(Emulator, "launch", counted)
    config = replace(CONFIG, ddr=DdrConfig(weight=0.1, empty=1e-4, estimator=estimator))
    plain, by_kernels = trainer(config), trainer(config)
    expected = [plain.step().loss for _ in range(5)]
    with emulated():
        found = [by_kernels.step().loss for _ in range(5)]
    assert found == pytest.approx(expected, rel=1e-5)
    assert ran["composite"] == ran["composite_backward"] == 5  # in every step, though sums may round alike
