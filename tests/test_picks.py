"""Rays of checkpoints, beside those of the scene as it is now."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app import protocol as p
from renderer.scene import ray_distribution
from renderer.view import View
from tests.listening import Listener, listening, opened, train
from training.checkpoint import load_checkpoint


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Listener]:
    yield from listening(monkeypatch, tmp_path / "run")


def picked(listener: Listener, pick: p.Pick) -> p.Picked:
    listener.engine.send(pick)
    event = listener.until(p.Picked, lambda e: e.key == pick.key)
    assert isinstance(event, p.Picked)
    return event


def test_the_ray_of_a_checkpoint_is_that_of_its_scene_and_is_not_followed(listener: Listener, tmp_path: Path) -> None:
    view = View(opened(listener).home, 0.5)
    train(listener, 10)
    listener.engine.send(p.Save())
    listener.until(p.Saved)
    train(listener, 30)
    now, then = picked(listener, p.Pick(view, (20, 15), "now")), picked(listener, p.Pick(view, (20, 15), "then", 10))
    assert (now.step, then.step) == (30, 10)
    scene = load_checkpoint(tmp_path / "run", with_training=False, step=10).scene
    np.testing.assert_array_equal(then.ray.weights, ray_distribution(scene, view, (20, 15)).weights)
    assert not np.allclose(now.ray.composite, then.ray.composite)
    history = listener.until(p.PickedThroughTime, lambda e: e.key == "then")
    assert isinstance(history, p.PickedThroughTime) and history.history.step == 10
    row = history.history.weights[list(history.history.times).index(0.0)]
    ray = ray_distribution(scene, View(view.camera, 0.0), (20, 15))
    np.testing.assert_allclose(row, ray.histogram(history.history.edges))
    seen = len(listener.events)
    train(listener, 40)
    followed = {e.key for e in listener.events[seen:] if isinstance(e, p.Picked)}
    assert followed == {"now"}


def test_a_ray_of_a_checkpoint_that_is_gone_becomes_a_sentence(listener: Listener) -> None:
    view = View(opened(listener).home, 0.5)
    train(listener, 5)
    listener.engine.send(p.Pick(view, (20, 15), "then", 3))
    failed = listener.until(p.Failed)
    assert isinstance(failed, p.Failed) and not failed.detail
    assert picked(listener, p.Pick(view, (20, 15), "now")).step == 5
