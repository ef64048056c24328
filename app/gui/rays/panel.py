"""Rays: how the weights of a picked pixel spread over depth, the same through time, kept rays, and rows of rays."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.gui.desk import Desk
from app.gui.panel import Panel
from app.gui.rays.files import RayFiles
from app.gui.rays.pins import PinSection
from app.gui.rays.row import RowSection, same_view
from app.gui.rays.section import RaySection
from app.gui.rays.through_time import TimeSection
from app.gui.stage import Pressed, Spot
from app.gui.widgets.depth_axis import DepthAxis
from app.pins import RGB, Pin, PinBoard, Reading, bare, found
from app.ray_report import RayReport

RENEW = 0.2
"""Seconds between two changes of the plots."""
HISTORY_OFTEN, HISTORY_SHARE = 5.0, 10
"""Seconds until a ray is read over the clip again while training at least, and how many times as long as that takes."""
MARK = (1.0, 0.76, 0.25)
ONLY_SCENE = "Only the scene has rays with weights along them, a picture has none."


class RayPanel(Panel):
    """``reading``: the ray that is shown."""

    title = "Rays"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.reading: Reading | None = None
        self._pick: p.Pick | None = None
        self._axis: DepthAxis | None = None
        self._board, self._files = PinBoard(lambda command: desk.send(command)), RayFiles(desk)
        self._ray = RaySection(desk, self.pin, self._export)
        self._time, self._row = TimeSection(desk, self._files), RowSection(desk, self._files)
        self._pins = PinSection(desk, self._board, self._go, self._files)
        self._stale, self._seen, self._shown_at = False, -1, 0.0
        self._unshown = False  # what has changed is shown once the panel is in front
        self._running, self._step = False, 0
        self._history_asked, self._history_due = 0.0, float("inf")
        desk.history.track("pins", lambda: self._board.pins, self._board.set)

    def build(self) -> None:
        """The sections, in the current container."""
        sections = (
            ("ray", "Ray", self._ray.build),
            ("time", "The same ray through time", self._time.build),
            ("pins", "Pinned rays", self._pins.build),
            ("row", "A row of rays from above", self._row.build),
        )
        with dpg.group(tag="rays_panel"):
            for name, label, build in sections:
                with dpg.collapsing_header(label=label, default_open=True, tag=f"section {name}"):
                    build()

    # ------------------------------------------------------------------------------------ what happened

    def handle(self, event: p.Event) -> None:
        """Something has happened in the engine."""
        match event:
            case p.Opened():
                self.closed()
                self._axis, self._running = DepthAxis(*event.depths), False
                self._pins.opened(self._axis, event.checkpoints)
                self._trained(event.step)
            case p.Picked():
                self._picked(event)
            case p.PickedThroughTime():
                self._picked_through_time(event)
            case p.LinePicked():
                self._row.answered(event)
            case p.Saved():
                self._pins.checkpoints = event.checkpoints
            case p.Started():
                self._running = True
            case p.Progress():
                self._trained(event.step)
            case p.Paused() | p.Finished():
                self._running = False
                self._trained(event.step)
            case p.Failed():
                self._row.failed()

    def closed(self) -> None:
        """The scene was closed: forget its rays."""
        self.reading = self._pick = None
        self._board.forget()
        self.desk.history.forget("pins")
        self._ray.clear()
        self._time.show(None)
        self._row.clear()
        self._stale = True

    def _trained(self, step: int) -> None:
        self._step = self._row.step = step

    def _picked(self, event: p.Picked) -> None:
        opened, ray = self.desk.stage.opened, event.ray
        if opened is None:
            return
        x, y = ray.pixel
        report = RayReport(
            f"pixel {x},{y} · time {ray.view.time:.3f} · step {event.step:,}",
            ray,
            *opened.depths,
            samples=event.samples,
            temperature=event.temperature,
            kind="Gaussian" if opened.model == "gaussians" else "sample",
        )
        reading = Reading(report, event.step)
        if event.key:
            self._board.answered(event.key, reading)
        elif self._pick is not None and (ray.view, ray.pixel) == (self._pick.view, self._pick.pixel):
            self.reading = reading
        self._stale = True

    def _picked_through_time(self, event: p.PickedThroughTime) -> None:
        pick, history = self._pick, event.history
        if event.key or pick is None or (history.view, history.pixel) != (pick.view, pick.pixel):
            return
        now = time.monotonic()
        self._history_due = now + max(HISTORY_OFTEN, HISTORY_SHARE * (now - self._history_asked))
        self._time.show(history)

    # ------------------------------------------------------------------------------------- once per frame

    def tick(self, now: float) -> None:
        """Clicks, lines, and what has become old."""
        while self.desk.stage.clicks:
            self._clicked(self.desk.stage.clicks.popleft())
        self._row.tick(now)
        self._time.tick()
        self._ray.tick()
        self._read_again(now)
        if (self._stale or self._board.version != self._seen) and now - self._shown_at >= RENEW:
            self._stale, self._seen, self._shown_at, self._unshown = False, self._board.version, now, True
            self._mark()
        if self._unshown and dpg.is_item_visible("rays_panel"):
            self._unshown = False
            self._show()

    def _show(self) -> None:
        self._pins.show()
        if self.reading is not None and self._axis is not None:
            of_checkpoint = self._pick is not None and self._pick.step is not None
            self._ray.show(self.reading, self._axis, of_checkpoint)

    def _clicked(self, pressed: Pressed) -> None:
        look, pixel, note = pressed.look, pressed.pixel, ""
        view = bare(look.view)
        if look.of != "scene":
            frame = self.desk.stage.frames.get("right")
            if frame is None or not same_view(frame.view.camera, view.camera):
                self._say(f"{ONLY_SCENE} Go to its camera ([ and ]) to pick the same place of the scene.")
                return
            note, seen = f"{ONLY_SCENE} This is the scene's ray at the same place.", frame.view.camera
            pixel = (pixel[0] * view.camera.width // seen.width, pixel[1] * view.camera.height // seen.height)
        pick = p.Pick(view, pixel, step=look.step)
        self.pick(pick)
        self._say(note)
        if pressed.shift:
            self._pins.pin(pick)

    def _say(self, note: str) -> None:
        """Above the ray, and bring that to the front, but not before the path of who looks for its next keyframe."""
        self._ray.note(note)
        if self.desk.settings.side_shown and self.desk.tab_in_front() != "Path":
            self.desk.show_tab(self.title)

    def pick(self, pick: p.Pick) -> None:
        """Show the ray of a pixel from now on."""
        if pick != self._pick:
            self.reading = None
            self._time.show(None)
        self._pick, self._history_due, self._history_asked = pick, float("inf"), time.monotonic()
        self.desk.send(pick)

    def _read_again(self, now: float) -> None:
        """Over the clip, when the scene was trained since."""
        history, pick = self._time.history, self._pick
        if history is None or pick is None or pick.step is not None or history.step == self._step:
            return
        if now >= self._history_due or (not self._running and self._history_due < float("inf")):
            self.pick(pick)

    def _mark(self) -> None:
        """The rays in the picture, in the colours of their pins; the one that is shown last: it is turned around."""
        same = found(self._board.pins, self._pick) if self._pick is not None else None
        spots = [_spot(reading.report, _share(pin.color)) for pin, reading in self._board.compared if pin is not same]
        if self.reading is not None:
            color = MARK if same is None or not same.shown else _share(same.color)
            spots.append(_spot(self.reading.report, color))
        self.desk.stage.spots["rays"] = spots
        self.desk.stage.version += 1

    # ---------------------------------------------------------------------------------- what people do

    def pin(self) -> None:
        """Keep the ray that is shown."""
        if self._pick is None:
            self.desk.say("Click a pixel first; then its ray can be pinned")
        else:
            self._pins.pin(self._pick)

    def _go(self, pin: Pin) -> None:
        self.desk.stage.look_from(pin.view.camera, pin.view.time)
        self.pick(p.Pick(pin.view, pin.pixel, step=pin.step))

    def _export(self) -> None:
        if self.reading is None:
            self.desk.say("Click a pixel first; then its ray can be written to a file")
        else:
            self._files.ray(self.reading)

    def actions(self) -> Mapping[str, Callable[[], object]]:
        """What keys do here."""
        return {"rays.pin": self.pin, "rays.row": self._row.toggle, "rays.export": self._export}

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        state: dict[str, Any] = {
            "row": self.desk.stage.drawing_line,
            "pins": [_told(pin, self._board.reading(pin)) for pin in self._board.pins],
        }
        if self._row.picked is not None:
            line = self._row.picked.line
            state["slice"] = {"step": self._row.picked.step, "start": list(line.start), "end": list(line.end)}
        if self.reading is not None:
            ray = self.reading.report.ray
            state["ray"] = {
                "pixel": list(ray.pixel),
                "time": ray.view.time,
                "composite": ray.composite.tolist(),
                "weights": int((ray.weights > 0).sum()),
                "target": ray.target_depth,
                "step": self.reading.step,
            }
        return state


def _told(pin: Pin, reading: Reading | None) -> dict[str, Any]:
    return {
        "name": pin.name,
        "pixel": list(pin.pixel),
        "time": pin.view.time,
        "checkpoint": pin.step,
        "shown": pin.shown,
        "frozen": pin.frozen is not None,
        "step": None if reading is None else reading.step,
        "composite": None if reading is None else reading.report.ray.composite.tolist(),
    }


def _spot(report: RayReport, color: tuple[float, float, float]) -> Spot:
    ray = report.ray
    return Spot(ray.world_point() if ray.opacity > 0 else None, ray.view, ray.pixel, color)


def _share(color: RGB) -> tuple[float, float, float]:
    return (color[0] / 255, color[1] / 255, color[2] / 255)
