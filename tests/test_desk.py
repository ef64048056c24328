"""What panels share: what the window remembers, and jobs beside its loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("dearpygui.dearpygui")

from app.gui.desk import Desk
from app.gui.theme import Skin
from app.settings import Settings
from renderer.errors import InputError


class Disk:
    """Takes settings, one at a time, when it may."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.taken: list[Settings] = []

    def save(self, settings: Settings) -> str | None:
        self.free.wait(5.0)
        self.taken.append(settings)
        return None


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def desk(disk: Disk) -> Iterator[Desk]:
    desk = Desk(Skin(), Settings(), disk.save)
    yield desk
    disk.free.set()
    desk.worker.close(5.0)


def polled(desk: Desk) -> None:
    """Until every job has ended and was heard of."""
    end = time.monotonic() + 5.0
    while desk.worker.pending:
        assert time.monotonic() < end, "the jobs never ended"
        desk.worker.poll()
        time.sleep(0.001)


def test_what_is_dragged_is_written_a_few_times_and_the_last_value_always(desk: Desk, disk: Disk) -> None:
    for side in range(300, 400):
        desk.remember(side=side)
    assert desk.settings.side == 399, "everybody knows at once"
    disk.free.set()
    polled(desk)
    assert len(disk.taken) <= 2 and disk.taken[-1].side == 399


def test_what_is_changed_while_it_is_written_is_written_after_it(desk: Desk, disk: Disk) -> None:
    desk.remember(side=300)
    end = time.monotonic() + 5.0
    while desk._keeping and time.monotonic() < end:  # until the job has begun
        time.sleep(0.001)
    desk.remember(side=301)
    disk.free.set()
    desk.worker.close(5.0)
    assert [settings.side for settings in disk.taken] == [300, 301], "also where nobody polls any more"


def test_keys_are_worked_out_anew_only_where_they_have_changed(desk: Desk) -> None:
    before = desk.keys
    desk.remember(side=300)
    assert desk.keys is before
    desk.remember(keys={"time.play": "P"})
    assert desk.keys.keys_of("time.play") == ("P",)
    swapped = desk.keys
    desk.remember(fly_swapped=True)
    assert desk.keys is not swapped and desk.keys.keys_of("fly.up") == ("Q",)


@pytest.mark.parametrize(
    ("problem", "said"),
    [(InputError("Choose another folder"), "Choose another folder"), (KeyError("x"), "did not work: KeyError")],
)
def test_who_waits_for_a_job_that_fails_hears_that_it_is_over(desk: Desk, problem: Exception, said: str) -> None:
    over: list[str] = []

    def job() -> None:
        raise problem

    desk.beside(job, lambda _: over.append("done"), lambda: over.append("over"))
    polled(desk)
    assert over == ["over"] and said in desk.log[-1].text and desk.log[-1].level == "error"
