"""What is looked at: the scene, the camera, the time, what both sides show. Pure state: panels read it and change it,
the viewport shows it. Only the main thread is ever in here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app import protocol as p
from app.gui.gl_thread import Drawing
from app.gui.navigation import Viewpoint
from app.looks import DISTORTION, MODES, SPLITS, Display, Split
from renderer.camera import Camera
from renderer.paths import pose_at, sway_angles
from renderer.picture import Lines, Thumbnail
from renderer.tracks import Track
from renderer.view import Frame, View
from training.data.dataset import Shot

PATH = "path"
"""Who moves the camera while a camera path is played (:attr:`Stage.flown_by`)."""
FAR = np.radians(6.0)
"""Half of the angle about the scene's centre from which on a moving camera is followed by itself."""


@dataclass(frozen=True, eq=False)
class Spot:
    """A place in the world that is marked in the picture. ``pixel``: of the view in which it was picked; the mark
    stays on it while that view is shown. ``color``: in [0, 1]."""

    point: NDArray[np.float64] | None
    view: View
    pixel: tuple[int, int]
    color: tuple[float, float, float]


@dataclass(frozen=True)
class Pressed:
    """A click into the picture: on which look, and the pixel (x, y) of it."""

    look: p.Look
    pixel: tuple[int, int]
    shift: bool = False


@dataclass(frozen=True)
class Drawn:
    """A line that was drawn across the picture, between two places in pixels of the view."""

    view: View
    start: tuple[float, float]
    end: tuple[float, float]


def one_moving_camera(opened: p.Opened) -> bool:
    """Whether a clip was filmed by a single camera that was not always at the same place."""
    shots = opened.shots
    alone = opened.has_cameras and len({shot.camera_name for shot in shots}) == 1
    return alone and any(shot.camera != shots[0].camera for shot in shots)


def goes_far(opened: p.Opened) -> bool:
    """Whether a single camera moved so far that it saw another scene, as good as: what it did not see at a moment,
    nobody knows."""
    if not one_moving_camera(opened):
        return False
    sideways, _ = sway_angles([shot.camera for shot in opened.shots], np.array(opened.center, float))
    return bool(sideways > FAR)


