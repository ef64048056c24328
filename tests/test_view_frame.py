"""A Frame whose planes are on a device: what is copied, when, and what stays where it is."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from renderer import view as view_module
from renderer.view import Frame, Planes, View
from tests.tiny import camera_at

H, W = 6, 9
VIEW = View(camera_at(0, W, H), 0.25, "dynamic")


def planes(device: str = "cpu", overlay: bool = True) -> Planes:
    """Planes of random values. In the host's memory they stand in for those of a GPU, which nothing tells apart here:
    a frame that they are given to directly copies them as it copies a GPU's."""
    rng = torch.Generator().manual_seed(3)
    color, *rest = (torch.rand(*shape, generator=rng).to(device) for shape in ((H, W, 3), (H, W), (H, W), (H, W)))
    return Planes(color, rest[0], rest[1], rest[2] if overlay else None)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of what is copied to the host."""
    found: list[tuple[int, ...]] = []
    original = view_module.on_host

    def counted(tensors):  # type: ignore[no-untyped-def]
        found.extend(tuple(t.shape) for t in tensors)
        return original(tensors)

    monkeypatch.setattr(view_module, "on_host", counted)
    yield found


def test_each_plane_is_copied_once_and_not_before_it_is_read(copies: list[tuple[int, ...]]) -> None:
    given = planes()
    frame = Frame.in_planes(VIEW, given, version=7, overlay_unit="s")
    assert (frame.version, frame.overlay_unit, frame.view, frame.shape) == (7, "s", VIEW, (H, W))
    assert copies == []
    for _ in range(2):
        np.testing.assert_array_equal(frame.color, given.color.numpy())
    assert copies == [(H, W, 3)]
    assert frame.color is frame.color
    np.testing.assert_array_equal(frame.depth, given.depth.numpy())
    np.testing.assert_array_equal(frame.opacity, given.opacity.numpy())
    np.testing.assert_array_equal(frame.overlay, given.overlay.numpy())  # type: ignore[arg-type, union-attr]
    assert copies == [(H, W, 3), (H, W), (H, W), (H, W)]


def test_the_copies_are_the_frames_own_and_neither_they_nor_the_frame_can_be_changed() -> None:
    given = planes()
    frame = Frame.in_planes(VIEW, given)
    before = frame.color.copy()
    given.color.zero_()
    np.testing.assert_array_equal(frame.color, before)
    with pytest.raises(ValueError, match="read-only"):
        frame.color[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        frame.color = before  # type: ignore[misc]


def test_a_lazy_frame_answers_as_one_of_arrays() -> None:
    given = planes()
    lazy = Frame.in_planes(VIEW, given)
    whole = Frame(VIEW, given.color.numpy(), given.depth.numpy(), given.opacity.numpy(), 0, given.overlay.numpy())  # type: ignore[union-attr]
    assert isinstance(lazy, Frame)
    assert whole.shape == lazy.shape == (H, W)
    np.testing.assert_array_equal(lazy.expected_depth(), whole.expected_depth())
    assert Frame.in_planes(VIEW, planes(overlay=False)).overlay is None


def test_what_replaces_something_in_a_frame_shows_it_and_forgets_the_device() -> None:
    lazy = Frame.in_planes(VIEW, planes(), 3, "m")
    other = np.ones((H, W, 3), np.float32)
    changed = replace(lazy, color=other)
    assert changed.planes is None
    assert changed.color is other
    assert (changed.version, changed.overlay_unit) == (3, "m")
    np.testing.assert_array_equal(changed.depth, lazy.depth)


def test_another_overlay_copies_nothing(copies: list[tuple[int, ...]]) -> None:
    lazy = Frame.in_planes(VIEW, planes(overlay=False), 3)
    array = np.full((H, W), 2, np.float32)
    with_array, with_tensor = lazy.with_overlay(array, "m"), lazy.with_overlay(torch.full((H, W), 5.0), "s")
    assert copies == []
    for frame, unit in ((with_array, "m"), (with_tensor, "s")):
        assert (frame.version, frame.overlay_unit) == (3, unit)
        assert frame.planes is not None and lazy.planes is not None
        assert frame.planes.color is lazy.planes.color
    assert with_array.overlay is array and with_array.planes.overlay is None  # type: ignore[union-attr]
    np.testing.assert_array_equal(with_tensor.overlay, np.full((H, W), 5))  # type: ignore[arg-type]
    assert with_tensor.with_overlay(None).overlay is None


def test_tensors_in_the_hosts_memory_become_arrays_without_a_copy() -> None:
    given = planes()
    frame = Frame.from_device(VIEW, given.color.requires_grad_(), given.depth.double(), given.opacity, 4)
    assert frame.planes is None and frame.overlay is None and frame.version == 4
    assert frame.color.ctypes.data == given.color.data_ptr()
    assert frame.depth.dtype == np.float32
    overlaid = frame.with_overlay(torch.zeros(H, W), "m")
    assert overlaid.overlay is not None and overlaid.overlay_unit == "m"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_copy_waits_for_the_drawing_but_not_for_what_is_queued_after_it() -> None:
    given = planes()
    source = given.color.cuda()
    torch.cuda.synchronize()
    torch.cuda._sleep(20_000_000)  # the drawing
    frame = Frame.from_device(VIEW, source * 2, given.depth.cuda(), given.opacity.cuda())
    after = torch.cuda.Event()
    torch.cuda._sleep(2_000_000_000)  # about a second of training
    after.record()
    np.testing.assert_array_equal(frame.color, 2 * given.color.numpy())
    assert not after.query(), "the copy waited for the training"
    after.synchronize()
