"""The fused Adam against torch's."""

from typing import Any

import pytest
import torch

from renderer.cuda.adam import CHUNK, FusedAdam
from renderer.cuda.launch import launched_by
from renderer.gaussians import Gaussians
from tests.cuda_emulator import NullLauncher, emulated, needs_emulator
from tests.cuda_fixtures import need

SHAPES = [(5, 3), (5, 1), (5, 47, 3), (5,), (1,), (), (CHUNK + 3, 2)]
RATES = (1e-2, 3e-3)


def leaves(device: torch.device, dtype: torch.dtype = torch.float32, rows: int | None = None) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = SHAPES if rows is None else [(rows, 3), (rows, 1), (rows, 7, 3), (rows,)]
    return [torch.randn(s, generator=generator).to(device, dtype).requires_grad_() for s in shapes]


def give_gradients(parameters: list[torch.Tensor], step: int) -> None:
    """Of very different sizes; some are zero."""
    generator = torch.Generator().manual_seed(step + 1)
    for k, p in enumerate(parameters):
        size = torch.randn(p.shape, generator=generator) * 10.0 ** (k % 5 - 3)
        p.grad = torch.where(torch.rand(p.shape, generator=generator) < 0.2, 0, size).to(p)


def groups_of(parameters: list[torch.Tensor]) -> list[dict[str, object]]:
    return [{"params": [p], "lr": RATES[k % 2], "name": str(k)} for k, p in enumerate(parameters)]


def apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.cpu().double() - expected).norm() / expected.norm().clamp(min=1e-30))


def test_five_steps_are_those_of_torch(kernels_on: torch.device) -> None:
    fused, plain = leaves(kernels_on), leaves(torch.device("cpu"), torch.float64)
    starts = [p.detach().clone() for p in plain]
    mine, theirs = FusedAdam(groups_of(fused)), torch.optim.Adam(groups_of(plain), eps=1e-15)
    for step in range(5):
        for adam in (mine, theirs):
            adam.param_groups[0]["lr"] = 1e-2 * 0.7**step
        give_gradients(fused, step)
        give_gradients(plain, step)
        mine.step()
        theirs.step()
    for p, q, start in zip(fused, plain, starts, strict=True):
        assert apart(p.detach().cpu().double() - start, (q - start).detach()) < 2e-5
        assert mine.state[p].keys() == theirs.state[q].keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert float(mine.state[p]["step"]) == 5
        for moment in ("exp_avg", "exp_avg_sq"):
            assert apart(mine.state[p][moment], theirs.state[q][moment]) < 2e-6


