"""Whole steps of training a field by kernels, run on the CPU, against the same steps by plain torch."""

from dataclasses import replace
from typing import Literal

import pytest

from tests.cuda_emulator import emulated, needs_emulator
from tests.test_field_trainer import CONFIG, trainer
from training.ddr_config import DdrConfig

pytestmark = needs_emulator


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "released"])
def test_a_field_learns_the_same_by_kernels(estimator: Literal["exact", "gumbel", "released"]) -> None:
    config = replace(CONFIG, ddr=DdrConfig(weight=0.1, empty=1e-4, estimator=estimator))
    plain, by_kernels = trainer(config), trainer(config)
    expected = [plain.step().loss for _ in range(5)]
    with emulated():
        found = [by_kernels.step().loss for _ in range(5)]
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != expected  # sums in another order: the kernels did run
