"""The camera path as a document: what is selected, and edits that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.gui.stage import Stage
from app.history import History
from app.track_edits import aimed, all_aimed
from renderer.camera import Camera, Matrix
from renderer.tracks import Keyframe, Track, framed

DOCUMENT = "path"
"""Its name in the history."""
SECONDS = 2.0
"""Of the transition to a first keyframe."""


class PathEditor:
    """Edits the stage's track. ``selected``: index of a keyframe, -1 for none. ``version``: grows with every change of
    either. ``follow``: whether keyframes that are added or updated look at the picked point."""

    def __init__(self, stage: Stage, history: History) -> None:
        self._stage, self._history = stage, history
        self.selected, self.version = -1, 0
        self.follow = False
        history.track(DOCUMENT, lambda: stage.track, self._set)

    @property
    def track(self) -> Track:
        """As it is now."""
        return self._stage.track

    @property
    def keyframe(self) -> Keyframe | None:
        """The selected one."""
        return self.track.keyframes[self.selected] if self.selected >= 0 else None

    def apply(self, track: Track, label: str, selected: int | None = None) -> None:
        """Replace the track. ``label``: what was done, for people. ``selected``: another selection."""
        before = self.track
        self.selected = self.selected if selected is None else selected
        self._set(track)
        self._history.changed(DOCUMENT, before, label)

    def forget(self) -> None:
        """The scene was closed: nothing is selected, and nothing can be undone."""
        self.selected, self.follow = -1, False
        self.version += 1
        self._history.forget(DOCUMENT)

    def select(self, i: int) -> None:
        """Select a keyframe, none for -1."""
        self.selected = i if i < len(self.track.keyframes) else -1
        self.version += 1

    # ------------------------------------------------------------------------------------- keyframes

    def add(self) -> bool:
        """The present view as a keyframe after the selected one, else as the last; False where there is no view."""
        camera, count = self._present(), len(self.track.keyframes)
        if camera is None:
            return False
        at = self.selected + 1 if self.selected >= 0 else count
        seconds = self.track.keyframes[at - 1].seconds if at else SECONDS
        new = Keyframe(camera, self._stage.time, seconds)
        self.apply(self.track.added(new, at), f"add keyframe {at + 1} of {count + 1}", at)
        return True

    def update(self) -> None:
        """The present view in the place of the selected keyframe's."""
        keyframe, camera = self.keyframe, self._present()
        if keyframe is not None and camera is not None:
            self.edit(self.selected, lambda k: replace(k, camera=camera, time=self._stage.time), "view")

    def remove(self) -> bool:
        """Take the selected keyframe away, and select the next one; False where none is selected."""
        if self.selected < 0:
            return False
        i, count = self.selected, len(self.track.keyframes)
        self.apply(self.track.removed(i), f"remove keyframe {i + 1} of {count}", min(i, count - 2))
        return True

    def move(self, by: int) -> None:
        """The selected keyframe earlier or later."""
        to = self.selected + by
        if self.selected >= 0 and 0 <= to < len(self.track.keyframes):
            self.apply(self.track.moved(self.selected, to), f"move keyframe {self.selected + 1} to {to + 1}", to)

    def duplicate(self) -> None:
        """The selected keyframe once more after itself."""
        if self.keyframe is not None:
            at, count = self.selected + 1, len(self.track.keyframes)
            self.apply(self.track.added(self.keyframe, at), f"duplicate keyframe {at} of {count}", at)

    def edit(self, i: int, change: Callable[[Keyframe], Keyframe], what: str) -> None:
        """Change one keyframe. ``what``: of it."""
        self.apply(self.track.replaced(i, change(self.track.keyframes[i])), f"{what} of keyframe {i + 1}")

    # --------------------------------------------------------------------------------------- look-at

    @property
    def point(self) -> Matrix | None:
        """(3,) in the world: what was picked last."""
        return self._stage.picked_point

    def aim(self) -> bool:
        """Aim the selected keyframe, or all where none is, at the picked point; False where there is none."""
        point, view = self.point, self._stage.viewpoint
        if point is None or view is None:
            return False
        if self.selected >= 0:
            self.edit(self.selected, lambda k: replace(k, camera=aimed(k.camera, point, view.up)), "aim")
        else:
            self.aim_all()
        return True

    def aim_all(self) -> bool:
        """Aim all keyframes at the picked point; False where there is none."""
        point, view = self.point, self._stage.viewpoint
        if point is None or view is None:
            return False
        self.apply(all_aimed(self.track, point, view.up), "aim all keyframes")
        return True

    def _present(self) -> Camera | None:
        """The camera of the viewport, aimed where it is wanted."""
        view, point = self._stage.viewpoint, self.point
        if view is None or self._stage.opened is None:
            return None
        home = self._stage.opened.home
        camera = framed(view.camera, home.width, home.height)
        return aimed(camera, point, view.up) if self.follow and point is not None else camera

    def _set(self, track: Track) -> None:
        self._stage.track = track
        self.selected = min(self.selected, len(track.keyframes) - 1)
        self.version += 1
