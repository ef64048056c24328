"""What the export panel begins, asks and forgets, without its widgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dearpygui.dearpygui")

from app import protocol as p
from app.exports.choices import Plan
from app.exports.plans import CameraExport, GaussianExport, VideoExport
from app.gui.desk import Desk
from app.gui.export.panel import ExportPanel
from app.gui.theme import Skin
from app.settings import Settings


class Section:
    """One of the panel's, in which a plan was chosen. ``agreed``: what a dialog has asked about."""

    def __init__(self, plan: Plan, agreed: object = "") -> None:
        self._plan, self.agreed = plan, str(agreed)

    def plan(self) -> Plan:
        return self._plan


class Bare(ExportPanel):
    """``asked``: files that would be replaced; ``sent``: what the engine was told; ``waiting``: jobs beside the
    loop, with who gets their result and who hears of their failure."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.asked: list[Sequence[Path]] = []
        self.sent: list[p.Command] = []
        self.waiting: list[tuple[Callable[[], Any], Callable[[Any], None], Callable[[], None]]] = []
        desk.send = self.sent.append
        desk.beside = lambda job, then, over=lambda: None: self.waiting.append((job, then, over))  # type: ignore
        self._question.ask = lambda files, then: self.asked.append(files)  # type: ignore[method-assign]

    def _tell_line(self, text: str) -> None:
        pass

    def begin(self, plan: Plan, agreed: object = "", route: Callable[[], Any] | None = None) -> None:
        self._ask("button", Section(plan, agreed), route)  # type: ignore[arg-type]


@pytest.fixture
def panel() -> Iterator[Bare]:
    desk = Desk(Skin(), Settings(), lambda settings: None)
    yield Bare(desk)
    desk.worker.close(5.0)


def files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"mine")
    return [folder / name for name in names]


def test_a_dialog_has_asked_about_its_one_file_only(panel: Bare, tmp_path: Path) -> None:
    cameras, picture, *numbered = files(tmp_path, "t.json", "images/00001.png", "a.ply", "a0001.ply", "a0002.ply")
    panel.begin(CameraExport(cameras, "transforms", pictures=True), agreed=cameras)
    panel.begin(GaussianExport(numbered[0], "ply", frames=3), agreed=numbered[0])
    assert panel.asked == [[picture], numbered[1:]] and not panel.sent
    panel.begin(CameraExport(cameras, "transforms"), agreed=cameras)
    assert len(panel.asked) == 2 and len(panel.sent) == 1
    panel.begin(CameraExport(cameras, "transforms"), agreed=numbered[0])
    assert panel.asked[2:] == [[cameras]]


@pytest.mark.parametrize("ends", ["with its views", "without"])
def test_a_cancelled_video_does_not_begin_under_the_next_export_s_name(panel: Bare, tmp_path: Path, ends: str) -> None:
    panel.begin(VideoExport(tmp_path / "a.mp4", ()), route=lambda: ())
    panel.cancel()
    panel.handle(p.ExportProgress(0, 1, cancelled=True))
    scene = p.Export(GaussianExport(tmp_path / "a.ply"))
    panel.begin(scene.plan)
    (job, then, over), *_ = panel.waiting
    if ends == "without":
        over()
    else:
        then(job())
    assert panel.sent == [p.CancelExport(), scene]
    assert panel._running is not None and panel._running.plan == scene.plan