class Stage:
    """``opened``: the scene, None while there is none. ``clicks``, ``lines``: what the mouse asked for in the picture,
    until the ray panel takes it. ``spots``: marks, by who put them there. ``drawn``: lines in the world, the same.
    ``frames``: what the sides show now. ``shown``: the picture in the window. ``drawing_line``: whether the left button
    draws a line. ``flown_by``: who moves the camera by itself ("" for nobody), such as a camera path that is played.
    ``follows``: whether the view goes along with a camera that moves, as time passes.
    ``track``: the camera path. ``rates``: size, rate and latency of the picture, in words."""

    def __init__(self) -> None:
        self.opened: p.Opened | None = None
        self.viewpoint: Viewpoint | None = None
        self.time = 0.0
        self.display = Display()
        self.split = Split()
        self.cameras_shown, self.axes_shown, self.box_shown, self.ways_shown = False, False, False, True
        self.drawing_line = False
        self.flown_by = ""
        self.follows = False
        self._way: tuple[p.Opened, list[Shot]] | None = None
        self.track = Track()
        self.clicks: deque[Pressed] = deque()
        self.lines: deque[Drawn] = deque()
        self.spots: dict[str, Sequence[Spot]] = {}
        self.drawn: dict[str, Lines | None] = {}
        self.frames: dict[p.Side, Frame] = {}
        self.shown: Drawing | None = None
        self.thumbnails: dict[int, NDArray[np.uint8]] = {}
        self.clip_lines: tuple[p.Opened, tuple[bool, ...], Lines] | None = None
        """What the clip's cameras, box and axes were made into last, and of what (:mod:`app.gui.scenery`): of some
        hundred cameras that takes longer than a frame of the window."""
        self.placed: tuple[p.Opened, Mapping[int, NDArray[np.uint8]], tuple[Thumbnail, ...]] | None = None
        """The same for the thumbnails."""
        self.moved_at = 0.0
        self.version = 0
        self.rates = ""
        self._shot, self._virtual = -1, -1

    # ------------------------------------------------------------------------------------------- the scene

    def open(self, event: p.Opened) -> None:
        """Another scene: look at it from its home camera."""
        self.close()
        self.opened = event
        self.display = replace(Display(), pose=len(event.virtual_cameras) // 2)
        self.split = Split(step=event.checkpoints[-1] if event.checkpoints else 0)
        self.follows = goes_far(event)
        self.go_home()

    def close(self) -> None:
        """Forget everything about the scene."""
        shown = self.cameras_shown, self.axes_shown, self.box_shown, self.ways_shown
        self.__init__()  # type: ignore[misc]
        self.cameras_shown, self.axes_shown, self.box_shown, self.ways_shown = shown

    def cameras_moved(self, event: p.CamerasMoved) -> None:
        """The cameras are elsewhere now; who looks through one of them goes along."""
        if self.opened is None:
            return
        pairs = [*zip(self.opened.shots, event.shots, strict=True)]
        moved = [(old.camera, new.camera) for old, new in pairs]
        moved += zip(self.opened.virtual_cameras, event.virtual_cameras, strict=False)
        self.opened = replace(self.opened, shots=event.shots, virtual_cameras=event.virtual_cameras)
        if self.viewpoint is not None:
            now = next((new for old, new in moved if old == self.viewpoint.camera), None)
            if now is not None and now != self.viewpoint.camera:
                self.viewpoint = self.viewpoint.placed(now)
        self.version += 1

    def seconds(self, time: float) -> float:
        """A moment in [0, 1] as seconds of the clip; as it is where none is open."""
        o = self.opened
        return time if o is None else time * (max(2, o.frame_count) - 1) / o.fps

    @property
    def has_distortion(self) -> bool:
        """Whether a field bends the scene for generated views."""
        return self.opened is not None and self.opened.has_distortion

    @property
    def modes(self) -> list[str]:
        """Names of what this scene can show."""
        there = {"": True, "distortion": self.has_distortion, "clip": self.opened is None or self.opened.has_clip}
        return [name for name, shown in MODES.items() if there[shown.needs]]

    @property
    def splits(self) -> list[str]:
        """Kinds of :data:`app.looks.SPLITS` that this scene has something for."""
        o = self.opened
        there = {"input": o is None or o.has_clip, "generated": o is not None and bool(o.virtual_cameras),
                 "checkpoint": o is None or o.has_clip or bool(o.checkpoints)}  # fmt: skip
        return [kind for kind in SPLITS if there.get(kind, True)]

    # ------------------------------------------------------------------------------------------ the camera

    def move(self, viewpoint: Viewpoint) -> None:
        """Look from somewhere else."""
        self.viewpoint = viewpoint
        self.touch()

    def touch(self) -> None:
        """Something that is shown has changed just now."""
        self.moved_at = time.monotonic()
        self.version += 1

    def go_home(self) -> None:
        """To the camera that the scene opened with."""
        o = self.opened
        if o is not None:
            up, home = np.array(o.up, float), o.home
            if self.follows:  # where the camera is now
                way = self._way_of(o)
                home = min(way, key=lambda shot: abs(shot.time - self.time)).camera
            self.move(Viewpoint(home, np.array(o.center, float), up / np.linalg.norm(up)))

    @property
    def picked_point(self) -> NDArray[np.float64] | None:
        """(3,) in the world: of the mark that was put last; None where no mark is at a place in space."""
        points = [spot.point for spots in self.spots.values() for spot in spots if spot.point is not None]
        return points[-1] if points else None

    def leave(self) -> None:
        """End what goes on in the picture: a flight, a line that is to be drawn."""
        self.flown_by = ""
        if self.drawing_line:
            self.drawing_line = False
            self.version += 1

    def focus(self, point: NDArray[np.float64]) -> None:
        """Turn around a point from now on."""
        if self.viewpoint is not None:
            self.move(self.viewpoint.focused(point))

    def look_from(self, camera: Camera, at: float | None = None) -> None:
        """From this camera, at a time if one is given."""
        if self.viewpoint is not None:
            self.time = self.time if at is None else min(max(at, 0.0), 1.0)
            self.move(self.viewpoint.placed(camera))

    def set_fov(self, radians: float) -> None:
        """Vertical field of view."""
        if self.viewpoint is not None:
            self.move(self.viewpoint.placed(self.viewpoint.camera.zoomed(radians)))

    def step_camera(self, by: int) -> str:
        """To the next or previous camera of the clip; its name."""
        if self.opened is None:
            return ""
        shots = [s for s in self.opened.shots if s.split == "train"]
        names = list(dict.fromkeys(s.camera_name for s in shots))
        if len(names) > 1:  # the cameras of a rig, at the present time
            self._shot = (self._shot + by) % len(names) if self._shot >= 0 else (0 if by > 0 else len(names) - 1)
            here = [s for s in shots if s.camera_name == names[self._shot]]
            shot = min(here, key=lambda s: abs(s.time - self.time))
            self.look_from(shot.camera)
        else:  # the way of a single camera
            self._shot = (self._shot + by) % len(shots) if self._shot >= 0 else 0
            shot = shots[self._shot]
            self.look_from(shot.camera, shot.time)
        return f"{shot.camera_name}, frame {shot.frame + 1}"

    def step_virtual(self, by: int) -> str:
        """To the next or previous camera of the generated views; its name."""
        if self.opened is None or not self.opened.virtual_cameras:
            return ""
        count = len(self.opened.virtual_cameras)
        self.go_virtual((self._virtual + by) % count if self._virtual >= 0 else (0 if by > 0 else count - 1))
        return f"generated camera s = {self._virtual} of {count}"

    def go_virtual(self, pose: int, at: float | None = None) -> None:
        """To this camera of the generated views, at a time if one is given."""
        if self.opened is not None and 0 <= pose < len(self.opened.virtual_cameras):
            self._virtual = pose
            self.look_from(self.opened.virtual_cameras[pose], at)
            self.set_display(pose=pose)

    # ------------------------------------------------------------------------------------- what is shown

    def set_time(self, value: float) -> None:
        """Another moment of the clip, in [0, 1]."""
        value = min(max(value, 0.0), 1.0)
        if value != self.time:
            if self.follows and self.opened is not None and self.viewpoint is not None:
                way = self._way_of(self.opened)
                cameras, times = [shot.camera for shot in way], [shot.time for shot in way]
                before, after = (pose_at(cameras, times, time) for time in (self.time, value))
                self.viewpoint = self.viewpoint.carried(before, after)
            self.time = value
            self.touch()

    def _way_of(self, opened: p.Opened) -> list[Shot]:
        """The shots by their times, kept for as long as they stay where they are."""
        if self._way is None or self._way[0] is not opened:
            self._way = opened, sorted(opened.shots, key=lambda shot: shot.time)
        return self._way[1]

    def set_display(self, **values: object) -> None:
        """Change how the left side is shown (:class:`app.looks.Display`)."""
        display = replace(self.display, **values)  # type: ignore[arg-type]
        if display.mode in self.modes and display != self.display:
            self.display = display
            self.version += 1

    def set_split(self, **values: object) -> None:
        """Change what the right side shows (:class:`app.looks.Split`)."""
        split = replace(self.split, **values)  # type: ignore[arg-type]
        if split.kind in self.splits and split != self.split:
            self.split = split
            self.version += 1

    def looks(self, camera: Camera) -> dict[p.Side, p.Look]:
        """What both sides show now, through a camera of the wanted size; only the left where nothing is beside it."""
        d, s = self.display, self.split
        left = p.Look(View(camera, self.time, d.overlay, d.pose if d.mode == DISTORTION else 0))
        if s.kind == "off":
            return {"left": left}
        if s.kind == "input":
            return {"left": left, "right": p.Look(View(camera, self.time), "input")}
        if s.kind == "generated":
            return {"left": left, "right": p.Look(View(camera, self.time, pose=d.pose), "generated")}
        if s.kind == "time":
            return {"left": left, "right": p.Look(replace(left.view, time=s.time))}
        if s.kind == "checkpoint":
            return {"left": left, "right": p.Look(View(camera, self.time), step=s.step)}
        other = self.right_display
        pose = other.pose if other.mode == DISTORTION else 0
        return {"left": left, "right": p.Look(View(camera, self.time, other.overlay, pose))}

    @property
    def right_display(self) -> Display:
        """How the right side is shown."""
        if self.split.kind == "mode":
            return replace(self.display, mode=self.split.mode)
        if self.split.kind == "checkpoint" and not self.display.overlay:
            return self.display
        return self.display if self.split.kind == "time" else Display()
