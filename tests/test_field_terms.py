"""NSFF's terms on a field whose values are put there by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from renderer.field.march import Marched, march, rays_through
from renderer.field.model import FieldShape, RadianceField
from tests.tiny import camera_at, tiny_dataset
from training.config import PRESETS, resolved
from training.ddr_config import TermsConfig
from training.field_scene import scene_space
from training.field_terms import (
    Neighbour,
    RayTargets,
    SceneTerms,
    cycle_error,
    decay,
    fetched,
    flow_error,
    roughness_along_rays,
    warped_error,
)

PIXELS = torch.tensor([[20, 15], [5, 4], [33, 22]])
SHAPE = FieldShape(nodes=(8, 8, 8), time_nodes=4, levels=(1,), channels=4, width=16, proposal_nodes=8, views=False)


def marched() -> tuple[RadianceField, Marched]:
    dataset = tiny_dataset()
    config = resolved(replace(PRESETS["ddr"], steps=10), "cpu")
    torch.manual_seed(0)
    field = RadianceField(SHAPE, scene_space(dataset, config.field), 4)
    with torch.no_grad():
        for p in field.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return field, march(field, rays_through(camera_at(0.0), PIXELS, 0.0), 16, 12)


def still(m: Marched) -> Marched:
    """The same without any scene flow, and nothing hidden."""
    dynamic = replace(m.dynamic, flow=torch.zeros_like(m.dynamic.flow), hidden=torch.zeros_like(m.dynamic.hidden))
    return replace(m, dynamic=dynamic)


def neighbour(angle: float = 0.0, flow: torch.Tensor | None = None) -> Neighbour:
    camera = camera_at(angle)
    pose = torch.tensor(camera.world_to_camera, dtype=torch.float32)
    return Neighbour(1, 0.0, camera, pose, None, torch.zeros(3, 2) if flow is None else flow, torch.ones(3).bool())


def test_a_scene_that_stands_still_has_the_flow_of_the_cameras_motion() -> None:
    field, m = marched()
    m = still(m)
    there = fetched(field, m, neighbour(0.1))
    w = m.weights.dynamic / m.weights.dynamic.sum(1, keepdim=True)
    mean = (w[..., None] * m.samples.places.view(3, -1, 3)).sum(1)
    pixels, _ = camera_at(0.1).project(field.space.unfold(mean).detach().double().numpy())
    flow = torch.tensor(pixels, dtype=torch.float32) - (PIXELS + 0.5)
    assert float(flow.abs().max()) > 0.3
    assert float(flow_error(field, m, there, PIXELS, neighbour(0.1, flow)).detach()) < 0.01
    wrong = flow_error(field, m, there, PIXELS, neighbour(0.1, flow + torch.tensor([2.0, 0.0])))
    assert float(wrong) == pytest.approx(2 * 512 / 40, rel=1e-3)  # in pixels of a picture 512 wide


def test_a_frame_fetched_without_motion_is_the_same_frame() -> None:
    field, m = marched()
    m = still(m)
    there = fetched(field, m, neighbour())
    color = m.color_alone("dynamic").detach()
    assert float(warped_error(there, color)) < 1e-10
    assert float(warped_error(there, color + 0.1)) == pytest.approx(0.01, rel=1e-4)


def test_flows_there_and_back_cancel_or_are_penalised() -> None:
    field, m = marched()
    there = fetched(field, still(m), neighbour())
    opposite = torch.zeros_like(m.dynamic.flow)
    opposite[:, 1] = -there.values.flow[:, 0].detach()
    assert float(cycle_error(replace(m, dynamic=replace(m.dynamic, flow=opposite)), there, 1)) < 1e-9
    assert float(cycle_error(m, there, 1)) > 1e-6


def test_what_moves_is_not_asked_of_the_static_part() -> None:
    _, m = marched()
    terms = SceneTerms(replace(TermsConfig(), blend=0, dynamic=0, static=1.0), 0)
    color = m.color_alone("static").detach()
    color[0] += 0.5
    moving = torch.tensor([True, False, False])
    assert float(terms.photometric(m, RayTargets(color, moving, PIXELS))) < 1e-10
    assert float(terms.photometric(m, RayTargets(color, ~moving, PIXELS))) == pytest.approx(0.25, rel=1e-4)


def test_equal_flow_along_a_ray_is_smooth() -> None:
    _, m = marched()
    flow = torch.ones(3, 1, 2, 3).expand(3, 12, 2, 3).reshape(36, 2, 3)
    assert float(roughness_along_rays(replace(m, dynamic=replace(m.dynamic, flow=flow)))) == 0
    assert float(roughness_along_rays(m)) > 0


@pytest.mark.parametrize(("step", "per_decay", "expected"), [(0, 10, 1.0), (10, 10, 0.1), (25, 10, 0.01), (99, 0, 1.0)])
def test_weights_fall_to_a_tenth_after_so_many_steps(step: int, per_decay: int, expected: float) -> None:
    assert decay(step, per_decay) == pytest.approx(expected)


def test_every_term_can_be_left_out_and_each_adds_something() -> None:
    field, m = marched()
    targets = RayTargets(torch.full((3, 3), 0.3), torch.tensor([True, False, True]), PIXELS)
    to = neighbour(0.1, torch.ones(3, 2))
    none = TermsConfig(**{name: 0.0 if name != "decay" else 0 for name in vars(TermsConfig())})

    def total(config: TermsConfig) -> float:
        terms = SceneTerms(config, 0)
        with torch.no_grad():
            return float(terms.photometric(m, targets) + terms.parts(m) + terms.motion(field, m, targets, to, 0))

    assert total(none) == 0
    for name in vars(none):
        if name != "decay":
            assert np.isfinite(total(replace(none, **{name: 1.0})))
            assert total(replace(none, **{name: 1.0})) != 0, name
