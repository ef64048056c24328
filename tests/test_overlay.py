"""Where generated views disagree with the scene: pictures and numbers of a distortion that is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from renderer.errors import InputError
from renderer.gaussians import Gaussians, gaussians_from_points
from renderer.scene import render
from renderer.slicing import slice_at
from renderer.splat import splat
from renderer.view import View
from tests.test_generated_term import clip, config, tiny_generated
from tests.tiny import camera_at, random_gaussians, tiny_dataset
from training.config import HEADS, DistortionConfig
from training.distortion import DistortionField
from training.gaussian_trainer import GaussianTrainer
from training.overlay import (
    disagreement,
    disagreement_pieces,
    distortion_overlay,
    image_displacement,
    row_over_time,
    time_slice,
)

CAMERA = camera_at(0.2, 80, 60)
BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def constant_field(**values: list[float]) -> DistortionField:
    """A field that adds the same everywhere."""
    field = DistortionField(DistortionConfig(enabled=True, space_nodes=4, width=4, channels=2), BOX, 4, 3, 0)
    with torch.no_grad():
        for name, last in zip(HEADS, field.parts[0].last, strict=True):  # type: ignore[union-attr, arg-type]
            if name in values:
                last.bias += torch.tensor(values[name])
    return field


def one_gaussian(*place: float) -> Gaussians:
    g = gaussians_from_points(
        torch.tensor([place]), torch.full((1, 3), 0.5), torch.tensor([0.5]), torch.tensor([0.2]), 1.0
    )
    return g.with_parameters({"opacities": torch.full((1, 1), 3.0)})


def test_an_overlay_is_the_length_of_the_change_where_something_is_drawn() -> None:
    g = random_gaussians(60)
    field = constant_field(positions=[0.03, 0.0, -0.04], left=[0.0, 0.1, 0.0, 0.0], scales=[0.2, 0.0, 0.0])
    with torch.no_grad():
        instant = slice_at(g, 0.5, torch.tensor(CAMERA.center, dtype=torch.float32))
        seen = splat(instant.splats, CAMERA).opacity.numpy() > 1e-3
    assert 0.2 < seen.mean() < 1
    for head, length in (("positions", 0.05), ("left", 0.1), ("right", 0.0), ("scales", 0.2)):
        overlay = distortion_overlay(g, field, CAMERA, 0.5, 0.5, head)  # type: ignore[arg-type]
        np.testing.assert_allclose(overlay[seen], length, rtol=1e-3, atol=1e-7)
        assert (overlay[~seen] == 0).all()


def test_an_overlay_weighs_the_changes_along_a_ray_as_the_scene_weighs_its_colours() -> None:
    g = random_gaussians(60)
    field = constant_field()
    with torch.no_grad():
        for p in field.parameters():
            p += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
        overlay = distortion_overlay(g, field, CAMERA, 0.5, 0.25, "positions")
        lengths = field(g.positions, 0.5, 0.25)["positions"].norm(dim=1)
        instant = slice_at(g, 0.5, torch.tensor(CAMERA.center, dtype=torch.float32))
        colors = lengths[instant.ids, None].repeat(1, 3)
        image = splat(replace(instant.splats, colors=colors), CAMERA, backend="reference")
    seen = image.opacity > 0.01
    expected = (image.color[..., 0] / image.opacity)[seen]
    torch.testing.assert_close(torch.from_numpy(overlay)[seen], expected, rtol=1e-3, atol=1e-5)


def test_the_displacement_is_where_the_distorted_point_is_seen() -> None:
    place, step = np.array([0.1, -0.05, 0.2]), np.array([0.04, -0.02, 0.03])
    g, field = one_gaussian(*place.tolist()), constant_field(positions=step.tolist())
    moved = image_displacement(g, field, CAMERA, 0.5, 0.5)
    (before, _), (after, _) = CAMERA.project(place[None]), CAMERA.project((place + step)[None])
    x, y = before[0].astype(int)
    np.testing.assert_allclose(moved[y, x], (after - before)[0], atol=1e-3)
    assert np.abs(moved[0, 0]).max() == 0  # nothing is drawn there


def test_a_turn_of_space_time_moves_what_is_seen_away_from_its_own_time() -> None:
    g = one_gaussian(0.0, 0.0, 0.0)
    g = g.with_parameters({"times": torch.full((1, 1), 0.2)})
    field = constant_field(left=[0.0, 0.0, 0.0, 0.3])
    assert np.abs(image_displacement(g, field, CAMERA, 0.2, 0.5)).max() < 1e-3
    assert np.abs(image_displacement(g, field, CAMERA, 0.5, 0.5)).max() > 0.5


def test_the_matrix_has_a_place_for_every_generated_picture() -> None:
    g, views = random_gaussians(40), tiny_generated(poses=3, frames=4)
    field = constant_field(positions=[0.0, 0.3, 0.0])
    thinned = replace(views, frames=[f for f in views.frames if (f.pose, f.frame) != (1, 2)])
    matrix = disagreement(g, field, thinned)
    assert matrix.shape == (3, 4)
    assert np.isnan(matrix[1, 2]) and np.isfinite(matrix).sum() == 11
    expected = distortion_overlay(g, field, views.cameras[2], 1 / 3, 1.0).mean()
    assert matrix[2, 1] == pytest.approx(expected)


def test_a_row_over_time_stacks_one_row_of_each_picture() -> None:
    images = np.random.default_rng(0).integers(0, 255, (4, 6, 5, 3), dtype=np.uint8)
    rows = row_over_time(lambda i: images[i], [2, 0, 3], 4)
    np.testing.assert_array_equal(rows, images[[2, 0, 3], 4])


def test_a_view_gets_the_overlay_that_it_asks_for_once_the_field_is_on() -> None:
    trainer = GaussianTrainer(clip(), config())
    view = View(CAMERA, 0.5, "distortion/positions", pose=2)
    assert trainer.draw(view).overlay is None  # warm-up
    trainer.done = 30
    with torch.no_grad():
        assert trainer.generated is not None and trainer.generated.field is not None
        trainer.generated.field.parts[0].last[0].bias += 0.1  # type: ignore[union-attr, index, operator]
    frame = trainer.draw(view)
    assert frame.overlay is not None and frame.overlay.shape == (60, 80) and frame.overlay_unit == "scene units"
    assert frame.overlay.max() == pytest.approx(0.1 * 3**0.5, rel=1e-3)
    np.testing.assert_array_equal(frame.color, trainer.draw(View(CAMERA, 0.5)).color)
    assert trainer.draw(View(CAMERA, 0.5)).overlay is None


def test_the_matrix_grows_picture_by_picture_into_the_whole() -> None:
    g, views = random_gaussians(40), tiny_generated(poses=3, frames=4)
    field = constant_field(positions=[0.0, 0.3, 0.0])
    pieces = list(disagreement_pieces(g, field, views))
    assert [np.isfinite(p.values).sum() for p in pieces] == list(range(13))
    assert [p.measured for p in pieces] == list(range(13)) and pieces[0].wanted == 12
    np.testing.assert_allclose(pieces[-1].times, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_array_equal(pieces[-1].values, disagreement(g, field, views))  # as small as they are
    half = pieces[6].values
    assert (np.isfinite(half).any(0)).all() and (np.isfinite(half).any(1)).all()


def test_a_quick_matrix_is_of_small_pictures_and_of_some_instants() -> None:
    g, views = random_gaussians(40), tiny_generated(poses=2, frames=7)
    field = constant_field(positions=[0.0, 0.3, 0.0])
    *_, quick = disagreement_pieces(g, field, views, most_pixels=300, most_instants=3)
    np.testing.assert_allclose(quick.times, [0, 0.5, 1])
    whole = disagreement(g, field, views)
    np.testing.assert_allclose(quick.values, whole[:, [0, 3, 6]], rtol=0.1)
    assert (quick.values != whole[:, [0, 3, 6]]).any()


def test_a_time_slice_shows_one_row_as_generated_and_as_rendered() -> None:
    trainer = GaussianTrainer(clip(), config())
    views = trainer.dataset.generated
    assert views is not None
    *waits, found = time_slice(trainer, 1, 0.3)
    assert waits == [None] * 4 and found is not None
    assert (found.pose, found.row) == (1, 9)
    np.testing.assert_allclose(found.times, [0, 1 / 3, 2 / 3, 1])
    for k, index in enumerate(views.of_pose(1)):
        np.testing.assert_array_equal(found.generated[k], views.read(index)[9])
        color = render(trainer.scene, View(views.cameras[1], views.frames[index].time)).color[9]
        np.testing.assert_allclose(found.rendered[k], np.clip(color, 0, 1) * 255, atol=0.51)


@pytest.mark.parametrize(("pose", "share", "sentence"), [(3, 0.5, "from 0 to 2"), (0, 1.5, "between 0 and 1")])
def test_a_time_slice_of_nothing_is_refused_at_once(pose: int, share: float, sentence: str) -> None:
    trainer = GaussianTrainer(clip(), config())
    with pytest.raises(InputError, match=sentence):
        time_slice(trainer, pose, share)


def test_a_time_slice_needs_generated_views() -> None:
    with pytest.raises(InputError, match="no generated views"):
        time_slice(GaussianTrainer(tiny_dataset(), config("4dgs")), 0)