def test_rows_that_are_not_visible_stay_as_they_are_with_their_moments(kernels_on: torch.device) -> None:
    rows = 700  # of several blocks
    fused, plain = leaves(kernels_on, rows=rows), leaves(torch.device("cpu"), torch.float64, rows=rows)
    mine = FusedAdam(groups_of(fused))
    m = [torch.zeros_like(p) for p in plain]
    v = [torch.zeros_like(p) for p in plain]
    for step in range(4):
        visible = (torch.rand(rows, generator=torch.Generator().manual_seed(step)) < 0.5).int() * 9
        visible[0] = -1
        give_gradients(fused, step)
        before = [p.detach().clone() for p in fused]
        mine.step(visible=visible.to(kernels_on))
        for k, (p, q) in enumerate(zip(fused, plain, strict=True)):
            assert p.grad is not None
            g, seen = p.grad.cpu().double(), visible > 0
            m[k][seen] = 0.9 * m[k][seen] + 0.1 * g[seen]
            v[k][seen] = 0.999 * v[k][seen] + 0.001 * g[seen] ** 2
            change = (m[k] / (1 - 0.9 ** (step + 1))) / ((v[k] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-15)
            q.data[seen] -= (RATES[k % 2] * change)[seen]
            assert torch.equal(p.detach()[~seen], before[k][~seen])
            assert apart(p.detach(), q.detach()) < 1e-6
            assert apart(mine.state[p]["exp_avg"], m[k].detach()) < 1e-6
            assert apart(mine.state[p]["exp_avg_sq"], v[k].detach()) < 1e-6


def test_where_all_rows_are_visible_it_is_plain_adam(kernels_on: torch.device) -> None:
    found = []
    for visible in (None, torch.ones(9, dtype=torch.int32, device=kernels_on)):
        fused = leaves(kernels_on, rows=9)
        adam = FusedAdam(groups_of(fused))
        give_gradients(fused, 0)
        adam.step(visible=visible)
        found.append(fused)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_parameters_without_gradient_or_values_are_left_out(kernels_on: torch.device) -> None:
    a, b, empty = (torch.ones(n, 2, device=kernels_on).requires_grad_() for n in (3, 3, 0))
    adam = FusedAdam([{"params": [a, b, empty]}], lr=0.1)
    adam.step()
    assert torch.equal(a, torch.ones_like(a))
    b.grad, empty.grad = torch.ones_like(b), torch.ones_like(empty)
    adam.step()
    assert torch.equal(a, torch.ones_like(a)) and a not in adam.state
    torch.testing.assert_close(b, torch.full_like(b, 0.9))


def test_gradients_and_values_may_lie_anywhere(kernels_on: torch.device) -> None:
    room = torch.arange(22.0, device=kernels_on)
    p = room[1:].view(7, 3).requires_grad_()  # not at a multiple of 16 bytes
    q = torch.arange(1.0, 22.0).view(7, 3).double().requires_grad_()
    gradient = torch.linspace(-1, 1, 21).view(3, 7).T
    p.grad, q.grad = gradient.to(kernels_on), gradient.double()
    assert not p.grad.is_contiguous()
    FusedAdam([p], lr=0.1).step()
    torch.optim.Adam([q], lr=0.1, eps=1e-15).step()
    assert apart(p.detach(), q.detach()) < 1e-6


def test_rows_that_do_not_fit_are_refused() -> None:
    p = torch.ones(4, 2, requires_grad=True)
    p.grad = torch.ones_like(p)
    with pytest.raises(ValueError, match="expected 5 rows"):
        FusedAdam([p]).step(visible=torch.ones(5, dtype=torch.int32))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (torch.ones(4, 2, dtype=torch.float64), "of torch.float64 and its gradient of torch.float64"),
        (torch.ones(2, 4).T, "not contiguous"),
        (torch.empty(2**31, device="meta"), "2,147,483,648 values"),
    ],
)
def test_what_the_kernel_cannot_read_is_refused(values: torch.Tensor, complaint: str) -> None:
    p = torch.nn.Parameter(values)
    p.grad = torch.empty_like(p)
    adam = FusedAdam([p])
    with launched_by(NullLauncher()), pytest.raises(ValueError, match=complaint):
        adam.step()
    assert not adam.state


@needs_emulator
def test_it_is_equal_in_every_order() -> None:
    found = []
    for order in ("forward", "reversed", 3):
        fused = leaves(torch.device("cpu"))
        adam = FusedAdam(groups_of(fused))
        give_gradients(fused, 0)
        with emulated(order):
            adam.step()
        found.append(fused)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def scene(device: torch.device, count: int = 6) -> Gaussians:
    generator = torch.Generator().manual_seed(3)
    shapes = {"positions": 3, "times": 1, "scales": 3, "time_scales": 1, "left": 4, "right": 4, "opacities": 1}
    values = {name: torch.randn(count, n, generator=generator) for name, n in shapes.items()}
    values |= {"sh_dc": torch.randn(count, 1, 3), "sh_rest": torch.zeros(count, 47, 3)}
    return Gaussians(**{name: value.to(device) for name, value in values.items()})


def test_a_scene_is_learned_edited_and_resumed_with_it(
    kernels_on: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("cv2", "imageio_ffmpeg", "safetensors", "scipy")
    from training.optimizer import GaussianOptimizer, LearningRates

    if kernels_on.type == "cpu":  # what the optimiser does by itself where the scene is on a GPU

        def fused_adam(groups: list[dict[str, object]], eps: float, fused: bool) -> FusedAdam:
            return FusedAdam(groups, eps=eps)

        monkeypatch.setattr(torch.optim, "Adam", fused_adam)
    learner = GaussianOptimizer(scene(kernels_on), LearningRates(), 1.0)
    assert isinstance(learner._adam, FusedAdam)

    def step(target: Any) -> None:
        sum(value.square().sum() for value in target.gaussians.parameters.values()).backward()
        target.step(0.3)

    step(learner)
    learner.keep(torch.tensor([0, 2, 3], device=kernels_on))
    learner.append({name: value.detach()[:1] for name, value in learner.gaussians.parameters.items()})
    resumed = GaussianOptimizer(learner.gaussians, LearningRates(), 1.0)
    moments = learner.moments()
    assert moments["positions.exp_avg"].shape == (4, 3)
    assert moments["positions.exp_avg"][:3].all() and not moments["positions.exp_avg"][3].any()
    resumed.load_moments({name: value.to(kernels_on) for name, value in moments.items()})
    step(learner)
    step(resumed)
    for name, value in learner.gaussians.parameters.items():
        assert torch.equal(value, resumed.gaussians.parameters[name])
        assert float(resumed.moments()[f"{name}.step"]) == 2
